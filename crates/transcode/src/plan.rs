//! A plan: the tables by which JSON becomes wire bytes and back, without a message in between.
//!
//! A plan is quick and says yes or nothing. What it does not understand at first sight, right or wrong, is the
//! [`Reference`](crate::Reference)'s to read, and to complain about field by field; so a plan has no texts, no leniency and no
//! rare forms. Whatever both read, they read alike: `tests/agreement` holds them together.

mod read;
mod tables;
pub(crate) mod time;
mod write;

use crate::dialect::EnumNames;
use crate::reference::Defaults;
use crate::wire::Malformed;
use prost_reflect::{DescriptorPool, FieldDescriptor, MessageDescriptor};
use std::borrow::Cow;
use std::sync::Arc;
use tables::Tables;

pub(crate) use read::{Place, Reader, Scalar};
pub(crate) use tables::{Field, Kind, Label, Message};
pub(crate) use write::Writer;

/// Bytes of room that a message is given before it is written, at most. 1 KiB: a block of megabytes costs more than what grows does.
const ROOM_MAX: usize = 1 << 10;

/// How messages of one type are read and written.
#[derive(Debug, Clone)]
pub struct Plan {
    tables: Arc<Tables>,
    message: usize,
}

/// The plans of all methods of a pool. Those with the same names for enums share their tables.
pub(crate) struct Plans(Vec<Arc<Tables>>);

impl Plans {
    pub(crate) fn new(pool: &DescriptorPool, enum_names: impl Fn(&str) -> EnumNames) -> Self {
        let mut all: Vec<Tables> = Vec::new();
        for service in pool.services() {
            let enum_names = enum_names(service.full_name());
            let at = all.iter().position(|tables| tables.enum_names == enum_names).unwrap_or_else(|| {
                all.push(Tables::new(enum_names));
                all.len() - 1
            });
            for method in service.methods() {
                all[at].add(&method.input());
                all[at].add(&method.output());
            }
        }
        Plans(all.into_iter().map(Arc::new).collect())
    }

    /// The plan of a message that some method has.
    pub(crate) fn of(&self, message: &MessageDescriptor, enum_names: EnumNames) -> Plan {
        let tables = self.0.iter().find(|tables| tables.enum_names == enum_names);
        let place = tables.and_then(|tables| Some((tables, tables.place(message)?)));
        match place {
            Some((tables, message)) => Plan { tables: Arc::clone(tables), message },
            None => Plan::new(message, enum_names),
        }
    }
}

impl Plan {
    /// Compiles the tables of a message and of all that it can hold.
    #[must_use]
    pub fn new(of: &MessageDescriptor, enum_names: EnumNames) -> Self {
        let mut tables = Tables::new(enum_names);
        let message = tables.add(of);
        Plan { tables: Arc::new(tables), message }
    }

    /// Reads JSON; `None` when it is wrong or unusual.
    #[must_use]
    pub fn read(&self, json: &[u8]) -> Option<Vec<u8>> {
        let mut reader = Reader::new(&self.tables);
        reader.message(self.message(), json)?;
        Some(reader.into_wire())
    }

    /// Writes JSON; `None` when the bytes are no such message, or an unusual one.
    #[must_use]
    pub fn write(&self, wire: &[u8], defaults: Defaults) -> Option<Vec<u8>> {
        let mut json = Vec::new();
        self.put(wire, defaults, &mut json)?;
        Some(json)
    }

    /// Writes JSON after what is there. What is there on `None` is to be cut off.
    pub(crate) fn put(&self, wire: &[u8], defaults: Defaults, json: &mut Vec<u8>) -> Option<()> {
        self.put_by(defaults, wire, json, |writer| writer.message(self.message(), wire))
    }

    /// Writes one field, as [`Plan::put`] the whole message.
    pub(crate) fn put_field(&self, field: &FieldDescriptor, wire: &[u8], json: &mut Vec<u8>) -> Option<()> {
        let at = self.message().field_of_number(field.number(), 0)?;
        self.put_by(Defaults::Written, wire, json, |writer| writer.field(self.message(), at, wire))
    }

    fn put_by<'p, 'w>(
        &'p self,
        defaults: Defaults,
        wire: &'w [u8],
        json: &mut Vec<u8>,
        write: impl FnOnce(&mut Writer<'p, 'w>) -> Result<(), Malformed>,
    ) -> Option<()> {
        // Names and quotes are as long as values, or so.
        json.reserve((2 * wire.len() + 64).min(ROOM_MAX));
        let mut writer = Writer::new(&self.tables, defaults, std::mem::take(json));
        let written = write(&mut writer);
        *json = writer.into_json();
        written.ok()
    }

    /// The text of a field within fields, as it stands in a path; `None` for what is not set, or no scalar.
    pub(crate) fn text<'p>(&'p self, path: impl Iterator<Item = &'p str>, wire: &[u8]) -> Option<String> {
        let mut message = self.message();
        let mut wire = Cow::Borrowed(wire);
        let mut path = path.peekable();
        while let Some(name) = path.next() {
            let at = message.field_of_key(name, 0)?;
            let field = &message.fields[at];
            if path.peek().is_none() {
                let mut writer = Writer::new(&self.tables, Defaults::Written, Vec::new());
                writer.field(message, at, &wire).ok()?;
                return match serde_json::from_slice::<serde_json::Value>(&writer.into_json()).ok()? {
                    serde_json::Value::String(text) => Some(text),
                    number @ (serde_json::Value::Number(_) | serde_json::Value::Bool(_)) => Some(number.to_string()),
                    _ => None,
                };
            }
            wire = Cow::Owned(crate::wire::merged(&wire, field.number).ok()??.into_owned());
            message = self.below(field)?;
        }
        None
    }

    pub(crate) fn message(&self) -> &Message {
        &self.tables.messages[self.message]
    }

    /// The message in a field whose fields can be named from outside: a singular one that is an object.
    pub(crate) fn below(&self, field: &Field) -> Option<&Message> {
        match (field.kind, field.label) {
            (Kind::Message(of), Label::One { .. }) => {
                Some(&self.tables.messages[of]).filter(|message| message.form == tables::Form::Object)
            }
            _ => None,
        }
    }

    pub(crate) fn tables(&self) -> &Tables {
        &self.tables
    }
}
