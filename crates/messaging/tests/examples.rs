//! The examples do what they say.

#![expect(clippy::unwrap_used, reason = "in a test a failure is a panic")]

use servers::Nats;
use std::path::PathBuf;
use std::time::Duration;
use tokio::process::Command;
use tokio::time::timeout;

/// Longer than an example takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// Where `cargo test` has put an example: beside the folder of this test.
fn example(name: &str) -> PathBuf {
    let path = std::env::current_exe().unwrap().parent().unwrap().with_file_name("examples").join(name);
    assert!(path.is_file(), "{} is not there; `cargo test -p messaging` makes it", path.display());
    path
}

/// What the greeter prints, sorted: the order holds within a name only.
async fn greetings(place: &str) -> Vec<String> {
    let mut greeter = Command::new(example("greeter"));
    greeter.arg(place).args(["Ada", "Grace", "Barbara"]).kill_on_drop(true);
    let output = timeout(PATIENCE, greeter.output()).await.unwrap().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let mut lines: Vec<String> = String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect();
    lines.sort();
    lines
}

#[tokio::test]
async fn the_greeter_greets_over_jetstream() {
    if !Nats::require() {
        return;
    }
    let nats = Nats::start().await;

    assert_eq!(greetings(&nats.url()).await, ["Hello, Ada!", "Hello, Barbara!", "Hello, Grace!"]);
}

#[tokio::test]
async fn the_greeter_greets_over_a_file() {
    let folder = tempfile::tempdir().unwrap();

    let printed = greetings(folder.path().join("greetings.db").to_str().unwrap()).await;

    assert_eq!(printed, ["Hello, Ada!", "Hello, Barbara!", "Hello, Grace!"]);
}
