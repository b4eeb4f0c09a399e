//! Following one order: every version once, in order, and no more.

use e2e::{Shop, in_state, place, place_and_wait, text};
use http::HeaderValue;
use proto::comanda::order::v1::WatchOrderRequest;
use proto::comanda::order::v1::order::State;
use serde_json::json;
use testkit::{Comanda, Event, Http, Stream};
use tokio_stream::StreamExt;

async fn watch(http: &Http, order_id: &str, after: Option<&str>) -> Stream {
    let call = http.get(format!("/v1/orders/{order_id}:watch")).header("accept", "text/event-stream");
    let call = after.into_iter().fold(call, |call, id| call.header("last-event-id", id));
    call.stream().await
}

/// The versions of these events, each of which must also be its id; the last event says that the stream ended well.
#[track_caller]
fn versions(events: &[Event]) -> Vec<&str> {
    let Some((last, events)) = events.split_last() else { return Vec::new() };
    assert_eq!((last.name.as_str(), last.json()["code"].as_i64()), ("status", Some(0)), "{last:?}");
    for event in events {
        assert_eq!(event.json()["version"], event.id, "{event:?}");
    }
    events.iter().map(|event| event.id.as_str()).collect()
}

#[tokio::test]
async fn every_version_is_seen_once_in_order() {
    let comanda = Comanda::empty().await;
    let (http, shop) = (comanda.http(), Shop::open(&comanda).await);
    let order_id = place(&http, &shop.order()).await;

    let mut stream = watch(&http, &order_id, None).await;
    let events = stream.events().await;

    assert_eq!(
        (stream.status.as_u16(), &stream.headers["content-type"]),
        (200, &HeaderValue::from_static("text/event-stream"))
    );
    assert_eq!(versions(&events), ["1", "2", "3", "4"]);
    let states: Vec<String> = events.iter().map(|event| text(&event.json()["state"])).collect();
    assert_eq!((states[0].as_str(), states[2].as_str(), states[3].as_str()), ("PENDING", "VALIDATED", "APPROVED"));
}

#[tokio::test]
async fn a_watcher_that_comes_back_goes_on_where_it_was() {
    let comanda = Comanda::empty().await;
    let (http, shop) = (comanda.http(), Shop::open(&comanda).await);
    comanda.roles_stop("consumer").await;
    let order_id = place(&http, &shop.order()).await;
    in_state(&http, &order_id, "ORDER_DETAILS_VALIDATED").await;
    let mut lost = watch(&http, &order_id, None).await;
    let first = lost.next_event().await.expect("the first version");
    let second = lost.next_event().await.expect("the second version");
    drop(lost);
    comanda.roles_start("consumer").await;

    let after = watch(&http, &order_id, Some(&second.id)).await.events().await;

    assert_eq!((first.id.as_str(), second.id.as_str()), ("1", "2"));
    assert_eq!(versions(&after), ["3", "4"]);
}

#[tokio::test]
async fn a_watcher_goes_on_where_it_was_though_the_platform_was_killed() {
    let mut comanda = Comanda::empty().await;
    let shop = Shop::open(&comanda).await;
    comanda.roles_stop("consumer").await;
    let order_id = place(&comanda.http(), &shop.order()).await;
    in_state(&comanda.http(), &order_id, "ORDER_DETAILS_VALIDATED").await;
    let mut lost = watch(&comanda.http(), &order_id, Some("1")).await;
    assert_eq!(lost.next_event().await.map(|event| event.id), Some("2".to_owned()));
    comanda.kill9();
    comanda.restart().await;

    let after = watch(&comanda.http(), &order_id, Some("2")).await.events().await;

    assert_eq!(versions(&after), ["3", "4"]);
}

#[tokio::test]
async fn a_watcher_who_has_seen_all_is_told_not_to_come_again() {
    let comanda = Comanda::empty().await;
    let http = comanda.http();
    let order = place_and_wait(&http, &Shop::open(&comanda).await.order()).await;
    let order_id = text(&order["orderId"]);

    let nothing_left = watch(&http, &order_id, Some("4")).await;
    let beyond = watch(&http, &order_id, Some("1000")).await;
    let one_left = watch(&http, &order_id, Some("3")).await.events().await;

    assert_eq!((nothing_left.status.as_u16(), beyond.status.as_u16()), (204, 204));
    assert_eq!(versions(&one_left), ["4"]);
}

#[tokio::test]
async fn a_change_that_happens_during_the_watch_is_seen() {
    let comanda = Comanda::empty().await;
    let (http, shop) = (comanda.http(), Shop::open(&comanda).await);
    comanda.roles_stop("consumer").await;
    let order_id = place(&http, &shop.order()).await;
    let mut stream = watch(&http, &order_id, None).await;
    let first = stream.next_event().await.expect("the first version");

    http.post(format!("/v1/orders/{order_id}:cancel"), &json!({})).send().await.expect(200);
    let rest = stream.events().await;

    assert_eq!(first.id, "1");
    let seen = versions(&rest);
    assert!(seen.is_sorted() && seen.first() == Some(&"2"), "{seen:?}");
    assert_eq!(rest[seen.len() - 1].json()["state"], "CANCELLED");
}

#[tokio::test]
async fn lines_of_json_tell_the_same() {
    let comanda = Comanda::empty().await;
    let (http, shop) = (comanda.http(), Shop::open(&comanda).await);
    let order_id = place(&http, &shop.order()).await;

    let call = http.get(format!("/v1/orders/{order_id}:watch")).header("accept", "application/x-ndjson");
    let mut stream = call.stream().await;

    let mut versions = Vec::new();
    while let Some(line) = stream.next_line().await {
        let order: serde_json::Value = serde_json::from_str(&line).expect("a line is JSON");
        versions.push(text(&order["version"]));
    }
    assert_eq!(stream.headers["content-type"], "application/x-ndjson");
    assert_eq!(versions, ["1", "2", "3", "4"]);
}

#[tokio::test]
async fn a_watch_over_grpc_tells_the_same() {
    let comanda = Comanda::empty().await;
    let (http, shop) = (comanda.http(), Shop::open(&comanda).await);
    let order_id = place(&http, &shop.order()).await;
    let mut orders = comanda.rpc().orders;

    let request = WatchOrderRequest { order_id: order_id.clone(), after_version: 0 };
    let stream = orders.watch_order(request).await.expect("a stream").into_inner();
    let seen: Vec<_> = stream.map(|order| order.expect("an order")).map(|it| (it.version, it.state())).collect().await;
    let rest = orders.watch_order(WatchOrderRequest { order_id, after_version: 3 }).await.expect("a stream");
    let rest: Vec<_> = rest.into_inner().map(|order| order.expect("an order").version).collect().await;

    let versions: Vec<i64> = seen.iter().map(|(version, _)| *version).collect();
    assert_eq!((versions, seen.last().map(|(_, state)| *state)), (vec![1, 2, 3, 4], Some(State::Approved)));
    assert_eq!(rest, [4]);
}

#[tokio::test]
async fn an_order_that_does_not_exist_cannot_be_watched() {
    let comanda = Comanda::empty().await;

    let answer = comanda.http().get("/v1/orders/0199d2a4-6c00-7000-8000-000000000001:watch").send().await;

    assert_eq!((answer.status.as_u16(), answer.reason().as_str()), (404, "ORDER_UNKNOWN"));
}
