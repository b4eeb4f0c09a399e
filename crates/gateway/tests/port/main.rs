//! The public port, through a real socket.

#![expect(clippy::unwrap_used, reason = "what is beside the test functions is a part of tests too")]

mod authority;
mod bodies;
mod browsers;
mod contract;
mod grpc;
mod grpc_web;
mod guard;
mod harness;
mod logged;
mod parrot;
mod pass_through;
mod rest;
mod stopping;
mod tls;
