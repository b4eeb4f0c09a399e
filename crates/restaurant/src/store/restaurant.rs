//! Restaurants and their menus as rows: a document each, and beside it what is searched for or guarded.

use super::{before, not};
use crate::domain::{Acceptance, Menu, Restaurant};
use crate::{Error, wire};
use iso_currency::Currency;
use prost::Message;
use proto::comanda::restaurant::v1 as contract;
use proto::page::Page;
use proto::time::Instant;
use proto::{RestaurantId, Violations};
use std::sync::Arc;
use std::time::Duration;
use store::{Change, Row, Statement, Store};

/// How long a superseded menu is kept: 30 days, far longer than an order is expected to wait for its validation.
const SUPERSEDED_KEPT: Duration = Duration::from_secs(30 * 24 * 3600);

/// Whether there is such a restaurant.
pub(crate) async fn exists(store: &Store, restaurant_id: RestaurantId) -> Result<bool, Error> {
    let query = Statement::new("SELECT 1 FROM restaurant WHERE restaurant_id = ?1").bind(restaurant_id.to_bytes());
    let rows = store.query(query).await.map_err(|source| Error::Load { restaurant_id, source })?;
    Ok(!rows.is_empty())
}

/// Reads one restaurant with its menu.
pub(crate) async fn load(store: &Store, restaurant_id: RestaurantId) -> Result<Option<Restaurant>, Error> {
    let failed = |source| Error::Load { restaurant_id, source };
    let mut results = store.snapshot(vec![by_id(restaurant_id), current_menu(restaurant_id)]).await.map_err(failed)?;
    let menus = results.pop().unwrap_or_default();
    restaurant_with_menu(results.pop().unwrap_or_default(), menus).map_err(failed)
}

/// Reads the restaurants of a page, newest first, and one more when there are more. Their menus have a version and no items.
pub(crate) async fn list(store: &Store, page: &Page) -> Result<Vec<Restaurant>, Error> {
    let query = Statement::new(
        "SELECT restaurant_id, version, document, accepts_orders, accepted_before, accepts_changed_us, menu_version,
         create_us, update_us FROM restaurant WHERE restaurant_id < ?1 ORDER BY restaurant_id DESC LIMIT ?2",
    );
    let rows = store.query(query.bind(before(page.after)).bind(page.size.saturating_add(1))).await;
    rows.and_then(|rows| rows.into_iter().map(read).collect()).map_err(Error::List)
}

/// Reads the ids of restaurants that were created after `after`, oldest first.
pub(crate) async fn ids_after(
    store: &Store,
    after: Option<RestaurantId>,
    limit: u32,
) -> Result<Vec<RestaurantId>, Error> {
    let query =
        Statement::new("SELECT restaurant_id FROM restaurant WHERE restaurant_id > ?1 ORDER BY restaurant_id LIMIT ?2");
    let after = after.map_or_else(Vec::new, RestaurantId::to_bytes);
    let rows = store.query(query.bind(after).bind(limit)).await.map_err(Error::List)?;
    rows.into_iter().map(|mut row| id(&mut row)).collect::<Result<_, _>>().map_err(Error::List)
}

/// Adds to a change that nobody else changes a restaurant meanwhile, provided that it is as it was read.
pub(crate) fn hold(change: &mut Change, restaurant: &Restaurant) {
    let sql = "UPDATE restaurant SET version = version WHERE restaurant_id = ?1 AND version = ?2";
    let statement = Statement::new(sql).bind(restaurant.id.to_bytes()).bind(restaurant.version);
    change.push(statement.expecting(1, "the restaurant is as it was read"));
}

/// Adds to a change that a restaurant is there, with the first version of its menu.
pub(crate) fn insert(change: &mut Change, restaurant: &Restaurant) {
    let sql = "INSERT INTO restaurant
        (restaurant_id, version, document, accepts_orders, accepted_before, accepts_changed_us, menu_version,
         update_us, create_us) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)";
    change.push(bind(Statement::new(sql), restaurant).bind(restaurant.create_time.0));
    insert_menu(change, restaurant);
}

/// Adds to a change that a restaurant has become `restaurant`, provided that its version was the one before.
pub(crate) fn update(change: &mut Change, restaurant: &Restaurant) {
    let sql = "UPDATE restaurant SET version = ?2, document = ?3, accepts_orders = ?4, accepted_before = ?5,
        accepts_changed_us = ?6, menu_version = ?7, update_us = ?8 WHERE restaurant_id = ?1 AND version + 1 = ?2";
    change.push(bind(Statement::new(sql), restaurant).expecting(1, "the restaurant is as it was read"));
}

/// Adds to a change that a restaurant has become `restaurant`, with a new menu; menus that ended long ago are dropped.
pub(crate) fn revise_menu(change: &mut Change, restaurant: &Restaurant) {
    update(change, restaurant);
    let (id, now) = (restaurant.id.to_bytes(), restaurant.update_time);
    let sql = "UPDATE menu SET superseded_at_us = ?2 WHERE restaurant_id = ?1 AND superseded_at_us IS NULL";
    change.push(Statement::new(sql).bind(id.clone()).bind(now.0).expecting(1, "the restaurant has a current menu"));
    let sql = "DELETE FROM menu WHERE restaurant_id = ?1 AND superseded_at_us < ?2";
    change.push(Statement::new(sql).bind(id).bind(now.minus(SUPERSEDED_KEPT).0));
    insert_menu(change, restaurant);
}

fn insert_menu(change: &mut Change, restaurant: &Restaurant) {
    let sql = "INSERT INTO menu (restaurant_id, version, document) VALUES (?1, ?2, ?3)";
    let document = wire::menu(&restaurant.menu).encode_to_vec();
    change.push(Statement::new(sql).bind(restaurant.id.to_bytes()).bind(restaurant.menu.version).bind(document));
}

pub(super) fn by_id(restaurant_id: RestaurantId) -> Statement {
    let sql = "SELECT restaurant_id, version, document, accepts_orders, accepted_before, accepts_changed_us,
        menu_version, create_us, update_us FROM restaurant WHERE restaurant_id = ?1";
    Statement::new(sql).bind(restaurant_id.to_bytes())
}

fn current_menu(restaurant_id: RestaurantId) -> Statement {
    let sql = "SELECT version, document FROM menu WHERE restaurant_id = ?1 AND superseded_at_us IS NULL";
    Statement::new(sql).bind(restaurant_id.to_bytes())
}

/// Binds `restaurant_id, version, document, accepts_orders, accepted_before, accepts_changed_us, menu_version, update_us`, in this order.
fn bind(statement: Statement, restaurant: &Restaurant) -> Statement {
    let Acceptance { accepts_orders, accepted_before, changed_at } = restaurant.acceptance;
    statement
        .bind(restaurant.id.to_bytes())
        .bind(restaurant.version)
        .bind(wire::without_menu(restaurant).encode_to_vec())
        .bind(i64::from(accepts_orders))
        .bind(i64::from(accepted_before))
        .bind(changed_at.0)
        .bind(restaurant.menu.version)
        .bind(restaurant.update_time.0)
}

fn restaurant_with_menu(restaurants: Vec<Row>, menus: Vec<Row>) -> Result<Option<Restaurant>, store::Error> {
    let Some(row) = restaurants.into_iter().next() else { return Ok(None) };
    let restaurant = read(row)?;
    let row = menus.into_iter().next().ok_or(not(0, "the current menu"))?;
    let menu = Arc::new(read_menu(row, restaurant.profile.currency)?);
    Ok(Some(Restaurant { menu, ..restaurant }))
}

/// Reads a restaurant whose menu has a version and no items.
pub(super) fn read(mut row: Row) -> Result<Restaurant, store::Error> {
    let id = id(&mut row)?;
    let document: Vec<u8> = row.take(2)?;
    let document = contract::Restaurant::decode(document.as_slice()).map_err(|_| not(2, "a Restaurant"))?;
    let (profile, _) = wire::profile(&document, &mut Violations::new());
    Ok(Restaurant {
        id,
        version: row.take(1)?,
        profile: profile.ok_or(not(2, "a valid Restaurant"))?,
        acceptance: Acceptance {
            accepts_orders: row.take::<i64>(3)? != 0,
            accepted_before: row.take::<i64>(4)? != 0,
            changed_at: Instant(row.take(5)?),
        },
        menu: Arc::new(Menu::new(row.take(6)?, Vec::new())),
        create_time: Instant(row.take(7)?),
        update_time: Instant(row.take(8)?),
    })
}

fn id(row: &mut Row) -> Result<RestaurantId, store::Error> {
    RestaurantId::from_slice(&row.take::<Vec<u8>>(0)?).ok_or(not(0, "16 bytes"))
}

/// Reads a menu from its version and its document.
pub(super) fn read_menu(mut row: Row, currency: Currency) -> Result<Menu, store::Error> {
    let document: Vec<u8> = row.take(1)?;
    let document = contract::Menu::decode(document.as_slice()).map_err(|_| not(1, "a Menu"))?;
    let mut violations = Violations::new();
    let items = wire::stored_items("items", &document.items, Some(currency), &mut violations);
    if !violations.is_empty() {
        return Err(not(1, "a valid Menu"));
    }
    Ok(Menu::new(row.take(0)?, items))
}
