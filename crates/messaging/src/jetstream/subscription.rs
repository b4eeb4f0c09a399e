//! One consumer's subscription on JetStream, and what it hands out.

use super::cursor::{Cursor, Place};
use super::fault::Fault;
use super::pump::Pump;
use crate::{Error, Message};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{oneshot, watch};
use tokio::task::JoinSet;
use tokio::time::timeout;

/// How long a subscription waits for a broker that is there; one that is away is waited for in the background.
const BOUND_WITHIN: Duration = Duration::from_secs(2);

/// A consumer's subscription on JetStream.
#[derive(Debug)]
pub struct Subscription {
    cursor: Arc<Cursor>,
    caught_up: watch::Receiver<bool>,
    /// Runs the pump.
    task: JoinSet<()>,
    /// Dropped to stop it.
    _stop: oneshot::Sender<()>,
}

impl Subscription {
    pub(super) async fn start(pump: Pump, caught_up: watch::Receiver<bool>) -> Result<Self, Error> {
        let cursor = pump.cursor.clone();
        let channel = pump.channel.name;
        let (stop, stopped) = oneshot::channel();
        let (bound, binding) = oneshot::channel();
        let mut task = JoinSet::new();
        task.spawn(pump.run(stopped, bound));
        let subscription = Subscription { cursor, caught_up, task, _stop: stop };
        match timeout(BOUND_WITHIN, binding).await {
            Ok(Ok(Err(fault))) if !fault.is_transient() => Err(failed_to_read(channel, fault)),
            _ => Ok(subscription),
        }
    }

    pub(crate) fn caught_up(&self) -> watch::Receiver<bool> {
        self.caught_up.clone()
    }

    /// Cancel safe: a message is handed out or stays.
    pub(crate) async fn next(&mut self) -> Delivery {
        loop {
            if let Some((place, message)) = self.cursor.next() {
                return Delivery { place, message, cursor: self.cursor.clone(), is_acknowledged: false };
            }
            self.cursor.news().await;
        }
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        self.cursor.unsubscribe();
        // The task gives back what nobody took; it ends by itself within a bound.
        self.task.detach_all();
    }
}

/// A message that JetStream handed out.
#[derive(Debug)]
pub struct Delivery {
    place: Place,
    message: Arc<Message>,
    cursor: Arc<Cursor>,
    is_acknowledged: bool,
}

impl Delivery {
    pub(crate) fn message(&self) -> &Arc<Message> {
        &self.message
    }

    pub(crate) fn acknowledge(mut self) {
        self.is_acknowledged = true;
        self.cursor.acknowledge(self.place);
    }
}

impl Drop for Delivery {
    fn drop(&mut self) {
        if !self.is_acknowledged {
            self.cursor.give_back(self.place);
        }
    }
}

pub(super) fn failed_to_read(channel: &str, fault: Fault) -> Error {
    Error::Read { channel: channel.to_owned(), is_transient: fault.is_transient(), source: fault.into() }
}
