//! The calls of one connection, whose frames are written together when there are many.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Poll;

/// How many calls of a connection wait for the beginning of their answers. Clones are the same count.
#[derive(Debug, Clone, Default)]
pub struct Calls(Arc<AtomicUsize>);

/// A call that counts until this is dropped.
#[derive(Debug)]
pub struct Waiting(Calls);

impl Calls {
    /// Counts a call.
    #[must_use]
    pub fn begin(&self) -> Waiting {
        self.0.fetch_add(1, Ordering::Relaxed);
        Waiting(self.clone())
    }

    fn are_many(&self) -> bool {
        self.0.load(Ordering::Relaxed) > 1
    }

    /// Runs the task of the connection, and lets every task that is ready go before it while there are many calls. A connection that is woken by
    /// one of them would write its frames alone, and a moment later those of the next; behind them it writes all at once. A single call has
    /// nobody to wait for.
    pub async fn go_before<T>(&self, mut connection: Pin<&mut impl Future<Output = T>>) -> T {
        let mut has_waited = false;
        poll_fn(move |context| {
            has_waited = !has_waited && self.are_many();
            if has_waited {
                // Who wakes itself goes to the end of the queue.
                context.waker().wake_by_ref();
                return Poll::Pending;
            }
            connection.as_mut().poll(context)
        })
        .await
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::Relaxed);
    }
}
