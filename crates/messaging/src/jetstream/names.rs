//! What channels and keys are called in JetStream: streams and subjects.

use sha2::{Digest, Sha256};
use std::fmt::Write;

/// A key that is longer than this is written in hexadecimal: subjects are for people as long as they are short.
const PLAIN_KEY_BYTES_MAX: usize = 128;

/// A key that is longer than this is hashed: NATS takes lines of 4,096 bytes, and a subject stands in them beside other things.
const HEX_KEY_BYTES_MAX: usize = 512;

/// The stream of a channel: `COMANDA_ORDER_REPLIES`.
pub(super) fn stream(prefix: &str, channel: &str) -> String {
    let letter = |it: char| if it.is_ascii_alphanumeric() { it.to_ascii_uppercase() } else { '_' };
    format!("{prefix}.{channel}").chars().map(letter).collect()
}

/// All subjects of a channel: `comanda.order.replies.*`.
pub(super) fn subjects(prefix: &str, channel: &str) -> String {
    format!("{prefix}.{channel}.*")
}

/// The subject of a message: `comanda.order.replies.<key>`.
///
/// A key that is no token of a subject is written in hexadecimal after `=`; a very long one as its SHA-256 after `==`. Two keys never
/// have one subject, since `=` is in no plain key.
pub(super) fn subject(prefix: &str, channel: &str, key: &str) -> String {
    let mut subject = String::with_capacity(prefix.len() + channel.len() + key.len() + 2);
    subject.extend([prefix, ".", channel, "."]);
    let is_plain = |it: u8| it.is_ascii_alphanumeric() || it == b'-' || it == b'_';
    if !key.is_empty() && key.len() <= PLAIN_KEY_BYTES_MAX && key.bytes().all(is_plain) {
        subject.push_str(key);
    } else if key.len() <= HEX_KEY_BYTES_MAX {
        subject.push('=');
        push_hex(&mut subject, key.as_bytes());
    } else {
        subject.push_str("==");
        push_hex(&mut subject, &Sha256::digest(key.as_bytes()));
    }
    subject
}

/// The key of a message that names it in its subject only: the last token as it stands, or none where that says so.
pub(super) fn key(subject: &str) -> String {
    subject.rsplit('.').next().filter(|token| *token != "=").unwrap_or_default().to_owned()
}

/// Whether this can be the first part of names of streams and subjects, or a channel's name: tokens of letters, digits, `-` and `_`.
pub(super) fn is_name(name: &str) -> bool {
    let is_token = |it: &str| !it.is_empty() && it.bytes().all(|it| it.is_ascii_alphanumeric() || b"-_".contains(&it));
    name.split('.').all(is_token)
}

fn push_hex(text: &mut String, bytes: &[u8]) {
    for byte in bytes {
        write!(text, "{byte:02x}").expect("a string takes everything");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::{any, prop_assert, prop_assert_ne, proptest};

    #[test]
    fn a_channel_has_a_stream_and_subjects() {
        assert_eq!(stream("comanda", "order.replies"), "COMANDA_ORDER_REPLIES");
        assert_eq!(subjects("comanda", "order.replies"), "comanda.order.replies.*");
        assert_eq!(subject("comanda", "order.replies", "0193-a_B"), "comanda.order.replies.0193-a_B");
    }

    #[test]
    fn a_key_that_is_no_token_is_encoded() {
        assert_eq!(subject("c", "o", ""), "c.o.=");
        assert_eq!(subject("c", "o", "a.b"), "c.o.=612e62");
        assert_eq!(subject("c", "o", "*"), "c.o.=2a");
        assert_eq!(subject("c", "o", &"é".repeat(1_000)).len(), "c.o.==".len() + 64);
    }

    proptest! {
        #[test]
        fn every_key_has_a_subject_of_its_own(one in any::<String>(), other in any::<String>()) {
            let subject_of = |key: &str| subject("c", "o", key);
            prop_assert!(is_name(&subject_of(&one).replace('=', "")) || one.is_empty());
            if one != other {
                prop_assert_ne!(subject_of(&one), subject_of(&other));
            }
        }
    }
}
