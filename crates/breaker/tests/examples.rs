//! The examples do what they say.
#![expect(clippy::unwrap_used, reason = "in a test a failure is a panic")]

use std::path::PathBuf;
use std::process::Command;

/// Where `cargo test` has put an example: beside the folder of this test. To have it run by cargo would build it with other features.
fn example(name: &str) -> PathBuf {
    let path = std::env::current_exe().unwrap().parent().unwrap().with_file_name("examples").join(name);
    assert!(path.is_file(), "{} is not there; `cargo test -p breaker` makes it", path.display());
    path
}

fn run(name: &str) -> String {
    let output = Command::new(example(name)).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn a_server_that_fails_is_asked_three_times() {
    let answered = (1..=3).map(|call| format!("call {call}: 502 by the server\n"));
    let refused = (4..=5).map(|call| format!("call {call}: 503 by the breaker\n"));

    assert_eq!(run("hyper"), answered.chain(refused).collect::<String>() + "open: failure run\n");
}

#[test]
fn a_server_that_is_not_there_is_dialled_three_times() {
    let refused = (4..=5).map(|call| format!("call {call}: Unavailable by the breaker\n")).collect::<String>();
    let told = run("tonic");

    assert_eq!(told.matches("by the channel").count(), 3, "{told}");
    assert!(told.ends_with(&(refused + "open: failure run\n")), "{told}");
}
