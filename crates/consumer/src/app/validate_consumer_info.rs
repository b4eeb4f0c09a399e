//! Judges whether a consumer may place an order.

use crate::Error;
use crate::domain::{Reason, judge};
use proto::{Amount, ConsumerId};
use store::Store;

/// Whether the consumer may place an order that costs `total`; all the reasons why not. `None` is an id that nobody can have.
pub(crate) async fn validate_consumer_info(
    store: &Store,
    consumer_id: Option<ConsumerId>,
    total: Amount,
) -> Result<Result<(), Vec<Reason>>, Error> {
    let consumer = match consumer_id {
        Some(consumer_id) => crate::store::load(store, consumer_id).await?,
        None => None,
    };
    Ok(judge(consumer.as_ref(), total))
}
