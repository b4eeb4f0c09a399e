//! The services that the gateway serves itself: health and reflection.

use super::reflection::{Alpha, Reflection};
use super::{Current, Part, contract};
use crate::grpc::Known;
use prost_reflect::DescriptorPool;
use rpc::{Guarded, Slot, Upstream};
use std::sync::Arc;
use tonic::service::Routes;
use tonic_health::pb::health_server::{Health, HealthServer};
use tonic_reflection::pb::v1::server_reflection_server::ServerReflectionServer;
use tonic_reflection::pb::v1alpha::server_reflection_server::ServerReflectionServer as AlphaServer;

/// Their names. Other servers have them as well, for themselves.
const OWN: [&str; 3] =
    ["grpc.health.v1.Health", "grpc.reflection.v1.ServerReflection", "grpc.reflection.v1alpha.ServerReflection"];

/// Their descriptors.
const DESCRIPTORS: [&[u8]; 3] = [
    tonic_health::pb::FILE_DESCRIPTOR_SET,
    tonic_reflection::pb::v1::FILE_DESCRIPTOR_SET,
    tonic_reflection::pb::v1alpha::FILE_DESCRIPTOR_SET,
];

/// Whether every server has this service for itself.
pub(super) fn is_own(service: &str) -> bool {
    OWN.contains(&service)
}

/// The own services, which run as long as this is kept.
#[derive(Debug)]
pub(crate) struct Own {
    upstream: Upstream,
    slot: Slot,
}

impl Own {
    pub(crate) fn new() -> Self {
        let (upstream, slot) = Upstream::in_process("gateway");
        Own { upstream, slot }
    }

    /// Serves health, and reflection of what is served.
    pub(crate) fn serve(&self, health: HealthServer<impl Health>, current: &Arc<Current>) {
        let reflection = Reflection::of(current.clone());
        let routes = Routes::new(health)
            .add_service(ServerReflectionServer::new(reflection.clone()))
            .add_service(AlphaServer::new(Alpha(reflection)));
        self.slot.fill(Guarded::new(routes, rpc::Config::default()));
    }

    pub(crate) fn part(&self) -> Part {
        let mut part = Part::default();
        for descriptors in DESCRIPTORS {
            let pool = DescriptorPool::decode(descriptors).expect("tonic's own descriptors are valid");
            for service in pool.services().filter(|service| is_own(service.full_name())) {
                let name: Arc<str> = service.full_name().into();
                let methods = Arc::new(contract::methods(&service));
                part.services.insert(name.clone(), Known { upstream: self.upstream.clone(), methods });
                part.methods.extend(service.methods());
                part.pools.insert(name, pool.clone());
            }
        }
        part
    }
}
