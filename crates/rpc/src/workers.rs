//! Threads that each serve connections of their own, so that a call never leaves its thread.
//!
//! Tokio's threads take work from each other, which keeps all of them busy and costs a wake-up, a lock that is waited for and a cold cache now
//! and then. Where a call is short, that is more than the call: a worker does without. Calls that are made on a worker go over a connection of
//! that worker.

use std::cell::Cell;
use std::io;
use std::num::NonZero;
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
    handles: Vec<Handle>,
    next: AtomicUsize,
    _running: DropGuard,
}

impl Workers {
    /// Starts so many threads, 64 at most.
    ///
    /// # Errors
    /// When the system has no threads or no timers left.
    pub fn start(count: NonZero<usize>) -> io::Result<Self> {
        let over = CancellationToken::new();
        let running = over.clone().drop_guard();
        let handles =
            (0..count.get().min(WORKERS_MAX)).map(|worker| start(worker, over.clone())).collect::<io::Result<_>>()?;
        Ok(Workers { handles, next: AtomicUsize::new(0), _running: running })
    }

    /// Where the next connection is served: everybody in turn.
    pub fn next(&self) -> &Handle {
        &self.handles[self.next.fetch_add(1, Ordering::Relaxed) % self.handles.len()]
    }
}

fn start(worker: usize, over: CancellationToken) -> io::Result<Handle> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let handle = runtime.handle().clone();
    thread::Builder::new().name(format!("worker-{worker}")).spawn(move || {
        WORKER.set(Some(worker));
        runtime.block_on(over.run_until_cancelled(tick()));
    })?;
    Ok(handle)
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
