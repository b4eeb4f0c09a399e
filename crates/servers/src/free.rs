//! Ports that nobody uses.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::ops::Range;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU32, Ordering};

/// Below those that the kernel gives to whoever asks for any, such as each connection that is opened: one of those was taken by another between
/// its choice and its use, and a process could not listen.
const PORTS: Range<u16> = 10_000..32_000;
/// How far processes that run at the same time begin apart.
const APART: u32 = 97;

/// An address on this machine that is free now, and is not given to anybody else in this process.
///
/// # Panics
/// When no port is free.
#[must_use]
pub fn address() -> SocketAddr {
    static NEXT: LazyLock<AtomicU32> = LazyLock::new(|| AtomicU32::new(std::process::id().wrapping_mul(APART)));
    PORTS
        .map(|_| NEXT.fetch_add(1, Ordering::Relaxed) % u32::from(PORTS.end - PORTS.start))
        .filter_map(|place| u16::try_from(place).ok())
        .map(|place| SocketAddr::from((Ipv4Addr::LOCALHOST, PORTS.start + place)))
        .find(|address| TcpListener::bind(address).is_ok())
        .expect("a port is free")
}
