//! What an order is judged by: a restaurant as it is now, with menus that are read once and then held.

use super::restaurant::{by_id, read, read_menu};
use super::{MenuCache, not};
use crate::Error;
use crate::domain::{Known, Menu, Restaurant, Superseded};
use proto::RestaurantId;
use proto::time::Instant;
use std::sync::Arc;
use store::{Statement, Store};

/// How often a restaurant is read whose current menu is not there. 2: a menu that is dropped between the two reads was superseded 30 days
/// before, and the second read names its successor.
const READS_MAX: usize = 2;

/// Reads what an order is judged by that was priced by the given version of the menu. Which versions count is read now, as of one moment;
/// of the menus only those are read that are not held.
pub(crate) async fn load_known(
    store: &Store,
    menus: &MenuCache,
    restaurant_id: RestaurantId,
    menu_version: i64,
) -> Result<Option<Known>, Error> {
    let failed = |source| Error::Load { restaurant_id, source };
    for _ in 0..READS_MAX {
        let found = without_items(store, restaurant_id, menu_version).await.map_err(failed)?;
        let Some((restaurant, superseded_at)) = found else { return Ok(None) };
        let current = menu(store, menus, &restaurant, restaurant.menu.version).await.map_err(failed)?;
        let Some(current) = current else { continue };
        let priced_by = match superseded_at {
            Some(superseded_at) => {
                let menu = menu(store, menus, &restaurant, menu_version).await.map_err(failed)?;
                menu.map(|menu| Superseded { menu, superseded_at })
            }
            None => None,
        };
        return Ok(Some(Known { restaurant: Restaurant { menu: current, ..restaurant }, priced_by }));
    }
    Err(failed(not(0, "the current menu")))
}

/// Reads the restaurant, and when the given version of its menu was superseded, if it was and is kept.
async fn without_items(
    store: &Store,
    restaurant_id: RestaurantId,
    menu_version: i64,
) -> Result<Option<(Restaurant, Option<Instant>)>, store::Error> {
    let superseded = Statement::new(
        "SELECT superseded_at_us FROM menu WHERE restaurant_id = ?1 AND version = ?2 AND superseded_at_us IS NOT NULL",
    );
    let superseded = superseded.bind(restaurant_id.to_bytes()).bind(menu_version);
    let mut results = store.snapshot(vec![by_id(restaurant_id), superseded]).await?;
    let superseded = results.pop().unwrap_or_default().pop();
    let Some(row) = results.pop().unwrap_or_default().pop() else { return Ok(None) };
    let superseded_at = superseded.map(|mut row| row.take(0).map(Instant)).transpose()?;
    Ok(Some((read(row)?, superseded_at)))
}

/// The given version of the restaurant's menu; `None` when it was dropped.
async fn menu(
    store: &Store,
    menus: &MenuCache,
    restaurant: &Restaurant,
    version: i64,
) -> Result<Option<Arc<Menu>>, store::Error> {
    if let Some(menu) = menus.get(restaurant.id, version) {
        return Ok(Some(menu));
    }
    let query = Statement::new("SELECT version, document FROM menu WHERE restaurant_id = ?1 AND version = ?2");
    let Some(row) = store.query(query.bind(restaurant.id.to_bytes()).bind(version)).await?.pop() else {
        return Ok(None);
    };
    let menu = Arc::new(read_menu(row, restaurant.profile.currency)?);
    menus.hold(restaurant.id, Arc::clone(&menu));
    Ok(Some(menu))
}

#[cfg(test)]
mod tests;
