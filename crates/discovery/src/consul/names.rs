//! Which services are believed to be there, given what Consul lists: pure, with time as an argument.
//!
//! By the rule that holds for members as well: what vanishes alone is gone, and what vanishes together with too much else, or as the last,
//! is kept for a bounded time.

use super::view::Rules;
use std::collections::{BTreeMap, BTreeSet};
use tokio::time::Instant;

/// The names of services.
#[derive(Debug)]
pub(super) struct Names {
    rules: Rules,
    live: BTreeSet<String>,
    /// Those that vanished and are not believed to be gone yet, until then.
    doubted: BTreeMap<String, Instant>,
}

/// What an answer made of them.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) names: BTreeSet<String>,
    /// How many are held back that were believed before.
    pub(super) held_back: usize,
}

impl Names {
    pub(super) fn new(rules: Rules) -> Self {
        Names { rules, live: BTreeSet::new(), doubted: BTreeMap::new() }
    }

    /// Begins with what was known in an earlier life.
    pub(super) fn restore(&mut self, names: BTreeSet<String>) {
        self.live = names;
    }

    /// When the next that is held back has to go.
    pub(super) fn next_expiry(&self) -> Option<Instant> {
        self.doubted.values().min().copied()
    }

    /// Takes an answer in.
    pub(super) fn absorb(&mut self, names: BTreeSet<String>, now: Instant) -> Seen {
        let believed = std::mem::replace(&mut self.live, names);
        let lost: Vec<&String> = believed.difference(&self.live).collect();
        self.doubted.retain(|name, until| *until > now && !self.live.contains(name));
        let too_many =
            lost.len() * 100 > believed.len() * usize::try_from(self.rules.shrink_percent_max).unwrap_or(100);
        let is_doubtful = !lost.is_empty() && (self.live.is_empty() || too_many);
        let held_back = if is_doubtful { lost.len() } else { 0 };
        if is_doubtful {
            let until = now + self.rules.hold_down;
            self.doubted.extend(lost.into_iter().map(|name| (name.clone(), until)));
        }
        Seen { names: self.live.iter().chain(self.doubted.keys()).cloned().collect(), held_back }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    const RULES: Rules =
        Rules { shrink_percent_max: 50, hold_down: Duration::from_secs(30), unproven_max: Duration::from_secs(120) };

    fn names(names: &[&str]) -> BTreeSet<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    /// Takes answers in, one a second, and looks what is known after the last.
    #[track_caller]
    fn check(answers: &[&[&str]], expected: &[&str], held_back: usize) {
        let (mut known, begun) = (Names::new(RULES), Instant::now());
        let mut seen = Seen { names: BTreeSet::new(), held_back: 0 };
        for (second, answer) in (0..).zip(answers) {
            seen = known.absorb(names(answer), begun + Duration::from_secs(second));
        }
        assert_eq!(seen, Seen { names: names(expected), held_back });
    }

    #[test]
    fn what_vanishes_alone_is_gone() {
        check(&[&["a", "b"], &["a"]], &["a"], 0);
        check(&[&["a", "b", "c"], &["a", "c"]], &["a", "c"], 0);
    }

    #[test]
    fn what_vanishes_as_the_last_or_with_too_much_else_is_held_back() {
        check(&[&["a"], &[]], &["a"], 1);
        check(&[&["a", "b", "c"], &["a"]], &["a", "b", "c"], 2);
    }

    #[test]
    fn what_is_held_back_and_comes_again_was_never_gone() {
        check(&[&["a", "b"], &[], &["a", "b"], &["a"]], &["a"], 0);
    }

    #[test]
    fn what_is_held_back_goes_in_the_end() {
        let (mut known, begun) = (Names::new(RULES), Instant::now());
        known.absorb(names(&["a"]), begun);
        known.absorb(names(&[]), begun);
        assert_eq!(known.next_expiry(), Some(begun + RULES.hold_down));

        let seen = known.absorb(names(&[]), begun + RULES.hold_down);

        assert_eq!(seen, Seen { names: names(&[]), held_back: 0 });
    }
}
