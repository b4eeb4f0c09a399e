//! What is wrong with a request, field by field.

use tonic::{Code, Status};
use tonic_types::{BadRequest, ErrorDetails, FieldViolation, StatusExt};

/// Violations that one answer names at most; 100 x ~150 bytes stays within 16 KiB of trailers.
const VIOLATIONS_MAX: usize = 100;

/// One thing that is wrong with one field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// Path of the field, as in `lines[2].quantity`, in the names of the `.proto` file.
    pub field: String,
    /// What is asked for, in words that follow the field's name.
    pub description: String,
}

impl Violation {
    /// Names a field and what is asked of it.
    #[must_use]
    pub fn new(field: impl Into<String>, description: impl Into<String>) -> Self {
        Violation { field: field.into(), description: description.into() }
    }

    /// The field must be given.
    #[must_use]
    pub fn required(field: impl Into<String>) -> Self {
        Violation::new(field, "is required")
    }

    /// Puts the field below another one: `price` below `items[3]` is `items[3].price`.
    #[must_use]
    pub fn below(mut self, parent: &str) -> Self {
        self.field = format!("{parent}.{}", self.field);
        self
    }
}

/// All that is wrong with a request, so that a caller can mend it at once.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Violations(Vec<Violation>);

impl Violations {
    /// Nothing wrong yet.
    #[must_use]
    pub fn new() -> Self {
        Violations::default()
    }

    /// Adds one.
    pub fn push(&mut self, violation: Violation) {
        self.0.push(violation);
    }

    /// Keeps the value of a good field, or the complaint about a bad one.
    pub fn take<T>(&mut self, parsed: Result<T, Violation>) -> Option<T> {
        parsed.map_err(|violation| self.0.push(violation)).ok()
    }

    /// Whether nothing is wrong.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What is wrong, in the order in which it was found.
    pub fn iter(&self) -> impl Iterator<Item = &Violation> {
        self.0.iter()
    }
}

impl From<Violation> for Violations {
    fn from(violation: Violation) -> Self {
        Violations(vec![violation])
    }
}

impl From<Violation> for Status {
    fn from(violation: Violation) -> Self {
        Violations::from(violation).into()
    }
}

impl From<Violations> for Status {
    /// INVALID_ARGUMENT with a `google.rpc.BadRequest`; its message tells the first violation, for those who read no details.
    fn from(Violations(violations): Violations) -> Self {
        let message = match violations.as_slice() {
            [] => "the request is not valid".to_owned(),
            [only] => format!("{} {}", only.field, only.description),
            [first, rest @ ..] => format!("{} {} (and {} more)", first.field, first.description, rest.len()),
        };
        let named = violations.into_iter().take(VIOLATIONS_MAX);
        let bad_request =
            BadRequest::new(named.map(|it| FieldViolation::new(it.field, it.description)).collect::<Vec<_>>());
        let mut details = ErrorDetails::new();
        details.set_bad_request(bad_request.field_violations);
        Status::with_error_details(Code::InvalidArgument, message, details)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_violation_reaches_the_caller() {
        let mut violations = Violations::new();
        violations.push(Violation::required("city").below("delivery_address"));
        violations.push(Violation::new("lines[0].quantity", "must be 1 to 999"));

        let status = Status::from(violations);

        assert_eq!(status.code(), Code::InvalidArgument);
        assert_eq!(status.message(), "delivery_address.city is required (and 1 more)");
        let named = status.get_details_bad_request().unwrap().field_violations;
        assert_eq!(
            named.iter().map(|it| it.field.as_str()).collect::<Vec<_>>(),
            ["delivery_address.city", "lines[0].quantity"]
        );
    }
}
