//! Who may call what: the first rule that covers the method and fits the caller decides.

mod field;
mod own;

pub(crate) use own::{Condition, Conditions, Lookup};

use crate::identity::Identity;
use crate::{Error, pattern};
use serde::{Deserialize, Serialize};

/// Lets some callers call some methods.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AccessRule {
    /// Which methods: `/package.Service/Method`, `/package.Service/*`, `*`.
    pub methods: Vec<String>,
    /// Which callers.
    pub who: Who,
    /// What must belong to the caller besides; all of it.
    #[serde(default)]
    pub own: Vec<Own>,
}

/// Which callers a rule fits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Who {
    /// All, known or not.
    Anyone,
    /// All that are known.
    Authenticated,
    /// Those with one of these roles.
    Roles(Vec<String>),
    /// Those of whom this claim is known.
    Claim(String),
    /// All, and they are refused: no rule behind this one is looked at.
    Nobody,
}

/// A claim of the caller that must be equal to a field: of the request, of the answer, or of another call's answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Own {
    /// The claim. If it is a list, one of it must be equal.
    pub claim: String,
    /// The field of the request, by its path in the `.proto` file, such as `order.consumer_id`. Without it a request is refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<String>,
    /// The field of the answer, or of each message of it. Answers that belong to others are NOT_FOUND, and so is what does not exist.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answer: Option<String>,
    /// `/package.Service/Method` that is asked first, of the same service; then `answer` is a field of its answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub call: Option<String>,
    /// The fields of the request that `call` is asked with; they have the same names there.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub same: Vec<String>,
}

impl AccessRule {
    pub(crate) fn check(&self) -> Result<(), Error> {
        if let Who::Roles(roles) = &self.who
            && roles.is_empty()
        {
            return Err(Error::setting("rules", "roles names none; say who = \"authenticated\""));
        }
        if !self.own.is_empty() && matches!(self.who, Who::Anyone | Who::Nobody) {
            return Err(Error::setting("rules", "own needs callers that are known: say who = \"authenticated\""));
        }
        self.own.iter().try_for_each(Own::check)
    }

    pub(crate) fn covers(&self, path: &str) -> bool {
        pattern::any_covers(&self.methods, path)
    }
}

impl Own {
    fn check(&self) -> Result<(), Error> {
        let complaint = match (&self.request, &self.answer, &self.call) {
            (Some(_), None, None) | (None, Some(_), None) if self.same.is_empty() => return Ok(()),
            (None, Some(_), Some(call)) if !self.same.is_empty() => match pattern::complaint(call) {
                None if !call.ends_with('*') => return Ok(()),
                _ => format!("{call:?} is no method such as /package.Service/Method"),
            },
            _ => "own takes request, or answer, or call with same and answer".to_owned(),
        };
        Err(Error::setting("rules", complaint))
    }
}

impl Who {
    /// The claim that it asks for.
    pub(crate) fn claim(&self) -> Option<&String> {
        match self {
            Who::Claim(claim) => Some(claim),
            Who::Anyone | Who::Authenticated | Who::Roles(_) | Who::Nobody => None,
        }
    }

    /// Whether the rule fits a caller.
    pub(crate) fn fits(&self, identity: Option<&Identity>) -> bool {
        match (self, identity) {
            (Who::Anyone | Who::Nobody, _) => true,
            (Who::Authenticated, identity) => identity.is_some(),
            (Who::Roles(roles), Some(identity)) => identity.has_any_role(roles),
            (Who::Claim(claim), Some(identity)) => !identity.claim(claim).is_empty(),
            (Who::Roles(_) | Who::Claim(_), None) => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(text: &str) -> Result<AccessRule, String> {
        let rule: AccessRule =
            toml::from_str(&format!("methods = [\"*\"]\n{text}")).map_err(|error| error.to_string())?;
        rule.check().map_err(|error| error.to_string())?;
        Ok(rule)
    }

    #[test]
    fn rules_are_written_as_they_are_said() {
        assert_eq!(rule("who = \"anyone\"").unwrap().who, Who::Anyone);
        assert_eq!(rule("who = { roles = [\"clerk\"] }").unwrap().who, Who::Roles(vec!["clerk".to_owned()]));
        assert!(rule("who = { claim = \"shop\" }\nown = [{ claim = \"shop\", request = \"shop_id\" }]").is_ok());
        assert!(
            rule("who = \"authenticated\"\nown = [{ claim = \"shop\", call = \"/a.B/Get\", same = [\"id\"], answer = \"shop\" }]")
                .is_ok()
        );
    }

    #[test]
    fn rules_that_could_be_misunderstood_are_refused() {
        for text in [
            "who = { roles = [] }",
            "who = \"anyone\"\nown = [{ claim = \"shop\", request = \"shop_id\" }]",
            "who = \"authenticated\"\nown = [{ claim = \"shop\" }]",
            "who = \"authenticated\"\nown = [{ claim = \"shop\", request = \"a\", answer = \"b\" }]",
            "who = \"authenticated\"\nown = [{ claim = \"shop\", call = \"/a.B/Get\", answer = \"b\" }]",
            "who = \"authenticated\"\nown = [{ claim = \"shop\", call = \"/a.B/*\", same = [\"id\"], answer = \"b\" }]",
            "who = \"somebody\"",
        ] {
            assert!(rule(text).is_err(), "{text}");
        }
    }
}
