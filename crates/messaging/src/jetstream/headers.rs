//! A message as NATS carries it: the payload, and CloudEvents attributes in headers.
//!
//! CloudEvents 1.0, NATS protocol binding, binary mode; values are percent-encoded as there (3.1.3.2), so that any key survives.

use super::names;
use crate::{Message, MessageId};
use async_nats::header::{HeaderMap, HeaderName};
use jiff::Timestamp;
use std::borrow::Cow;
use std::fmt::Write;

/// The id by which the broker recognises a message that is published again.
const MESSAGE_ID: HeaderName = async_nats::header::NATS_MESSAGE_ID;
const SPEC_VERSION: HeaderName = HeaderName::from_static("ce-specversion");
const ID: HeaderName = HeaderName::from_static("ce-id");
const SOURCE: HeaderName = HeaderName::from_static("ce-source");
const TYPE: HeaderName = HeaderName::from_static("ce-type");
const SUBJECT: HeaderName = HeaderName::from_static("ce-subject");
const TIME: HeaderName = HeaderName::from_static("ce-time");
const EFFECT_ID: HeaderName = HeaderName::from_static("ce-effectid");
const CAUSATION_ID: HeaderName = HeaderName::from_static("ce-causationid");
/// The exact time of a message that no calendar knows: years before 0 or after 9999.
const CREATED_US: HeaderName = HeaderName::from_static("ce-createdus");
const CONTENT_TYPE: HeaderName = HeaderName::from_static("content-type");
const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// The times that RFC 3339 can write, in microseconds since 1970: years 0000 to 9999.
const CALENDAR_US: std::ops::Range<i64> = -62_167_219_200_000_000..253_402_300_800_000_000;

/// Writes the headers of a message; `source` stands in them as it is.
pub(super) fn write(message: &Message, source: &str) -> HeaderMap {
    let id = message.id.to_string();
    let mut headers = HeaderMap::new();
    headers.insert(MESSAGE_ID, id.as_str());
    headers.insert(SPEC_VERSION, "1.0");
    headers.insert(ID, id);
    headers.insert(SOURCE, source);
    headers.insert(EFFECT_ID, &*encode(&message.effect_id));
    headers.insert(CONTENT_TYPE, "application/protobuf");
    if !message.kind.is_empty() {
        headers.insert(TYPE, &*encode(&message.kind));
    }
    if !message.key.is_empty() {
        headers.insert(SUBJECT, &*encode(&message.key));
    }
    match Timestamp::from_microsecond(message.created_us) {
        Ok(time) if CALENDAR_US.contains(&message.created_us) => headers.insert(TIME, format!("{time:.6}")),
        Ok(_) | Err(_) => headers.insert(CREATED_US, message.created_us.to_string()),
    }
    if let Some(causation_id) = message.causation_id {
        headers.insert(CAUSATION_ID, causation_id.to_string());
    }
    if let Some(traceparent) = &message.traceparent {
        headers.insert(TRACEPARENT, &*encode(traceparent));
    }
    headers
}

/// Reads a message. What a foreign publisher left out is filled in, so that a consumer can park the message and say what it was: without
/// an id it gets one made of where it lies, without an effect id the id that its publisher gave it, without a key that of its subject,
/// without a kind an empty one.
pub(super) fn read(channel: &str, headers: &HeaderMap, payload: Vec<u8>, origin: &Origin<'_>) -> Message {
    let text = |name: HeaderName| headers.get(name).map(|value| decode(value.as_str()).into_owned());
    let id_of = |name: HeaderName| headers.get(name).and_then(|value| MessageId::parse(value.as_str()));
    let id = id_of(ID).or_else(|| id_of(MESSAGE_ID)).unwrap_or_else(|| origin.message_id());
    let time = || headers.get(TIME)?.as_str().parse::<Timestamp>().ok().map(Timestamp::as_microsecond);
    let exact = || headers.get(CREATED_US)?.as_str().parse::<i64>().ok();
    Message {
        id,
        // Also an id that is no UUID is the same when the message is published again.
        effect_id: text(EFFECT_ID).or_else(|| text(ID)).or_else(|| text(MESSAGE_ID)).unwrap_or_else(|| id.to_string()),
        channel: channel.to_owned(),
        key: text(SUBJECT).unwrap_or_else(|| names::key(origin.subject)),
        kind: text(TYPE).unwrap_or_default(),
        causation_id: id_of(CAUSATION_ID),
        traceparent: text(TRACEPARENT),
        created_us: exact().or_else(time).unwrap_or(origin.stored_us),
        payload,
    }
}

/// Where a message lies in its stream.
#[derive(Debug)]
pub(super) struct Origin<'a> {
    pub(super) stream: &'a str,
    pub(super) subject: &'a str,
    pub(super) sequence: u64,
    /// When the broker stored it, in microseconds since 1970.
    pub(super) stored_us: i64,
}

impl Origin<'_> {
    /// The same id whenever the same message is read.
    fn message_id(&self) -> MessageId {
        MessageId::derived(&format!("{} {} {}", self.stream, self.sequence, self.stored_us))
    }
}

/// Percent-encodes what may not stand in a header: all but the visible ASCII characters, the double quote and the percent sign.
fn encode(text: &str) -> Cow<'_, str> {
    let is_plain = |byte: u8| matches!(byte, b'!'..=b'~') && byte != b'"' && byte != b'%';
    if text.bytes().all(is_plain) {
        return Cow::Borrowed(text);
    }
    let mut encoded = String::with_capacity(text.len() * 2);
    for byte in text.bytes() {
        if is_plain(byte) {
            encoded.push(char::from(byte));
        } else {
            write!(encoded, "%{byte:02X}").expect("a string takes everything");
        }
    }
    Cow::Owned(encoded)
}

/// Undoes [`encode`]. What is no valid encoding stands for itself.
fn decode(text: &str) -> Cow<'_, str> {
    if !text.contains('%') {
        return Cow::Borrowed(text);
    }
    let digit = |byte: Option<&u8>| char::from(*byte?).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let bytes = text.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        match (byte, digit(bytes.get(at + 1)), digit(bytes.get(at + 2))) {
            (b'%', Some(high), Some(low)) => {
                decoded.push(high * 16 + low);
                at += 3;
            }
            (byte, _, _) => {
                decoded.push(*byte);
                at += 1;
            }
        }
    }
    match String::from_utf8(decoded) {
        Ok(decoded) => Cow::Owned(decoded),
        Err(_) => Cow::Borrowed(text),
    }
}

#[cfg(test)]
mod tests;
