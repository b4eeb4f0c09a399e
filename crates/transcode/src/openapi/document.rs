//! What whoever serves a document says about it.

use serde_json::Value as Json;
use std::collections::BTreeMap;

/// What an OpenAPI document says about itself and its surroundings.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Document {
    /// The name of the API.
    pub title: String,
    /// The version of the API.
    pub version: String,
    /// What it is for.
    pub description: String,
    /// Where the API is; none: where the document is.
    pub servers: Vec<String>,
    /// How callers show who they are.
    pub security: Vec<Security>,
    /// Whether a caller who shows nothing is answered too.
    pub takes_anonymous: bool,
    /// What is done for every method before its service is called.
    pub guards: Guards,
    /// How the full names of methods begin that recognise repeated calls by themselves, so that their answers are not kept.
    pub recognise_repeats: Vec<String>,
    /// Schemas of formats that field options name (`comanda.http.v1.limits`), by these names. They describe requests.
    pub formats: BTreeMap<String, Json>,
}

/// How a caller shows who it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Security {
    /// A JSON Web Token in `Authorization: Bearer`.
    Bearer,
    /// A key in a header of this name.
    ApiKey(String),
}

/// What stands before the services and can be seen by a caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Guards {
    /// Answers of unary methods that change something are kept by an `Idempotency-Key` and given again, unless the request has a
    /// `request_id`, by which its service recognises repeated calls.
    pub keeps_answers: bool,
    /// Callers have rates.
    pub limits_rates: bool,
}
