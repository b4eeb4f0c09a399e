//! A message as it arrives at a consumer.

use super::fault::Fault;
use super::headers::{self, Origin};
use crate::Message;
use async_nats::{HeaderMap, Subject};

/// A message, and what the broker says about it.
#[derive(Debug)]
pub(super) struct Arrival {
    /// Its sequence in its stream.
    pub(super) sequence: u64,
    pub(super) message: Message,
    /// Where its acknowledgement goes.
    pub(super) reply: Subject,
}

impl Arrival {
    pub(super) fn read(channel: &str, message: async_nats::Message) -> Result<Self, Fault> {
        let reply = message.reply.unwrap_or_else(|| Subject::from_static(""));
        let origin = origin_of(&reply, &message.subject)
            .ok_or_else(|| Fault::Answer(format!("a message to be acknowledged to {reply:?}")))?;
        let sequence = origin.sequence;
        let none = HeaderMap::new();
        let headers = message.headers.as_ref().unwrap_or(&none);
        let message = headers::read(channel, headers, message.payload.into(), &origin);
        Ok(Arrival { sequence, message, reply })
    }
}

/// Reads where a message lies from where its acknowledgement goes (ADR-15), both of its forms:
/// `$JS.ACK.<stream>.<consumer>.<delivered>.<stream sequence>.<consumer sequence>.<time>.<pending>`, and the same with a domain and an
/// account before the stream and perhaps more at the end.
fn origin_of<'a>(reply: &'a str, subject: &'a str) -> Option<Origin<'a>> {
    let tokens: Vec<&str> = reply.strip_prefix("$JS.ACK.")?.split('.').collect();
    let tokens = if tokens.len() == 7 { &tokens[..] } else { tokens.get(2..9)? };
    let [stream, _, _, sequence, _, stored_ns, _] = tokens else { return None };
    let (sequence, stored_us) = (sequence.parse().ok()?, stored_ns.parse::<i64>().ok()? / 1_000);
    Some(Origin { stream, subject, sequence, stored_us })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(reply: &str, stream_and_sequence: Option<(&str, u64)>) {
        let origin = origin_of(reply, "orders.=");
        assert_eq!(origin.map(|origin| (origin.stream, origin.sequence)), stream_and_sequence);
    }

    #[test]
    fn where_a_message_lies_stands_in_where_its_acknowledgement_goes() {
        check("$JS.ACK.ORDERS.kitchen.1.42.7.1700000000000000000.3", Some(("ORDERS", 42)));
        check("$JS.ACK._.ACCOUNT.ORDERS.kitchen.1.42.7.1700000000000000000.3", Some(("ORDERS", 42)));
        check("$JS.ACK.hub.ACCOUNT.ORDERS.kitchen.1.42.7.1700000000000000000.3.token", Some(("ORDERS", 42)));
    }

    #[test]
    fn anything_else_is_refused() {
        check("", None);
        check("_INBOX.1", None);
        check("$JS.ACK.ORDERS.kitchen.1.42", None);
        check("$JS.ACK.ORDERS.kitchen.1.many.7.1700000000000000000.3", None);
    }
}
