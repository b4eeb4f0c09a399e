//! The lines to NATS: how they are opened, and which servers will do.

use super::config::JetStreamConfig;
use super::fault::Fault;
use crate::Error;
use async_nats::rustls::crypto::{CryptoProvider, aws_lc_rs};
use async_nats::{Client, ConnectOptions, Event};
use std::path::Path;
use std::time::Duration;
use tokio::sync::watch;
use tracing::{info, warn};

/// How long one server may take to greet.
const GREETING_WITHIN: Duration = Duration::from_secs(2);

/// A line that is silent for twice this long is given up: together with a missing heartbeat, a dead line is noticed within 15 s.
const PING_INTERVAL: Duration = Duration::from_secs(5);

/// The oldest server that keeps all the settings of a stream and of a consumer; older ones drop what they do not know.
const OLDEST: (u64, u64) = (2, 12);

/// Where a line leads that must not come back: nobody can listen on port 0.
const NOWHERE: &str = "nats://127.0.0.1:0";

/// How a line does.
#[derive(Debug, Clone, Default)]
pub(super) struct Health {
    /// Counts what happened to the line: connected, lost, connected again.
    pub(super) changes: u64,
    /// Whether the line was lost once.
    pub(super) was_lost: bool,
    /// What the server complained about last, such as a missing permission.
    pub(super) complaint: Option<String>,
}

/// A line that comes back by itself, and is not yet there when this returns.
pub(super) async fn lasting(config: &JetStreamConfig) -> Result<(Client, watch::Receiver<Health>), Error> {
    let (options, health) = options(config, "").await?;
    let client = options.retry_on_initial_connect().connect(config.servers.as_slice()).await;
    Ok((client.map_err(|error| wrong_servers(&error))?, health))
}

/// A line that is there when this returns and, once lost, stays lost: what was written to it and not stored by then is never stored.
pub(super) async fn mortal(config: &JetStreamConfig) -> Result<(Client, watch::Receiver<Health>), Fault> {
    let (options, health) = options(config, " publisher").await.map_err(|error| Fault::Unsupported(chain(&error)))?;
    // Each server is tried once; without an end, the client would look for its lost server for ever.
    let options = options.max_reconnects(config.servers.len());
    let client = options.connect(config.servers.as_slice()).await.map_err(|error| Fault::Away(Some(error)))?;
    client.set_server_pool(NOWHERE).await.map_err(|error| Fault::Broken(Some(error.to_string())))?;
    Ok((client, health))
}

/// Refuses a server that would drop settings or refuse messages.
pub(super) fn supported(client: &Client, config: &JetStreamConfig) -> Result<(), Fault> {
    // A server's greeting is known a moment after the connection is.
    let server = client.try_server_info().ok_or(Fault::Away(None))?;
    if version(&server.version).is_none_or(|version| version < OLDEST) {
        let (major, minor) = OLDEST;
        let what = format!("NATS server {} is too old: at least {major}.{minor} is needed", server.version);
        return Err(Fault::Unsupported(what));
    }
    if server.max_payload < config.payload_bytes_max {
        return Err(Fault::Unsupported(format!(
            "the NATS server takes messages of {} bytes, and {} are needed: raise max_payload in its configuration, or lower \
             payload_bytes_max here",
            server.max_payload, config.payload_bytes_max
        )));
    }
    Ok(())
}

async fn options(config: &JetStreamConfig, role: &str) -> Result<(ConnectOptions, watch::Receiver<Health>), Error> {
    choose_cryptography();
    let (sender, health) = watch::channel(Health::default());
    let mut options = ConnectOptions::new()
        .name(format!("{}{role}", config.name))
        // Of its own, so that a server can keep programs from reading what was delivered to others.
        .custom_inbox_prefix(format!("_INBOX.{}", config.name))
        .connection_timeout(GREETING_WITHIN)
        .request_timeout(Some(Duration::from_millis(config.request_timeout_ms)))
        .ping_interval(PING_INTERVAL)
        // Subjects are made in `names`, which knows what they may hold.
        .skip_subject_validation(true)
        .event_callback(move |event| {
            note(&sender, &event);
            async {}
        });
    if let (Some(user), Some(file)) = (&config.user, &config.password_file) {
        options = options.user_and_password(user.clone(), secret(file).await?);
    }
    if let Some(file) = &config.nkey_seed_file {
        options = options.nkey(secret(file).await?);
    }
    if let Some(path) = &config.credentials_file {
        let text = secret(path).await?;
        let failed = |source: std::io::Error| Error::File { path: path.clone(), source: source.into() };
        options = options.credentials(&text).map_err(failed)?;
    }
    if let Some(tls) = &config.tls {
        options = options.require_tls(true);
        if let Some(file) = &tls.ca_file {
            options = options.add_root_certificates(file.clone());
        }
        if let (Some(certificate), Some(key)) = (&tls.certificate_file, &tls.key_file) {
            options = options.add_client_certificate(certificate.clone(), key.clone());
        }
    }
    Ok((options, health))
}

/// The client panics when a process has several providers of cryptography in it and has chosen none.
fn choose_cryptography() {
    if CryptoProvider::get_default().is_none() {
        // Who is faster has chosen as well.
        drop(aws_lc_rs::default_provider().install_default());
    }
}

fn note(health: &watch::Sender<Health>, event: &Event) {
    match event {
        Event::Connected => info!("connected to NATS"),
        Event::Disconnected | Event::Closed => warn!("lost the connection to NATS"),
        Event::ServerError(error) => warn!(%error, "NATS complained"),
        Event::ClientError(_) | Event::LameDuckMode | Event::Draining | Event::SlowConsumer(_) => {}
    }
    health.send_modify(|health| match event {
        Event::Connected => health.changes += 1,
        Event::Disconnected | Event::Closed => {
            health.changes += 1;
            health.was_lost = true;
        }
        Event::ServerError(error) => health.complaint = Some(error.to_string()),
        Event::ClientError(error) => health.complaint = Some(error.to_string()),
        Event::LameDuckMode | Event::Draining | Event::SlowConsumer(_) => {}
    });
}

async fn secret(path: &Path) -> Result<String, Error> {
    let owned = path.to_owned();
    let failed = |source: crate::error::Source| Error::File { path: path.to_owned(), source };
    let read = tokio::task::spawn_blocking(move || std::fs::read_to_string(owned)).await;
    let text = read.map_err(|error| failed(error.into()))?.map_err(|error| failed(error.into()))?;
    Ok(text.trim_end().to_owned())
}

fn wrong_servers(error: &async_nats::ConnectError) -> Error {
    Error::Settings { what: format!("servers: {}", chain(error)) }
}

/// An error with all its reasons.
pub(super) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text = format!("{text}: {error}");
        source = error.source();
    }
    text
}

fn version(text: &str) -> Option<(u64, u64)> {
    let mut numbers = text.split('.');
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}
