//! Runs the real binary for tests, and speaks to it as its users do: REST, server-sent events, gRPC, raw bytes, signals, the command line.
//!
//! Nothing here knows what an order is, so that a test which uses it can only see what a client or an operator sees. A process that a
//! test starts has ports and a directory of its own and ends with the test; when the test fails, the end of its log is shown.

mod binary;
mod comanda;
mod data;
mod eventually;
mod http_client;
mod process;
mod raw;
mod rpc;
mod stack;
mod stream;

pub use binary::program;
pub use comanda::{Comanda, Options, START_WITHIN};
pub use data::{require, require_tool};
pub use eventually::eventually;
pub use http_client::{Answer, Call, Http};
pub use process::{Finished, Process, command_line, command_line_with};
pub use raw::raw;
pub use rpc::Rpc;
pub use stack::{Member, Stack, StackOptions};
pub use stream::{Event, Stream};
