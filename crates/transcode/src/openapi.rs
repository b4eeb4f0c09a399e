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

use crate::dialect::EnumNames;
use crate::transcoder::Transcoder;
use merge::{Merged, Part};
use prost_reflect::DescriptorPool;
use serde_json::Value as Json;

impl Transcoder {
    /// Describes every route as OpenAPI 3.1.
    ///
    /// Operations and components have the full names of their methods and messages. A component that is another in a later descriptor set
    /// has a number after its name there. The same descriptors give the same text.
    #[must_use]
    pub fn openapi(&self, document: &Document) -> Json {
        let mut merged = Merged::new(document);
        let mut parts: Vec<((&DescriptorPool, EnumNames), Part<'_>)> = Vec::new();
        for route in self.router.targets() {
            let set = (route.rpc.descriptor.parent_pool(), route.rpc.dialect.enum_names);
            let known = parts.iter().position(|(known, _)| *known == set);
            let at = known.unwrap_or(parts.len());
            if known.is_none() {
                parts.push((set, Part::new(document, set.1)));
            }
            if let Some((_, part)) = parts.get_mut(at) {
                merged.describe(route, part);
            }
        }
        for (_, part) in parts {
            merged.add(part);
        }
        merged.into_json()
    }
}
