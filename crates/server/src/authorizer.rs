//! The same decision for proxies of others: they ask about a request that they hold, and send it on or refuse it as they are told.
//!
//! Who asks is believed: what the proxy says of the client's request is what is decided. So the listener is on loopback, on a Unix socket, or
//! behind certificates, and what a proxy must set is described in `docs/authorizer.md`.

mod config;
mod decide;
mod grpc;
mod s3;

use std::time::Duration;

use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use http_body::Body as _;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use irsa_authorizer::{envoy, subrequest};
use irsa_core::AccountId;
use irsa_s3::Body;
use tokio::sync::Semaphore;

use crate::body::full;
use crate::pipeline::Pipeline;

pub use config::{AuthorizerAddress, AuthorizerConfig, AuthorizerConfigError, AuthorizerService};

/// How many questions are answered at a time; each can hold a body in memory.
const MAX_QUESTIONS: usize = 64;
/// How long a question may take, with all its bytes. Envoy waits a fifth of a second unless it is told otherwise.
const QUESTION_DEADLINE: Duration = Duration::from_secs(10);
/// The largest question: a request's head, and as much of its body as Envoy is told to send.
pub(crate) const MAX_QUESTION: usize = 5 << 20;

/// What the answers depend on.
pub(crate) struct Authorizer {
    entries: Vec<Entry>,
    literal_keys: bool,
    strip_credentials: bool,
    slots: Semaphore,
}

/// One service behind a proxy.
struct Entry {
    service: &'static str,
    account: AccountId,
    host: String,
    port: Option<u16>,
    /// Whether the subdomains of the host are meant, and are buckets.
    has_buckets: bool,
}

impl Entry {
    /// Whether one host could be meant by the two.
    fn shares_host(&self, other: &Self) -> bool {
        self.host == other.host
            && self.has_buckets == other.has_buckets
            && (self.port == other.port || self.port.is_none() || other.port.is_none())
    }

    /// Whether the two could be meant by one request.
    fn meets(&self, other: &Self) -> bool {
        self.service == other.service && self.shares_host(other)
    }

    /// Whether a request with this host is for the service.
    fn is_called(&self, host: &str, port: Option<u16>) -> bool {
        if self.port.is_some_and(|wanted| port != Some(wanted)) {
            return false;
        }
        if !self.has_buckets {
            return host == self.host;
        }
        host.strip_suffix(self.host.as_str())
            .and_then(|bucket| bucket.strip_suffix('.'))
            .is_some_and(|bucket| !bucket.is_empty())
    }
}

/// Answers one question, whichever way it is put.
pub(crate) async fn serve(pipeline: &Pipeline, request: Request<Incoming>) -> Response<Body> {
    let Some(authorizer) = &pipeline.authorizer else {
        return plain(StatusCode::NOT_FOUND, "there is no authorizer");
    };
    let path = request.uri().path();
    if let Some(form) = subrequest::Form::at(path) {
        let question = subrequested(pipeline, authorizer, form, request);
        return within(authorizer, question)
            .await
            .unwrap_or_else(|| plain(StatusCode::SERVICE_UNAVAILABLE, "the question took too long"));
    }
    match path {
        envoy::message::CHECK => within(authorizer, grpc::check(pipeline, authorizer, request))
            .await
            .unwrap_or_else(grpc::late),
        envoy::message::HEALTH => grpc::health(pipeline, request).await,
        "/healthz" | "/readyz" | "/livez" => pipeline.health(path),
        _ if grpc::is_grpc(request.headers()) => grpc::unknown(),
        _ => plain(
            StatusCode::NOT_FOUND,
            "proxies ask /auth (nginx), /forward-auth (Traefik, Caddy), or over gRPC (Envoy)",
        ),
    }
}

/// Answers when there is room, within the deadline.
async fn within<T>(authorizer: &Authorizer, question: impl Future<Output = T>) -> Option<T> {
    let answered = async {
        let slot = authorizer.slots.acquire().await.ok()?;
        let answer = question.await;
        drop(slot);
        Some(answer)
    };
    tokio::time::timeout(QUESTION_DEADLINE, answered).await.ok().flatten()
}

async fn subrequested(
    pipeline: &Pipeline,
    authorizer: &Authorizer,
    form: subrequest::Form,
    request: Request<Incoming>,
) -> Response<Body> {
    if *request.method() != Method::GET {
        return plain(StatusCode::METHOD_NOT_ALLOWED, "proxies ask with GET");
    }
    if !request.body().is_end_stream() {
        // It could be taken for the client's, and parts of it for the next question.
        let mut response = plain(StatusCode::BAD_REQUEST, "questions of this kind have no body");
        response
            .headers_mut()
            .insert(header::CONNECTION, HeaderValue::from_static("close"));
        return response;
    }
    let original = match subrequest::read(form, request.headers(), &pipeline.config.trusted_proxies) {
        Ok(original) => original,
        Err(error) => {
            tracing::warn!(%error, "a proxy's question can't be answered");
            pipeline.metrics.call("authorizer", "Unknown", 400);
            return subrequest::unreadable(&error).map(full);
        }
    };
    match Box::pin(decide::decide(pipeline, authorizer, &original)).await {
        Ok(permission) => subrequest::allow(&permission).map(full),
        Err(refusal) => subrequest::refuse(refusal).map(full),
    }
}

fn plain(status: StatusCode, text: &'static str) -> Response<Body> {
    let mut response = Response::new(full(text));
    *response.status_mut() = status;
    response
}

/// The bytes of an answer of ours: they are here.
async fn bytes_of(body: Body) -> bytes::Bytes {
    body.collect()
        .await
        .map(http_body_util::Collected::to_bytes)
        .unwrap_or_default()
}
