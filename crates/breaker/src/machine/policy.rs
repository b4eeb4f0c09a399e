//! When to trip, decided by somebody else.

use std::fmt;
use std::time::Duration;

/// Decides in place of the run and the failure ratio when a breaker opens, and for how long.
///
/// States, generations, leases and outcomes stay the breaker's; it asks about calls of the state that admitted them only. A policy is
/// behind a lock, which each counted call takes: a breaker without one does not.
pub trait TripPolicy: Send {
    /// A call did well; a slow one is not told.
    fn succeeded(&mut self);

    /// A call failed while the breaker was closed, or a probe did; says for how long to open. None: not at all, or after a probe as long
    /// as the breaker's own backoff wants.
    fn failed(&mut self) -> Option<Duration>;

    /// The probes did well: what was before is forgotten.
    fn recovered(&mut self);
}

/// [`TripPolicy`] over one of `failsafe`'s failure policies with its backoff.
///
/// What `failsafe` promises of them holds: mind that `success_rate_over_time_window` counts only whole seconds, says nothing for the
/// first window after start and recovery, and sees one call in a millisecond.
#[cfg(feature = "failsafe")]
#[derive(Debug)]
pub struct Failsafe<P>(pub P);

#[cfg(feature = "failsafe")]
impl<P: failsafe::FailurePolicy + Send> TripPolicy for Failsafe<P> {
    fn succeeded(&mut self) {
        self.0.record_success();
    }

    fn failed(&mut self) -> Option<Duration> {
        self.0.mark_dead_on_failure()
    }

    fn recovered(&mut self) {
        self.0.revived();
    }
}

impl fmt::Debug for dyn TripPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TripPolicy")
    }
}
