//! Orders that are judged over messages.

use crate::grpc::{item, pounds, trattoria};
use crate::house::{House, again, command, on_every_store};
use messaging::Message;
use proto::comanda::messages::v1::{OrderDetailsRejected, OrderDetailsValidated, ValidateOrderDetails};
use proto::comanda::order::v1::rejection::reason::Code;
use proto::comanda::order::v1::{Address, OrderLine};
use proto::comanda::restaurant::v1::{DeliveryArea, MenuItem, Restaurant};
use proto::time::Instant;
use proto::{OrderId, RestaurantId};
use std::time::Duration;

/// An order for one of each, taken now and priced by the first version of the menu.
fn ask(restaurant_id: &str, lines: &[(&str, i64)]) -> ValidateOrderDetails {
    let line = |&(id, units): &(&str, i64)| OrderLine {
        menu_item_id: id.to_owned(),
        quantity: 1,
        unit_price: pounds(units),
        ..OrderLine::default()
    };
    ValidateOrderDetails {
        order_id: OrderId::generate().to_string(),
        restaurant_id: restaurant_id.to_owned(),
        lines: lines.iter().map(line).collect(),
        order_total: pounds(lines.iter().map(|(_, units)| units).sum()),
        menu_version: 1,
        delivery_address: Some(Address { postal_code: "E1 6AN".to_owned(), ..Address::default() }),
        create_time: Some(Instant::now().into()),
    }
}

fn message(ask: &ValidateOrderDetails) -> Message {
    command(&ask.order_id, ask)
}

/// The menu version and the reasons of a refusal.
async fn refused(house: &mut House, ask: &ValidateOrderDetails) -> (i64, Vec<(Code, String)>) {
    let rejected: OrderDetailsRejected = house.ask(&message(ask)).await;
    assert_eq!(rejected.order_id, ask.order_id);
    assert!(rejected.reasons.iter().all(|reason| reason.message.ends_with('.')));
    let reasons = rejected.reasons.into_iter().map(|reason| (reason.code(), reason.field));
    (rejected.menu_version, reasons.collect())
}

on_every_store! {
    an_order_that_can_be_cooked_is_validated,
    a_refusal_names_all_reasons_with_their_fields,
    an_id_that_no_restaurant_has_is_a_refusal,
    the_menu_before_counts_for_a_minute,
    a_revised_menu_is_judged_by_at_once,
    a_restaurant_that_stops_taking_orders_still_cooks_what_was_ordered_before,
    a_command_that_comes_again_gets_the_same_reply_whatever_happened_meanwhile,
    what_cannot_be_understood_is_parked_and_other_keys_flow,
}

async fn an_order_that_can_be_cooked_is_validated(mut house: House) {
    let restaurant = house.create(trattoria(vec![item("a", 9)])).await;
    let ask = ask(&restaurant.restaurant_id, &[("a", 9), ("a", 9)]);

    let validated: OrderDetailsValidated = house.ask(&message(&ask)).await;

    assert_eq!(validated, OrderDetailsValidated { order_id: ask.order_id, menu_version: 1 });
}

async fn a_refusal_names_all_reasons_with_their_fields(mut house: House) {
    let gone = MenuItem { available: Some(false), ..item("b", 8) };
    let postal_code_prefixes = vec!["N1".to_owned()];
    let restaurant = Restaurant {
        accepts_orders: Some(false),
        minimum_order: pounds(100),
        delivery_area: Some(DeliveryArea { postal_code_prefixes }),
        ..trattoria(vec![item("a", 9), gone])
    };
    let restaurant = house.create(restaurant).await;
    let ask = ask(&restaurant.restaurant_id, &[("a", 9), ("b", 8), ("a", 10), ("x", 1)]);

    let expected = [
        (Code::RestaurantNotAcceptingOrders, "restaurantId"),
        (Code::MenuItemUnavailable, "lines[1].menuItemId"),
        (Code::MenuChanged, "lines[2].unitPrice"),
        (Code::MenuItemUnknown, "lines[3].menuItemId"),
        (Code::MinimumOrderNotMet, "orderTotal"),
        (Code::OutsideDeliveryArea, "deliveryAddress.postalCode"),
    ];
    let expected = expected.map(|(code, field)| (code, field.to_owned())).to_vec();
    assert_eq!(refused(&mut house, &ask).await, (1, expected));
}

async fn an_id_that_no_restaurant_has_is_a_refusal(mut house: House) {
    for restaurant_id in [&RestaurantId::generate().to_string(), "nowhere", ""] {
        let expected = vec![(Code::RestaurantUnknown, "restaurantId".to_owned())];
        assert_eq!(refused(&mut house, &ask(restaurant_id, &[("a", 9)])).await, (0, expected));
    }
}

async fn the_menu_before_counts_for_a_minute(mut house: House) {
    let restaurant = house.create(trattoria(vec![item("a", 9)])).await;
    house.revise(&restaurant.restaurant_id, vec![item("a", 10)]).await.unwrap();
    let soon = ask(&restaurant.restaurant_id, &[("a", 9)]);
    let late = Some(Instant::now().plus(Duration::from_secs(61)).into());
    let late = ValidateOrderDetails { create_time: late, ..ask(&restaurant.restaurant_id, &[("a", 9)]) };

    let validated: OrderDetailsValidated = house.ask(&message(&soon)).await;

    assert_eq!(validated.menu_version, 2);
    let expected = vec![(Code::MenuChanged, "lines[0].unitPrice".to_owned())];
    assert_eq!(refused(&mut house, &late).await, (2, expected));
}

async fn a_revised_menu_is_judged_by_at_once(mut house: House) {
    let restaurant = house.create(trattoria(vec![item("a", 9)])).await;
    let priced_by = |menu_version, units| {
        let ask = ask(&restaurant.restaurant_id, &[("a", units)]);
        message(&ValidateOrderDetails { menu_version, ..ask })
    };
    let mut versions = Vec::new();

    for menu_version in 1..=4 {
        let validated: OrderDetailsValidated = house.ask(&priced_by(menu_version, 8 + menu_version)).await;
        versions.push(validated.menu_version);
        house.revise(&restaurant.restaurant_id, vec![item("a", 9 + menu_version)]).await.unwrap();
        let validated: OrderDetailsValidated = house.ask(&priced_by(menu_version, 8 + menu_version)).await;
        versions.push(validated.menu_version);
    }

    assert_eq!(versions, [1, 2, 2, 3, 3, 4, 4, 5]);
    let unheard_of = ValidateOrderDetails { menu_version: 5, ..ask(&restaurant.restaurant_id, &[("a", 9)]) };
    let expected = vec![(Code::MenuChanged, "lines[0].unitPrice".to_owned())];
    assert_eq!(refused(&mut house, &unheard_of).await, (5, expected));
}

async fn a_restaurant_that_stops_taking_orders_still_cooks_what_was_ordered_before(mut house: House) {
    let restaurant = house.create(trattoria(vec![item("a", 9)])).await;
    let before = ask(&restaurant.restaurant_id, &[("a", 9)]);
    house.update(Restaurant { accepts_orders: Some(false), ..restaurant.clone() }, &["accepts_orders"]).await.unwrap();
    let after = ask(&restaurant.restaurant_id, &[("a", 9)]);

    let _validated: OrderDetailsValidated = house.ask(&message(&before)).await;
    let (_, reasons) = refused(&mut house, &after).await;

    assert_eq!(reasons, [(Code::RestaurantNotAcceptingOrders, "restaurantId".to_owned())]);
}

async fn a_command_that_comes_again_gets_the_same_reply_whatever_happened_meanwhile(mut house: House) {
    let restaurant = house.create(trattoria(vec![item("a", 9)])).await;
    let first = message(&ask(&restaurant.restaurant_id, &[("a", 9)]));
    let second = again(&first);

    let validated: OrderDetailsValidated = house.ask(&first).await;
    house.update(Restaurant { minimum_order: pounds(50), ..restaurant }, &["minimum_order"]).await.unwrap();
    let validated_again: OrderDetailsValidated = house.ask(&second).await;

    assert_eq!(validated, validated_again);
    assert_eq!(house.number("SELECT count(*) FROM inbox").await, 1);
}

async fn what_cannot_be_understood_is_parked_and_other_keys_flow(mut house: House) {
    let restaurant = house.create(trattoria(vec![item("a", 9)])).await;
    let message = |ask: ValidateOrderDetails| message(&ask);
    let fine = || ask(&restaurant.restaurant_id, &[("a", 9)]);
    let unknown = Message { kind: "comanda.messages.v1.Sing".to_owned(), ..message(fine()) };
    let garbled = Message { payload: vec![0xff; 9], ..message(fine()) };
    let timeless = message(ValidateOrderDetails { create_time: None, ..fine() });
    let nobodys = message(ValidateOrderDetails { order_id: "42".to_owned(), ..fine() });

    for command in [&unknown, &garbled, &timeless, &nobodys] {
        house.send(command).await;
    }
    let _validated: OrderDetailsValidated = house.ask(&message(fine())).await;

    house.eventually("SELECT count(*) FROM parked", 4).await;
    assert_eq!(house.number("SELECT count(*) FROM parked WHERE why LIKE '%create_time is required%'").await, 1);
}
