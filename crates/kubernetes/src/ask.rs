//! Calls that may be made twice: each says what it needs to be allowed to, and is made again when nobody could tell whether it arrived.

use std::sync::atomic::Ordering;
use std::time::Duration;

use http::header::{ACCEPT, CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderMap, Method, StatusCode};
use http_body_util::{BodyExt as _, Limited};
use kube::client::Body;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use tokio::time::{Instant, sleep, timeout};

use crate::backoff::Backoff;
use crate::cluster::Cluster;
use crate::error::{CallError, chain, deepest};

/// The most that an answer may hold, in bytes: a page of 500 accounts, each of them with all the annotations that the API server lets it have.
const LARGEST_ANSWER: usize = 192 << 20;
/// How often a call is made when the API server says that it is busy, or no answer comes.
const ATTEMPTS: u32 = 8;
/// How often when it has never answered: the address may be wrong.
const ATTEMPTS_AT_STRANGERS: u32 = 3;
/// How often where an error of its own may well be there to stay, such as an admission webhook that is away.
const ATTEMPTS_AT_ERRORS: u32 = 4;
/// The longest wait that an API server may ask for.
const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// What is asked: of one resource, by a verb that its roles have to grant.
///
/// See <https://kubernetes.io/docs/reference/access-authn-authz/authorization/#determine-the-request-verb>.
#[derive(Clone, Debug)]
pub(crate) struct Ask<'a> {
    /// The verb of authorization.
    pub(crate) verb: &'static str,
    /// The resource, or the path of what is none.
    pub(crate) resource: &'static str,
    /// The namespace of the object.
    pub(crate) namespace: Option<&'a str>,
    /// The method.
    pub(crate) method: Method,
    /// Path and query.
    pub(crate) target: String,
    /// What kind of answer is wanted.
    pub(crate) accept: &'static str,
    /// The kind of the body, and the body.
    pub(crate) body: Option<(&'static str, Vec<u8>)>,
}

impl<'a> Ask<'a> {
    /// A question without a body.
    pub(crate) fn get(verb: &'static str, resource: &'static str, namespace: Option<&'a str>, target: String) -> Self {
        Self {
            verb,
            resource,
            namespace,
            method: Method::GET,
            target,
            accept: JSON,
            body: None,
        }
    }
}

/// Plain JSON.
pub(crate) const JSON: &str = "application/json";
/// Server-side apply: YAML, of which JSON is a part.
pub(crate) const APPLY: &str = "application/apply-patch+yaml";

/// An answer that is no error.
#[derive(Debug)]
pub(crate) struct Answer {
    status: StatusCode,
    body: Vec<u8>,
}

impl Answer {
    /// Whether an object was made.
    pub(crate) fn created(&self) -> bool {
        self.status == StatusCode::CREATED
    }

    pub(crate) fn read<T: DeserializeOwned>(&self) -> Result<T, CallError> {
        serde_json::from_slice(&self.body)
            .map_err(|error| CallError::Unreachable(format!("its answer is not what it should be: {error}")))
    }
}

/// Why one attempt failed, and whether another makes sense.
struct Failure {
    error: CallError,
    /// How many attempts may be made in all.
    attempts: u32,
    /// What the API server asks us to wait.
    wait: Option<Duration>,
}

impl Failure {
    fn last(error: CallError) -> Self {
        Self {
            error,
            attempts: 1,
            wait: None,
        }
    }
}

impl Cluster {
    /// Makes the call, and again when the API server is busy (429), fails (5xx), or the connection is lost; each attempt has the deadline to itself, once
    /// it is its turn, and all of them end with the patience.
    pub(crate) async fn ask(&self, ask: &Ask<'_>) -> Result<Answer, CallError> {
        let ends = Instant::now() + self.patience();
        let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(8));
        let mut attempt = 1;
        loop {
            self.turn().await;
            let deadline = self.deadline();
            let failure = match timeout(deadline, self.attempt(ask)).await {
                Ok(Ok(answer)) => return Ok(answer),
                Ok(Err(failure)) => failure,
                Err(_) => Failure {
                    error: CallError::Deadline(deadline),
                    attempts: self.attempts(),
                    wait: None,
                },
            };
            // Never sooner than asked, and not in step with all the others who were.
            let delay = backoff.delay() + failure.wait.unwrap_or_default().min(LONGEST_WAIT);
            if attempt >= failure.attempts || Instant::now() + delay >= ends {
                return Err(failure.error);
            }
            let (verb, resource, error) = (ask.verb, ask.resource, &failure.error);
            let delay_ms = u64::try_from(delay.as_millis()).unwrap_or(u64::MAX);
            tracing::debug!(verb, resource, attempt, delay_ms, %error, "asked again");
            sleep(delay).await;
            attempt += 1;
        }
    }

    /// How many attempts an API server is worth that does not answer.
    fn attempts(&self) -> u32 {
        match self.reached().load(Ordering::Relaxed) {
            true => ATTEMPTS,
            false => ATTEMPTS_AT_STRANGERS,
        }
    }

    async fn attempt(&self, ask: &Ask<'_>) -> Result<Answer, Failure> {
        let mut request = http::Request::builder()
            .method(&ask.method)
            .uri(&ask.target)
            .header(ACCEPT, ask.accept);
        let mut body = Body::empty();
        if let Some((kind, bytes)) = &ask.body {
            request = request.header(CONTENT_TYPE, *kind);
            body = Body::from(bytes.clone());
        }
        let request = request
            .body(body)
            .map_err(|error| Failure::last(CallError::Unreachable(error.to_string())))?;
        let answer = self.client().send(request).await.map_err(|error| Failure {
            attempts: if is_lost(&error) { self.attempts() } else { 1 },
            error: CallError::Unreachable(format!("{}: {}", self.server(), deepest(&error))),
            wait: None,
        })?;
        self.reached().store(true, Ordering::Relaxed);
        let (head, body) = answer.into_parts();
        let body = Limited::new(body, LARGEST_ANSWER)
            .collect()
            .await
            .map_err(|error| Failure {
                attempts: if error.is::<http_body_util::LengthLimitError>() {
                    1
                } else {
                    ATTEMPTS
                },
                error: CallError::Unreachable(format!("{}: {}", self.server(), deepest(&*error))),
                wait: None,
            })?;
        let body = body.to_bytes().to_vec();
        if head.status.is_success() {
            return Ok(Answer {
                status: head.status,
                body,
            });
        }
        Err(of_status(ask, head.status, &head.headers, &body))
    }
}

/// Whether the connection ended, or was refused, and not because of what one side showed the other: certificates and names stay wrong.
fn is_lost(error: &(dyn std::error::Error + 'static)) -> bool {
    use std::io::ErrorKind as Kind;
    let mut cause = Some(error);
    while let Some(error) = cause {
        if let Some(error) = error.downcast_ref::<std::io::Error>() {
            return matches!(
                error.kind(),
                Kind::ConnectionRefused
                    | Kind::ConnectionReset
                    | Kind::ConnectionAborted
                    | Kind::NotConnected
                    | Kind::BrokenPipe
                    | Kind::UnexpectedEof
                    | Kind::TimedOut
                    | Kind::NetworkUnreachable
                    | Kind::HostUnreachable
            );
        }
        cause = error.source();
    }
    // Without a cause in the network: closed before the answer was whole.
    let text = chain(error);
    text.contains("connection closed") || text.contains("connection error") || text.contains("operation was canceled")
}

/// As API servers say no.
///
/// See <https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/status/>.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Status {
    reason: String,
    message: String,
    details: Details,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Details {
    causes: Vec<Cause>,
    retry_after_seconds: u64,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Cause {
    reason: String,
}

/// What an answer that is an error means.
fn of_status(ask: &Ask<'_>, status: StatusCode, headers: &HeaderMap, body: &[u8]) -> Failure {
    let code = status.as_u16();
    let said: Status = serde_json::from_slice(body).unwrap_or_else(|_| Status {
        reason: status.canonical_reason().unwrap_or("unknown").to_owned(),
        // Of a proxy, say.
        message: String::from_utf8_lossy(body).trim().chars().take(300).collect(),
        ..Status::default()
    });
    let terminating = said
        .details
        .causes
        .iter()
        .any(|cause| cause.reason == "NamespaceTerminating");
    let error = match (code, ask.namespace) {
        (403, Some(namespace)) if terminating => CallError::NamespaceTerminating(namespace.to_owned()),
        (401, _) => CallError::Unauthenticated(said.message),
        (403, namespace) if !is_of_admission(&said.message) => {
            let (verb, resource) = missing(&said.message);
            CallError::Forbidden {
                verb: verb.unwrap_or(ask.verb),
                resource: resource.unwrap_or(ask.resource),
                // People and groups are in none.
                namespace: namespace.filter(|_| verb != Some("impersonate")).map(str::to_owned),
                message: said.message,
            }
        }
        _ => CallError::Refused {
            code,
            reason: said.reason,
            message: said.message,
        },
    };
    let seconds = headers
        .get(RETRY_AFTER)
        .and_then(|value| value.to_str().ok()?.trim().parse().ok());
    let seconds = seconds.unwrap_or(said.details.retry_after_seconds);
    Failure {
        error,
        attempts: match code {
            429 | 502..=504 => ATTEMPTS,
            500 => ATTEMPTS_AT_ERRORS,
            _ => 1,
        },
        wait: (seconds > 0).then(|| Duration::from_secs(seconds)),
    }
}

/// Whether it is not permission that is missing: webhooks, policies and quotas refuse with the same status.
fn is_of_admission(message: &str) -> bool {
    ["denied the request", "denied request", "exceeded quota"]
        .iter()
        .any(|words| message.contains(words))
}

/// The verb and the resource that the API server says are missing, which may be others than those that were asked for: an apply that finds nothing
/// creates, and whoever acts as somebody else impersonates.
fn missing(message: &str) -> (Option<&'static str>, Option<&'static str>) {
    const VERBS: [&str; 7] = ["get", "list", "watch", "create", "update", "patch", "impersonate"];
    const RESOURCES: [&str; 5] = ["namespaces", "serviceaccounts", "users", "groups", "userextras"];
    // A change that would have made the object is refused without a reason.
    if message.trim_end().ends_with("is forbidden:") {
        return (Some("create"), None);
    }
    let words = message
        .split_once(" cannot ")
        .and_then(|(_, rest)| rest.split_once(' '));
    let Some((verb, rest)) = words else {
        return (None, None);
    };
    let named = rest.strip_prefix("resource \"").and_then(|rest| rest.split('"').next());
    let verb = VERBS.into_iter().find(|known| *known == verb);
    (verb, RESOURCES.into_iter().find(|known| Some(*known) == named))
}

#[cfg(test)]
mod tests;
