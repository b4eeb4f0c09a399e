//! Prices an order by the menu that is known here.

use super::draft::DraftLine;
use iso_currency::Currency;
use proto::comanda::order::v1::OrderLine;
use proto::{Amount, Violation, Violations};
use std::collections::HashMap;

/// One version of a restaurant's menu, as far as pricing needs it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Menu {
    pub(crate) version: i64,
    pub(crate) currency: Currency,
    pub(crate) items: HashMap<String, MenuItem>,
}

/// What one item is called and costs.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct MenuItem {
    pub(crate) name: String,
    pub(crate) price: Amount,
}

/// The lines of an order with their prices, and the sum.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Priced {
    pub(crate) lines: Vec<OrderLine>,
    pub(crate) total: Amount,
}

/// Prices lines; refuses items that the menu does not have, and sums that 64 bits do not hold.
pub(crate) fn price(lines: Vec<DraftLine>, menu: &Menu) -> Result<Priced, Violations> {
    let mut wrong = Violations::new();
    let mut total = Amount::new(0, menu.currency);
    let mut priced = Vec::with_capacity(lines.len());
    for (index, line) in lines.into_iter().enumerate() {
        let Some(item) = menu.items.get(&line.menu_item_id) else {
            let complaint = "is not on the restaurant's menu; GET the restaurant for the items that are";
            wrong.push(Violation::new(format!("lines[{index}].menu_item_id"), complaint));
            continue;
        };
        let sum =
            item.price.times(line.quantity.into()).and_then(|line_total| Some((line_total, total.plus(line_total)?)));
        let Some((line_total, sum)) = sum else {
            let complaint = format!("makes the total larger than {} minor units", i64::MAX);
            wrong.push(Violation::new(format!("lines[{index}].quantity"), complaint));
            continue;
        };
        total = sum;
        priced.push(OrderLine {
            menu_item_id: line.menu_item_id,
            name: item.name.clone(),
            quantity: line.quantity,
            unit_price: Some(item.price.into()),
            line_total: Some(line_total.into()),
        });
    }
    if wrong.is_empty() { Ok(Priced { lines: priced, total }) } else { Err(wrong) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn menu(prices: &[(&str, i64)]) -> Menu {
        let item = |(id, minor): &(&str, i64)| {
            let price = Amount::new(*minor, Currency::GBP);
            ((*id).to_owned(), MenuItem { name: id.to_uppercase(), price })
        };
        Menu { version: 7, currency: Currency::GBP, items: prices.iter().map(item).collect() }
    }

    fn lines(lines: &[(&str, i32)]) -> Vec<DraftLine> {
        lines.iter().map(|(id, quantity)| DraftLine { menu_item_id: (*id).to_owned(), quantity: *quantity }).collect()
    }

    fn wrong_fields(priced: Result<Priced, Violations>) -> Vec<String> {
        priced.unwrap_err().iter().map(|it| it.field.clone()).collect()
    }

    #[test]
    fn the_total_is_the_sum_of_the_lines() {
        let priced = price(lines(&[("korma", 2), ("naan", 3)]), &menu(&[("korma", 895), ("naan", 295)])).unwrap();

        assert_eq!(priced.total, Amount::new(2 * 895 + 3 * 295, Currency::GBP));
        assert_eq!(priced.lines[0].name, "KORMA");
        assert_eq!(priced.lines[1].line_total, Some(Amount::new(885, Currency::GBP).into()));
    }

    #[test]
    fn an_item_may_stand_on_several_lines() {
        let priced = price(lines(&[("naan", 1), ("naan", 2)]), &menu(&[("naan", 295)])).unwrap();

        assert_eq!(priced.lines.len(), 2);
        assert_eq!(priced.total.minor, 3 * 295);
    }

    #[test]
    fn every_item_that_is_not_on_the_menu_is_named() {
        let fields = wrong_fields(price(lines(&[("x", 1), ("naan", 1), ("y", 1)]), &menu(&[("naan", 295)])));

        assert_eq!(fields, ["lines[0].menu_item_id", "lines[2].menu_item_id"]);
    }

    #[test]
    fn a_total_beyond_64_bits_is_refused() {
        let dear = menu(&[("gold", i64::MAX / 2)]);

        assert_eq!(wrong_fields(price(lines(&[("gold", 3)]), &dear)), ["lines[0].quantity"]);
        assert_eq!(wrong_fields(price(lines(&[("gold", 2), ("gold", 1)]), &dear)), ["lines[1].quantity"]);
    }
}
