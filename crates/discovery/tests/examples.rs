//! The examples do what they say.

#![expect(clippy::unwrap_used, reason = "in a test a failure is a panic")]

use rustix::process::{Pid, Signal, kill_process};
use servers::Consul;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};
use tokio::time::timeout;

/// Longer than an example takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// Where `cargo test` has put an example: beside the folder of this test.
fn example(name: &str) -> PathBuf {
    let path = std::env::current_exe().unwrap().parent().unwrap().with_file_name("examples").join(name);
    assert!(path.is_file(), "{} is not there; `cargo test -p discovery` makes it", path.display());
    path
}

/// A greeter, and what it prints.
struct Greeter {
    process: Child,
    printed: Lines<BufReader<ChildStdout>>,
}

impl Greeter {
    fn open(agent: &str) -> Self {
        let mut command = Command::new(example("greeters"));
        let mut process = command.arg(agent).stdout(Stdio::piped()).kill_on_drop(true).spawn().unwrap();
        let printed = BufReader::new(process.stdout.take().unwrap()).lines();
        Greeter { process, printed }
    }

    /// Reads until so many have been greeted.
    async fn greets(&mut self, count: usize) {
        let mut greeted = 0;
        while greeted < count {
            let line = timeout(PATIENCE, self.printed.next_line()).await.unwrap().unwrap().unwrap();
            greeted += usize::from(line.starts_with("Hello, 127.0.0.1:"));
        }
    }

    /// Tells it to end, and waits until it has.
    async fn end(mut self) {
        let id = self.process.id().and_then(|id| Pid::from_raw(id.try_into().unwrap())).unwrap();
        kill_process(id, Signal::INT).unwrap();
        let ended = timeout(PATIENCE, self.process.wait()).await.unwrap().unwrap();
        assert!(ended.success(), "{ended}");
    }
}

/// A greeter that had seen enough left at once, before the other one had looked, which then waited for ever.
#[tokio::test]
async fn greeters_find_each_other() {
    if !Consul::require() {
        return;
    }
    let consul = Consul::start().await;
    let agent = consul.url();
    let [mut one, mut other] = [Greeter::open(&agent), Greeter::open(&agent)];

    tokio::join!(one.greets(2), other.greets(2));

    tokio::join!(one.end(), other.end());
    assert_eq!(consul.ask("GET", "/v1/agent/services", "").await.1.trim(), "{}", "both have deregistered");
}
