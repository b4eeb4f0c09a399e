//! The published menus that the project is tested with.

use import::menu_csv::{File, ITEMS_MAX, read};
use iso_currency::Currency;
use std::collections::HashSet;
use std::path::{Path, PathBuf};

/// A file of `../shared/data`; `None`, with a word about it, where that folder is absent and may be.
fn shared(file: &str) -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data").join(file);
    if path.exists() {
        return Some(path);
    }
    println!("skipped: ../shared/data is absent");
    assert!(std::env::var_os("COMANDA_TEST_FORBID_SKIP").is_none_or(|it| it != "1"), "{} is absent", path.display());
    None
}

#[track_caller]
fn check_ids(file: &File) {
    for restaurant in &file.restaurants {
        let ids: HashSet<_> = restaurant.items.iter().map(|item| &item.menu_item_id).collect();
        assert_eq!(ids.len(), restaurant.items.len());
        assert!(ids.iter().all(|id| (1..=100).contains(&id.chars().count())));
        assert!(restaurant.items.len() <= ITEMS_MAX);
    }
}

#[test]
fn the_menu_of_restaurant_1_is_read_whole() {
    let Some(path) = shared("restaurant-1-products-price.csv") else { return };

    let file = read(&path, Currency::GBP).unwrap();

    assert_eq!(file.bad_lines, []);
    assert_eq!(file.restaurants.len(), 1);
    assert_eq!(file.restaurants[0].items.len(), 248);
    assert_eq!(file.restaurants[0].items[0].name, "Mint Sauce");
    check_ids(&file);
}

#[test]
fn the_menus_of_21_restaurants_are_read_whole() {
    let Some(path) = shared("restaurant-menus.csv") else { return };

    let file = read(&path, Currency::USD).unwrap();

    assert_eq!(file.bad_lines, []);
    assert_eq!(file.restaurants.len(), 21);
    assert_eq!(file.restaurants.iter().map(|it| it.items.len()).sum::<usize>(), 1000);
    check_ids(&file);
}

#[test]
fn dollars_are_no_pounds() {
    let Some(path) = shared("restaurant-menus.csv") else { return };

    let refused = read(&path, Currency::GBP).unwrap_err();

    assert_eq!(refused.bad_lines().len(), 1000);
    assert!(refused.to_string().contains("\"15.99 USD\" is not in GBP"), "{refused}");
}
