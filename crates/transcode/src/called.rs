//! What a request called, and the answers that say that it failed.

use crate::refused::Refused;
use crate::rule::Route;
use crate::status::{Names, Statuses};
use http::Response;
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};
use tonic::Code;
use tonic::body::Body;

/// What a request called, in the extensions of its answer.
#[derive(Debug, Clone)]
pub struct Called {
    method: Option<Arc<str>>,
    code: Arc<AtomicI32>,
}

impl Called {
    pub(crate) fn new(method: Option<Arc<str>>, code: Code) -> Self {
        Called { method, code: Arc::new(AtomicI32::new(code as i32)) }
    }

    /// `package.Service/Method`, if the path led to one.
    #[must_use]
    pub fn method(&self) -> Option<&str> {
        self.method.as_deref()
    }

    /// How the call ended; CANCELLED as long as its stream has not.
    #[must_use]
    pub fn code(&self) -> Code {
        Code::from_i32(self.code.load(Ordering::Relaxed))
    }

    pub(crate) fn ended(&self, code: Code) {
        self.code.store(code as i32, Ordering::Relaxed);
    }
}

/// Tells an error, and what was called.
pub(crate) fn refuse(
    statuses: &Statuses,
    refused: &Refused,
    method: Option<Arc<str>>,
    names: Names<'_>,
) -> Response<Body> {
    let mut response = statuses.response(refused, names);
    response.extensions_mut().insert(Called::new(method, refused.status.code()));
    response
}

/// Tells an error of a call that has a route.
pub(crate) fn refuse_call(route: &Route, refused: &Refused, names: Names<'_>) -> Response<Body> {
    refuse(&route.rpc.statuses, refused, Some(Arc::clone(&route.rpc.name)), names)
}
