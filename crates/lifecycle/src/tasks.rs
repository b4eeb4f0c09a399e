//! Tasks with names and an owner, whose end is news.

use crate::Drain;
use std::collections::HashMap;
use std::future::Future;
use std::time::Duration;
use tokio::task::{Id, JoinError, JoinSet};
use tracing::{debug, error};

/// The tasks of one part of the program. Dropping it aborts them.
#[derive(Debug, Default)]
pub struct Tasks {
    set: JoinSet<()>,
    names: HashMap<Id, &'static str>,
    drain: Drain,
}

/// How a task ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ended {
    /// The name it was spawned with.
    pub name: &'static str,
    /// Whether it panicked.
    pub panicked: bool,
}

/// Tasks that did not finish in time, and were aborted.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("tasks did not finish within {within:?}: {}", names.join(", "))]
pub struct Stuck {
    /// Their names.
    pub names: Vec<&'static str>,
    /// How long they were given.
    pub within: Duration,
}

impl Tasks {
    /// No tasks yet.
    #[must_use]
    pub fn new() -> Self {
        Tasks::default()
    }

    /// The request that makes these tasks finish.
    #[must_use]
    pub fn drain_request(&self) -> Drain {
        self.drain.clone()
    }

    /// Runs a task; `name` appears in logs when it ends before it was asked to.
    pub fn spawn(&mut self, name: &'static str, task: impl Future<Output = ()> + Send + 'static) {
        let handle = self.set.spawn(task);
        self.names.insert(handle.id(), name);
    }

    /// Waits for the next task to end; `None` when none is left. Cancel safe: an end is not missed.
    pub async fn next_ended(&mut self) -> Option<Ended> {
        let ended = self.set.join_next_with_id().await?;
        Some(self.account(ended))
    }

    /// Asks all tasks to finish and waits for them; what does not finish within `within` is aborted.
    ///
    /// # Errors
    /// Names the tasks that had to be aborted.
    pub async fn drain(mut self, within: Duration) -> Result<(), Stuck> {
        self.drain.request();
        let finished = async { while self.next_ended().await.is_some() {} };
        if tokio::time::timeout(within, finished).await.is_ok() {
            return Ok(());
        }
        let names = self.names.values().copied().collect();
        self.set.shutdown().await;
        Err(Stuck { names, within })
    }

    fn account(&mut self, ended: Result<(Id, ()), JoinError>) -> Ended {
        let (id, panicked) = match &ended {
            Ok((id, ())) => (*id, false),
            Err(error) => (error.id(), error.is_panic()),
        };
        let name = self.names.remove(&id).unwrap_or("unnamed");
        match ended {
            Ok(_) => debug!(task = name, "task finished"),
            Err(error) => error!(task = name, error = %error, "task failed"),
        }
        Ended { name, panicked }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::pending;

    #[tokio::test]
    async fn tasks_that_listen_to_the_drain_finish() {
        let mut tasks = Tasks::new();
        let drain = tasks.drain_request();
        tasks.spawn("listener", async move { drain.requested().await });

        assert_eq!(tasks.drain(Duration::from_secs(5)).await, Ok(()));
    }

    #[tokio::test(start_paused = true)]
    async fn a_task_that_does_not_finish_is_named_and_aborted() {
        let mut tasks = Tasks::new();
        tasks.spawn("deaf", pending());

        let stuck = tasks.drain(Duration::from_secs(5)).await.unwrap_err();

        assert_eq!(stuck.names, ["deaf"]);
    }

    #[tokio::test]
    async fn a_panic_is_told_with_the_name_of_its_task() {
        let mut tasks = Tasks::new();
        tasks.spawn("faulty", async { panic!("by intent") });

        assert_eq!(tasks.next_ended().await, Some(Ended { name: "faulty", panicked: true }));
        assert_eq!(tasks.next_ended().await, None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_task_that_finished_before_the_limit_is_not_among_the_stuck() {
        let mut tasks = Tasks::new();
        let drain = tasks.drain_request();
        tasks.spawn("listener", async move { drain.requested().await });
        tasks.spawn("deaf", pending());
        tasks.spawn("done", async {});

        let stuck = tasks.drain(Duration::from_secs(5)).await.unwrap_err();

        assert_eq!(stuck.to_string(), "tasks did not finish within 5s: deaf");
    }

    #[tokio::test]
    async fn tasks_end_with_their_owner() {
        let mut tasks = Tasks::new();
        let (held, dropped) = tokio::sync::oneshot::channel::<()>();
        tasks.spawn("holder", async move {
            pending::<()>().await;
            drop(held);
        });

        drop(tasks);

        assert!(dropped.await.is_err());
    }

    #[tokio::test]
    async fn a_drain_that_was_requested_before_is_heard() {
        let drain = Drain::new();
        let listener = drain.clone();

        drain.request();
        drain.request();

        listener.requested().await;
        assert!(listener.is_requested());
    }
}
