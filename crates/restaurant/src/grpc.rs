//! The gRPC service; below it, the one for callers who wait for a verdict.

mod validation;

pub(crate) use validation::Validation;

use crate::domain::Restaurant;
use crate::{Error, app, wire};
use prost::Message;
use proto::comanda::restaurant::v1 as contract;
use proto::comanda::restaurant::v1::restaurant_service_server::RestaurantService;
use proto::page::Page;
use proto::{RestaurantId, TicketId, Violations};
use store::Store;
use tonic::{Request, Response, Status};
use tracing::error;

/// Answers calls.
#[derive(Debug)]
pub(crate) struct Service {
    store: Store,
}

impl Service {
    pub(crate) fn new(store: Store) -> Self {
        Service { store }
    }

    async fn create(&self, request: contract::CreateRestaurantRequest) -> Result<contract::Restaurant, Error> {
        let wanted = wire::creation(&request).map_err(Error::Invalid)?;
        app::create_restaurant(&self.store, wanted).await.map(|restaurant| wire::restaurant(&restaurant))
    }

    async fn get(&self, request: contract::GetRestaurantRequest) -> Result<contract::Restaurant, Error> {
        let restaurant_id = RestaurantId::parse("restaurant_id", &request.restaurant_id)?;
        self.restaurant(restaurant_id).await.map(|restaurant| wire::restaurant(&restaurant))
    }

    async fn list(
        &self,
        request: contract::ListRestaurantsRequest,
    ) -> Result<contract::ListRestaurantsResponse, Error> {
        let page = Page::parse(request.page_size, &request.page_token, &"restaurants")?;
        let found = crate::store::list(&self.store, &page).await?;
        let mut rows =
            found.iter().map(|restaurant| (restaurant.id.to_array(), wire::restaurant(restaurant))).collect();
        let next_page_token = page.cut(&mut rows, |(id, _)| *id, |(_, row)| row.encoded_len());
        Ok(contract::ListRestaurantsResponse { restaurants: resources(rows), next_page_token })
    }

    async fn update(&self, request: contract::UpdateRestaurantRequest) -> Result<contract::Restaurant, Error> {
        let restaurant_id = request.restaurant.as_ref().map(|it| it.restaurant_id.as_str()).unwrap_or_default();
        let restaurant_id = RestaurantId::parse("restaurant.restaurant_id", restaurant_id)?;
        // The currency, which never changes, is needed to read the rest.
        let currency = self.restaurant(restaurant_id).await?.profile.currency;
        let revision = wire::revision(&request, currency).map_err(Error::Invalid)?;
        let restaurant = app::update_restaurant(&self.store, restaurant_id, &revision).await?;
        Ok(wire::restaurant(&restaurant))
    }

    async fn revise(&self, request: contract::ReviseMenuRequest) -> Result<contract::Restaurant, Error> {
        let restaurant_id = RestaurantId::parse("restaurant_id", &request.restaurant_id)?;
        let currency = self.restaurant(restaurant_id).await?.profile.currency;
        let mut violations = Violations::new();
        let items = wire::items("items", &request.items, Some(currency), &mut violations);
        if !violations.is_empty() {
            return Err(Error::Invalid(violations));
        }
        let restaurant = app::revise_menu(&self.store, restaurant_id, &items).await?;
        Ok(wire::restaurant(&restaurant))
    }

    async fn tickets(&self, request: contract::ListTicketsRequest) -> Result<contract::ListTicketsResponse, Error> {
        let restaurant_id = RestaurantId::parse("restaurant_id", &request.restaurant_id)?;
        let page = Page::parse(request.page_size, &request.page_token, &restaurant_id)?;
        self.known(restaurant_id).await?;
        let found = crate::store::list_tickets(&self.store, restaurant_id, &page).await?;
        let mut rows = found.iter().map(|ticket| (ticket.id.to_array(), wire::ticket(ticket))).collect();
        let next_page_token = page.cut(&mut rows, |(id, _)| *id, |(_, row)| row.encoded_len());
        Ok(contract::ListTicketsResponse { tickets: resources(rows), next_page_token })
    }

    async fn ticket(&self, request: contract::GetTicketRequest) -> Result<contract::Ticket, Error> {
        let mut violations = Violations::new();
        let restaurant_id = violations.take(RestaurantId::parse("restaurant_id", &request.restaurant_id));
        let ticket_id = violations.take(TicketId::parse("ticket_id", &request.ticket_id));
        let (Some(restaurant_id), Some(ticket_id)) = (restaurant_id, ticket_id) else {
            return Err(Error::Invalid(violations));
        };
        self.known(restaurant_id).await?;
        let found = crate::store::load_ticket(&self.store, restaurant_id, ticket_id).await?;
        found.map(|ticket| wire::ticket(&ticket)).ok_or(Error::TicketUnknown(ticket_id))
    }

    async fn restaurant(&self, restaurant_id: RestaurantId) -> Result<Restaurant, Error> {
        crate::store::load(&self.store, restaurant_id).await?.ok_or(Error::Unknown(restaurant_id))
    }

    async fn known(&self, restaurant_id: RestaurantId) -> Result<(), Error> {
        let is_known = crate::store::exists(&self.store, restaurant_id).await?;
        if is_known { Ok(()) } else { Err(Error::Unknown(restaurant_id)) }
    }
}

#[tonic::async_trait]
impl RestaurantService for Service {
    async fn create_restaurant(
        &self,
        request: Request<contract::CreateRestaurantRequest>,
    ) -> Result<Response<contract::Restaurant>, Status> {
        answer(self.create(request.into_inner()).await)
    }

    async fn get_restaurant(
        &self,
        request: Request<contract::GetRestaurantRequest>,
    ) -> Result<Response<contract::Restaurant>, Status> {
        answer(self.get(request.into_inner()).await)
    }

    async fn list_restaurants(
        &self,
        request: Request<contract::ListRestaurantsRequest>,
    ) -> Result<Response<contract::ListRestaurantsResponse>, Status> {
        answer(self.list(request.into_inner()).await)
    }

    async fn update_restaurant(
        &self,
        request: Request<contract::UpdateRestaurantRequest>,
    ) -> Result<Response<contract::Restaurant>, Status> {
        answer(self.update(request.into_inner()).await)
    }

    async fn revise_menu(
        &self,
        request: Request<contract::ReviseMenuRequest>,
    ) -> Result<Response<contract::Restaurant>, Status> {
        answer(self.revise(request.into_inner()).await)
    }

    async fn list_tickets(
        &self,
        request: Request<contract::ListTicketsRequest>,
    ) -> Result<Response<contract::ListTicketsResponse>, Status> {
        answer(self.tickets(request.into_inner()).await)
    }

    async fn get_ticket(
        &self,
        request: Request<contract::GetTicketRequest>,
    ) -> Result<Response<contract::Ticket>, Status> {
        answer(self.ticket(request.into_inner()).await)
    }
}

/// A row of a list: its id and what is sent.
type Listed<T> = ([u8; 16], T);

fn resources<T>(rows: Vec<Listed<T>>) -> Vec<T> {
    rows.into_iter().map(|(_, row)| row).collect()
}

/// Logs a fault of the service with its causes, which the caller is not told, and answers.
fn answer<T>(result: Result<T, Error>) -> Result<Response<T>, Status> {
    if let Err(error) = &result
        && error.is_fault()
    {
        error!(error = error as &dyn std::error::Error, "call failed");
    }
    result.map(Response::new).map_err(Status::from)
}
