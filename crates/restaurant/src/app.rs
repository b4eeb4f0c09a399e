//! The use cases, one file each: they read, let the domain decide, and commit.

mod cancel_ticket;
mod create_restaurant;
mod create_ticket;
mod republish;
mod revise_menu;
mod save;
mod update_restaurant;
mod validate_order_details;

pub(crate) use cancel_ticket::cancel_ticket;
pub(crate) use create_restaurant::create_restaurant;
pub(crate) use create_ticket::create_ticket;
pub(crate) use republish::{Republisher, republish};
pub(crate) use revise_menu::revise_menu;
pub(crate) use update_restaurant::update_restaurant;
pub(crate) use validate_order_details::{Verdict, validate_order_details};
