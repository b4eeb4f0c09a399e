//! How callers show who they are, as security schemes.

use super::document::{Document, Security};
use serde_json::{Map, Value as Json, json};

impl Security {
    fn name(&self) -> &'static str {
        match self {
            Security::Bearer => "bearer",
            Security::ApiKey(_) => "apiKey",
        }
    }

    fn scheme(&self) -> Json {
        match self {
            Security::Bearer => json!({"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}),
            Security::ApiKey(header) => json!({"type": "apiKey", "in": "header", "name": header}),
        }
    }
}

/// The schemes, by their names.
pub(crate) fn schemes(document: &Document) -> Map<String, Json> {
    document.security.iter().map(|security| (security.name().to_owned(), security.scheme())).collect()
}

/// The alternatives of which one is enough.
pub(crate) fn requirements(document: &Document) -> Vec<Json> {
    let anonymous = document.takes_anonymous.then(|| json!({}));
    anonymous.into_iter().chain(document.security.iter().map(|security| json!({security.name(): []}))).collect()
}
