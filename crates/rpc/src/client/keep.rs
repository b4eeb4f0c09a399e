//! Keeps a pool as discovery lists it: connects to what comes, drains what goes, and leaves what stays as it is.

use super::connected::Connected;
use super::endpoint::Endpoint;
use super::http2::{Dialling, Sender};
use super::interview::{Interview, Offer, Visit};
use super::line::Line;
use super::pick::ENDPOINTS_MAX;
use super::pool::{Member, Shared};
use super::probe;
use breaker::{Outcome, State};
use discovery::{Change, Endpoints, deltas};
use std::convert::Infallible;
use std::future::pending;
use std::hash::{BuildHasher, RandomState};
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

/// How long a health check may take.
const PROBED_WITHIN: Duration = Duration::from_secs(1);

/// Follows the list until the pool is dropped.
pub(super) async fn keep(shared: Arc<Shared>, mut endpoints: Endpoints) {
    let client = RandomState::new();
    let mut connections = JoinSet::new();
    // Cancelled one by one; all of them end with this task.
    let mut known: Vec<(Member, CancellationToken)> = Vec::new();
    loop {
        let listed = subset(&endpoints.now().endpoints, shared.config.subset_max, &client);
        let before: Vec<discovery::Endpoint> = known.iter().map(|(member, _)| member.listed.clone()).collect();
        for change in deltas(&before, &listed) {
            apply(&shared, &mut known, &mut connections, change);
        }
        shared.members.store(Arc::new(known.iter().map(|(member, _)| member.clone()).collect()));
        shared.tell();
        while connections.try_join_next().is_some() {}
        if endpoints.changed().await.is_err() {
            // The last list stays in use.
            pending::<()>().await;
        }
    }
}

fn apply(
    shared: &Arc<Shared>,
    known: &mut Vec<(Member, CancellationToken)>,
    connections: &mut JoinSet<()>,
    change: Change,
) {
    let same = |listed: &discovery::Endpoint, member: &Member| {
        member.listed.address == listed.address && member.listed.id == listed.id
    };
    match change {
        Change::Insert(listed) => {
            let (sender, line) = watch::channel(None);
            let name: Arc<str> = listed.address.to_string().into();
            let authority = name.parse().expect("an IP address with a port is an authority");
            let dialling = Dialling {
                address: listed.address,
                within: Duration::from_millis(shared.config.connect_timeout_ms),
                keepalive: Duration::from_millis(shared.config.keepalive_ms),
            };
            let line = Line::Http2(Connected::by_worker(line, dialling), authority);
            let Ok(endpoint) = shared.endpoint(name, line) else { return };
            let (endpoint, removed) = (Arc::new(endpoint), CancellationToken::new());
            info!(service = &*shared.service, peer = %listed.address, "endpoint found");
            connections.spawn(maintain(shared.clone(), endpoint.clone(), dialling, sender, removed.clone()));
            let is_near = shared.config.zone.as_deref().is_some_and(|zone| listed.zone.as_deref() == Some(zone));
            known.push((Member { listed, is_near, endpoint }, removed));
        }
        Change::Update(listed) => {
            if let Some((member, _)) = known.iter_mut().find(|(member, _)| same(&listed, member)) {
                member.listed = listed;
            }
        }
        Change::Remove(listed) => {
            info!(service = &*shared.service, peer = %listed.address, "endpoint gone");
            known.retain(|(member, removed)| {
                let is_gone = same(&listed, member);
                if is_gone {
                    removed.cancel();
                }
                !is_gone
            });
        }
    }
}

/// The endpoints that this client uses: all, or of many its own choice, which changes as little as the list does ("rendezvous hashing").
fn subset(listed: &[discovery::Endpoint], max: usize, client: &RandomState) -> Vec<discovery::Endpoint> {
    let mut chosen = listed.to_vec();
    let max = max.clamp(1, ENDPOINTS_MAX);
    if chosen.len() > max {
        chosen.sort_by_key(|endpoint| (endpoint.standing, client.hash_one(endpoint.address)));
        chosen.truncate(max);
    }
    chosen
}

/// Keeps one endpoint connected, and probes it when its breaker is due, until it is removed; then its calls go on to their end.
async fn maintain(
    shared: Arc<Shared>,
    endpoint: Arc<Endpoint>,
    dialling: Dialling,
    line: watch::Sender<Option<Sender>>,
    removed: CancellationToken,
) {
    let (config, address) = (&shared.config, dialling.address);
    let mut pause_ms = config.reconnect_ms;
    let mut was_up = true;
    loop {
        let dialled = tokio::select! {
            dialled = dialling.dial() => dialled,
            () = removed.cancelled() => return,
        };
        match dialled {
            Ok((sender, driver)) => {
                debug!(service = &*shared.service, peer = %address, "endpoint connected");
                (pause_ms, was_up) = (config.reconnect_ms, true);
                let mut driver = pin!(driver);
                let is_removed = tokio::select! {
                    _ended = driver.as_mut() => false,
                    () = removed.cancelled() => true,
                    never = open(&shared, &endpoint, (address, sender), &line) => match never {},
                };
                line.send_replace(None);
                shared.tell();
                if is_removed {
                    // Without its sender the connection ends when its last call does.
                    drop(timeout(Duration::from_millis(config.drain_ms), driver).await);
                    return;
                }
            }
            Err(error) => {
                if std::mem::replace(&mut was_up, false) {
                    warn!(service = &*shared.service, peer = %address, error = &*error as &dyn std::error::Error, "endpoint cannot be reached");
                }
            }
        }
        let pause = pause_ms / 2 + fastrand::u64(..=pause_ms / 2);
        pause_ms = (pause_ms * 2).min(config.reconnect_max_ms.max(1));
        tokio::select! {
            () = sleep(Duration::from_millis(pause)) => {}
            () = removed.cancelled() => return,
        }
    }
}

/// Lets calls pass over a connection, after an interview where there is one, which is held again now and then; and probes.
async fn open(
    shared: &Shared,
    endpoint: &Endpoint,
    (address, sender): (SocketAddr, Sender),
    line: &watch::Sender<Option<Sender>>,
) -> Infallible {
    let Some(interview) = &shared.interview else {
        line.send_replace(Some(sender));
        shared.tell();
        return probe_when_due(endpoint).await;
    };
    let authority = address.to_string().parse().expect("an IP address with a port is an authority");
    let visit = Visit::new(address, sender.clone(), authority);
    let offer = interview.ask(visit.clone(), None).await;
    endpoint.offers(offer);
    line.send_replace(Some(sender));
    shared.tell();
    tokio::select! {
        never = ask_again(shared, endpoint, &**interview, (visit, offer)) => never,
        never = probe_when_due(endpoint) => never,
    }
}

async fn ask_again(
    shared: &Shared,
    endpoint: &Endpoint,
    interview: &dyn Interview,
    (visit, mut offer): (Visit, Offer),
) -> Infallible {
    loop {
        offer = interview.ask(visit.clone(), Some(offer)).await;
        endpoint.offers(offer);
        shared.tell();
    }
}

/// Sends health checks while the breaker wants probes.
async fn probe_when_due(endpoint: &Endpoint) -> Infallible {
    loop {
        endpoint.suspected.notified().await;
        while endpoint.breaker.state() != State::Closed && endpoint.breaker.is_usable() {
            let Ok(permit) = endpoint.breaker.try_acquire_owned() else { break };
            // A check that hangs loses its lease, and is given up with it.
            let outcome = timeout(PROBED_WITHIN, probe::check(&endpoint.line)).await;
            permit.record(outcome.unwrap_or(Outcome::Failure));
        }
    }
}
