//! Places orders in a closed loop: as many at once as asked for, each again with its own key until it is acknowledged.

use crate::client::{Client, Failure, Seen};
use crate::latency::Latencies;
use futures_util::{Stream, StreamExt, stream};
use import::retry;
use proto::comanda::order::v1::CreateOrderRequest;
use std::cell::Cell;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// One order that was tried.
#[derive(Debug)]
pub struct Tried {
    /// Which one, counted from 0.
    pub index: usize,
    /// When it was first sent.
    pub sent: Instant,
    /// How long it took until the last answer, all attempts together.
    pub took: Duration,
    /// Attempts after the first.
    pub retries: u64,
    /// The acknowledged order, or why the last attempt failed.
    pub outcome: Result<Seen, Failure>,
}

/// Places orders, `concurrency` at once, each tried for `retry_for`; yields them as they are acknowledged or given up.
///
/// When one is given up although only the platform was away, no more are begun: there is nobody to place them with.
pub fn all<'a>(
    client: &'a Client,
    requests: impl Iterator<Item = CreateOrderRequest> + 'a,
    concurrency: usize,
    retry_for: Duration,
    is_away: &'a Cell<bool>,
) -> impl Stream<Item = Tried> + 'a {
    let begun = requests.enumerate().take_while(|_| !is_away.get());
    stream::iter(begun)
        .map(move |(index, request)| one(client, (index, request), retry_for))
        .buffer_unordered(concurrency)
        .inspect(|tried| {
            if matches!(&tried.outcome, Err(failure) if failure.is_transient) {
                is_away.set(true);
            }
        })
}

async fn one(client: &Client, (index, request): (usize, CreateOrderRequest), retry_for: Duration) -> Tried {
    let sent = Instant::now();
    let spread = spread(&request.request_id);
    let mut retries = 0;
    loop {
        let outcome = client.create_order(&request).await;
        if let Err(failure) = &outcome {
            let attempt = u32::try_from(retries + 1).unwrap_or(u32::MAX);
            let wait = retry::wait(attempt, failure.asked_for, spread);
            if failure.is_transient && sent.elapsed() + wait < retry_for {
                sleep(wait).await;
                retries += 1;
                continue;
            }
        }
        return Tried { index, sent, took: sent.elapsed(), retries, outcome };
    }
}

fn spread(key: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    key.hash(&mut hasher);
    hasher.finish()
}

/// Counts of a run's placing.
#[derive(Debug)]
pub struct Placed {
    /// Orders that were acknowledged.
    pub accepted: u64,
    /// Orders that were refused or given up.
    pub failed: u64,
    /// Attempts after the first of an order.
    pub retried: u64,
    /// How long acknowledged orders took.
    pub latencies: Latencies,
    /// How long it all took, until the last acknowledgement.
    pub took: Duration,
    begun: Instant,
}

impl Placed {
    /// Nothing yet; the clock runs.
    #[must_use]
    pub fn begin() -> Self {
        let latencies = Latencies::new();
        Placed { accepted: 0, failed: 0, retried: 0, latencies, took: Duration::ZERO, begun: Instant::now() }
    }

    /// Counts one order.
    pub fn count(&mut self, tried: &Tried) {
        self.retried += tried.retries;
        match &tried.outcome {
            Ok(_) => {
                self.accepted += 1;
                self.took = self.begun.elapsed();
                self.latencies.record(tried.took);
            }
            Err(_) => self.failed += 1,
        }
    }
}
