//! How often callers may call: one budget for a caller, whatever he speaks.

mod gcra;

use crate::identity::Identity;
use crate::refusal::{Reason, Refusal};
use crate::{Error, Peer};
use gcra::{Left, Pace, TooOften};
use http::{HeaderName, HeaderValue};
use moka::policy::EvictionPolicy;
use moka::sync::Cache;
use serde::{Deserialize, Serialize};
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

/// The least time for which a caller is remembered who does not call.
const REMEMBERED_MIN: Duration = Duration::from_secs(60);

/// How often callers may call some methods.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RateRule {
    /// What it is called in answers: letters, digits, `-` and `_`.
    #[serde(default = "default_name")]
    pub name: String,
    /// Which methods: `/package.Service/Method`, `/package.Service/*`, `*`.
    pub methods: Vec<String>,
    /// Who has a budget of his own.
    #[serde(default)]
    pub by: By,
    /// Whether each method has a budget of its own, too; otherwise all the rule's methods share one.
    #[serde(default)]
    pub each_method: bool,
    /// Calls in a second, in the long run. 0.1 is one in ten seconds.
    pub per_second: f64,
    /// Calls at once, at most.
    pub burst: NonZeroU32,
}

/// Who has a budget of his own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum By {
    /// Each identity; and each address from which somebody calls without one.
    #[default]
    Identity,
    /// Each address. It is charged before anybody looks who calls, so it bounds guesses at keys as well.
    Address,
    /// All callers have one together.
    All,
}

fn default_name() -> String {
    "default".to_owned()
}

impl RateRule {
    pub(crate) fn check(&self) -> Result<(), Error> {
        let is_name = |text: &str| {
            !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
        };
        if !is_name(&self.name) {
            return Err(Error::setting("rates", format!("name {:?} takes letters, digits, - and _", self.name)));
        }
        if !(self.per_second > 0.0 && self.per_second <= 1e9) {
            return Err(Error::setting("rates", "per_second must be more than 0, and at most 1e9"));
        }
        Ok(())
    }

    fn pace(&self) -> Pace {
        // From 1 ns to some centuries, as `check` has seen.
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a float is cut to what fits")]
        let interval_ns = (1e9 / self.per_second) as u64;
        Pace { interval_ns: interval_ns.max(1), burst: self.burst }
    }
}

/// Whose budget.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Key {
    owner: Owner,
    method: Option<Arc<str>>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Owner {
    Identity(Arc<str>),
    Address(IpAddr),
    /// Callers of whom not even an address is known share one.
    Nobody,
}

/// The budgets of one rule.
#[derive(Debug)]
pub(crate) struct Rate {
    rule: RateRule,
    pace: Pace,
    policy: HeaderValue,
    budgets: Cache<Key, Arc<AtomicU64>>,
}

impl Rate {
    pub(crate) fn new(rule: &RateRule, keys_max: u64) -> Self {
        let pace = rule.pace();
        let window = Duration::from_nanos(pace.window_ns());
        let policy = format!("\"{}\";q={};w={}", rule.name, rule.burst, seconds(pace.window_ns()));
        let budgets = Cache::builder()
            .max_capacity(keys_max)
            // Not TinyLFU, which would turn newcomers away, and so let them call without a budget.
            .eviction_policy(EvictionPolicy::lru())
            // A budget that is whole again need not be kept.
            .time_to_idle(window.max(REMEMBERED_MIN))
            .build();
        let policy = HeaderValue::try_from(policy).expect("a checked name and numbers are a header value");
        Rate { rule: rule.clone(), pace, policy, budgets }
    }

    pub(crate) fn rule(&self) -> &RateRule {
        &self.rule
    }

    /// Whether it is charged before anybody looks who calls.
    pub(crate) fn is_by_address(&self) -> bool {
        self.rule.by == By::Address
    }

    /// Takes one call from the budget of whoever calls. `now_ns` only ever grows.
    pub(crate) fn charge(&self, call: &Call<'_>, now_ns: u64) -> Result<Quota, Refusal> {
        let address = || call.peer.map_or(Owner::Nobody, |peer| Owner::Address(peer.network()));
        let owner = match (self.rule.by, call.identity) {
            (By::All, _) => Owner::Nobody,
            (By::Identity, Some(identity)) => Owner::Identity(identity.id.clone()),
            (By::Identity, None) | (By::Address, _) => address(),
        };
        let key = Key { owner, method: self.rule.each_method.then(|| call.method.clone()) };
        let budget = self.budgets.get(&key).unwrap_or_else(|| self.budgets.get_with(key, Arc::default));
        match self.pace.take_from(&budget, now_ns) {
            Ok(left) => Ok(self.quota(left)),
            Err(TooOften { wait_ns, reset_ns }) => {
                let wait = Duration::from_nanos(wait_ns).max(Duration::from_millis(1));
                let quota = self.quota(Left { remaining: 0, reset_ns });
                let message = format!("the rate {} is used up; call again in {wait:.1?}", self.rule.name);
                let refusal = Refusal::new(Reason::RateLimited, message).retry_after(wait).quota(&self.rule.name);
                Err(refusal.headers(quota.headers()))
            }
        }
    }

    fn quota(&self, left: Left) -> Quota {
        Quota { name: self.rule.name.clone(), limit: self.rule.burst.get(), policy: self.policy.clone(), left }
    }
}

/// A call that is charged for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Call<'c> {
    pub(crate) method: &'c Arc<str>,
    pub(crate) peer: Option<&'c Peer>,
    pub(crate) identity: Option<&'c Identity>,
}

/// What a caller has left.
#[derive(Debug, Clone)]
pub(crate) struct Quota {
    name: String,
    limit: u32,
    policy: HeaderValue,
    left: Left,
}

impl Quota {
    /// The one that ends first.
    pub(crate) fn tighter(self, other: Quota) -> Quota {
        if other.left.remaining < self.left.remaining { other } else { self }
    }

    /// The headers that tell it: `RateLimit` and `RateLimit-Policy` as draft-ietf-httpapi-ratelimit-headers-10 (September 2025) has them,
    /// and the three that it had until its version 06, which more clients know.
    pub(crate) fn headers(&self) -> [(HeaderName, HeaderValue); 5] {
        let reset = seconds(self.left.reset_ns);
        let now = format!("\"{}\";r={};t={reset}", self.name, self.left.remaining);
        [
            (HeaderName::from_static("ratelimit-policy"), self.policy.clone()),
            (
                HeaderName::from_static("ratelimit"),
                HeaderValue::try_from(now).expect("a checked name and numbers are a header value"),
            ),
            (HeaderName::from_static("ratelimit-limit"), HeaderValue::from(self.limit)),
            (HeaderName::from_static("ratelimit-remaining"), HeaderValue::from(self.left.remaining)),
            (HeaderName::from_static("ratelimit-reset"), HeaderValue::from(reset)),
        ]
    }
}

/// Whole seconds, rounded up.
fn seconds(nanoseconds: u64) -> u64 {
    nanoseconds.div_ceil(1_000_000_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    fn rate(rule: &str, keys_max: u64) -> Rate {
        let rule: RateRule = toml::from_str(rule).unwrap();
        rule.check().unwrap();
        Rate::new(&rule, keys_max)
    }

    fn peer(last: u8) -> Peer {
        Peer { address: [10, 0, 0, last].into(), certificate: None }
    }

    fn charge(rate: &Rate, last: u8, identity: Option<&Identity>, method: &str) -> Result<u32, Refusal> {
        let (peer, method) = (peer(last), method.into());
        let call = Call { method: &method, peer: Some(&peer), identity };
        rate.charge(&call, SECOND).map(|quota| quota.left.remaining)
    }

    #[test]
    fn whoever_is_known_has_a_budget_wherever_he_calls_from() {
        let rate = rate("methods = [\"*\"]\nper_second = 1.0\nburst = 2", 10);
        let known = Identity::named("anna");

        assert_eq!(charge(&rate, 1, Some(&known), "/a.B/C").unwrap(), 1);
        assert_eq!(charge(&rate, 2, Some(&known), "/a.B/D").unwrap(), 0);
        assert!(charge(&rate, 3, Some(&known), "/a.B/E").is_err());
        assert_eq!(charge(&rate, 3, None, "/a.B/E").unwrap(), 1);
        assert_eq!(charge(&rate, 3, Some(&Identity::named("ben")), "/a.B/E").unwrap(), 1);
    }

    #[test]
    fn each_method_can_have_a_budget_of_its_own() {
        let rate = rate("methods = [\"*\"]\neach_method = true\nper_second = 1.0\nburst = 1", 10);

        assert!(charge(&rate, 1, None, "/a.B/C").is_ok());
        assert!(charge(&rate, 1, None, "/a.B/D").is_ok());
        assert!(charge(&rate, 1, None, "/a.B/C").is_err());
    }

    #[test]
    fn all_can_have_one_budget_together() {
        let rate = rate("methods = [\"*\"]\nby = \"all\"\nper_second = 1.0\nburst = 1", 10);

        assert!(charge(&rate, 1, None, "/a.B/C").is_ok());
        assert!(charge(&rate, 2, Some(&Identity::named("anna")), "/a.B/C").is_err());
    }

    #[test]
    fn a_crowd_of_callers_is_forgotten_in_turn() {
        let rate = rate("methods = [\"*\"]\nby = \"address\"\nper_second = 0.001\nburst = 1", 16);

        for last in 0..200 {
            assert!(charge(&rate, last, None, "/a.B/C").is_ok(), "a newcomer is not turned away");
        }
        rate.budgets.run_pending_tasks();

        assert!(rate.budgets.entry_count() <= 16, "{}", rate.budgets.entry_count());
        assert!(charge(&rate, 199, None, "/a.B/C").is_err(), "whoever has just called is remembered");
    }

    #[test]
    fn the_headers_tell_what_is_left_in_both_forms() {
        let rate = rate("name = \"orders\"\nmethods = [\"*\"]\nper_second = 2.0\nburst = 5", 10);
        let (peer, method) = (peer(1), "/a.B/C".into());
        let quota = rate.charge(&Call { method: &method, peer: Some(&peer), identity: None }, SECOND).unwrap();

        let headers = quota.headers().map(|(name, value)| format!("{name}: {}", value.to_str().unwrap()));

        assert_eq!(
            headers,
            [
                "ratelimit-policy: \"orders\";q=5;w=3",
                "ratelimit: \"orders\";r=4;t=1",
                "ratelimit-limit: 5",
                "ratelimit-remaining: 4",
                "ratelimit-reset: 1",
            ]
        );
    }
}
