//! Any other AWS service behind us: every request is authenticated, decided and recorded as our own are, and only then sent on to the
//! server that stands behind the gateway, under credentials of ours.

mod answer;
mod config;
mod credentials;
mod unread;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Request, Response, header};
use http_body_util::{BodyExt, Limited};
use hyper::body::{Body as _, Incoming};
use irsa_core::AccountId;
use irsa_gateway::{Asked, GatewayRequest, Protocol, RuleBook};
use irsa_iam::{Caller, Target, authorize};
use irsa_policy::{Policy, PolicyKind};
use irsa_s3::Body;
use irsa_sigv4::{Payload, Presented, Rules};
use irsa_sts::Resource;
use irsa_upstream::{Sign, Upstream, UpstreamError};
use irsa_wire::{EventKind, Service, WireError};
use serde_json::json;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::authenticate::{AuthenticationError, authenticate};
use crate::body::full;
use crate::pipeline::{Pipeline, RequestContext, add_authorization_message, digest_of};
use crate::recording::Recording;
use crate::run::authorization_message;
use crate::snapshot::Snapshot;

pub use config::{GatewayConfig, GatewayError as GatewayConfigError, GatewayUpstream, UpstreamCredentials};

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
    book: RuleBook,
    strict: bool,
    regions: Vec<String>,
    /// By signing name, then by the account whose it is. Names are kept for as long as the program runs.
    upstreams: HashMap<&'static str, HashMap<AccountId, Upstream>>,
    memory: Arc<Semaphore>,
}

/// One request on its way.
struct Passage<'a> {
    pipeline: &'a Pipeline,
    context: RequestContext<'a>,
    gateway: &'a Gateway,
    service: &'static str,
    protocol: Protocol,
    unproven_key: Option<&'a str>,
    caller: Option<Caller>,
    asked: Option<Asked>,
}

/// Why a request does not go on.
struct Refusal {
    error: WireError,
    authorization_message: Option<String>,
}

impl From<WireError> for Refusal {
    fn from(error: WireError) -> Self {
        Self {
            error,
            authorization_message: None,
        }
    }
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
    let mut passage = Passage {
        pipeline,
        context: context.clone(),
        gateway,
        service,
        protocol: answer::protocol(&gateway.book, service, &parts.headers),
        unproven_key: Some(presented.access_key_id()),
        caller: None,
        asked: None,
    };
    // Held until the request has been sent on.
    let (body, memory) = match read(gateway, body).await {
        Ok(read) => read,
        Err(error) => {
            let mut response = passage.refuse(error.into()).await;
            // What is left of the body would be read as the next request.
            response
                .headers_mut()
                .insert(header::CONNECTION, HeaderValue::from_static("close"));
            return response;
        }
    };
    let hash = digest_of(&body);
    let decided = passage.decide(presented, &parts, &body, hash);
    if passage.caller.is_some() {
        // The region of the scope counts now that the signature is proven.
        passage.context.facts.region = presented.scope().region;
    }
    let allowed_by = match decided {
        Ok(statement) => statement,
        Err(refusal) => return passage.refuse(refusal).await,
    };
    if let Err(error) = passage.record(None, allowed_by.as_deref()).await {
        return passage.answer(&error);
    }
    let answered = passage.forward(presented.scope().region, parts, body, hash).await;
    drop(memory);
    match answered {
        Ok(response) => {
            pipeline.metrics.call("gateway", service, response.status().as_u16());
            response
        }
        Err(error) => {
            tracing::error!(request_id = passage.context.id, service, %error, "the upstream did not answer");
            let status = error.status();
            pipeline.metrics.call("gateway", service, status);
            passage.answer(&answer::upstream_failed(passage.protocol, status))
        }
    }
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

impl Passage<'_> {
    /// Who asks for what, and may they. Gives the statement that allowed it.
    fn decide(
        &mut self,
        presented: &Presented<'_>,
        parts: &Parts,
        body: &[u8],
        hash: [u8; 32],
    ) -> Result<Option<String>, Refusal> {
        let snapshot = self.pipeline.keeper.snapshot();
        let is_global = self.gateway.book.services(self.service).any(|rules| rules.is_global());
        let mut rules = Rules::service(self.service);
        rules.presigned = false;
        if !is_global {
            // Servers behind us may not tell regions apart, so that another region would be another name of the same resource.
            rules = rules.in_regions(self.gateway.regions.iter().cloned());
        }
        let now = self.context.facts.now;
        let authenticated = authenticate(
            &self.pipeline.signing_keys,
            &snapshot,
            presented,
            Some(hash),
            now,
            &rules,
        );
        let (caller, _) = authenticated.map_err(|error| self.unauthenticated(&error))?;
        let caller = &*self.caller.insert(caller);
        if !self.pipeline.journal.healthy() {
            return Err(WireError::internal("the audit journal can't be written, so nothing is sent on").into());
        }
        let has_upstream = self
            .gateway
            .upstreams
            .get(self.service)
            .is_some_and(|of| of.contains_key(&caller.account));
        if !has_upstream {
            let error = answer::denied(self.protocol, None, "The account has no such service here.");
            return Err(error
                .because("no upstream is configured for this account and service")
                .into());
        }
        let region = presented.scope().region;
        let request = GatewayRequest {
            service: self.service,
            region,
            account: caller.account,
            method: &parts.method,
            path: parts.uri.path(),
            query: parts.uri.query().unwrap_or_default(),
            headers: &parts.headers,
            body,
        };
        let asked = self.gateway.book.read(&request, self.gateway.strict);
        let asked = asked.map_err(|error| answer::unreadable(self.protocol, &error))?;
        self.protocol = asked.service.protocol();
        let asked = self.asked.insert(asked);
        let mut context = self.context.clone();
        context.facts.region = region;
        decide(&snapshot, &context, caller, asked)
    }

    fn unauthenticated(&self, error: &AuthenticationError) -> WireError {
        let mut wire = error.wire(match self.protocol {
            Protocol::Json | Protocol::RestJson => Service::Irsa,
            Protocol::Query | Protocol::RestXml => Service::Sts,
        });
        if self.protocol == Protocol::Json {
            wire.status = 400;
        }
        wire
    }

    async fn refuse(&self, refusal: Refusal) -> Response<Body> {
        let recorded = self.record(Some(&refusal.error), None).await;
        let error = recorded.err().unwrap_or(refusal.error);
        let operation = self.asked.as_ref().map_or("Unknown", |asked| asked.operation.as_str());
        let caller = self.caller.as_ref().map_or("-", Caller::arn);
        let reason = error.reason.as_deref().unwrap_or_default();
        tracing::info!(request_id = self.context.id, service = self.service, operation, caller, code = %error.code, reason, "refused");
        let status = if error.code.starts_with("AccessDenied") || error.code == "AuthorizationError" {
            403
        } else {
            error.status
        };
        self.pipeline.metrics.call("gateway", self.service, status);
        let mut response = self.answer(&error);
        if let Some(message) = refusal.authorization_message {
            add_authorization_message(&mut response, Some(&message));
        }
        response
    }

    fn answer(&self, error: &WireError) -> Response<Body> {
        let namespace = self.asked.as_ref().map_or("", |asked| asked.service.xml_namespace());
        answer::failed(self.protocol, namespace, error, self.context.id)
    }

    /// Puts the record into the journal: the decision, before anything is sent on.
    async fn record(&self, error: Option<&WireError>, allowed_by: Option<&str>) -> Result<(), WireError> {
        let caller = self.caller.as_ref();
        let parameters = self.asked.as_ref().map(|asked| {
            let members = asked.parameters.iter().map(|(name, values)| {
                let value = match values.as_slice() {
                    [value] => json!(value),
                    values => json!(values),
                };
                (name.clone(), value)
            });
            serde_json::Value::Object(members.collect()).to_string()
        });
        let resources: Vec<Resource> = self.asked.iter().flat_map(resources).collect();
        let recording = Recording {
            service: Service::Irsa,
            event_name: self.asked.as_ref().map_or("Unknown", |asked| asked.operation.as_str()),
            read_only: self.asked.as_ref().is_some_and(|asked| asked.read_only),
            kind: match &self.asked {
                Some(asked) if asked.is_data => EventKind::Data,
                _ => EventKind::Management,
            },
            request_id: self.context.id,
            record_seed: self.context.record_seed,
            facts: &self.context.facts,
            peer: self.context.peer,
            host: self.context.host,
            caller,
            unproven_key: self.unproven_key,
            web_identity: None,
            account: caller.map(|caller| caller.account).or_else(|| {
                let key: irsa_core::AccessKeyId = self.unproven_key?.parse().ok()?;
                key.account()
            }),
            request_parameters: parameters.as_deref(),
            response_elements: None,
            error,
            resources: &resources,
            additional: &[],
            allowed_by,
            unverified_claims: None,
        };
        let mut rules = self.gateway.book.services(self.service);
        let event_source = match (&self.asked, rules.next()) {
            (Some(asked), _) => asked.service.event_source(),
            (None, Some(rules)) => rules.event_source(),
            (None, None) => Service::Irsa.event_source(),
        };
        self.pipeline.record(&recording.to_json_of(event_source)).await
    }

    /// Sends the request on and gives back what comes.
    async fn forward(
        &self,
        region: &str,
        parts: Parts,
        body: Bytes,
        hash: [u8; 32],
    ) -> Result<Response<Body>, UpstreamError> {
        let of_service = self.gateway.upstreams.get(self.service);
        let account = self.caller.as_ref().map(|caller| caller.account);
        let upstream = of_service
            .zip(account)
            .and_then(|(of_service, account)| of_service.get(&account));
        let upstream = upstream.ok_or_else(|| UpstreamError::Unreachable {
            reason: "none is configured".to_owned(),
        })?;
        let mut request = Request::new(full(body));
        *request.method_mut() = parts.method;
        *request.uri_mut() = parts.uri;
        *request.headers_mut() = forwarded(&parts.headers);
        let sign = Sign {
            service: self.service,
            region,
            payload: Payload::Sha256(hash),
        };
        let response = upstream.send(request, &sign, self.context.facts.now).await?;
        tracing::debug!(
            request_id = self.context.id,
            service = self.service,
            status = response.status().as_u16(),
            "sent on"
        );
        let mut response = response.map(BodyExt::boxed_unsync);
        if let Ok(id) = HeaderValue::from_str(self.context.id) {
            response.headers_mut().insert("x-amzn-requestid", id);
        }
        Ok(response)
    }
}

/// Asks the policy engine every question of a request.
fn decide(
    snapshot: &Snapshot,
    context: &RequestContext<'_>,
    caller: &Caller,
    asked: &Asked,
) -> Result<Option<String>, Refusal> {
    let protocol = asked.service.protocol();
    let denied_code = asked.service.denied_code();
    if let Some(key) = unread::key_of_policies(snapshot, caller, asked) {
        let error = answer::denied(
            protocol,
            denied_code,
            "A policy has a condition on what this request does not say.",
        );
        return Err(error
            .because(format!(
                "a policy of the caller depends on `{key}`, which can't be read from the request"
            ))
            .into());
    }
    let mut statement = None;
    for ask in &asked.asks {
        let mut target = Target::new(ask.action.clone(), ask.resource.as_str(), ask.account);
        for (key, values) in &ask.keys {
            target = target.with_list(key.clone(), values.clone());
        }
        let key_policy = key_policy(caller, &ask.action, ask.account)?;
        let authorization = authorize(&snapshot.iam, caller, &context.facts, &target, key_policy.as_ref());
        if let Some(refusal) = authorization.refusal(caller, &target) {
            let message =
                authorization_message(snapshot, &authorization, caller, &target, context.id, context.facts.now);
            let mut error = answer::denied(protocol, denied_code, &refusal.message);
            error.reason = refusal.reason;
            return Err(Refusal {
                error,
                authorization_message: message,
            });
        }
        statement = statement.or_else(|| authorization.verdict.statement.as_ref().map(ToString::to_string));
    }
    if asked.asks.is_empty() {
        return Err(WireError::internal("the request asks the policy engine nothing").into());
    }
    Ok(statement)
}

/// The policy that KMS gives to a key without one of its own: the account's identity policies decide. Nobody may use a key whose policy says
/// nothing, and policies of keys are kept by the upstream, where they are out of our sight.
///
/// See <https://docs.aws.amazon.com/kms/latest/developerguide/key-policy-default.html>.
fn key_policy(caller: &Caller, action: &str, owner: AccountId) -> Result<Option<Policy>, WireError> {
    if !action.starts_with("kms:") || owner != caller.account {
        return Ok(None);
    }
    let document = json!({
        "Version": "2012-10-17",
        "Statement": {
            "Effect": "Allow",
            "Principal": { "AWS": format!("arn:aws:iam::{owner}:root") },
            "Action": "kms:*",
            "Resource": "*",
        },
    });
    Policy::parse("default key policy", PolicyKind::Resource, &document.to_string())
        .map(Some)
        .map_err(|error| WireError::internal(format!("the default key policy can't be read: {error}")))
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

/// The resources of a record, of the kinds that CloudTrail names.
fn resources(asked: &Asked) -> Vec<Resource> {
    let kind = match asked.service.prefix() {
        "dynamodb" => "AWS::DynamoDB::Table",
        "sqs" => "AWS::SQS::Queue",
        "sns" => "AWS::SNS::Topic",
        "kms" => "AWS::KMS::Key",
        "secretsmanager" => "AWS::SecretsManager::Secret",
        _ => return Vec::new(),
    };
    let mut arns: Vec<(&str, AccountId)> = Vec::new();
    for ask in asked
        .asks
        .iter()
        .filter(|ask| ask.resource.starts_with("arn:") && !ask.resource.ends_with('?'))
    {
        if !arns.iter().any(|(known, _)| *known == ask.resource) {
            arns.push((&ask.resource, ask.account));
        }
    }
    arns.into_iter()
        .map(|(arn, account)| Resource {
            account,
            kind,
            arn: arn.to_owned(),
        })
        .collect()
}
