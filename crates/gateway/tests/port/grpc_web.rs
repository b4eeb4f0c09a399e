//! The public port as browsers see it that speak gRPC-Web: over HTTP/1.1, with the trailers in the body.

use crate::harness::{Answer, Port, eventually};
use crate::parrot::{INITIAL, PARROT, Parrot, Perch, Perched, SPECIAL, TRAILING};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bytes::{Buf, BufMut, Bytes, BytesMut};
use gateway::Config;
use http::Request;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use prost::Message;
use std::sync::atomic::Ordering;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_stream::StreamExt;
use tonic::body::Body;
use tonic::client::Grpc;
use tonic::{Code, Request as Call, Streaming};
use tonic_prost::ProstCodec;
use tonic_web::{GrpcWebCall, GrpcWebClientLayer, GrpcWebClientService};
use tower::Layer;

struct Cage {
    port: Port,
    parrot: Parrot,
    _perched: Perched,
}

/// What a body of gRPC-Web holds.
#[derive(Debug, PartialEq)]
struct Heard {
    messages: Vec<String>,
    trailers: String,
}

impl Cage {
    async fn open(perch: Perch) -> Cage {
        let parrot = Parrot::default();
        let (upstream, perched) = perch.put(parrot.clone()).await;
        let port = Port::start(Config::default(), [(PARROT, upstream)]).await;
        let cage = Cage { port, parrot, _perched: perched };
        eventually("the parrot answers", async || {
            let answer = cage.call("Say", "application/grpc-web", framed("hello"), &[]).await;
            answer.header("grpc-status").is_none()
        })
        .await;
        cage
    }

    async fn call(&self, method: &str, content_type: &str, body: Bytes, headers: &[(&str, &str)]) -> Answer {
        let request = Request::post(format!("/{PARROT}/{method}")).header("content-type", content_type);
        let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        self.port.send(request, body).await
    }

    /// A client of tonic's, over HTTP/1.1.
    fn client(&self) -> Grpc<GrpcWebClientService<Client<HttpConnector, GrpcWebCall<Body>>>> {
        let client = GrpcWebClientLayer::new().layer(Client::builder(TokioExecutor::new()).build_http());
        Grpc::with_origin(client, format!("http://{}", self.port.address).parse().unwrap())
    }
}

fn framed(message: &str) -> Bytes {
    let message = message.to_owned().encode_to_vec();
    let mut frame = BytesMut::new();
    frame.put_u8(0);
    frame.put_u32(u32::try_from(message.len()).unwrap());
    frame.put_slice(&message);
    frame.freeze()
}

fn hear(mut body: Bytes) -> Heard {
    let mut heard = Heard { messages: Vec::new(), trailers: String::new() };
    while body.has_remaining() {
        let flag = body.get_u8();
        let length = usize::try_from(body.get_u32()).unwrap();
        let content = body.split_to(length);
        match flag {
            0 => heard.messages.push(String::decode(content).unwrap()),
            0x80 => heard.trailers = String::from_utf8(content.to_vec()).unwrap(),
            other => panic!("a frame has the flag {other}"),
        }
    }
    heard
}

/// Decodes a text that is made of texts, as a browser does.
fn plain(text: &str) -> Bytes {
    let quartets = text.as_bytes().chunks(4);
    quartets.flat_map(|quartet| BASE64_STANDARD.decode(quartet).unwrap()).collect()
}

#[tokio::test]
async fn a_client_of_another_make_calls_and_watches() {
    for perch in Perch::BOTH {
        let cage = Cage::open(perch).await;
        let codec = ProstCodec::<String, String>::default;
        let path = |method: &str| format!("/{PARROT}/{method}").parse().unwrap();
        let mut client = cage.client();
        let mut call = Call::new("hello".to_owned());
        call.metadata_mut().insert(INITIAL, "first".parse().unwrap());
        call.metadata_mut().insert_bin(TRAILING, tonic::metadata::MetadataValue::from_bytes(b"\0last"));

        client.ready().await.unwrap();
        let said = client.unary(call, path("Say"), codec()).await.unwrap();
        assert_eq!(said.get_ref(), "hello", "{perch:?}");
        assert_eq!(said.metadata().get(INITIAL).unwrap(), "first", "{perch:?}");
        let last = said.metadata().get_bin(TRAILING).unwrap().to_bytes().unwrap();
        assert_eq!(last, &b"\0last"[..], "{perch:?}");
        client.ready().await.unwrap();
        let counted: Streaming<String> =
            client.server_streaming(Call::new("3".to_owned()), path("Count"), codec()).await.unwrap().into_inner();
        let counted: Vec<String> = counted.map(|number| number.unwrap()).collect().await;
        assert_eq!(counted, ["1", "2", "3"], "{perch:?}");
        client.ready().await.unwrap();
        let failed = client.unary(Call::new("fail".to_owned()), path("Say"), codec()).await.unwrap_err();
        assert_eq!((failed.code(), failed.message()), (Code::DataLoss, SPECIAL), "{perch:?}");
    }
}

#[tokio::test]
async fn the_trailers_are_the_last_frame() {
    for perch in Perch::BOTH {
        let cage = Cage::open(perch).await;

        let answer = cage.call("Count", "application/grpc-web+proto", framed("2"), &[]).await;

        assert_eq!((answer.status, answer.header("content-type")), (200, Some("application/grpc-web+proto")));
        let messages = vec!["1".to_owned(), "2".to_owned()];
        assert_eq!(hear(answer.body), Heard { messages, trailers: "grpc-status:0\r\n".to_owned() }, "{perch:?}");
        let broken = hear(cage.call("Count", "application/grpc-web", framed("broken"), &[]).await.body);
        assert_eq!(broken.trailers, "grpc-status:10\r\ngrpc-message:broken%20by%20intent\r\n", "{perch:?}");
        assert_eq!(broken.messages, ["1", "2"], "{perch:?}");
    }
}

#[tokio::test]
async fn a_call_in_text_is_answered_in_text() {
    let cage = Cage::open(Perch::Here).await;
    let text = Bytes::from(BASE64_STANDARD.encode(framed("tabby")));

    let answer = cage.call("Say", "application/grpc-web-text", text, &[("accept", "*/*")]).await;

    assert_eq!(answer.header("content-type"), Some("application/grpc-web-text+proto"));
    let heard = hear(plain(answer.text()));
    assert_eq!((heard.messages, heard.trailers.as_str()), (vec!["tabby".to_owned()], "grpc-status:0\r\n"));
    let malformed = cage.call("Say", "application/grpc-web-text", "!!!!".into(), &[]).await;
    assert_eq!(malformed.header("grpc-status"), Some("3"), "{malformed:?}");
}

#[tokio::test]
async fn a_refusal_is_told_in_the_headers() {
    let cage = Cage::open(Perch::Here).await;

    let unknown = cage.call("Sing", "application/grpc-web", framed(""), &[]).await;
    assert_eq!((unknown.status, unknown.header("grpc-status")), (200, Some("12")));
    assert_eq!(unknown.header("content-type"), Some("application/grpc-web+proto"));
    let late = cage.call("Say", "application/grpc-web", framed("sleep"), &[("grpc-timeout", "300m")]).await;
    assert_eq!(late.header("grpc-status"), Some("4"));
    let nonsense = cage.call("Say", "application/grpc-web", framed("a"), &[("grpc-timeout", "5X")]).await;
    assert_eq!(nonsense.header("grpc-status"), Some("3"));
    eventually("the late call is given up", async || cage.parrot.given_up.load(Ordering::SeqCst) == 1).await;
    let got = cage.port.send(Request::get(format!("/{PARROT}/Say")), "").await;
    assert_eq!(got.status, 404);
}

#[tokio::test]
async fn the_service_sees_when_a_browser_goes() {
    for perch in Perch::BOTH {
        let cage = Cage::open(perch).await;
        let mut stream = TcpStream::connect(cage.port.address).await.unwrap();
        let head = format!(
            "POST /{PARROT}/Count HTTP/1.1\r\nhost: x\r\ncontent-type: application/grpc-web\r\ncontent-length: {}\r\n\r\n",
            framed("open").len()
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        stream.write_all(&framed("open")).await.unwrap();
        let mut begun = [0; 16];
        stream.read_exact(&mut begun).await.unwrap();

        drop(stream);

        eventually("the stream is given up", async || cage.parrot.given_up.load(Ordering::SeqCst) == 1).await;
    }
}

#[tokio::test]
async fn calls_are_counted_as_grpc_web() {
    let cage = Cage::open(Perch::Here).await;

    let metrics = cage.port.get("/metrics").await;

    assert!(metrics.text().contains(r#"gateway_requests_total{protocol="grpc-web","#), "{}", metrics.text());
}
