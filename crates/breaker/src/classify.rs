//! What an answer says about the peer that gave it.

use crate::{Outcome, Rejected};
use ::http::{HeaderMap, Response, StatusCode};
use std::error::Error;
use std::time::Duration;

/// Turns answers into outcomes, and a refusal into an answer of the same protocol.
pub trait Classify: Clone {
    /// Judges the head of an answer, `elapsed` after the call began.
    fn head(&self, status: StatusCode, headers: &HeaderMap, elapsed: Duration) -> Verdict;

    /// Judges an answer by its end, if its head left that open.
    fn end(&self, trailers: Option<&HeaderMap>, elapsed: Duration) -> Outcome;

    /// Judges a call that broke, before its head or in its body. By default by [`broken`].
    fn error(&self, error: &(dyn Error + 'static)) -> Outcome {
        broken(error)
    }

    /// What the caller gets instead of a call.
    fn refuse(&self, rejected: &Rejected) -> Response<()>;
}

/// What the head of an answer says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// All that there is to know.
    Final(Outcome),
    /// Its end decides.
    AtEnd,
}

/// Judges a broken call: a failure, unless HTTP/2 says that the peer has not begun it and only wants it elsewhere (RFC 9113 8.7), as a server
/// does that goes away in an orderly manner.
#[must_use]
pub fn broken(error: &(dyn Error + 'static)) -> Outcome {
    let causes = std::iter::successors(Some(error), |error: &&(dyn Error + 'static)| (*error).source());
    let is_unprocessed = causes.filter_map(|cause| cause.downcast_ref::<h2::Error>()).any(|error| {
        error.reason() == Some(h2::Reason::REFUSED_STREAM)
            || error.is_go_away() && error.reason() == Some(h2::Reason::NO_ERROR)
    });
    if is_unprocessed { Outcome::Ignored } else { Outcome::Failure }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("failed to call")]
    struct Wrapped(#[source] h2::Error);

    #[test]
    fn a_stream_that_the_peer_refused_unprocessed_says_nothing_about_it() {
        assert_eq!(broken(&Wrapped(h2::Reason::REFUSED_STREAM.into())), Outcome::Ignored);
    }

    #[test]
    fn a_stream_that_the_peer_reset_is_a_failure() {
        assert_eq!(broken(&Wrapped(h2::Reason::CANCEL.into())), Outcome::Failure);
        assert_eq!(broken(&Wrapped(h2::Reason::INTERNAL_ERROR.into())), Outcome::Failure);
        assert_eq!(broken(&std::io::Error::from(std::io::ErrorKind::ConnectionReset)), Outcome::Failure);
    }
}
