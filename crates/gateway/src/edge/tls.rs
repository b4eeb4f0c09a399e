//! TLS at the public port: a certificate that may be replaced while connections last, and certificates of clients.

use super::peer;
use crate::Error;
use guard::Certificate;
use lifecycle::{Drain, Rhythm};
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use serde::{Deserialize, Serialize};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tracing::{error, info};

/// The files of the port's certificate, and whether clients must have one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TlsConfig {
    /// The certificate and those between it and its authority, in PEM.
    pub certificate_file: PathBuf,
    /// Its key, in PEM. Nobody but the gateway should be able to read it.
    pub key_file: PathBuf,
    /// The authorities that sign certificates of clients, in PEM. None: clients are not asked for one.
    #[serde(default)]
    pub client_ca_file: Option<PathBuf>,
    /// Whether a client without a certificate is refused. Required: who names authorities wants to know the clients.
    #[serde(default)]
    pub client_certificate: ClientCertificate,
    /// Time for a handshake, in milliseconds. 5,000: three round trips of a slow network, and an attacker gets no more.
    #[serde(default = "TlsConfig::default_handshake_timeout_ms")]
    pub handshake_timeout_ms: u64,
    /// How often the files are read again, in milliseconds. 10,000: certificates are replaced days before they end.
    #[serde(default = "TlsConfig::default_reload_interval_ms")]
    pub reload_interval_ms: u64,
}

/// Whether clients must have a certificate.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ClientCertificate {
    /// A client without one is refused.
    #[default]
    Required,
    /// One that is shown must be valid.
    Optional,
}

impl TlsConfig {
    /// TLS with the certificate of these files, for clients without one.
    #[must_use]
    pub fn new(certificate_file: PathBuf, key_file: PathBuf) -> Self {
        TlsConfig {
            certificate_file,
            key_file,
            client_ca_file: None,
            client_certificate: ClientCertificate::Required,
            handshake_timeout_ms: Self::default_handshake_timeout_ms(),
            reload_interval_ms: Self::default_reload_interval_ms(),
        }
    }

    fn default_handshake_timeout_ms() -> u64 {
        5_000
    }

    fn default_reload_interval_ms() -> u64 {
        10_000
    }
}

/// Makes handshakes with the newest certificate.
#[derive(Debug, Clone)]
pub(crate) struct Tls {
    newest: watch::Receiver<Arc<ServerConfig>>,
    handshake_timeout: Duration,
}

impl Tls {
    /// Loads the certificate, and gives what keeps it fresh.
    ///
    /// # Errors
    /// When a file cannot be read, or is not what it should be.
    pub(crate) fn load(config: &TlsConfig) -> Result<(Self, Reload), Error> {
        let files = Files::read(config)?;
        let (sender, newest) = watch::channel(Arc::new(files.server_config(config)?));
        let handshake_timeout = Duration::from_millis(config.handshake_timeout_ms);
        Ok((Tls { newest, handshake_timeout }, Reload { config: config.clone(), files, sender }))
    }

    /// Makes the handshake; gives the client's certificate, if it has shown one.
    ///
    /// # Errors
    /// When the client does not make it, or not in time.
    pub(crate) async fn accept(
        &self,
        stream: TcpStream,
    ) -> io::Result<(TlsStream<TcpStream>, Option<Arc<Certificate>>)> {
        let config = Arc::clone(&self.newest.borrow());
        let handshake = TlsAcceptor::from(config).accept(stream);
        let stream = timeout(self.handshake_timeout, handshake).await.map_err(|_elapsed| {
            io::Error::new(io::ErrorKind::TimedOut, "the client did not make its handshake in time")
        })??;
        let shown = stream.get_ref().1.peer_certificates().and_then(<[_]>::first);
        let certificate = shown.map(|shown| {
            let unread =
                || io::Error::new(io::ErrorKind::InvalidData, "the client's certificate has no readable names");
            peer::read(shown).map(Arc::new).ok_or_else(unread)
        });
        let certificate = certificate.transpose()?;
        Ok((stream, certificate))
    }
}

/// Reads the files again, in a task of its own.
pub(crate) struct Reload {
    config: TlsConfig,
    files: Files,
    sender: watch::Sender<Arc<ServerConfig>>,
}

impl Reload {
    /// Goes on until the drain is requested. Files that cannot be used are reported, and the certificate before them stays.
    pub(crate) async fn run(mut self, drain: Drain) {
        let mut rhythm = Rhythm::every(Duration::from_millis(self.config.reload_interval_ms.max(1)), drain);
        while rhythm.beat().await {
            self.look();
        }
    }

    fn look(&mut self) {
        let files = match Files::read(&self.config) {
            Ok(files) if files == self.files => return,
            Ok(files) => files,
            // In the middle of being replaced; the next look finds it there, or the certificate ends and is missed then.
            Err(error) => {
                return error!(error = &error as &dyn std::error::Error, "certificate could not be read again");
            }
        };
        match files.server_config(&self.config) {
            Ok(config) => {
                self.sender.send_replace(Arc::new(config));
                info!(file = %self.config.certificate_file.display(), "certificate replaced");
            }
            Err(error) => error!(error = &error as &dyn std::error::Error, "certificate was not replaced"),
        }
        self.files = files;
    }
}

/// What is in the files.
#[derive(PartialEq, Eq)]
struct Files {
    certificate: Vec<u8>,
    key: Vec<u8>,
    client_ca: Option<Vec<u8>>,
}

impl Files {
    fn read(config: &TlsConfig) -> Result<Self, Error> {
        let read = |path: &Path| std::fs::read(path).map_err(|error| unusable(path, error));
        Ok(Files {
            certificate: read(&config.certificate_file)?,
            key: read(&config.key_file)?,
            client_ca: config.client_ca_file.as_deref().map(read).transpose()?,
        })
    }

    fn server_config(&self, config: &TlsConfig) -> Result<ServerConfig, Error> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider)).with_safe_default_protocol_versions();
        let builder = builder.map_err(|error| unusable(&config.certificate_file, error))?;
        let builder = match (&self.client_ca, &config.client_ca_file) {
            (Some(ca), Some(path)) => {
                let mut roots = RootCertStore::empty();
                for certificate in certificates(ca, path)? {
                    roots.add(certificate).map_err(|error| unusable(path, error))?;
                }
                let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
                let verifier = match config.client_certificate {
                    ClientCertificate::Required => verifier,
                    ClientCertificate::Optional => verifier.allow_unauthenticated(),
                };
                builder.with_client_cert_verifier(verifier.build().map_err(|error| unusable(path, error))?)
            }
            _ => builder.with_no_client_auth(),
        };
        let chain = certificates(&self.certificate, &config.certificate_file)?;
        let key = PrivateKeyDer::from_pem_slice(&self.key).map_err(|error| unusable(&config.key_file, error))?;
        let built = builder.with_single_cert(chain, key).map_err(|error| unusable(&config.key_file, error));
        built.map(|mut built| {
            built.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
            built
        })
    }
}

fn certificates(pem: &[u8], path: &Path) -> Result<Vec<CertificateDer<'static>>, Error> {
    let read = CertificateDer::pem_slice_iter(pem).collect::<Result<Vec<_>, _>>();
    let found = read.map_err(|error| unusable(path, error))?;
    if found.is_empty() {
        return Err(unusable(path, "it holds no certificate".to_owned()));
    }
    Ok(found)
}

fn unusable(path: &Path, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
    Error::Tls { path: path.to_owned(), source: source.into() }
}
