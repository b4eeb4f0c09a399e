//! What clients see when the gateway stops.

use crate::harness::{Port, eventually};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

#[tokio::test]
async fn a_call_in_flight_is_finished_when_the_gateway_stops() {
    let port = Port::open().await;
    let mut stream = TcpStream::connect(port.address).await.unwrap();
    let body = r#"{"restaurantId":"slow"}"#;
    let request = format!("POST /v1/orders HTTP/1.1\r\nhost: x\r\ncontent-length: {}\r\n\r\n{body}", body.len());
    stream.write_all(request.as_bytes()).await.unwrap();
    eventually("the call begins", async || port.service.begun.load(std::sync::atomic::Ordering::SeqCst) == 1).await;

    let drained = port.tasks.drain(std::time::Duration::from_secs(10));
    let finished = async {
        eventually("the port is closed", async || TcpStream::connect(port.address).await.is_err()).await;
        port.service.go_on.notify_one();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    };
    let (drained, answer) = futures_util::future::join(drained, finished).await;

    assert!(answer.starts_with("HTTP/1.1 201"), "{answer}");
    assert_eq!(drained, Ok(()));
}

#[tokio::test]
async fn a_watcher_is_told_when_the_gateway_stops() {
    let port = Port::open().await;
    let mut stream = TcpStream::connect(port.address).await.unwrap();
    let request = "GET /v1/orders/open:watch HTTP/1.1\r\nhost: x\r\naccept: text/event-stream\r\n\r\n";
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut begun = String::new();
    while !begun.contains("id: 3") {
        let mut piece = [0; 1024];
        let length = stream.read(&mut piece).await.unwrap();
        begun.push_str(std::str::from_utf8(&piece[..length]).unwrap());
    }

    let mut end = String::new();
    let drained = port.tasks.drain(std::time::Duration::from_secs(5));
    let (drained, read) = futures_util::future::join(drained, stream.read_to_string(&mut end)).await;

    assert!(read.is_ok() && end.contains("event: status\ndata: {\"code\":14"), "{end}");
    assert_eq!(drained, Ok(()));
}
