//! Hands messages to a handler: one after the other within a key, many keys at once.

use crate::parking::{Behind, Parking, storable};
use crate::{Config, Metrics, Outcome, redrive};
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

/// Consumes a subscription until it is asked to drain; then it finishes what it has begun. Meanwhile it handles what an operator wants to
/// be redriven, whichever process the operator asked.
pub async fn consume<H: Handle>(subscription: Subscription, consumer: Consumer, handler: H, drain: Drain) {
    let Some(parking) = open_parking(&consumer, &drain).await else { return };
    let worker = Worker { handler, parking, metrics: consumer.metrics, consumer: consumer.name, drain };
    tokio::join!(worker.deliver(subscription, consumer.config.handled_at_once), redrive::run(&worker));
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

/// How the tries of one message ended.
pub(crate) enum Settled {
    /// It was dealt with.
    Done,
    /// It cannot be handled.
    Poison {
        /// Why.
        why: String,
    },
    /// The drain was requested before it could be dealt with.
    Undone,
}

/// What handles the messages of one consumer.
pub(crate) struct Worker<H> {
    handler: H,
    pub(crate) parking: Parking,
    pub(crate) metrics: Metrics,
    pub(crate) consumer: &'static str,
    pub(crate) drain: Drain,
}

impl<H: Handle> Worker<H> {
    /// Works on what is delivered, until the drain.
    async fn deliver(&self, subscription: Subscription, at_once: usize) {
        let deliveries = unfold(subscription, |mut subscription| async move {
            let delivery = receive(&mut subscription, self.consumer).await;
            Some((delivery, subscription))
        });
        let mut deliveries = std::pin::pin!(deliveries);
        // Dropped before the subscription ends, so that the next one finds what is undone in its place.
        let mut waiting: HashMap<String, VecDeque<Delivery>> = HashMap::new();
        let mut running = FuturesUnordered::new();
        loop {
            tokio::select! {
                biased;
                () = self.drain.requested() => break,
                Some(ended) = running.next() => {
                    // A key whose message was left undone stays busy, or its successor would overtake it.
                    if let Ended::Done { key } = ended
                        && let Some(delivery) = next_of_key(&mut waiting, key)
                    {
                        running.push(self.work(delivery));
                    }
                }
                Some(delivery) = deliveries.next(), if running.len() < at_once => {
                    running.extend(queue(&mut waiting, delivery).map(|delivery| self.work(delivery)));
                }
            }
        }
        while running.next().await.is_some() {}
    }

    /// Works on one delivery until it is dealt with or parked, or the drain is requested.
    async fn work(&self, delivery: Delivery) -> Ended {
        let message = storable(delivery.message());
        let is_dealt_with = match self.park_behind(&message).await {
            Some(true) => true,
            Some(false) => match self.settle(&message).await {
                Settled::Done => true,
                Settled::Poison { why } => {
                    error!(consumer = self.consumer, message.id = %message.id, message.kind, error = why, "message parked");
                    self.park(&message, &why).await
                }
                Settled::Undone => false,
            },
            None => false,
        };
        if !is_dealt_with {
            return Ended::Undone;
        }
        delivery.acknowledge();
        self.metrics.handled();
        Ended::Done { key: message.key.clone() }
    }

    /// Tries one message until it is dealt with or cannot be, or the drain is requested.
    pub(crate) async fn settle(&self, message: &Message) -> Settled {
        let (mut pause, mut faults) = (Duration::ZERO, 0);
        loop {
            let (after, why) = match self.handler.handle(message).await {
                Outcome::Done => return Settled::Done,
                Outcome::Poison { why } => return Settled::Poison { why },
                Outcome::Retry { after, why } => (after, why),
                Outcome::Fault { after, why } => {
                    faults += 1;
                    if faults >= Outcome::TRIES_MAX {
                        return Settled::Poison { why: format!("failed {faults} times: {why}") };
                    }
                    (after, why)
                }
            };
            pause = (pause * 2).clamp(after.min(RETRY_AFTER_MAX), RETRY_AFTER_MAX);
            self.metrics.retried();
            warn!(consumer = self.consumer, message.id = %message.id, message.kind, error = why, "message will be tried again");
            if !self.slept(pause).await {
                return Settled::Undone;
            }
        }
    }

    /// Parks a message if its key is parked, and says whether it is; `None` when the drain is requested before that is known.
    async fn park_behind(&self, message: &Message) -> Option<bool> {
        while self.parking.suspects(&message.key) {
            match self.parking.park_behind(message).await {
                Ok(Behind::Free) => return Some(false),
                Ok(Behind::Repeated) => return Some(true),
                Ok(Behind::New) => {
                    self.metrics.parked();
                    warn!(consumer = self.consumer, message.id = %message.id, message.kind, "message parked behind its key");
                    return Some(true);
                }
                Err(error) => warn!(error = &error as &dyn std::error::Error, "message could not be parked"),
            }
            if !self.slept(RETRY_AFTER_MAX).await {
                return None;
            }
        }
        Some(false)
    }

    /// Parks a message however often that fails; false when the drain is requested first.
    async fn park(&self, message: &Message, why: &str) -> bool {
        loop {
            match self.parking.park(message, why).await {
                Ok(is_new) => {
                    if is_new {
                        self.metrics.parked();
                    }
                    return true;
                }
                Err(error) => warn!(error = &error as &dyn std::error::Error, "message could not be parked"),
            }
            if !self.slept(RETRY_AFTER_MAX).await {
                return false;
            }
        }
    }

    /// Sleeps; false when the drain is requested instead.
    async fn slept(&self, pause: Duration) -> bool {
        tokio::select! {
            () = sleep(pause) => true,
            () = self.drain.requested() => false,
        }
    }
}
