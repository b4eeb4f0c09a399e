//! The limits of transcoding.

use crate::HeaderNames;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// What a request and an answer may be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Bytes of a request body at most. 4 MiB: what a gRPC server takes by default, and JSON is longer than protobuf.
    pub body_bytes_max: usize,
    /// Time for a request body to arrive, in milliseconds. 30,000: `body_bytes_max` at 140 kB/s, which slow phones reach.
    pub body_timeout_ms: u64,
    /// Bytes of one message of an answer at most. 64 MiB: a page of 1,000 orders of 64 KiB each.
    pub message_bytes_max: usize,
    /// Time between two pieces of a client stream at most, in milliseconds. 300,000: as long as idle connections are kept by most.
    pub stream_idle_max_ms: u64,
    /// Services, by their full names, whose requests may have fields and parameters that they do not know. None: a client that
    /// misspells a field must hear of it.
    pub lenient_services: BTreeSet<String>,
    /// Services, by their full names, whose enum values are called without the name of their enum in front, as `RED` for `COLOR_RED` of
    /// `Color`. None: clients and `.proto` files call them the same.
    pub short_enum_services: BTreeSet<String>,
    /// Headers of requests that reach services as metadata besides those that always do: `Accept-Language`, `Authorization`, `Baggage`,
    /// `Idempotency-Key`, `Prefer`, `Traceparent`, `Tracestate`, `X-Request-Id`. None: what nobody asked for is nobody's to read.
    pub forwarded_headers: HeaderNames,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            body_bytes_max: 4 << 20,
            body_timeout_ms: 30_000,
            message_bytes_max: 64 << 20,
            stream_idle_max_ms: 300_000,
            lenient_services: BTreeSet::new(),
            short_enum_services: BTreeSet::new(),
            forwarded_headers: HeaderNames::default(),
        }
    }
}
