//! What the owner of a service may choose about its JSON.

use prost_reflect::{EnumDescriptor, EnumValueDescriptor};

/// How the JSON of a service is read and written. The default is proto3 JSON, read strictly.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Dialect {
    /// What a request may have that the descriptors do not.
    pub unknown: Unknown,
    /// What enum values are called.
    pub enum_names: EnumNames,
}

/// What becomes of fields, and of names of enums, that the descriptors do not have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Unknown {
    /// They are complained of.
    #[default]
    Refused,
    /// They are left out, as if they had not been sent.
    Ignored,
}

/// What JSON, paths and queries call the values of an enum.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum EnumNames {
    /// What the `.proto` file calls them.
    #[default]
    Whole,
    /// The same without the name of the enum in front: `RED` for `COLOR_RED` of `Color`. Whole names are read too.
    ///
    /// The first value of an enum shows how its name is written there, if it is. A value keeps its whole name where the short one would be
    /// another value's whole name, or begin with a digit; and within a `google.protobuf.Any`, whose reader may be anybody.
    Short,
}

impl EnumNames {
    /// What a value is called.
    pub(crate) fn name(self, value: &EnumValueDescriptor) -> &str {
        let short = match self {
            EnumNames::Whole => None,
            EnumNames::Short => prefix(value.parent_enum()).and_then(|prefix| value.name().strip_prefix(&prefix)),
        };
        short.filter(|short| is_short(value.parent_enum(), short)).unwrap_or_else(|| value.name())
    }

    /// The number of the value of a name.
    pub(crate) fn number(self, of: &EnumDescriptor, name: &str) -> Option<i32> {
        let value = of.get_value_by_name(name).or_else(|| match self {
            EnumNames::Whole => None,
            EnumNames::Short => of.get_value_by_name(&format!("{}{name}", prefix(of).filter(|_| is_short(of, name))?)),
        });
        value.map(|value| value.number())
    }
}

/// Whether a name can stand for the value of which it is the end.
fn is_short(of: &EnumDescriptor, name: &str) -> bool {
    name.starts_with(|first: char| !first.is_ascii_digit()) && of.get_value_by_name(name).is_none()
}

/// The name of an enum and an underscore, as its first value begins with them: `HTTP_CODE_` for `HttpCode` and `HTTPCode`.
fn prefix(of: &EnumDescriptor) -> Option<String> {
    let first = of.default_value();
    let mut rest = first.name();
    for letter in of.name().chars().filter(|letter| *letter != '_') {
        rest = rest.trim_start_matches('_').strip_prefix(|other: char| other.eq_ignore_ascii_case(&letter))?;
    }
    let rest = rest.strip_prefix('_')?;
    Some(first.name()[..first.name().len() - rest.len()].to_owned())
}
