//! Kills the platform under load, again and again, and counts what it had acknowledged.

use e2e::{Shop, all, all_in_state, journey, text, verified, with};
use futures_util::future::join_all;
use serde_json::{Value as Json, json};
use std::cell::RefCell;
use std::collections::{BTreeMap, HashSet};
use std::time::{SystemTime, UNIX_EPOCH};
use testkit::{Comanda, Http, eventually};

/// How often the platform is killed; more in a long run.
const KILLS: &str = "COMANDA_TEST_KILLS";
const KILLS_DEFAULT: u64 = 3;
/// Makes a run like an earlier one.
const SEED: &str = "COMANDA_TEST_SEED";
/// Orders that are placed at once.
const CLIENTS: u64 = 8;
/// Orders that are acknowledged between two kills, at most.
const ORDERS_MAX: u64 = 150;

fn setting(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|value| value.parse().unwrap_or_else(|error| panic!("{name}={value}: {error}")))
}

/// A sequence of numbers that looks random (SplitMix64, Steele et al. 2014).
struct Random(u64);

impl Random {
    fn seeded() -> Self {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("the clock is right");
        let seed = setting(SEED).unwrap_or(u64::from(now.subsec_nanos()));
        println!("{SEED}={seed}");
        Random(seed)
    }

    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % end
    }
}

/// What clients know: their keys, and the ids of orders that were acknowledged.
#[derive(Debug, Default)]
struct Book {
    keys: u64,
    acknowledged: BTreeMap<u64, String>,
}

async fn place(http: &Http, order: &Json, key: u64) -> Result<String, String> {
    let call = http.post("/v1/orders", order).header("idempotency-key", format!("order-{key}"));
    let answer = call.try_send().await?;
    if answer.status == 201 { Ok(text(&answer.json()["orderId"])) } else { Err(answer.text()) }
}

/// Places one order after the other until there is no answer.
async fn client(http: &Http, order: &Json, book: &RefCell<Book>) {
    loop {
        let key = {
            let mut book = book.borrow_mut();
            book.keys += 1;
            book.keys
        };
        let Ok(order_id) = place(http, order, key).await else { return };
        book.borrow_mut().acknowledged.insert(key, order_id);
    }
}

/// Lets clients place orders, and kills the platform when so many more were acknowledged.
async fn kill_under_load(comanda: &mut Comanda, order: &Json, book: &RefCell<Book>, more: u64) {
    let http = comanda.http();
    let goal = book.borrow().acknowledged.len() as u64 + more;
    let kill = async {
        eventually(e2e::DECIDED_WITHIN, async || {
            let there = book.borrow().acknowledged.len() as u64;
            if there >= goal { Ok(()) } else { Err(format!("{there} of {goal} are acknowledged")) }
        })
        .await;
        comanda.kill9();
    };
    futures_util::future::join(join_all((0..CLIENTS).map(|_| client(&http, order, book))), kill).await;
}

/// Repeats the calls that were not answered: each key must give one order, taken before the kill or now.
async fn repeat_unanswered(http: &Http, order: &Json, book: &RefCell<Book>) {
    let keys = book.borrow().keys;
    for key in 1..=keys {
        let known = book.borrow().acknowledged.get(&key).cloned();
        let order_id = place(http, order, key).await.unwrap_or_else(|refusal| panic!("order {key}: {refusal}"));
        assert!(known.is_none_or(|known| known == order_id), "order {key} has another id than was acknowledged");
        book.borrow_mut().acknowledged.insert(key, order_id);
    }
}

#[tokio::test]
async fn an_acknowledged_order_outlives_kills_and_is_decided_once() {
    let mut random = Random::seeded();
    let mut comanda = Comanda::empty().await;
    let shop = Shop::open(&comanda).await;
    let book = RefCell::new(Book::default());

    for round in 1..=setting(KILLS).unwrap_or(KILLS_DEFAULT) {
        kill_under_load(&mut comanda, &shop.order(), &book, random.below(ORDERS_MAX)).await;
        comanda.restart().await;
        println!("kill {round}: {} orders were acknowledged", book.borrow().acknowledged.len());
    }
    let http = comanda.http();
    repeat_unanswered(&http, &shop.order(), &book).await;

    let acknowledged: HashSet<String> = book.take().acknowledged.into_values().collect();
    all_in_state(&http, "APPROVED", acknowledged.len()).await;
    let orders = all(&http, "/v1/orders", "orders").await;
    let listed: HashSet<String> = orders.iter().map(|order| text(&order["orderId"])).collect();
    assert_eq!(listed, acknowledged);
    for order in &orders {
        let journey = journey(&http, &text(&order["orderId"])).await;
        assert_eq!(journey["steps"].as_array().map(Vec::len), Some(4), "{journey}");
    }
    let tickets = all(&http, &format!("/v1/restaurants/{}/tickets", shop.restaurant_id), "tickets").await;
    let of: HashSet<String> = tickets.iter().map(|ticket| text(&ticket["orderId"])).collect();
    assert_eq!((tickets.len(), of), (acknowledged.len(), acknowledged));
    verified(&comanda).await;
}

#[tokio::test]
async fn a_kill_right_after_the_answer_loses_nothing() {
    let mut comanda = Comanda::empty().await;
    let shop = Shop::open(&comanda).await;
    let mut placed = Vec::new();

    for _ in 0..3 {
        placed.push(e2e::place(&comanda.http(), &shop.order()).await);
        comanda.kill9();
        comanda.restart().await;
    }

    all_in_state(&comanda.http(), "APPROVED", placed.len()).await;
    verified(&comanda).await;
}

#[tokio::test]
async fn what_was_changed_outlives_a_kill() {
    let mut comanda = Comanda::empty().await;
    let shop = Shop::open(&comanda).await;
    let path = format!("/v1/consumers/{}", shop.consumer_id);
    let suspended = json!({"state": "SUSPENDED"});
    let changed = comanda.http().call(http::Method::PATCH, &path).json(&suspended).send().await.expect(200);
    comanda.kill9();
    comanda.restart().await;

    assert_eq!(comanda.http().get(path).send().await.expect(200), changed);
    let order = with(&shop.order(), "/lines/0/quantity", json!(1));
    assert_eq!(e2e::reasons(&e2e::place_and_wait(&comanda.http(), &order).await), ["CONSUMER_SUSPENDED"]);
}
