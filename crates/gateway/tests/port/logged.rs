//! What is written down of each request, and by what it is known.

use crate::harness::{Port, eventually};
use crate::parrot::{PARROT, Parrot, Perch};
use futures_util::StreamExt;
use gateway::{AccessLogConfig, Config};
use http::Request;
use serde_json::{Value as Json, json};
use std::path::Path;
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio_tungstenite::client_async;
use tonic::Request as Call;
use tonic_prost::ProstCodec;

/// The lines of an access log, once there are so many.
pub(crate) async fn logged(path: &Path, lines: usize) -> Vec<Json> {
    let read = || std::fs::read_to_string(path).unwrap_or_default();
    eventually("all lines are there", async || read().lines().count() == lines).await;
    read().lines().map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))).collect()
}

#[tokio::test]
async fn every_request_is_a_line_and_no_secret_is_in_it() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("access.log");
    let (upstream, _perched) = Perch::Here.put(Parrot::default()).await;
    let config = Config { access_log: AccessLogConfig::File(path.clone()), ..Config::default() };
    let port = Port::start(config, [(PARROT, upstream)]).await;

    let request = Request::get("/v1/orders/missing").header("authorization", "Bearer secret");
    port.send(request.header("x-request-id", "mine"), "").await;
    port.post("/v1/orders", "{}").await;
    port.get("/healthz?token=secret").await;
    port.get("/v1/secret").await;
    let web = Request::post(format!("/{PARROT}/Say")).header("content-type", "application/grpc-web");
    port.send(web, &b"\0\0\0\0\x06\x0a\x04fail"[..]).await;
    let mut grpc = tonic::client::Grpc::new(port.channel().await);
    grpc.ready().await.unwrap();
    let say = format!("/{PARROT}/Say").parse().unwrap();
    let said = grpc.unary(Call::new("hello".to_owned()), say, ProstCodec::<String, String>::default()).await.unwrap();
    drop((said, grpc));
    let stream = TcpStream::connect(port.address).await.unwrap();
    let url = format!("ws://{}/v1/orders/o:watch?token=secret&afterVersion=2", port.address);
    let (socket, _) = client_async(url, stream).await.unwrap();
    // It is refused, since the method has no such parameter.
    drop(socket.collect::<Vec<_>>().await);

    let lines = logged(&path, 7).await;
    let told = |line: &Json| {
        json!([line["protocol"], line["method"], line["rpc"], line["path"], line["status"], line["code"]])
    };
    let orders = "comanda.order.v1.OrderService";
    assert_eq!(told(&lines[0]), json!(["rest", "GET", format!("{orders}/GetOrder"), null, 404, 5]));
    assert_eq!(told(&lines[1]), json!(["rest", "POST", format!("{orders}/CreateOrder"), null, 201, 0]));
    assert_eq!(told(&lines[2]), json!(["http", "GET", null, "/healthz", 200, null]));
    assert_eq!(told(&lines[3]), json!(["rest", "GET", "unknown", null, 404, 5]));
    assert_eq!(told(&lines[4]), json!(["grpc-web", "POST", "unknown", null, 200, 15]));
    assert_eq!(told(&lines[5]), json!(["grpc", "POST", "unknown", null, 200, 0]));
    assert_eq!(told(&lines[6]), json!(["websocket", "GET", format!("{orders}/WatchOrder"), null, 101, 3]));
    assert_eq!((&lines[0]["request_id"], &lines[0]["peer"]), (&json!("mine"), &json!("127.0.0.1")));
    assert_eq!((&lines[1]["bytes_in"], &lines[4]["bytes_in"]), (&json!(2), &json!(11)));
    assert!(lines.iter().all(|line| line["ms"].as_f64().is_some_and(|ms| ms > 0.0)), "{lines:?}");
    assert!(lines[..4].iter().all(|line| line["bytes_out"].as_u64().is_some_and(|bytes| bytes > 0)), "{lines:?}");
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(!text.contains("secret") && !text.contains("token"), "{text}");
}

#[tokio::test]
async fn a_log_that_cannot_be_written_is_told_at_the_start() {
    let folder = TempDir::new().unwrap();
    let access_log = AccessLogConfig::File(folder.path().to_owned());

    let refused = Port::refuse(Config { access_log, ..Config::default() }).await;

    assert!(refused.contains("access log"), "{refused}");
}

#[tokio::test]
async fn a_request_is_known_by_an_id_to_its_caller_and_its_service() {
    let (upstream, _perched) = Perch::Here.put(Parrot::default()).await;
    let port = Port::start(Config::default(), [(PARROT, upstream)]).await;

    let kept = port.send(Request::get("/healthz").header("x-request-id", "mine-1"), "").await;
    assert_eq!(kept.header("x-request-id"), Some("mine-1"));
    let (made, other) = (port.get("/v1/nothing").await, port.get("/v1/nothing").await);
    assert_eq!(made.header("x-request-id").unwrap().len(), 36);
    assert_ne!(made.header("x-request-id"), other.header("x-request-id"));
    let mut grpc = tonic::client::Grpc::new(port.channel().await);
    grpc.ready().await.unwrap();
    let mut call = Call::new("ids".to_owned());
    call.metadata_mut().insert("x-request-id", "mine-2".parse().unwrap());
    let say = format!("/{PARROT}/Say").parse().unwrap();
    let heard = grpc.unary(call, say, ProstCodec::<String, String>::default()).await.unwrap();
    assert_eq!(heard.metadata().get("x-request-id").unwrap(), "mine-2");
    let (id, trace) = heard.get_ref().split_once(' ').unwrap();
    assert!(id == "mine-2" && trace.len() == 55, "{id} {trace}");
}
