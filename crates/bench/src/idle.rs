//! What an idle platform costs: processor, memory and transactions, with one process for each role and nobody who orders.
//!
//! The floor is PostgreSQL and NATS alone, measured in the same run after the processes of the roles have ended.

use crate::Measured;
use crate::report::{Metric, OURS, Report};
use crate::usage::Usage;
use clap::Args;
use std::time::Duration;
use testkit::{Member, Stack, StackOptions};
use tokio::time::{Instant, sleep};

const CPU: Metric = Metric { name: "cpu", unit: "%" };
const MEMORY: Metric = Metric { name: "memory", unit: "MB" };
const TRANSACTIONS: Metric = Metric { name: "transactions_per_second", unit: "1/s" };
const FLOOR: &str = "servers-alone";

const DATABASES: [&str; 3] = ["order", "consumer", "restaurant"];

/// How an idle platform is measured.
#[derive(Debug, Clone, Args)]
pub(crate) struct Arguments {
    /// Three short runs.
    #[arg(long)]
    quick: bool,
    /// Runs; at least five are needed for figures to be quoted.
    #[arg(long)]
    runs: Option<u32>,
    /// Seconds of a run.
    #[arg(long)]
    seconds: Option<u64>,
}

impl Arguments {
    fn runs(&self) -> u32 {
        self.runs.unwrap_or(if self.quick { 3 } else { 5 })
    }

    fn within(&self) -> Duration {
        Duration::from_secs(self.seconds.unwrap_or(if self.quick { 5 } else { 20 }))
    }

    /// What follows the start, and is no longer idle: tables of the outbox are emptied until three minutes after the last message.
    fn quiet_after(&self) -> Duration {
        Duration::from_secs(if self.quick { 3 } else { 10 })
    }
}

pub(crate) async fn measure(arguments: &Arguments) -> Measured<Report> {
    let mut report = Report::new("idle");
    let mut stack = Stack::start(&StackOptions::default()).await;
    sleep(arguments.quiet_after()).await;
    for _ in 0..arguments.runs() {
        let members: Vec<Member> = stack.members().collect();
        look(&stack, &members, arguments.within(), OURS, &mut report).await?;
    }
    let members: Vec<Member> = stack.members().collect();
    for member in members {
        stack.terminate(member).await;
    }
    for _ in 0..arguments.runs() {
        look(&stack, &[], arguments.within(), FLOOR, &mut report).await?;
    }
    Ok(report)
}

/// Watches for a while.
async fn look(
    stack: &Stack,
    members: &[Member],
    within: Duration,
    subject: &'static str,
    report: &mut Report,
) -> Measured<()> {
    let (before, started) = (Sight::of(stack, members).await?, Instant::now());
    sleep(within).await;
    let (after, seconds) = (Sight::of(stack, members).await?, started.elapsed().as_secs_f64());
    let mut all = (0.0, 0.0);
    for ((who, was), (_, is)) in before.processes.iter().zip(&after.processes) {
        let share = is.cpu.saturating_sub(was.cpu).as_secs_f64() / seconds * 100.0;
        let megabytes = is.bytes as f64 / 1e6;
        report.note(who, CPU, subject, share);
        report.note(who, MEMORY, subject, megabytes);
        all = (all.0 + share, all.1 + megabytes);
    }
    report.note("all together", CPU, subject, all.0);
    report.note("all together", MEMORY, subject, all.1);
    let mut transactions = 0.0;
    for (database, (was, is)) in DATABASES.iter().zip(before.transactions.iter().zip(&after.transactions)) {
        let rate = is.saturating_sub(*was) as f64 / seconds;
        report.note(&format!("database {database}"), TRANSACTIONS, subject, rate);
        transactions += rate;
    }
    report.note("all together", TRANSACTIONS, subject, transactions);
    Ok(())
}

/// What everybody has used so far.
struct Sight {
    processes: Vec<(String, Usage)>,
    transactions: Vec<u64>,
}

impl Sight {
    async fn of(stack: &Stack, members: &[Member]) -> Measured<Self> {
        let mut processes: Vec<(String, Usage)> = Vec::new();
        for member in members {
            let id = stack.process_id(*member).ok_or_else(|| format!("{member} has ended"))?;
            processes.push((member.to_string(), Usage::of(id)));
        }
        processes.push(("PostgreSQL".to_owned(), stack.postgres.pid().map(Usage::of_family).unwrap_or_default()));
        processes.push(("NATS".to_owned(), stack.nats.pid(0).map(Usage::of).unwrap_or_default()));
        let mut transactions = Vec::new();
        for service in DATABASES {
            let name = stack.database(service).rsplit('/').next().unwrap_or_default();
            let sql = format!("SELECT xact_commit + xact_rollback FROM pg_stat_database WHERE datname = '{name}'");
            // Asked in another database, so that the question does not count.
            transactions.push(stack.postgres.psql("postgres", &sql).await?.parse()?);
        }
        Ok(Sight { processes, transactions })
    }
}
