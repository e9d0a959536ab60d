//! What is asked of a request for a service of others, and what is written about it: whoever sends it on.

use http::{HeaderMap, Method, Response, header};
use irsa_core::{AccessKeyId, AccountId};
use irsa_gateway::{Asked, GatewayRequest, Protocol, RuleBook};
use irsa_iam::{Caller, Target, authorize};
use irsa_policy::{Policy, PolicyKind};
use irsa_s3::Body;
use irsa_sigv4::{BodyRule, Payload, Presented, Rules, SigV4Error};
use irsa_sts::Resource;
use irsa_wire::{EventKind, Service, WireError};
use serde_json::json;

use super::{answer, unread};
use crate::authenticate::{AuthenticationError, authenticate};
use crate::pipeline::{Pipeline, RequestContext, add_authorization_message, digest_of};
use crate::recording::Recording;
use crate::run::authorization_message;
use crate::snapshot::Snapshot;

/// How requests for services of others are read and decided.
pub(crate) struct Desk {
    pub(crate) book: RuleBook,
    /// Whether operations without rules, and those whose resource the rules can't tell exactly, are refused.
    pub(crate) strict: bool,
    /// The regions that requests may be signed for; services with one endpoint for the world take any.
    pub(crate) regions: Vec<String>,
}

/// A request as its caller sent it.
#[derive(Clone, Copy)]
pub(crate) struct Sent<'a> {
    pub(crate) method: &'a Method,
    /// Still encoded.
    pub(crate) path: &'a str,
    /// Still encoded; empty if there is none.
    pub(crate) query: &'a str,
    pub(crate) headers: &'a HeaderMap,
    /// The whole body; `None` if whoever sends the request on keeps it.
    pub(crate) body: Option<Content<'a>>,
}

/// A body.
#[derive(Clone, Copy)]
pub(crate) struct Content<'a> {
    pub(crate) bytes: &'a [u8],
    /// Its SHA-256.
    pub(crate) hash: [u8; 32],
}

/// Why a request does not go on.
pub(crate) struct Refusal {
    pub(crate) error: WireError,
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

/// One request while it is decided, and what is known of it: made before its body is read, so that its refusal can be recorded from then on.
pub(crate) struct Ruling<'a> {
    pipeline: &'a Pipeline,
    desk: &'a Desk,
    /// What the request came in by, for metrics: `gateway`.
    door: &'static str,
    pub(crate) context: RequestContext<'a>,
    /// Its signing name.
    service: &'static str,
    pub(crate) protocol: Protocol,
    presented: &'a Presented<'a>,
    pub(crate) caller: Option<Caller>,
    pub(crate) asked: Option<Asked>,
}

impl<'a> Ruling<'a> {
    /// A request whose body has not been read.
    pub(crate) fn new(
        pipeline: &'a Pipeline,
        desk: &'a Desk,
        door: &'static str,
        context: &RequestContext<'a>,
        service: &'static str,
        presented: &'a Presented<'a>,
        headers: &HeaderMap,
    ) -> Self {
        Self {
            pipeline,
            desk,
            door,
            context: context.clone(),
            service,
            protocol: answer::protocol(&desk.book, service, headers),
            presented,
            caller: None,
            asked: None,
        }
    }

    /// Who asks for what, and may they. Gives the statement that allowed it. `owns` tells the accounts whose the service is.
    pub(crate) fn decide(
        &mut self,
        sent: &Sent<'_>,
        owns: impl FnOnce(AccountId) -> bool,
    ) -> Result<Option<String>, Refusal> {
        let snapshot = self.pipeline.keeper.snapshot();
        let mut rules = Rules::service(self.service);
        rules.presigned = false;
        let mut hash = sent.body.map(|body| body.hash);
        if sent.body.is_none() {
            match self.presented.payload() {
                // What the signature says of a body that is not seen must be its hash: no other body can have been meant then.
                Payload::Sha256(_) => rules.body = BodyRule::Declared,
                // Few clients declare the hash of no body. Whether this one signed none is seen by its signature; the rules let nothing depend on it.
                Payload::Absent if !announces_body(sent.headers) => hash = Some(digest_of(b"")),
                _ => {
                    let error = AuthenticationError::Signature(SigV4Error::PayloadNotAllowed);
                    let error = self
                        .unauthenticated(&error)
                        .because("the body is not seen, and its hash is not declared");
                    return Err(error.into());
                }
            }
        }
        if !self.desk.book.services(self.service).any(|rules| rules.is_global()) {
            // Servers behind us may not tell regions apart, so that another region would be another name of the same resource.
            rules = rules.in_regions(self.desk.regions.iter().cloned());
        }
        let now = self.context.facts.now;
        let authenticated = authenticate(
            &self.pipeline.signing_keys,
            &snapshot,
            self.presented,
            hash,
            now,
            &rules,
        );
        let (caller, _) = authenticated.map_err(|error| self.unauthenticated(&error))?;
        let caller = &*self.caller.insert(caller);
        // The region of the scope counts now that the signature is proven.
        self.context.facts.region = self.presented.scope().region;
        if !self.pipeline.journal.healthy() {
            return Err(WireError::internal("the audit journal can't be written, so nothing is sent on").into());
        }
        if !owns(caller.account) {
            let error = answer::denied(self.protocol, None, "The account has no such service here.");
            return Err(error.because("the service is not this account's").into());
        }
        let request = GatewayRequest {
            service: self.service,
            region: self.context.facts.region,
            account: caller.account,
            method: sent.method,
            path: sent.path,
            query: sent.query,
            headers: sent.headers,
            body: sent.body.map(|body| body.bytes),
        };
        let asked = self.desk.book.read(&request, self.desk.strict);
        let asked = asked.map_err(|error| answer::unreadable(self.protocol, &error))?;
        self.protocol = asked.service.protocol();
        let asked = self.asked.insert(asked);
        decide(&snapshot, &self.context, caller, asked)
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

    /// Records a refusal, and answers with it.
    pub(crate) async fn refuse(&self, refusal: Refusal) -> Response<Body> {
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
        self.count(status);
        let mut response = self.answer(&error);
        if let Some(message) = refusal.authorization_message {
            add_authorization_message(&mut response, Some(&message));
        }
        response
    }

    /// Counts the request by the status of its answer.
    pub(crate) fn count(&self, status: u16) {
        self.pipeline.metrics.call(self.door, self.service, status);
    }

    /// An error in the words of the service's protocol.
    pub(crate) fn answer(&self, error: &WireError) -> Response<Body> {
        let namespace = self.asked.as_ref().map_or("", |asked| asked.service.xml_namespace());
        answer::failed(self.protocol, namespace, error, self.context.id)
    }

    /// Puts the record into the journal: the decision, before anything is sent on.
    pub(crate) async fn record(&self, error: Option<&WireError>, allowed_by: Option<&str>) -> Result<(), WireError> {
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
        let asks = self.asked.iter().flat_map(|asked| &asked.asks);
        let actions: Vec<&str> = asks.map(|ask| ask.action.as_str()).collect();
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
            unproven_key: Some(self.presented.access_key_id()),
            web_identity: None,
            account: caller.map(|caller| caller.account).or_else(|| {
                let key: AccessKeyId = self.presented.access_key_id().parse().ok()?;
                key.account()
            }),
            request_parameters: parameters.as_deref(),
            response_elements: None,
            error,
            resources: &resources,
            additional: &[],
            actions: &actions,
            allowed_by,
            unverified_claims: None,
        };
        let mut rules = self.desk.book.services(self.service);
        let event_source = match (&self.asked, rules.next()) {
            (Some(asked), _) => asked.service.event_source(),
            (None, Some(rules)) => rules.event_source(),
            (None, None) => Service::Irsa.event_source(),
        };
        self.pipeline.record(&recording.to_json_of(event_source)).await
    }
}

/// Whether a head says that a body follows.
fn announces_body(headers: &HeaderMap) -> bool {
    let length = headers.get(header::CONTENT_LENGTH);
    length.is_some_and(|length| length.as_bytes() != b"0") || headers.contains_key(header::TRANSFER_ENCODING)
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
    let actions: Vec<&str> = asked.asks.iter().map(|ask| ask.action.as_str()).collect();
    if let Some(key) = unread::key_of_policies(snapshot, caller, &actions, &asked.unread) {
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
