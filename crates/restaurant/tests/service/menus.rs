//! Revisions of restaurants and menus, and what everybody is told of them.

use crate::grpc::{check_fields, item, trattoria};
use crate::house::{House, on_every_store};
use lifecycle::Drain;
use messaging::Message;
use prost::Message as _;
use proto::channel::{RESTAURANT_EVENTS, decode, kind};
use proto::comanda::messages::v1::RestaurantRevised;
use proto::comanda::restaurant::v1::{MenuItem, Restaurant};
use store::{Change, Statement};

#[track_caller]
fn check_event(event: &Message, version: i64, restaurant: &Restaurant) {
    assert_eq!(
        (event.channel.as_str(), event.kind.as_str()),
        (RESTAURANT_EVENTS, kind::<RestaurantRevised>().as_str())
    );
    assert_eq!(event.key, restaurant.restaurant_id);
    assert_eq!(event.effect_id, format!("{}:RestaurantRevised:{version}", restaurant.restaurant_id));
    let told: RestaurantRevised = decode(&event.payload).unwrap();
    assert_eq!(told, RestaurantRevised { version, restaurant: Some(restaurant.clone()) });
}

on_every_store! {
    everybody_is_told_of_each_change_once_and_in_order,
    what_the_bus_has_lost_is_told_again,
    publishing_again_ends_with_the_service,
    a_revision_replaces_the_menu_and_keeps_the_one_before,
    a_menu_that_ended_30_days_ago_is_dropped,
    revisions_at_the_same_time_each_have_a_version_of_their_own,
    prices_of_a_revision_are_in_the_currency_of_the_restaurant,
    a_menu_as_large_as_it_may_be_can_be_read_again,
}

async fn everybody_is_told_of_each_change_once_and_in_order(mut house: House) {
    let created = house.create(trattoria(vec![item("a", 9)])).await;
    check_event(&house.event().await, 1, &created);
    let closed = Restaurant { accepts_orders: Some(false), ..created };
    let updated = house.update(closed, &["accepts_orders"]).await.unwrap();
    check_event(&house.event().await, 2, &updated);
    house.update(updated.clone(), &["accepts_orders"]).await.unwrap();
    let revised = house.revise(&updated.restaurant_id, vec![item("a", 10)]).await.unwrap();
    check_event(&house.event().await, 3, &revised);

    assert_eq!(revised.menu.map(|menu| menu.version), Some(2));
    assert_eq!(revised.accepts_orders, Some(false));
}

async fn what_the_bus_has_lost_is_told_again(mut house: House) {
    let first = house.create(trattoria(vec![item("a", 9)])).await;
    house.event().await;
    let second = house.create(trattoria(vec![item("b", 8)])).await;
    house.event().await;
    let revised = house.revise(&first.restaurant_id, vec![item("a", 10)]).await.unwrap();
    house.event().await;

    let count = restaurant::republish(&house.store, &Drain::new()).await.unwrap();

    assert_eq!(count, 2);
    check_event(&house.event().await, 2, &revised);
    check_event(&house.event().await, 1, &second);
}

async fn publishing_again_ends_with_the_service(mut house: House) {
    house.create(trattoria(Vec::new())).await;
    let drain = Drain::new();
    drain.request();

    let stopped = restaurant::republish(&house.store, &drain).await;

    assert!(matches!(stopped, Err(restaurant::Error::Stopped)), "{stopped:?}");
}

async fn a_revision_replaces_the_menu_and_keeps_the_one_before(mut house: House) {
    let before = house.create(trattoria(vec![item("a", 9), item("b", 8)])).await;

    let after = house.revise(&before.restaurant_id, vec![item("b", 7)]).await.unwrap();

    let menu = after.menu.clone().unwrap();
    assert_eq!((menu.version, menu.items.len(), menu.items[0].menu_item_id.as_str()), (2, 1, "b"));
    assert_eq!(house.get(&before.restaurant_id).await.unwrap(), after);
    assert_eq!(house.number("SELECT count(*) FROM menu WHERE version = 1 AND superseded_at_us IS NOT NULL").await, 1);
}

async fn a_menu_that_ended_30_days_ago_is_dropped(mut house: House) {
    let restaurant = house.create(trattoria(Vec::new())).await;
    house.revise(&restaurant.restaurant_id, Vec::new()).await.unwrap();
    let mut aged = Change::new();
    let days_31 = 31_i64 * 24 * 3_600 * 1_000_000;
    aged.push(Statement::new("UPDATE menu SET superseded_at_us = superseded_at_us - ?1").bind(days_31));
    house.store.commit(aged).await.unwrap();

    house.revise(&restaurant.restaurant_id, Vec::new()).await.unwrap();

    assert_eq!(house.number("SELECT min(version) FROM menu").await, 2);
    assert_eq!(house.number("SELECT count(*) FROM menu").await, 2);
}

async fn revisions_at_the_same_time_each_have_a_version_of_their_own(mut house: House) {
    let restaurant = house.create(trattoria(Vec::new())).await;
    let revise = |units| {
        let mut client = house.client.clone();
        let restaurant_id = restaurant.restaurant_id.clone();
        async move {
            let items = vec![item("a", units)];
            let request = proto::comanda::restaurant::v1::ReviseMenuRequest { restaurant_id, items };
            client.revise_menu(request).await.unwrap().into_inner().menu.unwrap().version
        }
    };

    let versions = tokio::join!(revise(1), revise(2), revise(3), revise(4), revise(5));

    let mut versions = <[i64; 5]>::from(versions);
    versions.sort_unstable();
    assert_eq!(versions, [2, 3, 4, 5, 6]);
    assert_eq!(house.number("SELECT version FROM restaurant").await, 6);
}

async fn prices_of_a_revision_are_in_the_currency_of_the_restaurant(mut house: House) {
    let restaurant = house.create(trattoria(Vec::new())).await;
    let mut euros = item("a", 9);
    euros.price.as_mut().unwrap().currency_code = "EUR".to_owned();

    let refused = house.revise(&restaurant.restaurant_id, vec![item("b", 1), euros]).await.unwrap_err();

    check_fields(&refused, &["items[1].price.currency_code"]);
}

async fn a_menu_as_large_as_it_may_be_can_be_read_again(mut house: House) {
    let restaurant = house.create(trattoria(Vec::new())).await;
    let dish =
        |number: i32, chars: usize| MenuItem { description: "d".repeat(chars), ..item(&format!("{number:05}"), 9) };
    let bytes = 3 * 1024 * 1024;
    let full = i32::try_from(bytes / dish(0, 2_000).encoded_len()).unwrap();
    let mut items: Vec<MenuItem> = (0..full).map(|number| dish(number, 2_000)).collect();
    let rest = bytes - items.iter().map(MenuItem::encoded_len).sum::<usize>();
    items.push(dish(full, rest - dish(full, 200).encoded_len() + 200));

    let revised = house.revise(&restaurant.restaurant_id, items.clone()).await.unwrap();

    assert_eq!(items.iter().map(MenuItem::encoded_len).sum::<usize>(), bytes);
    assert_eq!(house.get(&restaurant.restaurant_id).await.unwrap(), revised);
}
