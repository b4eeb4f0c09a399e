//! Waits for other processes, with a bound.

use super::member::Member;
use crate::command::Failed;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::{Duration, Instant};

/// How long a process may take to be ready: seconds on an idle machine; the rest is for a busy one, and for recovery after a kill.
pub(super) const READY_WITHIN: Duration = Duration::from_secs(60);
const PAUSE: Duration = Duration::from_millis(50);
const ANSWER_WITHIN: Duration = Duration::from_secs(3);

/// Asks until the answer is yes; false if it is not `within` this time.
pub(super) fn until(within: Duration, mut is_so: impl FnMut() -> bool) -> bool {
    let deadline = Instant::now() + within;
    loop {
        if is_so() {
            return true;
        }
        if Instant::now() >= deadline {
            return false;
        }
        pause();
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "other processes cannot wake this one; whoever calls it waits for a state, with a bound"
)]
fn pause() {
    std::thread::sleep(PAUSE);
}

/// The code and the body of an answer over HTTP.
pub(super) fn get(address: SocketAddr, path: &str) -> Option<(u16, String)> {
    let mut stream = TcpStream::connect_timeout(&address, ANSWER_WITHIN).ok()?;
    stream.set_read_timeout(Some(ANSWER_WITHIN)).ok()?;
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n").ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    let (head, body) = answer.split_once("\r\n\r\n")?;
    let code = head.split_whitespace().nth(1)?.parse().ok()?;
    Some((code, body.to_owned()))
}

/// Whether there is a page.
pub(super) fn is_there(address: SocketAddr, path: &str) -> bool {
    get(address, path).is_some_and(|(code, _)| code == 200)
}

/// Says so if another program listens where a member wants to.
pub(super) fn refuse_taken(member: Member, addresses: &[SocketAddr]) -> Result<(), Failed> {
    match addresses.iter().find(|address| TcpListener::bind(address).is_err()) {
        None => Ok(()),
        Some(address) => Err(Failed::because(format!("{address} is taken by another program, and {member} needs it"))),
    }
}
