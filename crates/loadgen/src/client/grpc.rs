//! The Order Service over gRPC.
//!
//! Calls have a connection of their own and watches share a few, since a server admits some 100 streams on one connection and
//! streams that wait for hours must not hold up calls.

use super::{Failure, ORDER_BYTES_MAX, Seen};
use import::{platform, retry};
use proto::comanda::order::v1::order_service_client::OrderServiceClient;
use proto::comanda::order::v1::{CreateOrderRequest, GetOrderRequest, Order, WatchOrderRequest};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tonic::transport::Channel;
use tonic::{Status, Streaming};

/// Watches of one connection: HTTP/2 recommends that servers admit at least 100 streams (RFC 9113 6.5.2), less some room.
const WATCHES_PER_CONNECTION: usize = 64;

/// A client of the Order Service.
#[derive(Debug, Clone)]
pub struct Client {
    calls: OrderServiceClient<Channel>,
    watches: Arc<[OrderServiceClient<Channel>]>,
    next: Arc<AtomicUsize>,
}

impl Client {
    /// Speaks to `target`, with at most `watches` watches at once.
    ///
    /// # Errors
    /// When the address is not `http://host:port`.
    pub fn new(target: &str, watches: usize) -> Result<Self, import::Error> {
        let connect = || platform::connect(target).map(client);
        let connections = watches.div_ceil(WATCHES_PER_CONNECTION).max(1);
        let watches = (0..connections).map(|_| connect()).collect::<Result<_, _>>()?;
        Ok(Client { calls: connect()?, watches, next: Arc::default() })
    }

    pub(super) async fn create_order(&self, request: &CreateOrderRequest) -> Result<Seen, Failure> {
        let answer = self.calls.clone().create_order(request.clone()).await;
        answer.map(|order| order.into_inner().into()).map_err(|status| failure(&status))
    }

    pub(super) async fn get_order(&self, order_id: &str) -> Result<Seen, Failure> {
        let answer = self.calls.clone().get_order(GetOrderRequest { order_id: order_id.to_owned() }).await;
        answer.map(|order| order.into_inner().into()).map_err(|status| failure(&status))
    }

    pub(super) async fn watch_order(
        &self,
        order_id: &str,
        after_version: i64,
    ) -> Result<Box<Streaming<Order>>, Failure> {
        let turn = self.next.fetch_add(1, Ordering::Relaxed) % self.watches.len();
        let request = WatchOrderRequest { order_id: order_id.to_owned(), after_version };
        let answer = self.watches[turn].clone().watch_order(request).await;
        answer.map(|stream| Box::new(stream.into_inner())).map_err(|status| failure(&status))
    }
}

fn client(channel: Channel) -> OrderServiceClient<Channel> {
    OrderServiceClient::new(channel).max_decoding_message_size(ORDER_BYTES_MAX)
}

/// What a status means to a client.
pub(super) fn failure(status: &Status) -> Failure {
    Failure {
        is_transient: retry::is_transient(status),
        asked_for: retry::asked_for(status),
        text: format!("{:?}: {}", status.code(), status.message()),
    }
}
