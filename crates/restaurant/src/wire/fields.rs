//! Reads what a request creates, or which fields it changes.

use super::{menu, profile};
use crate::domain::{MenuItem, Profile, Revision};
use iso_currency::Currency;
use proto::comanda::restaurant::v1 as contract;
use proto::text::check_line;
use proto::{Violation, Violations};

/// A restaurant that is to be created.
#[derive(Debug)]
pub(crate) struct Creation {
    pub(crate) profile: Profile,
    pub(crate) accepts_orders: bool,
    pub(crate) items: Vec<MenuItem>,
}

/// Reads the restaurant that is to be created. Its id, times and menu version are ignored, as output-only fields are (AIP-203).
pub(crate) fn creation(request: &contract::CreateRestaurantRequest) -> Result<Creation, Violations> {
    let given = request.restaurant.as_ref().ok_or_else(|| Violation::required("restaurant"))?;
    let mut violations = Violations::new();
    legible(given, &mut violations);
    let (profile, currency) = profile::profile(given, &mut violations);
    let items = given.menu.as_ref().map(|menu| menu.items.as_slice()).unwrap_or_default();
    let items = menu::items("restaurant.menu.items", items, currency, &mut violations);
    match profile {
        Some(profile) if violations.is_empty() => {
            Ok(Creation { profile, accepts_orders: given.accepts_orders.unwrap_or(true), items })
        }
        _ => Err(violations),
    }
}

/// Refuses control characters. Not where rows are read: some may have been taken in by looser rules.
fn legible(given: &contract::Restaurant, violations: &mut Violations) {
    violations.take(check_line("restaurant.name", given.name.trim()));
    let prefixes = given.delivery_area.as_ref().map(|area| area.postal_code_prefixes.as_slice()).unwrap_or_default();
    for (number, prefix) in prefixes.iter().enumerate() {
        let field = || format!("restaurant.delivery_area.postal_code_prefixes[{number}]");
        violations.take(check_line("", prefix.trim()).map_err(|wrong| Violation::new(field(), wrong.description)));
    }
}

/// A field that an update can change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Field {
    Name,
    CountryCode,
    TimeZone,
    OpeningHours,
    DeliveryArea,
    MinimumOrder,
    AcceptsOrders,
}

const FIELDS: [Field; 7] = [
    Field::Name,
    Field::CountryCode,
    Field::TimeZone,
    Field::OpeningHours,
    Field::DeliveryArea,
    Field::MinimumOrder,
    Field::AcceptsOrders,
];

impl Field {
    fn path(self) -> &'static str {
        match self {
            Field::Name => "name",
            Field::CountryCode => "country_code",
            Field::TimeZone => "time_zone",
            Field::OpeningHours => "opening_hours",
            Field::DeliveryArea => "delivery_area",
            Field::MinimumOrder => "minimum_order",
            Field::AcceptsOrders => "accepts_orders",
        }
    }

    fn is_given(self, restaurant: &contract::Restaurant) -> bool {
        match self {
            Field::Name => !restaurant.name.is_empty(),
            Field::CountryCode => !restaurant.country_code.is_empty(),
            Field::TimeZone => !restaurant.time_zone.is_empty(),
            Field::OpeningHours => !restaurant.opening_hours.is_empty(),
            Field::DeliveryArea => restaurant.delivery_area.is_some(),
            Field::MinimumOrder => restaurant.minimum_order.is_some(),
            Field::AcceptsOrders => restaurant.accepts_orders.is_some(),
        }
    }
}

/// Reads what an update changes of a restaurant whose prices are in `currency`.
pub(crate) fn revision(
    request: &contract::UpdateRestaurantRequest,
    currency: Currency,
) -> Result<Revision, Violations> {
    let given = request.restaurant.as_ref().ok_or_else(|| Violation::required("restaurant"))?;
    let mut violations = Violations::new();
    let mut revision = Revision::default();
    legible(given, &mut violations);
    for field in fields(request, given, currency, &mut violations) {
        match field {
            Field::Name => revision.name = violations.take(profile::name(given)),
            Field::CountryCode => revision.country_code = violations.take(profile::country_code(given)),
            Field::TimeZone => revision.time_zone = violations.take(profile::time_zone(given)),
            Field::OpeningHours => revision.opening_hours = Some(profile::opening_hours(given, &mut violations)),
            Field::DeliveryArea => revision.delivery_area = Some(profile::delivery_area(given, &mut violations)),
            Field::MinimumOrder => {
                revision.minimum_order = violations.take(profile::minimum_order(given, Some(currency)));
            }
            Field::AcceptsOrders => {
                let accepts = given.accepts_orders.ok_or_else(|| Violation::required("restaurant.accepts_orders"));
                revision.accepts_orders = violations.take(accepts);
            }
        }
    }
    if violations.is_empty() { Ok(revision) } else { Err(violations) }
}

/// The fields that an update names: those of the mask, or every field that is given.
fn fields(
    request: &contract::UpdateRestaurantRequest,
    given: &contract::Restaurant,
    currency: Currency,
    violations: &mut Violations,
) -> Vec<Field> {
    match request.update_mask.as_ref().map(|mask| mask.paths.as_slice()).unwrap_or_default() {
        [] => {
            fixed(given, currency, violations);
            FIELDS.into_iter().filter(|field| field.is_given(given)).collect()
        }
        [all] if all == "*" => {
            fixed(given, currency, violations);
            FIELDS.to_vec()
        }
        paths => violations.take(paths.iter().map(|path| field(path)).collect()).unwrap_or_default(),
    }
}

/// Refuses what is given and cannot be changed here, rather than to leave it out in silence.
fn fixed(given: &contract::Restaurant, currency: Currency, violations: &mut Violations) {
    if !given.currency_code.is_empty() && given.currency_code != currency.code() {
        violations.push(Violation::new("restaurant.currency_code", "cannot be changed"));
    }
    if given.menu.as_ref().is_some_and(|menu| !menu.items.is_empty()) {
        let complaint = "is changed by ReviseMenu; leave it out, or name the fields to change in update_mask";
        violations.push(Violation::new("restaurant.menu", complaint));
    }
}

fn field(path: &str) -> Result<Field, Violation> {
    let found = FIELDS.into_iter().find(|field| field.path() == path);
    found.ok_or_else(|| {
        let names = FIELDS.map(Field::path).join(", ");
        Violation::new("update_mask", format!("must be `*` alone or name only {names}"))
    })
}

#[cfg(test)]
mod tests;
