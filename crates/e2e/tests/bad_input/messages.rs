//! Calls over gRPC that cannot be accepted: bytes that are no message, messages that say nothing good, methods that are not there.

use crate::table::Table;
use bytes::{Buf, BufMut, Bytes};
use e2e::Shop;
use http::uri::PathAndQuery;
use prost_types::{FieldMask, Timestamp};
use proto::comanda::consumer::v1::{Consumer, CreateConsumerRequest, UpdateConsumerRequest};
use proto::comanda::order::v1::{CreateOrderRequest, GetOrderRequest, ListOrdersRequest, WatchOrderRequest};
use proto::comanda::restaurant::v1::{CreateRestaurantRequest, GetTicketRequest, Restaurant};
use testkit::Rpc;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::{Code, Request, Status};

const CREATE: &str = "/comanda.order.v1.OrderService/CreateOrder";

/// Sends and receives messages as they are.
#[derive(Debug, Clone, Copy, Default)]
struct Raw;

impl Codec for Raw {
    type Encode = Bytes;
    type Decode = Bytes;
    type Encoder = Raw;
    type Decoder = Raw;

    fn encoder(&mut self) -> Raw {
        Raw
    }

    fn decoder(&mut self) -> Raw {
        Raw
    }
}

impl Encoder for Raw {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, item: Bytes, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        buffer.put(item);
        Ok(())
    }
}

impl Decoder for Raw {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        Ok(Some(buffer.copy_to_bytes(buffer.remaining())))
    }
}

async fn send(rpc: &Rpc, path: &'static str, message: impl Into<Bytes>) -> Result<(), Status> {
    let mut client = tonic::client::Grpc::new(rpc.channel.clone());
    client.ready().await.expect("the platform is there");
    let path = PathAndQuery::from_static(path);
    client.unary(Request::new(message.into()), path, Raw).await.map(|_| ())
}

#[tokio::test]
async fn bytes_that_are_no_message_are_the_callers_mistake() {
    let mut table = Table::open().await;
    let rpc = table.comanda.rpc();
    let rows: [(&str, Vec<u8>); 7] = [
        ("bytes of all ones", vec![0xff; 10]),
        ("a text that is no UTF-8", vec![0x0a, 2, 0xff, 0xfe]),
        ("a text that is longer than the message", vec![0x0a, 0x7f, b'x']),
        ("a field of another wire type", vec![0x08, 1]),
        ("a field with the number 0", vec![0x02, 0]),
        ("half a number", vec![0x30, 0x80]),
        ("a group that never ends", vec![0x0b; 200]),
    ];

    for (what, bytes) in rows {
        let ended = send(&rpc, CREATE, bytes).await;
        table.refused_call(what, ended, Code::InvalidArgument, "");
    }
    table.finish().await;
}

#[tokio::test]
async fn a_message_of_more_than_four_mebibytes_is_refused() {
    let mut table = Table::open().await;
    let mut large = table.shop.order_message();
    large.request_id = "x".repeat(5 << 20);

    let ended = table.comanda.rpc().orders.create_order(large).await;

    table.refused_call("5 MiB", ended, Code::OutOfRange, "");
    table.finish().await;
}

#[tokio::test]
async fn a_method_that_is_not_there_is_unimplemented() {
    let mut table = Table::open().await;
    let rpc = table.comanda.rpc();
    for path in
        ["/comanda.order.v2.OrderService/CreateOrder", "/comanda.admin.v1.AdminService/ListRoles", "/Nothing", "/"]
    {
        let ended = send(&rpc, path, Bytes::new()).await;
        table.refused_call(path, ended, Code::Unimplemented, "");
    }
    let path = "/comanda.order.v1.OrderService/FryOrder";
    let ended = send(&rpc, path, Bytes::new()).await;
    table.refused_call(path, ended, Code::Unimplemented, "");
    table.finish().await;
}

/// Orders that are wrong, with the field that is.
fn orders(shop: &Shop) -> Vec<(&'static str, CreateOrderRequest)> {
    let spoil = |spoil: &dyn Fn(&mut CreateOrderRequest)| {
        let mut order = shop.order_message();
        spoil(&mut order);
        order
    };
    let until = |seconds, nanos| spoil(&|it| it.validate_by = Some(Timestamp { seconds, nanos }));
    vec![
        ("consumer_id", CreateOrderRequest::default()),
        ("consumer_id", spoil(&|it| it.consumer_id = "me".to_owned())),
        ("restaurant_id", spoil(&|it| it.restaurant_id.clear())),
        ("lines", spoil(&|it| it.lines.clear())),
        ("lines", spoil(&|it| it.lines = vec![it.lines[0].clone(); 501])),
        ("lines[1].quantity", spoil(&|it| it.lines[1].quantity = 0)),
        ("lines[1].quantity", spoil(&|it| it.lines[1].quantity = i32::MIN)),
        ("lines[0].menu_item_id", spoil(&|it| it.lines[0].menu_item_id = "pizza".to_owned())),
        ("delivery_address", spoil(&|it| it.delivery_address = None)),
        ("request_id", spoil(&|it| it.request_id = "a".repeat(256))),
        ("request_id", spoil(&|it| it.request_id = "\u{7f}".to_owned())),
        ("validate_by", until(0, 0)),
        ("validate_by", until(i64::MAX, 0)),
        ("validate_by", until(i64::MIN, i32::MIN)),
        ("validate_by", until(253_402_300_799, -1)),
        ("validate_by", until(253_402_300_799, 1_000_000_000)),
    ]
}

#[tokio::test]
async fn an_order_is_checked_as_over_rest() {
    let mut table = Table::open().await;
    let mut client = table.comanda.rpc().orders;
    for (field, order) in orders(&table.shop) {
        let ended = client.create_order(order).await;
        table.refused_call(field, ended, Code::InvalidArgument, field);
    }
    let nowhere = CreateOrderRequest {
        restaurant_id: "0199d2a4-6c00-7000-8000-000000000001".to_owned(),
        ..table.shop.order_message()
    };
    let ended = client.create_order(nowhere).await;
    table.refused_call("an unknown restaurant", ended, Code::NotFound, "");
    table.finish().await;
}

#[tokio::test]
async fn metadata_that_cannot_be_read_is_refused() {
    let mut table = Table::open().await;
    let mut client = table.comanda.rpc().orders;
    for (key, value, field) in [
        ("idempotency-key", "", "request_id"),
        ("idempotency-key", &*"a".repeat(256), "request_id"),
        ("grpc-timeout", "soon", ""),
        ("grpc-timeout", "5", ""),
        ("grpc-timeout", "999999999S", ""),
    ] {
        let mut call = Request::new(table.shop.order_message());
        call.metadata_mut().insert(key, value.parse().expect("a value"));
        let ended = client.create_order(call).await;
        table.refused_call(&format!("{key}: {value}"), ended, Code::InvalidArgument, field);
    }
    table.finish().await;
}

#[tokio::test]
async fn other_calls_are_checked_too() {
    let mut table = Table::open().await;
    let rpc = table.comanda.rpc();
    let (mut orders, mut consumers, mut restaurants) = (rpc.orders, rpc.consumers, rpc.restaurants);
    let bad = Code::InvalidArgument;

    let ended = orders.get_order(GetOrderRequest::default()).await;
    table.refused_call("no id", ended, bad, "order_id");
    let ended = orders.list_orders(ListOrdersRequest { state: 99, ..ListOrdersRequest::default() }).await;
    table.refused_call("a state that is none", ended, bad, "state");
    let ended = orders.list_orders(ListOrdersRequest { page_size: -1, ..ListOrdersRequest::default() }).await;
    table.refused_call("a negative page", ended, bad, "page_size");
    let ended =
        orders.list_orders(ListOrdersRequest { page_token: "é".repeat(24), ..ListOrdersRequest::default() }).await;
    table.refused_call("a token that is none", ended, bad, "page_token");
    let order_id = table.shop.restaurant_id.clone();
    let ended = orders.watch_order(WatchOrderRequest { order_id: order_id.clone(), after_version: -1 }).await;
    table.refused_call("a negative version", ended, bad, "after_version");
    let ended = orders.watch_order(WatchOrderRequest { order_id, after_version: 0 }).await;
    table.refused_call("an order that is none", ended, Code::NotFound, "");
    let ended = consumers.create_consumer(CreateConsumerRequest::default()).await;
    table.refused_call("no consumer", ended, bad, "consumer");
    let consumer = Consumer { name: "Ada".to_owned(), state: 7, ..Consumer::default() };
    let ended = consumers.create_consumer(CreateConsumerRequest { consumer: Some(consumer) }).await;
    table.refused_call("a state that is none", ended, bad, "consumer.state");
    let consumer = Some(Consumer { consumer_id: table.shop.consumer_id.clone(), ..Consumer::default() });
    let mask = Some(FieldMask { paths: vec!["create_time".to_owned()] });
    let ended = consumers.update_consumer(UpdateConsumerRequest { consumer, update_mask: mask }).await;
    table.refused_call("an output-only field", ended, bad, "update_mask");
    let ended = restaurants.create_restaurant(CreateRestaurantRequest::default()).await;
    table.refused_call("no restaurant", ended, bad, "restaurant");
    let restaurant = Some(Restaurant { name: "Taj".to_owned(), ..Restaurant::default() });
    let ended = restaurants.create_restaurant(CreateRestaurantRequest { restaurant }).await;
    table.refused_call("no currency", ended, bad, "restaurant.currency_code");
    let ended = restaurants.get_ticket(GetTicketRequest::default()).await;
    table.refused_call("no ids", ended, bad, "ticket_id");
    table.finish().await;
}
