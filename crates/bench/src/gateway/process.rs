//! A process that listens, and ends with its owner.

use crate::Measured;
use rustix::process::{Pid, Signal, kill_process};
use std::net::SocketAddr;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep, timeout};

/// How long a process may take until it listens; under valgrind that is half a minute.
const LISTENS_WITHIN: Duration = Duration::from_secs(90);
/// How long it may take to end when it is asked to.
const ENDS_WITHIN: Duration = Duration::from_secs(60);
/// The pause between two looks.
const LOOKED_AT_EVERY: Duration = Duration::from_millis(20);

pub(crate) struct Process {
    pub(crate) address: SocketAddr,
    name: &'static str,
    child: Child,
}

impl Process {
    /// Starts it, and waits until it listens.
    pub(crate) async fn start(name: &'static str, mut command: Command, address: SocketAddr) -> Measured<Self> {
        let child = command.kill_on_drop(true).spawn().map_err(|error| format!("{name} does not start: {error}"))?;
        let mut process = Process { address, name, child };
        let deadline = Instant::now() + LISTENS_WITHIN;
        while TcpStream::connect(address).await.is_err() {
            if let Some(status) = process.child.try_wait()? {
                return Err(format!("{name} ended at its start: {status}").into());
            }
            if Instant::now() > deadline {
                return Err(format!("{name} does not listen within {LISTENS_WITHIN:?}").into());
            }
            sleep(LOOKED_AT_EVERY).await;
        }
        Ok(process)
    }

    /// Its id; an error when it has ended, as no subject may.
    pub(crate) fn id(&self) -> Measured<u32> {
        Ok(self.child.id().ok_or_else(|| format!("{} has ended", self.name))?)
    }

    /// Asks it to end, and waits until it has.
    pub(crate) async fn end(mut self) -> Measured<()> {
        let id = Pid::from_raw(i32::try_from(self.id()?)?).ok_or("no process has the id 0")?;
        kill_process(id, Signal::TERM)?;
        let ended = timeout(ENDS_WITHIN, self.child.wait()).await;
        ended.map_err(|_elapsed| format!("{} does not end", self.name))??;
        Ok(())
    }
}
