//! The state machine: closed, open, half-open, forced; told the time, so that it needs none.
//!
//! The state is one word ([`word::Word`]) that calls read without a lock. It changes under a lock only, which is taken when a threshold
//! is crossed, while half-open, and by operators. A call keeps the word that admitted it as its ticket, and its outcome counts if the word is still
//! the same; the one outcome that changes the state looks again under the lock. So a straggler changes nothing, however the threads interleave.
//!
//! Of two failures that cross a threshold together the later one sees both, since both are added to one word. Good results of other threads are
//! summed as far as they can be seen: a sum may lack the last few. The run and the window's buckets name the generation that they are of.
//!
//! This file is called `mod.rs` so that `tests/loom` can take the folder as it is, and put loom's primitives under it as `crate::sync`.

mod backoff;
mod change;
mod policy;
mod probes;
pub(crate) mod rules;
mod shards;
mod state;
pub(crate) mod window;
mod word;

#[cfg(feature = "failsafe")]
pub use policy::Failsafe;
pub use policy::TripPolicy;
pub(crate) use state::Kind;
pub use state::{Event, Forced, Outcome, Reason, Rejected, Snapshot, State};

use crate::sync::{self, AtomicU64, Mutex, Ordering};
use change::Changes;
use rules::Rules;
use shards::{Part, Shards};
use std::sync::mpsc::Receiver;
use std::time::Duration;
use window::{Bad, Counts, Window};
use word::Word;

/// A run's count in the low half of its word, the generation in the high half.
const RUN_BITS: u32 = 32;
const RUN_MASK: u64 = (1 << RUN_BITS) - 1;
/// What a breaker weighs at the start of its ramp, as in Envoy's slow start.
const WEIGHT_MIN: f32 = 0.1;

#[derive(Debug)]
pub(crate) struct Machine {
    hot: Hot,
    window: Window,
    refusals: Shards<AtomicU64>,
    rules: Rules,
    changes: Mutex<Changes>,
    policy: Option<Mutex<Box<dyn TripPolicy>>>,
}

/// What every call reads and few write, in lines of cache of its own.
#[repr(align(128))]
#[derive(Debug)]
struct Hot {
    word: AtomicU64,
    /// Successes that took less time change nothing but a count. 0 if a policy is told of each.
    plain_below_ms: u64,
    /// Failures since the last success, with the generation that they are of.
    run: AtomicU64,
    /// When it recovered; 0: its ramp is behind it.
    ramp_from_ms: AtomicU64,
}

/// What a call that was admitted holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ticket {
    word: Word,
    /// 0: not a probe.
    lease: u64,
    pub(crate) started_ms: u64,
}

impl Ticket {
    pub(crate) fn is_probe(&self) -> bool {
        self.lease != 0
    }
}

/// A ticket or a refusal, in two registers: as a `Result` it would go through memory, which is what most of a call would cost.
#[derive(Debug, Clone, Copy)]
struct Answer {
    word: Word,
    /// A lease, or 0; or how long to wait, with the bit of a refusal.
    number: u64,
}

const REFUSED: u64 = 1 << 63;

impl Answer {
    #[inline(always)]
    fn admitted(word: Word) -> Self {
        Answer { word, number: 0 }
    }

    fn leased(word: Word, lease: u64) -> Self {
        Answer { word, number: lease & !REFUSED }
    }

    fn refused(word: Word, rest_ms: u64) -> Self {
        Answer { word, number: rest_ms | REFUSED }
    }

    #[inline(always)]
    fn told(self, now_ms: u64) -> Result<Ticket, Rejected> {
        let Answer { word, number } = self;
        if number & REFUSED == 0 {
            return Ok(Ticket { word, lease: number, started_ms: now_ms });
        }
        Err(Rejected { state: word.kind(), reason: word.reason(), retry_after_ms: number & !REFUSED })
    }
}

impl Machine {
    pub(crate) fn new(rules: Rules, policy: Option<Box<dyn TripPolicy>>, seed: u64, now_ms: u64) -> Self {
        let hot = Hot {
            word: AtomicU64::new(Word::first().0),
            plain_below_ms: if policy.is_none() { rules.slow_ms } else { 0 },
            run: AtomicU64::new(0),
            ramp_from_ms: AtomicU64::new(0),
        };
        Machine {
            hot,
            window: Window::default(),
            refusals: Shards::default(),
            rules,
            changes: Mutex::new(Changes::new(seed, now_ms)),
            policy: policy.map(Mutex::new),
        }
    }

    /// Admits a call, or refuses it. What is closed, or open for a while yet, is decided on the spot.
    #[inline(always)]
    pub(crate) fn acquire(&self, now_ms: u64) -> Result<Ticket, Rejected> {
        let word = self.word();
        let rest_ms = word.rest_ms(now_ms, self.rules.open_max_ms);
        let answer = if word.is_closed() {
            Answer::admitted(word)
        } else if word.kind() == Kind::Open && rest_ms > 0 && !self.rules.metrics_only {
            self.count_refusal();
            Answer::refused(word, rest_ms)
        } else {
            self.decide(word, now_ms)
        };
        answer.told(now_ms)
    }

    #[inline(never)]
    fn decide(&self, word: Word, now_ms: u64) -> Answer {
        match (word.kind(), word.rest_ms(now_ms, self.rules.open_max_ms)) {
            (Kind::Open, rest_ms) if rest_ms > 0 => self.refuse(word, rest_ms),
            (Kind::ForcedOpen, _) => self.refuse(word, self.rules.open_ms),
            (Kind::ForcedClosed | Kind::Closed, _) => Answer::admitted(word),
            (Kind::Open | Kind::HalfOpen, _) => self.decide_guarded(now_ms),
        }
    }

    /// Whether an answer that took so long is a slow one.
    #[inline]
    pub(crate) fn is_slow(&self, elapsed_ms: u64) -> bool {
        elapsed_ms >= self.rules.slow_ms
    }

    /// Counts the outcome of a call, if the state that admitted it still lasts. Inlined for a success that changes nothing; the rest is
    /// cold.
    #[inline(always)]
    pub(crate) fn record(&self, ticket: Ticket, outcome: Outcome, elapsed_ms: u64, now_ms: u64) {
        let word = self.word();
        if word != ticket.word {
            return;
        }
        let is_plain = outcome == Outcome::Success && word.is_closed() && elapsed_ms < self.hot.plain_below_ms;
        if is_plain && self.hot.run.load(Ordering::Relaxed) & RUN_MASK == 0 {
            self.window.good(word.generation(), self.rules.slots.of(now_ms));
            return;
        }
        self.record_otherwise(word, ticket.lease, self.judge(outcome, elapsed_ms), now_ms);
    }

    /// The parts of a ticket come one by one: one whose address is known could not be kept in registers.
    #[cold]
    fn record_otherwise(&self, word: Word, lease: u64, outcome: Outcome, now_ms: u64) {
        if lease != 0 {
            return self.record_probe(word, lease, outcome, now_ms);
        }
        match outcome {
            Outcome::Ignored => {}
            Outcome::Success => {
                self.window.good(word.generation(), self.rules.slots.of(now_ms));
                self.end_run(word);
                if let Some(policy) = &self.policy {
                    sync::lock(policy).succeeded();
                }
            }
            Outcome::Failure | Outcome::Pushback => self.record_bad(word, Bad::Failure, outcome, now_ms),
            Outcome::Slow => self.record_bad(word, Bad::Slow, outcome, now_ms),
        }
    }

    /// Whether a call would be admitted now.
    pub(crate) fn is_usable(&self, now_ms: u64) -> bool {
        let word = self.word();
        match word.kind() {
            Kind::Closed | Kind::ForcedClosed => true,
            Kind::ForcedOpen => false,
            Kind::Open | Kind::HalfOpen if self.rules.metrics_only => true,
            Kind::Open => word.rest_ms(now_ms, self.rules.open_max_ms) == 0,
            Kind::HalfOpen => sync::lock(&self.changes).probes.rest_ms(now_ms, &self.rules) == 0,
        }
    }

    /// The share of its traffic that the peer should get, 0 to 1.
    pub(crate) fn weight(&self, now_ms: u64) -> f32 {
        match self.word().kind() {
            Kind::Closed | Kind::ForcedClosed => {
                let from_ms = self.hot.ramp_from_ms.load(Ordering::Relaxed);
                let risen_ms = now_ms.saturating_sub(from_ms);
                if from_ms == 0 || risen_ms >= self.rules.ramp_ms {
                    return 1.0;
                }
                (risen_ms as f32 / self.rules.ramp_ms as f32).clamp(WEIGHT_MIN, 1.0)
            }
            Kind::ForcedOpen => 0.0,
            Kind::Open | Kind::HalfOpen if self.rules.metrics_only => 1.0,
            Kind::Open | Kind::HalfOpen if self.is_usable(now_ms) => WEIGHT_MIN,
            Kind::Open | Kind::HalfOpen => 0.0,
        }
    }

    pub(crate) fn state(&self) -> State {
        self.word().kind()
    }

    pub(crate) fn snapshot(&self, now_ms: u64) -> Snapshot {
        let changes = sync::lock(&self.changes);
        let word = self.word();
        let counts = self.counts(word, now_ms);
        let next_probe_ms = match word.kind() {
            Kind::Open => Some(word.rest_ms(now_ms, self.rules.open_max_ms)),
            Kind::HalfOpen => Some(changes.probes.rest_ms(now_ms, &self.rules)),
            Kind::Closed | Kind::ForcedOpen | Kind::ForcedClosed => None,
        };
        Snapshot {
            state: word.kind(),
            reason: word.reason(),
            generation: word.generation(),
            since: Duration::from_millis(now_ms.saturating_sub(changes.since_ms)),
            calls: counts.calls,
            failures: counts.failures,
            slow: counts.slow,
            run: self.run(word),
            next_probe_in: next_probe_ms.map(Duration::from_millis),
            probes_out: if word.kind() == Kind::HalfOpen { changes.probes.out(now_ms) } else { 0 },
            rejected: self.refusals.iter().map(|it| it.load(Ordering::Relaxed)).sum(),
            backoff_step: changes.backoff.step(),
        }
    }

    pub(crate) fn events(&self) -> Receiver<Event> {
        sync::lock(&self.changes).subscribe()
    }

    #[inline]
    fn word(&self) -> Word {
        // Acquire, beside the release of whoever changed it: a half-open word is not seen before the probes are made ready.
        Word(self.hot.word.load(Ordering::Acquire))
    }

    #[inline(always)]
    fn count_refusal(&self) {
        match self.refusals.mine() {
            Part::Own(count) => count.store(count.load(Ordering::Relaxed).wrapping_add(1), Ordering::Relaxed),
            Part::Shared(count) => _ = count.fetch_add(1, Ordering::Relaxed),
        }
    }

    /// Refuses, or in metrics-only mode notes that it would and admits without counting.
    fn refuse(&self, word: Word, rest_ms: u64) -> Answer {
        self.count_refusal();
        if self.rules.metrics_only && word.kind() != Kind::ForcedOpen {
            return Answer::admitted(Word::NEVER);
        }
        Answer::refused(word, rest_ms)
    }

    /// A success that took too long is slow.
    fn judge(&self, outcome: Outcome, elapsed_ms: u64) -> Outcome {
        match outcome {
            Outcome::Success if self.is_slow(elapsed_ms) => Outcome::Slow,
            Outcome::Success | Outcome::Failure | Outcome::Slow | Outcome::Ignored | Outcome::Pushback => outcome,
        }
    }

    fn record_bad(&self, word: Word, bad: Bad, outcome: Outcome, now_ms: u64) {
        self.window.bad(bad, word.generation(), self.rules.slots.of(now_ms));
        let run = if outcome == Outcome::Failure { self.lengthen_run(word) } else { 0 };
        if word.kind() != Kind::Closed {
            return;
        }
        if let (Some(policy), Outcome::Failure) = (&self.policy, outcome) {
            let open_for = sync::lock(policy).failed();
            if let Some(open_for) = open_for {
                self.open_for(word, Reason::Policy, open_for, now_ms);
            }
            return;
        }
        if let Some(reason) = self.verdict(bad, run, self.counts(word, now_ms)) {
            self.open(word, reason, now_ms);
        }
    }

    /// Whether a bad result was one too many.
    fn verdict(&self, bad: Bad, run: u64, counts: Counts) -> Option<Reason> {
        let rules = &self.rules;
        let is_too_much = |count: u64, ratio: f64| {
            ratio > 0.0 && counts.calls >= rules.calls_min && count as f64 >= ratio * counts.calls as f64
        };
        match bad {
            Bad::Failure if self.policy.is_some() => None,
            Bad::Failure if rules.consecutive_failures > 0 && run >= rules.consecutive_failures => {
                Some(Reason::FailureRun)
            }
            Bad::Failure if is_too_much(counts.failures, rules.failure_ratio) => Some(Reason::FailureRatio),
            Bad::Slow if is_too_much(counts.slow, rules.slow_ratio) => Some(Reason::SlowRatio),
            Bad::Failure | Bad::Slow => None,
        }
    }

    fn counts(&self, word: Word, now_ms: u64) -> Counts {
        self.window.counts(word.generation(), self.rules.slots.of(now_ms), &self.rules)
    }

    fn run(&self, word: Word) -> u64 {
        let run = self.hot.run.load(Ordering::Relaxed);
        if run >> RUN_BITS == word.generation() { run & RUN_MASK } else { 0 }
    }

    /// Begins the run of a generation, before its word is seen. Swaps, so that it comes after whatever a straggler has added.
    fn begin_run(&self, word: Word) {
        self.hot.run.swap(word.generation() << RUN_BITS, Ordering::Relaxed);
    }

    /// Adds one to the run, if it is still of this generation.
    fn lengthen_run(&self, word: Word) -> u64 {
        let mut seen = self.hot.run.load(Ordering::Relaxed);
        while seen >> RUN_BITS == word.generation() && seen & RUN_MASK != RUN_MASK {
            match self.hot.run.compare_exchange_weak(seen, seen + 1, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => return (seen + 1) & RUN_MASK,
                Err(now) => seen = now,
            }
        }
        0
    }

    /// One attempt: if another thread was faster, its result was the later one.
    fn end_run(&self, word: Word) {
        let run = self.hot.run.load(Ordering::Relaxed);
        let none = word.generation() << RUN_BITS;
        if run >> RUN_BITS == word.generation() {
            self.hot.run.compare_exchange(run, none, Ordering::Relaxed, Ordering::Relaxed).ok();
        }
    }
}
