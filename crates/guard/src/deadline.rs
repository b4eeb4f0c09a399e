//! How long a call may take: what the caller asks for is read, cut to what is granted, and written anew.
//!
//! A value that is passed on unread can break a later call on the same connection (seen with grpcio 1.85 behind Envoy and vanguard).

use crate::pattern;
use crate::refusal::{Reason, Refusal};
use http::HeaderMap;
use rpc::timeout::{HEADER, encode, parse};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// How long calls of some methods may take.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DeadlineRule {
    /// Which methods: `/package.Service/Method`, `/package.Service/*`, `*`.
    pub methods: Vec<String>,
    /// The timeout of a call that asks for none, in milliseconds. Streams are ended by it too. None: it has none here.
    #[serde(default)]
    pub default_ms: Option<u64>,
    /// The longest timeout that a caller can ask for, in milliseconds. None: that of all methods.
    #[serde(default)]
    pub max_ms: Option<u64>,
}

/// How long calls of one method may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Limits {
    default: Option<Duration>,
    max: Duration,
}

impl Limits {
    /// Those of the method at `path`.
    pub(crate) fn of(path: &str, rules: &[DeadlineRule], max: Duration) -> Self {
        let rule = rules.iter().find(|rule| pattern::any_covers(&rule.methods, path));
        let Some(rule) = rule else { return Limits { default: None, max } };
        let max = rule.max_ms.map_or(max, Duration::from_millis);
        Limits { default: rule.default_ms.map(Duration::from_millis).map(|default| default.min(max)), max }
    }

    /// Writes what is granted into the headers of a call.
    pub(crate) fn apply(&self, headers: &mut HeaderMap) -> Result<Option<Duration>, Refusal> {
        let mut asked = headers.get_all(HEADER).iter();
        let granted = match (asked.next(), asked.next()) {
            (None, _) => self.default,
            (Some(asked), None) => {
                let asked = parse(asked).map_err(|error| invalid(&error.to_string()))?;
                Some(asked.min(self.max))
            }
            (Some(_), Some(_)) => return Err(invalid("grpc-timeout must be given once")),
        };
        if let Some(timeout) = granted {
            headers.insert(HEADER, encode(timeout));
        }
        Ok(granted)
    }
}

fn invalid(complaint: &str) -> Refusal {
    Refusal::new(Reason::TimeoutInvalid, complaint).field("grpc-timeout")
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    fn granted(rules: &[DeadlineRule], asked: &[&'static str]) -> Result<Option<String>, Reason> {
        let limits = Limits::of("/a.B/C", rules, Duration::from_secs(600));
        let mut headers = HeaderMap::new();
        for value in asked {
            headers.append(HEADER, HeaderValue::from_static(value));
        }
        limits.apply(&mut headers).map_err(|refusal| refusal.reason)?;
        Ok(headers.get(HEADER).map(|value| value.to_str().unwrap().to_owned()))
    }

    fn rule(default_ms: Option<u64>, max_ms: Option<u64>) -> Vec<DeadlineRule> {
        vec![DeadlineRule { methods: vec!["/a.B/*".to_owned()], default_ms, max_ms }]
    }

    #[test]
    fn what_is_asked_for_is_cut_and_written_anew() {
        assert_eq!(granted(&[], &["5S"]), Ok(Some("5000000u".to_owned())));
        assert_eq!(granted(&[], &["99999999H"]), Ok(Some("600000m".to_owned())));
        assert_eq!(granted(&rule(None, Some(1_000)), &["5S"]), Ok(Some("1000000u".to_owned())));
        assert_eq!(granted(&[], &[]), Ok(None));
    }

    #[test]
    fn a_method_can_have_a_timeout_of_its_own() {
        assert_eq!(granted(&rule(Some(2_000), None), &[]), Ok(Some("2000000u".to_owned())));
        assert_eq!(granted(&rule(Some(2_000), None), &["5S"]), Ok(Some("5000000u".to_owned())));
        assert_eq!(granted(&rule(Some(2_000), Some(1_000)), &[]), Ok(Some("1000000u".to_owned())));
    }

    #[test]
    fn nonsense_is_refused() {
        for nonsense in ["5X", "7", "", "-1S", "1.5S", "123456789S", "S", "5 S"] {
            assert_eq!(granted(&[], &[nonsense]), Err(Reason::TimeoutInvalid), "{nonsense}");
        }
        assert_eq!(granted(&[], &["1S", "1S"]), Err(Reason::TimeoutInvalid));
    }
}
