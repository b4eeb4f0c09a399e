//! Names of headers that a configuration lets pass.

use http::HeaderName;
use serde::{Deserialize, Serialize};

/// Names of headers that may reach a service as metadata: any but those of the connection, of the body and of gRPC itself.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(try_from = "Vec<String>", into = "Vec<String>")]
pub struct HeaderNames(Vec<HeaderName>);

/// Why a header cannot pass.
#[derive(Debug, thiserror::Error)]
pub enum NotPassed {
    /// It is no name of a header.
    #[error("{0:?} is no name of a header")]
    Malformed(String),
    /// It is about the connection, the body or the call to the gateway.
    #[error(
        "{0} cannot be passed on: it is about the connection, the body or the call, which are others behind the gateway"
    )]
    Reserved(HeaderName),
}

/// Headers of one connection (RFC 9110 7.6.1), and whom it is to.
const RESERVED: [&str; 11] = [
    "connection",
    "expect",
    "host",
    "keep-alive",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "user-agent",
];
/// How the names of those begin that are about bodies and calls.
const RESERVED_PREFIXES: [&str; 5] = ["accept-encoding", "content-", "grpc-", "if-", "sec-"];

impl HeaderNames {
    pub(crate) fn contains(&self, name: &HeaderName) -> bool {
        self.0.contains(name)
    }
}

impl TryFrom<Vec<String>> for HeaderNames {
    type Error = NotPassed;

    fn try_from(names: Vec<String>) -> Result<Self, NotPassed> {
        let read = |name: String| {
            let name = HeaderName::try_from(&name).map_err(|_| NotPassed::Malformed(name))?;
            let begins = |prefix: &&str| name.as_str().starts_with(prefix);
            let is_reserved = RESERVED.contains(&name.as_str()) || RESERVED_PREFIXES.iter().any(begins);
            if is_reserved { Err(NotPassed::Reserved(name)) } else { Ok(name) }
        };
        names.into_iter().map(read).collect::<Result<_, _>>().map(HeaderNames)
    }
}

impl From<HeaderNames> for Vec<String> {
    fn from(names: HeaderNames) -> Self {
        names.0.into_iter().map(|name| name.to_string()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_another_hop_has_otherwise_cannot_pass() {
        let names = |name: &str| HeaderNames::try_from(vec!["X-Tenant".to_owned(), name.to_owned()]);

        assert_eq!(Vec::from(names("cookie").unwrap()), ["x-tenant", "cookie"]);
        for name in ["Host", "Content-Length", "grpc-timeout", "TE", "Sec-WebSocket-Key"] {
            let told = names(name).unwrap_err().to_string();
            assert!(told.starts_with(&format!("{} cannot be passed on", name.to_ascii_lowercase())), "{told}");
        }
        assert_eq!(names("x tenant").unwrap_err().to_string(), "\"x tenant\" is no name of a header");
    }
}
