//! Whether a consumer may place an order.

use super::{Consumer, State};
use proto::Amount;
use std::fmt;

/// Why a consumer may not place an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reason {
    /// There is no such consumer.
    Unknown,
    /// The consumer may not order at all.
    Suspended,
    /// The order costs more than the consumer may spend on one order.
    LimitExceeded { total: Amount, limit: Amount },
    /// The consumer's limit says nothing about orders in this currency.
    LimitCurrencyMismatch { total: Amount, limit: Amount },
}

impl fmt::Display for Reason {
    /// A sentence for the consumer.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Reason::Unknown => write!(f, "There is no consumer with this id."),
            Reason::Suspended => write!(f, "The consumer is suspended and may not order."),
            Reason::LimitExceeded { total, limit } => {
                write!(f, "The order costs {total}; the consumer may spend at most {limit} on one order.")
            }
            Reason::LimitCurrencyMismatch { total, limit } => write!(
                f,
                "The order costs {total}; the consumer's limit of {limit} for one order allows only orders in {}.",
                limit.currency.code()
            ),
        }
    }
}

/// Whether this consumer may place an order that costs `total`; all the reasons why not. A total equal to the limit is within it.
///
/// # Errors
/// Every reason, at least one.
pub(crate) fn judge(consumer: Option<&Consumer>, total: Amount) -> Result<(), Vec<Reason>> {
    let Some(Consumer { profile, .. }) = consumer else { return Err(vec![Reason::Unknown]) };
    let suspended = match profile.state {
        State::Active => None,
        State::Suspended => Some(Reason::Suspended),
    };
    let reasons: Vec<Reason> =
        suspended.into_iter().chain(profile.order_limit.and_then(|limit| above(limit, total))).collect();
    if reasons.is_empty() { Ok(()) } else { Err(reasons) }
}

fn above(limit: Amount, total: Amount) -> Option<Reason> {
    if total.currency != limit.currency {
        return Some(Reason::LimitCurrencyMismatch { total, limit });
    }
    (total.minor > limit.minor).then_some(Reason::LimitExceeded { total, limit })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Name, Profile};
    use iso_currency::Currency;
    use proptest::prelude::*;
    use proto::time::Instant;

    fn gbp(minor: i64) -> Amount {
        Amount::new(minor, Currency::GBP)
    }

    fn consumer(state: State, order_limit: Option<Amount>) -> Consumer {
        Consumer::new(Profile { name: Name::parse("name", "Ada").unwrap(), state, order_limit }, Instant(0))
    }

    #[track_caller]
    fn check(state: State, limit: Option<Amount>, total: Amount, expected: &[Reason]) {
        let refused = judge(Some(&consumer(state, limit)), total).err().unwrap_or_default();
        assert_eq!(refused, expected);
    }

    #[test]
    fn an_active_consumer_without_limit_may_order_anything() {
        check(State::Active, None, gbp(i64::MAX), &[]);
    }

    #[test]
    fn a_total_equal_to_the_limit_is_within_it() {
        let (limit, total) = (gbp(2_000), gbp(2_001));

        check(State::Active, Some(limit), gbp(1_999), &[]);
        check(State::Active, Some(limit), gbp(2_000), &[]);
        check(State::Active, Some(limit), total, &[Reason::LimitExceeded { total, limit }]);
    }

    #[test]
    fn a_limit_of_nothing_allows_what_is_free() {
        let (limit, total) = (gbp(0), gbp(1));

        check(State::Active, Some(limit), gbp(0), &[]);
        check(State::Active, Some(limit), total, &[Reason::LimitExceeded { total, limit }]);
    }

    #[test]
    fn a_limit_in_another_currency_refuses_even_what_is_free() {
        let (limit, total) = (gbp(2_000), Amount::new(0, Currency::EUR));

        check(State::Active, Some(limit), total, &[Reason::LimitCurrencyMismatch { total, limit }]);
    }

    #[test]
    fn a_suspended_consumer_learns_of_the_limit_too() {
        let (limit, total) = (gbp(2_000), gbp(2_500));

        check(State::Suspended, None, total, &[Reason::Suspended]);
        check(State::Suspended, Some(limit), total, &[Reason::Suspended, Reason::LimitExceeded { total, limit }]);
    }

    #[test]
    fn an_unknown_consumer_is_the_only_reason() {
        assert_eq!(judge(None, gbp(1)), Err(vec![Reason::Unknown]));
    }

    #[test]
    fn a_sentence_names_the_amounts() {
        let exceeded = Reason::LimitExceeded { total: gbp(2_500), limit: gbp(2_000) };

        assert_eq!(
            exceeded.to_string(),
            "The order costs 25.00 GBP; the consumer may spend at most 20.00 GBP on one order."
        );
    }

    proptest! {
        #[test]
        fn an_order_is_refused_exactly_when_some_rule_is_broken(
            suspended: bool,
            limit in proptest::option::of(0..i64::MAX),
            total in 0..i64::MAX,
        ) {
            let state = if suspended { State::Suspended } else { State::Active };

            let refused = judge(Some(&consumer(state, limit.map(gbp))), gbp(total)).is_err();

            prop_assert_eq!(refused, suspended || limit.is_some_and(|limit| total > limit));
        }
    }
}
