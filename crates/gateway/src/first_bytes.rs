//! A connection must say something soon, and may say that it is its last.
//!
//! hyper bounds the time for the head of an HTTP/1 request, and pings a silent HTTP/2 peer; it does not bound the time in which it
//! finds out which of the two a client speaks.
//!
//! hyper gives a connection up as soon as it reads its end, also when it has just read a request. A client that closes its side behind its
//! request (`nc -N`) still waits for the answer, and looks the same as one that has gone. So the end is told a turn after the last bytes: what
//! can be answered at once is answered, and a call is cancelled.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};

/// Length of the HTTP/2 preface, after which the protocol is known (RFC 9113 3.4); the shortest HTTP/1.1 request is longer.
const PREFACE_BYTES: usize = 24;

/// A stream whose reads fail when its first bytes are late.
pub(crate) struct FirstBytes<S> {
    stream: S,
    /// `None` when enough was said.
    deadline: Option<Pin<Box<Sleep>>>,
    missing: usize,
    /// Whether the end was reached, which is told the next time.
    has_ended: bool,
}

impl<S> FirstBytes<S> {
    pub(crate) fn new(stream: S, within: Duration) -> Self {
        FirstBytes { stream, deadline: Some(Box::pin(sleep(within))), missing: PREFACE_BYTES, has_ended: false }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for FirstBytes<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let filled = buffer.filled().len();
        if let Poll::Ready(read) = Pin::new(&mut self.stream).poll_read(context, buffer) {
            self.missing = self.missing.saturating_sub(buffer.filled().len() - filled);
            if self.missing == 0 {
                self.deadline = None;
            }
            let is_end = read.is_ok() && buffer.filled().len() == filled;
            if is_end && !std::mem::replace(&mut self.has_ended, true) {
                context.waker().wake_by_ref();
                return Poll::Pending;
            }
            return Poll::Ready(read);
        }
        let Some(deadline) = &mut self.deadline else { return Poll::Pending };
        ready!(deadline.as_mut().poll(context));
        Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the client said too little for too long")))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for FirstBytes<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::poll;
    use std::pin::pin;
    use tokio::io::AsyncReadExt;

    #[tokio::test(start_paused = true)]
    async fn the_end_comes_a_turn_after_the_last_bytes() {
        let mut stream = FirstBytes::new(&b"GET / HTTP/1.1\r\n\r\n"[..], Duration::from_secs(1));
        let mut bytes = [0; 64];
        assert_eq!(stream.read(&mut bytes).await.unwrap(), 18);

        assert!(poll!(pin!(stream.read(&mut bytes))).is_pending());
        assert_eq!(stream.read(&mut bytes).await.unwrap(), 0);
    }
}
