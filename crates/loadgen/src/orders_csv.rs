//! Reads published orders and works out what each must cost.
//!
//! The file has one row for each line of an order, and the rows of an order need not stand together. The menu decides the price; the
//! row's own price may be an older one, and is only counted. An order with a row that cannot be used is withheld as a whole.

use crate::error::Error;
use import::record::{self, BadLine, Row};
use import::{menu_csv, price};
use iso_currency::Currency;
use proto::Amount;
use proto::comanda::order::v1::CreateOrderLine;
use proto::comanda::restaurant::v1::MenuItem;
use std::collections::HashMap;
use std::path::Path;

/// The columns of the file.
const COLUMNS: [&str; 6] = ["ordernumber", "orderdate", "itemname", "quantity", "productprice", "totalproducts"];
/// Lines of an order at most; `CreateOrderRequest.lines` in the contract.
const LINES_MAX: usize = 500;
/// How many of one item at most; `CreateOrderLine.quantity`.
const QUANTITY_MAX: i32 = 999;

/// What a file of orders says.
#[derive(Debug, Clone, PartialEq)]
pub struct Orders {
    /// The orders, in the order in which they first appear.
    pub orders: Vec<Order>,
    /// Rows that cannot be used.
    pub bad_lines: Vec<BadLine>,
    /// Orders that are withheld, since a row of theirs cannot be used.
    pub withheld: usize,
}

impl Orders {
    /// Rows of all orders.
    #[must_use]
    pub fn lines(&self) -> usize {
        self.orders.iter().map(|order| order.lines.len()).sum()
    }

    /// Rows with another price than the menu has.
    #[must_use]
    pub fn other_price_lines(&self) -> usize {
        self.orders.iter().map(|order| order.other_price_lines).sum()
    }
}

/// One order of the file.
#[derive(Debug, Clone, PartialEq)]
pub struct Order {
    /// Its number in the file.
    pub number: String,
    /// What was ordered.
    pub lines: Vec<CreateOrderLine>,
    /// What it must cost by the menu.
    pub expected: Amount,
    /// How many of its rows have another price than the menu.
    pub other_price_lines: usize,
}

/// The one menu that orders are priced by.
#[derive(Debug, Clone)]
pub struct Menu {
    /// The ids and prices of its items; of several with one name, the first.
    items: HashMap<String, (String, Amount)>,
    currency: Currency,
}

impl Menu {
    /// Reads the menu of a file that has one restaurant.
    ///
    /// # Errors
    /// When the file is no such menu.
    pub fn read(path: &Path, currency: Currency) -> Result<Self, Error> {
        let mut file = menu_csv::read(path, currency)?;
        match (file.restaurants.pop(), file.restaurants.len()) {
            (Some(restaurant), 0) => Ok(Menu::new(&restaurant.items, currency)),
            (_, others) => Err(Error::SeveralRestaurants { path: path.to_owned(), count: others + 1 }),
        }
    }

    /// The menu of these items; those without a price in `currency` are not on it.
    #[must_use]
    pub fn new(menu: &[MenuItem], currency: Currency) -> Self {
        let mut items = HashMap::with_capacity(menu.len());
        for item in menu {
            if let Some(price) = Amount::parse("price", item.price.as_ref()).ok().filter(|it| it.currency == currency) {
                items.entry(item.name.clone()).or_insert_with(|| (item.menu_item_id.clone(), price));
            }
        }
        Menu { items, currency }
    }

    /// How many names are on it.
    #[must_use]
    pub fn len(&self) -> usize {
        self.items.len()
    }

    /// Whether nothing is on it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }
}

/// Reads a file of orders.
///
/// # Errors
/// When it cannot be read or has other columns.
pub fn read(path: &Path, menu: &Menu) -> Result<Orders, Error> {
    let bytes = std::fs::read(path).map_err(|source| Error::Read { path: path.to_owned(), source })?;
    parse(path, &bytes, menu)
}

/// Reads the bytes of a file of orders; `path` is for messages only.
///
/// # Errors
/// When it has other columns.
pub fn parse(path: &Path, bytes: &[u8], menu: &Menu) -> Result<Orders, Error> {
    let Some(rows) = record::rows(bytes, COLUMNS) else {
        let found = record::header(bytes).join(",");
        return Err(Error::Header { path: path.to_owned(), found, expected: COLUMNS.join(",") });
    };
    let mut reading = Reading { menu, orders: Vec::new(), places: HashMap::new(), bad_lines: Vec::new() };
    for row in rows {
        match row {
            Ok(row) => reading.take(row),
            Err(bad) => reading.bad_lines.push(bad),
        }
    }
    Ok(reading.finish())
}

/// The orders read so far; one that is `None` inside is withheld.
struct Reading<'a> {
    menu: &'a Menu,
    orders: Vec<(String, Option<Order>)>,
    places: HashMap<String, usize>,
    bad_lines: Vec<BadLine>,
}

impl Reading<'_> {
    fn take(&mut self, Row { line, fields }: Row<6>) {
        let [number, _, name, quantity, price, _] = fields;
        let currency = self.menu.currency;
        let place = *self.places.entry(number.clone()).or_insert(self.orders.len());
        if place == self.orders.len() {
            let order = Order {
                number: number.clone(),
                lines: Vec::new(),
                expected: Amount::new(0, currency),
                other_price_lines: 0,
            };
            self.orders.push((number, Some(order)));
        }
        let (number, order) = &mut self.orders[place];
        let added = read_line(self.menu, [&name, &quantity, &price])
            .and_then(|read| order.as_mut().map_or(Ok(()), |order| order.add(read)));
        if let Err(reason) = added {
            self.bad_lines.push(BadLine { line, reason: format!("order {number:?}: {reason}") });
            *order = None;
        }
    }

    fn finish(self) -> Orders {
        let found = self.orders.len();
        let orders: Vec<Order> = self.orders.into_iter().filter_map(|(_, order)| order).collect();
        Orders { withheld: found - orders.len(), orders, bad_lines: self.bad_lines }
    }
}

impl Order {
    fn add(&mut self, read: ReadLine) -> Result<(), String> {
        if self.lines.len() == LINES_MAX {
            return Err(format!("it already has {LINES_MAX} lines"));
        }
        let total = read.price.times(i64::from(read.line.quantity)).and_then(|cost| self.expected.plus(cost));
        self.expected = total.ok_or("its total is too large")?;
        self.other_price_lines += usize::from(read.has_other_price);
        self.lines.push(read.line);
        Ok(())
    }
}

struct ReadLine {
    line: CreateOrderLine,
    price: Amount,
    has_other_price: bool,
}

fn read_line(menu: &Menu, [name, quantity, price]: [&str; 3]) -> Result<ReadLine, String> {
    let (menu_item_id, on_menu) = menu.items.get(name).ok_or_else(|| format!("{name:?} is not on the menu"))?;
    let quantity = quantity.parse().ok().filter(|quantity| (1..=QUANTITY_MAX).contains(quantity));
    let quantity = quantity.ok_or_else(|| format!("the quantity is not within 1 to {QUANTITY_MAX}"))?;
    let price = price::parse(price, menu.currency).map_err(|problem| format!("the price {problem}"))?;
    let line = CreateOrderLine { menu_item_id: menu_item_id.clone(), quantity };
    Ok(ReadLine { line, price: *on_menu, has_other_price: price != *on_menu })
}
