//! What is decided about a slot.

use super::*;

const MAX: i64 = 1_000;

/// A server with a logical log and the publication.
fn seen(slot: Option<Slot>) -> Seen {
    Seen {
        at: Instant::now(),
        epoch: 1,
        is_paused: false,
        publisher: None,
        has_log: true,
        is_published: true,
        name: "outbox_tail_1".to_owned(),
        slot,
    }
}

fn slot() -> Slot {
    Slot { is_ours: true, is_read: false, is_lost: false, retained_bytes: MAX, confirmed: Lsn(1) }
}

#[track_caller]
fn check(seen: &Seen, origin: Origin, expected: Result<Step, &str>) {
    let found = next_step(seen, origin, MAX).map_err(|trouble| trouble.reason());

    assert_eq!(found, expected, "{seen:?}, {origin:?}");
}

#[test]
fn what_is_published_is_said_before_the_slot_is_made() {
    check(&Seen { is_published: false, ..seen(None) }, Origin::Unknown, Ok(Step::Publish));
    check(&seen(None), Origin::Unknown, Ok(Step::Create));
    check(&seen(Some(slot())), Origin::Made, Ok(Step::Open));
    check(&seen(Some(slot())), Origin::Read, Ok(Step::Open));
}

#[test]
fn without_a_logical_log_there_is_nothing_to_tail() {
    check(&Seen { has_log: false, ..seen(None) }, Origin::Unknown, Err("no_log"));
}

#[test]
fn a_relay_that_was_replaced_is_made_to_let_go() {
    check(&seen(Some(Slot { is_read: true, ..slot() })), Origin::Unknown, Ok(Step::Free));
    check(&seen(Some(Slot { is_read: true, ..slot() })), Origin::Read, Ok(Step::Free));
}

/// Each relay that took over had the server decode all that it had written since the slot was last confirmed, for each database, and was
/// killed by a fault run before that came to its end.
#[test]
fn a_slot_that_was_left_behind_is_made_anew() {
    check(&seen(Some(slot())), Origin::Unknown, Ok(Step::Drop));
    check(&seen(Some(Slot { is_lost: true, ..slot() })), Origin::Unknown, Ok(Step::Drop));
}

#[test]
fn a_slot_that_was_read_and_is_of_no_use_is_trouble() {
    check(&seen(None), Origin::Read, Err("gone"));
    check(&seen(Some(Slot { is_lost: true, ..slot() })), Origin::Read, Err("lost"));
    check(&seen(Some(Slot { retained_bytes: MAX + 1, ..slot() })), Origin::Read, Err("retained"));
    check(&Seen { is_published: false, ..seen(Some(slot())) }, Origin::Read, Err("unpublished"));
}

#[test]
fn a_slot_of_somebody_else_is_left_alone() {
    check(&seen(Some(Slot { is_ours: false, is_read: true, ..slot() })), Origin::Unknown, Err("foreign"));
}
