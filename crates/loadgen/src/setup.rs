//! What a run needs besides orders: consumers, something to order, and the list of orders afterwards. Always over gRPC.

use crate::client::Seen;
use crate::error::Error;
use futures_util::{StreamExt, TryStreamExt, stream};
use import::{Answer, platform, retry};
use proto::comanda::consumer::v1 as consumer;
use proto::comanda::consumer::v1::consumer_service_client::ConsumerServiceClient;
use proto::comanda::order::v1::ListOrdersRequest;
use proto::comanda::order::v1::order_service_client::OrderServiceClient;
use proto::comanda::restaurant::v1 as restaurant;
use proto::comanda::restaurant::v1::restaurant_service_client::RestaurantServiceClient;
use std::time::Duration;
use tokio::time::{Instant, sleep, timeout_at};
use tonic::transport::Channel;
use tonic::{Response, Status};

/// How long one call may take, all attempts together: as long as an order is tried.
const TOTAL_TIMEOUT: Duration = Duration::from_secs(30);
/// Consumers that are created at once: a platform on one machine has about that many cores.
const CREATED_AT_ONCE: usize = 8;
/// Rows of a page: the contract's limit.
const PAGE_SIZE: i32 = 1000;
/// Pages of orders at most; more would be a server whose pages have no end. Ten million orders.
const PAGES_MAX: usize = 10_000;
/// Bytes of a page at most: 1,000 orders of 16 KiB (60 lines of the longest real order are 12 KiB).
const PAGE_BYTES_MAX: usize = 16 << 20;

/// The services of a platform.
#[derive(Debug, Clone)]
pub struct Platform {
    channel: Channel,
}

impl Platform {
    /// Speaks to `target`.
    ///
    /// # Errors
    /// When the address is not `http://host:port`.
    pub fn connect(target: &str) -> Result<Self, Error> {
        Ok(Platform { channel: platform::connect(target)? })
    }

    /// Creates consumers who may order for any amount; returns their ids.
    ///
    /// # Errors
    /// When the platform refuses or stays away.
    pub async fn create_consumers(&self, run: &str, count: usize) -> Result<Vec<String>, Error> {
        let create = |number: usize| {
            let consumer = consumer::Consumer { name: format!("Loadgen {run} {number}"), ..Default::default() };
            let request = consumer::CreateConsumerRequest { consumer: Some(consumer) };
            retrying("create a consumer", move || {
                let (mut client, request) = (ConsumerServiceClient::new(self.channel.clone()), request.clone());
                async move { client.create_consumer(request).await }
            })
        };
        let created = stream::iter(1..=count).map(create).buffer_unordered(CREATED_AT_ONCE);
        created.map_ok(|consumer| consumer.consumer_id).try_collect().await
    }

    /// The newest consumer who may order.
    ///
    /// # Errors
    /// When there is none on the first page, or the platform stays away.
    pub async fn any_consumer(&self) -> Result<String, Error> {
        let page = retrying("list consumers", || {
            let mut client = ConsumerServiceClient::new(self.channel.clone());
            let request = consumer::ListConsumersRequest { page_size: PAGE_SIZE, page_token: String::new() };
            async move { client.list_consumers(request).await }
        })
        .await?;
        let found = page.consumers.into_iter().find(|it| it.state() == consumer::consumer::State::Active);
        found.map(|it| it.consumer_id).ok_or(Error::Nothing("active consumer"))
    }

    /// The newest restaurant that takes orders.
    ///
    /// # Errors
    /// When there is none on the first page, or the platform stays away.
    pub async fn any_restaurant(&self) -> Result<String, Error> {
        let page = retrying("list restaurants", || {
            let mut client = RestaurantServiceClient::new(self.channel.clone());
            let request = restaurant::ListRestaurantsRequest { page_size: PAGE_SIZE, page_token: String::new() };
            async move { client.list_restaurants(request).await }
        })
        .await?;
        let found = page.restaurants.into_iter().find(|it| it.accepts_orders != Some(false));
        found.map(|it| it.restaurant_id).ok_or(Error::Nothing("restaurant that takes orders"))
    }

    /// The first item on a restaurant's menu that can be had.
    ///
    /// # Errors
    /// When there is none, no such restaurant, or the platform stays away.
    pub async fn any_item(&self, restaurant_id: &str) -> Result<String, Error> {
        let found = retrying("get the restaurant", || {
            let mut client =
                RestaurantServiceClient::new(self.channel.clone()).max_decoding_message_size(PAGE_BYTES_MAX);
            let request = restaurant::GetRestaurantRequest { restaurant_id: restaurant_id.to_owned() };
            async move { client.get_restaurant(request).await }
        })
        .await?;
        let items = found.menu.unwrap_or_default().items;
        let item = items.into_iter().find(|it| it.available != Some(false));
        item.map(|it| it.menu_item_id).ok_or(Error::Nothing("item on the restaurant's menu"))
    }

    /// Every order of a restaurant, as the platform lists it.
    ///
    /// # Errors
    /// When the platform stays away.
    pub async fn list_orders(&self, restaurant_id: &str) -> Result<Vec<Seen>, Error> {
        let mut orders = Vec::new();
        let mut page_token = String::new();
        for _ in 0..PAGES_MAX {
            let page = retrying("list the orders", || {
                let mut client =
                    OrderServiceClient::new(self.channel.clone()).max_decoding_message_size(PAGE_BYTES_MAX);
                let request = ListOrdersRequest {
                    restaurant_id: restaurant_id.to_owned(),
                    page_size: PAGE_SIZE,
                    page_token: page_token.clone(),
                    ..ListOrdersRequest::default()
                };
                async move { client.list_orders(request).await }
            })
            .await?;
            orders.extend(page.orders.into_iter().map(Seen::from));
            if page.next_page_token.is_empty() {
                return Ok(orders);
            }
            page_token = page.next_page_token;
        }
        let status = Status::out_of_range(format!("the list has more than {PAGES_MAX} pages"));
        Err(Error::Call { doing: "list the orders", source: Answer(Box::new(status)) })
    }
}

/// Calls until it succeeds, is refused, or the time is up.
async fn retrying<T, F>(doing: &'static str, mut call: impl FnMut() -> F) -> Result<T, Error>
where
    F: Future<Output = Result<Response<T>, Status>>,
{
    let deadline = Instant::now() + TOTAL_TIMEOUT;
    let mut attempt = 0;
    loop {
        attempt += 1;
        let status = match timeout_at(deadline, call()).await {
            Ok(Ok(answer)) => return Ok(answer.into_inner()),
            Ok(Err(status)) => status,
            Err(_) => Status::deadline_exceeded(format!("no answer within {TOTAL_TIMEOUT:?}")),
        };
        let wait = retry::wait(attempt, retry::asked_for(&status), 0);
        if !retry::is_transient(&status) || Instant::now() + wait >= deadline {
            return Err(Error::Call { doing, source: Answer(Box::new(status)) });
        }
        sleep(wait).await;
    }
}
