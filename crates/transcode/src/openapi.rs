//! Describes routes as OpenAPI 3.1: what is bound where, and every answer that can come.
//!
//! Requests and answers have schemas of their own, since proto3 JSON takes more than it gives: numbers as texts, enums as numbers,
//! `null` for a default. A schema allows nothing that is refused, as far as JSON Schema can say it; it may leave out rare spellings
//! that are taken, such as a number with a fraction of zero. Messages are components and refer to each other, so that a message which
//! holds itself is described once. What stands in comments of the `.proto` files stands here as descriptions.

mod comments;
mod document;
mod example;
mod limits;
mod merge;
mod operation;
mod parameters;
mod path;
mod responses;
mod scalars;
mod schema;
mod security;
mod status;

pub use document::{Document, Guards, Security};

use crate::transcoder::Transcoder;
use merge::{Merged, Part};
use serde_json::Value as Json;

/// Describes every route of some transcoders as one API.
///
/// Operations and components have the full names of their methods and messages. A component that is another in a later transcoder
/// has a number after its name there; a route that an earlier one has already is left out. The same descriptors give the same text.
#[must_use]
pub fn openapi<'t>(document: &Document, transcoders: impl IntoIterator<Item = &'t Transcoder>) -> Json {
    let mut merged = Merged::new(document);
    for transcoder in transcoders {
        let mut part = Part::new(document);
        for route in transcoder.router.targets() {
            merged.describe(route, &mut part);
        }
        merged.add(part);
    }
    merged.into_json()
}

impl Transcoder {
    /// Describes every route as OpenAPI 3.1.
    #[must_use]
    pub fn openapi(&self, document: &Document) -> Json {
        openapi(document, [self])
    }
}
