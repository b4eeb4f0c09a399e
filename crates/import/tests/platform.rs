//! Importing into a platform: a double of the Restaurant Service keeps what it is told.

use import::Error;
use import::menu::{Options, Report, run};
use import::platform::{Existing, Outcome};
use iso_currency::Currency;
use proto::comanda::restaurant::v1 as pb;
use proto::comanda::restaurant::v1::restaurant_service_server::{RestaurantService, RestaurantServiceServer};
use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;
use tokio::task::JoinSet;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{Code, Request, Response, Status};
use tonic_types::{ErrorDetails, StatusExt};

/// What the double knows. Its pages have one restaurant each, so that every list has several.
#[derive(Default)]
struct Kept {
    restaurants: Vec<pb::Restaurant>,
    /// Answered instead of creating or revising, one call each.
    refusals: VecDeque<Status>,
    /// Whether a refused creation happens all the same, as when only the answer is lost.
    refused_are_created: bool,
}

#[derive(Clone, Default)]
struct Double(Arc<Mutex<Kept>>);

impl Double {
    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().expect("no test panics while it holds the lock")
    }

    /// Serves until the set is dropped.
    async fn serve(&self, tasks: &mut JoinSet<()>) -> String {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("it is bound");
        let service = RestaurantServiceServer::new(self.clone());
        tasks.spawn(async {
            let server = tonic::transport::Server::builder().add_service(service);
            server.serve_with_incoming(TcpListenerStream::new(listener)).await.expect("the double serves");
        });
        format!("http://{address}")
    }

    /// Imports a file with two restaurants.
    async fn import(&self, change: impl FnOnce(&mut Options)) -> Result<Report, Error> {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let file = folder.path().join("menus.csv");
        let text = "restaurant_id,category,name,description,price\n1,,Naan,,2.60\n2,,Tea,,1\n2,,Cha,,free\n";
        std::fs::write(&file, text).expect("the folder is writable");
        let mut tasks = JoinSet::new();
        let mut options = options(file, self.serve(&mut tasks).await);
        change(&mut options);
        run(&options).await
    }
}

fn options(file: PathBuf, target: String) -> Options {
    Options {
        file,
        restaurant_name: None,
        restaurant_id: None,
        currency: Currency::GBP,
        target,
        existing: Existing::Revise,
    }
}

fn away_for(retry_delay: Duration) -> Status {
    let mut details = ErrorDetails::new();
    details.set_retry_info(Some(retry_delay));
    Status::with_error_details(Code::Unavailable, "starting", details)
}

#[tonic::async_trait]
impl RestaurantService for Double {
    async fn create_restaurant(
        &self,
        request: Request<pb::CreateRestaurantRequest>,
    ) -> Result<Response<pb::Restaurant>, Status> {
        let mut kept = self.kept();
        let mut restaurant = request.into_inner().restaurant.ok_or_else(|| Status::invalid_argument("restaurant"))?;
        restaurant.restaurant_id = format!("id-{}", kept.restaurants.len());
        restaurant.menu.get_or_insert_default().version = 1;
        let refusal = kept.refusals.pop_front();
        if refusal.is_none() || kept.refused_are_created {
            kept.restaurants.insert(0, restaurant.clone());
        }
        refusal.map_or(Ok(Response::new(restaurant)), Err)
    }

    async fn list_restaurants(
        &self,
        request: Request<pb::ListRestaurantsRequest>,
    ) -> Result<Response<pb::ListRestaurantsResponse>, Status> {
        let kept = self.kept();
        let page = request.into_inner().page_token.parse::<usize>().unwrap_or(0);
        let is_last = page + 1 >= kept.restaurants.len();
        Ok(Response::new(pb::ListRestaurantsResponse {
            restaurants: kept.restaurants.get(page).cloned().into_iter().collect(),
            next_page_token: if is_last { String::new() } else { (page + 1).to_string() },
        }))
    }

    async fn revise_menu(&self, request: Request<pb::ReviseMenuRequest>) -> Result<Response<pb::Restaurant>, Status> {
        let mut kept = self.kept();
        if let Some(refusal) = kept.refusals.pop_front() {
            return Err(refusal);
        }
        let pb::ReviseMenuRequest { restaurant_id, items } = request.into_inner();
        let found = kept.restaurants.iter_mut().find(|it| it.restaurant_id == restaurant_id);
        let restaurant = found.ok_or_else(|| Status::not_found("restaurant"))?;
        let version = restaurant.menu.as_ref().map_or(0, |menu| menu.version) + 1;
        restaurant.menu = Some(pb::Menu { version, items });
        Ok(Response::new(restaurant.clone()))
    }

    async fn get_restaurant(&self, _: Request<pb::GetRestaurantRequest>) -> Result<Response<pb::Restaurant>, Status> {
        Err(Status::unimplemented("the import does not call it"))
    }

    async fn update_restaurant(
        &self,
        _: Request<pb::UpdateRestaurantRequest>,
    ) -> Result<Response<pb::Restaurant>, Status> {
        Err(Status::unimplemented("the import does not call it"))
    }

    async fn list_tickets(
        &self,
        _: Request<pb::ListTicketsRequest>,
    ) -> Result<Response<pb::ListTicketsResponse>, Status> {
        Err(Status::unimplemented("the import does not call it"))
    }

    async fn get_ticket(&self, _: Request<pb::GetTicketRequest>) -> Result<Response<pb::Ticket>, Status> {
        Err(Status::unimplemented("the import does not call it"))
    }
}

fn told(report: &Report) -> Vec<(&str, Outcome, i64)> {
    report.restaurants.iter().map(|it| (it.name.as_str(), it.outcome, it.menu_version)).collect()
}

#[tokio::test]
async fn a_second_import_revises_what_the_first_created() {
    let double = Double::default();

    let first = double.import(|_| ()).await.unwrap();
    let second = double.import(|_| ()).await.unwrap();

    assert_eq!(told(&first), [("menus 1", Outcome::Created, 1), ("menus 2", Outcome::Created, 1)]);
    assert_eq!(told(&second), [("menus 1", Outcome::Revised, 2), ("menus 2", Outcome::Revised, 2)]);
    assert_eq!(first.restaurants[0].restaurant_id, second.restaurants[0].restaurant_id);
    assert!(
        second.to_string().ends_with(
            "line 4: the price \"free\" is no plain number such as 12.50, with or without a currency code\n"
        )
    );
    let created = &double.kept().restaurants[0];
    assert_eq!((created.time_zone.as_str(), created.country_code.as_str()), ("UTC", ""));
    assert_eq!(created.accepts_orders, Some(true));
}

#[tokio::test]
async fn a_restaurant_in_another_currency_is_another_one() {
    let double = Double::default();
    let dollars = pb::Restaurant {
        name: "menus 1".to_owned(),
        currency_code: "USD".to_owned(),
        restaurant_id: "dollars".to_owned(),
        ..pb::Restaurant::default()
    };
    double.kept().restaurants.push(dollars);

    let report = double.import(|options| options.restaurant_id = Some("1".to_owned())).await.unwrap();

    assert_eq!(told(&report), [("menus 1", Outcome::Created, 1)]);
}

#[tokio::test]
async fn existing_restaurants_can_be_ignored() {
    let double = Double::default();

    for _ in 0..2 {
        let report = double.import(|options| options.existing = Existing::Ignore).await.unwrap();
        assert_eq!(report.restaurants[0].outcome, Outcome::Created);
    }

    assert_eq!(double.kept().restaurants.len(), 4);
}

#[tokio::test]
async fn one_restaurant_can_be_chosen_and_named() {
    let choose = |id: &'static str| {
        move |options: &mut Options| {
            options.restaurant_name = Some("Rose".to_owned());
            options.restaurant_id = Some(id.to_owned()).filter(|id| !id.is_empty());
        }
    };

    let one = Double::default().import(choose("2")).await.unwrap();
    let all = Double::default().import(choose("")).await.unwrap();
    let none = Double::default().import(choose("3")).await.unwrap_err();

    assert_eq!(told(&one), [("Rose", Outcome::Created, 1)]);
    assert_eq!(told(&all), [("Rose 1", Outcome::Created, 1), ("Rose 2", Outcome::Created, 1)]);
    assert!(none.to_string().ends_with("has no good line of restaurant \"3\"; it has 1, 2"), "{none}");
}

#[tokio::test]
async fn a_platform_that_is_away_is_asked_again_when_it_says() {
    let double = Double::default();
    double.kept().refusals.extend([away_for(Duration::from_millis(1)), away_for(Duration::from_millis(1))]);

    let report = double.import(|_| ()).await.unwrap();

    assert_eq!(told(&report), [("menus 1", Outcome::Created, 1), ("menus 2", Outcome::Created, 1)]);
}

#[tokio::test]
async fn a_creation_whose_answer_was_lost_is_not_repeated() {
    let double = Double::default();
    double.kept().refused_are_created = true;
    double.kept().refusals.push_back(away_for(Duration::from_millis(1)));

    let report = double.import(|_| ()).await.unwrap();

    assert_eq!(told(&report), [("menus 1", Outcome::Revised, 2), ("menus 2", Outcome::Created, 1)]);
}

#[tokio::test]
async fn an_import_gives_up_before_a_wait_that_is_too_long() {
    let double = Double::default();
    double.kept().refusals.push_back(away_for(Duration::from_secs(60)));

    let refused = double.import(|_| ()).await.unwrap_err();

    assert!(matches!(refused, Error::Call { attempts: 1, done: 0, .. }), "{refused:?}");
}

#[tokio::test]
async fn a_refusal_is_final() {
    let double = Double::default();
    double.kept().refusals.push_back(Status::invalid_argument("restaurant.name is reserved"));

    let refused = double.import(|_| ()).await.unwrap_err();

    let Error::Call { attempts: 1, source, .. } = refused else { panic!("{refused:?}") };
    assert_eq!(source.0.message(), "restaurant.name is reserved");
}
