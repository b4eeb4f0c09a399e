//! Rules about what belongs to whom, made ready for the methods that they cover.

use super::{AccessRule, Own, Who, field::Field};
use crate::identity::Identity;
use bytes::Bytes;
use prost::Message;
use prost_reflect::{DynamicMessage, MessageDescriptor, MethodDescriptor};
use std::sync::Arc;
use tracing::warn;

/// A rule as it holds for one method.
#[derive(Debug)]
pub(crate) struct Condition {
    pub(crate) who: Who,
    /// What must belong to the caller; `None`: nothing.
    pub(crate) own: Option<Arc<Conditions>>,
}

/// What must belong to the caller of one method.
#[derive(Debug, Default)]
pub(crate) struct Conditions {
    input: Option<MessageDescriptor>,
    output: Option<MessageDescriptor>,
    requests: Vec<(String, Field)>,
    answers: Vec<(String, Field)>,
    pub(crate) lookups: Vec<Lookup>,
    /// What the rule asks for cannot be found out, so that nobody can be let through by it.
    is_impossible: bool,
}

/// A call that is made first, to find out whose something is.
#[derive(Debug)]
pub(crate) struct Lookup {
    pub(crate) path: String,
    claim: String,
    input: MessageDescriptor,
    output: MessageDescriptor,
    same: Vec<Field>,
    answer: Field,
}

impl Condition {
    /// The rule for the method at `path`, which is `None` where the descriptors do not have it.
    pub(crate) fn new(rule: &AccessRule, path: &str, method: Option<&MethodDescriptor>) -> Self {
        let own = (!rule.own.is_empty()).then(|| Arc::new(Conditions::new(&rule.own, path, method)));
        Condition { who: rule.who.clone(), own }
    }

    /// Whether it lets anybody through at all.
    pub(crate) fn is_open(&self) -> bool {
        self.who != Who::Nobody
    }
}

impl Conditions {
    fn new(own: &[Own], path: &str, method: Option<&MethodDescriptor>) -> Self {
        let made = method.ok_or_else(|| "the method is not in the descriptors".to_owned());
        made.and_then(|method| Conditions::of(own, method)).unwrap_or_else(|complaint| {
            warn!(rpc.method = path, complaint, "access rule cannot be kept; it lets nobody through");
            Conditions { is_impossible: true, ..Conditions::default() }
        })
    }

    fn of(own: &[Own], method: &MethodDescriptor) -> Result<Self, String> {
        let (input, output) = (method.input(), method.output());
        let (mut requests, mut answers, mut lookups) = (Vec::new(), Vec::new(), Vec::new());
        for own in own {
            let claim = own.claim.clone();
            match (&own.request, &own.call, &own.answer) {
                (Some(field), _, _) => requests.push((claim, Field::find(&input, field)?)),
                (None, None, Some(field)) => answers.push((claim, Field::find(&output, field)?)),
                (None, Some(call), Some(field)) => {
                    lookups.push(Lookup::new(claim, call, (field, &own.same), method)?);
                }
                (None, _, None) => return Err("the rule names no field".to_owned()),
            }
        }
        if method.is_client_streaming() && !(requests.is_empty() && lookups.is_empty()) {
            return Err("the method takes a stream, of which nothing can be asked beforehand".to_owned());
        }
        Ok(Conditions { input: Some(input), output: Some(output), requests, answers, lookups, is_impossible: false })
    }

    /// Whether nobody can be let through.
    pub(crate) fn are_impossible(&self) -> bool {
        self.is_impossible
    }

    /// Whether the request must be read.
    pub(crate) fn are_about_requests(&self) -> bool {
        !self.requests.is_empty() || !self.lookups.is_empty()
    }

    /// Whether the answer must be read.
    pub(crate) fn are_about_answers(&self) -> bool {
        !self.answers.is_empty()
    }

    /// Reads a request; `None`: it is no message of its type.
    pub(crate) fn request(&self, message: &Bytes) -> Option<DynamicMessage> {
        DynamicMessage::decode(self.input.clone()?, message.clone()).ok()
    }

    /// Whether a request is about what belongs to the caller.
    pub(crate) fn allow_request(&self, identity: &Identity, request: &DynamicMessage) -> bool {
        self.requests.iter().all(|(claim, field)| field.is_one_of(request, identity.claim(claim)))
    }

    /// Whether an answer, or one message of it, belongs to the caller.
    pub(crate) fn allow_answer(&self, identity: &Identity, message: &Bytes) -> bool {
        let Some(output) = self.output.clone() else { return false };
        let Ok(message) = DynamicMessage::decode(output, message.clone()) else { return false };
        self.answers.iter().all(|(claim, field)| field.is_one_of(&message, identity.claim(claim)))
    }
}

impl Lookup {
    fn new(
        claim: String,
        call: &str,
        (answer, same): (&str, &[String]),
        method: &MethodDescriptor,
    ) -> Result<Self, String> {
        let service = method.parent_service();
        let (of, name) = call.trim_start_matches('/').split_once('/').unwrap_or_default();
        if of != service.full_name() {
            return Err(format!("{call} is not of the same service"));
        }
        let other = service.methods().find(|method| method.name() == name);
        let other = other.ok_or_else(|| format!("{call} is not in the descriptors"))?;
        if other.is_client_streaming() || other.is_server_streaming() {
            return Err(format!("{call} streams"));
        }
        let (input, output) = (other.input(), other.output());
        let shared = |name: &String| {
            let field = Field::find(&method.input(), name)?;
            if field.is_shared_with(&input) { Ok(field) } else { Err(format!("{call} is not asked with {name}")) }
        };
        let same = same.iter().map(shared).collect::<Result<_, _>>()?;
        let answer = Field::find(&output, answer)?;
        Ok(Lookup { path: call.to_owned(), claim, input, output, same, answer })
    }

    /// What the other method is asked.
    pub(crate) fn question(&self, request: &DynamicMessage) -> Vec<u8> {
        let mut question = DynamicMessage::new(self.input.clone());
        for field in &self.same {
            field.copy(request, &mut question);
        }
        question.encode_to_vec()
    }

    /// Whether what the other method answered belongs to the caller.
    pub(crate) fn allow(&self, identity: &Identity, answer: &Bytes) -> bool {
        let answer = DynamicMessage::decode(self.output.clone(), answer.clone());
        answer.is_ok_and(|answer| self.answer.is_one_of(&answer, identity.claim(&self.claim)))
    }
}
