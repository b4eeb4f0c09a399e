//! What is particular to JetStream: how a broker is reached, repaired, and outlived.

#![expect(clippy::unwrap_used, reason = "in a test a failure is a panic")]

mod access;
mod bucket;
mod cluster;
mod jwt;
mod limits;
mod outage;
mod repair;
mod support;
mod tls;
mod versions;
