//! Starts and kills real PostgreSQL, NATS and Consul processes, and a proxy that breaks the lines to them.
//!
//! For tests, benchmarks and fault runs. A server has ports and a folder of its own, and nothing of it is left behind: a guardian process
//! waits for the end of whoever started it, however that end comes, then kills the server and removes its folder.

mod consul;
pub mod free;
mod guardian;
mod nats;
mod postgres;
mod probe;
mod proxy;
mod server;

pub use consul::{Consul, ConsulSetup};
pub use nats::Nats;
pub use postgres::{Postgres, Session};
pub use programs::{Program, are_there};
pub use proxy::Proxy;
