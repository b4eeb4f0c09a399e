//! A process of this program for one role. It ends with its owner.

use crate::Error;
use rustix::process::{Pid, Signal, kill_process};
use std::ffi::OsString;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;
use tokio::process::{Child, Command};
use tokio::time::timeout;

/// How long a process may take to end: its role is given 10 s to finish what it has begun, and it has further tasks.
const ENDED_WITHIN: Duration = Duration::from_secs(30);

/// A process that runs.
#[derive(Debug)]
pub(crate) struct Process {
    role: &'static str,
    log: PathBuf,
    child: Child,
}

impl Process {
    /// Starts `program`; it keeps its files in `folder`, its log among them.
    pub(crate) fn start(
        role: &'static str,
        program: &Path,
        folder: &Path,
        arguments: &[OsString],
        env: &[(&str, String)],
    ) -> Result<Self, Error> {
        let log = folder.join("log");
        let failed = |source| Error::Process { role, log: log.clone(), source };
        fs::create_dir_all(folder).map_err(failed)?;
        let errors = File::options().create(true).append(true).open(&log).map_err(failed)?;
        let mut command = Command::new(program);
        command.args(["serve", role, "--admin-listen", "127.0.0.1:0", "--data-dir"]).arg(folder).args(arguments);
        command.envs(env.iter().map(|(name, value)| (name, value)));
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(errors).kill_on_drop(true);
        let child = command.spawn().map_err(failed)?;
        Ok(Process { role, log, child })
    }

    /// Says so if it has ended.
    pub(crate) fn check(&mut self) -> Result<(), Error> {
        match self.child.try_wait() {
            Ok(None) => Ok(()),
            Ok(Some(_)) => Err(Error::Ended { role: self.role, log: self.log.clone() }),
            Err(source) => Err(self.failed(source)),
        }
    }

    /// Asks it to end, and waits for that, so that the next one need not wait for what this one holds.
    pub(crate) async fn stop(mut self) -> Result<(), Error> {
        if let Some(id) = self.child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw) {
            kill_process(id, Signal::TERM).map_err(|error| self.failed(error.into()))?;
        }
        match timeout(ENDED_WITHIN, self.child.wait()).await {
            Ok(ended) => ended.map(|_| ()).map_err(|source| self.failed(source)),
            // It is killed with its owner, which loses nothing.
            Err(_elapsed) => Ok(()),
        }
    }

    fn failed(&self, source: io::Error) -> Error {
        Error::Process { role: self.role, log: self.log.clone(), source }
    }
}
