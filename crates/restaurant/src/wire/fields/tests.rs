//! Tests of what comes in: every rule of the contract, with the field that is named when it is broken.

use super::*;
use crate::domain::{MINUTES_PER_DAY, OpeningHours};
use crate::wire;
use jiff::civil::Weekday;
use prost_types::FieldMask;
use proto::Amount;
use proto::google::r#type::{DayOfWeek, Money, TimeOfDay};

fn money(code: &str, units: i64) -> Money {
    Money { currency_code: code.to_owned(), units, nanos: 0 }
}

fn item(id: &str) -> contract::MenuItem {
    contract::MenuItem {
        menu_item_id: id.to_owned(),
        name: "Margherita".to_owned(),
        price: Some(money("GBP", 9)),
        ..contract::MenuItem::default()
    }
}

fn trattoria() -> contract::Restaurant {
    contract::Restaurant {
        name: "Trattoria".to_owned(),
        currency_code: "GBP".to_owned(),
        ..contract::Restaurant::default()
    }
}

fn with_items(items: Vec<contract::MenuItem>) -> contract::Restaurant {
    contract::Restaurant { menu: Some(contract::Menu { version: 7, items }), ..trattoria() }
}

fn with_hours(day: i32, opens: Option<(i32, i32)>, closes: Option<(i32, i32)>) -> contract::Restaurant {
    let time = |(hours, minutes)| TimeOfDay { hours, minutes, seconds: 0, nanos: 0 };
    let span = contract::OpeningHours { day, opens: opens.map(time), closes: closes.map(time) };
    contract::Restaurant { opening_hours: vec![span], ..trattoria() }
}

fn create(restaurant: contract::Restaurant) -> Result<Creation, Vec<String>> {
    creation(&contract::CreateRestaurantRequest { restaurant: Some(restaurant) }).map_err(fields_of)
}

fn update(restaurant: contract::Restaurant, mask: &[&str]) -> Result<Revision, Vec<String>> {
    let update_mask = FieldMask { paths: mask.iter().map(|&path| path.to_owned()).collect() };
    let request = contract::UpdateRestaurantRequest { restaurant: Some(restaurant), update_mask: Some(update_mask) };
    revision(&request, Currency::GBP).map_err(fields_of)
}

#[expect(clippy::needless_pass_by_value, reason = "fits map_err")]
fn fields_of(violations: Violations) -> Vec<String> {
    violations.iter().map(|violation| violation.field.clone()).collect()
}

#[track_caller]
fn check(restaurant: contract::Restaurant, fields: &[&str]) {
    assert_eq!(create(restaurant).err().unwrap_or_default(), fields);
}

#[test]
fn a_restaurant_needs_a_name_and_a_currency() {
    let created = create(trattoria()).unwrap();

    assert!(created.accepts_orders && created.items.is_empty());
    assert_eq!(created.profile.time_zone.iana_name(), Some("UTC"));
    check(contract::Restaurant::default(), &["restaurant.currency_code", "restaurant.name"]);
    check(contract::Restaurant { currency_code: "gbp".to_owned(), ..trattoria() }, &["restaurant.currency_code"]);
    check(contract::Restaurant { name: "n".repeat(201), ..trattoria() }, &["restaurant.name"]);
    let request = contract::CreateRestaurantRequest { restaurant: None };
    assert_eq!(creation(&request).map_err(fields_of).unwrap_err(), ["restaurant"]);
}

#[test]
fn what_people_read_holds_no_control_characters() {
    let area = contract::DeliveryArea { postal_code_prefixes: vec!["E1".to_owned(), "S\0W".to_owned()] };

    check(contract::Restaurant { name: "Tratto\0ria".to_owned(), ..trattoria() }, &["restaurant.name"]);
    check(
        contract::Restaurant { delivery_area: Some(area), ..trattoria() },
        &["restaurant.delivery_area.postal_code_prefixes[1]"],
    );
    let odd = contract::MenuItem {
        name: "Mar\0gherita".to_owned(),
        category: "Piz\nza".to_owned(),
        description: "with\nbasil".to_owned(),
        ..item("a\0")
    };
    check(
        with_items(vec![item("a"), odd]),
        &[
            "restaurant.menu.items[1].menu_item_id",
            "restaurant.menu.items[1].name",
            "restaurant.menu.items[1].category",
        ],
    );
    assert_eq!(
        update(contract::Restaurant { name: "a\0b".to_owned(), ..trattoria() }, &["name"]).unwrap_err(),
        ["restaurant.name"]
    );
}

#[test]
fn a_restaurant_survives_the_way_out_and_in() {
    let prefixes = vec!["E1".to_owned(), "sw1a 1".to_owned()];
    let wanted = contract::Restaurant {
        country_code: "GB".to_owned(),
        time_zone: "Europe/London".to_owned(),
        delivery_area: Some(contract::DeliveryArea { postal_code_prefixes: prefixes }),
        minimum_order: Some(money("GBP", 15)),
        menu: Some(contract::Menu { version: 0, items: vec![item("a"), item("b")] }),
        ..with_hours(5, Some((18, 0)), None)
    };

    let first = create(wanted).unwrap();
    let built =
        crate::domain::Restaurant::new(first.profile.clone(), false, first.items.clone(), proto::time::Instant(0));
    let second = create(wire::restaurant(&built)).unwrap();

    assert_eq!((second.profile, second.items), (first.profile, first.items));
    assert!(!second.accepts_orders);
}

#[test]
fn a_time_zone_is_one_that_is_known() {
    for known in ["Europe/London", "America/New_York", "UTC", "europe/london"] {
        check(contract::Restaurant { time_zone: known.to_owned(), ..trattoria() }, &[]);
    }
    for unknown in ["Europe/Atlantis", "London", " ", "+01:00", "Etc/Unknown"] {
        check(contract::Restaurant { time_zone: unknown.to_owned(), ..trattoria() }, &["restaurant.time_zone"]);
    }
}

#[test]
fn opening_hours_default_to_the_whole_day() {
    let created = create(with_hours(DayOfWeek::Friday.into(), None, None)).unwrap();

    let friday = OpeningHours { day: Weekday::Friday, opens: 0, closes: MINUTES_PER_DAY };
    assert_eq!(created.profile.opening_hours, [friday]);
}

#[test]
fn opening_hours_are_whole_minutes_of_a_day() {
    let (opens, closes) = ("restaurant.opening_hours[0].opens", "restaurant.opening_hours[0].closes");

    check(with_hours(1, Some((23, 59)), Some((24, 0))), &[]);
    check(with_hours(1, Some((22, 0)), Some((2, 0))), &[]);
    check(with_hours(1, Some((24, 0)), Some((2, 0))), &[opens]);
    check(with_hours(1, Some((25, 0)), Some((24, 1))), &[opens, closes]);
    check(with_hours(1, Some((-1, 0)), Some((12, 60))), &[opens, closes]);
    check(with_hours(1, Some((i32::MAX, i32::MAX)), None), &[opens]);
    check(with_hours(0, None, None), &["restaurant.opening_hours[0].day"]);
    check(with_hours(8, None, None), &["restaurant.opening_hours[0].day"]);
    let mut seconds = with_hours(1, Some((9, 0)), Some((12, 0)));
    seconds.opening_hours[0].opens = Some(TimeOfDay { hours: 9, minutes: 0, seconds: 1, nanos: 0 });
    seconds.opening_hours[0].closes = Some(TimeOfDay { hours: 12, minutes: 0, seconds: 0, nanos: 1 });
    check(seconds, &[opens, closes]);
}

#[test]
fn there_are_at_most_100_spans_and_1000_prefixes() {
    let prefixes = |count| contract::Restaurant {
        delivery_area: Some(contract::DeliveryArea { postal_code_prefixes: vec!["E1".to_owned(); count] }),
        ..trattoria()
    };
    let spans = |count| contract::Restaurant {
        opening_hours: vec![contract::OpeningHours { day: 1, opens: None, closes: None }; count],
        ..trattoria()
    };

    check(prefixes(1_000), &[]);
    check(prefixes(1_001), &["restaurant.delivery_area.postal_code_prefixes"]);
    check(spans(100), &[]);
    check(spans(101), &["restaurant.opening_hours"]);
}

#[test]
fn a_prefix_has_1_to_20_characters() {
    let prefixes = ["E1", " ", &"E".repeat(20), &"E".repeat(21)].map(str::to_owned).to_vec();
    let delivery_area = Some(contract::DeliveryArea { postal_code_prefixes: prefixes });

    let field = |number| format!("restaurant.delivery_area.postal_code_prefixes[{number}]");
    check(contract::Restaurant { delivery_area, ..trattoria() }, &[&field(1), &field(3)]);
}

#[test]
fn money_is_in_the_currency_of_the_restaurant() {
    let minimum = |money| contract::Restaurant { minimum_order: Some(money), ..trattoria() };
    let priced = |price| with_items(vec![item("a"), contract::MenuItem { price, ..item("b") }]);

    check(minimum(money("GBP", 0)), &[]);
    check(minimum(money("EUR", 1)), &["restaurant.minimum_order.currency_code"]);
    check(minimum(money("GBP", -1)), &["restaurant.minimum_order"]);
    check(priced(Some(money("GBP", 0))), &[]);
    check(priced(Some(money("EUR", 1))), &["restaurant.menu.items[1].price.currency_code"]);
    check(priced(None), &["restaurant.menu.items[1].price"]);
}

#[test]
fn all_that_is_wrong_with_an_item_is_named() {
    let bad = contract::MenuItem {
        menu_item_id: "i".repeat(101),
        name: String::new(),
        description: "d".repeat(2_001),
        category: "c".repeat(201),
        price: Some(Money { nanos: 5_000_000, ..money("GBP", 1) }),
        available: None,
    };

    let names = ["menu_item_id", "name", "description", "category", "price.nanos"];
    let fields = names.map(|name| format!("restaurant.menu.items[0].{name}"));
    check(with_items(vec![bad]), &fields.each_ref().map(String::as_str));
}

#[test]
fn an_item_is_available_unless_it_is_said_not_to_be() {
    let gone = contract::MenuItem { available: Some(false), ..item("b") };

    let created = create(with_items(vec![item("a"), gone])).unwrap();

    assert_eq!(created.items.iter().map(|item| item.is_available).collect::<Vec<_>>(), [true, false]);
    assert_eq!(created.items[0].price, Amount::new(900, Currency::GBP));
}

#[test]
fn ids_are_unique_in_a_menu() {
    let doubled = with_items(vec![item("a"), item("b"), item("a"), item("A")]);

    check(doubled, &["restaurant.menu.items[2].menu_item_id"]);
}

#[test]
fn a_menu_has_at_most_10000_items_and_3_mib() {
    let items = |count: i32| with_items((0..count).map(|number| item(&number.to_string())).collect());
    let long = |number: i32| contract::MenuItem { description: "d".repeat(2_000), ..item(&number.to_string()) };

    check(items(10_000), &[]);
    check(items(10_001), &["restaurant.menu.items"]);
    check(with_items((0..1_600).map(long).collect()), &["restaurant.menu.items"]);
}

#[test]
fn without_a_mask_every_field_that_is_given_changes() {
    let given = contract::Restaurant { accepts_orders: Some(false), ..trattoria() };

    let revision = update(given, &[]).unwrap();

    assert_eq!(revision.name.map(|name| name.as_str().to_owned()), Some("Trattoria".to_owned()));
    assert_eq!((revision.accepts_orders, revision.time_zone, revision.opening_hours), (Some(false), None, None));
}

#[test]
fn what_cannot_be_changed_is_refused_rather_than_left_out_in_silence() {
    let menu = vec!["restaurant.menu".to_owned()];
    let euros = contract::Restaurant { currency_code: "EUR".to_owned(), accepts_orders: Some(true), ..trattoria() };

    assert_eq!(update(with_items(vec![item("a")]), &[]), Err(menu));
    assert_eq!(update(euros.clone(), &["*"]), Err(vec!["restaurant.currency_code".to_owned()]));
    assert!(update(euros, &["name"]).is_ok());
    assert!(update(with_items(vec![item("a")]), &["name"]).is_ok());
}

#[test]
fn a_mask_clears_what_it_names_and_is_not_given() {
    let paths = ["country_code", "time_zone", "opening_hours", "delivery_area", "minimum_order"];

    let revision = update(contract::Restaurant::default(), &paths).unwrap();

    assert_eq!(revision.minimum_order, Some(None));
    assert_eq!(revision.opening_hours, Some(Vec::new()));
    assert_eq!(revision.delivery_area, Some(crate::domain::DeliveryArea::default()));
    assert_eq!(revision.country_code.map(|code| code.as_str().to_owned()), Some(String::new()));
    assert_eq!(revision.time_zone.and_then(|zone| zone.iana_name().map(str::to_owned)), Some("UTC".to_owned()));
}

#[test]
fn a_name_and_an_acceptance_that_are_named_must_be_given() {
    let fields = vec!["restaurant.name".to_owned(), "restaurant.accepts_orders".to_owned()];

    assert_eq!(update(contract::Restaurant::default(), &["*"]), Err(fields));
}

#[test]
fn a_mask_cannot_name_what_cannot_be_changed() {
    for path in ["restaurant_id", "currency_code", "menu", "create_time", "update_time", "stars", "timeZone", ""] {
        assert_eq!(update(trattoria(), &["name", path]), Err(vec!["update_mask".to_owned()]), "{path:?}");
    }
    assert_eq!(update(trattoria(), &["*", "name"]), Err(vec!["update_mask".to_owned()]));
}
