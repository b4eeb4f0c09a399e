//! What the operator sees: log lines, metrics, and a line for each request.

pub mod about;
pub mod lines;
pub mod log;
pub mod metrics;
