//! How services call each other: an upstream that can come and go, and the guard in front of a server.
//!
//! An [`Upstream`] is what a client holds, whatever is behind it: a server in the same process, plugged in and out through its [`Slot`] while calls
//! go on, or a service at all the endpoints that discovery finds. The layers in between are in [`client`]. A server stands behind a [`Guarded`]
//! stack, so that a caller's deadline, too many calls, a panic and the log line of a request are the same for every role.

mod calls;
pub mod client;
mod config;
mod deadline;
mod guard;
pub mod health;
mod observe;
mod shed;
mod shield;
pub mod timeout;
mod upstream;
mod workers;

pub use calls::{Calls, Waiting};
pub use config::Config;
pub use guard::Guarded;
pub use upstream::{Caller, Served, Slot, Upstream};
pub use workers::{Seat, Workers};

use futures_util::future::BoxFuture;
use std::convert::Infallible;
use tonic::body::Body;

/// The answer to a call, as the layers of this crate give it: a gRPC status is an answer, never an error.
pub(crate) type Answer = BoxFuture<'static, Result<http::Response<Body>, Infallible>>;

/// What is wrong with a call before it is made.
#[derive(Debug, Clone, thiserror::Error, PartialEq, Eq)]
pub enum Error {
    /// A `grpc-timeout` that is not 1 to 8 digits and a unit.
    #[error("failed to read grpc-timeout: want 1 to 8 digits and one of H, M, S, m, u, n")]
    MalformedTimeout,
}
