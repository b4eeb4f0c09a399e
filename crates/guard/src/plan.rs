//! What one method needs, resolved once for a set of descriptors.

use crate::access::{AccessRule, Condition};
use crate::deadline::Limits;
use crate::identity::Identity;
use crate::metrics::UNKNOWN;
use crate::pattern;
use crate::rates::Rate;
use crate::refusal::{Reason, Refusal};
use crate::shared::Shared;
use foldhash::HashMap;
use prost_reflect::{DescriptorPool, MethodDescriptor};
use prost_types::MethodOptions;
use prost_types::method_options::IdempotencyLevel;
use std::sync::Arc;
use std::time::Duration;

/// The field by which requests are recognised that come again; methods that have it do so themselves.
const REQUEST_ID: &str = "request_id";

/// What one method needs.
#[derive(Debug)]
pub(crate) struct Plan {
    /// `/package.Service/Method`.
    pub(crate) path: Arc<str>,
    is_known: bool,
    /// The rules that cover it, first one first; `None`: everybody may call it.
    access: Option<Vec<Condition>>,
    /// Charged before anybody looks who calls.
    pub(crate) address_rates: Vec<Arc<Rate>>,
    /// Charged afterwards.
    pub(crate) rates: Vec<Arc<Rate>>,
    pub(crate) limits: Limits,
    /// Whether its answers are kept for calls that come again.
    pub(crate) keeps_answers: bool,
}

/// The plans of all methods of a set of descriptors.
#[derive(Debug, Default)]
pub(crate) struct Plans(HashMap<Arc<str>, Arc<Plan>>);

impl Plans {
    pub(crate) fn new(shared: &Shared, methods: impl IntoIterator<Item = MethodDescriptor>) -> Self {
        let plan = |method: MethodDescriptor| {
            let path = format!("/{}/{}", method.parent_service().full_name(), method.name());
            let plan = Plan::new(shared, &path, Some(&method));
            (plan.path.clone(), Arc::new(plan))
        };
        Plans(methods.into_iter().map(plan).collect())
    }

    /// The methods that have a rule which cannot be kept.
    pub(crate) fn without_a_way_in(&self) -> Vec<&str> {
        let mut paths: Vec<&str> =
            self.0.values().filter(|plan| plan.has_impossible()).map(|plan| &*plan.path).collect();
        paths.sort_unstable();
        paths
    }

    /// The plan of the method at `path`; one that is in no descriptor is planned for on the spot.
    pub(crate) fn of(&self, shared: &Shared, path: &str) -> Arc<Plan> {
        self.0.get(path).cloned().unwrap_or_else(|| Arc::new(Plan::new(shared, path, None)))
    }
}

impl Plan {
    fn new(shared: &Shared, path: &str, method: Option<&MethodDescriptor>) -> Self {
        let config = &shared.config;
        let rules = config.rules.iter().chain(&shared.defaults.rules).filter(|rule| rule.covers(path));
        let condition = |rule: &AccessRule| Condition::new(rule, path, method);
        let rates = shared.rates.iter().filter(|rate| pattern::any_covers(&rate.rule().methods, path)).cloned();
        let (address_rates, rates) = rates.partition(|rate| rate.is_by_address());
        let recognises_repeats = pattern::any_covers(&shared.defaults.recognise_repeats, path);
        Plan {
            path: path.into(),
            is_known: method.is_some(),
            access: (!config.is_open()).then(|| rules.map(condition).collect()),
            address_rates,
            rates,
            limits: Limits::of(path, &config.deadlines, Duration::from_millis(config.timeout_max_ms)),
            keeps_answers: shared.keeper.is_some() && !recognises_repeats && method.is_some_and(can_be_repeated),
        }
    }

    fn has_impossible(&self) -> bool {
        let mut own = self.access.iter().flatten().filter_map(|condition| condition.own.as_ref());
        own.any(|own| own.are_impossible())
    }

    /// What it is called in metrics.
    pub(crate) fn label(&self) -> &str {
        if self.is_known { self.path.trim_start_matches('/') } else { UNKNOWN }
    }

    /// Whether nobody need be known, and nothing is counted.
    pub(crate) fn is_free(&self) -> bool {
        self.access.is_none() && self.rates.is_empty() && self.address_rates.is_empty()
    }

    /// The rule by which a caller may go on; `None`: everybody may.
    pub(crate) fn admit(&self, identity: Option<&Identity>) -> Result<Option<&Condition>, Refusal> {
        let Some(conditions) = &self.access else { return Ok(None) };
        let fitting = conditions.iter().find(|condition| condition.who.fits(identity));
        match (fitting, identity) {
            (Some(condition), _) if condition.is_open() => Ok(Some(condition)),
            (_, Some(_)) => Err(Refusal::new(Reason::Forbidden, "you may not call this method")),
            (_, None) => {
                let message = "this method is not for everybody: show a token or an API key";
                Err(Refusal::new(Reason::CredentialsMissing, message))
            }
        }
    }
}

/// The methods of all services of a pool, for [`crate::Guard::layer`].
pub fn methods_of(pool: &DescriptorPool) -> impl Iterator<Item = MethodDescriptor> + '_ {
    pool.services().flat_map(|service| service.methods().collect::<Vec<_>>())
}

/// The method at `/package.Service/Method`, if a pool has it.
#[must_use]
pub fn method_of(pool: &DescriptorPool, path: &str) -> Option<MethodDescriptor> {
    let (service, name) = path.strip_prefix('/')?.split_once('/')?;
    pool.get_service_by_name(service)?.methods().find(|method| method.name() == name)
}

/// Whether a method is one whose calls change something, and do not say themselves which of them are the same.
fn can_be_repeated(method: &MethodDescriptor) -> bool {
    let is_unary = !method.is_client_streaming() && !method.is_server_streaming();
    let level = method.method_descriptor_proto().options.as_ref().map(MethodOptions::idempotency_level);
    let changes_something = level != Some(IdempotencyLevel::NoSideEffects);
    is_unary && changes_something && method.input().get_field_by_name(REQUEST_ID).is_none()
}
