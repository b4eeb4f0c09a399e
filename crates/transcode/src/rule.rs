//! Compiles a `google.api.http` rule: what its route calls, and where each part of its request goes.

use crate::dialect::Dialect;
use crate::plan::{Plan, Plans};
use crate::status::Statuses;
use crate::template::Template;
use crate::{Error, etag};
use http::Method;
use http::uri::PathAndQuery;
use prost_reflect::{DynamicMessage, FieldDescriptor, Kind, MessageDescriptor, MethodDescriptor, Value};
use std::borrow::Cow;
use std::sync::Arc;

/// A field, or a field within fields: each but the last is a singular message.
pub(crate) type FieldPath = Vec<FieldDescriptor>;

/// A method that can be called over HTTP.
#[derive(Debug)]
pub(crate) struct Rpc {
    pub(crate) descriptor: MethodDescriptor,
    /// Whether it takes several messages.
    pub(crate) is_upload: bool,
    /// Whether it gives several messages.
    pub(crate) is_stream: bool,
    /// The full name of its service.
    pub(crate) service: String,
    /// `package.Service/Method`.
    pub(crate) name: Arc<str>,
    /// `/package.Service/Method`.
    pub(crate) path: PathAndQuery,
    pub(crate) input: MessageDescriptor,
    pub(crate) output: MessageDescriptor,
    /// How requests are read.
    pub(crate) reads: Plan,
    /// How answers are written.
    pub(crate) writes: Plan,
    pub(crate) dialect: Dialect,
    /// Whether an answer names its version.
    pub(crate) has_etag: bool,
    pub(crate) resumable: Option<Resumable>,
    /// Tells its errors; knows the types of its service.
    pub(crate) statuses: Arc<Statuses>,
    /// Where what it creates can be got; only a method that creates has one (AIP-133).
    pub(crate) location: Option<Template>,
}

/// How a lost server stream is resumed: the option `comanda.http.v1.resumable_stream`.
#[derive(Debug)]
pub(crate) struct Resumable {
    /// The field of a streamed message that identifies it.
    pub(crate) event_id: FieldDescriptor,
    /// The field of the request that takes the last id.
    pub(crate) resume_after: FieldDescriptor,
}

/// Where the body of a request or an answer goes.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Body {
    /// There is none.
    None,
    /// It is the whole message.
    Whole,
    /// It is this field.
    Field(FieldDescriptor),
}

impl Body {
    /// Its message, if it is one.
    fn message(&self, whole: &MessageDescriptor) -> Option<MessageDescriptor> {
        match self {
            Body::None => None,
            Body::Whole => Some(whole.clone()),
            Body::Field(field) => as_message(field),
        }
    }
}

fn is_raw(message: &MessageDescriptor) -> bool {
    message.full_name() == "google.api.HttpBody"
}

/// One route to a method.
#[derive(Debug)]
pub(crate) struct Route {
    pub(crate) rpc: Arc<Rpc>,
    pub(crate) method: Method,
    pub(crate) template: Template,
    /// The template as it was written.
    pub(crate) path: String,
    /// The fields of the template's variables, in their order.
    pub(crate) variables: Vec<FieldPath>,
    pub(crate) body: Body,
    /// `Whole` or `Field`.
    pub(crate) response_body: Body,
    /// The `google.api.HttpBody` that takes a body of any type as it is.
    pub(crate) raw_body: Option<MessageDescriptor>,
    /// Whether an answer is sent as it is: its body is a `google.api.HttpBody`.
    pub(crate) is_raw: bool,
    /// The mask that is derived from the body when it is not given: of a PATCH whose body is a field.
    pub(crate) update_mask: Option<FieldDescriptor>,
}

/// The rules of a method: its own, and the additional ones.
pub(crate) fn rules(method: &MethodDescriptor) -> Vec<DynamicMessage> {
    let Some(rule) = option(method, "google.api.http") else { return Vec::new() };
    let additional = rule.get_field_by_name("additional_bindings").map(Cow::into_owned);
    let mut rules = vec![rule];
    if let Some(Value::List(bindings)) = additional {
        rules.extend(bindings.iter().filter_map(Value::as_message).cloned());
    }
    rules
}

/// A message-typed option of a method, if it is set.
fn option(method: &MethodDescriptor, name: &str) -> Option<DynamicMessage> {
    let extension = method.parent_pool().get_extension_by_name(name)?;
    let options = method.options();
    options.has_extension(&extension).then(|| options.get_extension(&extension).as_message().cloned())?
}

fn text(message: &DynamicMessage, field: &str) -> String {
    let value = message.get_field_by_name(field);
    value.and_then(|value| value.as_str().map(str::to_owned)).unwrap_or_default()
}

impl Rpc {
    pub(crate) fn new(
        descriptor: MethodDescriptor,
        plans: &Plans,
        statuses: Arc<Statuses>,
        dialect: Dialect,
    ) -> Result<Self, Error> {
        let service = descriptor.parent_service().full_name().to_owned();
        let name = format!("{service}/{}", descriptor.name());
        let path = PathAndQuery::try_from(format!("/{name}")).map_err(|_| Error::Name { name: name.clone() })?;
        let resumable = option(&descriptor, "comanda.http.v1.resumable_stream");
        let resumable = resumable.map(|option| Resumable::new(&descriptor, &option)).transpose()?;
        Ok(Rpc {
            location: location(&descriptor),
            dialect,
            statuses,
            reads: plans.of(&descriptor.input(), dialect.enum_names),
            writes: plans.of(&descriptor.output(), dialect.enum_names),
            input: descriptor.input(),
            has_etag: etag::is_in(&descriptor.output()),
            output: descriptor.output(),
            service,
            name: name.into(),
            path,
            resumable,
            is_upload: descriptor.is_client_streaming(),
            is_stream: descriptor.is_server_streaming(),
            descriptor,
        })
    }
}

impl Resumable {
    fn new(method: &MethodDescriptor, option: &DynamicMessage) -> Result<Self, Error> {
        let field = |of: &MessageDescriptor, option_field: &str| {
            let name = text(option, option_field);
            let field = of.get_field_by_name(&name).filter(|field| !field.is_list() && !field.is_map());
            field.ok_or_else(|| Error::Field { method: method.full_name().to_owned(), field: name })
        };
        Ok(Resumable {
            event_id: field(&method.output(), "event_id")?,
            resume_after: field(&method.input(), "resume_after")?,
        })
    }
}

impl Route {
    pub(crate) fn new(rpc: &Arc<Rpc>, rule: &DynamicMessage) -> Result<Self, Error> {
        let (method, path) = pattern(rule).ok_or_else(|| Error::Pattern { method: rpc.name.to_string() })?;
        let template = Template::parse(&path).map_err(|problem| Error::Template {
            method: rpc.name.to_string(),
            template: path.clone(),
            problem,
        })?;
        let unknown = |field: &str| Error::Field { method: rpc.name.to_string(), field: field.to_owned() };
        let variables = template.variables.iter().map(|variable| {
            let names = variable.field.iter().map(String::as_str);
            field_path(&rpc.input, names).ok_or_else(|| unknown(&variable.field.join(".")))
        });
        let body_of = |message: &MessageDescriptor, name: &str| match name {
            "" => Ok(Body::None),
            "*" => Ok(Body::Whole),
            name => message.get_field_by_name(name).map(Body::Field).ok_or_else(|| unknown(name)),
        };
        let body = body_of(&rpc.input, &text(rule, "body"))?;
        let response_body = match body_of(&rpc.output, &text(rule, "response_body"))? {
            Body::None => Body::Whole,
            given => given,
        };
        if rpc.is_upload && body == Body::None {
            return Err(Error::Body { method: rpc.name.to_string() });
        }
        Ok(Route {
            raw_body: body.message(&rpc.input).filter(is_raw),
            is_raw: response_body.message(&rpc.output).is_some_and(|message| is_raw(&message)),
            path,
            variables: variables.collect::<Result<_, _>>()?,
            update_mask: update_mask(&rpc.input, &method, &body),
            rpc: Arc::clone(rpc),
            method,
            template,
            body,
            response_body,
        })
    }

    /// Whether a field path is bound by the template.
    pub(crate) fn is_in_path(&self, path: &[FieldDescriptor]) -> bool {
        self.variables.iter().any(|variable| path.starts_with(variable))
    }

    /// The HTTP status of success.
    pub(crate) fn success(&self) -> http::StatusCode {
        if self.rpc.location.is_some() { http::StatusCode::CREATED } else { http::StatusCode::OK }
    }
}

fn pattern(rule: &DynamicMessage) -> Option<(Method, String)> {
    for (field, method) in [
        ("get", Method::GET),
        ("put", Method::PUT),
        ("post", Method::POST),
        ("delete", Method::DELETE),
        ("patch", Method::PATCH),
    ] {
        if rule.has_field_by_name(field) {
            return Some((method, text(rule, field)));
        }
    }
    let custom = rule.get_field_by_name("custom")?;
    let custom = custom.as_message()?;
    Some((Method::from_bytes(text(custom, "kind").as_bytes()).ok()?, text(custom, "path")))
}

/// Resolves names of fields; each but the last must be a singular message, and the last no map.
fn field_path<'n>(of: &MessageDescriptor, names: impl Iterator<Item = &'n str>) -> Option<FieldPath> {
    let mut path = FieldPath::new();
    let mut message = Some(of.clone());
    for name in names {
        let field = message?.get_field_by_name(name)?;
        message = as_message(&field);
        path.push(field);
    }
    path.last().is_some_and(|last| !last.is_list() && !last.is_map()).then_some(path)
}

/// The message inside of a singular field.
pub(crate) fn as_message(field: &FieldDescriptor) -> Option<MessageDescriptor> {
    match field.kind() {
        Kind::Message(message) if !field.is_list() && !field.is_map() => Some(message),
        _ => None,
    }
}

fn update_mask(input: &MessageDescriptor, method: &Method, body: &Body) -> Option<FieldDescriptor> {
    let Body::Field(body) = body else { return None };
    let mask = input.get_field_by_name("update_mask")?;
    let is_mask = as_message(&mask)?.full_name() == "google.protobuf.FieldMask";
    (method == Method::PATCH && is_mask && as_message(body).is_some()).then_some(mask)
}

/// The path of `GetX` for a method `CreateX` that returns what the path's variables ask for.
fn location(method: &MethodDescriptor) -> Option<Template> {
    let created = method.name().strip_prefix("Create").filter(|_| !method.is_server_streaming())?;
    let service = method.parent_service();
    let get = service.methods().find(|get| get.name().strip_prefix("Get") == Some(created))?;
    rules(&get).iter().find_map(|rule| {
        let (_, path) = pattern(rule).filter(|(method, _)| method == Method::GET)?;
        let template = Template::parse(&path).ok()?;
        let is_returned = |field: &[String]| field_path(&method.output(), field.iter().map(String::as_str)).is_some();
        (!template.variables.is_empty() && template.variables.iter().all(|variable| is_returned(&variable.field)))
            .then_some(template)
    })
}

/// Sets a field within fields, making the messages on the way.
pub(crate) fn set(message: &mut DynamicMessage, path: &[FieldDescriptor], value: Value) {
    match path {
        [] => {}
        [last] => message.set_field(last, value),
        [first, rest @ ..] => {
            if let Value::Message(inner) = message.get_field_mut(first) {
                set(inner, rest, value);
            }
        }
    }
}
