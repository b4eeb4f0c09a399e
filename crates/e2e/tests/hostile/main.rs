//! Clients that want to do harm: the platform answers or hangs up, keeps its memory, and serves everybody else meanwhile.
//!
//! Each attack is bytes on a connection to the real program. Names of attacks are those of their CVE or RUSTSEC entries.

#![expect(clippy::unwrap_used, reason = "what is beside the test functions is a part of tests too")]

mod bodies;
mod connections;
mod frames;
mod heads;
mod http2;
mod smuggling;
mod storm;
