//! Calls in a closed loop: as many at once as there are callers, each answer looked at.
//!
//! In a thread of its own with a runtime of one thread, so that it disturbs what it measures as little as it can.

use super::case::{Answer, Case, Width};
use crate::Measured;
use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

/// How long calls go on.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Lasts {
    For(Duration),
    /// So many calls, of all callers together.
    Calls(u64),
}

/// What all callers of a run share.
struct Plan {
    case: Case,
    begun: Instant,
    lasts: Lasts,
    made: AtomicU64,
    /// The first answer, which was looked at closely; the others must be the same.
    right: OnceLock<Bytes>,
}

/// Makes calls; how long each took, in milliseconds.
pub(crate) async fn drive(case: Case, width: Width, target: SocketAddr, lasts: Lasts) -> Measured<Vec<f64>> {
    let driven = tokio::task::spawn_blocking(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(drive_here(case, width, target, lasts))
    });
    driven.await?
}

async fn drive_here(case: Case, width: Width, target: SocketAddr, lasts: Lasts) -> Measured<Vec<f64>> {
    let plan = Plan { case, begun: Instant::now(), lasts, made: AtomicU64::new(0), right: OnceLock::new() };
    let plan = Arc::new(plan);
    let Width { connections, calls_each } = width;
    // Ended with this function.
    let (mut drivers, mut callers) = (JoinSet::new(), JoinSet::new());
    for _ in 0..connections {
        let stream = TcpStream::connect(target).await?;
        stream.set_nodelay(true)?;
        if case.is_rest() {
            let (sender, driver) = http1::handshake(TokioIo::new(stream)).await?;
            drivers.spawn(async move { driver.await.is_ok() });
            callers.spawn(call_again_and_again(Line::Http1(sender), plan.clone(), case.request(target)));
        } else {
            let (sender, driver) = http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await?;
            drivers.spawn(async move { driver.await.is_ok() });
            for _ in 0..calls_each {
                let line = Line::Http2(sender.clone());
                callers.spawn(call_again_and_again(line, plan.clone(), case.request(target)));
            }
        }
    }
    let mut took = Vec::new();
    while let Some(of_one) = callers.join_next().await {
        took.extend(of_one??);
    }
    Ok(took)
}

enum Line {
    Http1(http1::SendRequest<Full<Bytes>>),
    Http2(http2::SendRequest<Full<Bytes>>),
}

impl Line {
    async fn send(&mut self, request: Request<Full<Bytes>>) -> hyper::Result<http::Response<Incoming>> {
        match self {
            Line::Http1(sender) => {
                sender.ready().await?;
                sender.send_request(request).await
            }
            Line::Http2(sender) => {
                sender.ready().await?;
                sender.send_request(request).await
            }
        }
    }
}

async fn call_again_and_again(mut line: Line, plan: Arc<Plan>, request: Request<Full<Bytes>>) -> Measured<Vec<f64>> {
    let mut took = Vec::new();
    while plan.goes_on() {
        let begun = Instant::now();
        let (parts, body) = line.send(request.clone()).await?.into_parts();
        let collected = body.collect().await?;
        took.push(begun.elapsed().as_secs_f64() * 1e3);
        let trailers = collected.trailers().cloned().unwrap_or_default();
        plan.look_at(&Answer { status: parts.status, body: collected.to_bytes(), trailers })?;
    }
    Ok(took)
}

impl Plan {
    fn goes_on(&self) -> bool {
        match self.lasts {
            Lasts::For(time) => self.begun.elapsed() < time,
            Lasts::Calls(calls) => self.made.fetch_add(1, Ordering::Relaxed) < calls,
        }
    }

    fn look_at(&self, answer: &Answer) -> Measured<()> {
        let is_right = match self.right.get() {
            Some(first) if self.case.is_rest() => answer.status.is_success() && answer.body == *first,
            Some(_) | None => self.case.is_right(answer),
        };
        if is_right {
            // Of two first answers one is enough.
            let _is_known = self.right.set(answer.body.clone()).is_err();
            return Ok(());
        }
        let shown = String::from_utf8_lossy(&answer.body[..answer.body.len().min(500)]).into_owned();
        Err(format!("{}: a wrong answer: {} {shown} {:?}", self.case.name(), answer.status, answer.trailers).into())
    }
}
