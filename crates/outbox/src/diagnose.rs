//! Names the cause of a backlog: from what was found out to what is wrong, why that may be, and what helps.
//!
//! Pure; [`crate::service_facts`] and [`crate::consumer_facts`] do the asking. What follows from something else that is wrong is left out,
//! so that the cause stands alone.

use crate::facts::{Backlog, ConsumerFacts, Facts, Heard, LogSlot, Overdue, ServiceFacts};
use crate::finding::{Cause, Draft, Finding, finding};
use crate::{ParkedKeys, Status};
use std::time::Duration;

/// How long the oldest message may wait to be published: a relay is there within 3 s, and takes what waits within seconds.
const UNPUBLISHED_MAX: Duration = Duration::from_secs(10);
/// How long a transaction may be open: ours take milliseconds.
const TRANSACTION_MAX: Duration = Duration::from_secs(30);
/// What a consumer may have before it when that does not shrink: a second of a busy channel.
const BACKLOG_MAX: u64 = 1_000;
/// How long a consumer may take to work off what it has before it, as fast as it goes now.
const CATCHING_UP_MAX: Duration = Duration::from_secs(60);
/// What a slot may retain that nobody reads: four segments, more than a reader leaves behind that is replaced.
const RETAINED_UNREAD_MAX: i64 = 64 << 20;
/// What a slot may retain that is read.
const RETAINED_READ_MAX: i64 = 1 << 30;

/// Says what is wrong, the deepest cause first; nothing when all is well. [`explain`] then leaves out what follows from something else.
#[must_use]
pub fn diagnose(facts: &Facts) -> Vec<Finding> {
    let mut found = Vec::new();
    found.extend(broker(facts));
    for service in &facts.services {
        found.extend(of_service(service, facts.is_connected));
    }
    found.extend(facts.consumers.iter().filter_map(|it| of_consumer(it, facts.is_connected)));
    found.sort_by_key(|it| it.cause);
    found
}

/// Leaves out what follows from something else that was found, in this process or in another one: replies that are late, and the relay of
/// a role that does not run.
#[must_use]
pub fn explain(mut found: Vec<Finding>) -> Vec<Finding> {
    let missing: Vec<String> =
        found.iter().filter(|it| it.cause == Cause::ConsumerStopped).map(|it| it.role.clone()).collect();
    found.retain(|it| it.cause != Cause::NoRelay || !missing.contains(&it.service));
    let causes: Vec<Finding> = found.iter().filter(|it| explains_silence(it.cause)).cloned().collect();
    found.retain(|it| {
        let is_because_of = |cause: &Finding| match cause.service.as_str() {
            "" => cause.subject.is_empty() || cause.subject == it.subject,
            service => service == it.service,
        };
        it.cause != Cause::RepliesOverdue || !causes.iter().any(is_because_of)
    });
    found.sort_by_key(|it| it.cause);
    found
}

/// Whether replies that do not come are a consequence of this, as far as it concerns the same service or channel.
fn explains_silence(cause: Cause) -> bool {
    match cause {
        Cause::DatabaseUnreachable
        | Cause::DiskFull
        | Cause::DatabaseReadOnly
        | Cause::DatabaseFailing
        | Cause::BrokerUnreachable
        | Cause::BrokerRefuses
        | Cause::RelayPaused
        | Cause::NoRelay
        | Cause::RelayBehind
        | Cause::ConsumerStopped
        | Cause::ConsumerBehind => true,
        Cause::SlotLost
        | Cause::SlotStuck
        | Cause::OldTransaction
        | Cause::Parked
        | Cause::RepliesOverdue
        | Cause::NotKnown => false,
    }
}

fn broker(facts: &Facts) -> Option<Finding> {
    if !facts.is_connected {
        return Some(
            finding(Cause::BrokerUnreachable, "")
                .what("the broker is not connected")
                .likely("it is down, the network to it is broken, or it refuses the credentials; the log of the process says which")
                .remedy("start the broker or mend the way to it; what waits is published by itself then"),
        );
    }
    let complaint = facts.consumers.iter().find_map(|it| match &it.backlog {
        Heard::Said(_) => None,
        Heard::Refused(why) => Some(format!("the broker does not tell about channel {}: {why}", it.channel)),
        Heard::Silent => Some(format!("the broker is connected and does not answer about channel {}", it.channel)),
    })?;
    Some(
        finding(Cause::BrokerRefuses, "")
            .what(complaint)
            .likely("it has no leader or no room, hangs, or this user must not ask")
            .remedy("look at the broker's log and at the permissions of the user"),
    )
}

fn of_service(facts: &ServiceFacts, is_connected: bool) -> Vec<Finding> {
    if let Some(trouble) = database(facts) {
        return vec![trouble];
    }
    let mut found = Vec::new();
    match &facts.status {
        Heard::Said(status) => found.extend(relay(facts, status, is_connected)),
        Heard::Refused(why) => found.push(unknown(facts, "how its outbox stands", why)),
        Heard::Silent => found.push(unknown(facts, "how its outbox stands", "it did not answer in time")),
    }
    match &facts.slots {
        Heard::Said(slots) => found.extend(slots.iter().filter_map(|slot| of_slot(facts, slot))),
        Heard::Refused(why) => found.push(unknown(facts, "the log slots", why)),
        Heard::Silent => found.push(unknown(facts, "the log slots", "it did not answer in time")),
    }
    match &facts.parked {
        Heard::Said(parked) => found.extend(parked.iter().map(|parked| of_parked(facts, parked))),
        Heard::Refused(why) => found.push(unknown(facts, "what is parked", why)),
        Heard::Silent => found.push(unknown(facts, "what is parked", "it did not answer in time")),
    }
    match &facts.overdue {
        Heard::Said(overdue) => found.extend(overdue.iter().map(|overdue| of_overdue(facts, overdue))),
        Heard::Refused(why) => found.push(unknown(facts, "which replies are late", why)),
        Heard::Silent => found.push(unknown(facts, "which replies are late", "it did not answer in time")),
    }
    found
}

/// What is wrong with the database; everything else follows from that.
fn database(facts: &ServiceFacts) -> Option<Finding> {
    let can_be_read = matches!(facts.status, Heard::Said(_));
    let trouble = |cause, what: String| finding(cause, &facts.service).what(what);
    match &facts.database {
        Heard::Said(()) => None,
        Heard::Silent if can_be_read => Some(
            trouble(Cause::DatabaseFailing, "the database can be read, but a write did not end in time".to_owned())
                .likely("a lock is held on it, its disk stalls, or a synchronous standby is away")
                .remedy("look for locks and long transactions, and at the disk"),
        ),
        Heard::Silent => Some(
            trouble(Cause::DatabaseUnreachable, "the database does not answer".to_owned())
                .likely("the server hangs, or the network swallows what is sent to it")
                .remedy("look at the server and the way to it; the service goes on by itself"),
        ),
        Heard::Refused(why) => Some(match kind_of_trouble(why) {
            Cause::DiskFull => trouble(Cause::DiskFull, format!("the database cannot be written: {why}"))
                .likely("its disk or its size limit is full")
                .remedy("make room on the disk; the service goes on by itself"),
            Cause::DatabaseReadOnly => trouble(Cause::DatabaseReadOnly, format!("the database takes no writes: {why}"))
                .likely("it is a standby after a failover, or somebody has set it or its file to read-only")
                .remedy("point the service to the primary, or make the database writable"),
            Cause::DatabaseFailing => trouble(Cause::DatabaseFailing, format!("the database fails: {why}"))
                .likely("its tables are not as this program expects, or its user may not use them")
                .remedy("migrate it, and grant the service's user what it needs"),
            _ => trouble(Cause::DatabaseUnreachable, format!("the database cannot be reached: {why}"))
                .likely("the server is down or starting, has no connection left, or refuses the user")
                .remedy("start it or mend the way to it; the service goes on by itself"),
        }),
    }
}

/// What a database complains of. Told from the words, since they come from two databases and through several hands.
fn kind_of_trouble(why: &str) -> Cause {
    let why = why.to_lowercase();
    let says = |words: &[&str]| words.iter().any(|word| why.contains(word));
    if says(&["disk is full", "no space left", "disk full", "53100"]) {
        Cause::DiskFull
    } else if says(&["read-only", "readonly", "25006"]) {
        Cause::DatabaseReadOnly
    } else if says(&["no such table", "no such column", "does not exist", "permission denied", "malformed", "syntax"]) {
        Cause::DatabaseFailing
    } else {
        Cause::DatabaseUnreachable
    }
}

fn relay(facts: &ServiceFacts, status: &Status, is_connected: bool) -> Vec<Finding> {
    let waiting: i64 = status.waiting.iter().map(|it| it.messages).sum();
    let oldest = status.waiting.iter().map(|it| it.oldest).max();
    let about = |cause| finding(cause, &facts.service).count(waiting).since(oldest);
    let mut found = Vec::new();
    let refused = facts.refused.as_ref().filter(|_| is_connected);
    if status.is_paused {
        found.push(
            about(Cause::RelayPaused)
                .what(format!("the relay is paused; {waiting} messages wait to be published"))
                .likely("somebody has paused it")
                .remedy("resume it when the reason is gone"),
        );
    } else if !status.holder.as_ref().is_some_and(|holder| holder.is_alive) {
        found.push(no_relay(facts, status, about(Cause::NoRelay), waiting));
    } else if let Some((why, since)) = refused {
        let refused = finding(Cause::BrokerRefuses, &facts.service).count(waiting).since(Some(*since));
        found.push(
            refused
                .what(format!("the broker refuses what is published: {why}"))
                .likely("a channel is full, a message is too large, or the user must not publish there")
                .remedy("make room in the channel or let its consumers catch up; or grant the permission"),
        );
    } else if is_connected && oldest.is_some_and(|oldest| oldest > UNPUBLISHED_MAX) {
        found.push(
            about(Cause::RelayBehind)
                .what(format!("{waiting} messages wait to be published although a relay runs"))
                .likely("more is written than is published, the broker is slow, or it has just come back")
                .remedy("wait and look again; if the number grows, look at the broker's disk and the relay's log"),
        );
    }
    if let Some(open) = status.oldest_transaction.as_ref().filter(|open| open.open >= TRANSACTION_MAX) {
        found.push(
            finding(Cause::OldTransaction, &facts.service)
                .since(Some(open.open))
                .what(format!("a transaction of {:?} (process {} of the server) is open", open.application, open.pid))
                .likely(
                    "a person's session or a job forgot to end it; its own messages wait, and tables are not emptied",
                )
                .remedy(format!("end it, or pg_terminate_backend({}) on the server", open.pid)),
        );
    }
    found
}

fn no_relay(facts: &ServiceFacts, status: &Status, found: Draft, waiting: i64) -> Finding {
    let likely = match (&status.holder, facts.publishes_here) {
        (Some(last), _) => format!("the last one, {}, has ended or hangs, and nobody has taken over", last.owner),
        (None, true) => "the relay of this process cannot take the lane; its log says why".to_owned(),
        (None, false) => {
            "this process publishes for nobody, and no other process runs a relay for this database".to_owned()
        }
    };
    found
        .what(format!("no relay publishes for this service; {waiting} messages wait"))
        .likely(likely)
        .remedy("run a relay: set the service's publisher to polling, or start a process that relays for it")
}

fn of_slot(facts: &ServiceFacts, slot: &LogSlot) -> Option<Finding> {
    let mebibytes = slot.retained_bytes >> 20;
    let about = |cause| finding(cause, &facts.service).subject(&slot.name).count(slot.retained_bytes);
    if slot.is_lost {
        return Some(
            about(Cause::SlotLost)
                .what(format!("the server has thrown away log that slot {} had not read", slot.name))
                .likely("its reader was away until the server's max_slot_wal_keep_size was reached")
                .remedy(
                    "nothing is lost, the relay polls from its cursor; drop the slot, so that tailing makes a new one",
                ),
        );
    }
    let (is_stuck, likely) = match slot.is_read {
        false => {
            (slot.retained_bytes > RETAINED_UNREAD_MAX, "nobody reads it: the process that did is gone, or polls now")
        }
        true => (
            slot.retained_bytes > RETAINED_READ_MAX,
            "its reader waits for the broker, or for a transaction that is open for long",
        ),
    };
    is_stuck.then(|| {
        about(Cause::SlotStuck)
            .what(format!("slot {} keeps {mebibytes} MiB of the log on the server's disk", slot.name))
            .likely(likely)
            .remedy("start what reads it, or drop it if nothing will; otherwise the server's disk fills up")
    })
}

fn of_parked(facts: &ServiceFacts, parked: &ParkedKeys) -> Finding {
    let since = Duration::from_micros(u64::try_from(facts.now_us - parked.oldest_us).unwrap_or_default());
    let redriven = match parked.redriven_keys {
        0 => String::new(),
        keys => format!(", {keys} of them being redriven"),
    };
    finding(Cause::Parked, &facts.service)
        .subject(&parked.consumer)
        .count(parked.keys)
        .since(Some(since))
        .what(format!("{} keys are parked with {} messages{redriven}", parked.keys, parked.messages))
        .likely("the first message of each key cannot be handled; the list of them says why")
        .remedy("mend the cause and redrive them, or discard what cannot be mended")
}

fn of_overdue(facts: &ServiceFacts, overdue: &Overdue) -> Finding {
    finding(Cause::RepliesOverdue, &facts.service)
        .subject(&overdue.channel)
        .count(overdue.commands)
        .since(Some(overdue.oldest))
        .what(format!("{} commands to {} wait for their reply", overdue.commands, overdue.channel))
        .likely("the service that answers is away, has parked them, or cannot publish its replies")
        .remedy("look at that service; the commands are sent again by themselves")
}

fn of_consumer(facts: &ConsumerFacts, is_connected: bool) -> Option<Finding> {
    let Heard::Said(Backlog { first, last, within }) = facts.backlog else { return None };
    if last == 0 || !is_connected {
        return None;
    }
    let about = |cause| {
        let found = finding(cause, "").subject(&facts.channel).role(&facts.role);
        found.count(i64::try_from(last).unwrap_or(i64::MAX))
    };
    let is_slow = match first.checked_sub(last).filter(|done| *done > 0) {
        Some(done) => within.saturating_mul(u32::try_from(last / done).unwrap_or(u32::MAX)) > CATCHING_UP_MAX,
        None if !facts.runs_here => {
            return Some(
                about(Cause::ConsumerStopped)
                    .what(format!(
                        "{last} messages of {} wait for {} and do not become fewer",
                        facts.channel, facts.consumer
                    ))
                    .likely(format!("the role {} does not run in this process, and perhaps in no other", facts.role))
                    .remedy(format!("start the role {}", facts.role)),
            );
        }
        None => last >= BACKLOG_MAX,
    };
    is_slow.then(|| {
        about(Cause::ConsumerBehind)
            .what(format!("{} has {last} messages of {} before it", facts.consumer, facts.channel))
            .likely("more comes than it handles, its database is slow, or it tries messages again that fail")
            .remedy("look at its log and its database; run more processes of it")
    })
}

fn unknown(facts: &ServiceFacts, what: &str, why: &str) -> Finding {
    finding(Cause::NotKnown, &facts.service)
        .what(format!("it is not known {what}: {why}"))
        .likely("the database is overloaded, or its tables are not as this program expects")
        .remedy("ask again; look at the log of the process")
}

#[cfg(test)]
mod tests;
