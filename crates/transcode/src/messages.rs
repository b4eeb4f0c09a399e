//! Calls whose messages come one by one, as over a WebSocket.

use crate::Transcoder;
use crate::router::Found;
use crate::rule::Body;
use http::Method;

/// In the extensions of a request to a client stream: each piece of its body is one message, whatever it begins and ends with.
#[derive(Debug, Clone, Copy)]
pub struct OneMessageEach;

/// How a streaming method is called at a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamRoute {
    /// The method of HTTP.
    pub method: Method,
    /// What its body is.
    pub takes: Takes,
}

/// How many messages a call takes in its body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Takes {
    /// None: the URL says all.
    Nothing,
    /// One.
    One,
    /// As many as the caller likes.
    Many,
}

/// The methods of rules, in the order in which a path is looked for.
const METHODS: [Method; 5] = [Method::GET, Method::POST, Method::PUT, Method::PATCH, Method::DELETE];

impl Transcoder {
    /// How the streaming method at a path is called; `None` when there is none.
    #[must_use]
    pub fn stream_route(&self, path: &str) -> Option<StreamRoute> {
        METHODS.into_iter().find_map(|method| {
            let Found::Route(route, _) = self.router.find(&method, path) else { return None };
            let takes = match route.body {
                _ if route.rpc.is_upload => Takes::Many,
                Body::None => Takes::Nothing,
                Body::Whole | Body::Field(_) => Takes::One,
            };
            (route.rpc.is_upload || route.rpc.is_stream).then_some(StreamRoute { method, takes })
        })
    }
}
