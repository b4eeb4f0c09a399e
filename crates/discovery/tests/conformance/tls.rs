//! Lines that are encrypted, with the EC keys that Consul's own tool makes, on both sides.

use crate::support::{Here, add, settings, unique, until_fault, until_fresh};
use discovery::{Consul, ConsulConfig, ConsulTls, Endpoints, Error};
use rcgen::{CertificateParams, KeyPair};
use servers::ConsulSetup;
use tokio::sync::OnceCell;

async fn encrypted() -> &'static servers::Consul {
    static SHARED: OnceCell<servers::Consul> = OnceCell::const_new();
    SHARED.get_or_init(|| servers::Consul::start_with(ConsulSetup { with_tls: true, ..ConsulSetup::default() })).await
}

fn trusted(consul: &servers::Consul) -> ConsulTls {
    let (certificate, key) = consul.client_files();
    ConsulTls {
        ca_file: consul.ca_file(),
        certificate_file: Some(certificate),
        key_file: Some(key),
        ..ConsulTls::default()
    }
}

fn over(consul: &servers::Consul, tls: ConsulTls) -> ConsulConfig {
    ConsulConfig { tls: Some(tls), ..settings(&[consul.secure_url()]) }
}

#[tokio::test]
async fn an_ec_key_as_consul_makes_it_is_shown_and_accepted() {
    if !servers::Consul::require() {
        return;
    }
    let (consul, service) = (encrypted().await, unique("tls"));
    let (_, key) = consul.client_files();
    assert!(std::fs::read_to_string(key).unwrap().contains("BEGIN EC PRIVATE KEY"), "in SEC1");
    add(consul, &service, 1).await;
    let mut here = Here::with(over(consul, trusted(consul)));
    let mut endpoints = here.watch(&service);
    until_fresh(&mut endpoints, &[1]).await;

    add(consul, &service, 2).await;

    until_fresh(&mut endpoints, &[1, 2]).await;
}

#[tokio::test]
async fn a_client_without_a_certificate_is_refused() {
    if !servers::Consul::require() {
        return;
    }
    let consul = encrypted().await;
    let tls = ConsulTls { certificate_file: None, key_file: None, ..trusted(consul) };
    let mut here = Here::with(over(consul, tls));

    let nothing = until_fault(&mut here.watch("orders"), "failed to ask").await;

    assert!(!nothing.is_known);
}

#[tokio::test]
async fn an_agent_that_nobody_vouches_for_is_not_spoken_to() {
    if !servers::Consul::require() {
        return;
    }
    let (consul, folder) = (encrypted().await, tempfile::tempdir().unwrap());
    let keys = KeyPair::generate().unwrap();
    let ca_file = folder.path().join("ca.pem");
    let stranger = CertificateParams::new(Vec::new()).unwrap().self_signed(&keys).unwrap();
    std::fs::write(&ca_file, stranger.pem()).unwrap();
    let mut here = Here::with(over(consul, ConsulTls { ca_file, ..trusted(consul) }));

    until_fault(&mut here.watch("orders"), "invalid peer certificate").await;
}

#[tokio::test]
async fn the_name_in_the_certificate_may_be_another_than_the_address() {
    if !servers::Consul::require() {
        return;
    }
    let (consul, service) = (encrypted().await, unique("named"));
    add(consul, &service, 1).await;
    let named = |name: &str| ConsulTls { server_name: Some(name.to_owned()), ..trusted(consul) };

    until_fresh(&mut Here::with(over(consul, named("server.dc1.consul"))).watch(&service), &[1]).await;
    until_fault(&mut Here::with(over(consul, named("server.dc2.consul"))).watch(&service), "certificate").await;
}

#[tokio::test]
async fn certificates_may_be_renewed_at_run_time() {
    if !servers::Consul::require() {
        return;
    }
    let (consul, service, folder) = (encrypted().await, unique("renewed"), tempfile::tempdir().unwrap());
    add(consul, &service, 1).await;
    let keys = KeyPair::generate().unwrap();
    let (certificate, key) = (folder.path().join("client.pem"), folder.path().join("client-key.pem"));
    let stranger = CertificateParams::new(Vec::new()).unwrap().self_signed(&keys).unwrap();
    std::fs::write(&certificate, stranger.pem()).unwrap();
    std::fs::write(&key, keys.serialize_pem()).unwrap();
    let (certificate_file, key_file) = (Some(certificate.clone()), Some(key.clone()));
    let mut here = Here::with(over(consul, ConsulTls { certificate_file, key_file, ..trusted(consul) }));
    let mut endpoints = here.watch(&service);
    until_fault(&mut endpoints, "failed to ask").await;

    let (good_certificate, good_key) = consul.client_files();
    std::fs::copy(good_key, key).unwrap();
    std::fs::copy(good_certificate, certificate).unwrap();

    until_fresh(&mut endpoints, &[1]).await;
}

#[tokio::test]
async fn all_watches_share_one_connection() {
    if !servers::Consul::require() {
        return;
    }
    // An agent of its own, whose connections are counted.
    let consul = servers::Consul::start_with(ConsulSetup { with_tls: true, ..ConsulSetup::default() }).await;
    add(&consul, "orders", 1).await;
    let mut here = Here::with(over(&consul, trusted(&consul)));
    until_fresh(&mut here.watch("orders"), &[1]).await;
    let mut watches: Vec<Endpoints> = (0..100).map(|_| here.watch("orders")).collect();
    for watch in &mut watches {
        until_fresh(watch, &[1]).await;
    }

    add(&consul, "orders", 2).await;

    for watch in &mut watches {
        until_fresh(watch, &[1, 2]).await;
    }
    assert_eq!(consul.connections(), 1);
}

#[tokio::test]
async fn a_file_that_cannot_be_used_is_named_at_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let keys = KeyPair::generate().unwrap();
    let (good, bad) = (folder.path().join("good.pem"), folder.path().join("bad.pem"));
    std::fs::write(&good, CertificateParams::new(Vec::new()).unwrap().self_signed(&keys).unwrap().pem()).unwrap();
    std::fs::write(&bad, "nothing").unwrap();
    let refused = |tls: ConsulTls| {
        let agents = vec!["https://127.0.0.1:8501".to_owned()];
        Consul::new(ConsulConfig { agents, tls: Some(tls), ..ConsulConfig::default() }).unwrap_err()
    };

    let no_authority = ConsulTls { ca_file: bad.clone(), ..ConsulTls::default() };
    let no_key = ConsulTls {
        ca_file: good.clone(),
        certificate_file: Some(good),
        key_file: Some(bad.clone()),
        ..ConsulTls::default()
    };

    for tls in [no_authority, no_key] {
        let refused = refused(tls);
        assert!(matches!(&refused, Error::File { path, .. } if *path == bad), "{refused:?}");
    }
}
