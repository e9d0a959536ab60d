//! The body that goes to the store: only one that was right in every respect ends there.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::HeaderMap;
use http_body::{Frame, SizeHint};
use irsa_s3::{Body, BodyError, BoxError, Integrity, S3Refusal};
use irsa_sigv4::ChecksumAlgorithm;

/// How much goes into one chunk.
const CHUNK: u64 = 64 << 10;

/// What became of a body.
#[derive(Clone, Default)]
pub(super) struct Fate(Arc<Inner>);

#[derive(Default)]
struct Inner {
    bytes: AtomicU64,
    whole: AtomicBool,
    error: Mutex<Option<S3Refusal>>,
}

impl Fate {
    /// Bytes of the content.
    pub(super) fn bytes(&self) -> u64 {
        self.0.bytes.load(Ordering::Relaxed)
    }

    /// Whether it came to its end, and was right.
    pub(super) fn is_whole(&self) -> bool {
        self.0.whole.load(Ordering::Acquire)
    }

    /// Why it was not.
    pub(super) fn error(&self) -> Option<S3Refusal> {
        self.0.error.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn fail(&self, refused: S3Refusal) -> BoxError {
        let error = BodyError {
            code: refused.code.clone(),
            message: refused.message.clone(),
        };
        *self.0.error.lock().unwrap_or_else(PoisonError::into_inner) = Some(refused);
        Box::new(error)
    }
}

/// A content of known length on its way.
///
/// Plainly written, its last piece is held back until the whole is known to be right; in chunks, the last chunk, which is empty and has
/// the checksum behind it, is. What is wrong breaks off before.
pub(super) struct Guarded {
    inner: Body,
    integrity: Option<Integrity>,
    fate: Fate,
    length: u64,
    seen: u64,
    trailers: Option<HeaderMap>,
    framing: Framing,
    ready: VecDeque<Bytes>,
    ended: bool,
}

enum Framing {
    Plain { held: Option<Bytes> },
    Chunked { trailer: ChecksumAlgorithm, left: u64 },
}

impl Guarded {
    /// A content of `length` bytes; with a `trailer`, in chunks.
    pub(super) fn new(
        inner: Body,
        integrity: Integrity,
        length: u64,
        trailer: Option<ChecksumAlgorithm>,
        fate: Fate,
    ) -> Self {
        Self {
            inner,
            integrity: Some(integrity),
            fate,
            length,
            seen: 0,
            trailers: None,
            framing: match trailer {
                None => Framing::Plain { held: None },
                Some(trailer) => Framing::Chunked { trailer, left: 0 },
            },
            ready: VecDeque::new(),
            ended: false,
        }
    }

    /// How many bytes are sent.
    pub(super) fn sent_length(&self) -> u64 {
        match self.framing {
            Framing::Plain { .. } => self.length,
            Framing::Chunked { trailer, .. } => encoded_length(self.length, trailer),
        }
    }

    fn take(&mut self, data: Bytes) -> Result<(), BoxError> {
        let count = data.len() as u64;
        self.seen = self.seen.saturating_add(count);
        self.fate.0.bytes.fetch_add(count, Ordering::Relaxed);
        if self.seen > self.length {
            return Err(self.fate.fail(incomplete()));
        }
        if let Some(integrity) = &mut self.integrity {
            integrity.update(&data);
        }
        match &mut self.framing {
            Framing::Plain { held } => self.ready.extend(held.replace(data)),
            Framing::Chunked { left, .. } => {
                let mut data = data;
                let mut to_come = self.length.saturating_sub(self.seen).saturating_add(count);
                while !data.is_empty() {
                    if *left == 0 {
                        *left = to_come.min(CHUNK);
                        self.ready.push_back(format!("{:x}\r\n", *left).into());
                    }
                    let most = usize::try_from(*left).unwrap_or(usize::MAX).min(data.len());
                    let piece = data.split_to(most);
                    *left = left.saturating_sub(piece.len() as u64);
                    to_come = to_come.saturating_sub(piece.len() as u64);
                    self.ready.push_back(piece);
                    if *left == 0 {
                        self.ready.push_back(Bytes::from_static(b"\r\n"));
                    }
                }
            }
        }
        Ok(())
    }

    fn finish(&mut self) -> Result<(), BoxError> {
        self.ended = true;
        if self.seen != self.length {
            return Err(self.fate.fail(incomplete()));
        }
        let integrity = self
            .integrity
            .take()
            .map(|integrity| integrity.finish(self.trailers.as_ref()));
        let found = match integrity {
            Some(Ok(found)) => found,
            Some(Err(refused)) => return Err(self.fate.fail(refused)),
            None => None,
        };
        match (&mut self.framing, found) {
            (Framing::Plain { held }, _) => self.ready.extend(held.take()),
            (Framing::Chunked { trailer, .. }, Some((name, value))) if name == trailer.header() => {
                self.ready.push_back(format!("0\r\n{name}:{value}\r\n\r\n").into());
            }
            (Framing::Chunked { .. }, _) => return Err(self.fate.fail(incomplete())),
        }
        self.fate.0.whole.store(true, Ordering::Release);
        Ok(())
    }
}

fn incomplete() -> S3Refusal {
    S3Refusal::new(
        "IncompleteBody",
        "You did not provide the number of bytes specified by the Content-Length HTTP header",
    )
}

fn encoded_length(length: u64, trailer: ChecksumAlgorithm) -> u64 {
    let digits = |number: u64| u64::from(number.checked_ilog2().unwrap_or(0) / 4 + 1);
    let chunk = |size: u64| digits(size).saturating_add(2).saturating_add(size).saturating_add(2);
    let (full, rest) = (length / CHUNK, length % CHUNK);
    let chunks = full
        .saturating_mul(chunk(CHUNK))
        .saturating_add(if rest == 0 { 0 } else { chunk(rest) });
    let value = trailer.byte_length().div_ceil(3).saturating_mul(4);
    let line = trailer
        .header()
        .len()
        .saturating_add(1)
        .saturating_add(value)
        .saturating_add(2);
    chunks.saturating_add(3).saturating_add(line as u64).saturating_add(2)
}

impl http_body::Body for Guarded {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        loop {
            if let Some(bytes) = self.ready.pop_front() {
                return Poll::Ready(Some(Ok(Frame::data(bytes))));
            }
            if self.ended {
                return Poll::Ready(None);
            }
            let step = match ready!(Pin::new(&mut self.inner).poll_frame(cx)) {
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) if data.is_empty() => Ok(()),
                    Ok(data) => self.take(data),
                    Err(frame) => {
                        self.trailers = frame.into_trailers().ok();
                        Ok(())
                    }
                },
                Some(Err(error)) => {
                    let refused = match error.downcast::<BodyError>() {
                        Ok(error) => S3Refusal::new(&error.code, error.message),
                        Err(_) => incomplete(),
                    };
                    Err(self.fate.fail(refused))
                }
                None => self.finish(),
            };
            if let Err(error) = step {
                self.ended = true;
                self.ready.clear();
                if let Framing::Plain { held } = &mut self.framing {
                    *held = None;
                }
                return Poll::Ready(Some(Err(error)));
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.ended && self.ready.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.sent_length())
    }
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use http_body_util::{BodyExt, StreamBody};

    use super::*;

    fn pieces(sizes: &[usize], end: Option<BodyError>, trailer: Option<(&'static str, &'static str)>) -> Body {
        let mut frames: Vec<Result<Frame<Bytes>, BoxError>> = sizes
            .iter()
            .map(|size| Ok(Frame::data(vec![b'a'; *size].into())))
            .collect();
        if let Some((name, value)) = trailer {
            let mut headers = HeaderMap::new();
            headers.insert(name, value.parse().unwrap());
            frames.push(Ok(Frame::trailers(headers)));
        }
        if let Some(end) = end {
            frames.push(Err(Box::new(end)));
        }
        StreamBody::new(futures_util::stream::iter(frames)).boxed_unsync()
    }

    fn headers(given: &[(&'static str, &str)]) -> HeaderMap {
        given
            .iter()
            .map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()))
            .collect()
    }

    async fn sent(mut body: Guarded) -> (Vec<u8>, bool) {
        let mut bytes = Vec::new();
        while let Some(frame) = body.frame().await {
            match frame {
                Ok(frame) => bytes.extend_from_slice(&frame.into_data().unwrap()),
                Err(_) => return (bytes, false),
            }
        }
        (bytes, true)
    }

    #[tokio::test]
    async fn the_last_piece_waits_for_the_end() {
        let integrity = || Integrity::of(&HeaderMap::new()).unwrap();
        let fate = Fate::default();
        let good = Guarded::new(pieces(&[3, 2, 4], None, None), integrity(), 9, None, fate.clone());
        assert_eq!(sent(good).await, (vec![b'a'; 9], true));
        assert!(fate.is_whole());
        let wrong = BodyError {
            code: "XAmzContentSHA256Mismatch".to_owned(),
            message: "m".to_owned(),
        };
        let fate = Fate::default();
        let bad = Guarded::new(
            pieces(&[3, 2, 4], Some(wrong), None),
            integrity(),
            9,
            None,
            fate.clone(),
        );
        assert_eq!(sent(bad).await, (vec![b'a'; 5], false));
        assert_eq!(fate.error().unwrap().code, "XAmzContentSHA256Mismatch");
        for sizes in [&[3, 2][..], &[3, 2, 5]] {
            let fate = Fate::default();
            let (bytes, whole) = sent(Guarded::new(
                pieces(sizes, None, None),
                integrity(),
                9,
                None,
                fate.clone(),
            ))
            .await;
            assert!(bytes.len() < 9 && !whole && !fate.is_whole());
        }
        // A checksum in the head that is not the content's.
        let lie = Integrity::of(&headers(&[("x-amz-checksum-crc32", "AAAAAA==")])).unwrap();
        let fate = Fate::default();
        let (bytes, whole) = sent(Guarded::new(pieces(&[9], None, None), lie, 9, None, fate.clone())).await;
        assert!(bytes.is_empty() && !whole);
        assert_eq!(fate.error().unwrap().code, "BadDigest");
    }

    #[tokio::test]
    async fn chunks_have_the_length_that_was_said() {
        for length in [0_u64, 1, 15, 16, 65_535, 65_536, 65_537, 200_000] {
            let mut crc = irsa_sigv4::Checksum::new(ChecksumAlgorithm::Crc32);
            let content = vec![b'a'; usize::try_from(length).unwrap()];
            crc.update(&content);
            let value: &'static str = base64::engine::general_purpose::STANDARD.encode(crc.finish()).leak();
            let integrity = Integrity::of(&headers(&[("x-amz-trailer", "x-amz-checksum-crc32")])).unwrap();
            let whole = usize::try_from(length).unwrap();
            let body = pieces(
                &[whole / 3, whole / 2, whole - whole / 3 - whole / 2],
                None,
                Some(("x-amz-checksum-crc32", value)),
            );
            let body = Guarded::new(body, integrity, length, Some(ChecksumAlgorithm::Crc32), Fate::default());
            let said = body.sent_length();
            let (bytes, is_whole) = sent(body).await;
            assert!(is_whole);
            assert_eq!(bytes.len() as u64, said, "{length}");
            assert!(
                String::from_utf8(bytes)
                    .unwrap()
                    .ends_with(&format!("0\r\nx-amz-checksum-crc32:{value}\r\n\r\n"))
            );
        }
        let integrity = Integrity::of(&headers(&[("x-amz-trailer", "x-amz-checksum-crc32")])).unwrap();
        let body = pieces(&[4], None, Some(("x-amz-checksum-crc32", "AAAAAA==")));
        let fate = Fate::default();
        let (bytes, whole) = sent(Guarded::new(
            body,
            integrity,
            4,
            Some(ChecksumAlgorithm::Crc32),
            fate.clone(),
        ))
        .await;
        assert!(!whole && !bytes.windows(3).any(|window| window == b"0\r\n"));
        assert_eq!(fate.error().unwrap().code, "BadDigest");
    }
}
