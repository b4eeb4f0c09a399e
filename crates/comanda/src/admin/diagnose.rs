//! Asks everything that this process can see, all at once.

use super::to_wire;
use crate::Role;
use crate::supervisor::Control;
use crate::wire::{CHANNELS, SERVED, Wiring};
use futures_util::future::join_all;
use outbox::{Asked, Facts, ServiceFacts};
use proto::comanda::admin::v1 as wire;
use std::time::Duration;
use tokio::time::timeout;

/// How long the supervisor may take to say which roles run; while it starts or stops one it takes longer.
const ROLES_WITHIN: Duration = Duration::from_secs(2);

/// Finds out what is wrong, as far as this process can see.
pub(crate) async fn run(control: &Control, wiring: &Wiring) -> wire::DiagnoseResponse {
    let roles = timeout(ROLES_WITHIN, control.list()).await.ok().flatten();
    let roles = roles
        .unwrap_or_else(|| Role::ALL.into_iter().filter(|role| wiring.runs(*role)).map(|role| (role, true)).collect());
    let Some(bus) = wiring.bus() else {
        let roles = roles.into_iter().map(to_wire::role).collect();
        return wire::DiagnoseResponse { findings: Vec::new(), roles };
    };
    let runs = |role: Role| roles.contains(&(role, true));
    let services = SERVED.into_iter().map(|(role, _)| role);
    let services = services.filter(|role| wiring.runs(*role) || wiring.runs(Role::Relay));
    let services = join_all(services.map(|role| {
        let publishes_here =
            (runs(role) && wiring.publishes(role)) || (runs(Role::Relay) && wiring.publishes(Role::Relay));
        service(wiring, role, publishes_here)
    }));
    let consumers =
        CHANNELS.iter().flat_map(|channel| channel.consumers.iter().map(move |consumer| (channel.name, *consumer)));
    let consumers = join_all(consumers.map(async |(channel, consumer)| {
        let role = role_of(consumer);
        outbox::consumer_facts(bus, channel, consumer, role.name(), runs(role)).await
    }));
    let (services, consumers) = tokio::join!(services, consumers);
    let facts = Facts { is_connected: bus.is_connected(), consumers, services };
    let findings = outbox::diagnose(&facts).into_iter().map(to_wire::finding).collect();
    wire::DiagnoseResponse { findings, roles: roles.into_iter().map(to_wire::role).collect() }
}

async fn service(wiring: &Wiring, role: Role, publishes_here: bool) -> ServiceFacts {
    let store = wiring.database(role).await;
    let metrics = wiring.outbox_metrics(role);
    outbox::service_facts(Asked { service: role.name().to_owned(), store, metrics, publishes_here }).await
}

/// The role that runs a consumer, whose name begins with the role's.
fn role_of(consumer: &str) -> Role {
    let name = consumer.split('-').next().unwrap_or_default();
    name.parse().unwrap_or(Role::Order)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_consumer_is_named_after_its_role() {
        for consumer in CHANNELS.iter().flat_map(|channel| channel.consumers) {
            assert!(consumer.starts_with(role_of(consumer).name()), "{consumer}");
        }
    }
}
