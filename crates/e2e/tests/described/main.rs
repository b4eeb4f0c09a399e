//! The API as it describes itself: its examples, its page in a browser, and whatever its schemas allow.

mod browser;
mod examples;
mod generated;
mod page;
