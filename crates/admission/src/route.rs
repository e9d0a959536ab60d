//! Which request gets which answer.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use futures_util::FutureExt as _;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, header};
use http_body::Body;
use http_body_util::{BodyExt as _, Full};
use serde_json::{Map, Value, json};
use tokio::sync::{Semaphore, SemaphorePermit, watch};

use crate::ServingCertificate;
use crate::admission::{Admission, Entry};
use crate::listener::Phase;
use crate::metrics::Metrics;

/// The largest review: an API server takes objects of 3 MiB, and wraps one in little more than itself; an update has two.
pub(crate) const MAX_BODY: usize = 8 * 1024 * 1024;
/// How long a body may take to come.
const BODY_DEADLINE: Duration = Duration::from_secs(10);
/// How long waiting may take where the API server does not say how long it waits itself; its default is ten seconds.
const LIMIT: Duration = Duration::from_secs(9);
/// How much sooner than the API server we give up waiting, so that our answer still reaches it.
const MARGIN: Duration = Duration::from_millis(500);
/// Room for all bodies together, in KiB.
const BODIES_KIBIBYTES: usize = 64 * 1024;
/// Room for all documents together, in KiB.
const DOCUMENTS_KIBIBYTES: usize = 256 * 1024;
/// What one document may take, in bytes: half of the room.
const MAX_DOCUMENT: usize = DOCUMENTS_KIBIBYTES * 1024 / 2;
/// What one value of a document takes at most, in bytes, with its share of a table.
const VALUE: usize = 128;

/// Who asks.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Caller {
    /// Somebody on the HTTPS port.
    Reviews {
        /// Whether a certificate was shown and found right.
        has_certificate: bool,
    },
    /// Somebody on the metrics port.
    Metrics,
}

pub(crate) struct Routes {
    pub(crate) admission: Admission,
    pub(crate) certificate: Arc<ServingCertificate>,
    pub(crate) debug: bool,
    /// Whether reviews are answered only to those who showed a certificate.
    pub(crate) needs_certificate: bool,
    pub(crate) phase: watch::Receiver<Phase>,
    room: Room,
}

/// Bounds of what strangers can make us hold.
struct Room {
    bodies: Semaphore,
    documents: Semaphore,
}

type Answer = Response<Full<Bytes>>;

/// Why a review gets no answer of its own.
#[derive(Clone, Copy, Debug)]
enum Unanswered {
    TooLarge,
    TooSlow,
    /// The caller went away in the middle of it.
    Cut,
    Overloaded,
}

impl Routes {
    pub(crate) fn new(
        admission: Admission,
        certificate: Arc<ServingCertificate>,
        (debug, needs_certificate): (bool, bool),
        phase: watch::Receiver<Phase>,
    ) -> Self {
        Self {
            admission,
            certificate,
            debug,
            needs_certificate,
            phase,
            room: Room {
                bodies: Semaphore::new(BODIES_KIBIBYTES),
                documents: Semaphore::new(DOCUMENTS_KIBIBYTES),
            },
        }
    }

    pub(crate) fn metrics(&self) -> &Metrics {
        &self.admission.metrics
    }

    /// Why reviews should not come here; `None`: they should.
    pub(crate) fn not_ready(&self) -> Option<&'static str> {
        if *self.phase.borrow() != Phase::Serving {
            return Some("stopping");
        }
        if self.certificate.current().is_none() {
            return Some("no serving certificate yet");
        }
        self.admission.sources.missing()
    }

    /// Answers any request, also if something in us panics.
    pub(crate) async fn answer<B>(&self, caller: Caller, request: Request<B>) -> Answer
    where
        B: Body<Data = Bytes> + Unpin,
        B::Error: std::fmt::Display,
    {
        let answered = AssertUnwindSafe(self.route(caller, request)).catch_unwind().await;
        answered.unwrap_or_else(|_| {
            tracing::error!("a request was not answered: the program has a fault");
            self.metrics().unanswered("internal_error");
            plain(StatusCode::INTERNAL_SERVER_ERROR, "an internal error occurred\n")
        })
    }

    async fn route<B>(&self, caller: Caller, request: Request<B>) -> Answer
    where
        B: Body<Data = Bytes> + Unpin,
        B::Error: std::fmt::Display,
    {
        let (head, body) = request.into_parts();
        let verb = verb(&head.method);
        match (caller, head.uri.path()) {
            (Caller::Reviews { has_certificate }, path @ ("/mutate" | "/mutate/fail-closed")) => {
                let (entry, path) = if path == "/mutate" {
                    (Entry::Default, "/mutate")
                } else {
                    (Entry::FailClosed, "/mutate/fail-closed")
                };
                let start = Instant::now();
                let answer = if self.needs_certificate && !has_certificate {
                    plain(StatusCode::FORBIDDEN, "reviews need a client certificate\n")
                } else {
                    self.review(entry, head.uri.query().unwrap_or_default(), &head.headers, body).await
                };
                self.metrics().request(verb, path, answer.status().as_u16(), start.elapsed());
                answer
            }
            (Caller::Reviews { .. }, "/debug/alpha/deny") if self.debug => self.counted(verb, "/debug/alpha/deny", || {
                let review = json!({"response": {"uid": "", "allowed": false, "status": {"metadata": {}, "message": "Test deny message"}}});
                with_type(StatusCode::OK, "application/json", review.to_string())
            }),
            (Caller::Reviews { .. }, "/debug/alpha/500") if self.debug => self.counted(verb, "/debug/alpha/500", || {
                plain(StatusCode::INTERNAL_SERVER_ERROR, "test error\n")
            }),
            (Caller::Metrics, "/metrics") => {
                let text = self.metrics().text(&self.admission.sources, self.not_ready().is_none());
                with_type(StatusCode::OK, "text/plain; version=0.0.4; charset=utf-8", text)
            }
            (Caller::Metrics, "/debug/alpha/cache") if self.debug => self.counted(verb, "/debug/alpha/cache", || self.cache()),
            (Caller::Metrics, "/debug/alpha/cache/clear") if self.debug => {
                self.counted(verb, "/debug/alpha/cache/clear", || {
                    self.admission.sources.accounts.clear();
                    plain(StatusCode::OK, "")
                })
            }
            (_, "/healthz") => plain(StatusCode::OK, "ok"),
            (_, "/readyz") => match self.not_ready() {
                None => plain(StatusCode::OK, "ok"),
                Some(why) => plain(StatusCode::SERVICE_UNAVAILABLE, format!("not ready: {why}\n")),
            },
            _ => plain(StatusCode::NOT_FOUND, "404 page not found\n"),
        }
    }

    fn counted(&self, verb: &'static str, path: &'static str, answer: impl FnOnce() -> Answer) -> Answer {
        let start = Instant::now();
        let answer = answer();
        self.metrics()
            .request(verb, path, answer.status().as_u16(), start.elapsed());
        answer
    }

    async fn review<B>(&self, entry: Entry, query: &str, headers: &HeaderMap, body: B) -> Answer
    where
        B: Body<Data = Bytes> + Unpin,
        B::Error: std::fmt::Display,
    {
        let Some(limit) = limit(query) else {
            return plain(StatusCode::BAD_REQUEST, "{\"error\": \"error parsing form\"}\n");
        };
        let (body, _room) = match self.body(body).await {
            Ok(body) => body,
            Err(why) => return self.unanswered(why),
        };
        let Some(weight) = weight(&body) else {
            return self.unanswered(Unanswered::TooLarge);
        };
        let Some(_document_room) = enter(&self.room.documents, weight, BODY_DEADLINE).await else {
            return self.unanswered(Unanswered::Overloaded);
        };
        let content_type = headers.get(header::CONTENT_TYPE).map(HeaderValue::as_bytes);
        match self.admission.answer(entry, content_type, &body, limit).await {
            Ok(answer) => with_type(StatusCode::OK, "application/json", answer),
            Err(error) => plain(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                format!("{}\n", capitalised(&error.to_string())),
            ),
        }
    }

    /// A review whose pod is left to the failure policy, which is said and counted.
    fn unanswered(&self, why: Unanswered) -> Answer {
        let (status, reason, text) = match why {
            Unanswered::TooLarge => (StatusCode::PAYLOAD_TOO_LARGE, "too_large", "the review is too large\n"),
            Unanswered::TooSlow => (
                StatusCode::REQUEST_TIMEOUT,
                "too_slow",
                "the review took too long to come\n",
            ),
            Unanswered::Cut => (StatusCode::BAD_REQUEST, "cut", "the review did not come whole\n"),
            Unanswered::Overloaded => (
                StatusCode::SERVICE_UNAVAILABLE,
                "overloaded",
                "too many reviews at a time\n",
            ),
        };
        self.metrics().unanswered(reason);
        tracing::warn!(decision = "unanswered", reason);
        plain(status, text)
    }

    /// The whole body, if it is not too large and comes in time.
    async fn body<B>(&self, mut body: B) -> Result<(Bytes, Vec<SemaphorePermit<'_>>), Unanswered>
    where
        B: Body<Data = Bytes> + Unpin,
        B::Error: std::fmt::Display,
    {
        if body.size_hint().lower() > MAX_BODY as u64 {
            return Err(Unanswered::TooLarge);
        }
        let deadline = tokio::time::Instant::now() + BODY_DEADLINE;
        let mut room = Vec::new();
        let mut first = Bytes::new();
        let mut rest = BytesMut::new();
        loop {
            let frame = match tokio::time::timeout_at(deadline, body.frame()).await {
                Ok(Some(Ok(frame))) => frame,
                Ok(None) => break,
                Ok(Some(Err(error))) => {
                    // The caller is gone, or talks nonsense.
                    tracing::debug!(%error, "the body of a review did not come");
                    return Err(Unanswered::Cut);
                }
                Err(_) => return Err(Unanswered::TooSlow),
            };
            let Ok(bytes) = frame.into_data() else { continue };
            let length = first.len().saturating_add(rest.len()).saturating_add(bytes.len());
            if length > MAX_BODY {
                return Err(Unanswered::TooLarge);
            }
            let left = deadline.saturating_duration_since(tokio::time::Instant::now());
            let Some(permit) = enter(&self.room.bodies, bytes.len(), left).await else {
                return Err(Unanswered::Overloaded);
            };
            room.push(permit);
            // Most bodies come in one piece, which is not copied.
            if first.is_empty() && rest.is_empty() {
                first = bytes;
            } else {
                if rest.is_empty() {
                    let whole = usize::try_from(body.size_hint().lower()).unwrap_or_default();
                    rest.reserve(length.saturating_add(whole).min(MAX_BODY));
                    rest.extend_from_slice(&first);
                    first = Bytes::new();
                }
                rest.extend_from_slice(&bytes);
            }
        }
        let whole = if rest.is_empty() { first } else { rest.freeze() };
        Ok((whole, room))
    }

    /// What the reference's debug handler shows of its cache, in its form.
    fn cache(&self) -> Answer {
        let mut all = self.admission.sources.accounts.bound();
        all.sort_by(|one, other| one.0.cmp(&other.0));
        let all: Map<String, Value> = all
            .into_iter()
            .map(|(account, identity)| {
                let entry = json!({
                    "RoleARN": identity.role_arn,
                    "Audience": identity.audience,
                    "UseRegionalSTS": identity.regional_sts,
                    "TokenExpiration": identity.token_expiration_seconds,
                });
                (account, entry)
            })
            .collect();
        let mut text = Vec::new();
        let formatter = serde_json::ser::PrettyFormatter::with_indent(b" ");
        let mut serializer = serde_json::Serializer::with_formatter(&mut text, formatter);
        // Strings and numbers can always be written.
        let _ = serde::Serialize::serialize(&all, &mut serializer);
        with_type(StatusCode::OK, "application/json", text)
    }
}

/// Room for so many bytes, as soon as there is.
async fn enter(room: &Semaphore, bytes: usize, deadline: Duration) -> Option<SemaphorePermit<'_>> {
    let kibibytes = u32::try_from(bytes.div_ceil(1024).max(1)).ok()?;
    if let Ok(permit) = room.try_acquire_many(kibibytes) {
        return Some(permit);
    }
    tokio::time::timeout(deadline, room.acquire_many(kibibytes))
        .await
        .ok()?
        .ok()
}

/// What a body may take as a document, at most: a value follows each of these characters, or is one. `None`: more than one may have.
fn weight(body: &[u8]) -> Option<usize> {
    let values = body.iter().filter(|byte| matches!(byte, b',' | b'{' | b'[')).count();
    let weight = values.checked_mul(VALUE)?.checked_add(body.len())?;
    (weight <= MAX_DOCUMENT).then_some(weight)
}

/// How long an answer may take: the API server puts its own limit into the query. `None`: Go could not parse the query.
fn limit(query: &str) -> Option<Duration> {
    if query.contains(';') {
        return None;
    }
    let mut bytes = query.bytes();
    while let Some(byte) = bytes.next() {
        if byte == b'%' && !(bytes.next()?.is_ascii_hexdigit() && bytes.next()?.is_ascii_hexdigit()) {
            return None;
        }
    }
    let timeout = query.split('&').find_map(|pair| pair.strip_prefix("timeout="));
    let timeout = timeout.and_then(seconds).unwrap_or(LIMIT.saturating_add(MARGIN));
    Some(timeout.saturating_sub(MARGIN).min(LIMIT))
}

/// The form in which API servers write it: whole seconds, such as `10s`.
fn seconds(text: &str) -> Option<Duration> {
    text.strip_suffix('s')?.parse().ok().map(Duration::from_secs)
}

/// A method as a label: there are few words, whatever a caller says.
fn verb(method: &Method) -> &'static str {
    match method.as_str() {
        "GET" => "GET",
        "HEAD" => "HEAD",
        "POST" => "POST",
        "PUT" => "PUT",
        "PATCH" => "PATCH",
        "DELETE" => "DELETE",
        "OPTIONS" => "OPTIONS",
        "CONNECT" => "CONNECT",
        "TRACE" => "TRACE",
        _ => "OTHER",
    }
}

fn capitalised(text: &str) -> String {
    let mut characters = text.chars();
    let first = characters.next().map(|first| first.to_ascii_uppercase());
    first.into_iter().chain(characters).collect()
}

fn plain(status: StatusCode, text: impl Into<Bytes>) -> Answer {
    with_type(status, "text/plain; charset=utf-8", text)
}

fn with_type(status: StatusCode, content_type: &'static str, text: impl Into<Bytes>) -> Answer {
    let mut answer = Response::new(Full::new(text.into()));
    *answer.status_mut() = status;
    let headers = answer.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    answer
}

#[cfg(test)]
mod tests;
