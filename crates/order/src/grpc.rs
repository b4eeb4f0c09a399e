//! The contract's `OrderService`, over the use cases.

use crate::Error;
use crate::app::{Caller, Journey, Orders, Taken, Wish};
use crate::domain::{Order, State};
use crate::store::Filter;
use futures_util::stream::BoxStream;
use futures_util::{StreamExt, TryStreamExt};
use proto::comanda::order::v1 as wire;
use proto::comanda::order::v1::order_service_server::OrderService;
use proto::page::Page;
use proto::time::Instant;
use proto::{ConsumerId, OrderId, RestaurantId, Violation};
use std::time::Duration;
use tonic::metadata::{MetadataMap, MetadataValue};
use tonic::{Request, Response, Status};
use tracing::error;

/// The scope of idempotency keys of callers who did not say who they are.
const ANONYMOUS: &str = "";
/// What `Prefer: wait=N` is cut to.
const WAIT_SECONDS_MAX: u64 = 60;

#[derive(Debug, Clone)]
pub(crate) struct Service(pub(crate) Orders);

#[tonic::async_trait]
impl OrderService for Service {
    async fn create_order(&self, request: Request<wire::CreateOrderRequest>) -> Result<Response<wire::Order>, Status> {
        let (metadata, _, mut request) = request.into_parts();
        request.request_id = request_id(&metadata, std::mem::take(&mut request.request_id))?;
        let wish = Wish::read(request, Instant::now()).within(timeout(&metadata));
        let (Taken::Now(order) | Taken::Before(order)) = self.0.create(wish, &caller(&metadata)).await.map_err(told)?;
        let Some(wait) = preferred_wait(&metadata) else {
            return Ok(Response::new(order.to_wire()));
        };
        let order = self.0.wait_until_decided(order, Duration::from_secs(wait)).await.map_err(told)?;
        let mut response = Response::new(order.to_wire());
        if let Ok(applied) = MetadataValue::try_from(format!("wait={wait}")) {
            response.metadata_mut().insert("preference-applied", applied);
        }
        Ok(response)
    }

    async fn get_order(&self, request: Request<wire::GetOrderRequest>) -> Result<Response<wire::Order>, Status> {
        let order_id = order_id(&request.into_inner().order_id)?;
        Ok(Response::new(self.0.get(order_id).await.map_err(told)?.to_wire()))
    }

    async fn list_orders(
        &self,
        request: Request<wire::ListOrdersRequest>,
    ) -> Result<Response<wire::ListOrdersResponse>, Status> {
        let request = request.into_inner();
        let filter = filter(&request)?;
        let page = Page::parse(request.page_size, &request.page_token, &filter)?;
        let (orders, next_page_token) = self.0.list(&filter, &page).await.map_err(told)?;
        let orders = orders.iter().map(Order::to_wire).collect();
        Ok(Response::new(wire::ListOrdersResponse { orders, next_page_token }))
    }

    async fn cancel_order(&self, request: Request<wire::CancelOrderRequest>) -> Result<Response<wire::Order>, Status> {
        let caller = caller(request.metadata());
        let order_id = order_id(&request.into_inner().order_id)?;
        Ok(Response::new(self.0.cancel(order_id, caller).await.map_err(told)?.to_wire()))
    }

    type WatchOrderStream = BoxStream<'static, Result<wire::Order, Status>>;

    async fn watch_order(
        &self,
        request: Request<wire::WatchOrderRequest>,
    ) -> Result<Response<Self::WatchOrderStream>, Status> {
        let request = request.into_inner();
        let order_id = order_id(&request.order_id)?;
        if request.after_version < 0 {
            return Err(Violation::new("after_version", "must not be negative").into());
        }
        let orders = self.0.watch(order_id, request.after_version).await.map_err(told)?;
        Ok(Response::new(orders.map_ok(|order| order.to_wire()).map_err(told).boxed()))
    }

    async fn get_order_journey(
        &self,
        request: Request<wire::GetOrderJourneyRequest>,
    ) -> Result<Response<wire::OrderJourney>, Status> {
        let order_id = order_id(&request.into_inner().order_id)?;
        Ok(Response::new(to_wire(self.0.journey(order_id).await.map_err(told)?)))
    }
}

/// Logs a fault of the service with its causes, which the caller is not told.
fn told(error: Error) -> Status {
    if error.is_fault() {
        error!(error = &error as &dyn std::error::Error, "call failed");
    }
    error.into()
}

fn order_id(text: &str) -> Result<OrderId, Violation> {
    OrderId::parse("order_id", text)
}

fn filter(request: &wire::ListOrdersRequest) -> Result<Filter, Violation> {
    let state = wire::order::State::try_from(request.state).map_err(|_unknown| {
        Violation::new("state", format!("has no value {}; use one of Order.State", request.state))
    })?;
    let (consumer, restaurant) = (request.consumer_id.as_str(), request.restaurant_id.as_str());
    Ok(Filter {
        consumer_id: given(consumer)
            .map(|it| ConsumerId::parse("consumer_id", it))
            .transpose()?
            .map(|it| it.to_string()),
        restaurant_id: given(restaurant)
            .map(|it| RestaurantId::parse("restaurant_id", it))
            .transpose()?
            .map(|it| it.to_string()),
        state: State::from_wire(state),
    })
}

fn given(text: &str) -> Option<&str> {
    (!text.is_empty()).then_some(text)
}

fn caller(metadata: &MetadataMap) -> Caller {
    Caller { principal: ANONYMOUS.to_owned(), traceparent: text(metadata, "traceparent"), asker: None }
}

/// How long the caller waits; the guard of the port has refused what cannot be read.
fn timeout(metadata: &MetadataMap) -> Option<Duration> {
    rpc::timeout::parse(metadata.as_ref().get(rpc::timeout::HEADER)?).ok()
}

/// The request's key, from its field or from the metadata.
fn request_id(metadata: &MetadataMap, field: String) -> Result<String, Violation> {
    let Some(header) = metadata.get("idempotency-key") else { return Ok(field) };
    let complaint = "must be 1 to 255 printable ASCII characters";
    let header = header.to_str().map_err(|_invalid| Violation::new("request_id", complaint))?.to_owned();
    if header.is_empty() {
        return Err(Violation::new("request_id", "must not be empty where the Idempotency-Key header is given"));
    }
    if !field.is_empty() && field != header {
        return Err(Violation::new("request_id", "must equal the Idempotency-Key header, or be left out"));
    }
    Ok(header)
}

/// N of `Prefer: wait=N` (RFC 7240 4.3), at most 60; a preference that cannot be read is ignored, as section 2 asks for.
fn preferred_wait(metadata: &MetadataMap) -> Option<u64> {
    let preferences = metadata.get_all("prefer").into_iter().filter_map(|value| value.to_str().ok());
    let mut tokens = preferences.flat_map(|line| line.split(',')).filter_map(|token| token.split_once('='));
    let (_, seconds) = tokens.find(|(name, _)| name.trim().eq_ignore_ascii_case("wait"))?;
    let seconds = seconds.split(';').next().unwrap_or_default().trim().trim_matches('"');
    Some(seconds.parse::<u64>().ok()?.min(WAIT_SECONDS_MAX))
}

fn text(metadata: &MetadataMap, key: &str) -> Option<String> {
    metadata.get(key).and_then(|value| value.to_str().ok()).map(str::to_owned)
}

fn to_wire(journey: Journey) -> wire::OrderJourney {
    let steps = journey.steps.into_iter().map(|step| wire::order_journey::Step {
        time: Some(step.at.into()),
        version: step.version,
        state: step.state.to_wire().into(),
        cause: step.cause,
    });
    let awaited = journey.awaited.into_iter().map(|awaited| wire::order_journey::Awaited {
        service: awaited.command.service().to_owned(),
        command: awaited.command.name().to_owned(),
        replies: awaited.command.replies().iter().map(|name| (*name).to_owned()).collect(),
        since: Some(awaited.since.into()),
        attempts: awaited.attempts,
        next_attempt_time: Some(awaited.next_attempt.into()),
        is_published: awaited.is_published,
    });
    wire::OrderJourney {
        order_id: journey.order.id.to_string(),
        state: journey.order.state.to_wire().into(),
        steps: steps.collect(),
        waiting_for: awaited.collect(),
    }
}
