//! Instructions that a gateway executes for one request, as callgrind counts them: nearly the same on a quiet machine and on a busy one.
//!
//! The whole program is run twice, with a different number of requests; what differs is what the requests cost. Only instructions outside of
//! the kernel are counted.

use super::case::{Case, Width};
use super::load::{Lasts, drive};
use super::subject::Subject;
use super::{Arguments, configured};
use crate::Measured;
use crate::report::{Metric, Report};
use std::net::SocketAddr;
use std::path::Path;

/// One request at a time: waking up and falling asleep is a part of each.
const ALONE: Metric = Metric { name: "instructions_alone", unit: "1" };
/// As many at once as in the case that is measured by time, so that what is done for all of them together is shared.
const BUSY: Metric = Metric { name: "instructions_busy", unit: "1" };
/// Requests of the two runs; those of the first are enough for everything to be grown and warm.
const REQUESTS: [u64; 2] = [500, 2_500];
/// Peers whose programs valgrind can run.
const SUBJECTS: [Subject; 4] = [Subject::Ours, Subject::RestOverGrpc, Subject::Axum, Subject::StructuredProxy];

pub(super) async fn measure(
    arguments: &Arguments,
    backend: SocketAddr,
    folder: &Path,
    report: &mut Report,
) -> Measured<()> {
    for case in Case::SMALL {
        for subject in SUBJECTS.into_iter().filter(|it| it.serves(case) && arguments.wants(*it)) {
            if let Err(path) = subject.program() {
                report.remark(format!("{} was not measured: {} is not there", subject.name(), path.display()));
                continue;
            }
            for (metric, width) in [(ALONE, Width::ONE), (BUSY, case.width())] {
                let mut counted = [0.0; REQUESTS.len()];
                for (counted, requests) in counted.iter_mut().zip(REQUESTS) {
                    *counted = Run { subject, case, width, requests }.count(backend, folder).await?;
                }
                let per_request = (counted[1] - counted[0]) / (REQUESTS[1] - REQUESTS[0]) as f64;
                report.note(case.name(), metric, subject.name(), per_request);
            }
        }
    }
    Ok(())
}

/// One run of a gateway.
struct Run {
    subject: Subject,
    case: Case,
    width: Width,
    requests: u64,
}

impl Run {
    /// The instructions of the whole program.
    async fn count(&self, backend: SocketAddr, folder: &Path) -> Measured<f64> {
        let Run { subject, case, width, requests } = *self;
        let file = configured::profiles()?.join(format!(
            "{}-{case:?}-{}-{requests}.callgrind",
            subject.name(),
            width.connections
        ));
        let prefix = ["valgrind", "--tool=callgrind", "--quiet", &format!("--callgrind-out-file={}", file.display())];
        let prefix: Vec<String> = prefix.iter().map(ToString::to_string).collect();
        let process = subject.start(backend, folder, &prefix).await?;
        drive(case, width, process.address, Lasts::Calls(requests)).await?;
        process.end().await?;
        let text = std::fs::read_to_string(&file).map_err(|error| format!("{}: {error}", file.display()))?;
        let total =
            text.lines().find_map(|line| line.strip_prefix("totals: ").or_else(|| line.strip_prefix("summary: ")));
        Ok(total.and_then(|total| total.trim().parse().ok()).ok_or("callgrind has written no total")?)
    }
}
