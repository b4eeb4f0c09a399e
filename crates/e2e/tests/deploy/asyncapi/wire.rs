//! What stands in the streams of a broker, as it was sent.

use super::Names;
use async_nats::HeaderMap;
use async_nats::jetstream::context::Context;
use async_nats::jetstream::{self, stream};
use futures_util::TryStreamExt;

pub(super) struct Wire(Context);

/// A message in a stream.
pub(super) struct Stored {
    pub(super) subject: String,
    headers: HeaderMap,
    pub(super) payload: Vec<u8>,
}

impl Stored {
    pub(super) fn header_names(&self) -> impl Iterator<Item = String> {
        self.headers.iter().map(|(name, _)| name.to_string())
    }

    /// The name of its type.
    pub(super) fn kind(&self) -> String {
        self.headers.get("ce-type").map_or_else(String::new, ToString::to_string)
    }
}

impl Wire {
    pub(super) async fn to(url: &str) -> Self {
        Wire(jetstream::new(async_nats::connect(url).await.expect("NATS is there")))
    }

    /// All messages of a stream; none when it is not there yet.
    pub(super) async fn all_of(&self, stream: &str) -> Vec<Stored> {
        let Ok(stream) = self.0.get_stream(stream).await else { return Vec::new() };
        let state = &stream.cached_info().state;
        let mut all = Vec::new();
        for sequence in state.first_sequence..=state.last_sequence {
            // Where only the last of each key is kept, numbers are missing.
            if let Ok(message) = stream.get_raw_message(sequence).await {
                let subject = message.subject.to_string();
                all.push(Stored { subject, headers: message.headers, payload: message.payload.to_vec() });
            }
        }
        all
    }

    pub(super) async fn streams(&self) -> Names {
        self.0.stream_names().try_collect().await.expect("NATS is there")
    }

    pub(super) async fn consumers(&self, stream: &str) -> Names {
        let stream = self.0.get_stream(stream).await.expect("the stream is there");
        stream.consumer_names().try_collect().await.expect("NATS is there")
    }

    pub(super) async fn settings(&self, stream: &str) -> stream::Config {
        self.0.get_stream(stream).await.expect("the stream is there").cached_info().config.clone()
    }
}
