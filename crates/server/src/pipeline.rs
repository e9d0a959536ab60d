//! The one way that every request takes: authenticate, authorize, run, record, answer.

use std::borrow::Cow;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use aws_lc_rs::digest;
use bytes::Bytes;
use http::{HeaderName, HeaderValue, Request, Response, StatusCode, header};
use hyper::body::Incoming;
use irsa_audit::Journal;
use irsa_core::Clock;
use irsa_iam::{Caller, Quotas, RequestFacts};
use irsa_oidc::Trusted;
use irsa_s3::{Body, Front};
use irsa_sigv4::{Presented, RequestHead, Rules, SigV4Error, presented};
use irsa_wire::{Params, Service, WireError, json_error, query_answer, query_error};

use crate::authenticate::SigningKeys;
use crate::authorizer::Authorizer;
use crate::body::{ReadError, full, read_whole};
use crate::call::{Call, Done};
use crate::config::{AuditDurability, ServerConfig};
use crate::gateway::{self, Gateway};
use crate::keeper::Keeper;
use crate::metrics::Metrics;
use crate::peer::Peer;
use crate::random::random;
use crate::recording::Recording;
use crate::route::{Route, route};
use crate::s3_upstream::S3Upstreams;
use crate::{issuer_pages, run, s3_gate};

/// How long a caller may take to send the body of a call.
const BODY_DEADLINE: Duration = Duration::from_secs(30);

/// Where a refusal by policy says why, in a form that only STS's `DecodeAuthorizationMessage` can read. AWS puts such messages into the texts
/// of some services' errors; those of the services here have no place for one.
pub(crate) const AUTHORIZATION_MESSAGE: HeaderName = HeaderName::from_static("x-irsa-authorization-message");

/// Everything that requests need, made once.
pub(crate) struct Pipeline {
    pub(crate) keeper: Arc<Keeper>,
    pub(crate) signing_keys: SigningKeys,
    pub(crate) journal: Journal,
    pub(crate) trusted: Trusted,
    pub(crate) front: Front,
    pub(crate) s3_upstreams: S3Upstreams,
    pub(crate) gateway: Gateway,
    pub(crate) authorizer: Option<Authorizer>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) quotas: Quotas,
    pub(crate) metrics: Metrics,
    pub(crate) config: ServerConfig,
    /// `https://host[:port]` of hosted issuers.
    pub(crate) issuer_base: String,
    pub(crate) folder: crate::DataFolder,
}

/// What the steps of one request share.
#[derive(Clone)]
pub(crate) struct RequestContext<'a> {
    pub(crate) id: &'a str,
    /// Where the id of its audit record comes from: drawn together with the request's own, since a draw costs more than its bytes.
    pub(crate) record_seed: [u8; 16],
    pub(crate) facts: RequestFacts<'a>,
    pub(crate) peer: &'a Peer,
    pub(crate) host: Option<&'a str>,
}

impl Pipeline {
    /// Answers one request. Never fails: a failure is an answer.
    pub(crate) async fn serve(&self, peer: &Peer, request: Request<Incoming>) -> Response<Body> {
        let (parts, body) = request.into_parts();
        let (path, query) = (parts.uri.path(), parts.uri.query().unwrap_or_default());
        let headers = &parts.headers;
        let head = RequestHead {
            method: parts.method.as_str(),
            path,
            query,
            headers,
        };
        let presented = presented(&head);
        let text = |name: HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
        let facts = RequestFacts {
            source_ip: peer.source_ip(headers, &self.config.trusted_proxies),
            secure_transport: peer.tls.is_some(),
            user_agent: text(header::USER_AGENT).unwrap_or_default(),
            referer: text(header::REFERER),
            region: &self.config.region,
            now: self.clock.now(),
        };
        let host = text(header::HOST);
        if is_ambiguous(&parts) {
            let (id, record_seed) = request_id();
            let context = RequestContext {
                id: &id,
                record_seed,
                facts,
                peer,
                host: None,
            };
            let error = WireError::new("InvalidRequest", 400, "The framing of the request is ambiguous.");
            let mut response = Box::pin(self.refuse(&context, Service::Sts, "Unknown", error)).await;
            response
                .headers_mut()
                .insert(header::CONNECTION, HeaderValue::from_static("close"));
            return response;
        }
        if let Ok(Some(presented)) = &presented
            && let Some(service) = self.gateway.serves(presented.scope().service)
        {
            let (id, record_seed) = request_id();
            let context = RequestContext {
                id: &id,
                record_seed,
                facts,
                peer,
                host,
            };
            return Box::pin(gateway::serve(self, &context, service, presented, parts.clone(), body)).await;
        }
        match route(&parts.method, path, query, headers, &presented) {
            Route::Query => {
                let (id, record_seed) = request_id();
                let context = RequestContext {
                    id: &id,
                    record_seed,
                    facts,
                    peer,
                    host,
                };
                self.query(&context, query, &presented, body).await
            }
            Route::Json(service) => {
                let (id, record_seed) = request_id();
                let context = RequestContext {
                    id: &id,
                    record_seed,
                    facts,
                    peer,
                    host,
                };
                // Boxed, as S3's: the larger futures would make every request's as large.
                Box::pin(self.json(&context, service, &head, &presented, body)).await
            }
            Route::S3 => {
                let (id, record_seed, host_id) = s3_gate::ids();
                let context = RequestContext {
                    id: &id,
                    record_seed,
                    facts,
                    peer,
                    host,
                };
                Box::pin(s3_gate::serve(
                    self,
                    &context,
                    &host_id,
                    &presented,
                    parts.clone(),
                    body,
                ))
                .await
            }
            Route::Issuer => issuer_pages::answer(&self.keeper.snapshot(), &parts.method, path),
            Route::Health => self.health(path),
        }
    }

    /// Health and readiness, for the main listener and the one of metrics.
    pub(crate) fn health(&self, path: &str) -> Response<Body> {
        let ready = path != "/readyz" || self.journal.healthy() && self.keeper.healthy();
        let mut response = Response::new(full(if ready {
            "ok"
        } else {
            "the audit journal or the store can't be written"
        }));
        if !ready {
            *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
        }
        response
    }

    async fn query(
        &self,
        context: &RequestContext<'_>,
        query: &str,
        presented: &Result<Option<Presented<'_>>, SigV4Error>,
        body: Incoming,
    ) -> Response<Body> {
        let scope = match presented {
            Ok(Some(presented)) => Service::from_signing_name(presented.scope().service),
            Ok(None) | Err(_) => None,
        };
        let bytes = match tokio::time::timeout(BODY_DEADLINE, read_whole(body)).await {
            Ok(Ok(bytes)) => bytes,
            Ok(Err(error)) => return self.refuse_body(context, scope.unwrap_or(Service::Sts), error).await,
            Err(_) => {
                return self
                    .refuse_body(context, scope.unwrap_or(Service::Sts), ReadError::Broken)
                    .await;
            }
        };
        let params = if bytes.is_empty() {
            Params::parse(query.as_bytes())
        } else {
            both(query, &bytes)
        };
        let params = match params {
            Ok(params) => params,
            Err(error) => {
                let service = scope.unwrap_or(Service::Sts);
                return self.refuse(context, service, "Unknown", error.into()).await;
            }
        };
        let action = params.get("Action").unwrap_or_default().to_owned();
        let call = match (Call::query_service(&action, params.get("Version")), scope) {
            // An anonymous operation is what it is, whatever a signature that nobody looks at says.
            (Some(Service::Sts), _) if action == "AssumeRoleWithWebIdentity" => Call::sts(params),
            (_, Some(Service::Iam)) => Call::iam(params),
            (_, Some(Service::Sts)) => Call::sts(params),
            (Some(Service::Iam), _) => Call::iam(params),
            (_, _) => Call::sts(params),
        };
        match call {
            Ok(call) => self.call(context, call, presented, &bytes).await,
            Err((service, error)) => {
                let shown: String = action.chars().take(128).collect();
                self.refuse(
                    context,
                    service,
                    if shown.is_empty() { "Unknown" } else { &shown },
                    error,
                )
                .await
            }
        }
    }

    async fn json(
        &self,
        context: &RequestContext<'_>,
        service: Service,
        head: &RequestHead<'_>,
        presented: &Result<Option<Presented<'_>>, SigV4Error>,
        body: Incoming,
    ) -> Response<Body> {
        let bytes = match tokio::time::timeout(BODY_DEADLINE, read_whole(body)).await {
            Ok(Ok(bytes)) => bytes,
            Ok(Err(error)) => return self.refuse_body(context, service, error).await,
            Err(_) => return self.refuse_body(context, service, ReadError::Broken).await,
        };
        match Call::json(service, head, &bytes) {
            Ok(call) => self.call(context, call, presented, &bytes).await,
            Err(error) => self.refuse(context, service, "Unknown", error).await,
        }
    }

    /// The walk of one call: every operation but S3's passes here, and S3's pass the same gate, policy engine and journal in `s3_gate`.
    async fn call(
        &self,
        context: &RequestContext<'_>,
        call: Call,
        presented: &Result<Option<Presented<'_>>, SigV4Error>,
        body: &[u8],
    ) -> Response<Body> {
        let spec = call.spec();
        let rules = Rules::service(spec.service.signing_name());
        let snapshot = self.keeper.snapshot();
        let caller = run::caller(self, context, spec, presented, &rules, &snapshot, || digest_of(body));
        // The region of the scope counts once the signature is proven.
        let mut context = context.clone();
        if let (Ok(Some(_)), Ok(Some(presented))) = (&caller, presented) {
            context.facts.region = presented.scope().region;
        }
        let context = &context;
        let mut done = match &caller {
            Ok(caller) => run::run(self, context, snapshot, &call, caller.as_ref()).await,
            Err(error) => Done::failed(error.wire(spec.service)),
        };
        if done.request_parameters.is_none() {
            done.request_parameters = call.request_parameters();
        }
        let caller = caller.ok().flatten();
        let account = caller
            .as_ref()
            .map(|caller| caller.account)
            .or(done.account)
            .or_else(|| unproven_account(presented));
        let recording = Recording {
            service: spec.service,
            event_name: spec.name,
            read_only: spec.read_only,
            kind: spec.kind,
            request_id: context.id,
            record_seed: context.record_seed,
            facts: &context.facts,
            peer: context.peer,
            host: context.host,
            caller: caller.as_ref(),
            unproven_key: unproven_key(presented),
            web_identity: done.web_identity.as_ref(),
            account,
            request_parameters: done.request_parameters.as_deref(),
            response_elements: done.response_elements.as_deref(),
            error: done.result.as_ref().err(),
            resources: &done.resources,
            additional: &[],
            actions: &[spec.action],
            allowed_by: done.allowed_by.as_deref(),
            unverified_claims: done.unverified_claims.as_deref(),
        };
        let recorded = self.record(&recording.to_json()).await;
        self.log(
            context,
            spec.service,
            spec.name,
            caller.as_ref(),
            done.result.as_ref().err(),
        );
        let result = match recorded {
            Ok(()) => done.result,
            Err(error) => Err(error),
        };
        let status = result.as_ref().map_or_else(|error| error.status, |_| 200);
        self.metrics.call(spec.service.signing_name(), spec.name, status);
        let mut response = answer(spec.service, spec.name, result, context.id);
        add_authorization_message(&mut response, done.authorization_message.as_deref());
        response
    }

    /// Puts a record into the journal. What the record is about must not leave the building if this fails.
    pub(crate) async fn record(&self, record: &str) -> Result<(), WireError> {
        let written = match self.journal.append(record) {
            Ok(sequence) if self.config.audit_durability == AuditDurability::Disk => {
                self.journal.durable(sequence).await
            }
            Ok(_) => Ok(()),
            Err(error) => Err(error),
        };
        written.map_err(|error| {
            self.metrics.journal_failures.fetch_add(1, Ordering::Relaxed);
            tracing::error!(%error, "the audit record could not be written, so the request was refused");
            WireError::internal(format!("the audit record could not be written: {error}"))
        })
    }

    /// One line a decision.
    pub(crate) fn log(
        &self,
        context: &RequestContext<'_>,
        service: Service,
        operation: &str,
        caller: Option<&Caller>,
        error: Option<&WireError>,
    ) {
        let caller = caller.map_or("-", Caller::arn);
        let service = service.signing_name();
        match error {
            None => tracing::debug!(request_id = context.id, service, operation, caller, "allowed"),
            Some(error) if error.status >= 500 => {
                let reason = error.reason.as_deref().unwrap_or_default();
                tracing::error!(request_id = context.id, service, operation, caller, code = %error.code, reason, "failed");
            }
            Some(error) => {
                let reason = error.reason.as_deref().unwrap_or_default();
                tracing::info!(request_id = context.id, service, operation, caller, code = %error.code, reason, "refused");
            }
        }
    }

    /// A request that is no call of ours, but leaves a record all the same.
    async fn refuse(
        &self,
        context: &RequestContext<'_>,
        service: Service,
        event_name: &str,
        error: WireError,
    ) -> Response<Body> {
        let recording = Recording {
            service,
            event_name,
            read_only: true,
            kind: irsa_wire::EventKind::Management,
            request_id: context.id,
            record_seed: context.record_seed,
            facts: &context.facts,
            peer: context.peer,
            host: context.host,
            caller: None,
            unproven_key: None,
            web_identity: None,
            account: None,
            request_parameters: None,
            response_elements: None,
            error: Some(&error),
            resources: &[],
            additional: &[],
            actions: &[],
            allowed_by: None,
            unverified_claims: None,
        };
        let recorded = self.record(&recording.to_json()).await;
        self.log(context, service, event_name, None, Some(&error));
        // An operation that does not exist has no name of ours: a caller's word must not become a label.
        self.metrics.call(service.signing_name(), "Unknown", error.status);
        answer(service, event_name, Err(recorded.err().unwrap_or(error)), context.id)
    }

    async fn refuse_body(&self, context: &RequestContext<'_>, service: Service, error: ReadError) -> Response<Body> {
        let error = match error {
            ReadError::TooLarge => {
                WireError::new("RequestEntityTooLarge", 413, "The request body is larger than 1 MiB.")
            }
            ReadError::Broken => WireError::new(
                "RequestTimeout",
                400,
                "The request body did not arrive completely in time.",
            ),
        };
        let mut response = self.refuse(context, service, "Unknown", error).await;
        // What is left of the body would be read as the next request.
        response
            .headers_mut()
            .insert(header::CONNECTION, HeaderValue::from_static("close"));
        response
    }
}

/// Query string and body of one POST: a name may stand in one of them only.
fn both(query: &str, body: &Bytes) -> Result<Params, irsa_wire::ParamsError> {
    if query.is_empty() {
        return Params::parse(body);
    }
    let mut joined = query.as_bytes().to_vec();
    joined.push(b'&');
    joined.extend_from_slice(body);
    Params::parse(&joined)
}

pub(crate) fn digest_of(body: &[u8]) -> [u8; 32] {
    let mut hash = [0; 32];
    hash.copy_from_slice(digest::digest(&digest::SHA256, body).as_ref());
    hash
}

pub(crate) fn unproven_key<'a>(presented: &'a Result<Option<Presented<'_>>, SigV4Error>) -> Option<&'a str> {
    presented
        .as_ref()
        .ok()
        .and_then(Option::as_ref)
        .map(Presented::access_key_id)
}

/// The account that an unproven key names: whose trail a failed attempt belongs to.
fn unproven_account(presented: &Result<Option<Presented<'_>>, SigV4Error>) -> Option<irsa_core::AccountId> {
    unproven_key(presented)?
        .parse::<irsa_core::AccessKeyId>()
        .ok()?
        .account()
}

/// A request's own id, as AWS writes it, and the seed of its record's.
pub(crate) fn request_id() -> (String, [u8; 16]) {
    let drawn: [u8; 32] = random();
    let (mut id, mut seed) = ([0; 16], [0; 16]);
    let (first, second) = drawn.split_at(16);
    id.copy_from_slice(first);
    seed.copy_from_slice(second);
    let id = uuid::Builder::from_random_bytes(id).into_uuid();
    (id.hyphenated().to_string(), seed)
}

/// Whether a request's framing could be read in two ways, here and by a proxy in front of us.
fn is_ambiguous(parts: &http::request::Parts) -> bool {
    let lengths = parts.headers.get_all(header::CONTENT_LENGTH).iter().count();
    let hosts = parts.headers.get_all(header::HOST).iter().count();
    let two_framings = lengths > 0 && parts.headers.contains_key(header::TRANSFER_ENCODING);
    let authority = parts.uri.authority().map(http::uri::Authority::as_str);
    let host = parts.headers.get(header::HOST).and_then(|host| host.to_str().ok());
    let foreign = authority.is_some() && authority != host;
    lengths > 1 || hosts > 1 || two_framings || foreign
}

/// Puts the authorization message into the head of a refusal.
pub(crate) fn add_authorization_message(response: &mut Response<Body>, message: Option<&str>) {
    if response.status() != StatusCode::FORBIDDEN {
        return;
    }
    if let Some(message) = message.and_then(|message| HeaderValue::from_str(message).ok()) {
        response.headers_mut().insert(AUTHORIZATION_MESSAGE, message);
    }
}

/// The envelope.
fn answer(
    service: Service,
    operation: &str,
    result: Result<Option<String>, WireError>,
    request_id: &str,
) -> Response<Body> {
    let is_query = matches!(service, Service::Iam | Service::Sts);
    let (status, body, code) = match result {
        Ok(result) if is_query => (
            200,
            query_answer(service, operation, result.as_deref(), request_id),
            None,
        ),
        Ok(result) => (200, result.unwrap_or_else(|| "{}".to_owned()), None),
        Err(error) if is_query => (error.status, query_error(service, &error, request_id), None),
        Err(error) => (error.status, json_error(&error), Some(error.code)),
    };
    let mut response = Response::new(full(body));
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = response.headers_mut();
    let content_type = match service {
        _ if is_query => "text/xml",
        Service::CloudTrail => "application/x-amz-json-1.1",
        _ => "application/json",
    };
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    if let Ok(id) = HeaderValue::from_str(request_id) {
        headers.insert("x-amzn-requestid", id);
    }
    if let Some(code) = code
        .as_deref()
        .map(Cow::from)
        .and_then(|code| HeaderValue::from_str(&code).ok())
    {
        headers.insert("x-amzn-errortype", code);
    }
    response
}
