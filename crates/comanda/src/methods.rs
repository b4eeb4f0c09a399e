//! Which RPCs of the contract may be repeated: its descriptors say so.

use prost::Message as _;
use prost_types::method_options::IdempotencyLevel;
use prost_types::{FileDescriptorSet, MethodOptions};
use rpc::client::MethodConfig;
use std::collections::BTreeMap;

/// What the contract says of its methods, and what the configuration says instead.
pub(crate) fn known(configured: &BTreeMap<String, MethodConfig>) -> BTreeMap<String, MethodConfig> {
    let mut methods = of_contract();
    methods.extend(configured.iter().map(|(path, method)| (path.clone(), method.clone())));
    methods
}

fn of_contract() -> BTreeMap<String, MethodConfig> {
    let contract = FileDescriptorSet::decode(proto::FILE_DESCRIPTOR_SET).unwrap_or_default();
    let mut methods = BTreeMap::new();
    for file in &contract.file {
        for service in &file.service {
            for method in &service.method {
                let level = method.options.as_ref().map(MethodOptions::idempotency_level);
                let method_config = match level {
                    Some(IdempotencyLevel::NoSideEffects) if method.server_streaming() => MethodConfig::idempotent(),
                    Some(IdempotencyLevel::NoSideEffects) => MethodConfig::reading(),
                    Some(IdempotencyLevel::Idempotent) => MethodConfig::idempotent(),
                    Some(IdempotencyLevel::IdempotencyUnknown) | None => continue,
                };
                methods.insert(format!("/{}.{}/{}", file.package(), service.name(), method.name()), method_config);
            }
        }
    }
    methods
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_only_reads_may_be_repeated_and_what_takes_an_order_may_not() {
        let methods = known(&BTreeMap::new());

        assert!(methods["/comanda.order.v1.OrderService/GetOrder"].may_repeat);
        assert!(!methods.contains_key("/comanda.order.v1.OrderService/CreateOrder"));
    }

    #[test]
    fn the_configuration_has_the_last_word() {
        let path = "/comanda.order.v1.OrderService/GetOrder".to_owned();
        let configured = BTreeMap::from([(path.clone(), MethodConfig::default())]);

        assert!(!known(&configured)[&path].may_repeat);
    }
}
