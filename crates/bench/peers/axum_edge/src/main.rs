//! What one writes by hand with axum and tonic, when there are three methods and no gateway.

use axum::body::Body;
use axum::extract::{DefaultBodyLimit, Path, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use futures_util::StreamExt;
use hello::greeter_client::GreeterClient;
use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;
use tonic::transport::{Channel, Endpoint};

mod hello {
    tonic::include_proto!("hello.v1");
}

type Client = GreeterClient<Channel>;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [listen, backend] = &arguments[..] else { return Err("LISTEN BACKEND".into()) };
    let channel = Endpoint::from_shared(format!("http://{backend}"))?.tcp_nodelay(true).connect().await?;
    let client = GreeterClient::new(channel).max_decoding_message_size(64 << 20).max_encoding_message_size(64 << 20);
    let routes = Router::new()
        .route("/v1/greet/{name}", get(greet))
        .route("/v1/letters", post(send).layer(DefaultBodyLimit::max(4 << 20)))
        .route("/v1/count/{until}", get(count))
        .with_state(client);
    Ok(axum::serve(TcpListener::bind(listen).await?.tap_nodelay(), routes).await?)
}

async fn greet(State(mut client): State<Client>, Path(name): Path<String>) -> Result<Json<Greeting>, Failed> {
    let greeting = client.greet(hello::GreetRequest { name }).await?.into_inner();
    Ok(Json(Greeting { message: greeting.message }))
}

async fn send(State(mut client): State<Client>, Json(letter): Json<Letter>) -> Result<Json<Letter>, Failed> {
    Ok(Json(client.send(hello::Letter::from(letter)).await?.into_inner().into()))
}

/// One line of JSON for each number.
async fn count(State(mut client): State<Client>, Path(until): Path<i32>) -> Result<Response, Failed> {
    let numbers = client.count(hello::CountRequest { until }).await?.into_inner();
    let lines = numbers.map(|number| {
        let number = number.map_err(std::io::Error::other)?;
        let mut line = serde_json::to_vec(&Number { value: number.value, name: number.name })?;
        line.push(b'\n');
        Ok::<_, std::io::Error>(line)
    });
    Ok(([(header::CONTENT_TYPE, "application/x-ndjson")], Body::from_stream(lines)).into_response())
}

struct Failed(tonic::Status);

impl From<tonic::Status> for Failed {
    fn from(status: tonic::Status) -> Self {
        Failed(status)
    }
}

impl IntoResponse for Failed {
    fn into_response(self) -> Response {
        (StatusCode::BAD_GATEWAY, self.0.message().to_owned()).into_response()
    }
}

trait NoDelay {
    fn tap_nodelay(self) -> impl axum::serve::Listener<Addr = std::net::SocketAddr>;
}

impl NoDelay for TcpListener {
    fn tap_nodelay(self) -> impl axum::serve::Listener<Addr = std::net::SocketAddr> {
        axum::serve::ListenerExt::tap_io(self, |stream| {
            let _ = stream.set_nodelay(true);
        })
    }
}

#[derive(Serialize)]
struct Greeting {
    message: String,
}

#[derive(Serialize)]
struct Number {
    value: i32,
    name: String,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[derive(Default)]
struct Letter {
    recipient: String,
    subject: String,
    #[serde(with = "text")]
    number: i64,
    priority: Priority,
    paragraphs: Vec<Paragraph>,
}

#[derive(Serialize, Deserialize, Default, Clone, Copy)]
enum Priority {
    #[default]
    #[serde(rename = "PRIORITY_UNSPECIFIED")]
    Unspecified,
    #[serde(rename = "PRIORITY_LOW")]
    Low,
    #[serde(rename = "PRIORITY_HIGH")]
    High,
}

#[derive(Serialize, Deserialize, Default)]
#[serde(default)]
struct Paragraph {
    text: String,
    words: i32,
    emphasised: bool,
}

/// 64-bit numbers are strings in the JSON of protobuf.
mod text {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(super) fn serialize<S: Serializer>(number: &i64, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(number)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<i64, D::Error> {
        <&str>::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

impl From<Letter> for hello::Letter {
    fn from(letter: Letter) -> Self {
        let paragraph = |it: Paragraph| hello::Paragraph { text: it.text, words: it.words, emphasised: it.emphasised };
        hello::Letter {
            recipient: letter.recipient,
            subject: letter.subject,
            number: letter.number,
            priority: letter.priority as i32,
            paragraphs: letter.paragraphs.into_iter().map(paragraph).collect(),
        }
    }
}

impl From<hello::Letter> for Letter {
    fn from(letter: hello::Letter) -> Self {
        let paragraph = |it: hello::Paragraph| Paragraph { text: it.text, words: it.words, emphasised: it.emphasised };
        let priority = match letter.priority() {
            hello::Priority::Unspecified => Priority::Unspecified,
            hello::Priority::Low => Priority::Low,
            hello::Priority::High => Priority::High,
        };
        Letter {
            recipient: letter.recipient,
            subject: letter.subject,
            number: letter.number,
            priority,
            paragraphs: letter.paragraphs.into_iter().map(paragraph).collect(),
        }
    }
}
