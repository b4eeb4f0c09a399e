//! One guard in front of gRPC services, keyed by method: identity, access rules, rates, deadlines, idempotency.
//!
//! REST, gRPC-Web and gRPC all become one form, a gRPC request, before a [`Guard`] sees them: so a caller has one identity and one budget
//! whatever he speaks. What is refused is a gRPC status with `google.rpc` details and without a body, which any protocol can tell in its own
//! words. What a method needs is resolved once for a set of descriptors ([`GuardLayer`]), so that a method without a check costs a look into a table.

mod access;
mod checked;
mod config;
mod deadline;
mod error;
mod guarded;
mod idempotency;
mod identity;
mod message;
mod metrics;
mod pattern;
mod peer;
mod plan;
mod rates;
mod refusal;
mod shared;

pub use access::{AccessRule, Own, Who};
pub use config::{Access, Config, Defaults};
pub use deadline::DeadlineRule;
pub use error::Error;
pub use guarded::{GuardLayer, Guarded};
pub use idempotency::{IdempotencyConfig, StoreKind};
pub use identity::{ApiKey, Caller, CertificateRule, Identity, Issuer};
pub use metrics::Metrics;
pub use peer::{Certificate, Peer};
pub use plan::{method_of, methods_of};
pub use rates::{By, RateRule};
pub use shared::{Guard, Openness};
