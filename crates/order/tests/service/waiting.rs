//! An order whose answers do not come for a long time.

use crate::house::{House, on_every_store};
use proto::comanda::order::v1::GetOrderRequest;
use proto::comanda::order::v1::order::State;
use store::{Change, Statement};

on_every_store! {
    an_order_that_waited_for_two_days_is_not_rejected_and_is_approved_when_the_answers_come,
}

/// Two days, in steps that are longer than any pause between two attempts.
const STEPS: i64 = 12;
const STEP_US: i64 = 4 * 3_600 * 1_000_000;

/// Makes what waits as old as if so much more time had passed.
async fn age(house: &House) {
    let mut change = Change::new();
    let sql = "UPDATE obligation SET due_us = due_us - ?1, since_us = since_us - ?1, sent_us = sent_us - ?1";
    change.push(Statement::new(sql).bind(STEP_US));
    house.store.commit(change).await.unwrap();
}

async fn state(house: &mut House, order_id: &str) -> State {
    let request = GetOrderRequest { order_id: order_id.to_owned() };
    house.calls.get_order(request).await.unwrap().into_inner().state()
}

async fn an_order_that_waited_for_two_days_is_not_rejected_and_is_approved_when_the_answers_come(mut house: House) {
    let order = house.call(house.wish()).await.unwrap();

    for step in 1..=STEPS {
        age(&house).await;
        // Each of its two commands is sent once more.
        house.eventually("SELECT CAST(sum(attempt) AS BIGINT) FROM obligation", 2 * (step + 1)).await;
    }
    assert_eq!(state(&mut house, &order.order_id).await, State::Pending);

    house.approve(&order.order_id).await;
    house.eventually("SELECT count(*) FROM orders WHERE state = 5", 1).await;
    assert_eq!(state(&mut house, &order.order_id).await, State::Approved);
}
