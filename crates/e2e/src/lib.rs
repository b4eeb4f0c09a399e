//! The words that the stories about the whole platform share: a shop, an order, and how to see what became of it.

use proto::comanda::order::v1::{Address, CreateOrderLine, CreateOrderRequest};
use serde_json::{Value as Json, json};
use std::time::Duration;
use testkit::{Answer, Comanda, Http, eventually};

/// How long an order may take to be decided when everybody is there; a command that was lost is sent again after 5 s.
pub const DECIDED_WITHIN: Duration = Duration::from_secs(30);
/// Holds the answer to CreateOrder until the order is decided.
pub const PREFER_WAIT: &str = "wait=20";
/// States that an order does not leave.
const DECIDED: [&str; 3] = ["APPROVED", "REJECTED", "CANCELLED"];
/// Rows of a page: small, so that lists have several pages.
const PAGE_SIZE: usize = 100;

/// A restaurant and somebody who orders from it.
#[derive(Debug, Clone)]
pub struct Shop {
    /// The restaurant's id.
    pub restaurant_id: String,
    /// The consumer's id.
    pub consumer_id: String,
}

impl Shop {
    /// Opens a shop with [`restaurant`] and [`consumer`].
    pub async fn open(comanda: &Comanda) -> Self {
        Shop::open_with(&comanda.http(), &restaurant(), &consumer()).await
    }

    /// Opens a shop with this restaurant and this consumer.
    pub async fn open_with(http: &Http, restaurant: &Json, consumer: &Json) -> Self {
        let restaurant = http.post("/v1/restaurants", restaurant).send().await.expect(201);
        let consumer = http.post("/v1/consumers", consumer).send().await.expect(201);
        Shop { restaurant_id: text(&restaurant["restaurantId"]), consumer_id: text(&consumer["consumerId"]) }
    }

    /// An order that is approved: two curries and a naan for 20.85 GBP.
    #[must_use]
    pub fn order(&self) -> Json {
        json!({
            "consumerId": self.consumer_id,
            "restaurantId": self.restaurant_id,
            "lines": [{"menuItemId": "curry", "quantity": 2}, {"menuItemId": "naan", "quantity": 1}],
            "deliveryAddress": {
                "lines": ["1 Brick Lane"], "city": "London", "postalCode": "E1 6QL", "countryCode": "GB",
            },
        })
    }

    /// The same order as a message.
    #[must_use]
    pub fn order_message(&self) -> CreateOrderRequest {
        let line = |id: &str, quantity| CreateOrderLine { menu_item_id: id.to_owned(), quantity };
        CreateOrderRequest {
            consumer_id: self.consumer_id.clone(),
            restaurant_id: self.restaurant_id.clone(),
            lines: vec![line("curry", 2), line("naan", 1)],
            delivery_address: Some(Address {
                lines: vec!["1 Brick Lane".to_owned()],
                city: "London".to_owned(),
                postal_code: "E1 6QL".to_owned(),
                country_code: "GB".to_owned(),
            }),
            request_id: String::new(),
            validate_by: None,
        }
    }
}

/// A restaurant that delivers everywhere at all hours.
#[must_use]
pub fn restaurant() -> Json {
    json!({
        "name": "Taj", "countryCode": "GB", "currencyCode": "GBP", "timeZone": "Europe/London",
        "menu": {"items": [
            {"menuItemId": "curry", "name": "Curry", "category": "Mains", "price": pounds(895)},
            {"menuItemId": "naan", "name": "Naan", "category": "Sides", "price": pounds(295)},
        ]},
    })
}

/// A consumer who may spend any amount.
#[must_use]
pub fn consumer() -> Json {
    json!({"name": "Ada"})
}

/// An amount of money.
#[must_use]
pub fn pounds(pence: i64) -> Json {
    json!({"currencyCode": "GBP", "units": (pence / 100).to_string(), "nanos": pence % 100 * 10_000_000})
}

/// A JSON string as text; empty when it is none.
#[must_use]
pub fn text(json: &Json) -> String {
    json.as_str().unwrap_or_default().to_owned()
}

/// `value` with something else at a path such as `/lines/0/quantity`; null is put there, not left out.
///
/// # Panics
/// When the parent of the path is not there.
#[must_use]
#[track_caller]
pub fn with(value: &Json, path: &str, new: Json) -> Json {
    let mut value = value.clone();
    let (parent, key) = path.rsplit_once('/').expect("a path begins with a slash");
    let parent = value.pointer_mut(parent).unwrap_or_else(|| panic!("{path} has no parent"));
    match (parent, key.parse::<usize>()) {
        (Json::Array(elements), Ok(index)) => elements[index] = new,
        (parent, _) => parent[key] = new,
    }
    value
}

/// Places an order that must be taken; returns its id.
pub async fn place(http: &Http, order: &Json) -> String {
    text(&http.post("/v1/orders", order).send().await.expect(201)["orderId"])
}

/// Places an order that must be taken, and waits for its end; returns the order as it is then.
pub async fn place_and_wait(http: &Http, order: &Json) -> Json {
    let answer: Answer = http.post("/v1/orders", order).header("prefer", PREFER_WAIT).send().await;
    answer.expect(201)
}

/// The order as it is now.
pub async fn order(http: &Http, order_id: &str) -> Json {
    http.get(format!("/v1/orders/{order_id}")).send().await.expect(200)
}

/// The order's journey.
pub async fn journey(http: &Http, order_id: &str) -> Json {
    http.get(format!("/v1/orders/{order_id}/journey")).send().await.expect(200)
}

/// Waits until the order is decided.
pub async fn decided(http: &Http, order_id: &str) -> Json {
    let is_decided = |order: &Json| DECIDED.iter().any(|state| order["state"] == *state);
    eventually(DECIDED_WITHIN, async || {
        let order = order(http, order_id).await;
        if is_decided(&order) { Ok(order) } else { Err(format!("the order is not decided: {order}")) }
    })
    .await
}

/// Waits until the order is in a state.
pub async fn in_state(http: &Http, order_id: &str, state: &str) -> Json {
    eventually(DECIDED_WITHIN, async || {
        let order = order(http, order_id).await;
        if order["state"] == state { Ok(order) } else { Err(format!("the order is not {state}: {order}")) }
    })
    .await
}

/// All rows of a list, over all its pages. `path` may have a query; `key` is the name of the rows.
pub async fn all(http: &Http, path: &str, key: &str) -> Vec<Json> {
    let mut rows = Vec::new();
    let mut token = String::new();
    let separator = if path.contains('?') { '&' } else { '?' };
    loop {
        let page = format!("{path}{separator}pageSize={PAGE_SIZE}&pageToken={token}");
        let page = http.get(page).send().await.expect(200);
        rows.extend(page[key].as_array().cloned().unwrap_or_default());
        token = text(&page["nextPageToken"]);
        if token.is_empty() {
            return rows;
        }
    }
}

/// Waits until as many orders as `count`, and no others, are in this state.
pub async fn all_in_state(http: &Http, state: &str, count: usize) {
    eventually(DECIDED_WITHIN, async || {
        let orders = all(http, "/v1/orders", "orders").await;
        let there = orders.iter().filter(|order| order["state"] == state).count();
        let complaint = || format!("{there} of {} orders are {state}, not {count}", orders.len());
        if (there, orders.len()) == (count, count) { Ok(()) } else { Err(complaint()) }
    })
    .await;
}

/// The codes of an order's rejection, sorted; each must come with a sentence.
///
/// # Panics
/// When a reason has no sentence.
#[must_use]
#[track_caller]
pub fn reasons(order: &Json) -> Vec<String> {
    let reasons = order["rejection"]["reasons"].as_array().cloned().unwrap_or_default();
    assert!(reasons.iter().all(|reason| text(&reason["message"]).ends_with('.')), "{reasons:?}");
    let mut codes: Vec<String> = reasons.iter().map(|reason| text(&reason["code"])).collect();
    codes.sort();
    codes
}

/// Asserts that nothing in the data disagrees, and returns the report.
///
/// # Panics
/// When something does.
pub async fn verified(comanda: &Comanda) -> Json {
    let (code, report) = comanda.verify().await;
    assert_eq!((code, &report["disagreements"]), (Some(0), &json!([])), "{report}");
    report
}
