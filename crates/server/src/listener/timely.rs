//! Connections whose other end may be silent, but not for ever.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep};

/// What every connection begins with: the preface of HTTP/2 and the head of the frame that must follow it, or about the shortest head of
/// HTTP/1.
const OPENING: usize = 24 + 9;

/// A stream that ends with an error if its other end takes too long for its first bytes, or if nothing comes or goes for too long after
/// them. `hyper` has a deadline for heads of HTTP/1 only once it knows that it is HTTP/1.
pub(super) struct Timely<S> {
    stream: S,
    deadline: Pin<Box<Sleep>>,
    /// How many bytes of the opening are yet to come.
    opening: usize,
    silence: Duration,
}

impl<S> Timely<S> {
    /// `opening`: how long the first bytes may take, all of them. `silence`: how long there may be none, later.
    pub(super) fn new(stream: S, opening: Duration, silence: Duration) -> Self {
        Self {
            stream,
            deadline: Box::pin(tokio::time::sleep(opening)),
            opening: OPENING,
            silence,
        }
    }

    /// What became of a poll: bytes that were read or written, or the end of the time for them.
    fn judge<T>(
        &mut self,
        cx: &mut Context<'_>,
        polled: Poll<io::Result<T>>,
        bytes_read: usize,
    ) -> Poll<io::Result<T>> {
        match polled {
            Poll::Pending => self
                .deadline
                .as_mut()
                .poll(cx)
                .map(|()| Err(io::Error::new(io::ErrorKind::TimedOut, "the other end is silent"))),
            ready => {
                self.opening = self.opening.saturating_sub(bytes_read);
                if self.opening == 0 {
                    self.deadline.as_mut().reset(Instant::now() + self.silence);
                }
                ready
            }
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Timely<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(cx, buffer);
        let read = buffer.filled().len().saturating_sub(before);
        self.judge(cx, polled, read)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Timely<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.judge(cx, polled, 0)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        // No bytes go, so that no deadline moves.
        match Pin::new(&mut self.stream).poll_flush(cx) {
            Poll::Pending => self.judge(cx, Poll::Pending, 0),
            ready => ready,
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.stream).poll_shutdown(cx);
        self.judge(cx, polled, 0)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write_vectored(cx, slices);
        self.judge(cx, polled, 0)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    use super::*;

    const FIRST: Duration = Duration::from_secs(10);
    const LATER: Duration = Duration::from_secs(45);

    /// How long a reader waits for its end, and how it ends.
    async fn end(stream: &mut (impl AsyncRead + Unpin)) -> (Duration, io::ErrorKind) {
        let began = Instant::now();
        let mut all = Vec::new();
        let error = stream.read_to_end(&mut all).await.unwrap_err();
        (began.elapsed(), error.kind())
    }

    fn is_about(found: Duration, expected: Duration) -> bool {
        found >= expected && found < expected + Duration::from_secs(1)
    }

    #[tokio::test(start_paused = true)]
    async fn who_does_not_begin_is_cut_off() {
        let (near, _far) = duplex(1024);
        let (after, kind) = end(&mut Timely::new(near, FIRST, LATER)).await;
        assert!(is_about(after, FIRST) && kind == io::ErrorKind::TimedOut, "{after:?}");
        // A byte now and then is no beginning.
        let (near, mut far) = duplex(1024);
        tokio::spawn(async move {
            for byte in *b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" {
                far.write_all(&[byte]).await.unwrap();
                tokio::time::sleep(Duration::from_secs(3)).await;
            }
        });
        let (after, kind) = end(&mut Timely::new(near, FIRST, LATER)).await;
        assert!(is_about(after, FIRST) && kind == io::ErrorKind::TimedOut, "{after:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn who_falls_silent_is_cut_off_later() {
        let (near, mut far) = duplex(1024);
        let mut near = Timely::new(near, FIRST, LATER);
        for _ in 0..4 {
            far.write_all(&[b'x'; OPENING]).await.unwrap();
            near.read_exact(&mut [0; OPENING]).await.unwrap();
            tokio::time::sleep(LATER / 2).await;
        }
        // What we send counts as well.
        near.write_all(b"x").await.unwrap();
        let (after, kind) = end(&mut near).await;
        assert!(is_about(after, LATER) && kind == io::ErrorKind::TimedOut, "{after:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn who_does_not_read_is_cut_off() {
        let (near, mut far) = duplex(8);
        let mut near = Timely::new(near, FIRST, LATER);
        let opening = tokio::spawn(async move {
            far.write_all(&[b'x'; OPENING]).await.unwrap();
            far
        });
        near.read_exact(&mut [0; OPENING]).await.unwrap();
        let _far = opening.await.unwrap();
        let began = Instant::now();
        let error = near.write_all(&[0; 64]).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert!(is_about(began.elapsed(), LATER), "{:?}", began.elapsed());
    }
}
