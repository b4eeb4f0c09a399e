//! Clients outside who ask over a channel, and where they are answered.

use messaging::MessageId;
use proto::Violation;
use std::fmt;

const REPLY_ADDRESS_CHARS_MAX: usize = 64;

/// Where a client's answers go: a key of the channel for answers, and nothing else. So whatever a client writes, an answer never reaches a
/// service, or a channel that does not exist. 1 to 64 letters, digits, `-` and `_`: one token of a subject, as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ReplyAddress(String);

impl ReplyAddress {
    pub(crate) fn parse(text: &str) -> Result<Self, Violation> {
        let is_token = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_');
        if text.is_empty() || text.len() > REPLY_ADDRESS_CHARS_MAX || !is_token {
            let complaint = format!("must be 1 to {REPLY_ADDRESS_CHARS_MAX} letters, digits, - and _");
            return Err(Violation::new("reply_address", complaint));
        }
        Ok(ReplyAddress(text.to_owned()))
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ReplyAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A client outside who asked by a command, and is told how that ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Client {
    pub(crate) reply_address: ReplyAddress,
    /// What the client knows the matter by.
    pub(crate) correlation_id: String,
    /// The command by which it asked.
    pub(crate) command_id: MessageId,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reply_address_is_one_token_of_a_subject() {
        for good in ["a", "Web-shop_7", &"x".repeat(64)] {
            assert_eq!(ReplyAddress::parse(good).unwrap().as_str(), good);
        }
        for bad in ["", &"x".repeat(65), "a.b", "*", ">", "a b", "é", "=61", "a\0", "a\n"] {
            assert_eq!(ReplyAddress::parse(bad).unwrap_err().field, "reply_address", "{bad:?}");
        }
    }
}
