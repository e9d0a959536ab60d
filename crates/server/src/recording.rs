//! The audit record of one call, whatever became of it.

use irsa_audit::{Category, Event, EventError, SessionContext, SessionIssuer, TlsDetails, UserIdentity, event_id};
use irsa_core::AccountId;
use irsa_iam::{Caller, Identity, RequestFacts};
use irsa_sts::{Resource, WebIdentityUser};
use irsa_wire::{EventKind, Service, WireError};

use crate::peer::Peer;

/// What is known of a call when its record is written.
pub(crate) struct Recording<'a> {
    pub(crate) service: Service,
    pub(crate) event_name: &'a str,
    pub(crate) read_only: bool,
    pub(crate) kind: EventKind,
    pub(crate) request_id: &'a str,
    /// Random; no two records may share it.
    pub(crate) record_seed: [u8; 16],
    pub(crate) facts: &'a RequestFacts<'a>,
    pub(crate) peer: &'a Peer,
    pub(crate) host: Option<&'a str>,
    pub(crate) caller: Option<&'a Caller>,
    /// The key that a request names whose signature failed.
    pub(crate) unproven_key: Option<&'a str>,
    pub(crate) web_identity: Option<&'a WebIdentityUser>,
    pub(crate) account: Option<AccountId>,
    pub(crate) request_parameters: Option<&'a str>,
    pub(crate) response_elements: Option<&'a str>,
    pub(crate) error: Option<&'a WireError>,
    pub(crate) resources: &'a [Resource],
    pub(crate) additional: &'a [(&'a str, &'a str)],
    /// The actions that policies were asked about.
    pub(crate) actions: &'a [&'a str],
    /// The statement that allowed it.
    pub(crate) allowed_by: Option<&'a str>,
    pub(crate) unverified_claims: Option<&'a str>,
}

impl Recording<'_> {
    /// The record as one line of JSON.
    pub(crate) fn to_json(&self) -> String {
        self.to_json_of(self.service.event_source())
    }

    /// The same under another `eventSource`: that of a service behind the gateway.
    pub(crate) fn to_json_of(&self, event_source: &str) -> String {
        let principal_id;
        let user_identity = match (self.caller, self.web_identity) {
            (Some(caller), _) => identity(caller),
            (None, Some(user)) => {
                principal_id = format!("{}:{}:{}", user.provider_arn, user.audience, user.subject);
                UserIdentity::WebIdentityUser {
                    principal_id: &principal_id,
                    user_name: &user.subject,
                    identity_provider: &user.provider_arn,
                }
            }
            (None, None) if self.error.is_none() || self.service == Service::S3 && self.unproven_key.is_none() => {
                UserIdentity::Anonymous
            }
            (None, None) => UserIdentity::Unknown {
                access_key_id: self.unproven_key,
            },
        };
        let code = self.error.map(|error| long_code(self.service, &error.code));
        let error = self.error.zip(code.as_deref()).map(|(error, code)| EventError {
            code,
            message: &error.message,
        });
        let resources: Vec<irsa_audit::Resource<'_>> = self
            .resources
            .iter()
            .map(|resource| irsa_audit::Resource {
                // As CloudTrail has it: the account stands with the bucket.
                account: (resource.kind != "AWS::S3::Object").then_some(resource.account),
                kind: resource.kind,
                arn: &resource.arn,
            })
            .collect();
        let irsa = self.explanation(event_source);
        let source_ip = self.facts.source_ip.to_string();
        let event_id = event_id(self.record_seed);
        Event {
            user_identity,
            event_time: self.facts.now,
            event_source,
            event_name: self.event_name,
            aws_region: self.facts.region,
            source_ip_address: &source_ip,
            user_agent: self.facts.user_agent,
            error,
            request_parameters: self.request_parameters,
            response_elements: self.response_elements,
            additional_event_data: self.additional,
            irsa: irsa.as_deref(),
            request_id: self.request_id,
            event_id: &event_id,
            read_only: self.read_only,
            resources: &resources,
            category: match self.kind {
                EventKind::Management => Category::Management,
                EventKind::Data => Category::Data,
            },
            recipient_account: self.account,
            tls: Some(TlsDetails {
                version: self.peer.tls.as_ref().map(|tls| tls.version),
                cipher_suite: self.peer.tls.as_ref().map(|tls| tls.cipher_suite.as_str()),
                host: self.host,
                key_exchange: None,
            }),
        }
        .to_json()
    }

    /// The actions as a list in JSON, unless there is just the one that the operation's name says.
    fn actions_beyond(&self, event_source: &str) -> Option<String> {
        let mut actions: Vec<&str> = Vec::new();
        for action in self.actions {
            if !actions.contains(action) {
                actions.push(action);
            }
        }
        let own = |action: &str| {
            action.split_once(':').is_some_and(|(service, name)| {
                name == self.event_name && event_source.strip_suffix(".amazonaws.com") == Some(service)
            })
        };
        let is_said = actions.iter().all(|action| own(action));
        (!is_said).then(|| serde_json::json!(actions).to_string())
    }

    /// What operators may know beyond AWS's record.
    fn explanation(&self, event_source: &str) -> Option<String> {
        let reason = self.error.and_then(|error| error.reason.as_deref());
        let session = self.caller.and_then(|caller| caller.session.as_deref());
        // Whose session it is, also where its name does not tell.
        let subject = match self.web_identity {
            Some(user) => Some(user.subject.as_str()),
            None => session.and_then(|session| Some(session.federated.as_ref()?.subject.as_str())),
        };
        let known = [reason, self.allowed_by, self.unverified_claims, subject];
        let actions = self.actions_beyond(event_source);
        if known.iter().all(Option::is_none) && actions.is_none() {
            return None;
        }
        let mut writer = irsa_audit::ObjectWriter::with_capacity(256);
        writer.text("decision", if self.error.is_some() { "refused" } else { "allowed" });
        if let Some(actions) = &actions {
            writer.raw("actions", actions);
        }
        if let Some(allowed_by) = self.allowed_by {
            writer.text("statement", allowed_by);
        }
        if let Some(reason) = reason {
            writer.text("reason", reason);
        }
        writer.text_if("subject", subject);
        if let Some(user) = self.web_identity {
            writer.text_if("tokenId", user.token_id.as_deref());
            if let Some(kubernetes) = &user.kubernetes {
                writer.raw("kubernetes", kubernetes);
            }
        }
        if let Some(claims) = self.unverified_claims {
            writer.raw("unverifiedClaims", claims);
        }
        Some(writer.finish())
    }
}

fn identity(caller: &Caller) -> UserIdentity<'_> {
    let access_key_id = Some(caller.access_key_id.as_str());
    let session = caller.session.as_deref();
    let context = |issuer| {
        session.map(|session| SessionContext {
            issuer,
            federated_provider: session
                .federated
                .as_ref()
                .map(|federated| federated.provider_arn.as_str()),
            created: session.issued_at,
            mfa: session.mfa,
            source_identity: session.source_identity.as_deref(),
        })
    };
    match &caller.identity {
        Identity::Root => UserIdentity::Root {
            arn: caller.arn(),
            account: caller.account,
            access_key_id,
            session: context(None),
        },
        Identity::User(user) => UserIdentity::IamUser {
            principal_id: &user.record.id,
            arn: &user.arn,
            account: caller.account,
            access_key_id,
            user_name: &user.record.name,
            session: context(None),
        },
        Identity::Role(role) => {
            let issuer = SessionIssuer {
                principal_id: &role.record.id,
                arn: &role.arn,
                account: role.account,
                user_name: &role.record.name,
            };
            match context(Some(issuer)) {
                Some(session) => UserIdentity::AssumedRole {
                    principal_id: caller.user_id(),
                    arn: caller.arn(),
                    account: caller.account,
                    access_key_id,
                    session,
                },
                // A role has no long-term keys: every caller of one has a session.
                None => UserIdentity::Unknown { access_key_id },
            }
        }
    }
}

/// CloudTrail logs IAM's errors under the names of their shapes.
fn long_code(service: Service, code: &str) -> String {
    const SHAPES: [&str; 9] = [
        "NoSuchEntity",
        "EntityAlreadyExists",
        "DeleteConflict",
        "LimitExceeded",
        "MalformedPolicyDocument",
        "InvalidInput",
        "UnmodifiableEntity",
        "PolicyNotAttachable",
        "ConcurrentModification",
    ];
    if service == Service::Iam && SHAPES.contains(&code) {
        format!("{code}Exception")
    } else {
        code.to_owned()
    }
}
