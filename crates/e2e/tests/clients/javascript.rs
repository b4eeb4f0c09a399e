//! Clients of gRPC-Web in JavaScript: the official one, and Connect's.

use crate::gateway::{DESCRIPTORS, Front};
use std::path::Path;
use testkit::require_tool;
use tokio::process::Command;

/// What each client goes through.
const CASES: [&str; 7] = [
    "empty_unary",
    "large_unary",
    "server_streaming",
    "server_streaming_that_fails",
    "special_status_message",
    "unimplemented_method",
    "unimplemented_service",
];

#[tokio::test]
async fn clients_of_grpc_web_see_the_service_as_those_of_grpc_do() {
    let Some(packages) = require_tool("grpc-web") else { return };
    let front = Front::open().await;
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients/interop_web.js");

    let mut command = Command::new("node");
    command.arg(script).arg(format!("http://{}", front.address)).arg(DESCRIPTORS).arg(packages).kill_on_drop(true);
    let output = command.output().await.expect("node runs");

    let told = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{told}\n{}", String::from_utf8_lossy(&output.stderr));
    let mut expected = Vec::new();
    for client in ["connect", "grpc-web text", "grpc-web binary"] {
        // In its binary form the official client does not stream.
        let is_left_out = |case: &str| client == "grpc-web binary" && case.starts_with("server_streaming");
        expected.extend(CASES.iter().filter(|case| !is_left_out(case)).map(|case| format!("{client} {case}")));
    }
    assert_eq!(told.lines().collect::<Vec<_>>(), expected);
}
