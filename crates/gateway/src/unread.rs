//! What a client still sends when its request is already answered.
//!
//! An HTTP/1.1 connection that is closed while the client writes is reset, and with it goes the answer that says why: many clients never
//! see an early 413. So the rest of the body is read and thrown away, up to a bound.

use bytes::Buf;
use http::{HeaderMap, Version, header};
use http_body_util::BodyExt;
use std::time::Duration;
use tonic::body::Body;

/// Bytes thrown away at most: four times the largest body that is taken. Who sends more sees a reset.
const BYTES_MAX: usize = 16 << 20;
/// Time for them to arrive.
const TIMEOUT: Duration = Duration::from_secs(5);

/// Whether the rest of a body is worth waiting for: HTTP/2 can end a request alone, and who waits for `100 Continue` sends nothing.
pub(crate) fn is_worth_reading(version: Version, headers: &HeaderMap) -> bool {
    version < Version::HTTP_2 && !headers.contains_key(header::EXPECT)
}

/// Reads and forgets what is left of a body.
pub(crate) async fn throw_away(mut body: Body) {
    let rest = async {
        let mut left = BYTES_MAX;
        while let Some(Ok(frame)) = body.frame().await {
            let read = frame.data_ref().map_or(0, Buf::remaining);
            let Some(still) = left.checked_sub(read) else { return };
            left = still;
        }
    };
    // A client that is too slow sees a reset, as one that sends too much.
    let _elapsed = tokio::time::timeout(TIMEOUT, rest).await.is_err();
}
