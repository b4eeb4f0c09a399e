//! HTTP/JSON to gRPC and back, from a descriptor set, at run time.
//!
//! The routes are the `google.api.http` [`Rules`] of the descriptors, of one set or of many that know nothing of each other. A [`Transcoder`] reads a request strictly (what it does not
//! understand it refuses, with the path of the field), calls the service behind it as gRPC, and writes the answer as proto3 JSON:
//! one document, an array, newline-delimited JSON or server-sent events. Every error, its own or a service's, is a `google.rpc.Status`.

mod answer;
mod bind;
mod call;
mod called;
mod codec;
mod config;
mod decode;
mod dialect;
mod error;
mod etag;
mod exchange;
mod header_names;
mod headers;
mod messages;
mod multipart;
mod openapi;
mod percent;
mod plan;
mod query;
mod range;
mod reference;
mod refused;
mod request;
mod router;
mod rule;
mod rules;
mod splitter;
mod status;
mod stream;
mod template;
mod text;
mod transcoder;
mod upload;
mod violation;
mod wire;

pub use called::Called;
pub use config::Config;
pub use dialect::{Dialect, EnumNames, Unknown};
pub use error::Error;
pub use header_names::{HeaderNames, NotPassed};
pub use messages::{OneMessageEach, StreamRoute, Takes};
pub use openapi::{Document, Guards, Security};
pub use plan::Plan;
pub use reference::{Defaults, Reference};
pub use rules::{Rule, Rules};
pub use transcoder::{Conflict, Transcoder};
