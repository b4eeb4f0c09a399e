//! Streams of the client, which a service in Python hears through the gateway: lines of a body, and messages of a socket.

use crate::library::{Library, contract, require};
use futures_util::{SinkExt, StreamExt};
use serde_json::{Value as Json, json};
use testkit::Comanda;
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{WebSocketStream, client_async};

/// The end of a call in which nothing went wrong.
fn well() -> Json {
    json!({"status": {"code": 0}})
}

/// A socket of a browser.
struct Socket(WebSocketStream<TcpStream>);

impl Socket {
    async fn open(gateway: &Comanda, path: &str) -> Self {
        let address = gateway.url().strip_prefix("http://").unwrap();
        let stream = TcpStream::connect(address).await.unwrap();
        let (socket, answer) = client_async(format!("ws://{address}{path}"), stream).await.unwrap();
        assert_eq!(answer.status(), 101);
        Socket(socket)
    }

    async fn says(&mut self, text: &str) {
        self.0.send(Message::text(text)).await.unwrap();
    }

    async fn says_no_more(&mut self) {
        self.says("").await;
    }

    async fn hears(&mut self) -> Json {
        serde_json::from_str(self.0.next().await.unwrap().unwrap().to_text().unwrap()).unwrap()
    }

    /// Waits until it is closed; the code of that.
    async fn is_closed(&mut self) -> u16 {
        match self.0.next().await.unwrap().unwrap() {
            Message::Close(Some(frame)) => frame.code.into(),
            other => panic!("{other:?}"),
        }
    }
}

fn book(id: &str, title: &str, copies: i32) -> Json {
    json!({"bookId": id, "title": title, "copies": copies, "branch": "main"})
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_client_streams_is_heard_by_a_foreign_service() {
    if !require() {
        return;
    }
    let library = Library::open("main", &contract()).await;
    let gateway = library.gateway().await;

    let pile = "{\"bookId\":\"1\"}\n{\"bookId\":\"2\"}\n";
    let lines =
        gateway.http().call(http::Method::POST, "/v1/books:takeIn").header("content-type", "application/x-ndjson");
    assert_eq!(lines.body(pile).send().await.expect(200), json!({"books": 2}));

    let mut taken = Socket::open(&gateway, "/v1/books:takeIn").await;
    taken.says(r#"{"bookId":"1"}"#).await;
    taken.says_no_more().await;
    assert_eq!((taken.hears().await, taken.hears().await), (json!({"books": 1}), well()));
    assert_eq!(taken.is_closed().await, 1000);

    let mut shown = Socket::open(&gateway, "/v1/books:browse").await;
    for (id, title, copies) in [("1", "Middlemarch", 5), ("2", "Bleak House", 2)] {
        shown.says(&json!({"bookId": id}).to_string()).await;
        assert_eq!(shown.hears().await, book(id, title, copies), "each is answered before the next is asked for");
    }
    shown.says_no_more().await;
    assert_eq!((shown.hears().await, shown.is_closed().await), (well(), 1000));
    assert!(!gateway.log().contains("panicked"), "{}", gateway.log());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_that_a_foreign_service_ends_says_why() {
    if !require() {
        return;
    }
    let library = Library::open("main", &contract()).await;
    let gateway = library.gateway().await;
    let mut shown = Socket::open(&gateway, "/v1/books:browse").await;

    shown.says(r#"{"bookId":"1"}"#).await;
    assert_eq!(shown.hears().await, book("1", "Middlemarch", 3));
    shown.says(r#"{"bookId":"9"}"#).await;

    let error = shown.hears().await;
    assert_eq!((&error["error"]["code"], &error["error"]["message"]), (&json!(5), &json!("there is no book 9")));
    assert_eq!(shown.is_closed().await, 4005);
}
