//! What a service says of itself: its descriptors, read once.

use super::own_services;
use super::shape::{self, Shape, Types, fingerprint};
use prost_reflect::{DescriptorError, DescriptorPool, MethodDescriptor};
use prost_types::MethodOptions;
use prost_types::method_options::IdempotencyLevel;
use rpc::client::MethodConfig;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use transcode::{Dialect, Rule, Rules};

/// One version of a service.
#[derive(Debug)]
pub(crate) struct Description {
    /// The same for the same descriptors, in every process.
    pub(crate) id: u64,
    pub(crate) pool: DescriptorPool,
    /// By path, as in `/kitchen.v1.Kitchen/Cook`.
    pub(crate) methods: BTreeMap<Arc<str>, Described>,
    /// All types that its methods reach.
    pub(crate) types: Types,
    /// Rules that cannot be kept, and why.
    pub(crate) refused: Vec<String>,
}

/// A method in one version of its service.
#[derive(Debug)]
pub(crate) struct Described {
    /// The full name of its service.
    pub(crate) service: Arc<str>,
    pub(crate) shape: Shape,
    /// What its idempotency level says, if it says something.
    pub(crate) config: Option<MethodConfig>,
    pub(crate) rules: Vec<Rule>,
    /// The same for whoever is the same in shape and rules.
    pub(crate) face: u64,
}

/// Why descriptors cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Misread {
    #[error("they are no descriptor set, or refer to what is not in it")]
    Descriptors(#[source] DescriptorError),
    #[error("its methods reach more types than {} in all", shape::REACHED_MAX)]
    TooMany,
}

impl Description {
    /// Reads an encoded `FileDescriptorSet`. `services`: those that are served; without it, all that are in it.
    pub(crate) fn read(set: &[u8], services: Option<&BTreeSet<String>>, dialect: Dialect) -> Result<Self, Misread> {
        let pool = DescriptorPool::decode(set).map_err(Misread::Descriptors)?;
        let mut rules: BTreeMap<Arc<str>, Vec<Rule>> = BTreeMap::new();
        let compiled = Rules::of(&pool, |_| dialect);
        for rule in compiled.kept {
            rules.entry(rule.rpc().into()).or_default().push(rule);
        }
        let mut types = Types::default();
        let is_served =
            |name: &str| !own_services::is_own(name) && services.is_none_or(|services| services.contains(name));
        let mut methods = BTreeMap::new();
        for service in pool.services().filter(|service| is_served(service.full_name())) {
            let name: Arc<str> = service.full_name().into();
            for method in service.methods() {
                let rpc = format!("{name}/{}", method.name());
                let rules = rules.remove(rpc.as_str()).unwrap_or_default();
                let described = Described::of(&method, name.clone(), rules, &mut types).ok_or(Misread::TooMany)?;
                methods.insert(format!("/{rpc}").into(), described);
            }
        }
        let id = Description::id(set, services);
        let refused = compiled.refused.iter().map(ToString::to_string).collect();
        Ok(Description { id, pool, methods, types, refused })
    }

    /// What the id of such a description is.
    pub(crate) fn id(set: &[u8], services: Option<&BTreeSet<String>>) -> u64 {
        let names: Vec<&str> = services.into_iter().flatten().map(String::as_str).collect();
        fingerprint(&[set, names.join(" ").as_bytes()])
    }

    /// The id as it is shown.
    pub(crate) fn version(&self) -> String {
        format!("{:016x}", self.id)
    }
}

impl Described {
    fn of(method: &MethodDescriptor, service: Arc<str>, rules: Vec<Rule>, types: &mut Types) -> Option<Self> {
        let shape = Shape::of(method, types)?;
        let told: Vec<String> = rules.iter().map(Rule::told).collect();
        let face = fingerprint(&[&shape.id.to_be_bytes(), told.join(", ").as_bytes()]);
        Some(Described { service, shape, config: config(method), rules, face })
    }
}

fn config(method: &MethodDescriptor) -> Option<MethodConfig> {
    let level = method.method_descriptor_proto().options.as_ref().map(MethodOptions::idempotency_level);
    match level {
        Some(IdempotencyLevel::NoSideEffects) if method.is_server_streaming() => Some(MethodConfig::idempotent()),
        Some(IdempotencyLevel::NoSideEffects) => Some(MethodConfig::reading()),
        Some(IdempotencyLevel::Idempotent) => Some(MethodConfig::idempotent()),
        Some(IdempotencyLevel::IdempotencyUnknown) | None => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::samples;

    const SHOP: &str = r#"
        service Shop {
            rpc Buy(Order) returns (Order) { option (google.api.http) = { post: "/v1/orders" body: "*" }; }
            rpc Look(Order) returns (Order) {
                option idempotency_level = NO_SIDE_EFFECTS;
                option (google.api.http) = { get: "/v1/{broken" additional_bindings { get: "/v1/orders/{sku}" } };
            }
            rpc Silent(Order) returns (Order);
        }
        message Order { string sku = 1; }"#;

    #[test]
    fn methods_have_their_rules_and_what_may_be_repeated() {
        let shop = samples::description("shop.v1", SHOP);

        let told = |path: &str| shop.methods[path].rules.iter().map(Rule::told).collect::<Vec<_>>();
        assert_eq!(told("/shop.v1.Shop/Buy"), ["POST /v1/orders of shop.v1.Shop/Buy"]);
        assert!(told("/shop.v1.Shop/Silent").is_empty());
        assert!(shop.methods["/shop.v1.Shop/Look"].config.as_ref().is_some_and(|config| config.may_repeat));
        assert!(shop.methods["/shop.v1.Shop/Buy"].config.is_none());
    }

    #[test]
    fn a_rule_that_cannot_be_kept_leaves_the_others_alone() {
        let shop = samples::description("shop.v1", SHOP);

        let told: Vec<_> = shop.methods["/shop.v1.Shop/Look"].rules.iter().map(Rule::told).collect();
        assert_eq!(told, ["GET /v1/orders/{sku} of shop.v1.Shop/Look"]);
        assert_eq!(shop.refused.len(), 1);
        assert!(shop.refused[0].contains("/v1/{broken"), "{:?}", shop.refused);
    }

    #[test]
    fn only_the_services_that_are_served_are_described() {
        let set = samples::set("shop.v1", &format!("{SHOP} service Other {{ rpc Go(Order) returns (Order); }}"));

        let services = BTreeSet::from(["shop.v1.Other".to_owned()]);
        let other = Description::read(&set, Some(&services), Dialect::default()).unwrap();

        assert_eq!(other.methods.keys().map(|path| &**path).collect::<Vec<_>>(), ["/shop.v1.Other/Go"]);
    }
}
