//! The gateway in front of somebody else's service: the example of `deploy/examples/library`, which is Python.
#![expect(clippy::unwrap_used, reason = "a test ends at what it does not expect")]

mod alone;
mod library;
mod reloading;
mod replacing;
mod streams;
