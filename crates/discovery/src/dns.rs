//! DNS: A and AAAA, or SRV, asked again when their time to live is over. What Kubernetes offers for a headless service.
//!
//! An answer is believed as it is, since DNS has no word for doubt; but "no such name" and no answer at all keep the last list: a name
//! that had addresses a moment ago is rather a fault of the server than the end of the service.

mod config;
mod lookup;

pub use config::{DnsConfig, DnsRecords};

use crate::error::chain;
use crate::pace::{Backoff, random};
use crate::{Endpoint, Endpoints, Error, Feed, Standing};
use config::Place;
use lifecycle::{Drain, Tasks};
use lookup::{Family, Found, Resolver, Target};
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::time::{Instant, sleep};
use tracing::{debug, info, warn};

/// Follows a name until the drain of `tasks`.
///
/// # Errors
/// Names a setting that makes no sense, or says that `/etc/resolv.conf` cannot be read. That no server answers is no error.
pub fn dns(tasks: &mut Tasks, config: DnsConfig) -> Result<Endpoints, Error> {
    let place = config.check()?;
    let resolver = Resolver::new(&config)?;
    let (feed, endpoints) = Endpoints::feed();
    let backoff =
        Backoff::new(Duration::from_millis(config.backoff_ms_min), Duration::from_millis(config.backoff_ms_max));
    let watch = Watch { place, resolver, feed, known: BTreeMap::new(), backoff, config };
    tasks.spawn("dns-watch", watch.run(tasks.drain_request()));
    Ok(endpoints)
}

/// One name, and what each lookup for it has found last.
struct Watch {
    config: DnsConfig,
    place: Place,
    resolver: Resolver,
    feed: Feed,
    known: BTreeMap<(String, Family), Vec<IpAddr>>,
    backoff: Backoff,
}

/// What one round has found.
#[derive(Default)]
struct Round {
    endpoints: Vec<Endpoint>,
    known: BTreeMap<(String, Family), Vec<IpAddr>>,
    /// The shortest time to live.
    ttl: Option<Duration>,
    answered: usize,
    fault: Option<Error>,
}

impl Watch {
    async fn run(mut self, drain: Drain) {
        let follow = async {
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

    /// Asks once; says how long the answer may be used.
    async fn round(&mut self) -> Duration {
        let round = match self.ask().await {
            Ok(round) => round,
            Err(error) => return self.suffer(error),
        };
        if round.answered == 0
            && let Some(error) = round.fault
        {
            return self.suffer(error);
        }
        if round.endpoints.is_empty() && round.fault.is_none() {
            return self.find_nobody();
        }
        let (ttl, is_whole) = (round.ttl.unwrap_or_default(), round.fault.is_none());
        self.known = round.known;
        let before = self.feed.now();
        self.feed.publish(round.endpoints, Instant::now(), round.fault);
        let after = self.feed.now();
        if *before.endpoints != *after.endpoints {
            self.feed.counters().wakes.fetch_add(1, Ordering::Relaxed);
            debug!(name = self.config.name, endpoints = after.endpoints.len(), "endpoints changed");
        }
        if !is_whole {
            return self.backoff.pause(random());
        }
        if before.fault.is_some() {
            info!(name = self.config.name, "endpoints are fresh");
        }
        self.backoff.reset();
        self.config.bounded(ttl)
    }

    async fn ask(&self) -> Result<Round, Error> {
        let mut round = Round::default();
        let targets = match &self.place {
            Place::Host { name, port } => vec![Target { name: name.clone(), port: *port, weight: 1, priority: 0 }],
            Place::Service { name } => {
                let (targets, ttl) = self.resolver.service(name).await?;
                round.note(ttl);
                targets
            }
        };
        let first = targets.iter().map(|target| target.priority).min().unwrap_or_default();
        for target in targets {
            let (v4, v6) = tokio::join!(
                self.resolver.addresses(&target.name, Family::V4),
                self.resolver.addresses(&target.name, Family::V6),
            );
            let standing = if target.priority == first { Standing::Up } else { Standing::Unknown };
            for (family, found) in [(Family::V4, v4), (Family::V6, v6)] {
                let part = (target.name.clone(), family);
                let addresses = match found {
                    Ok(Found { addresses, ttl }) => {
                        round.answered += 1;
                        round.note(ttl);
                        addresses
                    }
                    // What another part found is fresh, and what this one found before stays.
                    Err(error) => {
                        round.fault = Some(error);
                        self.known.get(&part).cloned().unwrap_or_default()
                    }
                };
                let at = |ip: &IpAddr| Endpoint {
                    standing,
                    weight: target.weight,
                    ..Endpoint::at(SocketAddr::new(*ip, target.port))
                };
                round.endpoints.extend(addresses.iter().map(at));
                round.known.insert(part, addresses);
            }
        }
        Ok(round)
    }

    /// "No such name": nobody at the start, and afterwards those that there were.
    fn find_nobody(&mut self) -> Duration {
        let error = Error::NoSuchName { name: self.config.name.clone() };
        if !self.feed.now().is_known {
            self.feed.publish(Vec::new(), Instant::now(), Some(error));
            return self.backoff.pause(random());
        }
        if !self.feed.now().endpoints.is_empty() && self.feed.now().fault.is_none() {
            self.feed.counters().suppressed_shrinks.fetch_add(1, Ordering::Relaxed);
        }
        self.suffer(error)
    }

    fn suffer(&mut self, error: Error) -> Duration {
        if self.feed.now().fault.is_none() {
            warn!(name = self.config.name, error = chain(&error), "endpoints are not fresh");
        }
        self.feed.fail(error);
        self.backoff.pause(random())
    }
}

impl Round {
    fn note(&mut self, ttl: Option<Duration>) {
        self.ttl = match (self.ttl, ttl) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
    }
}
