//! What a restaurant offers, in one version.

use super::Text;
use proto::{Amount, Violation};
use std::borrow::Borrow;
use std::collections::HashMap;

/// Characters of an item's id at most, as the contract says.
const ID_CHARS_MAX: usize = 100;

/// Names an item; chosen by the restaurant, so every character counts.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct MenuItemId(String);

impl MenuItemId {
    /// Reads the id that a client sent in `field`.
    ///
    /// # Errors
    /// When it is blank or has more than 100 characters.
    pub(crate) fn parse(field: &str, text: &str) -> Result<Self, Violation> {
        if text.trim().is_empty() {
            return Err(Violation::required(field));
        }
        if text.chars().count() > ID_CHARS_MAX {
            return Err(Violation::new(field, format!("must be at most {ID_CHARS_MAX} characters")));
        }
        Ok(MenuItemId(text.to_owned()))
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

/// Lets a menu be searched for what an order calls an item; the derived `Eq` and `Hash` are those of the text.
impl Borrow<str> for MenuItemId {
    fn borrow(&self) -> &str {
        &self.0
    }
}

/// One thing that can be ordered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct MenuItem {
    pub(crate) id: MenuItemId,
    pub(crate) name: Text<1, 200>,
    pub(crate) description: Text<0, 2000>,
    pub(crate) category: Text<0, 200>,
    /// In the currency of the restaurant.
    pub(crate) price: Amount,
    pub(crate) is_available: bool,
}

/// A menu, with an index since a version is written once and searched for each line of each order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Menu {
    /// Rises by one with each revision, from 1.
    pub(crate) version: i64,
    /// With unique ids.
    items: Vec<MenuItem>,
    /// Where in `items` an id is.
    index: HashMap<MenuItemId, usize>,
}

impl Menu {
    /// A menu of items with unique ids.
    pub(crate) fn new(version: i64, items: Vec<MenuItem>) -> Self {
        let index = items.iter().enumerate().map(|(number, item)| (item.id.clone(), number)).collect();
        Menu { version, items, index }
    }

    /// The items in the order in which the restaurant gave them.
    pub(crate) fn items(&self) -> &[MenuItem] {
        &self.items
    }

    /// The item with this id, which need not be a valid one.
    pub(crate) fn item(&self, id: &str) -> Option<&MenuItem> {
        self.index.get(id).map(|&number| &self.items[number])
    }
}
