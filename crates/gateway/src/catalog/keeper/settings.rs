//! Other settings while the gateway runs. A service is served by those before until it can be called by the new ones.

use super::{Configured, Keeper, Kept, described};
use crate::catalog::ServiceConfig;
use crate::catalog::foreign::{Origin, Source};
use crate::{Config, Error};
use guard::Guard;
use std::collections::{BTreeMap, BTreeSet};
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
    fn follow(&mut self, services: &BTreeMap<String, ServiceConfig>, configured: Vec<Configured>) -> Result<(), Error> {
        let names: BTreeSet<String> = configured.iter().map(|service| service.name.clone()).collect();
        let mut new = Vec::new();
        for service in configured {
            let settings = services.get(&service.name);
            if !self.is_followed(&service.name, settings)? {
                new.push(self.take_configured(service, settings)?);
            }
        }
        let is_over = |kept: &Kept| kept.foreign.origin == Origin::Configured && !names.contains(&*kept.foreign.name);
        self.coming.retain(|(_, kept)| !is_over(kept) && !new.iter().any(|new| new.replaces(kept)));
        let now = Instant::now();
        let (gone, stay): (Vec<Kept>, Vec<Kept>) = std::mem::take(&mut self.services).into_iter().partition(is_over);
        self.services = stay;
        for kept in gone {
            self.let_go(kept, now);
        }
        for kept in new {
            if self.services.iter().any(|old| kept.replaces(old)) {
                self.coming.push((now + self.config.catalog.absent_grace(), kept));
            } else {
                self.services.push(kept);
            }
        }
        Ok(())
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
                let dialect = settings.map(ServiceConfig::dialect).unwrap_or_default();
                Ok(described(name, path, dialect)?.id == description.id)
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
        let services = std::mem::take(&mut self.services);
        let (old, stay): (Vec<Kept>, Vec<Kept>) = services.into_iter().partition(|old| kept.replaces(old));
        self.services = stay;
        for old in old {
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
    /// Whether it is what another one is by other settings, or what Consul says of it.
    fn replaces(&self, other: &Kept) -> bool {
        let name = &other.foreign.name;
        *name == self.foreign.name || (other.foreign.origin == Origin::Found && self.consul.as_ref() == Some(name))
    }
}
