//! Records in a bucket of NATS JetStream, where revisions decide who makes a call.

use super::memory::is_dead;
use super::record::Record;
use super::store::{Claim, Claimed, StoreError};
use messaging::jetstream::Bucket;

/// How often a record is looked at that changes between two looks; others are as many then.
const ATTEMPTS_MAX: u32 = 4;

pub(super) async fn claim(bucket: &Bucket, place: &str, record: Record, now_ms: u64) -> Result<Claimed, StoreError> {
    let failed = |error: messaging::Error| StoreError(error.into());
    let fingerprint = record.fingerprint;
    let mine = |revision| Claimed::Mine(Claim { place: place.to_owned(), fingerprint, revision });
    let value = record.encode();
    for _ in 0..ATTEMPTS_MAX {
        if let Some(revision) = bucket.create(place, value.clone()).await.map_err(failed)? {
            return Ok(mine(revision));
        }
        // It may be forgotten by now.
        let Some((found, revision)) = bucket.get(place).await.map_err(failed)? else { continue };
        let found = Record::decode(found).ok_or_else(|| StoreError("a record cannot be read".into()))?;
        if !is_dead(&found, now_ms) {
            return Ok(Claimed::Other(found));
        }
        if let Some(revision) = bucket.update(place, value.clone(), revision).await.map_err(failed)? {
            return Ok(mine(revision));
        }
    }
    Err(StoreError("a record keeps changing".into()))
}

pub(super) async fn finish(bucket: &Bucket, claim: &Claim, record: &Record) -> Result<(), StoreError> {
    let updated = bucket.update(&claim.place, record.encode(), claim.revision).await;
    match updated.map_err(|error| StoreError(error.into()))? {
        Some(_) => Ok(()),
        None => Err(StoreError("another gateway took this one for dead".into())),
    }
}

pub(super) async fn release(bucket: &Bucket, claim: &Claim) -> Result<(), StoreError> {
    bucket.delete(&claim.place, claim.revision).await.map_err(|error| StoreError(error.into()))
}
