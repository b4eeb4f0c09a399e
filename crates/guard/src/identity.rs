//! Who calls: by a JSON Web Token, an API key, or the certificate of the connection.

mod api_key;
mod claims;
mod fetch;
mod keys;
mod token;

pub use api_key::ApiKey;
pub use token::Issuer;

use crate::refusal::{Reason, Refusal};
use crate::{Config, Error, Peer};
use api_key::ApiKeys;
use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderName, HeaderValue};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, OnceLock};
use token::Tokens;

/// The header of an API key. It is meant for the guard, and no service sees it.
pub(crate) const API_KEY: HeaderName = HeaderName::from_static("x-api-key");

/// A caller who is known; in the extensions of the requests that a guard has let through.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// What the caller is called: `sub` of a token, the name of a key, a name of a certificate.
    pub subject: String,
    /// What the caller may be.
    pub roles: Vec<String>,
    /// What else is known of the caller, as far as rules or services ask for it. A claim that is a list has several values.
    pub claims: BTreeMap<String, Vec<String>>,
    /// Unlike that of any other caller: the subject, and who vouches for it.
    pub(crate) id: Arc<str>,
    /// By which services are told of all this.
    pub(crate) metadata: Vec<(HeaderName, HeaderValue)>,
}

/// Where a guard writes who calls, for whoever has put it into the extensions of a request: also if the caller may not call what he calls.
/// Clones are the same place.
#[derive(Debug, Clone, Default)]
pub struct Caller(Arc<OnceLock<Arc<Identity>>>);

impl Caller {
    /// Who calls, once that is known.
    #[must_use]
    pub fn identity(&self) -> Option<&Identity> {
        self.0.get().map(Arc::as_ref)
    }

    pub(crate) fn is(&self, identity: &Arc<Identity>) {
        // A call is identified once; one that is made anew, as by a client's repeat, comes with a place of its own.
        let _is_known = self.0.set(Arc::clone(identity)).is_err();
    }
}

/// What the holder of a certificate may be. Certificates without a rule are nobody's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CertificateRule {
    /// A name in the certificate, such as `spiffe://example/orders`, or its subject.
    pub name: String,
    /// What its holder may be.
    #[serde(default)]
    pub roles: Vec<String>,
    /// What else is known of its holder.
    #[serde(default)]
    pub claims: BTreeMap<String, String>,
}

/// How identities are written down.
#[derive(Debug, Clone)]
pub(crate) struct Naming {
    /// The beginning of the metadata that services are told by.
    pub(crate) prefix: &'static str,
    /// The claims that anybody asks for.
    pub(crate) claims: BTreeSet<String>,
}

/// What is known of a caller before it is written down.
pub(crate) struct Known<'k> {
    /// What vouches for it: `token`, `key` or `certificate`.
    pub(crate) by: &'static str,
    /// Who vouches for it, where there can be several.
    pub(crate) authority: &'k str,
    pub(crate) subject: &'k str,
    pub(crate) roles: Vec<String>,
    pub(crate) claims: BTreeMap<String, Vec<String>>,
}

impl Identity {
    pub(crate) fn new(known: Known<'_>, naming: &Naming) -> Self {
        let Known { by, authority, subject, roles, claims } = known;
        // The lengths keep apart what a `|` in a name could mix up.
        let id = format!("{by}|{}|{authority}|{subject}", authority.len());
        let mut metadata = vec![metadata(naming.prefix, "subject", &[subject])];
        if !roles.is_empty() {
            let roles: Vec<&str> = roles.iter().map(String::as_str).collect();
            metadata.push(self::metadata(naming.prefix, "roles", &roles));
        }
        for (name, values) in &claims {
            let values: Vec<&str> = values.iter().map(String::as_str).collect();
            metadata.push(self::metadata(naming.prefix, &format!("claim-{name}"), &values));
        }
        Identity { subject: subject.to_owned(), roles, claims, id: id.into(), metadata }
    }

    /// A caller of this name, of whom nothing else is known.
    #[cfg(test)]
    pub(crate) fn named(subject: &str) -> Self {
        let naming = Naming { prefix: "x-guard-", claims: BTreeSet::new() };
        let (roles, claims) = (Vec::new(), BTreeMap::new());
        Identity::new(Known { by: "key", authority: "", subject, roles, claims }, &naming)
    }

    pub(crate) fn has_any_role(&self, roles: &[String]) -> bool {
        roles.iter().any(|role| self.roles.contains(role))
    }

    /// The values of a claim; none where it is not there.
    pub(crate) fn claim(&self, name: &str) -> &[String] {
        self.claims.get(name).map_or(&[], Vec::as_slice)
    }
}

/// A header of which services are told, and values that are safe in it: what is not printable ASCII, `%` and `,` are percent-encoded.
fn metadata(prefix: &str, name: &str, values: &[&str]) -> (HeaderName, HeaderValue) {
    let is_plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"_-.".contains(&byte);
    let name: String =
        name.to_ascii_lowercase().bytes().map(|byte| if is_plain(byte) { char::from(byte) } else { '-' }).collect();
    let mut text = String::new();
    for (index, value) in values.iter().enumerate() {
        if index > 0 {
            text.push(',');
        }
        for byte in value.bytes() {
            match byte {
                b'%' | b',' | ..=0x1f | 0x7f.. => text.push_str(&format!("%{byte:02X}")),
                _ => text.push(char::from(byte)),
            }
        }
    }
    let name = HeaderName::try_from(format!("{prefix}{name}")).expect("a header's name, and letters that it may have");
    (name, HeaderValue::try_from(text).expect("printable ASCII is a header value"))
}

/// Finds out who calls.
#[derive(Debug)]
pub(crate) struct Authenticator {
    pub(crate) tokens: Tokens,
    pub(crate) keys: ApiKeys,
    certificates: Vec<(String, Arc<Identity>)>,
}

/// Who calls, as far as it is known at once.
pub(crate) enum Recognised {
    /// `None`: nobody said so.
    As(Option<Arc<Identity>>),
    /// Whoever this token is of, which is still to be verified.
    ByToken(String),
}

enum Credential<'h> {
    Token(&'h str),
    Key(&'h [u8]),
}

impl Authenticator {
    pub(crate) fn new(config: &Config, naming: &Naming) -> Result<Self, Error> {
        let certificate = |rule: &CertificateRule| {
            let claims = rule.claims.iter().map(|(name, value)| (name.clone(), vec![value.clone()])).collect();
            let (subject, roles) = (rule.name.as_str(), rule.roles.clone());
            let known = Known { by: "certificate", authority: "", subject, roles, claims };
            (rule.name.clone(), Arc::new(Identity::new(known, naming)))
        };
        Ok(Authenticator {
            tokens: Tokens::new(&config.issuers, naming)?,
            keys: ApiKeys::new(config.api_keys.clone(), config.api_keys_file.clone(), naming)?,
            certificates: config.certificates.iter().map(certificate).collect(),
        })
    }

    /// Whether anybody can be known at all.
    pub(crate) fn knows_anybody(&self) -> bool {
        self.tokens.are_taken() || self.keys.are_taken() || !self.certificates.is_empty()
    }

    /// Finds out who calls, as far as that takes no waiting. What is shown and not valid is refused, also where nobody need show anything.
    /// `now` is in seconds since 1970.
    pub(crate) fn recognise(&self, headers: &HeaderMap, peer: Option<&Peer>, now: u64) -> Result<Recognised, Refusal> {
        match credential(headers)? {
            Some(Credential::Token(token)) if self.tokens.are_taken() => {
                Ok(match self.tokens.remembered(token, now)? {
                    Some(identity) => Recognised::As(Some(identity)),
                    None => Recognised::ByToken(token.to_owned()),
                })
            }
            Some(Credential::Key(key)) if self.keys.are_taken() => match self.keys.find(key) {
                Some(identity) => Ok(Recognised::As(Some(identity))),
                None => Err(Refusal::new(Reason::CredentialsInvalid, "the API key is not known")),
            },
            // Meant for a service, or for nobody.
            Some(_) | None => Ok(Recognised::As(self.certified(peer))),
        }
    }

    fn certified(&self, peer: Option<&Peer>) -> Option<Arc<Identity>> {
        let certificate = peer?.certificate.as_ref()?;
        let mut certificates = self.certificates.iter();
        let found = certificates.find(|(name, _)| certificate.is_of(name));
        if found.is_none() {
            tracing::debug!(name = certificate.name(), "certificate has no rule");
        }
        found.map(|(_, identity)| identity.clone())
    }
}

/// The one credential that a request shows. Several could be read differently by whoever reads them next.
fn credential(headers: &HeaderMap) -> Result<Option<Credential<'_>>, Refusal> {
    let ambiguous = || Refusal::new(Reason::CredentialsInvalid, "show one credential, not several");
    let mut authorizations = headers.get_all(AUTHORIZATION).iter();
    let mut keys = headers.get_all(API_KEY).iter();
    let (authorization, key) = (authorizations.next(), keys.next());
    if authorizations.next().is_some() || keys.next().is_some() {
        return Err(ambiguous());
    }
    let shown = authorization.map(scheme).transpose()?.flatten();
    match (shown, key) {
        (Some(_), Some(_)) => Err(ambiguous()),
        (Some(shown), None) => Ok(Some(shown)),
        (None, Some(key)) => Ok(Some(Credential::Key(key.as_bytes()))),
        (None, None) => Ok(None),
    }
}

/// What an `authorization` header shows (RFC 9110 11.4), if it is something that is read here.
fn scheme(value: &HeaderValue) -> Result<Option<Credential<'_>>, Refusal> {
    let invalid = || Refusal::new(Reason::CredentialsInvalid, "the authorization header cannot be read");
    let text = value.to_str().map_err(|_| invalid())?;
    let (scheme, rest) = text.split_once(' ').unwrap_or((text, ""));
    let rest = rest.trim();
    if scheme.eq_ignore_ascii_case("bearer") {
        return Ok(Some(Credential::Token(rest)));
    }
    Ok(scheme.eq_ignore_ascii_case("apikey").then_some(Credential::Key(rest.as_bytes())))
}

/// Whether an `authorization` header shows an API key, which is meant for the guard only.
pub(crate) fn is_api_key(value: &HeaderValue) -> bool {
    value.as_bytes().get(..6).is_some_and(|scheme| scheme.eq_ignore_ascii_case(b"apikey"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Certificate;

    fn authenticator(config: &str) -> Authenticator {
        let naming = Naming { prefix: "x-guard-", claims: BTreeSet::new() };
        Authenticator::new(&toml::from_str(config).unwrap(), &naming).unwrap()
    }

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(*name, HeaderValue::from_static(value));
        }
        headers
    }

    /// The key is `open sesame`.
    const KEYS: &str = "[[api_keys]]\nname = \"till\"\nroles = [\"clerk\"]\n\
         sha256 = \"41ef4bb0b23661e66301aac36066912dac037827b4ae63a7b1165a5aa93ed4eb\"";

    /// Who is known without a token.
    fn known(
        authenticator: &Authenticator,
        headers: &HeaderMap,
        peer: Option<&Peer>,
    ) -> Result<Option<Arc<Identity>>, Refusal> {
        match authenticator.recognise(headers, peer, 0)? {
            Recognised::As(identity) => Ok(identity),
            Recognised::ByToken(token) => panic!("{token} is to be verified"),
        }
    }

    fn who(authenticator: &Authenticator, pairs: &[(&'static str, &'static str)]) -> Result<Option<String>, Reason> {
        let found = known(authenticator, &headers(pairs), None);
        found.map(|identity| identity.map(|it| it.subject.clone())).map_err(|refusal| refusal.reason)
    }

    #[test]
    fn a_key_is_shown_in_either_header() {
        let authenticator = authenticator(KEYS);

        for pair in [
            ("x-api-key", "open sesame"),
            ("authorization", "ApiKey open sesame"),
            ("authorization", "apikey  open sesame"),
        ] {
            assert_eq!(who(&authenticator, &[pair]), Ok(Some("till".to_owned())), "{pair:?}");
        }
        assert_eq!(who(&authenticator, &[]), Ok(None));
    }

    #[test]
    fn a_wrong_key_and_several_credentials_are_refused() {
        let authenticator = authenticator(KEYS);
        let good = ("x-api-key", "open sesame");

        for pairs in [
            vec![("x-api-key", "open sesam")],
            vec![("x-api-key", "")],
            vec![good, good],
            vec![good, ("authorization", "ApiKey open sesame")],
            vec![good, ("authorization", "Bearer token")],
            vec![("authorization", "ApiKey open sesame"), ("authorization", "Bearer token")],
        ] {
            assert_eq!(who(&authenticator, &pairs), Err(Reason::CredentialsInvalid), "{pairs:?}");
        }
    }

    #[test]
    fn what_is_meant_for_somebody_else_makes_nobody_known() {
        let authenticator = authenticator(KEYS);

        assert_eq!(who(&authenticator, &[("authorization", "Bearer a.b.c")]), Ok(None));
        assert_eq!(who(&authenticator, &[("authorization", "Basic eDp5")]), Ok(None));
    }

    #[test]
    fn a_certificate_counts_if_a_rule_names_it() {
        let authenticator = authenticator("[[certificates]]\nname = \"spiffe://shop/till\"\nroles = [\"clerk\"]");
        let peer = |name: &str| Peer {
            address: [127, 0, 0, 1].into(),
            certificate: Some(Arc::new(Certificate { subject: "CN=x".to_owned(), names: vec![name.to_owned()] })),
        };

        let till = known(&authenticator, &HeaderMap::new(), Some(&peer("spiffe://shop/till"))).unwrap();
        let other = known(&authenticator, &HeaderMap::new(), Some(&peer("spiffe://shop/till2"))).unwrap();

        assert_eq!(till.unwrap().roles, ["clerk"]);
        assert_eq!(other, None);
    }

    #[test]
    fn services_are_told_in_headers_that_cannot_be_broken_out_of() {
        let claims = BTreeMap::from([("Shop Id".to_owned(), vec!["a,b".to_owned(), "ü\r\nx: y".to_owned()])]);
        let roles = vec!["one".to_owned(), "two".to_owned()];
        let naming = Naming { prefix: "x-guard-", claims: BTreeSet::new() };
        let known = Known { by: "token", authority: "i", subject: "50%", roles, claims };

        let told: Vec<String> =
            Identity::new(known, &naming).metadata.iter().map(|(name, value)| format!("{name}={value:?}")).collect();

        assert_eq!(
            told,
            [
                "x-guard-subject=\"50%25\"",
                "x-guard-roles=\"one,two\"",
                "x-guard-claim-shop-id=\"a%2Cb,%C3%BC%0D%0Ax: y\"",
            ]
        );
    }

    #[test]
    fn callers_of_two_issuers_are_not_mixed_up() {
        let naming = Naming { prefix: "x-guard-", claims: BTreeSet::new() };
        let id = |authority, subject| {
            let known = Known { by: "token", authority, subject, roles: Vec::new(), claims: BTreeMap::new() };
            Identity::new(known, &naming).id
        };

        assert_ne!(id("a|b", "c"), id("a", "b|c"));
        assert_eq!(id("a", "c"), id("a", "c"));
    }
}
