//! Hands out the messages of one consumer.

use super::cursor::{Cursor, Next};
use super::log::{Log, READ_MAX};
use crate::{Error, Message};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

/// How long an acknowledgement may stay unwritten: what is acknowledged in this time comes again after a crash.
const FLOOR_UNWRITTEN_MAX: Duration = Duration::from_millis(100);

/// A consumer's subscription on the embedded bus.
#[derive(Debug)]
pub struct Subscription {
    log: Arc<Log>,
    cursor: Arc<Cursor>,
    write_floor_at: Option<Instant>,
    caught_up: watch::Receiver<bool>,
}

impl Subscription {
    pub(super) async fn start(log: Arc<Log>, cursor: Arc<Cursor>) -> Result<Self, Error> {
        let end = log.end(cursor.channel()).await?;
        match cursor.subscribe(end) {
            Some(caught_up) => Ok(Subscription { log, cursor, write_floor_at: None, caught_up }),
            None => {
                let (channel, consumer) = (cursor.channel().to_owned(), cursor.consumer().to_owned());
                Err(Error::AlreadySubscribed { channel, consumer })
            }
        }
    }

    pub(crate) fn caught_up(&self) -> watch::Receiver<bool> {
        self.caught_up.clone()
    }

    pub(crate) async fn next(&mut self) -> Result<Delivery, Error> {
        loop {
            self.write_floor_when_due();
            match self.cursor.next() {
                Next::Deliver(sequence, message) => return Ok(self.delivery(sequence, message)),
                Next::ReadAfter(sequence) => self.read(sequence).await?,
                Next::Wait => match self.write_floor_at {
                    Some(due) => tokio::select! {
                        () = self.cursor.news() => {}
                        () = sleep_until(due) => {}
                    },
                    None => self.cursor.news().await,
                },
            }
        }
    }

    async fn read(&self, after: i64) -> Result<(), Error> {
        /// Repairs the cursor when the read fails or its future is dropped.
        struct Reading<'a>(Option<&'a Cursor>);
        impl Drop for Reading<'_> {
            fn drop(&mut self) {
                if let Some(cursor) = self.0 {
                    cursor.read_failed();
                }
            }
        }

        let mut reading = Reading(Some(&self.cursor));
        let messages = self.log.after(self.cursor.channel(), after).await?;
        reading.0 = None;
        let is_full = i64::try_from(messages.len()).is_ok_and(|read| read == READ_MAX);
        self.cursor.take(after, messages, is_full);
        Ok(())
    }

    fn delivery(&self, sequence: i64, message: Arc<Message>) -> Delivery {
        Delivery { sequence, message, cursor: self.cursor.clone(), is_acknowledged: false }
    }

    fn write_floor_when_due(&mut self) {
        let Some(floor) = self.cursor.unwritten_floor() else { return };
        let now = Instant::now();
        if now < *self.write_floor_at.get_or_insert(now + FLOOR_UNWRITTEN_MAX) {
            return;
        }
        let is_written = self.write_floor(floor);
        self.write_floor_at = (!is_written).then(|| now + FLOOR_UNWRITTEN_MAX);
    }

    /// Returns false when the log is too busy, which is no fault: the floor can be written later.
    fn write_floor(&self, floor: i64) -> bool {
        let is_written = self.log.raise_floor(self.cursor.channel(), self.cursor.consumer(), floor);
        if is_written {
            self.cursor.floor_written(floor);
        }
        is_written
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        if let Some(floor) = self.cursor.unwritten_floor() {
            self.write_floor(floor);
        }
        self.cursor.unsubscribe();
    }
}

/// A message that the embedded bus handed out.
#[derive(Debug)]
pub struct Delivery {
    sequence: i64,
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
        self.cursor.acknowledge(self.sequence);
    }
}

impl Drop for Delivery {
    fn drop(&mut self) {
        if !self.is_acknowledged {
            self.cursor.give_back(self.sequence);
        }
    }
}
