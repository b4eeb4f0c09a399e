//! Addresses that nobody can reach.

use crate::Error;
use http::Uri;
use std::net::{IpAddr, SocketAddr};

/// Refuses what clients could not connect to. A loopback address is right where the agent has one too: all is on one machine then.
pub(super) fn check(address: SocketAddr, agent: &str) -> Result<(), Error> {
    let wrong = |reason| Err(Error::Address { address, reason });
    if address.port() == 0 {
        return wrong("its port is 0; take the address from the listener after it is bound");
    }
    let ip = address.ip().to_canonical();
    if ip.is_unspecified() {
        return wrong("it says where to listen, and not where others find it; give the address of this machine");
    }
    if ip.is_multicast() || ip == IpAddr::from([255, 255, 255, 255]) {
        return wrong("it is not the address of one machine");
    }
    if ip.is_loopback() && !is_loopback(agent) {
        return wrong(
            "others cannot reach a loopback address, and the agent is not on this machine alone; give the address of this machine",
        );
    }
    Ok(())
}

fn is_loopback(agent: &str) -> bool {
    let uri = agent.parse::<Uri>().unwrap_or_default();
    let host = uri.host().unwrap_or_default().trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: &str = "http://127.0.0.1:8500";
    const THERE: &str = "https://consul.example:8501";

    #[track_caller]
    fn refused(address: &str, agent: &str) {
        assert!(matches!(check(address.parse().unwrap(), agent), Err(Error::Address { .. })), "{address} at {agent}");
    }

    #[track_caller]
    fn accepted(address: &str, agent: &str) {
        check(address.parse().unwrap(), agent).unwrap();
    }

    #[test]
    fn an_address_that_nobody_can_reach_is_refused() {
        refused("10.0.0.1:0", HERE);
        refused("0.0.0.0:50051", HERE);
        refused("[::]:50051", HERE);
        refused("[::ffff:0.0.0.0]:50051", HERE);
        refused("224.0.0.1:50051", HERE);
        accepted("10.0.0.1:50051", THERE);
    }

    #[test]
    fn a_loopback_address_is_for_an_agent_with_one() {
        accepted("127.0.0.1:50051", HERE);
        accepted("127.0.0.1:50051", "http://localhost:8500");
        accepted("[::1]:50051", "http://[::1]:8500");
        refused("127.0.0.1:50051", THERE);
        refused("[::ffff:127.0.0.1]:50051", THERE);
    }
}
