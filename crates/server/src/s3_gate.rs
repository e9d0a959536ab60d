//! S3's side of the pipeline: the signature gate before the front, the authorizer that the front asks, and the record of what it did.

mod gate;

use std::sync::Arc;

use http::request::Parts;
use http::{HeaderName, HeaderValue, Request, Response, StatusCode, Uri, header};
use http_body::Body as _;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use irsa_iam::Caller;
use irsa_s3::{Authorizer, Body, Identifiers, S3Outcome, form_boundary};
use irsa_sigv4::{ChunkDecoder, Payload, Presented, Rules, SigV4Error, Verified};
use irsa_wire::{EventKind, Service, WireError, s3_error};

use crate::authenticate::{AuthenticationError, authenticate};
use crate::body::{ChunkedBody, HashedBody, TimelyBody, chunk_error, full};
use crate::pipeline::{Pipeline, RequestContext, add_authorization_message};
use crate::random::random;
use crate::recording::Recording;
use crate::s3_form::Form;
use crate::s3_record::S3Record;

pub(crate) use gate::Gate;

/// Answers one S3 request.
pub(crate) async fn serve(
    pipeline: &Pipeline,
    context: &RequestContext<'_>,
    host_id: &str,
    presented: &Result<Option<Presented<'_>>, SigV4Error>,
    mut parts: Parts,
    body: Incoming,
) -> Response<Body> {
    let snapshot = pipeline.keeper.snapshot();
    let query_signed = matches!(presented, Ok(Some(presented)) if presented.location() != irsa_sigv4::Location::Header);
    let mut context = context.clone();
    let boundary = form_boundary(&parts);
    let gate = match presented {
        Ok(None) => Ok(None),
        Err(error) => Err(AuthenticationError::Signature(error.clone())),
        // A form brings its own signature.
        Ok(Some(_)) if boundary.is_some() => Err(AuthenticationError::Signature(SigV4Error::HeaderAndQuery)),
        Ok(Some(presented)) => authenticate(
            &pipeline.signing_keys,
            &snapshot,
            presented,
            None,
            context.facts.now,
            &Rules::s3(),
        )
        .map(Some),
    };
    let (mut caller, verified) = match gate {
        Ok(Some((caller, verified))) => (Some(caller), Some(verified)),
        Ok(None) => (None, None),
        Err(error) => {
            let error = error.wire(Service::S3);
            let key = crate::pipeline::unproven_key(presented);
            return Box::pin(refuse(pipeline, &context, &parts, None, key, host_id, error)).await;
        }
    };
    if caller.is_none() && chooses_headers(&parts.uri) {
        // A stranger's HTML in an object that is open to everybody would be a page of the bucket's host.
        let error = WireError::new(
            "InvalidRequest",
            400,
            "Request specific response headers cannot be used for anonymous GET requests.",
        );
        return Box::pin(refuse(pipeline, &context, &parts, None, None, host_id, error)).await;
    }
    // The region of the scope counts now that the signature is proven.
    if let (Some(_), Ok(Some(presented))) = (&caller, presented) {
        context.facts.region = presented.scope().region;
    }
    let bucket_account = |name: Option<&str>| {
        name.and_then(|name| {
            let embedded = || snapshot.buckets.get(name).map(|bucket| bucket.record.account);
            pipeline.s3_upstreams.owner(name).or_else(embedded)
        })
    };
    let mut signature = signature_keys(presented, context.facts.now);
    let version = context
        .peer
        .tls
        .as_ref()
        .and_then(|tls| tls.version.strip_prefix("TLSv"));
    signature.extend(version.map(|version| ("s3:TlsVersion", version.to_owned())));
    let mut method = caller
        .is_some()
        .then_some(if query_signed { "QueryString" } else { "AuthHeader" });
    let (mut reply, region);
    let body = match boundary {
        None => {
            reply = None;
            match checked_body(&mut parts, verified, body) {
                Ok(body) => body,
                Err(error) => {
                    return Box::pin(refuse(
                        pipeline,
                        &context,
                        &parts,
                        caller.as_ref(),
                        None,
                        host_id,
                        error,
                    ))
                    .await;
                }
            }
        }
        Some(boundary) => {
            let (body, now) = (TimelyBody::new(body), context.facts.now);
            let form = match Box::pin(Form::read(pipeline, &snapshot, &parts, &boundary, body, now)).await {
                Ok(form) => form,
                Err(refused) => {
                    let key = refused.key.as_deref();
                    return Box::pin(refuse(pipeline, &context, &parts, None, key, host_id, refused.error)).await;
                }
            };
            if form.caller.is_some() {
                signature = vec![
                    ("s3:signatureversion", "AWS4-HMAC-SHA256".to_owned()),
                    ("s3:authType", "POST".to_owned()),
                ];
                method = Some("HtmlForm");
            }
            (caller, parts, reply, region) = (form.caller, form.parts, Some(form.reply), form.region);
            if let Some(region) = &region {
                context.facts.region = region;
            }
            form.body
        }
    };
    let context = &context;
    strip_signature(&mut parts);
    let authorizer = Arc::new(Gate::new(Arc::clone(&snapshot), caller, context, signature));
    let door: Arc<dyn Authorizer> = Arc::<Gate>::clone(&authorizer);
    parts.extensions.insert(door);
    parts.extensions.insert(Identifiers {
        request_id: context.id.to_owned(),
        host_id: host_id.to_owned(),
    });
    let resource = parts.uri.path().to_owned();
    let copy_source = parts
        .headers
        .get("x-amz-copy-source")
        .and_then(|source| source.to_str().ok())
        .map(str::to_owned);
    let is_write = !matches!(parts.method.as_str(), "GET" | "HEAD");
    if is_write && !pipeline.journal.healthy() {
        let error = WireError::new(
            "InternalError",
            500,
            "We encountered an internal error. Please try again.",
        )
        .because("the audit journal can't be written, so nothing is changed");
        return s3_answer(&error, &resource, context.id, host_id);
    }
    let request = Request::from_parts(parts, body);
    let mut response = pipeline.s3_upstreams.handle(&pipeline.front, request).await;

    let outcome = response.extensions_mut().remove::<S3Outcome>().unwrap_or_default();
    let reasons = authorizer.take_reasons();
    let error = outcome.error.as_ref().map(|(code, message)| WireError {
        code: code.clone().into(),
        status: response.status().as_u16(),
        message: message.clone(),
        reason: reasons.refused,
    });
    let account = bucket_account(outcome.bucket.as_deref()).or_else(|| authorizer.account());
    let event_name = outcome.operation.map_or("Unknown", |operation| operation.event_name);
    let recorded = S3Record {
        context,
        outcome: &outcome,
        caller: authorizer.caller.as_ref(),
        account,
        error: error.as_ref(),
        allowed_by: reasons.allowed.as_deref(),
        host_id,
        method,
        copy_source: copy_source.as_deref(),
    }
    .write(pipeline)
    .await;
    pipeline.log(
        context,
        Service::S3,
        event_name,
        authorizer.caller.as_ref(),
        error.as_ref(),
    );
    pipeline.metrics.call("s3", event_name, response.status().as_u16());
    match recorded {
        Ok(()) => {
            // One message an answer: a batch whose keys fare differently has none.
            if error.is_some_and(|error| error.code == "AccessDenied") {
                add_authorization_message(&mut response, reasons.message.as_deref());
            }
            if let Some(reply) = reply.take() {
                reply.shape(&mut response);
            }
            response
        }
        // The body, an object perhaps, is dropped with the response.
        Err(error) => {
            let error = WireError {
                code: "InternalError".into(),
                message: "We encountered an internal error. Please try again.".to_owned(),
                ..error
            };
            s3_answer(&error, &resource, context.id, host_id)
        }
    }
}

/// Whether a request says which headers its answer is to have.
///
/// "You must sign the request (…) when using these parameters. They cannot be used with an unsigned (anonymous) request":
/// <https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObject.html>.
pub(crate) fn chooses_headers(uri: &Uri) -> bool {
    form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes()).any(|(name, _)| name.starts_with("response-"))
}

/// S3's condition keys about the signature itself.
///
/// See <https://docs.aws.amazon.com/AmazonS3/latest/API/bucket-policy-s3-sigv4-conditions.html>.
pub(crate) fn signature_keys(
    presented: &Result<Option<Presented<'_>>, SigV4Error>,
    now: irsa_core::Timestamp,
) -> Vec<(&'static str, String)> {
    let Ok(Some(presented)) = presented else {
        return Vec::new();
    };
    let mut keys = vec![("s3:signatureversion", "AWS4-HMAC-SHA256".to_owned())];
    if presented.location() == irsa_sigv4::Location::Header {
        keys.push(("s3:authType", "REST-HEADER".to_owned()));
    } else {
        keys.push(("s3:authType", "REST-QUERY-STRING".to_owned()));
        keys.push((
            "s3:signatureAge",
            now.since(presented.timestamp()).as_millis().to_string(),
        ));
    }
    keys
}

/// The SHA-256 of no bytes.
const NOTHING: [u8; 32] = [
    0xe3, 0xb0, 0xc4, 0x42, 0x98, 0xfc, 0x1c, 0x14, 0x9a, 0xfb, 0xf4, 0xc8, 0x99, 0x6f, 0xb9, 0x24, 0x27, 0xae, 0x41,
    0xe4, 0x64, 0x9b, 0x93, 0x4c, 0xa4, 0x95, 0x99, 0x1b, 0x78, 0x52, 0xb8, 0x55,
];

/// The body as S3 signed it: hashed, in verified chunks, or unsigned as the signature itself says. Of a request without a signature, what
/// it declares itself.
fn checked_body(parts: &mut Parts, verified: Option<Verified>, body: Incoming) -> Result<Body, WireError> {
    let payload = match &verified {
        Some(verified) => verified.payload(),
        None => Payload::declared(&parts.headers)
            .map_err(|error| AuthenticationError::Signature(error).wire(Service::S3))?,
    };
    // For whoever sends it on: what the client wrote behind the content stays there.
    parts.extensions.insert(payload);
    // Nothing has nothing to wait for.
    if body.is_end_stream() && matches!(payload, Payload::Sha256(NOTHING) | Payload::Unsigned | Payload::Absent) {
        return Ok(full(""));
    }
    let body = TimelyBody::new(body);
    let decoder = match (payload, verified) {
        (Payload::Sha256(declared), _) => return Ok(HashedBody::new(body, declared).boxed_unsync()),
        (Payload::Unsigned | Payload::Absent, _) => return Ok(body.boxed_unsync()),
        (_, Some(verified)) => verified.chunk_decoder(&parts.headers),
        (Payload::StreamingUnsignedTrailer, None) => ChunkDecoder::unsigned(&parts.headers).map(Some),
        // Its chunks are signed with a key that nobody named.
        (Payload::StreamingSigned | Payload::StreamingSignedTrailer, None) => {
            return Err(
                WireError::new("AccessDenied", 403, "Access Denied").because("signed chunks of an unsigned request")
            );
        }
    };
    let decoder = decoder.map_err(|error| {
        let error = chunk_error(&error);
        WireError {
            code: error.code.into(),
            status: 400,
            message: error.message,
            reason: None,
        }
    })?;
    let decoder = decoder.ok_or_else(|| WireError::internal("a streaming body has no decoder"))?;
    remove_chunked_encoding(parts, decoder.decoded_length());
    Ok(ChunkedBody::new(body, decoder).boxed_unsync())
}

/// The body is decoded now: `aws-chunked` goes, and the length is that of the content.
fn remove_chunked_encoding(parts: &mut Parts, length: u64) {
    let rest: Vec<String> = parts
        .headers
        .get_all(header::CONTENT_ENCODING)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(|coding| coding.trim().to_owned())
        .filter(|coding| !coding.is_empty() && !coding.eq_ignore_ascii_case("aws-chunked"))
        .collect();
    parts.headers.remove(header::CONTENT_ENCODING);
    if let Ok(value) = HeaderValue::from_str(&rest.join(","))
        && !rest.is_empty()
    {
        parts.headers.insert(header::CONTENT_ENCODING, value);
    }
    parts.headers.remove(header::TRANSFER_ENCODING);
    parts.headers.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
}

/// The front must not look at signatures again: all that belongs to them goes.
pub(crate) fn strip_signature(parts: &mut Parts) {
    for name in ["authorization", "x-amz-security-token", "x-amz-decoded-content-length"] {
        parts.headers.remove(HeaderName::from_static(name));
    }
    const PARAMETERS: [&str; 8] = [
        "X-Amz-Algorithm",
        "X-Amz-Credential",
        "X-Amz-Date",
        "X-Amz-Expires",
        "X-Amz-SignedHeaders",
        "X-Amz-Signature",
        "X-Amz-Security-Token",
        "X-Amz-Content-Sha256",
    ];
    let Some(query) = parts.uri.query() else { return };
    let of_signature = |part: &&str| {
        let name = part.split('=').next().unwrap_or_default();
        PARAMETERS.iter().any(|parameter| name.eq_ignore_ascii_case(parameter))
    };
    if !query.split('&').any(|part| of_signature(&part)) {
        return;
    }
    let kept: Vec<&str> = query.split('&').filter(|part| !of_signature(part)).collect();
    let path = parts.uri.path();
    let target = if kept.is_empty() {
        path.to_owned()
    } else {
        format!("{path}?{}", kept.join("&"))
    };
    if let Ok(uri) = target.parse::<Uri>() {
        parts.uri = uri;
    }
}

/// A request that did not pass the gate.
async fn refuse(
    pipeline: &Pipeline,
    context: &RequestContext<'_>,
    parts: &Parts,
    caller: Option<&Caller>,
    unproven_key: Option<&str>,
    host_id: &str,
    error: WireError,
) -> Response<Body> {
    let resource = parts.uri.path();
    let parameters =
        serde_json::json!({ "Host": context.host, "path": resource.chars().take(1024).collect::<String>() })
            .to_string();
    let account = unproven_key
        .and_then(|key| key.parse::<irsa_core::AccessKeyId>().ok())
        .and_then(|key| key.account())
        .or_else(|| caller.map(|caller| caller.account));
    let recording = Recording {
        service: Service::S3,
        event_name: "Unknown",
        read_only: matches!(parts.method.as_str(), "GET" | "HEAD"),
        kind: EventKind::Data,
        request_id: context.id,
        record_seed: context.record_seed,
        facts: &context.facts,
        peer: context.peer,
        host: context.host,
        caller,
        unproven_key: Some(unproven_key.unwrap_or_default()).filter(|key| !key.is_empty()),
        web_identity: None,
        account,
        request_parameters: Some(&parameters),
        response_elements: None,
        error: Some(&error),
        resources: &[],
        additional: &[],
        actions: &[],
        allowed_by: None,
        unverified_claims: None,
    };
    let recorded = pipeline.record(&recording.to_json()).await;
    pipeline.log(context, Service::S3, "Unknown", caller, Some(&error));
    pipeline.metrics.call("s3", "Unknown", error.status);
    let error = recorded.err().unwrap_or(error);
    let mut response = s3_answer(&error, resource, context.id, host_id);
    if parts.method == http::Method::HEAD {
        *response.body_mut() = full("");
    }
    response
}

fn s3_answer(error: &WireError, resource: &str, request_id: &str, host_id: &str) -> Response<Body> {
    let mut response = Response::new(full(s3_error(error, resource, request_id, host_id)));
    *response.status_mut() = StatusCode::from_u16(error.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/xml"));
    for (name, value) in [("x-amz-request-id", request_id), ("x-amz-id-2", host_id)] {
        if let Ok(value) = HeaderValue::from_str(value) {
            headers.insert(HeaderName::from_static(name), value);
        }
    }
    response
}

/// A request's ids, as S3 writes them, and the seed of its record's: drawn together, since a draw costs more than its bytes.
pub(crate) fn ids() -> (String, [u8; 16], String) {
    use base64::Engine;
    let drawn: [u8; 72] = random();
    let (mut seed, (id, rest)) = ([0; 16], drawn.split_at(8));
    let (first, host_id) = rest.split_at(16);
    seed.copy_from_slice(first);
    (
        hex::encode_upper(id),
        seed,
        base64::engine::general_purpose::STANDARD.encode(host_id),
    )
}
