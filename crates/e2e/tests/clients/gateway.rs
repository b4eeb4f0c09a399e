//! A gateway in front of a service that is not of Comanda, both on real ports.

use crate::service::Interop;
use ::gateway::{Config, Deps, Directory, ForeignServices, Gateway, Metrics, Readiness, State};
use lifecycle::Tasks;
use prometheus_client::registry::Registry;
use rpc::Upstream;
use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

/// Where the contract is, as an encoded `FileDescriptorSet`.
pub(crate) const DESCRIPTORS: &str = concat!(env!("OUT_DIR"), "/interop.bin");

/// A gateway that runs, and the service behind it.
pub(crate) struct Front {
    pub(crate) address: SocketAddr,
    pub(crate) service: Interop,
    _tasks: Tasks,
}

impl Front {
    pub(crate) async fn open() -> Self {
        let service = Interop::default();
        let mut tasks = Tasks::new();
        let upstream = Upstream::remote("interop", service.clone().serve(&mut tasks).await);
        let deps = Deps {
            jetstream: gateway::JetStreamConfig::default(),
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            upstreams: BTreeMap::from([("grpc.testing.TestService", upstream)]),
            metrics: Metrics::register(&mut Registry::default()),
            readiness: Arc::new(|| Box::pin(async { Readiness { status: State::Ready, checks: Vec::new() } })),
            metrics_text: None,
            foreign: ForeignServices::default(),
            directory: Directory::default(),
        };
        let Gateway { local_address, .. } =
            ::gateway::start(deps, Config::default(), &mut tasks).await.expect("a port");
        Front { address: local_address, service, _tasks: tasks }
    }
}
