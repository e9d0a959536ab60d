//! Request bodies: small ones read whole, those of S3 checked while they stream.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use aws_lc_rs::digest;
use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderValue};
use http_body::{Body as _, Frame, SizeHint};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use irsa_s3::{Body, BodyError, BoxError};
use irsa_sigv4::{ChunkDecoder, ChunkError};
use tokio::time::{Instant, Sleep};

/// The largest body of a call that is not S3's: a policy document of 131,072 characters, percent-encoded, and the rest.
pub(crate) const MAX_CALL: usize = 1 << 20;

/// A body can't be read whole.
#[derive(Debug)]
pub(crate) enum ReadError {
    TooLarge,
    Broken,
}

/// Reads a body of up to [`MAX_CALL`] bytes.
pub(crate) async fn read_whole(mut body: Incoming) -> Result<Bytes, ReadError> {
    if body.size_hint().lower() > MAX_CALL as u64 {
        return Err(ReadError::TooLarge);
    }
    // One frame is the usual case and is not copied.
    let mut first = Bytes::new();
    let mut whole = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| ReadError::Broken)?;
        let Ok(data) = frame.into_data() else { continue };
        if first.len() + whole.len() + data.len() > MAX_CALL {
            return Err(ReadError::TooLarge);
        }
        if first.is_empty() && whole.is_empty() {
            first = data;
        } else {
            whole.extend_from_slice(&std::mem::take(&mut first));
            whole.extend_from_slice(&data);
        }
    }
    Ok(if whole.is_empty() { first } else { whole.freeze() })
}

/// A body of known bytes.
pub(crate) fn full(bytes: impl Into<Bytes>) -> Body {
    Full::new(bytes.into()).map_err(|never| match never {}).boxed_unsync()
}

/// How long a caller may take to send the next bytes of an object.
const IDLE_DEADLINE: Duration = Duration::from_secs(30);

/// A body whose sender may pause, but not for ever.
pub(crate) struct TimelyBody {
    inner: Incoming,
    deadline: Pin<Box<Sleep>>,
}

impl TimelyBody {
    pub(crate) fn new(inner: Incoming) -> Self {
        Self {
            inner,
            deadline: Box::pin(tokio::time::sleep(IDLE_DEADLINE)),
        }
    }
}

impl http_body::Body for TimelyBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        match Pin::new(&mut self.inner).poll_frame(cx) {
            Poll::Ready(frame) => {
                let next = Instant::now() + IDLE_DEADLINE;
                self.deadline.as_mut().reset(next);
                Poll::Ready(frame.map(|frame| frame.map_err(Into::into)))
            }
            Poll::Pending => self.deadline.as_mut().poll(cx).map(|()| {
                Some(Err(Box::new(BodyError {
                    code: "RequestTimeout".to_owned(),
                    message: "Your socket connection to the server was not read from or written to within the timeout \
                              period."
                        .to_owned(),
                }) as BoxError))
            }),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

/// A body whose bytes must have a declared SHA-256.
pub(crate) struct HashedBody {
    inner: TimelyBody,
    context: Option<digest::Context>,
    declared: [u8; 32],
}

impl HashedBody {
    pub(crate) fn new(inner: TimelyBody, declared: [u8; 32]) -> Self {
        Self {
            inner,
            context: Some(digest::Context::new(&digest::SHA256)),
            declared,
        }
    }
}

impl http_body::Body for HashedBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        match ready!(Pin::new(&mut self.inner).poll_frame(cx)) {
            Some(Ok(frame)) => {
                if let (Some(data), Some(context)) = (frame.data_ref(), &mut self.context) {
                    context.update(data);
                }
                Poll::Ready(Some(Ok(frame)))
            }
            Some(Err(error)) => Poll::Ready(Some(Err(error))),
            None => match self.context.take().map(digest::Context::finish) {
                Some(found) if found.as_ref() != self.declared => Poll::Ready(Some(Err(Box::new(BodyError {
                    code: "XAmzContentSHA256Mismatch".to_owned(),
                    message: "The provided 'x-amz-content-sha256' header does not match what was computed.".to_owned(),
                })))),
                _ => Poll::Ready(None),
            },
        }
    }

    fn is_end_stream(&self) -> bool {
        // Not before the hash was compared.
        self.context.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

/// A body in aws-chunked encoding, decoded and verified.
pub(crate) struct ChunkedBody {
    inner: TimelyBody,
    decoder: ChunkDecoder,
    ready: std::collections::VecDeque<Bytes>,
    done: bool,
}

impl ChunkedBody {
    pub(crate) fn new(inner: TimelyBody, decoder: ChunkDecoder) -> Self {
        Self {
            inner,
            decoder,
            ready: std::collections::VecDeque::new(),
            done: false,
        }
    }
}

impl http_body::Body for ChunkedBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        loop {
            if let Some(bytes) = self.ready.pop_front() {
                return Poll::Ready(Some(Ok(Frame::data(bytes))));
            }
            if self.done {
                return Poll::Ready(None);
            }
            match ready!(Pin::new(&mut self.inner).poll_frame(cx)) {
                Some(Ok(frame)) => {
                    let Ok(data) = frame.into_data() else { continue };
                    match self.decoder.push(data) {
                        Ok(decoded) => self.ready.extend(decoded.into_iter().filter(|bytes| !bytes.is_empty())),
                        Err(error) => {
                            self.done = true;
                            return Poll::Ready(Some(Err(Box::new(chunk_error(&error)))));
                        }
                    }
                }
                Some(Err(error)) => {
                    self.done = true;
                    return Poll::Ready(Some(Err(error)));
                }
                None => {
                    self.done = true;
                    match self.decoder.finish() {
                        Ok(trailers) => {
                            let Some((algorithm, value)) = trailers.checksum else {
                                return Poll::Ready(None);
                            };
                            let Ok(value) = HeaderValue::from_str(&value) else {
                                return Poll::Ready(None);
                            };
                            let mut headers = HeaderMap::new();
                            headers.insert(http::HeaderName::from_static(algorithm.header()), value);
                            return Poll::Ready(Some(Ok(Frame::trailers(headers))));
                        }
                        Err(error) => return Poll::Ready(Some(Err(Box::new(chunk_error(&error))))),
                    }
                }
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.done && self.ready.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.decoder.decoded_length())
    }
}

/// S3's words for a body that is not what was signed.
pub(crate) fn chunk_error(error: &ChunkError) -> BodyError {
    let (code, message) = match error {
        ChunkError::SignatureMismatch => (
            "SignatureDoesNotMatch",
            "The request signature we calculated does not match the signature you provided. Check your key and signing method.".to_owned(),
        ),
        ChunkError::ChecksumMismatch { .. } => ("BadDigest", "The checksum you specified did not match the calculated checksum.".to_owned()),
        ChunkError::Incomplete => {
            ("IncompleteBody", "The request body terminated unexpectedly".to_owned())
        }
        other => ("InvalidRequest", format!("The body is not valid aws-chunked content: {other}")),
    };
    BodyError {
        code: code.to_owned(),
        message,
    }
}
