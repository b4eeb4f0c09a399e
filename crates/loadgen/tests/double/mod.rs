//! A double of the platform: it keeps what it is told, speaks gRPC and REST on one port, and has faults on request.

mod orders;
mod rest;

use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use proto::comanda::consumer::v1 as consumer;
use proto::comanda::consumer::v1::consumer_service_server::{ConsumerService, ConsumerServiceServer};
use proto::comanda::order::v1::Order;
use proto::comanda::order::v1::order_service_server::OrderServiceServer;
use proto::comanda::restaurant::v1 as restaurant;
use proto::comanda::restaurant::v1::restaurant_service_server::{RestaurantService, RestaurantServiceServer};
use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex, MutexGuard};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tonic::service::Routes;
use tonic::{Request, Response, Status};
use tower::ServiceExt;

/// What is wrong with the platform.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Stores each order, and answers UNAVAILABLE the first time.
    LosesFirstAnswers,
    /// Has no WatchOrder.
    RefusesWatches,
    /// Rejects every order.
    Rejects,
    /// Leaves every order PENDING.
    NeverDecides,
    /// Answers INVALID_ARGUMENT to every order.
    Refuses,
    /// Does not list the first order.
    ForgetsOne,
    /// Adds a penny to each total.
    Overcharges,
}

#[derive(Default)]
struct Kept {
    restaurants: Vec<restaurant::Restaurant>,
    consumers: Vec<consumer::Consumer>,
    /// As acknowledged; the decision is told to those who ask.
    orders: Vec<Order>,
    /// The order of each idempotency key.
    keys: HashMap<String, usize>,
}

/// The platform.
#[derive(Clone)]
pub(crate) struct Double {
    kept: Arc<Mutex<Kept>>,
    fault: Option<Fault>,
}

impl Double {
    /// Serves until the set is dropped; returns its address.
    pub(crate) async fn serve(fault: Option<Fault>, tasks: &mut JoinSet<()>) -> String {
        let double = Double { kept: Arc::default(), fault };
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("it is bound");
        let routes = Routes::new(RestaurantServiceServer::new(double.clone()))
            .add_service(ConsumerServiceServer::new(double.clone()))
            .add_service(OrderServiceServer::new(double.clone()))
            .prepare();
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let (double, routes) = (double.clone(), routes.clone());
                let service = hyper::service::service_fn(move |request: http::Request<hyper::body::Incoming>| {
                    let (double, routes) = (double.clone(), routes.clone());
                    async move {
                        let is_grpc = request.version() == http::Version::HTTP_2;
                        Ok::<_, Infallible>(if is_grpc {
                            routes.oneshot(request).await.expect("routes answer every request")
                        } else {
                            rest::answer(&double, request).await
                        })
                    }
                });
                connections.spawn(async move {
                    let builder = Builder::new(TokioExecutor::new());
                    // A client that hangs up is no failure of the double.
                    builder.serve_connection(TokioIo::new(stream), service).await.ok();
                });
            }
        });
        format!("http://{address}")
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().expect("no test panics while it holds the lock")
    }
}

fn not_called<T>() -> Result<Response<T>, Status> {
    Err(Status::unimplemented("loadgen does not call it"))
}

#[tonic::async_trait]
impl RestaurantService for Double {
    async fn create_restaurant(
        &self,
        request: Request<restaurant::CreateRestaurantRequest>,
    ) -> Result<Response<restaurant::Restaurant>, Status> {
        let mut kept = self.kept();
        let mut created = request.into_inner().restaurant.ok_or_else(|| Status::invalid_argument("restaurant"))?;
        created.restaurant_id = format!("restaurant-{}", kept.restaurants.len());
        kept.restaurants.push(created.clone());
        Ok(Response::new(created))
    }

    async fn get_restaurant(
        &self,
        request: Request<restaurant::GetRestaurantRequest>,
    ) -> Result<Response<restaurant::Restaurant>, Status> {
        let id = request.into_inner().restaurant_id;
        let kept = self.kept();
        let found = kept.restaurants.iter().find(|it| it.restaurant_id == id);
        found.cloned().map(Response::new).ok_or_else(|| Status::not_found("restaurant"))
    }

    async fn list_restaurants(
        &self,
        _: Request<restaurant::ListRestaurantsRequest>,
    ) -> Result<Response<restaurant::ListRestaurantsResponse>, Status> {
        let mut restaurants = self.kept().restaurants.clone();
        restaurants.iter_mut().for_each(|it| it.menu = None);
        Ok(Response::new(restaurant::ListRestaurantsResponse { restaurants, next_page_token: String::new() }))
    }

    async fn update_restaurant(
        &self,
        _: Request<restaurant::UpdateRestaurantRequest>,
    ) -> Result<Response<restaurant::Restaurant>, Status> {
        not_called()
    }

    async fn revise_menu(
        &self,
        _: Request<restaurant::ReviseMenuRequest>,
    ) -> Result<Response<restaurant::Restaurant>, Status> {
        not_called()
    }

    async fn list_tickets(
        &self,
        _: Request<restaurant::ListTicketsRequest>,
    ) -> Result<Response<restaurant::ListTicketsResponse>, Status> {
        not_called()
    }

    async fn get_ticket(
        &self,
        _: Request<restaurant::GetTicketRequest>,
    ) -> Result<Response<restaurant::Ticket>, Status> {
        not_called()
    }
}

#[tonic::async_trait]
impl ConsumerService for Double {
    async fn create_consumer(
        &self,
        request: Request<consumer::CreateConsumerRequest>,
    ) -> Result<Response<consumer::Consumer>, Status> {
        let mut kept = self.kept();
        let mut created = request.into_inner().consumer.ok_or_else(|| Status::invalid_argument("consumer"))?;
        created.consumer_id = format!("consumer-{}", kept.consumers.len());
        kept.consumers.push(created.clone());
        Ok(Response::new(created))
    }

    async fn list_consumers(
        &self,
        _: Request<consumer::ListConsumersRequest>,
    ) -> Result<Response<consumer::ListConsumersResponse>, Status> {
        let active = consumer::consumer::State::Active.into();
        let any = consumer::Consumer { consumer_id: "any".to_owned(), state: active, ..Default::default() };
        Ok(Response::new(consumer::ListConsumersResponse { consumers: vec![any], next_page_token: String::new() }))
    }

    async fn get_consumer(
        &self,
        _: Request<consumer::GetConsumerRequest>,
    ) -> Result<Response<consumer::Consumer>, Status> {
        not_called()
    }

    async fn update_consumer(
        &self,
        _: Request<consumer::UpdateConsumerRequest>,
    ) -> Result<Response<consumer::Consumer>, Status> {
        not_called()
    }
}
