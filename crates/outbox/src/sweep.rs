//! Sends a command again when its reply is late.

use crate::answers::Answers;
use crate::{Config, Metrics, journal, obligation, rows};
use futures_util::future::join_all;
use lifecycle::{Drain, Rhythm};
use messaging::{Message, MessageId};
use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};
use store::{Change, Row, Statement, Store};
use tracing::{debug, warn};

const PERIOD: Duration = Duration::from_secs(1);
/// Looks that are remembered of the time for which a command is left alone.
const LOOKS: u32 = 16;

macro_rules! due {
    ($those:literal) => {
        concat!(
            "SELECT effect_id, attempt, channel, key, kind, traceparent, payload FROM obligation
             WHERE due_us <= ?1 AND sent_us < ?2 AND ",
            $those,
            " ORDER BY due_us LIMIT ?3"
        )
    };
}

/// In a channel that has answered what was sent later. What is due since it was written was lost, and nobody will answer it.
const OVERTAKEN: &str = due!("channel = ?4 AND (sent_us < ?5 OR due_us = since_us)");
/// In none of the channels that are listed, each on a line of its own.
const SILENT: &str = due!("replace(?4, '\n' || channel || '\n', '') = ?4");

/// Runs the sweep of one store until it is asked to drain; `answers`: what is heard from those who answer. A fault is logged and tried
/// again.
pub async fn sweep(store: Store, config: Config, answers: Answers, metrics: Metrics, drain: Drain) {
    let mut rhythm = Rhythm::every(PERIOD, drain);
    let mut progress = Progress::new(config.patience());
    while rhythm.beat().await {
        match resend_due(&store, &config, &answers, &mut progress).await {
            Ok(0) => {}
            Ok(sent) => {
                metrics.sent_again(sent);
                debug!(commands = sent, "commands sent again");
            }
            Err(error) => warn!(error = &error as &dyn std::error::Error, "sweep failed"),
        }
    }
}

/// How far the relay has come, as it was seen over a while.
///
/// A reply can be late only when the other side has had the command for a while. A backlog that is published after an outage is old when it
/// arrives: sent again at once, it came twice to a service that had all of it to catch up with, and kept it busy for a minute.
#[derive(Debug)]
struct Progress {
    patience: Duration,
    /// When it was seen, and that all was published then which had been written before this, in microseconds since 1970.
    seen: VecDeque<(Instant, i64)>,
}

impl Progress {
    fn new(patience: Duration) -> Self {
        Progress { patience, seen: VecDeque::new() }
    }

    /// Notes what is seen now. What was written before the result has been published for long enough; `None`: that is not known.
    fn see(&mut self, now: Instant, published_before_us: i64) -> Option<i64> {
        if self.seen.back().is_none_or(|(then, _)| now.duration_since(*then) >= self.patience / LOOKS) {
            self.seen.push_back((now, published_before_us));
        }
        let is_old = |seen: &(Instant, i64)| now.duration_since(seen.0) >= self.patience;
        while self.seen.get(1).is_some_and(is_old) {
            self.seen.pop_front();
        }
        let old = self.seen.front().filter(|seen| is_old(seen));
        // A replay sets the relay back.
        old.map(|(_, then_us)| published_before_us.min(*then_us))
    }
}

/// Appends a new attempt of each due command, unless an earlier one may still be in the outbox or on its way: while the relay or the other
/// side is behind, sending again would only make it more so. Returns how many.
async fn resend_due(
    store: &Store,
    config: &Config,
    answers: &Answers,
    progress: &mut Progress,
) -> Result<usize, store::Error> {
    let now_us = rows::now_us();
    let first_due = Statement::new("SELECT due_us FROM obligation ORDER BY due_us LIMIT 1");
    let Some(first_due_us) = store.query(first_due).await?.first_mut().map(|row| row.take::<i64>(0)).transpose()?
    else {
        return Ok(0);
    };
    let published_before_us = journal::oldest_unpublished_us(store).await?.unwrap_or(now_us);
    let Some(sent_before_us) = progress.see(Instant::now(), published_before_us) else { return Ok(0) };
    if first_due_us > now_us {
        return Ok(0);
    }
    let due = Due { now_us, sent_before_us, patience_us: rows::micros(config.patience()) };
    let due = due.read(store, &answers.lately(Instant::now()), config.resend_per_second).await?;
    let changes: Result<Vec<Change>, store::Error> =
        due.into_iter().map(|row| next_attempt(row, now_us, config)).collect();
    let mut sent = 0;
    // Handed in together, they share a few commits.
    for result in join_all(changes?.into_iter().map(|change| store.commit(change))).await {
        match result {
            Ok(_) => sent += 1,
            // The reply came meanwhile.
            Err(store::Error::Conflict { .. }) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(sent)
}

/// What is to be sent again.
struct Due {
    now_us: i64,
    /// What was sent before is published for long enough.
    sent_before_us: i64,
    patience_us: i64,
}

impl Due {
    /// The longest due of those that were overtaken, whose channel has answered what was sent later, and of those whose channel is silent.
    /// The rest is still on its way, or waits its turn at the other side. `answered`: channels, and how far they are.
    async fn read(
        &self,
        store: &Store,
        answered: &HashMap<String, i64>,
        rows_max: u32,
    ) -> Result<Vec<Row>, store::Error> {
        let query = |sql: Statement, rows: usize| {
            let left = rows_max.saturating_sub(u32::try_from(rows).unwrap_or(u32::MAX));
            sql.bind(self.now_us).bind(self.sent_before_us).bind(left)
        };
        let mut due = Vec::new();
        for (channel, answered_us) in answered {
            let query = query(Statement::new(OVERTAKEN), due.len()).bind(channel.as_str());
            due.extend(store.query(query.bind(answered_us.saturating_sub(self.patience_us))).await?);
        }
        let heard: String = answered.keys().map(|channel| format!("\n{channel}\n")).collect();
        let query = query(Statement::new(SILENT), due.len());
        due.extend(store.query(query.bind(heard)).await?);
        Ok(due)
    }
}

fn next_attempt(mut row: Row, now_us: i64, config: &Config) -> Result<Change, store::Error> {
    let (effect_id, attempt): (String, i64) = (row.take(0)?, row.take(1)?);
    let command = Message {
        id: MessageId::generate(),
        effect_id,
        channel: row.take(2)?,
        key: row.take(3)?,
        kind: row.take(4)?,
        causation_id: None,
        traceparent: row.take(5)?,
        created_us: now_us,
        payload: row.take(6)?,
    };
    let pause =
        config.resend_after(u32::try_from(attempt).unwrap_or(u32::MAX).saturating_add(1), obligation::noise(&command));
    let mut change = Change::new();
    let sql = "UPDATE obligation SET attempt = attempt + 1, due_us = ?3, message_id = ?4, sent_us = ?5 WHERE effect_id = ?1 AND attempt = ?2";
    change.push(
        Statement::new(sql)
            .bind(command.effect_id.as_str())
            .bind(attempt)
            .bind(now_us.saturating_add(rows::micros(pause)))
            .bind(command.id.to_bytes())
            .bind(now_us)
            .expecting(1, "the command still waits for its reply"),
    );
    crate::append(&mut change, &command);
    Ok(change)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_just_been_published_has_time_to_be_answered() {
        let begun = Instant::now();
        let at = |seconds: u64| begun + Duration::from_secs(seconds);
        let mut progress = Progress::new(Duration::from_secs(5));

        // The bus is away, and what was written from 100 on waits for it.
        assert_eq!(progress.see(at(0), 100), None);
        assert_eq!(progress.see(at(6), 100), Some(100));
        // It is back, and all is published at once.
        assert_eq!(progress.see(at(7), 900), Some(100));
        assert_eq!(progress.see(at(11), 950), Some(100));
        assert_eq!(progress.see(at(12), 960), Some(900));
        // An operator has it all published again.
        assert_eq!(progress.see(at(13), 50), Some(50));
    }

    #[test]
    fn however_long_a_command_is_left_alone_no_more_is_remembered() {
        let begun = Instant::now();
        let mut progress = Progress::new(Duration::from_secs(3_600));

        for second in 0..10_000 {
            progress.see(begun + Duration::from_secs(second), 0);
        }

        assert!(progress.seen.len() <= LOOKS as usize + 2, "{}", progress.seen.len());
    }
}
