//! An Order Service that asks before it answers, as the availability lab has it.

use crate::house::{House, on_every_store};
use order::Validation;
use proto::comanda::order::v1::order::State;
use proto::comanda::order::v1::rejection::Reason;
use proto::comanda::order::v1::rejection::reason::Code as ReasonCode;
use proto::comanda::validation::v1::consumer_validation_service_server::{
    ConsumerValidationService, ConsumerValidationServiceServer,
};
use proto::comanda::validation::v1::order_details_validation_service_server::{
    OrderDetailsValidationService, OrderDetailsValidationServiceServer,
};
use proto::comanda::validation::v1::{ValidateConsumerInfoRequest, ValidateOrderDetailsRequest, Verdict};
use rpc::Guarded;
use tonic::service::Routes;
use tonic::{Code, Request, Response, Status};
use tonic_types::StatusExt;

on_every_store! {
    an_order_that_nobody_minds_is_taken_and_goes_its_usual_way,
    an_order_that_both_services_mind_is_refused_with_the_reasons_of_both,
    a_service_that_is_away_is_no_refusal_and_no_order,
    an_order_that_was_taken_is_found_by_its_key_while_a_service_is_away,
}

/// A service that has this against every order.
struct Says(&'static [ReasonCode]);

impl Says {
    fn verdict(&self) -> Result<Response<Verdict>, Status> {
        let reason = |code: &ReasonCode| Reason { code: (*code).into(), ..Reason::default() };
        Ok(Response::new(Verdict { reasons: self.0.iter().map(reason).collect() }))
    }
}

#[tonic::async_trait]
impl ConsumerValidationService for Says {
    async fn validate_consumer_info(
        &self,
        _: Request<ValidateConsumerInfoRequest>,
    ) -> Result<Response<Verdict>, Status> {
        self.verdict()
    }
}

#[tonic::async_trait]
impl OrderDetailsValidationService for Says {
    async fn validate_order_details(
        &self,
        _: Request<ValidateOrderDetailsRequest>,
    ) -> Result<Response<Verdict>, Status> {
        self.verdict()
    }
}

impl House {
    async fn asks_before_it_answers(&mut self) {
        self.stop().await;
        self.config.validation = Validation::Synchronous;
        self.start().await;
    }

    fn consumer_says(&self, reasons: &'static [ReasonCode]) {
        let routes = Routes::new(ConsumerValidationServiceServer::new(Says(reasons)));
        self.consumer_slot.fill(Guarded::new(routes, rpc::Config::default()));
    }

    fn restaurant_says(&self, reasons: &'static [ReasonCode]) {
        let routes = Routes::new(OrderDetailsValidationServiceServer::new(Says(reasons)));
        self.restaurant_slot.fill(Guarded::new(routes, rpc::Config::default()));
    }
}

async fn an_order_that_nobody_minds_is_taken_and_goes_its_usual_way(mut house: House) {
    house.asks_before_it_answers().await;
    house.consumer_says(&[]);
    house.restaurant_says(&[]);

    let order = house.call(house.wish()).await.unwrap();

    assert_eq!(order.state(), State::Pending);
    house.approve(&order.order_id).await;
    house.eventually("SELECT count(*) FROM orders WHERE state = 5", 1).await;
}

async fn an_order_that_both_services_mind_is_refused_with_the_reasons_of_both(mut house: House) {
    house.asks_before_it_answers().await;
    house.consumer_says(&[ReasonCode::ConsumerSuspended]);
    house.restaurant_says(&[ReasonCode::RestaurantClosed, ReasonCode::OutsideDeliveryArea]);

    let refused = house.call(house.wish()).await.unwrap_err();

    assert_eq!(refused.code(), Code::FailedPrecondition);
    let violations = refused.get_details_precondition_failure().unwrap().violations;
    let reasons: Vec<&str> = violations.iter().map(|violation| violation.r#type.as_str()).collect();
    assert_eq!(reasons, ["CONSUMER_SUSPENDED", "RESTAURANT_CLOSED", "OUTSIDE_DELIVERY_AREA"]);
    assert_eq!(house.number("SELECT count(*) FROM orders").await, 0);
}

async fn a_service_that_is_away_is_no_refusal_and_no_order(mut house: House) {
    house.asks_before_it_answers().await;
    house.consumer_says(&[ReasonCode::ConsumerSuspended]);

    let away = house.call(house.wish()).await.unwrap_err();

    assert_eq!(away.code(), Code::Unavailable);
    assert_eq!(away.get_details_error_info().unwrap().reason, "NOT_VALIDATED");
    assert_eq!(house.number("SELECT count(*) FROM orders").await, 0);
}

async fn an_order_that_was_taken_is_found_by_its_key_while_a_service_is_away(mut house: House) {
    house.asks_before_it_answers().await;
    house.consumer_says(&[]);
    house.restaurant_says(&[]);
    let mut wish = house.wish();
    wish.request_id = "once".to_owned();
    let order = house.call(wish.clone()).await.unwrap();

    house.consumer_slot.clear();
    let again = house.call(wish).await.unwrap();

    assert_eq!(again.order_id, order.order_id);
}
