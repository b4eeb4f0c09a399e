//! How the keys of an issuer change, from a file and from a URL.

use crate::shop::{Shop, reason};
use crate::signing::{ED, RSA, claims, set, trusting};
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tonic::Code;

/// An issuer's web server.
pub(crate) struct Issuer {
    address: SocketAddr,
    answer: Arc<Mutex<(StatusCode, String)>>,
    fetches: Arc<AtomicUsize>,
    _server: JoinSet<()>,
}

impl Issuer {
    pub(crate) async fn start(set: String) -> Issuer {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (answer, fetches) = (Arc::new(Mutex::new((StatusCode::OK, set))), Arc::new(AtomicUsize::new(0)));
        let (served, counted) = (answer.clone(), fetches.clone());
        let mut server = JoinSet::new();
        server.spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let (served, counted) = (served.clone(), counted.clone());
                let service = service_fn(move |_: Request<Incoming>| {
                    counted.fetch_add(1, Ordering::SeqCst);
                    let (status, body) = served.lock().unwrap().clone();
                    let mut response = Response::new(Full::new(Bytes::from(body)));
                    *response.status_mut() = status;
                    async { Ok::<_, Infallible>(response) }
                });
                connections.spawn(async move {
                    drop(http1::Builder::new().serve_connection(TokioIo::new(stream), service).await);
                });
            }
        });
        Issuer { address, answer, fetches, _server: server }
    }

    pub(crate) fn says(&self, status: StatusCode, body: String) {
        *self.answer.lock().unwrap() = (status, body);
    }

    fn fetches(&self) -> usize {
        self.fetches.load(Ordering::SeqCst)
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/jwks.json", self.address)
    }

    pub(crate) async fn shop(&self) -> Shop {
        Shop::open(&trusting(&self.url())).await
    }
}

pub(crate) async fn code(shop: &Shop, token: &str) -> Code {
    let called = shop.get("anna-1", &[("authorization", &format!("Bearer {token}"))]).await;
    called.map_or_else(|status| status.code(), |_| Code::Ok)
}

#[tokio::test]
async fn a_new_key_is_known_as_soon_as_a_token_uses_it() {
    let issuer = Issuer::start(set(&[ED.jwk("ed")])).await;
    let shop = issuer.shop().await;
    assert_eq!((code(&shop, &ED.token("ed", &claims("anna"))).await, issuer.fetches()), (Code::Ok, 1));

    issuer.says(StatusCode::OK, set(&[ED.jwk("ed"), RSA.jwk("rsa")]));

    assert_eq!(code(&shop, &RSA.token("rsa", &claims("anna"))).await, Code::Ok);
    assert_eq!(issuer.fetches(), 2);
}

#[tokio::test]
async fn whoever_makes_keys_up_does_not_make_the_issuer_busy() {
    let issuer = Issuer::start(set(&[ED.jwk("ed")])).await;
    let shop = issuer.shop().await;

    let made_up = (0..50).map(|number| RSA.token(&format!("made-up-{number}"), &claims("anna")));
    let calls = made_up.map(|token| {
        let shop = shop.clone();
        async move { code(&shop, &token).await }
    });
    let codes = futures_util::future::join_all(calls).await;

    assert!(codes.iter().all(|code| *code == Code::Unauthenticated), "{codes:?}");
    assert_eq!(issuer.fetches(), 2, "once at the start, and once for all of them");
}

#[tokio::test]
async fn a_key_that_is_withdrawn_is_not_trusted_after_the_next_look() {
    let issuer = Issuer::start(set(&[ED.jwk("ed"), RSA.jwk("rsa")])).await;
    let shop = issuer.shop().await;
    let token = RSA.token("rsa", &claims("anna"));
    assert_eq!(code(&shop, &token).await, Code::Ok);

    issuer.says(StatusCode::OK, set(&[ED.jwk("ed")]));
    shop.guard.refresh().await;

    assert_eq!(code(&shop, &token).await, Code::Unauthenticated, "what was verified before is verified again");
    assert_eq!(code(&shop, &ED.token("ed", &claims("anna"))).await, Code::Ok);
}

#[tokio::test]
async fn what_was_read_last_stays_when_the_issuer_fails() {
    let issuer = Issuer::start(set(&[ED.jwk("ed")])).await;
    let shop = issuer.shop().await;

    for (status, body) in [
        (StatusCode::INTERNAL_SERVER_ERROR, set(&[RSA.jwk("rsa")])),
        (StatusCode::FOUND, set(&[RSA.jwk("rsa")])),
        (StatusCode::OK, "<html>".to_owned()),
        (StatusCode::OK, r#"{"keys":[]}"#.to_owned()),
        (StatusCode::OK, format!("{}{}", set(&[RSA.jwk("rsa")]), " ".repeat(2 << 20))),
    ] {
        issuer.says(status, body);
        shop.guard.refresh().await;
        assert_eq!(code(&shop, &ED.token("ed", &claims("anna"))).await, Code::Ok, "{status}");
        assert_eq!(code(&shop, &RSA.token("rsa", &claims("anna"))).await, Code::Unauthenticated, "{status}");
    }
}

#[tokio::test]
async fn an_issuer_that_was_never_reached_is_no_fault_of_the_caller() {
    let issuer = Issuer::start(String::new()).await;
    let shop = issuer.shop().await;
    let token = format!("Bearer {}", ED.token("ed", &claims("anna")));

    let status = shop.get("anna-1", &[("authorization", &token)]).await.unwrap_err();
    assert_eq!((status.code(), reason(&status).as_str()), (Code::Unavailable, "KEYS_UNAVAILABLE"));

    issuer.says(StatusCode::OK, set(&[ED.jwk("ed")]));
    shop.guard.refresh().await;
    assert!(shop.get("anna-1", &[("authorization", &token)]).await.is_ok());
}

#[tokio::test]
async fn a_file_is_read_again() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), set(&[ED.jwk("ed")])).unwrap();
    let shop = Shop::open(&trusting(file.path().to_str().unwrap())).await;

    std::fs::write(file.path(), set(&[RSA.jwk("rsa")])).unwrap();
    shop.guard.refresh().await;

    assert_eq!(code(&shop, &RSA.token("rsa", &claims("anna"))).await, Code::Ok);
    assert_eq!(code(&shop, &ED.token("ed", &claims("anna"))).await, Code::Unauthenticated);
}

#[tokio::test]
async fn a_file_that_is_not_there_is_told_at_the_start() {
    let config = toml::from_str(&trusting("/nowhere/jwks.json")).unwrap();

    let error = guard::Guard::new(config, guard::Defaults::default(), guard::Metrics::default()).await.unwrap_err();

    assert_eq!(error.to_string(), "failed to read /nowhere/jwks.json");
}
