//! What is served: a snapshot that never changes, and is replaced as a whole.
//!
//! A request takes the snapshot of its moment and keeps it to its end, so that no change touches a call in flight. Beside the contract that
//! is built in, a catalog has foreign services. Each is found where the configuration or Consul says, described by a file or by its
//! endpoints themselves, and called through an upstream of its own; the [`keeper`] follows them. Each has a pool of descriptors of its own
//! as well, so that files and types of the same name in different services have nothing to do with each other.

mod agree;
mod asker;
mod change;
mod config;
mod contract;
mod current;
mod description;
mod foreign;
mod health;
mod keeper;
mod merge;
mod metrics;
mod own_services;
mod reflect;
mod reflection;
#[cfg(test)]
mod samples;
mod shape;
mod view;

pub(crate) use contract::builtin;
pub(crate) use current::Current;
pub(crate) use health::{follow as follow_health, report as report_health};
pub(crate) use keeper::{Control, Keeper, Settings};
pub(crate) use metrics::CatalogMetrics;
pub(crate) use own_services::Own;

pub use config::{CatalogConfig, DiscoverConfig, ServiceConfig};
pub use keeper::{Configured, ForeignServices, Found, Watch};
pub use reflect::ReflectionConfig;
pub use view::Directory;

use crate::docs::Tagged;
use crate::grpc::{Known, Services};
use foldhash::HashMap;
use guard::Guard;
use lifecycle::Drain;
use merge::Pools;
use prost_reflect::MethodDescriptor;
use std::sync::Arc;
use transcode::{Conflict, Document, Rule, Transcoder};

/// What is served at one moment.
#[derive(Debug)]
pub(crate) struct Catalog {
    pub(crate) transcoder: Transcoder,
    pub(crate) services: Services,
    pub(crate) openapi: Tagged,
    pools: Pools,
}

/// What somebody brings into a catalog.
#[derive(Debug, Clone, Default)]
pub(crate) struct Part {
    /// gRPC services by their full names.
    pub(crate) services: HashMap<Arc<str>, Known>,
    /// The HTTP rules of their methods.
    pub(crate) rules: Vec<Rule>,
    /// Where they are described.
    pub(crate) pools: Pools,
    /// How each of their methods is described.
    pub(crate) methods: Vec<MethodDescriptor>,
}

impl Catalog {
    /// Puts parts together that have no gRPC service in common. Of routes that conflict, the earlier is served; the others come back.
    fn of(
        parts: impl IntoIterator<Item = Part>,
        (config, document): (&transcode::Config, &Document),
        guard: &Guard,
        drain: Drain,
    ) -> (Self, Vec<Conflict>) {
        let mut all = Part::default();
        for part in parts {
            all.services.extend(part.services);
            all.rules.extend(part.rules);
            all.pools.extend(part.pools);
            all.methods.extend(part.methods);
        }
        let (transcoder, conflicts) = Transcoder::of(all.rules, config.clone());
        let openapi = Tagged::new(transcoder.openapi(document).to_string().into());
        let services = Services::new(all.services, guard.layer(all.methods), drain);
        (Catalog { transcoder, services, openapi, pools: all.pools }, conflicts)
    }

    /// A catalog in which nothing is served.
    pub(crate) fn empty(config: &transcode::Config, guard: &Guard, drain: Drain) -> Self {
        Catalog::of([], (config, &Document::default()), guard, drain).0
    }
}
