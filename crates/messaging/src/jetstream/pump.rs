//! Pulls the messages of one consumer into its cursor, through every interruption.
//!
//! Requests are made here rather than by the client's own stream, for two reasons: what is asked for follows what is held, and every
//! doubt about a pending request, most of all a missing heartbeat, ends in binding again.

use super::arrival::Arrival;
use super::config::JetStreamConfig;
use super::connection::supported;
use super::cursor::Cursor;
use super::fault::{Fault, chain};
use super::line::Line;
use super::manager::Manager;
use super::names;
use super::session::Session;
use super::voice::Verdict;
use crate::Channel;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, timeout};
use tracing::{debug, warn};

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
    pub(super) manager: Manager,
    pub(super) channel: &'static Channel,
    pub(super) consumer: &'static str,
    pub(super) cursor: Arc<Cursor>,
}

impl Pump {
    /// Runs until the subscription is dropped, and then gives back what nobody took. Says by `bound` how the first attempt ended.
    pub(super) async fn run(self, mut stop: oneshot::Receiver<()>, bound: oneshot::Sender<Result<(), Fault>>) {
        let cursor = self.cursor.clone();
        let _turn = tokio::select! {
            biased;
            _ = &mut stop => return,
            turn = cursor.turn() => turn,
        };
        self.supply(&mut stop, bound).await;
        self.cursor.release();
        // Only what leaves this process was said.
        if timeout(FAREWELL_WITHIN, self.line().client.flush()).await.is_err() {
            debug!("the broker did not hear the end of a subscription; it will find out by itself");
        }
    }

    async fn supply(&self, stop: &mut oneshot::Receiver<()>, bound: oneshot::Sender<Result<(), Fault>>) {
        let mut bound = Some(bound);
        let mut pause = BIND_AGAIN_AFTER;
        loop {
            let attempt = tokio::select! {
                biased;
                _ = &mut *stop => return,
                session = self.bind() => session,
            };
            let fault = match attempt {
                Ok(mut session) => {
                    answer(&mut bound, Ok(()));
                    pause = BIND_AGAIN_AFTER;
                    let fault = tokio::select! {
                        biased;
                        _ = &mut *stop => None,
                        fault = self.pull(&mut session) => Some(fault),
                    };
                    self.take(session.finish().await);
                    match fault {
                        Some(Err(fault)) => fault,
                        None => return,
                    }
                }
                Err(fault) => fault,
            };
            self.explain(&fault);
            answer(&mut bound, Err(fault));
            tokio::select! {
                biased;
                _ = &mut *stop => return,
                () = sleep(pause) => {}
            }
            pause = (pause * 2).min(BIND_AGAIN_AFTER_MAX);
        }
    }

    fn explain(&self, fault: &Fault) {
        let (channel, consumer) = (self.channel.name, self.consumer);
        if matches!(fault, Fault::Away(_)) {
            debug!(channel, consumer, error = chain(fault), "NATS is away; looking for it");
        } else {
            warn!(channel, consumer, error = chain(fault), "a subscription was interrupted; binding again");
        }
    }

    fn line(&self) -> &Line {
        &self.manager.line
    }

    /// Waits for the line, sees to the stream and the consumer, and notes where that stands.
    async fn bind(&self) -> Result<Session, Fault> {
        if timeout(BIND_AGAIN_AFTER_MAX, self.line().connected()).await.is_err() {
            return Err(Fault::Away(self.line().complaint()));
        }
        let stream = names::stream(&self.config.prefix, self.channel.name);
        let session =
            Session::open(self.line().clone(), self.channel.name, format!("{stream}.{}", self.consumer)).await?;
        supported(&self.line().client, &self.config)?;
        self.settle().await;
        let held = self.cursor.held();
        let stream = self.manager.ensure_stream(self.channel).await?;
        let consumer = self.manager.ensure_consumer(self.channel, self.consumer).await?;
        self.cursor.bind(&stream, &consumer, held);
        Ok(session)
    }

    /// Waits until the broker has dealt with the acknowledgements sent so far, so that what it says next includes them.
    async fn settle(&self) {
        let Some(reply) = self.cursor.last_acknowledged() else { return };
        let again = self.line().client.request(reply, Verdict::Acknowledged.word().into());
        // If no answer comes, the consumer is merely believed to be further behind than it is.
        if !matches!(timeout(LOOK_EVERY, again).await, Ok(Ok(_))) {
            debug!("the broker did not confirm an acknowledgement");
        }
    }

    /// Asks for messages and takes them, until something is wrong.
    async fn pull(&self, session: &mut Session) -> Result<Infallible, Fault> {
        let report_every = Duration::from_millis(self.config.ack_wait_ms) / 3;
        let mut report = interval(report_every.min(LOOK_EVERY));
        report.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut looked = Instant::now();
        loop {
            session.ask(self.cursor.room(session.asked())).await?;
            tokio::select! {
                biased;
                // First, or a broker that always has something to send would never hear what is still held.
                _ = report.tick() => {
                    self.cursor.report(report_every);
                    if self.cursor.is_behind() && looked.elapsed() >= LOOK_EVERY {
                        looked = Instant::now();
                        self.look().await?;
                    }
                }
                arrival = session.next() => self.take(arrival?),
                () = self.cursor.more_room() => {}
            }
        }
    }

    fn take(&self, arrivals: impl IntoIterator<Item = Arrival>) {
        for Arrival { sequence, message, reply } in arrivals {
            self.cursor.take(sequence, message, reply);
        }
    }

    /// Asks whether the subscription is caught up.
    async fn look(&self) -> Result<(), Fault> {
        let consumer = self.manager.consumer(self.channel, self.consumer).await?;
        self.cursor.look(&consumer.ok_or_else(|| Fault::NobodyThere(self.consumer.to_owned()))?);
        Ok(())
    }
}

fn answer(bound: &mut Option<oneshot::Sender<Result<(), Fault>>>, how: Result<(), Fault>) {
    if let Some(bound) = bound.take() {
        // Nobody waits any more if the broker was too slow.
        drop(bound.send(how));
    }
}
