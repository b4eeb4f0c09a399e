//! Messages, JSON and faults made of a string of bytes, so that proptest and a fuzzer can both choose them.

use prost::Message;
use prost_reflect::{DynamicMessage, FieldDescriptor, Kind, MapKey, MessageDescriptor, ReflectMessage, Value};
use serde_json::Value as Json;
use std::collections::HashMap;

/// Messages within messages at most.
const DEPTH_MAX: usize = 3;
/// Texts that readers of JSON are tempted to take for something else.
const TEXTS: [&str; 12] = [
    "",
    "a",
    "null",
    "true",
    "0",
    "-0",
    "1e3",
    "NaN",
    "-Infinity",
    "\u{e9}\u{1f600}\"\\\n",
    "+/8=",
    "2024-01-02T03:04:05Z",
];

/// Bytes that decide; after their end, everything is the first of its kind.
pub(crate) struct Choices<'b>(pub(crate) &'b [u8]);

impl Choices<'_> {
    fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        *first
    }

    /// A number below `end`.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        usize::from(self.byte()) % end.max(1)
    }

    fn number(&mut self) -> u64 {
        match self.below(6) {
            0 => 0,
            1 => u64::from(self.byte()),
            2 => u64::MAX - u64::from(self.byte()),
            3 => 1 << (self.byte() % 64),
            4 => (1_u64 << (self.byte() % 64)).wrapping_sub(1),
            _ => u64::from_le_bytes(std::array::from_fn(|_| self.byte())),
        }
    }

    fn text(&mut self) -> String {
        TEXTS[self.below(TEXTS.len())].repeat(1 + self.below(2))
    }

    /// A message with some of its fields.
    pub(crate) fn message(&mut self, of: &MessageDescriptor, depth: usize) -> DynamicMessage {
        let mut message = DynamicMessage::new(of.clone());
        if self.well_known(&mut message) {
            return message;
        }
        let fields: Vec<FieldDescriptor> = of.fields().collect();
        for _ in 0..self.below(8) {
            if let Some(field) = fields.get(self.below(fields.len())) {
                let value = self.field(field, depth);
                message.set_field(field, value);
            }
        }
        message
    }

    fn well_known(&mut self, message: &mut DynamicMessage) -> bool {
        match message.descriptor().full_name() {
            "google.protobuf.Timestamp" => {
                let seconds = i64::try_from(self.number() % 315_537_897_600).unwrap() - 62_135_596_800;
                message.set_field_by_name("seconds", Value::I64(seconds));
                message.set_field_by_name("nanos", Value::I32(self.nanos()));
            }
            "google.protobuf.Duration" => {
                let (sign, nanos) = (if self.below(2) == 0 { 1 } else { -1 }, self.nanos());
                let seconds = i64::try_from(self.number() % 315_576_000_000).unwrap() * sign;
                message.set_field_by_name("seconds", Value::I64(seconds));
                message.set_field_by_name("nanos", Value::I32(nanos * i32::try_from(sign).unwrap()));
            }
            "google.protobuf.FieldMask" => {
                let paths = ["a", "two_words", "inner.two_words", "a.b_c.d"];
                let paths = (0..self.below(4)).map(|_| Value::String(paths[self.below(4)].to_owned()));
                message.set_field_by_name("paths", Value::List(paths.collect()));
            }
            "google.protobuf.Any" => {}
            "google.protobuf.Struct" | "google.protobuf.ListValue" | "google.protobuf.Value" => {
                let json = match message.descriptor().name() {
                    "Struct" => serde_json::json!({"a": self.json(0), "b": self.json(0)}),
                    "ListValue" => serde_json::json!([self.json(0), self.json(0)]),
                    _ => self.json(0),
                };
                *message = DynamicMessage::deserialize(message.descriptor(), json).unwrap();
            }
            _ => return false,
        }
        true
    }

    fn nanos(&mut self) -> i32 {
        [0, 500_000_000, 1000, 1, 999_999_999][self.below(5)]
    }

    /// Any JSON.
    pub(crate) fn json(&mut self, depth: usize) -> Json {
        match self.below(if depth < DEPTH_MAX { 9 } else { 7 }) {
            0 => Json::Null,
            1 => Json::Bool(self.below(2) == 0),
            2 => self.number().into(),
            3 => self.number().cast_signed().into(),
            4 => (f64::from(u32::from(self.byte())) / 8.0).into(),
            5 => self.number().to_string().into(),
            6 => self.text().into(),
            7 => (0..self.below(3)).map(|_| self.json(depth + 1)).collect(),
            _ => (0..self.below(3))
                .map(|index| (format!("k{index}"), self.json(depth + 1)))
                .collect::<serde_json::Map<_, _>>()
                .into(),
        }
    }

    fn field(&mut self, field: &FieldDescriptor, depth: usize) -> Value {
        let kind = field.kind();
        if field.is_list() {
            return Value::List((0..self.below(4)).map(|_| self.value(&kind, depth)).collect());
        }
        if !field.is_map() {
            return self.value(&kind, depth);
        }
        let entry = kind.as_message().unwrap();
        let (key, value) = (entry.map_entry_key_field().kind(), entry.map_entry_value_field().kind());
        let mut map = HashMap::new();
        for _ in 0..self.below(4) {
            let key = match self.value(&key, depth) {
                Value::Bool(key) => MapKey::Bool(key),
                Value::I32(key) => MapKey::I32(key),
                Value::I64(key) => MapKey::I64(key),
                Value::U32(key) => MapKey::U32(key),
                Value::U64(key) => MapKey::U64(key),
                Value::String(key) => MapKey::String(key),
                other => panic!("{other:?} is no key"),
            };
            map.insert(key, self.value(&value, depth));
        }
        Value::Map(map)
    }

    fn value(&mut self, kind: &Kind, depth: usize) -> Value {
        match kind {
            Kind::Double => Value::F64(f64::from_bits(self.number())),
            Kind::Float => Value::F32(f32::from_bits(self.number() as u32)),
            Kind::Int32 | Kind::Sint32 | Kind::Sfixed32 => Value::I32(self.number() as i32),
            Kind::Int64 | Kind::Sint64 | Kind::Sfixed64 => Value::I64(self.number().cast_signed()),
            Kind::Uint32 | Kind::Fixed32 => Value::U32(self.number() as u32),
            Kind::Uint64 | Kind::Fixed64 => Value::U64(self.number()),
            Kind::Bool => Value::Bool(self.below(2) == 0),
            Kind::String => Value::String(self.text()),
            Kind::Bytes => Value::Bytes(self.text().into_bytes().into()),
            Kind::Enum(of) if of.name() == "NullValue" => Value::EnumNumber(0),
            Kind::Enum(_) => Value::EnumNumber([0, 1, -2, 3, 4, 5, 77][self.below(7)]),
            Kind::Message(of) if depth < DEPTH_MAX => Value::Message(self.message(of, depth + 1)),
            Kind::Message(of) => Value::Message(DynamicMessage::new(of.clone())),
        }
    }

    /// The bytes of a message, which may be in several parts.
    pub(crate) fn wire(&mut self, of: &MessageDescriptor) -> Vec<u8> {
        let mut wire = self.message(of, 0).encode_to_vec();
        for _ in 0..self.below(3) {
            wire.extend(self.message(of, 1).encode_to_vec());
        }
        wire
    }

    /// Puts another byte into some, sometimes; whether it did.
    pub(crate) fn damage(&mut self, wire: &mut [u8]) -> bool {
        let is_damaged = self.below(4) == 3 && !wire.is_empty();
        if is_damaged {
            let at = usize::try_from(self.number() % u64::try_from(wire.len()).unwrap()).unwrap();
            wire[at] = self.byte();
        }
        is_damaged
    }

    /// Puts something else into a JSON document, here or somewhere below.
    pub(crate) fn spoil(&mut self, json: &mut Json) {
        let depth = self.below(6);
        match json {
            Json::Object(entries) if depth > 0 && !entries.is_empty() => {
                let key = entries.keys().nth(self.below(entries.len())).unwrap().clone();
                match self.below(4) {
                    0 => {
                        let value = entries.remove(&key).unwrap();
                        entries.insert(if self.below(2) == 0 { "a_text".to_owned() } else { self.text() }, value);
                    }
                    _ => self.spoil(entries.get_mut(&key).unwrap()),
                }
            }
            Json::Array(elements) if depth > 0 && !elements.is_empty() => {
                let at = self.below(elements.len());
                self.spoil(&mut elements[at]);
            }
            _ => *json = self.json(0),
        }
    }
}
