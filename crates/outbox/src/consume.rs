//! Hands messages to a handler: one after the other within a key, many keys at once.

use crate::parking::Parking;
use crate::{Config, Metrics};
use futures_util::StreamExt;
use futures_util::stream::{FuturesUnordered, unfold};
use lifecycle::{Drain, Rhythm};
use messaging::{Delivery, Message, Subscription};
use std::collections::hash_map::Entry;
use std::collections::{HashMap, VecDeque};
use std::time::Duration;
use store::Store;
use tokio::time::sleep;
use tracing::{error, warn};

/// The pause after the bus could not be read.
const READ_AGAIN_AFTER: Duration = Duration::from_millis(500);
/// The longest pause between two tries of one message; a handler asks for less at first.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(5);

/// How the handling of a message ended. A business refusal is `Done`: it is an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It is dealt with, durably.
    Done,
    /// The infrastructure failed; the same message may succeed later. Burns nothing.
    Retry {
        /// How long to wait; doubled with each try.
        after: Duration,
        /// What failed.
        why: String,
    },
    /// It will never succeed.
    Poison {
        /// What is wrong with it.
        why: String,
    },
}

impl Outcome {
    /// What a failure of the store means for the message at hand.
    #[must_use]
    pub fn of_failure(failure: &(dyn std::error::Error + 'static)) -> Self {
        let mut why = failure.to_string();
        let mut source = failure.source();
        while let Some(cause) = source {
            why = format!("{why}: {cause}");
            source = cause.source();
        }
        Outcome::Retry { after: Duration::from_millis(100), why }
    }
}

/// Deals with messages. It may see a message twice, late, and after its successors.
pub trait Handle: Send + Sync {
    /// Deals with one message.
    fn handle(&self, message: &Message) -> impl Future<Output = Outcome> + Send;
}

/// What a consumer needs beside its subscription and its handler.
#[derive(Debug, Clone)]
pub struct Consumer {
    /// Its name, under which poison is parked.
    pub name: &'static str,
    /// Where poison is parked: the store of the service.
    pub store: Store,
    /// How many keys it handles at once.
    pub config: Config,
    /// Where it counts.
    pub metrics: Metrics,
}

/// Consumes a subscription until it is asked to drain; then it finishes what it has begun.
pub async fn consume<H: Handle>(subscription: Subscription, consumer: Consumer, handler: H, drain: Drain) {
    let Some(parking) = open_parking(&consumer, &drain).await else { return };
    let worker = Worker { handler, parking, metrics: consumer.metrics, consumer: consumer.name, drain: drain.clone() };
    let deliveries = unfold(subscription, |mut subscription| async move {
        let delivery = receive(&mut subscription, consumer.name).await;
        Some((delivery, subscription))
    });
    let mut deliveries = std::pin::pin!(deliveries);
    // Dropped before the subscription ends, so that the next one finds what is undone in its place.
    let mut waiting: HashMap<String, VecDeque<Delivery>> = HashMap::new();
    let mut running = FuturesUnordered::new();
    loop {
        tokio::select! {
            biased;
            () = drain.requested() => break,
            Some(ended) = running.next() => {
                // A key whose message was left undone stays busy, or its successor would overtake it.
                if let Ended::Done { key } = ended
                    && let Some(delivery) = next_of_key(&mut waiting, key)
                {
                    running.push(worker.work(delivery));
                }
            }
            Some(delivery) = deliveries.next(), if running.len() < consumer.config.handled_at_once => {
                running.extend(queue(&mut waiting, delivery).map(|delivery| worker.work(delivery)));
            }
        }
    }
    while running.next().await.is_some() {}
}

/// The parked keys, however often they cannot be read; `None` when the drain is requested first.
async fn open_parking(consumer: &Consumer, drain: &Drain) -> Option<Parking> {
    let mut rhythm = Rhythm::every(READ_AGAIN_AFTER, drain.clone());
    while rhythm.beat().await {
        match Parking::open(consumer.store.clone(), consumer.name).await {
            Ok(parking) => return Some(parking),
            Err(error) => {
                let error = &error as &dyn std::error::Error;
                warn!(consumer = consumer.name, error, "parked keys could not be read");
            }
        }
    }
    None
}

/// The next delivery, however often the channel cannot be read.
async fn receive(subscription: &mut Subscription, consumer: &str) -> Delivery {
    loop {
        match subscription.next().await {
            Ok(delivery) => return delivery,
            Err(error) => warn!(consumer, error = &error as &dyn std::error::Error, "channel could not be read"),
        }
        sleep(READ_AGAIN_AFTER).await;
    }
}

/// Lets a delivery wait behind those of its key, or returns it when there are none.
fn queue(waiting: &mut HashMap<String, VecDeque<Delivery>>, delivery: Delivery) -> Option<Delivery> {
    match waiting.entry(delivery.message().key.clone()) {
        Entry::Occupied(mut busy) => {
            busy.get_mut().push_back(delivery);
            None
        }
        Entry::Vacant(idle) => {
            idle.insert(VecDeque::new());
            Some(delivery)
        }
    }
}

/// The next delivery of a key whose last one is dealt with.
fn next_of_key(waiting: &mut HashMap<String, VecDeque<Delivery>>, key: String) -> Option<Delivery> {
    let Entry::Occupied(mut busy) = waiting.entry(key) else { return None };
    let next = busy.get_mut().pop_front();
    if next.is_none() {
        busy.remove();
    }
    next
}

/// How the work on one delivery ended.
enum Ended {
    /// It was dealt with or parked.
    Done { key: String },
    /// The drain was requested before it could be dealt with; it comes again to whoever consumes next.
    Undone,
}

struct Worker<H> {
    handler: H,
    parking: Parking,
    metrics: Metrics,
    consumer: &'static str,
    drain: Drain,
}

impl<H: Handle> Worker<H> {
    /// Works on one delivery until it is dealt with or parked, or the drain is requested.
    async fn work(&self, delivery: Delivery) -> Ended {
        let message = delivery.message().clone();
        let mut pause = Duration::ZERO;
        loop {
            match self.attempt(&message).await {
                Outcome::Done => break,
                Outcome::Retry { after, why } => {
                    pause = (pause * 2).clamp(after.min(RETRY_AFTER_MAX), RETRY_AFTER_MAX);
                    self.metrics.retried();
                    warn!(consumer = self.consumer, message.id = %message.id, message.kind, error = why, "message will be tried again");
                }
                Outcome::Poison { why } => {
                    error!(consumer = self.consumer, message.id = %message.id, message.kind, error = why, "message parked");
                    match self.parking.park(&message, &why).await {
                        Ok(()) => break self.metrics.parked(),
                        Err(error) => {
                            pause = RETRY_AFTER_MAX;
                            warn!(error = &error as &dyn std::error::Error, "message could not be parked");
                        }
                    }
                }
            }
            tokio::select! {
                () = sleep(pause) => {}
                () = self.drain.requested() => return Ended::Undone,
            }
        }
        delivery.acknowledge();
        self.metrics.handled();
        Ended::Done { key: message.key.clone() }
    }

    async fn attempt(&self, message: &Message) -> Outcome {
        if self.parking.holds(&message.key) {
            return Outcome::Poison { why: "an earlier message of this key is parked".to_owned() };
        }
        self.handler.handle(message).await
    }
}
