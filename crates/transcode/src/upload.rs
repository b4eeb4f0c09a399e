//! Reads the messages of a client stream as they come: JSON documents, or the pieces of a raw body.
//!
//! A message that is refused ends the call: the stream stays open behind it, since its end would tell the service that all is
//! said, and whoever holds [`Refusals`] cancels the call and tells the client.

use crate::refused::Refused;
use crate::request::Binding;
use crate::splitter::{Problem, Splitter};
use crate::violation::Violations;
use bytes::Bytes;
use futures_util::{Stream, stream};
use http_body::Body;
use http_body_util::BodyExt;
use std::error::Error as StdError;
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::time::timeout;

/// Tells of a message that was refused.
#[derive(Debug)]
pub(crate) struct Refusals(Option<oneshot::Receiver<Refused>>);

impl Refusals {
    /// Of a call whose request is read already.
    pub(crate) fn none() -> Self {
        Refusals(None)
    }

    /// Waits for one. Cancel safe: it is taken only when it is there.
    async fn next(&mut self) -> Refused {
        if let Some(refusal) = &mut self.0 {
            let told = refusal.await;
            self.0 = None;
            if let Ok(refused) = told {
                return refused;
            }
        }
        std::future::pending().await
    }

    /// The answer, unless a message is refused first.
    pub(crate) async fn unless<T, E: Into<Refused>>(
        &mut self,
        answer: impl Future<Output = Result<T, E>>,
    ) -> Result<T, Refused> {
        tokio::select! {
            biased;
            refused = self.next() => Err(refused),
            answer = answer => answer.map_err(Into::into),
        }
    }
}

/// A client stream on its way to a service.
pub(crate) struct Upload<B> {
    body: B,
    binding: Binding,
    splitter: Splitter,
    bytes_max: usize,
    idle_max: Duration,
    /// Whether each piece of the body is a message.
    pub(crate) is_one_message_each: bool,
    /// Messages read so far.
    count: u64,
    is_ended: bool,
}

impl<B> Upload<B>
where
    B: Body<Data = Bytes> + Send + Unpin + 'static,
    B::Error: Into<Box<dyn StdError + Send + Sync>>,
{
    pub(crate) fn new(body: B, binding: Binding, bytes_max: usize, idle_max: Duration) -> Self {
        Upload {
            body,
            binding,
            splitter: Splitter::new(bytes_max),
            bytes_max,
            idle_max,
            is_one_message_each: false,
            count: 0,
            is_ended: false,
        }
    }

    /// The messages, and what tells when one is refused.
    pub(crate) fn into_messages(self) -> (impl Stream<Item = Bytes> + Send + 'static, Refusals) {
        let (refuse, refusal) = oneshot::channel();
        let messages = stream::unfold((self, refuse), |(mut upload, refuse)| async move {
            match upload.next().await {
                Ok(message) => message.map(|message| (message, (upload, refuse))),
                Err(refused) => {
                    // Nobody listens when the call has ended already.
                    let _is_over = refuse.send(refused).is_err();
                    std::future::pending().await
                }
            }
        });
        (messages, Refusals(Some(refusal)))
    }

    async fn next(&mut self) -> Result<Option<Bytes>, Refused> {
        loop {
            let is_whole = self.binding.is_raw() || self.is_one_message_each;
            let document = if is_whole { None } else { self.document()? };
            if let Some(document) = document {
                return self.message(document).map(Some);
            }
            if self.is_ended {
                return Ok(None);
            }
            match self.piece().await? {
                Some(piece) if self.is_one_message_each && piece.len() > self.bytes_max => {
                    return Err(Refused::body_too_large(self.bytes_max));
                }
                Some(piece) if is_whole => return self.message(piece).map(Some),
                Some(piece) => self.splitter.push(&piece),
                None => self.is_ended = true,
            }
        }
    }

    fn document(&mut self) -> Result<Option<Bytes>, Refused> {
        let next = self.splitter.next();
        let next = match next {
            Ok(None) if self.is_ended => self.splitter.end(),
            next => next,
        };
        next.map_err(|problem| match problem {
            Problem::Malformed(complaint) => Violations::of("body", complaint),
            Problem::TooLarge => Refused::body_too_large(self.bytes_max),
        })
    }

    async fn piece(&mut self) -> Result<Option<Bytes>, Refused> {
        loop {
            let frame = timeout(self.idle_max, self.body.frame()).await;
            match frame.map_err(|_elapsed| Refused::body_too_slow(self.idle_max))? {
                None => return Ok(None),
                Some(Err(error)) => return Err(Refused::body_broken(&*error.into())),
                Some(Ok(frame)) => {
                    if let Ok(data) = frame.into_data() {
                        return Ok(Some(data));
                    }
                }
            }
        }
    }

    fn message(&mut self, body: Bytes) -> Result<Bytes, Refused> {
        self.count += 1;
        self.binding.message(body).map_err(|refused| refused.in_message(self.count))
    }
}
