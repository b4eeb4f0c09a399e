//! What an operator can see in a broker, and do to it by mistake.

use async_nats::jetstream;

/// Purges a stream, if it is there and the broker can be reached. It stays the same stream, so nobody can notice what it lost.
pub async fn purge(url: &str, name: &str) {
    let Ok(client) = async_nats::connect(url).await else { return };
    if let Ok(stream) = jetstream::new(client).get_stream(name).await {
        drop(stream.purge().await);
    }
}

/// How many messages a stream holds; `None` when that cannot be asked.
pub async fn messages(url: &str, name: &str) -> Option<u64> {
    let client = async_nats::connect(url).await.ok()?;
    let stream = jetstream::new(client).get_stream(name).await.ok()?;
    Some(stream.cached_info().state.messages)
}
