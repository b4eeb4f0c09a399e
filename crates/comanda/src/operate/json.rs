//! Messages of the contract as JSON, by the descriptor set.

use crate::Error;
use prost::{Message, Name};
use prost_reflect::{DescriptorPool, DynamicMessage, SerializeOptions};
use serde_json::{Value, json};

/// An answer as proto3 JSON, with the fields that are empty.
pub(crate) fn of<M: Message + Name>(message: &M) -> Result<Value, Error> {
    decode(&M::full_name(), &message.encode_to_vec())
}

/// The payload of a message by its kind. One that cannot be read is told as it is, in hexadecimal: it may be why it is parked.
pub(crate) fn payload(kind: &str, bytes: &[u8]) -> Value {
    decode(kind, bytes).unwrap_or_else(|error| {
        let hexadecimal: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        json!({ "unreadable": error.to_string(), "hexadecimal": hexadecimal })
    })
}

fn decode(kind: &str, bytes: &[u8]) -> Result<Value, Error> {
    let wrong = |what: String| Error::Argument(what);
    let pool = DescriptorPool::decode(proto::FILE_DESCRIPTOR_SET).map_err(|error| wrong(error.to_string()))?;
    let of =
        pool.get_message_by_name(kind).ok_or_else(|| wrong(format!("there is no message {kind} in the contract")))?;
    let message = DynamicMessage::decode(of, bytes).map_err(|error| wrong(format!("it is no {kind}: {error}")))?;
    let options = SerializeOptions::new().skip_default_fields(false);
    message.serialize_with_options(serde_json::value::Serializer, &options).map_err(Error::Json)
}

/// Prints a value as JSON for people and programs.
pub(crate) fn print(value: &Value) -> Result<(), Error> {
    println!("{}", serde_json::to_string_pretty(value).map_err(Error::Json)?);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proto::comanda::admin::v1::{RedriveParkedRequest, Role};

    #[test]
    fn an_answer_is_told_with_its_empty_fields() {
        let role = Role { name: "order".to_owned(), is_running: false };

        assert_eq!(of(&role).unwrap(), json!({"name": "order", "isRunning": false}));
    }

    #[test]
    fn a_payload_is_read_by_its_kind_and_shown_as_it_is_when_it_cannot() {
        let known = RedriveParkedRequest { who: "ada".to_owned(), ..RedriveParkedRequest::default() };

        assert_eq!(payload("comanda.admin.v1.RedriveParkedRequest", &known.encode_to_vec())["who"], "ada");
        assert_eq!(payload("comanda.admin.v1.RedriveParkedRequest", &[0xff])["hexadecimal"], "ff");
        assert_eq!(payload("comanda.Nothing", &[1, 2])["hexadecimal"], "0102");
    }
}
