//! WebSockets: a stream of calls that a browser can speak both ways (RFC 6455; over HTTP/2, RFC 8441).
//!
//! The URL is that of the REST call. Each message of the client is one JSON document, and an empty one says that there will be no more; each answer is one
//! message. The last message always tells how the call ended, `{"status":{"code":0}}` or, as in a stream of lines, `{"error":{..}}`, and so
//! does the code with which the socket is closed. It is all done by the transcoder, which sees a stream of documents and gives lines.

mod answer;
mod session;
#[cfg(test)]
mod tests;

use super::access_log::Witness;
use super::cors::Cors;
use super::{Line, Spoken, refusal};
use futures_util::future::BoxFuture;
use http::uri::Authority;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, Version, header};
use hyper::ext::Protocol;
use serde::{Deserialize, Serialize};
use session::Call;
pub(super) use session::Limits;
use std::time::Duration;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tonic::Code;
use tonic::body::Body;
use transcode::{OneMessageEach, StreamRoute};

/// The only version there is (RFC 6455 4.1).
const VERSION: HeaderValue = HeaderValue::from_static("13");
/// Headers of the handshake, and of a body that is not there.
const OF_HANDSHAKE: [HeaderName; 10] = [
    header::ACCEPT,
    header::CONNECTION,
    header::CONTENT_ENCODING,
    header::CONTENT_LENGTH,
    header::CONTENT_TYPE,
    header::SEC_WEBSOCKET_EXTENSIONS,
    header::SEC_WEBSOCKET_KEY,
    header::SEC_WEBSOCKET_PROTOCOL,
    header::SEC_WEBSOCKET_VERSION,
    header::UPGRADE,
];

/// What a WebSocket may do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct WebSocketConfig {
    /// How often a client is asked whether it is still there, in milliseconds; one that is silent twice as long is let go. 20,000: below the 30 s
    /// after which common proxies cut a silent connection.
    pub ping_interval_ms: u64,
    /// Time for a client to take a message, in milliseconds. 30,000: a megabyte on a slow phone.
    pub write_timeout_ms: u64,
}

impl Default for WebSocketConfig {
    fn default() -> Self {
        WebSocketConfig { ping_interval_ms: 20_000, write_timeout_ms: 30_000 }
    }
}

/// How a request asks for a WebSocket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Asked {
    /// By an upgrade of its HTTP/1.1 connection.
    Upgrade,
    /// By an extended CONNECT, for one stream of an HTTP/2 connection.
    Connect,
}

impl Asked {
    /// Whether a request asks for a WebSocket, and how.
    pub(super) fn of(request: &Request<Body>) -> Option<Self> {
        let is_socket = |protocol: &Protocol| protocol.as_str().eq_ignore_ascii_case("websocket");
        if request.method() == Method::CONNECT && request.extensions().get().is_some_and(is_socket) {
            return Some(Asked::Connect);
        }
        let headers = request.headers();
        let is_upgrade = has_token(headers, &header::CONNECTION, "upgrade");
        let is_asked = is_upgrade && has_token(headers, &header::UPGRADE, "websocket");
        (request.method() == Method::GET && request.version() == Version::HTTP_11 && is_asked).then_some(Asked::Upgrade)
    }

    /// The answer that opens the socket.
    ///
    /// # Errors
    /// The answer that refuses it.
    fn open(&self, headers: &HeaderMap) -> Result<Response<Body>, Box<Response<Body>>> {
        if headers.get(header::SEC_WEBSOCKET_VERSION) != Some(&VERSION) {
            let mut refused = refusal(StatusCode::UPGRADE_REQUIRED, Code::InvalidArgument, "the version must be 13");
            refused.headers_mut().insert(header::SEC_WEBSOCKET_VERSION, VERSION);
            return Err(Box::new(refused));
        }
        let mut response = Response::new(Body::empty());
        if *self == Asked::Connect {
            return Ok(response);
        }
        // 16 bytes in base64.
        let Some(key) = headers.get(header::SEC_WEBSOCKET_KEY).filter(|key| key.len() == 24) else {
            let complaint = "sec-websocket-key must have 24 characters";
            return Err(Box::new(refusal(StatusCode::BAD_REQUEST, Code::InvalidArgument, complaint)));
        };
        *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
        let accept = HeaderValue::from_str(&derive_accept_key(key.as_bytes())).expect("base64 is a header value");
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
        response.headers_mut().insert(header::UPGRADE, HeaderValue::from_static("websocket"));
        response.headers_mut().insert(header::SEC_WEBSOCKET_ACCEPT, accept);
        Ok(response)
    }
}

/// Opens the socket that a request asks for, and has its session run on `line`. `answer` answers the call.
pub(super) fn open<F>(
    (asked, route): (&Asked, StreamRoute),
    request: Request<Body>,
    (cors, limits): (&Cors, Limits),
    line: &Line,
    answer: impl FnOnce(Request<Body>) -> F + Send + 'static,
) -> Response<Body>
where
    F: Future<Output = Response<Body>> + Send + 'static,
{
    let host = request.uri().authority().map(Authority::as_str);
    let host = host.or_else(|| request.headers().get(header::HOST)?.to_str().ok());
    let is_foreign = |origin: &HeaderValue| !cors.is_allowed(origin, host);
    if request.headers().get(header::ORIGIN).is_some_and(is_foreign) {
        let complaint = "pages of this origin may not open a socket here";
        return refusal(StatusCode::FORBIDDEN, Code::PermissionDenied, complaint);
    }
    let response = match asked.open(request.headers()) {
        Ok(response) => response,
        Err(refused) => return *refused,
    };
    let session: BoxFuture<'static, ()> = Box::pin(session(request, route, limits, answer));
    if line.begin(session) {
        return response;
    }
    refusal(StatusCode::SERVICE_UNAVAILABLE, Code::Unavailable, "no socket can be opened now; try again")
}

async fn session<F>(
    mut request: Request<Body>,
    route: StreamRoute,
    limits: Limits,
    answer: impl FnOnce(Request<Body>) -> F + Send + 'static,
) where
    F: Future<Output = Response<Body>> + Send + 'static,
{
    let upgrade = hyper::upgrade::on(&mut request);
    let witness = request.extensions().get::<Witness>().cloned();
    let (head, takes) = (call(request, route.method), route.takes);
    match upgrade.await {
        Ok(socket) => Call { head, takes, limits, witness }.run(socket, answer).await,
        Err(error) => tracing::debug!(error = %error, "socket was not opened"),
    }
}

/// The REST call that a handshake stands for.
fn call(request: Request<Body>, method: Method) -> Request<()> {
    let (mut parts, _) = request.into_parts();
    parts.method = method;
    // Its messages are none of the connection's: none has to be read so that an answer can be sent.
    parts.version = Version::HTTP_2;
    OF_HANDSHAKE.iter().for_each(|name| drop(parts.headers.remove(name)));
    parts.headers.insert(header::ACCEPT, HeaderValue::from_static("application/x-ndjson"));
    parts.headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    parts.extensions.remove::<Protocol>();
    parts.extensions.insert(OneMessageEach);
    parts.extensions.insert(Spoken("websocket"));
    Request::from_parts(parts, ())
}

fn has_token(headers: &HeaderMap, name: &HeaderName, token: &str) -> bool {
    let values = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).any(|found| found.trim().eq_ignore_ascii_case(token))
}

impl WebSocketConfig {
    /// The limits of a socket whose messages may have this many bytes.
    pub(super) fn limits(&self, message_bytes_max: usize) -> Limits {
        Limits {
            message_bytes_max,
            ping_interval: Duration::from_millis(self.ping_interval_ms.max(1)),
            write_timeout: Duration::from_millis(self.write_timeout_ms),
        }
    }
}

#[cfg(test)]
mod asking {
    use super::*;

    #[track_caller]
    fn check(request: http::request::Builder, expected: Option<&Asked>) {
        assert_eq!(Asked::of(&request.body(Body::empty()).unwrap()).as_ref(), expected);
    }

    #[test]
    fn a_socket_is_asked_for_by_upgrade_or_by_connect() {
        let get = || Request::get("/").header("connection", "keep-alive, Upgrade").header("upgrade", "WebSocket");

        check(get(), Some(&Asked::Upgrade));
        check(get().version(Version::HTTP_10), None);
        check(get().method("POST"), None);
        check(Request::get("/").header("upgrade", "websocket"), None);
        check(Request::get("/").header("connection", "upgrade").header("upgrade", "h2c"), None);
        let connect = || Request::connect("/").version(Version::HTTP_2);
        check(connect().extension(Protocol::from_static("websocket")), Some(&Asked::Connect));
        check(connect().extension(Protocol::from_static("other")), None);
        check(connect(), None);
    }

    #[test]
    fn the_key_is_answered_as_the_standard_says() {
        // RFC 6455 1.3.
        let given = [("sec-websocket-version", "13"), ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==")];
        let headers = |given: &[(&'static str, &'static str)]| -> HeaderMap {
            given.iter().map(|(name, value)| ((*name).parse().unwrap(), (*value).parse().unwrap())).collect()
        };

        let opened = Asked::Upgrade.open(&headers(&given)).unwrap();
        assert_eq!(opened.headers()["sec-websocket-accept"], "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
        assert_eq!(Asked::Connect.open(&headers(&given[..1])).unwrap().status(), 200);
        assert_eq!(Asked::Upgrade.open(&headers(&given[..1])).unwrap_err().status(), 400);
        let refused = Asked::Upgrade.open(&headers(&given[1..])).unwrap_err();
        assert_eq!((refused.status().as_u16(), &refused.headers()["sec-websocket-version"]), (426, &VERSION));
    }
}
