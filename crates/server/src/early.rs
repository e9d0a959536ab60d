//! An answer that begins before its end is known, for what takes longer than callers wait for a first byte.
//!
//! The request goes on as all do: what came of it is recorded, and only then the document that tells it follows. Until then there are
//! blanks, which XML allows between its declaration and its root.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use http::{HeaderMap, Response};
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody};
use irsa_s3::{Body, BoxError};
use tokio::sync::{mpsc, oneshot};

use crate::body::full;

const DECLARATION: &[u8] = b"<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n";

/// How a request that takes long says so. Its clones are one.
#[derive(Clone)]
pub(crate) struct Early(Arc<Mutex<State>>);

enum State {
    Waiting(oneshot::Sender<Response<Body>>),
    /// `None` is the end.
    Begun(mpsc::Sender<Option<Bytes>>),
    Done,
}

impl Early {
    /// And where the beginning comes out, if there will be one.
    pub(crate) fn new() -> (Self, oneshot::Receiver<Response<Body>>) {
        let (sender, receiver) = oneshot::channel();
        (Self(Arc::new(Mutex::new(State::Waiting(sender)))), receiver)
    }

    /// Begins the answer with a status of 200 and these headers; again, and a blank goes out.
    pub(crate) fn begin(&self, headers: impl FnOnce() -> HeaderMap) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *state = match std::mem::replace(&mut *state, State::Done) {
            State::Waiting(sender) => {
                let (writer, reader) = mpsc::channel(16);
                let mut response = Response::new(body(reader));
                *response.headers_mut() = headers();
                // Whoever waited for it may be gone; the request goes on.
                drop(writer.try_send(Some(Bytes::from_static(DECLARATION))));
                drop(sender.send(response));
                State::Begun(writer)
            }
            State::Begun(writer) => {
                // Who does not read what there is needs no more of it, and the end needs its place.
                if writer.capacity() > 4 {
                    drop(writer.try_send(Some(Bytes::from_static(b" "))));
                }
                State::Begun(writer)
            }
            State::Done => State::Done,
        };
    }

    /// The answer, if it was not begun; else its document is sent after its beginning, and what is given back goes nowhere.
    pub(crate) async fn finish(&self, response: Response<Body>) -> Response<Body> {
        let state = std::mem::replace(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner), State::Done);
        let State::Begun(writer) = state else { return response };
        let (parts, body) = response.into_parts();
        if let Ok(document) = body.collect().await {
            let document = document.to_bytes();
            let document = without_declaration(&document);
            // An error here is a caller that has gone.
            if writer.send(Some(document)).await.is_ok() {
                drop(writer.send(None).await);
            }
        }
        Response::from_parts(parts, full(""))
    }
}

fn without_declaration(document: &Bytes) -> Bytes {
    let end = document
        .starts_with(b"<?xml")
        .then(|| document.windows(2).position(|window| window == b"?>"))
        .flatten();
    document.slice(end.map_or(0, |end| end.saturating_add(2))..)
}

/// What is written, to its end; a writer that goes away before breaks it off.
fn body(reader: mpsc::Receiver<Option<Bytes>>) -> Body {
    let pieces = futures_util::stream::unfold(Some(reader), |reader| async move {
        let mut reader = reader?;
        match reader.recv().await {
            Some(Some(piece)) => Some((Ok(Frame::data(piece)), Some(reader))),
            Some(None) => None,
            None => {
                let error: BoxError = "the answer has no end".into();
                Some((Err(error), None))
            }
        }
    });
    StreamBody::new(pieces).boxed_unsync()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(text: &'static str) -> Response<Body> {
        Response::new(full(text))
    }

    async fn text(response: Response<Body>) -> Result<String, BoxError> {
        let bytes = response.into_body().collect().await?.to_bytes();
        Ok(String::from_utf8(bytes.to_vec()).unwrap())
    }

    #[tokio::test]
    async fn an_answer_in_time_is_itself() {
        let (early, begun) = Early::new();
        let response = early.finish(answer("<?xml version=\"1.0\"?><A/>")).await;
        assert_eq!(text(response).await.unwrap(), "<?xml version=\"1.0\"?><A/>");
        drop(early);
        assert!(begun.await.is_err());
    }

    #[tokio::test]
    async fn an_answer_that_is_late_follows_its_beginning() {
        let (early, begun) = Early::new();
        for _ in 0..40 {
            early.begin(|| HeaderMap::from_iter([(http::header::ETAG, "e".parse().unwrap())]));
        }
        let begun = begun.await.unwrap();
        assert_eq!(begun.headers()["etag"], "e");
        let read = tokio::spawn(text(begun));
        let rest = early.finish(answer("<?xml version=\"1.0\"?>\n<A/>")).await;
        assert_eq!(text(rest).await.unwrap(), "");
        let whole = read.await.unwrap().unwrap();
        assert!(
            whole.starts_with("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n "),
            "{whole}"
        );
        assert_eq!(whole.matches("<?xml").count(), 1);
        assert!(whole.trim_end().ends_with("<A/>"), "{whole}");
    }

    #[tokio::test]
    async fn one_without_an_end_breaks_off() {
        let (early, begun) = Early::new();
        early.begin(HeaderMap::new);
        drop(early);
        assert!(text(begun.await.unwrap()).await.is_err());
        // And nobody waits for a caller that has gone.
        let (early, begun) = Early::new();
        early.begin(HeaderMap::new);
        drop(begun);
        early.finish(answer("<A/>")).await;
    }
}
