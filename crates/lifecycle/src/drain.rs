//! The request that tasks finish what they have begun.

use futures_util::task::AtomicWaker;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use tokio_util::sync::CancellationToken;

/// Asks tasks to finish what they have begun and to take nothing new. Clones are the same request.
#[derive(Debug, Clone, Default)]
pub struct Drain(Arc<CancellationToken>);

impl Drain {
    /// A request that nobody has made yet.
    #[must_use]
    pub fn new() -> Self {
        Drain::default()
    }

    /// Makes the request; making it again changes nothing.
    pub fn request(&self) {
        self.0.cancel();
    }

    /// Waits until the request is made. Cancel safe: nothing is lost.
    pub async fn requested(&self) {
        self.0.cancelled().await;
    }

    /// The same for a task that is woken a thousand times before that, as a connection is: what is shared with others is not
    /// touched when it is polled, until the request is made.
    #[must_use]
    pub fn watch(&self) -> Requested {
        let token = CancellationToken::clone(&self.0);
        let bell = Arc::new(Bell { is_rung: AtomicBool::new(true), task: AtomicWaker::new() });
        Requested { waiting: Box::pin(token.cancelled_owned()), bell }
    }

    /// Whether the request is made.
    #[must_use]
    pub fn is_requested(&self) -> bool {
        self.0.is_cancelled()
    }
}

/// Ends when the drain is requested.
pub struct Requested {
    waiting: Pin<Box<dyn Future<Output = ()> + Send>>,
    bell: Arc<Bell>,
}

/// What is woken in the place of the task, so that it is known whether there is something to see.
struct Bell {
    is_rung: AtomicBool,
    task: AtomicWaker,
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.is_rung.store(true, Ordering::Release);
        self.task.wake();
    }
}

impl Future for Requested {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        self.bell.task.register(context.waker());
        if !self.bell.is_rung.swap(false, Ordering::AcqRel) {
            return Poll::Pending;
        }
        let waker = Waker::from(Arc::clone(&self.bell));
        self.waiting.as_mut().poll(&mut Context::from_waker(&waker))
    }
}

impl fmt::Debug for Requested {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Requested").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::task::yield_now;

    #[tokio::test]
    async fn who_watches_is_woken_by_the_request() {
        let drain = Drain::new();
        let mut watcher = tokio::task::JoinSet::new();
        watcher.spawn(drain.watch());
        yield_now().await;
        assert!(watcher.try_join_next().is_none());

        drain.request();

        assert!(watcher.join_next().await.is_some());
    }

    #[tokio::test]
    async fn a_request_that_was_made_before_is_seen_at_once() {
        let drain = Drain::new();
        drain.request();

        drain.watch().await;
    }

    #[tokio::test]
    async fn a_watch_that_moves_to_another_task_wakes_that_one() {
        let (drain, mut watcher) = (Drain::new(), tokio::task::JoinSet::new());
        let mut watch = drain.watch();
        assert!(Pin::new(&mut watch).poll(&mut Context::from_waker(Waker::noop())).is_pending());
        watcher.spawn(watch);
        yield_now().await;

        drain.request();

        assert!(watcher.join_next().await.is_some());
    }
}
