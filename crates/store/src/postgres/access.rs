//! What a client of another kind needs to open a line to the same database.

use super::config::PostgresTls;
use std::fmt;
use tokio_postgres::config::Host;

/// The port of a server that is named without one.
const PORT: u16 = 5432;

/// Where a database is and who may use it, for a client that speaks another protocol, such as one that reads the server's log.
#[derive(Clone, PartialEq, Eq)]
pub struct PostgresAccess {
    /// The servers, each with its port; the first that serves is the one. A name that begins with `/` is the folder of a socket.
    pub servers: Vec<(String, u16)>,
    /// Who asks.
    pub user: String,
    /// The password, if the server asks for one. Not shown by `Debug`.
    pub password: Option<String>,
    /// The database.
    pub database: String,
    /// Encryption, with the server's certificate and name checked; without it the line is plain.
    pub tls: Option<PostgresTls>,
}

impl PostgresAccess {
    pub(super) fn new(config: &tokio_postgres::Config, tls: Option<&PostgresTls>) -> Self {
        let port = |index: usize| {
            let ports = config.get_ports();
            ports.get(index).or(ports.first()).copied().unwrap_or(PORT)
        };
        let server = |(index, host): (usize, &Host)| {
            let name = match host {
                Host::Tcp(name) => name.clone(),
                Host::Unix(folder) => folder.display().to_string(),
            };
            (name, port(index))
        };
        PostgresAccess {
            servers: config.get_hosts().iter().enumerate().map(server).collect(),
            user: config.get_user().unwrap_or_default().to_owned(),
            password: config.get_password().map(|password| String::from_utf8_lossy(password).into_owned()),
            database: config.get_dbname().unwrap_or_default().to_owned(),
            tls: tls.cloned(),
        }
    }
}

impl fmt::Debug for PostgresAccess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let PostgresAccess { servers, user, password: _, database, tls } = self;
        let mut shown = f.debug_struct("PostgresAccess");
        shown.field("servers", servers).field("user", user).field("database", database).field("tls", tls);
        shown.finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn access(url: &str) -> PostgresAccess {
        PostgresAccess::new(&url.parse().unwrap(), None)
    }

    #[test]
    fn each_server_has_its_port() {
        let servers = |url| access(url).servers;

        assert_eq!(servers("postgres://me@a/orders"), [("a".to_owned(), 5432)]);
        assert_eq!(servers("postgres://me@a:1,b:2/orders"), [("a".to_owned(), 1), ("b".to_owned(), 2)]);
        assert_eq!(servers("host=a,b port=7 user=me dbname=orders"), [("a".to_owned(), 7), ("b".to_owned(), 7)]);
        assert_eq!(servers("postgres://me@%2Frun%2Fpg:6000/orders"), [("/run/pg".to_owned(), 6000)]);
    }

    #[test]
    fn the_password_is_handed_out_and_not_shown() {
        let access = access("postgres://me:hunter2@a/orders");

        assert_eq!(access.password.as_deref(), Some("hunter2"));
        assert!(!format!("{access:?}").contains("hunter2"));
    }
}
