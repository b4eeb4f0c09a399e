//! Which members are believed to be there, given what Consul says: pure, with time as an argument.
//!
//! Consul may say "nobody" for seconds while it starts, after it lost its data, or to whoever may not read. So what vanishes in a way
//! that is not the end of single members is held down: kept for a bounded time, demoted, for breakers to decide. Somebody's word,
//! such as maintenance or the deregistration of single members, counts at once.

use super::answer::{Member, State};
use super::config::ConsulConfig;
use crate::endpoint::Key;
use crate::{Endpoint, Standing};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use tokio::time::Instant;

/// When members are not believed to be gone.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rules {
    pub(super) shrink_percent_max: u32,
    pub(super) hold_down: Duration,
    pub(super) unproven_max: Duration,
}

impl Rules {
    pub(super) fn of(config: &ConsulConfig) -> Self {
        Rules {
            shrink_percent_max: config.shrink_percent_max,
            hold_down: Duration::from_millis(config.hold_down_ms),
            unproven_max: Duration::from_millis(config.unproven_ms_max),
        }
    }
}

/// The members of one service.
#[derive(Debug)]
pub(super) struct View {
    rules: Rules,
    live: BTreeMap<Key, Endpoint>,
    doubted: BTreeMap<Key, Doubted>,
}

#[derive(Debug, Clone)]
struct Doubted {
    endpoint: Endpoint,
    until: Instant,
    why: Doubt,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Doubt {
    /// It is not there any more, or fails, together with too many others.
    Vanished,
    /// Its check has not run since its agent was started.
    Unproven,
}

/// What an answer made of the view.
#[derive(Debug, PartialEq)]
pub(super) struct Seen {
    pub(super) endpoints: Vec<Endpoint>,
    /// How many members were held back that were believed before.
    pub(super) held_back: usize,
}

impl View {
    pub(super) fn new(rules: Rules) -> Self {
        View { rules, live: BTreeMap::new(), doubted: BTreeMap::new() }
    }

    /// Begins with what was known in an earlier life.
    pub(super) fn restore(&mut self, endpoints: &[Endpoint]) {
        self.live = endpoints.iter().map(|endpoint| (endpoint.key(), endpoint.clone())).collect();
    }

    /// When the next member that is held back has to go.
    pub(super) fn next_expiry(&self) -> Option<Instant> {
        self.doubted.values().map(|it| it.until).min()
    }

    /// Takes an answer in.
    pub(super) fn absorb(&mut self, members: Vec<Member>, now: Instant) -> Seen {
        let mut believed = std::mem::take(&mut self.live);
        believed.extend(self.unproven());
        let (mut unproven, mut ended) = (BTreeSet::new(), BTreeSet::new());
        for Member { endpoint, state } in members {
            let key = endpoint.key();
            match state {
                State::Up | State::Warning => {
                    self.live.insert(key, endpoint);
                }
                State::Unproven => {
                    unproven.insert(key);
                }
                State::Maintenance => {
                    ended.insert(key);
                }
                State::Down => {}
            }
        }
        self.doubted.retain(|key, _| !self.live.contains_key(key) && !ended.contains(key));
        let fresh = self.doubt(&believed, &unproven, now);
        let lost = self.lost(&believed, &unproven, &ended);
        let held_back = fresh + self.hold_down(lost, believed.len(), now);
        self.doubted.retain(|_, it| it.until > now);
        let endpoints = self.live.values().chain(self.doubted.values().map(|it| &it.endpoint)).cloned().collect();
        Seen { endpoints, held_back }
    }

    fn unproven(&self) -> impl Iterator<Item = (Key, Endpoint)> {
        let unproven = self.doubted.iter().filter(|(_, it)| it.why == Doubt::Unproven);
        unproven.map(|(key, it)| (key.clone(), it.endpoint.clone()))
    }

    /// Demotes members that were believed and whose checks have not run; a newcomer has to prove itself first. Returns how many are new.
    fn doubt(&mut self, believed: &BTreeMap<Key, Endpoint>, unproven: &BTreeSet<Key>, now: Instant) -> usize {
        let mut fresh = 0;
        for key in unproven {
            if let (Some(endpoint), false) = (believed.get(key), self.doubted.contains_key(key)) {
                let until = now + self.rules.unproven_max;
                self.doubted.insert(key.clone(), Doubted { endpoint: demoted(endpoint), until, why: Doubt::Unproven });
                fresh += 1;
            }
        }
        fresh
    }

    /// Those that were believed, and of which nothing good is said any more.
    fn lost(
        &self,
        believed: &BTreeMap<Key, Endpoint>,
        unproven: &BTreeSet<Key>,
        ended: &BTreeSet<Key>,
    ) -> Vec<(Key, Endpoint)> {
        let is_lost = |key: &Key| !self.live.contains_key(key) && !unproven.contains(key) && !ended.contains(key);
        believed.iter().filter(|(key, _)| is_lost(key)).map(|(key, it)| (key.clone(), it.clone())).collect()
    }

    /// Lets the lost go if they are few, and holds them back otherwise. Returns how many it holds back.
    fn hold_down(&mut self, lost: Vec<(Key, Endpoint)>, believed: usize, now: Instant) -> usize {
        for (key, _) in &lost {
            self.doubted.remove(key);
        }
        let is_unproven = |it: &Doubted| it.why == Doubt::Unproven;
        let nobody_left = self.live.is_empty() && !self.doubted.values().any(is_unproven);
        let too_many = lost.len() * 100 > believed * usize::try_from(self.rules.shrink_percent_max).unwrap_or(100);
        if lost.is_empty() || !(nobody_left || too_many) {
            return 0;
        }
        let (count, until) = (lost.len(), now + self.rules.hold_down);
        for (key, endpoint) in lost {
            self.doubted.insert(key, Doubted { endpoint: demoted(&endpoint), until, why: Doubt::Vanished });
        }
        count
    }
}

fn demoted(endpoint: &Endpoint) -> Endpoint {
    Endpoint { standing: Standing::Unknown, ..endpoint.clone() }
}

#[cfg(test)]
mod tests;
