//! What JSON calls a field, and how the wire has it.

use crate::dialect::EnumNames;
use crate::wire::Payload;
use prost_reflect::{EnumDescriptor, FieldDescriptor, MessageDescriptor};
use std::collections::HashMap;

/// Messages and enums, which refer to each other by their places.
#[derive(Debug, Default)]
pub(crate) struct Tables {
    pub(crate) messages: Vec<Message>,
    pub(crate) enums: Vec<Enum>,
    places: HashMap<String, usize>,
    pub(crate) enum_names: EnumNames,
}

#[derive(Debug)]
pub(crate) struct Message {
    pub(crate) descriptor: MessageDescriptor,
    pub(crate) form: Form,
    /// By number.
    pub(crate) fields: Vec<Field>,
    /// The places of fields by their JSON names and their names in the `.proto` file.
    keys: HashMap<Box<str>, usize>,
    pub(crate) oneofs: usize,
}

/// How JSON has a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// As an object with its fields.
    Object,
    /// As its one field: a wrapper such as `google.protobuf.Int64Value`.
    Wrapper,
    Timestamp,
    Duration,
    FieldMask,
    /// As the reference says: what can be any JSON.
    Reference,
}

#[derive(Debug)]
pub(crate) struct Field {
    pub(crate) number: u32,
    pub(crate) json_name: Box<str>,
    /// `"name":`
    pub(crate) json_key: Box<[u8]>,
    pub(crate) kind: Kind,
    pub(crate) label: Label,
    /// The oneof with other members that it is in.
    pub(crate) oneof: Option<usize>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Label {
    /// With presence, a default is written too.
    One {
        has_presence: bool,
    },
    Many {
        is_packed: bool,
    },
    Map {
        key: Kind,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Double,
    Float,
    Int32,
    Int64,
    Uint32,
    Uint64,
    Sint32,
    Sint64,
    Fixed32,
    Fixed64,
    Sfixed32,
    Sfixed64,
    Bool,
    String,
    Bytes,
    /// The place of the enum.
    Enum(usize),
    /// The place of the message.
    Message(usize),
    /// The place of the message; only proto2 and its heirs have groups.
    Group(usize),
}

#[derive(Debug)]
pub(crate) struct Enum {
    numbers: HashMap<Box<str>, i32>,
    /// JSON texts by number.
    texts: HashMap<i32, Box<str>>,
    /// `google.protobuf.NullValue`, which is null.
    pub(crate) is_null: bool,
}

impl Tables {
    pub(crate) fn new(enum_names: EnumNames) -> Self {
        Tables { enum_names, ..Tables::default() }
    }

    /// The place of a message; it is compiled with all that it can hold, once.
    pub(crate) fn add(&mut self, of: &MessageDescriptor) -> usize {
        if let Some(place) = self.places.get(of.full_name()) {
            return *place;
        }
        let place = self.messages.len();
        self.places.insert(of.full_name().to_owned(), place);
        let form = Form::of(of);
        let oneofs: Vec<_> = of.oneofs().filter(|oneof| oneof.fields().len() > 1).collect();
        // Its place is taken before its fields are compiled, since they may hold the message itself.
        self.messages.push(Message {
            descriptor: of.clone(),
            form,
            fields: Vec::new(),
            keys: HashMap::new(),
            oneofs: oneofs.len(),
        });
        // What the reference reads has no fields here.
        let descriptors: Vec<FieldDescriptor> = of.fields().filter(|_| form != Form::Reference).collect();
        let mut fields = Vec::with_capacity(descriptors.len());
        for descriptor in &descriptors {
            let oneof = descriptor.containing_oneof();
            let oneof = oneof.and_then(|oneof| oneofs.iter().position(|other| *other == oneof));
            fields.push(self.field(descriptor, oneof));
        }
        let mut keys: HashMap<Box<str>, usize> = HashMap::new();
        let names = descriptors.iter().map(FieldDescriptor::name).enumerate();
        // A JSON name goes before the same name in the `.proto` file.
        for (at, name) in names.chain(descriptors.iter().map(FieldDescriptor::json_name).enumerate()) {
            keys.insert(name.into(), at);
        }
        let message = &mut self.messages[place];
        (message.fields, message.keys) = (fields, keys);
        place
    }

    pub(crate) fn place(&self, of: &MessageDescriptor) -> Option<usize> {
        self.places.get(of.full_name()).copied()
    }

    /// The kind of the value in a wrapper.
    pub(crate) fn wrapped(&self, of: usize) -> Option<Kind> {
        let message = &self.messages[of];
        message.fields.first().filter(|_| message.form == Form::Wrapper).map(|value| value.kind)
    }

    fn field(&mut self, descriptor: &FieldDescriptor, oneof: Option<usize>) -> Field {
        let name = descriptor.json_name();
        let (label, kind) = match descriptor.kind() {
            prost_reflect::Kind::Message(entry) if descriptor.is_map() => {
                let key = self.kind(&entry.map_entry_key_field());
                (Label::Map { key }, self.kind(&entry.map_entry_value_field()))
            }
            _ if descriptor.is_list() => (Label::Many { is_packed: descriptor.is_packed() }, self.kind(descriptor)),
            _ => (Label::One { has_presence: descriptor.supports_presence() }, self.kind(descriptor)),
        };
        Field {
            number: descriptor.number(),
            json_name: name.into(),
            json_key: format!("{}:", serde_json::Value::from(name)).into_bytes().into(),
            kind,
            label,
            oneof,
        }
    }

    fn kind(&mut self, field: &FieldDescriptor) -> Kind {
        match field.kind() {
            prost_reflect::Kind::Double => Kind::Double,
            prost_reflect::Kind::Float => Kind::Float,
            prost_reflect::Kind::Int32 => Kind::Int32,
            prost_reflect::Kind::Int64 => Kind::Int64,
            prost_reflect::Kind::Uint32 => Kind::Uint32,
            prost_reflect::Kind::Uint64 => Kind::Uint64,
            prost_reflect::Kind::Sint32 => Kind::Sint32,
            prost_reflect::Kind::Sint64 => Kind::Sint64,
            prost_reflect::Kind::Fixed32 => Kind::Fixed32,
            prost_reflect::Kind::Fixed64 => Kind::Fixed64,
            prost_reflect::Kind::Sfixed32 => Kind::Sfixed32,
            prost_reflect::Kind::Sfixed64 => Kind::Sfixed64,
            prost_reflect::Kind::Bool => Kind::Bool,
            prost_reflect::Kind::String => Kind::String,
            prost_reflect::Kind::Bytes => Kind::Bytes,
            prost_reflect::Kind::Enum(of) => Kind::Enum(self.add_enum(&of)),
            prost_reflect::Kind::Message(of) if field.is_group() => Kind::Group(self.add(&of)),
            prost_reflect::Kind::Message(of) => Kind::Message(self.add(&of)),
        }
    }

    fn add_enum(&mut self, of: &EnumDescriptor) -> usize {
        if let Some(place) = self.places.get(of.full_name()) {
            return *place;
        }
        let place = self.enums.len();
        self.places.insert(of.full_name().to_owned(), place);
        let mut numbers = HashMap::new();
        let mut texts = HashMap::new();
        for value in of.values() {
            numbers.insert(self.enum_names.name(&value).into(), value.number());
            numbers.insert(value.name().into(), value.number());
            // Of several names of a number, the one that descriptors give for it.
            let name =
                of.get_value(value.number()).map_or_else(String::new, |value| self.enum_names.name(&value).to_owned());
            texts.insert(value.number(), format!("\"{name}\"").into());
        }
        self.enums.push(Enum { numbers, texts, is_null: of.full_name() == "google.protobuf.NullValue" });
        place
    }
}

impl Form {
    fn of(message: &MessageDescriptor) -> Self {
        if crate::text::wrapped(message).is_some() {
            return Form::Wrapper;
        }
        match message.full_name() {
            "google.protobuf.Timestamp" => Form::Timestamp,
            "google.protobuf.Duration" => Form::Duration,
            "google.protobuf.FieldMask" => Form::FieldMask,
            name if crate::decode::is_well_known(name) => Form::Reference,
            // A plan knows no extensions.
            _ if message.extensions().len() > 0 => Form::Reference,
            _ => Form::Object,
        }
    }
}

impl Message {
    /// The place of the field that a key names; most likely the one at `next`.
    pub(crate) fn field_of_key(&self, key: &str, next: usize) -> Option<usize> {
        match self.fields.get(next) {
            Some(field) if *field.json_name == *key => Some(next),
            _ => self.keys.get(key).copied(),
        }
    }

    /// The place of the field of a number; most likely the one at `next`.
    pub(crate) fn field_of_number(&self, number: u32, next: usize) -> Option<usize> {
        match self.fields.get(next) {
            Some(field) if field.number == number => Some(next),
            _ => self.fields.binary_search_by_key(&number, |field| field.number).ok(),
        }
    }
}

impl Field {
    pub(crate) fn is_repeated(&self) -> bool {
        !matches!(self.label, Label::One { .. })
    }

    /// Whether a value can be this field's.
    pub(crate) fn takes(&self, payload: Payload<'_>) -> bool {
        match self.label {
            Label::One { .. } => self.kind.takes(payload),
            Label::Many { .. } => self.packed(payload).is_some() || self.kind.takes(payload),
            Label::Map { .. } => matches!(payload, Payload::Bytes(_)),
        }
    }

    /// The values that stand in one.
    pub(crate) fn packed<'b>(&self, payload: Payload<'b>) -> Option<&'b [u8]> {
        match (self.label, payload) {
            (Label::Many { .. }, Payload::Bytes(values)) if self.kind.is_packable() => Some(values),
            _ => None,
        }
    }

    /// Whether a value is none: a repeated field that is empty.
    pub(crate) fn is_nothing(&self, payload: Payload<'_>) -> bool {
        self.packed(payload).is_some_and(<[u8]>::is_empty)
    }
}

impl Kind {
    /// How the wire has it, and its default.
    pub(crate) fn payload(self) -> Payload<'static> {
        match self {
            Kind::Double | Kind::Fixed64 | Kind::Sfixed64 => Payload::Bits64(0),
            Kind::Float | Kind::Fixed32 | Kind::Sfixed32 => Payload::Bits32(0),
            Kind::String | Kind::Bytes | Kind::Message(_) => Payload::Bytes(&[]),
            Kind::Group(_) => Payload::Group(&[]),
            Kind::Int32 | Kind::Int64 | Kind::Uint32 | Kind::Uint64 | Kind::Sint32 | Kind::Sint64 => Payload::Varint(0),
            Kind::Bool | Kind::Enum(_) => Payload::Varint(0),
        }
    }

    pub(crate) fn takes(self, payload: Payload<'_>) -> bool {
        std::mem::discriminant(&self.payload()) == std::mem::discriminant(&payload)
    }

    /// Of all forms that the wire has for a value, one.
    pub(crate) fn canonical(self, payload: Payload<'_>) -> Payload<'_> {
        match (self, payload) {
            (Kind::Int32 | Kind::Uint32 | Kind::Sint32 | Kind::Enum(_), Payload::Varint(value)) => {
                Payload::Varint((value as u32).into())
            }
            (Kind::Bool, Payload::Varint(value)) => Payload::Varint((value != 0).into()),
            _ => payload,
        }
    }

    pub(crate) fn is_packable(self) -> bool {
        !matches!(self.payload(), Payload::Bytes(_) | Payload::Group(_))
    }

    pub(crate) fn is_integer(self) -> bool {
        let is_other = matches!(self, Kind::Double | Kind::Float | Kind::Bool | Kind::Enum(_));
        self.is_packable() && !is_other
    }

    pub(crate) fn is_64_bit(self) -> bool {
        matches!(self, Kind::Int64 | Kind::Uint64 | Kind::Sint64 | Kind::Fixed64 | Kind::Sfixed64)
    }
}

impl Enum {
    pub(crate) fn number(&self, name: &str) -> Option<i32> {
        self.numbers.get(name).copied()
    }

    pub(crate) fn text(&self, number: i32) -> Option<&str> {
        self.texts.get(&number).map(AsRef::as_ref)
    }
}
