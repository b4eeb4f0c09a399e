//! A server process, its log, and the signals that it can be sent.

use crate::guardian::Guardian;
use rustix::process::{Pid, Signal, kill_process};
use std::fs::File;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// Lines of the log that a failed test shows.
const TAIL_LINES: usize = 30;

/// A process that runs, or has been killed.
#[derive(Debug)]
pub(crate) struct Server {
    child: Child,
    log: PathBuf,
    _guardian: Guardian,
}

impl Server {
    /// Starts a program, whose output is appended to `log` of `folder`.
    ///
    /// # Panics
    /// When it cannot be started.
    pub(crate) fn start(mut command: Command, folder: &Path, log: &str) -> Self {
        let log = folder.join(log);
        let open = || {
            let file = File::options().create(true).append(true).open(&log);
            file.unwrap_or_else(|error| panic!("{} cannot be written: {error}", log.display()))
        };
        command.stdin(Stdio::null()).stdout(open()).stderr(open()).process_group(0);
        let shown = format!("{command:?}");
        let child = command.spawn().unwrap_or_else(|error| panic!("{shown} cannot be started: {error}"));
        let guardian = Guardian::of(child.id(), folder);
        Server { child, log, _guardian: guardian }
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn has_ended(&mut self) -> bool {
        !matches!(self.child.try_wait(), Ok(None))
    }

    pub(crate) fn signal(&self, signal: Signal) {
        // A process that has ended cannot be signalled, which is what is wanted of most signals.
        let _gone = kill_process(Pid::from_child(&self.child), signal);
    }

    /// Ends the process and its children with SIGKILL, and returns when the process is gone.
    pub(crate) fn kill9(&mut self) {
        let children = children_of(self.child.id());
        drop(self.child.kill());
        for id in children.into_iter().filter_map(Pid::from_raw) {
            let _gone = kill_process(id, Signal::KILL);
        }
        drop(self.child.wait());
    }

    /// Waits until the process has ended by itself.
    pub(crate) fn wait(&mut self) {
        drop(self.child.wait());
    }

    /// The last lines of its log.
    pub(crate) fn tail(&self) -> String {
        let log = std::fs::read(&self.log).unwrap_or_default();
        let log = String::from_utf8_lossy(&log).into_owned();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(TAIL_LINES)..].join("\n")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill9();
        if std::thread::panicking() {
            eprintln!("--- the end of {}:\n{}\n---", self.log.display(), self.tail());
        }
    }
}

/// The processes that a process has started.
fn children_of(parent: u32) -> Vec<i32> {
    let Ok(entries) = std::fs::read_dir("/proc") else { return Vec::new() };
    let ids = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<i32>().ok());
    ids.filter(|id| parent_of(*id) == Some(parent)).collect()
}

/// The fourth field of `/proc/ID/stat`; the second is a name in brackets that may hold anything.
fn parent_of(id: i32) -> Option<u32> {
    let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
    let (_, after) = stat.rsplit_once(')')?;
    after.split_whitespace().nth(1)?.parse().ok()
}
