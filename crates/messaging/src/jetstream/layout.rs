//! Streams and consumers: what they must be like, and how they become so.

use super::config::JetStreamConfig;
use super::fault::Fault;
use super::names;
use crate::{Channel, Keeps};
use async_nats::jetstream::ErrorCode;
use async_nats::jetstream::consumer::{self, AckPolicy, DeliverPolicy, ReplayPolicy};
use async_nats::jetstream::context::{Context, ContextBuilder, RequestErrorKind};
use async_nats::jetstream::response::Response;
use async_nats::jetstream::stream::{self, DiscardPolicy, RetentionPolicy, StorageType};
use async_nats::{Client, connection::State};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::Duration;

/// How long the broker recognises a message id. It keeps each in memory, so longer costs; a publisher repeats within seconds.
const DUPLICATE_WINDOW: Duration = Duration::from_secs(120);

/// Messages that a consumer may hold unacknowledged: 1,024 x ~1 KiB = 1 MiB, as in the embedded bus.
pub(super) const UNACKNOWLEDGED_MAX: usize = 1024;

/// Requests to JetStream over one line.
#[derive(Debug, Clone)]
pub(super) struct Layout {
    pub(super) client: Client,
    context: Context,
    config: Arc<JetStreamConfig>,
}

#[derive(Serialize)]
struct CreateConsumer<'a> {
    stream_name: &'a str,
    config: &'a consumer::Config,
    action: &'static str,
}

/// What is asked with nothing to say: `{}`. A server refuses `null`.
#[derive(Serialize)]
struct Nothing {}

#[derive(Deserialize)]
struct Deleted {
    #[serde(rename = "success")]
    _success: bool,
}

impl Layout {
    pub(super) fn over(client: Client, config: Arc<JetStreamConfig>) -> Self {
        let timeout = Duration::from_millis(config.request_timeout_ms);
        let context = ContextBuilder::new().timeout(timeout).build(client.clone());
        Layout { client, context, config }
    }

    /// Creates the stream of a channel, or makes it what it must be. Safe to repeat.
    pub(super) async fn ensure_stream(&self, channel: &Channel) -> Result<stream::Info, Fault> {
        let name = names::stream(&self.config.prefix, channel.name);
        let wanted = self.stream_config(channel);
        let mut info = match self.stream(channel).await? {
            Some(info) => info,
            None => match self.request(format!("STREAM.CREATE.{name}"), &wanted).await {
                // Somebody else was faster.
                Err(Fault::Refused(error)) if error.error_code() == ErrorCode::STREAM_NAME_EXIST => {
                    self.stream(channel).await?.ok_or_else(|| Fault::NobodyThere(name.clone()))?
                }
                created => created?,
            },
        };
        if differs(&wanted, &info.config).is_some() {
            // What we have no opinion about, such as the placement, stays as it is.
            let update = merged(&wanted, info.config);
            info = self.request(format!("STREAM.UPDATE.{name}"), &update).await.map_err(|fault| match fault {
                Fault::Refused(error) => {
                    Fault::Differs { what: format!("stream {name}"), difference: error.to_string() }
                }
                other => other,
            })?;
        }
        match differs(&wanted, &info.config) {
            Some(difference) => Err(Fault::Differs { what: format!("stream {name}"), difference }),
            None => Ok(info),
        }
    }

    /// Creates a durable consumer, or makes it what it must be. Safe to repeat.
    pub(super) async fn ensure_consumer(&self, channel: &Channel, consumer: &str) -> Result<consumer::Info, Fault> {
        let stream = names::stream(&self.config.prefix, channel.name);
        let wanted = self.consumer_config(consumer);
        let what = || format!("consumer {consumer} of stream {stream}");
        if let Some(info) = self.consumer(channel, consumer).await?
            && consumer_differs(&wanted, &info.config).is_none()
        {
            return Ok(info);
        }
        let create = CreateConsumer { stream_name: &stream, config: &wanted, action: "" };
        let created = self.request(format!("CONSUMER.CREATE.{stream}.{consumer}"), &create).await;
        let info: consumer::Info = created.map_err(|fault| match fault {
            Fault::Refused(error) if error.error_code() == ErrorCode::CONSUMER_CREATE => {
                Fault::Differs { what: what(), difference: error.to_string() }
            }
            other => other,
        })?;
        match consumer_differs(&wanted, &info.config) {
            Some(difference) => Err(Fault::Differs { what: what(), difference }),
            None => Ok(info),
        }
    }

    /// The stream of a channel as it is; `None` if there is none.
    pub(super) async fn stream(&self, channel: &Channel) -> Result<Option<stream::Info>, Fault> {
        let name = names::stream(&self.config.prefix, channel.name);
        found(self.request(format!("STREAM.INFO.{name}"), &Nothing {}).await)
    }

    /// A consumer as it is; `None` if there is none.
    pub(super) async fn consumer(&self, channel: &Channel, consumer: &str) -> Result<Option<consumer::Info>, Fault> {
        let stream = names::stream(&self.config.prefix, channel.name);
        found(self.request(format!("CONSUMER.INFO.{stream}.{consumer}"), &Nothing {}).await)
    }

    /// Deletes a consumer, and with it what it remembers.
    pub(super) async fn delete_consumer(&self, channel: &Channel, consumer: &str) -> Result<(), Fault> {
        let stream = names::stream(&self.config.prefix, channel.name);
        let deleted: Result<Deleted, Fault> =
            self.request(format!("CONSUMER.DELETE.{stream}.{consumer}"), &Nothing {}).await;
        found(deleted).map(|_| ())
    }

    async fn request<T: Serialize, V: DeserializeOwned>(&self, subject: String, body: &T) -> Result<V, Fault> {
        if self.client.connection_state() != State::Connected {
            return Err(Fault::Away(None));
        }
        match self.context.request(subject, body).await {
            Ok(Response::Ok(answer)) => Ok(answer),
            Ok(Response::Err { error }) => Err(Fault::Refused(error)),
            Err(error) => Err(match error.kind() {
                RequestErrorKind::NoResponders => Fault::NobodyThere("requests".to_owned()),
                RequestErrorKind::TimedOut => Fault::TimedOut(u128::from(self.config.request_timeout_ms)),
                RequestErrorKind::InvalidSubject | RequestErrorKind::Other => {
                    Fault::Answer(super::connection::chain(&error))
                }
            }),
        }
    }

    /// Limits retention rather than a work queue: what is acknowledged stays, so duplicates are recognised after a restart of the
    /// broker, and any number of consumers may come later.
    fn stream_config(&self, channel: &Channel) -> stream::Config {
        let keeps_last = channel.keeps == Keeps::LastOfEachKey;
        let kept = Duration::from_secs(u64::from(self.config.kept_hours) * 3_600);
        stream::Config {
            name: names::stream(&self.config.prefix, channel.name),
            subjects: vec![names::subjects(&self.config.prefix, channel.name)],
            retention: RetentionPolicy::Limits,
            storage: StorageType::File,
            // A full stream refuses, and so the outbox keeps; to discard the oldest would be to lose them silently.
            discard: match channel.keeps {
                Keeps::UntilAcknowledged | Keeps::LastOfEachKey => DiscardPolicy::New,
                Keeps::ForSubscribers => DiscardPolicy::Old,
            },
            max_age: if keeps_last { Duration::ZERO } else { kept },
            max_bytes: self.config.stream_bytes_max.map_or(-1, |bytes| i64::try_from(bytes).unwrap_or(i64::MAX)),
            max_messages: -1,
            max_messages_per_subject: if keeps_last { 1 } else { -1 },
            max_message_size: -1,
            max_consumers: -1,
            num_replicas: usize::from(self.config.replicas),
            duplicate_window: DUPLICATE_WINDOW,
            allow_direct: true,
            ..stream::Config::default()
        }
    }

    fn consumer_config(&self, consumer: &str) -> consumer::Config {
        consumer::Config {
            name: Some(consumer.to_owned()),
            durable_name: Some(consumer.to_owned()),
            deliver_policy: DeliverPolicy::All,
            ack_policy: AckPolicy::Explicit,
            ack_wait: Duration::from_millis(self.config.ack_wait_ms),
            // Who gives up a message parks it and says so; the broker must not.
            max_deliver: -1,
            replay_policy: ReplayPolicy::Instant,
            max_ack_pending: i64::try_from(UNACKNOWLEDGED_MAX).unwrap_or(i64::MAX),
            ..consumer::Config::default()
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

fn merged(wanted: &stream::Config, existing: stream::Config) -> stream::Config {
    stream::Config {
        subjects: wanted.subjects.clone(),
        retention: wanted.retention,
        storage: wanted.storage,
        discard: wanted.discard,
        discard_new_per_subject: wanted.discard_new_per_subject,
        max_age: wanted.max_age,
        max_bytes: wanted.max_bytes,
        max_messages: wanted.max_messages,
        max_messages_per_subject: wanted.max_messages_per_subject,
        max_message_size: wanted.max_message_size,
        max_consumers: wanted.max_consumers,
        num_replicas: wanted.num_replicas,
        duplicate_window: wanted.duplicate_window,
        allow_direct: wanted.allow_direct,
        ..existing
    }
}

/// The first thing in which a stream is not what it must be.
fn differs(wanted: &stream::Config, is: &stream::Config) -> Option<String> {
    let unlimited = |number: i64| if number <= 0 { -1 } else { number };
    first_difference([
        ("subjects", format!("{:?}", wanted.subjects), format!("{:?}", is.subjects)),
        ("retention", format!("{:?}", wanted.retention), format!("{:?}", is.retention)),
        ("storage", format!("{:?}", wanted.storage), format!("{:?}", is.storage)),
        ("discard", format!("{:?}", wanted.discard), format!("{:?}", is.discard)),
        ("max_age", format!("{:?}", wanted.max_age), format!("{:?}", is.max_age)),
        ("max_bytes", unlimited(wanted.max_bytes).to_string(), unlimited(is.max_bytes).to_string()),
        ("max_msgs", unlimited(wanted.max_messages).to_string(), unlimited(is.max_messages).to_string()),
        (
            "max_msgs_per_subject",
            unlimited(wanted.max_messages_per_subject).to_string(),
            unlimited(is.max_messages_per_subject).to_string(),
        ),
        ("replicas", wanted.num_replicas.to_string(), is.num_replicas.to_string()),
        ("duplicate_window", format!("{:?}", wanted.duplicate_window), format!("{:?}", is.duplicate_window)),
        ("allow_direct", wanted.allow_direct.to_string(), is.allow_direct.to_string()),
    ])
}

fn consumer_differs(wanted: &consumer::Config, is: &consumer::Config) -> Option<String> {
    first_difference([
        ("durable_name", format!("{:?}", wanted.durable_name), format!("{:?}", is.durable_name)),
        ("deliver_policy", format!("{:?}", wanted.deliver_policy), format!("{:?}", is.deliver_policy)),
        ("ack_policy", format!("{:?}", wanted.ack_policy), format!("{:?}", is.ack_policy)),
        ("ack_wait", format!("{:?}", wanted.ack_wait), format!("{:?}", is.ack_wait)),
        ("max_deliver", wanted.max_deliver.to_string(), is.max_deliver.to_string()),
        ("max_ack_pending", wanted.max_ack_pending.to_string(), is.max_ack_pending.to_string()),
        ("filter_subject", wanted.filter_subject.clone(), is.filter_subject.clone()),
        ("deliver_subject", format!("{:?}", wanted.deliver_subject), format!("{:?}", is.deliver_subject)),
    ])
}

fn first_difference<const N: usize>(values: [(&str, String, String); N]) -> Option<String> {
    let mut values = values.into_iter();
    let (name, wanted, is) = values.find(|(_, wanted, is)| wanted != is)?;
    Some(format!("{name} is {is} and must be {wanted}"))
}
