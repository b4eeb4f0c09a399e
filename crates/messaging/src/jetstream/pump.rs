//! Pulls the messages of one consumer into its cursor, through every interruption.
//!
//! Requests are made here rather than by the client's own stream, for two reasons: what is asked for follows what is held, and every
//! doubt about a pending request, most of all a missing heartbeat, ends in binding again.

use super::connection::{Health, chain, supported};
use super::cursor::{Cursor, Standing};
use super::fault::Fault;
use super::headers::{self, Place};
use super::layout::Layout;
use super::{config::JetStreamConfig, names};
use crate::Channel;
use async_nats::{HeaderMap, StatusCode, Subscriber, connection::State};
use futures_util::StreamExt;
use serde::Serialize;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{oneshot, watch};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, sleep_until, timeout};
use tracing::{debug, warn};

/// How long a request for messages waits for them before it is made anew.
const PULL_EXPIRES: Duration = Duration::from_secs(30);

/// How often a broker that has nothing to send says that it still has the request.
const HEARTBEAT: Duration = Duration::from_secs(4);

/// Two heartbeats and a second for the way: then the request is lost, and a line that went dead is found within 15 s.
const SILENCE_MAX: Duration = Duration::from_secs(9);

/// A request for fewer messages than this is made only when no other is pending, so that a busy consumer does not ask for each single one.
const PULL_MIN: usize = 64;

/// The pauses before binding again: as short as a restart of the broker takes, as long as an idle system should notice.
const BIND_AGAIN_AFTER: Duration = Duration::from_millis(50);
const BIND_AGAIN_AFTER_MAX: Duration = Duration::from_secs(2);

/// How often the broker is asked whether a subscription is caught up, as long as it is not.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// How long the last words of a subscription may take.
const FAREWELL_WITHIN: Duration = Duration::from_secs(2);

/// One subscription's supply.
pub(super) struct Pump {
    pub(super) config: Arc<JetStreamConfig>,
    pub(super) layout: Layout,
    pub(super) health: watch::Receiver<Health>,
    pub(super) channel: &'static Channel,
    pub(super) consumer: &'static str,
    pub(super) cursor: Arc<Cursor>,
}

/// What a pump's line to the broker is in the middle of.
struct Session {
    inbox: Subscriber,
    inbox_name: String,
    /// Messages asked for that did not come yet.
    asked: usize,
    /// When anything came.
    heard: Instant,
}

#[derive(Serialize)]
struct Pull {
    batch: usize,
    expires: u128,
    idle_heartbeat: u128,
}

impl Pump {
    /// Runs until the subscription is dropped, and then gives back what came too late. Says by `bound` how the first attempt ended.
    pub(super) async fn run(mut self, mut stop: oneshot::Receiver<()>, bound: oneshot::Sender<Result<(), Fault>>) {
        let mut bound = Some(bound);
        let mut pause = BIND_AGAIN_AFTER;
        loop {
            let attempt = tokio::select! {
                biased;
                _ = &mut stop => return,
                session = self.bind() => session,
            };
            let fault = match attempt {
                Ok(mut session) => {
                    answer(&mut bound, Ok(()));
                    pause = BIND_AGAIN_AFTER;
                    tokio::select! {
                        biased;
                        _ = &mut stop => return self.farewell(session).await,
                        fault = self.pull(&mut session) => fault,
                    }
                }
                Err(fault) => fault,
            };
            self.explain(&fault);
            answer(&mut bound, Err(fault));
            tokio::select! {
                biased;
                _ = &mut stop => return,
                () = sleep(pause) => {}
            }
            pause = (pause * 2).min(BIND_AGAIN_AFTER_MAX);
        }
    }

    fn explain(&self, fault: &Fault) {
        let (channel, consumer) = (self.channel.name, self.consumer);
        if matches!(fault, Fault::Away(_)) {
            debug!(channel, consumer, "NATS is away; looking for it");
        } else {
            warn!(channel, consumer, error = chain(fault), "a subscription was interrupted; binding again");
        }
    }

    /// Waits for the line, sees to the stream and the consumer, and asks where that stands.
    async fn bind(&mut self) -> Result<Session, Fault> {
        if self.layout.client.connection_state() != State::Connected {
            let connected = timeout(BIND_AGAIN_AFTER_MAX, self.health.changed()).await;
            if connected.is_err() || self.layout.client.connection_state() != State::Connected {
                return Err(Fault::Away(None));
            }
        }
        // What happens to the line from here on is noticed by the session.
        self.health.mark_unchanged();
        supported(&self.layout.client, &self.config)?;
        let inbox_name = self.layout.client.new_inbox();
        let inbox = self.layout.client.subscribe(inbox_name.clone()).await;
        let inbox = inbox.map_err(|error| Fault::Broken(Some(error.to_string())))?;
        self.layout.ensure_stream(self.channel).await?;
        self.layout.ensure_consumer(self.channel, self.consumer).await?;
        self.settle().await;
        let held = self.cursor.held();
        self.cursor.bind(self.standing().await?, held);
        Ok(Session { inbox, inbox_name, asked: 0, heard: Instant::now() })
    }

    /// Waits until the broker has dealt with the acknowledgements sent so far, so that what it says next includes them.
    async fn settle(&self) {
        let Some(reply) = self.cursor.last_acknowledged() else { return };
        // If no answer comes, the consumer is merely believed to be further behind than it is.
        if let Err(error) = timeout(LOOK_EVERY, self.layout.client.request(reply, "+ACK".into())).await {
            debug!(%error, "the broker did not confirm an acknowledgement");
        }
    }

    async fn standing(&self) -> Result<Standing, Fault> {
        let missing = || Fault::NobodyThere(self.channel.name.to_owned());
        let stream = self.layout.stream(self.channel).await?.ok_or_else(missing)?;
        let consumer = self.layout.consumer(self.channel, self.consumer).await?.ok_or_else(missing)?;
        Ok(Standing {
            created_ns: consumer.created.unix_timestamp_nanos(),
            end: stream.state.last_sequence,
            delivered_to: consumer.delivered.stream_sequence,
            floor: consumer.ack_floor.stream_sequence,
            waiting: consumer.num_pending,
            held: consumer.num_ack_pending,
        })
    }

    /// Asks for messages and takes them, until something is wrong.
    async fn pull(&mut self, session: &mut Session) -> Fault {
        let report_every = Duration::from_millis(self.config.ack_wait_ms) / 3;
        let mut report = interval(report_every.min(LOOK_EVERY));
        report.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut looked = Instant::now();
        loop {
            if let Err(fault) = self.ask(session).await {
                return fault;
            }
            tokio::select! {
                biased;
                _ = self.health.changed() => return Fault::Broken(None),
                message = session.inbox.next() => {
                    let Some(message) = message else { return Fault::Broken(None) };
                    if let Err(fault) = self.receive(session, message) {
                        return fault;
                    }
                }
                () = self.cursor.more_room() => {}
                _ = report.tick() => {
                    self.cursor.report(report_every);
                    if self.cursor.is_behind() && looked.elapsed() >= LOOK_EVERY {
                        looked = Instant::now();
                        match self.standing().await {
                            Ok(standing) => self.cursor.look(standing),
                            Err(fault) => return fault,
                        }
                    }
                }
                () = sleep_until(session.heard + SILENCE_MAX), if session.asked > 0 => {
                    // The line may be dead without knowing it; a new one costs little, and this one serves all consumers.
                    if let Err(error) = self.layout.client.force_reconnect().await {
                        debug!(%error, "the client is closed");
                    }
                    return Fault::TimedOut(SILENCE_MAX.as_millis());
                }
            }
        }
    }

    /// Asks for as many messages as there is room for, if it is worth a request.
    async fn ask(&self, session: &mut Session) -> Result<(), Fault> {
        let batch = self.cursor.room(session.asked);
        if batch == 0 || (session.asked > 0 && batch < PULL_MIN) {
            return Ok(());
        }
        let pull = Pull { batch, expires: PULL_EXPIRES.as_nanos(), idle_heartbeat: HEARTBEAT.as_nanos() };
        let body = serde_json::to_vec(&pull).map_err(|error| Fault::Answer(error.to_string()))?;
        let stream = names::stream(&self.config.prefix, self.channel.name);
        let subject = format!("$JS.API.CONSUMER.MSG.NEXT.{stream}.{}", self.consumer);
        let asked = self.layout.client.publish_with_reply(subject, session.inbox_name.clone(), body.into()).await;
        asked.map_err(|error| Fault::Broken(Some(error.to_string())))?;
        if session.asked == 0 {
            session.heard = Instant::now();
        }
        session.asked += batch;
        Ok(())
    }

    fn receive(&self, session: &mut Session, message: async_nats::Message) -> Result<(), Fault> {
        session.heard = Instant::now();
        match message.status {
            None => {
                session.asked = session.asked.saturating_sub(1);
                self.take(message)
            }
            Some(StatusCode::IDLE_HEARTBEAT) => Ok(()),
            Some(StatusCode::TIMEOUT | StatusCode::NOT_FOUND) => {
                session.asked = session.asked.saturating_sub(not_sent(message.headers.as_ref()));
                Ok(())
            }
            Some(StatusCode::NO_RESPONDERS) => Err(Fault::NobodyThere(self.consumer.to_owned())),
            // The consumer was deleted, its leader changed, the server goes down, or something newer than this program.
            Some(status) => {
                let what = message.description.unwrap_or_default();
                Err(Fault::Broken(Some(format!("{status} {what}"))))
            }
        }
    }

    fn take(&self, message: async_nats::Message) -> Result<(), Fault> {
        let Some(reply) = message.reply else { return Ok(()) };
        let Some(place) = place_of(&reply, &message.subject) else {
            return Err(Fault::Answer(format!("a message to be acknowledged to {reply}")));
        };
        let none = HeaderMap::new();
        let headers = message.headers.as_ref().unwrap_or(&none);
        let sequence = place.sequence;
        let read = headers::read(self.channel.name, headers, message.payload.into(), &place);
        self.cursor.take(sequence, read, reply);
        Ok(())
    }

    /// Stops the supply, gives back what is still coming, and sees that the last acknowledgements leave this process.
    async fn farewell(&self, mut session: Session) {
        let farewell = async {
            if session.inbox.drain().await.is_ok() {
                while let Some(message) = session.inbox.next().await {
                    if let Err(fault) = self.receive(&mut session, message) {
                        debug!(error = chain(&fault), "a message came too late to be given back");
                    }
                }
            }
            self.cursor.report(Duration::MAX);
            self.layout.client.flush().await
        };
        if !matches!(timeout(FAREWELL_WITHIN, farewell).await, Ok(Ok(()))) {
            debug!("the broker did not hear the end of a subscription; it will find out by itself");
        }
    }
}

fn answer(bound: &mut Option<oneshot::Sender<Result<(), Fault>>>, how: Result<(), Fault>) {
    if let Some(bound) = bound.take() {
        // Nobody waits any more if the broker was too slow.
        let _ = bound.send(how).is_ok();
    }
}

/// How many messages an expired request did not get.
fn not_sent(headers: Option<&HeaderMap>) -> usize {
    let pending = headers.and_then(|headers| headers.get("Nats-Pending-Messages"));
    pending.and_then(|pending| pending.as_str().parse().ok()).unwrap_or(usize::MAX)
}

/// Reads where a message lies from where its acknowledgement goes (ADR-15), both of its forms:
/// `$JS.ACK.<stream>.<consumer>.<delivered>.<stream sequence>.<consumer sequence>.<time>.<pending>`, and the same with a domain and an
/// account before the stream and perhaps more at the end.
fn place_of<'a>(reply: &'a str, subject: &'a str) -> Option<Place<'a>> {
    let tokens: Vec<&str> = reply.strip_prefix("$JS.ACK.")?.split('.').collect();
    let tokens = if tokens.len() == 7 { &tokens[..] } else { tokens.get(2..9)? };
    let [stream, _, _, sequence, _, stored_ns, _] = tokens else { return None };
    let (sequence, stored_us) = (sequence.parse().ok()?, stored_ns.parse::<i64>().ok()? / 1_000);
    Some(Place { stream, subject, sequence, stored_us })
}
