//! A client of HTTP/1.1, which sends what it is told to send, right or wrong.

use crate::Stream;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode, header};
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::Value as Json;
use std::time::Duration;

/// How long an answer may take: more than the longest wait that a test asks for, less than what a person would sit out.
const ANSWER_WITHIN: Duration = Duration::from_secs(30);

/// A client of one port. Clones share its connections.
#[derive(Debug, Clone)]
pub struct Http {
    client: Client<HttpConnector, Full<Bytes>>,
    url: String,
}

/// A request that is being made.
#[derive(Debug, Clone)]
pub struct Call {
    http: Http,
    method: Method,
    path: String,
    headers: HeaderMap,
    body: Bytes,
}

/// A whole answer.
#[derive(Debug, Clone)]
pub struct Answer {
    /// Its status.
    pub status: StatusCode,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body.
    pub body: Bytes,
}

impl Http {
    /// A client of the port at `url`.
    #[must_use]
    pub fn new(url: &str) -> Self {
        Http { client: Client::builder(TokioExecutor::new()).build_http(), url: url.to_owned() }
    }

    /// A request with any method.
    #[must_use]
    pub fn call(&self, method: Method, path: impl Into<String>) -> Call {
        Call { http: self.clone(), method, path: path.into(), headers: HeaderMap::new(), body: Bytes::new() }
    }

    /// A GET request.
    #[must_use]
    pub fn get(&self, path: impl Into<String>) -> Call {
        self.call(Method::GET, path)
    }

    /// A POST request with a JSON body.
    #[must_use]
    pub fn post(&self, path: impl Into<String>, body: &Json) -> Call {
        self.call(Method::POST, path).json(body)
    }
}

impl Call {
    /// Adds a header.
    ///
    /// # Panics
    /// When HTTP cannot carry it.
    #[must_use]
    pub fn header(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        let name = HeaderName::from_bytes(name.as_bytes()).expect("the test's header has a name");
        let value = HeaderValue::from_bytes(value.as_ref()).expect("the test's header can be sent");
        self.headers.append(name, value);
        self
    }

    /// Sets a JSON body.
    #[must_use]
    pub fn json(self, body: &Json) -> Self {
        self.header(header::CONTENT_TYPE.as_str(), "application/json").body(body.to_string())
    }

    /// Sets a body as it is.
    #[must_use]
    pub fn body(mut self, body: impl Into<Bytes>) -> Self {
        self.body = body.into();
        self
    }

    /// Sends the request and reads the whole answer.
    ///
    /// # Panics
    /// When there is no answer.
    pub async fn send(self) -> Answer {
        let what = format!("{} {}", self.method, self.path);
        self.try_send().await.unwrap_or_else(|complaint| panic!("{what}: {complaint}"))
    }

    /// Sends the request and reads the whole answer.
    ///
    /// # Errors
    /// When there is no whole answer within 30 s.
    pub async fn try_send(self) -> Result<Answer, String> {
        let whole = async {
            let (parts, body) = self.request().await?.into_parts();
            let body = body.collect().await.map_err(|error| format!("the answer broke off: {error}"))?.to_bytes();
            Ok(Answer { status: parts.status, headers: parts.headers, body })
        };
        match tokio::time::timeout(ANSWER_WITHIN, whole).await {
            Ok(answer) => answer,
            Err(_elapsed) => Err(format!("no answer within {ANSWER_WITHIN:?}")),
        }
    }

    /// Sends the request and reads only the head of the answer.
    ///
    /// # Panics
    /// When there is no answer.
    pub async fn stream(self) -> Stream {
        let what = format!("{} {}", self.method, self.path);
        let answer = self.request().await.unwrap_or_else(|complaint| panic!("{what}: {complaint}"));
        Stream::new(answer)
    }

    async fn request(self) -> Result<http::Response<hyper::body::Incoming>, String> {
        let mut request = Request::new(Full::new(self.body));
        *request.method_mut() = self.method;
        let uri = format!("{}{}", self.http.url, self.path);
        *request.uri_mut() = uri.parse().map_err(|error| format!("{uri} is no URI: {error}"))?;
        *request.headers_mut() = self.headers;
        self.http.client.request(request).await.map_err(|error| format!("no answer: {error}"))
    }
}

impl Answer {
    /// The body as JSON.
    ///
    /// # Panics
    /// When it is none.
    #[must_use]
    #[track_caller]
    pub fn json(&self) -> Json {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// The body as text.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// A header, empty when it is not there.
    #[must_use]
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// The body as JSON, of an answer that must have this status.
    ///
    /// # Panics
    /// When it has another one.
    #[track_caller]
    pub fn expect(&self, status: u16) -> Json {
        assert_eq!(self.status.as_u16(), status, "{}", self.text());
        self.json()
    }

    /// The `google.rpc` detail of a type such as `ErrorInfo`; null when there is none.
    #[must_use]
    #[track_caller]
    pub fn detail(&self, name: &str) -> Json {
        let answer = self.json();
        let details = answer["details"].as_array().cloned().unwrap_or_default();
        let is_it = |detail: &Json| detail["@type"].as_str().is_some_and(|it| it.ends_with(&format!(".{name}")));
        details.into_iter().find(is_it).unwrap_or_default()
    }

    /// `ErrorInfo.reason`, empty when there is none.
    #[must_use]
    #[track_caller]
    pub fn reason(&self) -> String {
        self.detail("ErrorInfo")["reason"].as_str().unwrap_or_default().to_owned()
    }

    /// The fields that a `BadRequest` names.
    #[must_use]
    #[track_caller]
    pub fn fields(&self) -> Vec<String> {
        let violations = self.detail("BadRequest")["fieldViolations"].as_array().cloned().unwrap_or_default();
        violations.iter().filter_map(|it| it["field"].as_str().map(str::to_owned)).collect()
    }
}
