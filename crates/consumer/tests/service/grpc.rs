//! Calls.

use crate::house::{House, on_every_store};
use prost_types::FieldMask;
use proto::ConsumerId;
use proto::comanda::consumer::v1::consumer::State;
use proto::comanda::consumer::v1::{
    Consumer, CreateConsumerRequest, GetConsumerRequest, ListConsumersRequest, UpdateConsumerRequest,
};
use proto::google::r#type::Money;
use tonic::{Code, Status};
use tonic_types::StatusExt;

pub(crate) fn pounds(units: i64) -> Option<Money> {
    Some(Money { currency_code: "GBP".to_owned(), units, nanos: 0 })
}

impl House {
    pub(crate) async fn create(&mut self, consumer: Consumer) -> Result<Consumer, Status> {
        let request = CreateConsumerRequest { consumer: Some(consumer) };
        self.client.create_consumer(request).await.map(tonic::Response::into_inner)
    }

    /// Creates somebody active, without limit.
    pub(crate) async fn somebody(&mut self, name: &str) -> Consumer {
        self.create(Consumer { name: name.to_owned(), ..Consumer::default() }).await.unwrap()
    }

    async fn get(&mut self, consumer_id: &str) -> Result<Consumer, Status> {
        let request = GetConsumerRequest { consumer_id: consumer_id.to_owned() };
        self.client.get_consumer(request).await.map(tonic::Response::into_inner)
    }

    pub(crate) async fn update(&mut self, consumer: Consumer, mask: &[&str]) -> Result<Consumer, Status> {
        let paths = mask.iter().map(|&path| path.to_owned()).collect();
        let request = UpdateConsumerRequest { consumer: Some(consumer), update_mask: Some(FieldMask { paths }) };
        self.client.update_consumer(request).await.map(tonic::Response::into_inner)
    }
}

on_every_store! {
    a_consumer_that_was_created_can_be_read,
    a_consumer_nobody_knows_is_not_found_with_a_reason,
    a_request_that_is_wrong_names_its_fields,
    a_name_with_a_control_character_is_refused_and_nothing_is_stored,
    consumers_are_listed_newest_first_page_by_page,
    an_update_changes_what_it_names_and_is_kept,
    an_update_that_changes_nothing_leaves_no_trace,
    updates_at_the_same_time_are_all_kept,
}

async fn a_consumer_that_was_created_can_be_read(mut house: House) {
    let wanted = Consumer {
        consumer_id: "whatever".to_owned(),
        name: " Ada ".to_owned(),
        order_limit: pounds(20),
        ..Consumer::default()
    };

    let created = house.create(wanted).await.unwrap();

    assert!(ConsumerId::parse("consumer_id", &created.consumer_id).is_ok(), "{}", created.consumer_id);
    assert_eq!((created.name.as_str(), created.state()), ("Ada", State::Active));
    assert_eq!(created.order_limit, pounds(20));
    assert!(created.create_time.is_some() && created.create_time == created.update_time);
    assert_eq!(house.get(&created.consumer_id).await.unwrap(), created);
}

async fn a_consumer_nobody_knows_is_not_found_with_a_reason(mut house: House) {
    let consumer_id = ConsumerId::generate().to_string();

    let read = house.get(&consumer_id).await.unwrap_err();
    let changed =
        house.update(Consumer { consumer_id, state: 2, ..Consumer::default() }, &["state"]).await.unwrap_err();

    for status in [read, changed] {
        assert_eq!(status.code(), Code::NotFound);
        let info = status.get_details_error_info().unwrap();
        assert_eq!((info.reason.as_str(), info.domain.as_str()), ("CONSUMER_UNKNOWN", "comanda"));
    }
}

async fn a_request_that_is_wrong_names_its_fields(mut house: House) {
    let created = house.create(Consumer { state: 7, ..Consumer::default() }).await.unwrap_err();
    let read = house.get("42").await.unwrap_err();
    let list = ListConsumersRequest { page_size: -1, page_token: String::new() };
    let listed = house.client.list_consumers(list).await.unwrap_err();

    for (status, fields) in
        [(created, vec!["consumer.name", "consumer.state"]), (read, vec!["consumer_id"]), (listed, vec!["page_size"])]
    {
        assert_eq!(status.code(), Code::InvalidArgument);
        let violations = status.get_details_bad_request().unwrap().field_violations;
        assert_eq!(violations.iter().map(|it| it.field.as_str()).collect::<Vec<_>>(), fields);
    }
}

async fn a_name_with_a_control_character_is_refused_and_nothing_is_stored(mut house: House) {
    let before = house.somebody("Ada").await;

    let created = house.create(Consumer { name: "B\0b".to_owned(), ..Consumer::default() }).await.unwrap_err();
    let renamed = Consumer { name: "A\0da".to_owned(), ..before.clone() };
    let updated = house.update(renamed, &["name"]).await.unwrap_err();

    for status in [created, updated] {
        assert_eq!(status.code(), Code::InvalidArgument);
        let violations = status.get_details_bad_request().unwrap().field_violations;
        assert_eq!(violations.iter().map(|it| it.field.as_str()).collect::<Vec<_>>(), ["consumer.name"]);
    }
    assert_eq!(house.number("SELECT count(*) FROM consumer").await, 1);
}

async fn consumers_are_listed_newest_first_page_by_page(mut house: House) {
    for name in ["Ada", "Blaise", "Charles", "Donald", "Edsger"] {
        house.somebody(name).await;
    }

    let mut pages = Vec::new();
    let mut page_token = String::new();
    loop {
        let request = ListConsumersRequest { page_size: 2, page_token };
        let page = house.client.list_consumers(request).await.unwrap().into_inner();
        pages.push(page.consumers.into_iter().map(|consumer| consumer.name).collect::<Vec<_>>().join(" "));
        page_token = page.next_page_token;
        if page_token.is_empty() {
            break;
        }
    }

    assert_eq!(pages, ["Edsger Donald", "Charles Blaise", "Ada"]);
}

async fn an_update_changes_what_it_names_and_is_kept(mut house: House) {
    let wanted = Consumer { name: "Ada".to_owned(), order_limit: pounds(20), ..Consumer::default() };
    let before = house.create(wanted).await.unwrap();

    let wanted = Consumer { name: "ignored".to_owned(), state: 2, order_limit: None, ..before.clone() };
    let after = house.update(wanted, &["state", "order_limit"]).await.unwrap();

    assert_eq!((after.name.as_str(), after.state(), after.order_limit.clone()), ("Ada", State::Suspended, None));
    assert_eq!(after.create_time, before.create_time);
    assert_eq!(house.get(&before.consumer_id).await.unwrap(), after);
}

async fn an_update_that_changes_nothing_leaves_no_trace(mut house: House) {
    let before = house.somebody("Ada").await;

    assert_eq!(house.update(before.clone(), &["name"]).await.unwrap(), before);
    assert_eq!(house.number("SELECT version FROM consumer").await, 1);
}

async fn updates_at_the_same_time_are_all_kept(mut house: House) {
    let before = house.somebody("Ada").await;
    let update = |units| {
        let mut client = house.client.clone();
        let consumer = Some(Consumer { order_limit: pounds(units), ..before.clone() });
        let update_mask = Some(FieldMask { paths: vec!["order_limit".to_owned()] });
        async move { client.update_consumer(UpdateConsumerRequest { consumer, update_mask }).await }
    };

    let updates = tokio::join!(update(1), update(2), update(3), update(4), update(5));

    for update in <[Result<_, Status>; 5]>::from(updates) {
        update.unwrap();
    }
    assert_eq!(house.number("SELECT version FROM consumer").await, 6);
}

#[tokio::test]
async fn a_full_disk_asks_for_another_call_and_keeps_what_is_there() {
    let mut house = House::on(store::Config { pages_max: Some(48) }).await;
    let ada = house.somebody("Ada").await;
    let long = Consumer { name: "\u{1d538}".repeat(200), ..Consumer::default() };

    let mut refused = None;
    for _ in 0..1_000 {
        refused = house.create(long.clone()).await.err();
        if refused.is_some() {
            break;
        }
    }

    let status = refused.expect("48 pages hold less than 1,000 names of 800 bytes");
    assert_eq!(status.code(), Code::Unavailable);
    assert_eq!(status.message(), "consumers are not available now; repeat the call");
    assert!(status.get_details_retry_info().is_some());
    assert_eq!(house.get(&ada.consumer_id).await.unwrap(), ada);
}
