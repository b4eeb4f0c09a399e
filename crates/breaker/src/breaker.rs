//! A breaker with its clock, and the permits that its callers hold.

use crate::machine::{Event, Forced, Machine, Outcome, Reason, Rejected, Snapshot, State, Ticket, TripPolicy};
use crate::{Clock, Config, Error};
use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::sync::mpsc::Receiver;

/// A circuit breaker for one peer, or for one service. A clone is the same breaker.
///
/// A call asks for a permit and records its outcome with it. A permit that is dropped instead records that too, so no call
/// can get lost by being cancelled.
#[derive(Clone)]
pub struct Breaker(Arc<Core>);

/// Leave to make one call, of a caller that stays where the breaker is. The cheapest there is: it borrows.
///
/// Dropped without an outcome it counts as ignored, or as slow if `slow_ms` have gone by: who gives up a call that hangs has seen that it hangs.
#[derive(Debug)]
#[must_use = "a permit that is dropped at once counts no call"]
pub struct Permit<'a> {
    core: &'a Core,
    ticket: Ticket,
    progress: Progress,
}

/// [`Permit`] for futures: it shares the breaker, which costs the change of a counter.
#[derive(Debug)]
#[must_use = "a permit that is dropped at once counts no call"]
pub struct OwnedPermit {
    core: Arc<Core>,
    ticket: Ticket,
    progress: Progress,
}

struct Core {
    machine: Machine,
    clock: Clock,
}

/// How far a call has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Progress {
    Waiting,
    /// The answer began after so many milliseconds.
    Answered(u64),
    Done,
}

impl Breaker {
    /// A closed breaker on the clock of the process.
    ///
    /// # Errors
    /// When a setting is out of its range.
    pub fn new(config: &Config) -> Result<Self, Error> {
        Breaker::with_clock(config, Clock::process())
    }

    /// A closed breaker on a clock, such as one that a test advances.
    ///
    /// # Errors
    /// When a setting is out of its range.
    pub fn with_clock(config: &Config, clock: Clock) -> Result<Self, Error> {
        Breaker::build(config, clock, None)
    }

    /// A closed breaker that a policy opens, in place of the run and the failure ratio. Each counted call takes a lock then.
    ///
    /// # Errors
    /// When a setting is out of its range.
    pub fn with_policy(config: &Config, clock: Clock, policy: impl TripPolicy + 'static) -> Result<Self, Error> {
        Breaker::build(config, clock, Some(Box::new(policy)))
    }

    fn build(config: &Config, clock: Clock, policy: Option<Box<dyn TripPolicy>>) -> Result<Self, Error> {
        // The one source of chance in std: its keys differ for each breaker.
        let seed = RandomState::new().hash_one(0);
        let machine = Machine::new(config.rules()?, policy, seed, clock.now_ms());
        Ok(Breaker(Arc::new(Core { machine, clock })))
    }

    /// Asks for leave to make a call now.
    ///
    /// # Errors
    /// When the breaker is open, or half-open with all its probes out.
    #[inline(always)]
    pub fn try_acquire(&self) -> Result<Permit<'_>, Rejected> {
        let core = &*self.0;
        match core.acquire() {
            Ok(ticket) => Ok(Permit { core, ticket, progress: Progress::Waiting }),
            Err(rejected) => Err(rejected),
        }
    }

    /// Asks for leave to make a call now, for a future that outlives this borrow.
    ///
    /// # Errors
    /// When the breaker is open, or half-open with all its probes out.
    #[inline]
    pub fn try_acquire_owned(&self) -> Result<OwnedPermit, Rejected> {
        match self.0.acquire() {
            Ok(ticket) => Ok(OwnedPermit { core: Arc::clone(&self.0), ticket, progress: Progress::Waiting }),
            Err(rejected) => Err(rejected),
        }
    }

    /// Whether a call would be admitted now. Changes nothing, so the call itself may still find otherwise.
    #[must_use]
    pub fn is_usable(&self) -> bool {
        self.0.machine.is_usable(self.0.clock.now_ms())
    }

    /// The share of its traffic that a balancer should give the peer: 0 while it is not usable, 0.1 for probes, climbing to 1
    /// within `ramp_ms` after recovery, else 1.
    #[must_use]
    pub fn weight(&self) -> f32 {
        self.0.machine.weight(self.0.clock.now_ms())
    }

    /// Opens at once, for what is known without a call: a connection was refused, a health check failed. Nothing happens if it is open already, or
    /// forced.
    pub fn trip(&self, reason: Reason) {
        self.0.machine.trip(reason, self.0.clock.now_ms());
    }

    /// What it does with calls.
    #[must_use]
    pub fn state(&self) -> State {
        self.0.machine.state()
    }

    /// All that is known of it. Takes the lock, so not for every call.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        self.0.machine.snapshot(self.0.clock.now_ms())
    }

    /// Takes it out of the automatic, or gives it back with `None`: closed then, and on its ramp if it was forced open.
    pub fn force(&self, forced: Option<Forced>) {
        self.0.machine.force(forced, self.0.clock.now_ms());
    }

    /// All changes of state from now on, in their order. The last 256 wait to be taken, further ones are lost to this listener; at most 16
    /// listen, the oldest goes when another comes.
    #[must_use]
    pub fn events(&self) -> Receiver<Event> {
        self.0.machine.events()
    }
}

impl fmt::Debug for Breaker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for Core {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Breaker").field("state", &self.machine.state()).finish_non_exhaustive()
    }
}

/// What permits ask of it takes them by value: one whose address is known could not be kept in registers.
impl Core {
    #[inline(always)]
    fn acquire(&self) -> Result<Ticket, Rejected> {
        self.machine.acquire(self.clock.now_ms())
    }

    #[inline(always)]
    fn record(&self, ticket: Ticket, progress: Progress, outcome: Outcome) {
        let now_ms = self.clock.now_ms();
        self.machine.record(ticket, outcome, progress.elapsed_ms(ticket, now_ms), now_ms);
    }

    /// The answer has begun: how long it took is known, and a probe has its verdict.
    fn answered(&self, ticket: Ticket, progress: Progress) -> Progress {
        if progress != Progress::Waiting {
            return progress;
        }
        let now_ms = self.clock.now_ms();
        let elapsed_ms = progress.elapsed_ms(ticket, now_ms);
        if !ticket.is_probe() {
            return Progress::Answered(elapsed_ms);
        }
        self.machine.record(ticket, Outcome::Success, elapsed_ms, now_ms);
        Progress::Done
    }

    #[cold]
    fn abandoned(&self, ticket: Ticket, progress: Progress) {
        let is_slow = self.machine.is_slow(progress.elapsed_ms(ticket, self.clock.now_ms()));
        self.record(ticket, progress, if is_slow { Outcome::Slow } else { Outcome::Ignored });
    }
}

impl Progress {
    /// To the beginning of the answer, or until now.
    #[inline]
    fn elapsed_ms(self, ticket: Ticket, now_ms: u64) -> u64 {
        match self {
            Progress::Answered(elapsed_ms) => elapsed_ms,
            Progress::Waiting | Progress::Done => now_ms.saturating_sub(ticket.started_ms),
        }
    }
}

/// What both permits can do.
macro_rules! permit {
    ($permit:ty) => {
        impl $permit {
            /// Records how the call ended.
            #[inline(always)]
            pub fn record(mut self, outcome: Outcome) {
                if self.progress != Progress::Done {
                    self.core.record(self.ticket, self.progress, outcome);
                    self.progress = Progress::Done;
                }
            }

            /// Notes that the answer has begun: headers and, for a stream, the first message. What counts as slow is decided by now, and a
            /// probe has its verdict; so a stream may go on for a day. How it ends is still to be recorded, for the window.
            pub fn answered(&mut self) {
                self.progress = self.core.answered(self.ticket, self.progress);
            }

            /// Whether this call is one of the few that decide whether the breaker closes.
            #[must_use]
            pub fn is_probe(&self) -> bool {
                self.ticket.is_probe()
            }

            /// How long the call has been under way, as coarse as the clock.
            #[must_use]
            pub fn elapsed(&self) -> std::time::Duration {
                let now_ms = self.core.clock.now_ms();
                std::time::Duration::from_millis(now_ms.saturating_sub(self.ticket.started_ms))
            }
        }
    };
}

permit!(Permit<'_>);
permit!(OwnedPermit);

impl Drop for Permit<'_> {
    #[inline(always)]
    fn drop(&mut self) {
        if self.progress != Progress::Done {
            self.core.abandoned(self.ticket, self.progress);
        }
    }
}

impl Drop for OwnedPermit {
    fn drop(&mut self) {
        if self.progress != Progress::Done {
            self.core.abandoned(self.ticket, self.progress);
        }
    }
}
