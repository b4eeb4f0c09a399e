//! Brings one menu into a running platform: revises the restaurant of that name, or creates it.

use crate::error::Error;
use crate::retry;
use iso_currency::Currency;
use proto::comanda::restaurant::v1::restaurant_service_client::RestaurantServiceClient;
use proto::comanda::restaurant::v1::{
    CreateRestaurantRequest, ListRestaurantsRequest, Menu, MenuItem, Restaurant, ReviseMenuRequest,
};
use std::time::Duration;
use tokio::time::{Instant, sleep, timeout_at};
use tonic::Status;
use tonic::transport::{Channel, Endpoint};

/// How long one restaurant may take, all attempts together: a platform that starts again is back within seconds, and a person who
/// waits longer wants to be told.
const TOTAL_TIMEOUT: Duration = Duration::from_secs(30);
/// How long a connection may take: a lost packet is sent again after 1 and 3 s.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Bytes of an answer at most: it repeats the menu, which is at most what a file may hold.
const ANSWER_BYTES_MAX: usize = 96_000_000;
/// Restaurants of a page: the contract's limit, so that a large platform is searched in few calls.
const PAGE_SIZE: i32 = 1000;
/// Pages that are searched at most; more would be a server whose pages have no end. A million restaurants.
const PAGES_MAX: usize = 1000;

/// What to do about a restaurant that has the same name and currency.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Existing {
    /// Revises its menu, so that it keeps its id; of several, that of the newest.
    Revise,
    /// Lets it be and creates another one.
    Ignore,
}

/// What became of a restaurant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It is new.
    Created,
    /// It was there and has a new menu.
    Revised,
}

/// A menu to bring in.
#[derive(Debug, Clone, PartialEq)]
pub struct Wanted {
    /// The restaurant's name.
    pub name: String,
    /// The currency of its prices.
    pub currency: Currency,
    /// What it offers.
    pub items: Vec<MenuItem>,
}

/// Why a menu was not brought in.
#[derive(Debug)]
pub struct Failed {
    /// How often it was tried.
    pub attempts: u32,
    /// What the last attempt came to.
    pub status: Box<Status>,
}

/// A connection to `target`, such as `http://127.0.0.1:8080`; it is made when the first call needs it.
///
/// # Errors
/// When the address is not `http://host:port`.
pub fn connect(target: &str) -> Result<Channel, Error> {
    let endpoint = Endpoint::from(address(target)?);
    Ok(endpoint.connect_timeout(CONNECT_TIMEOUT).tcp_nodelay(true).connect_lazy())
}

/// Reads the address of a platform.
///
/// # Errors
/// When it is not `http://host:port`.
pub fn address(target: &str) -> Result<http::Uri, Error> {
    let bad = |problem| Error::Target { target: target.to_owned(), problem };
    let uri: http::Uri = target.parse().map_err(|_| bad("expected http://host:port"))?;
    match uri.scheme_str() {
        Some("http") => {}
        Some("https") => return Err(bad("https is not spoken yet; use http:// and the port behind the TLS proxy")),
        _ => return Err(bad("it must begin with http://")),
    }
    if uri.path() != "/" || uri.query().is_some() {
        return Err(bad("it must end after the port"));
    }
    Ok(uri)
}

/// The restaurants of a platform.
#[derive(Debug, Clone)]
pub struct Platform {
    client: RestaurantServiceClient<Channel>,
}

impl Platform {
    /// Speaks to the platform at the other end of `channel`.
    #[must_use]
    pub fn new(channel: Channel) -> Self {
        Platform { client: RestaurantServiceClient::new(channel).max_decoding_message_size(ANSWER_BYTES_MAX) }
    }

    /// Brings in one menu; repeats what failed because the platform was away, for up to 30 s.
    ///
    /// A repetition looks for the restaurant again, since the call before may have created it and lost only its answer.
    ///
    /// # Errors
    /// When the platform refuses, or stays away.
    pub async fn bring(&mut self, wanted: &Wanted, existing: Existing) -> Result<(Outcome, Restaurant), Failed> {
        let deadline = Instant::now() + TOTAL_TIMEOUT;
        let mut attempts = 0;
        loop {
            attempts += 1;
            let status = match timeout_at(deadline, self.bring_once(wanted, existing)).await {
                Ok(Ok(brought)) => return Ok(brought),
                Ok(Err(status)) => status,
                Err(_) => Status::deadline_exceeded(format!("no answer within {TOTAL_TIMEOUT:?}")),
            };
            let wait = retry::wait(attempts, retry::asked_for(&status), 0);
            if !retry::is_transient(&status) || Instant::now() + wait >= deadline {
                return Err(Failed { attempts, status: Box::new(status) });
            }
            sleep(wait).await;
        }
    }

    async fn bring_once(&mut self, wanted: &Wanted, existing: Existing) -> Result<(Outcome, Restaurant), Status> {
        let found = match existing {
            Existing::Revise => self.find(&wanted.name, wanted.currency).await?,
            Existing::Ignore => None,
        };
        let items = wanted.items.clone();
        match found {
            Some(restaurant_id) => {
                let revised = self.client.revise_menu(ReviseMenuRequest { restaurant_id, items }).await?;
                Ok((Outcome::Revised, revised.into_inner()))
            }
            None => {
                let restaurant = Some(restaurant(wanted, items));
                let created = self.client.create_restaurant(CreateRestaurantRequest { restaurant }).await?;
                Ok((Outcome::Created, created.into_inner()))
            }
        }
    }

    /// The id of the newest restaurant with that name and currency.
    async fn find(&mut self, name: &str, currency: Currency) -> Result<Option<String>, Status> {
        let mut page_token = String::new();
        for _ in 0..PAGES_MAX {
            let request = ListRestaurantsRequest { page_size: PAGE_SIZE, page_token };
            let page = self.client.list_restaurants(request).await?.into_inner();
            let is_it = |it: &Restaurant| it.name == name && it.currency_code == currency.code();
            if let Some(found) = page.restaurants.into_iter().find(is_it) {
                return Ok(Some(found.restaurant_id));
            }
            if page.next_page_token.is_empty() {
                return Ok(None);
            }
            page_token = page.next_page_token;
        }
        Err(Status::out_of_range(format!("the list of restaurants has more than {PAGES_MAX} pages")))
    }
}

/// A restaurant that takes orders at all hours from everywhere, which is all that a menu can tell.
fn restaurant(wanted: &Wanted, items: Vec<MenuItem>) -> Restaurant {
    Restaurant {
        name: wanted.name.clone(),
        currency_code: wanted.currency.code().to_owned(),
        time_zone: "UTC".to_owned(),
        accepts_orders: Some(true),
        menu: Some(Menu { version: 0, items }),
        ..Restaurant::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_plain_http_addresses_are_taken() {
        let problem = |target| match connect(target) {
            Err(Error::Target { problem, .. }) => problem,
            other => panic!("{other:?}"),
        };

        assert!(connect("http://127.0.0.1:8080").is_ok());
        assert!(connect("http://localhost:8080/").is_ok());
        assert!(problem("https://localhost:8080").contains("https is not spoken"));
        assert!(problem("localhost:8080").contains("http://"));
        assert!(problem("http://localhost:8080/v1").contains("after the port"));
        assert!(problem("not an address").contains("http://host:port"));
    }
}
