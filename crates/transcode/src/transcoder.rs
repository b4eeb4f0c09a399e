//! Takes a request from HTTP to gRPC and its answer back.

use crate::call::Call;
use crate::called::{Called, refuse, refuse_call};
use crate::refused::Refused;
use crate::request::{Binding, Head};
use crate::router::{Found, Router};
use crate::rule::Route;
use crate::rules::{Rule, Rules};
use crate::status::{Names, Statuses};
use crate::upload::{Refusals, Upload};
use crate::{Config, Error, request};
use bytes::Bytes;
use futures_util::future::ready;
use futures_util::{FutureExt, Stream};
use http::request::Parts;
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use prost_reflect::DescriptorPool;
use std::convert::Infallible;
use std::error::Error as StdError;
use std::sync::Arc;
use std::time::Duration;
use tonic::body::Body;
use tonic::{Code, Status};
use tower::Service;

/// Serves `google.api.http` rules. Clones share it.
#[derive(Debug, Clone)]
pub struct Transcoder {
    pub(crate) router: Arc<Router<Arc<Route>>>,
    /// Of what is refused before it is known what was called.
    statuses: Arc<Statuses>,
    config: Arc<Config>,
}

/// Two rules of the same HTTP method that match the very same paths.
#[derive(Debug, Clone)]
pub struct Conflict {
    /// The one that is served.
    pub served: Rule,
    /// The one that is not.
    pub refused: Rule,
}

impl Transcoder {
    /// Reads the rules of an encoded `FileDescriptorSet`.
    ///
    /// # Errors
    /// When it is none, or a rule cannot be kept.
    pub fn new(descriptor_set: &[u8], config: Config) -> Result<Self, Error> {
        let pool = DescriptorPool::decode(descriptor_set).map_err(Error::Descriptors)?;
        let mut rules = Rules::of(&pool, Rules::dialect(&config));
        if !rules.refused.is_empty() {
            return Err(rules.refused.swap_remove(0));
        }
        let (transcoder, conflicts) = Transcoder::of(rules.kept, config);
        if conflicts.is_empty() { Ok(transcoder) } else { Err(Error::conflicts(&conflicts)) }
    }

    /// Serves rules that may come from several descriptor sets, which may have different types of the same name. Of rules that match the
    /// very same paths the first is served; the others come back.
    #[must_use]
    pub fn of(rules: impl IntoIterator<Item = Rule>, config: Config) -> (Self, Vec<Conflict>) {
        let mut router = Router::default();
        let mut conflicts = Vec::new();
        for rule in rules {
            let route = rule.0.clone();
            if let Err(other) = router.add(&route.method, route.template.clone(), route.clone()) {
                conflicts.push(Conflict { served: Rule(Arc::clone(other)), refused: rule });
            }
        }
        let (router, statuses) = (Arc::new(router), Arc::new(Statuses::new(DescriptorPool::new())));
        (Transcoder { router, statuses, config: Arc::new(config) }, conflicts)
    }

    /// The rules that are served.
    pub fn rules(&self) -> impl Iterator<Item = Rule> {
        self.router.targets().map(|route| Rule(Arc::clone(route)))
    }

    /// Answers a request. `upstream` gives the service of a full name; one that it does not know is UNIMPLEMENTED. The service finds the
    /// extensions of the HTTP request in those of its own.
    ///
    /// The answer carries [`Called`] in its extensions. Dropping the future drops the call. What takes no waiting is done before there is a
    /// future, so that it need not have room for it.
    pub fn call<B, S>(
        &self,
        request: Request<B>,
        upstream: &dyn Fn(&str) -> Option<S>,
    ) -> impl Future<Output = Response<Body>> + use<B, S>
    where
        B: http_body::Body<Data = Bytes> + Send + Unpin + 'static,
        B::Error: Into<Box<dyn StdError + Send + Sync>>,
        S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>,
    {
        let (route, values) = match self.find(&request) {
            Ok(found) => found,
            Err(refused) => return ready(self.unrouted(request.method(), &refused)).left_future(),
        };
        let (parts, body) = request.into_parts();
        let (call, binding) = match self.begin(&route, (values, parts), upstream) {
            Ok(begun) => begun,
            Err(refused) => return ready(refuse_call(&route, &refused, Names::Json)).left_future(),
        };
        if call.route.rpc.is_upload {
            return match upload(binding, body, &self.config, call.head.is_one_message_each) {
                Ok(messages) => Box::pin(call.forward(messages)).left_future().right_future(),
                Err(refused) => ready(refuse_call(&call.route, &refused, Names::Json)).left_future(),
            };
        }
        let message = request::read_message(binding, body, &self.config);
        let answer = message.then(move |message| match message {
            Ok(message) => call.exchange(message).left_future(),
            Err(refused) => ready(refuse_call(&call.route, &refused, Names::Json)).right_future(),
        });
        answer.right_future().right_future()
    }

    /// Reads the head of a request.
    fn begin<S>(
        &self,
        route: &Arc<Route>,
        (values, mut parts): (Vec<String>, Parts),
        upstream: &dyn Fn(&str) -> Option<S>,
    ) -> Result<(Call<S>, Binding), Refused> {
        let head = Head::read(route, &mut parts, &self.config)?;
        let unserved = || Status::unimplemented(format!("{} is not served here", route.rpc.service));
        let service = upstream(&route.rpc.service).ok_or_else(unserved)?;
        let call = Call { route: Arc::clone(route), head, service, bytes_max: self.config.message_bytes_max };
        Ok((call, Binding::new(Arc::clone(route), values, parts)))
    }

    /// Answers a request that no route takes.
    fn unrouted(&self, method: &Method, refused: &Refused) -> Response<Body> {
        match &refused.allow {
            Some(allow) if method == Method::OPTIONS => options(allow),
            _ => refuse(&self.statuses, refused, None, Names::Json),
        }
    }

    /// Tells a status as this transcoder tells all of them, under the HTTP status of its code.
    #[must_use]
    pub fn status_response(&self, status: Status) -> Response<Body> {
        refuse(&self.statuses, &status.into(), None, Names::Json)
    }

    /// Tells that a path which is not of the rules has other methods than the one asked for.
    #[must_use]
    pub fn method_not_allowed(&self, method: &Method, allow: &str) -> Response<Body> {
        refuse(&self.statuses, &Refused::method_not_allowed(method, allow.to_owned()), None, Names::Json)
    }

    fn find<B>(&self, request: &Request<B>) -> Result<(Arc<Route>, Vec<String>), Refused> {
        let (method, path) = (request.method(), request.uri().path());
        match self.router.find(method, path) {
            Found::Route(route, values) => Ok((Arc::clone(route), values)),
            // Every GET has a HEAD (RFC 9110 9.1); whoever sends the answer leaves its body out.
            Found::OtherMethods(allowed) if method == Method::HEAD && allowed.iter().any(|other| other == "GET") => {
                match self.router.find(&Method::GET, path) {
                    Found::Route(route, values) => Ok((Arc::clone(route), values)),
                    Found::OtherMethods(_) | Found::Nothing | Found::Malformed => Err(Refused::not_found(path)),
                }
            }
            Found::OtherMethods(mut allowed) => {
                if allowed.iter().any(|other| other == "GET") && !allowed.iter().any(|other| other == "HEAD") {
                    allowed.push(Method::HEAD.to_string());
                }
                allowed.push(Method::OPTIONS.to_string());
                Err(Refused::method_not_allowed(method, allowed.join(", ")))
            }
            Found::Nothing => Err(Refused::not_found(path)),
            Found::Malformed => {
                let message = "the path has a broken percent escape, or one that is not UTF-8";
                Err(Status::invalid_argument(message).into())
            }
        }
    }
}

fn upload<B>(
    binding: Binding,
    body: B,
    config: &Config,
    is_one_message_each: bool,
) -> Result<(impl Stream<Item = Bytes> + Send + use<B>, Refusals), Refused>
where
    B: http_body::Body<Data = Bytes> + Send + Unpin + 'static,
    B::Error: Into<Box<dyn StdError + Send + Sync>>,
{
    binding.check_stream()?;
    let idle_max = Duration::from_millis(config.stream_idle_max_ms);
    let mut upload = Upload::new(body, binding, config.body_bytes_max, idle_max);
    upload.is_one_message_each = is_one_message_each;
    Ok(upload.into_messages())
}

/// Tells which methods a path has (RFC 9110 9.3.7).
fn options(allow: &str) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    response.headers_mut().insert(header::ALLOW, HeaderValue::from_str(allow).expect("methods are header values"));
    response.extensions_mut().insert(Called::new(None, Code::Ok));
    response
}
