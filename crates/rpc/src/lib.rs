//! How services call each other: an upstream that can come and go, and the guard in front of a server.
//!
//! An [`Upstream`] is what a client holds, whatever is behind it. That is a server in the same process, plugged in and out
//! through its [`Slot`] while calls go on, or one at an address. A server stands behind a [`Guarded`] stack, so that a caller's deadline, a panic and the
//! log line of a request are the same for every role.

mod config;
mod deadline;
mod guard;
mod observe;
mod remote;
mod shield;
pub mod timeout;
mod upstream;

pub use config::Config;
pub use guard::Guarded;
pub use upstream::{Slot, Upstream};

use futures_util::future::BoxFuture;
use std::convert::Infallible;
use tonic::body::Body;

/// The answer to a call, as the layers of this crate give it: a gRPC status is an answer, never an error.
pub(crate) type Answer = BoxFuture<'static, Result<http::Response<Body>, Infallible>>;

/// What is wrong with a call before it is made.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum Error {
    /// A `grpc-timeout` that is not 1 to 8 digits and a unit.
    #[error("failed to read grpc-timeout: want 1 to 8 digits and one of H, M, S, m, u, n")]
    MalformedTimeout,
}
