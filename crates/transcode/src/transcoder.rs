//! Takes a request from HTTP to gRPC and its answer back.

use crate::codec::Raw;
use crate::headers::StreamForm;
use crate::refused::Refused;
use crate::request::{Binding, Head};
use crate::router::{Found, Router};
use crate::rule::{Body as Bound, Route};
use crate::rules::{Rule, Rules};
use crate::status::{Names, Statuses};
use crate::stream::Feed;
use crate::upload::{Refusals, Upload};
use crate::{Config, Error, answer, exchange, request};
use bytes::Bytes;
use futures_util::Stream;
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use prost_reflect::DescriptorPool;
use std::convert::Infallible;
use std::error::Error as StdError;
use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};
use std::time::Duration;
use tonic::body::Body;
use tonic::client::Grpc;
use tonic::metadata::MetadataMap;
use tonic::{Code, Status, Streaming};
use tower::Service;

/// How long the first message of a stream is waited for before its answer begins without it. One that ends at once is thus told by
/// its HTTP status, and a client of a quiet one learns within a second that it is connected.
const FIRST_MESSAGE_WAIT: Duration = Duration::from_secs(1);

/// What goes to a service.
enum Sent<M> {
    Message(Bytes),
    Stream(M, Refusals),
}

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

/// What a request called, in the extensions of its answer.
#[derive(Debug, Clone)]
pub struct Called {
    method: Option<Arc<str>>,
    code: Arc<AtomicI32>,
}

impl Called {
    fn new(method: Option<Arc<str>>, code: Code) -> Self {
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

impl Transcoder {
    /// Reads the rules of an encoded `FileDescriptorSet`.
    ///
    /// # Errors
    /// When it is none, or a rule cannot be kept.
    pub fn new(descriptor_set: &[u8], config: Config) -> Result<Self, Error> {
        let pool = DescriptorPool::decode(descriptor_set).map_err(Error::Descriptors)?;
        let mut rules = Rules::of(&pool, Rules::unknown(&config));
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
    /// The answer carries [`Called`] in its extensions. Dropping the future drops the call.
    pub async fn call<B, S>(&self, request: Request<B>, upstream: impl Fn(&str) -> Option<S>) -> Response<Body>
    where
        B: http_body::Body<Data = Bytes> + Send + Unpin + 'static,
        B::Error: Into<Box<dyn StdError + Send + Sync>>,
        S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>,
    {
        let (route, values) = match self.find(&request) {
            Ok(found) => found,
            Err(Refused { allow: Some(allow), .. }) if request.method() == Method::OPTIONS => return options(&allow),
            Err(refused) => return refuse(&self.statuses, &refused, None, Names::Json),
        };
        let (mut parts, body) = request.into_parts();
        let head = match Head::read(&route, &mut parts) {
            Ok(head) => head,
            Err(refused) => return refuse_call(&route, &refused, Names::Json),
        };
        let binding = Binding::new(Arc::clone(&route), values, parts);
        let called = if route.rpc.is_upload() {
            self.upload(binding, body, head.is_one_message_each)
                .map(|(messages, refusals)| Sent::Stream(messages, refusals))
        } else {
            request::read_message(&binding, body, &self.config).await.map(Sent::Message)
        };
        let called = match called {
            Ok(called) => called,
            Err(refused) => return refuse_call(&route, &refused, Names::Json),
        };
        let answered = match (upstream(&route.rpc.service), called) {
            (Some(service), Sent::Message(message)) => self.exchange(&route, head, message, service).await,
            (Some(service), Sent::Stream(messages, refusals)) => {
                Box::pin(self.forward(&route, (head, messages, refusals), service)).await
            }
            (None, _) => Err(Status::unimplemented(format!("{} is not served here", route.rpc.service)).into()),
        };
        let body = match &route.body {
            Bound::Field(field) => Some(field.name()),
            Bound::None | Bound::Whole => None,
        };
        answered.unwrap_or_else(|refused| refuse_call(&route, &refused, Names::Proto { body }))
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

    fn upload<B>(
        &self,
        binding: Binding,
        body: B,
        is_one_message_each: bool,
    ) -> Result<(impl Stream<Item = Bytes> + Send + 'static, Refusals), Refused>
    where
        B: http_body::Body<Data = Bytes> + Send + Unpin + 'static,
        B::Error: Into<Box<dyn StdError + Send + Sync>>,
    {
        binding.check_stream()?;
        let idle_max = Duration::from_millis(self.config.stream_idle_max_ms);
        let mut upload = Upload::new(body, binding, self.config.body_bytes_max, idle_max);
        upload.is_one_message_each = is_one_message_each;
        Ok(upload.into_messages())
    }

    /// Sends one message.
    async fn exchange<S>(
        &self,
        route: &Arc<Route>,
        head: Head,
        message: Bytes,
        mut service: S,
    ) -> Result<Response<Body>, Refused>
    where
        S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>,
    {
        let mut request = exchange::request(route.rpc.path.clone(), head.metadata, message)?;
        *request.extensions_mut() = head.extensions;
        match poll_fn(|context| service.poll_ready(context)).await {
            Ok(()) => {}
            Err(impossible) => match impossible {},
        }
        let answer = match service.call(request).await {
            Ok(answer) => answer,
            Err(impossible) => match impossible {},
        };
        let bytes_max = self.config.message_bytes_max;
        if route.rpc.is_stream() {
            let (metadata, messages) = exchange::messages(answer, bytes_max)?;
            let answered = self.stream(route, (messages, Refusals::none()), metadata, (head.form, head.is_resumed));
            return Box::pin(answered).await;
        }
        let (metadata, message) = exchange::answer(answer, bytes_max).await?;
        let mut response = answer::unary(route, &message, &metadata, (&head.asked, &head.conditions))?;
        response.extensions_mut().insert(Called::new(Some(Arc::clone(&route.rpc.name)), Code::Ok));
        Ok(response)
    }

    /// Sends a stream of messages.
    async fn forward<S, M>(
        &self,
        route: &Arc<Route>,
        (head, messages, mut refusals): (Head, M, Refusals),
        service: S,
    ) -> Result<Response<Body>, Refused>
    where
        S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>,
        M: Stream<Item = Bytes> + Send + 'static,
    {
        let mut client = Grpc::new(service).max_decoding_message_size(self.config.message_bytes_max);
        let mut request = tonic::Request::new(messages);
        *request.metadata_mut() = MetadataMap::from_headers(head.metadata);
        *request.extensions_mut() = head.extensions;
        match client.ready().await {
            Ok(()) => {}
            Err(impossible) => match impossible {},
        }
        let answer = refusals.unless(client.streaming(request, route.rpc.path.clone(), Raw)).await?;
        let (metadata, messages, _) = answer.into_parts();
        if route.rpc.is_stream() {
            return self.stream(route, (messages, refusals), metadata, (head.form, head.is_resumed)).await;
        }
        let message = refusals.unless(only(messages)).await?;
        let mut response = answer::unary(route, &message, metadata.as_ref(), (&head.asked, &head.conditions))?;
        response.extensions_mut().insert(Called::new(Some(Arc::clone(&route.rpc.name)), Code::Ok));
        Ok(response)
    }

    async fn stream(
        &self,
        route: &Arc<Route>,
        (mut messages, mut refusals): (Streaming<Bytes>, Refusals),
        metadata: MetadataMap,
        (form, is_resumed): (StreamForm, bool),
    ) -> Result<Response<Body>, Refused> {
        let called = Called::new(Some(Arc::clone(&route.rpc.name)), Code::Cancelled);
        // Cancel safe: a message is taken only when it is there.
        let first = refusals.unless(messages.message());
        let first = match tokio::time::timeout(FIRST_MESSAGE_WAIT, first).await {
            Ok(first) => first?,
            Err(_elapsed) => return self.feed(route, (messages, refusals), None, (form, called, metadata)),
        };
        // Nothing is left to resume: 204 tells an EventSource not to come again.
        if first.is_none() && is_resumed && form == StreamForm::Events {
            called.ended(Code::Ok);
            let mut response = Response::new(Body::empty());
            *response.status_mut() = StatusCode::NO_CONTENT;
            response.extensions_mut().insert(called);
            return Ok(response);
        }
        self.feed(route, (messages, refusals), first, (form, called, metadata))
    }

    fn feed(
        &self,
        route: &Arc<Route>,
        (messages, refusals): (Streaming<Bytes>, Refusals),
        first: Option<Bytes>,
        (form, called, metadata): (StreamForm, Called, MetadataMap),
    ) -> Result<Response<Body>, Refused> {
        let (route, statuses) = (Arc::clone(route), Arc::clone(&route.rpc.statuses));
        let feed = Feed { messages, first, route, form, statuses, called: called.clone(), refusals, is_begun: false };
        let mut response = feed.into_response()?;
        crate::headers::response(metadata.as_ref(), response.headers_mut());
        response.extensions_mut().insert(called);
        Ok(response)
    }
}

fn refuse(statuses: &Statuses, refused: &Refused, method: Option<Arc<str>>, names: Names<'_>) -> Response<Body> {
    let mut response = statuses.response(refused, names);
    response.extensions_mut().insert(Called::new(method, refused.status.code()));
    response
}

/// Tells an error of a call that has a route.
fn refuse_call(route: &Route, refused: &Refused, names: Names<'_>) -> Response<Body> {
    refuse(&route.rpc.statuses, refused, Some(Arc::clone(&route.rpc.name)), names)
}

/// Tells which methods a path has (RFC 9110 9.3.7).
fn options(allow: &str) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    response.headers_mut().insert(header::ALLOW, HeaderValue::from_str(allow).expect("methods are header values"));
    response.extensions_mut().insert(Called::new(None, Code::Ok));
    response
}

/// The one message of a unary call; its status is known only when the stream has ended.
async fn only(mut messages: Streaming<Bytes>) -> Result<Bytes, Status> {
    let message = messages.message().await?;
    let message = message.ok_or_else(|| Status::internal("the service answered without a message"))?;
    match messages.message().await? {
        None => Ok(message),
        Some(_) => Err(Status::internal("the service answered a unary call with several messages")),
    }
}
