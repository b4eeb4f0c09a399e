//! The wire format of protobuf, field by field and without any message (protobuf.dev, "Encoding").

use std::borrow::Cow;

/// Groups within groups at most: what prost reads before it gives up.
const DEPTH_MAX: usize = 100;
/// The numbers that the format gives to the kinds of payload.
const VARINT: u8 = 0;
const BITS_64: u8 = 1;
const BYTES: u8 = 2;
const GROUP: u8 = 3;
const END_GROUP: u8 = 4;
const BITS_32: u8 = 5;

/// The value of one field, as it was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Payload<'b> {
    Varint(u64),
    Bits64(u64),
    Bytes(&'b [u8]),
    /// Between its two tags.
    Group(&'b [u8]),
    Bits32(u32),
}

/// Bytes that are no message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the bytes are no message of protobuf")]
pub(crate) struct Malformed;

/// Reads the fields of a message in the order in which they come.
#[derive(Debug, Clone)]
pub(crate) struct Fields<'b> {
    bytes: &'b [u8],
    at: usize,
}

impl<'b> Fields<'b> {
    pub(crate) fn new(bytes: &'b [u8]) -> Self {
        Fields { bytes, at: 0 }
    }

    /// The fields that begin at a place which [`Fields::at`] gave.
    pub(crate) fn from(bytes: &'b [u8], at: usize) -> Self {
        Fields { bytes, at }
    }

    /// Where the next field begins.
    pub(crate) fn at(&self) -> usize {
        self.at
    }

    /// The next field's number and value; `None` at the end.
    pub(crate) fn next(&mut self) -> Result<Option<(u32, Payload<'b>)>, Malformed> {
        if self.at == self.bytes.len() {
            return Ok(None);
        }
        let (number, kind) = self.tag()?;
        Ok(Some((number, self.payload(number, kind, 0)?)))
    }

    /// Reads one varint.
    pub(crate) fn varint(&mut self) -> Result<u64, Malformed> {
        let mut value = 0;
        for place in 0..10 {
            let byte = *self.bytes.get(self.at).ok_or(Malformed)?;
            self.at += 1;
            value |= u64::from(byte & 0x7f) << (7 * place);
            if byte < 0x80 {
                let is_too_large = place == 9 && byte > 1;
                return if is_too_large { Err(Malformed) } else { Ok(value) };
            }
        }
        Err(Malformed)
    }

    pub(crate) fn bits_32(&mut self) -> Result<u32, Malformed> {
        let bytes = self.take(4)?;
        Ok(u32::from_le_bytes(bytes.try_into().map_err(|_| Malformed)?))
    }

    pub(crate) fn bits_64(&mut self) -> Result<u64, Malformed> {
        let bytes = self.take(8)?;
        Ok(u64::from_le_bytes(bytes.try_into().map_err(|_| Malformed)?))
    }

    fn tag(&mut self) -> Result<(u32, u8), Malformed> {
        let tag = u32::try_from(self.varint()?).map_err(|_| Malformed)?;
        if tag >> 3 == 0 { Err(Malformed) } else { Ok((tag >> 3, (tag & 7) as u8)) }
    }

    fn payload(&mut self, number: u32, kind: u8, depth: usize) -> Result<Payload<'b>, Malformed> {
        match kind {
            VARINT => self.varint().map(Payload::Varint),
            BITS_64 => self.bits_64().map(Payload::Bits64),
            BYTES => {
                let length = usize::try_from(self.varint()?).map_err(|_| Malformed)?;
                self.take(length).map(Payload::Bytes)
            }
            GROUP => self.group(number, depth + 1).map(Payload::Group),
            BITS_32 => self.bits_32().map(Payload::Bits32),
            _ => Err(Malformed),
        }
    }

    fn group(&mut self, number: u32, depth: usize) -> Result<&'b [u8], Malformed> {
        if depth > DEPTH_MAX {
            return Err(Malformed);
        }
        let start = self.at;
        loop {
            let end = self.at;
            match self.tag()? {
                (inner, END_GROUP) if inner == number => return Ok(&self.bytes[start..end]),
                (inner, kind) => self.payload(inner, kind, depth)?,
            };
        }
    }

    fn take(&mut self, length: usize) -> Result<&'b [u8], Malformed> {
        let end = self.at.checked_add(length).filter(|end| *end <= self.bytes.len()).ok_or(Malformed)?;
        let taken = &self.bytes[self.at..end];
        self.at = end;
        Ok(taken)
    }
}

/// The bytes in a field, if it has some; the last ones count.
pub(crate) fn last(message: &[u8], number: u32) -> Result<Option<&[u8]>, Malformed> {
    let mut found = None;
    let mut fields = Fields::new(message);
    while let Some((at, payload)) = fields.next()? {
        if let (Payload::Bytes(bytes), true) = (payload, at == number) {
            found = Some(bytes);
        }
    }
    Ok(found)
}

/// The message in a field; several of them are one, put together (protobuf.dev, "Last One Wins").
pub(crate) fn merged(message: &[u8], number: u32) -> Result<Option<Cow<'_, [u8]>>, Malformed> {
    let mut found: Option<Cow<'_, [u8]>> = None;
    let mut fields = Fields::new(message);
    while let Some((at, payload)) = fields.next()? {
        if let (Payload::Bytes(bytes) | Payload::Group(bytes), true) = (payload, at == number) {
            found = Some(match found {
                None => Cow::Borrowed(bytes),
                Some(before) => Cow::Owned([before.as_ref(), bytes].concat()),
            });
        }
    }
    Ok(found)
}

/// A number as it is written shortest.
pub(crate) fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// What precedes a value.
fn put_tag(out: &mut Vec<u8>, number: u32, kind: u8) {
    put_varint(out, u64::from(number) << 3 | u64::from(kind));
}

pub(crate) fn put(out: &mut Vec<u8>, number: u32, payload: Payload<'_>) {
    match payload {
        Payload::Varint(value) => {
            put_tag(out, number, VARINT);
            put_varint(out, value);
        }
        Payload::Bits64(value) => {
            put_tag(out, number, BITS_64);
            out.extend(value.to_le_bytes());
        }
        Payload::Bytes(bytes) => {
            put_tag(out, number, BYTES);
            put_varint(out, bytes.len() as u64);
            out.extend_from_slice(bytes);
        }
        Payload::Group(bytes) => {
            put_tag(out, number, GROUP);
            out.extend_from_slice(bytes);
            put_tag(out, number, END_GROUP);
        }
        Payload::Bits32(value) => {
            put_tag(out, number, BITS_32);
            out.extend(value.to_le_bytes());
        }
    }
}

/// A value within a packed list, which has no tag.
pub(crate) fn put_bare(out: &mut Vec<u8>, payload: Payload<'_>) {
    match payload {
        Payload::Varint(value) => put_varint(out, value),
        Payload::Bits64(value) => out.extend(value.to_le_bytes()),
        Payload::Bits32(value) => out.extend(value.to_le_bytes()),
        Payload::Bytes(bytes) | Payload::Group(bytes) => out.extend_from_slice(bytes),
    }
}

/// A value whose length is known only when it is written: the place where it begins.
#[derive(Debug, Clone, Copy)]
#[must_use]
pub(crate) enum Open {
    Bytes { start: usize },
    Group { number: u32 },
}

/// Begins a value of bytes.
pub(crate) fn open(out: &mut Vec<u8>, number: u32) -> Open {
    put_tag(out, number, BYTES);
    out.push(0);
    Open::Bytes { start: out.len() }
}

pub(crate) fn open_group(out: &mut Vec<u8>, number: u32) -> Open {
    put_tag(out, number, GROUP);
    Open::Group { number }
}

/// Ends it. One byte was kept for the length; a longer one moves what was written.
pub(crate) fn close(out: &mut Vec<u8>, open: Open) {
    let start = match open {
        Open::Bytes { start } => start,
        Open::Group { number } => return put_tag(out, number, END_GROUP),
    };
    let length = out.len() - start;
    if length < 0x80 {
        out[start - 1] = length as u8;
        return;
    }
    let mut prefix = Vec::with_capacity(10);
    put_varint(&mut prefix, length as u64);
    out.splice(start - 1..start, prefix);
}

/// Small negative numbers as small ones.
pub(crate) fn zigzag(value: i64) -> u64 {
    (value << 1 ^ value >> 63).cast_unsigned()
}

pub(crate) fn unzigzag(value: u64) -> i64 {
    (value >> 1).cast_signed() ^ -(value & 1).cast_signed()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_put_is_read() {
        let payloads = [
            Payload::Varint(u64::MAX),
            Payload::Bits64(7),
            Payload::Bytes(b"abc"),
            Payload::Group(b"\x08\x01"),
            Payload::Bits32(9),
        ];
        let mut bytes = Vec::new();
        for payload in payloads {
            put(&mut bytes, 300, payload);
        }

        let mut fields = Fields::new(&bytes);
        for payload in payloads {
            assert_eq!(fields.next(), Ok(Some((300, payload))));
        }
        assert_eq!(fields.next(), Ok(None));
    }

    #[test]
    fn a_length_is_written_when_it_is_known() {
        for length in [0, 1, 127, 128, 20_000] {
            let mut bytes = Vec::new();
            let open = open(&mut bytes, 1);
            bytes.extend(vec![7; length]);
            close(&mut bytes, open);

            assert_eq!(Fields::new(&bytes).next(), Ok(Some((1, Payload::Bytes(&vec![7; length])))));
        }
    }

    #[test]
    fn what_is_cut_short_or_no_field_is_malformed() {
        let cases: [&[u8]; 8] = [
            b"\x08",
            b"\x08\x80",
            b"\x0a\x02a",
            b"\x0d\x01\x02",
            b"\x00\x01",
            b"\x0b\x08\x01",
            b"\x0c",
            b"\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02",
        ];
        for bytes in cases {
            assert_eq!(Fields::new(bytes).next(), Err(Malformed), "{bytes:?}");
        }
        assert_eq!(Fields::new(&[0x0b; 200]).next(), Err(Malformed));
    }

    #[test]
    fn parts_of_a_message_are_put_together() {
        let bytes = b"\x0a\x01a\x12\x01x\x0a\x01b";

        assert_eq!(merged(bytes, 1).map(|parts| parts.map(Cow::into_owned)), Ok(Some(b"ab".to_vec())));
        assert_eq!((last(bytes, 1), last(bytes, 3)), (Ok(Some(b"b".as_slice())), Ok(None)));
    }

    #[test]
    fn zigzag_is_its_own_way_back() {
        for value in [0, -1, 1, i64::MIN, i64::MAX] {
            assert_eq!(unzigzag(zigzag(value)), value);
        }
        assert_eq!((zigzag(-1), zigzag(1)), (1, 2));
    }
}
