//! Records in this process, bounded by their number, their bytes and their age.

use super::record::{Record, State};
use super::store::{Claim, Claimed};
use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Keeps records in memory.
#[derive(Debug)]
pub(crate) struct Memory {
    kept_ms: u64,
    records_max: usize,
    bytes_max: usize,
    held: Mutex<Held>,
}

#[derive(Debug, Default)]
struct Held {
    records: HashMap<String, Entry>,
    /// By age, oldest first; one that was written anew is named again, under its new revision.
    order: VecDeque<(String, u64)>,
    bytes: usize,
    revision: u64,
}

#[derive(Debug)]
struct Entry {
    record: Record,
    revision: u64,
    kept_until_ms: u64,
    size: usize,
}

impl Memory {
    pub(crate) fn new(kept_ms: u64, records_max: usize, bytes_max: usize) -> Self {
        Memory { kept_ms, records_max, bytes_max, held: Mutex::default() }
    }

    pub(super) fn claim(&self, place: &str, record: Record, now_ms: u64) -> Claimed {
        let mut held = self.held();
        held.forget_expired(now_ms);
        if let Some(entry) = held.records.get(place)
            && !is_dead(&entry.record, now_ms)
        {
            return Claimed::Other(entry.record.clone());
        }
        let fingerprint = record.fingerprint;
        let revision = held.put(place, record, now_ms.saturating_add(self.kept_ms));
        self.make_room(&mut held);
        Claimed::Mine(Claim { place: place.to_owned(), fingerprint, revision })
    }

    pub(super) fn finish(&self, claim: &Claim, record: Record, now_ms: u64) {
        let mut held = self.held();
        // Whoever was taken for dead has lost its claim.
        if held.is_of(claim) {
            held.put(&claim.place, record, now_ms.saturating_add(self.kept_ms));
            self.make_room(&mut held);
        }
    }

    pub(super) fn release(&self, claim: &Claim) {
        let mut held = self.held();
        if held.is_of(claim) {
            held.remove(&claim.place);
        }
    }

    /// Forgets the oldest answers until the rest is within bounds. Calls that run are few, and are not forgotten.
    fn make_room(&self, held: &mut Held) {
        let mut running = VecDeque::new();
        while held.records.len() > self.records_max || held.bytes > self.bytes_max {
            let Some((place, revision)) = held.order.pop_front() else { break };
            match held.records.get(&place) {
                Some(entry) if entry.revision != revision => {}
                None => {}
                Some(Entry { record: Record { state: State::Running { .. }, .. }, .. }) => {
                    running.push_back((place, revision));
                }
                Some(_) => held.remove(&place),
            }
        }
        while let Some(entry) = running.pop_back() {
            held.order.push_front(entry);
        }
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        // Nothing panics while it is held.
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Held {
    fn put(&mut self, place: &str, record: Record, kept_until_ms: u64) -> u64 {
        self.remove(place);
        self.revision += 1;
        let size = record.size() + place.len() * 2;
        let entry = Entry { record, revision: self.revision, kept_until_ms, size };
        self.bytes += size;
        self.records.insert(place.to_owned(), entry);
        self.order.push_back((place.to_owned(), self.revision));
        self.revision
    }

    fn remove(&mut self, place: &str) {
        if let Some(entry) = self.records.remove(place) {
            self.bytes -= entry.size;
        }
    }

    fn is_of(&self, claim: &Claim) -> bool {
        self.records.get(&claim.place).is_some_and(|entry| entry.revision == claim.revision)
    }

    fn forget_expired(&mut self, now_ms: u64) {
        while let Some((place, revision)) = self.order.front() {
            match self.records.get(place) {
                Some(entry) if entry.revision == *revision && entry.kept_until_ms > now_ms => break,
                Some(entry) if entry.revision == *revision => {
                    let place = place.clone();
                    self.remove(&place);
                }
                Some(_) | None => {}
            }
            self.order.pop_front();
        }
    }
}

/// Whether whoever made the call has not come back in time.
pub(super) fn is_dead(record: &Record, now_ms: u64) -> bool {
    matches!(record.state, State::Running { until_ms } if until_ms <= now_ms)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::idempotency::record::Answer;
    use crate::message::Collected;
    use http::HeaderMap;

    fn running(until_ms: u64) -> Record {
        Record { fingerprint: [1; 32], state: State::Running { until_ms } }
    }

    fn done(length: usize) -> Record {
        let collected = Collected { data: vec![0; length].into(), trailers: None };
        Record { fingerprint: [1; 32], state: State::Done(Box::new(Answer::of(&HeaderMap::new(), &collected))) }
    }

    #[track_caller]
    fn mine(claimed: Claimed) -> Claim {
        match claimed {
            Claimed::Mine(claim) => claim,
            Claimed::Other(record) => panic!("{record:?}"),
        }
    }

    #[track_caller]
    fn other(claimed: Claimed) -> Record {
        match claimed {
            Claimed::Other(record) => record,
            Claimed::Mine(claim) => panic!("{claim:?}"),
        }
    }

    #[test]
    fn one_makes_the_call_and_the_others_hear_of_it() {
        let memory = Memory::new(1_000, 10, 10_000);

        let claim = mine(memory.claim("a", running(50), 0));
        assert_eq!(other(memory.claim("a", running(60), 10)), running(50));
        memory.finish(&claim, done(3), 20);

        assert_eq!(other(memory.claim("a", running(70), 30)), done(3));
        mine(memory.claim("b", running(70), 30));
    }

    #[test]
    fn an_answer_is_kept_for_its_time() {
        let memory = Memory::new(1_000, 10, 10_000);
        let claim = mine(memory.claim("a", running(50), 0));
        memory.finish(&claim, done(3), 20);

        other(memory.claim("a", running(2_000), 1_019));
        mine(memory.claim("a", running(2_000), 1_020));
    }

    #[test]
    fn a_call_that_was_released_can_be_made_again() {
        let memory = Memory::new(1_000, 10, 10_000);

        let claim = mine(memory.claim("a", running(50), 0));
        memory.release(&claim);

        mine(memory.claim("a", running(50), 0));
    }

    #[test]
    fn whoever_is_taken_for_dead_has_lost_its_claim() {
        let memory = Memory::new(1_000, 10, 10_000);
        let dead = mine(memory.claim("a", running(50), 0));

        let heir = mine(memory.claim("a", running(150), 60));
        memory.finish(&dead, done(1), 70);
        memory.release(&dead);
        assert_eq!(other(memory.claim("a", running(150), 70)), running(150));
        memory.finish(&heir, done(2), 80);

        assert_eq!(other(memory.claim("a", running(150), 90)), done(2));
    }

    #[test]
    fn it_stays_within_its_bounds_and_forgets_the_oldest_answer_first() {
        let memory = Memory::new(1_000_000, 10, 20_000);
        let runs = mine(memory.claim("runs", running(1_000_000), 0));
        for number in 0..100 {
            let claim = mine(memory.claim(&format!("p{number}"), running(1_000_000), 1));
            memory.finish(&claim, done(number * 40), 2);
        }

        let held = memory.held();
        assert!(held.records.len() <= 10 && held.bytes <= 20_000, "{} {}", held.records.len(), held.bytes);
        assert!(held.order.len() <= 2 * 10 + 1, "{}", held.order.len());
        assert!(held.records.contains_key("p99") && !held.records.contains_key("p0"));
        assert!(held.is_of(&runs), "a call that runs is not forgotten");
        assert_eq!(held.bytes, held.records.values().map(|entry| entry.size).sum::<usize>());
    }
}
