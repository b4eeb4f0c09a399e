//! Sockets over real connections, to a service of all four kinds of calls.

use super::{Asked, WebSocketConfig, open};
use crate::edge::cors::{Cors, CorsConfig};
use crate::edge::{Line, Peer, Session};
use futures_util::{SinkExt, StreamExt};
use http::{Request, Response, StatusCode};
use http_body_util::Empty;
use hyper::body::Incoming;
use hyper::ext::Protocol;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use parrot::{PARROT, Parrot, Perch, Perched};
use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::protocol::Role;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::{Error as SocketError, Message, Utf8Bytes};
use tokio_tungstenite::{WebSocketStream, client_async};
use tonic::body::Body;
use transcode::Transcoder;

#[path = "../../../tests/port/parrot.rs"]
mod parrot;

/// A server whose every request opens a socket, or does not.
struct Server {
    address: SocketAddr,
    parrot: Parrot,
    _perched: Perched,
    _tasks: JoinSet<()>,
}

struct Behind {
    transcoder: Transcoder,
    cors: Cors,
    config: WebSocketConfig,
    upstream: rpc::Upstream,
    line: Line,
}

impl Server {
    async fn start(config: WebSocketConfig) -> Self {
        Server::before(Perch::Here, config).await
    }

    async fn before(perch: Perch, config: WebSocketConfig) -> Self {
        let root = env!("CARGO_MANIFEST_DIR");
        let mut compiler =
            protox::Compiler::new([format!("{root}/tests/port"), format!("{root}/../../proto")]).unwrap();
        let set = compiler.include_imports(true).open_file("parrot.proto").unwrap().encode_file_descriptor_set();
        let limits = transcode::Config { body_bytes_max: 1_000, ..transcode::Config::default() };
        let parrot = Parrot::default();
        let (upstream, perched) = perch.put(parrot.clone()).await;
        let (sessions, beginning) = mpsc::channel(8);
        let peer = Peer { address: IpAddr::from([127, 0, 0, 1]), certificate: None };
        let behind = Arc::new(Behind {
            transcoder: Transcoder::new(&set, limits).unwrap(),
            cors: Cors::new(&CorsConfig { origins: ["https://a.example".to_owned()].into(), ..CorsConfig::default() })
                .unwrap(),
            config,
            upstream,
            line: Line { peer, held: Arc::new(()), sessions },
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut tasks = JoinSet::new();
        tasks.spawn(run(beginning));
        tasks.spawn(accept(listener, behind));
        Server { address, parrot, _perched: perched, _tasks: tasks }
    }

    async fn connect(&self, path: &str) -> WebSocketStream<TcpStream> {
        self.ask(path, None).await.unwrap()
    }

    async fn ask(&self, path: &str, origin: Option<&str>) -> Result<WebSocketStream<TcpStream>, SocketError> {
        let mut request = format!("ws://{}{path}", self.address).into_client_request().unwrap();
        if let Some(origin) = origin {
            request.headers_mut().insert("origin", origin.parse().unwrap());
        }
        let stream = TcpStream::connect(self.address).await.unwrap();
        client_async(request, stream).await.map(|(socket, _)| socket)
    }

    async fn sees_given_up(&self, times: usize) {
        let seen = async {
            while self.parrot.given_up.load(Ordering::SeqCst) != times {
                tokio::task::yield_now().await;
            }
        };
        assert!(tokio::time::timeout(Duration::from_secs(10), seen).await.is_ok(), "the service does not see it");
    }
}

async fn run(mut beginning: mpsc::Receiver<Session>) {
    let mut sessions = JoinSet::new();
    while let Some((session, _held)) = beginning.recv().await {
        sessions.spawn(session);
    }
}

async fn accept(listener: TcpListener, behind: Arc<Behind>) {
    let mut connections = JoinSet::new();
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        let behind = Arc::clone(&behind);
        connections.spawn(async move {
            let service = service_fn(move |request: Request<Incoming>| {
                let answer = answer(Arc::clone(&behind), request.map(Body::new));
                async { Ok::<_, Infallible>(answer.await) }
            });
            let mut builder = Builder::new(TokioExecutor::new());
            builder.http2().enable_connect_protocol();
            // A client that goes is what some tests are about.
            let _gone = builder.serve_connection_with_upgrades(TokioIo::new(stream), service).await.is_err();
        });
    }
}

async fn answer(behind: Arc<Behind>, request: Request<Body>) -> Response<Body> {
    let asked = Asked::of(&request).unwrap();
    let Some(route) = behind.transcoder.stream_route(request.uri().path()) else {
        return Response::builder().status(StatusCode::NOT_FOUND).body(Body::empty()).unwrap();
    };
    let limits = behind.config.limits(1_000);
    let called = Arc::clone(&behind);
    let answer = move |request| async move {
        let upstream = called.upstream.clone();
        called.transcoder.call(request, &|name| (name == PARROT).then(|| upstream.clone())).await
    };
    open((&asked, route), request, (&behind.cors, limits), &behind.line, answer)
}

/// All texts until the socket is closed, and the code of the close.
async fn hear<S: AsyncRead + AsyncWrite + Unpin>(socket: &mut WebSocketStream<S>) -> (Vec<String>, Option<u16>) {
    let mut texts = Vec::new();
    loop {
        match socket.next().await {
            Some(Ok(Message::Text(text))) => texts.push(text.to_string()),
            Some(Ok(Message::Close(frame))) => return (texts, frame.map(|frame| frame.code.into())),
            Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
            other => panic!("{other:?} after {texts:?}"),
        }
    }
}

async fn say<S: AsyncRead + AsyncWrite + Unpin>(socket: &mut WebSocketStream<S>, text: &str) {
    socket.send(Message::Text(Utf8Bytes::from(text))).await.unwrap();
}

const OK: &str = r#"{"status":{"code":0}}"#;

#[tokio::test]
async fn what_the_server_streams_is_heard_to_its_end() {
    let server = Server::start(WebSocketConfig::default()).await;

    let (texts, code) = hear(&mut server.connect("/v1/parrot/2:count").await).await;
    assert_eq!((texts, code), (vec![r#"{"text":"1"}"#.into(), r#"{"text":"2"}"#.into(), OK.into()], Some(1000)));
    let mut posted = server.connect("/v1/parrot:count").await;
    say(&mut posted, r#"{"text":"1"}"#).await;
    assert_eq!(hear(&mut posted).await, (vec![r#"{"text":"1"}"#.into(), OK.into()], Some(1000)));
}

#[tokio::test]
async fn both_sides_speak_in_turn_until_the_client_has_said_all() {
    let server = Server::start(WebSocketConfig::default()).await;
    let mut socket = server.connect("/v1/parrot:repeat").await;

    // The second has its line breaks within the document, and the third comes as bytes.
    for word in [r#"{"text":"a"}"#, "{\n\"text\":\"b\"\n}"] {
        say(&mut socket, word).await;
        let heard = socket.next().await.unwrap().unwrap().into_text().unwrap();
        assert_eq!(heard.replace('\n', ""), word.replace('\n', ""));
    }
    socket.send(Message::Binary(br#"{"text":"c"}"#.to_vec().into())).await.unwrap();
    assert_eq!(socket.next().await.unwrap().unwrap().into_text().unwrap(), r#"{"text":"c"}"#);
    say(&mut socket, "").await;

    assert_eq!(hear(&mut socket).await, (vec![OK.into()], Some(1000)));
}

#[tokio::test]
async fn what_the_client_streams_is_answered_when_it_has_said_all() {
    let server = Server::start(WebSocketConfig::default()).await;
    let mut socket = server.connect("/v1/parrot:join").await;

    for text in [r#"{"text":"a"}"#, r#"{"text":"b"}"#, ""] {
        say(&mut socket, text).await;
    }

    assert_eq!(hear(&mut socket).await, (vec![r#"{"text":"a|b"}"#.into(), OK.into()], Some(1000)));
}

#[tokio::test]
async fn a_failure_is_the_last_message_and_the_code() {
    let server = Server::start(WebSocketConfig::default()).await;

    let (texts, code) = hear(&mut server.connect("/v1/parrot/broken:count").await).await;
    let error = r#"{"error":{"code":10,"details":[],"message":"broken by intent"}}"#;
    assert_eq!((texts.last().unwrap().as_str(), texts.len(), code), (error, 3, Some(4010)));
    let (texts, code) = hear(&mut server.connect("/v1/parrot/x:count").await).await;
    assert_eq!((texts.len(), code), (1, Some(4003)));
    assert!(texts[0].contains(r#""message":"is no number""#), "{texts:?}");
    let mut malformed = server.connect("/v1/parrot:repeat").await;
    say(&mut malformed, r#"{"text":1}"#).await;
    let (texts, code) = hear(&mut malformed).await;
    assert!(texts[0].contains("message 1 of the stream") && code == Some(4003), "{texts:?} {code:?}");
    let mut two = server.connect("/v1/parrot:repeat").await;
    say(&mut two, r#"{"text":"a"} {"text":"b"}"#).await;
    assert_eq!(hear(&mut two).await.1, Some(4003));
}

#[tokio::test]
async fn what_is_too_much_is_refused() {
    let server = Server::start(WebSocketConfig::default()).await;

    let mut large = server.connect("/v1/parrot:repeat").await;
    say(&mut large, &format!(r#"{{"text":"{}"}}"#, "x".repeat(1_000))).await;
    let (texts, code) = hear(&mut large).await;
    assert!(texts[0].contains(r#""code":11"#) && code == Some(CloseCode::Size.into()), "{texts:?} {code:?}");
    let mut second = server.connect("/v1/parrot/open:count").await;
    say(&mut second, "{}").await;
    let (texts, code) = hear(&mut second).await;
    assert!(texts.last().unwrap().contains("takes no further message") && code == Some(4003), "{texts:?} {code:?}");
}

#[tokio::test]
async fn the_service_sees_when_a_client_closes_or_goes() {
    for perch in Perch::BOTH {
        let server = Server::before(perch, WebSocketConfig::default()).await;
        // A line to another server takes a moment.
        while hear(&mut server.connect("/v1/parrot/0:count").await).await.1 != Some(1000) {}

        let mut closing = server.connect("/v1/parrot/open:count").await;
        assert_eq!(closing.next().await.unwrap().unwrap().into_text().unwrap(), r#"{"text":"1"}"#, "{perch:?}");
        closing.close(None).await.unwrap();
        server.sees_given_up(1).await;
        let mut going = server.connect("/v1/parrot:repeat").await;
        say(&mut going, r#"{"text":"a"}"#).await;
        assert_eq!(going.next().await.unwrap().unwrap().into_text().unwrap(), r#"{"text":"a"}"#, "{perch:?}");
        drop(going);
        server.sees_given_up(2).await;
    }
}

#[tokio::test]
async fn a_client_that_answers_no_ping_is_let_go_and_one_that_does_is_kept() {
    let server = Server::start(WebSocketConfig { ping_interval_ms: 50, ..WebSocketConfig::default() }).await;
    // A client whose library is not asked to read answers nothing.
    let mut silent = server.connect("/v1/parrot/open:count").await;
    let mut lively = server.connect("/v1/parrot:repeat").await;

    let mut pings = 0;
    let kept = async {
        while pings < 10 {
            pings += usize::from(matches!(lively.next().await, Some(Ok(Message::Ping(_)))));
        }
    };
    tokio::time::timeout(Duration::from_secs(10), kept).await.unwrap();
    server.sees_given_up(1).await;

    say(&mut lively, r#"{"text":"still here"}"#).await;
    let heard = loop {
        if let Message::Text(text) = lively.next().await.unwrap().unwrap() {
            break text;
        }
    };
    assert_eq!(heard, r#"{"text":"still here"}"#);
    let ended = async { while let Some(Ok(_)) = silent.next().await {} };
    assert!(tokio::time::timeout(Duration::from_secs(10), ended).await.is_ok());
}

#[tokio::test]
async fn a_client_that_reads_nothing_holds_the_service_up_and_is_let_go() {
    let server = Server::start(WebSocketConfig { write_timeout_ms: 200, ..WebSocketConfig::default() }).await;
    let mut socket = server.connect("/v1/parrot:repeat").await;
    let word = format!(r#"{{"text":"{}"}}"#, "x".repeat(900));

    // The service repeats what it hears, until the buffers of both connections are full: then nobody takes any more.
    let flood = async {
        loop {
            if socket.send(Message::Text(Utf8Bytes::from(&word))).await.is_err() {
                break;
            }
        }
    };

    tokio::time::timeout(Duration::from_secs(30), flood).await.unwrap();
    server.sees_given_up(1).await;
}

#[tokio::test]
async fn a_client_that_only_pings_is_sent_away() {
    let server = Server::start(WebSocketConfig { write_timeout_ms: 60_000, ..WebSocketConfig::default() }).await;
    let mut request = format!("ws://{}/v1/parrot/open:count", server.address).into_client_request().unwrap();
    request.headers_mut().insert("x-request-id", "pinging".parse().unwrap());
    let stream = TcpStream::connect(server.address).await.unwrap();
    let (socket, _) = client_async(request, stream).await.unwrap();
    let (mut reading, mut writing) = socket.into_inner().into_split();

    // Frames of a ping with 125 bytes, whose pongs nobody reads.
    let ping: Vec<u8> = [0x89, 0x80 | 125].into_iter().chain([0; 4]).chain([b'x'; 125]).collect();
    let flood = async { while writing.write_all(&ping).await.is_ok() {} };

    assert!(tokio::time::timeout(Duration::from_secs(30), flood).await.is_ok(), "it may ping for ever");
    let mut rest = Vec::new();
    // A reset is fine.
    let _reset = reading.read_to_end(&mut rest).await.is_err();
}

#[tokio::test]
async fn garbage_is_a_fault_of_the_protocol() {
    let server = Server::start(WebSocketConfig::default()).await;
    // Not masked; a text that is not UTF-8; a reserved opcode.
    let frames: [(&[u8], u16); 3] =
        [(&[0x81, 0x01, b'x'], 1002), (&[0x81, 0x81, 0, 0, 0, 0, 0xff], 1007), (&[0x83, 0x80, 0, 0, 0, 0], 1002)];
    for (frame, expected) in frames {
        let socket = server.connect("/v1/parrot:repeat").await;
        let mut stream = socket.into_inner();
        stream.write_all(frame).await.unwrap();

        let mut socket = WebSocketStream::from_raw_socket(stream, Role::Client, None).await;

        assert_eq!(hear(&mut socket).await.1, Some(expected), "{frame:?}");
    }
}

#[tokio::test]
async fn a_page_of_another_origin_opens_no_socket() {
    let server = Server::start(WebSocketConfig::default()).await;
    let own = format!("http://{}", server.address);

    for allowed in ["https://a.example", &own] {
        assert!(server.ask("/v1/parrot/1:count", Some(allowed)).await.is_ok(), "{allowed}");
    }
    for refused in ["https://b.example", "null", "https://a.example:8443"] {
        let Err(SocketError::Http(response)) = server.ask("/v1/parrot/1:count", Some(refused)).await else {
            panic!("{refused} has opened a socket")
        };
        assert_eq!(response.status(), 403, "{refused}");
    }
    let Err(SocketError::Http(unary)) = server.ask("/v1/parrot:say", None).await else { panic!("it is no stream") };
    assert_eq!(unary.status(), 404);
}

#[tokio::test]
async fn a_socket_is_a_stream_of_http2_as_well() {
    let server = Server::start(WebSocketConfig::default()).await;
    let stream = TcpStream::connect(server.address).await.unwrap();
    let builder = hyper::client::conn::http2::Builder::new(TokioExecutor::new());
    let (mut sender, connection) = builder.handshake(TokioIo::new(stream)).await.unwrap();
    let mut tasks = JoinSet::new();
    tasks.spawn(connection);
    let request = || {
        Request::connect(format!("http://{}/v1/parrot:repeat", server.address))
            .header("sec-websocket-version", "13")
            .extension(Protocol::from_static("websocket"))
            .body(Empty::<bytes::Bytes>::new())
            .unwrap()
    };
    // A client learns from the settings of the server that it may ask, which may still be on their way.
    let response = loop {
        sender.ready().await.unwrap();
        if let Ok(response) = sender.send_request(request()).await {
            break response;
        }
        tokio::task::yield_now().await;
    };
    assert_eq!(response.status(), 200);
    let upgraded = hyper::upgrade::on(response).await.unwrap();
    let mut socket = WebSocketStream::from_raw_socket(TokioIo::new(upgraded), Role::Client, None).await;

    say(&mut socket, r#"{"text":"a"}"#).await;
    say(&mut socket, "").await;

    assert_eq!(hear(&mut socket).await, (vec![r#"{"text":"a"}"#.into(), OK.into()], Some(1000)));
}
