//! The public port as gRPC clients see it.

use crate::harness::{CONSUMERS, ORDERS, Port, eventually};
use proto::comanda::consumer::v1::GetConsumerRequest;
use proto::comanda::consumer::v1::consumer_service_client::ConsumerServiceClient;
use proto::comanda::order::v1::order_service_client::OrderServiceClient;
use proto::comanda::order::v1::{CreateOrderRequest, GetOrderRequest, WatchOrderRequest};
use std::time::Duration;
use tokio_stream::StreamExt;
use tonic::{Code, Request};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use tonic_reflection::pb::v1::ServerReflectionRequest;
use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;
use tonic_types::StatusExt;

#[tokio::test]
async fn calls_pass_to_their_service() {
    let port = Port::open().await;
    let mut client = OrderServiceClient::new(port.channel().await);

    let order = client.get_order(GetOrderRequest { order_id: "o".to_owned() }).await.unwrap().into_inner();
    assert_eq!(order.order_id, "o");
    let missing = client.get_order(GetOrderRequest { order_id: "missing".to_owned() }).await.unwrap_err();
    assert_eq!(
        (missing.code(), missing.get_details_error_info().unwrap().reason.as_str()),
        (Code::NotFound, "ORDER_UNKNOWN")
    );
    let watched = client.watch_order(WatchOrderRequest { order_id: "o".to_owned(), after_version: 1 }).await.unwrap();
    let versions: Vec<i64> = watched.into_inner().map(|order| order.unwrap().version).collect().await;
    assert_eq!(versions, [2, 3]);
}

#[tokio::test]
async fn a_panic_and_a_nonsense_timeout_are_statuses() {
    let port = Port::open().await;
    let mut client = OrderServiceClient::new(port.channel().await);
    let create = |restaurant: &str| {
        Request::new(CreateOrderRequest { restaurant_id: restaurant.to_owned(), ..CreateOrderRequest::default() })
    };

    assert_eq!(client.create_order(create("faulty")).await.unwrap_err().code(), Code::Internal);
    let mut nonsense = create("r");
    nonsense.metadata_mut().insert("grpc-timeout", "5X".parse().unwrap());
    assert_eq!(client.create_order(nonsense).await.unwrap_err().code(), Code::InvalidArgument);
    assert!(client.create_order(create("r")).await.is_ok());
}

#[tokio::test]
async fn services_that_are_away_or_unknown_are_told_apart() {
    let port = Port::open().await;
    let channel = port.channel().await;

    let away =
        ConsumerServiceClient::new(channel.clone()).get_consumer(GetConsumerRequest::default()).await.unwrap_err();
    assert_eq!(away.code(), Code::Unavailable);
    assert_eq!(away.get_details_retry_info().unwrap().retry_delay, Some(Duration::from_secs(1)));
    let mut admin = proto::comanda::admin::v1::admin_service_client::AdminServiceClient::new(channel);
    let unknown = admin.list_roles(proto::comanda::admin::v1::ListRolesRequest {}).await.unwrap_err();
    assert_eq!(unknown.code(), Code::Unimplemented);
}

#[tokio::test]
async fn a_message_above_the_limit_is_the_callers_mistake() {
    let port = Port::open().await;
    let mut client = OrderServiceClient::new(port.channel().await);

    let request = CreateOrderRequest { consumer_id: "x".repeat(5 << 20), ..CreateOrderRequest::default() };

    assert_eq!(client.create_order(request).await.unwrap_err().code(), Code::OutOfRange);
}

#[tokio::test]
async fn health_follows_the_services() {
    let port = Port::open().await;
    let client = HealthClient::new(port.channel().await);
    let status = async |service: &str| {
        let request = HealthCheckRequest { service: service.to_owned() };
        client.clone().check(request).await.map(|answer| answer.into_inner().status())
    };

    assert_eq!(status(ORDERS).await.unwrap(), ServingStatus::Serving);
    assert_eq!(status(CONSUMERS).await.unwrap(), ServingStatus::NotServing);
    assert_eq!(status("").await.unwrap(), ServingStatus::Serving);
    assert_eq!(status("nobody").await.unwrap_err().code(), Code::NotFound);
    port.orders.clear();
    eventually("the service is not serving", async || status(ORDERS).await.unwrap() == ServingStatus::NotServing).await;
    eventually("nothing is serving", async || status("").await.unwrap() == ServingStatus::NotServing).await;
}

#[tokio::test]
async fn reflection_lists_what_is_served_here() {
    let port = Port::open().await;
    let mut client = ServerReflectionClient::new(port.channel().await);
    let request = ServerReflectionRequest {
        host: String::new(),
        message_request: Some(MessageRequest::ListServices(String::new())),
    };

    let mut answers = client.server_reflection_info(tokio_stream::once(request)).await.unwrap().into_inner();
    let answer = answers.message().await.unwrap().unwrap().message_response.unwrap();

    let MessageResponse::ListServicesResponse(list) = answer else { panic!("{answer:?}") };
    let mut names: Vec<String> = list.service.into_iter().map(|service| service.name).collect();
    names.sort();
    assert_eq!(
        names,
        [
            CONSUMERS,
            ORDERS,
            "grpc.health.v1.Health",
            "grpc.reflection.v1.ServerReflection",
            "grpc.reflection.v1alpha.ServerReflection",
        ]
    );
}
