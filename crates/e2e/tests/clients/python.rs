//! Python's gRPC, which is the one in C++.

use crate::gateway::{DESCRIPTORS, Front};
use std::path::Path;
use std::time::Duration;
use testkit::{eventually, require_tool};
use tokio::process::Command;

/// Every case, in the order in which the client tells them.
const CASES: [&str; 16] = [
    "empty_unary",
    "large_unary",
    "client_streaming",
    "server_streaming",
    "server_streaming_that_fails",
    "ping_pong",
    "empty_stream",
    "custom_metadata_of_unary",
    "custom_metadata_of_streams",
    "status_code_and_message",
    "special_status_message",
    "unimplemented_method",
    "unimplemented_service",
    "cancel_after_begin",
    "cancel_after_first_response",
    "timeout_on_sleeping_server",
];

#[tokio::test]
async fn a_client_in_python_sees_the_service_as_if_nothing_stood_between() {
    let Some(python) = require_tool("grpc-python/bin/python3") else { return };
    let front = Front::open().await;
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients/interop.py");

    let mut command = Command::new(python);
    command.arg(script).arg(front.address.to_string()).arg(DESCRIPTORS).kill_on_drop(true);
    let output = command.output().await.expect("Python runs");

    let told = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{told}\n{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(told.lines().collect::<Vec<_>>(), CASES);
    // What the client has given up is not served on.
    eventually(Duration::from_secs(5), async || match front.service.open() {
        0 => Ok(()),
        open => Err(format!("{open} calls are open")),
    })
    .await;
}
