//! The keys of an issuer (JWKS, RFC 7517): which there are, and how they are kept fresh.
//!
//! A key says which algorithm it is used with; a token has no say in it. Keys that are not asymmetric, or not for signatures, do not exist here.

use super::fetch::Source;
use crate::Error;
use crate::error::Source as Cause;
use bytes::Bytes;
use jsonwebtoken::{Algorithm, DecodingKey};
use serde::Deserialize;
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;
use tokio::sync::Mutex;
use tokio::time::Instant;
use tracing::{debug, info, warn};

/// What is told of a set that could not be read again.
const KEPT: &str = "keys stay as they were";

/// The pause between two fetches because of keys that nobody knows: whoever makes keys up causes one fetch in it.
const FETCH_AGAIN_AFTER: Duration = Duration::from_secs(10);

/// A key, and the algorithm that it is used with.
pub(crate) struct Key {
    pub(crate) algorithm: Algorithm,
    pub(crate) key: DecodingKey,
}

/// The keys of an issuer; what was read last stays until something else can be read.
pub(crate) struct Keys {
    source: Source,
    current: RwLock<Option<Arc<KeySet>>>,
    /// Rises with each other set.
    generation: AtomicU64,
    /// When somebody last looked, whatever was found.
    fetched_at: Mutex<Option<Instant>>,
}

/// A set of keys, and the text that it was read from.
struct KeySet {
    text: Bytes,
    by_id: HashMap<String, Arc<Key>>,
    /// The key of tokens that name none, if there is no choice.
    only: Option<Arc<Key>>,
}

/// Why there is no key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NoKey {
    /// The issuer has none of that name.
    Unknown,
    /// Nothing was ever read.
    NeverRead,
}

impl Keys {
    pub(crate) fn new(source: Source) -> Self {
        Keys { source, current: RwLock::default(), generation: AtomicU64::new(0), fetched_at: Mutex::default() }
    }

    /// Which set it is: what was verified by another one is to be verified again.
    pub(crate) fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    /// The key of this id. One that is not known is looked for, so that a new key is known as soon as a token uses it. Cancel safe.
    pub(crate) async fn find(&self, id: Option<&str>) -> Result<Arc<Key>, NoKey> {
        if let Ok(key) = self.known(id) {
            return Ok(key);
        }
        let mut fetched_at = self.fetched_at.lock().await;
        // Whoever held the lock may have fetched it.
        if let Ok(key) = self.known(id) {
            return Ok(key);
        }
        if fetched_at.is_none_or(|at| at.elapsed() >= FETCH_AGAIN_AFTER) {
            *fetched_at = Some(Instant::now());
            self.read_again().await;
        }
        self.known(id)
    }

    /// Reads the set again; a failure is told and changes nothing. Cancel safe.
    pub(crate) async fn refresh(&self) {
        let mut fetched_at = self.fetched_at.lock().await;
        *fetched_at = Some(Instant::now());
        self.read_again().await;
    }

    /// Takes the set that was read before from the same place, until this one is read.
    pub(crate) fn go_on_from(&self, before: &Keys) {
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = before.current();
    }

    /// Reads the set, for the first time or after another guard has.
    ///
    /// # Errors
    /// When it is a file that cannot be used. A URL may be there later.
    pub(crate) async fn start(&self) -> Result<(), Error> {
        let Err(error) = self.read().await else { return Ok(()) };
        if let Source::File(_) = self.source {
            return Err(error);
        }
        let told = match self.current() {
            Some(_) => KEPT,
            None => "keys cannot be read yet; no token of the issuer is taken",
        };
        warn!(error = &error as &dyn std::error::Error, "{told}");
        Ok(())
    }

    async fn read_again(&self) {
        if let Err(error) = self.read().await {
            warn!(error = &error as &dyn std::error::Error, "{KEPT}");
        }
    }

    async fn read(&self) -> Result<(), Error> {
        let text = self.source.fetch().await?;
        if self.current().is_some_and(|current| current.text == text) {
            return Ok(());
        }
        let set = KeySet::parse(text).map_err(|source| match &self.source {
            Source::File(path) => Error::File { path: path.clone(), source },
            Source::Url { uri, .. } => Error::Fetch { url: uri.to_string(), source },
        })?;
        info!(keys = set.by_id.len(), "keys were read");
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(set));
        self.generation.fetch_add(1, Ordering::Release);
        Ok(())
    }

    fn known(&self, id: Option<&str>) -> Result<Arc<Key>, NoKey> {
        let set = self.current().ok_or(NoKey::NeverRead)?;
        let key = match id {
            Some(id) => set.by_id.get(id),
            None => set.only.as_ref(),
        };
        key.cloned().ok_or(NoKey::Unknown)
    }

    fn current(&self) -> Option<Arc<KeySet>> {
        self.current.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl std::fmt::Debug for Keys {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Keys").field("source", &self.source).finish_non_exhaustive()
    }
}

/// A key as it is written (RFC 7517 4, RFC 7518 6, RFC 8037 2).
#[derive(Debug, Deserialize)]
struct Jwk {
    kty: String,
    kid: Option<String>,
    alg: Option<String>,
    #[serde(rename = "use")]
    used_for: Option<String>,
    key_ops: Option<Vec<String>>,
    crv: Option<String>,
    n: Option<String>,
    e: Option<String>,
    x: Option<String>,
    y: Option<String>,
}

impl KeySet {
    fn parse(text: Bytes) -> Result<Self, Cause> {
        #[derive(Deserialize)]
        struct Set {
            keys: Vec<serde_json::Value>,
        }
        let set: Set = serde_json::from_slice(&text)?;
        let (mut by_id, mut all) = (HashMap::new(), Vec::new());
        for key in set.keys {
            // An issuer may have keys for other purposes, and of kinds to come.
            let Some((id, key)) = serde_json::from_value(key).ok().and_then(Jwk::into_key) else {
                debug!("a key of the issuer is not one that tokens are verified by");
                continue;
            };
            let key = Arc::new(key);
            all.push(key.clone());
            if let Some(id) = id {
                by_id.entry(id).or_insert(key);
            }
        }
        if all.is_empty() {
            return Err("it holds no key by which tokens can be verified".into());
        }
        let only = (all.len() == 1).then(|| all.swap_remove(0));
        Ok(KeySet { text, by_id, only })
    }
}

impl Jwk {
    fn into_key(self) -> Option<(Option<String>, Key)> {
        let is_for_signatures = self.used_for.as_deref().is_none_or(|purpose| purpose == "sig");
        let verifies = self.key_ops.as_ref().is_none_or(|operations| operations.iter().any(|it| it == "verify"));
        if !is_for_signatures || !verifies {
            return None;
        }
        let algorithm = algorithm(&self.kty, self.crv.as_deref(), self.alg.as_deref())?;
        let key = match algorithm {
            Algorithm::ES256 | Algorithm::ES384 => DecodingKey::from_ec_components(&self.x?, &self.y?),
            Algorithm::EdDSA => DecodingKey::from_ed_components(&self.x?),
            _ => DecodingKey::from_rsa_components(&self.n?, &self.e?),
        };
        Some((self.kid, Key { algorithm, key: key.ok()? }))
    }
}

/// The one algorithm that a key is used with. RSA keys that do not say are used with RS256, as nearly all are.
fn algorithm(kind: &str, curve: Option<&str>, named: Option<&str>) -> Option<Algorithm> {
    match (kind, curve, named) {
        ("RSA", _, None | Some("RS256")) => Some(Algorithm::RS256),
        ("RSA", _, Some("RS384")) => Some(Algorithm::RS384),
        ("RSA", _, Some("RS512")) => Some(Algorithm::RS512),
        ("RSA", _, Some("PS256")) => Some(Algorithm::PS256),
        ("RSA", _, Some("PS384")) => Some(Algorithm::PS384),
        ("RSA", _, Some("PS512")) => Some(Algorithm::PS512),
        ("EC", Some("P-256"), None | Some("ES256")) => Some(Algorithm::ES256),
        ("EC", Some("P-384"), None | Some("ES384")) => Some(Algorithm::ES384),
        ("OKP", Some("Ed25519"), None | Some("EdDSA" | "Ed25519")) => Some(Algorithm::EdDSA),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_has_one_algorithm_and_symmetric_ones_have_none() {
        assert_eq!(algorithm("RSA", None, None), Some(Algorithm::RS256));
        assert_eq!(algorithm("RSA", None, Some("PS512")), Some(Algorithm::PS512));
        assert_eq!(algorithm("EC", Some("P-384"), None), Some(Algorithm::ES384));
        for (kind, curve, named) in [
            ("oct", None, Some("HS256")),
            ("RSA", None, Some("HS256")),
            ("RSA", None, Some("none")),
            ("EC", Some("P-256"), Some("ES384")),
            ("EC", Some("secp256k1"), None),
            ("OKP", Some("X25519"), None),
        ] {
            assert_eq!(algorithm(kind, curve, named), None, "{kind} {curve:?} {named:?}");
        }
    }

    #[test]
    fn keys_for_other_purposes_are_left_out() {
        let set = r#"{"keys":[
            {"kty":"oct","kid":"secret","k":"c2VjcmV0","alg":"HS256"},
            {"kty":"RSA","kid":"encrypts","use":"enc","n":"AQAB","e":"AQAB"},
            {"kty":"RSA","kid":"signs","key_ops":["sign"],"n":"AQAB","e":"AQAB"},
            {"kty":"new","kid":"unknown"},
            {"kty":"OKP","kid":"good","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}"#;

        let set = KeySet::parse(set.into()).unwrap();

        assert_eq!(set.by_id.keys().collect::<Vec<_>>(), ["good"]);
        assert!(set.only.is_some());
        assert!(KeySet::parse(r#"{"keys":[]}"#.into()).is_err());
    }
}
