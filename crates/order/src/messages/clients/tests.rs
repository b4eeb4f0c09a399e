//! Commands as clients outside may write them.

use super::*;
use messaging::MessageId;
use prost::Message as _;

fn command(reply_address: &str, correlation_id: &str) -> Message {
    let command = wire::CreateOrder {
        reply_address: reply_address.to_owned(),
        correlation_id: correlation_id.to_owned(),
        request: None,
    };
    let kind = channel::kind::<wire::CreateOrder>();
    Message::new(channel::ORDER_COMMANDS, &kind, "key".to_owned(), "one".to_owned(), command.encode_to_vec())
}

fn violated(message: &Message) -> Vec<String> {
    let wrong = Asked::read(message).unwrap().request.err().unwrap_or_default();
    wrong.iter().map(|it| it.field.clone()).collect()
}

#[test]
fn what_cannot_be_answered_is_no_command() {
    let unknown = Message { kind: "comanda.messages.v1.Sing".to_owned(), ..command("shop", "1") };
    let garbled = Message { payload: vec![0xff; 9], ..command("shop", "1") };
    let nowhere = command("order.replies", "1");

    assert!(matches!(Asked::read(&unknown), Err(Unanswerable::Kind(_))));
    assert!(matches!(Asked::read(&garbled), Err(Unanswerable::Payload(_))));
    assert!(matches!(Asked::read(&nowhere), Err(Unanswerable::ReplyAddress(_))));
}

#[test]
fn what_names_a_command_is_printable_and_bounded() {
    assert_eq!(violated(&command("shop", "")), [""; 0]);
    assert_eq!(violated(&command("shop", &"x".repeat(255))), [""; 0]);
    assert_eq!(violated(&command("shop", &"x".repeat(256))), ["correlation_id"]);
    assert_eq!(violated(&command("shop", "a\0b")), ["correlation_id"]);
    for effect_id in [String::new(), "x".repeat(201), "a\0b".to_owned()] {
        assert_eq!(violated(&Message { effect_id, ..command("shop", "1") }), ["ce-effectid"]);
    }
    assert_eq!(violated(&Message { effect_id: "x".repeat(200), ..command("shop", "1") }), [""; 0]);
}

#[test]
fn two_clients_may_call_different_commands_the_same() {
    let effect_of = |message: &Message| Asked::read(message).unwrap().asker.command.effect_id;

    assert_ne!(effect_of(&command("shop", "1")), effect_of(&command("till", "1")));
    assert_eq!(
        effect_of(&command("shop", "1")),
        effect_of(&Message { id: MessageId::generate(), ..command("shop", "2") })
    );
}

#[test]
fn a_status_keeps_its_details() {
    let refused = Status::from(Violations::from(Violation::required("lines")));

    let status = with_details(&refused);

    assert_eq!((status.code, status.message.as_str()), (3, "lines is required"));
    assert_eq!(status.details[0].type_url, "type.googleapis.com/google.rpc.BadRequest");
    assert_eq!(with_details(&Status::internal("no")).details.len(), 0);
}
