//! Sends a command again when its reply is late.

use crate::{Config, Metrics, journal, obligation, rows};
use futures_util::future::join_all;
use lifecycle::{Drain, Rhythm};
use messaging::{Message, MessageId};
use std::time::Duration;
use store::{Change, Row, Statement, Store};
use tracing::{debug, warn};

const PERIOD: Duration = Duration::from_secs(1);

/// Runs the sweep of one store until it is asked to drain. A fault is logged and tried again.
pub async fn sweep(store: Store, config: Config, metrics: Metrics, drain: Drain) {
    let mut rhythm = Rhythm::every(PERIOD, drain);
    while rhythm.beat().await {
        match resend_due(&store, &config).await {
            Ok(0) => {}
            Ok(sent) => {
                metrics.sent_again(sent);
                debug!(commands = sent, "commands sent again");
            }
            Err(error) => warn!(error = &error as &dyn std::error::Error, "sweep failed"),
        }
    }
}

/// Appends a new attempt of each due command, unless an earlier one may still be in the outbox: while the relay is behind, sending again
/// would only make it more so. Returns how many.
async fn resend_due(store: &Store, config: &Config) -> Result<usize, store::Error> {
    let now_us = rows::now_us();
    let query = Statement::new(
        "SELECT effect_id, attempt, channel, key, kind, traceparent, payload FROM obligation
         WHERE due_us <= ?1 AND sent_us < ?2 ORDER BY due_us LIMIT ?3",
    );
    let any_due = Statement::new("SELECT effect_id FROM obligation WHERE due_us <= ?1 LIMIT 1").bind(now_us);
    if store.query(any_due).await?.is_empty() {
        return Ok(0);
    }
    let sent_before_us = journal::oldest_unpublished_us(store).await?.unwrap_or(i64::MAX);
    let due = store.query(query.bind(now_us).bind(sent_before_us).bind(config.resend_per_second)).await?;
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
