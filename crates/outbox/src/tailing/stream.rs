//! The log as it comes: a line in the replication protocol, and what it brings for the outbox.

use super::batch::Item;
use super::mark::{self, Mark};
use super::pgoutput::{Change, Decoder};
use super::setback::Cut;
use pgwire_replication::config::TlsConfig;
use pgwire_replication::{Lsn, ReplicationClient, ReplicationConfig, ReplicationEvent};
use std::time::Duration;
use store::{PostgresAccess, PostgresTls};
use tokio::time::timeout;

/// How long opening a line may take, on one server.
const OPEN_WITHIN: Duration = Duration::from_secs(5);
/// How often the server is told at most how far the outbox is published: what a crash makes the next reader of the slot see again.
const TOLD_EVERY: Duration = Duration::from_millis(250);
/// Messages of the log read ahead by the line; a few, since the batch that is gathered bounds the bytes in memory.
const READ_AHEAD: usize = 64;
/// The longest message of the log. 64 MiB: no broker takes a larger one.
const MESSAGE_BYTES_MAX: usize = 64 << 20;

/// The log from where the slot stands on.
pub(super) struct Stream {
    client: ReplicationClient,
    decoder: Decoder,
    writer: String,
    /// What was confirmed.
    pub(super) confirmed: Option<Lsn>,
}

impl Stream {
    /// Opens it. Marks of `writer` are believed.
    pub(super) async fn open(access: &PostgresAccess, slot: &str, writer: &str) -> Result<Self, Cut> {
        let mut refused = Cut::Ended;
        // Only the primary has the slot.
        for (host, port) in &access.servers {
            match timeout(OPEN_WITHIN, start(configured(access, host, *port, slot))).await {
                Ok(Ok(client)) => {
                    let (decoder, writer) = (Decoder::default(), writer.to_owned());
                    return Ok(Stream { client, decoder, writer, confirmed: None });
                }
                Ok(Err(error)) => refused = error.into(),
                Err(_elapsed) => refused = Cut::NotOpened(OPEN_WITHIN),
            }
        }
        Err(refused)
    }

    /// Waits for the next thing that matters. Cancel safe: nothing is lost.
    pub(super) async fn next(&mut self) -> Result<Item, Cut> {
        loop {
            let event = self.client.recv().await?.ok_or(Cut::Ended)?;
            if let Some(item) = self.understand(event)? {
                return Ok(item);
            }
        }
    }

    /// Tells the server that everything below a place is published, so that it need not be kept.
    pub(super) fn confirm(&mut self, lsn: Lsn) {
        self.confirmed = self.confirmed.max(Some(lsn));
        self.client.update_applied_lsn(lsn);
    }

    fn understand(&mut self, event: ReplicationEvent) -> Result<Option<Item>, Cut> {
        Ok(match event {
            ReplicationEvent::XLogData { data, .. } => match self.decoder.decode(&data)? {
                Change::Row(row) => Some(Item::Row(row)),
                Change::Nothing => None,
            },
            // What a line says when it is idle: it has brought all that ends below.
            ReplicationEvent::KeepAlive { wal_end: lsn, .. } | ReplicationEvent::Commit { end_lsn: lsn, .. } => {
                Some(Item::Passed(lsn))
            }
            ReplicationEvent::Message { transactional: false, lsn, prefix, content } if prefix == mark::PREFIX => {
                Mark::parse(&content, &self.writer, lsn).map(Item::Marked)
            }
            ReplicationEvent::Message { .. } | ReplicationEvent::Begin { .. } => None,
            ReplicationEvent::StoppedAt { .. } => return Err(Cut::Ended),
        })
    }
}

async fn start(config: ReplicationConfig) -> Result<ReplicationClient, pgwire_replication::PgWireError> {
    let mut client = ReplicationClient::connect(config).await?;
    client.wait_started().await?;
    Ok(client)
}

fn configured(access: &PostgresAccess, host: &str, port: u16, slot: &str) -> ReplicationConfig {
    let password = access.password.as_deref().unwrap_or_default();
    ReplicationConfig::new(host, &access.user, password, &access.database, slot, "outbox_tail")
        .with_port(port)
        .with_tls(access.tls.as_ref().map_or_else(TlsConfig::disabled, |files| encryption(files, host)))
        .with_application_name("outbox tail")
        .with_binary(true)
        .with_status_interval(TOLD_EVERY)
        .with_buffer_size(READ_AHEAD)
        .with_max_message_size(MESSAGE_BYTES_MAX)
}

/// As the store does it: the certificate is checked, and that it names the host, which may be an address.
fn encryption(files: &PostgresTls, host: &str) -> TlsConfig {
    let tls = TlsConfig::verify_full(Some(files.ca_file.clone())).with_sni_hostname(host);
    match (&files.certificate_file, &files.key_file) {
        (Some(certificate), Some(key)) => tls.with_client_cert(certificate, key),
        (Some(_) | None, _) => tls,
    }
}
