//! The state of a breaker in one word, so that a call reads it with one load.
//!
//! | bits | what |
//! |---|---|
//! | 0..3 | kind of state |
//! | 3..7 | reason of the last change |
//! | 7..31 | generation: counts the changes |
//! | 31..64 | open until, in milliseconds of the clock; 0 unless open |
//!
//! Both counters wrap. A generation comes again after 16,777,216 changes: a result that was held for exactly so long counts once
//! more. The time wraps after 99 days; since no breaker is open for longer than a day, a rest that is longer than the longest
//! open time has passed, whichever lap it is of. So an endpoint that nobody called for months is asked at once.

use super::{Kind, Reason};

const REASON_AT: u32 = 3;
const GENERATION_AT: u32 = 7;
const UNTIL_AT: u32 = 31;
const KIND_MASK: u64 = (1 << REASON_AT) - 1;
const REASON_MASK: u64 = (1 << (GENERATION_AT - REASON_AT)) - 1;
const GENERATION_MASK: u64 = (1 << (UNTIL_AT - GENERATION_AT)) - 1;
const UNTIL_MASK: u64 = (1 << (64 - UNTIL_AT)) - 1;

/// The state of a breaker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Word(pub(crate) u64);

impl Word {
    /// No state is ever this one; a ticket that has it is never counted.
    pub(crate) const NEVER: Word = Word(u64::MAX);

    /// A breaker that nothing has happened to.
    pub(crate) fn first() -> Self {
        Word(Kind::Closed as u64 | (Reason::Started as u64) << REASON_AT)
    }

    /// The state after this one.
    pub(crate) fn next(self, kind: Kind, reason: Reason, until_ms: u64) -> Self {
        let generation = (self.generation() + 1) & GENERATION_MASK;
        Word(
            kind as u64
                | (reason as u64) << REASON_AT
                | generation << GENERATION_AT
                | (until_ms & UNTIL_MASK) << UNTIL_AT,
        )
    }

    #[inline]
    pub(crate) fn kind(self) -> Kind {
        Kind::from_bits(self.0 & KIND_MASK)
    }

    /// Whether calls pass; the test of the hot path.
    #[inline]
    pub(crate) fn is_closed(self) -> bool {
        self.0 & KIND_MASK == Kind::Closed as u64
    }

    #[inline]
    pub(crate) fn reason(self) -> Reason {
        Reason::from_bits(self.0 >> REASON_AT & REASON_MASK)
    }

    #[inline]
    pub(crate) fn generation(self) -> u64 {
        self.0 >> GENERATION_AT & GENERATION_MASK
    }

    /// How long it is still open, in milliseconds.
    #[inline]
    pub(crate) fn rest_ms(self, now_ms: u64, open_max_ms: u64) -> u64 {
        let rest = (self.0 >> UNTIL_AT).wrapping_sub(now_ms) & UNTIL_MASK;
        if rest > open_max_ms { 0 } else { rest }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY_MS: u64 = 86_400_000;

    #[test]
    fn a_word_keeps_what_was_put_in() {
        let word = Word::first().next(Kind::Open, Reason::SlowRatio, 1_234);

        assert_eq!((word.kind(), word.reason(), word.generation()), (Kind::Open, Reason::SlowRatio, 1));
        assert_eq!(word.rest_ms(1_000, 60_000), 234);
        assert_eq!(word.rest_ms(1_234, 60_000), 0);
        assert_eq!(word.rest_ms(5_000, 60_000), 0);
    }

    #[test]
    fn an_open_time_across_the_wrap_of_the_clock_is_as_long_as_any() {
        let lap = UNTIL_MASK + 1;
        let word = Word::first().next(Kind::Open, Reason::FailureRun, lap + 500);

        assert_eq!(word.rest_ms(lap - 500, DAY_MS), 1_000);
        assert_eq!(word.rest_ms(lap + 501, DAY_MS), 0);
    }

    #[test]
    fn an_open_breaker_that_nobody_asked_for_months_is_over() {
        let word = Word::first().next(Kind::Open, Reason::FailureRun, 5_000);

        for days in 1..98 {
            assert_eq!(word.rest_ms(5_000 + days * DAY_MS, 60_000), 0, "{days} days");
        }
    }

    #[test]
    fn the_generation_wraps_and_leaves_its_neighbours_alone() {
        let last = Word(Word::first().0 | GENERATION_MASK << GENERATION_AT);
        let word = last.next(Kind::HalfOpen, Reason::OpenTimeOver, 0);

        assert_eq!((word.kind(), word.reason(), word.generation()), (Kind::HalfOpen, Reason::OpenTimeOver, 0));
        assert_eq!(word.0 >> UNTIL_AT, 0);
    }

    #[test]
    fn no_state_is_the_one_that_never_counts() {
        assert_ne!(Kind::from_bits(KIND_MASK) as u64, KIND_MASK);
    }
}
