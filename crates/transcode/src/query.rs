//! Binds the query of a request: `page_size=5` or `pageSize=5`, `inner.name=a`, `tags=a&tags=b`.

use crate::decode::{field_of_key, rival};
use crate::dialect::{EnumNames, Unknown};
use crate::rule::{Body, FieldPath, Route, as_message, set};
use crate::violation::Violations;
use crate::{percent, text};
use prost_reflect::{DynamicMessage, FieldDescriptor, Kind, MessageDescriptor, ReflectMessage, Value};

/// Parameters of one query at most: more than any list method has, and a bound on the quadratic search for duplicates.
pub(crate) const PARAMETERS_MAX: usize = 1000;

/// The parameters of a request.
pub(crate) struct Query<'r> {
    route: &'r Route,
    given: Vec<FieldPath>,
}

impl<'r> Query<'r> {
    pub(crate) fn new(route: &'r Route) -> Self {
        Query { route, given: Vec::new() }
    }

    /// Puts every parameter of `query` into `message`, or complains of it.
    pub(crate) fn bind(&mut self, query: &str, message: &mut DynamicMessage, violations: &mut Violations) {
        let parameters = query.split('&').filter(|parameter| !parameter.is_empty());
        for (index, parameter) in parameters.enumerate() {
            if index == PARAMETERS_MAX {
                return violations.push("query", format!("has more than {PARAMETERS_MAX} parameters"));
            }
            let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
            match (percent::decode_query(name), percent::decode_query(value)) {
                (Some(name), Some(value)) => self.parameter(&name, &value, message, violations),
                _ => violations.push(name, "has a broken percent escape, or one that is not UTF-8"),
            }
        }
    }

    /// Puts one parameter into `message`, or complains of it.
    pub(crate) fn parameter(
        &mut self,
        name: &str,
        value: &str,
        message: &mut DynamicMessage,
        violations: &mut Violations,
    ) {
        let Some(path) = parameter_path(&self.route.rpc.input, name) else {
            if self.route.rpc.dialect.unknown == Unknown::Refused {
                violations.push(name, "is not a query parameter here");
            }
            return;
        };
        if let Err(complaint) = bindable(self.route, &path) {
            return violations.push(name, complaint);
        }
        let is_repeated = path.last().is_some_and(FieldDescriptor::is_list);
        if !is_repeated && self.given.contains(&path) {
            return violations.push(name, "is given twice");
        }
        // A mask that names nothing is as if it were not given (AIP-134), so that what the body gives stays named.
        if value.is_empty() && self.route.update_mask.as_ref().is_some_and(|mask| path.first() == Some(mask)) {
            return self.given.push(path);
        }
        match put(message, &path, value, self.route.rpc.dialect.enum_names) {
            Ok(()) => self.given.push(path),
            Err(complaint) => violations.push(name, complaint),
        }
    }
}

/// The field that a parameter names, if a query can hold it.
fn parameter_path(of: &MessageDescriptor, name: &str) -> Option<FieldPath> {
    let mut path = FieldPath::new();
    let mut message = Some(of.clone());
    for segment in name.split('.') {
        let field = field_of_key(&message?, segment)?;
        message = as_message(&field);
        path.push(field);
    }
    let last = path.last().filter(|last| !last.is_map())?;
    match last.kind() {
        Kind::Message(message) => has_text_form(&message).then_some(path),
        _ => Some(path),
    }
}

/// Whether a message can be written as one parameter.
pub(crate) fn has_text_form(message: &MessageDescriptor) -> bool {
    let known = ["google.protobuf.Timestamp", "google.protobuf.Duration", "google.protobuf.FieldMask"];
    known.contains(&message.full_name()) || text::wrapped(message).is_some()
}

/// Path beats body beats query: what is bound by either cannot be given in the query.
pub(crate) fn bindable(route: &Route, path: &FieldPath) -> Result<(), &'static str> {
    if route.is_in_path(path) {
        return Err("is given by the path and cannot be given in the query");
    }
    match &route.body {
        Body::Whole => Err("belongs into the body"),
        Body::Field(body) if path.first() == Some(body) => Err("belongs into the body"),
        Body::Field(_) | Body::None => Ok(()),
    }
}

fn put(
    message: &mut DynamicMessage,
    path: &FieldPath,
    text: &str,
    enum_names: EnumNames,
) -> Result<(), text::Complaint> {
    let Some((last, parents)) = path.split_last() else { return Ok(()) };
    let value = text::value(&last.kind(), text, enum_names)?;
    let parent = parent(message, parents);
    if let Some(rival) = rival(parent, last) {
        return Err(format!("cannot be given together with {}", rival.json_name()).into());
    }
    match parent.get_field_mut(last) {
        Value::List(values) if last.is_list() => values.push(value),
        _ => set(parent, std::slice::from_ref(last), value),
    }
    Ok(())
}

fn parent<'m>(message: &'m mut DynamicMessage, path: &[FieldDescriptor]) -> &'m mut DynamicMessage {
    let mut parent = message;
    for field in path {
        debug_assert_eq!(&parent.descriptor(), field.parent_message());
        let Value::Message(inner) = parent.get_field_mut(field) else {
            unreachable!("a parameter's parents are messages")
        };
        parent = inner;
    }
    parent
}
