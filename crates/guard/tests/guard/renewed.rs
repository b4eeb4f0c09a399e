//! What stays of a guard when its configuration is another.

use crate::key_sets::{Issuer, code};
use crate::shop::Shop;
use crate::signing::{ED, claims, set, trusting};
use http::StatusCode;
use std::time::Duration;
use tonic::Code;

/// Everybody may call everything.
const ANYONE: &str = "[[rules]]\nmethods = [\"*\"]\nwho = \"anyone\"\n";
const RATE: &str = "[[rates]]\nname = \"reads\"\nmethods = [\"/shop.Orders/Get\"]\nper_second = 1.0\nburst = 2\n";

#[tokio::test]
async fn other_rules_count_for_new_layers_and_those_that_are_there_stay_as_they_are() {
    let closed = Shop::open("access = \"rules\"").await;

    let open = closed.renewed(&format!("access = \"rules\"\n{ANYONE}")).await.unwrap();

    assert_eq!(closed.get("anna-1", &[]).await.unwrap_err().code(), Code::Unauthenticated);
    assert!(open.get("anna-1", &[]).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_rate_that_is_as_it_was_keeps_its_budgets_and_another_begins_anew() {
    let shop = Shop::open(RATE).await;
    tokio::time::advance(Duration::from_secs(3)).await;
    for _ in 0..2 {
        shop.get("anna-1", &[]).await.unwrap();
    }

    let same = shop.renewed(&format!("timeout_max_ms = 5000\n{RATE}")).await.unwrap();
    let wider = same.renewed(&RATE.replace("burst = 2", "burst = 3")).await.unwrap();

    assert_eq!(same.get("anna-1", &[]).await.unwrap_err().code(), Code::ResourceExhausted);
    assert_eq!(wider.get("anna-1", &[]).await.unwrap().metadata().get("ratelimit-remaining").unwrap(), "2");
    tokio::time::advance(Duration::from_secs(1)).await;
    assert!(same.get("anna-1", &[]).await.is_ok(), "a second is a call");
}

#[tokio::test(start_paused = true)]
async fn two_rates_that_are_alike_stay_two() {
    let twice = format!("{RATE}{RATE}");
    let shop = Shop::open(&twice).await.renewed(&twice).await.unwrap();

    assert!(shop.get("anna-1", &[]).await.is_ok());
    assert!(shop.get("anna-1", &[]).await.is_ok(), "a call takes one from each, not two from one");
}

#[tokio::test]
async fn answers_that_were_kept_are_given_again() {
    let shop = Shop::open("").await;
    shop.pay("anna-1", "k").await.unwrap();

    let renewed = shop.renewed("timeout_max_ms = 5000").await.unwrap();

    let again = renewed.pay("anna-1", "k").await.unwrap();
    assert_eq!((again.get_ref().paid, again.metadata().get("idempotency-replayed").is_some()), (1, true));
}

#[tokio::test]
async fn keys_of_an_issuer_who_is_away_are_still_known() {
    let issuer = Issuer::start(set(&[ED.jwk("ed")])).await;
    let shop = issuer.shop().await;
    issuer.says(StatusCode::SERVICE_UNAVAILABLE, String::new());

    let config = trusting(&issuer.url()).replace("[[issuers]]", "[[issuers]]\nleeway_seconds = 5");
    let renewed = shop.renewed(&config).await.unwrap();

    assert_eq!(code(&renewed, &ED.token("ed", &claims("anna"))).await, Code::Ok);
}

#[tokio::test]
async fn a_configuration_that_makes_no_sense_changes_nothing() {
    let shop = Shop::open(ANYONE).await;

    for (config, words) in [
        ("api_keys_file = \"/nowhere/keys.toml\"", "/nowhere/keys.toml"),
        ("refresh_ms = 0", "refresh_ms"),
        ("idempotency = { store = \"nowhere\" }", "idempotency"),
    ] {
        let error = shop.renewed(config).await.err().unwrap().to_string();
        assert!(error.contains(words), "{error}");
    }
    assert!(shop.get("anna-1", &[]).await.is_ok());
}
