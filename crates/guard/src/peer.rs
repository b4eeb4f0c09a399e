//! What is known of a connection: where it comes from, and the certificate that its client showed.

use std::net::IpAddr;
use std::sync::Arc;

/// The other end of a connection; whoever accepts connections puts it into the extensions of their requests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peer {
    /// Where it comes from.
    pub address: IpAddr,
    /// The certificate by which TLS has let it in.
    pub certificate: Option<Arc<Certificate>>,
}

/// A client's certificate, verified by TLS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Certificate {
    /// The subject as text (RFC 4514), such as `CN=orders,O=Example`.
    pub subject: String,
    /// The subject's alternative names: DNS names, URIs such as `spiffe://example/orders`, mail addresses.
    pub names: Vec<String>,
}

impl Certificate {
    /// What its holder is called: the first alternative name, or else the subject.
    pub(crate) fn name(&self) -> &str {
        self.names.first().map_or(&self.subject, |name| name)
    }

    /// Whether it belongs to this name.
    pub(crate) fn is_of(&self, name: &str) -> bool {
        self.subject == name || self.names.iter().any(|own| own == name)
    }
}

impl Peer {
    /// The part of the address that one caller can be taken to have: all of IPv4, and of IPv6 the first 64 bits, since whoever has one
    /// such address has the other 2^64 as well.
    pub(crate) fn network(&self) -> IpAddr {
        match self.address.to_canonical() {
            IpAddr::V4(address) => address.into(),
            IpAddr::V6(address) => {
                let [first, second, third, fourth, ..] = address.segments();
                std::net::Ipv6Addr::new(first, second, third, fourth, 0, 0, 0, 0).into()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(address: &str, network: &str) {
        let peer = Peer { address: address.parse().unwrap(), certificate: None };
        assert_eq!(peer.network(), network.parse::<IpAddr>().unwrap(), "{address}");
    }

    #[test]
    fn neighbours_of_ipv6_are_one_caller() {
        check("10.0.0.1", "10.0.0.1");
        check("::ffff:10.0.0.1", "10.0.0.1");
        check("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::");
    }
}
