//! Follows acknowledged orders until they are decided, beside the placing and without holding it up.
//!
//! Each order is watched by a stream, since only that tells when it was decided; the streams are bounded, and an order that finds none
//! free waits its turn. Polling comes second: for an order whose stream the platform refuses, and once more at the very end.

use crate::client::{Client, Failure, Seen, is_decided};
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use import::retry;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, timeout, timeout_at};

/// Streams at once. An order is decided within tens of milliseconds, so 256 follow several thousand orders a second; each costs the
/// server a task and some 10 KiB.
pub const WATCHES_MAX: usize = 256;
/// How long a stream of a decided order may take to end: its end follows the decision in the same instant.
const END_WITHIN: Duration = Duration::from_millis(100);
/// An order that finds a stream within this did not wait for one; handing it over takes microseconds.
const HANDED_OVER_WITHIN: Duration = Duration::from_millis(5);

/// An acknowledged order to follow.
#[derive(Debug)]
pub struct Accepted {
    /// Which one, counted from 0.
    pub index: usize,
    /// When it was first sent.
    pub sent: Instant,
    /// When it was acknowledged.
    pub acknowledged: Instant,
    /// The order as it was acknowledged.
    pub seen: Seen,
}

/// What became of an order.
#[derive(Debug)]
pub struct Followed {
    /// Which one, counted from 0.
    pub index: usize,
    /// The order as it was seen last, decided or not.
    pub seen: Seen,
    /// How long after it was sent the decision was seen; `None` when it was not.
    pub decided_after: Option<Duration>,
    /// Whether it had to wait for a stream, so that the decision may have been seen late.
    pub waited: bool,
    /// Why it could not be watched, or not be asked for at the end.
    pub failure: Option<Failure>,
}

/// Follows the orders that come in, each for `timeout` since it was acknowledged; tells `each` what became of them.
///
/// Ends when the channel is closed and every order is decided or past its time.
pub async fn all(
    client: &Client,
    mut accepted: mpsc::Receiver<Accepted>,
    timeout: Duration,
    mut each: impl FnMut(Followed),
) {
    let mut watches = FuturesUnordered::new();
    let mut is_open = true;
    while is_open || !watches.is_empty() {
        tokio::select! {
            next = accepted.recv(), if is_open && watches.len() < WATCHES_MAX => match next {
                Some(order) => watches.push(one(client, order, timeout)),
                None => is_open = false,
            },
            Some(followed) = watches.next() => each(followed),
        }
    }
}

async fn one(client: &Client, accepted: Accepted, timeout: Duration) -> Followed {
    let Accepted { index, sent, acknowledged, seen } = accepted;
    let waited = acknowledged.elapsed() > HANDED_OVER_WITHIN;
    let deadline = acknowledged + timeout;
    let mut last = Last { seen, at: acknowledged };
    let watched = timeout_at(deadline, watch(client, &mut last)).await;
    let mut failure = watched.unwrap_or(Ok(())).err();
    if failure.is_some() {
        // Past the deadline it is asked for once more below, so nothing is lost with the result.
        timeout_at(deadline, poll(client, &mut last)).await.ok();
    }
    if !is_decided(last.seen.state) {
        match client.get_order(&last.seen.order_id).await {
            Ok(now) => last.set(now),
            Err(unanswered) => failure = Some(unanswered),
        }
    }
    let decided_after = is_decided(last.seen.state).then(|| last.at.duration_since(sent));
    Followed { index, seen: last.seen, decided_after, waited, failure }
}

/// An order as it was seen last, and when.
struct Last {
    seen: Seen,
    at: Instant,
}

impl Last {
    fn set(&mut self, seen: Seen) {
        *self = Last { seen, at: Instant::now() };
    }
}

/// Watches until the order is decided, and resumes where a stream broke off.
///
/// Cancel safe: `last` is always the last version that came.
async fn watch(client: &Client, last: &mut Last) -> Result<(), Failure> {
    let mut breaks = 0;
    while !is_decided(last.seen.state) {
        let before = last.seen.version;
        let ended = watch_once(client, last).await;
        if is_decided(last.seen.state) {
            return Ok(());
        }
        let asked_for = match ended {
            Ok(()) => None,
            Err(failure) if failure.is_transient => failure.asked_for,
            Err(failure) => return Err(failure),
        };
        breaks = if last.seen.version > before { 1 } else { breaks + 1 };
        sleep(retry::wait(breaks, asked_for, 0)).await;
    }
    Ok(())
}

async fn watch_once(client: &Client, last: &mut Last) -> Result<(), Failure> {
    let mut stream = client.watch_order(&last.seen.order_id, last.seen.version).await?;
    while let Some(now) = stream.next().await? {
        last.set(now);
        if is_decided(last.seen.state) {
            // Read to its end, a stream gives its connection back; the order is known either way.
            timeout(END_WITHIN, stream.next()).await.ok();
            break;
        }
    }
    Ok(())
}

/// Asks again and again until the order is decided.
async fn poll(client: &Client, last: &mut Last) {
    let mut attempts = 0;
    while !is_decided(last.seen.state) {
        attempts += 1;
        sleep(retry::wait(attempts, None, 0)).await;
        if let Ok(now) = client.get_order(&last.seen.order_id).await {
            last.set(now);
        }
    }
}
