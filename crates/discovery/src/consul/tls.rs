//! The certificates of the line to Consul.

use super::config::ConsulTls;
use crate::Error;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};
use std::path::Path;
use std::sync::Arc;

/// What TLS needs, with a provider of cryptography of its own: a process may have several in it and have chosen none.
pub(super) fn client_config(tls: &ConsulTls) -> Result<ClientConfig, Error> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(&tls.ca_file)? {
        roots.add(certificate).map_err(|error| unusable(&tls.ca_file, error))?;
    }
    let builder = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| Error::Settings { field: "tls", reason: error.to_string() })?
        .with_root_certificates(roots);
    let (Some(certificate_file), Some(key_file)) = (&tls.certificate_file, &tls.key_file) else {
        return Ok(builder.with_no_client_auth());
    };
    // SEC1, which `consul tls cert create` writes, as well as PKCS#1 and PKCS#8.
    let key = PrivateKeyDer::from_pem_file(key_file).map_err(|error| unusable(key_file, error))?;
    builder.with_client_auth_cert(certificates(certificate_file)?, key).map_err(|error| unusable(key_file, error))
}

fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, Error> {
    let read = CertificateDer::pem_file_iter(file).map_err(|error| unusable(file, error))?;
    let found: Vec<_> = read.collect::<Result<_, _>>().map_err(|error| unusable(file, error))?;
    if found.is_empty() {
        return Err(unusable(file, "it holds no certificate".to_owned()));
    }
    Ok(found)
}

fn unusable(file: &Path, source: impl Into<crate::Source>) -> Error {
    Error::File { path: file.to_owned(), source: source.into() }
}
