//! Named tasks that somebody owns, an orderly end, and the signals that ask for it.

mod drain;
mod rhythm;
mod signals;
mod tasks;

pub use drain::{Drain, Requested};
pub use rhythm::Rhythm;
pub use signals::{Hangups, Signals};
pub use tasks::{Ended, Stuck, Tasks};
