//! Where key sets come from: a file, or a URL.

use crate::Error;
use crate::error::Source as Cause;
use bytes::Bytes;
use http::{Request, StatusCode, Uri, header};
use http_body_util::{BodyExt, Empty, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::{Client, connect::HttpConnector};
use hyper_util::rt::TokioExecutor;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// Bytes of a key set at most; one of a hundred RSA keys has 50 KiB.
const BYTES_MAX: usize = 1 << 20;
/// How long a key set may take to come. A caller with a new key waits as long.
const TIMEOUT: Duration = Duration::from_secs(5);

/// Where a key set comes from.
#[derive(Debug)]
pub(crate) enum Source {
    File(PathBuf),
    Url { uri: Uri, client: Box<Client<HttpsConnector<HttpConnector>, Empty<Bytes>>> },
}

impl Source {
    /// A file, unless `place` begins like a URL.
    ///
    /// # Errors
    /// When it is no URL after all, or the certificates that it is to be trusted by cannot be read.
    pub(crate) fn new(place: &str, ca_file: Option<&Path>) -> Result<Self, Error> {
        if !place.starts_with("http://") && !place.starts_with("https://") {
            return Ok(Source::File(place.into()));
        }
        let uri: Uri = place.parse().map_err(|error| Error::setting("issuers", format!("{place:?}: {error}")))?;
        let mut connector = HttpConnector::new();
        connector.enforce_http(false);
        connector.set_connect_timeout(Some(TIMEOUT));
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(tls(ca_file)?)
            .https_or_http()
            .enable_http1()
            .enable_http2()
            .wrap_connector(connector);
        let client = Box::new(Client::builder(TokioExecutor::new()).build(connector));
        Ok(Source::Url { uri, client })
    }

    /// What is there now. Redirects are not followed, since they would make another place be trusted. Cancel safe.
    pub(crate) async fn fetch(&self) -> Result<Bytes, Error> {
        match self {
            // A small file, rarely.
            Source::File(path) => {
                let read = std::fs::read(path).map_err(Cause::from).and_then(|bytes| match bytes.len() {
                    ..=BYTES_MAX => Ok(bytes),
                    _ => Err(format!("it has more than {BYTES_MAX} bytes").into()),
                });
                read.map(Bytes::from).map_err(|source| Error::File { path: path.clone(), source })
            }
            Source::Url { uri, client } => {
                let failed = |source: Cause| Error::Fetch { url: uri.to_string(), source };
                let fetched = tokio::time::timeout(TIMEOUT, get(uri, client)).await;
                fetched
                    .map_err(|_elapsed| failed(format!("it did not come within {TIMEOUT:?}").into()))?
                    .map_err(failed)
            }
        }
    }
}

async fn get(uri: &Uri, client: &Client<HttpsConnector<HttpConnector>, Empty<Bytes>>) -> Result<Bytes, Cause> {
    let request = Request::get(uri.clone()).header(header::ACCEPT, "application/json").body(Empty::new())?;
    let answer = client.request(request).await?;
    if answer.status() != StatusCode::OK {
        return Err(format!("the answer is {}", answer.status()).into());
    }
    Ok(Limited::new(answer.into_body(), BYTES_MAX).collect().await?.to_bytes())
}

/// TLS with a provider of cryptography of its own: a process may have several in it and have chosen none.
fn tls(ca_file: Option<&Path>) -> Result<ClientConfig, Error> {
    let mut roots = RootCertStore::empty();
    match ca_file {
        Some(path) => {
            let unusable = |source: Cause| Error::File { path: path.to_owned(), source };
            for certificate in CertificateDer::pem_file_iter(path).map_err(|error| unusable(error.into()))? {
                let certificate = certificate.map_err(|error| unusable(error.into()))?;
                roots.add(certificate).map_err(|error| unusable(error.into()))?;
            }
        }
        // Some of a machine's certificates may be odd; those that are not are enough.
        None => drop(roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs)),
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let builder = builder.map_err(|error| Error::setting("issuers", error.to_string()))?;
    Ok(builder.with_root_certificates(roots).with_no_client_auth())
}
