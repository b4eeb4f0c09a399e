//! Which database, and with which credentials.

use super::config::{PostgresConfig, PostgresTls};
use crate::Error;
use crate::error::Source;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};
use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio_postgres::config::{Host, SslMode};
use tokio_postgres_rustls::MakeRustlsConnect;

/// How long one address of the server may take to accept a line.
const ACCEPT_WITHIN: Duration = Duration::from_secs(3);
/// A line on which nothing is confirmed for this long is given up by the kernel.
const UNCONFIRMED_MAX: Duration = Duration::from_secs(10);

/// A database, ready to be connected to.
pub(super) struct Target {
    pub(super) config: tokio_postgres::Config,
    pub(super) tls: Option<MakeRustlsConnect>,
    /// Where the certificates are that `tls` was made of.
    pub(super) files: Option<PostgresTls>,
}

impl Target {
    /// Reads the settings and the files that they name.
    pub(super) fn new(settings: &PostgresConfig) -> Result<Self, Error> {
        let wrong = |problem: String| Error::Setting { setting: "url", problem };
        let mut config: tokio_postgres::Config =
            settings.url.parse().map_err(|error: tokio_postgres::Error| wrong(complete(&error)))?;
        if config.get_password().is_some() {
            return Err(wrong("holds a password, which would be printed; put it into password_file".to_owned()));
        }
        if config.get_dbname().is_none() || config.get_user().is_none() {
            return Err(wrong("must be postgres://USER@HOST:PORT/DATABASE".to_owned()));
        }
        if let Some(file) = &settings.password_file {
            config.password(read(file, "password_file")?.trim_end());
        }
        config.connect_timeout(ACCEPT_WITHIN).tcp_user_timeout(UNCONFIRMED_MAX).keepalives_idle(UNCONFIRMED_MAX);
        let tls = settings.tls.as_ref().map(encryption).transpose()?;
        config.ssl_mode(if tls.is_some() { SslMode::Require } else { SslMode::Disable });
        Ok(Target { config, tls, files: settings.tls.clone() })
    }

    /// The name of the database.
    pub(super) fn database(&self) -> &str {
        self.config.get_dbname().unwrap_or_default()
    }
}

/// The database without its secrets.
impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hosts = self.config.get_hosts().iter().map(|host| match host {
            Host::Tcp(name) => name.clone(),
            Host::Unix(folder) => folder.display().to_string(),
        });
        let (hosts, ports) = (hosts.collect::<Vec<_>>().join(","), self.config.get_ports());
        let ports = ports.iter().map(u16::to_string).collect::<Vec<_>>().join(",");
        write!(f, "database {} of {hosts}:{ports}", self.database())
    }
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

fn encryption(settings: &PostgresTls) -> Result<MakeRustlsConnect, Error> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(&settings.ca_file, "tls.ca_file")? {
        roots.add(certificate).map_err(|error| unusable("tls.ca_file", &settings.ca_file, &error.into()))?;
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let builder = builder.map_err(|error| unusable("tls.ca_file", &settings.ca_file, &error.into()))?;
    let builder = builder.with_root_certificates(roots);
    let config = match (&settings.certificate_file, &settings.key_file) {
        (Some(certificate), Some(key)) => {
            let chain = certificates(certificate, "tls.certificate_file")?;
            let secret = PrivateKeyDer::from_pem_file(key);
            let secret = secret.map_err(|error| unusable("tls.key_file", key, &error.to_string().into()))?;
            builder
                .with_client_auth_cert(chain, secret)
                .map_err(|error| unusable("tls.key_file", key, &error.into()))?
        }
        (None, None) => builder.with_no_client_auth(),
        (Some(_), None) => return Err(missing("tls.key_file", "tls.certificate_file")),
        (None, Some(_)) => return Err(missing("tls.certificate_file", "tls.key_file")),
    };
    Ok(MakeRustlsConnect::new(config))
}

fn certificates(file: &Path, setting: &'static str) -> Result<Vec<CertificateDer<'static>>, Error> {
    let failed = |error: rustls::pki_types::pem::Error| unusable(setting, file, &error.to_string().into());
    let found: Result<Vec<_>, _> = CertificateDer::pem_file_iter(file).map_err(failed)?.collect();
    match found.map_err(failed)? {
        none if none.is_empty() => Err(unusable(setting, file, &"it holds no certificate".into())),
        found => Ok(found),
    }
}

fn read(file: &Path, setting: &'static str) -> Result<String, Error> {
    std::fs::read_to_string(file).map_err(|error| unusable(setting, file, &error.into()))
}

fn unusable(setting: &'static str, file: &Path, why: &Source) -> Error {
    Error::Setting { setting, problem: format!("names {}, which cannot be used: {why}", file.display()) }
}

fn missing(setting: &'static str, other: &str) -> Error {
    Error::Setting { setting, problem: format!("is missing beside {other}") }
}

/// An error with all its reasons.
pub(super) fn complete(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text = format!("{text}: {error}");
        source = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(config: &PostgresConfig) -> String {
        Target::new(config).unwrap_err().to_string()
    }

    fn at(url: &str) -> PostgresConfig {
        PostgresConfig { url: url.to_owned(), ..PostgresConfig::default() }
    }

    #[test]
    fn a_password_is_not_accepted_where_it_would_be_printed() {
        assert_eq!(
            refusal(&at("postgres://me:secret@127.0.0.1/orders")),
            "url holds a password, which would be printed; put it into password_file"
        );
    }

    #[test]
    fn a_url_without_a_user_or_a_database_is_refused() {
        for url in ["postgres://127.0.0.1/orders", "postgres://me@127.0.0.1", "http://me@127.0.0.1/orders"] {
            assert!(refusal(&at(url)).starts_with("url "), "{url}");
        }
    }

    #[test]
    fn a_file_that_is_not_there_is_named_with_its_setting() {
        let config = PostgresConfig { password_file: Some("/nowhere".into()), ..at("postgres://me@127.0.0.1/orders") };

        assert!(refusal(&config).starts_with("password_file names /nowhere, which cannot be used: "));
    }

    #[test]
    fn a_certificate_needs_its_key() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("ca.pem");
        std::fs::write(&file, "nothing").unwrap();
        let tls = PostgresTls { ca_file: file, certificate_file: None, key_file: None };
        let config = PostgresConfig { tls: Some(tls), ..at("postgres://me@127.0.0.1/orders") };

        assert!(refusal(&config).ends_with("it holds no certificate"), "{}", refusal(&config));
    }

    #[test]
    fn what_is_shown_holds_no_secret() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("password");
        std::fs::write(&file, "hunter2\n").unwrap();
        let config = PostgresConfig { password_file: Some(file), ..at("postgres://me@db.local:5433/orders") };

        assert_eq!(format!("{:?}", Target::new(&config).unwrap()), "database orders of db.local:5433");
    }
}
