//! What discovery and registration promise, against a real Consul, real DNS servers, and a scripted agent for what those cannot do.
//!
//! A file for each thing that clients of Consul usually get wrong, and one for each further adapter.

#![expect(clippy::unwrap_used, reason = "in a test a failure is a panic")]

mod access;
mod cold_start;
mod deploy;
mod dns;
mod dns_server;
mod empty_is_not_the_truth;
mod fake;
mod identity;
mod never_deaf;
mod registration;
mod restart;
mod support;
mod tagged;
mod tls;
