//! Who this program is to NATS: read from files at each connection, so that what expires can be renewed while it runs.

use super::config::{JetStreamConfig, JetStreamTls};
use crate::Error;
use crate::error::Source;
use async_nats::Auth;
use async_nats::rustls::pki_types::pem::PemObject;
use async_nats::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use nkeys::KeyPair;
use std::path::Path;

/// Reads all files that the settings name, to say at the start which of them is wrong.
pub(super) async fn check(config: &JetStreamConfig) -> Result<(), Error> {
    identify(config, b"any nonce").await?;
    let Some(JetStreamTls { ca_file, certificate_file, key_file }) = &config.tls else { return Ok(()) };
    for file in [ca_file, certificate_file].into_iter().flatten() {
        let pem = text(file).await?;
        let certificates: Result<Vec<CertificateDer<'_>>, _> = CertificateDer::pem_slice_iter(pem.as_bytes()).collect();
        match certificates {
            Ok(certificates) if !certificates.is_empty() => {}
            Ok(_) => return Err(unusable(file, "there is no certificate in it")),
            Err(error) => return Err(unusable(file, error.to_string())),
        }
    }
    if let Some(file) = key_file {
        PrivateKeyDer::from_pem_slice(text(file).await?.as_bytes())
            .map_err(|error| unusable(file, error.to_string()))?;
    }
    Ok(())
}

/// What a server is told that has greeted with this nonce.
pub(super) async fn identify(config: &JetStreamConfig, nonce: &[u8]) -> Result<Auth, Error> {
    let mut auth = Auth::new();
    if let (Some(user), Some(file)) = (&config.user, &config.password_file) {
        auth.username = Some(user.clone());
        auth.password = Some(text(file).await?);
    }
    if let Some(file) = &config.nkey_seed_file {
        let keys = keys(file, &text(file).await?)?;
        auth.nkey = Some(keys.public_key());
        auth.signature = Some(keys.sign(nonce).map_err(|error| unusable(file, error))?);
    }
    if let Some(file) = &config.credentials_file {
        let text = text(file).await?;
        let jwt = section(&text, "NATS USER JWT").ok_or_else(|| unusable(file, "there is no user JWT in it"))?;
        let seed = section(&text, "USER NKEY SEED").ok_or_else(|| unusable(file, "there is no nkey seed in it"))?;
        auth.jwt = Some(jwt.to_owned());
        auth.signature = Some(keys(file, seed)?.sign(nonce).map_err(|error| unusable(file, error))?);
    }
    Ok(auth)
}

fn keys(file: &Path, seed: &str) -> Result<KeyPair, Error> {
    KeyPair::from_seed(seed).map_err(|error| unusable(file, error))
}

/// The one line between `-----BEGIN {what}-----` and `------END {what}------`.
fn section<'a>(text: &'a str, what: &str) -> Option<&'a str> {
    let (_, after) = text.split_once(&format!("-----BEGIN {what}-----"))?;
    let (section, _) = after.split_once(&format!("-----END {what}"))?;
    section.lines().map(str::trim).find(|line| !line.is_empty() && !line.starts_with("--"))
}

async fn text(file: &Path) -> Result<String, Error> {
    let owned = file.to_owned();
    let read = tokio::task::spawn_blocking(move || std::fs::read_to_string(owned)).await;
    let text = read.map_err(|error| unusable(file, error))?.map_err(|error| unusable(file, error))?;
    Ok(text.trim().to_owned())
}

fn unusable(file: &Path, why: impl Into<Source>) -> Error {
    Error::File { path: file.to_owned(), source: why.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_have_two_sections_and_a_warning_between_them() {
        let text = "-----BEGIN NATS USER JWT-----\neyJ0-\n------END NATS USER JWT------\n\n*** IMPORTANT ***\n\n\
                    -----BEGIN USER NKEY SEED-----\r\nSUAB\r\n------END USER NKEY SEED------\n";

        assert_eq!(section(text, "NATS USER JWT"), Some("eyJ0-"));
        assert_eq!(section(text, "USER NKEY SEED"), Some("SUAB"));
        assert_eq!(section(text, "ACCOUNT NKEY SEED"), None);
    }
}
