//! Connections to one server: made when needed, kept for the next request, never more than a bounded number.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, SystemTime};

use aws_smithy_types::DateTime;
use aws_smithy_types::date_time::Format;
use bytes::Bytes;
use http::{HeaderMap, Request, Response, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::client::conn::http1::SendRequest;
use irsa_upstream::{Endpoint, Trust, connect, connect_over, deepest};
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::Instant;

use crate::pace::Pace;
use crate::proxy::Proxy;
use crate::{Answer, ClientError};

type Sender = SendRequest<Full<Bytes>>;

/// Requests at one time to one server; more wait.
const MOST_AT_ONCE: usize = 32;
/// Shorter than AWS keeps a connection on which nothing happens.
const LONGEST_IDLE: Duration = Duration::from_secs(15);
/// Clocks that differ by more are not followed.
const GREATEST_SKEW: Duration = Duration::from_secs(24 * 60 * 60);

/// The connections to one server. Clones share them.
#[derive(Clone)]
pub(crate) struct Connections(Arc<Inner>);

struct Inner {
    endpoint: Endpoint,
    /// Made at the first TLS connection: reading this machine's authorities takes longer than a handshake.
    trust: OnceLock<Trust>,
    /// The proxy on the way.
    proxy: Option<Proxy>,
    /// Whether connections are used again.
    keeps: bool,
    waiting: Mutex<Vec<(Sender, Instant)>>,
    slots: Semaphore,
    pace: Mutex<Pace>,
    /// Whether the server has ever answered.
    answered: AtomicBool,
    /// How many seconds its clock is ahead of ours, once it took a signature for one of another time.
    ahead: AtomicI64,
}

/// The right to send one request.
pub(crate) struct Turn<'a> {
    _slot: Option<SemaphorePermit<'a>>,
}

/// How far a request came that has no answer.
#[derive(Debug)]
pub(crate) enum Failed {
    /// There was no connection, so nothing was sent.
    Unreachable(String),
    /// Something was sent, and the answer did not come, or not whole: nobody knows whether it was done.
    Lost(String),
    /// The answer is larger than is read.
    TooLarge(String),
}

impl Connections {
    /// `keeps` says whether a connection may be used for a second request; a request that meets the end of such a
    /// connection may be lost, so its caller must be ready to send it again.
    pub(crate) fn new(endpoint: Endpoint, trust: Option<Trust>, proxy: Option<Proxy>, keeps: bool) -> Self {
        Self(Arc::new(Inner {
            endpoint,
            trust: trust.map(OnceLock::from).unwrap_or_default(),
            proxy,
            keeps,
            waiting: Mutex::new(Vec::new()),
            slots: Semaphore::new(MOST_AT_ONCE),
            pace: Mutex::new(Pace::new(Instant::now())),
            answered: AtomicBool::new(false),
            ahead: AtomicI64::new(0),
        }))
    }

    pub(crate) fn endpoint(&self) -> &Endpoint {
        &self.0.endpoint
    }

    pub(crate) fn trust(&self) -> Option<&Trust> {
        self.0.trust.get()
    }

    pub(crate) fn proxy(&self) -> Option<&Proxy> {
        self.0.proxy.as_ref()
    }

    pub(crate) fn keeps(&self) -> bool {
        self.0.keeps
    }

    /// Whether somebody there has answered before, so that being unreachable is likely to pass.
    pub(crate) fn has_answered(&self) -> bool {
        self.0.answered.load(Ordering::Relaxed)
    }

    /// What the server's clock shows, as far as is known.
    pub(crate) fn now(&self) -> SystemTime {
        let now = SystemTime::now();
        let ahead = self.0.ahead.load(Ordering::Relaxed);
        let by = Duration::from_secs(ahead.unsigned_abs());
        if ahead < 0 { now - by } else { now + by }
    }

    /// Takes over the clock of an answer; whether that changes much.
    pub(crate) fn set_clock(&self, headers: &HeaderMap) -> bool {
        let date = headers.get(header::DATE).and_then(|date| date.to_str().ok());
        let Some(theirs) = date.and_then(|date| DateTime::from_str(date, Format::HttpDate).ok()) else {
            return false;
        };
        let ours = DateTime::from(SystemTime::now()).secs();
        let ahead = theirs.secs().saturating_sub(ours);
        // A server that says it is another age is wrong itself.
        if ahead.unsigned_abs() > GREATEST_SKEW.as_secs() {
            return false;
        }
        let before = self.0.ahead.swap(ahead, Ordering::Relaxed);
        ahead.abs_diff(before) > 60
    }

    /// Waits until a request may go: no more than a few do at once, and no faster than the server bears.
    pub(crate) async fn turn(&self) -> Turn<'_> {
        // The semaphore is never closed, so there is always a slot at last.
        let slot = self.0.slots.acquire().await;
        let at = self.pace().reserve(Instant::now());
        tokio::time::sleep_until(at).await;
        Turn { _slot: slot.ok() }
    }

    /// Tells the others how a server took a request.
    pub(crate) fn took(&self, throttled: bool) {
        let now = Instant::now();
        if throttled {
            self.pace().throttled(now);
        } else {
            self.pace().answered(now);
        }
    }

    fn pace(&self) -> MutexGuard<'_, Pace> {
        self.0.pace.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends one request whose turn it is, and reads the whole answer, of at most `limit` bytes.
    pub(crate) async fn send(
        &self,
        _turn: Turn<'_>,
        request: Request<Full<Bytes>>,
        limit: usize,
        deadline: Duration,
    ) -> Result<Result<Answer, Failed>, tokio::time::error::Elapsed> {
        let answer = tokio::time::timeout(deadline, self.exchange(request, limit)).await?;
        if answer.is_ok() {
            self.0.answered.store(true, Ordering::Relaxed);
        }
        Ok(answer)
    }

    async fn exchange(&self, request: Request<Full<Bytes>>, limit: usize) -> Result<Answer, Failed> {
        let (response, sender) = self.response(request).await?;
        let (parts, body) = response.into_parts();
        let body = Limited::new(body, limit).collect().await.map_err(|error| {
            let reason = deepest(error.as_ref());
            if error.is::<http_body_util::LengthLimitError>() {
                Failed::TooLarge(reason)
            } else {
                Failed::Lost(reason)
            }
        })?;
        self.put(sender);
        Ok(Answer {
            status: parts.status,
            headers: parts.headers,
            body: body.to_bytes(),
        })
    }

    async fn response(&self, mut request: Request<Full<Bytes>>) -> Result<(Response<Incoming>, Sender), Failed> {
        // A connection that waited may end at any moment; a request of which nothing left goes on another one.
        while let Some(mut sender) = self.take() {
            // Right after an answer it may not have seen yet that it is idle.
            if sender.ready().await.is_err() {
                continue;
            }
            match sender.try_send_request(request).await {
                Ok(response) => return Ok((response, sender)),
                Err(mut error) => match error.take_message() {
                    Some(unsent) => request = unsent,
                    None => return Err(Failed::Lost(deepest(&error.into_error()))),
                },
            }
        }
        let trust = self.trust_of_new()?;
        let mut sender = match &self.0.proxy {
            Some(proxy) => {
                let stream = proxy.connect(&self.0.endpoint).await.map_err(Failed::Unreachable)?;
                connect_over(stream, &self.0.endpoint, trust).await
            }
            None => connect(&self.0.endpoint, trust).await,
        }
        .map_err(|error| Failed::Unreachable(error.to_string()))?;
        match sender.try_send_request(request).await {
            Ok(response) => Ok((response, sender)),
            Err(mut error) => {
                let unsent = error.take_message().is_some();
                let reason = deepest(&error.into_error());
                Err(if unsent {
                    Failed::Unreachable(reason)
                } else {
                    Failed::Lost(reason)
                })
            }
        }
    }

    fn trust_of_new(&self) -> Result<Option<&Trust>, Failed> {
        if !self.0.endpoint.is_tls() {
            return Ok(None);
        }
        if let Some(trust) = self.0.trust.get() {
            return Ok(Some(trust));
        }
        let trust = Trust::new(None).map_err(|error| Failed::Unreachable(error.to_string()))?;
        Ok(Some(self.0.trust.get_or_init(|| trust)))
    }

    fn take(&self) -> Option<Sender> {
        let mut waiting = self.0.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        while let Some((sender, since)) = waiting.pop() {
            if since.elapsed() > LONGEST_IDLE {
                // Those below it wait even longer.
                waiting.clear();
                return None;
            }
            if !sender.is_closed() {
                return Some(sender);
            }
        }
        None
    }

    fn put(&self, sender: Sender) {
        if !self.0.keeps || sender.is_closed() {
            return;
        }
        let mut waiting = self.0.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if waiting.len() < MOST_AT_ONCE {
            waiting.push((sender, Instant::now()));
        }
    }
}

impl fmt::Debug for Connections {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connections")
            .field("endpoint", &self.0.endpoint)
            .finish_non_exhaustive()
    }
}

impl Failed {
    pub(crate) fn error(self, endpoint: &Endpoint, operation: &str) -> ClientError {
        let endpoint = endpoint.to_string();
        match self {
            Self::Unreachable(reason) => ClientError::Unreachable { endpoint, reason },
            Self::Lost(reason) => ClientError::Lost {
                endpoint,
                operation: operation.to_owned(),
                reason,
            },
            Self::TooLarge(reason) => ClientError::Unreadable { endpoint, reason },
        }
    }
}
