//! Commands of clients outside, and what they are answered.

use crate::house::{House, message, on_every_store};
use messaging::{Message, MessageId};
use prost::Message as _;
use proto::OrderId;
use proto::channel::ORDER_COMMANDS;
use proto::comanda::messages::v1::{CancelOrder, CreateOrder, OrderAccepted, OrderDecided, OrderRefused};
use proto::comanda::order::v1::order::State;
use proto::comanda::order::v1::rejection::Reason;
use proto::comanda::order::v1::rejection::reason::Code as Why;
use proto::comanda::order::v1::{CancelOrderRequest, CreateOrderRequest, Order};
use proto::google::rpc;
use proto::time::Instant;
use tonic::{Code, Status};
use tonic_types::StatusExt;

/// A client's wish for an order, for which it is answered at `reply_address` under the number 7.
fn create(reply_address: &str, wish: CreateOrderRequest) -> Message {
    let (reply_address, correlation_id) = (reply_address.to_owned(), "7".to_owned());
    let command = CreateOrder { reply_address, correlation_id, request: Some(wish) };
    message(ORDER_COMMANDS, &OrderId::generate().to_string(), &command)
}

/// A client's wish that an order be cancelled, for which it is answered at `reply_address` under the number 8.
fn cancel(reply_address: &str, order_id: &str) -> Message {
    let (reply_address, correlation_id) = (reply_address.to_owned(), "8".to_owned());
    let request = Some(CancelOrderRequest { order_id: order_id.to_owned() });
    message(ORDER_COMMANDS, order_id, &CancelOrder { reply_address, correlation_id, request })
}

/// The same command, sent once more.
fn again(command: &Message) -> Message {
    Message { id: MessageId::generate(), ..command.clone() }
}

impl House {
    /// The next answer, which accepts an order.
    async fn accepted(&mut self) -> Order {
        let (_, accepted) = self.answer::<OrderAccepted>().await;
        assert_eq!(accepted.correlation_id, "7");
        accepted.order.unwrap()
    }

    /// The next answer, which tells under this number how an order ended.
    async fn decided(&mut self, correlation_id: &str) -> Order {
        let (_, decided) = self.answer::<OrderDecided>().await;
        assert_eq!(decided.correlation_id, correlation_id);
        decided.order.unwrap()
    }

    /// The next answer, which is a refusal.
    async fn refused(&mut self) -> rpc::Status {
        self.answer::<OrderRefused>().await.1.status.unwrap()
    }
}

/// A client over a channel is told what a caller over gRPC is told; but how old the knowledge is in which something is missing.
fn assert_same(refused: &rpc::Status, called: &Status) {
    let code = Code::from(refused.code);
    let refused = Status::with_details(code, refused.message.as_str(), refused.encode_to_vec().into());
    let ageless = |status: &Status| {
        let mut details = status.get_error_details();
        if let Some(mut info) = details.error_info().cloned() {
            info.metadata.remove("replica_age_ms");
            details.set_error_info(info.reason, info.domain, info.metadata);
        }
        (status.code(), status.message().to_owned(), details)
    };
    assert_eq!(format!("{:?}", ageless(&refused)), format!("{:?}", ageless(called)));
    assert!(refused.details().len() > refused.message().len(), "{refused:?} has no details");
}

on_every_store! {
    a_client_gets_an_acknowledgement_and_then_the_decision,
    a_decision_reaches_the_client_after_a_restart,
    a_rejection_tells_all_reasons,
    an_order_that_expires_is_told_to_its_client,
    a_command_that_comes_twice_makes_one_order_and_is_answered_twice,
    a_command_that_comes_again_after_the_decision_gets_both_answers_again,
    a_command_that_comes_many_times_at_once_has_one_effect,
    a_bad_command_is_refused_with_its_fields,
    a_refusal_holds_although_it_would_be_granted_by_now,
    a_request_id_holds_within_one_reply_address,
    an_order_is_cancelled_by_its_client,
    an_order_of_somebody_else_is_cancelled_and_both_are_told,
    an_order_that_is_decided_cannot_be_cancelled,
    a_cancellation_that_comes_twice_is_answered_twice,
    what_cannot_be_answered_is_parked_and_other_clients_are_served,
    texts_that_no_database_takes_hold_nothing_up,
    commands_wait_for_a_service_that_is_away,
}

async fn a_client_gets_an_acknowledgement_and_then_the_decision(mut house: House) {
    let command = create("web-shop", house.wish());

    house.send(&command).await;
    let (acknowledgement, accepted) = house.answer::<OrderAccepted>().await;
    let order = accepted.order.unwrap();
    house.approve(&order.order_id).await;
    let (decision, decided) = house.answer::<OrderDecided>().await;

    assert_eq!((order.state(), order.version), (State::Pending, 1));
    assert_eq!(decided.order.as_ref().map(Order::state), Some(State::Approved));
    assert_eq!(decided.order.map(|it| it.order_id), Some(order.order_id));
    assert_eq!((accepted.correlation_id.as_str(), decided.correlation_id.as_str()), ("7", "7"));
    for answer in [acknowledgement, decision] {
        assert_eq!((answer.key.as_str(), answer.causation_id), ("web-shop", Some(command.id)));
    }
}

async fn a_decision_reaches_the_client_after_a_restart(mut house: House) {
    house.send(&create("web-shop", house.wish())).await;
    let order = house.accepted().await;

    house.stop().await;
    house.approve(&order.order_id).await;
    house.start().await;

    assert_eq!(house.decided("7").await.state(), State::Approved);
}

async fn a_rejection_tells_all_reasons(mut house: House) {
    let reason = |code: Why| Reason { code: code.into(), message: "No.".to_owned(), field: "consumerId".to_owned() };
    let reasons = vec![reason(Why::ConsumerSuspended), reason(Why::OrderLimitExceeded)];

    house.send(&create("web-shop", house.wish())).await;
    let order = house.accepted().await;
    house.reject(&order.order_id, reasons.clone()).await;

    let order = house.decided("7").await;
    assert_eq!((order.state(), order.rejection.unwrap().reasons), (State::Rejected, reasons));
}

async fn an_order_that_expires_is_told_to_its_client(mut house: House) {
    let soon = Instant(Instant::now().0 + 300_000);
    let wish = CreateOrderRequest { validate_by: Some(soon.into()), ..house.wish() };

    house.send(&create("web-shop", wish)).await;
    house.accepted().await;

    let reasons = house.decided("7").await.rejection.unwrap().reasons;
    assert_eq!(reasons.iter().map(Reason::code).collect::<Vec<_>>(), [Why::ValidationTimedOut]);
}

async fn a_command_that_comes_twice_makes_one_order_and_is_answered_twice(mut house: House) {
    let command = create("web-shop", house.wish());

    house.send(&command).await;
    house.send(&again(&command)).await;
    let (first, second) = (house.accepted().await, house.accepted().await);
    house.approve(&first.order_id).await;

    assert_eq!(first, second);
    assert_eq!(house.decided("7").await.order_id, first.order_id);
    assert_eq!(house.number("SELECT count(*) FROM orders").await, 1);
}

async fn a_command_that_comes_again_after_the_decision_gets_both_answers_again(mut house: House) {
    let command = create("web-shop", house.wish());
    house.send(&command).await;
    let (_, accepted) = house.answer::<OrderAccepted>().await;
    house.approve(&accepted.order.as_ref().unwrap().order_id).await;
    let (decision, decided) = house.answer::<OrderDecided>().await;

    house.send(&again(&command)).await;

    assert_eq!(house.answer::<OrderAccepted>().await.1, accepted);
    let (decision_again, decided_again) = house.answer::<OrderDecided>().await;
    assert_eq!((decision_again.effect_id, decided_again), (decision.effect_id, decided));
    assert_eq!(house.number("SELECT count(*) FROM orders").await, 1);
}

async fn a_command_that_comes_many_times_at_once_has_one_effect(mut house: House) {
    let under_other_keys = |command: &Message| -> Vec<Message> {
        (0..8).map(|key| Message { key: key.to_string(), ..again(command) }).collect()
    };

    house.send_all(&under_other_keys(&create("web-shop", house.wish()))).await;
    let order = house.accepted().await;
    for _ in 1..8 {
        assert_eq!(house.accepted().await, order);
    }
    house.send_all(&under_other_keys(&cancel("till", &order.order_id))).await;
    let mut answers = Vec::new();
    for _ in 0..9 {
        answers.push(house.answer::<OrderDecided>().await.0.key);
    }

    answers.sort();
    assert_eq!(answers, [["till"; 8].as_slice(), &["web-shop"]].concat());
    assert_eq!(house.number("SELECT count(*) FROM orders").await, 1);
    assert_eq!(house.number("SELECT max(version) FROM orders").await, 2);
}

async fn a_bad_command_is_refused_with_its_fields(mut house: House) {
    let mut no_naan = house.wish();
    no_naan.lines[0].menu_item_id = "pizza".to_owned();
    let bad = CreateOrderRequest { consumer_id: "me".to_owned(), lines: Vec::new(), ..house.wish() };
    let nowhere = CreateOrderRequest { restaurant_id: OrderId::generate().to_string(), ..house.wish() };

    for wish in [bad, no_naan, nowhere, CreateOrderRequest::default()] {
        let called = house.call(wish.clone()).await.unwrap_err();
        house.send(&create("web-shop", wish)).await;

        let (answer, refused) = house.answer::<OrderRefused>().await;
        assert_eq!((answer.key.as_str(), refused.correlation_id.as_str()), ("web-shop", "7"));
        assert_same(&refused.status.unwrap(), &called);
    }
    assert_eq!(house.number("SELECT count(*) FROM orders").await, 0);
}

async fn a_refusal_holds_although_it_would_be_granted_by_now(mut house: House) {
    let restaurant_id = OrderId::generate().to_string();
    let command = create("web-shop", CreateOrderRequest { restaurant_id: restaurant_id.clone(), ..house.wish() });
    house.send(&command).await;
    let refused = house.refused().await;

    house.revise(&restaurant_id).await;
    house.send(&again(&command)).await;

    assert_eq!(house.refused().await, refused);
    assert_eq!(house.number("SELECT count(*) FROM orders").await, 0);
}

async fn a_request_id_holds_within_one_reply_address(mut house: House) {
    let wish = CreateOrderRequest { request_id: "monday".to_owned(), ..house.wish() };
    let other = CreateOrderRequest { consumer_id: OrderId::generate().to_string(), ..wish.clone() };

    house.send(&create("web-shop", wish.clone())).await;
    let first = house.accepted().await;
    house.send(&create("web-shop", wish.clone())).await;
    let same = house.accepted().await;
    house.send(&create("web-shop", other.clone())).await;
    let refused = house.refused().await;
    house.send(&create("till", other)).await;
    let of_another = house.accepted().await;
    let called = house.call(wish).await.unwrap();

    assert_eq!(same.order_id, first.order_id);
    assert_eq!(refused.code, i32::from(Code::AlreadyExists));
    assert_ne!(of_another.order_id, first.order_id);
    assert_ne!(called.order_id, first.order_id);
}

async fn an_order_is_cancelled_by_its_client(mut house: House) {
    house.send(&create("web-shop", house.wish())).await;
    let order = house.accepted().await;

    house.send(&cancel("web-shop", &order.order_id)).await;

    assert_eq!(house.decided("8").await.state(), State::Cancelled);
    assert_eq!(house.decided("7").await.state(), State::Cancelled);
}

async fn an_order_of_somebody_else_is_cancelled_and_both_are_told(mut house: House) {
    house.send(&create("web-shop", house.wish())).await;
    let order = house.accepted().await;
    let called = house.call(house.wish()).await.unwrap();

    house.send(&cancel("till", &order.order_id)).await;
    let (to_the_till, to_the_shop) = (house.answer::<OrderDecided>().await.0, house.answer::<OrderDecided>().await.0);
    house.send(&cancel("till", &called.order_id)).await;
    let to_the_till_again = house.answer::<OrderDecided>().await;

    let keys = [to_the_till, to_the_shop].map(|answer| answer.key);
    assert_eq!(keys, ["till", "web-shop"]);
    assert_eq!(to_the_till_again.0.key, "till");
    assert_eq!(to_the_till_again.1.order.unwrap().order_id, called.order_id);
}

async fn an_order_that_is_decided_cannot_be_cancelled(mut house: House) {
    house.send(&create("web-shop", house.wish())).await;
    let order = house.accepted().await;
    house.approve(&order.order_id).await;
    house.decided("7").await;
    let nothing = OrderId::generate().to_string();

    for order_id in [order.order_id.as_str(), nothing.as_str(), "no-id"] {
        house.send(&cancel("web-shop", order_id)).await;
        let refused = house.refused().await;

        let request = CancelOrderRequest { order_id: order_id.to_owned() };
        let called = house.calls.cancel_order(request).await.unwrap_err();
        assert_same(&refused, &called);
    }
}

async fn a_cancellation_that_comes_twice_is_answered_twice(mut house: House) {
    let order = house.call(house.wish()).await.unwrap();
    let command = cancel("web-shop", &order.order_id);

    house.send(&command).await;
    house.send(&again(&command)).await;

    assert_eq!(house.decided("8").await, house.decided("8").await);
}

async fn what_cannot_be_answered_is_parked_and_other_clients_are_served(mut house: House) {
    let to_a_service = create("order.replies", house.wish());
    let to_nobody = create("", house.wish());
    let unknown = Message { kind: "comanda.messages.v1.Sing".to_owned(), ..create("web-shop", house.wish()) };
    let garbled = Message { payload: vec![0xff; 9], ..create("web-shop", house.wish()) };
    let behind = Message { key: garbled.key.clone(), ..create("web-shop", house.wish()) };

    for command in [&to_a_service, &to_nobody, &unknown, &garbled, &behind] {
        house.send(command).await;
    }
    house.eventually("SELECT count(*) FROM parked", 5).await;
    house.send(&create("web-shop", house.wish())).await;

    house.accepted().await;
    assert_eq!(house.number("SELECT count(*) FROM orders").await, 1);
    assert_eq!(house.number("SELECT count(*) FROM parked WHERE why LIKE 'reply_address must be%'").await, 2);
}

async fn texts_that_no_database_takes_hold_nothing_up(mut house: House) {
    let long = "x".repeat(10_000);
    let unanswerable = Message { key: "a\0b".to_owned(), effect_id: long.clone(), ..create("", house.wish()) };
    let unknown = Message { kind: format!("Sing\0{long}"), key: long.clone(), ..create("web-shop", house.wish()) };
    let nameless = Message { effect_id: long, ..create("web-shop", house.wish()) };

    for command in [&unanswerable, &unknown, &nameless] {
        house.send(command).await;
    }

    let refused = Status::with_details(Code::Unknown, "", house.refused().await.encode_to_vec().into());
    let fields = refused.get_details_bad_request().unwrap().field_violations;
    assert_eq!(fields.iter().map(|it| it.field.as_str()).collect::<Vec<_>>(), ["ce-effectid"]);
    house.eventually("SELECT count(*) FROM parked", 2).await;
}

async fn commands_wait_for_a_service_that_is_away(mut house: House) {
    house.stop().await;
    house.send(&create("web-shop", house.wish())).await;
    house.start().await;

    house.accepted().await;
}
