//! Follows one service by blocking queries.
//!
//! It asks without `passing` and judges by itself, so that it can tell who was deregistered, who is in maintenance, who fails and whose
//! check has not run.

use super::access;
use super::answer::{self, Health};
use super::client::{Client, segment};
use super::disk::Disk;
use super::query::Query;
use super::snapshot::Snapshot;
use super::view::{Rules, View};
use crate::error::chain;
use crate::{Endpoint, Error, Feed};
use lifecycle::Drain;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, sleep};
use tracing::{debug, info, warn};

/// One service, and how far it has been followed.
#[derive(Debug)]
pub(super) struct Watch {
    query: Query,
    service: String,
    feed: Feed,
    view: View,
    snapshot: Snapshot,
}

impl Watch {
    pub(super) fn new(client: Arc<Client>, service: &str, feed: Feed) -> Self {
        let config = client.config();
        let view = View::new(Rules::of(config));
        let snapshot = Snapshot::new(Disk::of_service(config, service));
        let path = format!("/v1/health/service/{}", segment(service));
        let query = Query::new(client, feed.counters().clone(), path);
        Watch { query, service: service.to_owned(), feed, view, snapshot }
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
        let Some((endpoints, age)) = self.snapshot.recall::<Vec<Endpoint>>().await else { return };
        self.view.restore(&endpoints);
        let now = Instant::now();
        let fault = Error::FromDisk { service: self.service.clone(), age };
        self.feed.publish(endpoints, now.checked_sub(age).unwrap_or(now), Some(fault));
    }

    /// Asks once; says how long to wait before the next time.
    async fn round(&mut self) -> Duration {
        match self.learn().await {
            Ok(()) => self.query.rest(),
            Err(error) => self.suffer(error),
        }
    }

    async fn learn(&mut self) -> Result<(), Error> {
        let answer = self.query.ask(self.view.next_expiry()).await?;
        let (client, agent) = (self.query.client(), self.query.agent());
        let health = answer::read(&answer, client.config().port_name.as_deref())
            .map_err(|error| Error::Unreadable { agent: client.agent(agent).to_owned(), source: error.into() })?;
        self.query.check(&health.head)?;
        let is_empty = health.members.is_empty() && health.unusable == 0;
        if is_empty && access::is_denied(client, agent, &self.service, &health.head).await {
            return Err(Error::AccessSuspected { service: self.service.clone() });
        }
        self.take(health).await;
        Ok(())
    }

    async fn take(&mut self, health: Health) {
        self.query.take(&health.head);
        let seen = self.view.absorb(health.members, Instant::now());
        self.query.doubt(seen.held_back > 0);
        if seen.held_back > 0 {
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
            self.snapshot.outdate();
        }
        self.snapshot.keep(after.endpoints.is_empty(), || after.endpoints.to_vec()).await;
    }

    fn suffer(&mut self, error: Error) -> Duration {
        let is_first = matches!(self.feed.now().fault.as_deref(), None | Some(Error::FromDisk { .. }));
        if is_first {
            warn!(service = self.service, error = chain(&error), "endpoints are not fresh");
        } else {
            debug!(service = self.service, error = chain(&error), "endpoints are still not fresh");
        }
        let pause = self.query.suffer(&error);
        self.feed.fail(error);
        pause
    }
}
