//! The generated gRPC clients, on one connection.

use proto::comanda::consumer::v1::consumer_service_client::ConsumerServiceClient;
use proto::comanda::order::v1::order_service_client::OrderServiceClient;
use proto::comanda::restaurant::v1::restaurant_service_client::RestaurantServiceClient;
use std::time::Duration;
use tonic::transport::{Channel, Endpoint};

/// How long a call may take.
const CALL_WITHIN: Duration = Duration::from_secs(30);

/// Clients of all services behind one port.
#[derive(Debug, Clone)]
pub struct Rpc {
    /// The connection, for services that have no client here.
    pub channel: Channel,
    /// The Order Service.
    pub orders: OrderServiceClient<Channel>,
    /// The Consumer Service.
    pub consumers: ConsumerServiceClient<Channel>,
    /// The Restaurant Service.
    pub restaurants: RestaurantServiceClient<Channel>,
}

impl Rpc {
    /// Clients of the port at `url`; the connection is made by the first call.
    ///
    /// # Panics
    /// When `url` is none.
    #[must_use]
    pub fn new(url: &str) -> Self {
        let endpoint = Endpoint::from_shared(url.to_owned()).expect("the platform tells its URL");
        let channel = endpoint.timeout(CALL_WITHIN).connect_lazy();
        Rpc {
            orders: OrderServiceClient::new(channel.clone()),
            consumers: ConsumerServiceClient::new(channel.clone()),
            restaurants: RestaurantServiceClient::new(channel.clone()),
            channel,
        }
    }
}
