//! DNS: against a server that does what it is told to, and against Consul's.

use crate::dns_server::DnsServer;
use crate::support::{add, eventually, ports, remove, unique, until, until_fault, until_fresh};
use discovery::{DnsConfig, DnsRecords, Endpoints, Error, Standing, dns};
use hickory_resolver::proto::op::ResponseCode;
use hickory_resolver::proto::rr::RecordType;
use lifecycle::Tasks;
use servers::ConsulSetup;
use std::net::SocketAddr;
use std::time::Duration;

fn asks(server: SocketAddr, name: &str) -> DnsConfig {
    DnsConfig {
        name: name.to_owned(),
        servers: vec![server],
        timeout_ms: 1_000,
        ttl_ms_min: 50,
        backoff_ms_min: 10,
        backoff_ms_max: 100,
        ..DnsConfig::default()
    }
}

fn follow(config: DnsConfig) -> (Endpoints, Tasks) {
    let mut tasks = Tasks::new();
    (dns(&mut tasks, config).unwrap(), tasks)
}

fn addresses(endpoints: &Endpoints) -> Vec<String> {
    endpoints.now().endpoints.iter().map(|it| it.address.to_string()).collect()
}

#[tokio::test]
async fn addresses_of_both_families_are_endpoints() {
    let server = DnsServer::start().await;
    server.name("orders.default.svc.", 1, &["10.0.0.2", "10.0.0.1", "fd00::1"]);

    let (mut endpoints, _tasks) = follow(asks(server.address, "orders.default.svc:50051"));

    until_fresh(&mut endpoints, &[50_051; 3]).await;
    assert_eq!(addresses(&endpoints), ["10.0.0.1:50051", "10.0.0.2:50051", "[fd00::1]:50051"]);
}

#[tokio::test]
async fn a_name_is_asked_for_again_when_its_time_to_live_is_over_and_not_before() {
    let server = DnsServer::start().await;
    server.name("orders.default.svc.", 2, &["10.0.0.1"]);
    let (mut endpoints, _tasks) = follow(asks(server.address, "orders.default.svc:1"));
    until_fresh(&mut endpoints, &[1]).await;

    server.name("orders.default.svc.", 2, &["10.0.0.1", "10.0.0.2"]);

    until_fresh(&mut endpoints, &[1, 1]).await;
    let asked = server.asked(RecordType::A);
    assert_eq!(asked.len(), 2, "{asked:?}");
    assert!(asked[1] - asked[0] >= Duration::from_millis(1_900), "{asked:?}");
}

#[tokio::test]
async fn no_such_name_and_a_failing_server_keep_the_last_list() {
    let server = DnsServer::start().await;
    server.name("orders.default.svc.", 0, &["10.0.0.1", "10.0.0.2"]);
    let (mut endpoints, _tasks) = follow(asks(server.address, "orders.default.svc:1"));
    until_fresh(&mut endpoints, &[1, 1]).await;

    for (code, words) in [
        (ResponseCode::NXDomain, "knows no address"),
        (ResponseCode::ServFail, "failed to look up"),
        (ResponseCode::Refused, "failed to look up"),
    ] {
        server.fail(None, code);
        let kept = until_fault(&mut endpoints, words).await;
        assert_eq!(ports(&kept), [1, 1], "{code}");
        server.heal();
        until_fresh(&mut endpoints, &[1, 1]).await;
    }
    assert_eq!(endpoints.stats().suppressed_shrinks, 1);
}

#[tokio::test]
async fn a_server_that_is_gone_keeps_the_last_list() {
    let server = DnsServer::start().await;
    server.name("orders.default.svc.", 0, &["10.0.0.1"]);
    let (mut endpoints, _tasks) = follow(asks(server.address, "orders.default.svc:1"));
    until_fresh(&mut endpoints, &[1]).await;

    drop(server);

    let kept = until_fault(&mut endpoints, "failed to look up").await;
    assert_eq!(ports(&kept), [1]);
}

#[tokio::test]
async fn one_family_that_fails_keeps_its_addresses_while_the_other_goes_on() {
    let server = DnsServer::start().await;
    server.name("orders.default.svc.", 0, &["10.0.0.1", "fd00::1"]);
    let (mut endpoints, _tasks) = follow(asks(server.address, "orders.default.svc:1"));
    until_fresh(&mut endpoints, &[1, 1]).await;

    server.fail(Some(RecordType::AAAA), ResponseCode::ServFail);
    server.name("orders.default.svc.", 0, &["10.0.0.1", "10.0.0.2"]);

    until(&mut endpoints, "the other family went on", |now| now.endpoints.len() == 3).await;
    assert_eq!(addresses(&endpoints), ["10.0.0.1:1", "10.0.0.2:1", "[fd00::1]:1"]);
    until_fault(&mut endpoints, "failed to look up").await;
}

#[tokio::test]
async fn a_name_that_is_not_there_at_the_start_is_known_to_have_nobody() {
    let server = DnsServer::start().await;
    let (mut endpoints, _tasks) = follow(asks(server.address, "orders.default.svc:1"));

    let nobody = until_fault(&mut endpoints, "knows no address").await;

    assert!(nobody.is_known && nobody.endpoints.is_empty());
    server.name("orders.default.svc.", 0, &["10.0.0.1"]);
    until_fresh(&mut endpoints, &[1]).await;
}

#[tokio::test]
async fn services_have_ports_weights_and_priorities() {
    let server = DnsServer::start().await;
    let name = "_grpc._tcp.orders.default.svc.";
    server.service(name, 1, (10, 3, 1_001, "a.orders.default.svc."));
    server.service(name, 1, (10, 0, 1_002, "b.orders.default.svc."));
    server.service(name, 1, (20, 1, 1_003, "c.orders.default.svc."));
    for (target, address) in [("a", "10.0.0.1"), ("b", "10.0.0.2"), ("c", "10.0.0.3")] {
        server.name(&format!("{target}.orders.default.svc."), 1, &[address]);
    }

    let (mut endpoints, _tasks) =
        follow(DnsConfig { records: DnsRecords::Srv, ..asks(server.address, "_grpc._tcp.orders.default.svc.") });

    let now = until_fresh(&mut endpoints, &[1_001, 1_002, 1_003]).await;
    let of_each: Vec<(u32, Standing)> = now.endpoints.iter().map(|it| (it.weight, it.standing)).collect();
    assert_eq!(of_each, [(3, Standing::Up), (1, Standing::Up), (1, Standing::Unknown)]);
}

#[tokio::test]
async fn a_watch_of_a_name_ends_with_the_drain() {
    let server = DnsServer::start().await;
    server.name("orders.", 60, &["10.0.0.1"]);
    let (mut endpoints, tasks) = follow(asks(server.address, "orders.:1"));
    until_fresh(&mut endpoints, &[1]).await;

    tasks.drain(Duration::from_secs(5)).await.unwrap();

    while endpoints.changed().await.is_ok() {}
    assert_eq!(ports(&endpoints.now()), [1]);
}

#[tokio::test]
async fn a_name_without_a_port_is_refused_at_the_start() {
    let refused = dns(&mut Tasks::new(), asks(SocketAddr::from(([127, 0, 0, 1], 1)), "orders")).unwrap_err();

    assert!(matches!(refused, Error::Settings { field: "name", .. }), "{refused:?}");
}

#[tokio::test]
async fn the_dns_of_consul_is_followed_through_its_death() {
    if !servers::Consul::require() {
        return;
    }
    let settings = "dns_config { service_ttl { \"*\" = \"1s\" } }".to_owned();
    let mut consul = servers::Consul::start_with(ConsulSetup { settings, ..ConsulSetup::default() }).await;
    for port in [1_001, 1_002] {
        add(&consul, "orders", port).await;
    }
    let service = DnsConfig { records: DnsRecords::Srv, ..asks(consul.dns(), "orders.service.consul.") };
    let (mut services, _tasks) = follow(service);
    let (mut hosts, _other_tasks) = follow(asks(consul.dns(), "orders.service.consul.:9"));

    until_fresh(&mut services, &[1_001, 1_002]).await;
    until_fresh(&mut hosts, &[9]).await;
    remove(&consul, "orders", 1_001).await;
    until_fresh(&mut services, &[1_002]).await;
    consul.kill9();
    assert_eq!(ports(&*until_fault(&mut services, "failed to look up").await), [1_002]);
    assert_eq!(ports(&*until_fault(&mut hosts, "failed to look up").await), [9]);
    consul.restart().await;
    until_fresh(&mut services, &[1_002]).await;
}

#[tokio::test]
async fn a_service_that_vanishes_from_the_dns_of_consul_keeps_its_last_list() {
    if !servers::Consul::require() {
        return;
    }
    let (consul, service) = (servers::Consul::shared().await, unique("gone"));
    add(consul, &service, 1_001).await;
    let name = format!("{service}.service.consul.");
    let (mut endpoints, _tasks) = follow(DnsConfig { records: DnsRecords::Srv, ..asks(consul.dns(), &name) });
    until_fresh(&mut endpoints, &[1_001]).await;

    remove(consul, &service, 1_001).await;

    assert_eq!(ports(&*until_fault(&mut endpoints, "knows no address").await), [1_001]);
    add(consul, &service, 1_002).await;
    eventually(async || match ports(&endpoints.now()) {
        ports if ports == [1_002] => Ok(()),
        ports => Err(format!("{ports:?}")),
    })
    .await;
}
