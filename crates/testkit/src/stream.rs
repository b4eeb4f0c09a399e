//! An answer that is read as it comes: server-sent events (HTML Living Standard 9.2.6) or lines of JSON.

use http::{HeaderMap, Response, StatusCode};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use serde_json::Value as Json;
use std::time::Duration;
use tokio::time::timeout;

/// How long the next piece may take: twice the pause after which a stream says that it is alive.
const PIECE_WITHIN: Duration = Duration::from_secs(30);

/// An answer whose body is still coming.
#[derive(Debug)]
pub struct Stream {
    /// Its status.
    pub status: StatusCode,
    /// Its headers.
    pub headers: HeaderMap,
    body: Incoming,
    buffer: Vec<u8>,
}

/// One server-sent event.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Event {
    /// Its id, empty without one.
    pub id: String,
    /// Its name, empty without one.
    pub name: String,
    /// Its data.
    pub data: String,
}

impl Event {
    /// Its data as JSON.
    ///
    /// # Panics
    /// When it is none.
    #[must_use]
    #[track_caller]
    pub fn json(&self) -> Json {
        serde_json::from_str(&self.data).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

impl Stream {
    pub(crate) fn new(answer: Response<Incoming>) -> Self {
        let (parts, body) = answer.into_parts();
        Stream { status: parts.status, headers: parts.headers, body, buffer: Vec::new() }
    }

    /// The next event with data; `None` at the end of the stream.
    ///
    /// # Panics
    /// When the stream breaks or is silent for 30 s.
    pub async fn next_event(&mut self) -> Option<Event> {
        let mut event = Event::default();
        loop {
            let line = self.next_line().await?;
            let (field, value) = line.split_once(':').unwrap_or((&line, ""));
            let value = value.strip_prefix(' ').unwrap_or(value).to_owned();
            match field {
                "id" => event.id = value,
                "event" => event.name = value,
                "data" => event.data.push_str(&value),
                "" if line.is_empty() && !event.data.is_empty() => return Some(event),
                "" if line.is_empty() => event = Event::default(),
                _ => {}
            }
        }
    }

    /// All events until the end of the stream.
    ///
    /// # Panics
    /// When the stream breaks or is silent for 30 s.
    pub async fn events(&mut self) -> Vec<Event> {
        let mut events = Vec::new();
        while let Some(event) = self.next_event().await {
            events.push(event);
        }
        events
    }

    /// The next line without its end; `None` at the end of the stream.
    ///
    /// # Panics
    /// When the stream breaks or is silent for 30 s.
    pub async fn next_line(&mut self) -> Option<String> {
        loop {
            if let Some(end) = self.buffer.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.buffer.drain(..=end).collect();
                return Some(String::from_utf8_lossy(line.trim_ascii_end()).into_owned());
            }
            let frame = timeout(PIECE_WITHIN, self.body.frame()).await.expect("a stream says something within 30 s")?;
            let frame = frame.unwrap_or_else(|error| panic!("the stream broke: {error}"));
            if let Some(data) = frame.data_ref() {
                self.buffer.extend_from_slice(data);
            }
        }
    }
}
