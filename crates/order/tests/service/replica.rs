//! The copy of the restaurants, when something is wrong with it.

use crate::house::{House, on_every_store};
use store::{Change, Statement};

on_every_store! {
    a_restaurant_that_the_replica_lost_is_there_again_when_it_is_built_anew,
    a_restaurant_that_the_replica_spoilt_is_right_again_when_it_is_built_anew,
}

const KNOWN: &str = "SELECT count(*) FROM restaurant_replica";
const RIGHT: &str = "SELECT count(*) FROM restaurant_replica WHERE length(document) > 1";

async fn run(house: &House, sql: &'static str) {
    let mut change = Change::new();
    change.push(Statement::new(sql));
    house.store.commit(change).await.unwrap();
}

async fn a_restaurant_that_the_replica_lost_is_there_again_when_it_is_built_anew(mut house: House) {
    house.stop().await;
    run(&house, "DELETE FROM restaurant_replica").await;
    house.start().await;
    assert_eq!(house.number(KNOWN).await, 0);

    order::rebuild_replica(&house.bus).await.unwrap();

    house.eventually(KNOWN, 1).await;
    house.call(house.wish()).await.unwrap();
}

async fn a_restaurant_that_the_replica_spoilt_is_right_again_when_it_is_built_anew(house: House) {
    run(&house, "UPDATE restaurant_replica SET document = substr(document, 1, 1)").await;
    assert_eq!(house.number(RIGHT).await, 0);

    order::rebuild_replica(&house.bus).await.unwrap();

    house.eventually(RIGHT, 1).await;
}
