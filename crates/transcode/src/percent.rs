//! Percent-encoding of paths and queries (RFC 3986 2.1), read strictly.

use std::borrow::Cow;

/// What stays encoded while decoding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Keep {
    /// Nothing.
    Nothing,
    /// `%2F`, in a variable of several segments.
    Slash,
}

/// Decodes `text`; `None` when an escape is cut short or no hexadecimal number, or the result is not UTF-8.
pub(crate) fn decode(text: &str, keep: Keep) -> Option<Cow<'_, str>> {
    if !text.contains('%') {
        return Some(Cow::Borrowed(text));
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        rest = after;
        if *first != b'%' {
            bytes.push(*first);
            continue;
        }
        let (digits, after) = after.split_at_checked(2)?;
        let byte = hexadecimal(digits[0])? << 4 | hexadecimal(digits[1])?;
        match (byte, keep) {
            (b'/', Keep::Slash) => bytes.extend([b'%', digits[0], digits[1]]),
            _ => bytes.push(byte),
        }
        rest = after;
    }
    String::from_utf8(bytes).ok().map(Cow::Owned)
}

/// Decodes a name or value of a query, where `+` is a space.
pub(crate) fn decode_query(text: &str) -> Option<Cow<'_, str>> {
    if !text.contains('+') {
        return decode(text, Keep::Nothing);
    }
    let spaced = text.replace('+', " ");
    decode(&spaced, Keep::Nothing).map(|text| Cow::Owned(text.into_owned()))
}

/// Encodes a value for a path; slashes separate segments when it is one of several segments.
pub(crate) fn encode(value: &str, is_multi: bool) -> String {
    let mut text = String::with_capacity(value.len());
    for byte in value.bytes() {
        match byte {
            b'-' | b'_' | b'.' | b'~' | b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z' => text.push(char::from(byte)),
            b'/' if is_multi => text.push('/'),
            _ => {
                let digit = |half: u8| char::from_digit(u32::from(half), 16).unwrap_or('0').to_ascii_uppercase();
                text.extend(['%', digit(byte >> 4), digit(byte & 15)]);
            }
        }
    }
    text
}

fn hexadecimal(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, decoded: Option<&str>) {
        assert_eq!(decode(text, Keep::Nothing).as_deref(), decoded, "{text}");
    }

    #[test]
    fn escapes_are_decoded() {
        check("a", Some("a"));
        check("a%2Fb%20c%c3%a4", Some("a/b cä"));
        check("a+b", Some("a+b"));
    }

    #[test]
    fn broken_escapes_and_bad_utf8_are_refused() {
        for text in ["%", "%2", "%zz", "%2x", "%ff", "%c3", "a%"] {
            check(text, None);
        }
    }

    #[test]
    fn a_slash_can_stay_encoded() {
        assert_eq!(decode("a%2Fb%2fc%20", Keep::Slash).as_deref(), Some("a%2Fb%2fc "));
    }

    #[test]
    fn a_plus_is_a_space_in_a_query() {
        assert_eq!(decode_query("a+b%2B").as_deref(), Some("a b+"));
    }
}
