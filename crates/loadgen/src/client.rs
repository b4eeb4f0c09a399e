//! The public API as a client sees it: orders over REST or gRPC, with one result.

pub mod grpc;
mod json;
pub mod rest;
mod sse;

use proto::Amount;
use proto::comanda::order::v1::order::State;
use proto::comanda::order::v1::{Address, CreateOrderRequest, Order};
use proto::time::Instant;
use std::time::Duration;

/// How long one call may take: longer than any deadline that a server sets by itself, so that its own answer is seen.
pub const CALL_TIMEOUT: Duration = Duration::from_secs(30);
/// Bytes of one order at most: 500 lines of at most 1,400 bytes (an id and a name in four bytes a character, two amounts).
const ORDER_BYTES_MAX: usize = 1 << 20;

/// An order as a server showed it; only what is checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// Its id.
    pub order_id: String,
    /// Its state; `STATE_UNSPECIFIED` when the server said nothing that we know.
    pub state: State,
    /// Its version.
    pub version: i64,
    /// Its total; `None` when it is missing or malformed.
    pub total: Option<Amount>,
    /// When it was created.
    pub created: Option<Instant>,
    /// When it last changed.
    pub updated: Option<Instant>,
    /// Why it was rejected.
    pub reasons: Vec<String>,
}

/// Whether a state is final.
#[must_use]
pub fn is_decided(state: State) -> bool {
    match state {
        State::Approved | State::Rejected | State::Cancelled => true,
        State::Unspecified
        | State::Pending
        | State::ConsumerValidated
        | State::OrderDetailsValidated
        | State::Validated => false,
    }
}

impl From<Order> for Seen {
    fn from(order: Order) -> Self {
        let reasons = order.rejection.iter().flat_map(|it| &it.reasons);
        Seen {
            state: order.state(),
            version: order.version,
            total: Amount::parse("order_total", order.order_total.as_ref()).ok(),
            created: Instant::parse("create_time", order.create_time.as_ref()).ok().flatten(),
            updated: Instant::parse("update_time", order.update_time.as_ref()).ok().flatten(),
            reasons: reasons.map(|it| format!("{}: {}", it.code().as_str_name(), it.message)).collect(),
            order_id: order.order_id,
        }
    }
}

/// Why a call failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// Whether the same call may succeed later: the server is away, or the connection broke.
    pub is_transient: bool,
    /// How long the server asked to wait.
    pub asked_for: Option<Duration>,
    /// What happened.
    pub text: String,
}

impl Failure {
    fn transient(text: impl Into<String>) -> Self {
        Failure { is_transient: true, asked_for: None, text: text.into() }
    }

    fn last(text: impl Into<String>) -> Self {
        Failure { is_transient: false, asked_for: None, text: text.into() }
    }
}

/// A client of the Order Service.
#[derive(Debug, Clone)]
pub enum Client {
    /// HTTP/1.1 and JSON.
    Rest(rest::Client),
    /// gRPC.
    Grpc(grpc::Client),
}

impl Client {
    /// The name of what it speaks.
    #[must_use]
    pub fn protocol(&self) -> &'static str {
        match self {
            Client::Rest(_) => "REST",
            Client::Grpc(_) => "gRPC",
        }
    }

    /// Places an order once.
    ///
    /// # Errors
    /// When it was not acknowledged; a transient failure leaves open whether it was stored.
    pub async fn create_order(&self, request: &CreateOrderRequest) -> Result<Seen, Failure> {
        match self {
            Client::Rest(client) => within(client.create_order(request)).await,
            Client::Grpc(client) => within(client.create_order(request)).await,
        }
    }

    /// Asks for an order once.
    ///
    /// # Errors
    /// When there is no answer, or no such order.
    pub async fn get_order(&self, order_id: &str) -> Result<Seen, Failure> {
        match self {
            Client::Rest(client) => within(client.get_order(order_id)).await,
            Client::Grpc(client) => within(client.get_order(order_id)).await,
        }
    }

    /// Asks to be told of an order's versions after `after_version`.
    ///
    /// # Errors
    /// When the stream does not begin.
    pub async fn watch_order(&self, order_id: &str, after_version: i64) -> Result<Watch, Failure> {
        Ok(match self {
            Client::Rest(client) => Watch::Rest(within(client.watch_order(order_id, after_version)).await?),
            Client::Grpc(client) => Watch::Grpc(within(client.watch_order(order_id, after_version)).await?),
        })
    }
}

/// An order's changes, as they happen.
#[derive(Debug)]
pub enum Watch {
    /// Server-sent events.
    Rest(Box<sse::Events>),
    /// A gRPC stream.
    Grpc(Box<tonic::Streaming<Order>>),
}

impl Watch {
    /// The next change; `None` when there is none to come.
    ///
    /// # Errors
    /// When the stream broke.
    pub async fn next(&mut self) -> Result<Option<Seen>, Failure> {
        match self {
            Watch::Rest(events) => events.next().await,
            Watch::Grpc(stream) => Ok(stream.message().await.map_err(|status| grpc::failure(&status))?.map(Seen::from)),
        }
    }
}

/// The address that every order is delivered to.
#[must_use]
pub fn delivery_address() -> Address {
    Address {
        lines: vec!["1 Brick Lane".to_owned()],
        city: "London".to_owned(),
        postal_code: "E1 6AN".to_owned(),
        country_code: "GB".to_owned(),
    }
}

async fn within<T>(call: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    match tokio::time::timeout(CALL_TIMEOUT, call).await {
        Ok(result) => result,
        Err(_) => Err(Failure::transient(format!("no answer within {CALL_TIMEOUT:?}"))),
    }
}
