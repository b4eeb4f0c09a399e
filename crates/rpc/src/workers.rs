//! Threads that each serve connections of their own, so that a call never leaves its thread.
//!
//! Tokio's threads take work from each other, which keeps all of them busy and costs a wake-up, a lock that is waited for and a cold cache now
//! and then. Where a call is short, that is more than the call: a worker does without. Calls that are made on a worker go over a connection of
//! that worker.

use std::cell::Cell;
use std::io;
use std::num::NonZero;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;
use tokio::runtime::{Builder, Handle};
use tokio::time::interval;
use tokio_util::sync::{CancellationToken, DropGuard};

/// Workers at most: more than machines have processors that one gateway could use.
pub(crate) const WORKERS_MAX: usize = 64;

/// Shorter than what calls are given, and long enough to be nothing to a worker that is idle.
const TICK: Duration = Duration::from_millis(250);

thread_local! {
    static WORKER: Cell<Option<usize>> = const { Cell::new(None) };
}

/// Threads with a runtime each. They end, with all that runs on them, when this is dropped.
#[derive(Debug)]
pub struct Workers {
    workers: Vec<Worker>,
    _running: DropGuard,
}

#[derive(Debug)]
struct Worker {
    handle: Handle,
    seats: Arc<AtomicUsize>,
}

/// A connection of a worker, until this is dropped.
#[derive(Debug)]
pub struct Seat(Arc<AtomicUsize>);

impl Workers {
    /// Starts so many threads, 64 at most.
    ///
    /// # Errors
    /// When the system has no threads or no timers left.
    pub fn start(count: NonZero<usize>) -> io::Result<Self> {
        let over = CancellationToken::new();
        let running = over.clone().drop_guard();
        let count = count.get().min(WORKERS_MAX);
        let workers = (0..count).map(|number| Worker::start(number, over.clone())).collect::<io::Result<_>>()?;
        Ok(Workers { workers, _running: running })
    }

    /// The worker with the fewest connections, for one more. Calls do not move, so that connections must be spread.
    ///
    /// # Panics
    /// Never: there is one worker at least.
    #[must_use]
    pub fn seat(&self) -> (&Handle, Seat) {
        let fewest = self.workers.iter().min_by_key(|worker| worker.seats.load(Ordering::Relaxed));
        let Worker { handle, seats } = fewest.expect("there is one at least");
        seats.fetch_add(1, Ordering::Relaxed);
        (handle, Seat(seats.clone()))
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Worker {
    fn start(number: usize, over: CancellationToken) -> io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let handle = runtime.handle().clone();
        thread::Builder::new().name(format!("worker-{number}")).spawn(move || {
            WORKER.set(Some(number));
            runtime.block_on(over.run_until_cancelled(tick()));
        })?;
        Ok(Worker { handle, seats: Arc::default() })
    }
}

/// Has a timer that ends before those of calls do. Tokio wakes the thread that a timer is set on when no earlier one is, which costs a write to
/// a pipe and a look at it for each call that has the worker to itself.
async fn tick() {
    let mut ticks = interval(TICK);
    loop {
        ticks.tick().await;
    }
}

/// The worker that this runs on.
pub(crate) fn current() -> Option<usize> {
    WORKER.get()
}
