//! Hands parked messages to the consumer again when an operator wants it.
//!
//! The wish stands in the database, so it does not matter which process the operator asked, nor whether that process lives on. One process
//! that runs the consumer takes a request at a time for itself, with a lease by the database's clock, and works off its keys: each from
//! its first message on, one after the other, until the key is empty and free or a message fails again. A message leaves the parking when
//! it has been handled, so a crash in between hands it over again; that is what effect ids are for.

use crate::clock::clocked;
use crate::consume::{Settled, Worker};
use crate::parking::legible;
use crate::{Handle, rows};
use futures_util::stream::{FuturesUnordered, iter};
use futures_util::{StreamExt, TryStreamExt};
use lifecycle::Rhythm;
use messaging::{Message, MessageId};
use std::collections::HashSet;
use std::time::Duration;
use store::{Change, Error, Statement};
use tokio::sync::Mutex;
use tokio::time::{Interval, MissedTickBehavior, interval, sleep, timeout};
use tracing::{error, info, warn};

/// How often a consumer looks for requests, and for keys that other processes have parked: one small query each.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How long a look may take, so that what is being redriven is not held up by it for longer than its lease can bear.
const LOOK_WITHIN: Duration = Duration::from_secs(2);
/// Requests that one process works off at once: an operator who is in a hurry does not wait for one who is not.
const REQUESTS_AT_ONCE: i64 = 4;
/// Keys of a request that are worked off at once: as many as keep a database busy beside what is delivered meanwhile.
const KEYS_AT_ONCE: usize = 8;
/// Keys that are read at once.
const KEYS_READ: i64 = 64;
/// How long a process has a request without saying that it still works on it. After a crash another one goes on then.
const LEASE: Duration = Duration::from_secs(10);
/// How often it says so: two sayings may fail.
const RENEWED_EVERY: Duration = Duration::from_secs(3);
/// The pause after the database failed.
const AGAIN_AFTER: Duration = Duration::from_millis(500);

/// What an operator wants to be redriven.
#[derive(Debug, Clone)]
struct Request {
    id: String,
    /// Messages per second at most; 0: as fast as they are handled.
    per_second: u32,
}

/// How the work on a request ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ended {
    /// None of its keys is left.
    Finished,
    /// The drain was requested.
    Drained,
}

/// What becomes of a key after one message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    /// There may be another message.
    Next,
    /// The request has nothing more to do with it.
    Over,
}

/// Works off requests, and keeps an eye on what other processes park, until the drain.
pub(crate) async fn run<H: Handle>(worker: &Worker<H>) {
    let redriver = Redriver { worker, owner: MessageId::generate().to_string() };
    let mut rhythm = Rhythm::every(LOOK_EVERY, worker.drain.clone());
    let (mut running, mut begun) = (FuturesUnordered::new(), HashSet::new());
    loop {
        tokio::select! {
            is_going_on = rhythm.beat() => {
                if !is_going_on {
                    break;
                }
                for request in redriver.look().await {
                    if begun.insert(request.id.clone()) {
                        running.push(redriver.serve(request));
                    }
                }
            }
            Some(id) = running.next() => {
                begun.remove(&id);
            }
        }
    }
    while running.next().await.is_some() {}
}

struct Redriver<'a, H> {
    worker: &'a Worker<H>,
    owner: String,
}

impl<H: Handle> Redriver<'_, H> {
    /// Requests that nobody works on, as far as there is room.
    async fn look(&self) -> Vec<Request> {
        let looked = async {
            self.worker.parking.look().await?;
            let query = clocked!(
                "SELECT request, per_second FROM parking_audit
                 WHERE consumer = ?1 AND action = 'redrive' AND finished_us IS NULL AND until_us <= ",
                " ORDER BY asked_us LIMIT ?2"
            );
            let rows =
                self.worker.parking.store().query(query.bind(self.worker.consumer).bind(REQUESTS_AT_ONCE)).await?;
            let request = |mut row: store::Row| {
                let (id, per_second) = (row.take(0)?, row.take::<i64>(1)?);
                Ok(Request { id, per_second: u32::try_from(per_second).unwrap_or_default() })
            };
            rows.into_iter().map(request).collect::<Result<Vec<_>, Error>>()
        };
        match timeout(LOOK_WITHIN, looked).await {
            Ok(Ok(requests)) => requests,
            Ok(Err(error)) => {
                warn!(
                    consumer = self.worker.consumer,
                    error = &error as &dyn std::error::Error,
                    "parking could not be read"
                );
                Vec::new()
            }
            Err(_elapsed) => {
                warn!(consumer = self.worker.consumer, "parking could not be read in time");
                Vec::new()
            }
        }
    }

    /// Takes a request and works it off, as long as this process has it. Returns its id.
    async fn serve(&self, request: Request) -> String {
        match self.take(&request).await {
            Ok(()) => {}
            Err(Error::Conflict { .. }) => return request.id,
            Err(error) => {
                warn!(error = &error as &dyn std::error::Error, "redrive could not be begun");
                return request.id;
            }
        }
        info!(consumer = self.worker.consumer, request = request.id, "redrive begun");
        let ended = tokio::select! {
            ended = self.work_off(&request) => Some(ended),
            () = self.renew(&request) => None,
        };
        let left = match ended {
            Some(Ended::Finished) => self.finish(&request).await,
            Some(Ended::Drained) => self.release(&request).await,
            None => return request.id,
        };
        match left {
            Ok(()) => info!(
                consumer = self.worker.consumer,
                request = request.id,
                is_finished = ended == Some(Ended::Finished),
                "redrive left"
            ),
            // Its lease runs out, and whoever takes it finds nothing to do.
            Err(error) => warn!(error = &error as &dyn std::error::Error, "redrive could not be closed"),
        }
        request.id
    }

    async fn work_off(&self, request: &Request) -> Ended {
        let pace = Pace::new(request.per_second);
        loop {
            match self.work_off_some(request, &pace).await {
                _ if self.worker.drain.is_requested() => return Ended::Drained,
                Ok(0) => return Ended::Finished,
                Ok(_) => {}
                Err(error) => {
                    warn!(error = &error as &dyn std::error::Error, "redrive interrupted");
                    sleep(AGAIN_AFTER).await;
                }
            }
        }
    }

    /// Works off some keys, several at once. Returns how many there were.
    async fn work_off_some(&self, request: &Request, pace: &Pace) -> Result<usize, Error> {
        let query =
            Statement::new("SELECT key FROM parked_key WHERE request = ?1 AND request <> '' ORDER BY key LIMIT ?2");
        let rows = self.worker.parking.store().query(query.bind(request.id.as_str()).bind(KEYS_READ)).await?;
        let keys: Vec<String> = rows.into_iter().map(|mut row| row.take(0)).collect::<Result<_, _>>()?;
        let count = keys.len();
        let work = async |key: String| {
            while !self.worker.drain.is_requested() && self.step(request, &key, pace).await? == Step::Next {}
            Ok(())
        };
        iter(keys.into_iter().map(Ok)).try_for_each_concurrent(KEYS_AT_ONCE, work).await?;
        Ok(count)
    }

    /// Hands the first message of a key to the consumer.
    async fn step(&self, request: &Request, key: &str, pace: &Pace) -> Result<Step, Error> {
        let Some(found) = self.first_of(request, key).await? else { return Ok(Step::Over) };
        let KeyState { version, upto, first, is_last } = found;
        let Some((number, message)) = first else { return self.set_free(request, key, version).await };
        if number > upto {
            let mut change = Change::new();
            change.push(self.leave(request, key));
            return self.worker.parking.store().commit(change).await.map(|_| Step::Over);
        }
        if !pace.next(&self.worker.drain).await {
            return Ok(Step::Over);
        }
        match self.worker.settle(&message).await {
            Settled::Undone => Ok(Step::Over),
            Settled::Done => {
                self.worker.metrics.redriven();
                let version = is_last.then_some(version);
                self.handled(request, key, number, version).await
            }
            Settled::Poison { why } => {
                error!(consumer = self.worker.consumer, message.id = %message.id, message.kind, error = why, "message stays parked");
                self.failed(request, key, number, &why).await
            }
        }
    }

    /// Reads a key of a request with its first message; `None` when the key is free or no longer of this request.
    async fn first_of(&self, request: &Request, key: &str) -> Result<Option<KeyState>, Error> {
        let bind = |sql| Statement::new(sql).bind(self.worker.consumer).bind(key);
        let state = "SELECT version, upto FROM parked_key WHERE consumer = ?1 AND key = ?2 AND request = ?3";
        let messages =
            "SELECT number, message_id, effect_id, channel, key, kind, causation_id, traceparent, created_us, payload
            FROM parked WHERE consumer = ?1 AND key = ?2 ORDER BY number LIMIT 2";
        let queries = vec![bind(state).bind(request.id.as_str()), bind(messages)];
        let mut results = self.worker.parking.store().snapshot(queries).await?.into_iter();
        let (mut state, messages) = (results.next().unwrap_or_default(), results.next().unwrap_or_default());
        let Some(row) = state.first_mut() else { return Ok(None) };
        let (version, upto) = (row.take(0)?, row.take(1)?);
        let is_last = messages.len() < 2;
        let first = match messages.into_iter().next() {
            Some(mut row) => Some((row.take(0)?, rows::read(&mut row, 1)?)),
            None => None,
        };
        Ok(Some(KeyState { version, upto, first, is_last }))
    }

    /// Takes a message out that was handled, and sets the key free if it was the last one, which `version` then proves.
    async fn handled(&self, request: &Request, key: &str, number: i64, version: Option<i64>) -> Result<Step, Error> {
        if let Some(version) = version {
            let mut change = Change::new();
            change.push(gone(number));
            change.push(self.free(request, key, version));
            change.push(self.count(request, 1, 0));
            match self.worker.parking.store().commit(change).await {
                Err(Error::Conflict { .. }) => {}
                done => return done.map(|_| Step::Over),
            }
        }
        // Another message has been parked behind it meanwhile, or this process has lost the request, which is refused here too.
        let mut change = Change::new();
        change.push(gone(number));
        change.push(self.count(request, 1, 0));
        self.commit_or_leave(change, Step::Next).await
    }

    /// Notes that a message could not be handled this time either, and lets its key rest.
    async fn failed(&self, request: &Request, key: &str, number: i64, why: &str) -> Result<Step, Error> {
        let mut change = Change::new();
        let tried = Statement::new("UPDATE parked SET tries = tries + 1, why = ?2 WHERE number = ?1");
        change.push(tried.bind(number).bind(legible(why)).expecting(1, "the message is parked"));
        change.push(self.leave(request, key).expecting(1, "the key is of this request"));
        change.push(self.count(request, 0, 1));
        self.commit_or_leave(change, Step::Over).await
    }

    async fn set_free(&self, request: &Request, key: &str, version: i64) -> Result<Step, Error> {
        let mut change = Change::new();
        change.push(self.free(request, key, version));
        match self.worker.parking.store().commit(change).await {
            Err(Error::Conflict { .. }) => Ok(Step::Next),
            done => done.map(|_| Step::Over),
        }
    }

    /// Commits; who was overtaken leaves the key to whom it belongs now.
    async fn commit_or_leave(&self, change: Change, step: Step) -> Result<Step, Error> {
        match self.worker.parking.store().commit(change).await {
            Ok(_) => Ok(step),
            Err(Error::Conflict { .. }) => {
                // Long enough for the loss of the lease to be noticed before the key is read again and again.
                sleep(AGAIN_AFTER).await;
                Ok(Step::Over)
            }
            Err(error) => Err(error),
        }
    }

    /// Sets a key free if nothing happened to it since `version`.
    fn free(&self, request: &Request, key: &str, version: i64) -> Statement {
        Statement::new("DELETE FROM parked_key WHERE consumer = ?1 AND key = ?2 AND request = ?3 AND version = ?4")
            .bind(self.worker.consumer)
            .bind(key)
            .bind(request.id.as_str())
            .bind(version)
            .expecting(1, "nothing was parked behind the key")
    }

    /// Lets a key stay parked.
    fn leave(&self, request: &Request, key: &str) -> Statement {
        let sql = "UPDATE parked_key SET request = '', upto = 0 WHERE consumer = ?1 AND key = ?2 AND request = ?3";
        Statement::new(sql).bind(self.worker.consumer).bind(key).bind(request.id.as_str())
    }

    async fn take(&self, request: &Request) -> Result<(), Error> {
        let sqlite =
            "UPDATE parking_audit SET owner = ?2, until_us = CAST(unixepoch('subsec') * 1000000 AS INTEGER) + ?3
            WHERE request = ?1 AND finished_us IS NULL AND until_us <= CAST(unixepoch('subsec') * 1000000 AS INTEGER)";
        let postgres = "UPDATE parking_audit SET owner = ?2, until_us = outbox_now_us() + ?3
            WHERE request = ?1 AND finished_us IS NULL AND until_us <= outbox_now_us()";
        let take = Statement::new(sqlite).on_postgres(postgres).bind(request.id.as_str()).bind(self.owner.as_str());
        let mut change = Change::new();
        change.push(take.bind(rows::micros(LEASE)).expecting(1, "nobody works on the request"));
        self.worker.parking.store().commit(change).await.map(|_| ())
    }

    /// Renews the lease; returns when it is lost.
    async fn renew(&self, request: &Request) {
        let mut failures = 0;
        loop {
            sleep(RENEWED_EVERY).await;
            let mut change = Change::new();
            change.push(self.count(request, 0, 0));
            match timeout(RENEWED_EVERY / 2, self.worker.parking.store().commit(change)).await {
                Ok(Ok(_)) => failures = 0,
                Ok(Err(Error::Conflict { .. })) => return warn!(request = request.id, "another process redrives"),
                Ok(Err(_)) | Err(_) => failures += 1,
            }
            // What is counted is refused anyway; this keeps two processes from handling one message at once.
            if failures > 1 {
                return warn!(request = request.id, "redrive given up, as its lease could not be renewed");
            }
        }
    }

    /// Counts messages and renews the lease; refused when this process has lost the request.
    fn count(&self, request: &Request, handled: i64, failed: i64) -> Statement {
        clocked!(
            "UPDATE parking_audit SET handled = handled + ?3, failed = failed + ?4, until_us = ",
            " + ?5 WHERE request = ?1 AND owner = ?2 AND finished_us IS NULL"
        )
        .bind(request.id.as_str())
        .bind(self.owner.as_str())
        .bind(handled)
        .bind(failed)
        .bind(rows::micros(LEASE))
        .expecting(1, "this process works on the request")
    }

    async fn finish(&self, request: &Request) -> Result<(), Error> {
        let sql = "UPDATE parking_audit SET finished_us = ?3, owner = '' WHERE request = ?1 AND owner = ?2";
        self.close(Statement::new(sql).bind(request.id.as_str()).bind(self.owner.as_str()).bind(rows::now_us())).await
    }

    /// Leaves a request to whoever looks next.
    async fn release(&self, request: &Request) -> Result<(), Error> {
        let sql = "UPDATE parking_audit SET until_us = 0, owner = '' WHERE request = ?1 AND owner = ?2";
        self.close(Statement::new(sql).bind(request.id.as_str()).bind(self.owner.as_str())).await
    }

    async fn close(&self, statement: Statement) -> Result<(), Error> {
        let mut change = Change::new();
        change.push(statement);
        self.worker.parking.store().commit(change).await.map(|_| ())
    }
}

/// A key of a request.
struct KeyState {
    version: i64,
    /// The last number that is to be handed over.
    upto: i64,
    first: Option<(i64, Message)>,
    is_last: bool,
}

fn gone(number: i64) -> Statement {
    Statement::new("DELETE FROM parked WHERE number = ?1").bind(number).expecting(1, "the message is parked")
}

/// Keeps to a rate, over all keys of a request.
struct Pace(Option<Mutex<Interval>>);

impl Pace {
    fn new(per_second: u32) -> Self {
        if per_second == 0 {
            return Pace(None);
        }
        let mut ticks = interval(Duration::from_secs(1) / per_second);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Pace(Some(Mutex::new(ticks)))
    }

    /// Waits for its turn; false when the drain is requested instead.
    async fn next(&self, drain: &lifecycle::Drain) -> bool {
        let Some(ticks) = &self.0 else { return true };
        let turn = async { ticks.lock().await.tick().await };
        tokio::select! {
            _ = turn => true,
            () = drain.requested() => false,
        }
    }
}
