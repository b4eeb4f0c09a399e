//! Services that want the same: who is served stays, and the other hears of it.

use crate::describing::SHOP;
use crate::gate::Gate;
use crate::shop::Shop;
use serde_json::json;

#[tokio::test]
async fn a_grpc_service_belongs_to_whoever_served_it_first() {
    let gate = Gate::open(&["shop", "thief"]).await;
    let [shop, thief] = [Shop::open("shop", SHOP).await, Shop::open("thief", SHOP).await];
    gate.list("shop", &[shop.address]);
    gate.until("/v1/wares/tea", 200).await;

    gate.list("thief", &[thief.address]);

    gate.until_told("thief", "the gRPC service shop.v1.Shop is served already, from shop").await;
    for _ in 0..10 {
        assert_eq!(gate.get("/v1/wares/tea").await.json["by"], "shop");
    }
    assert_eq!(gate.shown("thief")["routes"], json!([]));
    gate.list("shop", &[]);
    gate.until_by("/v1/wares/tea", "thief").await;
}

#[tokio::test]
async fn a_route_that_is_taken_is_refused_and_the_others_of_its_service_are_served() {
    const RIVAL: &str = r#"package rival.v1;
        service Rival {
            rpc Peek(Ware) returns (Ware) { option (google.api.http) = {
                get: "/v1/wares/{ware}" additional_bindings { get: "/v1/rival/{ware}" } }; }
            rpc Check(Ware) returns (Ware) { option (google.api.http) = { get: "/healthz" }; }
        }
        message Ware { string ware = 1; string by = 2; }"#;
    let gate = Gate::open(&["shop", "rival"]).await;
    let [shop, rival] = [Shop::open("shop", SHOP).await, Shop::open("rival", RIVAL).await];
    gate.list("shop", &[shop.address]);
    gate.until("/v1/wares/tea", 200).await;

    gate.list("rival", &[rival.address]);

    assert_eq!(gate.until("/v1/rival/tea", 200).await.json["by"], "rival");
    assert_eq!(gate.get("/v1/wares/tea").await.json["by"], "shop");
    assert_eq!(gate.get("/healthz").await.json, json!({"status": "ok"}));
    let told = gate.shown("rival")["conflicts"].clone();
    assert_eq!(
        told,
        json!([
            "GET /healthz of rival.v1.Rival/Check is a path of the gateway itself",
            "GET /v1/wares/{ware} of rival.v1.Rival/Peek is served already, as GET /v1/wares/{name} of shop.v1.Shop/Look",
        ])
    );
}

#[tokio::test]
async fn files_and_types_of_the_same_name_mean_in_each_service_what_they_mean_there() {
    // Both stand in `shop.proto`, in the same package.
    let text = |service: &str, path: &str, size: &str| {
        format!(
            r#"package shop;
            service {service} {{ rpc Look(Ware) returns (Ware) {{ option (google.api.http) = {{ get: "{path}" }}; }} }}
            message Ware {{ string name = 1; string by = 2; {size} size = 3; }}"#
        )
    };
    let gate = Gate::open(&["stall", "kiosk"]).await;
    let stall = Shop::open("stall", &text("Stall", "/v1/stall/{name}", "int32")).await;
    let kiosk = Shop::open("kiosk", &text("Kiosk", "/v1/kiosk/{name}", "bool")).await;
    gate.list("stall", &[stall.address]);
    gate.until("/v1/stall/tea", 200).await;

    gate.list("kiosk", &[kiosk.address]);

    assert_eq!(gate.until("/v1/kiosk/tea?size=true", 200).await.json["size"], json!(true));
    assert_eq!(gate.get("/v1/stall/tea?size=3").await.json["size"], json!(3));
    gate.until_told("kiosk", "the type shop.Ware means something else in stall").await;
}

#[tokio::test]
async fn a_rule_that_cannot_be_kept_is_told_and_costs_only_itself() {
    let broken = SHOP.replace("post: \"/v1/wares\"", "post: \"/v1/{nothing}/wares\"");
    let (gate, shop) = (Gate::open(&["shop"]).await, Shop::open("shop", &broken).await);

    gate.list("shop", &[shop.address]);

    gate.until("/v1/wares/tea", 200).await;
    gate.until_told("shop", "nothing").await;
}
