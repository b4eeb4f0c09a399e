//! Real menus are imported and real orders replayed, against a platform that runs.

use e2e::{all, text};
use iso_currency::Currency;
use loadgen::replay::{Options, Protocol};
use serde_json::Value as Json;
use std::collections::BTreeMap;
use std::time::Duration;
use testkit::{Comanda, Finished, command_line, require};

/// Orders of a replay: enough for each kind of line in the file.
const ORDERS: usize = 200;

async fn import(comanda: &Comanda, file: &std::path::Path, more: &[&str]) -> Finished {
    let file = file.to_string_lossy();
    command_line(&[&["import", "menu", &file, "--target", comanda.url()], more].concat()).await
}

async fn restaurants(comanda: &Comanda) -> Vec<Json> {
    all(&comanda.http(), "/v1/restaurants", "restaurants").await
}

async fn menu(comanda: &Comanda, restaurant: &Json) -> Json {
    let path = format!("/v1/restaurants/{}", text(&restaurant["restaurantId"]));
    comanda.http().get(path).send().await.expect(200)["menu"].clone()
}

/// The id and the menu's version of each restaurant, by name.
async fn known(comanda: &Comanda) -> BTreeMap<String, (String, String)> {
    let row = |it: &Json| (text(&it["name"]), (text(&it["restaurantId"]), text(&it["menu"]["version"])));
    restaurants(comanda).await.iter().map(row).collect()
}

#[tokio::test]
async fn a_menu_of_one_restaurant_becomes_one_restaurant() {
    let Some(file) = require("data/restaurant-1-products-price.csv") else { return };
    let comanda = Comanda::empty().await;

    let done = import(&comanda, &file, &["--restaurant-name", "Taj"]).await;

    assert_eq!(done.code, Some(0), "{done:?}");
    let [restaurant] = &restaurants(&comanda).await[..] else { panic!("not one restaurant") };
    let items = menu(&comanda, restaurant).await["items"].clone();
    assert_eq!((text(&restaurant["name"]).as_str(), text(&restaurant["currencyCode"]).as_str()), ("Taj", "GBP"));
    assert_eq!(items.as_array().map(Vec::len), Some(248));
}

#[tokio::test]
async fn menus_of_several_restaurants_keep_their_ids_when_they_are_imported_again() {
    let Some(file) = require("data/restaurant-menus.csv") else { return };
    let comanda = Comanda::empty().await;

    let first = import(&comanda, &file, &["--currency", "USD"]).await;
    let before = known(&comanda).await;
    let ids_before = item_ids(&comanda).await;
    let second = import(&comanda, &file, &["--currency", "USD"]).await;
    let after = known(&comanda).await;

    assert_eq!((before.len(), after.len()), (21, 21), "{}", first.stdout);
    // Lines of the file that cannot be used are told, with the exit code 1, and keep no other line out.
    for done in [&first, &second] {
        let is_whole = !done.stdout.lines().any(|line| line.starts_with("line "));
        assert_eq!(done.code, Some(i32::from(!is_whole)), "{done:?}");
    }
    assert!(before.values().all(|(_, version)| version == "1"), "{before:?}");
    assert!(after.values().all(|(_, version)| version == "2"), "{after:?}");
    let ids = |known: &BTreeMap<String, (String, String)>| -> BTreeMap<String, String> {
        known.iter().map(|(name, (id, _))| (name.clone(), id.clone())).collect()
    };
    assert_eq!(ids(&before), ids(&after));
    assert_eq!(ids_before, item_ids(&comanda).await);
}

/// The ids of all items of all restaurants.
async fn item_ids(comanda: &Comanda) -> BTreeMap<String, Vec<String>> {
    let mut ids = BTreeMap::new();
    for restaurant in restaurants(comanda).await {
        let items = menu(comanda, &restaurant).await["items"].as_array().cloned().unwrap_or_default();
        ids.insert(text(&restaurant["restaurantId"]), items.iter().map(|item| text(&item["menuItemId"])).collect());
    }
    ids
}

#[tokio::test]
async fn lines_that_cannot_be_used_are_named_and_the_others_imported() {
    let comanda = Comanda::empty().await;
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("taj.csv");
    let lines = "Item Name,Product Price\nCurry,8.95\nNaan,free\n\nTea,-1\nRice,2.955\nLassi,3.5\nwater\n";
    std::fs::write(&file, lines).expect("the folder is writable");

    let done = import(&comanda, &file, &[]).await;

    assert_eq!(done.code, Some(1), "{done:?}");
    for line in ["line 3:", "line 5:", "line 6:", "line 8:"] {
        assert!(done.stdout.contains(line), "{line} is not told: {}", done.stdout);
    }
    let [restaurant] = &restaurants(&comanda).await[..] else { panic!("not one restaurant") };
    assert_eq!(restaurant["name"], "taj");
    let menu = menu(&comanda, restaurant).await;
    let names: Vec<String> = menu["items"].as_array().into_iter().flatten().map(|item| text(&item["name"])).collect();
    assert_eq!(names, ["Curry", "Lassi"]);
}

#[tokio::test]
async fn what_cannot_be_imported_is_told_and_changes_nothing() {
    let comanda = Comanda::empty().await;
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("taj.csv");
    for (lines, complaint) in [("Dish,Cost\nCurry,8\n", "columns"), ("Item Name,Product Price\nCurry,free\n", "line 2")]
    {
        std::fs::write(&file, lines).expect("the folder is writable");
        let done = import(&comanda, &file, &[]).await;
        assert!(done.code == Some(1) && done.stderr.contains(complaint), "{done:?}");
    }
    let missing = import(&comanda, &folder.path().join("raj.csv"), &[]).await;
    assert!(missing.code == Some(1) && missing.stderr.contains("raj.csv"), "{missing:?}");
    let currency = import(&comanda, &file, &["--currency", "pounds"]).await;
    assert!(currency.code == Some(1) && currency.stderr.contains("ISO 4217"), "{currency:?}");

    assert!(restaurants(&comanda).await.is_empty());
}

/// Replays the first orders of the file; all must be approved, at the total that the menu gives.
async fn replay(protocol: Protocol) {
    let (Some(menu), Some(orders)) =
        (require("data/restaurant-1-products-price.csv"), require("data/restaurant-1-orders.csv"))
    else {
        return;
    };
    let comanda = Comanda::empty().await;
    let options = Options {
        menu,
        orders,
        target: comanda.url().to_owned(),
        protocol,
        concurrency: 16,
        retry_for: Duration::from_secs(10),
        limit: Some(ORDERS),
        currency: Currency::GBP,
        consumers: 10,
        decide_timeout: e2e::DECIDED_WITHIN,
    };

    let report = loadgen::replay::run(&options).await.expect("the replay can be made");

    assert!(report.is_right(), "{report}");
    assert_eq!((report.approved, report.missing, report.unexpected, report.retried), (ORDERS as u64, 0, 0, 0));
    assert_eq!(e2e::verified(&comanda).await["orders"], ORDERS);
}

#[tokio::test]
async fn real_orders_are_all_approved_over_rest() {
    replay(Protocol::Rest).await;
}

#[tokio::test]
async fn real_orders_are_all_approved_over_grpc() {
    replay(Protocol::Grpc).await;
}
