//! The examples do what they say.

#![expect(clippy::unwrap_used, reason = "in a test a failure is a panic")]

use servers::Consul;
use std::path::PathBuf;
use std::time::Duration;
use tokio::process::Command;
use tokio::time::timeout;

/// Longer than an example takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// Where `cargo test` has put an example: beside the folder of this test.
fn example(name: &str) -> PathBuf {
    let path = std::env::current_exe().unwrap().parent().unwrap().with_file_name("examples").join(name);
    assert!(path.is_file(), "{} is not there; `cargo test -p discovery` makes it", path.display());
    path
}

/// What a greeter prints that waits for this many of them.
async fn greetings(agent: &str, enough: &str) -> String {
    let mut greeter = Command::new(example("greeters"));
    greeter.args([agent, enough]).kill_on_drop(true);
    let output = timeout(PATIENCE, greeter.output()).await.unwrap().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[tokio::test]
async fn greeters_find_each_other() {
    if !Consul::require() {
        return;
    }
    let consul = Consul::start().await;
    let agent = consul.url();

    let (one, other) = tokio::join!(greetings(&agent, "2"), greetings(&agent, "2"));

    for printed in [one, other] {
        assert!(printed.matches("Hello, 127.0.0.1:").count() >= 2, "{printed}");
    }
    assert_eq!(consul.ask("GET", "/v1/agent/services", "").await.1.trim(), "{}", "both have deregistered");
}
