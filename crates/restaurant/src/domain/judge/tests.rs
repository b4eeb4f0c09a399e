//! Tests of the judgement: each rule at its boundary, and all of them together.

use super::*;
use crate::domain::restaurant::tests::{area, restaurant};
use crate::domain::{Acceptance, MenuItemId, Text};
use iso_currency::Currency;
use proptest::prelude::*;

/// 2026-01-09 18:30 in London, a Friday; the time at which orders are taken here.
const FRIDAY_EVENING: Instant = Instant(1_767_983_400_000_000);

fn gbp(minor: i64) -> Amount {
    Amount::new(minor, Currency::GBP)
}

fn item(id: &str, minor: i64, is_available: bool) -> MenuItem {
    MenuItem {
        id: MenuItemId::parse("id", id).unwrap(),
        name: Text::parse("name", &format!("Dish {id}")).unwrap(),
        description: Text::parse("description", "").unwrap(),
        category: Text::parse("category", "").unwrap(),
        price: gbp(minor),
        is_available,
    }
}

fn menu(version: i64, items: &[MenuItem]) -> Arc<Menu> {
    Arc::new(Menu::new(version, items.to_vec()))
}

/// A restaurant that is always open, with this menu.
fn known(items: &[MenuItem]) -> Known {
    Known { restaurant: Restaurant { menu: menu(2, items), ..restaurant() }, priced_by: None }
}

fn order(lines: &[(&str, i64)]) -> Order {
    Order {
        restaurant_id: Some(RestaurantId::generate()),
        lines: lines
            .iter()
            .map(|(id, minor)| OrderLine { menu_item_id: (*id).to_owned(), unit_price: gbp(*minor) })
            .collect(),
        total: gbp(lines.iter().map(|(_, minor)| minor).sum()),
        menu_version: 2,
        postal_code: "E1 6AN".to_owned(),
        create_time: FRIDAY_EVENING,
    }
}

#[track_caller]
fn check(known: &Known, order: &Order, expected: &[Reason]) {
    assert_eq!(judge(Some(known), order).err().unwrap_or_default(), expected);
}

#[test]
fn what_is_on_the_menu_at_its_price_is_cooked() {
    check(&known(&[item("a", 500, true), item("b", 0, true)]), &order(&[("a", 500), ("b", 0), ("a", 500)]), &[]);
}

#[test]
fn an_unknown_restaurant_is_the_only_reason() {
    assert_eq!(judge(None, &order(&[("a", 500)])), Err(vec![Reason::RestaurantUnknown]));
}

#[test]
fn orders_are_not_taken_while_the_restaurant_says_so() {
    let mut known = known(&[]);
    let at = |changed_at, accepts_orders| Acceptance { accepts_orders, accepted_before: !accepts_orders, changed_at };

    known.restaurant.acceptance = at(FRIDAY_EVENING, false);
    check(&known, &order(&[]), &[Reason::NotAccepting]);
    known.restaurant.acceptance = at(Instant(FRIDAY_EVENING.0 + 1), false);
    check(&known, &order(&[]), &[]);
    known.restaurant.acceptance = at(Instant(FRIDAY_EVENING.0 + 1), true);
    check(&known, &order(&[]), &[Reason::NotAccepting]);
}

#[test]
fn a_closed_restaurant_says_when_it_was_and_when_it_opens() {
    let mut known = known(&[]);
    let late = OpeningHours { day: Weekday::Friday, opens: 19 * 60, closes: 23 * 60 };
    known.restaurant.profile.opening_hours = vec![late];

    let reasons = judge(Some(&known), &order(&[])).unwrap_err();

    assert_eq!(reasons.len(), 1);
    assert_eq!(
        reasons[0].to_string(),
        "The restaurant was closed when the order was placed, on Friday at 18:30 (Europe/London); \
         it opened next on Friday at 19:00."
    );
}

#[test]
fn each_line_is_judged_by_itself() {
    let known = known(&[item("a", 500, true), item("b", 600, false), item("c", 700, true), item("d", 1, false)]);

    let order = order(&[("a", 500), ("b", 600), ("c", 699), ("x", 1), ("d", 2)]);

    let changed = |line, name: &str, ordered, current| Reason::PriceChanged {
        line,
        name: name.to_owned(),
        ordered: gbp(ordered),
        current: gbp(current),
    };
    check(
        &known,
        &order,
        &[
            Reason::ItemUnavailable { line: 1, name: "Dish b".to_owned() },
            changed(2, "Dish c", 699, 700),
            Reason::ItemUnknown { line: 3, menu_item_id: "x".to_owned() },
            changed(4, "Dish d", 2, 1),
        ],
    );
}

#[test]
fn a_price_in_another_currency_is_another_price() {
    let mut order = order(&[("a", 500)]);
    order.lines[0].unit_price = Amount::new(500, Currency::EUR);

    let reasons = judge(Some(&known(&[item("a", 500, true)])), &order).unwrap_err();

    assert_eq!(reasons[0].to_string(), "\"Dish a\" now costs 5.00 GBP; the order was priced at 5.00 EUR.");
}

/// An order for `a` at 5.00, priced by a menu that was superseded so long before the order was taken.
fn check_superseded(before: &[MenuItem], current: &[MenuItem], age: Duration, expected: &[Reason]) {
    let superseded_at = FRIDAY_EVENING.minus(age);
    let known = Known { priced_by: Some(Superseded { menu: menu(1, before), superseded_at }), ..known(current) };
    check(&known, &Order { menu_version: 1, ..order(&[("a", 500)]) }, expected);
}

#[test]
fn a_menu_counts_for_less_than_60_seconds_after_its_end() {
    let (before, current) = ([item("a", 500, true)], [item("a", 550, true)]);
    let changed = Reason::PriceChanged { line: 0, name: "Dish a".to_owned(), ordered: gbp(500), current: gbp(550) };

    check_superseded(&before, &current, Duration::ZERO, &[]);
    check_superseded(&before, &current, Duration::from_millis(59_999), &[]);
    check_superseded(&before, &current, Duration::from_micros(59_999_999), &[]);
    check_superseded(&before, &current, Duration::from_secs(60), std::slice::from_ref(&changed));
    check_superseded(&before, &current, Duration::from_secs(3_600), &[changed]);
}

#[test]
fn a_menu_that_was_current_when_the_order_was_taken_counts_however_late_it_is_judged() {
    let superseded_at = FRIDAY_EVENING.plus(Duration::from_secs(3_600));
    let priced_by = Some(Superseded { menu: menu(1, &[item("a", 500, true)]), superseded_at });

    check(&Known { priced_by, ..known(&[]) }, &Order { menu_version: 1, ..order(&[("a", 500)]) }, &[]);
}

#[test]
fn an_item_that_is_gone_is_a_change_and_one_that_never_was_is_unknown() {
    let gone = Reason::ItemGone { line: 0, name: "Dish a".to_owned() };
    let unknown = Reason::ItemUnknown { line: 0, menu_item_id: "a".to_owned() };

    check_superseded(&[item("a", 500, true)], &[], Duration::from_secs(59), &[]);
    check_superseded(&[item("a", 500, true)], &[], Duration::from_secs(60), &[gone]);
    check_superseded(&[], &[], Duration::from_secs(1), &[unknown]);
}

#[test]
fn the_menu_before_does_not_count_where_it_did_not_offer_the_item_either() {
    let unavailable = Reason::ItemUnavailable { line: 0, name: "Dish a".to_owned() };
    let second = Duration::from_secs(1);

    check_superseded(&[item("a", 500, false)], &[item("a", 500, false)], second, &[unavailable]);
    check_superseded(&[item("a", 400, true)], &[item("a", 500, true)], second, &[]);
}

#[test]
fn a_total_equal_to_the_minimum_meets_it() {
    let mut known = known(&[item("a", 1_500, true), item("b", 1_499, true)]);
    known.restaurant.profile.minimum_order = Some(gbp(1_500));

    check(&known, &order(&[("a", 1_500)]), &[]);
    let reasons = judge(Some(&known), &order(&[("b", 1_499)])).unwrap_err();
    assert_eq!(reasons, [Reason::BelowMinimum { total: gbp(1_499), minimum: gbp(1_500) }]);
    assert_eq!(reasons[0].to_string(), "The order costs 14.99 GBP; the restaurant cooks from 15.00 GBP on.");
}

#[test]
fn an_address_outside_the_area_is_refused() {
    let mut known = known(&[]);
    known.restaurant.profile.delivery_area = area(&["E1", "E2"]);

    check(&known, &order(&[]), &[]);
    let outside = Order { postal_code: " n1 9gu ".to_owned(), ..order(&[]) };
    check(&known, &outside, &[Reason::OutsideDeliveryArea { postal_code: "n1 9gu".to_owned() }]);
    let without = Order { postal_code: String::new(), ..order(&[]) };
    check(&known, &without, &[Reason::OutsideDeliveryArea { postal_code: String::new() }]);
}

#[test]
fn all_reasons_are_named_at_once() {
    let mut known = known(&[]);
    known.restaurant.acceptance = Acceptance::new(false, Instant(0));
    known.restaurant.profile.minimum_order = Some(gbp(1_500));
    known.restaurant.profile.delivery_area = area(&["N1"]);
    known.restaurant.profile.opening_hours = vec![OpeningHours { day: Weekday::Monday, opens: 0, closes: 60 }];

    let reasons = judge(Some(&known), &order(&[("a", 500)])).unwrap_err();

    assert_eq!(reasons.len(), 5);
    assert!(reasons.iter().all(|reason| reason.to_string().ends_with('.')));
}

proptest! {
    #[test]
    fn an_order_is_refused_exactly_when_some_rule_is_broken(
        accepts: bool,
        offer in proptest::option::of((0..4_i64, any::<bool>())),
        before in proptest::option::of((0..4_i64, any::<bool>(), 58_000_000..62_000_000_i64)),
        price in 0..4_i64,
        minimum in proptest::option::of(0..4_i64),
        inside: bool,
        hours in proptest::collection::vec((0..7_i8, 0..1_440_u16, 0..=1_440_u16), 0..3),
    ) {
        let mut known = known(&offer.map(|(minor, is_available)| item("a", minor, is_available)).into_iter().collect::<Vec<_>>());
        known.priced_by = before.map(|(minor, is_available, age)| Superseded {
            menu: menu(1, &[item("a", minor, is_available)]),
            superseded_at: Instant(FRIDAY_EVENING.0 - age),
        });
        known.restaurant.acceptance = Acceptance::new(accepts, Instant(0));
        known.restaurant.profile.minimum_order = minimum.map(gbp);
        known.restaurant.profile.delivery_area = area(if inside { &["E1"] } else { &["N1"] });
        let spans = hours.iter().map(|(day, opens, closes)| OpeningHours {
            day: Weekday::from_monday_zero_offset(*day).unwrap(),
            opens: *opens,
            closes: *closes,
        });
        known.restaurant.profile.opening_hours = spans.collect();

        let refused = judge(Some(&known), &Order { menu_version: 1, ..order(&[("a", price)]) }).is_err();

        let is_offered = offer == Some((price, true));
        let was_offered = before.is_some_and(|(minor, is_available, age)| minor == price && is_available && age < 60_000_000);
        let at = wall_clock(&known.restaurant.profile.time_zone, FRIDAY_EVENING);
        let is_fine = accepts
            && (is_offered || was_offered)
            && minimum.is_none_or(|minimum| price >= minimum)
            && inside
            && is_open(&known.restaurant.profile.opening_hours, at);
        prop_assert_eq!(refused, !is_fine);
    }
}
