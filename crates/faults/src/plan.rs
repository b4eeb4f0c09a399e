//! Which faults happen, and in which order.

use crate::controls::Control;
use std::time::Duration;
use testkit::Member;

/// What is done to the platform.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// SIGKILL of a process, which is started again a moment later.
    Kill(Victim),
    /// SIGSTOP of a relay past its lease, then SIGCONT.
    Pause(u8),
    /// The broker is killed, and comes back with an empty directory.
    Wipe,
    /// The stream of the replies is purged, by an operator's mistake.
    DropReplies,
    /// The replication slot of log tailing is dropped.
    DropSlot,
    /// A transaction that has written is held open in the order database.
    HoldTransaction(Duration),
    /// The line to the broker swallows everything.
    Unreachable(Duration),
}

/// Who can be killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Victim {
    /// A process of the platform.
    Member(Member),
    /// The broker.
    Nats,
    /// The databases.
    Postgres,
}

/// How many faults of each kind.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    /// SIGKILL of random processes.
    pub kills: usize,
    /// SIGSTOP of relays.
    pub pauses: usize,
    /// Broker directories wiped.
    pub wipes: usize,
    /// Streams of replies purged.
    pub dropped_replies: usize,
    /// Slots dropped.
    pub dropped_slots: usize,
    /// How long one transaction is held open; zero: none is.
    pub held: Duration,
    /// How long the broker is unreachable; zero: it is not.
    pub unreachable: Duration,
}

impl Plan {
    /// Faults that bring a bug to light.
    #[must_use]
    pub fn that_shows(control: Control) -> Self {
        let nothing = Plan {
            kills: 0,
            pauses: 0,
            wipes: 0,
            dropped_replies: 0,
            dropped_slots: 0,
            held: Duration::ZERO,
            unreachable: Duration::ZERO,
        };
        match control {
            // Concurrent commits are enough.
            Control::NaiveCursor => Plan { held: Duration::from_secs(20), ..nothing },
            Control::DeleteOnAck => Plan { wipes: 4, ..nothing },
            Control::SameMessageId => Plan { dropped_replies: 3, ..nothing },
        }
    }

    /// The faults in an order that depends on `random` alone.
    #[must_use]
    pub fn faults(&self, relays: u8, random: &mut Random) -> Vec<Fault> {
        let mut victims = vec![Victim::Nats, Victim::Postgres];
        victims.extend([Member::Consumer, Member::Restaurant, Member::Order, Member::Gateway].map(Victim::Member));
        victims.extend((1..=relays).map(|number| Victim::Member(Member::Relay(number))));
        let mut faults: Vec<Fault> =
            (0..self.kills).map(|number| Fault::Kill(victims[number % victims.len()])).collect();
        if relays > 0 {
            faults.extend((0..self.pauses).map(|number| Fault::Pause(1 + u8::try_from(number).unwrap_or(0) % relays)));
        }
        faults.extend(std::iter::repeat_n(Fault::Wipe, self.wipes));
        faults.extend(std::iter::repeat_n(Fault::DropReplies, self.dropped_replies));
        faults.extend(std::iter::repeat_n(Fault::DropSlot, self.dropped_slots));
        if !self.held.is_zero() {
            faults.push(Fault::HoldTransaction(self.held));
        }
        if !self.unreachable.is_zero() {
            faults.push(Fault::Unreachable(self.unreachable));
        }
        random.shuffle(&mut faults);
        faults
    }
}

/// Numbers that look random and are the same for the same seed (splitmix64, Steele et al. 2014).
#[derive(Debug, Clone)]
pub struct Random(u64);

impl Random {
    /// Starts with a seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Random(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// A number below `end`, which is at least 1.
    pub fn below(&mut self, end: u64) -> u64 {
        self.next() % end.max(1)
    }

    /// A duration between two others.
    pub fn between(&mut self, from: Duration, to: Duration) -> Duration {
        let spread = u64::try_from(to.saturating_sub(from).as_millis()).unwrap_or(u64::MAX);
        from + Duration::from_millis(self.below(spread))
    }

    fn shuffle<T>(&mut self, things: &mut [T]) {
        for index in (1..things.len()).rev() {
            let other = usize::try_from(self.below(index as u64 + 1)).unwrap_or_default();
            things.swap(index, other);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAN: Plan = Plan {
        kills: 14,
        pauses: 4,
        wipes: 2,
        dropped_replies: 1,
        dropped_slots: 1,
        held: Duration::from_secs(1),
        unreachable: Duration::from_secs(1),
    };

    #[test]
    fn the_same_seed_gives_the_same_faults() {
        let faults = |seed| PLAN.faults(2, &mut Random::new(seed));

        assert_eq!(faults(1), faults(1));
        assert_ne!(faults(1), faults(2));
        assert_eq!(faults(1).len(), 24);
    }

    #[test]
    fn every_process_is_killed() {
        let faults = PLAN.faults(1, &mut Random::new(7));

        for victim in [Victim::Nats, Victim::Postgres, Victim::Member(Member::Relay(1)), Victim::Member(Member::Order)]
        {
            assert!(faults.contains(&Fault::Kill(victim)), "{victim:?}");
        }
    }
}
