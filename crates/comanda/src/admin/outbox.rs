//! The outbox of a service, for operators.

use super::to_wire;
use proto::Violation;
use proto::comanda::admin::v1 as wire;
use proto::time::Instant;
use store::Store;
use tonic::Status;
use tracing::info;

/// How it stands.
pub(crate) async fn status(store: &Store, service: &'static str) -> Result<wire::Outbox, Status> {
    let status = outbox::status(store).await.map_err(|error| to_wire::failed("read the outbox", &error))?;
    Ok(to_wire::outbox(service, status))
}

/// Makes its relay stop.
pub(crate) async fn pause(store: &Store, service: &'static str) -> Result<wire::Outbox, Status> {
    outbox::pause(store).await.map_err(|error| to_wire::failed("pause the relay", &error))?;
    info!(service, "relay paused by an operator");
    status(store, service).await
}

/// Lets its relay go on.
pub(crate) async fn resume(store: &Store, service: &'static str) -> Result<wire::Outbox, Status> {
    outbox::resume(store).await.map_err(|error| to_wire::failed("resume the relay", &error))?;
    info!(service, "relay resumed by an operator");
    status(store, service).await
}

/// Makes its relay publish another way.
pub(crate) async fn switch(
    store: &Store,
    service: &'static str,
    publisher: wire::outbox::Publisher,
) -> Result<wire::Outbox, Status> {
    let publisher = match publisher {
        wire::outbox::Publisher::Unspecified => return Err(Violation::required("publisher").into()),
        wire::outbox::Publisher::Configured => outbox::Publisher::None,
        wire::outbox::Publisher::Polling => outbox::Publisher::Polling,
        wire::outbox::Publisher::Tailing => outbox::Publisher::Tailing,
    };
    outbox::switch(store, publisher).await.map_err(|error| match error {
        store::Error::Setting { .. } => Status::failed_precondition(error.to_string()),
        _ => to_wire::failed("switch the relay", &error),
    })?;
    info!(service, ?publisher, "relay switched by an operator");
    status(store, service).await
}

/// Publishes again.
pub(crate) async fn replay(
    store: &Store,
    service: &'static str,
    request: &wire::ReplayOutboxRequest,
) -> Result<wire::ReplayOutboxResponse, Status> {
    let since = Instant::parse("since", request.since.as_ref())?.ok_or_else(|| Violation::required("since"))?;
    let replay = outbox::replay(store, since.0).await.map_err(|error| to_wire::failed("replay the outbox", &error))?;
    info!(service, ?replay, "outbox replayed by an operator");
    Ok(match replay {
        outbox::Replay::Begun(messages) => wire::ReplayOutboxResponse { messages, is_kept: true },
        outbox::Replay::NothingKept => wire::ReplayOutboxResponse { messages: 0, is_kept: false },
    })
}
