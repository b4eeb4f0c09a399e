//! The platform as one process for each role, on PostgreSQL and NATS JetStream.

mod discovery;
mod durable;
mod messages;
mod outage;
mod roles;
