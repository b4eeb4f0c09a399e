//! The contract that is built in.

use super::Part;
use crate::Error;
use crate::grpc::{Method, Methods, Served};
use prost_reflect::{DescriptorPool, ServiceDescriptor};
use rpc::Upstream;
use std::collections::BTreeMap;
use std::sync::Arc;
use transcode::Transcoder;

/// The services of the contract that have an upstream, and all of its rules.
///
/// # Errors
/// When a rule cannot be kept, or two conflict.
pub(crate) fn builtin(upstreams: &BTreeMap<&'static str, Upstream>, config: &transcode::Config) -> Result<Part, Error> {
    let transcoder = Transcoder::new(proto::FILE_DESCRIPTOR_SET, config.clone()).map_err(Error::Contract)?;
    let pool = DescriptorPool::decode(proto::FILE_DESCRIPTOR_SET)
        .map_err(|error| Error::Contract(transcode::Error::Descriptors(error)))?;
    let mut part = Part { rules: transcoder.rules().collect(), ..Part::default() };
    for service in pool.services() {
        let Some(upstream) = upstreams.get(service.full_name()).cloned() else { continue };
        let name: Arc<str> = service.full_name().into();
        part.services.insert(name.clone(), Served { upstream, methods: Arc::new(methods(&service)) });
        part.methods.extend(service.methods());
        part.pools.insert(name, pool.clone());
    }
    Ok(part)
}

/// All methods of a service, which all of its endpoints have.
pub(super) fn methods(service: &ServiceDescriptor) -> Methods {
    let path = |name: &str| Arc::from(format!("/{}/{name}", service.full_name()));
    service.methods().map(|method| (path(method.name()), Method::AtAny)).collect()
}
