//! The cursor against a model: random steps, and what must hold after each of them.

use super::*;
use proptest::collection::vec;
use proptest::prelude::{Just, Strategy, any, prop_oneof, proptest};
use std::collections::BTreeSet;
use std::time::Duration;
use tokio::time::timeout;

#[derive(Debug, Clone)]
enum Step {
    /// A message is stored in this channel; others leave gaps in its sequence.
    Publish { gap: i64 },
    /// The subscription asks for the next message, and reads the log if need be.
    Next,
    /// The read is begun and then dropped.
    AbandonRead,
    /// One of the messages that are out is acknowledged.
    Acknowledge(usize),
    /// One of them is dropped.
    GiveBack(usize),
    /// The subscription ends and another begins.
    SubscribeAgain,
    /// The floor is written.
    WriteFloor,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (1..4_i64).prop_map(|gap| Step::Publish { gap }),
        8 => Just(Step::Next),
        1 => Just(Step::AbandonRead),
        5 => any::<usize>().prop_map(Step::Acknowledge),
        2 => any::<usize>().prop_map(Step::GiveBack),
        1 => Just(Step::SubscribeAgain),
        1 => Just(Step::WriteFloor),
    ]
}

/// A channel, its one consumer, and what a correct cursor has to keep to.
struct World {
    cursor: Cursor,
    read_max: usize,
    log: Vec<i64>,
    out: Vec<i64>,
    seen: Vec<i64>,
    acknowledged: BTreeSet<i64>,
    caught_up: (i64, watch::Receiver<bool>),
}

impl World {
    fn new(read_max: usize) -> Self {
        let cursor = Cursor::at("orders", "kitchen", 0);
        let caught_up = (0, cursor.subscribe(0).unwrap());
        World {
            cursor,
            read_max,
            caught_up,
            log: Vec::new(),
            out: Vec::new(),
            seen: Vec::new(),
            acknowledged: BTreeSet::new(),
        }
    }

    fn end(&self) -> i64 {
        self.log.last().copied().unwrap_or_default()
    }

    fn take(&mut self, step: &Step) {
        match step {
            Step::Publish { gap } => {
                self.log.push(self.end() + gap);
                self.cursor.wake();
            }
            Step::Next => {
                self.deliver();
            }
            Step::AbandonRead => {
                if let Some(sequence) = self.next(|cursor, _| cursor.read_failed()) {
                    self.note(sequence);
                }
            }
            Step::Acknowledge(which) if !self.out.is_empty() => {
                let sequence = self.out.swap_remove(which % self.out.len());
                self.acknowledged.insert(sequence);
                self.cursor.acknowledge(sequence);
            }
            Step::GiveBack(which) if !self.out.is_empty() => {
                let sequence = self.out.swap_remove(which % self.out.len());
                self.cursor.give_back(sequence);
            }
            Step::Acknowledge(_) | Step::GiveBack(_) => {}
            Step::SubscribeAgain => {
                assert!(self.cursor.subscribe(self.end()).is_none());
                self.cursor.unsubscribe();
                self.caught_up = (self.end(), self.cursor.subscribe(self.end()).unwrap());
            }
            Step::WriteFloor => {
                if let Some(floor) = self.cursor.unwritten_floor() {
                    self.cursor.floor_written(floor);
                }
                assert_eq!(self.cursor.unwritten_floor(), None);
            }
        }
    }

    fn next(&self, read: impl Fn(&Cursor, i64)) -> Option<i64> {
        match self.cursor.next() {
            Next::Deliver(sequence, _) => Some(sequence),
            Next::ReadAfter(after) => {
                read(&self.cursor, after);
                None
            }
            Next::Wait => None,
        }
    }

    fn deliver(&mut self) -> bool {
        let read = |cursor: &Cursor, after| {
            let rows = self.log.iter().filter(|sequence| **sequence > after).take(self.read_max);
            let rows: Vec<_> = rows.map(|sequence| (*sequence, message())).collect();
            let is_full = rows.len() == self.read_max;
            cursor.take(after, rows, is_full);
        };
        let next = self.next(read).or_else(|| self.next(read));
        if let Some(sequence) = next {
            self.note(sequence);
        }
        next.is_some()
    }

    fn note(&mut self, sequence: i64) {
        assert!(!self.acknowledged.contains(&sequence), "{sequence} comes again after its acknowledgement");
        assert!(!self.out.contains(&sequence), "{sequence} is out already");
        self.out.push(sequence);
        if !self.seen.contains(&sequence) {
            self.seen.push(sequence);
        }
    }

    fn check(&self) {
        let floor = self.cursor.state().floor;
        let below = self.log.iter().filter(|sequence| **sequence <= floor);
        assert!(below.into_iter().all(|sequence| self.acknowledged.contains(sequence)), "floor {floor} is too high");
        assert!(self.seen.is_sorted(), "first deliveries are out of order: {:?}", self.seen);
        let (end, caught_up) = &self.caught_up;
        let is_all_acknowledged = !self.log.iter().any(|it| it <= end && !self.acknowledged.contains(it));
        assert_eq!(*caught_up.borrow(), is_all_acknowledged, "caught up with {end} at floor {floor}");
    }
}

fn message() -> Message {
    Message::new("orders", "Order", String::new(), String::new(), Vec::new())
}

proptest! {
    #[test]
    fn every_message_is_delivered_in_order_and_the_floor_passes_none(
        steps in vec(step(), 0..200),
        read_max in 1..5_usize,
    ) {
        let mut world = World::new(read_max);
        for step in &steps {
            world.take(step);
            world.check();
        }

        while world.deliver() || !world.out.is_empty() {
            world.take(&Step::Acknowledge(0));
            world.check();
        }

        assert_eq!(world.seen, world.log);
        assert_eq!(world.cursor.state().floor, world.end());
    }
}

#[test]
fn what_is_given_back_comes_before_what_is_younger() {
    let mut world = World::new(10);
    for _ in 0..4 {
        world.take(&Step::Publish { gap: 1 });
    }
    for _ in 0..3 {
        world.deliver();
    }

    world.cursor.give_back(3);
    world.cursor.give_back(1);

    let next = || world.next(|_, _| ()).unwrap();
    assert_eq!([next(), next(), next()], [1, 3, 4]);
}

#[test]
fn no_more_is_read_than_may_be_unacknowledged() {
    let mut world = World::new(256);
    for _ in 0..5_000 {
        world.take(&Step::Publish { gap: 1 });
    }

    while world.deliver() {}

    let most = UNACKNOWLEDGED_MAX + 256;
    assert!((UNACKNOWLEDGED_MAX..=most).contains(&world.out.len()), "{}", world.out.len());
}

#[test]
fn a_wake_during_a_read_causes_another_read() {
    let cursor = Cursor::at("orders", "kitchen", 0);
    assert!(matches!(cursor.next(), Next::ReadAfter(0)));

    cursor.wake();
    cursor.take(0, vec![], false);

    assert!(matches!(cursor.next(), Next::ReadAfter(0)));
    cursor.take(0, vec![], false);
    assert!(matches!(cursor.next(), Next::Wait));
}

/// Under paused time: whether somebody who waits would be woken now.
async fn has_news(cursor: &Cursor) -> bool {
    timeout(Duration::from_secs(1), cursor.news()).await.is_ok()
}

/// A cursor whose subscription has received this many messages, with more in the log, and whose news is consumed.
async fn received(count: usize) -> World {
    let mut world = World::new(256);
    for _ in 0..count + 256 {
        world.take(&Step::Publish { gap: 1 });
    }
    while world.out.len() < count {
        world.deliver();
    }
    assert!(has_news(&world.cursor).await);
    assert!(!has_news(&world.cursor).await);
    world
}

#[tokio::test(start_paused = true)]
async fn a_message_that_is_given_back_is_news() {
    let world = received(2).await;

    world.cursor.give_back(2);

    assert!(has_news(&world.cursor).await);
}

#[tokio::test(start_paused = true)]
async fn an_acknowledgement_that_makes_room_for_a_read_is_news() {
    let world = received(UNACKNOWLEDGED_MAX).await;

    // The floor stays.
    world.cursor.acknowledge(2);

    assert!(has_news(&world.cursor).await);
}

#[tokio::test(start_paused = true)]
async fn a_floor_that_moves_while_it_is_written_is_news() {
    let mut world = World::new(256);
    for _ in 0..2 {
        world.take(&Step::Publish { gap: 1 });
    }
    while world.deliver() {}
    world.cursor.acknowledge(1);
    let written = world.cursor.unwritten_floor().unwrap();
    assert!(has_news(&world.cursor).await);

    world.cursor.acknowledge(2);
    world.cursor.floor_written(written);

    assert!(has_news(&world.cursor).await);
    assert_eq!((written, world.cursor.unwritten_floor()), (1, Some(2)));
}
