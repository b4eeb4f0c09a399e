//! The same platform over gRPC, with reflection and health.

use e2e::{DECIDED_WITHIN, PREFER_WAIT, Shop, decided};
use proto::comanda::order::v1::order::State;
use proto::comanda::order::v1::{GetOrderRequest, ListOrdersRequest};
use testkit::{Comanda, Rpc, eventually};
use tokio_stream::StreamExt;
use tonic::{Code, Request};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;
use tonic_reflection::pb::v1::{ServerReflectionRequest, ServerReflectionResponse};
use tonic_types::StatusExt;

const ORDERS: &str = "comanda.order.v1.OrderService";

#[tokio::test]
async fn a_first_order_is_approved_over_grpc() {
    let comanda = Comanda::empty().await;
    let shop = Shop::open(&comanda).await;
    let mut orders = comanda.rpc().orders;

    let mut call = Request::new(shop.order_message());
    call.metadata_mut().insert("prefer", PREFER_WAIT.parse().expect("a value"));
    let answer = orders.create_order(call).await.expect("the order");

    let applied = answer.metadata().get("preference-applied").map(|value| value.as_bytes().to_vec());
    assert_eq!(applied.as_deref(), Some(PREFER_WAIT.as_bytes()));
    let order = answer.into_inner();
    assert_eq!((order.state(), order.version, order.menu_version), (State::Approved, 4, 1));
    assert_eq!(order.order_total.as_ref().map(|total| (total.units, total.nanos)), Some((20, 850_000_000)));
    let got = orders.get_order(GetOrderRequest { order_id: order.order_id.clone() }).await.expect("the order");
    assert_eq!(got.into_inner(), order);
    let listed = orders.list_orders(ListOrdersRequest::default()).await.expect("the orders").into_inner();
    assert_eq!(listed.orders, [order]);
}

#[tokio::test]
async fn an_order_that_does_not_exist_is_not_found_with_a_reason() {
    let comanda = Comanda::empty().await;
    let order_id = "0199d2a4-6c00-7000-8000-000000000001".to_owned();

    let status = comanda.rpc().orders.get_order(GetOrderRequest { order_id }).await.expect_err("no order");

    assert_eq!(status.code(), Code::NotFound);
    assert_eq!(status.get_details_error_info().map(|info| info.reason), Some("ORDER_UNKNOWN".to_owned()));
}

async fn reflect(rpc: &Rpc, request: MessageRequest) -> ServerReflectionResponse {
    let request = ServerReflectionRequest { host: String::new(), message_request: Some(request) };
    let mut client = ServerReflectionClient::new(rpc.channel.clone());
    let answers = client.server_reflection_info(tokio_stream::once(request)).await.expect("reflection");
    answers.into_inner().next().await.expect("an answer").expect("no error")
}

#[tokio::test]
async fn reflection_tells_the_services_and_their_files() {
    let comanda = Comanda::empty().await;
    let rpc = comanda.rpc();

    let services = reflect(&rpc, MessageRequest::ListServices(String::new())).await;
    let file = reflect(&rpc, MessageRequest::FileContainingSymbol(ORDERS.to_owned())).await;

    let Some(MessageResponse::ListServicesResponse(list)) = services.message_response else { panic!("{services:?}") };
    let names: Vec<&str> = list.service.iter().map(|service| service.name.as_str()).collect();
    for service in [
        ORDERS,
        "comanda.consumer.v1.ConsumerService",
        "comanda.restaurant.v1.RestaurantService",
        "grpc.health.v1.Health",
        "grpc.reflection.v1.ServerReflection",
    ] {
        assert!(names.contains(&service), "{service} is not among {names:?}");
    }
    assert!(!names.iter().any(|name| name.contains("admin")), "{names:?}");
    let Some(MessageResponse::FileDescriptorResponse(files)) = file.message_response else { panic!("{file:?}") };
    assert!(!files.file_descriptor_proto.is_empty());
}

async fn health(rpc: &Rpc, service: &str) -> Result<ServingStatus, Code> {
    let request = HealthCheckRequest { service: service.to_owned() };
    let answer = HealthClient::new(rpc.channel.clone()).check(request).await;
    answer.map(|answer| answer.into_inner().status()).map_err(|status| status.code())
}

#[tokio::test]
async fn health_follows_the_roles() {
    let comanda = Comanda::empty().await;
    let rpc = comanda.rpc();
    assert_eq!(health(&rpc, ORDERS).await, Ok(ServingStatus::Serving));
    assert_eq!(health(&rpc, "").await, Ok(ServingStatus::Serving));
    assert_eq!(health(&rpc, "no.such.Service").await, Err(Code::NotFound));

    let becomes = async |status: ServingStatus| {
        eventually(DECIDED_WITHIN, async || match health(&rpc, ORDERS).await {
            Ok(seen) if seen == status => Ok(()),
            other => Err(format!("{other:?} is not {status:?}")),
        })
        .await;
    };
    comanda.roles_stop("order").await;
    becomes(ServingStatus::NotServing).await;
    assert_eq!(health(&rpc, "comanda.consumer.v1.ConsumerService").await, Ok(ServingStatus::Serving));
    comanda.roles_start("order").await;
    becomes(ServingStatus::Serving).await;
}

#[tokio::test]
async fn a_deadline_of_the_caller_is_kept_and_the_order_is_too() {
    let comanda = Comanda::empty().await;
    let shop = Shop::open(&comanda).await;
    comanda.roles_stop("consumer").await;
    let mut call = Request::new(shop.order_message());
    call.metadata_mut().insert("prefer", PREFER_WAIT.parse().expect("a value"));
    call.metadata_mut().insert("grpc-timeout", "500m".parse().expect("a value"));

    let status = comanda.rpc().orders.create_order(call).await.expect_err("too late");

    assert!(matches!(status.code(), Code::DeadlineExceeded | Code::Cancelled), "{status:?}");
    comanda.roles_start("consumer").await;
    let [order] = &e2e::all(&comanda.http(), "/v1/orders", "orders").await[..] else { panic!("not one order") };
    decided(&comanda.http(), &e2e::text(&order["orderId"])).await;
}
