//! What an operator sees of a service and its endpoints.

use breaker::Snapshot;
use std::sync::Arc;
use std::time::Duration;

/// A service as one of its clients sees it.
#[derive(Debug, Clone)]
pub struct ServiceView {
    /// What the service is called.
    pub service: Arc<str>,
    /// The breaker of the service as a whole.
    pub breaker: Snapshot,
    /// Its endpoints.
    pub endpoints: Vec<EndpointView>,
    /// How old the list of endpoints is; `None`: the service runs in this process, and there is no list.
    pub list_age: Option<Duration>,
    /// Why the list is not fresh, if it is not.
    pub list_fault: Option<String>,
}

/// Whether an endpoint can be reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reached {
    /// There is a connection.
    Up,
    /// There is none now; it is tried again.
    Down,
}

/// An endpoint as one client sees it.
#[derive(Debug, Clone)]
pub struct EndpointView {
    /// Its address.
    pub name: Arc<str>,
    /// What discovery thinks of it.
    pub standing: discovery::Standing,
    /// Whether it can be reached.
    pub reached: Reached,
    /// Its breaker.
    pub breaker: Snapshot,
    /// Calls that wait for its answer.
    pub in_flight: usize,
    /// What an answer takes, as far as is known.
    pub takes: Duration,
}
