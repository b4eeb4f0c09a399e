//! Who may do what with Comanda, and how often, over each protocol of the public port.

use crate::harness::{Answer, ORDERS, Port};
use crate::logged::logged;
use ::guard::{Access, ApiKey, By, RateRule};
use gateway::{AccessLogConfig, Config};
use http::Request;
use prost::Message;
use proto::comanda::order::v1::order_service_client::OrderServiceClient;
use proto::comanda::order::v1::{GetOrderRequest, ListOrdersRequest, WatchOrderRequest};
use serde_json::json;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use tempfile::TempDir;
use tokio_stream::StreamExt;
use tonic::{Code, Request as Call};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;
use tonic_types::StatusExt;

/// SHA-256 of `anna`, `grill` and `boss`, which are the keys.
const CALLERS: [(&str, &str); 3] = [
    ("anna", "55579b557896d0ce1764c47fed644f9b35f58bad620674af23f356d80ed0c503"),
    ("grill", "2d6c1f3fa3c69d96c4b1ce5dbccaf4456ad87bf9462fa774763d1a6fc8fd6304"),
    ("boss", "a5e7c002443743c5836758c7d1cd8ddefd9fcf2061daa0efaac683fb99966057"),
];

fn config() -> Config {
    let key = |(name, sha256): (&str, &str)| {
        let claim = |name: &str| BTreeMap::from([(name.to_owned(), "anna".to_owned())]);
        let (roles, claims) = match name {
            "boss" => (vec!["operator".to_owned()], BTreeMap::new()),
            "grill" => (vec![], claim("restaurant_id")),
            _ => (vec![], claim("consumer_id")),
        };
        ApiKey { name: name.to_owned(), sha256: sha256.to_owned(), roles, claims }
    };
    let mut config = Config::default();
    config.guard.api_keys = CALLERS.into_iter().map(key).collect();
    config
}

fn rate(burst: u32) -> RateRule {
    RateRule {
        name: "orders".to_owned(),
        methods: vec![format!("/{ORDERS}/*")],
        by: By::Identity,
        each_method: false,
        per_second: 0.001,
        burst: burst.try_into().unwrap(),
    }
}

fn as_caller<T>(key: &'static str, message: T) -> Call<T> {
    let mut call = Call::new(message);
    call.metadata_mut().insert("x-api-key", key.parse().unwrap());
    call
}

async fn get(port: &Port, key: &str, path: &str) -> u16 {
    port.send(Request::get(path).header("x-api-key", key), "").await.status
}

async fn post(port: &Port, key: &str, path: &str, body: &'static str) -> u16 {
    let request = Request::post(path).header("x-api-key", key).header("content-type", "application/json");
    port.send(request, body).await.status
}

#[tokio::test]
async fn a_consumer_sees_and_changes_only_what_is_his() {
    let port = Port::open_with(config()).await;

    assert_eq!(get(&port, "anna", "/v1/orders/anna%2F1").await, 200);
    assert_eq!(get(&port, "anna", "/v1/orders/ben%2F1").await, 404);
    assert_eq!(get(&port, "anna", "/v1/orders/missing").await, 404);
    assert_eq!(get(&port, "anna", "/v1/orders?consumerId=anna").await, 200);
    assert_eq!(get(&port, "anna", "/v1/orders?consumerId=ben").await, 403);
    assert_eq!(get(&port, "anna", "/v1/orders").await, 403);
    assert_eq!(get(&port, "anna", "/v1/orders/anna%2F1/journey").await, 200);
    assert_eq!(get(&port, "anna", "/v1/orders/ben%2F1/journey").await, 404);
    assert_eq!(get(&port, "anna", "/v1/orders/anna%2F1:watch").await, 200);
    assert_eq!(get(&port, "anna", "/v1/orders/ben%2F1:watch").await, 404);
    assert_eq!(post(&port, "anna", "/v1/orders/anna%2F1:cancel", "{}").await, 200);
    assert_eq!(post(&port, "anna", "/v1/orders/ben%2F1:cancel", "{}").await, 404);
    assert_eq!(post(&port, "anna", "/v1/orders", r#"{"consumerId":"anna"}"#).await, 201);
    assert_eq!(post(&port, "anna", "/v1/orders", r#"{"consumerId":"ben"}"#).await, 403);
}

#[tokio::test]
async fn over_grpc_it_is_the_same() {
    let port = Port::open_with(config()).await;
    let mut client = OrderServiceClient::new(port.channel().await);
    let named = |order_id: &str| as_caller("anna", GetOrderRequest { order_id: order_id.to_owned() });

    assert_eq!(client.get_order(named("anna/1")).await.unwrap().into_inner().order_id, "anna/1");
    assert_eq!(client.get_order(named("ben/1")).await.unwrap_err().code(), Code::NotFound);
    let list = client.list_orders(as_caller("anna", ListOrdersRequest::default())).await.unwrap_err();
    assert_eq!(
        (list.code(), list.get_details_error_info().unwrap().reason.as_str()),
        (Code::PermissionDenied, "NOT_OWN")
    );
    let watch =
        |order_id: &str| as_caller("anna", WatchOrderRequest { order_id: order_id.to_owned(), after_version: 1 });
    let own = client.watch_order(watch("anna/1")).await.unwrap().into_inner();
    assert_eq!(own.map(|order| order.unwrap().version).collect::<Vec<_>>().await, [2, 3]);
    let others = client.watch_order(watch("ben/1")).await.unwrap().into_inner();
    assert_eq!(others.map(|order| order.unwrap_err().code()).collect::<Vec<_>>().await, [Code::NotFound]);
}

#[tokio::test]
async fn an_operator_may_do_everything_and_a_restaurant_nothing_with_orders() {
    let port = Port::open_with(config()).await;

    assert_eq!(get(&port, "boss", "/v1/orders/ben%2F1").await, 200);
    assert_eq!(get(&port, "boss", "/v1/orders").await, 200);
    assert_eq!(post(&port, "boss", "/v1/orders", r#"{"consumerId":"ben"}"#).await, 201);
    for path in
        ["/v1/orders/anna%2F1", "/v1/orders?consumerId=anna", "/v1/orders?restaurantId=anna", "/v1/consumers/anna"]
    {
        assert_eq!(get(&port, "grill", path).await, 403, "{path}");
    }
}

#[tokio::test]
async fn a_stranger_is_told_to_say_who_he_is_and_a_probe_need_not() {
    let port = Port::open_with(config()).await;

    let stranger = port.get("/v1/orders/anna%2F1").await;
    assert_eq!((stranger.status, stranger.header("www-authenticate")), (401, Some("Bearer")));
    assert_eq!(
        (&stranger.json()["code"], &stranger.json()["details"][0]["reason"]),
        (&json!(16), &json!("CREDENTIALS_MISSING"))
    );
    assert_eq!(get(&port, "wrong", "/v1/orders/anna%2F1").await, 401);
    let mut client = OrderServiceClient::new(port.channel().await);
    let refused = client.get_order(GetOrderRequest { order_id: "anna/1".to_owned() }).await.unwrap_err();
    assert_eq!(refused.code(), Code::Unauthenticated);
    assert!(HealthClient::new(port.channel().await).check(HealthCheckRequest::default()).await.is_ok());
    let metrics = port.get("/metrics").await;
    let refusals = r#"gateway_guard_refusals_total{reason="CREDENTIALS_MISSING",method="comanda.order.v1.OrderService/GetOrder"} 2"#;
    assert!(metrics.text().contains(refusals), "{}", metrics.text());
}

#[tokio::test]
async fn the_access_log_names_who_called_also_when_he_was_turned_away() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("access.log");
    let port = Port::open_with(Config { access_log: AccessLogConfig::File(path.clone()), ..config() }).await;

    get(&port, "anna", "/v1/orders/anna%2F1").await;
    get(&port, "grill", "/v1/orders/anna%2F1").await;
    get(&port, "wrong", "/v1/orders/anna%2F1").await;

    let told = logged(&path, 3).await;
    let told: Vec<_> = told.iter().map(|line| (&line["identity"], &line["status"])).collect();
    assert_eq!(told, [(&json!("anna"), &json!(200)), (&json!("grill"), &json!(403)), (&json!(null), &json!(401))]);
}

/// Asks for an order of Anna's by gRPC-Web.
async fn get_by_grpc_web(port: &Port, key: &str) -> Answer {
    let message = GetOrderRequest { order_id: "anna/1".to_owned() }.encode_to_vec();
    let mut body = vec![0];
    body.extend(u32::try_from(message.len()).unwrap().to_be_bytes());
    body.extend(message);
    let request = Request::post(format!("/{ORDERS}/GetOrder")).header("content-type", "application/grpc-web+proto");
    port.send(request.header("x-api-key", key), body).await
}

#[tokio::test]
async fn rest_grpc_and_grpc_web_draw_on_one_budget() {
    let mut config = config();
    config.guard.rates = vec![rate(3)];
    let port = Port::open_with(config).await;
    let mut client = OrderServiceClient::new(port.channel().await);
    let mut by_grpc =
        async || client.get_order(as_caller("anna", GetOrderRequest { order_id: "anna/1".to_owned() })).await;
    let by_rest = async || port.send(Request::get("/v1/orders/anna%2F1").header("x-api-key", "anna"), "").await;

    let first = by_rest().await;
    assert_eq!((first.status, first.header("ratelimit-remaining")), (200, Some("2")));
    assert_eq!(first.header("ratelimit"), Some("\"orders\";r=2;t=1000"));
    let second = by_grpc().await.unwrap();
    assert_eq!(second.metadata().get("ratelimit-remaining").unwrap(), "1");
    let third = get_by_grpc_web(&port, "anna").await;
    assert_eq!((third.header("grpc-status"), third.header("ratelimit-remaining")), (None, Some("0")));

    let refused = by_rest().await;
    assert_eq!((refused.status, &refused.json()["code"]), (429, &json!(8)));
    assert!(refused.header("retry-after").is_some_and(|after| after.parse::<u32>().unwrap() > 900));
    assert_eq!(by_grpc().await.unwrap_err().code(), Code::ResourceExhausted);
    let by_web = get_by_grpc_web(&port, "anna").await;
    assert_eq!((by_web.status, by_web.header("grpc-status")), (200, Some("8")));
    assert_eq!(get(&port, "boss", "/v1/orders/anna%2F1").await, 200, "others have budgets of their own");
}

#[tokio::test]
async fn over_grpc_web_strangers_are_refused_as_well() {
    let port = Port::open_with(config()).await;

    assert_eq!(get_by_grpc_web(&port, "wrong").await.header("grpc-status"), Some("16"));
    assert_eq!(get_by_grpc_web(&port, "grill").await.header("grpc-status"), Some("7"));
    assert_eq!(get_by_grpc_web(&port, "anna").await.header("grpc-status"), None);
}

#[tokio::test]
async fn strangers_are_counted_by_their_address() {
    let mut config = Config::default();
    config.guard.rates = vec![rate(1)];
    let port = Port::open_with(config).await;

    assert_eq!(port.get("/v1/orders/o").await.status, 200);
    assert_eq!(port.get("/v1/orders/o").await.status, 429);
}

#[tokio::test]
async fn a_port_for_others_does_not_open_without_a_word_about_access() {
    let everywhere = SocketAddr::from(([0, 0, 0, 0], 0));

    let refused = Port::try_open(everywhere, Config::default()).await.err().unwrap();
    let mut chain = refused.to_string();
    let mut source = std::error::Error::source(&refused);
    while let Some(error) = source {
        chain = format!("{chain}: {error}");
        source = error.source();
    }
    assert!(chain.contains("access = \"open\""), "{chain}");

    let mut config = Config::default();
    config.guard.access = Some(Access::Open);
    assert_eq!(Port::try_open(everywhere, config).await.unwrap().get("/v1/orders/o").await.status, 200);
}
