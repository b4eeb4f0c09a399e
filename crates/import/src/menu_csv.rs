//! Reads menus from a CSV file, line by line, keeping the good lines and naming the bad ones.
//!
//! Two forms are known, both from published data: `Item Name,Product Price` is one restaurant, and
//! `restaurant_id,category,name,description,price` may hold several. The order of the columns and their case do not matter.

use crate::error::Error;
use crate::record::{BadLine, Row};
use crate::{item_id, price, record};
use iso_currency::Currency;
use proto::Amount;
use proto::comanda::restaurant::v1::MenuItem;
use std::collections::HashMap;
use std::path::Path;

/// Items of one menu at most; `Menu.items` in the contract.
pub const ITEMS_MAX: usize = 10_000;
/// Characters of an item's name at most; `MenuItem.name`.
const NAME_CHARS_MAX: usize = 200;
/// Characters of a category at most; `MenuItem.category`.
const CATEGORY_CHARS_MAX: usize = 200;
/// Characters of a description at most; `MenuItem.description`.
const DESCRIPTION_CHARS_MAX: usize = 2000;
/// Bytes of a file at most: the longest menu has 10,000 items of 2,400 characters in four bytes each, which is 96 MB.
const FILE_BYTES_MAX: u64 = 96_000_000;

/// The columns of a file with one restaurant.
const SIMPLE: [&str; 2] = ["item name", "product price"];
/// The columns of a file with several restaurants.
const FULL: [&str; 5] = ["restaurant_id", "category", "name", "description", "price"];

/// What a file says.
#[derive(Debug, Clone, PartialEq)]
pub struct File {
    /// Its restaurants, in the order in which they appear; at least one.
    pub restaurants: Vec<Restaurant>,
    /// The lines that cannot be used.
    pub bad_lines: Vec<BadLine>,
}

/// One restaurant of a file.
#[derive(Debug, Clone, PartialEq)]
pub struct Restaurant {
    /// Its `restaurant_id` in the file; `None` when the file has no such column.
    pub id: Option<String>,
    /// Its menu, in the order of the file: 1 to [`ITEMS_MAX`] items.
    pub items: Vec<MenuItem>,
}

/// One good line.
struct Line {
    category: String,
    name: String,
    description: String,
    price: Amount,
}

/// Reads a file whose prices are in `currency`.
///
/// # Errors
/// When it cannot be read, is too long, has other columns, or has no good line.
pub fn read(path: &Path, currency: Currency) -> Result<File, Error> {
    let failed = |source| Error::Read { path: path.to_owned(), source };
    if std::fs::metadata(path).map_err(failed)?.len() > FILE_BYTES_MAX {
        return Err(Error::TooLong { path: path.to_owned(), bytes_max: FILE_BYTES_MAX });
    }
    parse(path, &std::fs::read(path).map_err(failed)?, currency)
}

/// Reads the bytes of a file; `path` is for messages only.
///
/// # Errors
/// When it has other columns, or no good line.
pub fn parse(path: &Path, bytes: &[u8], currency: Currency) -> Result<File, Error> {
    let mut reading = Reading::default();
    if let Some(rows) = record::rows(bytes, SIMPLE) {
        rows.for_each(|row| reading.take(row, |row| simple(row, currency)));
    } else if let Some(rows) = record::rows(bytes, FULL) {
        rows.for_each(|row| reading.take(row, |row| full(row, currency)));
    } else {
        let expected = format!("`{}` or `{}`, in any order", SIMPLE.join(","), FULL.join(","));
        return Err(Error::Header { path: path.to_owned(), found: record::header(bytes).join(","), expected });
    }
    reading.finish(path)
}

/// The restaurants read so far.
#[derive(Default)]
struct Reading {
    /// Their ids in the file and lines, in the order in which they appear.
    restaurants: Vec<(Option<String>, Vec<Line>)>,
    places: HashMap<Option<String>, usize>,
    bad_lines: Vec<BadLine>,
}

impl Reading {
    fn take<const N: usize>(
        &mut self,
        row: Result<Row<N>, BadLine>,
        read: impl FnOnce([String; N]) -> Result<(Option<String>, Line), String>,
    ) {
        let (line_number, line) = match row {
            Ok(row) => (row.line, read(row.fields)),
            Err(bad) => return self.bad_lines.push(bad),
        };
        if let Err(reason) = line.and_then(|(restaurant, line)| self.add(restaurant, line)) {
            self.bad_lines.push(BadLine { line: line_number, reason });
        }
    }

    fn add(&mut self, restaurant: Option<String>, line: Line) -> Result<(), String> {
        let place = *self.places.entry(restaurant).or_insert_with_key(|id| {
            self.restaurants.push((id.clone(), Vec::new()));
            self.restaurants.len() - 1
        });
        let lines = &mut self.restaurants[place].1;
        if lines.len() == ITEMS_MAX {
            return Err(format!("its menu already has {ITEMS_MAX} items"));
        }
        lines.push(line);
        Ok(())
    }

    fn finish(self, path: &Path) -> Result<File, Error> {
        if self.restaurants.is_empty() {
            return Err(Error::NoGoodLine { path: path.to_owned(), bad_lines: self.bad_lines });
        }
        let restaurants = self.restaurants.into_iter().map(|(id, lines)| Restaurant { id, items: items(lines) });
        Ok(File { restaurants: restaurants.collect(), bad_lines: self.bad_lines })
    }
}

fn items(lines: Vec<Line>) -> Vec<MenuItem> {
    let ids = item_id::derive(lines.iter().map(|line| (line.category.as_str(), line.name.as_str())));
    let item = |(line, menu_item_id): (Line, String)| MenuItem {
        menu_item_id,
        name: line.name,
        description: line.description,
        category: line.category,
        price: Some(line.price.into()),
        available: None,
    };
    lines.into_iter().zip(ids).map(item).collect()
}

fn simple([name, price]: [String; 2], currency: Currency) -> Result<(Option<String>, Line), String> {
    line([String::new(), name, String::new(), price], currency).map(|line| (None, line))
}

fn full(
    [id, category, name, description, price]: [String; 5],
    currency: Currency,
) -> Result<(Option<String>, Line), String> {
    if id.is_empty() {
        return Err("restaurant_id is empty".to_owned());
    }
    line([category, name, description, price], currency).map(|line| (Some(id), line))
}

fn line([category, name, description, price]: [String; 4], currency: Currency) -> Result<Line, String> {
    if name.is_empty() {
        return Err("the name is empty".to_owned());
    }
    check_length("name", &name, NAME_CHARS_MAX)?;
    check_length("category", &category, CATEGORY_CHARS_MAX)?;
    check_length("description", &description, DESCRIPTION_CHARS_MAX)?;
    let price = price::parse(&price, currency).map_err(|problem| format!("the price {problem}"))?;
    Ok(Line { category, name, description, price })
}

fn check_length(field: &str, text: &str, chars_max: usize) -> Result<(), String> {
    match text.chars().count() {
        chars if chars > chars_max => Err(format!("the {field} has {chars} characters; at most {chars_max} are taken")),
        _ => Ok(()),
    }
}
