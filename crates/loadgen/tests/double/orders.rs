//! The double's Order Service: an order is acknowledged PENDING and decided by the time somebody asks.

use super::{Double, Fault, Kept, not_called};
use proto::comanda::order::v1 as pb;
use proto::comanda::order::v1::order::State;
use proto::comanda::order::v1::order_service_server::OrderService;
use proto::comanda::order::v1::rejection::Reason;
use proto::comanda::order::v1::rejection::reason::Code as ReasonCode;
use proto::time::Instant;
use proto::{Amount, Violation};
use std::time::Duration;
use tonic::{Code, Request, Response, Status};
use tonic_types::{ErrorDetails, StatusExt};

type Stream = tokio_stream::Iter<std::vec::IntoIter<Result<pb::Order, Status>>>;

impl Double {
    pub(super) fn create(&self, request: &pb::CreateOrderRequest) -> Result<pb::Order, Status> {
        if self.fault == Some(Fault::Refuses) {
            return Err(Violation::new("lines[0].menu_item_id", "is not on the menu").into());
        }
        let mut kept = self.kept();
        if let Some(index) = kept.keys.get(&request.request_id) {
            return Ok(kept.orders[*index].clone());
        }
        let order = pb::Order {
            order_id: format!("order-{}", kept.orders.len()),
            state: State::Pending.into(),
            version: 1,
            restaurant_id: request.restaurant_id.clone(),
            order_total: Some(self.total(&kept, request)?.into()),
            create_time: Some(Instant(1_000_000).into()),
            update_time: Some(Instant(1_000_000).into()),
            ..pb::Order::default()
        };
        let index = kept.orders.len();
        kept.keys.insert(request.request_id.clone(), index);
        kept.orders.push(order.clone());
        match self.fault {
            Some(Fault::LosesFirstAnswers) => {
                let mut details = ErrorDetails::new();
                details.set_retry_info(Some(Duration::from_millis(1)));
                Err(Status::with_error_details(Code::Unavailable, "the answer is lost", details))
            }
            _ => Ok(order),
        }
    }

    fn total(&self, kept: &Kept, request: &pb::CreateOrderRequest) -> Result<Amount, Status> {
        let restaurant = kept.restaurants.iter().find(|it| it.restaurant_id == request.restaurant_id);
        let menu = restaurant.and_then(|it| it.menu.as_ref()).ok_or_else(|| Status::not_found("restaurant"))?;
        let penny = i64::from(self.fault == Some(Fault::Overcharges));
        let mut total = Amount::new(penny, iso_currency::Currency::GBP);
        for line in &request.lines {
            let item = menu.items.iter().find(|it| it.menu_item_id == line.menu_item_id);
            let price = Amount::parse("price", item.and_then(|it| it.price.as_ref()))?;
            let cost = price.times(i64::from(line.quantity)).and_then(|cost| total.plus(cost));
            total = cost.ok_or_else(|| Status::invalid_argument("the total overflows"))?;
        }
        Ok(total)
    }

    pub(super) fn ended(&self, order_id: &str) -> Result<pb::Order, Status> {
        let kept = self.kept();
        let index = order_id.strip_prefix("order-").and_then(|it| it.parse::<usize>().ok());
        let order = index.and_then(|it| kept.orders.get(it));
        order.map(|it| self.decide(it.clone())).ok_or_else(|| Status::not_found("order"))
    }

    fn decide(&self, mut order: pb::Order) -> pb::Order {
        if self.fault == Some(Fault::NeverDecides) {
            return order;
        }
        order.version = 2;
        order.update_time = Some(Instant(1_020_000).into());
        order.state = State::Approved.into();
        if self.fault == Some(Fault::Rejects) {
            order.state = State::Rejected.into();
            let closed = ReasonCode::RestaurantClosed.into();
            let reason = Reason { code: closed, message: "It is closed.".to_owned(), field: String::new() };
            order.rejection = Some(pb::Rejection { reasons: vec![reason] });
        }
        order
    }

    pub(super) fn watch(&self, order_id: &str, after_version: i64) -> Result<Vec<pb::Order>, Status> {
        if self.fault == Some(Fault::RefusesWatches) {
            return Err(Status::unimplemented("no streams here"));
        }
        let end = self.ended(order_id)?;
        Ok(if end.version > after_version { vec![end] } else { Vec::new() })
    }
}

#[tonic::async_trait]
impl OrderService for Double {
    async fn create_order(&self, request: Request<pb::CreateOrderRequest>) -> Result<Response<pb::Order>, Status> {
        self.create(request.get_ref()).map(Response::new)
    }

    async fn get_order(&self, request: Request<pb::GetOrderRequest>) -> Result<Response<pb::Order>, Status> {
        self.ended(&request.get_ref().order_id).map(Response::new)
    }

    /// Pages have two orders each, so that every list has several.
    async fn list_orders(
        &self,
        request: Request<pb::ListOrdersRequest>,
    ) -> Result<Response<pb::ListOrdersResponse>, Status> {
        let pb::ListOrdersRequest { restaurant_id, page_token, .. } = request.into_inner();
        let begin: usize = page_token.parse().unwrap_or(usize::from(self.fault == Some(Fault::ForgetsOne)));
        let kept = self.kept();
        let of_restaurant = kept.orders.iter().filter(|it| it.restaurant_id == restaurant_id);
        let orders: Vec<_> = of_restaurant.skip(begin).take(2).map(|it| self.decide(it.clone())).collect();
        let is_last = orders.len() < 2;
        let next_page_token = if is_last { String::new() } else { (begin + 2).to_string() };
        Ok(Response::new(pb::ListOrdersResponse { orders, next_page_token }))
    }

    type WatchOrderStream = Stream;

    async fn watch_order(&self, request: Request<pb::WatchOrderRequest>) -> Result<Response<Stream>, Status> {
        let pb::WatchOrderRequest { order_id, after_version } = request.into_inner();
        let orders = self.watch(&order_id, after_version)?;
        Ok(Response::new(tokio_stream::iter(orders.into_iter().map(Ok).collect::<Vec<_>>())))
    }

    async fn cancel_order(&self, _: Request<pb::CancelOrderRequest>) -> Result<Response<pb::Order>, Status> {
        not_called()
    }

    async fn get_order_journey(
        &self,
        _: Request<pb::GetOrderJourneyRequest>,
    ) -> Result<Response<pb::OrderJourney>, Status> {
        not_called()
    }
}
