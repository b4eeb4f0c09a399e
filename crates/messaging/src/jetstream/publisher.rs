//! Publishes: many messages at once, and yet in order through every retry.
//!
//! A line of its own that never comes back is what keeps the order. What was written to one connection is stored up to some point and
//! not beyond, so when it breaks, the caller publishes again from the oldest message that was not acknowledged, with the same ids, and
//! nothing younger can be stored before it. A client that reconnects by itself would write what it still has in hand behind our back.

use super::config::JetStreamConfig;
use super::connection::{Health, mortal, supported};
use super::fault::Fault;
use super::layout::Layout;
use super::{headers, names};
use crate::{Channel, Error, Message};
use async_nats::{Client, StatusCode, Subscriber};
use futures_util::StreamExt;
use serde::Deserialize;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Mutex, watch};
use tokio::time::{Instant, sleep, timeout_at};

/// Messages sent and not yet acknowledged: 4,096 x ~1 KiB = 4 MiB on the way, some 50 ms of what a broker stores.
const IN_FLIGHT_MAX: usize = 4096;

/// The pause before a stream is looked for again that is not there, or has no leader yet.
const LOOK_AGAIN_AFTER: Duration = Duration::from_millis(50);

/// The one publisher of a bus. Batches that are published at once go one after the other.
#[derive(Debug)]
pub(super) struct Publisher {
    config: Arc<JetStreamConfig>,
    channels: &'static [Channel],
    source: String,
    line: Mutex<Option<Line>>,
}

/// A connection, and where its acknowledgements arrive.
#[derive(Debug)]
struct Line {
    layout: Layout,
    health: watch::Receiver<Health>,
    answers: Subscriber,
    /// Where answers go: this, a dot and the message's ticket.
    inbox: String,
    /// The ticket of the next message. An answer to an abandoned batch has a ticket that nobody waits for.
    next_ticket: u64,
    /// The channels whose streams were there when this line began, or later.
    ensured: HashSet<&'static str>,
}

/// What is being published, and what of it is stored.
struct Batch<'a> {
    messages: &'a [Message],
    is_stored: Vec<bool>,
}

#[derive(Deserialize)]
struct Answer {
    error: Option<async_nats::jetstream::Error>,
}

impl Publisher {
    pub(super) fn new(config: Arc<JetStreamConfig>, channels: &'static [Channel]) -> Self {
        let source = format!("/{}/{}", config.prefix, config.name);
        Publisher { config, channels, source, line: Mutex::new(None) }
    }

    pub(super) async fn publish(&self, messages: &[Message]) -> Result<(), Error> {
        for message in messages {
            self.channel(&message.channel)?;
        }
        let mut batch = Batch { messages, is_stored: vec![false; messages.len()] };
        let mut line = self.line.lock().await;
        let within = Duration::from_millis(self.config.publish_timeout_ms);
        let published = timeout_at(Instant::now() + within, self.publish_on(&mut line, &mut batch)).await;
        let fault = match published {
            Ok(Ok(())) => return Ok(()),
            Ok(Err(fault)) => fault,
            Err(_) => Fault::TimedOut(within.as_millis()),
        };
        // Whatever may still be on its way on this line comes before all that the next one carries, or never.
        if matches!(fault, Fault::TimedOut(_) | Fault::Broken(_)) {
            *line = None;
        }
        Err(Error::Publish { acknowledged: batch.stored(), is_transient: fault.is_transient(), source: fault.into() })
    }

    /// Cancel safe if it is done again: the line goes on with what was given to it, in order.
    async fn publish_on(&self, slot: &mut Option<Line>, batch: &mut Batch<'_>) -> Result<(), Fault> {
        if slot.as_ref().is_some_and(Line::is_lost) {
            *slot = None;
        }
        let line = match slot {
            Some(line) => line,
            None => slot.insert(Line::open(&self.config).await?),
        };
        while batch.stored() < batch.messages.len() {
            match self.publish_rest(line, batch).await {
                Ok(()) => {}
                // The broker lost the stream, or has not elected who leads it.
                Err(fault) if fault.is_stream_missing() => {
                    line.ensured.clear();
                    sleep(LOOK_AGAIN_AFTER).await;
                }
                Err(fault) => return Err(fault),
            }
        }
        Ok(())
    }

    async fn publish_rest(&self, line: &mut Line, batch: &mut Batch<'_>) -> Result<(), Fault> {
        let first = batch.stored();
        for message in &batch.messages[first..] {
            let Ok(channel) = self.channel(&message.channel) else { continue };
            if !line.ensured.contains(channel.name) {
                line.ensure(channel).await?;
            }
        }
        for wave in self.waves(batch.messages, first) {
            self.publish_wave(line, batch, &wave).await?;
        }
        Ok(())
    }

    /// What may be on its way at once.
    ///
    /// A stream with one replica stores what a line carries in that order. With several, a new leader may store what comes after a
    /// message that the old one lost; so there a message goes when the one before it with its key is stored.
    fn waves(&self, messages: &[Message], first: usize) -> Vec<Vec<usize>> {
        if self.config.replicas == 1 {
            return vec![(first..messages.len()).collect()];
        }
        let mut waves: Vec<Vec<usize>> = Vec::new();
        let mut before: HashMap<(&str, &str), usize> = HashMap::new();
        for (index, message) in messages.iter().enumerate().skip(first) {
            let before = before.entry((&message.channel, &message.key)).or_default();
            if *before == waves.len() {
                waves.push(Vec::new());
            }
            waves[*before].push(index);
            *before += 1;
        }
        waves
    }

    /// Sends these messages and waits for all answers. After a refusal nothing more is sent.
    async fn publish_wave(&self, line: &mut Line, batch: &mut Batch<'_>, wave: &[usize]) -> Result<(), Fault> {
        let first_ticket = line.next_ticket;
        let mut to_send = wave.iter();
        let mut in_flight = 0;
        let mut refused = None;
        loop {
            while refused.is_none() && in_flight < IN_FLIGHT_MAX {
                let Some(index) = to_send.next() else { break };
                match self.send(line, &batch.messages[*index]).await {
                    Ok(()) => in_flight += 1,
                    Err(fault @ Fault::TooLarge { .. }) => refused = Some(fault),
                    Err(fault) => return Err(fault),
                }
            }
            if in_flight == 0 {
                return refused.map_or(Ok(()), Err);
            }
            let (ticket, answer) = line.answer().await?;
            let place = ticket.checked_sub(first_ticket).and_then(|place| usize::try_from(place).ok());
            let Some(index) = place.and_then(|place| wave.get(place)) else { continue };
            in_flight -= 1;
            match answer {
                Ok(()) => batch.is_stored[*index] = true,
                Err(fault) => {
                    refused.get_or_insert(fault);
                }
            }
        }
    }

    async fn send(&self, line: &mut Line, message: &Message) -> Result<(), Fault> {
        let subject = names::subject(&self.config.prefix, &message.channel, &message.key);
        let reply = format!("{}.{}", line.inbox, line.next_ticket);
        let headers = headers::write(message, &self.source);
        let client = line.client();
        let sent = client.publish_with_reply_and_headers(subject, reply, headers, message.payload.clone().into()).await;
        match sent {
            Ok(()) => {
                line.next_ticket += 1;
                Ok(())
            }
            Err(error) if error.kind() == async_nats::client::PublishErrorKind::MaxPayloadExceeded => {
                Err(Fault::TooLarge { bytes: message.payload.len(), bytes_max: client.max_payload() })
            }
            Err(_) => Err(line.broken()),
        }
    }

    fn channel(&self, name: &str) -> Result<&'static Channel, Error> {
        let found = self.channels.iter().find(|channel| channel.name == name);
        found.ok_or_else(|| Error::UnknownChannel { channel: name.to_owned() })
    }
}

impl Batch<'_> {
    /// How many of the first messages are stored.
    fn stored(&self) -> usize {
        self.is_stored.iter().take_while(|is_stored| **is_stored).count()
    }
}

impl Line {
    async fn open(config: &Arc<JetStreamConfig>) -> Result<Self, Fault> {
        let (client, health) = mortal(config).await?;
        supported(&client, config)?;
        let inbox = client.new_inbox();
        let answers = client.subscribe(format!("{inbox}.*")).await;
        let answers = answers.map_err(|error| Fault::Broken(Some(error.to_string())))?;
        let layout = Layout::over(client, config.clone());
        Ok(Line { layout, health, answers, inbox, next_ticket: 0, ensured: HashSet::new() })
    }

    fn client(&self) -> &Client {
        &self.layout.client
    }

    fn is_lost(&self) -> bool {
        self.health.borrow().was_lost
    }

    fn broken(&self) -> Fault {
        Fault::Broken(self.health.borrow().complaint.clone())
    }

    /// A request on a line that is lost meanwhile would wait until it times out.
    async fn ensure(&mut self, channel: &'static Channel) -> Result<(), Fault> {
        let mut health = self.health.clone();
        let lost = async move { health.wait_for(|health| health.was_lost).await.is_ok() };
        let ensured = tokio::select! {
            ensured = self.layout.ensure_stream(channel) => ensured,
            _ = lost => Err(self.broken()),
        };
        ensured?;
        self.ensured.insert(channel.name);
        Ok(())
    }

    /// Waits for the next answer: the ticket of its message, and whether that is stored. Fails as soon as the line is lost.
    async fn answer(&mut self) -> Result<(u64, Result<(), Fault>), Fault> {
        loop {
            let message = tokio::select! {
                biased;
                message = self.answers.next() => message,
                _ = self.health.wait_for(|health| health.was_lost) => None,
            };
            let Some(message) = message else { return Err(self.broken()) };
            let ticket = message.subject.rsplit('.').next().and_then(|ticket| ticket.parse().ok());
            let Some(ticket) = ticket else { continue };
            if message.status == Some(StatusCode::NO_RESPONDERS) {
                return Ok((ticket, Err(Fault::NobodyThere("this subject".to_owned()))));
            }
            let answer = match serde_json::from_slice::<Answer>(&message.payload) {
                Ok(Answer { error: None }) => Ok(()),
                Ok(Answer { error: Some(error) }) => Err(Fault::Refused(error)),
                Err(error) => Err(Fault::Answer(error.to_string())),
            };
            return Ok((ticket, answer));
        }
    }
}
