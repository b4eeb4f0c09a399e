//! The contract that is built in.

use super::Part;
use crate::Error;
use crate::grpc::{Known, Method, Methods};
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
    for (name, upstream) in upstreams {
        let (name, described) = (Arc::<str>::from(*name), pool.get_service_by_name(name));
        let methods = Arc::new(described.as_ref().map(methods).unwrap_or_default());
        part.services.insert(name.clone(), Known { upstream: upstream.clone(), methods });
        if let Some(described) = described {
            part.methods.extend(described.methods());
            part.pools.insert(name, pool.clone());
        }
    }
    Ok(part)
}

/// All methods of a service, which all of its endpoints have.
pub(super) fn methods(service: &ServiceDescriptor) -> Methods {
    let path = |name: &str| Arc::from(format!("/{}/{name}", service.full_name()));
    service.methods().map(|method| (path(method.name()), Method::AtAny)).collect()
}
