//! A long outage: the broker and both other services are away, and orders keep coming.

use crate::load::{self, Ledger, Template};
use crate::rows;
use crate::run::{prepare, wait_until_decided};
use std::time::Duration;
use store::{Statement, Store};
use testkit::{Member, Stack, StackOptions};
use tokio::sync::watch;
use tokio::time::{Instant, sleep};

/// How often memory is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// What to do.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// How long orders are placed before the outage, to compare with.
    pub before: Duration,
    /// How long the outage lasts.
    pub lasts: Duration,
    /// Orders per second.
    pub per_second: u32,
    /// Within this time of the end of the outage every order must be decided.
    pub decided_within: Duration,
}

/// What came of it.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// Before the outage.
    pub before: Phase,
    /// During it.
    pub during: Phase,
    /// Messages that were appended to the outbox of the orders during the outage, for each order.
    pub messages_per_order: f64,
    /// The most attempts of any command that was sent first during the outage, at its end.
    pub attempts_max: i64,
    /// How long after the outage the last order was decided; `None`: not in time.
    pub drained_after: Option<Duration>,
    /// Orders that are not approved, though nothing is wrong with them.
    pub not_approved: i64,
    /// What `comanda verify` ended with.
    pub verified: Option<i32>,
}

/// What was seen while orders were placed.
#[derive(Debug, Clone)]
pub struct Phase {
    /// Orders that were acknowledged.
    pub acknowledged: usize,
    /// Tries that failed, and were made again.
    pub failed_tries: usize,
    /// How long acknowledgements took in milliseconds, sorted.
    pub took_ms: Vec<u64>,
    /// The memory of the Order Service at the beginning and at most, in KiB.
    pub memory_kib: (u64, u64),
}

impl Phase {
    /// What this share of the acknowledgements took at most, in milliseconds.
    #[must_use]
    pub fn percentile_ms(&self, percent: usize) -> u64 {
        let index = self.took_ms.len().saturating_sub(1) * percent / 100;
        self.took_ms.get(index).copied().unwrap_or_default()
    }
}

/// Runs a platform, takes the broker and both other services away, and gives them back. `told` hears of each step.
///
/// # Errors
/// A sentence, when the run itself could not be made.
pub async fn run(options: &Options, mut told: impl FnMut(&str)) -> Result<Outcome, String> {
    let mut stack = Stack::start(&StackOptions::default()).await;
    prepare(&stack).await?;
    let template = Template::find(&stack.url()).await.map_err(|error| format!("nothing can be ordered: {error}"))?;
    let orders = rows::open(&stack, "order").await.map_err(|error| format!("no order database: {error}"))?;

    told("platform is ready; orders are placed");
    let before = place(&stack, &template, options.per_second, options.before).await?;
    stack.nats.kill9();
    stack.kill9(Member::Consumer);
    stack.kill9(Member::Restaurant);
    told("broker, Consumer Service and Restaurant Service are away");
    let now = "SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::BIGINT";
    let began_us = number(&orders, Statement::new(now)).await?;
    let positions = Statement::new("SELECT last_value FROM outbox_position");
    let appended = number(&orders, positions.clone()).await?;
    let during = place(&stack, &template, options.per_second, options.lasts).await?;
    let appended = number(&orders, positions).await? - appended;
    let attempts = Statement::new("SELECT coalesce(max(attempt), 0) FROM obligation WHERE since_us > ?1");
    let attempts_max = number(&orders, attempts.bind(began_us)).await?;

    stack.nats.restart().await;
    stack.spawn(Member::Consumer);
    stack.spawn(Member::Restaurant);
    told("they are back; waiting until every order is decided");
    let drained_after = wait_until_decided(&stack, Instant::now(), options.decided_within).await;
    let not_approved = number(&orders, Statement::new("SELECT count(*) FROM orders WHERE state <> 5")).await?;
    let (verified, _) = stack.verify().await;
    let placed = u32::try_from(during.acknowledged).unwrap_or(u32::MAX);
    let appended = u32::try_from(appended).unwrap_or(u32::MAX);
    Ok(Outcome {
        before,
        messages_per_order: f64::from(appended) / f64::from(placed.max(1)),
        during,
        attempts_max,
        drained_after,
        not_approved,
        verified,
    })
}

/// Places orders for a while, and watches the memory of the Order Service.
async fn place(stack: &Stack, template: &Template, per_second: u32, during: Duration) -> Result<Phase, String> {
    let (stop, stopped) = watch::channel(false);
    let ledger = Ledger::default();
    let loading = load::run(stack.url(), template.clone(), per_second, ledger.clone(), stopped);
    let watching = async {
        let first = memory_kib(stack);
        let (mut most, end) = (first, Instant::now() + during);
        while Instant::now() < end {
            sleep(LOOK_EVERY.min(end - Instant::now())).await;
            most = most.max(memory_kib(stack));
        }
        stop.send_replace(true);
        (first, most)
    };
    let (loaded, memory_kib) = tokio::join!(loading, watching);
    loaded.map_err(|error| format!("no load: {error}"))?;
    let refused = ledger.refused();
    if let Some(refused) = refused.first() {
        return Err(format!("{} orders were refused: {refused}", refused.len()));
    }
    let mut took_ms = ledger.took_ms();
    took_ms.sort_unstable();
    Ok(Phase { acknowledged: took_ms.len(), failed_tries: ledger.failed_tries(), took_ms, memory_kib })
}

/// What the Order Service takes of the memory (`VmRSS`, proc(5)).
fn memory_kib(stack: &Stack) -> u64 {
    let id = stack.process_id(Member::Order).unwrap_or_default();
    let status = std::fs::read_to_string(format!("/proc/{id}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|rest| rest.split_whitespace().next()?.parse().ok()).unwrap_or_default()
}

async fn number(store: &Store, query: Statement) -> Result<i64, String> {
    let failed = |error| format!("the order database cannot be read: {error}");
    let mut rows = store.query(query).await.map_err(failed)?;
    rows.first_mut().map_or(Ok(0), |row| row.take(0)).map_err(failed)
}
