//! What an operator can see in a broker, and do to it by mistake.

use async_nats::jetstream;

/// Deletes a stream, if it is there and the broker can be reached.
pub async fn delete_stream(url: &str, name: &str) {
    let Ok(client) = async_nats::connect(url).await else { return };
    drop(jetstream::new(client).delete_stream(name).await);
}

/// How many messages a stream holds; `None` when that cannot be asked.
pub async fn messages(url: &str, name: &str) -> Option<u64> {
    let client = async_nats::connect(url).await.ok()?;
    let stream = jetstream::new(client).get_stream(name).await.ok()?;
    Some(stream.cached_info().state.messages)
}
