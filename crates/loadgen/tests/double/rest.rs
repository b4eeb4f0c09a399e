//! The double's REST face, as the contract's annotations make it.

use super::Double;
use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use proto::comanda::order::v1 as pb;
use serde_json::{Value, json};
use tonic::body::Body;
use tonic::{Code, Status};
use tonic_types::StatusExt;

/// Answers one request.
pub(super) async fn answer(double: &Double, request: Request<Incoming>) -> Response<Body> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.expect("the client sends its request whole").to_bytes();
    let path = head.uri.path().to_owned();
    let order_id = path.strip_prefix("/v1/orders/");
    match (&head.method, order_id) {
        (&Method::POST, None) => {
            let key = head.headers.get("idempotency-key").expect("every order has a key");
            let key = key.to_str().expect("keys are ASCII").to_owned();
            one(double.create(&create(&body, key)), StatusCode::CREATED)
        }
        (&Method::GET, Some(order_id)) => match order_id.strip_suffix(":watch") {
            Some(order_id) => {
                let version = head.uri.query().and_then(|it| it.strip_prefix("after_version=")?.parse().ok());
                stream(double.watch(order_id, version.expect("a watch says after which version")))
            }
            None => one(double.ended(order_id), StatusCode::OK),
        },
        _ => one(Err(Status::not_found("no such path")), StatusCode::OK),
    }
}

fn create(body: &Bytes, request_id: String) -> pb::CreateOrderRequest {
    let body: Value = serde_json::from_slice(body).expect("the client sends JSON");
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    let line = |line: &Value| pb::CreateOrderLine {
        menu_item_id: text(&line["menuItemId"]),
        quantity: line["quantity"].as_i64().and_then(|it| it.try_into().ok()).expect("an int32"),
    };
    pb::CreateOrderRequest {
        consumer_id: text(&body["consumerId"]),
        restaurant_id: text(&body["restaurantId"]),
        lines: body["lines"].as_array().expect("lines").iter().map(line).collect(),
        request_id,
        ..pb::CreateOrderRequest::default()
    }
}

fn one(order: Result<pb::Order, Status>, ok: StatusCode) -> Response<Body> {
    match order {
        Ok(order) => respond(ok, "application/json", json(&order).to_string()),
        Err(status) => failed(&status),
    }
}

fn stream(orders: Result<Vec<pb::Order>, Status>) -> Response<Body> {
    match orders {
        Ok(orders) => {
            let event = |order: &pb::Order| format!("id: {}\ndata: {}\n\n", order.version, json(order));
            let events: String = orders.iter().map(event).collect();
            respond(StatusCode::OK, "text/event-stream", format!("{events}event: status\ndata: {{\"code\":0}}\n\n"))
        }
        Err(status) => failed(&status),
    }
}

fn failed(status: &Status) -> Response<Body> {
    let http = match status.code() {
        Code::InvalidArgument => StatusCode::BAD_REQUEST,
        Code::NotFound => StatusCode::NOT_FOUND,
        Code::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        _ => StatusCode::NOT_IMPLEMENTED,
    };
    let delay = status.get_details_retry_info().and_then(|it| it.retry_delay);
    let details = delay.map(|delay| json!({"retryDelay": format!("{}s", delay.as_secs_f64())}));
    let body = json!({"code": i32::from(status.code()), "message": status.message(), "details": details.as_slice()});
    respond(http, "application/json", body.to_string())
}

fn respond(status: StatusCode, content_type: &str, body: String) -> Response<Body> {
    let response = Response::builder().status(status).header("content-type", content_type);
    response.body(Body::new(Full::from(body))).expect("status and header are valid")
}

fn json(order: &pb::Order) -> Value {
    let total = order.order_total.clone().unwrap_or_default();
    let time = |micros: i32| format!("1970-01-01T00:00:01.{micros:06}Z");
    let reasons = order.rejection.iter().flat_map(|it| &it.reasons);
    let reasons = reasons.map(|it| json!({"code": it.code().as_str_name(), "message": it.message}));
    json!({
        "orderId": order.order_id,
        "state": order.state().as_str_name(),
        "version": order.version.to_string(),
        "orderTotal": {"currencyCode": total.currency_code, "units": total.units.to_string(), "nanos": total.nanos},
        "createTime": time(0),
        "updateTime": time(order.update_time.as_ref().map_or(0, |it| it.nanos / 1000)),
        "rejection": {"reasons": reasons.collect::<Vec<_>>()},
    })
}
