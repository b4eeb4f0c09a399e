//! Which addresses a service has now, which services there are, and how a process becomes one of their endpoints.
//!
//! All adapters meet at one value: [`Endpoints`] is kept fresh by a task, and whoever reads it cannot tell a fixed list from DNS or Consul.
//! It is never taken away because its source is: the last list stays, with its age and the fault that keeps it from being fresh. An empty
//! list is believed only when it must be. [`Tagged`], the names of the services with a tag in Consul, keeps the same rules.

mod consul;
mod dns;
mod endpoint;
mod endpoints;
mod error;
mod pace;
mod registration;
mod tagged;

pub use consul::{Consul, ConsulConfig, ConsulTls};
pub use dns::{DnsConfig, DnsRecords, dns};
pub use endpoint::{Change, Endpoint, Standing, deltas};
pub use endpoints::{Endpoints, Feed, Gone, Snapshot, Stats, fixed};
pub use error::{Error, Source};
pub use registration::{Registered, Registration, RegistrationConfig, RegistrationState};
pub use tagged::{Listing, TagFeed, Tagged};
