//! The two bodies of an exchange: what is sent, watched for progress, and what comes back.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use hyper::client::conn::http1::SendRequest;
use tokio::time::{Instant, Sleep};

use crate::connection::deepest;
use crate::upstream::{BoxError, Pool, RequestBody, UpstreamError};

/// When a request's body last moved.
#[derive(Clone)]
pub(crate) struct Progress(Arc<Mutex<Instant>>);

impl Progress {
    pub(crate) fn new() -> Self {
        Self(Arc::new(Mutex::new(Instant::now())))
    }

    pub(crate) fn last(&self) -> Instant {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn moved(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }
}

/// A request's body that says when it moves.
pub(crate) struct Watched {
    pub(crate) inner: RequestBody,
    pub(crate) progress: Progress,
}

impl Body for Watched {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let polled = Pin::new(&mut self.inner).poll_frame(cx);
        if polled.is_ready() {
            self.progress.moved();
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

/// The body of an answer. It ends with an error when the upstream breaks off or pauses too long.
pub struct ResponseBody {
    inner: Incoming,
    idle: Duration,
    deadline: Pin<Box<Sleep>>,
    /// Goes back to the pool when the body has ended well.
    sender: Option<SendRequest<RequestBody>>,
    pool: Arc<Pool>,
}

impl ResponseBody {
    pub(crate) fn new(inner: Incoming, idle: Duration, sender: SendRequest<RequestBody>, pool: Arc<Pool>) -> Self {
        let mut body = Self {
            inner,
            idle,
            deadline: Box::pin(tokio::time::sleep(idle)),
            sender: Some(sender),
            pool,
        };
        if body.inner.is_end_stream() {
            body.give_back();
        }
        body
    }

    fn give_back(&mut self) {
        if let Some(sender) = self.sender.take() {
            self.pool.put(sender);
        }
    }
}

impl Body for ResponseBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        match Pin::new(&mut self.inner).poll_frame(cx) {
            Poll::Ready(None) => {
                self.give_back();
                Poll::Ready(None)
            }
            Poll::Ready(Some(Ok(frame))) => {
                let next = Instant::now() + self.idle;
                self.deadline.as_mut().reset(next);
                if self.inner.is_end_stream() {
                    self.give_back();
                }
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Ready(Some(Err(error))) => {
                self.sender = None;
                let reason = deepest(&error);
                Poll::Ready(Some(Err(Box::new(UpstreamError::Broken { reason }))))
            }
            Poll::Pending => {
                let waited = self.deadline.as_mut().poll(cx);
                waited.map(|()| {
                    Some(Err(Box::new(UpstreamError::Deadline {
                        what: "the next piece of its answer",
                    }) as BoxError))
                })
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
