//! Follows one service by blocking queries.
//!
//! It asks without `passing` and judges by itself, so that it can tell who was deregistered, who is in maintenance, who fails and whose
//! check has not run. The index begins anew after every fault, with every other agent and when it goes backwards: a query whose index is
//! ahead of the server hears nothing.

use super::access;
use super::answer::{self, Health};
use super::client::{Answer, Ask, Client, segment};
use super::disk::Disk;
use super::view::{Rules, View};
use crate::error::chain;
use crate::pace::{Backoff, Pace, random};
use crate::{Error, Feed};
use bytes::Bytes;
use http::Method;
use lifecycle::Drain;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::time::{Instant, sleep};
use tracing::{debug, info, warn};

/// What a burst of changes may cost: so many answers at once, and then one in each interval.
const BURST: u32 = 10;
const BURST_REFILL: Duration = Duration::from_millis(500);

/// How long a query waits when there are more watches than may wait at the same time.
const CROWDED_WAIT: Duration = Duration::from_secs(2);

/// Shorter waits are not worth a query that blocks.
const WAIT_MIN: Duration = Duration::from_millis(10);

/// How often an unchanged snapshot is written again, so that its age on disk is told well enough.
const STORE_AGAIN_AFTER: Duration = Duration::from_secs(300);

/// One service, and how far it has been followed.
#[derive(Debug)]
pub(super) struct Watch {
    client: Arc<Client>,
    service: String,
    feed: Feed,
    view: View,
    disk: Option<Disk>,
    stored_at: Option<Instant>,
    agent: usize,
    /// 0: answer at once.
    index: u64,
    /// Whether the next answer has to be the leader's own.
    is_doubtful: bool,
    backoff: Backoff,
    pace: Pace,
}

impl Watch {
    pub(super) fn new(client: Arc<Client>, service: &str, feed: Feed) -> Self {
        let config = client.config();
        let rules = Rules {
            shrink_percent_max: config.shrink_percent_max,
            hold_down: Duration::from_millis(config.hold_down_ms),
            unproven_max: Duration::from_millis(config.unproven_ms_max),
        };
        let (disk, backoff) = (Disk::new(config, service), config.backoff());
        let agent = client.preferred();
        client.count_watch();
        Watch {
            service: service.to_owned(),
            feed,
            view: View::new(rules),
            disk,
            stored_at: None,
            agent,
            index: 0,
            is_doubtful: false,
            backoff,
            pace: Pace::new(BURST, BURST_REFILL, Instant::now()),
            client,
        }
    }

    /// Follows the service until the drain.
    pub(super) async fn run(mut self, drain: Drain) {
        let follow = async {
            self.recall().await;
            loop {
                let pause = self.round().await;
                sleep(pause).await;
            }
        };
        tokio::select! {
            biased;
            () = drain.requested() => {}
            never = follow => never,
        }
    }

    /// Begins with the snapshot on disk, if there is one.
    async fn recall(&mut self) {
        let Some(disk) = &self.disk else { return };
        match disk.load().await {
            Ok(Some((endpoints, age))) => {
                self.view.restore(&endpoints);
                let now = Instant::now();
                let fault = Error::FromDisk { service: self.service.clone(), age };
                self.feed.publish(endpoints, now.checked_sub(age).unwrap_or(now), Some(fault));
            }
            Ok(None) => {}
            Err(error) => {
                warn!(service = self.service, file = %disk.file().display(), error = %error, "snapshot not readable");
            }
        }
    }

    /// Asks once; says how long to wait before the next time.
    async fn round(&mut self) -> Duration {
        match self.learn().await {
            Ok(()) => {
                self.backoff.reset();
                self.pace.take(Instant::now())
            }
            Err(error) => self.suffer(error),
        }
    }

    async fn learn(&mut self) -> Result<(), Error> {
        let agent = self.client.preferred();
        if agent != self.agent {
            // Indexes of different agents have nothing to do with each other.
            self.agent = agent;
            self.begin_anew();
        }
        let answer = self.query().await?;
        let health = answer::read(&answer, self.client.config().port_name.as_deref())
            .map_err(|error| Error::Unreadable { agent: self.client.agent(agent).to_owned(), source: error.into() })?;
        let behind_max = Duration::from_millis(self.client.config().behind_ms_max);
        if health.behind > behind_max {
            return Err(Error::TooOld { agent: self.client.agent(agent).to_owned(), behind: health.behind });
        }
        let is_empty = health.members.is_empty() && health.unusable == 0;
        if is_empty && access::is_denied(&self.client, agent, &self.service, &health).await {
            return Err(Error::AccessSuspected { service: self.service.clone() });
        }
        self.take(health).await;
        Ok(())
    }

    async fn query(&self) -> Result<Answer, Error> {
        let config = self.client.config();
        let within = config.request_timeout();
        let mut path = format!("/v1/health/service/{}?", segment(&self.service));
        path.push_str(if self.is_doubtful { "consistent" } else { "stale" });
        if let Some(datacenter) = &config.datacenter {
            path.push_str(&format!("&dc={}", segment(datacenter)));
        }
        let wait = self.wait();
        let mut ask = Ask { method: Method::GET, path, body: Bytes::new(), within };
        if self.index != 0 && !self.is_doubtful && wait >= WAIT_MIN {
            ask.path.push_str(&format!("&index={}&wait={}ms", self.index, wait.as_millis()));
            // The agent itself adds up to a sixteenth, so that its clients do not come back together.
            ask.within += wait + wait / 16;
        }
        let _turn = self.client.turn().await;
        self.client.ask(self.agent, ask).await
    }

    /// Until there is news, a member that is held back has to go, or it is somebody else's turn.
    fn wait(&self) -> Duration {
        let config = self.client.config();
        let wait = if self.client.is_crowded() { CROWDED_WAIT } else { config.wait(random()) };
        let until = |expiry: Instant| expiry.saturating_duration_since(Instant::now());
        self.view.next_expiry().map_or(wait, |expiry| wait.min(until(expiry)))
    }

    async fn take(&mut self, health: Health) {
        if health.index < self.index {
            info!(service = self.service, index = health.index, before = self.index, "index went back; beginning anew");
            self.begin_anew();
        } else {
            if health.index > self.index {
                self.count(|counters| &counters.wakes);
            }
            self.index = health.index;
        }
        let seen = self.view.absorb(health.members, Instant::now());
        self.is_doubtful = seen.held_back > 0;
        if self.is_doubtful {
            self.count(|counters| &counters.suppressed_shrinks);
            warn!(service = self.service, members = seen.held_back, "members vanished and are held back");
        }
        let before = self.feed.now();
        self.feed.confirm(seen.endpoints);
        let after = self.feed.now();
        if before.fault.is_some() {
            info!(service = self.service, "endpoints are fresh");
        }
        if *before.endpoints != *after.endpoints {
            debug!(service = self.service, endpoints = after.endpoints.len(), "endpoints changed");
            self.stored_at = None;
        }
        self.store(&after.endpoints).await;
    }

    /// Keeps a list for the next cold start; an empty one helps nobody.
    async fn store(&mut self, endpoints: &[crate::Endpoint]) {
        let Some(disk) = &self.disk else { return };
        let is_stored = self.stored_at.is_some_and(|at| at.elapsed() < STORE_AGAIN_AFTER);
        if is_stored || endpoints.is_empty() {
            return;
        }
        match disk.store(endpoints).await {
            Ok(()) => self.stored_at = Some(Instant::now()),
            Err(error) => {
                warn!(service = self.service, file = %disk.file().display(), error = %error, "snapshot not written");
            }
        }
    }

    fn suffer(&mut self, error: Error) -> Duration {
        let is_first = matches!(self.feed.now().fault.as_deref(), None | Some(Error::FromDisk { .. }));
        if is_first {
            warn!(service = self.service, error = chain(&error), "endpoints are not fresh");
        } else {
            debug!(service = self.service, error = chain(&error), "endpoints are still not fresh");
        }
        // Another agent may know more; it has the same ACLs.
        if error.is_transient() {
            self.client.give_up(self.agent);
        }
        self.begin_anew();
        self.feed.fail(error);
        self.backoff.pause(random())
    }

    fn begin_anew(&mut self) {
        if self.index != 0 {
            self.index = 0;
            self.count(|counters| &counters.index_resets);
        }
    }

    fn count(&self, counter: impl FnOnce(&crate::endpoints::Counters) -> &AtomicU64) {
        counter(self.feed.counters()).fetch_add(1, Ordering::Relaxed);
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.client.forget_watch();
    }
}
