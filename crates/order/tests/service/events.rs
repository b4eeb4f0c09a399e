//! What whoever follows orders hears of them.

use crate::house::{House, on_every_store};
use proto::channel::{ORDER_EVENTS, decode, kind};
use proto::comanda::messages::v1::{OrderChanged, OrderCreated};
use proto::comanda::order::v1::order::State;
use proto::comanda::order::v1::{CancelOrderRequest, GetOrderRequest, Order};
use std::collections::BTreeMap;
use tonic::Code;

impl House {
    /// The order in the next event, which says of which version it is.
    async fn version(&mut self) -> Order {
        let event = self.event().await;
        let order = match event.kind.as_str() {
            it if it == kind::<OrderCreated>() => decode::<OrderCreated>(&event.payload).unwrap().order.unwrap(),
            it if it == kind::<OrderChanged>() => decode::<OrderChanged>(&event.payload).unwrap().order.unwrap(),
            other => panic!("{other} is no event about an order"),
        };
        assert_eq!((event.channel.as_str(), &event.key), (ORDER_EVENTS, &order.order_id));
        assert_eq!(event.effect_id, format!("{}:v{}", order.order_id, order.version));
        assert_eq!(event.kind == kind::<OrderCreated>(), order.version == 1);
        order
    }
}

on_every_store! {
    each_version_of_an_order_is_one_event_in_order,
    the_events_of_many_orders_have_no_gap,
}

async fn each_version_of_an_order_is_one_event_in_order(mut house: House) {
    let called = house.call(house.wish()).await.unwrap();
    house.approve(&called.order_id).await;

    let mut versions = Vec::new();
    for _ in 1..=4 {
        versions.push(house.version().await);
    }

    assert_eq!(versions[0], called);
    let states: Vec<State> = versions.iter().map(Order::state).collect();
    assert_eq!(states, [State::Pending, State::ConsumerValidated, State::Validated, State::Approved]);
    let request = GetOrderRequest { order_id: called.order_id };
    assert_eq!(versions[3], house.calls.get_order(request).await.unwrap().into_inner());
}

async fn the_events_of_many_orders_have_no_gap(mut house: House) {
    let mut order_ids = Vec::new();
    for _ in 0..20 {
        order_ids.push(house.call(house.wish()).await.unwrap().order_id);
    }
    for order_id in &order_ids {
        house.approve(order_id).await;
        let request = CancelOrderRequest { order_id: order_id.clone() };
        // Whichever is faster: an order that is approved cannot be cancelled any more.
        if let Err(refused) = house.calls.cancel_order(request).await {
            assert_eq!(refused.code(), Code::FailedPrecondition);
        }
    }
    house.eventually("SELECT count(*) FROM orders WHERE state <= 4", 0).await;

    let mut versions: BTreeMap<String, Vec<i64>> = BTreeMap::new();
    for _ in 0..house.number("SELECT count(*) FROM history").await {
        let order = house.version().await;
        versions.entry(order.order_id).or_default().push(order.version);
    }
    assert_eq!(versions.len(), order_ids.len());
    for (order_id, versions) in versions {
        let expected: Vec<i64> = (1..).take(versions.len()).collect();
        assert_eq!(versions, expected, "{order_id}");
    }
}
