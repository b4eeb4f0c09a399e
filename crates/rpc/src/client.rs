//! What stands between a caller and a service: one stack for every client, whatever is behind it.
//!
//! From the outside in:
//!
//! 1. [`deadline`]: the call ends at its deadline, waiting included, and the service is told how long it has;
//! 2. [`observe`]: what the caller saw, counted;
//! 3. [`broken`]: the breaker of the service, which counts what is left after all attempts;
//! 4. [`admission`]: a bound on the calls in flight, the less important first to be turned away;
//! 5. [`retry`]: another attempt on another endpoint, within a budget, and hedges;
//! 6. [`pool`]: the endpoints, one of which is picked for an attempt;
//! 7. [`endpoint`]: its breaker, the attempt's timeout, what its answer means, its load, its line.
//!
//! Where endpoints of different versions stand side by side, an [`interview`] finds out which of them can take a call.
//!
//! A layer that is inside sees what the one outside does not: a timeout inside a breaker opens it, outside it would not.

pub(crate) mod admission;
mod broken;
mod config;
mod connected;
pub(crate) mod deadline;
pub(crate) mod endpoint;
mod fault;
mod http2;
mod interview;
mod keep;
mod line;
mod load;
mod methods;
mod metrics;
mod observe;
mod pick;
pub(crate) mod pool;
mod probe;
mod replay;
pub(crate) mod retry;
mod told;
mod view;

pub use admission::{Admission, Importance};
pub use broken::Broken;
pub use config::{ClientConfig, MethodConfig, PoolConfig};
pub use deadline::Deadline;
pub use fault::Fault;
pub use interview::{Interview, Offer, Visit, Wanted};
pub use methods::Methods;
pub use metrics::{ClientMetrics, ServiceMetrics};
pub use observe::Counted;
pub use pool::Pool;
pub use retry::{Retry, RetryConfig};
pub use view::{EndpointView, Reached, ServiceView};

use futures_util::future::BoxFuture;
use http::Response;
use tonic::body::Body;

/// What a layer of the stack gives: an answer of the service, whatever its status, or why there is none.
pub(crate) type Attempt = BoxFuture<'static, Result<Response<Body>, Fault>>;
