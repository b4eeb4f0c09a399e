//! Whether orders can be accepted, and what stands in the way.

use futures_util::future::BoxFuture;
use serde::Serialize;
use std::sync::Arc;

/// Finds out how ready the process is; asked at each `GET /readyz`.
pub type ReadinessProbe = Arc<dyn Fn() -> BoxFuture<'static, Readiness> + Send + Sync>;

/// How well something does its work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// As it should.
    Ready,
    /// Orders are accepted, and something else has to wait.
    Degraded,
    /// Orders cannot be accepted.
    Unavailable,
}

/// The answer of `/readyz`: 503 when it is unavailable, 200 otherwise.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Readiness {
    /// The whole.
    pub status: State,
    /// Its parts.
    pub checks: Vec<Check>,
}

/// One part of a readiness.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Check {
    /// What was looked at.
    pub name: String,
    /// How it does.
    pub status: State,
    /// A sentence for the operator.
    pub detail: String,
}
