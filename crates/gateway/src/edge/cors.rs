//! Which pages of other origins may call (Fetch, "CORS protocol").

use crate::Error;
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Either};
use http::{HeaderName, HeaderValue, Method, Request, Response, Uri, header};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::convert::Infallible;
use std::time::Duration;
use tonic::body::Body;
use tower::{Layer, ServiceExt, service_fn};
use tower_http::cors::{AllowHeaders, AllowOrigin, CorsLayer, ExposeHeaders};

/// The methods of the rules of `google.api.http`.
const METHODS: [Method; 6] = [Method::GET, Method::HEAD, Method::POST, Method::PUT, Method::PATCH, Method::DELETE];
/// What a page may read of an answer besides what every page may.
const EXPOSED: [HeaderName; 13] = [
    HeaderName::from_static("grpc-status"),
    HeaderName::from_static("grpc-message"),
    HeaderName::from_static("grpc-status-details-bin"),
    header::ETAG,
    header::LOCATION,
    HeaderName::from_static("preference-applied"),
    HeaderName::from_static("ratelimit"),
    HeaderName::from_static("ratelimit-policy"),
    HeaderName::from_static("ratelimit-limit"),
    HeaderName::from_static("ratelimit-remaining"),
    HeaderName::from_static("ratelimit-reset"),
    header::RETRY_AFTER,
    super::ids::REQUEST_ID,
];

/// Which pages may call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CorsConfig {
    /// Origins such as `https://shop.example`; `*` is every one. None: a page of another origin that calls is refused by its browser.
    pub origins: BTreeSet<String>,
    /// Whether browsers send what they know of the caller: cookies, and certificates. No: a token is sent by the page itself.
    pub credentials: bool,
    /// Headers of answers that a page may read besides the usual ones.
    pub exposed_headers: BTreeSet<String>,
    /// How long a browser remembers what it may, in seconds. 7,200: browsers cut longer times to it.
    pub max_age_s: u64,
}

impl Default for CorsConfig {
    fn default() -> Self {
        CorsConfig { origins: BTreeSet::new(), credentials: false, exposed_headers: BTreeSet::new(), max_age_s: 7_200 }
    }
}

/// The origins that may call.
#[derive(Debug, Clone)]
pub(crate) struct Cors {
    /// `None` is every one.
    origins: Option<Vec<HeaderValue>>,
    /// `None` when there is no other origin to speak to.
    layer: Option<CorsLayer>,
}

impl Cors {
    /// # Errors
    /// When an origin or header is none, or every origin is to have credentials.
    pub(crate) fn new(config: &CorsConfig) -> Result<Self, Error> {
        let is_every = config.origins.contains("*");
        if is_every && (config.credentials || config.origins.len() > 1) {
            let reason = "the origin * stands alone, and without credentials".to_owned();
            return Err(Error::Setting { name: "cors.origins", reason });
        }
        let origins = config.origins.iter().map(|text| origin(text)).collect::<Result<Vec<_>, _>>()?;
        let mut exposed = EXPOSED.to_vec();
        for name in &config.exposed_headers {
            let reason = || format!("{name:?} is no header name");
            let name = name.parse().map_err(|_| Error::Setting { name: "cors.exposed_headers", reason: reason() })?;
            exposed.push(name);
        }
        let allowed = if is_every { AllowOrigin::any() } else { AllowOrigin::list(origins.clone()) };
        let layer = CorsLayer::new()
            .allow_origin(allowed)
            .allow_methods(METHODS)
            .allow_headers(AllowHeaders::mirror_request())
            .allow_credentials(config.credentials)
            .expose_headers(ExposeHeaders::list(exposed))
            .max_age(Duration::from_secs(config.max_age_s));
        let layer = (!config.origins.is_empty()).then_some(layer);
        Ok(Cors { origins: (!is_every).then_some(origins), layer })
    }

    /// Answers what a browser asks before a call, and tells it whether the page may read the answer of `next`.
    pub(super) fn around<'a, F>(
        &'a self,
        request: Request<Body>,
        next: impl FnOnce(Request<Body>) -> F + Send + 'a,
    ) -> Either<F, BoxFuture<'a, Response<Body>>>
    where
        F: Future<Output = Response<Body>> + Send + 'a,
    {
        let is_asked_before = request.headers().contains_key(header::ACCESS_CONTROL_REQUEST_METHOD);
        let layer = self.layer.as_ref().filter(|_| request.method() != Method::OPTIONS || is_asked_before);
        let Some(layer) = layer else { return next(request).left_future() };
        let mut next = Some(next);
        let service = service_fn(move |request| {
            // In a box, since each layer around a future holds it more than once.
            let answer = next.take().map(|next| Box::pin(next(request)));
            async move {
                match answer {
                    Some(answer) => Ok::<_, Infallible>(answer.await),
                    None => Ok(Response::new(Body::empty())),
                }
            }
        });
        let answer = layer.layer(service).oneshot(request);
        answer.map(|Ok(response)| response).boxed().right_future()
    }

    /// Whether a page of this origin may open a WebSocket, which browsers let every page do. `host` is where it calls.
    pub(super) fn is_allowed(&self, origin: &HeaderValue, host: Option<&str>) -> bool {
        let Some(origins) = &self.origins else { return true };
        let same = || {
            let of = origin.to_str().ok()?.parse::<Uri>().ok()?.into_parts().authority?;
            Some(of.as_str().eq_ignore_ascii_case(host?))
        };
        origins.contains(origin) || same().unwrap_or(false)
    }
}

/// An origin as browsers write it: scheme, host, and a port that is not the usual one.
fn origin(text: &str) -> Result<HeaderValue, Error> {
    let refused = || Error::Setting {
        name: "cors.origins",
        reason: format!("{text:?} is no origin such as https://shop.example"),
    };
    if text == "*" {
        return HeaderValue::from_str(text).map_err(|_| refused());
    }
    let uri: Uri = text.parse().map_err(|_| refused())?;
    let is_whole =
        uri.scheme_str().is_some_and(|scheme| uri.authority().is_some_and(|at| text == format!("{scheme}://{at}")));
    let is_lower = !text.bytes().any(|byte| byte.is_ascii_uppercase());
    HeaderValue::from_str(text).ok().filter(|_| is_whole && is_lower).ok_or_else(refused)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cors(origins: &[&str], credentials: bool) -> Result<Cors, Error> {
        let origins = origins.iter().map(|origin| (*origin).to_owned()).collect();
        Cors::new(&CorsConfig { origins, credentials, ..CorsConfig::default() })
    }

    #[test]
    fn what_is_no_origin_is_refused() {
        for text in ["shop.example", "https://shop.example/", "https://Shop.example", "https://", "", "null"] {
            assert!(cors(&[text], false).unwrap_err().to_string().contains("cors.origins"), "{text}");
        }
        assert!(cors(&["https://shop.example", "http://localhost:3000"], true).is_ok());
        assert!(cors(&["*"], true).is_err() && cors(&["*", "https://a.example"], false).is_err());
    }

    #[test]
    fn a_socket_is_opened_from_the_same_origin_and_from_those_allowed() {
        let check = |origins: &[&str], origin: &'static str| {
            let allowed = cors(origins, false).unwrap();
            allowed.is_allowed(&HeaderValue::from_static(origin), Some("api.example:8080"))
        };

        assert!(check(&[], "http://api.example:8080"));
        assert!(!check(&[], "https://shop.example") && !check(&[], "null"));
        assert!(check(&["https://shop.example"], "https://shop.example"));
        assert!(!check(&["https://shop.example"], "https://shop.example.evil.example"));
        assert!(check(&["*"], "https://anybody.example"));
    }
}
