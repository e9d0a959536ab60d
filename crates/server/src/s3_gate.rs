//! S3's side of the pipeline: the signature gate before the front, the authorizer that the front asks, and the record of what it did.

use std::sync::{Arc, Mutex, PoisonError};

use http::request::Parts;
use http::{HeaderName, HeaderValue, Request, Response, StatusCode, Uri, header};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use irsa_core::AccountId;
use irsa_iam::{Caller, Identity, RequestFacts, authorize, authorize_anonymous};
use irsa_s3::{Allowed, Authorizer, Body, Denied, Identifiers, NamedPrincipal, S3Outcome, Target, form_boundary};
use irsa_sigv4::{ChunkDecoder, Payload, Presented, Rules, SigV4Error, Verified};
use irsa_wire::{EventKind, Service, WireError, s3_error};

use crate::authenticate::{AuthenticationError, authenticate};
use crate::body::{ChunkedBody, HashedBody, TimelyBody, chunk_error, full};
use crate::gateway::unread;
use crate::pipeline::{Pipeline, RequestContext, add_authorization_message};
use crate::random::random;
use crate::recording::Recording;
use crate::run::authorization_message;
use crate::s3_form::Form;
use crate::s3_record::S3Record;
use crate::s3_upstream::id_behind;
use crate::snapshot::{Bucket, Snapshot};

/// Answers one S3 request.
pub(crate) async fn serve(
    pipeline: &Pipeline,
    context: &RequestContext<'_>,
    presented: &Result<Option<Presented<'_>>, SigV4Error>,
    mut parts: Parts,
    body: Incoming,
) -> Response<Body> {
    let host_id = base64_id();
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
            return refuse(pipeline, &context, &parts, None, key, &host_id, error).await;
        }
    };
    if caller.is_none() && chooses_headers(&parts.uri) {
        // A stranger's HTML in an object that is open to everybody would be a page of the bucket's host.
        let error = WireError::new(
            "InvalidRequest",
            400,
            "Request specific response headers cannot be used for anonymous GET requests.",
        );
        return refuse(pipeline, &context, &parts, None, None, &host_id, error).await;
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
            if let Some(verified) = &verified {
                parts.extensions.insert(verified.payload());
            }
            match checked_body(&mut parts, verified, body) {
                Ok(body) => body,
                Err(error) => {
                    return refuse(pipeline, &context, &parts, caller.as_ref(), None, &host_id, error).await;
                }
            }
        }
        Some(boundary) => {
            let (body, now) = (TimelyBody::new(body), context.facts.now);
            let form = match Form::read(pipeline, &snapshot, &parts, &boundary, body, now).await {
                Ok(form) => form,
                Err(refused) => {
                    let key = refused.key.as_deref();
                    return refuse(pipeline, &context, &parts, None, key, &host_id, refused.error).await;
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
        host_id: host_id.clone(),
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
        return s3_answer(&error, &resource, context.id, &host_id);
    }
    let request = Request::from_parts(parts, body);
    let mut response = pipeline.s3_upstreams.handle(&pipeline.front, request).await;

    let outcome = response.extensions().get::<S3Outcome>().cloned().unwrap_or_default();
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
        host_id: &host_id,
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
            s3_answer(&error, &resource, context.id, &host_id)
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

/// The body as S3 signed it: hashed, in verified chunks, or unsigned as the signature itself says. Of a request without a signature, what
/// it declares itself.
fn checked_body(parts: &mut Parts, verified: Option<Verified>, body: Incoming) -> Result<Body, WireError> {
    let body = TimelyBody::new(body);
    let payload = match &verified {
        Some(verified) => verified.payload(),
        None => Payload::declared(&parts.headers)
            .map_err(|error| AuthenticationError::Signature(error).wire(Service::S3))?,
    };
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

/// The authorizer of one request: its snapshot, its caller, and why things were allowed or refused.
pub(crate) struct Gate {
    snapshot: Arc<Snapshot>,
    pub(crate) caller: Option<Caller>,
    facts: OwnedFacts,
    /// `s3:authType` and its like.
    signature: Vec<(&'static str, String)>,
    request_id: String,
    reasons: Mutex<Reasons>,
}

#[derive(Default)]
pub(crate) struct Reasons {
    pub(crate) refused: Option<String>,
    pub(crate) allowed: Option<String>,
    /// The refusal's authorization message.
    pub(crate) message: Option<String>,
}

impl Gate {
    /// For a request whose signature is checked; `caller` is `None` if it has none. `signature` are the condition keys about it.
    pub(crate) fn new(
        snapshot: Arc<Snapshot>,
        caller: Option<Caller>,
        context: &RequestContext<'_>,
        signature: Vec<(&'static str, String)>,
    ) -> Self {
        Self {
            snapshot,
            caller,
            facts: OwnedFacts::of(&context.facts),
            signature,
            request_id: context.id.to_owned(),
            reasons: Mutex::new(Reasons::default()),
        }
    }

    /// Decides one question; `tell` asks for an authorization message about a refusal.
    fn decide(&self, target: &Target, tell: bool) -> (Result<(), Denied>, Reasons) {
        let refused = |reason: &str| {
            let reasons = Reasons {
                refused: Some(reason.to_owned()),
                ..Reasons::default()
            };
            (Err(Denied::bare()), reasons)
        };
        let bucket = self.bucket_of(target);
        if bucket.is_some_and(|bucket| target.bucket_id != Some(bucket.record.id)) {
            return refused("the bucket was made anew while the request was on its way");
        }
        let Some(owner) = target.resource_account.or_else(|| self.account()) else {
            return refused("the request is not signed, and no bucket's policy is asked about it");
        };
        let mut question = irsa_iam::Target::new(target.action, target.resource_arn.as_str(), owner);
        for (key, values) in &target.context {
            question = question.with_list(key.clone(), values.clone());
        }
        for (key, value) in &self.signature {
            question = question.with(*key, value.as_str());
        }
        let policy = bucket.and_then(|bucket| self.policy_of(bucket, target.action));
        let facts = self.facts.borrow();
        let authorization = match &self.caller {
            Some(caller) => authorize(&self.snapshot.iam, caller, &facts, &question, policy),
            None => authorize_anonymous(&facts, &question, policy),
        };
        if authorization.is_allowed() {
            let allowed = authorization.verdict.statement.as_ref().map(ToString::to_string);
            let reasons = Reasons {
                allowed,
                ..Reasons::default()
            };
            return (Ok(()), reasons);
        }
        let explanation = authorization.explanation.as_ref().map(ToString::to_string);
        let Some(caller) = &self.caller else {
            return refused(&explanation.unwrap_or_default());
        };
        let message = tell
            .then(|| {
                let (id, now) = (&self.request_id, self.facts.now);
                authorization_message(&self.snapshot, &authorization, caller, &question, id, now)
            })
            .flatten();
        // Callers of other accounts learn nothing.
        let denied = if owner == caller.account {
            // S3 alone puts the resource between quotes.
            let question = question.shown_as(format!("\"{}\"", target.resource_arn));
            let message = authorization
                .refusal(caller, &question)
                .map_or_else(String::new, |error| error.message);
            Denied {
                code: "AccessDenied",
                message,
            }
        } else {
            Denied::bare()
        };
        let reasons = Reasons {
            refused: explanation,
            allowed: None,
            message,
        };
        (Err(denied), reasons)
    }

    /// The bucket that a question is about, unless it is yet to be made.
    fn bucket_of(&self, target: &Target) -> Option<&Bucket> {
        let name = target.bucket.as_deref()?;
        let bucket = self.snapshot.buckets.get(name)?;
        // An embedded bucket of the same name is out of sight.
        let is_other = || target.bucket_id == Some(id_behind(name)) && target.bucket_id != Some(bucket.record.id);
        // What an account said of a store's bucket is gone with the account.
        let is_of_another = target
            .resource_account
            .is_some_and(|owner| owner != bucket.record.account);
        (target.action != "s3:CreateBucket" && !is_other() && !is_of_another).then_some(bucket)
    }

    /// The policy that counts in a decision about the bucket.
    fn policy_of<'b>(&self, bucket: &'b Bucket, action: &str) -> Option<&'b irsa_policy::Policy> {
        let owner = bucket.record.account;
        let policy = bucket.policy.as_deref()?;
        // So that nobody locks himself out for ever.
        let is_owner = self
            .caller
            .as_ref()
            .is_some_and(|caller| caller.account == owner && matches!(caller.identity, Identity::Root));
        if is_owner
            && matches!(
                action,
                "s3:GetBucketPolicy" | "s3:PutBucketPolicy" | "s3:DeleteBucketPolicy"
            )
        {
            return None;
        }
        // Without a policy that counts, strangers get nothing.
        let restricted = policy.public
            && bucket
                .record
                .settings
                .public_access_block
                .is_some_and(|block| block.restrict_public_buckets);
        (!restricted || self.account() == Some(owner)).then_some(&policy.policy)
    }

    /// Why things were allowed or refused so far.
    pub(crate) fn take_reasons(&self) -> Reasons {
        std::mem::take(&mut *self.reasons.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Authorizer for Gate {
    fn depends_on_tags(&self, target: &Target) -> bool {
        let tags = ["s3:ExistingObjectTag/".to_owned()];
        let of_caller = |caller| unread::key_of_policies(&self.snapshot, caller, &[target.action], &tags).is_some();
        // An escape may be any sign of the name.
        let speaks = |text: &str| text.contains('\\') || text.to_ascii_lowercase().contains("existingobjecttag");
        let of_bucket = || {
            let bucket = self.bucket_of(target);
            bucket.is_some_and(|bucket| {
                bucket
                    .record
                    .settings
                    .policy
                    .as_ref()
                    .is_some_and(|policy| speaks(&policy.text))
            })
        };
        self.caller.as_ref().is_some_and(of_caller) || of_bucket()
    }

    fn account(&self) -> Option<AccountId> {
        self.caller.as_ref().map(|caller| caller.account)
    }

    fn principal(&self) -> Option<String> {
        self.caller.as_ref().map(|caller| caller.arn().to_owned())
    }

    fn find_principal(&self, name: &str) -> NamedPrincipal {
        match irsa_iam::find_principal(name, &self.snapshot.iam) {
            None => NamedPrincipal::Unknown,
            Some(found) => found.unique_id.map_or(NamedPrincipal::Known, NamedPrincipal::Bound),
        }
    }

    fn authorize(&self, target: &Arc<Target>) -> Result<Allowed, Denied> {
        let kept = || self.reasons.lock().unwrap_or_else(PoisonError::into_inner);
        let first = kept().refused.is_none();
        let (decision, reasons) = self.decide(target, first);
        let mut kept = kept();
        kept.message = kept.message.take().or(reasons.message);
        kept.refused = kept.refused.take().or(reasons.refused);
        kept.allowed = kept.allowed.take().or(reasons.allowed);
        decision.map(|()| Allowed::decided(target))
    }

    fn permits(&self, target: &Target) -> Result<(), Denied> {
        self.decide(target, false).0
    }
}

/// The facts of a request, for an authorizer that outlives the borrow.
struct OwnedFacts {
    source_ip: std::net::IpAddr,
    secure_transport: bool,
    user_agent: String,
    referer: Option<String>,
    region: String,
    now: irsa_core::Timestamp,
}

impl OwnedFacts {
    fn of(facts: &RequestFacts<'_>) -> Self {
        Self {
            source_ip: facts.source_ip,
            secure_transport: facts.secure_transport,
            user_agent: facts.user_agent.to_owned(),
            referer: facts.referer.map(str::to_owned),
            region: facts.region.to_owned(),
            now: facts.now,
        }
    }

    fn borrow(&self) -> RequestFacts<'_> {
        RequestFacts {
            source_ip: self.source_ip,
            secure_transport: self.secure_transport,
            user_agent: &self.user_agent,
            referer: self.referer.as_deref(),
            region: &self.region,
            now: self.now,
        }
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

fn base64_id() -> String {
    use base64::Engine;
    base64::engine::general_purpose::STANDARD.encode(random::<48>())
}
