//! An upstream: its connections, its deadlines, and one request to it.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Request, Response, Uri, header};
use http_body_util::BodyExt;
use http_body_util::combinators::UnsyncBoxBody;
use hyper::body::Incoming;
use hyper::client::conn::http1::SendRequest;
use irsa_core::Timestamp;
use tokio::time::Instant;

use crate::body::{Progress, ResponseBody, Watched};
use crate::connection::{Trust, TrustError, connect, deepest};
use crate::endpoint::Endpoint;
use crate::headers::{remove_caller, remove_hop_by_hop};
use crate::signing::{CredentialSource, Sign, sign};

/// An error of a stream.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// The body of a request.
pub type RequestBody = UnsyncBoxBody<Bytes, BoxError>;

/// How long an upstream may take.
#[derive(Clone, Copy, Debug)]
pub struct Deadlines {
    /// For a connection, with its TLS handshake.
    pub connect: Duration,
    /// For the first byte of an answer, since the request's body last moved.
    pub first_byte: Duration,
    /// Between two pieces of an answer's body.
    pub idle: Duration,
}

impl Default for Deadlines {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(5),
            // Longer than the longest poll of a queue.
            first_byte: Duration::from_secs(60),
            idle: Duration::from_secs(30),
        }
    }
}

/// Why there is no answer of an upstream. The texts are for operators.
#[derive(Debug, thiserror::Error)]
pub enum UpstreamError {
    /// No connection.
    #[error("the upstream can't be reached: {reason}")]
    Unreachable {
        /// What the system says.
        reason: String,
    },
    /// A deadline passed.
    #[error("the upstream took too long for {what}")]
    Deadline {
        /// For what.
        what: &'static str,
    },
    /// The exchange broke off.
    #[error("the exchange with the upstream broke off: {reason}")]
    Broken {
        /// How.
        reason: String,
    },
    /// There are no credentials.
    #[error(transparent)]
    Credentials(#[from] crate::signing::CredentialError),
    /// The request can't be written.
    #[error("the request for the upstream can't be made: {reason}")]
    Request {
        /// Why.
        reason: String,
    },
}

impl UpstreamError {
    /// What a gateway answers: 504 for a deadline, 502 for everything else.
    #[must_use]
    pub fn status(&self) -> u16 {
        match self {
            Self::Deadline { .. } => 504,
            _ => 502,
        }
    }
}

/// Connections that wait for a request.
pub(crate) struct Pool {
    waiting: Mutex<Vec<(SendRequest<RequestBody>, Instant)>>,
}

impl Pool {
    /// More than these are closed.
    const MAX: usize = 64;
    /// Shorter than servers keep idle connections, mostly.
    const MAX_AGE: Duration = Duration::from_secs(20);

    pub(crate) fn put(&self, sender: SendRequest<RequestBody>) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if !sender.is_closed() && waiting.len() < Self::MAX {
            waiting.push((sender, Instant::now()));
        }
    }

    fn take(&self) -> Option<SendRequest<RequestBody>> {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        while let Some((sender, since)) = waiting.pop() {
            if since.elapsed() > Self::MAX_AGE {
                // Those below it are older.
                waiting.clear();
                return None;
            }
            if sender.is_ready() {
                return Some(sender);
            }
        }
        None
    }
}

/// A server behind us.
pub struct Upstream {
    endpoint: Endpoint,
    trust: Option<Trust>,
    credentials: Option<Arc<dyn CredentialSource>>,
    deadlines: Deadlines,
    pool: Arc<Pool>,
}

impl std::fmt::Debug for Upstream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Upstream")
            .field("endpoint", &self.endpoint)
            .finish_non_exhaustive()
    }
}

impl Upstream {
    /// An upstream; without credentials its requests go unsigned. `ca` is a PEM file of the authorities that its certificate may be signed
    /// by, instead of this machine's.
    ///
    /// # Errors
    /// Certificate authorities that can't be used.
    pub fn new(
        endpoint: Endpoint,
        credentials: Option<Arc<dyn CredentialSource>>,
        ca: Option<&std::path::Path>,
        deadlines: Deadlines,
    ) -> Result<Self, TrustError> {
        let trust = endpoint.tls.then(|| Trust::new(ca)).transpose()?;
        let pool = Arc::new(Pool {
            waiting: Mutex::new(Vec::new()),
        });
        Ok(Self {
            endpoint,
            trust,
            credentials,
            deadlines,
            pool,
        })
    }

    /// Where it is.
    #[must_use]
    pub fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// Sends a request on. Its path and query go as they are; headers of the caller's connection and signature go away.
    ///
    /// # Errors
    /// No answer; see [`UpstreamError`].
    pub async fn send(
        &self,
        request: Request<RequestBody>,
        what: &Sign<'_>,
        now: Timestamp,
    ) -> Result<Response<ResponseBody>, UpstreamError> {
        let (mut parts, body) = request.into_parts();
        remove_hop_by_hop(&mut parts.headers);
        remove_caller(&mut parts.headers);
        let failed = |reason: String| UpstreamError::Request { reason };
        let host = HeaderValue::from_str(&self.endpoint.authority()).map_err(|error| failed(error.to_string()))?;
        parts.headers.insert(header::HOST, host);
        let (path, query) = (
            parts.uri.path().to_owned(),
            parts.uri.query().unwrap_or_default().to_owned(),
        );
        if let Some(source) = &self.credentials {
            let credentials = source.credentials().await?;
            sign(
                parts.method.as_str(),
                &path,
                &query,
                &mut parts.headers,
                &credentials,
                what,
                now,
            )?;
        }
        let target = if query.is_empty() {
            path
        } else {
            format!("{path}?{query}")
        };
        parts.uri = target.parse::<Uri>().map_err(|error| failed(error.to_string()))?;
        parts.version = http::Version::HTTP_11;
        let progress = Progress::new();
        let body = Watched {
            inner: body,
            progress: progress.clone(),
        };
        let (response, sender) = self
            .exchange(Request::from_parts(parts, body.boxed_unsync()), &progress)
            .await?;
        let (mut parts, body) = response.into_parts();
        if parts.status.is_informational() {
            return Err(UpstreamError::Broken {
                reason: format!("it answers with {}, which nobody asked for", parts.status),
            });
        }
        remove_hop_by_hop(&mut parts.headers);
        let body = ResponseBody::new(body, self.deadlines.idle, sender, Arc::clone(&self.pool));
        Ok(Response::from_parts(parts, body))
    }

    async fn exchange(
        &self,
        mut request: Request<RequestBody>,
        progress: &Progress,
    ) -> Result<(Response<Incoming>, SendRequest<RequestBody>), UpstreamError> {
        // A connection that waited may be closed at any moment; a request that did not leave is sent on a new one.
        while let Some(mut sender) = self.pool.take() {
            let sent = Self::within(sender.try_send_request(request), progress, self.deadlines.first_byte).await?;
            match sent {
                Ok(response) => return Ok((response, sender)),
                Err(mut error) => match error.take_message() {
                    Some(unsent) => request = unsent,
                    None => {
                        return Err(UpstreamError::Broken {
                            reason: deepest(&error.into_error()),
                        });
                    }
                },
            }
        }
        let connecting = connect(&self.endpoint, self.trust.as_ref());
        let mut sender = tokio::time::timeout(self.deadlines.connect, connecting)
            .await
            .map_err(|_| UpstreamError::Deadline { what: "a connection" })?
            .map_err(|error| UpstreamError::Unreachable {
                reason: error.to_string(),
            })?;
        progress.moved();
        match Self::within(sender.send_request(request), progress, self.deadlines.first_byte).await? {
            Ok(response) => Ok((response, sender)),
            Err(error) => Err(UpstreamError::Broken {
                reason: deepest(&error),
            }),
        }
    }

    /// Waits for a future as long as the request's body moves, and `patience` more.
    async fn within<F: Future>(future: F, progress: &Progress, patience: Duration) -> Result<F::Output, UpstreamError> {
        let mut future = std::pin::pin!(future);
        loop {
            let end = progress.last() + patience;
            tokio::select! {
                output = future.as_mut() => return Ok(output),
                () = tokio::time::sleep_until(end) => {
                    if progress.last() + patience <= Instant::now() {
                        return Err(UpstreamError::Deadline { what: "the beginning of its answer" });
                    }
                }
            }
        }
    }
}
