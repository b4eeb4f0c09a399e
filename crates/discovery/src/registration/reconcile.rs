//! Keeps what the agent knows as it should be, and takes it away in the end.

use super::RegistrationState;
use super::definition::{Known, Registration, Status};
use super::serving;
use crate::Error;
use crate::consul::{Answer, Ask, Client, segment};
use crate::error::chain;
use crate::pace::{Backoff, random};
use bytes::Bytes;
use http::Method;
use lifecycle::Drain;
use serde::Serialize;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{Instant, sleep};
use tracing::{info, warn};

/// How long the agent is told, at the end, that the endpoint is gone: the time of one slow answer, since a shutdown has to end.
const LEAVE_WITHIN: Duration = Duration::from_secs(5);
/// The longest pause between two attempts to tell it.
const LEAVE_AGAIN_AFTER_MAX: Duration = Duration::from_secs(1);

/// The agent that services are registered with.
const AGENT: usize = 0;

pub(super) struct Reconciler {
    client: Arc<Client>,
    registration: Registration,
    state: watch::Sender<RegistrationState>,
    id: String,
    /// Whether the agent took the registration, with its checks.
    has_registered: bool,
    /// Whether the endpoint has said that it serves.
    has_served: bool,
    /// Whether there may be something to deregister.
    has_tried: bool,
    backoff: Backoff,
}

/// What has to be done.
#[derive(Debug, PartialEq, Eq)]
enum Decision {
    Register(Status),
    Nothing,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Heartbeat {
    status: &'static str,
}

/// Pure, so that a table of cases is its test.
fn decide(known: Option<&Known>, wanted: &Registration, has_registered: bool) -> Decision {
    match known {
        // It forgot, or never knew; or an earlier process has left it, perhaps with other checks.
        None => Decision::Register(Status::Passing),
        Some(_) if !has_registered => Decision::Register(Status::Passing),
        Some(known) if wanted.is_known_as(known) => Decision::Nothing,
        // Somebody has changed it; its checks go on.
        Some(_) => Decision::Register(Status::AsBefore),
    }
}

impl Reconciler {
    pub(super) fn new(
        client: Arc<Client>,
        registration: Registration,
        state: watch::Sender<RegistrationState>,
    ) -> Self {
        Reconciler {
            id: registration.id(),
            has_registered: false,
            has_served: !registration.config.await_serving,
            has_tried: false,
            backoff: client.config().backoff(),
            client,
            registration,
            state,
        }
    }

    /// Keeps the endpoint registered until somebody asks it to leave, then deregisters it.
    pub(super) async fn run(mut self, leave: Drain, drain: Drain) {
        let ended = async || {
            tokio::select! {
                () = leave.requested() => {}
                () = drain.requested() => {}
            }
        };
        loop {
            // Looking can be dropped at any time. A registration that is on its way cannot: it could overtake the deregistration.
            let looked = tokio::select! {
                biased;
                () = ended() => break,
                looked = self.look() => looked,
            };
            let done = match looked {
                Ok(known) => self.act(known.as_ref()).await,
                Err(error) => Err(error),
            };
            let pause = match done {
                Ok(pause) => pause,
                Err(error) => self.suffer(error),
            };
            tokio::select! {
                biased;
                () = ended() => break,
                () = sleep(pause) => {}
            }
        }
        self.leave().await;
    }

    /// What the agent has of this service, once the endpoint serves.
    async fn look(&mut self) -> Result<Option<Known>, Error> {
        if !self.has_served {
            serving::check(&self.registration).await?;
            self.has_served = true;
        }
        match self.ask(Method::GET, format!("/v1/agent/service/{}", segment(&self.id)), Bytes::new()).await {
            Ok(answer) => self.understood(serde_json::from_slice(&answer.body)).map(Some),
            Err(Error::Answered { status: 404, .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn act(&mut self, known: Option<&Known>) -> Result<Duration, Error> {
        if let Decision::Register(status) = decide(known, &self.registration, self.has_registered) {
            self.has_tried = true;
            self.register(status).await?;
            match self.has_registered {
                false => info!(service.id = self.id, "registered"),
                true => warn!(service.id = self.id, "registered again: the agent had something else, or nothing"),
            }
            self.has_registered = true;
        }
        let mut pause = Duration::from_millis(self.registration.config.reconcile_ms);
        if let Some(ttl_ms) = self.registration.config.ttl_ms {
            self.beat().await?;
            pause = pause.min(Duration::from_millis(ttl_ms / 3));
        }
        self.backoff.reset();
        self.state.send_if_modified(|state| {
            let is_news = !matches!(state, RegistrationState::Registered);
            *state = RegistrationState::Registered;
            is_news
        });
        Ok(pause)
    }

    async fn register(&self, status: Status) -> Result<(), Error> {
        let body = self.understood(serde_json::to_vec(&self.registration.definition(status)))?;
        let path = "/v1/agent/service/register?replace-existing-checks=true".to_owned();
        self.ask(Method::PUT, path, body.into()).await.map(drop)
    }

    /// Keeps the second check alive.
    async fn beat(&mut self) -> Result<(), Error> {
        let path = format!("/v1/agent/check/update/{}", segment(&self.registration.ttl_check_id()));
        let body = self.understood(serde_json::to_vec(&Heartbeat { status: "passing" }))?;
        let beaten = self.ask(Method::PUT, path, body.into()).await.map(drop);
        if matches!(beaten, Err(Error::Answered { .. })) {
            // The agent does not know the check, though it knows the service.
            self.has_registered = false;
        }
        beaten
    }

    async fn ask(&self, method: Method, path: String, body: Bytes) -> Result<Answer, Error> {
        self.client.ask(AGENT, Ask { method, path, body, within: self.client.config().request_timeout() }).await
    }

    fn understood<T>(&self, read: serde_json::Result<T>) -> Result<T, Error> {
        read.map_err(|error| Error::Unreadable { agent: self.client.agent(AGENT).to_owned(), source: error.into() })
    }

    fn suffer(&mut self, error: Error) -> Duration {
        if !matches!(*self.state.borrow(), RegistrationState::Fault(_)) {
            warn!(service.id = self.id, error = chain(&error), "not registered for certain");
        }
        self.state.send_replace(RegistrationState::Fault(Arc::new(error)));
        self.backoff.pause(random())
    }

    /// Deregisters, and tries again for a while if it must.
    async fn leave(&mut self) {
        if !self.has_tried {
            self.state.send_replace(RegistrationState::Left);
            return;
        }
        let deadline = Instant::now() + LEAVE_WITHIN;
        let mut backoff = Backoff::new(Duration::from_millis(100), LEAVE_AGAIN_AFTER_MAX);
        loop {
            match self.deregister(deadline).await {
                Ok(()) => {
                    info!(service.id = self.id, "deregistered");
                    break;
                }
                Err(error) => {
                    self.state.send_replace(RegistrationState::Fault(Arc::new(error)));
                }
            }
            let pause = backoff.pause(random());
            if Instant::now() + pause >= deadline {
                warn!(service.id = self.id, "not deregistered: its check will tell");
                return;
            }
            sleep(pause).await;
        }
        self.state.send_replace(RegistrationState::Left);
    }

    async fn deregister(&self, deadline: Instant) -> Result<(), Error> {
        let path = format!("/v1/agent/service/deregister/{}", segment(&self.id));
        let within = deadline.saturating_duration_since(Instant::now());
        match self.client.ask(AGENT, Ask { method: Method::PUT, path, body: Bytes::new(), within }).await {
            Ok(_) | Err(Error::Answered { status: 404, .. }) => Ok(()),
            // What 1.8 says instead of 404.
            Err(Error::Answered { status: 500, text, .. }) if text.starts_with("Unknown service") => Ok(()),
            Err(error) => Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::SocketAddr;

    #[test]
    fn the_agent_is_told_what_it_does_not_know() {
        let bare = Registration::new("orders", SocketAddr::from(([10, 0, 0, 1], 1)));
        let in_zone = |zone: &str| Registration { zone: Some(zone.to_owned()), ..bare.clone() };
        let (wanted, right) = (in_zone("a"), Known::of(&in_zone("a")));
        let (other, less) = (Known::of(&in_zone("b")), Known::of(&bare));

        assert_eq!(decide(None, &wanted, false), Decision::Register(Status::Passing));
        assert_eq!(decide(None, &wanted, true), Decision::Register(Status::Passing), "it forgot");
        assert_eq!(decide(Some(&right), &wanted, false), Decision::Register(Status::Passing), "left behind by a crash");
        assert_eq!(decide(Some(&other), &wanted, true), Decision::Register(Status::AsBefore), "changed by somebody");
        assert_eq!(decide(Some(&less), &wanted, true), Decision::Register(Status::AsBefore), "a word is missing");
        assert_eq!(decide(Some(&right), &wanted, true), Decision::Nothing);
        assert_eq!(decide(Some(&right), &bare, true), Decision::Nothing, "a word more is none of ours");
    }
}
