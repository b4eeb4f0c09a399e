//! SIGHUP: the configuration is read again, and the gateway serves by what of it may change while a process runs.

use crate::config::Source;
use crate::supervisor::Control;
use crate::wire::Wiring;
use crate::{Config, Error};
use lifecycle::{Drain, Hangups};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;
use std::collections::BTreeSet;
use std::sync::Arc;
use toml::{Table, Value};
use tracing::{error, info, warn};

#[derive(Debug, Clone, Hash, PartialEq, Eq, EncodeLabelSet)]
struct WithResult {
    result: &'static str,
}

/// How often the configuration was read again, and taken or refused.
#[derive(Debug, Clone, Default)]
pub(crate) struct ReloadMetrics(Family<WithResult, Counter>);

impl ReloadMetrics {
    pub(crate) fn register(registry: &mut Registry) -> Self {
        let metrics = ReloadMetrics::default();
        for result in ["taken", "refused"] {
            drop(metrics.0.get_or_create(&WithResult { result }));
        }
        registry.register("config_reloads", "Times the configuration was read again", metrics.0.clone());
        metrics
    }

    fn count(&self, result: &'static str) {
        self.0.get_or_create(&WithResult { result }).inc();
    }
}

/// Reads the configuration again when it is asked to.
pub(crate) struct Reload {
    pub(crate) source: Source,
    pub(crate) hangups: Hangups,
    pub(crate) in_force: Config,
    pub(crate) control: Control,
    pub(crate) wiring: Arc<Wiring>,
    pub(crate) metrics: ReloadMetrics,
}

impl Reload {
    /// Does so until the drain.
    pub(crate) async fn run(mut self, drain: Drain) {
        let follow = async {
            loop {
                self.hangups.next().await;
                match self.reload().await {
                    Ok(()) => self.metrics.count("taken"),
                    Err(error) => {
                        self.metrics.count("refused");
                        let error = &error as &dyn std::error::Error;
                        error!(error, "configuration not taken; the one before is still in force");
                    }
                }
            }
        };
        tokio::select! {
            biased;
            () = drain.requested() => {}
            never = follow => match never {},
        }
    }

    async fn reload(&mut self) -> Result<(), Error> {
        let wanted = self.source.load()?;
        wanted.check_port()?;
        let taken = live_of(&wanted, &self.in_force);
        if let Some(gateway) = self.control.gateway().await {
            let configured = self.wiring.configured(&taken.gateway)?;
            gateway.change(&taken.gateway, configured).await.map_err(Error::Reload)?;
        }
        self.control.configure(taken.clone()).await;
        info!(changed = differences(&self.in_force, &taken)?.join(", "), "configuration taken");
        let waiting = differences(&taken, &wanted)?.join(", ");
        if !waiting.is_empty() {
            warn!(settings = waiting, "settings have changed that count when the process is started again");
        }
        self.in_force = taken;
        Ok(())
    }
}

/// The settings in force, with those of `wanted` that a gateway takes while it runs. Answers that are kept stay where they are.
fn live_of(wanted: &Config, in_force: &Config) -> Config {
    let mut taken = in_force.clone();
    taken.gateway.services = wanted.gateway.services.clone();
    taken.gateway.guard = wanted.gateway.guard.clone();
    taken.gateway.guard.idempotency = in_force.gateway.guard.idempotency.clone();
    taken
}

/// The settings that are not the same, each by its name, such as `gateway.guard.rules`.
fn differences(one: &Config, other: &Config) -> Result<Vec<String>, Error> {
    let table = |config| Table::try_from(config).map_err(Error::PrintConfig);
    let mut found = Vec::new();
    compare("", &table(one)?, &table(other)?, &mut found);
    Ok(found)
}

fn compare(prefix: &str, one: &Table, other: &Table, found: &mut Vec<String>) {
    let names: BTreeSet<&String> = one.keys().chain(other.keys()).collect();
    for name in names {
        match (one.get(name), other.get(name)) {
            (one, other) if one == other => {}
            (Some(Value::Table(one)), Some(Value::Table(other))) => {
                compare(&format!("{prefix}{name}."), one, other, found);
            }
            _ => found.push(format!("{prefix}{name}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(text: &str) -> Config {
        toml::from_str(text).unwrap()
    }

    #[test]
    fn who_may_call_and_foreign_services_are_taken_and_the_rest_is_told() {
        let in_force = config("listen = \"127.0.0.1:1\"\n[gateway.services.shop]\nfrom = \"http://127.0.0.1:7\"");
        let wanted = config(
            "listen = \"127.0.0.1:2\"\n[gateway]\nstreams_max = 7\n[gateway.guard]\naccess = \"rules\"\n\
             [gateway.guard.idempotency]\nanswers_max = 1\nbucket = \"comanda_answers\"\n[gateway.services.shop]\nfrom = \"http://127.0.0.1:8\"",
        );

        let taken = live_of(&wanted, &in_force);

        assert_eq!(differences(&in_force, &taken).unwrap(), ["gateway.guard.access", "gateway.services.shop.from"]);
        assert_eq!(
            differences(&taken, &wanted).unwrap(),
            ["gateway.guard.idempotency.answers_max", "gateway.streams_max", "listen"]
        );
    }

    #[test]
    fn a_service_that_is_new_is_one_difference() {
        let new = config("[gateway.services.shop]\nfrom = \"http://127.0.0.1:7\"");

        assert_eq!(differences(&Config::default(), &new).unwrap(), ["gateway.services.shop"]);
        assert_eq!(differences(&new, &new).unwrap(), Vec::<String>::new());
    }
}
