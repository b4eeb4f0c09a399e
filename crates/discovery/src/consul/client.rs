//! Requests to Consul agents, over one pool of connections for all watches and registrations.
//!
//! Our own, on hyper: what exists has no health reads, cannot use EC keys, or opens a connection for each request. Over TLS all
//! requests to an agent share one HTTP/2 connection; without it each query that waits has a connection, and so their number is bounded.

use super::config::ConsulConfig;
use super::pool::Pool;
use crate::Error;
use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderValue};
use http::{HeaderMap, Method, Request, StatusCode, Uri};
use http_body_util::{BodyExt, Full, Limited};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::timeout;

/// What an error quotes of an answer.
const QUOTED_CHARS: usize = 200;

/// Speaks with the agents.
#[derive(Debug)]
pub(crate) struct Client {
    config: ConsulConfig,
    pool: Pool,
    /// The agent that answered last.
    preferred: AtomicUsize,
    /// Watches that there are.
    watches: AtomicUsize,
    /// One for each query of a watch that may be on its way.
    waiting: Semaphore,
}

/// One request.
#[derive(Debug)]
pub(crate) struct Ask {
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) body: Bytes,
    pub(crate) within: Duration,
}

/// An answer of 2xx.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Client {
    pub(super) fn new(config: ConsulConfig) -> Result<Self, Error> {
        let pool = Pool::new(&config)?;
        let waiting = Semaphore::new(config.watches_at_once_max);
        Ok(Client { config, pool, preferred: AtomicUsize::new(0), watches: AtomicUsize::new(0), waiting })
    }

    pub(crate) fn config(&self) -> &ConsulConfig {
        &self.config
    }

    /// The URL of an agent.
    pub(crate) fn agent(&self, agent: usize) -> &str {
        &self.config.agents[agent]
    }

    /// The agent to ask for endpoints.
    pub(super) fn preferred(&self) -> usize {
        self.preferred.load(Ordering::Relaxed)
    }

    /// Makes the next agent the preferred one, unless somebody has done so already.
    pub(super) fn give_up(&self, agent: usize) {
        let next = (agent + 1) % self.config.agents.len();
        // If it is another one by now, that one is to be tried first.
        let _moved = self.preferred.compare_exchange(agent, next, Ordering::Relaxed, Ordering::Relaxed);
    }

    pub(super) fn count_watch(&self) {
        self.watches.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn forget_watch(&self) {
        self.watches.fetch_sub(1, Ordering::Relaxed);
    }

    /// Whether there are more watches than may wait at the same time.
    pub(super) fn is_crowded(&self) -> bool {
        self.watches.load(Ordering::Relaxed) > self.config.watches_at_once_max
    }

    /// The right to ask for a watch. Cancel safe.
    pub(super) async fn turn(&self) -> SemaphorePermit<'_> {
        self.waiting.acquire().await.expect("the semaphore is never closed")
    }

    /// Asks one agent. Cancel safe in that nothing of ours is lost; the agent may do what it was asked for.
    pub(crate) async fn ask(&self, agent: usize, ask: Ask) -> Result<Answer, Error> {
        let within = ask.within;
        let timed_out = |_| Error::TimedOut { agent: self.agent(agent).to_owned(), within };
        timeout(within, self.exchange(agent, ask)).await.map_err(timed_out)?
    }

    async fn exchange(&self, agent: usize, ask: Ask) -> Result<Answer, Error> {
        let url = self.agent(agent);
        let unreachable = |source: crate::Source| Error::Unreachable { agent: url.to_owned(), source };
        let uri: Uri = format!("{}{}", url.trim_end_matches('/'), ask.path)
            .parse()
            .map_err(|error: http::uri::InvalidUri| unreachable(error.into()))?;
        let mut request = Request::new(Full::new(ask.body));
        (*request.method_mut(), *request.uri_mut()) = (ask.method, uri);
        request.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if let Some(token) = self.token().await? {
            request.headers_mut().insert("x-consul-token", token);
        }
        let response = match self.pool.request(request).await {
            Ok(response) => response,
            Err(error) => {
                self.pool.renew(&self.config);
                return Err(unreachable(error.into()));
            }
        };
        let (head, body) = response.into_parts();
        let body = Limited::new(body, self.config.body_bytes_max).collect().await.map_err(unreachable)?.to_bytes();
        match head.status {
            status if status.is_success() => Ok(Answer { headers: head.headers, body }),
            StatusCode::FORBIDDEN => Err(Error::AccessDenied { agent: url.to_owned(), text: quoted(&body) }),
            status => Err(Error::Answered { agent: url.to_owned(), status: status.as_u16(), text: quoted(&body) }),
        }
    }

    /// The token as it is now. It is marked as sensitive, so that nothing shows it.
    async fn token(&self) -> Result<Option<HeaderValue>, Error> {
        let Some(file) = &self.config.token_file else { return Ok(None) };
        let unusable = |source: crate::Source| Error::File { path: file.clone(), source };
        let text = tokio::fs::read_to_string(file).await.map_err(|error| unusable(error.into()))?;
        let mut token =
            HeaderValue::from_str(text.trim()).map_err(|_| unusable("it holds more than a token".into()))?;
        if token.is_empty() {
            return Err(unusable("it is empty".into()));
        }
        token.set_sensitive(true);
        Ok(Some(token))
    }
}

fn quoted(body: &[u8]) -> String {
    String::from_utf8_lossy(body).trim().chars().take(QUOTED_CHARS).collect()
}

/// A name as a segment of a path.
pub(crate) fn segment(name: &str) -> String {
    let mut written = String::with_capacity(name.len());
    for byte in name.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => written.push(char::from(byte)),
            _ => {
                let digit = |number: u8| char::from_digit(number.into(), 16).unwrap_or_default().to_ascii_uppercase();
                written.extend(['%', digit(byte >> 4), digit(byte & 15)]);
            }
        }
    }
    written
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_stays_one_segment() {
        assert_eq!(segment("orders-v2.eu"), "orders-v2.eu");
        assert_eq!(segment("../a b?c"), "..%2Fa%20b%3Fc");
    }
}
