//! Orders by message: what a client does that speaks with the broker alone.

#![expect(clippy::unwrap_used, reason = "in a test a failure is a panic")]

use async_nats::jetstream::{self, consumer::pull::OrderedConfig};
use e2e::{DECIDED_WITHIN, Shop, consumer, restaurant};
use futures_util::StreamExt;
use prost::Message;
use proto::comanda::messages::v1::{OrderChanged, OrderCreated};
use tempfile::TempDir;
use testkit::{Finished, Member, Process, Stack, StackOptions, eventually};
use tokio::time::timeout;

/// The example client, which orders two of an item.
struct Client {
    process: Process,
    _folder: TempDir,
}

impl Client {
    /// Starts it when there is something to subscribe to: the Order Service may still be connecting to the broker.
    async fn start(stack: &Stack, shop: &Shop, menu_item_id: &str) -> Self {
        let jetstream = jetstream::new(async_nats::connect(stack.nats.url()).await.unwrap());
        eventually(DECIDED_WITHIN, async || {
            let stream = jetstream.get_stream("COMANDA_ORDER_ANSWERS").await;
            stream.map(|_| ()).map_err(|error| error.to_string())
        })
        .await;
        let folder = TempDir::new().unwrap();
        let arguments = [&stack.nats.url(), &shop.consumer_id, &shop.restaurant_id, menu_item_id];
        let process = Process::example("order_by_message", folder.path(), &arguments);
        Client { process, _folder: folder }
    }

    async fn end(mut self) -> Finished {
        self.process.wait(DECIDED_WITHIN).await
    }
}

/// A platform whose Order Service waits for a restaurant that was opened a moment ago, on however busy a machine.
async fn platform() -> Stack {
    let wait = ("COMANDA_ORDER__REPLICA_WAIT_MS".to_owned(), "20000".to_owned());
    Stack::start(&StackOptions { env: vec![wait], ..StackOptions::default() }).await
}

/// What the example prints about one order.
fn order_of(line: &str) -> (&str, &str) {
    let order = line.split_once(": ").and_then(|(_, order)| order.split_once(" is "));
    order.unwrap_or_else(|| panic!("{line} is about no order"))
}

#[tokio::test]
async fn the_example_client_is_told_of_its_order_and_of_its_end() {
    if !servers::are_there() {
        return;
    }
    let stack = platform().await;
    let shop = Shop::open_with(&stack.http(), &restaurant(), &consumer()).await;

    let done = Client::start(&stack, &shop, "curry").await.end().await;
    let lines: Vec<&str> = done.stdout.lines().collect();
    let refused = Client::start(&stack, &shop, "gold").await.end().await;

    let [accepted, decided] = lines[..] else { panic!("{done:?}") };
    let (order_id, state) = order_of(accepted);
    assert_eq!((state, order_of(decided)), ("PENDING", (order_id, "APPROVED")));
    assert_eq!(refused.stdout.lines().count(), 1, "{refused:?}");
    assert!(refused.stdout.starts_with("refused: lines[0].menu_item_id is not on the"), "{refused:?}");
    let order = stack.http().get(format!("/v1/orders/{order_id}")).send().await.expect(200);
    assert_eq!(order["state"], "APPROVED");
    assert_eq!(versions(&stack, order_id).await, [1, 2, 3, 4]);
    assert_eq!(stack.verify().await.0, Some(0));
}

#[tokio::test]
async fn a_client_is_told_of_the_end_of_its_order_whatever_was_killed_meanwhile() {
    if !servers::are_there() {
        return;
    }
    let mut stack = platform().await;
    let shop = Shop::open_with(&stack.http(), &restaurant(), &consumer()).await;
    stack.kill9(Member::Consumer);

    let client = Client::start(&stack, &shop, "curry").await;
    eventually(DECIDED_WITHIN, async || match client.process.stdout() {
        accepted if accepted.starts_with("accepted") => Ok(()),
        other => Err(format!("{other}{}", client.process.stderr())),
    })
    .await;
    stack.kill9(Member::Order);
    stack.spawn(Member::Order);
    stack.spawn(Member::Consumer);

    let done = client.end().await;
    assert!(done.stdout.lines().last().is_some_and(|decided| decided.ends_with("is APPROVED")), "{done:?}");
}

/// The versions of one order, as the stream of events has them.
async fn versions(stack: &Stack, order_id: &str) -> Vec<i64> {
    let jetstream = jetstream::new(async_nats::connect(stack.nats.url()).await.unwrap());
    let stream = jetstream.get_stream("COMANDA_ORDER_EVENTS").await.unwrap();
    let filter_subject = format!("comanda.order.events.{order_id}");
    let only_this = OrderedConfig { filter_subject, ..OrderedConfig::default() };
    let mut events = stream.create_consumer(only_this).await.unwrap().messages().await.unwrap();
    let mut versions = Vec::new();
    for version in 1..=4 {
        let event = timeout(DECIDED_WITHIN, events.next()).await.expect("an event for each version").unwrap().unwrap();
        let payload = event.payload.clone();
        let order = match version {
            1 => OrderCreated::decode(payload).unwrap().order,
            _ => OrderChanged::decode(payload).unwrap().order,
        };
        versions.push(order.unwrap().version);
    }
    versions
}
