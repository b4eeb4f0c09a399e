//! What ACLs forbid is said, and loses no member.

use crate::support::{Here, add, chain, eventually, ports, settings, until_fault, until_fresh};
use discovery::{ConsulConfig, Error};
use servers::ConsulSetup;
use std::path::Path;

async fn guarded() -> servers::Consul {
    servers::Consul::start_with(ConsulSetup { with_acls: true, ..ConsulSetup::default() }).await
}

/// A token that may read one service; returns it with the name it is deleted by.
async fn reader(consul: &servers::Consul, service: &str) -> (String, String) {
    let rules = format!(r#"service "{service}" {{ policy = "read" }} node_prefix "" {{ policy = "read" }}"#);
    let policy = serde_json::json!({"Name": format!("read-{service}"), "Rules": rules});
    consul.put("/v1/acl/policy", &policy.to_string()).await;
    let token = serde_json::json!({"Policies": [{"Name": format!("read-{service}")}]});
    let made: serde_json::Value = serde_json::from_str(&consul.put("/v1/acl/token", &token.to_string()).await).unwrap();
    let word = |key: &str| made[key].as_str().unwrap().to_owned();
    (word("SecretID"), word("AccessorID"))
}

fn with_token(consul: &servers::Consul, file: &Path) -> ConsulConfig {
    ConsulConfig { token_file: Some(file.to_owned()), wait_ms: 500, ..settings(&[consul.url()]) }
}

#[tokio::test]
async fn an_empty_list_for_nobody_is_suspected_and_not_believed() {
    if !servers::Consul::require() {
        return;
    }
    let consul = guarded().await;
    add(&consul, "orders", 1).await;
    let mut here = Here::at(consul.url());

    let mut endpoints = here.watch("orders");

    let nothing = until_fault(&mut endpoints, "may not read it").await;
    assert!(!nothing.is_known, "200 with an empty list says nothing to somebody who may not read");
    assert!(matches!(nothing.fault.as_deref(), Some(Error::AccessSuspected { service }) if service == "orders"));
}

#[tokio::test]
async fn an_empty_list_for_the_token_of_another_service_is_suspected_too() {
    if !servers::Consul::require() {
        return;
    }
    let consul = guarded().await;
    add(&consul, "billing", 1).await;
    let file = consul.folder().join("token");
    std::fs::write(&file, reader(&consul, "orders").await.0).unwrap();
    let mut here = Here::with(with_token(&consul, &file));

    assert!(!until_fault(&mut here.watch("billing"), "may not read it").await.is_known);
    // A service that may be read and that nobody has registered is known to have no member.
    assert!(until_fresh(&mut here.watch("orders"), &[]).await.is_known);
}

#[tokio::test]
async fn a_token_that_is_revoked_is_surfaced_and_a_new_one_is_read_from_the_file() {
    if !servers::Consul::require() {
        return;
    }
    let consul = guarded().await;
    add(&consul, "orders", 1).await;
    let (token, accessor) = reader(&consul, "orders").await;
    let file = consul.folder().join("token");
    std::fs::write(&file, format!("{token}\n")).unwrap();
    let mut here = Here::with(with_token(&consul, &file));
    let mut endpoints = here.watch("orders");
    until_fresh(&mut endpoints, &[1]).await;

    assert_eq!(consul.ask("DELETE", &format!("/v1/acl/token/{accessor}"), "").await.0, 200);

    let kept = until_fault(&mut endpoints, "refused access").await;
    assert_eq!(ports(&kept), [1]);
    let fault = kept.fault.as_deref().unwrap();
    assert!(matches!(fault, Error::AccessDenied { .. }), "{fault:?}");
    assert!(!format!("{fault:?} {}", chain(fault)).contains(&token));
    let token = consul.root_token().unwrap();
    std::fs::write(&file, token).unwrap();
    until_fresh(&mut endpoints, &[1]).await;
}

#[tokio::test]
async fn a_registration_that_is_not_allowed_says_so_and_is_tried_again() {
    if !servers::Consul::require() {
        return;
    }
    let (consul, serving) = (guarded().await, crate::support::Serving::start().await);
    let file = consul.folder().join("token");
    std::fs::write(&file, reader(&consul, "orders").await.0).unwrap();
    let mut here = Here::with(with_token(&consul, &file));

    let mut registered = here.consul.register(&mut here.tasks, serving.registration("orders")).unwrap();

    eventually(async || match registered.state() {
        discovery::RegistrationState::Fault(error) if matches!(*error, Error::AccessDenied { .. }) => Ok(()),
        other => Err(format!("{other:?}")),
    })
    .await;
    std::fs::write(&file, consul.root_token().unwrap()).unwrap();
    registered.registered().await.unwrap();
}

#[tokio::test]
async fn a_token_is_never_shown() {
    let fake = crate::fake::Fake::start(1, &[1]).await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("token");
    std::fs::write(&file, "s.e.c.r.e.t\n").unwrap();
    let mut here = Here::with(ConsulConfig { token_file: Some(file), ..settings(&[fake.url()]) });
    let mut endpoints = here.watch("orders");
    until_fresh(&mut endpoints, &[1]).await;

    assert_eq!(fake.asked()[0].token.as_deref(), Some("s.e.c.r.e.t"));
    assert!(!fake.asked()[0].path.contains("s.e.c.r.e.t"), "in a header, never in an address");
    assert!(!format!("{:?} {:?}", here.consul, endpoints).contains("s.e.c.r.e.t"));
}

#[tokio::test]
async fn a_token_file_that_cannot_be_used_is_named() {
    let fake = crate::fake::Fake::start(1, &[1]).await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("token");
    std::fs::write(&file, "\n").unwrap();
    let mut here = Here::with(ConsulConfig { token_file: Some(file), ..settings(&[fake.url()]) });

    until_fault(&mut here.watch("orders"), "token: it is empty").await;
}
