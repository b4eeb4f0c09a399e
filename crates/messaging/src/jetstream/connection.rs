//! Opens lines to NATS, and says which servers will do.

use super::config::JetStreamConfig;
use super::fault::{Fault, chain};
use super::identity;
use super::line::{Line, note};
use crate::Error;
use async_nats::rustls::crypto::{CryptoProvider, aws_lc_rs};
use async_nats::{AuthError, Client, ConnectError, ConnectErrorKind, ConnectOptions};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::timeout;
use tracing::warn;

/// How long the start waits for a broker, to name what is wrong with it at once if it is there.
const GREETED_WITHIN: Duration = Duration::from_secs(1);

/// How long one server may take to greet.
const GREETING_WITHIN: Duration = Duration::from_secs(2);

/// A line that is silent for twice this long is given up: together with a missing heartbeat, a dead line is noticed within 15 s.
const PING_INTERVAL: Duration = Duration::from_secs(5);

/// The longest pause between two attempts to connect, so that work goes on a second after the broker is back.
const CONNECT_AGAIN_AFTER_MAX: Duration = Duration::from_secs(1);

/// The oldest server that keeps all the settings of a stream and of a consumer; older ones drop what they do not know.
const OLDEST: (u64, u64) = (2, 12);

/// Where a line leads that must not come back: nobody can listen on port 0.
const NOWHERE: &str = "nats://127.0.0.1:0";

/// A line that comes back by itself. If the broker is away, it is not yet there when this returns.
pub(super) async fn lasting(config: &Arc<JetStreamConfig>) -> Result<Line, Error> {
    identity::check(config).await?;
    let (options, health) = options(config, "");
    let refused: Option<ConnectError> = match timeout(GREETED_WITHIN, options.connect(&*config.servers)).await {
        Ok(Ok(client)) => return Ok(Line::new(client, health)),
        Ok(Err(error)) => Some(error),
        Err(_) => None,
    };
    if let Some(error) = refused {
        if error.kind() == ConnectErrorKind::ServerParse {
            return Err(Error::Settings { what: format!("servers: {}", chain(&error)) });
        }
        warn!(error = chain(&error), "NATS cannot be reached yet; looking for it");
    }
    let (options, health) = self::options(config, "");
    let client = options.retry_on_initial_connect().connect(&*config.servers).await;
    let client = client.map_err(|error| Error::Settings { what: format!("servers: {}", chain(&error)) })?;
    Ok(Line::new(client, health))
}

/// A line that is there when this returns and, once lost, stays lost: what was written to it and not stored by then is never stored.
pub(super) async fn mortal(config: &Arc<JetStreamConfig>) -> Result<Line, Fault> {
    let (options, health) = options(config, " publisher");
    // Each server is tried once; without an end, the client would look for its lost server for ever.
    let options = options.max_reconnects(config.servers.len());
    let client = options.connect(&*config.servers).await.map_err(|error| Fault::Away(Some(chain(&error))))?;
    client.set_server_pool(NOWHERE).await.map_err(|error| Fault::Broken(Some(error.to_string())))?;
    Ok(Line::new(client, health))
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

fn options(config: &Arc<JetStreamConfig>, role: &str) -> (ConnectOptions, watch::Receiver<super::line::Health>) {
    choose_cryptography();
    let (sender, health) = watch::channel(super::line::Health::default());
    let owned = config.clone();
    let identify = move |nonce: Vec<u8>| {
        let config = owned.clone();
        async move { identity::identify(&config, &nonce).await.map_err(|error| AuthError::new(chain(&error))) }
    };
    let mut options = ConnectOptions::with_auth_callback(identify)
        .name(format!("{}{role}", config.name))
        // Of its own, so that a server can keep programs from reading what was delivered to others.
        .custom_inbox_prefix(format!("_INBOX.{}", config.name))
        .connection_timeout(GREETING_WITHIN)
        .reconnect_delay_callback(pause_before)
        .ping_interval(PING_INTERVAL)
        // Subjects are made in `names`, which knows what they may hold.
        .skip_subject_validation(true)
        .event_callback(move |event| {
            note(&sender, &event);
            async {}
        });
    if let Some(tls) = &config.tls {
        options = options.require_tls(true);
        if let Some(file) = &tls.ca_file {
            options = options.add_root_certificates(file.clone());
        }
        if let (Some(certificate), Some(key)) = (&tls.certificate_file, &tls.key_file) {
            options = options.add_client_certificate(certificate.clone(), key.clone());
        }
    }
    (options, health)
}

/// The client panics when a process has several providers of cryptography in it and has chosen none.
fn choose_cryptography() {
    if CryptoProvider::get_default().is_none() {
        // Who is faster has chosen as well.
        drop(aws_lc_rs::default_provider().install_default());
    }
}

fn pause_before(attempt: usize) -> Duration {
    let exponent = u32::try_from(attempt.saturating_sub(1)).unwrap_or(u32::MAX);
    match exponent {
        0 => Duration::ZERO,
        _ => Duration::from_millis(2_u64.saturating_pow(exponent)).min(CONNECT_AGAIN_AFTER_MAX),
    }
}

fn version(text: &str) -> Option<(u64, u64)> {
    let mut numbers = text.split('.');
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pauses_between_attempts_grow_to_a_second() {
        let pauses = [1, 2, 5, 40].map(|attempt| pause_before(attempt).as_millis());

        assert_eq!(pauses, [0, 2, 16, 1_000]);
    }

    #[test]
    fn a_version_has_two_numbers_that_count() {
        assert_eq!(version("2.12.0-preview.1"), Some((2, 12)));
        assert_eq!(version("v2"), None);
    }
}
