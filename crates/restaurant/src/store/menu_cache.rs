//! Menus that were read lately, so that an order is not judged by reading a whole menu again.
//!
//! A version of a menu never changes once it is written, so what is held here is never wrong, however many processes write: which version
//! is current is not held here and is read from the database each time.

use crate::domain::Menu;
use proto::RestaurantId;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Menus held at most. 64: measured, a menu of 300 dishes takes 170 KiB, so 11 MiB in all; one as large as a menu may be (3 MiB as a
/// document) takes 3 to 9 MiB, so below 600 MiB if all of them were. Restaurants beyond the bound are judged as rightly, and slower.
const MENUS_MAX: usize = 64;

/// The menus used last, by restaurant and version.
#[derive(Debug, Default)]
pub(crate) struct MenuCache {
    /// The one used last first. Searched one by one: comparing 64 ids takes less than what a menu is wanted for.
    menus: Mutex<Vec<(RestaurantId, Arc<Menu>)>>,
}

impl MenuCache {
    /// This version of the restaurant's menu, if it is held.
    pub(super) fn get(&self, restaurant_id: RestaurantId, version: i64) -> Option<Arc<Menu>> {
        let mut menus = self.menus();
        let found = menus.iter().position(|(id, menu)| *id == restaurant_id && menu.version == version)?;
        menus[..=found].rotate_right(1);
        Some(Arc::clone(&menus[0].1))
    }

    /// Holds a menu as it was read from the database, in place of the one that was not used for longest when there are too many.
    pub(super) fn hold(&self, restaurant_id: RestaurantId, menu: Arc<Menu>) {
        let mut menus = self.menus();
        // Two orders may have missed the same menu at once.
        menus.retain(|(id, held)| *id != restaurant_id || held.version != menu.version);
        menus.truncate(MENUS_MAX - 1);
        menus.insert(0, (restaurant_id, menu));
    }

    fn menus(&self) -> MutexGuard<'_, Vec<(RestaurantId, Arc<Menu>)>> {
        self.menus.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hold(cache: &MenuCache, restaurant_id: RestaurantId, version: i64) {
        cache.hold(restaurant_id, Arc::new(Menu::new(version, Vec::new())));
    }

    fn holds(cache: &MenuCache, restaurant_id: RestaurantId, version: i64) -> bool {
        cache.get(restaurant_id, version).is_some_and(|menu| menu.version == version)
    }

    #[test]
    fn a_menu_is_found_by_its_restaurant_and_its_version() {
        let (cache, restaurant_id) = (MenuCache::default(), RestaurantId::generate());

        hold(&cache, restaurant_id, 1);
        hold(&cache, restaurant_id, 2);

        assert!(holds(&cache, restaurant_id, 1) && holds(&cache, restaurant_id, 2));
        assert!(!holds(&cache, restaurant_id, 3));
        assert!(!holds(&cache, RestaurantId::generate(), 1));
    }

    #[test]
    fn no_more_menus_are_held_than_the_bound_and_those_used_last_stay() {
        let (cache, restaurant_id) = (MenuCache::default(), RestaurantId::generate());

        for version in 1..=1_000 {
            hold(&cache, restaurant_id, version);
            assert!(holds(&cache, restaurant_id, 1), "the menu that each order needs was dropped at {version}");
            assert!(cache.menus().len() <= MENUS_MAX);
        }

        assert_eq!(cache.menus().len(), MENUS_MAX);
        let kept = (1..=1_000).filter(|&version| holds(&cache, restaurant_id, version));
        assert_eq!(kept.collect::<Vec<_>>(), [1].into_iter().chain(938..=1_000).collect::<Vec<_>>());
    }

    #[test]
    fn a_menu_that_is_held_twice_takes_one_place() {
        let (cache, restaurant_id) = (MenuCache::default(), RestaurantId::generate());

        hold(&cache, restaurant_id, 1);
        hold(&cache, restaurant_id, 1);

        assert_eq!(cache.menus().len(), 1);
    }
}
