//! What travels: headers and a payload.

use sha2::{Digest, Sha256};
use std::fmt;
use std::time::{SystemTime, UNIX_EPOCH};
use uuid::Uuid;

/// Names one attempt to send a message: new for each attempt, the same when one attempt is published again.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MessageId(Uuid);

impl MessageId {
    /// A new one.
    #[must_use]
    pub fn generate() -> Self {
        MessageId(Uuid::now_v7())
    }

    /// Reads the 16 bytes that a database keeps; `None` when they are not 16.
    #[must_use]
    pub fn from_slice(bytes: &[u8]) -> Option<Self> {
        Uuid::from_slice(bytes).ok().map(MessageId)
    }

    /// Reads an id as it is displayed; `None` when it is none.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Uuid::try_parse(text).ok().map(MessageId)
    }

    /// When it was made, in microseconds since 1970, to the millisecond; `None` for an id of another kind.
    #[must_use]
    pub fn made_us(self) -> Option<i64> {
        let (seconds, nanoseconds) = self.0.get_timestamp()?.to_unix();
        i64::try_from(seconds).ok()?.checked_mul(1_000_000)?.checked_add(i64::from(nanoseconds / 1_000))
    }

    /// The same id for the same text: for a message that came without one.
    pub(crate) fn derived(text: &str) -> Self {
        let digest = Sha256::digest(text.as_bytes());
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&digest[..16]);
        // RFC 9562 5.8: a UUID whose bits are the maker's own.
        MessageId(uuid::Builder::from_custom_bytes(bytes).into_uuid())
    }

    /// The 16 bytes to keep in a database.
    #[must_use]
    pub fn to_bytes(self) -> Vec<u8> {
        self.0.as_bytes().to_vec()
    }
}

impl fmt::Display for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A command, reply or event on its way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Names this attempt to send it.
    pub id: MessageId,
    /// Names what it brings about, as in `ORDER:ValidateConsumerInfo:1`; the same over all attempts.
    pub effect_id: String,
    /// Where it goes.
    pub channel: String,
    /// What it is about; messages with the same key are handled one after the other.
    pub key: String,
    /// What it is: the full name of the payload's Protobuf type.
    pub kind: String,
    /// The message that brought this one about.
    pub causation_id: Option<MessageId>,
    /// W3C trace context of the request at the beginning.
    pub traceparent: Option<String>,
    /// When it was written, in microseconds since 1970.
    pub created_us: i64,
    /// The Protobuf message.
    pub payload: Vec<u8>,
}

impl Message {
    /// A message written now.
    #[must_use]
    pub fn new(channel: &str, kind: &str, key: String, effect_id: String, payload: Vec<u8>) -> Self {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Message {
            id: MessageId::generate(),
            effect_id,
            channel: channel.to_owned(),
            key,
            kind: kind.to_owned(),
            causation_id: None,
            traceparent: None,
            created_us: i64::try_from(since_epoch.as_micros()).unwrap_or(i64::MAX),
            payload,
        }
    }

    /// Notes the message that brought this one about, and goes on with its trace.
    #[must_use]
    pub fn caused_by(mut self, cause: &Message) -> Self {
        self.causation_id = Some(cause.id);
        self.traceparent.clone_from(&cause.traceparent);
        self
    }
}
