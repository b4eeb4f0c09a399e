//! How long to wait before a call is tried again: what the server asked for, or twice as long as before.

use std::error::Error as _;
use std::time::Duration;
use tonic::{Code, Status};
use tonic_types::StatusExt;

/// The first wait: longer than a server's pause for a checkpoint, too short for a person to notice.
const FIRST: Duration = Duration::from_millis(100);
/// The longest wait, reached at the sixth attempt; a server that starts again is found at most this much later.
const LONGEST: Duration = Duration::from_secs(3);

/// Whether the same call may succeed later: the server is away, or the connection broke.
///
/// A status with a source was made on this side, where the transport failed; one that the server sent has none.
#[must_use]
pub fn is_transient(status: &Status) -> bool {
    status.code() == Code::Unavailable || status.source().is_some()
}

/// The wait that the server asked for with `google.rpc.RetryInfo`.
#[must_use]
pub fn asked_for(status: &Status) -> Option<Duration> {
    status.get_details_retry_info().and_then(|info| info.retry_delay)
}

/// The wait after attempt number `attempt`, from 1, has failed.
///
/// `spread` is any number that differs between callers who fail together: it moves the wait by up to a half, down from our own
/// choice and up from what the server asked for.
#[must_use]
pub fn wait(attempt: u32, asked_for: Option<Duration>, spread: u64) -> Duration {
    let share = f64::from(u16::try_from(spread % 1000).unwrap_or(0)) / 2000.0;
    match asked_for {
        Some(asked_for) => asked_for.mul_f64(1.0 + share),
        None => FIRST.saturating_mul(1 << attempt.saturating_sub(1).min(10)).min(LONGEST).mul_f64(1.0 - share),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tonic_types::ErrorDetails;

    #[test]
    fn a_wait_doubles_up_to_the_longest() {
        let waits: Vec<u128> = (1..=7).map(|attempt| wait(attempt, None, 0).as_millis()).collect();

        assert_eq!(waits, [100, 200, 400, 800, 1600, 3000, 3000]);
        assert_eq!(wait(u32::MAX, None, 0), LONGEST);
    }

    #[test]
    fn what_the_server_asks_for_is_never_undercut() {
        let mut details = ErrorDetails::new();
        details.set_retry_info(Some(Duration::from_millis(1500)));
        let status = Status::with_error_details(Code::Unavailable, "the replica is being built", details);

        assert_eq!(asked_for(&status), Some(Duration::from_millis(1500)));
        assert_eq!(wait(1, asked_for(&status), 0), Duration::from_millis(1500));
        assert!(wait(1, asked_for(&status), 999) > Duration::from_millis(2200));
    }

    #[test]
    fn callers_who_fail_together_come_back_apart() {
        assert!(wait(3, None, 1) > wait(3, None, 500));
        assert!(wait(3, None, 999) >= Duration::from_millis(200));
    }
}
