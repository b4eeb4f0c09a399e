//! Lists, page by page.

use e2e::{Shop, all, consumer, place, restaurant, text};
use futures_util::future::join_all;
use serde_json::Value as Json;
use std::collections::{BTreeSet, HashSet};
use testkit::{Comanda, Http};

fn ids(orders: &[Json]) -> Vec<String> {
    orders.iter().map(|order| text(&order["orderId"])).collect()
}

async fn place_many(http: &Http, shop: &Shop, count: usize) -> HashSet<String> {
    join_all((0..count).map(|_| async { place(http, &shop.order()).await })).await.into_iter().collect()
}

#[tokio::test]
async fn pages_are_complete_and_exact_while_orders_come_in() {
    let comanda = Comanda::empty().await;
    let (http, shop) = (comanda.http(), Shop::open(&comanda).await);
    let before = place_many(&http, &shop, 60).await;

    let mut listed = Vec::new();
    let mut token = String::new();
    loop {
        let page = http.get(format!("/v1/orders?page_size=7&page_token={token}")).send().await.expect(200);
        listed.extend(page["orders"].as_array().cloned().unwrap_or_default());
        place_many(&http, &shop, 3).await;
        token = text(&page["nextPageToken"]);
        if token.is_empty() {
            break;
        }
    }

    let listed = ids(&listed);
    assert_eq!(listed.iter().collect::<HashSet<_>>().len(), listed.len(), "an order was listed twice");
    assert_eq!(listed.iter().cloned().collect::<HashSet<_>>(), before);
}

#[tokio::test]
async fn orders_are_listed_newest_first() {
    let comanda = Comanda::empty().await;
    let (http, shop) = (comanda.http(), Shop::open(&comanda).await);
    let mut placed = Vec::new();
    for _ in 0..5 {
        placed.push(place(&http, &shop.order()).await);
    }

    let listed = all(&http, "/v1/orders", "orders").await;

    placed.reverse();
    assert_eq!(ids(&listed), placed);
    assert!(listed.is_sorted_by(|one, other| text(&one["createTime"]) >= text(&other["createTime"])));
}

#[tokio::test]
async fn filters_select() {
    let comanda = Comanda::empty().await;
    let http = comanda.http();
    let one = Shop::open(&comanda).await;
    let suspended = e2e::with(&consumer(), "/state", "SUSPENDED".into());
    let other = Shop::open_with(&http, &restaurant(), &suspended).await;
    let approved = text(&e2e::place_and_wait(&http, &one.order()).await["orderId"]);
    let rejected = text(&e2e::place_and_wait(&http, &other.order()).await["orderId"]);
    let listed = async |filter: String| ids(&all(&http, &format!("/v1/orders?{filter}"), "orders").await).join(" ");

    assert_eq!(listed(format!("consumer_id={}", one.consumer_id)).await, approved);
    assert_eq!(listed(format!("restaurantId={}", other.restaurant_id)).await, rejected);
    assert_eq!(listed("state=APPROVED".to_owned()).await, approved);
    assert_eq!(listed(format!("state=REJECTED&consumer_id={}", other.consumer_id)).await, rejected);
    assert!(listed(format!("state=REJECTED&consumer_id={}", one.consumer_id)).await.is_empty());
    assert!(listed("state=CANCELLED".to_owned()).await.is_empty());
}

#[tokio::test]
async fn a_token_is_of_use_only_with_its_filters() {
    let comanda = Comanda::empty().await;
    let (http, shop) = (comanda.http(), Shop::open(&comanda).await);
    place_many(&http, &shop, 3).await;
    let page = http.get("/v1/orders?page_size=2").send().await.expect(200);
    let token = text(&page["nextPageToken"]);

    let with_filter = http.get(format!("/v1/orders?state=APPROVED&page_token={token}")).send().await;
    let of_another_list = http.get(format!("/v1/consumers?page_token={token}")).send().await;
    let other_size = http.get(format!("/v1/orders?page_size=1&page_token={token}")).send().await;

    assert_eq!((with_filter.status.as_u16(), with_filter.fields()), (400, vec!["pageToken".to_owned()]));
    assert_eq!((of_another_list.status.as_u16(), of_another_list.fields()), (400, vec!["pageToken".to_owned()]));
    assert_eq!(other_size.expect(200)["orders"].as_array().map(Vec::len), Some(1));
}

#[tokio::test]
async fn restaurants_and_consumers_are_listed_once_each() {
    let comanda = Comanda::empty().await;
    let http = comanda.http();
    let made = join_all((0..12).map(|_| Shop::open(&comanda))).await;
    for (path, key, made) in [
        ("/v1/restaurants?pageSize=5", "restaurants", made.iter().map(|shop| shop.restaurant_id.clone()).collect()),
        ("/v1/consumers?pageSize=5", "consumers", made.iter().map(|shop| shop.consumer_id.clone()).collect()),
    ] {
        let mut listed: Vec<String> = Vec::new();
        let mut token = String::new();
        loop {
            let page = http.get(format!("{path}&pageToken={token}")).send().await.expect(200);
            let rows = page[key].as_array().cloned().unwrap_or_default();
            assert!(rows.len() <= 5, "{key}");
            let id = format!("{}Id", key.trim_end_matches('s'));
            listed.extend(rows.iter().map(|row| text(&row[&id])));
            token = text(&page["nextPageToken"]);
            if token.is_empty() {
                break;
            }
        }
        let made: BTreeSet<String> = made;
        assert_eq!((listed.len(), listed.into_iter().collect()), (12, made), "{key}");
    }
}
