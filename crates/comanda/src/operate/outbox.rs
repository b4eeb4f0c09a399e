//! `comanda outbox`.

use super::{connect, json};
use crate::Error;
use crate::cli::operator::{Asking, OutboxCommand, PublisherName, Services};
use prost_types::Duration as WireDuration;
use proto::comanda::admin::v1 as wire;
use proto::comanda::admin::v1::admin_service_client::AdminServiceClient;
use proto::time::Instant;
use serde_json::Value;
use std::process::ExitCode;
use tonic::transport::Channel;
use tonic::{Code, Status};

/// The services that have an outbox.
pub(crate) const SERVICES: [&str; 3] = ["order", "consumer", "restaurant"];

/// Runs one of its commands.
pub(crate) async fn run(command: OutboxCommand) -> Result<ExitCode, Error> {
    match command {
        OutboxCommand::Status { services, asking } => status(services, asking).await,
        OutboxCommand::Pause { service, asking } => {
            let (mut client, refused) = open(&asking).await?;
            let request = wire::PauseOutboxRequest { service: service.service };
            show(&[client.pause_outbox(request).await.map_err(refused)?.into_inner()], asking.json)
        }
        OutboxCommand::Resume { service, asking } => {
            let (mut client, refused) = open(&asking).await?;
            let request = wire::ResumeOutboxRequest { service: service.service };
            show(&[client.resume_outbox(request).await.map_err(refused)?.into_inner()], asking.json)
        }
        OutboxCommand::Publisher { publisher, service, asking } => {
            let (mut client, refused) = open(&asking).await?;
            let publisher = match publisher {
                PublisherName::Polling => wire::outbox::Publisher::Polling,
                PublisherName::Tailing => wire::outbox::Publisher::Tailing,
                PublisherName::Configured => wire::outbox::Publisher::Configured,
            };
            let request = wire::SwitchOutboxRequest { service: service.service, publisher: publisher.into() };
            show(&[client.switch_outbox(request).await.map_err(refused)?.into_inner()], asking.json)
        }
        OutboxCommand::Replay { service, since, asking } => {
            let (mut client, refused) = open(&asking).await?;
            let since = Some(Instant::now().minus(since.0).into());
            let request = wire::ReplayOutboxRequest { service: service.service, since };
            replayed(&client.replay_outbox(request).await.map_err(refused)?.into_inner(), asking.json)
        }
    }
}

/// A client of a process, and what to say when that refuses.
pub(crate) async fn open(
    asking: &Asking,
) -> Result<(AdminServiceClient<Channel>, impl Fn(Status) -> Error + Copy + '_), Error> {
    let client = AdminServiceClient::new(connect(&asking.admin).await?);
    Ok((client, |source| Error::Admin { admin: asking.admin.clone(), source: Box::new(source) }))
}

/// Asks about one service or, without its name, about those whose databases the process uses.
pub(crate) async fn of_each<T>(
    services: &Services,
    mut ask: impl AsyncFnMut(String) -> Result<T, Status>,
) -> Result<Vec<T>, Status> {
    if let Some(service) = &services.service {
        return Ok(vec![ask(service.clone()).await?]);
    }
    let (mut answers, mut refused) = (Vec::new(), None);
    for service in SERVICES {
        match ask(service.to_owned()).await {
            Ok(answer) => answers.push(answer),
            Err(status) if status.code() == Code::FailedPrecondition => refused = Some(status),
            Err(status) => return Err(status),
        }
    }
    match refused {
        Some(status) if answers.is_empty() => Err(status),
        Some(_) | None => Ok(answers),
    }
}

async fn status(services: Services, asking: Asking) -> Result<ExitCode, Error> {
    let (client, refused) = open(&asking).await?;
    let ask = async |service| {
        let request = wire::GetOutboxRequest { service };
        client.clone().get_outbox(request).await.map(tonic::Response::into_inner)
    };
    show(&of_each(&services, ask).await.map_err(refused)?, asking.json)
}

fn show(outboxes: &[wire::Outbox], as_json: bool) -> Result<ExitCode, Error> {
    if as_json {
        let all = outboxes.iter().map(json::of).collect::<Result<Vec<Value>, Error>>()?;
        json::print(&Value::Array(all))?;
    } else {
        outboxes.iter().flat_map(lines).for_each(|line| println!("{line}"));
    }
    Ok(ExitCode::SUCCESS)
}

fn lines(outbox: &wire::Outbox) -> Vec<String> {
    let messages: i64 = outbox.waiting.iter().map(|it| it.messages).sum();
    let relay = match (outbox.is_paused, outbox.is_held) {
        (true, _) => "paused".to_owned(),
        (false, true) => {
            let source = if outbox.is_tailed { " from the log" } else { "" };
            format!("published{source} by {} for {}", outbox.holder, seconds(outbox.held_for.as_ref()))
        }
        (false, false) => "published by nobody".to_owned(),
    };
    let head = format!(
        "{:<12}{messages} to be published, {relay}, position {}, epoch {}",
        outbox.service, outbox.position, outbox.epoch
    );
    let waiting = outbox.waiting.iter().map(|it| {
        format!("  {:<24}{} messages, the oldest {} old", it.channel, it.messages, seconds(it.oldest_age.as_ref()))
    });
    let slots = outbox.slots.iter().map(|it| {
        let current = if it.is_current { ", current" } else { "" };
        format!("  table {:<18}{} KiB, {} rows at most{current}", it.slot, it.bytes / 1024, it.rows)
    });
    let open = outbox.oldest_transaction.iter().map(|it| {
        format!(
            "  oldest transaction      process {} of the server ({}), open for {}",
            it.pid,
            it.application,
            seconds(it.open_for.as_ref())
        )
    });
    [head].into_iter().chain(waiting).chain(slots).chain(open).collect()
}

/// A duration in words.
pub(crate) fn seconds(duration: Option<&WireDuration>) -> String {
    match duration.map_or(0, |duration| duration.seconds) {
        seconds @ ..120 => format!("{seconds} s"),
        seconds @ 120..7_200 => format!("{} min", seconds / 60),
        seconds @ 7_200..172_800 => format!("{} h", seconds / 3_600),
        seconds => format!("{} days", seconds / 86_400),
    }
}

fn replayed(answer: &wire::ReplayOutboxResponse, as_json: bool) -> Result<ExitCode, Error> {
    if as_json {
        json::print(&json::of(answer)?)?;
    } else if answer.is_kept {
        println!("{} messages are to be published", answer.messages);
    } else {
        println!("nothing is published again: SQLite keeps no message that is published");
    }
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_is_told_in_a_unit_that_fits() {
        let told = |seconds| super::seconds(Some(&WireDuration { seconds, nanos: 0 }));

        assert_eq!(
            [told(0), told(119), told(120), told(7_200), told(200_000)],
            ["0 s", "119 s", "2 min", "2 h", "2 days"]
        );
    }
}
