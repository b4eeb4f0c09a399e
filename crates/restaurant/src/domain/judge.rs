//! Whether a restaurant would cook an order, at the time and at the prices at which it was taken.

use super::opening_hours::{is_open, opens_next, wall_clock};
use super::{Menu, MenuItem, OpeningHours, Restaurant, minute_of_day};
use jiff::civil::{DateTime, Weekday};
use proto::time::Instant;
use proto::{Amount, RestaurantId};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// How long after its end a menu still counts, as the contract says: a client that was shown it has that long to order.
const MENU_GRACE: Duration = Duration::from_secs(60);

/// An order to be judged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Order {
    /// `None` is an id that no restaurant can have.
    pub(crate) restaurant_id: Option<RestaurantId>,
    pub(crate) lines: Vec<OrderLine>,
    pub(crate) total: Amount,
    /// The version of the menu that it was priced by.
    pub(crate) menu_version: i64,
    /// May be empty.
    pub(crate) postal_code: String,
    /// When it was taken, which is the time that it is judged at.
    pub(crate) create_time: Instant,
}

/// One line of an order. Whatever the order calls the item is compared with the menu and need not be a valid id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct OrderLine {
    pub(crate) menu_item_id: String,
    pub(crate) unit_price: Amount,
}

/// A menu that is no longer current.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Superseded {
    pub(crate) menu: Arc<Menu>,
    pub(crate) superseded_at: Instant,
}

/// What an order is judged by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Known {
    pub(crate) restaurant: Restaurant,
    /// The menu that priced the order, if it is not the current one and is still kept.
    pub(crate) priced_by: Option<Superseded>,
}

/// Why a restaurant would not cook an order, or has no ticket for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Reason {
    /// There is no such restaurant.
    RestaurantUnknown,
    /// It took no orders at all at that time.
    NotAccepting,
    /// It was closed at that time, which its clock showed as `at`.
    Closed { at: DateTime, zone: String, opens_next: Option<OpeningHours> },
    /// The menu has no such item, and had none when the order was priced.
    ItemUnknown { line: usize, menu_item_id: String },
    /// The item is on the menu at this price and cannot be had.
    ItemUnavailable { line: usize, name: String },
    /// The item is no longer on the menu.
    ItemGone { line: usize, name: String },
    /// The item has another price now.
    PriceChanged { line: usize, name: String, ordered: Amount, current: Amount },
    /// The order costs too little.
    BelowMinimum { total: Amount, minimum: Amount },
    /// The address is too far away.
    OutsideDeliveryArea { postal_code: String },
    /// The ticket was called off before it was created.
    TicketCalledOff,
}

impl fmt::Display for Reason {
    /// A sentence for who ordered, which says what would be right where there is such a thing.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Reason::RestaurantUnknown => write!(f, "There is no restaurant with this id."),
            Reason::NotAccepting => write!(f, "The restaurant was not taking orders when this one was placed."),
            Reason::Closed { at, zone, opens_next } => {
                let (day, time) = (day(at.weekday()), clock(minute_of_day(*at)));
                write!(f, "The restaurant was closed when the order was placed, on {day} at {time} ({zone})")?;
                match opens_next {
                    Some(next) => write!(f, "; it opened next on {} at {}.", self::day(next.day), clock(next.opens)),
                    None => write!(f, "."),
                }
            }
            Reason::ItemUnknown { menu_item_id, .. } => write!(f, "The menu has no item \"{menu_item_id}\"."),
            Reason::ItemUnavailable { name, .. } => write!(f, "\"{name}\" cannot be had at the moment."),
            Reason::ItemGone { name, .. } => write!(f, "\"{name}\" is no longer on the menu."),
            Reason::PriceChanged { name, ordered, current, .. } => {
                write!(f, "\"{name}\" now costs {current}; the order was priced at {ordered}.")
            }
            Reason::BelowMinimum { total, minimum } => {
                write!(f, "The order costs {total}; the restaurant cooks from {minimum} on.")
            }
            Reason::OutsideDeliveryArea { postal_code } if postal_code.is_empty() => {
                write!(f, "The restaurant delivers only to certain postal codes, and the address has none.")
            }
            Reason::OutsideDeliveryArea { postal_code } => {
                write!(f, "The restaurant does not deliver to the postal code {postal_code}.")
            }
            Reason::TicketCalledOff => write!(f, "The order was called off before the kitchen had its ticket."),
        }
    }
}

/// Whether the restaurant would cook the order; all the reasons why not.
///
/// # Errors
/// Every reason, at least one.
pub(crate) fn judge(known: Option<&Known>, order: &Order) -> Result<(), Vec<Reason>> {
    let Some(Known { restaurant, priced_by }) = known else { return Err(vec![Reason::RestaurantUnknown]) };
    let menus = Menus::new(&restaurant.menu, priced_by.as_ref(), order.create_time);
    let mut reasons: Vec<Reason> = when(restaurant, order.create_time).collect();
    reasons.extend(order.lines.iter().enumerate().filter_map(|(number, line)| menus.judge(number, line)));
    reasons.extend(minimum(restaurant, order.total));
    reasons.extend(area(restaurant, &order.postal_code));
    if reasons.is_empty() { Ok(()) } else { Err(reasons) }
}

/// What is wrong with the time.
fn when(restaurant: &Restaurant, time: Instant) -> impl Iterator<Item = Reason> {
    let not_accepting = (!restaurant.acceptance.at(time)).then_some(Reason::NotAccepting);
    let (hours, zone) = (&restaurant.profile.opening_hours, &restaurant.profile.time_zone);
    let at = wall_clock(zone, time);
    let closed = (!is_open(hours, at)).then(|| Reason::Closed {
        at,
        zone: zone.iana_name().unwrap_or("UTC").to_owned(),
        opens_next: opens_next(hours, at),
    });
    not_accepting.into_iter().chain(closed)
}

fn minimum(restaurant: &Restaurant, total: Amount) -> Option<Reason> {
    let minimum = restaurant.profile.minimum_order?;
    let is_met = total.currency == minimum.currency && total.minor >= minimum.minor;
    (!is_met).then_some(Reason::BelowMinimum { total, minimum })
}

fn area(restaurant: &Restaurant, postal_code: &str) -> Option<Reason> {
    let is_inside = restaurant.profile.delivery_area.includes(postal_code);
    (!is_inside).then(|| Reason::OutsideDeliveryArea { postal_code: postal_code.trim().to_owned() })
}

/// The menus that an order can be judged by.
struct Menus<'a> {
    current: &'a Menu,
    priced_by: Option<&'a Menu>,
    /// Whether the order was taken while the menu that priced it still counted.
    is_in_grace: bool,
}

impl<'a> Menus<'a> {
    fn new(current: &'a Menu, priced_by: Option<&'a Superseded>, time: Instant) -> Self {
        Menus {
            current,
            priced_by: priced_by.map(|it| it.menu.as_ref()),
            is_in_grace: priced_by.is_some_and(|it| time < it.superseded_at.plus(MENU_GRACE)),
        }
    }

    /// What is wrong with a line.
    fn judge(&self, line: usize, wanted: &OrderLine) -> Option<Reason> {
        let id = wanted.menu_item_id.as_str();
        let (current, before) = (self.current.item(id), self.priced_by.and_then(|menu| menu.item(id)));
        let offers = |item: &MenuItem| item.is_available && item.price == wanted.unit_price;
        if current.is_some_and(offers) || (self.is_in_grace && before.is_some_and(offers)) {
            return None;
        }
        Some(match (current, before) {
            (Some(item), _) if item.price == wanted.unit_price => {
                Reason::ItemUnavailable { line, name: item.name.as_str().to_owned() }
            }
            (Some(item), _) => Reason::PriceChanged {
                line,
                name: item.name.as_str().to_owned(),
                ordered: wanted.unit_price,
                current: item.price,
            },
            (None, Some(item)) => Reason::ItemGone { line, name: item.name.as_str().to_owned() },
            (None, None) => Reason::ItemUnknown { line, menu_item_id: id.to_owned() },
        })
    }
}

fn clock(minute: u16) -> String {
    format!("{:02}:{:02}", minute / 60, minute % 60)
}

fn day(day: Weekday) -> &'static str {
    match day {
        Weekday::Monday => "Monday",
        Weekday::Tuesday => "Tuesday",
        Weekday::Wednesday => "Wednesday",
        Weekday::Thursday => "Thursday",
        Weekday::Friday => "Friday",
        Weekday::Saturday => "Saturday",
        Weekday::Sunday => "Sunday",
    }
}

#[cfg(test)]
mod tests;
