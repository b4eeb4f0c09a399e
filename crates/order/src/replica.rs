//! What the Order Service knows of restaurants: a copy that follows their events.
//!
//! It is kept in the service's own database, so an order can be priced whatever else is down, and in memory, so that pricing reads nothing.

use crate::domain::{Menu, MenuItem};
use crate::{Error, Metrics};
use messaging::Message;
use outbox::{Handle, Outcome};
use prost::Message as _;
use proto::channel;
use proto::comanda::messages::v1::RestaurantRevised;
use proto::comanda::restaurant::v1::Restaurant;
use proto::time::Instant;
use proto::{Amount, RestaurantId, money};
use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;
use store::{Change, Row, Statement, Store};
use tokio::sync::watch;

/// The restaurants. Clones are the same replica.
#[derive(Debug, Clone)]
pub(crate) struct Replica {
    store: Store,
    known: Arc<RwLock<HashMap<RestaurantId, Known>>>,
    /// Counts what arrived, so that somebody can wait for more.
    news: Arc<watch::Sender<u64>>,
    last_heard: Arc<watch::Sender<Instant>>,
    is_built: watch::Receiver<bool>,
    metrics: Metrics,
}

#[derive(Debug, Clone)]
struct Known {
    version: i64,
    menu: Arc<Menu>,
}

impl Replica {
    /// Loads what is known; `is_built` becomes true when all events that were waiting are taken in.
    pub(crate) async fn load(store: Store, is_built: watch::Receiver<bool>, metrics: Metrics) -> Result<Self, Error> {
        let query = Statement::new("SELECT restaurant_id, version, received_us, document FROM restaurant_replica");
        let rows = store.query(query).await.map_err(Error::store("load the restaurants"))?;
        let mut known = HashMap::new();
        let mut last_heard = Instant::now();
        for row in rows {
            let (id, restaurant, received) = read(row)?;
            last_heard = if known.is_empty() { received } else { last_heard.max(received) };
            known.insert(id, restaurant);
        }
        Ok(Replica {
            store,
            known: Arc::new(RwLock::new(known)),
            news: Arc::new(watch::Sender::new(0)),
            last_heard: Arc::new(watch::Sender::new(last_heard)),
            is_built,
            metrics,
        })
    }

    /// The current menu of a restaurant; waits up to `patience` to learn of it.
    pub(crate) async fn menu(&self, id: RestaurantId, patience: Duration) -> Result<Arc<Menu>, Error> {
        let mut news = self.news.subscribe();
        let mut is_built = self.is_built.clone();
        let arrives = async {
            loop {
                news.mark_unchanged();
                if let Some(menu) = self.find(id) {
                    return menu;
                }
                if news.changed().await.is_err() {
                    std::future::pending::<()>().await;
                }
            }
        };
        match tokio::time::timeout(patience, arrives).await {
            Ok(menu) => Ok(menu),
            Err(_elapsed) if !*is_built.borrow_and_update() => Err(Error::ReplicaNotBuilt),
            Err(_elapsed) => Err(Error::RestaurantUnknown { restaurant_id: id, replica_age: self.age() }),
        }
    }

    /// Whether all events that were waiting at the start are taken in.
    pub(crate) fn is_built(&self) -> bool {
        *self.is_built.borrow()
    }

    /// How many restaurants are known.
    pub(crate) fn size(&self) -> usize {
        self.known.read().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// How long ago it last heard of a restaurant.
    pub(crate) fn age(&self) -> Duration {
        Instant::now().since(*self.last_heard.borrow())
    }

    fn find(&self, id: RestaurantId) -> Option<Arc<Menu>> {
        self.known.read().unwrap_or_else(PoisonError::into_inner).get(&id).map(|known| known.menu.clone())
    }

    async fn take_in(&self, event: RestaurantRevised) -> Result<Outcome, Error> {
        let Some((id, menu)) = event.restaurant.as_ref().and_then(parse) else {
            return Ok(Outcome::Poison { why: "the restaurant cannot be read".to_owned() });
        };
        let received = Instant::now();
        let mut change = Change::new();
        let sql =
            "INSERT INTO restaurant_replica (restaurant_id, version, received_us, document) VALUES (?1, ?2, ?3, ?4)
            ON CONFLICT (restaurant_id) DO UPDATE SET version = excluded.version, received_us = excluded.received_us,
            document = excluded.document WHERE restaurant_replica.version <= excluded.version";
        let document = event.restaurant.unwrap_or_default().encode_to_vec();
        change.push(Statement::new(sql).bind(id.to_string()).bind(event.version).bind(received.0).bind(document));
        self.store.commit(change).await.map_err(Error::store("take in a restaurant"))?;
        self.metrics.replica_missed(self.learn(id, event.version, menu));
        self.last_heard.send_replace(received);
        self.news.send_modify(|count| *count += 1);
        Ok(Outcome::Done)
    }

    /// Takes in what is not stale. Returns how many versions were skipped, which does no harm: an event carries the whole restaurant. What
    /// comes again replaces what is there, so that a replica is built anew by hearing everything again.
    fn learn(&self, id: RestaurantId, version: i64, menu: Menu) -> u64 {
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        let current = known.get(&id).map(|current| current.version);
        if current.is_none_or(|current| current <= version) {
            known.insert(id, Known { version, menu: Arc::new(menu) });
        }
        skipped(current, version)
    }
}

/// How many versions lie between what was known and what is heard now. Who knew nothing has missed nothing.
fn skipped(known: Option<i64>, heard: i64) -> u64 {
    known.map_or(0, |known| u64::try_from(heard.saturating_sub(known).saturating_sub(1)).unwrap_or(0))
}

impl Handle for Replica {
    async fn handle(&self, message: &Message) -> Outcome {
        if message.kind != channel::kind::<RestaurantRevised>() {
            return Outcome::Poison { why: format!("{} is no event about a restaurant", message.kind) };
        }
        match channel::decode::<RestaurantRevised>(&message.payload) {
            Ok(event) => match self.take_in(event).await {
                Ok(outcome) => outcome,
                Err(error) => Outcome::of_failure(&error),
            },
            Err(error) => Outcome::Poison { why: error.to_string() },
        }
    }
}

fn read(mut row: Row) -> Result<(RestaurantId, Known, Instant), Error> {
    let doing = "read a restaurant";
    let text: String = row.take(0).map_err(Error::store(doing))?;
    let document: Vec<u8> = row.take(3).map_err(Error::store(doing))?;
    let restaurant = Restaurant::decode(document.as_slice()).ok();
    let Some((id, menu)) = restaurant.as_ref().and_then(parse) else {
        return Err(Error::Corrupt { order_id: format!("restaurant {text}") });
    };
    let version = row.take(1).map_err(Error::store(doing))?;
    let received = Instant(row.take(2).map_err(Error::store(doing))?);
    Ok((id, Known { version, menu: Arc::new(menu) }, received))
}

/// What pricing needs of a restaurant; `None` when it is not as the contract says.
fn parse(restaurant: &Restaurant) -> Option<(RestaurantId, Menu)> {
    let id = RestaurantId::parse("restaurant_id", &restaurant.restaurant_id).ok()?;
    let currency = money::parse_currency("currency_code", &restaurant.currency_code).ok()?;
    let menu = restaurant.menu.clone().unwrap_or_default();
    let mut items = HashMap::with_capacity(menu.items.len());
    for item in menu.items {
        let price = Amount::parse("price", item.price.as_ref()).ok()?;
        items.insert(item.menu_item_id, MenuItem { name: item.name, price });
    }
    Some((id, Menu { version: menu.version, currency, items }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_that_were_never_heard_of_are_counted() {
        assert_eq!(skipped(None, 7), 0);
        assert_eq!(skipped(Some(6), 7), 0);
        assert_eq!(skipped(Some(3), 7), 3);
        assert_eq!(skipped(Some(7), 7), 0);
        assert_eq!(skipped(Some(9), 7), 0);
    }
}
