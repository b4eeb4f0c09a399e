//! What is known of single methods: whether they may be done twice, how long they take.

use super::MethodConfig;
use arc_swap::ArcSwap;
use http::{HeaderMap, HeaderName, HeaderValue};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
const PREFER: HeaderName = HeaderName::from_static("prefer");

/// What is known of the methods of a service, by path, as in `/comanda.order.v1.OrderService/GetOrder`. Clones know the same.
#[derive(Debug, Clone, Default)]
pub struct Methods(Arc<ArcSwap<BTreeMap<String, MethodConfig>>>);

impl Methods {
    /// Nothing is known of methods that are not named here: they are done once, and are given the client's own limits.
    #[must_use]
    pub fn new(methods: BTreeMap<String, MethodConfig>) -> Self {
        Methods(Arc::new(ArcSwap::from_pointee(methods)))
    }

    /// Knows this from now on, and what was known before no more.
    pub(crate) fn replace(&self, methods: BTreeMap<String, MethodConfig>) {
        self.0.store(Arc::new(methods));
    }

    /// Whether a call may be repeated although it may have taken effect: its method says so, or it carries a key by which it is recognised.
    pub(crate) fn may_repeat(&self, path: &str, headers: &HeaderMap) -> bool {
        self.0.load().get(path).is_some_and(|method| method.may_repeat) || headers.contains_key(IDEMPOTENCY_KEY)
    }

    /// When a second attempt is made beside the first.
    pub(crate) fn hedge_after(&self, path: &str) -> Option<Duration> {
        let methods = self.0.load();
        let method = methods.get(path).filter(|method| method.may_repeat && method.hedge_after_ms > 0)?;
        Some(Duration::from_millis(method.hedge_after_ms))
    }

    /// Whether an answer may be held back on purpose, so that taking long says nothing: its method says so, or the caller asked for it
    /// (`Prefer: wait`, RFC 7240 4.3).
    pub(crate) fn is_held(&self, path: &str, headers: &HeaderMap) -> bool {
        let asks = |value: &HeaderValue| value.to_str().is_ok_and(|text| text.contains("wait"));
        self.0.load().get(path).is_some_and(|method| method.is_held) || headers.get(PREFER).is_some_and(asks)
    }

    /// How long one attempt may take until its answer begins; `None`: as long as the call. What cannot be repeated is waited for, unless its
    /// method says otherwise.
    pub(crate) fn attempt_timeout(&self, path: &str, headers: &HeaderMap, default: Duration) -> Option<Duration> {
        let configured =
            self.0.load().get(path).and_then(|method| method.attempt_timeout_ms).map(Duration::from_millis);
        let timeout = configured.or_else(|| self.may_repeat(path, headers).then_some(default));
        timeout.filter(|timeout| !timeout.is_zero() && !self.is_held(path, headers))
    }
}
