//! Tests of what an order is judged by, with menus that are held while others write.

use super::*;
use crate::domain::{CountryCode, DeliveryArea, MenuItem, MenuItemId, Profile, Text};
use iso_currency::Currency;
use jiff::tz::TimeZone;
use proto::Amount;
use std::time::Duration;
use store::Change;
use tempfile::TempDir;

/// What a process that judges orders has, and a restaurant whose menu others revise.
struct Judge {
    store: Store,
    menus: MenuCache,
    restaurant: Restaurant,
    _folder: TempDir,
}

impl Judge {
    /// With version 1 of the menu, on which a dish costs 1.
    async fn open() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open_sqlite(&folder.path().join("restaurant.db"), &store::Config::default()).unwrap();
        crate::store::migrate(&store).await.unwrap();
        let restaurant = Restaurant::new(profile(), true, vec![dish(1)], Instant::now());
        let mut change = Change::new();
        crate::store::insert(&mut change, &restaurant);
        store.commit(change).await.unwrap();
        Judge { store, menus: MenuCache::default(), restaurant, _folder: folder }
    }

    /// Revises the menu as another process would; the dish costs as much as the version is.
    async fn revise(&mut self, now: Instant) {
        self.restaurant = self.restaurant.with_menu(vec![dish(self.restaurant.menu.version + 1)], now);
        let mut change = Change::new();
        crate::store::revise_menu(&mut change, &self.restaurant);
        self.store.commit(change).await.unwrap();
    }

    async fn execute(&self, sql: &'static str) {
        let mut change = Change::new();
        change.push(Statement::new(sql));
        self.store.commit(change).await.unwrap();
    }

    /// What the dish costs now, and on the given menu if that still says something.
    async fn prices(&self, menu_version: i64) -> Result<(i64, Option<i64>), Error> {
        let known = load_known(&self.store, &self.menus, self.restaurant.id, menu_version).await?.unwrap();
        let price = |menu: &Menu| menu.item("dish").unwrap().price.minor;
        assert_eq!(known.restaurant.menu.version, price(&known.restaurant.menu));
        Ok((price(&known.restaurant.menu), known.priced_by.map(|it| price(&it.menu))))
    }
}

fn profile() -> Profile {
    Profile {
        name: Text::parse("name", "Trattoria").unwrap(),
        country_code: CountryCode::parse("country_code", "GB").unwrap(),
        currency: Currency::GBP,
        time_zone: TimeZone::UTC,
        opening_hours: Vec::new(),
        delivery_area: DeliveryArea::default(),
        minimum_order: None,
    }
}

fn dish(minor: i64) -> MenuItem {
    MenuItem {
        id: MenuItemId::parse("id", "dish").unwrap(),
        name: Text::parse("name", "Dish").unwrap(),
        description: Text::parse("description", "").unwrap(),
        category: Text::parse("category", "").unwrap(),
        price: Amount::new(minor, Currency::GBP),
        is_available: true,
    }
}

#[tokio::test]
async fn a_restaurant_that_is_not_there_is_not_known() {
    let judge = Judge::open().await;

    let known = load_known(&judge.store, &judge.menus, RestaurantId::generate(), 1).await.unwrap();

    assert_eq!(known, None);
}

#[tokio::test]
async fn a_menu_that_another_process_revised_counts_at_once_beside_the_one_before() {
    let mut judge = Judge::open().await;
    assert_eq!(judge.prices(1).await.unwrap(), (1, None));

    judge.revise(Instant::now()).await;
    assert_eq!(judge.prices(1).await.unwrap(), (2, Some(1)));
    assert_eq!(judge.prices(2).await.unwrap(), (2, None));
    judge.revise(Instant::now()).await;

    assert_eq!(judge.prices(1).await.unwrap(), (3, Some(1)));
    assert_eq!(judge.prices(2).await.unwrap(), (3, Some(2)));
    assert_eq!(judge.prices(3).await.unwrap(), (3, None));
    assert_eq!(judge.prices(4).await.unwrap(), (3, None));
}

#[tokio::test]
async fn a_menu_is_read_once() {
    let mut judge = Judge::open().await;
    judge.revise(Instant::now()).await;
    judge.prices(1).await.unwrap();

    judge.execute("UPDATE menu SET document = x'ff'").await;

    assert_eq!(judge.prices(1).await.unwrap(), (2, Some(1)));
    judge.menus = MenuCache::default();
    assert!(matches!(judge.prices(1).await, Err(Error::Load { .. })));
}

#[tokio::test]
async fn a_menu_that_was_dropped_is_not_known_though_it_is_held() {
    let mut judge = Judge::open().await;
    let now = Instant::now();
    judge.revise(now).await;
    assert_eq!(judge.prices(1).await.unwrap(), (2, Some(1)));

    judge.revise(now.plus(Duration::from_secs(31 * 24 * 3_600))).await;

    assert_eq!(judge.prices(1).await.unwrap(), (3, None));
    assert_eq!(judge.prices(2).await.unwrap(), (3, Some(2)));
}

#[tokio::test]
async fn a_restaurant_without_its_current_menu_is_a_fault() {
    let judge = Judge::open().await;

    judge.execute("DELETE FROM menu").await;

    assert!(matches!(judge.prices(1).await, Err(Error::Load { source: store::Error::Column { .. }, .. })));
}
