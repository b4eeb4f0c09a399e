//! The JSON forms of the Order Service (proto3 JSON mapping), as far as a client of this kind needs them.

use super::{Failure, Seen};
use iso_currency::Currency;
use jiff::Timestamp;
use proto::Amount;
use proto::comanda::order::v1::CreateOrderRequest;
use proto::comanda::order::v1::order::State;
use proto::google::r#type::Money as WireMoney;
use proto::time::Instant;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::time::Duration;
use tonic::Code;

/// Characters of an answer that a message quotes at most: two lines of a terminal.
const QUOTED_MAX: usize = 200;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Create<'a> {
    consumer_id: &'a str,
    restaurant_id: &'a str,
    lines: Vec<CreateLine<'a>>,
    delivery_address: Option<CreateAddress<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct CreateLine<'a> {
    menu_item_id: &'a str,
    quantity: i32,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct CreateAddress<'a> {
    lines: &'a [String],
    city: &'a str,
    postal_code: &'a str,
    country_code: &'a str,
}

/// The body that places an order; its key goes into a header.
pub(super) fn create(request: &CreateOrderRequest) -> Vec<u8> {
    let body = Create {
        consumer_id: &request.consumer_id,
        restaurant_id: &request.restaurant_id,
        lines: request
            .lines
            .iter()
            .map(|it| CreateLine { menu_item_id: &it.menu_item_id, quantity: it.quantity })
            .collect(),
        delivery_address: request.delivery_address.as_ref().map(|it| CreateAddress {
            lines: &it.lines,
            city: &it.city,
            postal_code: &it.postal_code,
            country_code: &it.country_code,
        }),
    };
    serde_json::to_vec(&body).expect("texts and numbers always have a JSON form")
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Order {
    order_id: String,
    #[serde(default)]
    state: String,
    version: Option<Int64>,
    order_total: Option<Money>,
    create_time: Option<String>,
    update_time: Option<String>,
    rejection: Option<Rejection>,
}

#[derive(Deserialize)]
struct Rejection {
    #[serde(default)]
    reasons: Vec<Reason>,
}

#[derive(Deserialize)]
struct Reason {
    #[serde(default)]
    code: String,
    #[serde(default)]
    message: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Money {
    #[serde(default)]
    currency_code: String,
    units: Option<Int64>,
    #[serde(default)]
    nanos: i32,
}

/// proto3 JSON writes 64 bits as a string and lets them be read from a number too.
#[derive(Deserialize)]
#[serde(untagged)]
enum Int64 {
    Text(String),
    Number(i64),
}

impl Int64 {
    fn read(it: Option<Self>) -> Option<i64> {
        match it {
            None => Some(0),
            Some(Int64::Number(number)) => Some(number),
            Some(Int64::Text(text)) => text.parse().ok(),
        }
    }
}

/// Reads an order.
pub(super) fn order(bytes: &[u8]) -> Result<Seen, Failure> {
    let order: Order = serde_json::from_slice(bytes)
        .map_err(|error| Failure::last(format!("the answer is no order ({error}): {}", quoted(bytes))))?;
    let reasons = order.rejection.map(|it| it.reasons).unwrap_or_default();
    Ok(Seen {
        order_id: order.order_id,
        state: State::from_str_name(&order.state).unwrap_or(State::Unspecified),
        version: Int64::read(order.version).unwrap_or(0),
        total: order.order_total.and_then(amount),
        created: order.create_time.as_deref().and_then(instant),
        updated: order.update_time.as_deref().and_then(instant),
        reasons: reasons.into_iter().map(|it| format!("{}: {}", it.code, it.message)).collect(),
    })
}

fn instant(text: &str) -> Option<Instant> {
    text.parse::<Timestamp>().ok().map(|it| Instant(it.as_microsecond()))
}

fn amount(money: Money) -> Option<Amount> {
    Currency::from_code(&money.currency_code)?;
    let units = Int64::read(money.units)?;
    let wire = WireMoney { currency_code: money.currency_code, units, nanos: money.nanos };
    Amount::parse("orderTotal", Some(&wire)).ok()
}

/// What a `google.rpc.Status` says; `None` when it says that all is well, transient when it says UNAVAILABLE.
pub(super) fn error(bytes: &[u8]) -> Option<Failure> {
    let Ok(status) = serde_json::from_slice::<Value>(bytes) else { return Some(Failure::last(quoted(bytes))) };
    let code = status.get("code").and_then(Value::as_i64);
    if code == Some(i64::from(i32::from(Code::Ok))) {
        return None;
    }
    let details = status.get("details").and_then(Value::as_array);
    let delay = details.into_iter().flatten().find_map(|detail| detail.get("retryDelay")?.as_str());
    let seconds = delay.and_then(|delay| delay.strip_suffix('s')?.parse().ok());
    Some(Failure {
        is_transient: code == Some(i64::from(i32::from(Code::Unavailable))),
        asked_for: seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok()),
        text: status.get("message").and_then(Value::as_str).map_or_else(|| quoted(bytes), str::to_owned),
    })
}

fn quoted(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).chars().take(QUOTED_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::delivery_address;
    use proto::comanda::order::v1::CreateOrderLine;

    #[test]
    fn an_order_is_placed_as_the_contract_writes_it() {
        let request = CreateOrderRequest {
            consumer_id: "c".to_owned(),
            restaurant_id: "r".to_owned(),
            lines: vec![CreateOrderLine { menu_item_id: "naan".to_owned(), quantity: 2 }],
            delivery_address: Some(delivery_address()),
            request_id: "key".to_owned(),
            validate_by: None,
        };

        assert_eq!(
            String::from_utf8(create(&request)).unwrap(),
            r#"{"consumerId":"c","restaurantId":"r","lines":[{"menuItemId":"naan","quantity":2}],"deliveryAddress":{"lines":["1 Brick Lane"],"city":"London","postalCode":"E1 6AN","countryCode":"GB"}}"#
        );
    }

    #[test]
    fn an_order_is_read_as_the_contract_writes_it() {
        let text = r#"{"orderId":"o","state":"REJECTED","version":"3","orderTotal":{"currencyCode":"GBP","units":"12",
            "nanos":950000000},"createTime":"2026-01-31T18:30:00.250Z","updateTime":"2026-01-31T18:30:01Z",
            "rejection":{"reasons":[{"code":"RESTAURANT_CLOSED","message":"It is closed."}]},"lines":[]}"#;

        let seen = order(text.as_bytes()).unwrap();

        assert_eq!((seen.order_id.as_str(), seen.state, seen.version), ("o", State::Rejected, 3));
        assert_eq!(seen.total, Some(Amount::new(1295, Currency::GBP)));
        assert_eq!(seen.updated.unwrap().since(seen.created.unwrap()), Duration::from_millis(750));
        assert_eq!(seen.reasons, ["RESTAURANT_CLOSED: It is closed."]);
    }

    #[test]
    fn fields_that_json_leaves_out_are_zero() {
        let seen =
            order(br#"{"orderId":"o","state":"PENDING","version":1,"orderTotal":{"currencyCode":"GBP"}}"#).unwrap();

        assert_eq!((seen.version, seen.total), (1, Some(Amount::new(0, Currency::GBP))));
        assert!(!order(b"<html>").unwrap_err().is_transient);
    }

    #[test]
    fn an_error_says_when_to_come_back() {
        let text = r#"{"code":14,"message":"the replica is being built","details":[{"@type":"t","reason":"x"},
            {"@type":"type.googleapis.com/google.rpc.RetryInfo","retryDelay":"1.500s"}]}"#;

        let asked_for = Some(Duration::from_millis(1500));
        let text_of_it = "the replica is being built".to_owned();
        assert_eq!(error(text.as_bytes()), Some(Failure { is_transient: true, asked_for, text: text_of_it }));
        assert_eq!(error(b"Bad Gateway"), Some(Failure::last("Bad Gateway")));
        assert_eq!(error(br#"{"code":3,"message":"no"}"#), Some(Failure::last("no")));
        assert_eq!(error(br#"{"code":0}"#), None);
    }
}
