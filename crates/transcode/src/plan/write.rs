//! Wire bytes to JSON, in the order of the fields' numbers and with their defaults.
//!
//! Two passes: the first notes where each field is, since fields come in any order and the last value counts; the second writes.

use super::tables::{Field, Form, Kind, Label, Message, Tables};
use super::time;
use crate::reference::{Defaults, Style, infinite};
use crate::wire::{Fields, Malformed, Payload, unzigzag};
use std::collections::HashMap;

/// Messages within messages at most: what prost reads before it gives up.
const DEPTH_MAX: usize = 100;

/// Writes JSON as it reads.
pub(crate) struct Writer<'p, 'b> {
    tables: &'p Tables,
    json: Vec<u8>,
    /// A stack: those of a message are above those of the messages that it is in.
    spots: Vec<Spot<'b>>,
    depth: usize,
    defaults: Defaults,
}

/// Where a field is.
#[derive(Debug, Clone, Copy)]
struct Spot<'b> {
    /// Where its first value begins.
    first: usize,
    /// How many there are.
    count: usize,
    last: Payload<'b>,
}

const NOWHERE: Spot<'_> = Spot { first: 0, count: 0, last: Payload::Varint(0) };

impl<'p, 'b> Writer<'p, 'b> {
    /// Writes after what is there in `json`.
    pub(crate) fn new(tables: &'p Tables, defaults: Defaults, json: Vec<u8>) -> Self {
        Writer { tables, json, spots: Vec::new(), depth: 0, defaults }
    }

    fn style(&self) -> Style {
        Style { defaults: self.defaults, enum_names: self.tables.enum_names }
    }

    pub(crate) fn into_json(self) -> Vec<u8> {
        self.json
    }

    /// Writes a whole message.
    pub(crate) fn message(&mut self, message: &'p Message, wire: &'b [u8]) -> Result<(), Malformed> {
        if self.depth > DEPTH_MAX {
            return Err(Malformed);
        }
        self.depth += 1;
        match message.form {
            Form::Object => self.object(message, wire)?,
            Form::Wrapper => self.wrapper(message, wire)?,
            Form::Timestamp | Form::Duration => self.time(message.form, wire)?,
            Form::FieldMask => self.mask(wire)?,
            Form::Reference => crate::reference::write(&message.descriptor, wire, self.style(), &mut self.json)
                .map_err(|_| Malformed)?,
        }
        self.depth -= 1;
        Ok(())
    }

    /// Writes one field of a message.
    pub(crate) fn field(&mut self, message: &'p Message, at: usize, wire: &'b [u8]) -> Result<(), Malformed> {
        let base = self.find(message, wire)?;
        let (field, spot) = (&message.fields[at], self.spots[base + at]);
        self.value(field, spot, wire)?;
        self.spots.truncate(base);
        Ok(())
    }

    fn object(&mut self, message: &'p Message, wire: &'b [u8]) -> Result<(), Malformed> {
        let base = self.find(message, wire)?;
        self.json.push(b'{');
        let start = self.json.len();
        for (at, field) in message.fields.iter().enumerate() {
            let spot = self.spots[base + at];
            if !self.shows(field, spot) {
                continue;
            }
            if self.json.len() > start {
                self.json.push(b',');
            }
            self.json.extend_from_slice(&field.json_key);
            self.value(field, spot, wire)?;
        }
        self.json.push(b'}');
        self.spots.truncate(base);
        Ok(())
    }

    fn shows(&self, field: &Field, spot: Spot<'_>) -> bool {
        match (field.label, self.defaults) {
            (Label::One { has_presence: true }, _) => spot.count > 0,
            (_, Defaults::Written) => true,
            (Label::One { has_presence: false }, Defaults::LeftOut) => {
                spot.count > 0 && field.kind.canonical(spot.last) != field.kind.payload()
            }
            (Label::Many { .. } | Label::Map { .. }, Defaults::LeftOut) => spot.count > 0,
        }
    }

    /// Notes where the fields of a message are; those of its spots begin at the place that this gives.
    fn find(&mut self, message: &Message, wire: &'b [u8]) -> Result<usize, Malformed> {
        let base = self.spots.len();
        self.spots.resize(base + message.fields.len(), NOWHERE);
        let mut oneofs = vec![usize::MAX; message.oneofs];
        let mut next = 0;
        let mut fields = Fields::new(wire);
        loop {
            let first = fields.at();
            let Some((number, payload)) = fields.next()? else { return Ok(base) };
            let Some(at) = message.field_of_number(number, next) else { continue };
            let field = &message.fields[at];
            if !field.takes(payload) {
                return Err(Malformed);
            }
            if field.is_nothing(payload) {
                continue;
            }
            // The last member of a oneof counts; it is not merged with what it was before another one came.
            if let Some(set) = field.oneof.map(|oneof| &mut oneofs[oneof]) {
                if *set != at && *set != usize::MAX {
                    self.spots[base + *set] = NOWHERE;
                }
                *set = at;
            }
            let spot = &mut self.spots[base + at];
            if spot.count == 0 {
                spot.first = first;
            }
            (spot.count, spot.last) = (spot.count + 1, payload);
            // Values of a repeated field stand together; of any other, the next field is likely to follow.
            next = if field.is_repeated() { at } else { at + 1 };
        }
    }

    fn value(&mut self, field: &'p Field, spot: Spot<'b>, wire: &'b [u8]) -> Result<(), Malformed> {
        match field.label {
            Label::One { .. } if spot.count == 0 => self.default(field.kind),
            Label::One { .. } => match (field.kind, spot.count) {
                (Kind::Message(of) | Kind::Group(of), 2..) => self.merged(of, field, spot, wire),
                _ => self.scalar(field.kind, spot.last),
            },
            Label::Many { .. } => self.list(field, spot, wire),
            Label::Map { key } => self.map(key, field, spot, wire),
        }
    }

    /// Several values of a message are one, put together.
    fn merged(&mut self, of: usize, field: &Field, spot: Spot<'b>, wire: &'b [u8]) -> Result<(), Malformed> {
        let mut merged = Vec::new();
        each(field, spot, wire, |payload| {
            if let Payload::Bytes(bytes) | Payload::Group(bytes) = payload {
                merged.extend_from_slice(bytes);
            }
            Ok(())
        })?;
        self.apart(of, &merged)
    }

    /// Writes a message from other bytes than these.
    fn apart(&mut self, of: usize, wire: &[u8]) -> Result<(), Malformed> {
        let json = std::mem::take(&mut self.json);
        let mut writer =
            Writer { tables: self.tables, json, spots: Vec::new(), depth: self.depth, defaults: self.defaults };
        writer.message(&self.tables.messages[of], wire)?;
        self.json = writer.json;
        Ok(())
    }

    fn list(&mut self, field: &'p Field, spot: Spot<'b>, wire: &'b [u8]) -> Result<(), Malformed> {
        self.json.push(b'[');
        let start = self.json.len();
        each(field, spot, wire, |payload| {
            let Some(packed) = field.packed(payload) else { return self.element(field.kind, payload, start) };
            let mut values = Fields::new(packed);
            while values.at() < packed.len() {
                let value = match field.kind.payload() {
                    Payload::Bits32(_) => Payload::Bits32(values.bits_32()?),
                    Payload::Bits64(_) => Payload::Bits64(values.bits_64()?),
                    _ => Payload::Varint(values.varint()?),
                };
                self.element(field.kind, value, start)?;
            }
            Ok(())
        })?;
        self.json.push(b']');
        Ok(())
    }

    fn element(&mut self, kind: Kind, payload: Payload<'b>, start: usize) -> Result<(), Malformed> {
        if self.json.len() > start {
            self.json.push(b',');
        }
        self.scalar(kind, payload)
    }

    /// Of entries with the same key, the last counts.
    fn map(&mut self, key: Kind, field: &'p Field, spot: Spot<'b>, wire: &'b [u8]) -> Result<(), Malformed> {
        let mut entries: Vec<(Payload<'b>, &'b [u8])> = Vec::with_capacity(spot.count);
        let mut places: HashMap<Payload<'b>, usize> = HashMap::new();
        each(field, spot, wire, |payload| {
            let Payload::Bytes(entry) = payload else { return Err(Malformed) };
            let mut given = key.payload();
            let mut fields = Fields::new(entry);
            while let Some((number, payload)) = fields.next()? {
                if number == 1 {
                    given = key.canonical(payload);
                }
            }
            let place = *places.entry(given).or_insert(entries.len());
            match entries.get_mut(place) {
                Some(before) => before.1 = entry,
                None => entries.push((given, entry)),
            }
            Ok(())
        })?;
        self.json.push(b'{');
        for (index, (payload, entry)) in entries.into_iter().enumerate() {
            if index > 0 {
                self.json.push(b',');
            }
            self.key(key, payload)?;
            self.json.push(b':');
            self.entry(field.kind, entry)?;
        }
        self.json.push(b'}');
        Ok(())
    }

    fn key(&mut self, kind: Kind, payload: Payload<'b>) -> Result<(), Malformed> {
        let is_quoted = matches!(kind.payload(), Payload::Bytes(_)) || kind.is_64_bit();
        if is_quoted {
            return self.scalar(kind, payload);
        }
        self.json.push(b'"');
        self.scalar(kind, payload)?;
        self.json.push(b'"');
        Ok(())
    }

    fn entry(&mut self, kind: Kind, entry: &'b [u8]) -> Result<(), Malformed> {
        let mut fields = Fields::new(entry);
        let mut spot = NOWHERE;
        while let Some((number, payload)) = fields.next()? {
            if number == 2 {
                if !kind.takes(payload) {
                    return Err(Malformed);
                }
                (spot.count, spot.last) = (spot.count + 1, payload);
            }
        }
        match (kind, spot.count) {
            (Kind::Message(of), 0) => self.message(&self.tables.messages[of], &[]),
            (_, 0) => self.default(kind),
            (Kind::Message(of), 2..) => self.apart(of, &crate::wire::merged(entry, 2)?.unwrap_or_default()),
            _ => self.scalar(kind, spot.last),
        }
    }

    fn default(&mut self, kind: Kind) -> Result<(), Malformed> {
        match kind {
            Kind::Message(_) | Kind::Group(_) => Err(Malformed),
            _ => self.scalar(kind, kind.payload()),
        }
    }

    fn wrapper(&mut self, message: &'p Message, wire: &'b [u8]) -> Result<(), Malformed> {
        let field = message.fields.first().ok_or(Malformed)?;
        let base = self.find(message, wire)?;
        let spot = self.spots[base];
        self.spots.truncate(base);
        self.value(field, spot, wire)
    }

    fn time(&mut self, form: Form, wire: &[u8]) -> Result<(), Malformed> {
        let (mut seconds, mut nanos) = (0, 0);
        let mut fields = Fields::new(wire);
        while let Some(field) = fields.next()? {
            match field {
                (1, Payload::Varint(value)) => seconds = value.cast_signed(),
                (2, Payload::Varint(value)) => nanos = value as i32,
                (1 | 2, _) => return Err(Malformed),
                _ => {}
            }
        }
        let put = if form == Form::Timestamp { time::put_timestamp } else { time::put_duration };
        put(&mut self.json, seconds, nanos).ok_or(Malformed)
    }

    fn mask(&mut self, wire: &[u8]) -> Result<(), Malformed> {
        let mut text = String::new();
        let mut fields = Fields::new(wire);
        while let Some(field) = fields.next()? {
            match field {
                // JSON has no place for it.
                (1, Payload::Bytes(&[])) => {}
                (1, Payload::Bytes(path)) => {
                    if !text.is_empty() {
                        text.push(',');
                    }
                    let path = std::str::from_utf8(path).map_err(|_| Malformed)?;
                    text.push_str(&crate::text::camel_path(path).ok_or(Malformed)?);
                }
                (1, _) => return Err(Malformed),
                _ => {}
            }
        }
        self.put(&text)
    }

    fn scalar(&mut self, kind: Kind, payload: Payload<'b>) -> Result<(), Malformed> {
        match (kind, payload) {
            (Kind::Bool, Payload::Varint(value)) => self.put(&(value != 0)),
            (Kind::Int32, Payload::Varint(value)) => self.put(&(value as i32)),
            (Kind::Uint32, Payload::Varint(value)) => self.put(&(value as u32)),
            (Kind::Sint32, Payload::Varint(value)) => self.put(&(unzigzag(u64::from(value as u32)) as i32)),
            (Kind::Fixed32, Payload::Bits32(value)) => self.put(&value),
            (Kind::Sfixed32, Payload::Bits32(value)) => self.put(&value.cast_signed()),
            (Kind::Int64, Payload::Varint(value)) => self.quoted(&value.cast_signed()),
            (Kind::Uint64, Payload::Varint(value)) => self.quoted(&value),
            (Kind::Sint64, Payload::Varint(value)) => self.quoted(&unzigzag(value)),
            (Kind::Fixed64, Payload::Bits64(value)) => self.quoted(&value),
            (Kind::Sfixed64, Payload::Bits64(value)) => self.quoted(&value.cast_signed()),
            (Kind::Float, Payload::Bits32(bits)) => match f32::from_bits(bits) {
                value if value.is_finite() => self.put(&value),
                value => self.put(infinite(value.into())),
            },
            (Kind::Double, Payload::Bits64(bits)) => match f64::from_bits(bits) {
                value if value.is_finite() => self.put(&value),
                value => self.put(infinite(value)),
            },
            (Kind::String, Payload::Bytes(bytes)) => self.put(std::str::from_utf8(bytes).map_err(|_| Malformed)?),
            (Kind::Bytes, Payload::Bytes(bytes)) => {
                self.json.push(b'"');
                crate::text::put_base64(&mut self.json, bytes);
                self.json.push(b'"');
                Ok(())
            }
            (Kind::Enum(of), Payload::Varint(value)) => self.name(of, value as i32),
            (Kind::Message(of), Payload::Bytes(bytes)) | (Kind::Group(of), Payload::Group(bytes)) => {
                self.message(&self.tables.messages[of], bytes)
            }
            _ => Err(Malformed),
        }
    }

    fn name(&mut self, of: usize, number: i32) -> Result<(), Malformed> {
        let of = &self.tables.enums[of];
        match of.text(number) {
            _ if of.is_null => self.json.extend_from_slice(b"null"),
            Some(text) => self.json.extend_from_slice(text.as_bytes()),
            None => return self.put(&number),
        }
        Ok(())
    }

    /// Numbers of 64 bits are strings, since many readers know only doubles.
    fn quoted(&mut self, value: &impl serde::Serialize) -> Result<(), Malformed> {
        self.json.push(b'"');
        self.put(value)?;
        self.json.push(b'"');
        Ok(())
    }

    fn put(&mut self, value: &(impl serde::Serialize + ?Sized)) -> Result<(), Malformed> {
        serde_json::to_writer(&mut self.json, value).map_err(|_| Malformed)
    }
}

/// Visits the values of a field.
fn each<'b>(
    field: &Field,
    spot: Spot<'b>,
    wire: &'b [u8],
    mut visit: impl FnMut(Payload<'b>) -> Result<(), Malformed>,
) -> Result<(), Malformed> {
    let mut left = spot.count;
    let mut fields = Fields::from(wire, spot.first);
    while left > 0 {
        let Some((number, payload)) = fields.next()? else { return Ok(()) };
        if number == field.number && !field.is_nothing(payload) {
            left -= 1;
            visit(payload)?;
        }
    }
    Ok(())
}
