//! Any other AWS service behind us: every request is authenticated, decided and recorded as our own are, and only then sent on to the
//! server that stands behind the gateway, under credentials of ours.

mod answer;
mod config;
mod credentials;
mod ruling;
pub(crate) mod unread;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Request, Response, header};
use http_body_util::{BodyExt, Limited};
use hyper::body::{Body as _, Incoming};
use irsa_core::{AccountId, Timestamp};
use irsa_s3::Body;
use irsa_sigv4::{Payload, Presented};
use irsa_upstream::{Sign, Upstream, UpstreamError};
use irsa_wire::WireError;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::body::full;
use crate::pipeline::{Pipeline, RequestContext, digest_of};

pub(crate) use answer::{failed, protocol};
pub use config::{GatewayConfig, GatewayError as GatewayConfigError, GatewayUpstream, UpstreamCredentials};
pub(crate) use ruling::{Content, Desk, Ruling, Sent};

/// How long a caller may take to send a body.
const BODY_DEADLINE: Duration = Duration::from_secs(30);
/// The largest body of one request: a batch of DynamoDB has 16 MB, and base64 and markup around it.
const MAX_BODY: usize = 24 << 20;
/// What all bodies that are held at a time may take, in KiB.
const MAX_BODIES_KIB: u32 = 256 << 10;

/// The headers of a caller that go on: what services read, and nothing that a server could take for an order of ours.
const FORWARDED: [&str; 6] = [
    "accept",
    "accept-encoding",
    "content-md5",
    "content-type",
    "user-agent",
    "amz-sdk-invocation-id",
];

/// The services behind the gateway.
pub(crate) struct Gateway {
    pub(crate) desk: Desk,
    /// By signing name, then by the account whose it is. Names are kept for as long as the program runs.
    upstreams: HashMap<&'static str, HashMap<AccountId, Upstream>>,
    memory: Arc<Semaphore>,
}

impl Gateway {
    /// The name of a service that stands behind the gateway.
    pub(crate) fn serves(&self, signing_name: &str) -> Option<&'static str> {
        self.upstreams.get_key_value(signing_name).map(|(name, _)| *name)
    }
}

/// Answers one request for a service behind the gateway.
pub(crate) async fn serve(
    pipeline: &Pipeline,
    context: &RequestContext<'_>,
    service: &'static str,
    presented: &Presented<'_>,
    parts: Parts,
    body: Incoming,
) -> Response<Body> {
    let gateway = &pipeline.gateway;
    let mut ruling = Ruling::new(
        pipeline,
        &gateway.desk,
        "gateway",
        context,
        service,
        presented,
        &parts.headers,
    );
    // Held until the request has been sent on.
    let (body, memory) = match read(gateway, body).await {
        Ok(read) => read,
        Err(error) => {
            let mut response = ruling.refuse(error.into()).await;
            // What is left of the body would be read as the next request.
            response
                .headers_mut()
                .insert(header::CONNECTION, HeaderValue::from_static("close"));
            return response;
        }
    };
    let hash = digest_of(&body);
    let sent = Sent {
        method: &parts.method,
        path: parts.uri.path(),
        query: parts.uri.query().unwrap_or_default(),
        headers: &parts.headers,
        body: Some(Content { bytes: &body, hash }),
    };
    let of_service = gateway.upstreams.get(service);
    let decided = ruling.decide(&sent, |account| {
        of_service.is_some_and(|of_service| of_service.contains_key(&account))
    });
    let allowed_by = match decided {
        Ok(statement) => statement,
        Err(refusal) => return ruling.refuse(refusal).await,
    };
    let owner = ruling.caller.as_ref().map(|caller| caller.account);
    let Some(upstream) = of_service
        .zip(owner)
        .and_then(|(of_service, owner)| of_service.get(&owner))
    else {
        return ruling
            .refuse(WireError::internal("no upstream is configured").into())
            .await;
    };
    if let Err(error) = ruling.record(None, allowed_by.as_deref()).await {
        return ruling.answer(&error);
    }
    let sign = Sign {
        service,
        region: ruling.context.facts.region,
        payload: Payload::Sha256(hash),
    };
    let answered = forward(upstream, &sign, &parts, body.clone(), ruling.context.facts.now).await;
    drop(memory);
    match answered {
        Ok(mut response) => {
            ruling.count(response.status().as_u16());
            if let Ok(id) = HeaderValue::from_str(context.id) {
                response.headers_mut().insert("x-amzn-requestid", id);
            }
            response
        }
        Err(error) => {
            tracing::error!(request_id = context.id, service, upstream = %upstream.endpoint(), %error, "the upstream did not answer");
            let status = error.status();
            ruling.count(status);
            ruling.answer(&answer::upstream_failed(ruling.protocol, status))
        }
    }
}

/// Sends a request on that was allowed, and gives back what comes.
async fn forward(
    upstream: &Upstream,
    sign: &Sign<'_>,
    parts: &Parts,
    body: Bytes,
    now: Timestamp,
) -> Result<Response<Body>, UpstreamError> {
    let mut request = Request::new(full(body));
    *request.method_mut() = parts.method.clone();
    *request.uri_mut() = parts.uri.clone();
    *request.headers_mut() = forwarded(&parts.headers);
    let response = upstream.send(request, sign, now).await?;
    Ok(response.map(BodyExt::boxed_unsync))
}

/// Reads a body, within the memory that all bodies together may take.
async fn read(gateway: &Gateway, body: Incoming) -> Result<(Bytes, OwnedSemaphorePermit), WireError> {
    let too_large = || WireError::new("RequestEntityTooLarge", 413, "The request body is too large.");
    let late = || {
        WireError::new(
            "RequestTimeout",
            400,
            "The request body did not arrive completely in time.",
        )
    };
    let announced = body.size_hint().upper().and_then(|size| usize::try_from(size).ok());
    let most = announced.unwrap_or(MAX_BODY);
    if most > MAX_BODY {
        return Err(too_large());
    }
    let kib = u32::try_from(most / 1024 + 1).unwrap_or(MAX_BODIES_KIB);
    let whole = async {
        let memory = Arc::clone(&gateway.memory).acquire_many_owned(kib).await;
        let memory = memory.map_err(|_| WireError::internal("the gateway has no memory"))?;
        match Limited::new(body, most).collect().await {
            Ok(collected) => Ok((collected.to_bytes(), memory)),
            Err(error) if error.is::<http_body_util::LengthLimitError>() => Err(too_large()),
            Err(_) => Err(late()),
        }
    };
    tokio::time::timeout(BODY_DEADLINE, whole)
        .await
        .unwrap_or_else(|_| Err(late()))
}

/// The headers that go on. The signature covered all that begin with `x-amz-`.
fn forwarded(headers: &HeaderMap) -> HeaderMap {
    let mut kept = HeaderMap::new();
    for (name, value) in headers {
        let text = name.as_str();
        if FORWARDED.contains(&text) || text.starts_with("x-amz-") || text == "amz-sdk-request" {
            kept.append(name.clone(), value.clone());
        }
    }
    kept
}
