//! Calls that are made twice and done once.

use crate::shop::{Order, Shop, reason};
use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;
use tonic::{Code, Response};

fn paid(answer: &Response<Order>) -> (i64, bool) {
    (answer.get_ref().paid, answer.metadata().get("idempotency-replayed").is_some_and(|value| value == "true"))
}

#[tokio::test]
async fn a_call_that_is_repeated_has_the_answer_of_the_first() {
    let shop = Shop::open("").await;

    let first = shop.pay("anna-1", "k").await.unwrap();
    let again = shop.pay("anna-1", "k").await.unwrap();

    assert_eq!((paid(&first), paid(&again)), ((1, false), (1, true)));
    assert_eq!(again.metadata().get("x-receipt"), first.metadata().get("x-receipt"));
    assert_eq!(shop.seen().len(), 1);
    assert_eq!(paid(&shop.pay("anna-1", "other").await.unwrap()), (2, false));
    assert_eq!(paid(&shop.call("Pay", "anna-1", &[]).await.unwrap()), (3, false), "without a key it is done again");
    assert!(shop.metrics().contains(r#"guard_replays_total{method="shop.Orders/Pay"} 1"#));
}

#[tokio::test]
async fn a_refusal_of_the_service_is_kept_and_a_fault_is_not() {
    let shop = Shop::open("").await;

    let first = shop.pay("refused", "k").await.unwrap_err();
    let again = shop.pay("refused", "k").await.unwrap_err();
    assert_eq!(
        (first.code(), again.code(), again.message()),
        (Code::FailedPrecondition, first.code(), first.message())
    );
    assert_eq!((shop.seen().len(), again.metadata().contains_key("idempotency-replayed")), (1, true));

    for _ in 0..2 {
        assert_eq!(shop.pay("away", "l").await.unwrap_err().code(), Code::Unavailable);
    }
    assert_eq!(shop.seen().len(), 2);
}

#[tokio::test]
async fn a_key_belongs_to_one_request() {
    let shop = Shop::open("").await;
    shop.pay("anna-1", "k").await.unwrap();

    let reused = shop.pay("anna-2", "k").await.unwrap_err();

    assert_eq!((reused.code(), reason(&reused).as_str()), (Code::AlreadyExists, "IDEMPOTENCY_KEY_REUSED"));
    assert!(shop.call::<Order>("Cancel", "anna-2", &[("idempotency-key", "k")]).await.is_ok(), "of one method");
}

#[tokio::test]
async fn a_second_call_is_told_that_the_first_still_runs() {
    let shop = Shop::open("").await;
    let first = {
        let shop = shop.clone();
        async move { shop.pay("slow", "k").await }
    };
    let mut first = pin!(first);
    until_begun(&shop, first.as_mut()).await;

    let second = shop.pay("slow", "k").await.unwrap_err();
    assert_eq!((second.code(), reason(&second).as_str()), (Code::Aborted, "STILL_RUNNING"));
    assert_eq!(second.metadata().get("retry-after").unwrap(), "1");
    let other = shop.pay("anna-1", "k").await.unwrap_err();
    assert_eq!(reason(&other), "IDEMPOTENCY_KEY_REUSED");

    shop.orders.go_on.notify_one();
    assert_eq!(paid(&first.await.unwrap()), (1, false));
    assert_eq!(paid(&shop.pay("slow", "k").await.unwrap()), (1, true));
}

#[tokio::test]
async fn a_call_goes_on_when_its_caller_has_gone() {
    let shop = Shop::open("").await;
    {
        let first = shop.pay("slow", "k");
        until_begun(&shop, pin!(first)).await;
        // Dropped here: the caller has lost patience.
    }

    shop.orders.go_on.notify_one();
    let answer = loop {
        match shop.pay("slow", "k").await {
            Ok(answer) => break answer,
            Err(status) => assert_eq!(reason(&status), "STILL_RUNNING"),
        }
        tokio::task::yield_now().await;
    };

    assert_eq!(paid(&answer), (1, true));
}

/// Polls a call until the service has it.
async fn until_begun<F: Future>(shop: &Shop, mut call: std::pin::Pin<&mut F>) {
    loop {
        let is_over = poll_fn(|context| Poll::Ready(call.as_mut().poll(context).is_ready())).await;
        assert!(!is_over, "it is over");
        if !shop.seen().is_empty() {
            return;
        }
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn an_answer_that_is_too_long_is_not_kept_and_its_call_not_repeated() {
    let shop = Shop::open("idempotency.answer_bytes_max = 100").await;

    assert_eq!(shop.pay("long", "k").await.unwrap().into_inner().order_id.len(), 2_000);

    let again = shop.pay("long", "k").await.unwrap_err();
    assert_eq!((again.code(), reason(&again).as_str()), (Code::FailedPrecondition, "ANSWER_NOT_KEPT"));
    assert_eq!(shop.seen().len(), 1);
}

#[tokio::test]
async fn a_key_is_short_and_printable_and_given_once() {
    let shop = Shop::open("").await;

    for key in ["", &"k".repeat(256)] {
        let refused = shop.pay("anna-1", key).await.unwrap_err();
        assert_eq!(
            (refused.code(), reason(&refused).as_str()),
            (Code::InvalidArgument, "IDEMPOTENCY_KEY_INVALID"),
            "{key}"
        );
    }
    let twice = [("idempotency-key", "k"), ("idempotency-key", "k")];
    let refused = shop.call::<Order>("Pay", "anna-1", &twice).await.unwrap_err();
    assert_eq!((refused.code(), reason(&refused).as_str()), (Code::InvalidArgument, "IDEMPOTENCY_KEY_INVALID"));
    assert!(shop.pay("anna-1", &"k".repeat(255)).await.is_ok());
}

#[tokio::test]
async fn methods_that_need_no_help_get_none() {
    let shop = Shop::open("").await;
    let key = [("idempotency-key", "k")];

    for method in ["Get", "Create"] {
        for _ in 0..2 {
            let answer = shop.call::<Order>(method, "anna-1", &key).await.unwrap();
            assert!(!answer.metadata().contains_key("idempotency-replayed"), "{method}");
        }
    }
    assert_eq!(shop.seen().len(), 4);
    let nowhere = Shop::open("idempotency.store = \"nowhere\"").await;
    for _ in 0..2 {
        nowhere.pay("anna-1", "k").await.unwrap();
    }
    assert_eq!(nowhere.seen().len(), 2);
}
