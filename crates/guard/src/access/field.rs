//! A field by its path, such as `order.consumer_id`, in messages of one type.

use prost_reflect::{DynamicMessage, FieldDescriptor, Kind, MessageDescriptor, ReflectMessage, Value};
use std::borrow::Cow;

/// A path into a message. Through a list it leads to all of its elements.
#[derive(Debug, Clone)]
pub(crate) struct Field(Vec<FieldDescriptor>);

impl Field {
    /// Finds the fields of a path.
    ///
    /// # Errors
    /// When one is not there, or the last one cannot be equal to a text: it is a message, a map, bytes or a fraction.
    pub(crate) fn find(message: &MessageDescriptor, path: &str) -> Result<Self, String> {
        let (mut fields, mut within) = (Vec::new(), Some(message.clone()));
        for name in path.split('.') {
            let message = within.ok_or_else(|| format!("{path} leads into a field that is no message"))?;
            let field = message.get_field_by_name(name);
            let field = field.ok_or_else(|| format!("{} has no field {name}", message.full_name()))?;
            if field.is_map() {
                return Err(format!("{path} leads into a map"));
            }
            within = match field.kind() {
                Kind::Message(message) => Some(message),
                _ => None,
            };
            fields.push(field);
        }
        let last = fields.last().map(FieldDescriptor::kind);
        match last {
            None | Some(Kind::Message(_) | Kind::Bytes | Kind::Float | Kind::Double) => {
                Err(format!("{path} is no text, number or truth"))
            }
            Some(_) => Ok(Field(fields)),
        }
    }

    /// Whether the field, or each of them, is one of `texts`.
    pub(crate) fn is_one_of(&self, message: &DynamicMessage, texts: &[String]) -> bool {
        is_one_of(message, &self.0, texts)
    }

    /// Copies the field into another message.
    pub(crate) fn copy(&self, from: &DynamicMessage, to: &mut DynamicMessage) {
        let [field] = self.0.as_slice() else { return };
        let value = from.get_field(field).into_owned();
        to.set_field_by_name(field.name(), value);
    }

    /// Whether it stands in the message itself, and the other message has the same.
    pub(crate) fn is_shared_with(&self, other: &MessageDescriptor) -> bool {
        let [field] = self.0.as_slice() else { return false };
        let same = other.get_field_by_name(field.name());
        same.is_some_and(|same| same.kind() == field.kind() && same.cardinality() == field.cardinality())
    }
}

fn is_one_of(message: &DynamicMessage, path: &[FieldDescriptor], texts: &[String]) -> bool {
    let Some((field, rest)) = path.split_first() else { return false };
    debug_assert_eq!(&message.descriptor(), field.parent_message());
    match message.get_field(field) {
        Cow::Borrowed(Value::List(values)) => values.iter().all(|value| value_is_one_of(value, rest, texts)),
        Cow::Owned(Value::List(values)) => values.iter().all(|value| value_is_one_of(value, rest, texts)),
        value => value_is_one_of(&value, rest, texts),
    }
}

fn value_is_one_of(value: &Value, rest: &[FieldDescriptor], texts: &[String]) -> bool {
    let is = |text: &str| texts.iter().any(|one| one == text);
    match value {
        Value::Message(message) => is_one_of(message, rest, texts),
        Value::String(text) => !text.is_empty() && is(text),
        Value::I32(number) | Value::EnumNumber(number) => is(&number.to_string()),
        Value::I64(number) => is(&number.to_string()),
        Value::U32(number) => is(&number.to_string()),
        Value::U64(number) => is(&number.to_string()),
        Value::Bool(truth) => is(&truth.to_string()),
        Value::F32(_) | Value::F64(_) | Value::Bytes(_) | Value::List(_) | Value::Map(_) => false,
    }
}
