//! Makes commands due at once when there is reason to think that they will be answered now.
//!
//! After an outage the pauses between attempts have grown to an hour. The first reply after a silence says that the other side is back,
//! and a lost stream says that what it held must be sent again. The sweep sends what is due, at its own rate.

use crate::inbox::REPLY;
use crate::{Handle, Outcome, rows};
use messaging::Message;
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use store::{Change, Error, Statement, Store};
use tokio::time::Instant;
use tracing::{info, warn};

/// Obligations that one transaction makes due: some 50 ms.
const REVIVED_AT_ONCE: i64 = 5_000;
/// How long there was no reply before the next one is news.
const SILENCE: Duration = Duration::from_secs(10);
/// Kinds of replies that are told apart; a service has some ten.
const KINDS_MAX: usize = 256;

/// Makes all commands of a channel that wait for a reply due now. Returns how many were not.
///
/// # Errors
/// When the store cannot be written.
pub async fn revive(store: &Store, channel: &str) -> Result<usize, Error> {
    let sql = "UPDATE obligation SET due_us = ?1 WHERE effect_id IN
        (SELECT effect_id FROM obligation WHERE due_us > ?1 AND channel = ?3 LIMIT ?2)";
    again_and_again(store, |now_us| Statement::new(sql).bind(now_us).bind(REVIVED_AT_ONCE).bind(channel)).await
}

/// Makes all commands that wait for a reply due now. Returns how many were not.
///
/// # Errors
/// When the store cannot be written.
pub async fn revive_all(store: &Store) -> Result<usize, Error> {
    let sql = "UPDATE obligation SET due_us = ?1 WHERE effect_id IN
        (SELECT effect_id FROM obligation WHERE due_us > ?1 LIMIT ?2)";
    again_and_again(store, |now_us| Statement::new(sql).bind(now_us).bind(REVIVED_AT_ONCE)).await
}

/// Makes the commands due that wait beside this one, in its channel, and were sent again in vain.
async fn revive_beside(store: &Store, effect_id: &str) -> Result<usize, Error> {
    let sql = "UPDATE obligation SET due_us = ?1 WHERE effect_id IN
        (SELECT effect_id FROM obligation WHERE due_us > ?1 AND attempt > 1
         AND channel = (SELECT channel FROM obligation WHERE effect_id = ?3) LIMIT ?2)";
    again_and_again(store, |now_us| Statement::new(sql).bind(now_us).bind(REVIVED_AT_ONCE).bind(effect_id)).await
}

/// Commits a statement until it finds nothing more to do; it ends, since what is due at one moment stays so.
async fn again_and_again(store: &Store, statement: impl Fn(i64) -> Statement) -> Result<usize, Error> {
    let now_us = rows::now_us();
    let mut all = 0;
    loop {
        let mut change = Change::new();
        change.push(statement(now_us));
        let revived = store.commit(change).await?.rows.into_iter().sum::<usize>();
        all += revived;
        if revived < usize::try_from(REVIVED_AT_ONCE).unwrap_or(usize::MAX) {
            return Ok(all);
        }
    }
}

/// Passes replies on to a handler, and revives what waits in the channel of a command when its reply is the first of its kind in 10 s.
#[derive(Debug)]
pub struct Reviving<H> {
    store: Store,
    handler: H,
    heard: Mutex<HashMap<String, Instant>>,
}

impl<H: Handle> Reviving<H> {
    /// Watches the replies that `handler` takes in; `store` is where it settles them.
    #[must_use]
    pub fn new(store: Store, handler: H) -> Self {
        Reviving { store, handler, heard: Mutex::default() }
    }

    /// Whether nothing of this kind was heard for a while, which includes that it never was.
    fn breaks_a_silence(&self, kind: &str) -> bool {
        let mut heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        if heard.len() >= KINDS_MAX && !heard.contains_key(kind) {
            return false;
        }
        let before = heard.insert(kind.to_owned(), Instant::now());
        before.is_none_or(|at| at.elapsed() >= SILENCE)
    }
}

impl<H: Handle> Handle for Reviving<H> {
    async fn handle(&self, reply: &Message) -> Outcome {
        if let Some(command) = reply.effect_id.strip_suffix(REPLY)
            && self.breaks_a_silence(&reply.kind)
        {
            match revive_beside(&self.store, command).await {
                Ok(0) => {}
                Ok(revived) => info!(reply.kind, revived, "replies came again after a silence"),
                // They come due by themselves, only later.
                Err(error) => warn!(error = &error as &dyn std::error::Error, "obligations could not be revived"),
            }
        }
        self.handler.handle(reply).await
    }
}
