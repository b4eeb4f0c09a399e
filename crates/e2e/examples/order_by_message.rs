//! Places an order by message, over NATS JetStream: sends CreateOrder, and prints the acknowledgement and the decision.
//!
//! `cargo run -p e2e --example order_by_message -- nats://127.0.0.1:4222 CONSUMER_ID RESTAURANT_ID MENU_ITEM_ID`

use async_nats::HeaderMap;
use async_nats::jetstream::{self, consumer::pull::OrderedConfig};
use futures_util::StreamExt;
use prost::{Message, Name};
use proto::comanda::messages::v1::{CreateOrder, OrderAccepted, OrderDecided, OrderRefused};
use proto::comanda::order::v1::{Address, CreateOrderLine, CreateOrderRequest};
use uuid::Uuid;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [url, consumer_id, restaurant_id, menu_item_id] = &arguments[..] else {
        return Err("usage: order_by_message NATS_URL CONSUMER_ID RESTAURANT_ID MENU_ITEM_ID".into());
    };
    let jetstream = jetstream::new(async_nats::connect(url).await?);

    // Whoever wants to hear of an order after a restart keeps the address, and consumes with a durable consumer.
    let reply_address = Uuid::now_v7().to_string();
    let only_mine =
        OrderedConfig { filter_subject: format!("comanda.order.answers.{reply_address}"), ..OrderedConfig::default() };
    let stream = jetstream.get_stream("COMANDA_ORDER_ANSWERS").await?;
    let mut answers = stream.create_consumer(only_mine).await?.messages().await?;

    let request = CreateOrderRequest {
        consumer_id: consumer_id.clone(),
        restaurant_id: restaurant_id.clone(),
        lines: vec![CreateOrderLine { menu_item_id: menu_item_id.clone(), quantity: 2 }],
        delivery_address: Some(Address {
            lines: vec!["1 Brick Lane".to_owned()],
            city: "London".to_owned(),
            postal_code: "E1 6QL".to_owned(),
            country_code: "GB".to_owned(),
        }),
        ..CreateOrderRequest::default()
    };
    let command = CreateOrder { reply_address, correlation_id: "my first order".to_owned(), request: Some(request) };
    // Who sends a command again, since no answer came, sends it with the same id, and gets one order.
    let id = Uuid::now_v7().to_string();
    let mut headers = HeaderMap::new();
    headers.insert("Nats-Msg-Id", id.as_str());
    headers.insert("ce-specversion", "1.0");
    headers.insert("ce-id", id.as_str());
    headers.insert("ce-source", "/examples/order_by_message");
    headers.insert("ce-type", CreateOrder::full_name());
    let subject = format!("comanda.order.commands.{id}");
    jetstream.publish_with_headers(subject, headers, command.encode_to_vec().into()).await?.await?;

    while let Some(answer) = answers.next().await.transpose()? {
        let kind = answer.headers.as_ref().and_then(|headers| headers.get("ce-type")).map(ToString::to_string);
        let payload = answer.payload.clone();
        if kind == Some(OrderAccepted::full_name()) {
            let order = OrderAccepted::decode(payload)?.order.unwrap_or_default();
            println!("accepted: {} is {}", order.order_id, order.state().as_str_name());
        } else if kind == Some(OrderDecided::full_name()) {
            let order = OrderDecided::decode(payload)?.order.unwrap_or_default();
            println!("decided: {} is {}", order.order_id, order.state().as_str_name());
            break;
        } else if kind == Some(OrderRefused::full_name()) {
            println!("refused: {}", OrderRefused::decode(payload)?.status.unwrap_or_default().message);
            break;
        }
    }
    Ok(())
}
