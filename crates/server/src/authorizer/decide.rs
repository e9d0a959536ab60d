//! From a proxy's question to its answer: which service, who calls, may they. The record is in the journal before anything is answered.

use std::net::SocketAddr;

use http::{HeaderName, Response, header};
use irsa_authorizer::{BodyCheck, Original, OriginalBody, Permission, Refusal, Transport};
use irsa_core::AccountId;
use irsa_iam::{Caller, Identity, RequestFacts};
use irsa_s3::Body;
use irsa_sigv4::{Payload, Presented, RequestHead, SigV4Error, presented};
use irsa_wire::{EventKind, Service, WireError};

use super::{Authorizer, Entry, bytes_of, config, s3};
use crate::authenticate::AuthenticationError;
use crate::gateway::{Content, Ruling, Sent};
use crate::peer::Peer;
use crate::pipeline::{Pipeline, RequestContext, digest_of, request_id, unproven_key};
use crate::recording::Recording;

/// Decides a request that a proxy holds.
pub(super) async fn decide(
    pipeline: &Pipeline,
    authorizer: &Authorizer,
    original: &Original,
) -> Result<Permission, Refusal> {
    let headers = &original.headers;
    let text = |name: HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
    let (id, record_seed) = request_id();
    let facts = RequestFacts {
        source_ip: original.source_ip,
        secure_transport: original.transport != Transport::Plain,
        user_agent: text(header::USER_AGENT).unwrap_or_default(),
        referer: text(header::REFERER),
        region: &pipeline.config.region,
        now: pipeline.clock.now(),
    };
    // Of the client's connection only its address is known.
    let peer = Peer {
        address: SocketAddr::new(original.source_ip, 0),
        tls: None,
    };
    let host = text(header::HOST);
    let context = RequestContext {
        id: &id,
        record_seed,
        facts,
        peer: &peer,
        host,
    };
    let head = RequestHead {
        method: original.method.as_str(),
        path: original.uri.path(),
        query: original.uri.query().unwrap_or_default(),
        headers,
    };
    let presented = presented(&head);
    let question = Question {
        pipeline,
        context,
        original,
        presented: &presented,
    };
    let entries = authorizer.called(host.unwrap_or_default());
    let answer = match (entries.as_slice(), &presented) {
        ([], _) => {
            let error = WireError::new("AccessDenied", 403, "Access Denied")
                .because("no service is configured for the host of the request: see --authorizer-for");
            question.refuse(Service::S3, None, error).await
        }
        // What is not signed could be for any of them; only S3 has answers for strangers.
        (entries, Ok(None) | Err(_)) => match entries.iter().find(|entry| entry.service == "s3") {
            Some(entry) => s3::decide(&question, authorizer, entry).await,
            None => question.unsigned(entries).await,
        },
        (entries, Ok(Some(presented))) => {
            let service = presented.scope().service;
            match entries.iter().find(|entry| entry.service == service) {
                Some(entry) if entry.service == "s3" => s3::decide(&question, authorizer, entry).await,
                Some(entry) => question.service(entry, presented).await,
                None => question.foreign(entries, service).await,
            }
        }
    };
    let status = answer.as_ref().err().map_or(200, |refusal| refusal.status.as_u16());
    pipeline.metrics.call("authorizer", label(&entries), status);
    answer
}

/// The services of a host as a label of metrics.
fn label(entries: &[&Entry]) -> &'static str {
    match entries {
        [] => "Unknown",
        [entry, rest @ ..] if rest.iter().all(|other| other.service == entry.service) => entry.service,
        _ => "several",
    }
}

impl Authorizer {
    /// The services that a host, which is in lower case, is the name of. One that is a service's own is no bucket's.
    fn called(&self, host: &str) -> Vec<&Entry> {
        let Some((name, port)) = config::split_port(host) else {
            return Vec::new();
        };
        let port = port.and_then(|port| port.parse().ok());
        let is_own = self
            .entries
            .iter()
            .any(|entry| !entry.has_buckets && entry.host == name);
        self.entries
            .iter()
            .filter(|entry| entry.is_called(name, port) && !(is_own && entry.has_buckets))
            .collect()
    }
}

/// One question while it is decided.
pub(super) struct Question<'a> {
    pub(super) pipeline: &'a Pipeline,
    pub(super) context: RequestContext<'a>,
    pub(super) original: &'a Original,
    pub(super) presented: &'a Result<Option<Presented<'a>>, SigV4Error>,
}

impl Question<'_> {
    /// A request for any service but S3: by the rules of the gateway.
    async fn service(&self, entry: &Entry, presented: &Presented<'_>) -> Result<Permission, Refusal> {
        let original = self.original;
        let mut ruling = Ruling::new(
            self.pipeline,
            &self.pipeline.gateway.desk,
            "authorizer",
            &self.context,
            entry.service,
            presented,
            &original.headers,
        );
        let sent = Sent {
            method: &original.method,
            path: original.uri.path(),
            query: original.uri.query().unwrap_or_default(),
            headers: &original.headers,
            body: match &original.body {
                OriginalBody::Whole(body) => Some(Content {
                    bytes: body,
                    hash: digest_of(body),
                }),
                OriginalBody::Unseen => None,
            },
        };
        let decided = ruling.decide(&sent, |account| account == entry.account);
        let (error, message) = match decided {
            Ok(statement) => match ruling.record(None, statement.as_deref()).await {
                Ok(()) => {
                    let body = match (&original.body, presented.payload()) {
                        (OriginalBody::Whole(_), _) => BodyCheck::Verified,
                        (OriginalBody::Unseen, Payload::Sha256(_)) => BodyCheck::Declared,
                        // No body was signed. Whether there is one, nobody here has seen.
                        (OriginalBody::Unseen, _) => BodyCheck::Unsigned,
                    };
                    let caller = ruling.caller.as_ref();
                    return Ok(permission(self.context.id, caller, body));
                }
                Err(error) => {
                    let response = ruling.answer(&error);
                    (error, response)
                }
            },
            Err(refusal) => {
                let error = refusal.error.clone();
                let response = ruling.refuse(refusal).await;
                (error, response)
            }
        };
        let is_unauthenticated = ruling.caller.is_none();
        Err(refusal(&self.context, &error, message, is_unauthenticated).await)
    }

    /// A request that is not signed, or not in a way that can be read, for a service without strangers.
    async fn unsigned(&self, entries: &[&Entry]) -> Result<Permission, Refusal> {
        let reason = match self.presented {
            Err(error) => AuthenticationError::Signature(error.clone()),
            Ok(_) => AuthenticationError::Missing,
        };
        let service = self.words_of(entries);
        let error = reason.wire(service);
        self.refuse(service, entries.first().copied(), error).await
    }

    /// A request that is signed for another service than those that the host has: its upstream would read it as something else than we do.
    async fn foreign(&self, entries: &[&Entry], found: &str) -> Result<Permission, Refusal> {
        let expected = entries.first().map_or("", |entry| entry.service);
        let error = SigV4Error::ScopeService {
            found: found.to_owned(),
            expected: expected.to_owned(),
        };
        let service = self.words_of(entries);
        let error = AuthenticationError::Signature(error).wire(service);
        self.refuse(service, entries.first().copied(), error).await
    }

    /// In whose words a request is refused that no service has read.
    fn words_of(&self, entries: &[&Entry]) -> Service {
        let desk = &self.pipeline.gateway.desk;
        match entries.first() {
            Some(entry) if entry.service != "s3" => {
                match crate::gateway::protocol(&desk.book, entry.service, &self.original.headers) {
                    irsa_gateway::Protocol::Json | irsa_gateway::Protocol::RestJson => Service::Irsa,
                    irsa_gateway::Protocol::Query | irsa_gateway::Protocol::RestXml => Service::Sts,
                }
            }
            _ => Service::S3,
        }
    }

    /// Records and refuses a request that was not read as an operation.
    pub(super) async fn refuse(
        &self,
        words: Service,
        entry: Option<&Entry>,
        error: WireError,
    ) -> Result<Permission, Refusal> {
        let key = unproven_key(self.presented);
        let path: String = self.original.uri.path().chars().take(1024).collect();
        let parameters = serde_json::json!({ "Host": self.context.host, "path": path }).to_string();
        let recording = Recording {
            service: words,
            event_name: "Unknown",
            read_only: matches!(self.original.method.as_str(), "GET" | "HEAD"),
            kind: match words {
                Service::S3 => EventKind::Data,
                _ => EventKind::Management,
            },
            request_id: self.context.id,
            record_seed: self.context.record_seed,
            facts: &self.context.facts,
            peer: self.context.peer,
            host: self.context.host,
            caller: None,
            unproven_key: key,
            web_identity: None,
            account: account_of(key),
            request_parameters: Some(&parameters),
            response_elements: None,
            error: Some(&error),
            resources: &[],
            additional: &[],
            actions: &[],
            allowed_by: None,
            unverified_claims: None,
        };
        let mut rules = self
            .pipeline
            .gateway
            .desk
            .book
            .services(entry.map_or("", |entry| entry.service));
        let event_source = rules.next().map_or(words.event_source(), |rules| rules.event_source());
        let recorded = self.pipeline.record(&recording.to_json_of(event_source)).await;
        self.pipeline.log(&self.context, words, "Unknown", None, Some(&error));
        let error = recorded.err().unwrap_or(error);
        let response = match words {
            Service::S3 => s3::answer(&error, self.original.uri.path(), self.context.id),
            Service::Irsa => crate::gateway::failed(irsa_gateway::Protocol::Json, "", &error, self.context.id),
            _ => crate::gateway::failed(irsa_gateway::Protocol::Query, "", &error, self.context.id),
        };
        Err(refusal(&self.context, &error, response, true).await)
    }
}

/// The account that a key names which is not proven.
fn account_of(key: Option<&str>) -> Option<AccountId> {
    key?.parse::<irsa_core::AccessKeyId>().ok()?.account()
}

/// What the upstream is told about the caller of an allowed request.
pub(super) fn permission(request_id: &str, caller: Option<&Caller>, body: BodyCheck) -> Permission {
    let session = caller.and_then(|caller| caller.session.as_deref());
    let is_role = caller.is_some_and(|caller| matches!(caller.identity, Identity::Role(_)));
    // An assumed role's ARN ends with the session's name.
    let role_session_name = caller
        .filter(|_| is_role)
        .and_then(|caller| caller.arn().rsplit_once('/'))
        .map(|(_, name)| name.to_owned());
    let federated = session.and_then(|session| session.federated.as_ref());
    // Tags of other sessions are whatever their makers liked.
    let tag = |name: &str| {
        let tags = &session.filter(|_| federated.is_some())?.tags;
        tags.iter().find(|(key, _)| key == name).map(|(_, value)| value.clone())
    };
    let pod = tag("kubernetes-namespace")
        .zip(tag("kubernetes-pod-name"))
        .map(|(namespace, pod)| format!("{namespace}/{pod}"));
    Permission {
        request_id: request_id.to_owned(),
        principal_arn: caller.map(|caller| caller.arn().to_owned()),
        account: caller.map(|caller| caller.account.to_string()),
        role_session_name,
        subject: federated.map(|federated| federated.subject.clone()),
        pod,
        body,
    }
}

/// An answer to a caller as a refusal that a proxy hands on.
pub(super) async fn refusal(
    context: &RequestContext<'_>,
    error: &WireError,
    response: Response<Body>,
    is_unauthenticated: bool,
) -> Refusal {
    let (parts, body) = response.into_parts();
    let document = String::from_utf8_lossy(&bytes_of(body).await).into_owned();
    // A record that can't be written makes another answer of it.
    let is_own = parts.status.is_server_error() && error.status < 500;
    let (code, message) = if is_own {
        ("InternalFailure", "The request was not decided.")
    } else {
        (&*error.code, error.message.as_str())
    };
    Refusal {
        status: parts.status,
        code: code.to_owned(),
        message: message.to_owned(),
        headers: parts.headers,
        document,
        is_unauthenticated,
        request_id: context.id.to_owned(),
    }
}

/// What is known about the body of a verified request.
pub(super) fn body_check(is_whole: bool, payload: Payload) -> BodyCheck {
    match payload {
        Payload::Unsigned | Payload::Absent => BodyCheck::Unsigned,
        _ if is_whole => BodyCheck::Verified,
        Payload::Sha256(_) => BodyCheck::Declared,
        Payload::StreamingSigned | Payload::StreamingSignedTrailer | Payload::StreamingUnsignedTrailer => {
            BodyCheck::Streaming
        }
    }
}
