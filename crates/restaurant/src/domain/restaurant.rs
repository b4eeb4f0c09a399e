//! A restaurant, and how one changes.

use super::{CountryCode, Menu, MenuItem, OpeningHours, Text};
use iso_currency::Currency;
use jiff::tz::TimeZone;
use proto::time::Instant;
use proto::{Amount, RestaurantId};
use std::sync::Arc;

/// Where a restaurant delivers to; no prefixes mean everywhere.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct DeliveryArea {
    pub(crate) postal_code_prefixes: Vec<Text<1, 20>>,
}

impl DeliveryArea {
    /// Whether a postal code is inside; case and spaces do not count.
    pub(crate) fn includes(&self, postal_code: &str) -> bool {
        let postal_code = comparable(postal_code);
        let prefixes = &self.postal_code_prefixes;
        prefixes.is_empty() || prefixes.iter().any(|prefix| postal_code.starts_with(&comparable(prefix.as_str())))
    }
}

fn comparable(postal_code: &str) -> String {
    postal_code.chars().filter(|character| !character.is_whitespace()).flat_map(char::to_uppercase).collect()
}

/// What clients set of a restaurant, beside its menu and whether it takes orders.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Profile {
    pub(crate) name: Text<1, 200>,
    pub(crate) country_code: CountryCode,
    /// Never changes.
    pub(crate) currency: Currency,
    pub(crate) time_zone: TimeZone,
    pub(crate) opening_hours: Vec<OpeningHours>,
    pub(crate) delivery_area: DeliveryArea,
    /// In `currency`.
    pub(crate) minimum_order: Option<Amount>,
}

/// Whether orders are taken, and since when: an order counts as of the time at which it was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Acceptance {
    pub(crate) accepts_orders: bool,
    /// What it was until `changed_at`.
    pub(crate) accepted_before: bool,
    pub(crate) changed_at: Instant,
}

impl Acceptance {
    pub(crate) fn new(accepts_orders: bool, now: Instant) -> Self {
        Acceptance { accepts_orders, accepted_before: accepts_orders, changed_at: now }
    }

    /// Whether orders were taken at `time`.
    pub(crate) fn at(self, time: Instant) -> bool {
        if time >= self.changed_at { self.accepts_orders } else { self.accepted_before }
    }

    fn changed(self, accepts_orders: bool, now: Instant) -> Self {
        if accepts_orders == self.accepts_orders {
            return self;
        }
        Acceptance { accepts_orders, accepted_before: self.accepts_orders, changed_at: now }
    }
}

/// A place that cooks and delivers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Restaurant {
    pub(crate) id: RestaurantId,
    /// Rises by one with each change, the menu's included, from 1.
    pub(crate) version: i64,
    pub(crate) profile: Profile,
    pub(crate) acceptance: Acceptance,
    /// Shared, since a version of a menu never changes and may be large.
    pub(crate) menu: Arc<Menu>,
    pub(crate) create_time: Instant,
    pub(crate) update_time: Instant,
}

/// New values for some fields of a restaurant; `None` leaves a field as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Revision {
    pub(crate) name: Option<Text<1, 200>>,
    pub(crate) country_code: Option<CountryCode>,
    pub(crate) time_zone: Option<TimeZone>,
    pub(crate) opening_hours: Option<Vec<OpeningHours>>,
    pub(crate) delivery_area: Option<DeliveryArea>,
    /// `Some(None)` takes the minimum away.
    pub(crate) minimum_order: Option<Option<Amount>>,
    pub(crate) accepts_orders: Option<bool>,
}

impl Restaurant {
    /// A restaurant that was not there before, with the first version of its menu.
    pub(crate) fn new(profile: Profile, accepts_orders: bool, items: Vec<MenuItem>, now: Instant) -> Self {
        Restaurant {
            id: RestaurantId::generate(),
            version: 1,
            profile,
            acceptance: Acceptance::new(accepts_orders, now),
            menu: Arc::new(Menu::new(1, items)),
            create_time: now,
            update_time: now,
        }
    }

    /// The restaurant after a revision; `None` when the revision changes nothing, so that a repeated call leaves no trace.
    pub(crate) fn revised(&self, revision: Revision, now: Instant) -> Option<Restaurant> {
        let before = self.profile.clone();
        let profile = Profile {
            name: revision.name.unwrap_or(before.name),
            country_code: revision.country_code.unwrap_or(before.country_code),
            currency: before.currency,
            time_zone: revision.time_zone.unwrap_or(before.time_zone),
            opening_hours: revision.opening_hours.unwrap_or(before.opening_hours),
            delivery_area: revision.delivery_area.unwrap_or(before.delivery_area),
            minimum_order: revision.minimum_order.unwrap_or(before.minimum_order),
        };
        let accepts_orders = revision.accepts_orders.unwrap_or(self.acceptance.accepts_orders);
        let acceptance = self.acceptance.changed(accepts_orders, now);
        if profile == self.profile && acceptance == self.acceptance {
            return None;
        }
        Some(Restaurant { version: self.version + 1, profile, acceptance, update_time: now, ..self.clone() })
    }

    /// The restaurant with a new menu.
    pub(crate) fn with_menu(&self, items: Vec<MenuItem>, now: Instant) -> Restaurant {
        let menu = Arc::new(Menu::new(self.menu.version + 1, items));
        Restaurant { version: self.version + 1, menu, update_time: now, ..self.clone() }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(crate) fn restaurant() -> Restaurant {
        let profile = Profile {
            name: Text::parse("name", "Trattoria").unwrap(),
            country_code: CountryCode::parse("country_code", "GB").unwrap(),
            currency: Currency::GBP,
            time_zone: TimeZone::get("Europe/London").unwrap(),
            opening_hours: Vec::new(),
            delivery_area: DeliveryArea::default(),
            minimum_order: None,
        };
        Restaurant::new(profile, true, Vec::new(), Instant(1_000))
    }

    pub(crate) fn area(prefixes: &[&str]) -> DeliveryArea {
        let postal_code_prefixes = prefixes.iter().map(|prefix| Text::parse("prefix", prefix).unwrap()).collect();
        DeliveryArea { postal_code_prefixes }
    }

    #[track_caller]
    fn check_area(prefixes: &[&str], postal_code: &str, expected: bool) {
        assert_eq!(area(prefixes).includes(postal_code), expected, "{postal_code:?} in {prefixes:?}");
    }

    #[test]
    fn an_area_without_prefixes_is_everywhere() {
        check_area(&[], "E1 6AN", true);
        check_area(&[], "", true);
    }

    #[test]
    fn case_and_spaces_of_postal_codes_do_not_count() {
        check_area(&["E1", "SW1A 1"], "E1 6AN", true);
        check_area(&["e1 6"], " e16an", true);
        check_area(&["SW1A 1"], "sw1a1aa", true);
        check_area(&["E1"], "SE1 7PB", false);
        check_area(&["E16AN7"], "E1 6AN", false);
        check_area(&["E1"], "", false);
    }

    #[test]
    fn an_order_counts_as_of_the_time_at_which_it_was_taken() {
        let closed = Revision { accepts_orders: Some(false), ..Revision::default() };

        let after = restaurant().revised(closed, Instant(2_000)).unwrap();

        assert!(after.acceptance.at(Instant(1_999)));
        assert!(!after.acceptance.at(Instant(2_000)));
    }

    #[test]
    fn saying_again_that_orders_are_taken_changes_nothing() {
        let open = Revision { accepts_orders: Some(true), ..Revision::default() };

        assert_eq!(restaurant().revised(open, Instant(2_000)), None);
        assert_eq!(restaurant().revised(Revision::default(), Instant(2_000)), None);
    }

    #[test]
    fn a_revision_raises_the_version_and_leaves_the_menu() {
        let before = restaurant();

        let after = before.revised(
            Revision { name: Some(Text::parse("name", "Osteria").unwrap()), ..Revision::default() },
            Instant(2_000),
        );

        let after = after.unwrap();
        assert_eq!((after.version, after.menu.version, after.update_time), (2, 1, Instant(2_000)));
        assert_eq!((after.profile.name.as_str(), after.create_time), ("Osteria", before.create_time));
    }

    #[test]
    fn a_new_menu_raises_both_versions() {
        let after = restaurant().with_menu(Vec::new(), Instant(2_000));

        assert_eq!((after.version, after.menu.version), (2, 2));
    }
}
