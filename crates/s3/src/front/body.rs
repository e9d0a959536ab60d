use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use http_body::{Frame, SizeHint};
use http_body_util::combinators::UnsyncBoxBody;
use s3s::S3ErrorCode;

/// Any error that a body may end with.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// The body of a request or response.
pub type Body = UnsyncBoxBody<Bytes, BoxError>;

/// The largest object, and the largest body: 5 GiB.
pub(crate) const MAX_OBJECT: u64 = 5 * 1024 * 1024 * 1024;

/// An error of a request's body that the caller shall see: the server ends the body with one when it does not match its signature.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{code}: {message}")]
pub struct BodyError {
    /// The error code of S3, such as `XAmzContentSHA256Mismatch` or `IncompleteBody`.
    pub code: String,
    /// The message.
    pub message: String,
}

impl BodyError {
    pub(super) fn status(&self) -> StatusCode {
        S3ErrorCode::from_bytes(self.code.as_bytes())
            .and_then(|code| code.status_code())
            .unwrap_or(StatusCode::BAD_REQUEST)
    }
}

/// The largest body of a request that is not an object: 1,000 keys of 1,024 bytes with their markup fit, and 10,000 parts with theirs.
pub(super) const MAX_DOCUMENT: u64 = 4 * 1024 * 1024;

/// What is known of a request's body while and after it is read.
#[derive(Debug, Default)]
pub(crate) struct Arrival {
    bytes: AtomicU64,
    /// Whether it may be as large as an object.
    object: AtomicBool,
    error: Mutex<Option<BodyError>>,
    /// What has arrived of a document.
    document: Mutex<Vec<Bytes>>,
    trailers: Mutex<Option<HeaderMap>>,
}

impl Arrival {
    pub(super) fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    pub(super) fn error(&self) -> Option<BodyError> {
        self.error.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Says that the operation is one whose body is an object.
    pub(crate) fn expect_object(&self) {
        self.object.store(true, Ordering::Relaxed);
    }

    /// The document that was read, in pieces.
    pub(crate) fn document(&self) -> Vec<Bytes> {
        self.document.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The trailing headers; `None` if there were none or the body is not at its end.
    pub(crate) fn trailers(&self) -> Option<HeaderMap> {
        self.trailers.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// A request's body that is counted and limited, and whose error and trailers are kept for those who see only bytes.
pub(super) struct Metered {
    inner: Body,
    arrival: Arc<Arrival>,
}

impl Metered {
    pub(super) fn new(inner: Body, arrival: Arc<Arrival>) -> Self {
        Self { inner, arrival }
    }

    fn failed(&self, error: BodyError) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let mut kept = self.arrival.error.lock().unwrap_or_else(PoisonError::into_inner);
        let error = kept.get_or_insert(error).clone();
        Poll::Ready(Some(Err(Box::new(error))))
    }
}

impl http_body::Body for Metered {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let frame = match ready!(Pin::new(&mut self.inner).poll_frame(cx)) {
            None => return Poll::Ready(None),
            Some(Ok(frame)) => frame,
            Some(Err(error)) => {
                let error = error.downcast::<BodyError>().map_or_else(
                    |_| BodyError {
                        code: "IncompleteBody".to_owned(),
                        message: super::error::INCOMPLETE.to_owned(),
                    },
                    |error| *error,
                );
                return self.failed(error);
            }
        };
        match frame.into_data() {
            Ok(bytes) => {
                let length = bytes.len() as u64;
                let before = self.arrival.bytes.fetch_add(length, Ordering::Relaxed);
                let is_object = self.arrival.object.load(Ordering::Relaxed);
                let (limit, code, message) = if is_object {
                    (MAX_OBJECT, "EntityTooLarge", super::error::TOO_LARGE)
                } else {
                    (MAX_DOCUMENT, "MaxMessageLengthExceeded", "Your request was too big.")
                };
                if before.saturating_add(length) > limit {
                    return self.failed(BodyError {
                        code: code.to_owned(),
                        message: message.to_owned(),
                    });
                }
                if !is_object {
                    let mut document = self.arrival.document.lock().unwrap_or_else(PoisonError::into_inner);
                    document.push(bytes.clone());
                }
                Poll::Ready(Some(Ok(Frame::data(bytes))))
            }
            Err(frame) => {
                if let Some(trailers) = frame.trailers_ref() {
                    let mut kept = self.arrival.trailers.lock().unwrap_or_else(PoisonError::into_inner);
                    *kept = Some(trailers.clone());
                }
                Poll::Ready(Some(Ok(frame)))
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
