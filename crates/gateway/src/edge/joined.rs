//! Writes the pieces of a small answer as one.
//!
//! hyper gives the head and the body of an answer as two pieces. For the kernel, and for TLS, one piece is less work than it is to join them:
//! `writev` of two times 300 bytes takes 0.25 us longer than `send` of all.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Longer ones are written from where they are. 1 KiB: most answers with one message are shorter.
const BYTES_MAX: usize = 1024;

/// A stream that takes small pieces together.
pub(crate) struct Joined<S>(pub(crate) S);

impl<S: AsyncRead + Unpin> AsyncRead for Joined<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(context, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Joined<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let length: usize = slices.iter().map(|slice| slice.len()).sum();
        if length > BYTES_MAX {
            return Pin::new(&mut self.0).poll_write_vectored(context, slices);
        }
        let mut joined = [0; BYTES_MAX];
        let mut end = 0;
        for slice in slices {
            joined[end..end + slice.len()].copy_from_slice(slice);
            end += slice.len();
        }
        Pin::new(&mut self.0).poll_write(context, &joined[..length])
    }

    fn is_write_vectored(&self) -> bool {
        self.0.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::poll_fn;

    /// Takes down what is written at once, piece by piece.
    #[derive(Default)]
    struct Writes(Vec<Vec<Vec<u8>>>);

    impl AsyncWrite for Writes {
        fn poll_write(mut self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
            self.0.push(vec![bytes.to_vec()]);
            Poll::Ready(Ok(bytes.len()))
        }

        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }

        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }

        fn poll_write_vectored(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
            slices: &[IoSlice<'_>],
        ) -> Poll<io::Result<usize>> {
            self.0.push(slices.iter().map(|slice| slice.to_vec()).collect());
            Poll::Ready(Ok(slices.iter().map(|slice| slice.len()).sum()))
        }
    }

    impl AsyncRead for Writes {
        fn poll_read(self: Pin<&mut Self>, _: &mut Context<'_>, _: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    async fn check(pieces: &[&[u8]], expected: &[&[u8]]) {
        let mut stream = Joined(Writes::default());
        let slices: Vec<IoSlice<'_>> = pieces.iter().map(|piece| IoSlice::new(piece)).collect();

        let written = poll_fn(|context| Pin::new(&mut stream).poll_write_vectored(context, &slices)).await.unwrap();

        assert_eq!(written, pieces.concat().len());
        assert_eq!(stream.0.0, [expected.iter().map(|piece| piece.to_vec()).collect::<Vec<_>>()]);
    }

    #[tokio::test]
    async fn small_pieces_are_written_as_one_and_others_as_they_are() {
        let (half, more) = (&[1; BYTES_MAX / 2][..], &[2; BYTES_MAX / 2 + 1][..]);

        check(&[b"head", b"", b"body"], &[b"headbody"]).await;
        check(&[half, half], &[&[1; BYTES_MAX]]).await;
        check(&[half, more], &[half, more]).await;
    }
}
