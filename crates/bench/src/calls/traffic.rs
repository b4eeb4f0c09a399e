//! Calls at a steady rate, and what became of them.

use super::subject::Client;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Mutex;
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};
use tonic::Code;

/// How long a call may take before its user has gone.
pub(crate) const ANSWERED_WITHIN: Duration = Duration::from_secs(1);

/// One call.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Seen {
    /// When it was made.
    pub(crate) at: Instant,
    /// How long it took.
    pub(crate) took: Duration,
    pub(crate) is_ok: bool,
}

/// Calls that go on until this is stopped.
pub(crate) struct Traffic {
    seen: Arc<Mutex<Vec<Seen>>>,
    calling: JoinSet<()>,
}

impl Traffic {
    pub(crate) fn start(client: Client, per_second: u32) -> Self {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let mut calling = JoinSet::new();
        calling.spawn(run(client, per_second, seen.clone()));
        Traffic { seen, calling }
    }

    /// Waits for the calls that are on their way, and tells of all that were made.
    pub(crate) async fn stop(mut self) -> Vec<Seen> {
        // Whatever is on its way now is over by then.
        tokio::time::sleep(ANSWERED_WITHIN + Duration::from_millis(50)).await;
        self.calling.shutdown().await;
        let mut seen = std::mem::take(&mut *self.seen.lock().await);
        seen.sort_by_key(|call| call.at);
        seen
    }
}

async fn run(client: Client, per_second: u32, seen: Arc<Mutex<Vec<Seen>>>) {
    let mut ticks = interval(Duration::from_secs(1) / per_second.max(1));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let mut calls = JoinSet::new();
    loop {
        ticks.tick().await;
        while calls.try_join_next().is_some() {}
        let (call, seen) = (client.call(), seen.clone());
        calls.spawn(async move {
            let at = Instant::now();
            let is_ok = matches!(timeout(ANSWERED_WITHIN, call).await, Ok(Code::Ok));
            seen.lock().await.push(Seen { at, took: at.elapsed(), is_ok });
        });
    }
}
