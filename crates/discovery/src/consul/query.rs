//! A blocking query that is asked again and again, and how far it has got.
//!
//! The index begins anew after every fault, with every other agent and when it goes backwards: a query whose index is ahead of the server
//! hears nothing.

use super::answer::Head;
use super::client::{Answer, Ask, Client, segment};
use crate::Error;
use crate::endpoints::Counters;
use crate::pace::{Backoff, Pace, random};
use bytes::Bytes;
use http::Method;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::time::Instant;
use tracing::info;

/// What a burst of changes may cost: so many answers at once, and then one in each interval.
const BURST: u32 = 10;
const BURST_REFILL: Duration = Duration::from_millis(500);

/// How long a query waits when there are more watches than may wait at the same time.
const CROWDED_WAIT: Duration = Duration::from_secs(2);

/// Shorter waits are not worth a query that blocks.
const WAIT_MIN: Duration = Duration::from_millis(10);

/// One question, and how far it has been followed.
#[derive(Debug)]
pub(super) struct Query {
    client: Arc<Client>,
    counters: Arc<Counters>,
    /// What is asked for, without parameters.
    path: String,
    agent: usize,
    /// 0: answer at once.
    index: u64,
    /// Whether the next answer has to be the leader's own.
    is_doubtful: bool,
    backoff: Backoff,
    pace: Pace,
}

impl Query {
    pub(super) fn new(client: Arc<Client>, counters: Arc<Counters>, path: String) -> Self {
        let (agent, backoff) = (client.preferred(), client.config().backoff());
        client.count_watch();
        let pace = Pace::new(BURST, BURST_REFILL, Instant::now());
        Query { client, counters, path, agent, index: 0, is_doubtful: false, backoff, pace }
    }

    pub(super) fn client(&self) -> &Client {
        &self.client
    }

    /// The agent that is asked.
    pub(super) fn agent(&self) -> usize {
        self.agent
    }

    /// Asks once, and waits for news: at most until `expiry`.
    pub(super) async fn ask(&mut self, expiry: Option<Instant>) -> Result<Answer, Error> {
        let preferred = self.client.preferred();
        if preferred != self.agent {
            // Indexes of different agents have nothing to do with each other.
            self.agent = preferred;
            self.begin_anew();
        }
        let config = self.client.config();
        let mut path = format!("{}?{}", self.path, if self.is_doubtful { "consistent" } else { "stale" });
        if let Some(datacenter) = &config.datacenter {
            path.push_str(&format!("&dc={}", segment(datacenter)));
        }
        let wait = self.wait(expiry);
        let mut ask = Ask { method: Method::GET, path, body: Bytes::new(), within: config.request_timeout() };
        if self.index != 0 && !self.is_doubtful && wait >= WAIT_MIN {
            ask.path.push_str(&format!("&index={}&wait={}ms", self.index, wait.as_millis()));
            // The agent itself adds up to a sixteenth, so that its clients do not come back together.
            ask.within += wait + wait / 16;
        }
        let _turn = self.client.turn().await;
        self.client.ask(self.agent, ask).await
    }

    /// Looks whether an answer is young enough.
    pub(super) fn check(&self, head: &Head) -> Result<(), Error> {
        let behind_max = Duration::from_millis(self.client.config().behind_ms_max);
        if head.behind > behind_max {
            return Err(Error::TooOld { agent: self.client.agent(self.agent).to_owned(), behind: head.behind });
        }
        Ok(())
    }

    /// Takes an answer's index, from which the next query goes on.
    pub(super) fn take(&mut self, head: &Head) {
        if head.index < self.index {
            info!(query = self.path, index = head.index, before = self.index, "index went back; beginning anew");
            self.begin_anew();
            return;
        }
        if head.index > self.index {
            self.count(|counters| &counters.wakes);
        }
        self.index = head.index;
    }

    /// Says whether the answer was not believed as a whole: then the leader is asked.
    pub(super) fn doubt(&mut self, is_doubtful: bool) {
        self.is_doubtful = is_doubtful;
        if is_doubtful {
            self.count(|counters| &counters.suppressed_shrinks);
        }
    }

    /// How long to wait after an answer.
    pub(super) fn rest(&mut self) -> Duration {
        self.backoff.reset();
        self.pace.take(Instant::now())
    }

    /// How long to wait after a fault; another agent is asked if it may know more.
    pub(super) fn suffer(&mut self, error: &Error) -> Duration {
        // Another agent may know more; it has the same ACLs.
        if error.is_transient() {
            self.client.give_up(self.agent);
        }
        self.begin_anew();
        self.backoff.pause(random())
    }

    /// Until there is news, something that is held back has to go, or it is somebody else's turn.
    fn wait(&self, expiry: Option<Instant>) -> Duration {
        let config = self.client.config();
        let wait = if self.client.is_crowded() { CROWDED_WAIT } else { config.wait(random()) };
        expiry.map_or(wait, |expiry| wait.min(expiry.saturating_duration_since(Instant::now())))
    }

    fn begin_anew(&mut self) {
        if self.index != 0 {
            self.index = 0;
            self.count(|counters| &counters.index_resets);
        }
    }

    fn count(&self, counter: impl FnOnce(&Counters) -> &AtomicU64) {
        counter(&self.counters).fetch_add(1, Ordering::Relaxed);
    }
}

impl Drop for Query {
    fn drop(&mut self) {
        self.client.forget_watch();
    }
}
