//! What the whole stack costs beside a bare channel of tonic, over one endpoint that answers at once.

use super::backend::Backend;
use super::subject::{call, endpoint};
use super::{CPU, P50, P99};
use crate::Measured;
use crate::report::{OURS, Report, percentile};
use crate::usage::Usage;
use http::{Request, Response};
use rpc::Upstream;
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tonic::Code;
use tonic::body::Body;
use tower::Service;

const BARE: &str = "bare-channel";
/// Calls at once.
const CALLERS: [usize; 2] = [1, 16];

pub(crate) async fn measure(lasts: Duration, run: u32, report: &mut Report) -> Measured<()> {
    let mut backend = Backend::start().await?;
    backend.take(Duration::ZERO).await?;
    for callers in CALLERS {
        let case = format!("closed loop, {callers} at once");
        let mut subjects = [OURS, BARE];
        subjects.rotate_left((run % 2) as usize);
        for subject in subjects {
            let (mut took, cpu) = match subject {
                OURS => drive(Upstream::remote("work", backend.address), callers, lasts).await?,
                _ => drive(endpoint(backend.address).connect().await?, callers, lasts).await?,
            };
            took.sort_by(f64::total_cmp);
            report.note(&case, P50, subject, percentile(&took, 0.5));
            report.note(&case, P99, subject, percentile(&took, 0.99));
            report.note(&case, CPU, subject, cpu.as_secs_f64() * 1e6 / took.len().max(1) as f64);
        }
    }
    Ok(())
}

/// Calls again and again for a while: how long each call took, in milliseconds, and the processor time of all.
async fn drive<S, B>(client: S, callers: usize, lasts: Duration) -> Measured<(Vec<f64>, Duration)>
where
    S: Service<Request<Body>, Response = Response<B>> + Clone + Send + 'static,
    S::Future: Send,
    B: http_body::Body + Send + 'static,
    B::Data: Send,
{
    if call(client.clone()).await != Code::Ok {
        return Err("the endpoint does not answer".into());
    }
    let (before, deadline) = (Usage::own().cpu, Instant::now() + lasts);
    let mut calling = JoinSet::new();
    for _ in 0..callers {
        let client = client.clone();
        calling.spawn(async move {
            let mut took = Vec::new();
            while Instant::now() < deadline {
                let began = Instant::now();
                if call(client.clone()).await != Code::Ok {
                    return Err("a call failed although nothing was wrong");
                }
                took.push(began.elapsed().as_secs_f64() * 1e3);
            }
            Ok(took)
        });
    }
    let mut took = Vec::new();
    while let Some(of_one) = calling.join_next().await {
        took.extend(of_one??);
    }
    Ok((took, Usage::own().cpu.saturating_sub(before)))
}
