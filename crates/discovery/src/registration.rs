//! Registration as a reconciler: what the agent knows of this process is compared with what it should know, again and again.

mod address;
mod definition;
mod reconcile;
mod serving;

pub use definition::{Registration, RegistrationConfig};

use crate::consul::Client;
use crate::{Error, Gone};
use lifecycle::{Drain, Tasks};
use reconcile::Reconciler;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::sleep;

/// What is known of a registration.
#[derive(Debug, Clone)]
pub enum RegistrationState {
    /// It is not registered yet: Consul, or the process itself, has not answered so far.
    Waiting,
    /// The agent knows it as it should be.
    Registered,
    /// What the agent knows cannot be told or put right now; it is tried again.
    Fault(Arc<Error>),
    /// It is deregistered.
    Left,
}

/// An endpoint that is kept registered. Dropping it changes nothing: then the drain of its tasks deregisters it.
#[derive(Debug)]
pub struct Registered {
    id: Arc<str>,
    leave: Drain,
    state: watch::Receiver<RegistrationState>,
    propagation: Duration,
}

pub(crate) fn start(client: Arc<Client>, tasks: &mut Tasks, registration: Registration) -> Result<Registered, Error> {
    registration.check(client.agent(0))?;
    let leave = Drain::new();
    let (sender, state) = watch::channel(RegistrationState::Waiting);
    let propagation = Duration::from_millis(registration.config.propagation_ms);
    let id: Arc<str> = registration.id().into();
    let reconciler = Reconciler::new(client, registration, sender);
    tasks.spawn("consul-registration", reconciler.run(leave.clone(), tasks.drain_request()));
    Ok(Registered { id, leave, state, propagation })
}

impl Registered {
    /// What the registration is called.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// How it stands now.
    #[must_use]
    pub fn state(&self) -> RegistrationState {
        self.state.borrow().clone()
    }

    /// Waits until the state is another one. Cancel safe: a change is not missed.
    ///
    /// # Errors
    /// When nobody keeps it registered any more.
    pub async fn changed(&mut self) -> Result<(), Gone> {
        self.state.changed().await.map_err(|_| Gone)
    }

    /// Waits until it is registered. Cancel safe: nothing is lost.
    ///
    /// # Errors
    /// When nobody keeps it registered any more.
    pub async fn registered(&mut self) -> Result<(), Gone> {
        let is_registered = |state: &RegistrationState| matches!(state, RegistrationState::Registered);
        self.state.wait_for(is_registered).await.map(drop).map_err(|_| Gone)
    }

    /// The first thing of a shutdown: deregisters, and waits until clients have heard of it. Then the caller says `NOT_SERVING`, finishes
    /// what it has begun, and ends. Cancel safe: once it has been polled, the endpoint is deregistered whether or not somebody waits.
    ///
    /// # Errors
    /// Why the agent could not be told within 5 s; it finds out by its check.
    pub async fn deregister(self) -> Result<(), Error> {
        self.deregister_unless(std::future::pending()).await
    }

    /// As [`Registered::deregister`], but does not wait for anything any more when `hurry` is done, such as a second signal.
    ///
    /// # Errors
    /// As [`Registered::deregister`].
    pub async fn deregister_unless(mut self, hurry: impl Future<Output = ()>) -> Result<(), Error> {
        self.leave.request();
        let leave = async {
            let left = |state: &RegistrationState| matches!(state, RegistrationState::Left);
            // The reconciler ends when it has tried long enough, and its last state says why it failed.
            let has_left = self.state.wait_for(left).await.is_ok();
            if has_left {
                sleep(self.propagation).await;
            }
            has_left
        };
        let has_left = tokio::select! {
            biased;
            () = hurry => true,
            has_left = leave => has_left,
        };
        match (has_left, self.state.borrow().clone()) {
            (false, RegistrationState::Fault(error)) => {
                Err(Error::NotDeregistered { id: self.id.to_string(), source: error })
            }
            _ => Ok(()),
        }
    }
}
