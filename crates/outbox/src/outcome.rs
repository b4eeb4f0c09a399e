//! How the handling of a message ended.

use std::error::Error;
use std::time::Duration;

/// The first pause after a failure.
const AGAIN_AFTER: Duration = Duration::from_millis(100);

/// How the handling of a message ended. A business refusal is `Done`: it is an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It is dealt with, durably.
    Done,
    /// The infrastructure failed in a way that passes; the same message may succeed later. It is tried for ever.
    Retry {
        /// How long to wait; doubled with each try.
        after: Duration,
        /// What failed.
        why: String,
    },
    /// Something failed in a way that is not known to pass: a row that cannot be read, a constraint. It is tried [`Outcome::TRIES_MAX`]
    /// times, then parked, so that a key is not blocked for ever and nobody told.
    Fault {
        /// How long to wait; doubled with each try.
        after: Duration,
        /// What failed.
        why: String,
    },
    /// It will never succeed.
    Poison {
        /// What is wrong with it.
        why: String,
    },
}

impl Outcome {
    /// Tries before a [`Outcome::Fault`] parks a message. 20: with pauses that double up to 5 s that is some 75 s, longer than the
    /// processes of two versions stand side by side on one database in a state that only one of them understands.
    pub const TRIES_MAX: u32 = 20;

    /// What a failure means for the message at hand: a `Fault` if the store or the bus says that it does not pass by itself, otherwise
    /// `Retry`. A change that somebody else overtook is decided again, so it is no fault.
    #[must_use]
    pub fn of_failure(failure: &(dyn Error + 'static)) -> Self {
        let (after, why) = (AGAIN_AFTER, chain(failure));
        match passes(failure) {
            true => Outcome::Retry { after, why },
            false => Outcome::Fault { after, why },
        }
    }
}

/// An error with its causes, in one line.
pub(crate) fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}

/// Whether a failure may be gone later, by what the first cause says that knows; what is not known is taken to pass.
fn passes(failure: &(dyn Error + 'static)) -> bool {
    let mut cause = Some(failure);
    while let Some(error) = cause {
        if let Some(error) = error.downcast_ref::<store::Error>() {
            return error.is_transient() || matches!(error, store::Error::Conflict { .. });
        }
        if let Some(error) = error.downcast_ref::<messaging::Error>() {
            return error.is_transient();
        }
        cause = error.source();
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("failed to save")]
    struct Service(#[source] store::Error);

    fn of_store(is_transient: bool) -> Outcome {
        Outcome::of_failure(&Service(store::Error::Statement { sql: "SELECT 1", is_transient, source: "no".into() }))
    }

    #[test]
    fn what_passes_is_tried_for_ever_and_what_does_not_is_a_fault() {
        assert!(matches!(of_store(true), Outcome::Retry { .. }));
        assert!(matches!(of_store(false), Outcome::Fault { .. }));
        assert!(matches!(
            Outcome::of_failure(&store::Error::Column { column: 1, expected: "text" }),
            Outcome::Fault { .. }
        ));
    }

    #[test]
    fn a_conflict_and_what_nobody_knows_are_tried_for_ever() {
        assert!(matches!(Outcome::of_failure(&store::Error::Conflict { what: "first" }), Outcome::Retry { .. }));
        assert!(matches!(Outcome::of_failure(&std::fmt::Error), Outcome::Retry { .. }));
    }

    #[test]
    fn the_whole_chain_of_causes_is_told() {
        let Outcome::Fault { why, .. } = of_store(false) else { panic!("a fault") };

        assert_eq!(why, "failed to save: failed to run \"SELECT 1\": no");
    }
}
