//! A small part of what `cargo xtask faults` and `cargo xtask outage` do in full.

#![expect(clippy::unwrap_used, reason = "in a test a failure is a panic")]

use faults::controls::Control;
use faults::outage;
use faults::plan::Plan;
use faults::restarts;
use faults::run::{self, Options, Outcome};
use std::time::Duration;

/// Long enough on a busy machine, where the full run is held to 30 s.
const DECIDED_WITHIN: Duration = Duration::from_secs(60);

async fn run(options: &Options) -> Outcome {
    run::run(options, |step| println!("{step}")).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_is_killed_no_order_is_lost_or_stuck_or_decided_twice() {
    if !servers::are_there() {
        return;
    }
    let plan = Plan {
        kills: 8,
        pauses: 2,
        wipes: 1,
        dropped_replies: 1,
        dropped_slots: 0,
        held: Duration::from_secs(5),
        unreachable: Duration::from_secs(5),
    };
    let options =
        Options { plan, per_second: 40, seed: 3, decided_within: DECIDED_WITHIN, control: None, tailing: false };

    let outcome = run(&options).await;

    assert!(outcome.verdict.orders > 100, "{}", outcome.verdict);
    assert!(outcome.verdict.is_clean(), "{} {:?}", outcome.verdict, outcome.verdict.remarks);
    assert!(outcome.decided_after.is_some(), "{}", outcome.verdict);
}

async fn is_seen(control: Control, per_second: u32) {
    if !servers::are_there() {
        return;
    }
    let options = Options {
        plan: Plan::that_shows(control),
        per_second,
        seed: 1,
        decided_within: Duration::from_secs(5),
        control: Some(control),
        tailing: false,
    };

    let outcome = run(&options).await;

    assert!(outcome.verdict.stuck > 0, "{}", outcome.verdict);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cursor_that_skips_late_commits_is_seen() {
    // At 40 a second a fast machine wrote its orders one after the other, and nothing committed late.
    is_seen(Control::NaiveCursor, 200).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_outbox_that_forgets_what_the_broker_acknowledged_is_seen() {
    is_seen(Control::DeleteOnAck, 40).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sweep_that_repeats_a_message_id_is_seen() {
    is_seen(Control::SameMessageId, 40).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_is_restarted_instance_by_instance_and_no_call_fails() {
    if !servers::are_there() {
        return;
    }
    let options = restarts::Options { restarts: 3, instances: 2, per_second: 40 };

    let outcome = restarts::run(&options, |step| println!("{step}")).await.unwrap();

    assert!(outcome.calls > 100, "{outcome:?}");
    assert_eq!((outcome.failed.len(), outcome.misdirected), (0, 0), "{outcome:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn orders_are_taken_through_an_outage_at_the_price_of_their_first_attempts() {
    if !servers::are_there() {
        return;
    }
    let options = outage::Options {
        before: Duration::from_secs(3),
        lasts: Duration::from_secs(10),
        per_second: 40,
        decided_within: DECIDED_WITHIN,
    };

    let outcome = outage::run(&options, |step| println!("{step}")).await.unwrap();

    assert!(outcome.during.acknowledged > 300, "{outcome:?}");
    assert_eq!((outcome.during.failed_tries, outcome.attempts_max), (0, 1), "{outcome:?}");
    assert_eq!((outcome.not_approved, outcome.verified), (0, Some(0)), "{outcome:?}");
    assert!(outcome.drained_after.is_some(), "{outcome:?}");
}
