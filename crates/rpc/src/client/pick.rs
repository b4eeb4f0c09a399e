//! Which of the endpoints may take a call. Pure, so that a table of cases is its test.

/// Endpoints of one service that a client uses at most: what a choice can hold.
pub(super) const ENDPOINTS_MAX: usize = 64;

/// What the picker sees of an endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Seen {
    /// Its line is up.
    pub(super) is_up: bool,
    pub(super) gate: Gate,
    /// Discovery doubts it.
    pub(super) is_doubted: bool,
    /// It is in the zone of the client.
    pub(super) is_near: bool,
    /// This call was there already.
    pub(super) is_tried: bool,
}

/// What its breaker says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Gate {
    /// Calls pass; or the breaker is open, and too many are left out already.
    Passes,
    /// It is left out.
    LeftOut,
}

/// How the choice was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rule {
    /// Among those that work.
    Normal,
    /// So few work that the breakers may be wrong; among all that can be reached.
    Panic,
}

/// Some of the endpoints, by their place in the list.
#[derive(Debug, Clone, Copy)]
pub(super) struct Choice {
    places: [u8; ENDPOINTS_MAX],
    len: usize,
}

impl Choice {
    fn of(seen: &[Seen], fits: impl Fn(&Seen) -> bool) -> Self {
        let mut choice = Choice { places: [0; ENDPOINTS_MAX], len: 0 };
        for (place, _) in (0_u8..).zip(seen.iter().take(ENDPOINTS_MAX)).filter(|(_, seen)| fits(seen)) {
            choice.places[choice.len] = place;
            choice.len += 1;
        }
        choice
    }

    pub(super) fn as_slice(&self) -> &[u8] {
        &self.places[..self.len]
    }

    /// The part that fits, or all of it if none does.
    fn preferring(self, seen: &[Seen], fits: impl Fn(&Seen) -> bool) -> Self {
        let mut preferred = Choice { places: [0; ENDPOINTS_MAX], len: 0 };
        for place in self.as_slice().iter().filter(|place| fits(&seen[usize::from(**place)])) {
            preferred.places[preferred.len] = *place;
            preferred.len += 1;
        }
        if preferred.len == 0 { self } else { preferred }
    }
}

/// How many endpoints may be left out at once: a share of them, but one at least where there are two, and never all.
pub(super) fn ejections_max(endpoints: usize, percent: u32) -> usize {
    let share = endpoints * percent as usize / 100;
    share.max(1).min(endpoints.saturating_sub(1))
}

/// Those that may take a call.
pub(super) fn eligible(seen: &[Seen], panic_percent: u32) -> (Rule, Choice) {
    let works = |seen: &Seen| seen.is_up && seen.gate == Gate::Passes;
    let working = seen.iter().filter(|seen| works(seen)).count();
    let rule = if working * 100 < seen.len() * panic_percent as usize { Rule::Panic } else { Rule::Normal };
    let choice = match rule {
        Rule::Normal => Choice::of(seen, works),
        Rule::Panic => Choice::of(seen, |seen| seen.is_up),
    };
    let choice = choice.preferring(seen, |seen| !seen.is_tried).preferring(seen, |seen| !seen.is_doubted);
    (rule, if is_near_enough(seen, works) { choice.preferring(seen, |seen| seen.is_near) } else { choice })
}

/// Whether the client's own zone still has seven tenths of what it should have; with less, its endpoints would have to bear too much.
fn is_near_enough(seen: &[Seen], works: impl Fn(&Seen) -> bool) -> bool {
    let near = seen.iter().filter(|seen| seen.is_near);
    let (all, working) = near.fold((0, 0), |(all, working), seen| (all + 1, working + usize::from(works(seen))));
    all > 0 && working * 10 >= all * 7
}

#[cfg(test)]
mod tests {
    use super::*;

    const WELL: Seen = Seen { is_up: true, gate: Gate::Passes, is_doubted: false, is_near: false, is_tried: false };
    const DOWN: Seen = Seen { is_up: false, ..WELL };
    const OUT: Seen = Seen { gate: Gate::LeftOut, ..WELL };
    const TRIED: Seen = Seen { is_tried: true, ..WELL };
    const DOUBTED: Seen = Seen { is_doubted: true, ..WELL };
    const NEAR: Seen = Seen { is_near: true, ..WELL };
    const NEAR_OUT: Seen = Seen { gate: Gate::LeftOut, ..NEAR };

    #[track_caller]
    fn check(seen: &[Seen], expected: Rule, places: &[u8]) {
        let (rule, choice) = eligible(seen, 50);
        assert_eq!((rule, choice.as_slice()), (expected, places));
    }

    #[test]
    fn what_is_down_or_left_out_takes_no_calls() {
        check(&[WELL, DOWN, WELL], Rule::Normal, &[0, 2]);
        check(&[WELL, OUT, WELL], Rule::Normal, &[0, 2]);
    }

    #[test]
    fn when_most_are_out_the_breakers_are_not_asked_and_what_is_down_stays_out() {
        check(&[OUT, OUT, WELL], Rule::Panic, &[0, 1, 2]);
        check(&[OUT, DOWN, DOWN], Rule::Panic, &[0]);
        check(&[DOWN, DOWN, DOWN], Rule::Panic, &[]);
        check(&[OUT, WELL], Rule::Normal, &[1]);
    }

    #[test]
    fn a_call_goes_where_it_was_not_unless_it_was_everywhere() {
        check(&[TRIED, WELL, TRIED], Rule::Normal, &[1]);
        check(&[TRIED, TRIED], Rule::Normal, &[0, 1]);
    }

    #[test]
    fn the_doubted_are_used_when_there_is_nothing_better() {
        check(&[DOUBTED, WELL], Rule::Normal, &[1]);
        check(&[DOUBTED, DOUBTED], Rule::Normal, &[0, 1]);
        check(&[DOUBTED, DOWN], Rule::Normal, &[0]);
    }

    #[test]
    fn the_own_zone_is_preferred_while_it_has_most_of_its_endpoints() {
        check(&[NEAR, NEAR, WELL, WELL], Rule::Normal, &[0, 1]);
        check(&[NEAR, NEAR_OUT, WELL, WELL], Rule::Normal, &[0, 2, 3]);
        check(&[WELL, WELL], Rule::Normal, &[0, 1]);
    }

    #[test]
    fn some_may_be_left_out_and_never_all() {
        let max: Vec<usize> = (0..=5).map(|endpoints| ejections_max(endpoints, 50)).collect();

        assert_eq!(max, [0, 0, 1, 1, 2, 2]);
        assert_eq!(ejections_max(10, 10), 1);
        assert_eq!(ejections_max(3, 100), 2);
    }
}
