//! What an operator can do to a broker by mistake.

use async_nats::jetstream;

/// Deletes a stream, if it is there and the broker can be reached.
pub async fn delete_stream(url: &str, name: &str) {
    let Ok(client) = async_nats::connect(url).await else { return };
    drop(jetstream::new(client).delete_stream(name).await);
}
