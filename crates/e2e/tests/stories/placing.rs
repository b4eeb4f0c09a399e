//! Orders that end well.

use e2e::{PREFER_WAIT, Shop, all, decided, journey, place, place_and_wait, pounds, text};
use serde_json::json;
use testkit::{Comanda, Options, eventually};

#[tokio::test]
async fn a_first_order_is_approved_over_rest() {
    let comanda = Comanda::empty().await;
    let shop = Shop::open(&comanda).await;

    let answer = comanda.http().post("/v1/orders", &shop.order()).header("prefer", PREFER_WAIT).send().await;

    let order = answer.expect(201);
    let path = format!("/v1/orders/{}", text(&order["orderId"]));
    assert_eq!((order["state"].as_str(), order["version"].as_str()), (Some("APPROVED"), Some("4")), "{order}");
    assert_eq!((answer.header("location"), answer.header("preference-applied")), (path.as_str(), PREFER_WAIT));
    assert_eq!(answer.header("content-type"), "application/json");
    assert_eq!((&order["orderTotal"], &order["lines"][0]["lineTotal"]), (&pounds(2085), &pounds(1790)));
    assert_eq!((order["lines"][1]["name"].as_str(), order["menuVersion"].as_str()), (Some("Naan"), Some("1")));
    assert_eq!((&order["rejection"], &order["validateBy"]), (&json!(null), &json!(null)));
    assert_eq!(comanda.http().get(path).send().await.expect(200), order);
    e2e::verified(&comanda).await;
}

#[tokio::test]
async fn an_order_is_answered_before_it_is_decided() {
    let comanda = Comanda::empty().await;
    let shop = Shop::open(&comanda).await;

    let order = comanda.http().post("/v1/orders", &shop.order()).send().await.expect(201);

    assert_eq!((order["state"].as_str(), order["version"].as_str()), (Some("PENDING"), Some("1")), "{order}");
    assert_eq!(decided(&comanda.http(), &text(&order["orderId"])).await["state"], "APPROVED");
}

#[tokio::test]
async fn a_wait_that_is_too_short_answers_with_the_order_as_it_is() {
    let comanda = Comanda::empty().await;
    let shop = Shop::open(&comanda).await;
    comanda.roles_stop("consumer").await;

    let answer = comanda.http().post("/v1/orders", &shop.order()).header("prefer", "wait=1").send().await;

    assert_eq!(answer.expect(201)["state"], "ORDER_DETAILS_VALIDATED");
    assert_eq!(answer.header("preference-applied"), "wait=1");
}

#[tokio::test]
async fn an_approved_order_has_one_ticket_in_the_kitchen() {
    let comanda = Comanda::empty().await;
    let http = comanda.http();
    let shop = Shop::open(&comanda).await;
    let order = place_and_wait(&http, &shop.order()).await;

    let path = format!("/v1/restaurants/{}/tickets", shop.restaurant_id);
    let tickets = all(&http, &path, "tickets").await;

    let [ticket] = tickets.as_slice() else { panic!("{tickets:?}") };
    assert_eq!((&ticket["orderId"], ticket["state"].as_str()), (&order["orderId"], Some("CREATED")));
    let lines = json!([
        {"menuItemId": "curry", "name": "Curry", "quantity": 2}, {"menuItemId": "naan", "name": "Naan", "quantity": 1},
    ]);
    assert_eq!(ticket["lines"], lines);
    let one = http.get(format!("{path}/{}", text(&ticket["ticketId"]))).send().await.expect(200);
    assert_eq!(&one, ticket);
}

#[tokio::test]
async fn a_journey_tells_what_an_order_waits_for() {
    let comanda = Comanda::empty().await;
    let http = comanda.http();
    let shop = Shop::open(&comanda).await;
    comanda.roles_stop("consumer").await;
    let order_id = place(&http, &shop.order()).await;
    e2e::in_state(&http, &order_id, "ORDER_DETAILS_VALIDATED").await;

    let waiting = eventually(e2e::DECIDED_WITHIN, async || {
        let waiting = journey(&http, &order_id).await["waitingFor"].clone();
        if waiting[0]["isPublished"] == true { Ok(waiting) } else { Err(waiting.to_string()) }
    })
    .await;

    assert_eq!(waiting.as_array().map(Vec::len), Some(1), "{waiting}");
    let awaited = &waiting[0];
    assert_eq!((&awaited["service"], &awaited["command"]), (&json!("consumer"), &json!("ValidateConsumerInfo")));
    assert_eq!(awaited["replies"], json!(["ConsumerValidated", "ConsumerValidationFailed"]));
    assert_eq!(awaited["attempts"], 1);
    assert!(text(&awaited["since"]) < text(&awaited["nextAttemptTime"]), "{awaited}");
    let steps = journey(&http, &order_id).await["steps"].clone();
    assert_eq!((&steps[0]["cause"], &steps[1]["cause"]), (&json!("CreateOrder"), &json!("OrderDetailsValidated")));
}

#[tokio::test]
async fn a_journey_that_has_ended_tells_every_step_once() {
    let comanda = Comanda::empty().await;
    let http = comanda.http();
    let order = place_and_wait(&http, &Shop::open(&comanda).await.order()).await;

    let journey = journey(&http, &text(&order["orderId"])).await;

    let steps = journey["steps"].as_array().cloned().unwrap_or_default();
    let versions: Vec<String> = steps.iter().map(|step| text(&step["version"])).collect();
    let mut causes: Vec<String> = steps.iter().map(|step| text(&step["cause"])).collect();
    assert_eq!(versions, ["1", "2", "3", "4"]);
    assert_eq!((causes[0].as_str(), causes[3].as_str()), ("CreateOrder", "TicketCreated"));
    causes[1..3].sort();
    assert_eq!(causes[1..3], ["ConsumerValidated", "OrderDetailsValidated"]);
    assert_eq!(journey["waitingFor"], json!([]));
}

#[tokio::test]
async fn an_order_carries_the_version_of_the_menu_that_priced_it() {
    let comanda = Comanda::empty().await;
    let http = comanda.http();
    let shop = Shop::open(&comanda).await;
    let before = place_and_wait(&http, &shop.order()).await;
    let items = json!({"items": [
        {"menuItemId": "curry", "name": "Curry", "price": pounds(1000)},
        {"menuItemId": "naan", "name": "Naan", "price": pounds(300)},
    ]});
    let path = format!("/v1/restaurants/{}/menu", shop.restaurant_id);
    let revised = http.call(http::Method::PUT, path).json(&items).send().await.expect(200);

    // The Order Service hears of the new menu a little later; an order at the old prices counts until then.
    let after = eventually(e2e::DECIDED_WITHIN, async || {
        let order = place_and_wait(&http, &shop.order()).await;
        assert_eq!(order["state"], "APPROVED", "{order}");
        if order["menuVersion"] == "2" { Ok(order) } else { Err(order.to_string()) }
    })
    .await;

    assert_eq!((&revised["menu"]["version"], &before["menuVersion"]), (&json!("2"), &json!("1")));
    assert_eq!((&before["orderTotal"], &after["orderTotal"]), (&pounds(2085), &pounds(2300)));
}

#[tokio::test]
async fn an_item_may_stand_on_several_lines() {
    let comanda = Comanda::empty().await;
    let shop = Shop::open(&comanda).await;
    let line = json!({"menuItemId": "naan", "quantity": 1});

    let order = e2e::with(&shop.order(), "/lines", json!(vec![line; 500]));
    let order = place_and_wait(&comanda.http(), &order).await;

    assert_eq!((order["state"].as_str(), &order["orderTotal"]), (Some("APPROVED"), &pounds(500 * 295)));
}

#[tokio::test]
async fn the_sample_data_can_be_ordered_at_once() {
    let comanda = Comanda::start(Options { sample_data: true, ..Options::default() }).await;
    let http = comanda.http();
    let restaurants = all(&http, "/v1/restaurants", "restaurants").await;
    let consumers = all(&http, "/v1/consumers", "consumers").await;
    assert_eq!((restaurants.len(), consumers.len()), (1, 2));

    let restaurant_id = text(&restaurants[0]["restaurantId"]);
    let restaurant = http.get(format!("/v1/restaurants/{restaurant_id}")).send().await.expect(200);
    let shop = Shop { restaurant_id, consumer_id: text(&consumers[0]["consumerId"]) };
    let line = json!([{"menuItemId": restaurant["menu"]["items"][0]["menuItemId"], "quantity": 1}]);
    let order = place_and_wait(&http, &e2e::with(&shop.order(), "/lines", line)).await;

    assert_eq!(order["state"], "APPROVED", "{order}");
}
