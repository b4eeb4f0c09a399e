//! pgbench, which writes the rows of an order with the statements of the service, one transaction for each.

use super::rows::Sample;
use crate::Measured;
use servers::{Postgres, Program};
use std::path::PathBuf;
use std::time::Duration;
use store::{Statement, Store};
use tempfile::TempDir;
use tokio::process::Command;
use tokio::time::{Instant, sleep};

pub(super) const SUBJECT: &str = "pgbench";

/// The transaction of `order::app::create`, with the statements of `order::store` and `outbox`. What differs from order to order is
/// made of a number; the rest are parameters too, as in the service.
const SCRIPT: &str = include_str!("create_order.pgbench.sql");
/// Threads of pgbench itself, which has two cores to share with the server.
const THREADS_MAX: u32 = 2;
/// How long its sessions may take to end after it.
const GONE_WITHIN: Duration = Duration::from_secs(10);
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// A peer with its own database on the same server.
pub(super) struct Pgbench {
    program: PathBuf,
    arguments: Vec<String>,
    store: Store,
    _folder: TempDir,
}

impl Pgbench {
    pub(super) async fn new(server: &Postgres, store: Store, sample: &Sample) -> Measured<Self> {
        order::migrate(&store).await?;
        let mut row = store.query(Statement::new("SELECT current_database(), current_user")).await?.remove(0);
        let (database, user): (String, String) = (row.take(0)?, row.take(1)?);
        let folder = tempfile::tempdir()?;
        let script = folder.path().join("create_order.sql");
        std::fs::write(&script, SCRIPT)?;
        let mut arguments: Vec<String> = ["-n", "-M", "prepared"].map(str::to_owned).to_vec();
        let mut say = |flag: &str, value: String| arguments.extend([flag.to_owned(), value]);
        say("-h", server.socket_dir().display().to_string());
        say("-p", server.port().to_string());
        say("-U", user);
        say("-f", script.display().to_string());
        for (name, value) in variables(sample) {
            say("-D", format!("{name}={value}"));
        }
        arguments.push(database);
        let program = Program::Postgres("pgbench").find().ok_or("pgbench is not there")?;
        Ok(Pgbench { program, arguments, store, _folder: folder })
    }

    pub(super) fn store(&self) -> &Store {
        &self.store
    }

    /// Transactions per second, and how many there were.
    pub(super) async fn run(&self, clients: u32, within: Duration) -> Measured<(f64, u64)> {
        let numbers =
            [("-c", clients), ("-j", clients.min(THREADS_MAX))].map(|(flag, it)| [flag.to_owned(), it.to_string()]);
        let seconds = within.as_secs().to_string();
        let mut command = Command::new(&self.program);
        command.args(numbers.as_flattened()).args(["-T", &seconds]).args(&self.arguments).kill_on_drop(true);
        let done = command.output().await?;
        self.wait_until_gone().await?;
        let said = String::from_utf8_lossy(&done.stdout).into_owned();
        let number = |before: &str| said.split(before).nth(1)?.split_whitespace().next()?.parse::<f64>().ok();
        match (number("tps = "), number("transactions actually processed: ")) {
            (Some(rate), Some(orders)) if done.status.success() => Ok((rate, orders as u64)),
            _ => Err(format!("pgbench: {said}{}", String::from_utf8_lossy(&done.stderr)).into()),
        }
    }

    /// Waits until its sessions have ended: only then does the server account for what they used.
    async fn wait_until_gone(&self) -> Measured<()> {
        let deadline = Instant::now() + GONE_WITHIN;
        let count = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'pgbench'";
        while self.store.query(Statement::new(count)).await?.remove(0).take::<i64>(0)? > 0 {
            if Instant::now() > deadline {
                return Err("the sessions of pgbench do not end".into());
            }
            sleep(LOOK_EVERY).await;
        }
        // They leave the list a moment before they end.
        sleep(LOOK_EVERY).await;
        Ok(())
    }
}

/// Bytes are given as so many letters, which the server takes as they are.
fn variables(sample: &Sample) -> Vec<(String, String)> {
    let letters = |bytes: &[u8]| "x".repeat(bytes.len());
    let mut variables = vec![
        // With a number of 12 digits behind it, as long as a UUID.
        ("head".to_owned(), "01920000-0000-7000-8000-".to_owned()),
        ("placed".to_owned(), letters(&sample.placed)),
        ("fingerprint".to_owned(), letters(&sample.fingerprint)),
        ("restaurant_id".to_owned(), sample.restaurant_id.clone()),
        ("message_id".to_owned(), letters(&[0; 16])),
        ("cause".to_owned(), "CreateOrder".to_owned()),
        ("i".to_owned(), "0".to_owned()),
    ];
    for (number, message) in (1..).zip(&sample.messages) {
        let mut also = |name: &str, value: String| variables.push((format!("{name}_{number}"), value));
        also("effect", message.effect.clone());
        also("channel", message.channel.clone());
        also("kind", message.kind.clone());
        also("payload", letters(&message.payload));
    }
    variables
}
