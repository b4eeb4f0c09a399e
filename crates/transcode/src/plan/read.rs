//! JSON to wire bytes. `serde_json` reads the JSON, so that a plan and the reference agree on what is JSON at all.

use super::tables::{Field, Form, Kind, Label, Message, Tables};
use super::time;
use crate::decode::{self, DEPTH_MAX};
use crate::dialect::Dialect;
use crate::text;
use crate::violation::Violations;
use crate::wire::{self, Open, Payload};
use prost::Message as _;
use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use std::borrow::Cow;
use std::collections::{BTreeSet, HashSet};
use std::fmt;
use strict_json::Strict;

/// Writes wire bytes as it reads.
pub(crate) struct Reader<'p> {
    tables: &'p Tables,
    wire: Vec<u8>,
    depth: usize,
}

/// A value that is neither an array nor an object.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Scalar<'t> {
    Null,
    Bool(bool),
    Signed(i64),
    Unsigned(u64),
    Double(f64),
    Text(&'t str),
}

/// Where a value goes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place {
    /// The field's number; 0 within a packed list, where values have none.
    pub(crate) number: u32,
    /// Whether a default is written too.
    pub(crate) keeps_default: bool,
    /// Whether null leaves it out.
    pub(crate) is_optional: bool,
}

impl<'p> Reader<'p> {
    pub(crate) fn new(tables: &'p Tables) -> Self {
        Reader { tables, wire: Vec::new(), depth: 0 }
    }

    pub(crate) fn into_wire(self) -> Vec<u8> {
        self.wire
    }

    /// What is written so far.
    pub(crate) fn wire(&mut self) -> &mut Vec<u8> {
        &mut self.wire
    }

    /// Reads a whole message, which has no tag.
    pub(crate) fn message(&mut self, message: &'p Message, json: &[u8]) -> Option<()> {
        if message.form == Form::Object {
            return self.text(json, |reader, json| json.deserialize_map(Entries { reader, message }));
        }
        None
    }

    /// Reads the value of a field.
    pub(crate) fn field(&mut self, field: &'p Field, json: &[u8]) -> Option<()> {
        self.text(json, |reader, json| FieldSeed { reader, field }.deserialize(json))?.then_some(())
    }

    fn text<'j, T>(
        &mut self,
        json: &'j [u8],
        read: impl FnOnce(&mut Self, &mut serde_json::Deserializer<serde_json::de::StrRead<'j>>) -> serde_json::Result<T>,
    ) -> Option<T> {
        let mut json = serde_json::Deserializer::from_str(std::str::from_utf8(json).ok()?);
        let read = read(self, &mut json).ok()?;
        json.end().ok()?;
        Some(read)
    }

    /// Writes a scalar; whether there is one now, or `None` when it does not fit.
    pub(crate) fn scalar(&mut self, kind: Kind, place: Place, scalar: Scalar<'_>) -> Option<bool> {
        let payload = match (kind, scalar) {
            (Kind::Enum(of), Scalar::Null) if self.tables.enums[of].is_null => Payload::Varint(0),
            (_, Scalar::Null) => return place.is_optional.then_some(false),
            (Kind::Message(of), _) => return self.special(&self.tables.messages[of], place, scalar).map(|()| true),
            (Kind::Double, _) => Payload::Bits64(double(scalar)?.to_bits()),
            (Kind::Float, _) => Payload::Bits32(text::float(double(scalar)?)?.to_bits()),
            (Kind::Bool, Scalar::Bool(value)) => Payload::Varint(value.into()),
            (Kind::String, Scalar::Text(text)) => Payload::Bytes(text.as_bytes()),
            (Kind::Bytes, Scalar::Text(text)) => {
                self.put(place, Payload::Bytes(&text::base64(text)?));
                return Some(true);
            }
            (Kind::Enum(of), Scalar::Text(name)) => integer(self.tables.enums[of].number(name)?),
            (Kind::Group(_) | Kind::Bool | Kind::String | Kind::Bytes, _) => return None,
            _ => number(kind, whole(scalar)?)?,
        };
        self.put(place, payload);
        Some(true)
    }

    fn put(&mut self, place: Place, payload: Payload<'_>) {
        let is_default = match payload {
            Payload::Varint(value) | Payload::Bits64(value) => value == 0,
            Payload::Bits32(value) => value == 0,
            Payload::Bytes(bytes) | Payload::Group(bytes) => bytes.is_empty(),
        };
        match place.number {
            0 => wire::put_bare(&mut self.wire, payload),
            _ if is_default && !place.keeps_default => {}
            number => wire::put(&mut self.wire, number, payload),
        }
    }

    /// Writes a message that JSON has as a scalar.
    fn special(&mut self, message: &'p Message, place: Place, scalar: Scalar<'_>) -> Option<()> {
        let open = wire::open(&mut self.wire, place.number);
        match (message.form, scalar) {
            (Form::Wrapper, scalar) => {
                let value = message.fields.first()?;
                let place = Place { number: value.number, keeps_default: false, is_optional: false };
                self.scalar(value.kind, place, scalar)?;
            }
            (Form::Timestamp, Scalar::Text(text)) => self.time(time::timestamp(text)?),
            (Form::Duration, Scalar::Text(text)) => self.time(time::duration(text)?),
            (Form::FieldMask, Scalar::Text(text)) => {
                for path in text.split(',').filter(|path| !path.is_empty()) {
                    let path = text::snake_path(path)?;
                    wire::put(&mut self.wire, 1, Payload::Bytes(path.as_bytes()));
                }
            }
            _ => return None,
        }
        wire::close(&mut self.wire, open);
        Some(())
    }

    fn time(&mut self, (seconds, nanos): (i64, i32)) {
        for (number, value) in [(1, seconds), (2, nanos.into())] {
            let place = Place { number, keeps_default: false, is_optional: false };
            self.put(place, Payload::Varint(value.cast_unsigned()));
        }
    }

    /// Writes a message that may be any JSON, as the reference reads it.
    fn by_reference(&mut self, message: &Message, place: Place, json: &serde_json::Value) -> Option<bool> {
        let has_null = message.descriptor.full_name() == "google.protobuf.Value";
        if json.is_null() && !has_null {
            return place.is_optional.then_some(false);
        }
        let mut violations = Violations::default();
        let dialect = Dialect { enum_names: self.tables.enum_names, ..Dialect::default() };
        let read = decode::Reader::new(&mut violations, dialect).message(&message.descriptor, json, "")?;
        wire::put(&mut self.wire, place.number, Payload::Bytes(&read.encode_to_vec()));
        Some(true)
    }

    fn open(&mut self, kind: Kind, number: u32) -> Open {
        match kind {
            Kind::Group(_) => wire::open_group(&mut self.wire, number),
            _ => wire::open(&mut self.wire, number),
        }
    }
}

/// A whole number: `5`, `5.0`, `5e0`, or one of these in a string.
fn whole(scalar: Scalar<'_>) -> Option<i128> {
    match scalar {
        Scalar::Signed(number) => Some(number.into()),
        Scalar::Unsigned(number) => Some(number.into()),
        Scalar::Double(number) => text::whole_double(number),
        Scalar::Text(text) => text::whole_number(text),
        Scalar::Null | Scalar::Bool(_) => None,
    }
}

fn number(kind: Kind, whole: i128) -> Option<Payload<'static>> {
    Some(match kind {
        Kind::Int32 | Kind::Enum(_) => integer(whole.try_into().ok()?),
        Kind::Int64 => Payload::Varint(i64::try_from(whole).ok()?.cast_unsigned()),
        Kind::Uint32 => Payload::Varint(u32::try_from(whole).ok()?.into()),
        Kind::Uint64 => Payload::Varint(whole.try_into().ok()?),
        Kind::Sint32 => Payload::Varint(wire::zigzag(i32::try_from(whole).ok()?.into())),
        Kind::Sint64 => Payload::Varint(wire::zigzag(whole.try_into().ok()?)),
        Kind::Fixed32 => Payload::Bits32(whole.try_into().ok()?),
        Kind::Sfixed32 => Payload::Bits32(i32::try_from(whole).ok()?.cast_unsigned()),
        Kind::Fixed64 => Payload::Bits64(whole.try_into().ok()?),
        Kind::Sfixed64 => Payload::Bits64(i64::try_from(whole).ok()?.cast_unsigned()),
        _ => return None,
    })
}

/// Negative ones have ten bytes, as those of 64 bits.
fn integer(number: i32) -> Payload<'static> {
    Payload::Varint(i64::from(number).cast_unsigned())
}

#[expect(clippy::cast_precision_loss, reason = "rounding to the nearest double is what JSON readers do")]
fn double(scalar: Scalar<'_>) -> Option<f64> {
    match scalar {
        Scalar::Signed(number) => Some(number as f64),
        Scalar::Unsigned(number) => Some(number as f64),
        Scalar::Double(number) => Some(number),
        Scalar::Text(text) => text::double(text),
        Scalar::Null | Scalar::Bool(_) => None,
    }
}

/// Why is for the reference to say.
fn refused<E: Error>() -> E {
    E::custom("")
}

/// What was seen of an object: fields, and after them oneofs.
#[derive(Default)]
struct Seen {
    first: u128,
    rest: BTreeSet<usize>,
}

impl Seen {
    /// Whether it is seen for the first time.
    fn insert(&mut self, place: usize) -> bool {
        if place >= 128 {
            return self.rest.insert(place);
        }
        let is_new = self.first >> place & 1 == 0;
        self.first |= 1 << place;
        is_new
    }
}

/// The entries of an object.
struct Entries<'r, 'p> {
    reader: &'r mut Reader<'p>,
    message: &'p Message,
}

impl<'de> Visitor<'de> for Entries<'_, '_> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        formatter.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<(), A::Error> {
        let Entries { reader, message } = self;
        if reader.depth == DEPTH_MAX {
            return Err(refused());
        }
        reader.depth += 1;
        let mut seen = Seen::default();
        let mut next = 0;
        while let Some(at) = access.next_key_seed(Key { message, next })? {
            let field = &message.fields[at];
            let is_given = access.next_value_seed(FieldSeed { reader: &mut *reader, field })?;
            let is_first = seen.insert(at);
            let is_alone = field.oneof.is_none_or(|oneof| !is_given || seen.insert(message.fields.len() + oneof));
            if !is_first || !is_alone {
                return Err(refused());
            }
            next = at + 1;
        }
        reader.depth -= 1;
        Ok(())
    }
}

struct Key<'p> {
    message: &'p Message,
    next: usize,
}

impl<'de> DeserializeSeed<'de> for Key<'_> {
    type Value = usize;

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<usize, D::Error> {
        json.deserialize_str(self)
    }
}

impl Visitor<'_> for Key<'_> {
    type Value = usize;

    fn expecting(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        formatter.write_str("a name of a field")
    }

    fn visit_str<E: Error>(self, key: &str) -> Result<usize, E> {
        self.message.field_of_key(key, self.next).ok_or_else(refused)
    }
}

/// The value of a whole field; whether it is there.
struct FieldSeed<'r, 'p> {
    reader: &'r mut Reader<'p>,
    field: &'p Field,
}

impl<'de> DeserializeSeed<'de> for FieldSeed<'_, '_> {
    type Value = bool;

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<bool, D::Error> {
        let FieldSeed { reader, field } = self;
        match field.label {
            Label::One { has_presence } => {
                let place = Place { number: field.number, keeps_default: has_presence, is_optional: true };
                Value { reader, kind: field.kind, place }.deserialize(json)
            }
            Label::Many { .. } | Label::Map { .. } => json.deserialize_any(FieldSeed { reader, field }),
        }
    }
}

impl<'de> Visitor<'de> for FieldSeed<'_, '_> {
    type Value = bool;

    fn expecting(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        formatter.write_str("an array or an object")
    }

    fn visit_unit<E>(self) -> Result<bool, E> {
        Ok(false)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<bool, A::Error> {
        let FieldSeed { reader, field } = self;
        let Label::Many { is_packed } = field.label else { return Err(refused()) };
        let start = reader.wire.len();
        let packed = is_packed.then(|| wire::open(&mut reader.wire, field.number));
        let place = Place { number: if is_packed { 0 } else { field.number }, keeps_default: true, is_optional: false };
        let mut is_empty = true;
        while access.next_element_seed(Value { reader: &mut *reader, kind: field.kind, place })?.is_some() {
            is_empty = false;
        }
        match packed {
            Some(_) if is_empty => reader.wire.truncate(start),
            Some(open) => wire::close(&mut reader.wire, open),
            None => {}
        }
        Ok(true)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<bool, A::Error> {
        let FieldSeed { reader, field } = self;
        let Label::Map { key: kind } = field.label else { return Err(refused()) };
        let mut seen: HashSet<Cow<'de, str>> = HashSet::new();
        let place = |number| Place { number, keeps_default: true, is_optional: false };
        while let Some(key) = access.next_key_seed(Text)? {
            let open = wire::open(&mut reader.wire, field.number);
            let scalar = match (kind, key.as_ref()) {
                (Kind::Bool, "true") => Scalar::Bool(true),
                (Kind::Bool, "false") => Scalar::Bool(false),
                (Kind::String, key) => Scalar::Text(key),
                // Two spellings of one number are two keys of JSON.
                (_, key) if key.parse::<i128>().is_ok_and(|number| number.to_string() == key) => Scalar::Text(key),
                _ => return Err(refused()),
            };
            reader.scalar(kind, place(1), scalar).ok_or_else(refused)?;
            access.next_value_seed(Value { reader: &mut *reader, kind: field.kind, place: place(2) })?;
            wire::close(&mut reader.wire, open);
            if !seen.insert(key) {
                return Err(refused());
            }
        }
        Ok(true)
    }
}

/// A key of a map.
struct Text;

impl<'de> DeserializeSeed<'de> for Text {
    type Value = Cow<'de, str>;

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<Cow<'de, str>, D::Error> {
        json.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for Text {
    type Value = Cow<'de, str>;

    fn expecting(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        formatter.write_str("a key")
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Cow<'de, str>, E> {
        Ok(Cow::Borrowed(text))
    }

    fn visit_str<E>(self, text: &str) -> Result<Cow<'de, str>, E> {
        Ok(Cow::Owned(text.to_owned()))
    }
}

/// One value: of a singular field, an element, or an entry. Whether it is there.
struct Value<'r, 'p> {
    reader: &'r mut Reader<'p>,
    kind: Kind,
    place: Place,
}

impl Value<'_, '_> {
    fn scalar<E: Error>(self, scalar: Scalar<'_>) -> Result<bool, E> {
        self.reader.scalar(self.kind, self.place, scalar).ok_or_else(refused)
    }
}

impl<'de> DeserializeSeed<'de> for Value<'_, '_> {
    type Value = bool;

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<bool, D::Error> {
        let tables = self.reader.tables;
        match self.kind {
            Kind::Message(of) if tables.messages[of].form == Form::Reference => {
                let Strict(json) = Strict::deserialize(json)?;
                self.reader.by_reference(&tables.messages[of], self.place, &json).ok_or_else(refused)
            }
            _ => json.deserialize_any(self),
        }
    }
}

impl<'de> Visitor<'de> for Value<'_, '_> {
    type Value = bool;

    fn expecting(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        formatter.write_str("a value")
    }

    fn visit_unit<E: Error>(self) -> Result<bool, E> {
        self.scalar(Scalar::Null)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<bool, E> {
        self.scalar(Scalar::Bool(value))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<bool, E> {
        self.scalar(Scalar::Signed(value))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<bool, E> {
        self.scalar(Scalar::Unsigned(value))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<bool, E> {
        self.scalar(Scalar::Double(value))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<bool, E> {
        self.scalar(Scalar::Text(value))
    }

    fn visit_map<A: MapAccess<'de>>(self, access: A) -> Result<bool, A::Error> {
        let Value { reader, kind, place } = self;
        let (Kind::Message(of) | Kind::Group(of)) = kind else { return Err(refused()) };
        let message = &reader.tables.messages[of];
        if message.form != Form::Object {
            return Err(refused());
        }
        let open = reader.open(kind, place.number);
        Entries { reader: &mut *reader, message }.visit_map(access)?;
        wire::close(&mut reader.wire, open);
        Ok(true)
    }
}
