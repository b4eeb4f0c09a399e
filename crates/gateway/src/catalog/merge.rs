//! Puts the services together that are served, so that what conflicts takes nothing down: who is served already stays.

use super::foreign::{Foreign, Source};
use super::view::route;
use super::{Catalog, Part};
use crate::grpc::{Known, Method, Methods};
use crate::own;
use foldhash::HashMap;
use guard::Guard;
use lifecycle::Drain;
use prost_reflect::DescriptorPool;
use rpc::client::Wanted;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use transcode::{Document, Rule};

/// What a foreign service brings, and what of it cannot be.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Outcome {
    /// What is served of it: an RPC with the number of what it looks like, a route with the RPC that it calls.
    pub(crate) entries: BTreeMap<String, String>,
    /// Its routes among them, as method, template and RPC.
    pub(crate) routes: Vec<(String, String, String)>,
    /// What conflicts with others, in words.
    pub(crate) conflicts: BTreeSet<String>,
}

/// What is to be served.
#[derive(Debug)]
pub(crate) struct Merged {
    parts: Vec<Part>,
    /// By the name of the foreign service.
    pub(crate) outcomes: BTreeMap<Arc<str>, Outcome>,
    /// Who brings a gRPC service.
    owners: HashMap<Arc<str>, Arc<str>>,
}

/// Merges what is always there with foreign services, those that came first before the others.
pub(crate) fn merge<'f>(base: &[Part], foreign: impl IntoIterator<Item = &'f Foreign>) -> Merged {
    let mut merged = Merged { parts: base.to_vec(), outcomes: BTreeMap::new(), owners: HashMap::default() };
    let gateway: Arc<str> = "the gateway itself".into();
    for name in base.iter().flat_map(|part| part.services.keys()) {
        merged.owners.insert(name.clone(), gateway.clone());
    }
    let mut before: Vec<&Foreign> = Vec::new();
    for it in foreign {
        merged.add(it);
        let conflicts = type_conflicts(it, &before);
        merged.outcome(&it.name).conflicts.extend(conflicts);
        before.push(it);
    }
    merged
}

impl Outcome {
    /// What is served, in words.
    pub(crate) fn told(&self) -> String {
        self.entries.keys().map(String::as_str).collect::<Vec<_>>().join(", ")
    }
}

impl Merged {
    fn outcome(&mut self, name: &Arc<str>) -> &mut Outcome {
        self.outcomes.entry(name.clone()).or_default()
    }

    fn add(&mut self, foreign: &Foreign) {
        let mut part = Part::default();
        let mut outcome = Outcome::default();
        let mut methods: HashMap<Arc<str>, Methods> = HashMap::default();
        for (path, chosen) in &foreign.agreed.methods {
            let Some(described) = chosen.described(path) else { continue };
            if let Some(owner) = self.owners.get(&described.service).filter(|owner| **owner != foreign.name) {
                let service = &described.service;
                outcome.conflicts.insert(format!("the gRPC service {service} is served already, from {owner}"));
                continue;
            }
            self.owners.insert(described.service.clone(), foreign.name.clone());
            let method = match foreign.source {
                Source::File(..) => Method::AtAny,
                Source::Reflection(_) => Method::AtThose(Wanted(described.shape.id)),
            };
            methods.entry(described.service.clone()).or_default().insert(path.clone(), method);
            outcome.entries.insert(path.trim_start_matches('/').to_owned(), format!("{:016x}", described.shape.id));
            for rule in &described.rules {
                if own::is_own(rule.template()) {
                    outcome.conflicts.insert(format!("{} is a path of the gateway itself", rule.told()));
                } else {
                    part.rules.push(rule.clone());
                }
            }
            part.methods.extend(guard::method_of(&chosen.description.pool, path));
            part.pools.entry(described.service.clone()).or_insert_with(|| chosen.description.pool.clone());
        }
        part.services = methods
            .into_iter()
            .map(|(name, methods)| (name, Known { upstream: foreign.upstream.clone(), methods: Arc::new(methods) }))
            .collect();
        self.parts.push(part);
        self.outcomes.insert(foreign.name.clone(), outcome);
    }

    /// Makes the catalog; routes that conflict are told to those who bring them.
    pub(crate) fn into_catalog(
        mut self,
        config: &transcode::Config,
        document: &Document,
        (guard, drain): (Guard, Drain),
    ) -> (Catalog, BTreeMap<Arc<str>, Outcome>) {
        let parts = std::mem::take(&mut self.parts);
        let (catalog, conflicts) = Catalog::of(parts, (config, document), &guard, drain);
        for conflict in conflicts {
            let told = format!("{} is served already, as {}", conflict.refused.told(), conflict.served.told());
            if let Some(owner) = self.owner(&conflict.refused) {
                self.outcome(&owner).conflicts.insert(told);
            }
        }
        for rule in catalog.transcoder.rules() {
            let Some(owner) = self.owner(&rule) else { continue };
            if let Some(outcome) = self.outcomes.get_mut(&owner) {
                outcome.entries.insert(format!("{} {}", rule.http_method(), rule.template()), rule.rpc().to_owned());
                outcome.routes.push(route(&rule));
            }
        }
        (catalog, self.outcomes)
    }

    fn owner(&self, rule: &Rule) -> Option<Arc<str>> {
        let (service, _) = rule.rpc().split_once('/')?;
        self.owners.get(service).cloned()
    }
}

/// Types of the same name that mean something else: each service has its own, and the OpenAPI document numbers them.
fn type_conflicts(foreign: &Foreign, before: &[&Foreign]) -> BTreeSet<String> {
    let descriptions = |it: &Foreign| {
        let mut all: BTreeMap<u64, Arc<super::description::Description>> = BTreeMap::new();
        all.extend(it.agreed.methods.values().map(|chosen| (chosen.description.id, chosen.description.clone())));
        all.into_values()
    };
    let mut conflicts = BTreeSet::new();
    for own in descriptions(foreign) {
        for other in before {
            for theirs in descriptions(other) {
                let told = |name| format!("the type {name} means something else in {}", other.name);
                conflicts.extend(own.types.conflicts(&theirs.types).map(told));
            }
        }
    }
    conflicts
}

/// The pools in which gRPC services are described, for reflection.
pub(crate) type Pools = BTreeMap<Arc<str>, DescriptorPool>;
