//! The use cases, one file each: they read, let the domain decide, and commit.

mod create_consumer;
mod update_consumer;
mod validate_consumer_info;

pub(crate) use create_consumer::create_consumer;
pub(crate) use update_consumer::update_consumer;
pub(crate) use validate_consumer_info::validate_consumer_info;
