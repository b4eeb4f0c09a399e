//! Reads a usual request by the plan of its message: body, query and path go straight into wire bytes.
//!
//! Later values win on the wire, so path comes last. `None` at the first doubt: the request is read again by the reference then,
//! which either knows how, or says all that is wrong with it.

use crate::plan::{Field, Kind, Label, Message, Place, Plan, Reader, Scalar};
use crate::query::PARAMETERS_MAX;
use crate::rule::{Body, Route};
use crate::wire::{self, Payload};
use crate::{percent, text};
use prost_reflect::FieldDescriptor;

/// The wire bytes of a request's message.
pub(crate) fn bind(route: &Route, values: &[String], query: &str, body: &[u8]) -> Option<Vec<u8>> {
    // Its mask is made of the keys of the body, which a plan does not keep.
    if route.update_mask.is_some() {
        return None;
    }
    let mut binder = Binder { route, plan: &route.rpc.reads, reader: Reader::new(route.rpc.reads.tables()) };
    binder.body(body)?;
    binder.query(query)?;
    for (path, value) in route.variables.iter().zip(values) {
        binder.variable(path, value)?;
    }
    Some(binder.reader.into_wire())
}

struct Binder<'r> {
    route: &'r Route,
    plan: &'r Plan,
    reader: Reader<'r>,
}

impl<'r> Binder<'r> {
    fn body(&mut self, body: &[u8]) -> Option<()> {
        let message = self.plan.message();
        match &self.route.body {
            Body::None => Some(()),
            Body::Whole if body.is_empty() => Some(()),
            Body::Whole => self.reader.message(message, body),
            Body::Field(field) => {
                let field = message.field(field)?;
                let is_message = matches!((field.label, field.kind), (Label::One { .. }, Kind::Message(_)));
                match (body.trim_ascii(), is_message) {
                    _ if !body.is_empty() && body.trim_ascii().is_empty() => None,
                    ([], true) => {
                        wire::put(self.reader.wire(), field.number, Payload::Bytes(&[]));
                        Some(())
                    }
                    ([], false) => Some(()),
                    (b"null", _) => None,
                    _ => self.reader.field(field, body),
                }
            }
        }
    }

    fn query(&mut self, query: &str) -> Option<()> {
        let mut given: Vec<Vec<&'r Field>> = Vec::new();
        for parameter in query.split('&').filter(|parameter| !parameter.is_empty()) {
            if given.len() == PARAMETERS_MAX {
                return None;
            }
            let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
            let path = self.path(&percent::decode_query(name)?)?;
            let is_known =
                |other: &Vec<&Field>| other.iter().map(|field| field.number).eq(path.iter().map(|field| field.number));
            let is_many = path.last().is_some_and(|last| last.is_repeated());
            if self.is_taken(&path) || (!is_many && given.iter().any(is_known)) {
                return None;
            }
            self.put(&path, &percent::decode_query(value)?, false)?;
            given.push(path);
        }
        Some(())
    }

    /// The fields that a parameter names. A member of a oneof is in doubt, since another one may be given too.
    fn path(&self, name: &str) -> Option<Vec<&'r Field>> {
        let mut path = Vec::new();
        let mut below = Some(self.plan.message());
        for key in name.split('.') {
            let message = below?;
            let field = &message.fields[message.field_of_key(key, 0)?];
            below = self.plan.below(field);
            path.push(field);
        }
        path.iter().all(|field| field.oneof.is_none()).then_some(path)
    }

    /// Whether the path or the body gives it.
    fn is_taken(&self, path: &[&Field]) -> bool {
        let is_variable = |variable: &[FieldDescriptor]| {
            variable.len() <= path.len()
                && variable.iter().zip(path).all(|(field, other)| field.number() == other.number)
        };
        let is_in_body = match &self.route.body {
            Body::None => false,
            Body::Whole => true,
            Body::Field(field) => path.first().is_some_and(|first| first.number == field.number()),
        };
        is_in_body || self.route.variables.iter().any(|variable| is_variable(variable))
    }

    fn variable(&mut self, path: &[FieldDescriptor], value: &str) -> Option<()> {
        let mut fields = Vec::with_capacity(path.len());
        let mut message = Some(self.plan.message());
        for descriptor in path {
            let field = message?.field(descriptor)?;
            message = self.plan.below(field);
            fields.push(field);
        }
        // A message would be put together with the one in the body instead of replacing it.
        let is_message = fields.last().is_some_and(|last| matches!(last.kind, Kind::Message(_)));
        if is_message && self.route.body != Body::None {
            return None;
        }
        self.put(&fields, value, true)
    }

    /// Writes a value within the messages that it is in; the parts of a message are put together by whoever reads them.
    fn put(&mut self, path: &[&Field], text: &str, replaces: bool) -> Option<()> {
        let (last, parents) = path.split_last()?;
        let is_singular = |field: &&Field| !field.is_repeated() && matches!(field.kind, Kind::Message(_));
        if !parents.iter().all(is_singular) || matches!(last.label, Label::Map { .. }) {
            return None;
        }
        let opened: Vec<_> = parents.iter().map(|field| wire::open(self.reader.wire(), field.number)).collect();
        let keeps_default = replaces || last.label != Label::One { has_presence: false };
        let place = Place { number: last.number, keeps_default, is_optional: false };
        let scalar = self.scalar(last.kind, text)?;
        self.reader.scalar(last.kind, place, scalar)?;
        for open in opened.into_iter().rev() {
            wire::close(self.reader.wire(), open);
        }
        Some(())
    }

    /// What a text is, where its field wants more than JSON's strings would give.
    fn scalar<'t>(&self, kind: Kind, text: &'t str) -> Option<Scalar<'t>> {
        Some(match (kind, text) {
            (Kind::Bool, "true") => Scalar::Bool(true),
            (Kind::Bool, "false") => Scalar::Bool(false),
            (Kind::Enum(_), _) => {
                let number = text::integer(text).and_then(|number| number.try_into().ok());
                number.map_or(Scalar::Text(text), Scalar::Signed)
            }
            (Kind::Message(of), _) => match self.plan.tables().wrapped(of) {
                Some(inner) => self.scalar(inner, text)?,
                None => Scalar::Text(text),
            },
            _ if kind.is_integer() && text::integer(text).is_none() => return None,
            _ => Scalar::Text(text),
        })
    }
}

impl Message {
    fn field(&self, descriptor: &FieldDescriptor) -> Option<&Field> {
        self.field_of_number(descriptor.number(), 0).map(|at| &self.fields[at])
    }
}
