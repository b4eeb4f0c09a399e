//! `deploy/asyncapi.json` describes what goes over the broker, all of it and nothing else.

mod document;
mod wire;

use async_nats::jetstream::stream::{self, DiscardPolicy};
use document::Document;
use e2e::{DECIDED_WITHIN, Shop, consumer, place_and_wait, restaurant, with};
use messaging::{Bus, Channel, JetStream, JetStreamConfig, Keeps, Message, MessageId};
use prost_reflect::DescriptorPool;
use proto::channel::{self, kind};
use proto::comanda::messages::v1::{CancelOrder, CancelTicket, CreateOrder, CreateTicket};
use proto::comanda::order::v1::CancelOrderRequest;
use serde_json::{Value as Json, json};
use servers::Nats;
use std::collections::BTreeSet;
use std::path::Path;
use testkit::{Stack, StackOptions, eventually};
use wire::{Stored, Wire};

const CHANNELS: &[Channel] = &[
    Channel { name: channel::RESTAURANT_COMMANDS, keeps: Keeps::UntilAcknowledged, consumers: &[] },
    Channel { name: channel::ORDER_COMMANDS, keeps: Keeps::UntilAcknowledged, consumers: &[] },
];

/// A set of names, to be compared with another.
type Names = BTreeSet<String>;

async fn bus(url: String, prefix: &str) -> Bus {
    let config = JetStreamConfig {
        servers: vec![url],
        prefix: prefix.to_owned(),
        name: "test".to_owned(),
        ..JetStreamConfig::default()
    };
    Bus::JetStream(JetStream::connect(&config, CHANNELS).await.expect("the settings are right"))
}

fn message<M: prost::Message + prost::Name>(channel: &str, key: &str, payload: &M) -> Message {
    Message::new(channel, &kind::<M>(), key.to_owned(), format!("{key}:{}", M::NAME), payload.encode_to_vec())
}

fn contract() -> DescriptorPool {
    DescriptorPool::decode(proto::FILE_DESCRIPTOR_SET).expect("it was made by the build")
}

#[test]
fn every_message_of_the_contract_is_described_and_stands_where_it_says() {
    let document = Document::read();
    let contract = contract();
    let of_contract = contract.all_messages().filter(|it| it.package_name() == "comanda.messages.v1");
    let described = document.messages();

    assert_eq!(described.keys().cloned().collect::<Names>(), of_contract.map(|it| it.full_name().to_owned()).collect());
    for (name, message) in described {
        let found = contract.get_message_by_name(&name).expect("it was just compared");
        let file = format!("proto/{}", found.parent_file().name());
        assert_eq!(message["payload"]["x-protobuf"], json!({ "file": file, "message": name }));
        assert!(Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(&file).is_file(), "{file} is not there");
    }
}

#[test]
fn every_reference_leads_somewhere_and_every_message_has_one_channel() {
    let document = Document::read();

    document.follow_all_references();

    let in_channels: Vec<String> = document.channels().flat_map(|channel| channel.messages).collect();
    let names: Names = document.messages().into_keys().collect();
    assert_eq!((in_channels.len(), in_channels.into_iter().collect::<Names>()), (names.len(), names));
}

#[test]
fn an_operation_is_about_messages_of_its_channel() {
    for operation in Document::read().operations() {
        for (channel, messages) in operation.uses {
            let prefix = format!("{channel}/messages/");
            assert!(messages.iter().all(|it| it.starts_with(&prefix)), "{}: {messages:?}", operation.name);
        }
    }
}

#[tokio::test]
async fn every_header_that_is_written_is_described_and_no_other() {
    if !Nats::require() {
        return;
    }
    let nats = Nats::shared().await;
    let prefix = format!("test-{}", MessageId::generate());
    let mut usual = message(channel::RESTAURANT_COMMANDS, "key", &CancelTicket::default());
    usual.traceparent = Some("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".to_owned());
    usual.causation_id = Some(MessageId::generate());
    let before_the_calendar = Message { created_us: i64::MIN, id: MessageId::generate(), ..usual.clone() };

    bus(nats.url(), &prefix).await.publish(&[usual, before_the_calendar]).await.expect("NATS is there");

    let wire = Wire::to(&nats.url()).await;
    let stored = wire.all_of(&format!("{}_RESTAURANT_COMMANDS", prefix.to_uppercase().replace('-', "_"))).await;
    let written: Names = stored.iter().flat_map(Stored::header_names).collect();
    let document = Document::read();
    assert_eq!(written, document.headers("Headers").described);
    assert!(stored.iter().all(|it| document.headers("Headers").required.is_subset(&it.header_names().collect())));
    assert!(document.headers("CommandHeaders").described.is_subset(&written));
}

#[tokio::test]
async fn what_runs_says_what_is_described_and_in_all_that_is_described() {
    if !servers::are_there() {
        return;
    }
    let wait = ("COMANDA_ORDER__REPLICA_WAIT_MS".to_owned(), "20000".to_owned());
    let stack = Stack::start(&StackOptions { env: vec![wait], ..StackOptions::default() }).await;
    let document = Document::read();

    orders_of_all_kinds(&stack).await;

    let wire = Wire::to(&stack.nats.url()).await;
    let contract = contract();
    eventually(DECIDED_WITHIN, async || {
        let mut seen = Names::new();
        for channel in document.channels() {
            for stored in wire.all_of(&channel.stream).await {
                document.check(&channel, &stored, &contract);
                seen.insert(stored.kind());
            }
        }
        let unseen: Vec<String> = document.messages().into_keys().filter(|name| !seen.contains(name)).collect();
        if unseen.is_empty() { Ok(()) } else { Err(format!("nobody said {unseen:?}")) }
    })
    .await;
    let streams: Names = document.channels().map(|channel| channel.stream).collect();
    assert_eq!(wire.streams().await, streams);
    for channel in document.channels() {
        assert_eq!(wire.consumers(&channel.stream).await, channel.consumers, "{}", channel.name);
        assert_eq!(keeps(&wire.settings(&channel.stream).await), channel.keeps, "{}", channel.name);
    }
}

/// Orders that end in every way, so that every message is sent.
async fn orders_of_all_kinds(stack: &Stack) {
    let http = stack.http();
    let shop = Shop::open_with(&http, &restaurant(), &consumer()).await;
    let approved = place_and_wait(&http, &shop.order()).await;
    assert_eq!(approved["state"], "APPROVED");
    let suspended = with(&consumer(), "/state", json!("SUSPENDED"));
    let elsewhere = with(&restaurant(), "/deliveryArea", json!({ "postalCodePrefixes": ["N1"] }));
    for (restaurant, consumer) in [(restaurant(), suspended), (elsewhere, consumer())] {
        let shop = Shop::open_with(&http, &restaurant, &consumer).await;
        assert_eq!(place_and_wait(&http, &shop.order()).await["state"], "REJECTED");
    }

    let (reply_address, correlation_id) = ("shop-1".to_owned(), "1".to_owned());
    let order_id = approved["orderId"].as_str().unwrap_or_default().to_owned();
    let order = Some(shop.order_message());
    let create =
        CreateOrder { reply_address: reply_address.clone(), correlation_id: correlation_id.clone(), request: order };
    let request = Some(CancelOrderRequest { order_id });
    let cancel = CancelOrder { reply_address, correlation_id, request };
    let nobody = MessageId::generate().to_string();
    let (order_id, restaurant_id) = (nobody.clone(), nobody.clone());
    let ticket = CreateTicket { order_id: order_id.clone(), restaurant_id: restaurant_id.clone(), lines: Vec::new() };
    let messages = [
        message(channel::ORDER_COMMANDS, "create", &create),
        message(channel::ORDER_COMMANDS, "cancel", &cancel),
        message(channel::RESTAURANT_COMMANDS, &nobody, &CancelTicket { order_id, restaurant_id }),
        message(channel::RESTAURANT_COMMANDS, &nobody, &ticket),
    ];
    bus(stack.nats.url(), "comanda").await.publish(&messages).await.expect("NATS is there");
}

fn keeps(stream: &stream::Config) -> &'static str {
    match (stream.max_messages_per_subject, stream.discard) {
        (1, _) => "last-of-each-key",
        (_, DiscardPolicy::Old) => "for-subscribers",
        (_, DiscardPolicy::New) => "until-acknowledged",
    }
}
