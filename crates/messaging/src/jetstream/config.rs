//! How NATS JetStream is reached and used.

use super::names;
use crate::Error;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// Settings of the JetStream adapter. Secrets are read from files only.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct JetStreamConfig {
    /// Addresses of NATS servers; the others of their cluster are learned. Default: a server beside this program.
    pub servers: Vec<String>,
    /// The first part of the names of streams and subjects, so that several platforms can share a server. Default: `comanda`.
    pub prefix: String,
    /// What this program calls itself, to NATS and in the source of its messages; with the name `order`, its answers come to subjects
    /// below `_INBOX.order`. Default: `comanda`.
    pub name: String,
    /// Copies of each message. Default: 1, for one server; 3 where there are three.
    pub replicas: u8,
    /// The user, if NATS asks for a name and a password.
    pub user: Option<String>,
    /// The file with the password.
    pub password_file: Option<PathBuf>,
    /// The file with a user's JWT and seed (`.creds`).
    pub credentials_file: Option<PathBuf>,
    /// The file with the seed of an nkey.
    pub nkey_seed_file: Option<PathBuf>,
    /// Encryption; without it only if the server asks for it, and then with the certificates of the machine.
    pub tls: Option<JetStreamTls>,
    /// How long messages are kept, read or not. Default: 72 hours, so that a service may be away over a weekend.
    pub kept_hours: u32,
    /// The size of a stream at which it takes no more. Default: none, since such a size is reserved in advance and the server's
    /// `max_file_store` bounds all streams together.
    pub stream_bytes_max: Option<u64>,
    /// The largest message, with its headers, that must be carried. Default: 4 MiB, a large menu; a server allows 1 MiB unless its
    /// `max_payload` says more.
    pub payload_bytes_max: usize,
    /// How long the broker may take to acknowledge the next message of a batch. Default: 5 s, longer than the election of a leader.
    pub publish_timeout_ms: u64,
    /// How long a request to set something up, or to look at it, may take. Default: 5 s, for the same reason.
    pub request_timeout_ms: u64,
    /// When a message comes again of which nothing was heard. Default: 10 s; a consumer that holds a message says so every third of
    /// it, so only what a killed process held waits that long.
    pub ack_wait_ms: u64,
}

impl Default for JetStreamConfig {
    fn default() -> Self {
        JetStreamConfig {
            servers: vec!["nats://127.0.0.1:4222".to_owned()],
            prefix: "comanda".to_owned(),
            name: "comanda".to_owned(),
            replicas: 1,
            user: None,
            password_file: None,
            credentials_file: None,
            nkey_seed_file: None,
            tls: None,
            kept_hours: 72,
            stream_bytes_max: None,
            payload_bytes_max: 4 * 1024 * 1024,
            publish_timeout_ms: 5_000,
            request_timeout_ms: 5_000,
            ack_wait_ms: 10_000,
        }
    }
}

impl JetStreamConfig {
    pub(super) fn check(&self) -> Result<(), Error> {
        let wrong = |what: String| Err(Error::Settings { what });
        if self.servers.is_empty() {
            return wrong("servers names none".to_owned());
        }
        // It would be shown wherever the address is; and the client does not use it.
        if self.servers.iter().any(|server| server.contains('@')) {
            return wrong("servers takes addresses only; name the user in user and password_file".to_owned());
        }
        if !names::is_name(&self.prefix) || !names::is_name(&self.name) {
            return wrong("prefix and name take letters, digits, - and _".to_owned());
        }
        if ![1, 3, 5].contains(&self.replicas) {
            return wrong(format!("replicas is {}, and can be 1, 3 or 5", self.replicas));
        }
        if self.user.is_some() != self.password_file.is_some() {
            return wrong("user and password_file belong together".to_owned());
        }
        let identities =
            [self.user.is_some(), self.credentials_file.is_some(), self.nkey_seed_file.is_some()].into_iter();
        if identities.filter(|is_set| *is_set).count() > 1 {
            return wrong("only one of user, credentials_file and nkey_seed_file can be used".to_owned());
        }
        if let Some(tls) = &self.tls
            && tls.certificate_file.is_some() != tls.key_file.is_some()
        {
            return wrong("tls.certificate_file and tls.key_file belong together".to_owned());
        }
        let waits = [self.publish_timeout_ms, self.request_timeout_ms, self.ack_wait_ms, u64::from(self.kept_hours)];
        if waits.contains(&0) {
            return wrong("a time must be longer than 0".to_owned());
        }
        Ok(())
    }
}

/// How the line to NATS is encrypted.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct JetStreamTls {
    /// The certificates that servers are trusted by. Default: those of the machine.
    pub ca_file: Option<PathBuf>,
    /// This program's own certificate, if NATS asks for one.
    pub certificate_file: Option<PathBuf>,
    /// The key to it.
    pub key_file: Option<PathBuf>,
}
