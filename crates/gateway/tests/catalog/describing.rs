//! Where descriptors come from, and what becomes of those that cannot be had.

use crate::gate::{Gate, from_file, settings, with};
use crate::shop::{Reflects, Shop, set};
use gateway::{CatalogConfig, Config, ReflectionConfig, ServiceConfig};
use std::net::SocketAddr;
use std::path::PathBuf;
use tempfile::TempDir;

pub(crate) const SHOP: &str = r#"package shop.v1;
    service Shop {
        rpc Look(Ware) returns (Ware) { option (google.api.http) = { get: "/v1/wares/{name}" }; }
        rpc Buy(Ware) returns (Ware) { option (google.api.http) = { post: "/v1/wares" body: "*" }; }
    }
    message Ware { string name = 1; string by = 2; int32 units = 3; }"#;

/// A descriptor set and the file that has it, which goes with its folder.
pub(crate) fn on_disk(text: &str) -> (TempDir, PathBuf, Vec<u8>) {
    let (folder, set) = (tempfile::tempdir().unwrap(), set("shop.proto", text));
    let file = folder.path().join("shop.binpb");
    std::fs::write(&file, &set).unwrap();
    (folder, file, set)
}

#[tokio::test]
async fn a_service_is_served_as_its_endpoint_describes_it() {
    let (gate, shop) = (Gate::open(&["shop"]).await, Shop::open("one", SHOP).await);

    gate.list("shop", &[shop.address]);

    let ware = gate.until("/v1/wares/tea?units=3", 200).await.json;
    assert_eq!(ware, serde_json::json!({"name": "tea", "by": "one", "units": 3}));
    assert_eq!(gate.post("/v1/wares", r#"{"name":"tea"}"#).await.json["name"], "tea");
    assert_eq!(gate.post("/v1/wares", r#"{"price":1}"#).await.status, 400);
    let shown = gate.shown("shop");
    assert_eq!((&shown["descriptors"], &shown["state"]), (&"reflection".into(), &"served".into()));
    assert_eq!(
        shown["routes"][0],
        serde_json::json!({"method": "POST", "template": "/v1/wares", "rpc": "shop.v1.Shop/Buy"})
    );
    assert_eq!(shown["endpoints"][0]["address"], shop.address.to_string());
    let added = shown["lastChange"]["added"].to_string();
    assert!(added.contains("GET /v1/wares/{name}") && added.contains("shop.v1.Shop/Look"), "{added}");
}

#[tokio::test]
async fn what_is_served_from_where_is_shown_on_this_machine_and_not_through_a_proxy() {
    let (gate, shop) = (Gate::open(&["shop"]).await, Shop::open("one", SHOP).await);
    gate.list("shop", &[shop.address]);
    gate.until("/v1/wares/tea", 200).await;

    let here = gate.get("/admin/routes").await;
    let through_proxy = gate.get_as("/admin/routes", ("x-forwarded-for", "192.0.2.1")).await;

    assert_eq!((here.status, &here.json["services"][0]["name"]), (200, &"shop".into()));
    assert_eq!((through_proxy.status, &through_proxy.json["code"]), (404, &5.into()));
}

#[tokio::test]
async fn an_endpoint_that_knows_only_the_older_reflection_is_asked_by_that() {
    let (gate, set) = (Gate::open(&["shop"]).await, set("shop.proto", SHOP));
    let shop = Shop::open_as("alpha", &set, Reflects::Alpha).await;

    gate.list("shop", &[shop.address]);

    assert_eq!(gate.until("/v1/wares/tea", 200).await.json["by"], "alpha");
}

#[tokio::test]
async fn an_endpoint_without_reflection_is_told_of_and_never_called() {
    let (gate, set) = (Gate::open(&["shop"]).await, set("shop.proto", SHOP));
    let [mute, speaking] =
        [Shop::open_as("mute", &set, Reflects::Nothing).await, Shop::open_as("speaking", &set, Reflects::V1).await];

    gate.list("shop", &[mute.address]);
    gate.until_told("shop", "it has no reflection").await;
    assert_eq!(gate.get("/v1/wares/tea").await.status, 404);
    assert_eq!(gate.shown("shop")["state"], "not described yet");

    gate.list("shop", &[mute.address, speaking.address]);
    gate.until("/v1/wares/tea", 200).await;
    for _ in 0..20 {
        assert_eq!(gate.get("/v1/wares/tea").await.json["by"], "speaking");
    }
    assert_eq!(mute.calls(), 0);
}

#[tokio::test]
async fn a_descriptor_file_needs_no_reflection_and_is_served_before_anybody_is_there() {
    let (_folder, file, set) = on_disk(SHOP);
    let gate = Gate::open_with(with(from_file(file.clone())), &["shop"]).await.unwrap();
    assert_eq!(gate.get("/v1/wares/tea").await.status, 503);
    let shop = Shop::open_as("one", &set, Reflects::Nothing).await;

    gate.list("shop", &[shop.address]);

    assert_eq!(gate.until("/v1/wares/tea", 200).await.json["by"], "one");
    assert_eq!(gate.get("/v1/wares/tea?price=1").await.status, 400);
    assert_eq!(gate.shown("shop")["descriptors"], file.display().to_string());
}

#[tokio::test]
async fn a_lenient_service_ignores_what_it_does_not_know() {
    let (_folder, file, set) = on_disk(SHOP);
    let lenient = ServiceConfig { strict: false, ..from_file(file) };
    let gate = Gate::open_with(with(lenient), &["shop"]).await.unwrap();
    let shop = Shop::open_as("one", &set, Reflects::Nothing).await;

    gate.list("shop", &[shop.address]);

    gate.until("/v1/wares/tea?price=1", 200).await;
}

#[tokio::test]
async fn the_name_of_an_enum_is_left_out_of_the_names_of_its_values_where_that_is_wanted() {
    let text = r#"package shop.v1;
        service Shop { rpc Look(Ware) returns (Ware) { option (google.api.http) = { get: "/v1/wares/{kind}" }; } }
        message Ware { Kind kind = 1; string by = 2; }
        enum Kind { KIND_UNSPECIFIED = 0; KIND_TEA = 1; }"#;
    let (_folder, file, set) = on_disk(text);
    let short = ServiceConfig { strip_enum_prefix: true, ..from_file(file) };
    let gate = Gate::open_with(with(short), &["shop"]).await.unwrap();
    let shop = Shop::open_as("one", &set, Reflects::Nothing).await;

    gate.list("shop", &[shop.address]);

    assert_eq!(gate.until("/v1/wares/TEA", 200).await.json["kind"], "TEA");
    assert_eq!(gate.get("/v1/wares/KIND_TEA").await.json["kind"], "TEA");
}

#[tokio::test]
async fn a_descriptor_file_that_cannot_be_used_is_named_at_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("shop.binpb");

    let missing = Gate::open_with(with(from_file(file.clone())), &["shop"]).await.err().unwrap().to_string();
    std::fs::write(&file, "no descriptors").unwrap();
    let broken = Gate::open_with(with(from_file(file.clone())), &["shop"]).await.err().unwrap().to_string();

    assert_eq!(missing, format!("failed to use the descriptors of the service shop, {}", file.display()));
    assert_eq!(broken, missing);
}

#[tokio::test]
async fn what_an_endpoint_may_say_is_bounded() {
    for (limits, told) in [
        (ReflectionConfig { bytes_max: 300, ..settings().catalog.reflection }, "larger than 300 bytes"),
        (ReflectionConfig { files_max: 2, ..settings().catalog.reflection }, "more than 2 files"),
    ] {
        let config = Config { catalog: CatalogConfig { reflection: limits, ..settings().catalog }, ..settings() };
        let (gate, shop) = (Gate::open_with(config, &["shop"]).await.unwrap(), Shop::open("one", SHOP).await);

        gate.list("shop", &[shop.address]);

        gate.until_told("shop", told).await;
        assert_eq!(gate.get("/v1/wares/tea").await.status, 404);
    }
}

#[tokio::test]
async fn an_endpoint_that_never_answers_holds_up_nobody() {
    let reflection = ReflectionConfig { timeout_ms: 100, ..settings().catalog.reflection };
    let config = Config { catalog: CatalogConfig { reflection, ..settings().catalog }, ..settings() };
    let (gate, shop) = (Gate::open_with(config, &["shop"]).await.unwrap(), Shop::open("one", SHOP).await);
    let silent = std::net::TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();

    gate.list("shop", &[silent.local_addr().unwrap(), shop.address]);

    gate.until("/v1/wares/tea", 200).await;
    gate.until_told("shop", "did not answer within 100ms").await;
}
