//! How a PostgreSQL database is reached.

use serde::{Deserialize, Serialize};
use std::num::NonZeroUsize;
use std::path::PathBuf;

/// Settings of one database. Secrets are read from files only.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PostgresConfig {
    /// The database: `postgres://USER@HOST:PORT/DATABASE`, without a password. `host=%2Fpath` names a folder with a socket.
    pub url: String,
    /// The file with the password, if the server asks for one.
    pub password_file: Option<PathBuf>,
    /// Encryption; without it the line is plain.
    pub tls: Option<PostgresTls>,
    /// Connections that write. 2: while one waits for the disk, the other one fills the next transaction; more would only split the
    /// transactions that are shared.
    pub writers: NonZeroUsize,
    /// Connections that read, at most. 8: reads take less than a millisecond, so more would wait for the same cores.
    pub readers: NonZeroUsize,
}

/// How the line to the server is encrypted. The server's certificate is always checked, and that it names the host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PostgresTls {
    /// The certificates that servers are trusted by, in PEM.
    pub ca_file: PathBuf,
    /// This program's own certificate, if the server asks for one, in PEM.
    pub certificate_file: Option<PathBuf>,
    /// The key to it, in PEM.
    pub key_file: Option<PathBuf>,
}

impl Default for PostgresConfig {
    fn default() -> Self {
        PostgresConfig {
            url: "postgres://127.0.0.1:5432".to_owned(),
            password_file: None,
            tls: None,
            writers: NonZeroUsize::MIN.saturating_add(1),
            readers: NonZeroUsize::MIN.saturating_add(7),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_two_writers_and_eight_readers_by_default() {
        let config = PostgresConfig::default();

        assert_eq!((config.writers.get(), config.readers.get()), (2, 8));
    }
}
