//! Calls that can be made twice and are done once: the first answer is kept under the caller's key, and given again.
//!
//! The key is the `Idempotency-Key` of draft-ietf-httpapi-idempotency-key-header, as a header of REST or as metadata of gRPC. A call with a key goes
//! on when its caller has gone, since the caller will come again for its answer.

#[cfg(feature = "jetstream")]
mod bucket;
pub(crate) mod memory;
mod record;
mod store;
#[cfg(any(test, feature = "jetstream"))]
mod wire;

pub(crate) use store::Store;

use crate::Error;
use crate::identity::Identity;
use crate::message::{Collected, WholeError, collect};
use crate::refusal::{Reason, Refusal};
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response};
use record::{Answer, State, is_worth_keeping};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use store::{Claim, Claimed};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use tokio::task::JoinSet;
use tonic::body::Body;
use tonic::{Code, Status};
use tracing::warn;

/// The header of the key.
pub(crate) const KEY: HeaderName = HeaderName::from_static("idempotency-key");
/// Tells that an answer was given before.
pub(crate) const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");
/// The encodings that an answer may have. Without it there is none, so that any other client can read what is kept.
pub(crate) const ACCEPT_ENCODING: HeaderName = HeaderName::from_static("grpc-accept-encoding");

/// The longest key: as `request_id` has it.
const KEY_LENGTH_MAX: usize = 255;
/// Calls with a key that run at once, at most; each holds a request and an answer.
const RUNNING_MAX: usize = 1_000;
/// How much longer than its timeout a call may hold its key: what it takes to write its answer down.
const GRACE: Duration = Duration::from_secs(5);
/// When a caller is to come again whose first call still runs.
const COME_AGAIN_AFTER: Duration = Duration::from_secs(1);

/// What is kept of answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct IdempotencyConfig {
    /// Where.
    pub store: StoreKind,
    /// How long, in seconds. 86,400: a day, as payment services have it.
    pub kept_seconds: u64,
    /// Answers at most, in memory; the oldest goes first.
    pub answers_max: usize,
    /// Bytes of all answers at most. 64 MiB, or what a bucket may take of a broker's disk.
    pub bytes_max: u64,
    /// Bytes of one answer at most. Of a longer one only that it was given is kept: its call is not done again. 256 KiB: a broker
    /// takes messages of 1 MiB.
    pub answer_bytes_max: usize,
    /// The name of the bucket, for `jetstream`.
    pub bucket: String,
}

/// Where answers are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum StoreKind {
    /// Nowhere: keys go to the services, and mean there what they mean.
    Nowhere,
    /// In this process: good for one gateway, until it ends.
    #[default]
    Memory,
    /// In a bucket of NATS JetStream, which all gateways share.
    JetStream,
}

impl Default for IdempotencyConfig {
    fn default() -> Self {
        IdempotencyConfig {
            store: StoreKind::default(),
            kept_seconds: 86_400,
            answers_max: 10_000,
            bytes_max: 64 << 20,
            answer_bytes_max: 256 << 10,
            bucket: "guard_answers".to_owned(),
        }
    }
}

impl IdempotencyConfig {
    pub(crate) fn check(&self) -> Result<(), Error> {
        let is_zero = self.kept_seconds == 0 || self.answers_max == 0 || self.bytes_max == 0;
        if is_zero {
            return Err(Error::setting("idempotency", "kept_seconds, answers_max and bytes_max must be more than 0"));
        }
        Ok(())
    }
}

/// Keeps answers, and runs the calls that make them.
#[derive(Debug)]
pub(crate) struct Keeper {
    store: Arc<Store>,
    permits: Arc<Semaphore>,
    running: Mutex<JoinSet<()>>,
    answer_bytes_max: usize,
}

/// A call with a key.
pub(crate) struct Keyed<'c> {
    pub(crate) method: &'c str,
    pub(crate) identity: Option<&'c Identity>,
    pub(crate) key: String,
    /// How long the call may take.
    pub(crate) timeout: Duration,
    /// Bytes of its request, and of its answer, at most.
    pub(crate) bytes_max: usize,
    pub(crate) answer_bytes_max: usize,
    /// Time for its request to arrive.
    pub(crate) arrives_within: Duration,
}

/// The key of a call, if it has one.
///
/// # Errors
/// When it is not 1 to 255 printable characters, or there are several.
pub(crate) fn key(headers: &HeaderMap) -> Result<Option<String>, Refusal> {
    let mut keys = headers.get_all(KEY).iter();
    let (first, second) = (keys.next(), keys.next());
    let Some(first) = first else { return Ok(None) };
    let text = first.to_str().ok().filter(|text| (1..=KEY_LENGTH_MAX).contains(&text.len()) && second.is_none());
    let refuse = || {
        let message =
            format!("idempotency-key must be given once, as 1 to {KEY_LENGTH_MAX} printable ASCII characters");
        Refusal::new(Reason::KeyInvalid, message).field("idempotency-key")
    };
    text.map(|text| Some(text.to_owned())).ok_or_else(refuse)
}

impl Keeper {
    pub(crate) fn new(store: Store, answer_bytes_max: usize) -> Self {
        let permits = Arc::new(Semaphore::new(RUNNING_MAX));
        Keeper { store: Arc::new(store), permits, running: Mutex::default(), answer_bytes_max }
    }

    /// Makes the call, or gives the answer that it had. Cancel safe: what has begun goes on to its end, and is kept.
    pub(crate) async fn call<F, A>(
        &self,
        keyed: Keyed<'_>,
        request: Request<Body>,
        make: F,
    ) -> Result<Response<Body>, Refusal>
    where
        F: FnOnce(Request<Body>) -> A + Send + 'static,
        A: Future<Output = Response<Body>> + Send,
    {
        let (mut parts, body) = request.into_parts();
        let Collected { data, .. } = collect(body, keyed.bytes_max, keyed.arrives_within).await?;
        let fingerprint: [u8; 32] = Sha256::digest(&data).into();
        let now = now_ms();
        let until = now.saturating_add(millis(keyed.timeout + GRACE));
        let claimed = self.store.claim(&keyed.place(), fingerprint, now, until).await.map_err(|error| {
            warn!(error = &error as &dyn std::error::Error, "answers cannot be looked up");
            unavailable()
        })?;
        let claim = match claimed {
            Claimed::Mine(claim) => claim,
            Claimed::Other(record) if record.fingerprint != fingerprint => {
                let message = "idempotency-key was used for a different request; a new request needs a new key";
                return Err(Refusal::new(Reason::KeyReused, message).field("idempotency-key"));
            }
            Claimed::Other(record) => return again(record.state),
        };
        let Ok(permit) = self.permits.clone().try_acquire_owned() else {
            self.store.release(&claim).await;
            let refusal = Refusal::new(Reason::StoreUnavailable, "too many calls with a key are running; call again");
            return Err(refusal.with_code(Code::ResourceExhausted).retry_after(COME_AGAIN_AFTER));
        };
        parts.headers.remove(ACCEPT_ENCODING);
        let request = Request::from_parts(parts, Collected { data, trailers: None }.into_body());
        let (sender, answer) = oneshot::channel();
        let run = self.run(claim, make, request, (keyed.answer_bytes_max, permit));
        self.spawn(async move {
            // Whoever has gone comes again for the answer.
            drop(sender.send(run.await));
        });
        Ok(answer.await.unwrap_or_else(|_aborted| Status::unavailable("the call was cut off").into_http()))
    }

    fn run<F, A>(
        &self,
        claim: Claim,
        make: F,
        request: Request<Body>,
        (bytes_max, permit): (usize, OwnedSemaphorePermit),
    ) -> impl Future<Output = Response<Body>> + Send + 'static + use<F, A>
    where
        F: FnOnce(Request<Body>) -> A + Send + 'static,
        A: Future<Output = Response<Body>> + Send,
    {
        let (store, kept_bytes_max) = (self.store.clone(), self.answer_bytes_max);
        async move {
            let _permit = permit;
            let (parts, body) = make(request).await.into_parts();
            let collected = match Collected::whole(body, bytes_max).await {
                Ok(collected) => collected,
                Err(WholeError::Broken(status)) => {
                    store.release(&claim).await;
                    return status.into_http();
                }
                Err(WholeError::Unreadable(_)) => {
                    store.finish(&claim, State::NotKept).await;
                    return Status::internal("the service's answer is too long").into_http();
                }
            };
            match code(&parts.headers, &collected) {
                code if !is_worth_keeping(code) => store.release(&claim).await,
                _ if collected.data.len() > kept_bytes_max => store.finish(&claim, State::NotKept).await,
                _ => store.finish(&claim, State::Done(Box::new(Answer::of(&parts.headers, &collected)))).await,
            }
            Response::from_parts(parts, collected.into_body())
        }
    }

    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        // Nothing panics while it is held.
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        while running.try_join_next().is_some() {}
        running.spawn(task);
    }
}

impl Keyed<'_> {
    /// Where its answer is kept: apart for each caller and method.
    fn place(&self) -> String {
        let identity = self.identity.map_or("", |identity| &identity.id);
        let mut hash = Sha256::new();
        for part in [identity, self.method, self.key.as_str()] {
            hash.update(u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
            hash.update(part);
        }
        hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

/// What a call is answered that was made before.
fn again(state: State) -> Result<Response<Body>, Refusal> {
    match state {
        State::Done(answer) => {
            let mut response = answer.into_response();
            response.headers_mut().insert(REPLAYED, HeaderValue::from_static("true"));
            Ok(response)
        }
        State::Running { .. } => {
            let refusal = Refusal::new(Reason::StillRunning, "the first call with this idempotency-key still runs");
            Err(refusal.retry_after(COME_AGAIN_AFTER))
        }
        State::NotKept => {
            let message = "the call was done, and its answer was too long to be kept; it is not done again";
            Err(Refusal::new(Reason::AnswerNotKept, message))
        }
    }
}

fn unavailable() -> Refusal {
    let message = "whether the call was made before cannot be found out now; nothing was done";
    Refusal::new(Reason::StoreUnavailable, message).retry_after(COME_AGAIN_AFTER)
}

fn code(headers: &HeaderMap, collected: &Collected) -> Code {
    let trailers = collected.trailers.as_ref().and_then(|trailers| trailers.get("grpc-status"));
    let code = trailers.or_else(|| headers.get("grpc-status"));
    // An answer without an end is none.
    code.map_or(Code::Unknown, |code| Code::from_bytes(code.as_bytes()))
}

fn now_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, millis)
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
