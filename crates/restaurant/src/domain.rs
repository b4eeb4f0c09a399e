//! What a restaurant, a menu and a ticket are, and what is decided about them; pure, without a database or a wire.

mod judge;
mod menu;
mod opening_hours;
mod restaurant;
mod text;
mod ticket;

pub(crate) use judge::{Known, Order, OrderLine, Reason, Superseded, judge};
pub(crate) use menu::{Menu, MenuItem, MenuItemId};
pub(crate) use opening_hours::{MINUTES_PER_DAY, OpeningHours, minute_of_day};
pub(crate) use restaurant::{Acceptance, DeliveryArea, Profile, Restaurant, Revision};
pub(crate) use text::{CountryCode, Text};
pub(crate) use ticket::{Cancellation, Creation, Ticket, TicketLine, TicketState, Wish, cancel, create};
