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
fn check(seen: &Seen, had_slot: bool, expected: Result<Step, &str>) {
    let found = next_step(seen, had_slot, MAX).map_err(|trouble| trouble.reason());

    assert_eq!(found, expected, "{seen:?}, had_slot {had_slot}");
}

#[test]
fn what_is_published_is_said_before_the_slot_is_made() {
    check(&Seen { is_published: false, ..seen(None) }, false, Ok(Step::Publish));
    check(&seen(None), false, Ok(Step::Create));
    check(&seen(Some(slot())), false, Ok(Step::Open));
    check(&seen(Some(slot())), true, Ok(Step::Open));
}

#[test]
fn without_a_logical_log_there_is_nothing_to_tail() {
    check(&Seen { has_log: false, ..seen(None) }, false, Err("no_log"));
}

#[test]
fn a_relay_that_was_replaced_is_made_to_let_go() {
    check(&seen(Some(Slot { is_read: true, ..slot() })), false, Ok(Step::Free));
    check(&seen(Some(Slot { is_read: true, ..slot() })), true, Ok(Step::Free));
}

#[test]
fn a_slot_that_was_left_behind_and_is_of_no_use_is_dropped() {
    check(&seen(Some(Slot { is_lost: true, ..slot() })), false, Ok(Step::Drop));
    check(&seen(Some(Slot { retained_bytes: MAX + 1, ..slot() })), false, Ok(Step::Drop));
    // It reads the catalogs as they were at its place, without the publication.
    check(&Seen { is_published: false, ..seen(Some(slot())) }, false, Ok(Step::Drop));
}

#[test]
fn a_slot_that_was_read_and_is_of_no_use_is_trouble() {
    check(&seen(None), true, Err("gone"));
    check(&seen(Some(Slot { is_lost: true, ..slot() })), true, Err("lost"));
    check(&seen(Some(Slot { retained_bytes: MAX + 1, ..slot() })), true, Err("retained"));
    check(&Seen { is_published: false, ..seen(Some(slot())) }, true, Err("unpublished"));
}

#[test]
fn a_slot_of_somebody_else_is_left_alone() {
    check(&seen(Some(Slot { is_ours: false, is_read: true, ..slot() })), false, Err("foreign"));
}
