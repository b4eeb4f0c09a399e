//! A stream that messages go to, through our bus or past it.

use super::site::{Broker, DRAIN, KEYS, PAYLOAD_BYTES, bus, key, stream_name};
use crate::Measured;
use async_nats::jetstream::stream::Stream;
use async_nats::jetstream::{self, Context};
use async_nats::{Client, ConnectOptions, HeaderMap};
use futures_util::StreamExt;
use messaging::{Bus, Message, MessageId};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// Messages that are sent and not acknowledged, as many as the publisher of `messaging` allows.
const IN_FLIGHT_MAX: usize = 4096;
/// How often it is looked whether everything is there.
const LOOK_EVERY: Duration = Duration::from_millis(5);
/// How long it may take until everything is there.
const WITHIN: Duration = Duration::from_secs(120);
/// Messages whose place is checked.
const CHECKED: u32 = 100;

/// A stream and the two ways to it.
pub(super) struct Target {
    bus: Bus,
    client: Client,
    context: Context,
    stream: Stream,
    prefix: String,
    /// The sequence of the last message that stood there before.
    before: u64,
}

/// A message as it is given to NATS.
pub(super) struct Outgoing {
    subject: String,
    headers: HeaderMap,
    payload: Vec<u8>,
}

impl Target {
    /// Makes a new stream, with one message in it.
    pub(super) async fn open(broker: Broker<'_>, name: &str) -> Measured<Self> {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let prefix = format!("{name}{}", NUMBER.fetch_add(1, Ordering::Relaxed));
        let bus = bus(broker, &prefix).await?;
        // What it is to look like, and the cause for the bus to make the stream.
        bus.publish(&[Message::new(DRAIN, "bench.v1.Message", key(0), "effect-0".to_owned(), vec![0; PAYLOAD_BYTES])])
            .await?;
        let options = ConnectOptions::new().skip_subject_validation(true);
        let client = options.connect(broker.nats.urls()).await?;
        let context = jetstream::new(client.clone());
        let stream = context.get_stream(stream_name(&prefix, DRAIN)).await?;
        Ok(Target { bus, client, context, stream, prefix, before: 1 })
    }

    pub(super) fn bus(&self) -> &Bus {
        &self.bus
    }

    /// Waits until so many more messages are there.
    pub(super) async fn receives(&mut self, messages: u32) -> Measured<()> {
        let (deadline, last) = (Instant::now() + WITHIN, self.before + u64::from(messages));
        loop {
            let is = self.stream.info().await?.state.last_sequence;
            if is >= last {
                self.before = is;
                return Ok(());
            }
            if Instant::now() > deadline {
                return Err(format!("{is} messages of {last} are there after {WITHIN:?}").into());
            }
            sleep(LOOK_EVERY).await;
        }
    }

    /// Looks whether nothing more is there: what is to be drained must not have been drained before.
    pub(super) async fn has_received_nothing(&mut self) -> Measured<()> {
        match self.stream.info().await?.state.last_sequence - self.before {
            0 => Ok(()),
            messages => Err(format!("{messages} messages were published before they were to be").into()),
        }
    }

    /// Looks whether the last so many messages stand in the order of their rows.
    pub(super) async fn is_in_order(&self, messages: u32) -> Measured<()> {
        for number in (1..=messages).step_by((messages / CHECKED).max(1) as usize) {
            let sequence = self.before - u64::from(messages) + u64::from(number);
            let message = self.stream.get_raw_message(sequence).await?;
            let effect = message.headers.get("ce-effectid").map(|it| it.as_str().to_owned()).unwrap_or_default();
            if effect != format!("effect-{number}") {
                return Err(format!("message {number} is {effect}").into());
            }
        }
        Ok(())
    }

    /// The same messages as in the outbox, as the bus gives them to NATS.
    pub(super) async fn prepare(&self, messages: u32) -> Measured<Vec<Outgoing>> {
        let pattern = self.stream.get_raw_message(1).await?;
        let outgoing = |number: u32| {
            let (id, mut headers) = (MessageId::generate().to_string(), pattern.headers.clone());
            headers.insert(async_nats::header::NATS_MESSAGE_ID, id.as_str());
            headers.insert("ce-id", id);
            headers.insert("ce-effectid", format!("effect-{number}"));
            headers.insert("ce-subject", key(number % KEYS));
            let subject = format!("{}.{DRAIN}.{}", self.prefix, key(number % KEYS));
            Outgoing { subject, headers, payload: pattern.payload.to_vec() }
        };
        Ok((1..=messages).map(outgoing).collect())
    }

    /// Publishes messages past the bus, many on their way at once, and returns when all of them are stored.
    pub(super) async fn publish(&self, messages: Vec<Outgoing>) -> Measured<()> {
        let inbox = self.client.new_inbox();
        let mut answers = self.client.subscribe(format!("{inbox}.*")).await?;
        let mut in_flight = 0;
        let mut messages = messages.into_iter().enumerate();
        loop {
            while in_flight < IN_FLIGHT_MAX {
                let Some((number, Outgoing { subject, headers, payload })) = messages.next() else { break };
                let reply = format!("{inbox}.{number}");
                self.client.publish_with_reply_and_headers(subject, reply, headers, payload.into()).await?;
                in_flight += 1;
            }
            if in_flight == 0 {
                return Ok(());
            }
            let answer = answers.next().await.ok_or("the line to NATS was lost")?;
            if answer.payload.windows(7).any(|it| it == b"\"error\"") {
                return Err(String::from_utf8_lossy(&answer.payload).into_owned().into());
            }
            in_flight -= 1;
        }
    }

    pub(super) async fn delete(self) -> Measured<()> {
        self.context.delete_stream(stream_name(&self.prefix, DRAIN)).await?;
        Ok(())
    }
}
