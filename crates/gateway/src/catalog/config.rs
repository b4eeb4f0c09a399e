//! Which foreign services are served, and how they are looked for.

use super::ReflectionConfig;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use std::time::Duration;
use transcode::{Dialect, EnumNames, Unknown};

/// A foreign service: one that is not of Comanda's contract.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServiceConfig {
    /// Where it is, as in `[upstreams]`: `http://127.0.0.1:50051`, several of these with commas between them, `http://name:50051`,
    /// `srv:_grpc._tcp.name` or `consul:name`.
    pub from: String,
    /// A file with its descriptors, a `FileDescriptorSet` as `protoc --include_imports --descriptor_set_out` and `buf build` write it.
    /// None: its endpoints are asked, by gRPC server reflection.
    #[serde(default)]
    pub descriptors: Option<PathBuf>,
    /// Whether a request with a field or parameter that it does not know is refused. True: a client that misspells one must hear of it.
    #[serde(default = "yes")]
    pub strict: bool,
    /// Whether its enum values are called without the name of their enum in front, as `RED` for `COLOR_RED` of `Color`; whole names are
    /// read too. False: proto3 JSON calls them what the `.proto` file does.
    #[serde(default)]
    pub strip_enum_prefix: bool,
}

impl ServiceConfig {
    pub(super) fn dialect(&self) -> Dialect {
        Dialect {
            unknown: if self.strict { Unknown::Refused } else { Unknown::Ignored },
            enum_names: if self.strip_enum_prefix { EnumNames::Short } else { EnumNames::Whole },
        }
    }
}

fn yes() -> bool {
    true
}

/// Services that are found in Consul, where `consul` is set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DiscoverConfig {
    /// Whether they are looked for. True: whoever gives a service the tag wants it to be served.
    pub is_on: bool,
    /// The tag that a service has which is to be served.
    pub tag: String,
}

impl Default for DiscoverConfig {
    fn default() -> Self {
        DiscoverConfig { is_on: true, tag: "grpc-gateway".to_owned() }
    }
}

/// How foreign services come and go.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CatalogConfig {
    /// How long the routes of a service stay whose endpoints have all gone, in milliseconds; calls answer UNAVAILABLE. 30,000: as long as
    /// a deployment that stops everything before it starts anything.
    pub absent_grace_ms: u64,
    /// Foreign services at most; more are not served, and it is said. 256: each keeps some connections and a watch.
    pub services_max: usize,
    /// How endpoints are asked what they serve.
    pub reflection: ReflectionConfig,
}

impl Default for CatalogConfig {
    fn default() -> Self {
        CatalogConfig { absent_grace_ms: 30_000, services_max: 256, reflection: ReflectionConfig::default() }
    }
}

impl CatalogConfig {
    pub(super) fn absent_grace(&self) -> Duration {
        Duration::from_millis(self.absent_grace_ms)
    }
}
