//! Where records are kept: the one place that decides who makes a call.

use super::memory::Memory;
use super::record::{Record, State};
use crate::error::Source;
#[cfg(feature = "jetstream")]
use messaging::jetstream::Bucket;
use tracing::warn;

/// Keeps records.
#[derive(Debug)]
pub(crate) enum Store {
    /// In this process.
    Memory(Memory),
    /// In a bucket that all gateways share.
    #[cfg(feature = "jetstream")]
    Shared(Bucket),
}

/// Who makes a call.
#[derive(Debug)]
pub(crate) enum Claimed {
    /// Whoever asked.
    Mine(Claim),
    /// Somebody who came before.
    Other(Record),
}

/// The right to make a call, and to say how it ended.
#[derive(Debug)]
pub(crate) struct Claim {
    pub(super) place: String,
    pub(super) fingerprint: [u8; 32],
    /// What the store knows it by.
    pub(super) revision: u64,
}

/// Why a record cannot be looked up.
#[derive(Debug, thiserror::Error)]
#[error("failed to look up a record")]
pub(crate) struct StoreError(#[source] pub(super) Source);

impl Store {
    /// Claims a call that nobody has made yet, or that somebody began who is dead since.
    #[cfg_attr(not(feature = "jetstream"), expect(clippy::unused_async, reason = "memory waits for nothing"))]
    pub(crate) async fn claim(
        &self,
        place: &str,
        fingerprint: [u8; 32],
        now_ms: u64,
        until_ms: u64,
    ) -> Result<Claimed, StoreError> {
        let record = Record { fingerprint, state: State::Running { until_ms } };
        match self {
            Store::Memory(memory) => Ok(memory.claim(place, record, now_ms)),
            #[cfg(feature = "jetstream")]
            Store::Shared(bucket) => super::bucket::claim(bucket, place, record, now_ms).await,
        }
    }

    /// Writes down how a call ended. If that fails, the call is not made again before its time has run out.
    #[cfg_attr(not(feature = "jetstream"), expect(clippy::unused_async, reason = "memory waits for nothing"))]
    pub(crate) async fn finish(&self, claim: &Claim, state: State) {
        let record = Record { fingerprint: claim.fingerprint, state };
        let finished: Result<(), StoreError> = match self {
            Store::Memory(memory) => {
                memory.finish(claim, record, super::now_ms());
                Ok(())
            }
            #[cfg(feature = "jetstream")]
            Store::Shared(bucket) => super::bucket::finish(bucket, claim, &record).await,
        };
        if let Err(error) = finished {
            warn!(error = &error as &dyn std::error::Error, "answer could not be kept");
        }
    }

    /// Forgets a call, so that it can be made again.
    #[cfg_attr(not(feature = "jetstream"), expect(clippy::unused_async, reason = "memory waits for nothing"))]
    pub(crate) async fn release(&self, claim: &Claim) {
        let released: Result<(), StoreError> = match self {
            Store::Memory(memory) => {
                memory.release(claim);
                Ok(())
            }
            #[cfg(feature = "jetstream")]
            Store::Shared(bucket) => super::bucket::release(bucket, claim).await,
        };
        if let Err(error) = released {
            warn!(error = &error as &dyn std::error::Error, "call could not be released; it can be made again later");
        }
    }
}
