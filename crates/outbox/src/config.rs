//! How fast the outbox moves and how patient it is.

use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize};
use std::time::Duration;
use store::Dialect;

/// Who moves messages from the outbox to the bus.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Publisher {
    /// This process reads the outbox, woken by its own commits and now and then by itself.
    #[default]
    Polling,
    /// This process reads the log of the server, and polls when it cannot. PostgreSQL only.
    Tailing,
    /// Another process does, in the role `relay`.
    None,
}

impl Publisher {
    /// What an outbox that was switched to it notes; empty: nothing.
    pub(crate) fn as_switch(self) -> &'static str {
        match self {
            Publisher::Polling => "polling",
            Publisher::Tailing => "tailing",
            Publisher::None => "",
        }
    }

    /// What an outbox was switched to.
    pub(crate) fn switched_to(switch: &str) -> Option<Self> {
        [Publisher::Polling, Publisher::Tailing].into_iter().find(|publisher| publisher.as_switch() == switch)
    }
}

/// A publisher that the database does not have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("publisher \"tailing\" needs PostgreSQL: SQLite has no log that can be tailed; use \"polling\"")]
pub struct NoLog;

/// Times are in milliseconds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Who publishes. `polling`: works with every database and needs no other process.
    pub publisher: Publisher,
    /// How long the relay sleeps at most when nothing wakes it. 1,000: commits of this process wake it at once; this is for all others,
    /// and while they keep coming it looks within milliseconds.
    #[serde(deserialize_with = "positive")]
    pub poll_ms: u64,
    /// Bytes of its log that the server may keep for a relay that tails and does not keep up; beyond, the relay polls and they are dropped.
    /// 1,073,741,824 (1 GiB): some minutes of a busy database with the broker down, and little beside any disk that carries one.
    #[serde(deserialize_with = "positive")]
    pub log_retained_bytes_max: u64,
    /// How long a relay polls that had to fall back before it tails again. 60,000: what makes it fall back is mended by hand, or passes with
    /// an outage.
    pub tail_again_ms: u64,
    /// When a command is sent again for the first time, and by how much a later one must have overtaken it. 5,000: many times what a healthy
    /// service takes to reply.
    #[serde(deserialize_with = "positive")]
    pub resend_first_ms: u64,
    /// The longest pause between two attempts; the pause doubles until then. 3,600,000: two days of silence cost about 60 attempts.
    pub resend_max_ms: u64,
    /// Commands sent again per second at most. 1,000: the 10,000 commands that a lost stream held are on their way again within 10 s, and
    /// a service that comes back after an outage, which handles some thousands per second, has most of its time for what is new.
    #[serde(deserialize_with = "positive")]
    pub resend_per_second: u32,
    /// How long a consumer remembers what it replied. 604,800,000 (7 days): longer than any message is on its way.
    pub inbox_kept_ms: u64,
    /// Keys that one consumer handles at once. 256: as many as share a flush of the disk; with 64, replies fell behind the intake.
    #[serde(deserialize_with = "positive")]
    pub handled_at_once: usize,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            publisher: Publisher::Polling,
            poll_ms: 1_000,
            log_retained_bytes_max: 1 << 30,
            tail_again_ms: 60_000,
            resend_first_ms: 5_000,
            resend_max_ms: 3_600_000,
            resend_per_second: 1_000,
            inbox_kept_ms: 604_800_000,
            handled_at_once: 256,
        }
    }
}

impl Config {
    /// Looks whether a database can be published from as configured.
    ///
    /// # Errors
    /// When it has no log that could be tailed.
    pub fn fits(&self, dialect: Dialect) -> Result<(), NoLog> {
        match (self.publisher, dialect) {
            (Publisher::Tailing, Dialect::Sqlite) => Err(NoLog),
            (Publisher::Tailing, Dialect::Postgres) | (Publisher::Polling | Publisher::None, _) => Ok(()),
        }
    }

    /// How long an answer may take before anything is made of it.
    pub(crate) fn patience(&self) -> Duration {
        Duration::from_millis(self.resend_first_ms)
    }

    /// The pause before the attempt after `attempt`, which counts from 1. `noise` spreads it by a fifth in both directions, so that
    /// what failed together does not come again together.
    #[must_use]
    pub fn resend_after(&self, attempt: u32, noise: u8) -> Duration {
        let doubled =
            self.resend_first_ms.saturating_mul(1_u64.checked_shl(attempt.saturating_sub(1)).unwrap_or(u64::MAX));
        let pause = doubled.min(self.resend_max_ms);
        let spread = pause / 5;
        Duration::from_millis(pause - spread + 2 * spread * u64::from(noise) / 255)
    }
}

/// Refuses 0, with which a task would spin or stand still.
fn positive<'de, D: Deserializer<'de>, T: Deserialize<'de> + PartialOrd + From<u8>>(number: D) -> Result<T, D::Error> {
    let number = T::deserialize(number)?;
    if number < T::from(1) { Err(D::Error::custom("must be at least 1")) } else { Ok(number) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pause_doubles_up_to_its_limit() {
        let config = Config { resend_first_ms: 1_000, resend_max_ms: 4_000, ..Config::default() };
        let middle = |attempt| config.resend_after(attempt, 128).as_millis();

        assert!((900..=1_100).contains(&middle(1)), "{}", middle(1));
        assert!((1_800..=2_200).contains(&middle(2)), "{}", middle(2));
        assert!((3_600..=4_400).contains(&middle(3)), "{}", middle(3));
        assert!((3_600..=4_400).contains(&middle(1_000)), "{}", middle(1_000));
    }

    #[test]
    fn noise_spreads_the_pause_by_a_fifth() {
        let config = Config::default();

        assert_eq!(config.resend_after(1, 0), Duration::from_millis(4_000));
        assert_eq!(config.resend_after(1, 255), Duration::from_millis(6_000));
    }

    #[test]
    fn zero_is_refused_where_it_would_stop_the_work() {
        for key in ["poll_ms", "log_retained_bytes_max", "resend_first_ms", "resend_per_second", "handled_at_once"] {
            let error = serde_json::from_str::<Config>(&format!(r#"{{"{key}": 0}}"#)).unwrap_err();

            assert!(error.to_string().contains("must be at least 1"), "{error}");
        }
    }

    #[test]
    fn the_publisher_is_named_in_lower_case() {
        let config: Config = serde_json::from_str(r#"{"publisher": "none"}"#).unwrap();

        assert_eq!(config, Config { publisher: Publisher::None, ..Config::default() });
    }

    #[test]
    fn only_postgresql_has_a_log_to_tail() {
        let config = Config { publisher: Publisher::Tailing, ..Config::default() };

        assert_eq!(config.fits(Dialect::Sqlite), Err(NoLog));
        assert_eq!(config.fits(Dialect::Postgres), Ok(()));
        assert_eq!(Config::default().fits(Dialect::Sqlite), Ok(()));
    }

    #[test]
    fn what_is_switched_to_is_read_back() {
        for publisher in [Publisher::Polling, Publisher::Tailing] {
            assert_eq!(Publisher::switched_to(publisher.as_switch()), Some(publisher));
        }
        assert_eq!(Publisher::switched_to(Publisher::None.as_switch()), None);
    }

    #[test]
    fn a_misspelt_key_is_refused() {
        let error = serde_json::from_str::<Config>(r#"{"pol_ms": 1}"#).unwrap_err();

        assert!(error.to_string().contains("unknown field `pol_ms`"), "{error}");
    }
}
