//! A start while Consul is away, or has nobody to name.

use crate::fake::Fake;
use crate::support::{Here, ports, settings, unique, until, until_fault, until_fresh};
use discovery::{ConsulConfig, Error};
use servers::free;
use std::path::Path;
use std::time::Duration;

fn kept_in(folder: &Path, agent: String) -> ConsulConfig {
    ConsulConfig { snapshot_folder: Some(folder.to_owned()), ..settings(&[agent]) }
}

#[tokio::test]
async fn a_service_that_nobody_has_registered_is_known_to_have_no_member() {
    if !servers::Consul::require() {
        return;
    }
    let mut here = Here::at(servers::Consul::shared().await.url());

    let nobody = until_fresh(&mut here.watch(&unique("nobody")), &[]).await;

    assert!(nobody.is_known);
}

#[tokio::test]
async fn nothing_is_known_while_consul_is_away_and_the_fault_says_so() {
    let mut here = Here::at(format!("http://{}", free::address()));
    let mut endpoints = here.watch("orders");

    let nothing = until_fault(&mut endpoints, "Connection refused").await;

    assert!(!nothing.is_known);
    assert!(nothing.fault.as_ref().unwrap().is_transient());
}

#[tokio::test]
async fn a_snapshot_on_disk_stands_in_while_consul_is_away() {
    let (folder, fake) = (tempfile::tempdir().unwrap(), Fake::start(1, &[1, 2]).await);
    {
        let mut here = Here::with(kept_in(folder.path(), fake.url()));
        until_fresh(&mut here.watch("orders"), &[1, 2]).await;
        crate::support::eventually(async || match folder.path().join("orders.json").exists() {
            true => Ok(()),
            false => Err("nothing is written".to_owned()),
        })
        .await;
    }

    let mut here = Here::with(kept_in(folder.path(), format!("http://{}", free::address())));
    let mut endpoints = here.watch("orders");

    let known = endpoints.known().await.unwrap();
    assert_eq!(ports(&known), [1, 2]);
    let fault = known.fault.clone().unwrap();
    assert!(matches!(*fault, Error::FromDisk { .. } | Error::Unreachable { .. }), "{fault:?}");
    until_fault(&mut endpoints, "Connection refused").await;
    assert_eq!(ports(&endpoints.now()), [1, 2]);
}

#[tokio::test]
async fn what_consul_says_replaces_the_snapshot_on_disk() {
    let (folder, fake) = (tempfile::tempdir().unwrap(), Fake::start(1, &[1, 2]).await);
    {
        let mut here = Here::with(kept_in(folder.path(), fake.url()));
        until_fresh(&mut here.watch("orders"), &[1, 2]).await;
        here.tasks.drain(Duration::from_secs(5)).await.unwrap();
    }
    fake.say(2, &[2, 3]);

    let mut here = Here::with(kept_in(folder.path(), fake.url()));

    until_fresh(&mut here.watch("orders"), &[2, 3]).await;
}

#[tokio::test]
async fn a_broken_snapshot_is_no_snapshot() {
    let (folder, fake) = (tempfile::tempdir().unwrap(), Fake::start(1, &[1]).await);
    std::fs::write(folder.path().join("orders.json"), "{").unwrap();
    let mut here = Here::with(kept_in(folder.path(), fake.url()));
    let mut endpoints = here.watch("orders");

    until(&mut endpoints, "Consul has answered", |now| now.fault.is_none() && now.is_known).await;

    assert_eq!(ports(&endpoints.now()), [1]);
}
