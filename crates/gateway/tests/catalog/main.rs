//! A gateway in front of services that it knows nothing of: real servers on loopback, which describe themselves.
#![expect(clippy::unwrap_used, reason = "a test ends at what it does not expect")]

mod changing;
mod coming_and_going;
mod conflicts;
mod describing;
mod gate;
mod guarded;
mod other_settings;
mod passing;
mod shop;
