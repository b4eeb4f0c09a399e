//! Publishes: many messages at once, and yet each key's in order.
//!
//! All acknowledgements arrive in one subscription, so they are awaited together, and none longer than the line stands. The line never
//! comes back once it is lost: a client that reconnects by itself would write what it still has in hand, which others may have published
//! long ago, and a stale message would be taken for the newest of its key.

use super::batch::Batch;
use super::config::JetStreamConfig;
use super::connection::{mortal, supported};
use super::fault::Fault;
use super::line::Moment;
use super::manager::Manager;
use super::{headers, names};
use crate::{Channel, Error, Message};
use async_nats::client::PublishErrorKind;
use async_nats::{StatusCode, Subscriber};
use futures_util::StreamExt;
use serde::Deserialize;
use std::collections::HashSet;
use std::fmt::Write;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Mutex;
use tokio::time::timeout;

/// Messages sent and not yet acknowledged, at most: a page of the outbox. With a quarter of it the server has nothing to do now and then, which costs a
/// drain a tenth; the server takes 10,000 for a stream.
const IN_FLIGHT_MAX: usize = 4096;

/// The same in bytes of payloads; the server takes 128 MB. One message may always go, however large.
const IN_FLIGHT_BYTES_MAX: usize = 16 * 1024 * 1024;

/// A dot and a ticket, all of one length: a subject that fits its room is handed over as it is, and any other one is copied.
const TICKET_BYTES: usize = 17;

/// The one publisher of a bus. Batches that are published at once go one after the other.
#[derive(Debug)]
pub(super) struct Publisher {
    config: Arc<JetStreamConfig>,
    channels: &'static [Channel],
    source: String,
    outlet: Mutex<Option<Outlet>>,
}

/// A line, and where its acknowledgements arrive.
#[derive(Debug)]
struct Outlet {
    manager: Manager,
    answers: Subscriber,
    /// Where answers go: this, a dot and the message's ticket.
    inbox: String,
    /// The ticket of the next message. An answer to an abandoned batch has a ticket that nobody waits for.
    next_ticket: u64,
    /// The channels whose streams were there when this line began, or later.
    ensured: HashSet<&'static str>,
}

/// The messages of a batch that are on their way.
struct Flight {
    first_ticket: u64,
    /// Their places in the batch, by ticket, until they are answered.
    places: Vec<Option<usize>>,
    count: usize,
    bytes: usize,
}

#[derive(Deserialize)]
struct Answer {
    error: Option<async_nats::jetstream::Error>,
}

impl Publisher {
    pub(super) fn new(config: Arc<JetStreamConfig>, channels: &'static [Channel]) -> Self {
        let source = format!("/{}/{}", config.prefix, config.name);
        Publisher { config, channels, source, outlet: Mutex::new(None) }
    }

    /// Cancel safe if it is done again: the line goes on with what was given to it, which the broker recognises when it is repeated.
    pub(super) async fn publish(&self, messages: &[Message]) -> Result<(), Error> {
        for message in messages {
            self.channel(&message.channel)?;
        }
        let mut batch = Batch::new(messages);
        let mut outlet = self.outlet.lock().await;
        let Err(fault) = self.publish_batch(&mut outlet, &mut batch).await else { return Ok(()) };
        // A line that does not answer may be dead without knowing it, and one that is forbidden something has answers outstanding.
        if matches!(fault, Fault::TimedOut(_) | Fault::Broken(_) | Fault::Forbidden(_)) {
            *outlet = None;
        }
        Err(Error::Publish { acknowledged: batch.stored(), is_transient: fault.is_transient(), source: fault.into() })
    }

    async fn publish_batch(&self, outlet: &mut Option<Outlet>, batch: &mut Batch<'_>) -> Result<(), Fault> {
        let outlet = match outlet {
            Some(outlet) if !outlet.is_lost() => outlet,
            _ => outlet.insert(Outlet::open(&self.config).await?),
        };
        match self.publish_over(outlet, batch).await {
            // The broker lost the stream since it was last seen.
            Err(fault) if fault.is_stream_missing() => {
                outlet.ensured.clear();
                self.publish_over(outlet, batch).await
            }
            published => published,
        }
    }

    /// Sends what is not stored and waits for all answers. After a refusal nothing more is sent.
    async fn publish_over(&self, outlet: &mut Outlet, batch: &mut Batch<'_>) -> Result<(), Fault> {
        for message in batch.rest().chunk_by(|a, b| a.channel == b.channel).filter_map(<[Message]>::first) {
            outlet.ensure(self.channels, &message.channel).await?;
        }
        batch.line_up();
        let within = Duration::from_millis(self.config.publish_timeout_ms);
        let late = |_| Fault::TimedOut(within.as_millis());
        let mut flight = Flight { first_ticket: outlet.next_ticket, places: Vec::new(), count: 0, bytes: 0 };
        let mut refused = None;
        loop {
            if refused.is_none() {
                match timeout(within, self.send(outlet, batch, &mut flight)).await.map_err(late)? {
                    Ok(()) => {}
                    Err(fault @ Fault::TooLarge { .. }) => refused = Some(fault),
                    Err(fault) => return Err(fault),
                }
            }
            if flight.count == 0 {
                return refused.map_or(Ok(()), Err);
            }
            let (ticket, answer) = timeout(within, outlet.answer()).await.map_err(late)??;
            let Some(place) = flight.land(ticket, batch) else { continue };
            match answer {
                Ok(()) => batch.note_stored(place),
                Err(fault) => {
                    refused.get_or_insert(fault);
                }
            }
        }
    }

    /// Sends as much as may be on its way.
    async fn send(&self, outlet: &mut Outlet, batch: &mut Batch<'_>, flight: &mut Flight) -> Result<(), Fault> {
        while flight.count < IN_FLIGHT_MAX
            && flight.bytes < IN_FLIGHT_BYTES_MAX
            && let Some(place) = batch.next()
        {
            let message = batch.message(place);
            let subject = names::subject(&self.config.prefix, &message.channel, &message.key);
            outlet.send(subject, headers::write(message, &self.source), &message.payload).await?;
            flight.take_off(place, message);
        }
        Ok(())
    }

    fn channel(&self, name: &str) -> Result<&'static Channel, Error> {
        let found = self.channels.iter().find(|channel| channel.name == name);
        found.ok_or_else(|| Error::UnknownChannel { channel: name.to_owned() })
    }
}

impl Flight {
    fn take_off(&mut self, place: usize, message: &Message) {
        self.places.push(Some(place));
        self.count += 1;
        self.bytes += message.payload.len();
    }

    /// Whose answer this is; `None` if it is about an abandoned batch, or not the first one.
    fn land(&mut self, ticket: u64, batch: &Batch<'_>) -> Option<usize> {
        let number = usize::try_from(ticket.checked_sub(self.first_ticket)?).ok()?;
        let place = self.places.get_mut(number)?.take()?;
        self.count -= 1;
        self.bytes -= batch.message(place).payload.len();
        Some(place)
    }
}

impl Outlet {
    async fn open(config: &Arc<JetStreamConfig>) -> Result<Self, Fault> {
        let line = mortal(config).await?;
        supported(&line.client, config)?;
        let inbox = line.client.new_inbox();
        let answers = line.client.subscribe(format!("{inbox}.*")).await;
        let answers = answers.map_err(|error| Fault::Broken(Some(error.to_string())))?;
        let manager = Manager::over(line, config.clone());
        Ok(Outlet { manager, answers, inbox, next_ticket: 0, ensured: HashSet::new() })
    }

    fn is_lost(&self) -> bool {
        self.manager.line.was_lost_since(Moment::default()) || !self.manager.line.is_connected()
    }

    /// Sees to the stream of a channel, once.
    async fn ensure(&mut self, channels: &'static [Channel], name: &str) -> Result<(), Fault> {
        if self.ensured.contains(name) {
            return Ok(());
        }
        if let Some(channel) = channels.iter().find(|channel| channel.name == name) {
            self.manager.ensure_stream(channel).await?;
            self.ensured.insert(channel.name);
        }
        Ok(())
    }

    async fn send(&mut self, subject: String, headers: async_nats::HeaderMap, payload: &[u8]) -> Result<(), Fault> {
        let mut reply = String::with_capacity(self.inbox.len() + TICKET_BYTES);
        write!(reply, "{}.{:016x}", self.inbox, self.next_ticket).expect("a string takes everything");
        let client = &self.manager.line.client;
        match client.publish_with_reply_and_headers(subject, reply, headers, payload.to_vec().into()).await {
            Ok(()) => {
                self.next_ticket += 1;
                Ok(())
            }
            Err(error) if error.kind() == PublishErrorKind::MaxPayloadExceeded => {
                Err(Fault::TooLarge { bytes: payload.len(), bytes_max: client.max_payload() })
            }
            Err(_closed) => Err(Fault::Broken(self.manager.line.complaint())),
        }
    }

    /// Waits for the next answer: the ticket of its message, and whether that is stored. Fails as soon as the line is lost, or the server
    /// forbids something: on this line nothing is said but what is being published.
    async fn answer(&mut self) -> Result<(u64, Result<(), Fault>), Fault> {
        loop {
            let message = tokio::select! {
                biased;
                message = self.answers.next() => message,
                fault = self.manager.line.trouble(Moment::default(), |_| true) => return Err(fault),
            };
            let Some(message) = message else { return Err(Fault::Broken(self.manager.line.complaint())) };
            let ticket = message.subject.rsplit('.').next().and_then(|ticket| u64::from_str_radix(ticket, 16).ok());
            let Some(ticket) = ticket else { continue };
            return Ok((ticket, stored(&message)));
        }
    }
}

fn stored(answer: &async_nats::Message) -> Result<(), Fault> {
    if answer.status == Some(StatusCode::NO_RESPONDERS) {
        return Err(Fault::NobodyThere("this subject".to_owned()));
    }
    match serde_json::from_slice(&answer.payload) {
        Ok(Answer { error: None }) => Ok(()),
        Ok(Answer { error: Some(error) }) => Err(Fault::Refused(error)),
        Err(error) => Err(Fault::Answer(error.to_string())),
    }
}
