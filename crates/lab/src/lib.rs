//! The availability lab: what `CreateOrder` is worth while services are taken away, beside a twin that waits for them.
//!
//! The arithmetic that this platform was built on says that a call which waits for other services is there as often as all of them are at
//! once: the product of their availabilities. [`run`] shows it. It starts a process for each service, puts the Consumer Service and the
//! Restaurant Service behind lines that it can cut, cuts each of them for a known share of the time, and places orders at a steady rate
//! meanwhile: first at a twin of the Order Service that validates before it answers (`order.validation = "synchronous"`), then at the Order
//! Service as it is. Both are measured under the same outages.
//!
//! A service that is taken away is really away: it neither can be called nor reaches the broker, so its messages wait too. It keeps its
//! process and its database, so that it is back at once and the share is exact. Orders are placed at the Order Service itself and not
//! through the gateway, whose breaker would answer for a twin that fails often, and add outages that nobody planned.

mod error;
mod line;
mod load;
mod outages;
mod platform;
mod plot;
mod process;
mod report;
mod run;
mod schedule;
mod shop;
mod statistics;

pub use error::Error;
pub use platform::{Role, Setup};
pub use plot::plot;
pub use report::{Report, Row, Way};
pub use run::{Options, run};
