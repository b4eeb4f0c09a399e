//! The time, in milliseconds since somebody's start: read by one load, since reading the system's would cost more than all else.
//!
//! All breakers of a process share one clock, which a thread of its own sets every 10 ms. It sets it only while somebody asks: when nobody
//! did for a tick it falls asleep, and the next who asks reads the system's clock, sets this one and wakes the thread.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

/// How coarse the clock of a process is. 10 ms: a tenth of the shortest time that a breaker is told to call slow in earnest, and the thread
/// costs 0.03 % of a processor at it.
const TICK: Duration = Duration::from_millis(10);

/// Nobody has asked since the last tick.
const UNASKED: u64 = 1;
/// Nobody sets the clock until somebody asks.
const ASLEEP: u64 = 2;
const FLAGS: u64 = UNASKED | ASLEEP;
const FLAG_BITS: u32 = 2;

/// Tells a breaker the time: the process's, or one that a test advances.
#[derive(Debug, Clone)]
pub struct Clock(Arc<Face>);

#[derive(Debug)]
struct Face {
    /// Milliseconds, and the flags; the flags of a clock that is set by hand are never raised.
    word: AtomicU64,
    origin: Instant,
    mover: Mover,
}

#[derive(Debug)]
enum Mover {
    Hand,
    /// Empty if the thread could not be started: the clock stays asleep then, and right.
    Thread(OnceLock<Thread>),
}

/// What a ticker does next.
#[derive(Debug, PartialEq, Eq)]
enum Next {
    Tick,
    Sleep,
}

impl Clock {
    /// The clock of this process, 10 ms coarse, and late by as much more as its thread is kept from running.
    #[must_use]
    pub fn process() -> Self {
        static PROCESS: OnceLock<Clock> = OnceLock::new();
        PROCESS.get_or_init(Clock::start).clone()
    }

    /// A clock that stands still until it is advanced; its clones are the same clock.
    #[must_use]
    pub fn manual() -> Self {
        Clock(Arc::new(Face { word: AtomicU64::new(0), origin: Instant::now(), mover: Mover::Hand }))
    }

    /// Advances a manual clock by whole milliseconds. The clock of the process takes no notice.
    pub fn advance(&self, by: Duration) {
        if matches!(self.0.mover, Mover::Hand) {
            let ms = u64::try_from(by.as_millis()).unwrap_or(u64::MAX);
            self.0.word.fetch_add(ms << FLAG_BITS, Ordering::Relaxed);
        }
    }

    #[inline]
    pub(crate) fn now_ms(&self) -> u64 {
        let word = self.0.word.load(Ordering::Relaxed);
        if word & FLAGS == 0 { word >> FLAG_BITS } else { self.0.asked(word) }
    }

    fn start() -> Self {
        let clock = Clock(Arc::new(Face::asleep()));
        let face = Arc::clone(&clock.0);
        let ticker = thread::Builder::new().name("breaker-clock".to_owned()).spawn(move || face.run());
        if let (Mover::Thread(mover), Ok(ticker)) = (&clock.0.mover, ticker) {
            mover.get_or_init(|| ticker.thread().clone());
        }
        clock
    }
}

impl Face {
    fn asleep() -> Self {
        Face { word: AtomicU64::new(ASLEEP), origin: Instant::now(), mover: Mover::Thread(OnceLock::new()) }
    }

    /// The first who asks after a tick says so; the first after a sleep wakes the ticker.
    #[cold]
    fn asked(&self, word: u64) -> u64 {
        if word & ASLEEP == 0 {
            self.word.fetch_and(!UNASKED, Ordering::Relaxed);
            return word >> FLAG_BITS;
        }
        let now_ms = self.read();
        if let Mover::Thread(mover) = &self.mover
            && let Some(ticker) = mover.get()
            && self.word.compare_exchange(word, now_ms << FLAG_BITS, Ordering::Relaxed, Ordering::Relaxed).is_ok()
        {
            ticker.unpark();
        }
        now_ms
    }

    /// Sets the clock; falls asleep if nobody asked since it did so last.
    fn tick(&self) -> Next {
        let word = self.word.load(Ordering::Relaxed);
        if word & UNASKED != 0 {
            let asleep = word & !FLAGS | ASLEEP;
            let slept = self.word.compare_exchange(word, asleep, Ordering::Relaxed, Ordering::Relaxed);
            return if slept.is_ok() { Next::Sleep } else { Next::Tick };
        }
        if word & ASLEEP != 0 {
            return Next::Sleep;
        }
        // With no flag raised nobody else writes.
        self.word.store(self.read() << FLAG_BITS | UNASKED, Ordering::Relaxed);
        Next::Tick
    }

    fn run(&self) {
        loop {
            match self.tick() {
                Next::Tick => thread::park_timeout(TICK),
                Next::Sleep => thread::park(),
            }
        }
    }

    fn read(&self) -> u64 {
        u64::try_from(self.origin.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(face: Face) -> Clock {
        Clock(Arc::new(face))
    }

    #[test]
    fn a_clock_that_nobody_asks_falls_asleep_after_a_tick() {
        let clock = of(Face { word: AtomicU64::new(0), ..Face::asleep() });

        assert_eq!(clock.0.tick(), Next::Tick);
        assert_eq!(clock.0.tick(), Next::Sleep);
        assert_eq!(clock.0.tick(), Next::Sleep);
    }

    #[test]
    fn a_clock_that_is_asked_keeps_ticking() {
        let clock = of(Face { word: AtomicU64::new(0), ..Face::asleep() });

        for _ in 0..3 {
            assert_eq!(clock.0.tick(), Next::Tick);
            clock.now_ms();
        }
    }

    #[test]
    fn the_first_who_asks_wakes_the_clock() {
        let clock = of(Face::asleep());
        if let Mover::Thread(mover) = &clock.0.mover {
            mover.get_or_init(thread::current);
        }

        clock.now_ms();

        assert_eq!(clock.0.word.load(Ordering::Relaxed) & FLAGS, 0);
        assert_eq!(clock.0.tick(), Next::Tick);
    }

    #[test]
    fn a_clock_without_a_thread_tells_the_right_time() {
        let origin = Instant::now().checked_sub(Duration::from_secs(60)).unwrap();
        let clock = of(Face { origin, ..Face::asleep() });

        assert!(clock.now_ms() >= 60_000);
        assert!(clock.now_ms() >= 60_000);
        assert_eq!(clock.0.tick(), Next::Sleep);
    }

    #[test]
    fn a_manual_clock_moves_by_hand_only_and_its_clones_with_it() {
        let clock = Clock::manual();
        let clone = clock.clone();

        clock.advance(Duration::from_secs(2));

        assert_eq!(clone.now_ms(), 2_000);
    }
}
