//! Server-sent events (HTML Living Standard 9.2.6), as far as WatchOrder uses them: an order in each event, and how the stream
//! ended in the last, which is named `status`.

use super::{Failure, ORDER_BYTES_MAX, Seen, json};
use http_body_util::BodyExt;
use hyper::body::Incoming;

/// The events of one response.
#[derive(Debug)]
pub struct Events {
    body: Incoming,
    parser: Parser,
}

impl Events {
    pub(super) fn new(body: Incoming) -> Self {
        Events { body, parser: Parser::default() }
    }

    pub(super) async fn next(&mut self) -> Result<Option<Seen>, Failure> {
        loop {
            match self.parser.next().map(|event| event.read()).transpose()? {
                Some(Some(seen)) => return Ok(Some(seen)),
                // The stream ended well; its body is read to the end, so that the connection can be used again.
                Some(None) => continue,
                None => {}
            }
            if self.parser.buffer.len() > ORDER_BYTES_MAX {
                return Err(Failure::last("an event is longer than any order"));
            }
            let Some(frame) = self.body.frame().await else { return Ok(None) };
            let frame = frame.map_err(|error| Failure::transient(format!("the stream broke: {error}")))?;
            if let Some(data) = frame.data_ref() {
                self.parser.buffer.extend_from_slice(data);
            }
        }
    }
}

/// Cuts a stream of bytes into events.
#[derive(Debug, Default)]
struct Parser {
    buffer: Vec<u8>,
    event: Event,
}

#[derive(Debug, Default, PartialEq, Eq)]
struct Event {
    name: String,
    data: Vec<u8>,
}

impl Event {
    /// The order of an event; `None` when it says that the stream ended well.
    fn read(&self) -> Result<Option<Seen>, Failure> {
        match self.name.as_str() {
            "status" => json::error(&self.data).map_or(Ok(None), Err),
            _ => json::order(&self.data).map(Some),
        }
    }
}

impl Parser {
    /// The next event that is complete.
    fn next(&mut self) -> Option<Event> {
        while let Some(end) = self.buffer.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = self.buffer.drain(..=end).collect();
            let line = line.trim_ascii_end();
            if let Some(data) = value(line, b"data:") {
                self.event.data.extend_from_slice(data);
            } else if let Some(name) = value(line, b"event:") {
                self.event.name = String::from_utf8_lossy(name).into_owned();
            } else if line.is_empty() {
                let event = std::mem::take(&mut self.event);
                if !event.data.is_empty() {
                    return Some(event);
                }
            }
        }
        None
    }
}

fn value<'a>(line: &'a [u8], field: &[u8]) -> Option<&'a [u8]> {
    line.strip_prefix(field).map(<[u8]>::trim_ascii_start)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proto::comanda::order::v1::order::State;

    #[test]
    fn an_event_may_come_in_pieces() {
        let mut parser = Parser::default();
        let mut events = Vec::new();

        for piece in
            [": hello\n", "id: 2\nda", "ta: {\"orderId\":\"o\",\r\ndata: \"state\":\"APPROVED\"}\r\n", "\r\n\n"]
        {
            parser.buffer.extend_from_slice(piece.as_bytes());
            events.extend(std::iter::from_fn(|| parser.next()));
        }

        let [event] = events.as_slice() else { panic!("{events:?}") };
        assert_eq!(event.read().unwrap().unwrap().state, State::Approved);
    }

    #[test]
    fn the_last_event_says_how_the_stream_ended() {
        let ended = |status: &str| {
            let mut parser = Parser::default();
            parser.buffer.extend_from_slice(format!("event: status\ndata: {status}\n\n").as_bytes());
            parser.next().unwrap().read()
        };

        assert_eq!(ended(r#"{"code":0}"#), Ok(None));
        assert_eq!(ended(r#"{"code":5,"message":"no such order"}"#), Err(Failure::last("no such order")));
        assert_eq!(ended(r#"{"code":14,"message":"draining"}"#), Err(Failure::transient("draining")));
    }
}
