//! Commands and their replies.

use crate::grpc::pounds;
use crate::house::{House, on_every_store};
use messaging::{Message, MessageId};
use prost::{Message as _, Name};
use proto::channel::{CONSUMER_COMMANDS, ORDER_REPLIES, decode, kind};
use proto::comanda::consumer::v1::Consumer;
use proto::comanda::messages::v1::{ConsumerValidated, ConsumerValidationFailed, ValidateConsumerInfo};
use proto::comanda::order::v1::rejection::reason::Code;
use proto::{ConsumerId, OrderId};

/// Asks whether a consumer may order for so many pounds.
fn ask(consumer_id: &str, units: i64) -> Message {
    let order_id = OrderId::generate().to_string();
    let command = ValidateConsumerInfo {
        order_id: order_id.clone(),
        consumer_id: consumer_id.to_owned(),
        order_total: pounds(units),
    };
    let effect_id = format!("{order_id}:ValidateConsumerInfo:1");
    Message::new(CONSUMER_COMMANDS, &kind::<ValidateConsumerInfo>(), order_id, effect_id, command.encode_to_vec())
}

/// The reply, which answers `command` and is of the right kind.
async fn reply<M: Name + Default>(house: &mut House, command: &Message) -> M {
    let reply = house.reply().await;
    assert_eq!(reply.kind, kind::<M>());
    assert_eq!((reply.channel.as_str(), reply.key.as_str()), (ORDER_REPLIES, command.key.as_str()));
    assert_eq!(reply.effect_id, format!("{}:reply", command.effect_id));
    assert_eq!(reply.causation_id, Some(command.id));
    decode(&reply.payload).unwrap()
}

async fn reasons(house: &mut House, command: &Message) -> Vec<(Code, String)> {
    let failed: ConsumerValidationFailed = reply(house, command).await;
    assert_eq!(failed.order_id, command.key);
    assert!(failed.reasons.iter().all(|reason| reason.message.ends_with('.')));
    failed.reasons.into_iter().map(|reason| (reason.code(), reason.field)).collect()
}

on_every_store! {
    a_consumer_who_may_order_is_validated,
    a_refusal_names_all_reasons,
    an_id_that_nobody_has_is_a_refusal,
    a_command_that_comes_again_gets_the_same_reply_whatever_happened_meanwhile,
    what_cannot_be_understood_is_parked_and_other_keys_flow,
    commands_wait_for_a_service_that_is_away,
}

async fn a_consumer_who_may_order_is_validated(mut house: House) {
    let wanted = Consumer { name: "Ada".to_owned(), order_limit: pounds(20), ..Consumer::default() };
    let ada = house.create(wanted).await.unwrap();
    let command = ask(&ada.consumer_id, 20);

    house.send(&command).await;

    assert_eq!(reply::<ConsumerValidated>(&mut house, &command).await.order_id, command.key);
}

async fn a_refusal_names_all_reasons(mut house: House) {
    let wanted = Consumer { name: "Ada".to_owned(), state: 2, order_limit: pounds(20), ..Consumer::default() };
    let ada = house.create(wanted).await.unwrap();
    let command = ask(&ada.consumer_id, 21);

    house.send(&command).await;

    let expected =
        [(Code::ConsumerSuspended, "consumerId".to_owned()), (Code::OrderLimitExceeded, "orderTotal".to_owned())];
    assert_eq!(reasons(&mut house, &command).await, expected);
}

async fn an_id_that_nobody_has_is_a_refusal(mut house: House) {
    for consumer_id in [&ConsumerId::generate().to_string(), "nobody", ""] {
        let command = ask(consumer_id, 1);
        house.send(&command).await;
        let expected = [(Code::ConsumerUnknown, "consumerId".to_owned())];
        assert_eq!(reasons(&mut house, &command).await, expected);
    }
}

async fn a_command_that_comes_again_gets_the_same_reply_whatever_happened_meanwhile(mut house: House) {
    let ada = house.somebody("Ada").await;
    let first = ask(&ada.consumer_id, 1);
    let again = Message { id: MessageId::generate(), ..first.clone() };

    house.send(&first).await;
    let validated: ConsumerValidated = reply(&mut house, &first).await;
    house.update(Consumer { state: 2, ..ada }, &["state"]).await.unwrap();
    house.send(&again).await;
    let validated_again: ConsumerValidated = reply(&mut house, &again).await;

    assert_eq!(validated, validated_again);
    assert_eq!(house.number("SELECT count(*) FROM inbox").await, 1);
}

async fn what_cannot_be_understood_is_parked_and_other_keys_flow(mut house: House) {
    let ada = house.somebody("Ada").await;
    let unknown = Message { kind: "comanda.messages.v1.Sing".to_owned(), ..ask(&ada.consumer_id, 1) };
    let garbled = Message { payload: vec![0xff; 9], ..ask(&ada.consumer_id, 1) };
    let behind = Message { key: unknown.key.clone(), ..ask(&ada.consumer_id, 1) };
    let other = ask(&ada.consumer_id, 1);

    for command in [&unknown, &garbled, &behind, &other] {
        house.send(command).await;
    }

    reply::<ConsumerValidated>(&mut house, &other).await;
    house.eventually("SELECT count(*) FROM parked", 3).await;
    assert_eq!(house.number("SELECT count(*) FROM parked WHERE why LIKE '%Sing%'").await, 1);
    assert_eq!(house.number("SELECT count(*) FROM parked WHERE why LIKE '%ValidateConsumerInfo%'").await, 1);
}

async fn commands_wait_for_a_service_that_is_away(mut house: House) {
    let ada = house.somebody("Ada").await;
    let command = ask(&ada.consumer_id, 1);

    house.stop().await;
    house.send(&command).await;
    house.start().await;

    reply::<ConsumerValidated>(&mut house, &command).await;
}
