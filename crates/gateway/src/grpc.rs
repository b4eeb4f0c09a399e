//! The services behind the gateway, by name; and those that the gateway serves itself: health and reflection.

use crate::Error;
use crate::drained::Drained;
use guard::{GuardLayer, Guarded as Behind};
use lifecycle::Drain;
use rpc::{Guarded, Slot, Upstream};
use std::collections::{BTreeMap, HashMap};
use tonic::service::Routes;
use tonic_health::pb::health_server::{Health, HealthServer};
use tonic_reflection::server::Builder;
use tower::Layer;

/// Services that the gateway serves itself.
const OWN: [&str; 3] =
    ["grpc.health.v1.Health", "grpc.reflection.v1.ServerReflection", "grpc.reflection.v1alpha.ServerReflection"];

/// Finds the service of a call.
#[derive(Debug)]
pub(crate) struct Services {
    by_name: HashMap<&'static str, Drained<Behind<Upstream>>>,
    /// Keeps the own services plugged in.
    _own: Slot,
}

impl Services {
    pub(crate) fn new(
        own: Routes,
        upstreams: BTreeMap<&'static str, Upstream>,
        guard: &GuardLayer,
        drain: &Drain,
    ) -> Self {
        let (gateway, slot) = Upstream::in_process("gateway");
        slot.fill(Guarded::new(own, rpc::Config::default()));
        let own = OWN.into_iter().map(|name| (name, gateway.clone()));
        let all = own.chain(upstreams).map(|(name, upstream)| {
            let inner = guard.layer(upstream);
            (name, Drained { inner, drain: drain.clone() })
        });
        Services { by_name: all.collect(), _own: slot }
    }

    /// The service of this full name.
    pub(crate) fn get(&self, name: &str) -> Option<Drained<Behind<Upstream>>> {
        self.by_name.get(name).cloned()
    }
}

/// Health, and reflection of the services with these names and of the own ones.
pub(crate) fn own_services(health: HealthServer<impl Health>, names: &[&str]) -> Result<Routes, Error> {
    let builder = || {
        let builder = Builder::configure()
            .register_encoded_file_descriptor_set(proto::FILE_DESCRIPTOR_SET)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
            .register_encoded_file_descriptor_set(tonic_reflection::pb::v1::FILE_DESCRIPTOR_SET)
            .register_encoded_file_descriptor_set(tonic_reflection::pb::v1alpha::FILE_DESCRIPTOR_SET)
            .include_reflection_service(false);
        OWN.iter().chain(names).fold(builder, |builder, name| builder.with_service_name(*name))
    };
    let v1 = builder().build_v1().map_err(Error::Reflection)?;
    let v1alpha = builder().build_v1alpha().map_err(Error::Reflection)?;
    Ok(Routes::new(health).add_service(v1).add_service(v1alpha))
}
