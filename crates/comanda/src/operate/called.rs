//! `comanda breakers` and `comanda endpoints`.

use super::{json, outbox};
use crate::Error;
use crate::cli::operator::{Asking, BreakersCommand, BreakersOptions, ForcedName};
use prost_types::Duration as WireDuration;
use proto::comanda::admin::v1 as wire;
use proto::comanda::admin::v1::force_breaker_request::To;
use serde_json::Value;
use std::process::ExitCode;
use std::time::Duration;

/// `comanda breakers`.
pub(crate) async fn breakers(options: BreakersOptions) -> Result<ExitCode, Error> {
    match options.command {
        None => show(&called(&options.asking).await?, &options.asking, breaker_lines),
        Some(BreakersCommand::Force { to, service, endpoint, who, why, asking }) => {
            let (mut client, refused) = outbox::open(&asking).await?;
            let to = match to {
                ForcedName::Open => To::Open,
                ForcedName::Closed => To::Closed,
                ForcedName::Automatic => To::Automatic,
            };
            let (service, endpoint) = (service.service, endpoint.unwrap_or_default());
            let request = wire::ForceBreakerRequest { service, endpoint, to: to.into(), who, why };
            let forced = client.force_breaker(request).await.map_err(refused)?.into_inner();
            show(&[forced], &asking, breaker_lines)
        }
    }
}

/// `comanda endpoints`.
pub(crate) async fn endpoints(asking: Asking) -> Result<ExitCode, Error> {
    show(&called(&asking).await?, &asking, endpoint_lines)
}

async fn called(asking: &Asking) -> Result<Vec<wire::CalledService>, Error> {
    let (mut client, refused) = outbox::open(asking).await?;
    Ok(client.list_called(wire::ListCalledRequest {}).await.map_err(refused)?.into_inner().services)
}

fn show(
    services: &[wire::CalledService],
    asking: &Asking,
    lines: impl Fn(&wire::CalledService) -> Vec<String>,
) -> Result<ExitCode, Error> {
    if asking.json {
        let all = services.iter().map(json::of).collect::<Result<Vec<Value>, Error>>()?;
        json::print(&Value::Array(all))?;
    } else {
        services.iter().flat_map(lines).for_each(|line| println!("{line}"));
    }
    Ok(ExitCode::SUCCESS)
}

fn breaker_lines(service: &wire::CalledService) -> Vec<String> {
    let head = format!("{:<24}{}", service.name, breaker(service.breaker.as_ref()));
    let endpoints = service.endpoints.iter().map(|it| format!("  {:<22}{}", it.address, breaker(it.breaker.as_ref())));
    std::iter::once(head).chain(endpoints).collect()
}

fn breaker(breaker: Option<&wire::Breaker>) -> String {
    let Some(breaker) = breaker else { return "unknown".to_owned() };
    let probe =
        breaker.next_probe_in.as_ref().map(|it| format!(", next probe in {}", text(Some(it)))).unwrap_or_default();
    format!(
        "{} ({}) for {}{probe}; {} calls, {} failed, {} slow; {} refused in all",
        breaker.state,
        breaker.reason,
        text(breaker.since.as_ref()),
        breaker.calls,
        breaker.failures,
        breaker.slow,
        breaker.rejected
    )
}

fn endpoint_lines(service: &wire::CalledService) -> Vec<String> {
    let fault = if service.list_fault.is_empty() { String::new() } else { format!(", {}", service.list_fault) };
    let list = match &service.list_age {
        Some(age) => format!("list confirmed {} ago{fault}", text(Some(age))),
        None => "in this process".to_owned(),
    };
    let head = format!("{:<24}{list}", service.name);
    let endpoints = service.endpoints.iter().map(|it| {
        let is_connected = if it.is_connected { "connected" } else { "not connected" };
        let state = it.breaker.as_ref().map_or("unknown", |breaker| breaker.state.as_str());
        format!(
            "  {:<22}{is_connected}, {}, breaker {state}, {} in flight, answers in {}",
            it.address,
            it.standing().as_str_name().to_lowercase(),
            it.in_flight,
            text(it.takes.as_ref())
        )
    });
    std::iter::once(head).chain(endpoints).collect()
}

fn text(duration: Option<&WireDuration>) -> String {
    let duration = duration.copied().and_then(|it| Duration::try_from(it).ok()).unwrap_or_default();
    format!("{duration:.1?}")
}
