//! Messages written and read again, and messages of foreign publishers.

use super::*;
use proptest::option;
use proptest::prelude::{any, prop_assert_eq, proptest};

const ORIGIN: Origin<'static> =
    Origin { stream: "S", subject: "c.orders.=", sequence: 7, stored_us: 1_700_000_000_000_000 };

fn message() -> Message {
    Message::new("orders", "comanda.Test", "order".to_owned(), "effect:1".to_owned(), Vec::new())
}

#[test]
fn attributes_stand_in_headers_as_cloudevents_has_them() {
    let mut message = message();
    message.created_us = 1_700_000_000_123_456;
    message.key = "Euro € 100%".to_owned();

    let headers = write(&message, "/comanda/order");

    let text = |name: &str| headers.get(name).unwrap().as_str().to_owned();
    assert_eq!(text("ce-specversion"), "1.0");
    assert_eq!((text("ce-id"), text("Nats-Msg-Id")), (message.id.to_string(), message.id.to_string()));
    assert_eq!((text("ce-source"), text("ce-type")), ("/comanda/order".to_owned(), "comanda.Test".to_owned()));
    assert_eq!(text("ce-subject"), "Euro%20%E2%82%AC%20100%25");
    assert_eq!(text("ce-time"), "2023-11-14T22:13:20.123456Z");
    assert_eq!(text("content-type"), "application/protobuf");
}

#[test]
fn a_foreign_message_is_filled_in_and_has_one_id() {
    let read_it = || read("orders", &HeaderMap::new(), vec![1], &ORIGIN);

    let message = read_it();

    assert_eq!((message.key.as_str(), message.kind.as_str()), ("", ""));
    assert_eq!((message.effect_id.clone(), message.created_us), (message.id.to_string(), ORIGIN.stored_us));
    assert_eq!(read_it(), message);
}

#[test]
fn an_id_that_is_no_uuid_still_names_its_message() {
    let mut headers = HeaderMap::new();
    headers.insert("ce-id", "A234-1234");

    let message = read("orders", &headers, Vec::new(), &ORIGIN);

    assert_eq!(message, read("orders", &headers, Vec::new(), &ORIGIN));
}

#[test]
fn a_foreign_message_that_is_published_again_has_the_same_effect() {
    for header in ["ce-id", "Nats-Msg-Id"] {
        let mut headers = HeaderMap::new();
        headers.insert(header, "A234-1234");

        let again = read("orders", &headers, Vec::new(), &Origin { sequence: 8, ..ORIGIN });

        assert_eq!(again.effect_id, "A234-1234");
    }
}

#[test]
fn a_foreign_message_may_name_its_key_in_its_subject_alone() {
    let origin = Origin { subject: "c.orders.4711", ..ORIGIN };

    let message = read("orders", &HeaderMap::new(), Vec::new(), &origin);

    assert_eq!(message.key, "4711");
}

proptest! {
    #[test]
    fn every_message_survives(
        texts in any::<(String, String, String)>(),
        traceparent in option::of(any::<String>()),
        created_us in any::<i64>(),
    ) {
        let (key, kind, effect_id) = texts;
        let message = Message { key, kind, effect_id, traceparent, created_us, ..message() };

        let read = read("orders", &write(&message, "/comanda"), Vec::new(), &ORIGIN);

        prop_assert_eq!(read, message);
    }

    #[test]
    fn any_text_can_be_decoded(text in any::<String>()) {
        decode(&text);
    }
}
