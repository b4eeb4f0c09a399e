//! Makes commands due at once when there is reason to think that they will be answered now.
//!
//! After an outage the pauses between attempts have grown to an hour. The first reply after a silence says that the other side is back,
//! and a lost stream says that what it held must be sent again. The sweep sends what is due, at its own rate.

use crate::answers::Answers;
use crate::inbox::REPLY;
use crate::{Handle, Outcome, rows};
use messaging::Message;
use std::time::Instant;
use store::{Change, Error, Statement, Store};
use tracing::{info, warn};

/// Obligations that one transaction makes due: some 50 ms.
const REVIVED_AT_ONCE: i64 = 5_000;

/// Makes all commands that wait for a reply due now, whatever was answered: what was sent is lost. Returns how many were not.
///
/// # Errors
/// When the store cannot be written.
pub async fn revive(store: &Store) -> Result<usize, Error> {
    let sql = "UPDATE obligation SET due_us = since_us WHERE effect_id IN
        (SELECT effect_id FROM obligation WHERE due_us > since_us LIMIT ?1)";
    again_and_again(store, || Statement::new(sql).bind(REVIVED_AT_ONCE)).await
}

/// Makes the commands of a channel due that were sent again in vain.
async fn revive_repeated(store: &Store, channel: &str) -> Result<usize, Error> {
    let now_us = rows::now_us();
    let sql = "UPDATE obligation SET due_us = ?2 WHERE effect_id IN
        (SELECT effect_id FROM obligation WHERE due_us > ?2 AND attempt > 1 AND channel = ?3 LIMIT ?1)";
    again_and_again(store, || Statement::new(sql).bind(REVIVED_AT_ONCE).bind(now_us).bind(channel)).await
}

/// Commits a statement until it finds nothing more to do, which it must by itself.
async fn again_and_again(store: &Store, statement: impl Fn() -> Statement) -> Result<usize, Error> {
    let mut all = 0;
    loop {
        let mut change = Change::new();
        change.push(statement());
        let revived = store.commit(change).await?.rows.into_iter().sum::<usize>();
        all += revived;
        if revived < usize::try_from(REVIVED_AT_ONCE).unwrap_or(usize::MAX) {
            return Ok(all);
        }
    }
}

/// Passes replies on to a handler, after it has noted what they tell of the other side. The first reply of its kind in 10 s says that it is
/// back: then what was sent to it in vain is due.
#[derive(Debug)]
pub struct Reviving<H> {
    store: Store,
    answers: Answers,
    handler: H,
}

impl<H: Handle> Reviving<H> {
    /// Watches the replies that `handler` takes in; `store` is where it settles them.
    #[must_use]
    pub fn new(store: Store, answers: Answers, handler: H) -> Self {
        Reviving { store, answers, handler }
    }

    async fn hear(&self, command: &str, reply: &Message) -> Result<(), Error> {
        let news = self.answers.hear(reply, Instant::now(), rows::now_us());
        if !news.breaks_silence && !news.is_of_unknown_channel {
            return Ok(());
        }
        let query = Statement::new("SELECT channel FROM obligation WHERE effect_id = ?1").bind(command);
        // It may be settled already.
        let Some(row) = &mut self.store.query(query).await?.pop() else { return Ok(()) };
        let channel: String = row.take(0)?;
        self.answers.come_from(&reply.kind, &channel);
        if news.breaks_silence {
            let revived = revive_repeated(&self.store, &channel).await?;
            if revived > 0 {
                info!(reply.kind, revived, "replies came again after a silence");
            }
        }
        Ok(())
    }
}

impl<H: Handle> Handle for Reviving<H> {
    async fn handle(&self, reply: &Message) -> Outcome {
        if let Some(command) = reply.effect_id.strip_suffix(REPLY)
            && let Err(error) = self.hear(command, reply).await
        {
            // They come due by themselves, only later.
            warn!(error = &error as &dyn std::error::Error, "obligations could not be revived");
        }
        self.handler.handle(reply).await
    }
}
