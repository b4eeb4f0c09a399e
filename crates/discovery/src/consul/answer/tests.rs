//! Answers of several versions, and what is made of them.

use super::*;
use bytes::Bytes;

/// As Consul 1.8.7 writes it.
const OLD: &str = r#"[{"Node":{"ID":"63b7","Node":"vm","Address":"10.0.0.9","Datacenter":"dc1","TaggedAddresses":null,"Meta":null},
"Service":{"ID":"o1","Service":"orders","Tags":["v1"],"Address":"10.0.0.1","Meta":{"zone":"a","version":"1.2"},"Port":7001,
"Weights":{"Passing":3,"Warning":1},"EnableTagOverride":false,"Proxy":{"MeshGateway":{}},"Connect":{}},
"Checks":[{"CheckID":"serfHealth","Status":"passing","Output":"Agent alive and reachable"},CHECK]}]"#;

fn read_from(body: &str, port_name: Option<&str>) -> Health {
    let answer = Answer { headers: HeaderMap::new(), body: Bytes::from(body.to_owned()) };
    read(&answer, port_name).unwrap()
}

fn only(health: Health) -> Member {
    let [member] = <[Member; 1]>::try_from(health.members).unwrap();
    member
}

#[track_caller]
fn check(one: &str, state: State) {
    assert_eq!(only(read_from(&OLD.replace("CHECK", one), None)).state, state);
}

#[test]
fn a_registration_is_read_with_all_that_it_says() {
    let passing = r#"{"CheckID":"service:o1","Status":"passing","Output":"gRPC check: success"}"#;

    let endpoint = only(read_from(&OLD.replace("CHECK", passing), None)).endpoint;

    assert_eq!(endpoint.address.to_string(), "10.0.0.1:7001");
    assert_eq!((endpoint.standing, endpoint.weight), (Standing::Up, 3));
    assert_eq!((endpoint.zone.as_deref(), endpoint.version.as_deref()), (Some("a"), Some("1.2")));
    assert_eq!((&*endpoint.id, &*endpoint.tags), ("o1", &["v1".to_owned()][..]));
}

#[test]
fn a_check_without_words_has_not_run() {
    check(r#"{"CheckID":"service:o1","Status":"critical","Output":""}"#, State::Unproven);
    check(r#"{"CheckID":"service:o1","Status":"critical","Output":"connection refused"}"#, State::Down);
    check(r#"{"CheckID":"service:o1","Status":"warning","Output":"slow"}"#, State::Warning);
}

#[test]
fn maintenance_is_told_from_failure() {
    check(r#"{"CheckID":"_service_maintenance:o1","Status":"critical","Output":""}"#, State::Maintenance);
    check(r#"{"CheckID":"_node_maintenance","Status":"critical","Output":""}"#, State::Maintenance);
}

#[test]
fn a_member_that_warns_has_the_weight_of_its_warning() {
    let warning = r#"{"CheckID":"service:o1","Status":"warning","Output":"slow"}"#;

    let endpoint = only(read_from(&OLD.replace("CHECK", warning), None)).endpoint;

    assert_eq!((endpoint.standing, endpoint.weight), (Standing::Warning, 1));
}

#[test]
fn a_service_without_an_address_has_that_of_its_node() {
    let body = r#"[{"Node":{"Address":"10.0.0.9"},"Service":{"ID":"o1","Address":"","Port":1},"Checks":null}]"#;

    assert_eq!(only(read_from(body, None)).endpoint.address.to_string(), "10.0.0.9:1");
}

#[test]
fn of_several_ports_the_named_one_counts_and_else_the_default() {
    let body = r#"[{"Node":{"Address":"10.0.0.9"},"Service":{"ID":"o1","Port":0,"Ports":
        [{"Name":"http","Port":80},{"Name":"grpc","Port":90,"Default":true}]},"Checks":[]}]"#;

    assert_eq!(only(read_from(body, Some("http"))).endpoint.address.port(), 80);
    assert_eq!(only(read_from(body, None)).endpoint.address.port(), 90);
    assert_eq!(only(read_from(body, Some("missing"))).endpoint.address.port(), 90);
}

#[test]
fn what_has_no_usable_address_is_left_out_and_counted() {
    let body = r#"[{"Node":{},"Service":{"ID":"o1","Address":"db.example","Port":1},"Checks":[]}]"#;

    let health = read_from(body, None);

    assert_eq!((health.members.len(), health.unusable), (0, 1));
}

#[test]
fn null_is_an_empty_list() {
    assert_eq!(read_from("null", None).members, []);
}
