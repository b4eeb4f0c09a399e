//! Requests for messages over one line, and what comes back.

use super::arrival::Arrival;
use super::cursor::HELD_BYTES_MAX;
use super::fault::{Fault, chain};
use super::line::{Line, Moment};
use async_nats::{HeaderMap, StatusCode, Subscriber, UnsubscribeError};
use futures_util::StreamExt;
use serde::Serialize;
use std::time::Duration;
use tokio::time::{Instant, sleep_until, timeout};
use tracing::debug;

/// How long a request for messages waits for them before it is made anew.
const EXPIRES: Duration = Duration::from_secs(30);

/// How often a broker that has nothing to send says that it still has the request.
const HEARTBEAT: Duration = Duration::from_secs(4);

/// Two heartbeats and a second for the way: then the request is lost, and a line that went dead is found within 15 s.
const SILENCE_MAX: Duration = Duration::from_secs(9);

/// A request for fewer messages than this is made only when no other is pending, so that a busy consumer does not ask for each single one.
const BATCH_MIN: usize = 64;

/// How long the end of a session may take.
const FINISHED_WITHIN: Duration = Duration::from_secs(2);

/// What a consumer is in the middle of, from one trouble to the next.
pub(super) struct Session {
    line: Line,
    since: Moment,
    channel: &'static str,
    /// Which consumer of which stream.
    of: String,
    inbox: Subscriber,
    inbox_name: String,
    /// Messages asked for that did not come yet.
    asked: usize,
    /// When anything came.
    heard: Instant,
}

#[derive(Serialize)]
struct Request {
    batch: usize,
    max_bytes: usize,
    expires: u128,
    idle_heartbeat: u128,
}

impl Session {
    /// Begins with a consumer, as `<stream>.<consumer>`. What happens to the line from here on is noticed.
    pub(super) async fn open(line: Line, channel: &'static str, of: String) -> Result<Self, Fault> {
        let since = line.now();
        let inbox_name = line.client.new_inbox();
        let inbox = line.client.subscribe(inbox_name.clone()).await;
        let inbox = inbox.map_err(|error| Fault::Broken(Some(error.to_string())))?;
        Ok(Session { line, since, channel, of, inbox, inbox_name, asked: 0, heard: Instant::now() })
    }

    /// How many messages were asked for that did not come yet.
    pub(super) fn asked(&self) -> usize {
        self.asked
    }

    /// Asks for so many messages, if that is worth a request.
    pub(super) async fn ask(&mut self, batch: usize) -> Result<(), Fault> {
        if batch == 0 || (self.asked > 0 && batch < BATCH_MIN) {
            return Ok(());
        }
        // Twice the largest message: a request ends before one that would pass its limit, and must be able to end after it.
        let max_bytes = HELD_BYTES_MAX.max(2 * self.line.client.max_payload());
        let (expires, idle_heartbeat) = (EXPIRES.as_nanos(), HEARTBEAT.as_nanos());
        let request = serde_json::to_vec(&Request { batch, max_bytes, expires, idle_heartbeat });
        let request = request.map_err(|error| Fault::Answer(error.to_string()))?;
        let subject = format!("$JS.API.CONSUMER.MSG.NEXT.{}", self.of);
        let asked = self.line.client.publish_with_reply(subject, self.inbox_name.clone(), request.into()).await;
        asked.map_err(|error| Fault::Broken(Some(error.to_string())))?;
        if self.asked == 0 {
            self.heard = Instant::now();
        }
        self.asked += batch;
        Ok(())
    }

    /// Waits until a message comes, or the broker says something else, which is `None`. Cancel safe.
    pub(super) async fn next(&mut self) -> Result<Option<Arrival>, Fault> {
        let is_about_us = |complaint: &str| complaint.contains(&self.inbox_name) || complaint.contains(&self.of);
        let message = tokio::select! {
            biased;
            fault = self.line.trouble(self.since, is_about_us) => return Err(fault),
            message = self.inbox.next() => message,
            () = sleep_until(self.heard + SILENCE_MAX), if self.asked > 0 => {
                // The line may be dead without knowing it; a new one costs little, and this one serves all consumers.
                if let Err(error) = self.line.client.force_reconnect().await {
                    debug!(%error, "the client is closed");
                }
                return Err(Fault::TimedOut(SILENCE_MAX.as_millis()));
            }
        };
        self.read(message.ok_or(Fault::Broken(None))?)
    }

    fn read(&mut self, message: async_nats::Message) -> Result<Option<Arrival>, Fault> {
        self.heard = Instant::now();
        let description = message.description.as_deref().unwrap_or_default();
        match message.status {
            None => {
                self.asked = self.asked.saturating_sub(1);
                Arrival::read(self.channel, message).map(Some)
            }
            Some(StatusCode::IDLE_HEARTBEAT) => Ok(None),
            Some(StatusCode::NO_RESPONDERS) => Err(Fault::NobodyThere(self.of.clone())),
            Some(status) if is_mere_end(status, description) => {
                self.asked = self.asked.saturating_sub(not_sent(message.headers.as_ref()));
                Ok(None)
            }
            // The consumer was deleted, its leader changed, the server goes down, or something newer than this program.
            Some(status) => Err(Fault::Broken(Some(format!("{status} {description}")))),
        }
    }

    /// Takes back what was asked for, and returns what is still coming. What the client drops meanwhile comes again after a while.
    pub(super) async fn finish(mut self) -> Vec<Arrival> {
        let mut last = Vec::new();
        if self.line.was_lost_since(self.since) {
            return last;
        }
        let finish = async {
            self.inbox.drain().await?;
            while let Some(message) = self.inbox.next().await {
                match self.read(message) {
                    Ok(arrival) => last.extend(arrival),
                    Err(fault) => debug!(error = chain(&fault), "the end of a request for messages"),
                }
            }
            Ok::<(), UnsubscribeError>(())
        };
        if !matches!(timeout(FINISHED_WITHIN, finish).await, Ok(Ok(()))) {
            debug!("the line broke at the end of a subscription");
        }
        last
    }
}

/// Whether a request ended as it may: in time, at its limit of bytes, or because all was sent.
fn is_mere_end(status: StatusCode, description: &str) -> bool {
    matches!(status, StatusCode::TIMEOUT | StatusCode::NOT_FOUND)
        || matches!(description, "Message Size Exceeds MaxBytes" | "Batch Completed")
}

/// How many messages an ended request did not get.
fn not_sent(headers: Option<&HeaderMap>) -> usize {
    let pending = headers.and_then(|headers| headers.get("Nats-Pending-Messages"));
    pending.and_then(|pending| pending.as_str().parse().ok()).unwrap_or(usize::MAX)
}
