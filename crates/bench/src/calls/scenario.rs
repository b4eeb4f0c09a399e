//! What is done to the endpoints while calls go on.

use super::backend::{Backend, WORK};
use super::subject::Subject;
use super::traffic::{Seen, Traffic};
use super::{ERRORS, P50, P99, RECOVERY};
use crate::Measured;
use crate::report::{Report, percentile};
use clap::ValueEnum;
use discovery::{Consul, ConsulConfig, Endpoints, Registration};
use lifecycle::Tasks;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::time::{Instant, sleep, timeout};

/// Calls before the fault, so that everybody is connected and knows what is usual.
const BEFORE: Duration = Duration::from_secs(2);
/// Calls after the fault.
const AFTER: Duration = Duration::from_secs(3);
/// All is well again when this long nothing failed.
const WELL_FOR: Duration = Duration::from_millis(500);
/// A client that has no endpoint must say so within this time, or it hangs.
const HANGS_AFTER: Duration = Duration::from_secs(10);

/// A fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Scenario {
    /// Nothing happens.
    Well,
    /// One of three is killed.
    OneDead,
    /// One of three is stopped where it is.
    OneHung,
    /// One of three fails at once.
    OneFailing,
    /// One of three takes ten times as long.
    OneSlow,
    /// All are killed, and come back.
    AllDead,
    /// All end in order, one after the other, and come back.
    RollingRestart,
    /// There is no endpoint when the client starts.
    NoneAtStart,
    /// The Consul agent is restarted.
    AgentRestarted,
    /// The Consul agent is away for a time.
    ConsulAway,
}

impl Scenario {
    pub(crate) const ALL: [Scenario; 10] = [
        Scenario::Well,
        Scenario::OneDead,
        Scenario::OneHung,
        Scenario::OneFailing,
        Scenario::OneSlow,
        Scenario::AllDead,
        Scenario::RollingRestart,
        Scenario::NoneAtStart,
        Scenario::AgentRestarted,
        Scenario::ConsulAway,
    ];

    fn name(self) -> &'static str {
        match self {
            Scenario::Well => "all well",
            Scenario::OneDead => "one of three dead",
            Scenario::OneHung => "one of three hung",
            Scenario::OneFailing => "one of three failing fast",
            Scenario::OneSlow => "one of three slow by 10x",
            Scenario::AllDead => "all dead",
            Scenario::RollingRestart => "rolling restart",
            Scenario::NoneAtStart => "none at start",
            Scenario::AgentRestarted => "Consul agent restarted",
            Scenario::ConsulAway => "Consul away",
        }
    }

    pub(crate) async fn measure(
        self,
        subject: Subject,
        per_second: u32,
        lasts: Duration,
        report: &mut Report,
    ) -> Measured<()> {
        match self {
            Scenario::NoneAtStart => none_at_start(self, subject, report).await,
            Scenario::AgentRestarted | Scenario::ConsulAway => {
                with_consul(self, subject, per_second, lasts, report).await
            }
            _ => {
                let mut backends = start_three().await?;
                let endpoints = discovery::fixed(addresses(&backends));
                let traffic = Traffic::start(subject.connect(endpoints)?, per_second);
                sleep(BEFORE).await;
                let broken = Instant::now();
                self.cause(&mut backends, lasts).await?;
                let healed = Instant::now();
                self.heal(&mut backends).await?;
                let back = Instant::now();
                sleep(AFTER).await;
                let seen = traffic.stop().await;
                note(self.name(), subject, &seen, Times { broken, healed, back }, report);
                Ok(())
            }
        }
    }

    async fn cause(self, backends: &mut [Backend], lasts: Duration) -> Measured<()> {
        match self {
            Scenario::OneDead => backends[0].kill().await,
            Scenario::OneHung => backends[0].hang()?,
            Scenario::OneFailing => backends[0].fail().await?,
            Scenario::OneSlow => backends[0].take(WORK * 10).await?,
            Scenario::AllDead => {
                for backend in backends.iter_mut() {
                    backend.kill().await;
                }
            }
            Scenario::RollingRestart => {
                for backend in backends.iter_mut() {
                    backend.end().await?;
                    backend.restart().await?;
                    sleep(lasts / 3).await;
                }
                return Ok(());
            }
            Scenario::Well | Scenario::NoneAtStart | Scenario::AgentRestarted | Scenario::ConsulAway => {}
        }
        sleep(lasts).await;
        Ok(())
    }

    async fn heal(self, backends: &mut [Backend]) -> Measured<()> {
        match self {
            Scenario::OneDead => backends[0].restart().await?,
            Scenario::OneHung => backends[0].go_on()?,
            Scenario::OneFailing | Scenario::OneSlow => backends[0].take(WORK).await?,
            Scenario::AllDead => {
                for backend in backends.iter_mut() {
                    backend.restart().await?;
                }
            }
            Scenario::RollingRestart
            | Scenario::Well
            | Scenario::NoneAtStart
            | Scenario::AgentRestarted
            | Scenario::ConsulAway => {}
        }
        Ok(())
    }
}

/// When the fault began, when its mending began, and when that was done.
struct Times {
    broken: Instant,
    healed: Instant,
    back: Instant,
}

fn note(case: &str, subject: Subject, seen: &[Seen], times: Times, report: &mut Report) {
    let during: Vec<&Seen> = seen.iter().filter(|call| call.at >= times.broken && call.at < times.healed).collect();
    let failed = during.iter().filter(|call| !call.is_ok).count();
    report.note(case, ERRORS, subject.name(), failed as f64 * 100.0 / during.len().max(1) as f64);
    let mut took: Vec<f64> = during.iter().map(|call| call.took.as_secs_f64() * 1e3).collect();
    took.sort_by(f64::total_cmp);
    report.note(case, P50, subject.name(), percentile(&took, 0.5));
    report.note(case, P99, subject.name(), percentile(&took, 0.99));
    report.note(case, RECOVERY, subject.name(), recovery(seen, times.back).as_secs_f64() * 1e3);
}

/// From the moment when all is there again to the last failure, if it is followed by a time without any.
fn recovery(seen: &[Seen], back: Instant) -> Duration {
    let after: Vec<&Seen> = seen.iter().filter(|call| call.at >= back).collect();
    match after.iter().rev().find(|call| !call.is_ok) {
        None => Duration::ZERO,
        Some(last) => {
            let end = after.last().map_or(back, |call| call.at);
            if end - last.at >= WELL_FOR { last.at - back } else { AFTER }
        }
    }
}

async fn start_three() -> Measured<Vec<Backend>> {
    Ok(vec![Backend::start().await?, Backend::start().await?, Backend::start().await?])
}

fn addresses(backends: &[Backend]) -> Vec<SocketAddr> {
    backends.iter().map(|backend| backend.address).collect()
}

async fn none_at_start(scenario: Scenario, subject: Subject, report: &mut Report) -> Measured<()> {
    let (feed, endpoints) = Endpoints::feed();
    feed.confirm(Vec::new());
    let client = subject.connect(endpoints)?;
    let began = Instant::now();
    let is_answered = timeout(HANGS_AFTER, client.call()).await.is_ok();
    report.note(scenario.name(), P50, subject.name(), began.elapsed().as_secs_f64() * 1e3);
    report.note(scenario.name(), ERRORS, subject.name(), 100.0);
    if !is_answered {
        println!("{}: {} did not answer within {HANGS_AFTER:?}", scenario.name(), subject.name());
    }
    Ok(())
}

/// All clients follow the same watch, so that what is compared is what they do with it.
async fn with_consul(
    scenario: Scenario,
    subject: Subject,
    per_second: u32,
    lasts: Duration,
    report: &mut Report,
) -> Measured<()> {
    let mut agent = servers::Consul::start().await;
    let backends = start_three().await?;
    let consul = Consul::new(ConsulConfig { agents: vec![agent.url()], ..ConsulConfig::default() })?;
    let mut tasks = Tasks::new();
    let mut registered = Vec::new();
    for address in addresses(&backends) {
        let mut registration = Registration::new("work", address);
        registration.config.interval_ms = 1_000;
        let mut one = consul.register(&mut tasks, registration)?;
        one.registered().await?;
        registered.push(one);
    }
    let mut endpoints = consul.watch(&mut tasks, "work");
    let is_complete = async {
        while endpoints.now().endpoints.len() < 3 {
            endpoints.changed().await?;
        }
        Ok::<(), discovery::Gone>(())
    };
    timeout(HANGS_AFTER, is_complete).await??;
    let traffic = Traffic::start(subject.connect(endpoints)?, per_second);
    sleep(BEFORE).await;
    let broken = Instant::now();
    agent.kill9();
    if scenario == Scenario::ConsulAway {
        // Two minutes of the issue at five seconds of other faults.
        sleep(lasts * 24).await;
    }
    agent.restart().await;
    sleep(lasts).await;
    let healed = Instant::now();
    sleep(AFTER).await;
    let seen = traffic.stop().await;
    note(scenario.name(), subject, &seen, Times { broken, healed, back: healed }, report);
    drop(registered);
    tasks.drain(HANGS_AFTER).await?;
    Ok(())
}
