//! Lines that are encrypted, with certificates on both sides.

use crate::support::{CHANNELS, Folder, chain, connect, order, publish_all, settings, subscribe, take_until};
use messaging::{Error, JetStream, JetStreamConfig, JetStreamTls};
use rcgen::{BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose};
use servers::Nats;
use std::path::PathBuf;

/// An authority, and the certificates that it signed.
struct Certificates {
    folder: Folder,
    ca_file: PathBuf,
    issuer: Issuer<'static, KeyPair>,
}

impl Certificates {
    fn new() -> Self {
        let folder = Folder::new();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
        let keys = KeyPair::generate().unwrap();
        let ca_file = folder.write("ca.pem", &params.self_signed(&keys).unwrap().pem());
        Certificates { folder, ca_file, issuer: Issuer::new(params, keys) }
    }

    /// The files of a certificate for 127.0.0.1, and of its key.
    fn sign(&self, name: &str, usage: ExtendedKeyUsagePurpose) -> (PathBuf, PathBuf) {
        let mut params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
        params.extended_key_usages = vec![usage];
        let keys = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&keys, &self.issuer).unwrap();
        let key_file = self.folder.write(&format!("{name}.key"), &keys.serialize_pem());
        (self.folder.write(&format!("{name}.pem"), &certificate.pem()), key_file)
    }

    /// A server that shows a certificate, with further words about that of the client.
    async fn server(&self, of_the_client: &str) -> Nats {
        let (certificate, key) = self.sign("server", ExtendedKeyUsagePurpose::ServerAuth);
        Nats::start_with(&format!("tls {{ cert_file: {certificate:?}, key_file: {key:?}, {of_the_client} }}")).await
    }

    fn trusted(&self) -> JetStreamTls {
        JetStreamTls { ca_file: Some(self.ca_file.clone()), ..JetStreamTls::default() }
    }
}

fn encrypted(nats: &Nats, tls: JetStreamTls) -> JetStreamConfig {
    JetStreamConfig { tls: Some(tls), ..settings(vec![nats.url()]) }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_line_is_encrypted_with_certificates_on_both_sides() {
    if !Nats::require() {
        return;
    }
    let certificates = Certificates::new();
    let nats = certificates.server(&format!("ca_file: {:?}, verify: true", certificates.ca_file)).await;
    let (certificate, key) = certificates.sign("client", ExtendedKeyUsagePurpose::ClientAuth);
    let tls = JetStreamTls { certificate_file: Some(certificate), key_file: Some(key), ..certificates.trusted() };

    let bus = connect(&encrypted(&nats, tls)).await;

    publish_all(&bus, &[order("1")]).await;
    assert_eq!(take_until(&mut subscribe(&bus, "kitchen").await, "1").await, ["1"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_without_a_certificate_is_refused_by_a_server_that_asks_for_one() {
    if !Nats::require() {
        return;
    }
    let certificates = Certificates::new();
    let nats = certificates.server(&format!("ca_file: {:?}, verify: true", certificates.ca_file)).await;

    let refused = connect(&encrypted(&nats, certificates.trusted())).await.publish(&[order("1")]).await.unwrap_err();

    assert!(refused.is_transient());
    assert!(chain(&refused).contains("NATS is not connected"), "{}", chain(&refused));
    assert!(chain(&refused).to_lowercase().contains("certificate"), "{}", chain(&refused));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_nobody_vouches_for_is_not_spoken_to() {
    if !Nats::require() {
        return;
    }
    let (unknown, known) = (Certificates::new(), Certificates::new());
    let nats = unknown.server("").await;

    let bus = connect(&encrypted(&nats, known.trusted())).await;
    let refused = bus.publish(&[order("1")]).await.unwrap_err();

    assert!(!bus.is_connected());
    assert!(chain(&refused).contains("invalid peer certificate"), "{}", chain(&refused));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_without_encryption_is_not_spoken_to_when_it_is_asked_for() {
    if !Nats::require() {
        return;
    }
    let (nats, certificates) = (Nats::shared().await, Certificates::new());

    let bus = connect(&encrypted(nats, certificates.trusted())).await;

    assert!(bus.publish(&[order("1")]).await.is_err_and(|refused| refused.is_transient()));
    assert!(!bus.is_connected());
}

#[tokio::test]
async fn a_certificate_that_cannot_be_used_is_named_at_the_start() {
    let certificates = Certificates::new();
    let (certificate, key) = certificates.sign("client", ExtendedKeyUsagePurpose::ClientAuth);
    let config = |tls| JetStreamConfig { tls: Some(tls), ..settings(vec!["nats://127.0.0.1:1".to_owned()]) };
    let no_authority = JetStreamTls { ca_file: Some(key.clone()), ..JetStreamTls::default() };
    let no_key = JetStreamTls {
        certificate_file: Some(certificate.clone()),
        key_file: Some(certificate.clone()),
        ..certificates.trusted()
    };

    for (tls, file) in [(no_authority, key), (no_key, certificate)] {
        let refused = JetStream::connect(&config(tls), CHANNELS).await.unwrap_err();
        assert!(matches!(&refused, Error::File { path, .. } if *path == file), "{refused:?}");
    }
}
