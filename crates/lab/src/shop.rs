//! What is ordered, and what came of it, over the calls that everybody has.

use crate::Error;
use crate::platform::Platform;
use proto::comanda::consumer::v1::consumer_service_client::ConsumerServiceClient;
use proto::comanda::consumer::v1::{Consumer, CreateConsumerRequest};
use proto::comanda::order::v1::order::State;
use proto::comanda::order::v1::order_service_client::OrderServiceClient;
use proto::comanda::order::v1::{Address, CreateOrderLine, CreateOrderRequest, ListOrdersRequest, Order};
use proto::comanda::restaurant::v1::restaurant_service_client::RestaurantServiceClient;
use proto::comanda::restaurant::v1::{CreateRestaurantRequest, Menu, MenuItem, Restaurant};
use proto::google::r#type::Money;
use std::collections::HashSet;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::time::{Instant, sleep};
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request, Status};

/// How long the platform may take to do what it does in moments, once it is there: processes start, and wait for databases.
const READY_WITHIN: Duration = Duration::from_secs(60);
/// How long orders may wait for their decision once all services are there: a message that was with a service when that went away comes
/// again after 10 s.
const DECIDED_WITHIN: Duration = Duration::from_secs(120);
/// The pause before something is asked again.
const PAUSE: Duration = Duration::from_millis(100);
/// How long a client waits for an answer; longer than the twin waits for the services that it asks.
const ANSWERED_WITHIN: Duration = Duration::from_secs(5);
/// Orders of a page: the most there can be.
const PAGE_SIZE: i32 = 1_000;
/// What orders that are not decided are in.
const UNDECIDED: [State; 4] =
    [State::Pending, State::ConsumerValidated, State::OrderDetailsValidated, State::Validated];

/// Somebody who orders the same thing again and again.
#[derive(Debug, Clone)]
pub(crate) struct Shop {
    orders: OrderServiceClient<Channel>,
    wish: CreateOrderRequest,
}

impl Shop {
    /// Makes a consumer and a restaurant, and waits until an order for them is taken by the Order Service at this address.
    pub(crate) async fn open(platform: &mut Platform, order: SocketAddr) -> Result<Self, Error> {
        let consumers = ConsumerServiceClient::new(connect(platform.consumer.calls.address())?);
        let consumer = Consumer { name: "Availability Lab".to_owned(), ..Consumer::default() };
        let request = CreateConsumerRequest { consumer: Some(consumer) };
        let consumer = until_there(platform, "create a consumer", async || {
            consumers.clone().create_consumer(request.clone()).await
        });
        let consumer_id = consumer.await?.consumer_id;
        let restaurants = RestaurantServiceClient::new(connect(platform.restaurant.calls.address())?);
        let request = CreateRestaurantRequest { restaurant: Some(restaurant()) };
        let restaurant = until_there(platform, "create a restaurant", async || {
            restaurants.clone().create_restaurant(request.clone()).await
        });
        let restaurant_id = restaurant.await?.restaurant_id;
        let shop = Shop { orders: OrderServiceClient::new(connect(order)?), wish: wish(consumer_id, restaurant_id) };
        until_there(platform, "place an order", async || shop.orders.clone().create_order(shop.wish()).await).await?;
        Ok(shop)
    }

    /// Places an order and returns its id.
    pub(crate) async fn order(&self) -> Result<String, Status> {
        self.orders.clone().create_order(self.wish()).await.map(|order| order.into_inner().order_id)
    }

    fn wish(&self) -> Request<CreateOrderRequest> {
        let mut request = Request::new(self.wish.clone());
        request.set_timeout(ANSWERED_WITHIN);
        request
    }

    /// Waits until no order is undecided any more, for as long as that may take; returns the orders that are approved.
    pub(crate) async fn approved(&self) -> Result<HashSet<String>, Error> {
        let deadline = Instant::now() + DECIDED_WITHIN;
        while self.is_undecided().await? && Instant::now() < deadline {
            sleep(PAUSE).await;
        }
        let (mut approved, mut page_token) = (HashSet::new(), String::new());
        loop {
            let (page, next) = self.list(State::Approved, PAGE_SIZE, page_token).await?;
            approved.extend(page.into_iter().map(|order| order.order_id));
            if next.is_empty() {
                return Ok(approved);
            }
            page_token = next;
        }
    }

    /// Whether an order of this consumer is not decided.
    async fn is_undecided(&self) -> Result<bool, Error> {
        for state in UNDECIDED {
            if !self.list(state, 1, String::new()).await?.0.is_empty() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    async fn list(&self, state: State, size: i32, page_token: String) -> Result<(Vec<Order>, String), Error> {
        let request = ListOrdersRequest {
            consumer_id: self.wish.consumer_id.clone(),
            state: state.into(),
            page_size: size,
            page_token,
            ..ListOrdersRequest::default()
        };
        let page = self.orders.clone().list_orders(request).await.map_err(Error::call("list orders"))?.into_inner();
        Ok((page.orders, page.next_page_token))
    }
}

/// Answers that stay the same however often a call is repeated. That something is not found may pass: restaurants reach the Order Service by
/// message.
const FINAL: [Code; 4] = [Code::InvalidArgument, Code::FailedPrecondition, Code::AlreadyExists, Code::Unimplemented];

/// Calls until the answer is one of a platform that is there.
async fn until_there<T>(
    platform: &mut Platform,
    doing: &'static str,
    call: impl AsyncFn() -> Result<tonic::Response<T>, Status>,
) -> Result<T, Error> {
    let deadline = Instant::now() + READY_WITHIN;
    loop {
        platform.check()?;
        let status = match call().await {
            Ok(answer) => return Ok(answer.into_inner()),
            Err(status) => status,
        };
        if FINAL.contains(&status.code()) {
            return Err(Error::call(doing)(status));
        }
        if Instant::now() >= deadline {
            let source = Box::new(status);
            return Err(Error::TooLate { doing, within: READY_WITHIN, logs: platform.logs(), source });
        }
        sleep(PAUSE).await;
    }
}

/// A connection that is made when it is used.
fn connect(address: SocketAddr) -> Result<Channel, Error> {
    let endpoint = Endpoint::from_shared(format!("http://{address}"));
    let endpoint = endpoint.map_err(|error| Error::Options(format!("{address} is no address: {error}")))?;
    Ok(endpoint.connect_timeout(ANSWERED_WITHIN).tcp_nodelay(true).connect_lazy())
}

/// A restaurant that is always open and delivers everywhere.
fn restaurant() -> Restaurant {
    let naan = MenuItem {
        menu_item_id: "garlic-naan".to_owned(),
        name: "Garlic Naan".to_owned(),
        price: Some(Money { currency_code: "GBP".to_owned(), units: 3, nanos: 0 }),
        ..MenuItem::default()
    };
    Restaurant {
        name: "Availability Lab".to_owned(),
        country_code: "GB".to_owned(),
        currency_code: "GBP".to_owned(),
        time_zone: "Europe/London".to_owned(),
        menu: Some(Menu { version: 0, items: vec![naan] }),
        ..Restaurant::default()
    }
}

fn wish(consumer_id: String, restaurant_id: String) -> CreateOrderRequest {
    CreateOrderRequest {
        consumer_id,
        restaurant_id,
        lines: vec![CreateOrderLine { menu_item_id: "garlic-naan".to_owned(), quantity: 1 }],
        delivery_address: Some(Address {
            lines: vec!["1 Brick Lane".to_owned()],
            city: "London".to_owned(),
            postal_code: "E1 6QL".to_owned(),
            country_code: "GB".to_owned(),
        }),
        ..CreateOrderRequest::default()
    }
}
