//! What a consumer is and what is decided about one; pure, without a database or a wire.

mod consumer;
mod judge;

pub(crate) use consumer::{Consumer, Name, Profile, Revision, State};
pub(crate) use judge::{Reason, judge};
