//! A process that outlives whoever started it, known by its id and by when it began, since ids are used again.

use super::member::Member;
use super::place::Place;
use super::wait;
use crate::command::{Failed, workspace};
use std::fs::{self, File};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

/// How long a process may take to end: its role is given 10 s to finish what it has begun.
const ENDS_WITHIN: Duration = Duration::from_secs(20);
/// How long the system may take to end a process that is not asked.
const KILLED_WITHIN: Duration = Duration::from_secs(5);
/// Lines of a log that are shown of a process that did not start.
const TAIL_LINES: usize = 20;

/// A process that runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Process {
    id: u32,
    /// In ticks of the system's clock since it was started.
    began: u64,
}

impl Process {
    /// The recorded process of a member, if it lives.
    pub(super) fn of(place: &Place, member: Member) -> Option<Self> {
        let record = fs::read_to_string(place.record(member)).ok()?;
        let (id, began) = record.trim().split_once(' ')?;
        let process = Process { id: id.parse().ok()?, began: began.parse().ok()? };
        process.lives().then_some(process)
    }

    /// Starts and records one, whose output is appended to its log.
    pub(super) fn start(place: &Place, member: Member, mut command: Command) -> Result<Self, Failed> {
        let path = place.log(member);
        let log = File::options().create(true).append(true).open(&path);
        let log = log.and_then(|log| Ok((log.try_clone()?, log)));
        let (stdout, stderr) = log.map_err(|error| Failed::to(format!("write {}", path.display()), error))?;
        // In a group of its own, so that a Ctrl-C in this terminal does not reach it.
        command.stdin(Stdio::null()).stdout(stdout).stderr(stderr).process_group(0).current_dir(workspace());
        let child = command.spawn().map_err(|error| Failed::to(format!("start {member}"), error))?;
        let began = look(child.id()).map(|(_, began)| began);
        let began = began.ok_or_else(|| Failed::because(format!("{member} has ended at once{}", tail(&path))))?;
        let process = Process { id: child.id(), began };
        let record = place.record(member);
        fs::write(&record, format!("{} {}\n", process.id, process.began))
            .map_err(|error| Failed::to(format!("write {}", record.display()), error))?;
        Ok(process)
    }

    pub(super) fn id(self) -> u32 {
        self.id
    }

    pub(super) fn lives(self) -> bool {
        look(self.id).is_some_and(|(state, began)| began == self.began && !matches!(state, 'Z' | 'X'))
    }

    /// Waits until a process that was just started is ready.
    pub(super) fn wait(self, place: &Place, member: Member, is_ready: impl FnMut() -> bool) -> Result<(), Failed> {
        let mut is_ready = is_ready;
        let mut has_ended = false;
        let waited = wait::until(wait::READY_WITHIN, || {
            has_ended = !self.lives();
            has_ended || is_ready()
        });
        let log = place.log(member);
        match (has_ended, waited) {
            (false, true) => Ok(()),
            (true, _) => Err(Failed::because(format!("{member} has ended{}", tail(&log)))),
            (false, false) => {
                Err(Failed::because(format!("{member} is not ready within {:?}{}", wait::READY_WITHIN, tail(&log))))
            }
        }
    }

    /// Ends it, in order if it does so within a bound; says how.
    pub(super) fn stop(self, member: Member) -> Result<&'static str, Failed> {
        let in_order = match member {
            // Otherwise it would wait until everybody has left.
            Member::Postgres => "INT",
            // Otherwise it would leave its cluster, and not find itself in it when it comes back.
            Member::Consul => "INT",
            Member::Nats(_)
            | Member::Consumer
            | Member::Restaurant
            | Member::Order
            | Member::Relay
            | Member::Gateway => "TERM",
        };
        self.signal(in_order);
        // A process that is stopped where it is hears nothing before it goes on.
        self.signal("CONT");
        if wait::until(ENDS_WITHIN, || !self.lives()) {
            return Ok("stopped");
        }
        self.signal("KILL");
        match wait::until(KILLED_WITHIN, || !self.lives()) {
            true => Ok("killed, since it did not stop"),
            false => Err(Failed::because(format!("{member}, process {}, cannot be killed", self.id))),
        }
    }

    /// By the shell, since std cannot. A process that has ended meanwhile hears nothing, which is all right.
    fn signal(self, signal: &str) {
        let mut shell = Command::new("sh");
        shell.args(["-c", r#"kill -s "$1" "$2""#, "kill", signal, &self.id.to_string()]).stderr(Stdio::null());
        shell.status().ok();
    }
}

/// The state of a process and when it began: the third and the twenty-second field of `/proc/ID/stat`, whose second is a name in brackets
/// that may hold anything (proc(5)).
fn look(id: u32) -> Option<(char, u64)> {
    let stat = fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
    let state = fields.next()?.chars().next()?;
    Some((state, fields.nth(18)?.parse().ok()?))
}

fn tail(log: &Path) -> String {
    let text = String::from_utf8_lossy(&fs::read(log).unwrap_or_default()).into_owned();
    let lines: Vec<&str> = text.lines().collect();
    format!("; the end of {}:\n{}", log.display(), lines[lines.len().saturating_sub(TAIL_LINES)..].join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_lives() {
        let id = std::process::id();
        let (state, began) = look(id).unwrap();

        assert!(matches!(state, 'R' | 'S'), "{state}");
        assert!(Process { id, began }.lives());
    }

    #[test]
    fn another_process_with_the_same_id_is_not_the_same() {
        let id = std::process::id();
        let (_, began) = look(id).unwrap();

        assert!(!Process { id, began: began + 1 }.lives());
    }
}
