//! A process of the binary under test, whose output goes to files; it ends with its owner.

use crate::{binary, eventually};
use rustix::process::{Pid, Signal, kill_process};
use std::ffi::OsStr;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use tempfile::TempDir;

/// Settings of the platform under test come from the test and not from the shell that runs it.
const PREFIX: &str = "COMANDA_";
/// Lines of the log that a failed test shows.
const TAIL_LINES: usize = 40;
/// How long a command of the command line may take: an import of all sample menus on a busy machine takes less than 10 s.
const COMMAND_WITHIN: Duration = Duration::from_secs(60);

/// A process that runs, or has ended.
#[derive(Debug)]
pub struct Process {
    child: Child,
    stdout: PathBuf,
    stderr: PathBuf,
}

/// What a process that has ended leaves behind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finished {
    /// Its exit code; `None` when a signal ended it.
    pub code: Option<i32>,
    /// What it wrote to standard output.
    pub stdout: String,
    /// What it wrote to standard error.
    pub stderr: String,
}

impl Process {
    /// Starts the binary under test; what it writes is appended to `stdout.log` and `stderr.log` of `folder`.
    ///
    /// # Panics
    /// When it cannot be started.
    #[must_use]
    pub fn spawn<A: AsRef<OsStr>>(folder: &Path, arguments: &[A], env: &[(String, String)]) -> Self {
        Process::of(binary::program(), folder, arguments, env)
    }

    /// Starts an example of the end-to-end tests, as [`Process::spawn`] does the binary.
    ///
    /// # Panics
    /// When it cannot be started.
    #[must_use]
    pub fn example<A: AsRef<OsStr>>(name: &str, folder: &Path, arguments: &[A]) -> Self {
        Process::of(&binary::example(name), folder, arguments, &[])
    }

    fn of<A: AsRef<OsStr>>(program: &Path, folder: &Path, arguments: &[A], env: &[(String, String)]) -> Self {
        let (stdout, stderr) = (folder.join("stdout.log"), folder.join("stderr.log"));
        let open = |path: &Path| {
            let file = File::options().create(true).append(true).open(path);
            file.unwrap_or_else(|error| panic!("{} cannot be written: {error}", path.display()))
        };
        let mut command = Command::new(program);
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with(PREFIX) {
                command.env_remove(name);
            }
        }
        command.args(arguments).envs(env.iter().map(|(name, value)| (name, value))).current_dir(folder);
        command.stdin(Stdio::null()).stdout(open(&stdout)).stderr(open(&stderr));
        let child = command.spawn().unwrap_or_else(|error| panic!("{} cannot be started: {error}", program.display()));
        Process { child, stdout, stderr }
    }

    /// Its process id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// What it has written to standard output, and whoever wrote to the same file before.
    #[must_use]
    pub fn stdout(&self) -> String {
        read(&self.stdout)
    }

    /// What it has written to standard error, and whoever wrote to the same file before.
    #[must_use]
    pub fn stderr(&self) -> String {
        read(&self.stderr)
    }

    /// Its exit status, as text, when it has ended.
    ///
    /// # Panics
    /// When the system does not say.
    pub fn ended(&mut self) -> Option<std::process::ExitStatus> {
        self.child.try_wait().expect("a child of this process can be waited for")
    }

    /// Sends a signal.
    ///
    /// # Panics
    /// When the process has been waited for already.
    pub fn signal(&self, signal: Signal) {
        let id = Pid::from_child(&self.child);
        kill_process(id, signal).unwrap_or_else(|error| panic!("process {id:?} cannot be signalled: {error}"));
    }

    /// Waits for its end.
    ///
    /// # Panics
    /// When it has not ended `within`.
    pub async fn wait(&mut self, within: Duration) -> Finished {
        let not_ended = || "the process has not ended".to_owned();
        let code = eventually(within, async || self.ended().ok_or_else(not_ended)).await.code();
        Finished { code, stdout: self.stdout(), stderr: self.stderr() }
    }

    /// Ends it with SIGKILL, and returns when it is gone.
    pub fn kill9(&mut self) {
        // Only a process that has ended already cannot be killed, which is what is wanted.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill9();
        if std::thread::panicking() {
            let log = self.stderr();
            let lines: Vec<&str> = log.lines().collect();
            let tail = &lines[lines.len().saturating_sub(TAIL_LINES)..];
            eprintln!("--- the end of {}:\n{}\n---", self.stderr.display(), tail.join("\n"));
        }
    }
}

fn read(path: &Path) -> String {
    String::from_utf8_lossy(&std::fs::read(path).unwrap_or_default()).into_owned()
}

/// Runs a command of the binary under test to its end.
///
/// # Panics
/// When it has not ended within a minute.
pub async fn command_line<A: AsRef<OsStr>>(arguments: &[A]) -> Finished {
    command_line_with(arguments, &[]).await
}

/// Runs a command of the binary under test, with settings from the environment, to its end.
///
/// # Panics
/// When it has not ended within a minute.
pub async fn command_line_with<A: AsRef<OsStr>>(arguments: &[A], env: &[(String, String)]) -> Finished {
    let folder = TempDir::new().expect("a temporary folder");
    Process::spawn(folder.path(), arguments, env).wait(COMMAND_WITHIN).await
}
