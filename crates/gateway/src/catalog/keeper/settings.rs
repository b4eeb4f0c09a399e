//! Other settings while the gateway runs. A service is served by those before until it can be called by the new ones.

use super::{Configured, Found, Keeper, Kept, descriptors};
use crate::catalog::ServiceConfig;
use crate::catalog::description::Description;
use crate::catalog::foreign::{Origin, Source};
use crate::{Config, Error};
use guard::Guard;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::Instant;
use tracing::info;

/// Other settings that wait to be taken at most; whoever changes them waits for the answer.
pub(super) const WAITING_MAX: usize = 1;

/// Other settings than those that are served by.
pub(crate) struct Settings {
    pub(crate) guard: Guard,
    /// Of it, what the guard and the configured services are.
    pub(crate) config: Config,
    pub(crate) configured: Vec<Configured>,
    /// Whether they are served by; not, when something of them cannot be used.
    pub(crate) reply: oneshot::Sender<Result<(), Error>>,
}

/// Reaches the keeper.
#[derive(Debug, Clone)]
pub(crate) struct Control {
    /// The guard of now.
    pub(crate) guard: watch::Receiver<Guard>,
    /// Takes other settings.
    pub(crate) settings: mpsc::Sender<Settings>,
}

impl Keeper {
    /// Serves by other settings, unless something of them cannot be used.
    pub(super) async fn change(&mut self, settings: Settings) {
        let Settings { guard, config, configured, reply } = settings;
        let result = self.follow(&config.services, configured);
        if result.is_ok() {
            (self.config.services, self.config.guard) = (config.services, config.guard);
            self.guard.send_replace(guard);
            // The guard of the catalog of now is the one before.
            self.basis = None;
            self.settle().await;
        }
        // Whoever asked and went away has lost the answer and nothing else.
        reply.send(result).ok();
    }

    /// Follows these configured services, and lets the others go. All that is new is made before anything is replaced.
    pub(super) fn follow(
        &mut self,
        services: &BTreeMap<String, ServiceConfig>,
        configured: Vec<Configured>,
    ) -> Result<(), Error> {
        let names: BTreeSet<String> = configured.iter().map(|service| service.name.clone()).collect();
        let mut new = Vec::new();
        for service in configured {
            let settings = services.get(&service.name);
            if !self.is_followed(&service.name, settings)? {
                new.push(self.take_configured(service, settings)?);
            }
        }
        let is_over = |kept: &Kept| kept.foreign.origin == Origin::Configured && !names.contains(&*kept.foreign.name);
        new.extend(self.found_again(is_over)?);
        self.coming.retain(|(_, kept)| !is_over(kept) && !new.iter().any(|new| new.replaces(kept)));
        self.let_come(new);
        let is_replaced = |kept: &Kept| self.coming.iter().any(|(_, new)| new.replaces(kept));
        let gone = self.services.extract_if(.., |kept| is_over(kept) && !is_replaced(kept));
        for kept in gone.collect::<Vec<_>>() {
            self.let_go(kept, Instant::now());
        }
        Ok(())
    }

    /// What Consul says of services that are not configured any more, and have the tag.
    fn found_again(&mut self, is_over: impl Fn(&Kept) -> bool) -> Result<Vec<Kept>, Error> {
        let Some(Found { tagged, watch }) = &self.found else { return Ok(Vec::new()) };
        let (listing, watch) = (tagged.now(), watch.clone());
        let over = self.services.iter().filter(|kept| is_over(kept));
        let names = over.map(|kept| kept.consul.as_ref().unwrap_or(&kept.foreign.name));
        let found: BTreeSet<Arc<str>> = names.filter(|name| listing.names.contains(&***name)).cloned().collect();
        found.into_iter().map(|name| self.take_found(name, &watch)).collect()
    }

    /// Has services wait that replace others; the rest is served as soon as it is described.
    fn let_come(&mut self, new: Vec<Kept>) {
        let at_latest = Instant::now() + self.config.catalog.absent_grace();
        let (coming, at_once): (Vec<Kept>, Vec<Kept>) =
            new.into_iter().partition(|kept| self.services.iter().any(|old| kept.replaces(old)));
        self.coming.extend(coming.into_iter().map(|kept| (at_latest, kept)));
        self.services.extend(at_once);
    }

    /// Whether a configured service is followed already, by these settings and by what its descriptor file says now.
    fn is_followed(&self, name: &str, settings: Option<&ServiceConfig>) -> Result<bool, Error> {
        let coming = self.coming.iter().map(|(_, kept)| kept);
        let mut newest_first = coming.chain(&self.services);
        let kept = newest_first.find(|kept| kept.foreign.origin == Origin::Configured && *kept.foreign.name == *name);
        match kept.map(|kept| &kept.foreign.source) {
            Some(_) if settings != self.config.services.get(name) => Ok(false),
            Some(Source::Reflection(_)) => Ok(true),
            Some(Source::File(path, description)) => {
                Ok(Description::id(&descriptors(name, path)?, None) == description.id)
            }
            None => Ok(false),
        }
    }

    /// Lets services in that replace others, once they can be called, or have had their time.
    pub(super) fn let_in(&mut self, now: Instant, grace: Duration) {
        for (at_latest, mut kept) in std::mem::take(&mut self.coming) {
            kept.foreign.look(now, grace);
            if kept.foreign.can_be_called() || now >= at_latest {
                self.replace(kept, now);
            } else {
                self.coming.push((at_latest, kept));
            }
        }
    }

    /// Puts a service in the place of those that it replaces, with what was known of them. What these work on is finished.
    fn replace(&mut self, mut kept: Kept, now: Instant) {
        let replaced = self.services.extract_if(.., |old| kept.replaces(old));
        for old in replaced.collect::<Vec<_>>() {
            kept.seniority = kept.seniority.or(old.seniority);
            (kept.outcome, kept.last_change) = (old.outcome.clone(), old.last_change.clone());
            if old.foreign.name != kept.foreign.name {
                self.metrics.forget(&old.foreign.name);
            }
            self.leaving.push((self.leaves_until(now), old));
        }
        info!(service = &*kept.foreign.name, "service is served by other settings");
        self.services.push(kept);
    }
}

impl Kept {
    /// Whether it is the same service by other settings: one of that name, or one is what Consul says of the other.
    fn replaces(&self, other: &Kept) -> bool {
        let (own, others) = (&self.foreign, &other.foreign);
        let is_found = match (own.origin, others.origin) {
            (Origin::Configured, Origin::Found) => self.consul.as_ref() == Some(&others.name),
            (Origin::Found, Origin::Configured) => other.consul.as_ref() == Some(&own.name),
            _ => false,
        };
        is_found || own.name == others.name
    }
}
