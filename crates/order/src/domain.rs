//! What an order is, and every rule about it; pure.

mod client;
mod decide;
mod draft;
mod order;
mod price;

pub(crate) use client::{Client, ReplyAddress};
pub(crate) use decide::{Input, State, Then, Transition, decide};
pub(crate) use draft::{Draft, check_printable};
pub(crate) use order::{Order, Placed};
pub(crate) use price::{Menu, MenuItem, price};

pub(crate) use proto::comanda::order::v1::rejection::Reason;
pub(crate) use proto::comanda::order::v1::rejection::reason::Code as ReasonCode;
