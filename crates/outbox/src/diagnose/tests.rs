//! What is found from what was heard.

use super::*;
use crate::control::{Holder, OpenTransaction};
use crate::waiting::Waiting;

const SECOND: Duration = Duration::from_secs(1);

/// A service with which all is well.
fn well() -> ServiceFacts {
    let holder = Holder { owner: "process 7".to_owned(), held: SECOND, is_alive: true };
    ServiceFacts {
        service: "order".to_owned(),
        publishes_here: true,
        database: Heard::Said(()),
        status: Heard::Said(Status {
            waiting: Vec::new(),
            holder: Some(holder),
            epoch: 1,
            is_paused: false,
            switched_to: None,
            is_tailed: false,
            position: 0,
            slots: Vec::new(),
            oldest_transaction: None,
        }),
        refused: None,
        parked: Heard::Said(Vec::new()),
        overdue: Heard::Said(Vec::new()),
        slots: Heard::Said(Vec::new()),
        now_us: 100_000_000,
    }
}

fn with(change: impl FnOnce(&mut Status)) -> ServiceFacts {
    let mut facts = well();
    let Heard::Said(status) = &mut facts.status else { panic!("it is well") };
    change(status);
    facts
}

fn waiting(seconds: u64) -> Vec<Waiting> {
    vec![Waiting { channel: "commands".to_owned(), messages: 5, oldest: Duration::from_secs(seconds) }]
}

fn overdue() -> Heard<Vec<Overdue>> {
    Heard::Said(vec![Overdue { channel: "commands".to_owned(), commands: 3, oldest: SECOND * 40 }])
}

fn of(service: ServiceFacts) -> Facts {
    Facts { is_connected: true, consumers: Vec::new(), services: vec![service] }
}

fn consumer(first: u64, last: u64, runs_here: bool) -> ConsumerFacts {
    ConsumerFacts {
        channel: "commands".to_owned(),
        consumer: "kitchen".to_owned(),
        role: "restaurant".to_owned(),
        runs_here,
        backlog: Heard::Said(Backlog { first, last, within: SECOND }),
    }
}

fn causes(facts: &Facts) -> Vec<Cause> {
    explain(diagnose(facts)).into_iter().map(|finding| finding.cause).collect()
}

fn check(service: ServiceFacts, expected: &[Cause]) {
    let facts = of(service);
    assert_eq!(causes(&facts), expected, "{facts:?}");
}

#[test]
fn nothing_is_found_when_all_is_well() {
    check(well(), &[]);
    check(with(|it| it.waiting = waiting(1)), &[]);
    check(with(|it| it.oldest_transaction = Some(open(5))), &[]);
}

fn open(seconds: u64) -> OpenTransaction {
    OpenTransaction { pid: 42, application: "psql".to_owned(), open: Duration::from_secs(seconds) }
}

#[test]
fn a_database_that_is_wrong_stands_alone() {
    for (complaint, cause) in [
        ("failed to commit: database or disk is full", Cause::DiskFull),
        ("could not extend file: No space left on device", Cause::DiskFull),
        ("attempt to write a readonly database", Cause::DatabaseReadOnly),
        ("cannot execute INSERT in a read-only transaction", Cause::DatabaseReadOnly),
        ("no such table: inbox", Cause::DatabaseFailing),
        ("relation \"inbox\" does not exist", Cause::DatabaseFailing),
        ("connection refused", Cause::DatabaseUnreachable),
    ] {
        let database = Heard::Refused(complaint.to_owned());
        check(ServiceFacts { database, overdue: overdue(), ..with(|it| it.is_paused = true) }, &[cause]);
    }
    check(ServiceFacts { database: Heard::Silent, status: Heard::Silent, ..well() }, &[Cause::DatabaseUnreachable]);
    check(ServiceFacts { database: Heard::Silent, ..well() }, &[Cause::DatabaseFailing]);
}

#[test]
fn a_relay_that_does_not_publish_is_told_apart_by_why() {
    let dead = Holder { owner: "process 9".to_owned(), held: SECOND, is_alive: false };
    check(with(|it| it.is_paused = true), &[Cause::RelayPaused]);
    check(with(|it| it.holder = None), &[Cause::NoRelay]);
    check(with(|it| it.holder = Some(dead)), &[Cause::NoRelay]);
    check(with(|it| it.waiting = waiting(11)), &[Cause::RelayBehind]);
    let refused = Some(("maximum bytes exceeded".to_owned(), SECOND));
    check(ServiceFacts { refused, ..with(|it| it.waiting = waiting(11)) }, &[Cause::BrokerRefuses]);
}

#[test]
fn the_relay_of_a_role_that_does_not_run_is_no_cause_of_its_own() {
    let restaurant = ServiceFacts { service: "restaurant".to_owned(), ..with(|it| it.holder = None) };
    let order = with(|it| it.holder = None);
    let facts = Facts { is_connected: true, consumers: vec![consumer(1, 1, false)], services: vec![restaurant, order] };

    let found = explain(diagnose(&facts));

    let of_service: Vec<(Cause, &str)> = found.iter().map(|it| (it.cause, it.service.as_str())).collect();
    assert_eq!(of_service, [(Cause::NoRelay, "order"), (Cause::ConsumerStopped, "")]);
}

#[test]
fn who_would_have_to_publish_is_said() {
    let here = diagnose(&of(with(|it| it.holder = None)));
    let elsewhere = diagnose(&of(ServiceFacts { publishes_here: false, ..with(|it| it.holder = None) }));

    assert!(here[0].likely.contains("cannot take the lane"), "{here:?}");
    assert!(elsewhere[0].likely.contains("no other process runs a relay"), "{elsewhere:?}");
}

#[test]
fn a_broker_that_is_away_explains_what_waits_and_one_that_is_silent_is_not_away() {
    let stuck = ServiceFacts { overdue: overdue(), ..with(|it| it.waiting = waiting(100)) };
    let consumers = vec![ConsumerFacts { backlog: Heard::Silent, ..consumer(0, 0, true) }];

    let away = Facts { is_connected: false, consumers: consumers.clone(), services: vec![stuck] };
    let silent = Facts { is_connected: true, consumers, services: vec![ServiceFacts { overdue: overdue(), ..well() }] };

    assert_eq!(causes(&away), [Cause::BrokerUnreachable]);
    assert_eq!(causes(&silent), [Cause::BrokerRefuses]);
}

#[test]
fn replies_that_are_late_are_a_cause_only_when_nothing_else_is() {
    let late = ServiceFacts { overdue: overdue(), ..well() };
    let paused = ServiceFacts { overdue: overdue(), ..with(|it| it.is_paused = true) };
    let stopped = Facts { consumers: vec![consumer(5, 5, false)], ..of(late.clone()) };
    let another = ConsumerFacts { channel: "others".to_owned(), ..consumer(5, 5, false) };
    let unrelated = Facts { consumers: vec![another], ..of(late.clone()) };

    check(late, &[Cause::RepliesOverdue]);
    check(paused, &[Cause::RelayPaused]);
    assert_eq!(causes(&stopped), [Cause::ConsumerStopped]);
    assert_eq!(causes(&unrelated), [Cause::ConsumerStopped, Cause::RepliesOverdue]);
}

#[test]
fn a_consumer_that_runs_is_behind_and_one_that_does_not_is_missing() {
    let check = |consumer: ConsumerFacts, expected: &[Cause]| {
        let facts = Facts { consumers: vec![consumer.clone()], ..of(well()) };
        assert_eq!(causes(&facts), expected, "{consumer:?}");
    };

    check(consumer(0, 0, false), &[]);
    check(consumer(1, 1, false), &[Cause::ConsumerStopped]);
    check(consumer(999, 999, true), &[]);
    check(consumer(1_000, 1_000, true), &[Cause::ConsumerBehind]);
    check(consumer(1_000, 0, false), &[]);
    check(consumer(10_000, 9_000, true), &[]);
    check(consumer(100_000, 99_000, false), &[Cause::ConsumerBehind]);
}

#[test]
fn parked_keys_slots_and_old_transactions_are_found_beside_each_other() {
    let parked =
        ParkedKeys { consumer: "kitchen".to_owned(), keys: 2, messages: 9, redriven_keys: 0, oldest_us: 40_000_000 };
    let slot =
        |is_read, is_lost, retained_bytes| LogSlot { name: "outbox".to_owned(), is_read, is_lost, retained_bytes };
    let slots = |slot| ServiceFacts { slots: Heard::Said(vec![slot]), ..well() };

    check(slots(slot(true, false, 100 << 20)), &[]);
    check(slots(slot(false, false, 100 << 20)), &[Cause::SlotStuck]);
    check(slots(slot(true, false, 2 << 30)), &[Cause::SlotStuck]);
    check(slots(slot(false, true, 0)), &[Cause::SlotLost]);
    check(with(|it| it.oldest_transaction = Some(open(31))), &[Cause::OldTransaction]);
    check(ServiceFacts { parked: Heard::Said(vec![parked.clone()]), ..well() }, &[Cause::Parked]);

    let found = diagnose(&of(ServiceFacts { parked: Heard::Said(vec![parked]), ..well() }));
    assert_eq!((found[0].count, found[0].since), (2, Some(SECOND * 60)));
}

#[test]
fn what_is_not_known_is_said_and_hides_nothing() {
    let facts = ServiceFacts {
        parked: Heard::Silent,
        slots: Heard::Refused("no right".to_owned()),
        ..with(|it| it.is_paused = true)
    };

    check(facts, &[Cause::RelayPaused, Cause::NotKnown, Cause::NotKnown]);
}
