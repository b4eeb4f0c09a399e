//! The Order Service over HTTP/1.1 and JSON, on connections that are kept.

use super::sse::Events;
use super::{Failure, ORDER_BYTES_MAX, Seen, json};
use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use proto::comanda::order::v1::CreateOrderRequest;
use std::error::Error as _;
use std::time::Duration;

/// How long a connection may take: a lost packet is sent again after 1 and 3 s.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// A client of the Order Service.
#[derive(Debug, Clone)]
pub struct Client {
    http: hyper_util::client::legacy::Client<HttpConnector, Full<Bytes>>,
    target: String,
}

impl Client {
    /// Speaks to `target`, and keeps up to `connections` connections.
    ///
    /// # Errors
    /// When the address is not `http://host:port`.
    pub fn new(target: &str, connections: usize) -> Result<Self, import::Error> {
        import::platform::address(target)?;
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        connector.set_connect_timeout(Some(CONNECT_TIMEOUT));
        let mut builder = hyper_util::client::legacy::Client::builder(TokioExecutor::new());
        let http = builder.pool_max_idle_per_host(connections).build(connector);
        Ok(Client { http, target: target.trim_end_matches('/').to_owned() })
    }

    pub(super) async fn create_order(&self, request: &CreateOrderRequest) -> Result<Seen, Failure> {
        let call = Request::builder()
            .method(Method::POST)
            .uri(format!("{}/v1/orders", self.target))
            .header(header::CONTENT_TYPE, "application/json")
            .header("idempotency-key", &request.request_id)
            .body(Full::from(json::create(request)));
        json::order(&whole(self.send(call).await?).await?)
    }

    pub(super) async fn get_order(&self, order_id: &str) -> Result<Seen, Failure> {
        let call = Request::get(format!("{}/v1/orders/{order_id}", self.target)).body(Full::default());
        json::order(&whole(self.send(call).await?).await?)
    }

    pub(super) async fn watch_order(&self, order_id: &str, after_version: i64) -> Result<Box<Events>, Failure> {
        let call = Request::get(format!("{}/v1/orders/{order_id}:watch?after_version={after_version}", self.target))
            .header(header::ACCEPT, "text/event-stream")
            .body(Full::default());
        Ok(Box::new(Events::new(self.send(call).await?.into_body())))
    }

    /// Sends a call and tells success from failure.
    async fn send(&self, call: http::Result<Request<Full<Bytes>>>) -> Result<Response<Incoming>, Failure> {
        let call = call.map_err(|error| Failure::last(format!("no such request can be made: {error}")))?;
        let answer = self.http.request(call).await.map_err(|error| {
            let cause = error.source().map_or_else(String::new, |cause| format!(": {cause}"));
            Failure::transient(format!("{error}{cause}"))
        })?;
        if answer.status().is_success() {
            return Ok(answer);
        }
        let (status, retry_after) = (answer.status(), retry_after(&answer));
        let said = json::error(&whole(answer).await?).unwrap_or_else(|| Failure::last("it says that all is well"));
        Err(Failure {
            is_transient: status == StatusCode::SERVICE_UNAVAILABLE,
            asked_for: said.asked_for.or(retry_after),
            text: format!("{}: {}", status.as_u16(), said.text),
        })
    }
}

async fn whole(answer: Response<Incoming>) -> Result<Bytes, Failure> {
    let body = Limited::new(answer.into_body(), ORDER_BYTES_MAX).collect().await;
    Ok(body.map_err(|error| Failure::transient(format!("the answer broke off: {error}")))?.to_bytes())
}

fn retry_after(answer: &Response<Incoming>) -> Option<Duration> {
    let seconds = answer.headers().get(header::RETRY_AFTER)?.to_str().ok()?.parse().ok()?;
    Some(Duration::from_secs(seconds))
}
