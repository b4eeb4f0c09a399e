//! What a method looks like to whoever writes its requests and reads its answers, and whether one that was written for another will do.

use prost_reflect::{EnumDescriptor, FieldDescriptor, Kind, MessageDescriptor, MethodDescriptor};
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// Types at most that the methods of one description reach, counted for each method. 500,000: a thousand methods with five hundred each,
/// and some 50 MB.
pub(super) const REACHED_MAX: usize = 500_000;

/// A method with all types that it reaches.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Shape {
    /// The same for the same shapes, in every process.
    pub(crate) id: u64,
    is_client_stream: bool,
    is_server_stream: bool,
    input: Arc<str>,
    output: Arc<str>,
    types: BTreeMap<Arc<str>, Arc<Type>>,
}

#[derive(Debug, PartialEq, Eq)]
enum Type {
    /// What is said of each field, by its number.
    Message(BTreeMap<u32, String>),
    /// Names, by their numbers.
    Enum(BTreeMap<i32, String>),
}

/// The types that the shapes of one descriptor set share.
#[derive(Debug, Default)]
pub(crate) struct Types {
    known: HashMap<Arc<str>, (Arc<Type>, Vec<Reached>)>,
    reached: usize,
}

#[derive(Debug, Clone)]
enum Reached {
    Message(MessageDescriptor),
    Enum(EnumDescriptor),
}

impl Shape {
    /// `None` when the methods so far reach too many types.
    pub(crate) fn of(method: &MethodDescriptor, types: &mut Types) -> Option<Self> {
        let (input, output) = (method.input(), method.output());
        let mut shape = Shape {
            id: 0,
            is_client_stream: method.is_client_streaming(),
            is_server_stream: method.is_server_streaming(),
            input: input.full_name().into(),
            output: output.full_name().into(),
            types: BTreeMap::new(),
        };
        let mut left = vec![Reached::Message(input), Reached::Message(output)];
        while let Some(reached) = left.pop() {
            let name: Arc<str> = reached.name().into();
            if shape.types.contains_key(&name) {
                continue;
            }
            let (found, further) = types.get(&name, &reached)?;
            left.extend(further);
            shape.types.insert(name, found);
        }
        shape.id = fingerprint(&[method.full_name().as_bytes(), format!("{shape:?}").as_bytes()]);
        Some(shape)
    }

    /// Whether a service with this method understands everything that a client writes who knows the other, and answers in a way that such a
    /// client understands: it has all fields and values of the other, each the same.
    pub(crate) fn includes(&self, other: &Shape) -> bool {
        self.id == other.id
            || (self.is_client_stream == other.is_client_stream
                && self.is_server_stream == other.is_server_stream
                && self.input == other.input
                && self.output == other.output
                && other.types.iter().all(|(name, of)| self.types.get(name).is_some_and(|own| own.includes(of))))
    }
}

impl Type {
    fn includes(&self, other: &Type) -> bool {
        match (self, other) {
            (Type::Message(own), Type::Message(other)) => {
                other.iter().all(|(number, field)| own.get(number) == Some(field))
            }
            (Type::Enum(own), Type::Enum(other)) => other.iter().all(|(number, name)| own.get(number) == Some(name)),
            (Type::Message(_), Type::Enum(_)) | (Type::Enum(_), Type::Message(_)) => false,
        }
    }
}

impl Types {
    /// The names of types that mean something else in another set.
    pub(crate) fn conflicts<'t>(&'t self, other: &'t Types) -> impl Iterator<Item = &'t str> {
        let differs = |name: &Arc<str>, own: &Type| other.known.get(name).is_some_and(|(other, _)| **other != *own);
        self.known.iter().filter(move |(name, (own, _))| differs(name, own)).map(|(name, _)| &**name)
    }

    fn get(&mut self, name: &Arc<str>, reached: &Reached) -> Option<(Arc<Type>, Vec<Reached>)> {
        self.reached += 1;
        let found = self.known.entry(name.clone()).or_insert_with(|| reached.read());
        (self.reached <= REACHED_MAX).then(|| found.clone())
    }
}

impl Reached {
    fn name(&self) -> &str {
        match self {
            Reached::Message(message) => message.full_name(),
            Reached::Enum(of) => of.full_name(),
        }
    }

    fn read(&self) -> (Arc<Type>, Vec<Reached>) {
        match self {
            Reached::Message(message) => {
                let fields = message.fields().map(|field| (field.number(), told(&field))).collect();
                let further = message.fields().filter_map(|field| match field.kind() {
                    Kind::Message(message) => Some(Reached::Message(message)),
                    Kind::Enum(of) => Some(Reached::Enum(of)),
                    _ => None,
                });
                (Arc::new(Type::Message(fields)), further.collect())
            }
            Reached::Enum(of) => {
                let values = of.values().map(|value| (value.number(), value.name().to_owned())).collect();
                (Arc::new(Type::Enum(values)), Vec::new())
            }
        }
    }
}

/// All that matters of a field, on the wire and in JSON.
fn told(field: &FieldDescriptor) -> String {
    let kind = match field.kind() {
        Kind::Message(message) => message.full_name().to_owned(),
        Kind::Enum(of) => of.full_name().to_owned(),
        scalar => format!("{scalar:?}"),
    };
    let oneof = field.containing_oneof().filter(|oneof| !oneof.is_synthetic());
    let oneof = oneof.map(|oneof| oneof.name().to_owned()).unwrap_or_default();
    format!(
        "{} {} {kind} {:?} {} {oneof}",
        field.name(),
        field.json_name(),
        field.cardinality(),
        field.supports_presence()
    )
}

/// A number that is the same for the same parts, in every process.
pub(crate) fn fingerprint(parts: &[&[u8]]) -> u64 {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
        hash.update(part);
    }
    let hash = hash.finalize();
    hash.iter().take(8).fold(0, |number, byte| number << 8 | u64::from(*byte))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::samples;

    /// The shape of `shop.v1.Shop/Buy` in a file with these messages.
    fn shape(messages: &str) -> Shape {
        let file = format!("service Shop {{ rpc Buy(Order) returns (Order); }} {messages}");
        let pool = samples::pool("shop/v1/shop.proto", "shop.v1", &file);
        let method = pool.get_service_by_name("shop.v1.Shop").unwrap().methods().next().unwrap();
        Shape::of(&method, &mut Types::default()).unwrap()
    }

    const PLAIN: &str = "message Order { string sku = 1; Size size = 2; } enum Size { SIZE_UNSPECIFIED = 0; }";

    #[test]
    fn what_stands_elsewhere_in_the_file_changes_nothing() {
        assert_eq!(shape(PLAIN), shape(&format!("message Other {{}} {PLAIN}")));
    }

    #[test]
    fn what_has_more_includes_what_has_less_and_not_the_other_way_round() {
        for more in [
            "message Order { string sku = 1; Size size = 2; int32 units = 3; } enum Size { SIZE_UNSPECIFIED = 0; }",
            "message Order { string sku = 1; Size size = 2; } enum Size { SIZE_UNSPECIFIED = 0; LARGE = 1; }",
        ] {
            assert!(shape(more).includes(&shape(PLAIN)), "{more}");
            assert!(!shape(PLAIN).includes(&shape(more)), "{more}");
        }
    }

    #[test]
    fn what_means_something_else_includes_nothing() {
        for other in [
            "message Order { int32 sku = 1; Size size = 2; } enum Size { SIZE_UNSPECIFIED = 0; }",
            "message Order { string article = 1; Size size = 2; } enum Size { SIZE_UNSPECIFIED = 0; }",
            "message Order { repeated string sku = 1; Size size = 2; } enum Size { SIZE_UNSPECIFIED = 0; }",
            "message Order { optional string sku = 1; Size size = 2; } enum Size { SIZE_UNSPECIFIED = 0; }",
            "message Order { string sku = 1; Size size = 2; } enum Size { SMALL = 0; }",
        ] {
            assert!(!shape(other).includes(&shape(PLAIN)), "{other}");
            assert!(!shape(PLAIN).includes(&shape(other)), "{other}");
        }
    }

    #[test]
    fn a_message_that_holds_itself_has_a_shape() {
        let recursive = "message Order { Order replaces = 1; }";

        assert!(shape(recursive).includes(&shape(recursive)));
    }
}
