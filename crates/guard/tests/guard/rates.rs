//! How often callers may call.

use crate::shop::{Order, Shop, reason};
use std::time::Duration;
use tonic::Code;
use tonic_types::StatusExt;

const RATE: &str = "[[rates]]\nname = \"reads\"\nmethods = [\"/shop.Orders/Get\"]\nper_second = 1.0\nburst = 2\n";

#[tokio::test(start_paused = true)]
async fn a_caller_is_told_what_is_left_and_when_to_come_again() {
    let shop = Shop::open(RATE).await;

    let first = shop.get("anna-1", &[]).await.unwrap();
    let told = |name: &str| first.metadata().get(name).unwrap().to_str().unwrap().to_owned();
    assert_eq!(
        (told("ratelimit"), told("ratelimit-policy")),
        ("\"reads\";r=1;t=1".to_owned(), "\"reads\";q=2;w=2".to_owned())
    );
    assert_eq!(
        (told("ratelimit-limit"), told("ratelimit-remaining"), told("ratelimit-reset")),
        ("2".to_owned(), "1".to_owned(), "1".to_owned())
    );

    shop.get("anna-1", &[]).await.unwrap();
    let refused = shop.get("anna-1", &[]).await.unwrap_err();
    assert_eq!((refused.code(), reason(&refused).as_str()), (Code::ResourceExhausted, "RATE_LIMITED"));
    assert_eq!(refused.get_details_retry_info().unwrap().retry_delay, Some(Duration::from_secs(1)));
    assert_eq!(refused.get_details_quota_failure().unwrap().violations[0].subject, "reads");
    assert_eq!(refused.metadata().get("retry-after").unwrap(), "1");
    assert_eq!(refused.metadata().get("ratelimit-remaining").unwrap(), "0");
    assert_eq!(shop.seen().len(), 2, "the third call did not reach the service");

    tokio::time::advance(Duration::from_secs(1)).await;
    assert!(shop.get("anna-1", &[]).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn other_methods_have_no_part_in_it() {
    let shop = Shop::open(RATE).await;

    for _ in 0..5 {
        let answer = shop.call::<Order>("Cancel", "anna-1", &[]).await.unwrap();
        assert!(!answer.metadata().contains_key("ratelimit"));
    }
}

#[tokio::test(start_paused = true)]
async fn whoever_guesses_keys_is_slowed_down() {
    let keys = format!("[[api_keys]]\nname = \"x\"\nsha256 = \"{}\"\n", "ab".repeat(32));
    for by in ["address", "identity"] {
        let shop = Shop::open(&format!("{keys}{RATE}by = \"{by}\"")).await;
        let guess = async |key: &str| shop.get("anna-1", &[("x-api-key", key)]).await.unwrap_err().code();

        assert_eq!(
            [guess("1").await, guess("2").await, guess("3").await, guess("4").await],
            [Code::Unauthenticated, Code::Unauthenticated, Code::ResourceExhausted, Code::ResourceExhausted,]
        );
    }
}

#[tokio::test(start_paused = true)]
async fn the_tightest_of_several_rates_is_told() {
    let wide = "[[rates]]\nname = \"all\"\nmethods = [\"*\"]\nby = \"all\"\nper_second = 100.0\nburst = 100\n";
    let shop = Shop::open(&format!("{wide}{RATE}")).await;

    let answer = shop.get("anna-1", &[]).await.unwrap();

    assert_eq!(answer.metadata().get("ratelimit").unwrap(), "\"reads\";r=1;t=1");
}

#[tokio::test(start_paused = true)]
async fn layers_of_one_guard_share_a_budget() {
    let shop = Shop::open(RATE).await;
    let other = shop.beside();

    shop.get("anna-1", &[]).await.unwrap();
    other.get("anna-1", &[]).await.unwrap();

    assert_eq!(shop.get("anna-1", &[]).await.unwrap_err().code(), Code::ResourceExhausted);
}
