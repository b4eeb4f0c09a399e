//! Versions that follow each other: 0 wrong answers, and calls in flight stay as they are.

use crate::describing::SHOP;
use crate::gate::{Answer, Gate, eventually};
use crate::shop::{Reflects, Shop, set};
use serde_json::json;
use std::sync::atomic::Ordering;
use tokio::join;

/// As `SHOP`, with another method, and without `Buy`.
const LATER: &str = r#"package shop.v1;
    service Shop {
        rpc Look(Ware) returns (Ware) { option (google.api.http) = { get: "/v1/wares/{name}" }; }
        rpc Wrap(Ware) returns (Ware) { option (google.api.http) = { post: "/v1/wares/{name}:wrap" }; }
    }
    message Ware { string name = 1; string by = 2; int32 units = 3; }"#;

/// As `SHOP`, and `Look` knows more.
const LARGER: &str = r#"package shop.v1;
    service Shop {
        rpc Look(Ware) returns (Ware) { option (google.api.http) = { get: "/v1/wares/{name}" }; }
    }
    message Ware { string name = 1; string by = 2; int32 units = 3; string colour = 4; }"#;

/// As `SHOP`, and `Look` counts in another field.
const OTHER: &str = r#"package shop.v1;
    service Shop {
        rpc Look(Ware) returns (Ware) { option (google.api.http) = { get: "/v1/wares/{name}" }; }
    }
    message Ware { string name = 1; string by = 2; string units = 5; }"#;

#[tokio::test]
async fn each_method_is_called_where_it_is_while_versions_stand_side_by_side() {
    let gate = Gate::open(&["shop"]).await;
    let [old, new] = [Shop::open("old", SHOP).await, Shop::open("new", LATER).await];
    gate.list("shop", &[old.address]);
    gate.until("/v1/wares/tea", 200).await;

    gate.list("shop", &[old.address, new.address]);
    eventually(async || match gate.post("/v1/wares/tea:wrap", "").await {
        Answer { status: 200, json } if json["by"] == "new" => Ok(()),
        answer => Err(format!("{answer:?}")),
    })
    .await;

    for _ in 0..20 {
        assert_eq!(gate.post("/v1/wares", r#"{"name":"tea"}"#).await.json["by"], "old");
        assert_eq!(gate.post("/v1/wares/tea:wrap", "").await.json["by"], "new");
        assert_eq!(gate.get("/v1/wares/tea").await.status, 200);
    }
    gate.until_told("shop", "shop.v1.Shop/Buy can be served by 1 of 2 endpoints").await;
    assert_eq!(gate.shown("shop")["versions"].as_array().unwrap().len(), 2);

    gate.list("shop", &[new.address]);
    gate.until_gone("/v1/wares").await;
    assert_eq!(gate.shown("shop")["lastChange"]["removed"], json!(["POST /v1/wares", "shop.v1.Shop/Buy"]));
    assert_eq!(gate.shown("shop")["conflicts"], json!([]));
}

#[tokio::test]
async fn what_is_extended_is_served_as_it_was_by_all_until_the_last_old_endpoint_has_gone() {
    let gate = Gate::open(&["shop"]).await;
    let [old, new] = [Shop::open("old", SHOP).await, Shop::open("new", LARGER).await];
    gate.list("shop", &[old.address, new.address]);

    eventually(async || match (old.calls(), new.calls()) {
        (1.., 1..) => Ok(()),
        calls => {
            gate.get("/v1/wares/tea").await;
            Err(format!("{calls:?}"))
        }
    })
    .await;
    assert_eq!(gate.get("/v1/wares/tea?colour=green").await.status, 400, "an old endpoint would ignore it");

    gate.list("shop", &[new.address]);
    assert_eq!(gate.until("/v1/wares/tea?colour=green", 200).await.json["colour"], "green");
}

#[tokio::test]
async fn what_means_something_else_is_never_sent_to_who_would_misread_it() {
    let gate = Gate::open(&["shop"]).await;
    let [old, new, newer] =
        [Shop::open("old", SHOP).await, Shop::open("new", OTHER).await, Shop::open("new", OTHER).await];
    gate.list("shop", &[old.address]);
    gate.until("/v1/wares/tea", 200).await;
    let asked = async || {
        let answer = gate.get("/v1/wares/tea?units=3").await;
        assert_eq!(answer.status, 200, "{answer:?}");
        let expected = if answer.json["by"] == "old" { json!(3) } else { json!("3") };
        assert_eq!(answer.json["units"], expected);
        answer.json["by"].as_str().unwrap().to_owned()
    };

    gate.list("shop", &[old.address, new.address]);
    gate.until_told("shop", "is described in 2 ways").await;
    for _ in 0..20 {
        assert_eq!(asked().await, "old", "as many say so as before");
    }

    gate.list("shop", &[old.address, new.address, newer.address]);
    eventually(async || if asked().await == "new" { Ok(()) } else { Err("most endpoints are new".to_owned()) }).await;
    for _ in 0..20 {
        assert_eq!(asked().await, "new");
    }
}

#[tokio::test]
async fn a_process_that_is_replaced_at_its_address_is_asked_anew() {
    let gate = Gate::open(&["shop"]).await;
    let old = Shop::open("old", SHOP).await;
    let address = old.address;
    gate.list("shop", &[address]);
    gate.until("/v1/wares/tea", 200).await;

    old.stop().await;
    let _new = Shop::open_at(address, "new", &set("shop.proto", OTHER), Reflects::V1).await;

    let ware = eventually(async || match gate.get("/v1/wares/tea?units=3").await {
        Answer { status: 200, json } => Ok(json),
        answer => Err(format!("{answer:?}")),
    })
    .await;
    assert_eq!(ware, json!({"name": "tea", "by": "new", "units": "3"}));
}

#[tokio::test]
async fn a_replacement_under_load_gives_no_wrong_answer_and_no_failure() {
    let gate = Gate::open(&["shop"]).await;
    let [one, two] = [Shop::open("old", SHOP).await, Shop::open("old", SHOP).await];
    let [three, four] = [Shop::open("new", LATER).await, Shop::open("new", LATER).await];
    gate.list("shop", &[one.address, two.address]);
    gate.until("/v1/wares/tea", 200).await;

    let roll = async {
        for listed in [
            vec![one.address, two.address, three.address],
            vec![two.address, three.address],
            vec![two.address, three.address, four.address],
            vec![three.address, four.address],
        ] {
            gate.list("shop", &listed);
            let expected: Vec<String> = listed.iter().map(ToString::to_string).collect();
            eventually(async || {
                let shown = gate.shown("shop");
                let endpoints = shown["endpoints"].as_array().unwrap();
                let described: Vec<_> = endpoints.iter().filter(|it| it["isConnected"] == true).collect();
                let all = expected.iter().all(|one| described.iter().any(|it| it["address"] == one.as_str()));
                if all && endpoints.len() == expected.len() { Ok(()) } else { Err(shown.to_string()) }
            })
            .await;
        }
        gate.until_gone("/v1/wares").await;
    };
    let load = async {
        let mut looked = 0;
        loop {
            let answer = gate.get(&format!("/v1/wares/tea?units={looked}")).await;
            assert_eq!((answer.status, &answer.json["units"]), (200, &json!(looked)), "{answer:?}");
            looked += 1;
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        () = roll => {}
        never = load => never,
    }
}

#[tokio::test]
async fn a_call_in_flight_is_not_touched_by_what_replaces_its_service() {
    let gate = Gate::open(&["shop"]).await;
    let [old, new] = [Shop::open("old", SHOP).await, Shop::open("new", OTHER).await];
    gate.list("shop", &[old.address]);
    gate.until("/v1/wares/tea", 200).await;

    let go_on = async {
        old.until_called(2).await;
        gate.list("shop", &[new.address]);
        eventually(async || match gate.get("/v1/wares/tea?units=3").await.json["by"].as_str() {
            Some("new") => Ok(()),
            other => Err(format!("{other:?}")),
        })
        .await;
        old.behaviour.go_on.notify_one();
    };
    let (answer, ()) = join!(gate.get("/v1/wares/slow?units=3"), go_on);

    assert_eq!(answer, Answer { status: 200, json: json!({"name": "slow", "by": "old", "units": 3}) });
}

#[tokio::test]
async fn what_only_reads_is_repeated_and_nothing_else() {
    let text = SHOP.replace(
        "rpc Look(Ware) returns (Ware) {",
        "rpc Look(Ware) returns (Ware) { option idempotency_level = NO_SIDE_EFFECTS;",
    );
    let gate = Gate::open(&["shop"]).await;
    let [well, ill] = [Shop::open("well", &text).await, Shop::open("ill", &text).await];
    ill.behaviour.is_unavailable.store(true, Ordering::SeqCst);
    gate.list("shop", &[well.address, ill.address]);
    gate.until("/v1/wares/tea", 200).await;

    // Until its breaker opens, the one that is ill gets calls.
    let seen = ill.calls();
    for _ in 0..4 {
        assert_eq!(gate.get("/v1/wares/tea").await.status, 200);
    }
    let repeated = ill.calls() - seen;
    let bought = eventually(async || match gate.post("/v1/wares", r#"{"name":"tea"}"#).await.status {
        503 => Ok(()),
        status => Err(format!("{status}, after {repeated} repeats")),
    });
    bought.await;
}
