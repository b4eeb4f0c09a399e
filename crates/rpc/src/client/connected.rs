//! The connections to one endpoint: one for all callers, and one more of each worker that calls it.

use super::http2::{Dialling, End, Sender};
use crate::workers::{self, WORKERS_MAX};
use arc_swap::ArcSwapOption;
use hyper::rt::Executor;
use hyper_util::rt::TokioExecutor;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::sleep;
use tracing::debug;

/// How long a worker waits after its connection has ended, or could not be opened, before it opens another. Its calls take the one of all meanwhile.
const PAUSE: Duration = Duration::from_millis(250);

/// An endpoint that can be called while its first connection is there.
#[derive(Debug, Clone)]
pub(crate) struct Connected {
    first: watch::Receiver<Option<Sender>>,
    of_workers: Option<OfWorkers>,
}

/// The connections of the workers, each made at its first call.
#[derive(Debug, Clone)]
struct OfWorkers {
    dialling: Dialling,
    workers: Arc<[OfWorker]>,
}

#[derive(Debug, Default)]
struct OfWorker {
    connection: ArcSwapOption<Beside>,
    is_kept: AtomicBool,
}

/// The connection of a worker. It is used as long as the first one is there beside which it was opened: what is known of the endpoint was
/// learned over that.
#[derive(Debug)]
struct Beside {
    sender: Sender,
    end_of_first: End,
}

impl Connected {
    /// Only the connection in `first`, whoever calls.
    pub(crate) fn once(first: watch::Receiver<Option<Sender>>) -> Self {
        Connected { first, of_workers: None }
    }

    /// The connection in `first`, and beside it those that workers open.
    pub(crate) fn by_worker(first: watch::Receiver<Option<Sender>>, dialling: Dialling) -> Self {
        let workers = (0..WORKERS_MAX).map(|_| OfWorker::default()).collect();
        Connected { first, of_workers: Some(OfWorkers { dialling, workers }) }
    }

    pub(crate) fn is_up(&self) -> bool {
        let own = self.of_worker().and_then(|(workers, worker)| workers.usable(worker, |_| ()));
        own.is_some() || self.first.borrow().as_ref().is_some_and(|first| !first.is_closed())
    }

    /// The connection for a call that is made here. Who has one of his own does not look at that of all, which is all threads' to look at.
    pub(crate) fn sender(&self) -> Option<Sender> {
        let worker = self.of_worker();
        let own = worker.and_then(|(workers, worker)| workers.usable(worker, Sender::clone));
        own.or_else(|| {
            let first = self.first.borrow().clone()?;
            worker.into_iter().for_each(|(workers, worker)| workers.open(worker, &first));
            Some(first)
        })
    }

    /// The worker that calls, if it is to have a connection of its own.
    fn of_worker(&self) -> Option<(&OfWorkers, usize)> {
        self.of_workers.as_ref().zip(workers::current())
    }
}

impl OfWorkers {
    /// Takes something of a worker's connection, if calls can be made over it.
    fn usable<T>(&self, worker: usize, take: impl FnOnce(&Sender) -> T) -> Option<T> {
        let beside = self.workers[worker].connection.load();
        beside.as_ref().filter(|beside| beside.is_usable()).map(|beside| take(&beside.sender))
    }

    /// Opens the connection of a worker that has none.
    fn open(&self, worker: usize, first: &Sender) {
        let place = &self.workers[worker];
        if place.connection.load().is_none() && !place.is_kept.swap(true, Ordering::AcqRel) {
            TokioExecutor::new().execute(self.clone().keep(worker, first.end()));
        }
    }

    /// Opens the connection of a worker, and lets go of it when it has ended, or the first one has.
    async fn keep(self, worker: usize, end_of_first: End) {
        let place = &self.workers[worker];
        match self.dialling.dial().await {
            Ok((sender, ended)) => {
                place.connection.store(Some(Arc::new(Beside { sender, end_of_first: end_of_first.clone() })));
                tokio::select! {
                    () = ended => {}
                    () = end_of_first.reached() => {}
                }
                place.connection.store(None);
            }
            Err(error) => {
                debug!(peer = %self.dialling.address, error = &*error as &dyn std::error::Error, "worker could not connect");
            }
        }
        sleep(PAUSE).await;
        place.is_kept.store(false, Ordering::Release);
    }
}

impl Beside {
    fn is_usable(&self) -> bool {
        !self.sender.is_closed() && !self.end_of_first.has_come()
    }
}
