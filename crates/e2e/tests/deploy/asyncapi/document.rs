//! The file, as far as the tests read it.

use super::{Json, Names};
use crate::asyncapi::wire::Stored;
use crate::text;
use prost_reflect::{DescriptorPool, DynamicMessage};
use std::collections::BTreeMap;

pub(super) struct Document(Json);

/// A channel as it is described.
pub(super) struct Described {
    pub(super) name: String,
    /// Where its messages go, up to the key.
    pub(super) subjects: String,
    pub(super) stream: String,
    pub(super) keeps: String,
    pub(super) consumers: Names,
    /// The full names of what it carries.
    pub(super) messages: Vec<String>,
}

pub(super) struct Headers {
    pub(super) described: Names,
    pub(super) required: Names,
}

/// An operation, and the channels with the messages that it is about, as references.
pub(super) struct Operation {
    pub(super) name: String,
    pub(super) uses: Vec<(String, Vec<String>)>,
}

impl Document {
    pub(super) fn read() -> Self {
        Document(serde_json::from_str(&text("asyncapi.json")).expect("deploy/asyncapi.json is JSON"))
    }

    /// What this is, or refers to.
    fn resolve<'a>(&'a self, value: &'a Json) -> &'a Json {
        match value["$ref"].as_str() {
            None => value,
            Some(reference) => {
                let there = reference.strip_prefix('#').and_then(|pointer| self.0.pointer(pointer));
                self.resolve(there.unwrap_or_else(|| panic!("{reference} leads nowhere")))
            }
        }
    }

    pub(super) fn follow_all_references(&self) {
        let mut to_see = vec![&self.0];
        while let Some(value) = to_see.pop() {
            self.resolve(value);
            match value {
                Json::Object(fields) => to_see.extend(fields.values()),
                Json::Array(values) => to_see.extend(values),
                Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) => {}
            }
        }
    }

    /// All messages by their full names.
    pub(super) fn messages(&self) -> BTreeMap<String, &Json> {
        fields(&self.0["components"]["messages"]).map(|(_, message)| (string(&message["name"]), message)).collect()
    }

    pub(super) fn channels(&self) -> impl Iterator<Item = Described> {
        fields(&self.0["channels"]).map(|(name, channel)| {
            let jetstream = &channel["x-jetstream"];
            let address = string(&channel["address"]);
            Described {
                name: name.clone(),
                subjects: address.strip_suffix("{key}").expect("a subject ends with the key").to_owned(),
                stream: string(&jetstream["stream"]),
                keeps: string(&jetstream["keeps"]),
                consumers: strings(&jetstream["consumers"]).collect(),
                messages: fields(&channel["messages"]).map(|(_, it)| string(&self.resolve(it)["name"])).collect(),
            }
        })
    }

    pub(super) fn operations(&self) -> impl Iterator<Item = Operation> {
        fields(&self.0["operations"]).map(|(name, operation)| {
            let parts = [Some(operation), operation.get("reply")];
            let reference = |value: &Json| string(&value["$ref"]);
            let uses = parts.into_iter().flatten().map(|part| {
                let messages = part["messages"].as_array().expect("an operation names its messages");
                (reference(&part["channel"]), messages.iter().map(reference).collect())
            });
            Operation { name: name.clone(), uses: uses.collect() }
        })
    }

    pub(super) fn headers(&self, schema: &str) -> Headers {
        Headers::of(&self.0["components"]["schemas"][schema])
    }

    /// Holds a message that was sent against the description of its channel.
    pub(super) fn check(&self, channel: &Described, stored: &Stored, contract: &DescriptorPool) {
        let kind = stored.kind();
        assert!(channel.messages.contains(&kind), "channel {} has {kind}", channel.name);
        let key = stored.subject.strip_prefix(&channel.subjects);
        assert!(key.is_some_and(|key| !key.contains('.')), "{kind} went to {}", stored.subject);
        let headers = Headers::of(self.resolve(&self.messages()[&kind]["headers"]));
        let names: Names = stored.header_names().collect();
        assert!(headers.required.is_subset(&names), "{kind} has only {names:?}");
        // A client outside may add what it likes; what is said here by clients is said with this program's own headers.
        assert!(names.is_subset(&self.headers("Headers").described), "{kind} has {names:?}");
        let type_of_payload = contract.get_message_by_name(&kind).expect("it is in the contract");
        DynamicMessage::decode(type_of_payload, &*stored.payload).unwrap_or_else(|error| panic!("{kind}: {error}"));
    }
}

impl Headers {
    fn of(schema: &Json) -> Self {
        let described = fields(&schema["properties"]).map(|(name, _)| name.clone()).collect();
        Headers { described, required: strings(&schema["required"]).collect() }
    }
}

fn fields(value: &Json) -> impl Iterator<Item = (&String, &Json)> {
    value.as_object().into_iter().flatten()
}

fn strings(value: &Json) -> impl Iterator<Item = String> {
    value.as_array().into_iter().flatten().map(string)
}

fn string(value: &Json) -> String {
    value.as_str().unwrap_or_else(|| panic!("{value} is no text")).to_owned()
}
