//! A breaker as one would write it without regard for speed: it remembers every call and reads all of them each time.

use breaker::{Config, Forced, Outcome, Reason, State};
use std::time::Duration;

/// What it says of itself; compared with the real one's after every step.
#[derive(Debug, PartialEq)]
pub(crate) struct Said {
    pub(crate) state: State,
    pub(crate) reason: Reason,
    pub(crate) generation: u64,
    pub(crate) counts: [u64; 3],
    pub(crate) run: u64,
    pub(crate) next_probe_in: Option<Duration>,
    pub(crate) probes_out: usize,
    pub(crate) is_usable: bool,
}

/// A call under way.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Call {
    generation: Option<u64>,
    lease: Option<usize>,
    started_ms: u64,
    answered_after_ms: Option<u64>,
    is_done: bool,
}

pub(crate) struct Reference {
    config: Config,
    now_ms: u64,
    state: State,
    reason: Reason,
    generation: u64,
    since_ms: u64,
    until_ms: u64,
    /// Slot, generation and outcome of each call that ever counted.
    calls: Vec<(u64, u64, Outcome)>,
    /// When each lease of this half-open time runs out; none: ended.
    leases: Vec<Option<u64>>,
    probes_ok: u32,
    step: u32,
}

impl Reference {
    pub(crate) fn new(config: Config) -> Self {
        Reference {
            config,
            now_ms: 0,
            state: State::Closed,
            reason: Reason::Started,
            generation: 0,
            since_ms: 0,
            until_ms: 0,
            calls: Vec::new(),
            leases: Vec::new(),
            probes_ok: 0,
            step: 0,
        }
    }

    pub(crate) fn advance(&mut self, ms: u64) {
        self.now_ms += ms;
    }

    pub(crate) fn acquire(&mut self) -> Option<Call> {
        if self.state == State::Open && self.now_ms >= self.until_ms {
            self.leases.clear();
            self.probes_ok = 0;
            self.change(State::HalfOpen, Reason::OpenTimeOver);
        }
        let call = |generation, lease| Call {
            generation,
            lease,
            started_ms: self.now_ms,
            answered_after_ms: None,
            is_done: false,
        };
        match self.state {
            State::Closed | State::ForcedClosed => Some(call(Some(self.generation), None)),
            State::HalfOpen if self.has_room() => {
                let call = call(Some(self.generation), Some(self.leases.len()));
                self.leases.push(Some(self.now_ms + self.config.probe_lease_ms));
                Some(call)
            }
            State::Open | State::HalfOpen if self.config.metrics_only => Some(call(None, None)),
            State::Open | State::HalfOpen | State::ForcedOpen => None,
        }
    }

    pub(crate) fn answered(&mut self, call: &mut Call) {
        if call.is_done || call.answered_after_ms.is_some() {
            return;
        }
        if call.lease.is_some() {
            self.record(*call, Outcome::Success);
            call.is_done = true;
        }
        call.answered_after_ms = Some(self.now_ms - call.started_ms);
    }

    pub(crate) fn drop(&mut self, call: Call) {
        let outcome = if self.is_slow(&call) { Outcome::Slow } else { Outcome::Ignored };
        self.record(call, outcome);
    }

    pub(crate) fn record(&mut self, call: Call, outcome: Outcome) {
        if call.is_done || call.generation != Some(self.generation) {
            return;
        }
        let outcome = if outcome == Outcome::Success && self.is_slow(&call) { Outcome::Slow } else { outcome };
        if let Some(lease) = call.lease {
            if self.leases[lease].take().is_some_and(|until_ms| until_ms > self.now_ms) {
                self.judge_probe(outcome);
            }
            return;
        }
        if outcome == Outcome::Ignored {
            return;
        }
        self.calls.push((self.now_ms / self.bucket_ms(), self.generation, outcome));
        if self.state == State::Closed {
            self.judge(outcome);
        }
    }

    pub(crate) fn trip(&mut self, reason: Reason) {
        match self.state {
            State::Closed => self.open(reason, self.now_ms - self.since_ms),
            State::HalfOpen => self.open(reason, 0),
            State::Open | State::ForcedOpen | State::ForcedClosed => {}
        }
    }

    pub(crate) fn force(&mut self, forced: Option<Forced>) {
        let to = match (forced, self.state) {
            (Some(Forced::Open), _) => State::ForcedOpen,
            (Some(Forced::Closed), _) => State::ForcedClosed,
            (None, State::ForcedOpen | State::ForcedClosed) => State::Closed,
            (None, state) => state,
        };
        if to != self.state {
            self.change(to, Reason::Operator);
        }
    }

    pub(crate) fn said(&self) -> Said {
        let counts = self.counts();
        let rest_ms = match self.state {
            State::Open => Some(self.until_ms.saturating_sub(self.now_ms)),
            State::HalfOpen if self.has_room() => Some(0),
            State::HalfOpen => self.out().min().map(|until_ms| until_ms - self.now_ms),
            State::Closed | State::ForcedOpen | State::ForcedClosed => None,
        };
        Said {
            state: self.state,
            reason: self.reason,
            generation: self.generation,
            counts,
            run: self.run(),
            next_probe_in: rest_ms.map(Duration::from_millis),
            probes_out: if self.state == State::HalfOpen { self.out().count() } else { 0 },
            is_usable: match self.state {
                State::Closed | State::ForcedClosed => true,
                State::ForcedOpen => false,
                State::Open | State::HalfOpen => self.config.metrics_only || rest_ms == Some(0),
            },
        }
    }

    fn judge(&mut self, outcome: Outcome) {
        let [calls, failures, slow] = self.counts();
        let is_share = |count: u64, ratio: f64| {
            ratio > 0.0 && calls >= u64::from(self.config.calls_min) && count as f64 / calls as f64 >= ratio
        };
        let run = u64::from(self.config.consecutive_failures);
        let reason = match outcome {
            Outcome::Failure if run > 0 && self.run() >= run => Reason::FailureRun,
            Outcome::Failure | Outcome::Pushback if is_share(failures, self.config.failure_ratio) => {
                Reason::FailureRatio
            }
            Outcome::Slow if is_share(slow, self.config.slow_ratio) => Reason::SlowRatio,
            Outcome::Success | Outcome::Failure | Outcome::Slow | Outcome::Ignored | Outcome::Pushback => return,
        };
        self.open(reason, self.now_ms - self.since_ms);
    }

    fn judge_probe(&mut self, outcome: Outcome) {
        match outcome {
            Outcome::Ignored => {}
            Outcome::Success => {
                self.probes_ok += 1;
                if self.probes_ok == self.config.probes_ok {
                    self.change(State::Closed, Reason::Recovered);
                }
            }
            Outcome::Failure | Outcome::Slow | Outcome::Pushback => self.open(Reason::ProbeFailed, 0),
        }
    }

    fn open(&mut self, reason: Reason, healthy_ms: u64) {
        let healthy = healthy_ms / (self.bucket_ms() * u64::from(self.config.buckets));
        self.step = u64::from(self.step).saturating_sub(healthy) as u32;
        let open_ms = (self.config.open_ms << self.step).min(self.config.open_max_ms);
        if open_ms < self.config.open_max_ms {
            self.step += 1;
        }
        self.until_ms = self.now_ms + open_ms;
        self.change(State::Open, reason);
    }

    fn change(&mut self, to: State, reason: Reason) {
        (self.state, self.reason, self.since_ms) = (to, reason, self.now_ms);
        self.generation += 1;
    }

    fn is_slow(&self, call: &Call) -> bool {
        let elapsed_ms = call.answered_after_ms.unwrap_or(self.now_ms - call.started_ms);
        self.config.slow_ms > 0 && elapsed_ms >= self.config.slow_ms
    }

    fn bucket_ms(&self) -> u64 {
        self.config.window_ms / u64::from(self.config.buckets)
    }

    fn out(&self) -> impl Iterator<Item = u64> {
        self.leases.iter().flatten().copied().filter(|until_ms| *until_ms > self.now_ms)
    }

    fn has_room(&self) -> bool {
        self.out().count() < self.config.probes.min(self.config.probes_ok - self.probes_ok) as usize
    }

    /// Calls, failures and slow calls in the window.
    fn counts(&self) -> [u64; 3] {
        let oldest = (self.now_ms / self.bucket_ms() + 1).saturating_sub(u64::from(self.config.buckets));
        let in_window =
            self.calls.iter().filter(|(slot, generation, _)| *generation == self.generation && *slot >= oldest);
        in_window.fold([0; 3], |[calls, failures, slow], (_, _, outcome)| {
            let is_failure = matches!(outcome, Outcome::Failure | Outcome::Pushback);
            [calls + 1, failures + u64::from(is_failure), slow + u64::from(*outcome == Outcome::Slow)]
        })
    }

    /// Failures of this state since its last success.
    fn run(&self) -> u64 {
        let of_state = self.calls.iter().rev().take_while(|(_, generation, _)| *generation == self.generation);
        let since = of_state.take_while(|(_, _, outcome)| *outcome != Outcome::Success);
        since.filter(|(_, _, outcome)| *outcome == Outcome::Failure).count() as u64
    }
}
