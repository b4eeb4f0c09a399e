//! Follows which services carry a tag, by blocking queries of the catalog of all services.

use super::access;
use super::answer::{self, Listed};
use super::client::Client;
use super::disk::Disk;
use super::names::Names;
use super::query::Query;
use super::snapshot::Snapshot;
use super::view::Rules;
use crate::error::chain;
use crate::{Error, TagFeed};
use lifecycle::Drain;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, sleep};
use tracing::{info, warn};

/// One tag, and how far it has been followed.
#[derive(Debug)]
pub(super) struct TagWatch {
    query: Query,
    tag: String,
    feed: TagFeed,
    names: Names,
    snapshot: Snapshot,
}

impl TagWatch {
    pub(super) fn new(client: Arc<Client>, tag: &str, feed: TagFeed) -> Self {
        let config = client.config();
        let names = Names::new(Rules::of(config));
        let snapshot = Snapshot::new(Disk::of_tag(config, tag));
        let query = Query::new(client, feed.counters().clone(), "/v1/catalog/services".to_owned());
        TagWatch { query, tag: tag.to_owned(), feed, names, snapshot }
    }

    /// Follows the tag until the drain.
    pub(super) async fn run(mut self, drain: Drain) {
        let follow = async {
            self.recall().await;
            loop {
                let pause = match self.learn().await {
                    Ok(()) => self.query.rest(),
                    Err(error) => self.suffer(error),
                };
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
        let Some((names, age)) = self.snapshot.recall::<BTreeSet<String>>().await else { return };
        self.names.restore(names.clone());
        self.feed.publish(names, Some(Error::FromDisk { service: format!("the tag {}", self.tag), age }));
    }

    async fn learn(&mut self) -> Result<(), Error> {
        let answer = self.query.ask(self.names.next_expiry()).await?;
        let (client, agent) = (self.query.client(), self.query.agent());
        let listed = answer::read_services(&answer, &self.tag)
            .map_err(|error| Error::Unreadable { agent: client.agent(agent).to_owned(), source: error.into() })?;
        self.query.check(&listed.head)?;
        // Consul lists itself, so a list without any service is one of which nothing may be seen. Who has seen one is asked about that.
        let known = self.feed.now().names.first().cloned();
        if listed.services == 0
            && access::is_denied(client, agent, known.as_deref().unwrap_or_default(), &listed.head).await
        {
            return Err(Error::CatalogAccessSuspected { tag: self.tag.clone() });
        }
        self.take(listed).await;
        Ok(())
    }

    async fn take(&mut self, listed: Listed) {
        self.query.take(&listed.head);
        let seen = self.names.absorb(listed.names, Instant::now());
        self.query.doubt(seen.held_back > 0);
        if seen.held_back > 0 {
            warn!(tag = self.tag, services = seen.held_back, "services vanished and are held back");
        }
        let before = self.feed.now();
        self.feed.confirm(seen.names);
        let after = self.feed.now();
        if before.fault.is_some() {
            info!(tag = self.tag, "services of the tag are fresh");
        }
        if before.names != after.names {
            info!(tag = self.tag, services = after.names.len(), "services of the tag changed");
            self.snapshot.outdate();
        }
        self.snapshot.keep(after.names.is_empty(), || BTreeSet::clone(&after.names)).await;
    }

    fn suffer(&mut self, error: Error) -> Duration {
        if matches!(self.feed.now().fault.as_deref(), None | Some(Error::FromDisk { .. })) {
            warn!(tag = self.tag, error = chain(&error), "services of the tag are not fresh");
        }
        let pause = self.query.suffer(&error);
        self.feed.fail(error);
        pause
    }
}
