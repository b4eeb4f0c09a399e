//! Between the contract's messages and the domain: what comes in is checked here, once.

use crate::domain::{Consumer, Name, Profile, Reason, Revision, State};
use proto::comanda::consumer::v1 as contract;
use proto::comanda::messages::v1::ValidateConsumerInfo;
use proto::comanda::order::v1::rejection::Reason as RejectionReason;
use proto::comanda::order::v1::rejection::reason::Code;
use proto::{Amount, ConsumerId, OrderId, Violation, Violations};

/// A field that an update can change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Field {
    Name,
    State,
    OrderLimit,
}

const FIELDS: [Field; 3] = [Field::Name, Field::State, Field::OrderLimit];

impl Field {
    fn path(self) -> &'static str {
        match self {
            Field::Name => "name",
            Field::State => "state",
            Field::OrderLimit => "order_limit",
        }
    }

    fn is_given(self, consumer: &contract::Consumer) -> bool {
        match self {
            Field::Name => !consumer.name.is_empty(),
            Field::State => consumer.state != 0,
            Field::OrderLimit => consumer.order_limit.is_some(),
        }
    }
}

/// What a `ValidateConsumerInfo` asks.
pub(crate) struct Asked {
    pub(crate) order_id: OrderId,
    /// `None` is an id that nobody can have, which is a refusal and not a fault.
    pub(crate) consumer_id: Option<ConsumerId>,
    pub(crate) total: Amount,
}

/// Reads what is asked about a consumer.
pub(crate) fn asked(command: &ValidateConsumerInfo) -> Result<Asked, Violation> {
    Ok(Asked {
        order_id: OrderId::parse("order_id", &command.order_id)?,
        consumer_id: ConsumerId::parse("consumer_id", &command.consumer_id).ok(),
        total: Amount::parse("order_total", command.order_total.as_ref())?,
    })
}

/// Reads the consumer that is to be created. An id in it is ignored, as output-only fields are (AIP-203).
pub(crate) fn profile(request: &contract::CreateConsumerRequest) -> Result<Profile, Violations> {
    let consumer = request.consumer.as_ref().ok_or_else(|| Violation::required("consumer"))?;
    let mut violations = Violations::new();
    let name = violations.take(Name::parse("consumer.name", &consumer.name));
    let state = violations.take(match consumer.state {
        0 => Ok(State::Active),
        number => state(number),
    });
    let order_limit = violations.take(order_limit(consumer));
    match (name, state, order_limit) {
        (Some(name), Some(state), Some(order_limit)) => Ok(Profile { name, state, order_limit }),
        _ => Err(violations),
    }
}

/// Reads whom an update changes, and how.
pub(crate) fn revision(request: &contract::UpdateConsumerRequest) -> Result<(ConsumerId, Revision), Violations> {
    let consumer = request.consumer.as_ref().ok_or_else(|| Violation::required("consumer"))?;
    let mut violations = Violations::new();
    let consumer_id = violations.take(ConsumerId::parse("consumer.consumer_id", &consumer.consumer_id));
    let mut revision = Revision::default();
    for field in violations.take(fields(request, consumer)).unwrap_or_default() {
        match field {
            Field::Name => revision.name = violations.take(Name::parse("consumer.name", &consumer.name)),
            Field::State => revision.state = violations.take(state(consumer.state)),
            Field::OrderLimit => revision.order_limit = violations.take(order_limit(consumer)),
        }
    }
    match consumer_id {
        Some(consumer_id) if violations.is_empty() => Ok((consumer_id, revision)),
        _ => Err(violations),
    }
}

/// The fields that an update names: those of the mask, or every field that is given.
fn fields(request: &contract::UpdateConsumerRequest, consumer: &contract::Consumer) -> Result<Vec<Field>, Violation> {
    match request.update_mask.as_ref().map(|mask| mask.paths.as_slice()).unwrap_or_default() {
        [] => Ok(FIELDS.into_iter().filter(|field| field.is_given(consumer)).collect()),
        [all] if all == "*" => Ok(FIELDS.to_vec()),
        paths => paths.iter().map(|path| field(path)).collect(),
    }
}

fn field(path: &str) -> Result<Field, Violation> {
    let found = FIELDS.into_iter().find(|field| field.path() == path);
    found.ok_or_else(|| Violation::new("update_mask", "must be `*` alone or name only name, state and order_limit"))
}

fn state(number: i32) -> Result<State, Violation> {
    match contract::consumer::State::try_from(number) {
        Ok(contract::consumer::State::Active) => Ok(State::Active),
        Ok(contract::consumer::State::Suspended) => Ok(State::Suspended),
        Ok(contract::consumer::State::Unspecified) | Err(_) => {
            Err(Violation::new("consumer.state", "must be ACTIVE or SUSPENDED"))
        }
    }
}

fn order_limit(consumer: &contract::Consumer) -> Result<Option<Amount>, Violation> {
    let limit = consumer.order_limit.as_ref();
    limit.map(|limit| Amount::parse("consumer.order_limit", Some(limit))).transpose()
}

/// Writes a consumer.
pub(crate) fn consumer(consumer: Consumer) -> contract::Consumer {
    let Profile { name, state, order_limit } = consumer.profile;
    let state = match state {
        State::Active => contract::consumer::State::Active,
        State::Suspended => contract::consumer::State::Suspended,
    };
    contract::Consumer {
        consumer_id: consumer.id.to_string(),
        name: name.as_str().to_owned(),
        state: state.into(),
        order_limit: order_limit.map(Into::into),
        create_time: Some(consumer.create_time.into()),
        update_time: Some(consumer.update_time.into()),
    }
}

/// Writes a reason, with the field of the order that it is about.
pub(crate) fn reason(reason: &Reason) -> RejectionReason {
    let (code, field) = match reason {
        Reason::Unknown => (Code::ConsumerUnknown, "consumerId"),
        Reason::Suspended => (Code::ConsumerSuspended, "consumerId"),
        Reason::LimitExceeded { .. } => (Code::OrderLimitExceeded, "orderTotal"),
        Reason::LimitCurrencyMismatch { .. } => (Code::OrderLimitCurrencyMismatch, "orderTotal"),
    };
    RejectionReason { code: code.into(), message: reason.to_string(), field: field.to_owned() }
}

#[cfg(test)]
mod tests;
