//! Endpoints that are asked what they offer before they are called.

use crate::fake::{Fake, eventually};
use discovery::Endpoints;
use futures_util::future::BoxFuture;
use http::Request;
use rpc::Upstream;
use rpc::client::{ClientConfig, ClientMetrics, Interview, Offer, Visit, Wanted};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use tokio::sync::Notify;
use tonic::body::Body;
use tonic::{Code, Status};
use tower::Service;

/// Knows beforehand what each endpoint offers, and asks it all the same whether it is there.
#[derive(Debug, Clone, Default)]
struct Clerk(Arc<Notes>);

#[derive(Debug, Default)]
struct Notes {
    offers: Mutex<BTreeMap<SocketAddr, u64>>,
    asked: Mutex<Vec<SocketAddr>>,
    changed: Notify,
}

impl Clerk {
    fn learn(&self, address: SocketAddr, offer: u64) {
        self.0.offers.lock().unwrap().insert(address, offer);
        self.0.changed.notify_waiters();
    }

    fn asked(&self, address: SocketAddr) -> usize {
        self.0.asked.lock().unwrap().iter().filter(|asked| **asked == address).count()
    }
}

impl Interview for Clerk {
    fn ask(&self, mut visit: Visit, known: Option<Offer>) -> BoxFuture<'static, Offer> {
        let notes = self.0.clone();
        Box::pin(async move {
            loop {
                let changed = notes.changed.notified();
                let request = Request::post("/test.Acts/Act").header("content-type", "application/grpc");
                let answered = visit.call(request.body(Body::empty()).unwrap()).await;
                assert!(answered.is_ok(), "the interview is held on a connection that is up");
                let offer = notes.offers.lock().unwrap().get(&visit.address()).copied().map(Offer);
                if let Some(offer) = offer.filter(|offer| Some(*offer) != known) {
                    notes.asked.lock().unwrap().push(visit.address());
                    return offer;
                }
                changed.await;
            }
        })
    }

    /// Whoever offers more can do with less.
    fn admits(&self, offer: Offer, wanted: Wanted) -> bool {
        offer.0 >= wanted.0
    }
}

fn interviewed(addresses: &[SocketAddr], clerk: &Clerk) -> Upstream {
    following(discovery::fixed(addresses.to_vec()), clerk)
}

fn following(endpoints: Endpoints, clerk: &Clerk) -> Upstream {
    let interview = Arc::new(clerk.clone());
    Upstream::interviewed("acts", endpoints, interview, &ClientConfig::default(), &ClientMetrics::default()).unwrap()
}

async fn call(client: &Upstream, wanted: Option<u64>) -> Code {
    let mut request = Request::post("/test.Acts/Act").header("content-type", "application/grpc");
    if let Some(wanted) = wanted {
        request = request.extension(Wanted(wanted));
    }
    let Ok(response) = client.clone().call(request.body(Body::empty()).unwrap()).await;
    Status::from_header_map(response.headers()).unwrap().code()
}

#[tokio::test]
async fn an_endpoint_is_called_when_it_is_known_what_it_offers() {
    let (fake, clerk) = (Fake::start().await, Clerk::default());
    let client = interviewed(&[fake.address], &clerk);
    eventually(|| fake.calls() == 1).await;
    assert!(!client.is_up(), "it has been asked, and has not answered");

    clerk.learn(fake.address, 1);

    assert_eq!(call(&client, None).await, Code::Ok);
    assert!(client.is_up());
}

#[tokio::test]
async fn a_call_goes_where_it_finds_what_it_wants() {
    let ([poor, rich], clerk) = ([Fake::start().await, Fake::start().await], Clerk::default());
    clerk.learn(poor.address, 1);
    clerk.learn(rich.address, 2);
    let client = interviewed(&[poor.address, rich.address], &clerk);
    eventually(|| clerk.asked(poor.address) + clerk.asked(rich.address) == 2).await;
    let before = poor.calls();

    for _ in 0..50 {
        assert_eq!(call(&client, Some(2)).await, Code::Ok);
    }

    assert_eq!(poor.calls(), before);
    assert_eq!(call(&client, Some(3)).await, Code::Unavailable, "nobody offers that");
    assert_eq!(call(&client, Some(1)).await, Code::Ok, "and the others are called as before");
}

#[tokio::test]
async fn an_endpoint_that_offers_more_is_heard_on_the_same_connection() {
    let (fake, clerk) = (Fake::start().await, Clerk::default());
    clerk.learn(fake.address, 1);
    let client = interviewed(&[fake.address], &clerk);
    assert_eq!(call(&client, Some(1)).await, Code::Ok);

    clerk.learn(fake.address, 2);

    eventually(|| clerk.asked(fake.address) == 2).await;
    assert_eq!(call(&client, Some(2)).await, Code::Ok);
    assert_eq!(fake.connections(), 1);
}

#[tokio::test]
async fn a_new_connection_begins_with_a_new_interview() {
    let (mut fake, clerk) = (Fake::start().await, Clerk::default());
    clerk.learn(fake.address, 1);
    let (feed, endpoints) = Endpoints::feed();
    let list = |fake: &Fake| feed.confirm(vec![discovery::Endpoint::at(fake.address)]);
    list(&fake);
    let client = following(endpoints, &clerk);
    assert_eq!(call(&client, Some(1)).await, Code::Ok);

    fake.go_away();
    eventually(|| !client.is_up()).await;
    let successor = Fake::start_at(fake.address).await;

    eventually(|| client.is_up()).await;
    assert_eq!(clerk.asked(successor.address), 2);
    assert_eq!(call(&client, Some(1)).await, Code::Ok);
}
