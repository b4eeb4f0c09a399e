//! Changes that wait to be written, and what those who wait for them are told.

use crate::{Change, Committed, Error};
use std::{process, thread};
use tokio::sync::{oneshot, watch};
use tracing::{error, warn};

/// Changes that wait for a writer at most: 1,024 x ~8 KiB = 8 MiB. Whoever comes then waits for room.
pub(crate) const WAITING_MAX: usize = 1024;

/// A change and who waits for its result, if anybody does.
pub(crate) struct Member {
    pub(crate) change: Change,
    pub(crate) reply: Option<oneshot::Sender<Result<Committed, Error>>>,
}

impl Member {
    pub(crate) fn answer(self, result: Result<Committed, Error>) {
        match (self.reply, result) {
            // A caller that no longer listens has lost the answer and nothing else.
            (Some(reply), result) => drop(reply.send(result)),
            (None, Ok(_)) => {}
            (None, Err(error)) => warn!(error = &error as &dyn std::error::Error, "submitted change failed"),
        }
    }
}

/// Tells everybody that their changes are committed, and wakes who is to be woken.
pub(crate) fn settle(done: Vec<(Member, Committed)>, wake: &watch::Sender<u64>) {
    if done.iter().any(|(member, _)| member.change.wakes) {
        wake.send_modify(|count| *count += 1);
    }
    for (member, committed) in done {
        member.answer(Ok(committed));
    }
}

/// Ends the process when a writer panics: without it every change would be tried again for ever, in a process that looks alive.
pub(crate) struct EndWithThePanic;

impl Drop for EndWithThePanic {
    fn drop(&mut self) {
        if thread::panicking() {
            error!("the writer panicked; the process ends");
            process::abort();
        }
    }
}
