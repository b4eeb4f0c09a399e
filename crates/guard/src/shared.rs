//! A guard: what all its layers share.

use crate::guarded::GuardLayer;
use crate::idempotency::memory::Memory;
use crate::idempotency::{Keeper, Store, StoreKind};
use crate::identity::{Authenticator, Naming};
use crate::plan::Plans;
use crate::rates::{Rate, RateRule};
use crate::{Config, Defaults, Error, Metrics};
use lifecycle::{Drain, Rhythm};
use prost_reflect::MethodDescriptor;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::time::Instant;

/// Who may call what, how often and for how long. Clones are the same guard.
#[derive(Debug, Clone)]
pub struct Guard(pub(crate) Arc<Shared>);

#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) config: Config,
    pub(crate) defaults: Defaults,
    pub(crate) authenticator: Authenticator,
    pub(crate) rates: Vec<Arc<Rate>>,
    pub(crate) keeper: Option<Arc<Keeper>>,
    pub(crate) metrics: Metrics,
    begun: Instant,
}

/// Who can call through a port.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Openness {
    /// Whoever the rules let through.
    Guarded,
    /// Everybody on this machine.
    OpenHere,
    /// Everybody, as the configuration says.
    OpenToAll,
}

impl Config {
    /// Who can call through a port at `address`.
    ///
    /// # Errors
    /// When everybody could, from other machines, and nobody has said that this is meant.
    pub fn openness(&self, address: SocketAddr) -> Result<Openness, Error> {
        match (self.is_open(), address.ip().to_canonical().is_loopback(), self.access) {
            (false, _, _) => Ok(Openness::Guarded),
            (true, true, _) => Ok(Openness::OpenHere),
            (true, false, Some(_)) => Ok(Openness::OpenToAll),
            (true, false, None) => Err(Error::Open { address }),
        }
    }
}

impl Guard {
    /// Makes a guard, and reads the keys that it needs.
    ///
    /// # Errors
    /// When a setting makes no sense, or a file with keys cannot be used. A URL that cannot be reached is no error: it is asked again.
    pub async fn new(config: Config, defaults: Defaults, metrics: Metrics) -> Result<Self, Error> {
        config.check()?;
        let idempotency = &config.idempotency;
        let store = match idempotency.store {
            StoreKind::Nowhere => None,
            StoreKind::Memory => {
                let bytes_max = usize::try_from(idempotency.bytes_max).unwrap_or(usize::MAX);
                let kept_ms = idempotency.kept_seconds.saturating_mul(1_000);
                Some(Store::Memory(Memory::new(kept_ms, idempotency.answers_max, bytes_max)))
            }
            StoreKind::JetStream => {
                return Err(Error::setting(
                    "idempotency.store",
                    "there is no line to NATS that it could be shared over",
                ));
            }
        };
        Guard::over(store, config, defaults, metrics).await
    }

    /// Makes a guard that shares the answers that it keeps, if its configuration says so, over a line to NATS of its own.
    ///
    /// # Errors
    /// As [`Guard::new`], and when the line's settings make no sense. A broker that is away is no error: calls with a key are refused until
    /// it is back.
    #[cfg(feature = "jetstream")]
    pub async fn sharing(
        config: Config,
        defaults: Defaults,
        metrics: Metrics,
        line: &messaging::JetStreamConfig,
    ) -> Result<Self, Error> {
        use messaging::jetstream::{Bucket, BucketConfig};
        if config.idempotency.store != StoreKind::JetStream {
            return Guard::new(config, defaults, metrics).await;
        }
        config.check()?;
        let idempotency = &config.idempotency;
        let bucket = BucketConfig {
            name: idempotency.bucket.clone(),
            kept: std::time::Duration::from_secs(idempotency.kept_seconds),
            bytes_max: idempotency.bytes_max,
        };
        let bucket = Bucket::open(line, bucket).await.map_err(|error| Error::Store(error.into()))?;
        Guard::over(Some(Store::Shared(bucket)), config, defaults, metrics).await
    }

    async fn over(store: Option<Store>, config: Config, defaults: Defaults, metrics: Metrics) -> Result<Self, Error> {
        let authenticator = Authenticator::new(&config, &naming(&config, &defaults))?;
        authenticator.tokens.start().await?;
        let rates = rates(&config, Vec::new());
        let keeper = store.map(|store| Arc::new(Keeper::new(store, config.idempotency.answer_bytes_max)));
        let begun = Instant::now();
        Ok(Guard(Arc::new(Shared { config, defaults, authenticator, rates, keeper, metrics, begun })))
    }

    /// A guard by another configuration, which goes on where this one is: with the answers that are kept, the budgets of rates that are as
    /// they were, and the keys of issuers that are. Layers of this guard stay as they are.
    ///
    /// # Errors
    /// As [`Guard::new`], and when `idempotency` is another: what is kept stays where it is.
    pub async fn renewed(&self, config: Config) -> Result<Self, Error> {
        let before = &*self.0;
        config.check()?;
        if config.idempotency != before.config.idempotency {
            return Err(Error::setting("idempotency", "it can only be set when the guard is made"));
        }
        let authenticator = Authenticator::new(&config, &naming(&config, &before.defaults))?;
        authenticator.tokens.go_on_from(&before.authenticator.tokens);
        authenticator.tokens.start().await?;
        let is_as_large = config.rate_keys_max == before.config.rate_keys_max;
        let old = before.rates.iter().filter(|_| is_as_large).collect();
        Ok(Guard(Arc::new(Shared {
            rates: rates(&config, old),
            config,
            defaults: before.defaults.clone(),
            authenticator,
            keeper: before.keeper.clone(),
            metrics: before.metrics.clone(),
            begun: before.begun,
        })))
    }

    /// Puts it in front of services whose methods are these. Layers of one guard share its callers' budgets.
    #[must_use]
    pub fn layer(&self, methods: impl IntoIterator<Item = MethodDescriptor>) -> GuardLayer {
        GuardLayer::new(self.clone(), Plans::new(&self.0, methods))
    }

    /// Reads files and URLs with keys again, until the drain is requested.
    pub async fn keep_fresh(self, drain: Drain) {
        let mut rhythm = Rhythm::every(self.0.config.refresh(), drain);
        // The first beat comes at once, and all has just been read.
        let mut is_first = true;
        while rhythm.beat().await {
            if !std::mem::take(&mut is_first) {
                self.refresh().await;
            }
        }
    }

    /// Reads files and URLs with keys again. What cannot be read stays as it was. Cancel safe.
    pub async fn refresh(&self) {
        self.0.authenticator.keys.refresh();
        self.0.authenticator.tokens.refresh().await;
    }
}

/// How identities are written down: with the claims that anybody asks for.
fn naming(config: &Config, defaults: &Defaults) -> Naming {
    let rules = config.rules.iter().chain(&defaults.rules);
    let named = rules.clone().flat_map(|rule| rule.own.iter().map(|own| &own.claim));
    let asked = rules.filter_map(|rule| rule.who.claim());
    Naming { prefix: defaults.prefix, claims: named.chain(asked).chain(&config.claims).cloned().collect() }
}

/// The rates of a configuration; those that are among the old ones keep their budgets.
fn rates(config: &Config, mut old: Vec<&Arc<Rate>>) -> Vec<Arc<Rate>> {
    let rate = |rule: &RateRule| match old.iter().position(|rate| rate.rule() == rule) {
        Some(place) => old.remove(place).clone(),
        None => Arc::new(Rate::new(rule, config.rate_keys_max)),
    };
    config.rates.iter().map(rate).collect()
}

impl Shared {
    /// The time since the guard was made, for rates.
    pub(crate) fn elapsed_ns(&self) -> u64 {
        u64::try_from(self.begun.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(config: &str, address: &str, openness: Option<Openness>) {
        let config: Config = toml::from_str(config).unwrap();
        assert_eq!(config.openness(address.parse().unwrap()).ok(), openness, "{address}");
    }

    #[test]
    fn a_port_that_others_reach_is_not_open_by_chance() {
        check("", "127.0.0.1:80", Some(Openness::OpenHere));
        check("", "[::1]:80", Some(Openness::OpenHere));
        check("", "[::ffff:127.0.0.1]:80", Some(Openness::OpenHere));
        check("", "0.0.0.0:80", None);
        check("", "[::]:80", None);
        check("", "192.168.0.1:80", None);
        check("access = \"open\"", "0.0.0.0:80", Some(Openness::OpenToAll));
        check("access = \"rules\"", "0.0.0.0:80", Some(Openness::Guarded));
        check("api_keys_file = \"keys.toml\"", "0.0.0.0:80", Some(Openness::Guarded));
    }
}
