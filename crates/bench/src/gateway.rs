//! What a gateway costs: ours beside Envoy, pingora, structured-proxy, rest_over_grpc and an edge written by hand, in front of one backend.
//!
//! Every gateway is a process of its own, and all of them are measured in turn within a round, so that what disturbs one disturbs the others.
//! What counts is the processor time of the gateway for a request, which the kernel accounts for: unlike rates and latencies it
//! hardly depends on who else uses the machine. Answers are looked at; a wrong one ends the measurement.

mod backend;
mod case;
mod configured;
mod idle;
mod instructions;
mod load;
mod process;
mod subject;

pub(crate) use backend::{HelloArguments, serve as serve_hello};

use crate::Measured;
use crate::report::{Metric, Report, percentile};
use crate::usage::cpu_of_threads;
use case::{Case, Width};
use clap::Args;
use load::{Lasts, drive};
use process::Process;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;
use subject::Subject;
use tempfile::TempDir;

const CPU: Metric = Metric { name: "cpu_us_per_request", unit: "us" };
const RATE: Metric = Metric { name: "requests_per_second", unit: "1/s" };
const P50: Metric = Metric { name: "p50_ms", unit: "ms" };
const P99: Metric = Metric { name: "p99_ms", unit: "ms" };
const ALONE: Metric = Metric { name: "one_connection_p50_ms", unit: "ms" };
const ADDED: Metric = Metric { name: "added_p50_ms", unit: "ms" };

/// Calls that are made before a measurement, so that connections are there and caches warm.
const WARM_UP: Duration = Duration::from_millis(300);

/// How gateways are measured.
#[derive(Debug, Clone, Args)]
pub(crate) struct Arguments {
    /// Two short rounds.
    #[arg(long)]
    quick: bool,
    /// Rounds; at least five are needed for figures to be quoted.
    #[arg(long)]
    rounds: Option<u32>,
    /// Milliseconds for which one gateway is called in a round.
    #[arg(long)]
    milliseconds: Option<u64>,
    /// Only these gateways.
    #[arg(long, value_delimiter = ',')]
    subjects: Vec<Subject>,
    /// Only these kinds of calls.
    #[arg(long, value_delimiter = ',')]
    only: Vec<Case>,
    /// Counts instructions under callgrind instead, which needs no quiet machine.
    #[arg(long)]
    instructions: bool,
    /// Leaves out what 10,000 idle connections cost.
    #[arg(long)]
    no_idle: bool,
    /// Another file for the figures.
    #[arg(long)]
    json: Option<PathBuf>,
}

impl Arguments {
    fn rounds(&self) -> u32 {
        self.rounds.unwrap_or(if self.quick { 2 } else { 5 })
    }

    fn lasts(&self) -> Duration {
        Duration::from_millis(self.milliseconds.unwrap_or(if self.quick { 500 } else { 2_500 }))
    }

    fn wants(&self, subject: Subject) -> bool {
        self.subjects.is_empty() || self.subjects.contains(&subject)
    }

    fn wants_case(&self, case: Case) -> bool {
        self.only.is_empty() || self.only.contains(&case)
    }
}

/// The backend, and the gateways before it.
struct Site {
    backend: Process,
    gateways: Vec<(Subject, Process)>,
    _folder: TempDir,
}

pub(crate) async fn measure(arguments: &Arguments) -> Measured<Report> {
    let mut report = Report::new(if arguments.instructions { "gateway-instructions" } else { "gateway" });
    report.also_to(arguments.json.clone());
    idle::allow_many_files()?;
    let folder = TempDir::new()?;
    let backend = Subject::Direct.start(SocketAddr::from(([127, 0, 0, 1], 0)), folder.path(), &[]).await?;
    if arguments.instructions {
        instructions::measure(arguments, backend.address, folder.path(), &mut report).await?;
        return Ok(report);
    }
    let site = Site::open(backend, folder, arguments, &mut report).await?;
    idle::measure(&site.gateways, idle::Connections::None, &mut report).await?;
    for round in 0..arguments.rounds() {
        for case in Case::ALL.into_iter().filter(|case| arguments.wants_case(*case)) {
            for (subject, process) in site.in_turn(round, case) {
                full(case, subject, process, arguments.lasts(), &mut report).await?;
            }
        }
        one_connection(&site, round, arguments, &mut report).await?;
    }
    if !arguments.no_idle && !arguments.quick {
        idle::measure(&site.gateways, idle::Connections::Many, &mut report).await?;
    }
    Ok(report)
}

impl Site {
    /// Starts every gateway that is there; says which are not.
    async fn open(backend: Process, folder: TempDir, arguments: &Arguments, report: &mut Report) -> Measured<Self> {
        let mut gateways = Vec::new();
        let wanted = Subject::ALL.into_iter().filter(|it| *it != Subject::Direct && arguments.wants(*it));
        for subject in wanted {
            match subject.program() {
                Ok(_) => gateways.push((subject, subject.start(backend.address, folder.path(), &[]).await?)),
                Err(path) => {
                    report.remark(format!("{} WAS NOT MEASURED: {} is not there", subject.name(), path.display()));
                }
            }
        }
        Ok(Site { backend, gateways, _folder: folder })
    }

    /// Everybody who can do this, in the order of this round.
    fn in_turn(&self, round: u32, case: Case) -> Vec<(Subject, &Process)> {
        let direct = [(Subject::Direct, &self.backend)];
        let all = direct.into_iter().chain(self.gateways.iter().map(|(subject, process)| (*subject, process)));
        let mut able: Vec<_> = all.filter(|(subject, _)| subject.serves(case)).collect();
        let count = able.len().max(1);
        able.rotate_left(round as usize % count);
        able
    }
}

/// What a request costs when there are many.
async fn full(case: Case, subject: Subject, process: &Process, lasts: Duration, report: &mut Report) -> Measured<()> {
    let wrong = |error| format!("{}: {error}", subject.name());
    drive(case, case.width(), process.address, Lasts::For(WARM_UP)).await.map_err(wrong)?;
    let before = cpu_of_threads(process.id()?);
    let mut took = drive(case, case.width(), process.address, Lasts::For(lasts)).await.map_err(wrong)?;
    let used = cpu_of_threads(process.id()?).saturating_sub(before);
    took.sort_by(f64::total_cmp);
    let (name, count) = (subject.name(), took.len().max(1) as f64);
    report.note(case.name(), CPU, name, used.as_secs_f64() * 1e6 / count);
    report.note(case.name(), RATE, name, count / lasts.as_secs_f64());
    report.note(case.name(), P50, name, percentile(&took, 0.5));
    report.note(case.name(), P99, name, percentile(&took, 0.99));
    Ok(())
}

/// What a gateway adds to the time of a single call, beside one that goes to the backend at once.
async fn one_connection(site: &Site, round: u32, arguments: &Arguments, report: &mut Report) -> Measured<()> {
    let lasts = Lasts::For(arguments.lasts() / 3);
    let median = async |case: Case, process: &Process| -> Measured<f64> {
        let mut took = drive(case, Width::ONE, process.address, lasts).await?;
        took.sort_by(f64::total_cmp);
        Ok(percentile(&took, 0.5))
    };
    let direct = median(Case::PassThrough, &site.backend).await?;
    for case in Case::SMALL.into_iter().filter(|case| arguments.wants_case(*case)) {
        for (subject, process) in site.in_turn(round, case).into_iter().filter(|(it, _)| *it != Subject::Direct) {
            let alone = median(case, process).await?;
            report.note(case.name(), ALONE, subject.name(), alone);
            report.note(case.name(), ADDED, subject.name(), alone - direct);
        }
    }
    Ok(())
}
