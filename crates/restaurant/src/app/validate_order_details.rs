//! Judges an order.

use crate::Error;
use crate::domain::{Order, Reason, judge};
use crate::store::MenuCache;
use store::Store;

/// What became of an order that was judged.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Verdict {
    /// The version of the menu that was current; 0 when there is no such restaurant.
    pub(crate) menu_version: i64,
    /// All the reasons when the order is refused.
    pub(crate) result: Result<(), Vec<Reason>>,
}

/// Judges an order by what is known of its restaurant now.
pub(crate) async fn validate_order_details(store: &Store, menus: &MenuCache, order: &Order) -> Result<Verdict, Error> {
    let known = match order.restaurant_id {
        Some(restaurant_id) => crate::store::load_known(store, menus, restaurant_id, order.menu_version).await?,
        None => None,
    };
    let menu_version = known.as_ref().map_or(0, |known| known.restaurant.menu.version);
    Ok(Verdict { menu_version, result: judge(known.as_ref(), order) })
}
