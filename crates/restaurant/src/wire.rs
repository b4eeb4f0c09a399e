//! Between the contract's messages and the domain: what comes in is checked here, once, and what goes out is written here.

mod command;
mod fields;
mod menu;
mod profile;

pub(crate) use command::{order, ticket_lines};
pub(crate) use fields::{Creation, creation, revision};
pub(crate) use menu::{items, stored_items};
pub(crate) use profile::profile;

use crate::domain::{
    MINUTES_PER_DAY, Menu, MenuItem, OpeningHours, Profile, Reason, Restaurant, Ticket, TicketLine, TicketState,
};
use jiff::civil::Weekday;
use proto::comanda::order::v1::rejection::Reason as RejectionReason;
use proto::comanda::order::v1::rejection::reason::Code;
use proto::comanda::restaurant::v1 as contract;
use proto::google::r#type::{DayOfWeek, TimeOfDay};

/// Writes a restaurant with its menu.
pub(crate) fn restaurant(restaurant: &Restaurant) -> contract::Restaurant {
    contract::Restaurant { menu: Some(menu(&restaurant.menu)), ..without_menu(restaurant) }
}

/// Writes a restaurant without its menu.
pub(crate) fn without_menu(restaurant: &Restaurant) -> contract::Restaurant {
    let Profile { name, country_code, currency, time_zone, opening_hours, delivery_area, minimum_order } =
        &restaurant.profile;
    let prefixes = &delivery_area.postal_code_prefixes;
    contract::Restaurant {
        restaurant_id: restaurant.id.to_string(),
        name: name.as_str().to_owned(),
        country_code: country_code.as_str().to_owned(),
        currency_code: currency.code().to_owned(),
        time_zone: time_zone.iana_name().unwrap_or("UTC").to_owned(),
        opening_hours: opening_hours.iter().map(|span| hours(*span)).collect(),
        delivery_area: (!prefixes.is_empty()).then(|| contract::DeliveryArea {
            postal_code_prefixes: prefixes.iter().map(|prefix| prefix.as_str().to_owned()).collect(),
        }),
        minimum_order: minimum_order.map(Into::into),
        accepts_orders: Some(restaurant.acceptance.accepts_orders),
        menu: None,
        create_time: Some(restaurant.create_time.into()),
        update_time: Some(restaurant.update_time.into()),
    }
}

/// Writes a menu.
pub(crate) fn menu(menu: &Menu) -> contract::Menu {
    contract::Menu { version: menu.version, items: menu.items().iter().map(item).collect() }
}

fn item(item: &MenuItem) -> contract::MenuItem {
    contract::MenuItem {
        menu_item_id: item.id.as_str().to_owned(),
        name: item.name.as_str().to_owned(),
        description: item.description.as_str().to_owned(),
        category: item.category.as_str().to_owned(),
        price: Some(item.price.into()),
        available: Some(item.is_available),
    }
}

fn hours(span: OpeningHours) -> contract::OpeningHours {
    let day = match span.day {
        Weekday::Monday => DayOfWeek::Monday,
        Weekday::Tuesday => DayOfWeek::Tuesday,
        Weekday::Wednesday => DayOfWeek::Wednesday,
        Weekday::Thursday => DayOfWeek::Thursday,
        Weekday::Friday => DayOfWeek::Friday,
        Weekday::Saturday => DayOfWeek::Saturday,
        Weekday::Sunday => DayOfWeek::Sunday,
    };
    contract::OpeningHours { day: day.into(), opens: Some(clock(span.opens)), closes: Some(clock(span.closes)) }
}

fn clock(minute: u16) -> TimeOfDay {
    debug_assert!(minute <= MINUTES_PER_DAY, "{minute} is no minute of a day");
    TimeOfDay { hours: i32::from(minute / 60), minutes: i32::from(minute % 60), seconds: 0, nanos: 0 }
}

/// Writes a ticket.
pub(crate) fn ticket(ticket: &Ticket) -> contract::Ticket {
    contract::Ticket {
        ticket_id: ticket.id.to_string(),
        restaurant_id: ticket.restaurant_id.to_string(),
        order_id: ticket.order_id.to_string(),
        state: ticket_state(ticket.state).into(),
        lines: ticket.lines.iter().map(ticket_line).collect(),
        create_time: Some(ticket.create_time.into()),
        update_time: Some(ticket.update_time.into()),
    }
}

pub(crate) fn ticket_state(state: TicketState) -> contract::ticket::State {
    match state {
        TicketState::Created => contract::ticket::State::Created,
        TicketState::Cancelled => contract::ticket::State::Cancelled,
    }
}

fn ticket_line(line: &TicketLine) -> contract::TicketLine {
    contract::TicketLine {
        menu_item_id: line.menu_item_id.as_str().to_owned(),
        name: line.name.as_str().to_owned(),
        quantity: line.quantity,
    }
}

/// Writes a reason, with the field of the order that it is about.
pub(crate) fn reason(reason: &Reason) -> RejectionReason {
    let (code, field) = match reason {
        Reason::RestaurantUnknown => (Code::RestaurantUnknown, "restaurantId".to_owned()),
        Reason::NotAccepting => (Code::RestaurantNotAcceptingOrders, "restaurantId".to_owned()),
        Reason::Closed { .. } => (Code::RestaurantClosed, "restaurantId".to_owned()),
        Reason::ItemUnknown { line, .. } => (Code::MenuItemUnknown, format!("lines[{line}].menuItemId")),
        Reason::ItemUnavailable { line, .. } => (Code::MenuItemUnavailable, format!("lines[{line}].menuItemId")),
        Reason::ItemGone { line, .. } => (Code::MenuChanged, format!("lines[{line}].menuItemId")),
        Reason::PriceChanged { line, .. } => (Code::MenuChanged, format!("lines[{line}].unitPrice")),
        Reason::BelowMinimum { .. } => (Code::MinimumOrderNotMet, "orderTotal".to_owned()),
        Reason::OutsideDeliveryArea { .. } => (Code::OutsideDeliveryArea, "deliveryAddress.postalCode".to_owned()),
        Reason::TicketCalledOff => (Code::TicketCancelled, String::new()),
    };
    RejectionReason { code: code.into(), message: reason.to_string(), field }
}
