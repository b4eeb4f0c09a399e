//! `comanda doctor`: asks every process what is wrong, and names the causes once.

use crate::cli::operator::DoctorOptions;
use crate::operate::outbox::seconds;
use crate::operate::{connect, json};
use crate::{Error, FAILED};
use futures_util::future::join_all;
use outbox::{Cause, Finding, explain};
use proto::comanda::admin::v1 as wire;
use proto::comanda::admin::v1::admin_service_client::AdminServiceClient;
use serde::Serialize;
use std::collections::BTreeSet;
use std::process::ExitCode;
use std::time::Duration;
use tokio::time::timeout;

/// How long a process may take to answer: longer than it gives the slowest of what it asks.
const ANSWERED_WITHIN: Duration = Duration::from_secs(9);

/// What was found, in all processes.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
struct Report {
    /// Processes that did not answer, and why.
    silent: Vec<Silent>,
    /// What is wrong, the deepest cause first.
    findings: Vec<Finding>,
}

/// A process that did not answer.
#[derive(Debug, PartialEq, Eq, Serialize)]
struct Silent {
    admin: String,
    why: String,
}

/// Asks the processes and prints what is wrong.
pub(crate) async fn run(options: DoctorOptions) -> Result<ExitCode, Error> {
    let admins: BTreeSet<String> = options.admin.into_iter().collect();
    let answers = join_all(admins.into_iter().map(async |admin| {
        let answer = ask(&admin).await;
        (admin, answer)
    }));
    let report = report(answers.await);
    if options.json {
        json::print(&serde_json::to_value(&report).map_err(Error::Json)?)?;
    } else {
        print(&report);
    }
    Ok(if report == Report::default() { ExitCode::SUCCESS } else { ExitCode::from(FAILED) })
}

async fn ask(admin: &str) -> Result<wire::DiagnoseResponse, String> {
    let answer = async {
        let channel = connect(admin).await.map_err(|error| crate::admin::chain(&error))?;
        let answer = AdminServiceClient::new(channel).diagnose(wire::DiagnoseRequest {}).await;
        answer.map(tonic::Response::into_inner).map_err(|status| status.message().to_owned())
    };
    timeout(ANSWERED_WITHIN, answer)
        .await
        .unwrap_or_else(|_elapsed| Err(format!("no answer within {ANSWERED_WITHIN:?}")))
}

/// Puts together what several processes say. Pure.
fn report(answers: Vec<(String, Result<wire::DiagnoseResponse, String>)>) -> Report {
    let mut report = Report::default();
    let (mut running, mut found) = (BTreeSet::new(), Vec::<Finding>::new());
    for (admin, answer) in answers {
        match answer {
            Err(why) => report.silent.push(Silent { admin, why }),
            Ok(answer) => {
                running.extend(answer.roles.into_iter().filter(|role| role.is_running).map(|role| role.name));
                found.extend(answer.findings.into_iter().map(finding));
            }
        }
    }
    // A process knows only its own roles; and what is shared is found by each.
    found.retain(|it| it.cause != Cause::ConsumerStopped || !running.contains(&it.role));
    let mut known = BTreeSet::new();
    found.retain(|it| known.insert((it.cause, it.service.clone(), it.subject.clone())));
    report.findings = explain(found);
    report
}

fn print(report: &Report) {
    for Silent { admin, why } in &report.silent {
        println!("the process at {admin} does not answer: {why}");
        println!("  likely: it is down, still starting (it waits for its database then), or hangs");
        println!("  do:     look whether it runs, and at its log");
    }
    for finding in &report.findings {
        let service = if finding.service.is_empty() { String::new() } else { format!("{}: ", finding.service) };
        let since = finding.since.and_then(|since| prost_types::Duration::try_from(since).ok());
        let since = since.map(|since| format!(" (for {})", seconds(Some(&since)))).unwrap_or_default();
        println!("{service}{}{since}", finding.what);
        println!("  likely: {}", finding.likely);
        println!("  do:     {}{}", finding.remedy, command(finding));
    }
    if *report == Report::default() {
        println!("nothing is wrong");
    }
}

/// The command that helps, if there is one.
fn command(finding: &Finding) -> String {
    let Finding { service, subject, role, .. } = finding;
    match finding.cause {
        Cause::RelayPaused => format!("; comanda outbox resume --service {service}"),
        Cause::Parked => format!("; comanda parked list --service {service} --consumer {subject}"),
        Cause::ConsumerStopped => format!("; comanda roles start {role}"),
        Cause::NoRelay | Cause::RelayBehind | Cause::OldTransaction | Cause::SlotLost | Cause::SlotStuck => {
            format!("; comanda outbox status --service {service}")
        }
        Cause::DatabaseUnreachable
        | Cause::DiskFull
        | Cause::DatabaseReadOnly
        | Cause::DatabaseFailing
        | Cause::BrokerUnreachable
        | Cause::BrokerRefuses
        | Cause::ConsumerBehind
        | Cause::RepliesOverdue
        | Cause::NotKnown => String::new(),
    }
}

fn finding(finding: wire::Finding) -> Finding {
    Finding {
        cause: cause(finding.cause()),
        service: finding.service,
        subject: finding.subject,
        role: finding.role,
        what: finding.what,
        likely: finding.likely,
        remedy: finding.remedy,
        count: finding.count,
        since: finding.since.and_then(|since| Duration::try_from(since).ok()),
    }
}

fn cause(cause: wire::finding::Cause) -> Cause {
    use wire::finding::Cause as Wire;
    match cause {
        Wire::DatabaseUnreachable => Cause::DatabaseUnreachable,
        Wire::DiskFull => Cause::DiskFull,
        Wire::DatabaseReadOnly => Cause::DatabaseReadOnly,
        Wire::DatabaseFailing => Cause::DatabaseFailing,
        Wire::BrokerUnreachable => Cause::BrokerUnreachable,
        Wire::BrokerRefuses => Cause::BrokerRefuses,
        Wire::RelayPaused => Cause::RelayPaused,
        Wire::NoRelay => Cause::NoRelay,
        Wire::SlotLost => Cause::SlotLost,
        Wire::SlotStuck => Cause::SlotStuck,
        Wire::OldTransaction => Cause::OldTransaction,
        Wire::RelayBehind => Cause::RelayBehind,
        Wire::ConsumerStopped => Cause::ConsumerStopped,
        Wire::ConsumerBehind => Cause::ConsumerBehind,
        Wire::Parked => Cause::Parked,
        Wire::RepliesOverdue => Cause::RepliesOverdue,
        Wire::NotKnown | Wire::Unspecified => Cause::NotKnown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wire::finding::Cause as Wire;

    fn process(running: &[&str], findings: Vec<wire::Finding>) -> (String, Result<wire::DiagnoseResponse, String>) {
        let role = |name: &&str| wire::Role { name: (*name).to_owned(), is_running: true };
        (running.concat(), Ok(wire::DiagnoseResponse { findings, roles: running.iter().map(role).collect() }))
    }

    fn stopped() -> wire::Finding {
        let (subject, role) = ("restaurant.commands".to_owned(), "restaurant".to_owned());
        wire::Finding { cause: Wire::ConsumerStopped.into(), subject, role, ..wire::Finding::default() }
    }

    fn overdue() -> wire::Finding {
        let (service, subject) = ("order".to_owned(), "restaurant.commands".to_owned());
        wire::Finding { cause: Wire::RepliesOverdue.into(), service, subject, ..wire::Finding::default() }
    }

    fn causes(answers: Vec<(String, Result<wire::DiagnoseResponse, String>)>) -> Vec<Cause> {
        report(answers).findings.into_iter().map(|finding| finding.cause).collect()
    }

    #[test]
    fn nothing_is_wrong_when_no_process_says_so() {
        assert_eq!(report(vec![process(&["order"], Vec::new())]), Report::default());
    }

    #[test]
    fn a_role_is_missing_only_when_no_process_runs_it() {
        let order = || process(&["order"], vec![stopped(), overdue()]);

        assert_eq!(causes(vec![order()]), [Cause::ConsumerStopped]);
        assert_eq!(causes(vec![order(), process(&["restaurant"], Vec::new())]), [Cause::RepliesOverdue]);
    }

    #[test]
    fn what_several_processes_find_is_told_once() {
        assert_eq!(causes(vec![process(&["order"], vec![stopped()]), process(&["gateway"], vec![stopped()])]).len(), 1);
    }

    #[test]
    fn a_process_that_does_not_answer_is_named() {
        let silent = report(vec![("http://127.0.0.1:1".to_owned(), Err("refused".to_owned()))]).silent;

        assert_eq!(silent[0].admin, "http://127.0.0.1:1");
    }
}
