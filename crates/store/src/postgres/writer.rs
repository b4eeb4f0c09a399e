//! The thread that writes, and its group commit.
//!
//! A change goes out at once when a line is free. When all lines are busy, changes gather, and the next free line takes all of them into
//! one transaction, so that the price of a flush is split by as many as are waiting.

use super::connection::{Connection, Purpose, answer};
use super::target::{Target, complete};
use super::transaction::{self, Outcome};
use crate::queue::{EndWithThePanic, Member, WAITING_MAX, settle};
use crate::{Change, Committed, Error, Statement};
use futures_util::future::join_all;
use std::io;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;
use tokio::runtime;
use tokio::sync::{Mutex, mpsc, oneshot, watch};
use tokio::time::{Instant, sleep};
use tracing::{error, warn};

/// Changes that share a transaction at most; 256 x some 50 us of statements bounds what the first of them waits for the last.
const SHARING_MAX: usize = 256;
/// How long the outcome of a commit is asked for after the line was lost: a server that was killed is usually back by then.
const RESOLVED_WITHIN: Duration = Duration::from_secs(10);
const ASK_AGAIN_AFTER: Duration = Duration::from_millis(200);

/// The writer thread of one database. Dropping it waits until the changes handed in are done, or cannot be.
#[derive(Debug)]
pub(super) struct Writer {
    changes: Option<mpsc::Sender<Member>>,
    woken: watch::Receiver<u64>,
    thread: Option<JoinHandle<()>>,
}

impl Writer {
    pub(super) fn start(target: &Arc<Target>, lines: usize) -> io::Result<Self> {
        let (changes, queue) = mpsc::channel(WAITING_MAX);
        let (wake, woken) = watch::channel(0);
        let queue = Arc::new(Mutex::new(Queue { changes: queue, left_over: None }));
        let line = || Line { target: target.clone(), queue: queue.clone(), wake: wake.clone(), connection: None };
        let lines: Vec<Line> = (0..lines).map(|_| line()).collect();
        let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
        let thread = thread::Builder::new().name(format!("write-{}", target.database())).spawn(move || {
            let _end = EndWithThePanic;
            runtime.block_on(join_all(lines.into_iter().map(Line::run)));
        })?;
        Ok(Writer { changes: Some(changes), woken, thread: Some(thread) })
    }

    pub(super) async fn commit(&self, change: Change) -> Result<Committed, Error> {
        let (reply, answer) = oneshot::channel();
        let changes = self.changes.as_ref().ok_or(Error::Closed)?;
        changes.send(Member { change, reply: Some(reply) }).await.map_err(|_stopped| Error::Closed)?;
        answer.await.map_err(|_stopped| Error::Closed)?
    }

    pub(super) fn submit(&self, change: Change) -> bool {
        self.changes.as_ref().is_some_and(|changes| changes.try_send(Member { change, reply: None }).is_ok())
    }

    pub(super) fn woken(&self) -> watch::Receiver<u64> {
        self.woken.clone()
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.changes = None;
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            error!("the writer thread panicked");
        }
    }
}

/// What waits to be written.
struct Queue {
    changes: mpsc::Receiver<Member>,
    /// A change that must be alone, and came while others were gathered.
    left_over: Option<Member>,
}

impl Queue {
    /// The changes of the next transaction, as soon as there is one; `None` when there will be none.
    async fn next(&mut self) -> Option<Vec<Member>> {
        let first = match self.left_over.take() {
            Some(member) => member,
            None => self.changes.recv().await?,
        };
        let is_alone = first.change.is_alone;
        let mut members = vec![first];
        while !is_alone && members.len() < SHARING_MAX {
            match self.changes.try_recv() {
                Ok(member) if member.change.is_alone => {
                    self.left_over = Some(member);
                    break;
                }
                Ok(member) => members.push(member),
                Err(_empty) => break,
            }
        }
        Some(members)
    }
}

/// One line to the server, with a transaction at a time.
struct Line {
    target: Arc<Target>,
    queue: Arc<Mutex<Queue>>,
    wake: watch::Sender<u64>,
    connection: Option<Connection>,
}

impl Line {
    async fn run(mut self) {
        loop {
            let next = self.queue.lock().await.next().await;
            let Some(members) = next else { return };
            for failed in self.together(members).await {
                // Answered now, whatever comes of it: whoever hears of a conflict finds what it lost against.
                self.together(vec![failed]).await;
            }
        }
    }

    /// Does changes in one transaction and answers them. Returns those that failed in company, unanswered.
    async fn together(&mut self, mut members: Vec<Member>) -> Vec<Member> {
        let mut failed = Vec::new();
        while !members.is_empty() {
            match self.transact(&members).await {
                Outcome::Committed(done) => settle(members.drain(..).zip(done).collect(), &self.wake),
                Outcome::Refused(mut refused) if members.len() == 1 => {
                    if let (Some(member), Some((_, error))) = (members.pop(), refused.pop()) {
                        member.answer(Err(error));
                    }
                }
                Outcome::Refused(refused) => {
                    let indices = refused.into_iter().map(|(index, _)| index);
                    failed.extend(indices.enumerate().map(|(removed, index)| members.remove(index - removed)));
                }
                Outcome::Lost(error) => {
                    let complaint = complete(&error);
                    members.drain(..).for_each(|member| member.answer(Err(Error::Commit(complaint.as_str().into()))));
                }
                Outcome::Unknown { .. } => members.drain(..).for_each(|member| member.answer(Err(Error::Unknown))),
            }
        }
        failed
    }

    /// Does changes in one transaction, on a new line if the old one is lost, and finds out what became of it.
    async fn transact(&mut self, members: &[Member]) -> Outcome {
        loop {
            let (was_new, line) = match &mut self.connection {
                Some(line) => (false, line),
                None => match Connection::open(&self.target, Purpose::Write).await {
                    Ok(line) => (true, self.connection.insert(line)),
                    Err(error) => return Outcome::Lost(error),
                },
            };
            match transaction::run(line, members).await {
                Outcome::Lost(error) => {
                    self.connection = None;
                    if was_new {
                        return Outcome::Lost(error);
                    }
                    // Lost while it was idle, with a server that has been restarted, say.
                }
                Outcome::Unknown { id, done, why } => {
                    let incarnation = line.incarnation.clone();
                    self.connection = None;
                    return match self.is_committed(&id, &incarnation).await {
                        Some(true) => Outcome::Committed(done),
                        Some(false) => Outcome::Lost(why),
                        None => Outcome::Unknown { id, done, why },
                    };
                }
                outcome => return outcome,
            }
        }
    }

    /// Asks what became of a transaction of a server that was started then; `None` when there is no answer in time, or none to be relied on.
    ///
    /// A server that has crashed has forgotten the ids of transactions of which nothing had reached its log, and gives them again. So of one
    /// that was started since, "committed" may be about another transaction: taken for ours, an order was acknowledged that was not there.
    /// "Aborted" is right either way.
    async fn is_committed(&mut self, id: &str, incarnation: &str) -> Option<bool> {
        let deadline = Instant::now() + RESOLVED_WITHIN;
        loop {
            match self.status(id).await {
                Ok(Some(status)) if status == "committed" => {
                    let is_the_same = self.connection.as_ref().is_some_and(|line| line.incarnation == incarnation);
                    return is_the_same.then_some(true);
                }
                Ok(Some(status)) if status == "aborted" => return Some(false),
                Ok(_) => {}
                Err(error) => warn!(error = &error as &dyn std::error::Error, "the outcome of a commit is asked for"),
            }
            if Instant::now() > deadline {
                return None;
            }
            sleep(ASK_AGAIN_AFTER).await;
        }
    }

    async fn status(&mut self, id: &str) -> Result<Option<String>, Error> {
        let mut line = Connection::open(&self.target, Purpose::Write).await?;
        let ask = Statement::new("SELECT pg_xact_status(?1::TEXT::XID8)").bind(id);
        line.prepare(&ask).await?;
        let mut rows = answer(line.query(&ask).await).await?;
        self.connection = Some(line);
        rows.first_mut().map_or(Ok(None), |row| row.take(0))
    }
}
