//! `comanda parked`.

use super::json;
use super::outbox::{of_each, open};
use crate::cli::operator::{Ago, Asking, Doing, ParkedCommand, Selectors, Service, Services};
use crate::{Error, FAILED};
use prost_types::Timestamp;
use proto::comanda::admin::v1 as wire;
use proto::comanda::admin::v1::admin_service_client::AdminServiceClient;
use proto::time::Instant;
use serde_json::{Value, json};
use std::process::ExitCode;
use std::time::Duration;
use tokio::time::{Instant as Clock, sleep};
use tonic::transport::Channel;

/// How often the end of a redrive is looked for.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// Actions among which those of a redrive are found that has just begun.
const ACTIONS_LOOKED_AT: i32 = 1_000;

/// Runs one of its commands.
pub(crate) async fn run(command: ParkedCommand) -> Result<ExitCode, Error> {
    match command {
        ParkedCommand::List { services, selectors, limit, asking } => list(services, &selectors, limit, asking).await,
        ParkedCommand::Show { number, service, payload, asking } => show(number, service, payload, asking).await,
        ParkedCommand::Redrive { service, doing, per_second, wait } => redrive(service, doing, per_second, wait).await,
        ParkedCommand::Discard { service, doing } => discard(service, doing).await,
        ParkedCommand::Actions { services, limit, asking } => actions(services, limit, asking).await,
    }
}

async fn list(services: Services, selectors: &Selectors, page_size: i32, asking: Asking) -> Result<ExitCode, Error> {
    let (client, refused) = open(&asking).await?;
    let ask = async |service: String| {
        let selection = Some(selection(selectors));
        let request = wire::ListParkedRequest { service: service.clone(), selection, page_size, ..Default::default() };
        let answer = client.clone().list_parked(request).await?;
        Ok((service, answer.into_inner().messages))
    };
    let found = of_each(&services, ask).await.map_err(refused)?;
    if asking.json {
        let of_service = |(service, messages): &(String, Vec<wire::ParkedMessage>)| {
            let messages = messages.iter().map(without_payload).collect::<Result<Vec<Value>, Error>>()?;
            Ok(json!({ "service": service, "messages": messages }))
        };
        json::print(&Value::Array(found.iter().map(of_service).collect::<Result<_, Error>>()?))?;
        return Ok(ExitCode::SUCCESS);
    }
    for (service, messages) in found {
        println!("{service}: {}", counted(messages.len(), page_size));
        messages.iter().map(line).for_each(|line| println!("  {line}"));
    }
    Ok(ExitCode::SUCCESS)
}

async fn show(number: i64, service: Service, include_payload: bool, asking: Asking) -> Result<ExitCode, Error> {
    let (mut client, refused) = open(&asking).await?;
    let selection = Some(wire::ParkedSelection { number, ..Default::default() });
    let request =
        wire::ListParkedRequest { service: service.service, selection, include_payload, page_size: 1, after: 0 };
    let found = client.list_parked(request).await.map_err(refused)?.into_inner().messages;
    let Some(message) = found.into_iter().find(|message| message.number == number) else {
        return Err(Error::Argument(format!("no message {number} is parked")));
    };
    let mut shown = without_payload(&message)?;
    if include_payload {
        shown["payload"] = json::payload(&message.kind, &message.payload);
    }
    if asking.json {
        json::print(&shown)?;
    } else if let Value::Object(fields) = &shown {
        for (name, value) in fields {
            match value {
                Value::String(text) => println!("{name:<14}{text}"),
                Value::Object(_) => println!("{name:<14}{value:#}"),
                other => println!("{name:<14}{other}"),
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

async fn redrive(
    service: Service,
    doing: Doing,
    per_second: Option<i32>,
    wait: Option<u64>,
) -> Result<ExitCode, Error> {
    let Doing { selectors, all, dry_run, who, reason, asking } = doing;
    let (mut client, refused) = open(&asking).await?;
    let (service, selection, per_second) = (service.service, Some(selection(&selectors)), per_second.unwrap_or(0));
    let request =
        wire::RedriveParkedRequest { service: service.clone(), selection, all, dry_run, per_second, who, reason };
    let answer = client.redrive_parked(request).await.map_err(refused)?.into_inner();
    if dry_run {
        return would(&answer.would_redrive, "redriven", asking.json);
    }
    let mut actions = answer.actions;
    if let Some(seconds) = wait {
        let until = Clock::now() + Duration::from_secs(seconds);
        while actions.iter().any(|action| action.finished_time.is_none()) && Clock::now() < until {
            sleep(LOOK_EVERY).await;
            look_again(&mut client, &service, &mut actions).await.map_err(refused)?;
        }
    }
    let is_well = actions.iter().all(|action| action.failed == 0 && action.finished_time.is_some());
    told(&[(service, actions)], asking.json, "nothing was to be redriven, or others redrive it already")?;
    Ok(if wait.is_none() || is_well { ExitCode::SUCCESS } else { ExitCode::from(FAILED) })
}

async fn look_again(
    client: &mut AdminServiceClient<Channel>,
    service: &str,
    actions: &mut [wire::ParkedAction],
) -> Result<(), tonic::Status> {
    let request = wire::ListParkedActionsRequest { service: service.to_owned(), page_size: ACTIONS_LOOKED_AT };
    let newest = client.list_parked_actions(request).await?.into_inner().actions;
    for action in actions {
        if let Some(now) = newest.iter().find(|it| it.request == action.request) {
            *action = now.clone();
        }
    }
    Ok(())
}

async fn discard(service: Service, doing: Doing) -> Result<ExitCode, Error> {
    let Doing { selectors, all, dry_run, who, reason, asking } = doing;
    let (mut client, refused) = open(&asking).await?;
    let (service, selection) = (service.service, Some(selection(&selectors)));
    let request = wire::DiscardParkedRequest { service: service.clone(), selection, all, dry_run, who, reason };
    let answer = client.discard_parked(request).await.map_err(refused)?.into_inner();
    if dry_run {
        return would(&answer.would_discard, "discarded", asking.json);
    }
    told(&[(service, answer.actions)], asking.json, "nothing was to be discarded, or it is being redriven")
}

async fn actions(services: Services, page_size: i32, asking: Asking) -> Result<ExitCode, Error> {
    let (client, refused) = open(&asking).await?;
    let ask = async |service: String| {
        let request = wire::ListParkedActionsRequest { service: service.clone(), page_size };
        Ok((service, client.clone().list_parked_actions(request).await?.into_inner().actions))
    };
    told(&of_each(&services, ask).await.map_err(refused)?, asking.json, "nothing was done")
}

fn selection(selectors: &Selectors) -> wire::ParkedSelection {
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    let at = |ago: Option<Ago>| ago.map(|ago| Instant::now().minus(ago.0).into());
    wire::ParkedSelection {
        number: selectors.number.unwrap_or_default(),
        consumer: text(&selectors.consumer),
        key: text(&selectors.key),
        kind: text(&selectors.kind),
        why: text(&selectors.why),
        since: at(selectors.newer_than),
        before: at(selectors.older_than),
    }
}

fn without_payload(message: &wire::ParkedMessage) -> Result<Value, Error> {
    let mut shown = json::of(&wire::ParkedMessage { payload: Vec::new(), ..message.clone() })?;
    if let Value::Object(fields) = &mut shown {
        fields.remove("payload");
    }
    Ok(shown)
}

fn would(messages: &[wire::ParkedMessage], done: &str, as_json: bool) -> Result<ExitCode, Error> {
    if as_json {
        json::print(&Value::Array(messages.iter().map(without_payload).collect::<Result<_, Error>>()?))?;
    } else {
        println!("{} messages would be {done}", messages.len());
        messages.iter().map(line).for_each(|line| println!("  {line}"));
    }
    Ok(ExitCode::SUCCESS)
}

fn told(done: &[(String, Vec<wire::ParkedAction>)], as_json: bool, nothing: &str) -> Result<ExitCode, Error> {
    if as_json {
        let of_service = |(service, actions): &(String, Vec<wire::ParkedAction>)| {
            let actions = actions.iter().map(json::of).collect::<Result<Vec<Value>, Error>>()?;
            Ok(json!({ "service": service, "actions": actions }))
        };
        json::print(&Value::Array(done.iter().map(of_service).collect::<Result<_, Error>>()?))?;
    } else if done.iter().all(|(_, actions)| actions.is_empty()) {
        println!("{nothing}");
    } else {
        for (service, action) in done.iter().flat_map(|(service, actions)| actions.iter().map(move |it| (service, it)))
        {
            println!("{service}: {}", action_line(action));
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn counted(found: usize, limit: i32) -> String {
    match usize::try_from(limit) {
        Ok(limit) if found >= limit => format!("{found} messages or more are parked"),
        _ => format!("{found} messages are parked"),
    }
}

fn line(message: &wire::ParkedMessage) -> String {
    let mark = if message.is_first { "" } else { " (behind)" };
    let redriven = if message.request.is_empty() { "" } else { ", being redriven" };
    let at = time(message.parked_time.as_ref());
    format!(
        "{} {at} {} {} of {}{mark}: {}{redriven}",
        message.number, message.consumer, message.kind, message.key, message.why
    )
}

fn action_line(action: &wire::ParkedAction) -> String {
    let about =
        format!("{} of {} messages of {} keys of {}", action.selection, action.messages, action.keys, action.consumer);
    let why = if action.reason.is_empty() { String::new() } else { format!(": {}", action.reason) };
    let by = format!("by {} at {}{why}", action.who, time(action.asked_time.as_ref()));
    match (action.kind(), action.finished_time.is_some()) {
        (wire::parked_action::Kind::Discard, _) => format!("discarded {about} {by}"),
        (_, true) => format!("redriven {about} {by}; {} handled, {} keys failed again", action.handled, action.failed),
        (_, false) => {
            format!("redriving {about} {by}; {} handled so far, {} keys failed again", action.handled, action.failed)
        }
    }
}

fn time(at: Option<&Timestamp>) -> String {
    at.map(ToString::to_string).unwrap_or_default()
}
