//! A health check on a user's behalf: a call is not spent on finding out whether an endpoint is well again.

use super::line::Line;
use breaker::Outcome;
use bytes::Bytes;
use http::{Request, Version};
use http_body_util::{BodyExt, Full, Limited};
use tonic::Code;
use tonic::body::Body;

const CHECK: &str = "/grpc.health.v1.Health/Check";
/// A `HealthCheckRequest` for the server as a whole: an empty message, with gRPC's prefix.
const REQUEST: &[u8] = &[0; 5];
/// What an answer may have; it has 7.
const ANSWER_BYTES_MAX: usize = 1024;
/// `HealthCheckResponse { status: SERVING }`, with gRPC's prefix.
const SERVING: &[u8] = &[0, 0, 0, 0, 2, 8, 1];

/// Asks an endpoint whether it serves. One that does not know the question has answered, and so it is there.
pub(super) async fn check(line: &Line) -> Outcome {
    let request = Request::post(CHECK)
        .version(Version::HTTP_2)
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .body(Body::new(Full::new(Bytes::from_static(REQUEST))));
    let Ok(request) = request else { return Outcome::Ignored };
    let Ok(response) = line.send(Box::new(request)).await else { return Outcome::Failure };
    if let Some(code) = super::fault::code_of(response.headers()) {
        return if matches!(code, Code::Unimplemented | Code::NotFound) { Outcome::Success } else { Outcome::Failure };
    }
    match Limited::new(response.into_body(), ANSWER_BYTES_MAX).collect().await {
        Ok(answer) => {
            if answer.to_bytes() == SERVING {
                Outcome::Success
            } else {
                Outcome::Failure
            }
        }
        Err(_) => Outcome::Failure,
    }
}
