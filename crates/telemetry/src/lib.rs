//! What the operator sees: log lines and metrics.

pub mod log;
pub mod metrics;
