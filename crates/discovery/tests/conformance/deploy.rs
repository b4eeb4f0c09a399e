//! The files of `deploy/consul` are what runs: ACLs and TLS, a policy for each service, and definitions.

use crate::support::Here;
use crate::support::{Serving, settings, until_fault, until_fresh};
use discovery::{ConsulConfig, ConsulTls, Error, RegistrationState};
use servers::{ConsulSetup, Program};
use std::path::PathBuf;

fn file(path: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../deploy").join(path)
}

fn text(path: &str) -> String {
    std::fs::read_to_string(file(path)).unwrap_or_else(|error| panic!("deploy/{path}: {error}"))
}

/// The server of `deploy/consul`, on the ports and with the certificates and the folder of a test.
async fn deployed() -> servers::Consul {
    let setup = ConsulSetup {
        files: vec![file("consul/server.hcl")],
        with_acls: true,
        with_tls: true,
        settings: String::new(),
    };
    servers::Consul::start_with(setup).await
}

/// What a service of the platform may do; its token goes to a file.
async fn identity(consul: &servers::Consul, service: &str) -> ConsulConfig {
    let policy = serde_json::json!({"Name": service, "Rules": text(&format!("consul/policies/{service}.hcl"))});
    consul.put("/v1/acl/policy", &policy.to_string()).await;
    let token = serde_json::json!({"Policies": [{"Name": service}]});
    let made: serde_json::Value = serde_json::from_str(&consul.put("/v1/acl/token", &token.to_string()).await).unwrap();
    let token_file = consul.folder().join(format!("{service}.token"));
    std::fs::write(&token_file, made["SecretID"].as_str().unwrap()).unwrap();
    let (certificate, key) = consul.client_files();
    let tls = ConsulTls {
        ca_file: consul.ca_file(),
        certificate_file: Some(certificate),
        key_file: Some(key),
        ..ConsulTls::default()
    };
    ConsulConfig { token_file: Some(token_file), tls: Some(tls), ..settings(&[consul.secure_url()]) }
}

#[tokio::test]
async fn each_service_may_register_itself_and_find_those_that_it_calls() {
    if !servers::Consul::require() {
        return;
    }
    let consul = deployed().await;
    for service in ["order", "consumer", "restaurant", "gateway"] {
        let (serving, mut here) = (Serving::start().await, Here::with(identity(&consul, service).await));
        let mut registered = here.consul.register(&mut here.tasks, serving.registration(service)).unwrap();
        registered.registered().await.unwrap();

        for (callee, may_be_called) in [
            ("order", ["gateway", "order"].contains(&service)),
            ("consumer", ["gateway", "order", "consumer"].contains(&service)),
            ("restaurant", ["gateway", "order", "restaurant"].contains(&service)),
        ] {
            let mut endpoints = here.watch(callee);
            match may_be_called {
                true if callee == service => drop(until_fresh(&mut endpoints, &[serving.address.port()]).await),
                true => drop(until_fresh(&mut endpoints, &[]).await),
                false => assert!(!until_fault(&mut endpoints, "may not read it").await.is_known),
            }
        }
        registered.deregister().await.unwrap();
        let mut tagged = here.consul.tagged(&mut here.tasks, "grpc-gateway");
        if service == "gateway" {
            // It may see every service, so an empty list is the truth.
            tagged.changed().await.unwrap();
            assert!(tagged.now().is_known && tagged.now().fault.is_none(), "{:?}", tagged.now());
        }
    }
}

#[tokio::test]
async fn no_service_may_register_as_another() {
    if !servers::Consul::require() {
        return;
    }
    let (consul, serving) = (deployed().await, Serving::start().await);
    let mut here = Here::with(identity(&consul, "consumer").await);

    let registered = here.consul.register(&mut here.tasks, serving.registration("order")).unwrap();

    crate::support::eventually(async || match registered.state() {
        RegistrationState::Fault(error) if matches!(*error, Error::AccessDenied { .. }) => Ok(()),
        other => Err(format!("{other:?}")),
    })
    .await;
}

#[tokio::test]
async fn a_process_that_does_not_register_itself_is_registered_by_its_definition() {
    if !servers::Consul::require() {
        return;
    }
    let consul = servers::Consul::start().await;
    for service in ["order", "consumer", "restaurant"] {
        let mut command = tokio::process::Command::new(Program::Consul.path());
        command.args(["services", "register", &format!("-http-addr={}", consul.url())]);
        let done = command.arg(file(&format!("consul/services/{service}.hcl"))).output().await.unwrap();
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));

        let (status, body) = consul.ask("GET", &format!("/v1/agent/service/{service}"), "").await;
        let known: serde_json::Value = serde_json::from_str(&body).unwrap();
        assert_eq!((status, known["Meta"]["protocol"].as_str()), (200, Some("grpc")));
    }
}

#[tokio::test]
async fn the_agent_beside_the_programs_joins_the_server_and_registers_for_them() {
    if !servers::Consul::require() {
        return;
    }
    let (server, serving) = (deployed().await, Serving::start().await);
    let agent = server.agent(vec![file("consul/agent.hcl")], &text("consul/policies/agent.hcl")).await;
    let config = ConsulConfig { agents: vec![agent.secure_url()], ..identity(&server, "order").await };
    let mut here = Here::with(config);

    let mut registered = here.consul.register(&mut here.tasks, serving.registration("order")).unwrap();
    registered.registered().await.unwrap();

    // Through the server, as all others see it.
    until_fresh(&mut Here::with(identity(&server, "gateway").await).watch("order"), &[serving.address.port()]).await;
}
