//! Makes, shows and deletes streams and consumers, over one line.

use super::config::JetStreamConfig;
use super::fault::Fault;
use super::layout::{self, Settings};
use super::line::Line;
use super::names;
use crate::Channel;
use async_nats::Request;
use async_nats::client::RequestErrorKind;
use async_nats::jetstream::ErrorCode;
use async_nats::jetstream::response::Response;
use jiff::Timestamp;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};
use std::sync::Arc;
use std::time::Duration;

/// Asks JetStream. Clones ask over the same line.
#[derive(Debug, Clone)]
pub(super) struct Manager {
    pub(super) line: Line,
    config: Arc<JetStreamConfig>,
}

/// A stream as it is.
#[derive(Debug, Deserialize)]
pub(super) struct Stream {
    config: Settings,
    created: String,
    pub(super) state: StreamState,
}

#[derive(Debug, Deserialize)]
pub(super) struct StreamState {
    pub(super) messages: u64,
    /// The newest message that there ever was.
    #[serde(rename = "last_seq")]
    pub(super) last_sequence: u64,
}

/// A consumer as it is.
#[derive(Debug, Deserialize)]
pub(super) struct Consumer {
    config: Settings,
    /// The mark of its life.
    pub(super) created: String,
    /// Up to where messages were handed to anybody.
    pub(super) delivered: Position,
    /// Up to where everything is acknowledged.
    pub(super) ack_floor: Position,
    /// Messages not yet handed to anybody.
    #[serde(rename = "num_pending")]
    pub(super) waiting: u64,
    /// Messages handed to somebody and not acknowledged.
    #[serde(rename = "num_ack_pending")]
    pub(super) held: usize,
}

/// A place in a stream.
#[derive(Debug, Deserialize)]
pub(super) struct Position {
    #[serde(rename = "stream_seq")]
    pub(super) sequence: u64,
}

#[derive(Deserialize)]
struct Deleted {
    #[serde(rename = "success")]
    _success: bool,
}

impl Stream {
    /// When it began, in microseconds since 1970.
    pub(super) fn created_us(&self) -> Result<i64, Fault> {
        let created: Result<Timestamp, jiff::Error> = self.created.parse();
        created.map(Timestamp::as_microsecond).map_err(|error| Fault::Answer(error.to_string()))
    }
}

impl Manager {
    pub(super) fn over(line: Line, config: Arc<JetStreamConfig>) -> Self {
        Manager { line, config }
    }

    /// Creates the stream of a channel, or makes it what it must be. Safe to repeat.
    pub(super) async fn ensure_stream(&self, channel: &Channel) -> Result<Stream, Fault> {
        let name = names::stream(&self.config.prefix, channel.name);
        let wanted = layout::stream(&self.config, channel);
        let is = match self.stream(channel).await? {
            Some(is) => is,
            None => match self.request("STREAM.CREATE", &name, &wanted).await {
                // Somebody else was faster.
                Err(Fault::Refused(error)) if error.error_code() == ErrorCode::STREAM_NAME_EXIST => {
                    self.stream(channel).await?.ok_or_else(|| Fault::NobodyThere(name.clone()))?
                }
                created => created?,
            },
        };
        let what = || format!("stream {name}");
        if layout::difference(&wanted, &is.config).is_none() {
            return Ok(is);
        }
        let update = layout::merged(&wanted, is.config);
        let updated = self.request("STREAM.UPDATE", &name, &update).await;
        let is: Stream = updated.map_err(|fault| unless_it_cannot_be(fault, ErrorCode::STREAM_INVALID_CONFIG, what))?;
        read_back(&wanted, &is.config, what)?;
        Ok(is)
    }

    /// Creates a durable consumer, or makes it what it must be. Safe to repeat.
    pub(super) async fn ensure_consumer(&self, channel: &Channel, name: &str) -> Result<Consumer, Fault> {
        let stream = names::stream(&self.config.prefix, channel.name);
        let wanted = layout::consumer(&self.config, name);
        let what = || format!("consumer {name} of stream {stream}");
        let config = match self.consumer(channel, name).await? {
            Some(is) if layout::difference(&wanted, &is.config).is_none() => return Ok(is),
            Some(is) => layout::merged(&wanted, is.config),
            None => wanted.clone(),
        };
        let mut request = Map::new();
        request.insert("stream_name".to_owned(), json!(stream));
        request.insert("config".to_owned(), Value::Object(config));
        let created = self.request("CONSUMER.CREATE", &format!("{stream}.{name}"), &request).await;
        let is: Consumer = created.map_err(|fault| unless_it_cannot_be(fault, ErrorCode::CONSUMER_CREATE, what))?;
        read_back(&wanted, &is.config, what)?;
        Ok(is)
    }

    /// The stream of a channel as it is; `None` if there is none.
    pub(super) async fn stream(&self, channel: &Channel) -> Result<Option<Stream>, Fault> {
        let name = names::stream(&self.config.prefix, channel.name);
        found(self.request("STREAM.INFO", &name, &Map::new()).await)
    }

    /// A consumer as it is; `None` if there is none.
    pub(super) async fn consumer(&self, channel: &Channel, name: &str) -> Result<Option<Consumer>, Fault> {
        let stream = names::stream(&self.config.prefix, channel.name);
        found(self.request("CONSUMER.INFO", &format!("{stream}.{name}"), &Map::new()).await)
    }

    /// Deletes a consumer, and with it what it remembers.
    pub(super) async fn delete_consumer(&self, channel: &Channel, name: &str) -> Result<(), Fault> {
        let stream = names::stream(&self.config.prefix, channel.name);
        let deleted: Result<Deleted, Fault> =
            self.request("CONSUMER.DELETE", &format!("{stream}.{name}"), &Map::new()).await;
        found(deleted).map(|_| ())
    }

    /// Fails at once when there is no line, and as soon as it is lost or the server forbids the request.
    async fn request<V: DeserializeOwned>(&self, verb: &str, of: &str, body: &Settings) -> Result<V, Fault> {
        self.line.check_connected()?;
        // Some requests may have no body at all.
        let body = if body.is_empty() { Vec::new() } else { Value::Object(body.clone()).to_string().into_bytes() };
        let within = Duration::from_millis(self.config.request_timeout_ms);
        let subject = format!("$JS.API.{verb}.{of}");
        let since = self.line.now();
        let request = Request::new().payload(body.into()).timeout(Some(within));
        let answer = tokio::select! {
            biased;
            answer = self.line.client.send_request(subject.clone(), request) => answer,
            fault = self.line.trouble(since, |complaint| complaint.contains(&subject)) => return Err(fault),
        };
        let answer = answer.map_err(|error| match error.kind() {
            RequestErrorKind::NoResponders => Fault::NobodyThere("requests".to_owned()),
            RequestErrorKind::TimedOut => Fault::TimedOut(within.as_millis()),
            RequestErrorKind::InvalidSubject | RequestErrorKind::MaxPayloadExceeded | RequestErrorKind::Other => {
                Fault::Answer(super::fault::chain(&error))
            }
        })?;
        match serde_json::from_slice(&answer.payload) {
            Ok(Response::Ok(answer)) => Ok(answer),
            Ok(Response::Err { error }) => Err(Fault::Refused(error)),
            Err(error) => Err(Fault::Answer(format!("to {subject}: {error}"))),
        }
    }
}

fn found<T>(answer: Result<T, Fault>) -> Result<Option<T>, Fault> {
    match answer {
        Ok(found) => Ok(Some(found)),
        Err(Fault::Refused(error))
            if matches!(error.error_code(), ErrorCode::STREAM_NOT_FOUND | ErrorCode::CONSUMER_NOT_FOUND) =>
        {
            Ok(None)
        }
        Err(fault) => Err(fault),
    }
}

/// What was refused with this code cannot become what it must be.
fn unless_it_cannot_be(fault: Fault, code: ErrorCode, what: impl Fn() -> String) -> Fault {
    match fault {
        Fault::Refused(error) if error.error_code() == code => {
            Fault::Differs { what: what(), difference: error.to_string() }
        }
        other => other,
    }
}

/// Servers say yes to settings that they do not know, and drop them.
fn read_back(wanted: &Settings, is: &Settings, what: impl Fn() -> String) -> Result<(), Fault> {
    match layout::difference(wanted, is) {
        Some(difference) => Err(Fault::Differs { what: what(), difference }),
        None => Ok(()),
    }
}
