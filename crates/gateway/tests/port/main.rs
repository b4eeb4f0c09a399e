//! The public port, through a real socket.

#![expect(clippy::unwrap_used, reason = "what is beside the test functions is a part of tests too")]

mod contract;
mod grpc;
mod guard;
mod harness;
mod rest;
mod stopping;
