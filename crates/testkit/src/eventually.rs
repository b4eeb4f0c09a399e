//! Waits for a state, with a bound and a last word; the only place where tests wait by the clock.

use std::future::Future;
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// The pause between two looks. Shorter than what a person notices, and long enough to leave the processor to the platform.
const PAUSE: Duration = Duration::from_millis(20);

/// Polls until `probe` is `Ok`, and returns what it found.
///
/// # Panics
/// With the last complaint of `probe`, when it is still there after `within`.
#[track_caller]
pub fn eventually<T, F>(within: Duration, mut probe: F) -> impl Future<Output = T>
where
    F: AsyncFnMut() -> Result<T, String>,
{
    let caller = std::panic::Location::caller();
    async move {
        let deadline = Instant::now() + within;
        loop {
            match probe().await {
                Ok(found) => return found,
                Err(complaint) if Instant::now() >= deadline => panic!("{caller}: not within {within:?}: {complaint}"),
                Err(_) => sleep(PAUSE).await,
            }
        }
    }
}
