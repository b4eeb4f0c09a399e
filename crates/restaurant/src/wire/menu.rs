//! Reads the items of a menu.

use crate::domain::{MenuItem, MenuItemId, Text};
use iso_currency::Currency;
use prost::Message;
use proto::comanda::restaurant::v1 as contract;
use proto::text::{check_line, check_lines};
use proto::{Amount, Violation, Violations};
use std::collections::HashMap;

/// Items of a menu at most, as the contract says.
const ITEMS_MAX: usize = 10_000;
/// Bytes of a menu at most. 3 MiB: with the rest of the restaurant it stays below the 4 MiB that a gRPC client takes by default.
const MENU_BYTES_MAX: usize = 3 * 1024 * 1024;

/// Reads the items that a client sent in `field`. Without a currency their prices are read and not compared with it.
pub(crate) fn items(
    field: &str,
    items: &[contract::MenuItem],
    currency: Option<Currency>,
    violations: &mut Violations,
) -> Vec<MenuItem> {
    if items.len() > ITEMS_MAX {
        violations.push(Violation::new(field, format!("must be at most {ITEMS_MAX} items")));
        return Vec::new();
    }
    if items.iter().map(Message::encoded_len).sum::<usize>() > MENU_BYTES_MAX {
        violations.push(Violation::new(field, "must be at most 3 MiB in all; shorten the descriptions"));
        return Vec::new();
    }
    unique(field, items, violations);
    legible(field, items, violations);
    stored_items(field, items, currency, violations)
}

/// Reads items whose number, size and ids were checked when they were taken in: written out again, they may be a little larger.
pub(crate) fn stored_items(
    field: &str,
    items: &[contract::MenuItem],
    currency: Option<Currency>,
    violations: &mut Violations,
) -> Vec<MenuItem> {
    let mut read = Vec::with_capacity(items.len());
    for (number, given) in items.iter().enumerate() {
        match item(given, currency) {
            Ok(item) => read.push(item),
            Err(found) => {
                let parent = format!("{field}[{number}]");
                found.iter().for_each(|violation| violations.push(violation.clone().below(&parent)));
            }
        }
    }
    read
}

/// Refuses control characters. Not where rows are read: some may have been taken in by looser rules.
fn legible(field: &str, items: &[contract::MenuItem], violations: &mut Violations) {
    for (number, item) in items.iter().enumerate() {
        let checked = [
            check_line("menu_item_id", &item.menu_item_id),
            check_line("name", item.name.trim()),
            check_line("category", item.category.trim()),
            check_lines("description", &item.description),
        ];
        for wrong in checked.into_iter().filter_map(Result::err) {
            violations.push(wrong.below(&format!("{field}[{number}]")));
        }
    }
}

fn unique(field: &str, items: &[contract::MenuItem], violations: &mut Violations) {
    let mut first_of_id = HashMap::with_capacity(items.len());
    for (number, id) in items.iter().map(|item| item.menu_item_id.as_str()).enumerate() {
        let first = *first_of_id.entry(id).or_insert(number);
        if first != number && !id.is_empty() {
            let complaint = format!("must be unique in the menu; item {first} has the same");
            violations.push(Violation::new(format!("{field}[{number}].menu_item_id"), complaint));
        }
    }
}

/// Reads an item; fields are named from the item on, so that a good item costs no path.
fn item(item: &contract::MenuItem, currency: Option<Currency>) -> Result<MenuItem, Violations> {
    let mut violations = Violations::new();
    let id = violations.take(MenuItemId::parse("menu_item_id", &item.menu_item_id));
    let name = violations.take(Text::parse("name", &item.name));
    let description = violations.take(Text::parse("description", &item.description));
    let category = violations.take(Text::parse("category", &item.category));
    let price = violations.take(amount("price", item.price.as_ref(), currency));
    let is_available = item.available.unwrap_or(true);
    match (id, name, description, category, price) {
        (Some(id), Some(name), Some(description), Some(category), Some(price)) => {
            Ok(MenuItem { id, name, description, category, price, is_available })
        }
        _ => Err(violations),
    }
}

/// Reads an amount that must be in the restaurant's currency, if that is known.
pub(super) fn amount(
    field: &str,
    money: Option<&proto::google::r#type::Money>,
    currency: Option<Currency>,
) -> Result<Amount, Violation> {
    let amount = Amount::parse(field, money)?;
    match currency {
        Some(currency) if currency != amount.currency => Err(Violation::new(
            format!("{field}.currency_code"),
            format!("must be {}, the restaurant's currency", currency.code()),
        )),
        Some(_) | None => Ok(amount),
    }
}
