//! Does what the plan says to a running platform, and puts it together again after each fault.

use crate::broker;
use crate::plan::{Fault, Random, Victim};
use std::time::Duration;
use testkit::{Member, Stack};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

/// How long something that was killed stays away.
const AWAY: (Duration, Duration) = (Duration::from_millis(50), Duration::from_millis(1_000));
/// How long a relay is paused: past its lease, so that another one takes over meanwhile.
const PAUSED: (Duration, Duration) = (Duration::from_millis(2_500), Duration::from_millis(5_000));
/// The pause between two faults: long enough for some work to be begun.
const BETWEEN: (Duration, Duration) = (Duration::from_millis(200), Duration::from_millis(1_500));
/// How long messages gather that a fault takes with it.
const GATHERING: Duration = Duration::from_millis(500);
/// How long the first of them may take to be in the stream.
const GATHERED_WITHIN: Duration = Duration::from_secs(3);
const LOOK_AGAIN_AFTER: Duration = Duration::from_millis(20);
/// The stream of what services reply to the Order Service.
const REPLIES: &str = "COMANDA_ORDER_REPLIES";

/// Breaks a platform.
#[derive(Debug)]
pub struct Nemesis<'a> {
    stack: &'a mut Stack,
    random: Random,
    /// What goes on beside further faults.
    beside: JoinSet<()>,
}

impl<'a> Nemesis<'a> {
    /// Breaks `stack` at random.
    pub fn new(stack: &'a mut Stack, random: Random) -> Self {
        Nemesis { stack, random, beside: JoinSet::new() }
    }

    /// Does all faults, one after the other, and heals the platform.
    pub async fn run(mut self, faults: &[Fault], mut told: impl FnMut(usize, Fault)) {
        for (number, fault) in faults.iter().enumerate() {
            told(number, *fault);
            self.cause(*fault).await;
            let between = self.random.between(BETWEEN.0, BETWEEN.1);
            sleep(between).await;
            self.start_the_fallen();
        }
        while self.beside.join_next().await.is_some() {}
        self.start_the_fallen();
    }

    async fn cause(&mut self, fault: Fault) {
        match fault {
            Fault::Kill(victim) => self.kill(victim).await,
            Fault::Pause(number) => {
                self.stack.pause(Member::Relay(number));
                let paused = self.random.between(PAUSED.0, PAUSED.1);
                sleep(paused).await;
                self.stack.resume(Member::Relay(number));
            }
            Fault::Wipe => self.wipe().await,
            Fault::DropReplies => self.drop_replies().await,
            Fault::DropSlot => self.drop_slots().await,
            Fault::HoldTransaction(held) => self.hold_transaction(held),
            Fault::Unreachable(away) => {
                self.stack.line.black_hole();
                sleep(away).await;
                self.stack.line.heal();
            }
        }
    }

    async fn kill(&mut self, victim: Victim) {
        let away = self.random.between(AWAY.0, AWAY.1);
        match victim {
            Victim::Member(member) => {
                self.stack.kill9(member);
                sleep(away).await;
                self.stack.spawn(member);
            }
            Victim::Nats => {
                self.stack.nats.kill9();
                sleep(away).await;
                self.stack.nats.restart().await;
            }
            Victim::Postgres => {
                self.stack.postgres.kill9();
                sleep(away).await;
                self.stack.postgres.restart().await;
            }
        }
    }

    /// Takes commands with it: the one who reads them is stopped meanwhile.
    async fn wipe(&mut self) {
        self.stack.pause(Member::Consumer);
        sleep(GATHERING).await;
        self.stack.nats.wipe_and_restart().await;
        self.stack.resume(Member::Consumer);
    }

    /// Takes replies with it: orders gather while one service is stopped, and its replies while the Order Service is away, which would have
    /// them in its hands already if it were only stopped.
    async fn drop_replies(&mut self) {
        self.stack.pause(Member::Consumer);
        sleep(GATHERING).await;
        self.stack.kill9(Member::Order);
        let url = self.stack.nats.url();
        // These may be handled already and only not acknowledged, so that nothing would be lost with them.
        let left_behind = broker::messages(&url, REPLIES).await;
        self.stack.resume(Member::Consumer);
        let gathered = async {
            while broker::messages(&url, REPLIES).await == left_behind {
                sleep(LOOK_AGAIN_AFTER).await;
            }
        };
        // A relay that was killed may be too late with them; then there is nothing to drop this time.
        drop(timeout(GATHERED_WITHIN, gathered).await);
        broker::purge(&url, REPLIES).await;
        self.stack.spawn(Member::Order);
    }

    /// A process that ends by itself, since what it needs is away, is started again by whoever runs it.
    fn start_the_fallen(&mut self) {
        for member in self.stack.fallen() {
            self.stack.kill9(member);
            self.stack.spawn(member);
        }
    }

    /// Ends whoever reads the slot, or it could not be dropped.
    async fn drop_slots(&self) {
        let sql = "SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE active;
                   SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE NOT active";
        drop(self.stack.postgres.psql("postgres", sql).await);
    }

    /// A transaction that has an id and has written holds back every snapshot's horizon.
    fn hold_transaction(&mut self, held: Duration) {
        let mut session = self.stack.postgres.session(self.stack.database("order"));
        self.beside.spawn(async move {
            session.say("BEGIN; CREATE TEMP TABLE held (number integer); INSERT INTO held VALUES (1);").await;
            sleep(held).await;
            session.say("ROLLBACK;").await;
        });
    }
}
