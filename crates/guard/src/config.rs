//! What a guard is told: by whom it is used ([`Defaults`]), and by whoever runs it ([`Config`]).

use crate::access::AccessRule;
use crate::deadline::DeadlineRule;
use crate::idempotency::IdempotencyConfig;
use crate::identity::{ApiKey, CertificateRule, Issuer};
use crate::rates::RateRule;
use crate::{Error, pattern};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use std::time::Duration;

/// API keys at most: each is compared with what a caller gives.
const API_KEYS_MAX: usize = 1_000;

/// Who may call what, and how often.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Whether rules say who may call. Not given: they do, once there is an issuer, a key or a certificate to know callers by; without any,
    /// everybody may call everything, which only a port on this machine's own address is opened for.
    pub access: Option<Access>,
    /// Whose JSON Web Tokens are taken.
    pub issuers: Vec<Issuer>,
    /// Keys of programs, by their hashes.
    pub api_keys: Vec<ApiKey>,
    /// A file with more of them, `[[api_keys]]` in TOML, which is read again when it has changed.
    pub api_keys_file: Option<PathBuf>,
    /// What the holders of certificates may be.
    pub certificates: Vec<CertificateRule>,
    /// Who may call what; the first rule that covers the method and fits the caller decides. They come before those that are built in.
    pub rules: Vec<AccessRule>,
    /// Claims that services are told of, besides those that rules name.
    pub claims: Vec<String>,
    /// How often callers may call.
    pub rates: Vec<RateRule>,
    /// Callers of one rate that are remembered at most; then those that have not called for longest are forgotten. 100,000 of about
    /// 200 bytes are 20 MB.
    pub rate_keys_max: u64,
    /// How long calls may take, where it is not `timeout_max_ms`; the first rule that covers the method decides.
    pub deadlines: Vec<DeadlineRule>,
    /// The longest timeout that a caller can ask for, in milliseconds; more is cut to it. 600,000: what services grant.
    pub timeout_max_ms: u64,
    /// What is kept of answers, for calls that are repeated with the same key.
    pub idempotency: IdempotencyConfig,
    /// How often files and URLs with keys are read again, in milliseconds. 300,000: as long as a key that was withdrawn may be trusted.
    pub refresh_ms: u64,
    /// Bytes of a request's message at most, where it must be read. 4 MiB: what a gRPC server takes by default.
    pub request_bytes_max: usize,
    /// Bytes of an answer's message at most, where it must be read. 64 MiB: what the transcoder takes.
    pub answer_bytes_max: usize,
    /// Time for a request's message to arrive where it must be read, in milliseconds. 30,000: 4 MiB at 140 kB/s.
    pub request_timeout_ms: u64,
}

/// Whether rules say who may call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Access {
    /// The first rule that covers the method and fits the caller decides; without one, the call is refused.
    Rules,
    /// Everybody may call everything.
    Open,
}

/// What the program around a guard brings with it.
#[derive(Debug, Clone, PartialEq)]
pub struct Defaults {
    /// The beginning of the metadata by which services are told who calls: `subject`, `roles` and `claim-NAME`. None comes from outside.
    pub prefix: &'static str,
    /// The domain of the reasons that refusals give (`google.rpc.ErrorInfo`).
    pub error_domain: &'static str,
    /// Rules that come after those of the configuration.
    pub rules: Vec<AccessRule>,
    /// Methods, as patterns, that recognise repeated calls themselves.
    pub recognise_repeats: Vec<String>,
}

impl Default for Defaults {
    fn default() -> Self {
        Defaults { prefix: "x-guard-", error_domain: "guard", rules: Vec::new(), recognise_repeats: Vec::new() }
    }
}

impl Default for Config {
    fn default() -> Self {
        Config {
            access: None,
            issuers: Vec::new(),
            api_keys: Vec::new(),
            api_keys_file: None,
            certificates: Vec::new(),
            rules: Vec::new(),
            claims: Vec::new(),
            rates: Vec::new(),
            rate_keys_max: 100_000,
            deadlines: Vec::new(),
            timeout_max_ms: 600_000,
            idempotency: IdempotencyConfig::default(),
            refresh_ms: 300_000,
            request_bytes_max: 4 << 20,
            answer_bytes_max: 64 << 20,
            request_timeout_ms: 30_000,
        }
    }
}

impl Config {
    /// Whether there is anything to know callers by.
    #[must_use]
    pub fn knows_callers(&self) -> bool {
        !self.issuers.is_empty()
            || !self.api_keys.is_empty()
            || self.api_keys_file.is_some()
            || !self.certificates.is_empty()
    }

    /// Whether everybody may call everything.
    #[must_use]
    pub fn is_open(&self) -> bool {
        match self.access {
            Some(Access::Open) => true,
            Some(Access::Rules) => false,
            None => !self.knows_callers(),
        }
    }

    pub(crate) fn refresh(&self) -> Duration {
        Duration::from_millis(self.refresh_ms)
    }

    /// Looks whether every setting makes sense, as far as can be told without its files.
    ///
    /// # Errors
    /// When one does not.
    pub fn check(&self) -> Result<(), Error> {
        let patterns = |setting, methods: &[String]| match methods.iter().find_map(|it| pattern::complaint(it)) {
            Some(complaint) => Err(Error::setting(setting, complaint)),
            None if methods.is_empty() => Err(Error::setting(setting, "methods names none")),
            None => Ok(()),
        };
        self.issuers.iter().try_for_each(Issuer::check)?;
        self.api_keys.iter().try_for_each(ApiKey::check)?;
        if self.api_keys.len() > API_KEYS_MAX {
            return Err(Error::setting("api_keys", format!("there are more than {API_KEYS_MAX}")));
        }
        for rule in &self.rules {
            patterns("rules", &rule.methods)?;
            rule.check()?;
        }
        for rate in &self.rates {
            patterns("rates", &rate.methods)?;
            rate.check()?;
        }
        for deadline in &self.deadlines {
            patterns("deadlines", &deadline.methods)?;
        }
        self.idempotency.check()?;
        for (setting, value) in [
            ("refresh_ms", self.refresh_ms),
            ("timeout_max_ms", self.timeout_max_ms),
            ("request_timeout_ms", self.request_timeout_ms),
            ("rate_keys_max", self.rate_keys_max),
        ] {
            if value == 0 {
                return Err(Error::setting(setting, "it must be more than 0"));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn refused(text: &str) -> String {
        let config: Config = toml::from_str(text).unwrap();
        config.check().unwrap_err().to_string()
    }

    #[test]
    fn a_misspelt_key_is_refused() {
        let error = toml::from_str::<Config>("acess = \"open\"").unwrap_err();

        assert!(error.to_string().contains("unknown field `acess`"), "{error}");
    }

    #[test]
    fn it_is_open_until_it_knows_callers_or_is_told_otherwise() {
        let is_open = |text: &str| toml::from_str::<Config>(text).unwrap().is_open();

        assert!(is_open(""));
        assert!(!is_open("access = \"rules\""));
        assert!(!is_open("api_keys_file = \"keys.toml\""));
        assert!(is_open("access = \"open\"\napi_keys_file = \"keys.toml\""));
    }

    #[test]
    fn rules_without_a_meaning_are_refused() {
        assert!(refused("[[rules]]\nmethods = [\"a.B/C\"]\nwho = \"anyone\"").contains("no method"));
        assert!(refused("[[rules]]\nmethods = []\nwho = \"anyone\"").contains("names none"));
        assert!(refused("refresh_ms = 0").contains("refresh_ms"));
        assert!(refused("[[rates]]\nmethods = [\"*\"]\nper_second = 0.0\nburst = 1").contains("per_second"));
    }
}
