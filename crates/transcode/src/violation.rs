//! What is wrong with a request, field by field, in the names that the client used.

use crate::refused::Refused;
use std::borrow::Cow;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, FieldViolation, StatusExt};

/// Violations that one answer names at most. 100 x ~150 bytes is an answer of 16 KiB.
const VIOLATIONS_MAX: usize = 100;

/// All that is wrong with a request.
#[derive(Debug, Default)]
pub(crate) struct Violations(Vec<(String, Cow<'static, str>)>);

impl Violations {
    /// Adds one, as long as somebody may read it.
    pub(crate) fn push(&mut self, field: impl Into<String>, description: impl Into<Cow<'static, str>>) {
        if self.0.len() < VIOLATIONS_MAX {
            self.0.push((field.into(), description.into()));
        }
    }

    /// Nothing, or the refusal that names them all.
    pub(crate) fn into_result(self) -> Result<(), Refused> {
        let message = match self.0.as_slice() {
            [] => return Ok(()),
            [(field, description)] => format!("{field} {description}"),
            [(field, description), rest @ ..] => format!("{field} {description} (and {} more)", rest.len()),
        };
        let named = self.0.into_iter().map(|(field, description)| FieldViolation::new(field, description));
        let details = ErrorDetails::with_bad_request(named.collect::<Vec<_>>());
        Err(Refused::from(Status::with_error_details(Code::InvalidArgument, message, details)))
    }

    /// The refusal of one field.
    pub(crate) fn of(field: &str, description: impl Into<Cow<'static, str>>) -> Refused {
        let mut violations = Violations::default();
        violations.push(field, description);
        match violations.into_result() {
            Err(refused) => refused,
            Ok(()) => Refused::from(Status::internal("")),
        }
    }
}
