//! SIGTERM and SIGINT, the two ways in which a process is asked to end, and SIGHUP, which asks it to read its configuration again.

use std::io;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// Hears the signals from the moment it is made.
#[derive(Debug)]
pub struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    /// Starts to listen.
    ///
    /// # Errors
    /// When the operating system refuses the handlers.
    pub fn listen() -> io::Result<Self> {
        Ok(Signals { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    /// Waits for the next signal and names it. Cancel safe: a signal that comes meanwhile is kept.
    pub async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }
}

/// Hears SIGHUP, which ends a process that does not listen to it.
#[derive(Debug)]
pub struct Hangups(Signal);

impl Hangups {
    /// Starts to listen.
    ///
    /// # Errors
    /// When the operating system refuses the handler.
    pub fn listen() -> io::Result<Self> {
        signal(SignalKind::hangup()).map(Hangups)
    }

    /// Waits for the next one; several that come at once may be one. Cancel safe: a signal that comes meanwhile is kept.
    pub async fn next(&mut self) {
        if self.0.recv().await.is_none() {
            std::future::pending::<()>().await;
        }
    }
}
