//! Named tasks that somebody owns, an orderly end, and the signals that ask for it.

mod rhythm;
mod signals;
mod tasks;

pub use rhythm::Rhythm;
pub use signals::Signals;
pub use tasks::{Ended, Stuck, Tasks};

use tokio_util::sync::CancellationToken;

/// Asks tasks to finish what they have begun and to take nothing new. Clones are the same request.
#[derive(Debug, Clone, Default)]
pub struct Drain(CancellationToken);

impl Drain {
    /// A request that nobody has made yet.
    #[must_use]
    pub fn new() -> Self {
        Drain::default()
    }

    /// Makes the request; making it again changes nothing.
    pub fn request(&self) {
        self.0.cancel();
    }

    /// Waits until the request is made. Cancel safe: nothing is lost.
    pub async fn requested(&self) {
        self.0.cancelled().await;
    }

    /// Whether the request was made.
    #[must_use]
    pub fn is_requested(&self) -> bool {
        self.0.is_cancelled()
    }
}
