//! What the outbox says, in the words of the contract.

use crate::Role;
use outbox::{Action, ActionKind, Cause, Finding, Parked};
use prost_types::{Duration as WireDuration, Timestamp};
use proto::comanda::admin::v1 as wire;
use proto::time::Instant;
use std::time::Duration;
use tonic::Status;
use tracing::error;

pub(crate) fn role((role, is_running): (Role, bool)) -> wire::Role {
    wire::Role { name: role.to_string(), is_running }
}

/// Tells an operator what failed, with its causes: unlike a client, he may know.
pub(crate) fn failed(doing: &str, error: &store::Error) -> Status {
    error!(error = error as &dyn std::error::Error, doing, "an operator's request failed");
    let message = format!("failed to {doing}: {}", chain(error));
    if error.is_transient() { Status::unavailable(message) } else { Status::internal(message) }
}

/// An error with its causes, in one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}

pub(crate) fn parked(parked: Parked) -> wire::ParkedMessage {
    let Parked { number, consumer, message, payload_bytes, why, parked_us, tries, is_first, request } = parked;
    wire::ParkedMessage {
        number,
        consumer,
        key: message.key,
        kind: message.kind,
        channel: message.channel,
        effect_id: message.effect_id,
        message_id: message.id.to_string(),
        traceparent: message.traceparent.unwrap_or_default(),
        why,
        created_time: time(message.created_us),
        parked_time: time(parked_us),
        tries,
        is_first,
        request: request.unwrap_or_default(),
        payload_bytes,
        payload: message.payload,
    }
}

pub(crate) fn action(action: Action) -> wire::ParkedAction {
    let kind = match action.kind {
        ActionKind::Redrive => wire::parked_action::Kind::Redrive,
        ActionKind::Discard => wire::parked_action::Kind::Discard,
    };
    wire::ParkedAction {
        request: action.request,
        kind: kind.into(),
        consumer: action.consumer,
        selection: action.selection,
        who: action.who,
        reason: action.why,
        asked_time: time(action.asked_us),
        per_second: action.per_second,
        keys: action.keys,
        messages: action.messages,
        handled: action.handled,
        failed: action.failed,
        finished_time: action.finished_us.and_then(time),
    }
}

pub(crate) fn outbox(service: &str, status: outbox::Status) -> wire::Outbox {
    let waiting = status.waiting.into_iter().map(|it| wire::outbox::Waiting {
        channel: it.channel,
        messages: it.messages,
        oldest_age: Some(duration(it.oldest)),
    });
    let slots = status.slots.into_iter().map(|it| wire::outbox::Slot {
        slot: it.slot,
        bytes: it.bytes,
        rows: it.rows,
        is_current: it.is_current,
    });
    let oldest_transaction = status.oldest_transaction.map(|it| wire::outbox::OpenTransaction {
        pid: it.pid,
        application: it.application,
        open_for: Some(duration(it.open)),
    });
    let holder = status.holder.as_ref();
    let publisher = match status.switched_to {
        None | Some(outbox::Publisher::None) => wire::outbox::Publisher::Configured,
        Some(outbox::Publisher::Polling) => wire::outbox::Publisher::Polling,
        Some(outbox::Publisher::Tailing) => wire::outbox::Publisher::Tailing,
    };
    wire::Outbox {
        service: service.to_owned(),
        waiting: waiting.collect(),
        holder: holder.map(|it| it.owner.clone()).unwrap_or_default(),
        held_for: holder.map(|it| duration(it.held)),
        is_held: holder.is_some_and(|it| it.is_alive),
        epoch: status.epoch,
        is_paused: status.is_paused,
        position: status.position,
        slots: slots.collect(),
        oldest_transaction,
        publisher: publisher.into(),
        is_tailed: status.is_tailed,
    }
}

pub(crate) fn finding(finding: Finding) -> wire::Finding {
    wire::Finding {
        cause: cause(finding.cause).into(),
        service: finding.service,
        subject: finding.subject,
        role: finding.role,
        what: finding.what,
        likely: finding.likely,
        remedy: finding.remedy,
        count: finding.count,
        since: finding.since.map(duration),
    }
}

fn cause(cause: Cause) -> wire::finding::Cause {
    use wire::finding::Cause as Wire;
    match cause {
        Cause::DatabaseUnreachable => Wire::DatabaseUnreachable,
        Cause::DiskFull => Wire::DiskFull,
        Cause::DatabaseReadOnly => Wire::DatabaseReadOnly,
        Cause::DatabaseFailing => Wire::DatabaseFailing,
        Cause::BrokerUnreachable => Wire::BrokerUnreachable,
        Cause::BrokerRefuses => Wire::BrokerRefuses,
        Cause::RelayPaused => Wire::RelayPaused,
        Cause::NoRelay => Wire::NoRelay,
        Cause::SlotLost => Wire::SlotLost,
        Cause::SlotStuck => Wire::SlotStuck,
        Cause::OldTransaction => Wire::OldTransaction,
        Cause::RelayBehind => Wire::RelayBehind,
        Cause::ConsumerStopped => Wire::ConsumerStopped,
        Cause::ConsumerBehind => Wire::ConsumerBehind,
        Cause::Parked => Wire::Parked,
        Cause::RepliesOverdue => Wire::RepliesOverdue,
        Cause::NotKnown => Wire::NotKnown,
    }
}

fn time(micros: i64) -> Option<Timestamp> {
    Some(Instant(micros).into())
}

fn duration(duration: Duration) -> WireDuration {
    WireDuration {
        seconds: i64::try_from(duration.as_secs()).unwrap_or(i64::MAX),
        nanos: i32::try_from(duration.subsec_nanos()).unwrap_or_default(),
    }
}
