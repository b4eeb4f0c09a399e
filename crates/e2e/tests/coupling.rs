//! Loose coupling: with other services away orders are still taken, and all are decided when those are back, however long that takes.

use e2e::{Shop, all, all_in_state, journey, place, text, verified};
use futures_util::future::join_all;
use serde_json::json;
use std::collections::HashSet;
use testkit::{Comanda, Http, eventually};

/// Orders that are taken during an outage: enough that relays and handlers work in batches.
const ORDERS: usize = 100;

async fn place_all(http: &Http, shop: &Shop) -> HashSet<String> {
    join_all((0..ORDERS).map(|_| async { place(http, &shop.order()).await })).await.into_iter().collect()
}

/// All orders end approved, each by four steps and with one ticket, and everything agrees.
async fn all_are_approved_once(comanda: &Comanda, shop: &Shop, placed: &HashSet<String>) {
    let http = comanda.http();
    all_in_state(&http, "APPROVED", placed.len()).await;
    for order_id in placed {
        let journey = journey(&http, order_id).await;
        assert_eq!(journey["steps"].as_array().map(Vec::len), Some(4), "{journey}");
        assert_eq!(journey["waitingFor"], json!([]), "{journey}");
    }
    let tickets = all(&http, &format!("/v1/restaurants/{}/tickets", shop.restaurant_id), "tickets").await;
    let of: HashSet<String> = tickets.iter().map(|ticket| text(&ticket["orderId"])).collect();
    assert_eq!((tickets.len(), &of), (placed.len(), placed));
    let report = verified(comanda).await;
    assert_eq!(report["by_state"], json!({"APPROVED": placed.len()}));
}

/// Runs without `away` while orders are taken, which then all wait in `state`; and with everybody afterwards.
async fn check(away: &[&str], state: &str) {
    let mut comanda = Comanda::empty().await;
    let shop = Shop::open(&comanda).await;
    // The Order Service must know of the restaurant before it is left alone.
    assert_eq!(e2e::place_and_wait(&comanda.http(), &shop.order()).await["state"], "APPROVED");
    let roles = ["gateway", "order", "consumer", "restaurant"];
    let there: Vec<_> = roles.into_iter().filter(|role| !away.contains(role)).collect();
    comanda.restart_with_roles(&there).await;

    let mut placed = place_all(&comanda.http(), &shop).await;
    let first = eventually(e2e::DECIDED_WITHIN, async || {
        let orders = all(&comanda.http(), "/v1/orders", "orders").await;
        let (waiting, other): (Vec<_>, Vec<_>) = orders.into_iter().partition(|order| order["state"] == state);
        if waiting.len() == ORDERS { Ok(other) } else { Err(format!("only {} are {state}", waiting.len())) }
    })
    .await;
    assert_eq!(first.len(), 1, "{first:?}");
    placed.extend(first.iter().map(|order| text(&order["orderId"])));
    verified(&comanda).await;

    comanda.restart_with_roles(&[]).await;
    all_are_approved_once(&comanda, &shop, &placed).await;
}

#[tokio::test]
async fn without_the_consumer_service_orders_are_taken_and_decided_when_it_is_back() {
    check(&["consumer"], "ORDER_DETAILS_VALIDATED").await;
}

#[tokio::test]
async fn without_the_restaurant_service_orders_are_taken_and_decided_when_it_is_back() {
    check(&["restaurant"], "CONSUMER_VALIDATED").await;
}

#[tokio::test]
async fn without_both_services_orders_are_taken_and_decided_when_they_are_back() {
    check(&["consumer", "restaurant"], "PENDING").await;
}

#[tokio::test]
async fn roles_that_are_stopped_and_started_live_lose_nothing() {
    let comanda = Comanda::empty().await;
    let (http, shop) = (comanda.http(), Shop::open(&comanda).await);
    let mut placed = HashSet::new();
    for (away, state) in [
        (&["consumer"][..], "ORDER_DETAILS_VALIDATED"),
        (&["restaurant"][..], "CONSUMER_VALIDATED"),
        (&["consumer", "restaurant"][..], "PENDING"),
    ] {
        for role in away {
            comanda.roles_stop(role).await;
        }
        let order_id = place(&http, &shop.order()).await;
        e2e::in_state(&http, &order_id, state).await;
        placed.insert(order_id);
        for role in away {
            comanda.roles_start(role).await;
        }
        all_in_state(&http, "APPROVED", placed.len()).await;
    }

    all_are_approved_once(&comanda, &shop, &placed).await;
}

#[tokio::test]
async fn roles_that_come_and_go_while_orders_come_in_lose_nothing() {
    let comanda = Comanda::empty().await;
    let (http, shop) = (comanda.http(), Shop::open(&comanda).await);

    let coming_and_going = async {
        for role in ["consumer", "restaurant", "consumer"] {
            comanda.roles_stop(role).await;
            comanda.roles_start(role).await;
        }
    };
    let placing = async {
        let mut placed = HashSet::new();
        for _ in 0..3 {
            placed.extend(place_all(&http, &shop).await);
        }
        placed
    };
    let (placed, ()) = futures_util::future::join(placing, coming_and_going).await;

    assert_eq!(placed.len(), 3 * ORDERS);
    all_are_approved_once(&comanda, &shop, &placed).await;
}

#[tokio::test]
async fn without_the_order_service_the_caller_is_told_when_to_come_again() {
    let comanda = Comanda::empty().await;
    let (http, shop) = (comanda.http(), Shop::open(&comanda).await);
    comanda.roles_stop("order").await;

    let refused = http.post("/v1/orders", &shop.order()).send().await;
    let over_grpc = comanda.rpc().orders.create_order(shop.order_message()).await.expect_err("nobody is there");
    comanda.roles_start("order").await;

    assert_eq!((refused.status.as_u16(), refused.reason().as_str()), (503, "SERVICE_UNAVAILABLE"));
    assert!(refused.header("retry-after").parse::<u64>().is_ok_and(|seconds| seconds >= 1), "{refused:?}");
    assert_eq!(refused.detail("ErrorInfo")["metadata"]["service"], "order");
    assert!(!refused.detail("RetryInfo")["retryDelay"].is_null());
    assert_eq!(over_grpc.code(), tonic::Code::Unavailable);
    assert_eq!(e2e::place_and_wait(&http, &shop.order()).await["state"], "APPROVED");
}

#[tokio::test]
async fn orders_that_were_taken_are_decided_though_the_order_service_was_away_when_replies_came() {
    let comanda = Comanda::empty().await;
    let (http, shop) = (comanda.http(), Shop::open(&comanda).await);
    comanda.roles_stop("consumer").await;
    comanda.roles_stop("restaurant").await;
    let placed = place_all(&http, &shop).await;
    all_published(&http, &placed).await;
    comanda.roles_stop("order").await;

    comanda.roles_start("restaurant").await;
    comanda.roles_start("consumer").await;
    comanda.roles_start("order").await;

    all_are_approved_once(&comanda, &shop, &placed).await;
}

/// Waits until every command has left the outbox.
async fn all_published(http: &Http, placed: &HashSet<String>) {
    for order_id in placed {
        eventually(e2e::DECIDED_WITHIN, async || {
            let waiting = journey(http, order_id).await["waitingFor"].as_array().cloned().unwrap_or_default();
            let is_published = waiting.iter().all(|awaited| awaited["isPublished"] == true);
            if is_published { Ok(()) } else { Err(format!("{waiting:?}")) }
        })
        .await;
    }
}

#[tokio::test]
async fn a_gateway_that_is_started_again_is_where_it_was() {
    let comanda = Comanda::empty().await;
    let (http, shop) = (comanda.http(), Shop::open(&comanda).await);
    comanda.roles_stop("gateway").await;
    let away = http.get("/healthz").try_send().await;
    comanda.roles_start("gateway").await;

    assert!(away.is_err(), "{away:?}");
    assert_eq!(e2e::place_and_wait(&http, &shop.order()).await["state"], "APPROVED");
}
