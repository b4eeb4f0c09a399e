//! Calls of gRPC pass as they are: the cases of gRPC's interoperability tests, with a service in this process and one behind HTTP/2.

use crate::harness::{Port, client, eventually, line};
use crate::parrot::{INITIAL, PARROT, Parrot, Perch, Perched, SPECIAL, TRAILING};
use gateway::Config;
use http::uri::PathAndQuery;
use hyper::body::Incoming;
use std::net::Shutdown;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_stream::StreamExt;
use tokio_stream::wrappers::ReceiverStream;
use tonic::body::Body;
use tonic::client::Grpc;
use tonic::metadata::{MetadataMap, MetadataValue};
use tonic::transport::Channel;
use tonic::{Code, IntoRequest, Request, Response, Status, Streaming};
use tonic_prost::ProstCodec;
use tower::Service;

/// A parrot behind a gateway, and a client of it.
struct Cage {
    port: Port,
    _perched: Perched,
    parrot: Parrot,
    channel: Channel,
}

impl Cage {
    async fn open(perch: Perch) -> Cage {
        let parrot = Parrot::default();
        let (upstream, perched) = perch.put(parrot.clone()).await;
        let port = Port::start(Config::default(), [(PARROT, upstream)]).await;
        // A line to another server takes a moment.
        let channel = port.channel().await;
        let cage = Cage { port, _perched: perched, parrot, channel };
        eventually("the parrot answers", async || cage.say("hello".to_owned()).await.is_ok()).await;
        cage
    }

    async fn client(&self) -> Grpc<Channel> {
        let mut client = Grpc::new(self.channel.clone());
        client.ready().await.unwrap();
        client
    }

    async fn stream(&self) -> TcpStream {
        TcpStream::connect(self.port.address).await.unwrap()
    }

    /// A client that leaves the deadline to the gateway.
    async fn other_client(
        stream: TcpStream,
        tasks: &mut JoinSet<hyper::Result<()>>,
    ) -> Grpc<
        impl Service<http::Request<Body>, Response = http::Response<Incoming>, Error = hyper::Error, Future: Send> + use<>,
    > {
        let mut client = client(line(stream, tasks).await.unwrap());
        client.ready().await.unwrap();
        client
    }

    async fn say(&self, message: impl IntoRequest<String>) -> Result<Response<String>, Status> {
        self.client().await.unary(message.into_request(), path("Say"), codec()).await
    }

    /// Waits until the parrot has seen this many calls given up.
    async fn sees_given_up(&self, times: usize) {
        let given_up = &self.parrot.given_up;
        eventually("calls are given up", async || given_up.load(Ordering::SeqCst) == times).await;
    }

    async fn count(&self, to: &str) -> Result<Streaming<String>, Status> {
        let answer = self.client().await.server_streaming(Request::new(to.to_owned()), path("Count"), codec()).await;
        answer.map(Response::into_inner)
    }
}

fn path(method: &str) -> PathAndQuery {
    format!("/{PARROT}/{method}").parse().unwrap()
}

fn codec() -> ProstCodec<String, String> {
    ProstCodec::default()
}

async fn all(messages: Streaming<String>) -> Vec<String> {
    messages.map(|message| message.unwrap()).collect().await
}

#[tokio::test]
async fn every_kind_of_call_passes() {
    for perch in Perch::BOTH {
        let cage = Cage::open(perch).await;
        let words = || tokio_stream::iter(["a", "b", "c"].map(str::to_owned));

        assert_eq!(cage.say("hello".to_owned()).await.unwrap().into_inner(), "hello", "{perch:?}");
        assert_eq!(all(cage.count("3").await.unwrap()).await, ["1", "2", "3"], "{perch:?}");
        let joined = cage.client().await.client_streaming(Request::new(words()), path("Join"), codec()).await;
        assert_eq!(joined.unwrap().into_inner(), "a|b|c", "{perch:?}");
        let repeated = cage.client().await.streaming(Request::new(words()), path("Repeat"), codec()).await;
        assert_eq!(all(repeated.unwrap().into_inner()).await, ["a", "b", "c"], "{perch:?}");
        assert_eq!(cage.say(String::new()).await.unwrap().into_inner(), "", "{perch:?}");
        assert!(all(cage.count("0").await.unwrap()).await.is_empty(), "{perch:?}");
    }
}

#[tokio::test]
async fn both_sides_of_a_conversation_speak_in_turn() {
    for perch in Perch::BOTH {
        let cage = Cage::open(perch).await;
        let (say, said) = mpsc::channel(1);

        let mut client = cage.client().await;
        let answer = client.streaming(Request::new(ReceiverStream::new(said)), path("Repeat"), codec());
        let mut heard = answer.await.unwrap().into_inner();
        for word in ["ping", "pong", "ping"] {
            say.send(word.to_owned()).await.unwrap();
            assert_eq!(heard.message().await.unwrap().as_deref(), Some(word), "{perch:?}");
        }
        drop(say);

        assert_eq!(heard.message().await.unwrap(), None, "{perch:?}");
    }
}

#[tokio::test]
async fn large_messages_and_long_streams_pass() {
    for perch in Perch::BOTH {
        let cage = Cage::open(perch).await;
        let large = "x".repeat(3 << 20);

        assert!(cage.say(large.clone()).await.unwrap().into_inner() == large, "{perch:?}");
        assert_eq!(all(cage.count("10000").await.unwrap()).await.len(), 10_000, "{perch:?}");
    }
}

#[tokio::test]
async fn metadata_passes_both_ways() {
    for perch in Perch::BOTH {
        let cage = Cage::open(perch).await;
        let octets = [0, 0xab, b'\n', 0xff];
        let mut request = Request::new("hello".to_owned());
        request.metadata_mut().insert(INITIAL, "a, b;c=\"d\"".parse().unwrap());
        request.metadata_mut().insert_bin(TRAILING, MetadataValue::from_bytes(&octets));

        let answer = cage.say(request).await.unwrap();

        let heard: &MetadataMap = answer.metadata();
        assert_eq!(heard.get(INITIAL).unwrap(), "a, b;c=\"d\"", "{perch:?}");
        assert_eq!(heard.get_bin(TRAILING).unwrap().to_bytes().unwrap(), &octets[..], "{perch:?}");
    }
}

#[tokio::test]
async fn a_status_passes_with_every_character_of_its_message() {
    for perch in Perch::BOTH {
        let cage = Cage::open(perch).await;

        let failed = cage.say("fail".to_owned()).await.unwrap_err();
        assert_eq!((failed.code(), failed.message()), (Code::DataLoss, SPECIAL), "{perch:?}");
        let mut broken = cage.count("broken").await.unwrap();
        assert_eq!(broken.message().await.unwrap().as_deref(), Some("1"), "{perch:?}");
        assert_eq!(broken.message().await.unwrap().as_deref(), Some("2"), "{perch:?}");
        let status = broken.message().await.unwrap_err();
        assert_eq!((status.code(), status.message()), (Code::Aborted, "broken by intent"), "{perch:?}");
    }
}

#[tokio::test]
async fn a_method_and_a_service_that_nobody_serves_are_unimplemented() {
    let cage = Cage::open(Perch::Here).await;

    for unknown in [format!("/{PARROT}/Sing"), "/interop.v1.Nobody/Say".to_owned()] {
        let answer = cage.client().await.unary(Request::new(String::new()), unknown.parse().unwrap(), codec()).await;
        let answer: Result<Response<String>, Status> = answer;
        assert_eq!(answer.unwrap_err().code(), Code::Unimplemented, "{unknown}");
    }
}

#[tokio::test]
async fn the_service_sees_when_a_call_is_given_up() {
    for perch in Perch::BOTH {
        let cage = Cage::open(perch).await;
        let begun = &cage.parrot.begun;

        // Before its first answer.
        let sleeping = cage.say("sleep".to_owned());
        let has_begun = eventually("the call begins", async || begun.load(Ordering::SeqCst) == 1);
        tokio::select! {
            answer = sleeping => panic!("{answer:?}"),
            () = has_begun => {}
        }
        cage.sees_given_up(1).await;
        // In the middle of a stream.
        let mut watched = cage.count("open").await.unwrap();
        assert_eq!(watched.message().await.unwrap().as_deref(), Some("1"), "{perch:?}");
        drop(watched);
        cage.sees_given_up(2).await;
        // In the middle of a conversation, by a client whose line is cut.
        let (say, said) = mpsc::channel(1);
        let mut tasks = JoinSet::new();
        let stream = cage.stream().await.into_std().unwrap();
        let cut = stream.try_clone().unwrap();
        let mut client = Cage::other_client(TcpStream::from_std(stream).unwrap(), &mut tasks).await;
        let answer = client.streaming(Request::new(ReceiverStream::new(said)), path("Repeat"), codec());
        let mut heard = answer.await.unwrap().into_inner();
        say.send("hello".to_owned()).await.unwrap();
        assert_eq!(heard.message().await.unwrap().as_deref(), Some("hello"), "{perch:?}");
        cut.shutdown(Shutdown::Both).unwrap();
        cage.sees_given_up(3).await;
    }
}

#[tokio::test]
async fn a_deadline_ends_the_call_on_both_sides() {
    for perch in Perch::BOTH {
        let cage = Cage::open(perch).await;
        let within = |message: &str, timeout| {
            let mut request = Request::new(message.to_owned());
            request.set_timeout(timeout);
            request
        };

        let mut tasks = JoinSet::new();
        let mut client = Cage::other_client(cage.stream().await, &mut tasks).await;
        let late = client.unary(within("sleep", Duration::from_millis(300)), path("Say"), codec()).await.unwrap_err();
        assert_eq!(late.code(), Code::DeadlineExceeded, "{perch:?}");
        cage.sees_given_up(1).await;
        let told = cage.say(within("timeout", Duration::from_secs(5))).await.unwrap().into_inner();
        let told = rpc::timeout::parse(&told.parse().unwrap()).unwrap();
        assert!(told <= Duration::from_secs(5) && told > Duration::from_secs(1), "{perch:?}: {told:?}");
    }
}
