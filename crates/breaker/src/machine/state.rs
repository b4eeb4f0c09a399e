//! The words of a breaker: states, reasons, outcomes, and what it says of itself.

use std::fmt;
use std::time::Duration;

/// What a breaker does with the next call. Names as in Nygard, "Release It!" (2007).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum State {
    /// Calls pass and are counted.
    Closed,
    /// Calls are refused until the open time is over; the first call after that finds it half-open.
    Open,
    /// A few probes pass; their outcomes decide.
    HalfOpen,
    /// Calls are refused until an operator says otherwise.
    ForcedOpen,
    /// Calls pass, and are counted without consequence, until an operator says otherwise.
    ForcedClosed,
}

/// The state, as it stands in the word.
pub(crate) use State as Kind;

impl State {
    #[inline]
    pub(super) fn from_bits(bits: u64) -> Self {
        match bits {
            0 => State::Closed,
            1 => State::Open,
            2 => State::HalfOpen,
            3 => State::ForcedOpen,
            _ => State::ForcedClosed,
        }
    }

    /// One word for logs and metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            State::Closed => "closed",
            State::Open => "open",
            State::HalfOpen => "half-open",
            State::ForcedOpen => "forced-open",
            State::ForcedClosed => "forced-closed",
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Why a breaker changed its state last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reason {
    /// It is new.
    Started,
    /// So many calls failed one after the other.
    FailureRun,
    /// Such a share of the calls in the window failed.
    FailureRatio,
    /// Such a share of the calls in the window was slow.
    SlowRatio,
    /// The trip policy that it was given said so.
    Policy,
    /// A probe failed, was slow or was pushed back.
    ProbeFailed,
    /// Whoever connects could not: refused, reset, TLS.
    ConnectFailed,
    /// Whoever uses it tripped it for another reason, such as a failed health check.
    Caller,
    /// The open time is over.
    OpenTimeOver,
    /// The probes did well.
    Recovered,
    /// An operator forced it, or gave it back.
    Operator,
}

impl Reason {
    #[inline]
    pub(super) fn from_bits(bits: u64) -> Self {
        match bits {
            0 => Reason::Started,
            1 => Reason::FailureRun,
            2 => Reason::FailureRatio,
            3 => Reason::SlowRatio,
            4 => Reason::Policy,
            5 => Reason::ProbeFailed,
            6 => Reason::ConnectFailed,
            7 => Reason::Caller,
            8 => Reason::OpenTimeOver,
            9 => Reason::Recovered,
            _ => Reason::Operator,
        }
    }

    /// A few words for logs and metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Reason::Started => "started",
            Reason::FailureRun => "failure run",
            Reason::FailureRatio => "failure ratio",
            Reason::SlowRatio => "slow ratio",
            Reason::Policy => "policy",
            Reason::ProbeFailed => "probe failed",
            Reason::ConnectFailed => "connect failed",
            Reason::Caller => "caller",
            Reason::OpenTimeOver => "open time over",
            Reason::Recovered => "recovered",
            Reason::Operator => "operator",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How a call ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// The peer did its work, be the answer a refusal. Counts as slow if it took longer than `slow_ms`.
    Success,
    /// The peer or the way to it is broken. Counts in the run and in the ratio.
    Failure,
    /// The answer took too long, or did not come in the time that was left. Counts in the slow ratio only.
    Slow,
    /// Says nothing about the peer. Counts nowhere; a probe gives its place to the next.
    Ignored,
    /// The peer asks for less. Counts in the ratio, not in the run; a probe that sees it has failed.
    Pushback,
}

/// What an operator wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Forced {
    /// Refuse every call.
    Open,
    /// Let every call pass.
    Closed,
}

/// A call was refused; the peer has not seen it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("refused: the circuit breaker is {state} ({reason}), retry after {retry_after_ms} ms")]
pub struct Rejected {
    /// Open, half-open or forced open.
    pub state: State,
    /// Why it is.
    pub reason: Reason,
    /// When the next call has a chance, in milliseconds. Half-open: at the latest, if no probe ends before its lease. Forced open: a guess, the base of the
    /// open time.
    pub retry_after_ms: u64,
}

/// What a breaker says of itself, at one time; the counts are not of one instant with the state while calls go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Snapshot {
    /// What it does with the next call. Open also when the open time is over and nobody has called since.
    pub state: State,
    /// Why it changed last.
    pub reason: Reason,
    /// How often it has changed; wraps at 2^24.
    pub generation: u64,
    /// Since when it is as it is.
    pub since: Duration,
    /// Calls in the window that were counted.
    pub calls: u64,
    /// Of these, failures and pushbacks.
    pub failures: u64,
    /// Of these, slow ones.
    pub slow: u64,
    /// Failures since the last success.
    pub run: u64,
    /// When the next probe may go; zero when one may, none when calls pass or an operator holds it open.
    pub next_probe_in: Option<Duration>,
    /// Probes whose lease has not run out.
    pub probes_out: usize,
    /// Calls refused since the start; in metrics-only mode those that would have been.
    pub rejected: u64,
    /// How many times the open time has doubled.
    pub backoff_step: u32,
}

/// A change of state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Event {
    /// The state before.
    pub from: State,
    /// The state now.
    pub to: State,
    /// Why.
    pub reason: Reason,
    /// Counts the changes; a gap says that events were lost because nobody took them.
    pub generation: u64,
    /// For how long it is open; none in any other state.
    pub open_for: Option<Duration>,
}
