//! Answers that several gateways keep together, in a real NATS.

use crate::shop::{Orders, Shop, reason};
use messaging::JetStreamConfig;
use servers::Nats;
use tonic::Code;

/// Two gateways before one service.
async fn two(bucket: &str, servers: Vec<String>) -> (Shop, Shop) {
    let line = JetStreamConfig { servers, request_timeout_ms: 2_000, ..JetStreamConfig::default() };
    let config = format!(
        "idempotency.store = \"jetstream\"\nidempotency.bucket = {bucket:?}\nidempotency.answer_bytes_max = 1000"
    );
    let orders = Orders::default();
    let one = Shop::sharing(&config, &line, orders.clone()).await;
    let other = Shop::sharing(&config, &line, orders).await;
    (one, other)
}

#[tokio::test]
async fn what_one_gateway_answered_the_other_gives_again() {
    if !Nats::require() {
        return;
    }
    let (one, other) = two("answered", Nats::shared().await.urls()).await;

    let first = one.pay("anna-1", "k").await.unwrap();
    let again = other.pay("anna-1", "k").await.unwrap();

    assert_eq!((first.get_ref().paid, again.get_ref().paid), (1, 1));
    assert_eq!(again.metadata().get("idempotency-replayed").unwrap(), "true");
    assert_eq!(again.metadata().get("x-receipt"), first.metadata().get("x-receipt"));
    assert_eq!(reason(&other.pay("anna-2", "k").await.unwrap_err()), "IDEMPOTENCY_KEY_REUSED");
    assert_eq!(one.seen().len(), 1);

    assert_eq!(other.pay("refused", "l").await.unwrap_err().code(), Code::FailedPrecondition);
    let refused = one.pay("refused", "l").await.unwrap_err();
    assert_eq!((refused.code(), refused.message()), (Code::FailedPrecondition, "it is paid already"));
    one.pay("long", "m").await.unwrap();
    assert_eq!(reason(&other.pay("long", "m").await.unwrap_err()), "ANSWER_NOT_KEPT");
}

#[tokio::test]
async fn of_many_calls_at_once_one_is_made() {
    if !Nats::require() {
        return;
    }
    let (one, other) = two("at_once", Nats::shared().await.urls()).await;

    let calls = (0..20).map(|number| if number % 2 == 0 { one.pay("anna-1", "k") } else { other.pay("anna-1", "k") });
    let outcomes = futures_util::future::join_all(calls).await;

    for outcome in outcomes {
        match outcome {
            Ok(answer) => assert_eq!(answer.get_ref().paid, 1),
            Err(status) => assert_eq!(reason(&status), "STILL_RUNNING"),
        }
    }
    assert_eq!(one.seen().len(), 1);
}

#[tokio::test]
async fn what_failed_can_be_done_again_by_the_other() {
    if !Nats::require() {
        return;
    }
    let (one, other) = two("failed", Nats::shared().await.urls()).await;

    assert_eq!(one.pay("away", "k").await.unwrap_err().code(), Code::Unavailable);
    assert_eq!(other.pay("away", "k").await.unwrap_err().code(), Code::Unavailable);

    assert_eq!(one.seen().len(), 2);
}

#[tokio::test]
async fn without_the_broker_nothing_is_done_that_could_be_done_twice() {
    let (one, _) = two("away", vec!["nats://127.0.0.1:1".to_owned()]).await;

    let refused = one.pay("anna-1", "k").await.unwrap_err();

    assert_eq!((refused.code(), reason(&refused).as_str()), (Code::Unavailable, "STORE_UNAVAILABLE"));
    assert!(refused.metadata().contains_key("retry-after"));
    assert!(one.seen().is_empty());
    assert!(
        one.call::<crate::shop::Order>("Pay", "anna-1", &[]).await.is_ok(),
        "a call without a key does not need it"
    );
}
