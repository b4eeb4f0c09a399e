//! A client's request, read and checked field by field.

use proto::comanda::order::v1 as wire;
use proto::time::Instant;
use proto::{ConsumerId, RestaurantId, Violation, Violations};
use std::ops::RangeInclusive;

/// Lines of an order at most; the largest of 13,397 real ones has 60.
const LINES_MAX: usize = 500;
const QUANTITY: RangeInclusive<i32> = 1..=999;
const MENU_ITEM_ID_CHARS_MAX: usize = 100;
const REQUEST_ID_CHARS: RangeInclusive<usize> = 0..=255;
const ADDRESS_LINES_MAX: usize = 5;
const ADDRESS_LINE_CHARS_MAX: usize = 200;
const CITY_CHARS_MAX: usize = 100;
const POSTAL_CODE_CHARS_MAX: usize = 20;

/// An order that somebody wants to place; its shape is right.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Draft {
    pub(crate) consumer_id: ConsumerId,
    pub(crate) restaurant_id: RestaurantId,
    pub(crate) lines: Vec<DraftLine>,
    pub(crate) delivery_address: wire::Address,
    pub(crate) validate_by: Option<Instant>,
}

/// One line of it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct DraftLine {
    pub(crate) menu_item_id: String,
    /// 1 to 999.
    pub(crate) quantity: i32,
}

impl Draft {
    /// Reads a request that arrived at `now`.
    pub(crate) fn parse(request: wire::CreateOrderRequest, now: Instant) -> Result<Self, Violations> {
        let mut wrong = Violations::new();
        let consumer_id = wrong.take(ConsumerId::parse("consumer_id", &request.consumer_id));
        let restaurant_id = wrong.take(RestaurantId::parse("restaurant_id", &request.restaurant_id));
        let lines = parse_lines(request.lines, &mut wrong);
        let delivery_address = parse_address(request.delivery_address, &mut wrong);
        wrong.take(check_printable("request_id", &request.request_id, REQUEST_ID_CHARS));
        let validate_by = wrong.take(parse_validate_by(request.validate_by.as_ref(), now));
        match (consumer_id, restaurant_id, delivery_address, validate_by) {
            (Some(consumer_id), Some(restaurant_id), Some(delivery_address), Some(validate_by)) if wrong.is_empty() => {
                Ok(Draft { consumer_id, restaurant_id, lines, delivery_address, validate_by })
            }
            _ => Err(wrong),
        }
    }
}

fn parse_lines(lines: Vec<wire::CreateOrderLine>, wrong: &mut Violations) -> Vec<DraftLine> {
    if lines.is_empty() {
        wrong.push(Violation::new("lines", "must hold at least one line"));
    }
    if lines.len() > LINES_MAX {
        wrong.push(Violation::new("lines", format!("must hold at most {LINES_MAX} lines, not {}", lines.len())));
        return Vec::new();
    }
    let parse = |(index, line): (usize, wire::CreateOrderLine)| {
        let below = format!("lines[{index}]");
        wrong.take(
            check_text("menu_item_id", &line.menu_item_id, 1..=MENU_ITEM_ID_CHARS_MAX).map_err(|it| it.below(&below)),
        );
        if !QUANTITY.contains(&line.quantity) {
            let complaint = format!("must be {} to {}, not {}", QUANTITY.start(), QUANTITY.end(), line.quantity);
            wrong.push(Violation::new("quantity", complaint).below(&below));
        }
        DraftLine { menu_item_id: line.menu_item_id, quantity: line.quantity }
    };
    lines.into_iter().enumerate().map(parse).collect()
}

fn parse_address(address: Option<wire::Address>, wrong: &mut Violations) -> Option<wire::Address> {
    let Some(address) = address else {
        wrong.push(Violation::required("delivery_address"));
        return None;
    };
    let mut check = |field: &str, text: &str, chars| {
        wrong.take(check_text(field, text, chars).map_err(|it| it.below("delivery_address")));
    };
    for (index, line) in address.lines.iter().take(ADDRESS_LINES_MAX).enumerate() {
        check(&format!("lines[{index}]"), line, 1..=ADDRESS_LINE_CHARS_MAX);
    }
    check("city", &address.city, 1..=CITY_CHARS_MAX);
    check("postal_code", &address.postal_code, 0..=POSTAL_CODE_CHARS_MAX);
    if address.lines.is_empty() || address.lines.len() > ADDRESS_LINES_MAX {
        wrong.push(Violation::new("delivery_address.lines", format!("must hold 1 to {ADDRESS_LINES_MAX} lines")));
    }
    let code = address.country_code.as_bytes();
    if code.len() != 2 || !code.iter().all(u8::is_ascii_uppercase) {
        let complaint = "must be two capital letters (ISO 3166-1 alpha-2), such as GB";
        wrong.push(Violation::new("delivery_address.country_code", complaint));
    }
    Some(address)
}

/// The text, if it has so many characters and all of them are printable ASCII. One that may be empty may be left out.
pub(crate) fn check_printable<'a>(
    field: &str,
    text: &'a str,
    chars: RangeInclusive<usize>,
) -> Result<&'a str, Violation> {
    let is_printable = text.bytes().all(|byte| (b' '..=b'~').contains(&byte));
    if !is_printable || !chars.contains(&text.len()) {
        return Err(Violation::new(field, format!("must be 1 to {} printable ASCII characters", chars.end())));
    }
    Ok(text)
}

fn parse_validate_by(validate_by: Option<&prost_types::Timestamp>, now: Instant) -> Result<Option<Instant>, Violation> {
    match Instant::parse("validate_by", validate_by)? {
        Some(instant) if instant <= now => Err(Violation::new("validate_by", "must be in the future")),
        other => Ok(other),
    }
}

fn check_text(field: &str, text: &str, chars: RangeInclusive<usize>) -> Result<(), Violation> {
    let count = text.chars().count();
    if *chars.start() > 0 && text.trim().is_empty() {
        return Err(Violation::required(field));
    }
    if !chars.contains(&count) {
        return Err(Violation::new(field, format!("must be at most {} characters, not {count}", chars.end())));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const NOW: Instant = Instant(1_000_000_000_000_000);

    fn good() -> wire::CreateOrderRequest {
        wire::CreateOrderRequest {
            consumer_id: ConsumerId::generate().to_string(),
            restaurant_id: RestaurantId::generate().to_string(),
            lines: vec![wire::CreateOrderLine { menu_item_id: "korma".to_owned(), quantity: 1 }],
            delivery_address: Some(wire::Address {
                lines: vec!["1 Brick Lane".to_owned()],
                city: "London".to_owned(),
                postal_code: "E1 6QL".to_owned(),
                country_code: "GB".to_owned(),
            }),
            request_id: String::new(),
            validate_by: None,
        }
    }

    #[track_caller]
    fn check(spoil: impl FnOnce(&mut wire::CreateOrderRequest), fields: &[&str]) {
        let mut request = good();
        spoil(&mut request);
        let wrong = Draft::parse(request, NOW).err().unwrap_or_default();
        assert_eq!(wrong.iter().map(|it| it.field.as_str()).collect::<Vec<_>>(), fields);
    }

    fn address(request: &mut wire::CreateOrderRequest) -> &mut wire::Address {
        request.delivery_address.as_mut().unwrap()
    }

    #[test]
    fn a_good_request_is_taken() {
        check(|_| {}, &[]);
    }

    #[test]
    fn ids_are_uuids() {
        check(|it| it.consumer_id = "me".to_owned(), &["consumer_id"]);
        check(|it| it.restaurant_id.clear(), &["restaurant_id"]);
    }

    #[test]
    fn an_order_has_one_to_five_hundred_lines() {
        check(|it| it.lines.clear(), &["lines"]);
        check(|it| it.lines = vec![it.lines[0].clone(); 500], &[]);
        check(|it| it.lines = vec![it.lines[0].clone(); 501], &["lines"]);
    }

    #[test]
    fn a_quantity_is_1_to_999() {
        for bad in [0, -1, 1000, 1_000_000_000, i32::MIN] {
            check(|it| it.lines[0].quantity = bad, &["lines[0].quantity"]);
        }
        check(|it| it.lines[0].quantity = 999, &[]);
    }

    #[test]
    fn a_menu_item_id_has_1_to_100_characters() {
        check(|it| it.lines[0].menu_item_id.clear(), &["lines[0].menu_item_id"]);
        check(|it| it.lines[0].menu_item_id = "é".repeat(100), &[]);
        check(|it| it.lines[0].menu_item_id = "é".repeat(101), &["lines[0].menu_item_id"]);
    }

    #[test]
    fn an_address_is_complete() {
        check(|it| it.delivery_address = None, &["delivery_address"]);
        check(|it| address(it).lines.clear(), &["delivery_address.lines"]);
        check(|it| address(it).lines = vec![" ".to_owned()], &["delivery_address.lines[0]"]);
        check(|it| address(it).lines = vec!["x".to_owned(); 6], &["delivery_address.lines"]);
        check(|it| address(it).city.clear(), &["delivery_address.city"]);
        check(|it| address(it).postal_code = "x".repeat(21), &["delivery_address.postal_code"]);
        check(|it| address(it).postal_code.clear(), &[]);
        check(|it| address(it).country_code = "gb".to_owned(), &["delivery_address.country_code"]);
        check(|it| address(it).country_code = "é".to_owned(), &["delivery_address.country_code"]);
    }

    #[test]
    fn a_request_id_is_printable_and_bounded() {
        check(|it| it.request_id = "a".repeat(255), &[]);
        check(|it| it.request_id = "a".repeat(256), &["request_id"]);
        check(|it| it.request_id = "a\nb".to_owned(), &["request_id"]);
    }

    #[test]
    fn validate_by_lies_ahead() {
        check(|it| it.validate_by = Some(NOW.into()), &["validate_by"]);
        check(|it| it.validate_by = Some(Instant(NOW.0 + 1).into()), &[]);
    }

    #[test]
    fn all_that_is_wrong_is_named_at_once() {
        check(
            |it| {
                it.consumer_id.clear();
                it.lines[0].quantity = 0;
                address(it).city.clear();
            },
            &["consumer_id", "lines[0].quantity", "delivery_address.city"],
        );
    }

    proptest! {
        #[test]
        fn no_request_makes_it_panic(consumer in ".{0,40}", item in ".{0,120}", quantity: i32, seconds: i64, nanos: i32) {
            let mut request = good();
            request.consumer_id = consumer;
            request.lines[0] = wire::CreateOrderLine { menu_item_id: item, quantity };
            request.validate_by = Some(prost_types::Timestamp { seconds, nanos });
            let _parsed = Draft::parse(request, NOW);
        }
    }
}
