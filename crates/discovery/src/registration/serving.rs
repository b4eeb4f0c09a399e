//! Whether an endpoint serves already: it is asked what the agent will ask.
//!
//! By hand, since it is one constant question and one short answer of `grpc.health.v1.Health/Check`, for which a generic crate need not
//! know gRPC.

use super::Registration;
use crate::{Error, Source};
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo};
use std::net::SocketAddr;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::time::timeout;

/// A message is preceded by whether it is compressed (1 byte) and its length (4 bytes).
const PREFIX_BYTES: usize = 5;
/// `HealthCheckResponse { status: SERVING }`.
const SERVING: [u8; 2] = [0x08, 0x01];
/// An answer is 7 bytes; what is much longer is something else.
const ANSWER_BYTES_MAX: usize = 1024;

/// Asks once.
pub(super) async fn check(registration: &Registration) -> Result<(), Error> {
    let (address, config) = (registration.address, &registration.config);
    let within = Duration::from_millis(config.timeout_ms);
    let not_serving = |source: Source| Error::NotServing { address, source };
    let ask = async {
        let line = TcpStream::connect(address).await?;
        // What speaks TLS, or has no such service, is only asked whether it listens.
        if config.grpc_tls || !config.grpc_check {
            return Ok(());
        }
        answered(line, address, config.grpc_service.as_deref().unwrap_or_default()).await
    };
    match timeout(within, ask).await {
        Ok(asked) => asked.map_err(not_serving),
        Err(late) => Err(not_serving(late.into())),
    }
}

async fn answered(line: TcpStream, address: SocketAddr, service: &str) -> Result<(), Source> {
    let (mut sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(line)).await?;
    let request = Request::post(format!("http://{address}/grpc.health.v1.Health/Check"))
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .body(Full::new(question(service)))?;
    let exchange = async { understand(sender.send_request(request).await?).await };
    tokio::select! {
        done = exchange => done,
        ended = connection => Err(ended.err().map_or_else(|| "the connection ended".into(), Source::from)),
    }
}

/// `HealthCheckRequest { service }`, whose only field is a string with the number 1.
fn question(service: &str) -> Bytes {
    let mut message = Vec::new();
    // A name of more than 127 bytes would need a longer length; nobody has one, and the answer would be an error.
    if let (false, Ok(length)) = (service.is_empty(), u8::try_from(service.len())) {
        message.extend([0x0a, length]);
        message.extend(service.as_bytes());
    }
    let length = u32::try_from(message.len()).unwrap_or_default();
    let mut framed = vec![0];
    framed.extend(length.to_be_bytes());
    framed.extend(message);
    framed.into()
}

async fn understand(response: Response<Incoming>) -> Result<(), Source> {
    let (head, body) = response.into_parts();
    let said = |name| head.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned();
    if !head.status.is_success() {
        return Err(format!("it answered {}", head.status).into());
    }
    let status = said("grpc-status");
    if !matches!(status.as_str(), "" | "0") {
        return Err(format!("it answered gRPC status {status}: {}", said("grpc-message")).into());
    }
    let body = Limited::new(body, ANSWER_BYTES_MAX).collect().await?.to_bytes();
    match body.get(PREFIX_BYTES..) {
        Some(message) if message == SERVING => Ok(()),
        _ => Err("it answered that it does not serve".into()),
    }
}
