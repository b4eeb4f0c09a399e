//! The services that this process calls, for operators.

use crate::wire::Wiring;
use breaker::{Forced, Snapshot};
use discovery::Standing;
use prost_types::Duration as WireDuration;
use proto::Violation;
use proto::comanda::admin::v1 as wire;
use proto::comanda::admin::v1::called_endpoint::Standing as WireStanding;
use proto::comanda::admin::v1::force_breaker_request::To;
use rpc::Upstream;
use rpc::client::{EndpointView, Reached, ServiceView};
use std::time::Duration;
use tonic::Status;
use tracing::warn;

/// What who and why may have.
const NOTE_CHARACTERS_MAX: usize = 200;

pub(super) fn list(wiring: &Wiring) -> wire::ListCalledResponse {
    wire::ListCalledResponse { services: wiring.upstreams().map(|upstream| service(upstream.view())).collect() }
}

pub(super) fn force(wiring: &Wiring, request: &wire::ForceBreakerRequest) -> Result<wire::CalledService, Status> {
    let forced = match request.to() {
        To::Open => Some(Forced::Open),
        To::Closed => Some(Forced::Closed),
        To::Automatic => None,
        To::Unspecified => return Err(Violation::new("to", "must be OPEN, CLOSED or AUTOMATIC").into()),
    };
    for (field, note) in [("who", &request.who), ("why", &request.why)] {
        if note.chars().count() > NOTE_CHARACTERS_MAX {
            return Err(Violation::new(field, "must be at most 200 characters").into());
        }
    }
    let upstream = find(wiring, &request.service)?;
    let endpoint = (!request.endpoint.is_empty()).then_some(request.endpoint.as_str());
    if !upstream.force(endpoint, forced) {
        return Err(
            Violation::new("endpoint", "must be an endpoint of the service; `comanda endpoints` lists them").into()
        );
    }
    warn!(
        service = request.service,
        peer = endpoint.unwrap_or("all"),
        to = request.to().as_str_name(),
        who = request.who,
        why = request.why,
        "breaker forced by an operator"
    );
    Ok(service(upstream.view()))
}

fn find<'a>(wiring: &'a Wiring, name: &str) -> Result<&'a Upstream, Status> {
    let wrong = || Violation::new("service", "must be order, consumer or restaurant").into();
    wiring.upstreams().find(|upstream| upstream.name() == name).ok_or_else(wrong)
}

fn service(view: ServiceView) -> wire::CalledService {
    wire::CalledService {
        name: view.service.to_string(),
        breaker: Some(breaker(&view.breaker)),
        endpoints: view.endpoints.iter().map(endpoint).collect(),
        list_age: view.list_age.and_then(duration),
        list_fault: view.list_fault.unwrap_or_default(),
    }
}

fn endpoint(view: &EndpointView) -> wire::CalledEndpoint {
    let standing = match view.standing {
        Standing::Up => WireStanding::Up,
        Standing::Warning => WireStanding::Warning,
        Standing::Unknown => WireStanding::Unknown,
    };
    wire::CalledEndpoint {
        address: view.name.to_string(),
        is_connected: view.reached == Reached::Up,
        standing: standing.into(),
        breaker: Some(breaker(&view.breaker)),
        in_flight: number(view.in_flight as u64),
        takes: duration(view.takes),
    }
}

fn breaker(snapshot: &Snapshot) -> wire::Breaker {
    wire::Breaker {
        state: snapshot.state.as_str().to_owned(),
        reason: snapshot.reason.as_str().to_owned(),
        since: duration(snapshot.since),
        calls: number(snapshot.calls),
        failures: number(snapshot.failures),
        slow: number(snapshot.slow),
        next_probe_in: snapshot.next_probe_in.and_then(duration),
        rejected: number(snapshot.rejected),
    }
}

fn number(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

fn duration(duration: Duration) -> Option<WireDuration> {
    WireDuration::try_from(duration).ok()
}
