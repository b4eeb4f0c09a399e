//! What streams and consumers must be like.
//!
//! Settings are JSON objects rather than the client's types, so that what a newer server knows and this program does not survives an
//! update: only what is named here is ever changed.

use super::config::JetStreamConfig;
use super::names;
use crate::{Channel, Keeps};
use serde_json::{Map, Value, json};
use std::time::Duration;

/// How long the broker recognises a message id. It keeps each in memory, so longer costs; a publisher repeats within seconds.
const DUPLICATE_WINDOW: Duration = Duration::from_secs(120);

/// Messages that a consumer may hold unacknowledged: 1,024 x ~1 KiB = 1 MiB, as in the embedded bus.
pub(super) const UNACKNOWLEDGED_MAX: usize = 1024;

/// Settings by name, as JetStream has them in its requests and answers.
pub(super) type Settings = Map<String, Value>;

/// The stream of a channel.
///
/// Limits retention rather than a work queue: what is acknowledged stays, so duplicates are recognised after a restart of the broker,
/// and any number of consumers may come later.
pub(super) fn stream(config: &JetStreamConfig, channel: &Channel) -> Settings {
    let keeps_last = channel.keeps == Keeps::LastOfEachKey;
    let kept = Duration::from_secs(u64::from(config.kept_hours) * 3_600);
    settings(json!({
        "name": names::stream(&config.prefix, channel.name),
        "subjects": [names::subjects(&config.prefix, channel.name)],
        "retention": "limits",
        "storage": "file",
        "num_replicas": config.replicas,
        // A full stream refuses, and so the outbox keeps; to discard the oldest would be to lose them silently.
        "discard": match channel.keeps {
            Keeps::UntilAcknowledged | Keeps::LastOfEachKey => "new",
            Keeps::ForSubscribers => "old",
        },
        "max_age": if keeps_last { 0 } else { nanoseconds(kept) },
        "max_bytes": config.stream_bytes_max.map_or(-1, |bytes| i64::try_from(bytes).unwrap_or(i64::MAX)),
        "max_msgs": -1,
        "max_msgs_per_subject": if keeps_last { 1 } else { -1 },
        "max_msg_size": -1,
        "max_consumers": -1,
        "duplicate_window": nanoseconds(DUPLICATE_WINDOW),
        "allow_direct": true,
        "no_ack": false,
    }))
}

/// The durable consumer with this name.
pub(super) fn consumer(config: &JetStreamConfig, name: &str) -> Settings {
    settings(json!({
        "name": name,
        "durable_name": name,
        "deliver_policy": "all",
        "replay_policy": "instant",
        "ack_policy": "explicit",
        "ack_wait": nanoseconds(Duration::from_millis(config.ack_wait_ms)),
        "backoff": [],
        // Who gives up a message parks it and says so; the broker must not.
        "max_deliver": -1,
        "max_ack_pending": UNACKNOWLEDGED_MAX,
        "filter_subject": "",
        "filter_subjects": [],
        "headers_only": false,
        // A service may be away for as long as it likes.
        "inactive_threshold": 0,
    }))
}

/// The first thing in which something is not what it must be.
pub(super) fn difference(wanted: &Settings, is: &Settings) -> Option<String> {
    let is_other = |(name, value): &(&String, &Value)| meaning(Some(value)) != meaning(is.get(name.as_str()));
    let (name, value) = wanted.iter().find(is_other)?;
    let found = is.get(name).map_or_else(|| "not set".to_owned(), Value::to_string);
    Some(format!("{name} is {found} and must be {value}"))
}

/// What something must be like that exists: what we have no opinion about, such as the placement, stays as it is.
pub(super) fn merged(wanted: &Settings, mut is: Settings) -> Settings {
    is.extend(wanted.clone());
    is
}

/// Nothing, for what a server may as well leave out: nothing, no, and no limit.
fn meaning(value: Option<&Value>) -> Option<&Value> {
    value.filter(|value| match value {
        Value::Null => false,
        Value::Bool(is_set) => *is_set,
        Value::Number(number) => number.as_i64().is_none_or(|number| number > 0),
        Value::String(text) => !text.is_empty(),
        Value::Array(values) => !values.is_empty(),
        Value::Object(values) => !values.is_empty(),
    })
}

fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

fn settings(value: Value) -> Settings {
    match value {
        Value::Object(settings) => settings,
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => Settings::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ORDERS: Channel = Channel { name: "orders", keeps: Keeps::UntilAcknowledged, consumers: &[] };

    fn check(is: Value, difference_from_one: Option<&str>) {
        let wanted = settings(json!({ "max_bytes": -1, "no_ack": false, "discard": "new", "backoff": [] }));
        assert_eq!(difference(&wanted, &settings(is)).as_deref(), difference_from_one);
    }

    #[test]
    fn what_a_server_leaves_out_or_adds_is_no_difference() {
        check(json!({ "discard": "new" }), None);
        check(json!({ "discard": "new", "max_bytes": 0, "no_ack": null, "placement": { "cluster": "here" } }), None);
    }

    #[test]
    fn a_difference_is_named() {
        check(json!({ "discard": "old" }), Some(r#"discard is "old" and must be "new""#));
        check(json!({}), Some(r#"discard is not set and must be "new""#));
        check(json!({ "discard": "new", "max_bytes": 5 }), Some("max_bytes is 5 and must be -1"));
    }

    #[test]
    fn an_update_keeps_what_this_program_does_not_know() {
        let is = settings(json!({ "discard": "old", "of_a_newer_server": 7 }));

        let update = merged(&stream(&JetStreamConfig::default(), &ORDERS), is);

        assert_eq!((&update["discard"], &update["of_a_newer_server"]), (&json!("new"), &json!(7)));
    }

    #[test]
    fn a_channel_that_keeps_the_last_of_each_key_keeps_it_for_ever() {
        let menus = Channel { keeps: Keeps::LastOfEachKey, ..ORDERS };

        let of_menus = stream(&JetStreamConfig::default(), &menus);

        assert_eq!((&of_menus["max_msgs_per_subject"], &of_menus["max_age"]), (&json!(1), &json!(0)));
    }
}
