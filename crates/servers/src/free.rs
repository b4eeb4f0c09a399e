//! Ports that nobody uses.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};

/// An address on this machine that is free now.
///
/// # Panics
/// When no port is free.
#[must_use]
pub fn address() -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port is free");
    listener.local_addr().expect("a bound port has an address")
}
