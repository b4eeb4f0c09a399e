//! Tests of what comes in: every rule of the contract, with the field that is named when it is broken.

use super::*;
use iso_currency::Currency;
use prost_types::FieldMask;
use proto::google::r#type::Money;

fn pounds(units: i64) -> Option<Money> {
    Some(Money { currency_code: "GBP".to_owned(), units, nanos: 0 })
}

fn ada() -> contract::Consumer {
    contract::Consumer { name: "Ada".to_owned(), ..contract::Consumer::default() }
}

fn create(consumer: contract::Consumer) -> Result<Profile, Vec<String>> {
    profile(&contract::CreateConsumerRequest { consumer: Some(consumer) }).map_err(fields_of)
}

fn update(consumer: contract::Consumer, mask: Option<&[&str]>) -> Result<Revision, Vec<String>> {
    let consumer = contract::Consumer { consumer_id: ConsumerId::generate().to_string(), ..consumer };
    let update_mask = mask.map(|paths| FieldMask { paths: paths.iter().map(|&path| path.to_owned()).collect() });
    let request = contract::UpdateConsumerRequest { consumer: Some(consumer), update_mask };
    revision(&request).map(|(_, revision)| revision).map_err(fields_of)
}

#[expect(clippy::needless_pass_by_value, reason = "fits map_err")]
fn fields_of(violations: Violations) -> Vec<String> {
    violations.iter().map(|violation| violation.field.clone()).collect()
}

#[test]
fn a_new_consumer_is_active_and_without_limit() {
    let name = Name::parse("name", "Ada").unwrap();

    assert_eq!(create(ada()), Ok(Profile { name, state: State::Active, order_limit: None }));
}

#[test]
fn a_new_consumer_can_be_suspended_and_have_a_limit() {
    let created = create(contract::Consumer { state: 2, order_limit: pounds(20), ..ada() }).unwrap();

    assert_eq!(created.state, State::Suspended);
    assert_eq!(created.order_limit, Some(Amount::new(2_000, Currency::GBP)));
}

#[test]
fn all_that_is_wrong_is_named_at_once() {
    let bad = contract::Consumer { name: " ".to_owned(), state: 9, order_limit: pounds(-1), ..ada() };

    assert_eq!(create(bad), Err(vec!["consumer.name".into(), "consumer.state".into(), "consumer.order_limit".into()]));
}

#[test]
fn a_request_without_a_consumer_is_refused() {
    let created = profile(&contract::CreateConsumerRequest { consumer: None });
    let updated = revision(&contract::UpdateConsumerRequest { consumer: None, update_mask: None });

    assert_eq!(created.map_err(fields_of), Err(vec!["consumer".to_owned()]));
    assert_eq!(updated.map_err(fields_of), Err(vec!["consumer".to_owned()]));
}

#[test]
fn without_a_mask_every_field_that_is_given_changes() {
    let revision = update(contract::Consumer { state: 2, ..ada() }, None).unwrap();

    assert_eq!(revision.name, Some(Name::parse("name", "Ada").unwrap()));
    assert_eq!((revision.state, revision.order_limit), (Some(State::Suspended), None));
    assert_eq!(update(contract::Consumer::default(), Some(&[])), Ok(Revision::default()));
}

#[test]
fn a_mask_changes_only_what_it_names() {
    let revision = update(contract::Consumer { state: 2, ..ada() }, Some(&["state"])).unwrap();

    assert_eq!(revision, Revision { state: Some(State::Suspended), ..Revision::default() });
}

#[test]
fn a_mask_that_names_a_limit_which_is_not_given_takes_it_away() {
    let revision = update(ada(), Some(&["order_limit"])).unwrap();

    assert_eq!(revision, Revision { order_limit: Some(None), ..Revision::default() });
}

#[test]
fn a_star_names_every_field() {
    let revision = update(contract::Consumer { state: 1, ..ada() }, Some(&["*"])).unwrap();

    assert_eq!((revision.state, revision.order_limit), (Some(State::Active), Some(None)));
    assert_eq!(update(ada(), Some(&["*"])), Err(vec!["consumer.state".to_owned()]));
}

#[test]
fn a_mask_cannot_name_what_cannot_be_changed() {
    for path in ["consumer_id", "create_time", "update_time", "nickname", "order_limit.units", "orderLimit", ""] {
        assert_eq!(update(ada(), Some(&["name", path])), Err(vec!["update_mask".to_owned()]), "{path:?}");
    }
    assert_eq!(update(ada(), Some(&["*", "name"])), Err(vec!["update_mask".to_owned()]));
}

#[test]
fn a_name_or_state_that_is_named_must_be_given() {
    let nothing = contract::Consumer::default();

    let fields = vec!["consumer.name".to_owned(), "consumer.state".to_owned()];
    assert_eq!(update(nothing, Some(&["name", "state"])), Err(fields));
}

#[test]
fn an_update_must_say_whom() {
    let request = contract::UpdateConsumerRequest { consumer: Some(ada()), update_mask: None };

    assert_eq!(revision(&request).map_err(fields_of), Err(vec!["consumer.consumer_id".to_owned()]));
}
