//! What a restaurant offers, in one version.

use super::Text;
use proto::{Amount, Violation};
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

/// A menu.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Menu {
    /// Rises by one with each revision, from 1.
    pub(crate) version: i64,
    /// With unique ids.
    pub(crate) items: Vec<MenuItem>,
}

impl Menu {
    /// The items by their ids, for orders with many lines.
    pub(crate) fn by_id(&self) -> HashMap<&str, &MenuItem> {
        self.items.iter().map(|item| (item.id.as_str(), item)).collect()
    }
}
