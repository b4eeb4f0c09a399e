//! What is done to the endpoints while calls go on.

use super::backend::{Backend, WORK};
use super::site::Site;
use super::subject::Subject;
use super::traffic::{Seen, Traffic};
use super::{Arguments, ERRORS, P50, P99, RECOVERY};
use crate::Measured;
use crate::report::{Report, percentile};
use clap::ValueEnum;
use discovery::Endpoints;
use futures_util::future::join_all;
use std::time::Duration;
use tokio::time::{Instant, sleep, timeout};

/// Calls before the fault, so that everybody is connected and knows what is usual.
const BEFORE: Duration = Duration::from_secs(2);
/// Calls after the fault.
const AFTER: Duration = Duration::from_secs(3);
/// All is well again when this long nothing failed.
const WELL_FOR: Duration = Duration::from_millis(500);
/// How long Consul is away.
const AWAY: Duration = Duration::from_mins(2);
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

    /// Those that can happen wherever the endpoints are found.
    pub(crate) const OF_ENDPOINTS: [Scenario; 7] = [
        Scenario::Well,
        Scenario::OneDead,
        Scenario::OneHung,
        Scenario::OneFailing,
        Scenario::OneSlow,
        Scenario::AllDead,
        Scenario::RollingRestart,
    ];

    pub(crate) async fn measure(self, arguments: &Arguments, report: &mut Report) -> Measured<()> {
        if self == Scenario::NoneAtStart {
            return none_at_start(self, report).await;
        }
        let mut site = match self {
            Scenario::AgentRestarted | Scenario::ConsulAway => Site::watched().await?,
            _ => Site::open(arguments.found).await?,
        };
        let mut calling = Vec::new();
        for subject in Subject::ALL {
            calling.push((subject, Traffic::start(subject.connect(site.endpoints.clone())?, arguments.rate)));
        }
        sleep(BEFORE).await;
        let broken = Instant::now();
        self.cause(&mut site, arguments.lasts()).await?;
        let healed = Instant::now();
        self.heal(&mut site.backends).await?;
        let times = Times { broken, healed, back: Instant::now() };
        sleep(AFTER).await;
        for (subject, seen) in stop(calling).await {
            note(self.name(), subject, &seen, &times, report);
        }
        site.close().await
    }

    async fn cause(self, site: &mut Site, lasts: Duration) -> Measured<()> {
        let backends = &mut site.backends;
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
            Scenario::AgentRestarted | Scenario::ConsulAway => {
                let agent = site.agent.as_mut().ok_or("there is no agent")?;
                agent.kill9();
                if self == Scenario::ConsulAway {
                    sleep(AWAY).await;
                }
                agent.restart().await;
            }
            Scenario::Well | Scenario::NoneAtStart => {}
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

fn note(case: &str, subject: Subject, seen: &[Seen], times: &Times, report: &mut Report) {
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

/// All stop at the same time.
async fn stop(calling: Vec<(Subject, Traffic)>) -> Vec<(Subject, Vec<Seen>)> {
    join_all(calling.into_iter().map(async |(subject, traffic)| (subject, traffic.stop().await))).await
}

async fn none_at_start(scenario: Scenario, report: &mut Report) -> Measured<()> {
    for subject in Subject::ALL {
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
    }
    Ok(())
}
