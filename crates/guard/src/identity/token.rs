//! JSON Web Tokens (RFC 7519), read as RFC 8725 wants it: whose they are and by which key is decided here, not by the token.

use super::claims::{Unique, texts};
use super::fetch::Source;
use super::keys::{Key, Keys, NoKey};
use super::{Identity, Known, Naming};
use crate::Error;
use crate::refusal::{Reason, Refusal};
use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine as _};
use jsonwebtoken::Validation;
use moka::policy::EvictionPolicy;
use moka::sync::Cache;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tracing::debug;

/// Bytes of a token at most. 16 KiB: four times what directories with many groups make.
const TOKEN_BYTES_MAX: usize = 16 << 10;
/// Tokens that are remembered as verified at most; each is 32 bytes of hash and some hundred of identity.
const REMEMBERED_MAX: u64 = 10_000;
/// How long they are remembered without being used.
const REMEMBERED_FOR: Duration = Duration::from_secs(300);
/// When a caller is to come again whose token cannot be verified yet.
const COME_AGAIN_AFTER: Duration = Duration::from_secs(5);

/// Somebody whose tokens are taken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Issuer {
    /// What its tokens say in `iss`, letter by letter.
    pub issuer: String,
    /// What a token must say in `aud`: one of these.
    pub audiences: Vec<String>,
    /// Where its keys are (JWKS): a file, or a URL with `https://` or, inside of one machine, `http://`.
    pub jwks: String,
    /// The certificates that the URL is trusted by. None: those of the machine.
    #[serde(default)]
    pub ca_file: Option<PathBuf>,
    /// How far clocks may be apart, in seconds. 60: more than machines with a time service are.
    #[serde(default = "default_leeway")]
    pub leeway_seconds: u64,
    /// The claim that holds the roles: a list, or a text with spaces. A path such as `realm_access.roles` leads into objects.
    #[serde(default = "default_roles_claim")]
    pub roles_claim: String,
}

fn default_leeway() -> u64 {
    60
}

fn default_roles_claim() -> String {
    "roles".to_owned()
}

impl Issuer {
    pub(crate) fn check(&self) -> Result<(), Error> {
        if self.issuer.is_empty() {
            return Err(Error::setting("issuers", "issuer is empty"));
        }
        if self.audiences.is_empty() {
            return Err(Error::setting("issuers", "audiences names none: a token for somebody else would be taken"));
        }
        Ok(())
    }
}

/// Verifies tokens, and remembers those that it has verified.
#[derive(Debug)]
pub(crate) struct Tokens {
    issuers: Vec<Trusted>,
    naming: Naming,
    verified: Cache<[u8; 32], Verified>,
}

#[derive(Debug)]
struct Trusted {
    issuer: Issuer,
    keys: Keys,
}

/// A token that was verified.
#[derive(Debug, Clone)]
struct Verified {
    identity: Arc<Identity>,
    /// In seconds since 1970, with the leeway.
    valid_until: u64,
    issuer: usize,
    /// Which set of keys it was verified by.
    generation: u64,
}

/// Why a token is not taken. The caller is told no more than that; the log knows which.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Flaw {
    TooLong,
    Malformed,
    Critical,
    Issuer,
    Key,
    Signature,
    Audience,
    Subject,
    Times,
    Expired,
    NotYet,
}

impl From<Flaw> for Refusal {
    fn from(flaw: Flaw) -> Self {
        debug!(?flaw, "token was refused");
        let message = match flaw {
            Flaw::Expired => "the token has expired",
            _ => "the token is not valid",
        };
        Refusal::new(Reason::CredentialsInvalid, message)
    }
}

/// What a token says of itself, before anybody has verified it.
struct Unverified {
    key: Option<String>,
    issuer: String,
}

impl Tokens {
    pub(crate) fn new(issuers: &[Issuer], naming: &Naming) -> Result<Self, Error> {
        let trusted = |issuer: &Issuer| {
            let keys = Keys::new(Source::new(&issuer.jwks, issuer.ca_file.as_deref())?);
            Ok(Trusted { issuer: issuer.clone(), keys })
        };
        let verified = Cache::builder()
            .max_capacity(REMEMBERED_MAX)
            .eviction_policy(EvictionPolicy::lru())
            .time_to_idle(REMEMBERED_FOR)
            .build();
        let issuers = issuers.iter().map(trusted).collect::<Result<_, Error>>()?;
        Ok(Tokens { issuers, naming: naming.clone(), verified })
    }

    pub(crate) fn are_taken(&self) -> bool {
        !self.issuers.is_empty()
    }

    /// Takes the keys that are known already of issuers whose keys are at the same place.
    pub(crate) fn go_on_from(&self, before: &Tokens) {
        for trusted in &self.issuers {
            let mut old = before.issuers.iter();
            if let Some(old) = old.find(|old| old.issuer.jwks == trusted.issuer.jwks) {
                trusted.keys.go_on_from(&old.keys);
            }
        }
    }

    /// Reads all keys, most of them for the first time.
    pub(crate) async fn start(&self) -> Result<(), Error> {
        for trusted in &self.issuers {
            trusted.keys.start().await?;
        }
        Ok(())
    }

    /// Reads all keys again.
    pub(crate) async fn refresh(&self) {
        for trusted in &self.issuers {
            trusted.keys.refresh().await;
        }
    }

    /// Whose token it is, if it has been verified before. `now` is in seconds since 1970.
    pub(crate) fn remembered(&self, token: &str, now: u64) -> Result<Option<Arc<Identity>>, Refusal> {
        if token.len() > TOKEN_BYTES_MAX {
            return Err(Flaw::TooLong.into());
        }
        let is_current = |it: &Verified| self.issuers[it.issuer].keys.generation() == it.generation;
        match self.verified.get(&hash(token)).filter(is_current) {
            Some(verified) if now < verified.valid_until => Ok(Some(verified.identity)),
            Some(_) => Err(Flaw::Expired.into()),
            None => Ok(None),
        }
    }

    /// Finds out whose token it is at `now`, in seconds since 1970. Cancel safe.
    pub(crate) async fn verify(&self, token: &str, now: u64) -> Result<Arc<Identity>, Refusal> {
        if let Some(identity) = self.remembered(token, now)? {
            return Ok(identity);
        }
        let Unverified { key, issuer } = Unverified::read(token)?;
        let found = self.issuers.iter().enumerate().find(|(_, it)| it.issuer.issuer == issuer);
        let (index, trusted) = found.ok_or(Flaw::Issuer)?;
        let key = match trusted.keys.find(key.as_deref()).await {
            Ok(key) => key,
            Err(NoKey::Unknown) => return Err(Flaw::Key.into()),
            Err(NoKey::NeverRead) => {
                let refusal = Refusal::new(Reason::KeysUnavailable, "tokens cannot be verified now; call again");
                return Err(refusal.retry_after(COME_AGAIN_AFTER));
            }
        };
        // Read before the token is verified: should the keys change meanwhile, it is verified once more than needed.
        let generation = trusted.keys.generation();
        let claims = verify(token, &key)?;
        let valid_until = check(&claims, &trusted.issuer, now)?;
        let identity = Arc::new(self.identity(&claims, &trusted.issuer)?);
        let verified = Verified { identity: identity.clone(), valid_until, issuer: index, generation };
        self.verified.insert(hash(token), verified);
        Ok(identity)
    }

    fn identity(&self, claims: &Unique, issuer: &Issuer) -> Result<Identity, Flaw> {
        let subject = claims.text("sub").filter(|subject| !subject.is_empty()).ok_or(Flaw::Subject)?;
        let roles = match claims.at(&issuer.roles_claim) {
            Some(Value::String(text)) => text.split_whitespace().map(str::to_owned).collect(),
            Some(other) => texts(other),
            None => Vec::new(),
        };
        let named = self.naming.claims.iter();
        let named = named.filter_map(|name| Some((name.clone(), texts(claims.at(name)?))));
        let claims = named.filter(|(_, values)| !values.is_empty()).collect();
        let known = Known { by: "token", authority: &issuer.issuer, subject, roles, claims };
        Ok(Identity::new(known, &self.naming))
    }
}

/// What a token is remembered by.
fn hash(token: &str) -> [u8; 32] {
    Sha256::digest(token).into()
}

impl Unverified {
    fn read(token: &str) -> Result<Self, Flaw> {
        let mut parts = token.split('.');
        let (Some(header), Some(claims), Some(signature), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(Flaw::Malformed);
        };
        if signature.is_empty() {
            return Err(Flaw::Signature);
        }
        let (header, claims) = (object(header)?, object(claims)?);
        // Extensions that must be understood (RFC 7515 4.1.11), none of which is; `b64` among them.
        if header.0.contains_key("crit") {
            return Err(Flaw::Critical);
        }
        let key = match header.0.get("kid") {
            None => None,
            Some(Value::String(id)) => Some(id.clone()),
            Some(_) => return Err(Flaw::Malformed),
        };
        Ok(Unverified { key, issuer: claims.text("iss").ok_or(Flaw::Issuer)?.to_owned() })
    }
}

fn object(part: &str) -> Result<Unique, Flaw> {
    let text = BASE64_URL_SAFE_NO_PAD.decode(part).map_err(|_| Flaw::Malformed)?;
    serde_json::from_slice(&text).map_err(|_| Flaw::Malformed)
}

/// The claims of a token that was signed with this key and by its algorithm.
fn verify(token: &str, key: &Key) -> Result<Unique, Flaw> {
    let mut validation = Validation::new(key.algorithm);
    // What the claims must say is looked at in `check`, which is strict where this is not: it overlooks an `nbf` that is no number.
    validation.required_spec_claims.clear();
    validation.validate_exp = false;
    validation.validate_nbf = false;
    validation.validate_aud = false;
    let decoded = jsonwebtoken::decode::<Unique>(token, &key.key, &validation).map_err(|error| {
        debug!(error = %error, "signature was refused");
        Flaw::Signature
    })?;
    Ok(decoded.claims)
}

/// Whether verified claims hold at `now`; and until when they do.
fn check(claims: &Unique, issuer: &Issuer, now: u64) -> Result<u64, Flaw> {
    if claims.text("iss") != Some(&issuer.issuer) {
        return Err(Flaw::Issuer);
    }
    let is_ours = |value: &Value| value.as_str().is_some_and(|text| issuer.audiences.iter().any(|ours| ours == text));
    let is_for_us = match claims.0.get("aud") {
        Some(Value::Array(audiences)) => audiences.iter().any(is_ours),
        Some(audience) => is_ours(audience),
        None => false,
    };
    if !is_for_us {
        return Err(Flaw::Audience);
    }
    let valid_until = time(claims, "exp")?.ok_or(Flaw::Times)?.saturating_add(issuer.leeway_seconds);
    if now >= valid_until {
        return Err(Flaw::Expired);
    }
    let latest = now.saturating_add(issuer.leeway_seconds);
    // A token that is issued in the future comes from a clock that cannot be trusted with `exp` either.
    for name in ["nbf", "iat"] {
        if time(claims, name)?.is_some_and(|from| from > latest) {
            return Err(Flaw::NotYet);
        }
    }
    Ok(valid_until)
}

/// A time in seconds since 1970, if it is given; parts of a second are left out.
fn time(claims: &Unique, name: &str) -> Result<Option<u64>, Flaw> {
    let Some(value) = claims.0.get(name) else { return Ok(None) };
    let whole = value.as_u64();
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is within 0 and 2^53")]
    let cut = || value.as_f64().filter(|seconds| (0.0..9e15).contains(seconds)).map(|seconds| seconds as u64);
    whole.or_else(cut).map(Some).ok_or(Flaw::Times)
}
