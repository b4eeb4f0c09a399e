//! A connection to NATS, and how it does.

use super::fault::Fault;
use async_nats::connection::State;
use async_nats::{Client, Event};
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::timeout;
use tracing::{debug, info, warn};

/// How often a line that is awaited is looked at: the client tells of its end of a wait a moment before it shows it.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// A connection. Clones are the same one.
#[derive(Debug, Clone)]
pub(super) struct Line {
    pub(super) client: Client,
    health: watch::Receiver<Health>,
}

/// What happened to a line so far.
#[derive(Debug, Clone, Default)]
pub(super) struct Health {
    losses: u64,
    complaints: u64,
    /// What the server complained about last, such as a missing permission, or why there is no connection.
    complaint: Option<String>,
}

/// A moment in the life of a line.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Moment {
    losses: u64,
    complaints: u64,
}

impl Line {
    pub(super) fn new(client: Client, health: watch::Receiver<Health>) -> Self {
        Line { client, health }
    }

    pub(super) fn is_connected(&self) -> bool {
        self.client.connection_state() == State::Connected
    }

    pub(super) fn check_connected(&self) -> Result<(), Fault> {
        if self.is_connected() { Ok(()) } else { Err(Fault::Away(self.complaint())) }
    }

    /// Waits until there is a connection. Cancel safe.
    pub(super) async fn connected(&self) {
        let mut health = self.health.clone();
        while !self.is_connected() {
            // Whether it was told or not, it looks.
            drop(timeout(LOOK_EVERY, health.changed()).await);
        }
    }

    pub(super) fn now(&self) -> Moment {
        let Health { losses, complaints, .. } = *self.health.borrow();
        Moment { losses, complaints }
    }

    pub(super) fn was_lost_since(&self, moment: Moment) -> bool {
        self.health.borrow().losses > moment.losses
    }

    /// What the server complained about last, or why there is no connection.
    pub(super) fn complaint(&self) -> Option<String> {
        self.health.borrow().complaint.clone()
    }

    /// Waits until the line is lost, or the server complains about something that `concerns` the caller. Cancel safe.
    pub(super) async fn trouble(&self, since: Moment, concerns: impl Fn(&str) -> bool) -> Fault {
        let mut health = self.health.clone();
        let is_trouble = |health: &Health| {
            let complaint = health.complaint.as_deref().filter(|_| health.complaints > since.complaints);
            health.losses > since.losses || complaint.is_some_and(&concerns)
        };
        match health.wait_for(is_trouble).await {
            Ok(health) if health.losses > since.losses => Fault::Broken(health.complaint.clone()),
            Ok(health) => Fault::Forbidden(health.complaint.clone().unwrap_or_default()),
            Err(_closed) => Fault::Broken(None),
        }
    }
}

/// Notes what the client tells of its line.
pub(super) fn note(health: &watch::Sender<Health>, event: &Event) {
    match event {
        Event::Connected => {
            info!("connected to NATS");
            health.send_modify(|health| health.complaint = None);
        }
        Event::Disconnected => {
            warn!("lost the connection to NATS");
            health.send_modify(|health| health.losses += 1);
        }
        Event::Closed => health.send_modify(|health| health.losses += 1),
        Event::ServerError(error) => {
            let complaint = error.to_string().trim_start_matches("nats: ").to_owned();
            // A complaint for each of many messages differs in what it quotes.
            let unquoted = |text: &str| text.split('"').next().unwrap_or_default().to_owned();
            if health.borrow().complaint.as_deref().map(unquoted) == Some(unquoted(&complaint)) {
                debug!(complaint, "NATS complained again");
            } else {
                warn!(complaint, "NATS complained");
            }
            health.send_modify(|health| {
                health.complaints += 1;
                health.complaint = Some(complaint);
            });
        }
        Event::ClientError(error) => {
            let complaint = error.to_string().trim_start_matches("nats: ").to_owned();
            health.send_modify(|health| health.complaint = Some(complaint));
        }
        Event::LameDuckMode | Event::Draining | Event::SlowConsumer(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use async_nats::ServerError;

    fn complaint_after(events: &[Event]) -> Option<String> {
        let (sender, health) = watch::channel(Health::default());
        for event in events {
            note(&sender, event);
        }
        health.borrow().complaint.clone()
    }

    #[test]
    fn a_complaint_is_remembered_until_there_is_a_connection() {
        let events =
            [Event::ServerError(ServerError::Other("forbidden".to_owned())), Event::Disconnected, Event::Connected];

        assert_eq!(complaint_after(&events[..1]).as_deref(), Some("forbidden"));
        assert_eq!(complaint_after(&events[..2]).as_deref(), Some("forbidden"));
        assert_eq!(complaint_after(&events), None);
    }
}
