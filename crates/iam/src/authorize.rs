//! The decision on one request of a signed caller.

use std::borrow::Cow;
use std::net::IpAddr;
use std::sync::{Arc, LazyLock};

use irsa_core::{AccountId, Timestamp};
use irsa_policy::{Context, Decision, Explanation, Layers, PolicyKind, Principal, Request, Verdict};
use irsa_wire::WireError;

use crate::authorization_message::SESSION_POLICY;
use crate::caller::{Caller, Identity};
use crate::record::Tag;
use crate::state::State;

/// One question to the policy engine: may this action be done to this resource.
#[derive(Clone, Debug)]
pub struct Target {
    /// The IAM action, such as `iam:CreateRole`.
    pub action: Cow<'static, str>,
    /// The resource's ARN, or `*` for actions without one.
    pub resource: String,
    /// How error messages name the resource where IAM does not show its ARN, such as `role app`; empty where they name none.
    pub display: Option<String>,
    /// The account that owns the resource.
    pub resource_account: AccountId,
    /// Condition keys of this request and their values.
    pub context: Vec<(Cow<'static, str>, Vec<String>)>,
}

impl Target {
    /// A question about a resource without condition keys of its own.
    #[must_use]
    pub fn new(action: impl Into<Cow<'static, str>>, resource: impl Into<String>, resource_account: AccountId) -> Self {
        Self {
            action: action.into(),
            resource: resource.into(),
            display: None,
            resource_account,
            context: Vec::new(),
        }
    }

    /// The same question with another name for the resource in error messages.
    #[must_use]
    pub fn shown_as(mut self, display: impl Into<String>) -> Self {
        self.display = Some(display.into());
        self
    }

    /// The same question with a condition key of one value.
    #[must_use]
    pub fn with(mut self, key: impl Into<Cow<'static, str>>, value: impl Into<String>) -> Self {
        self.context.push((key.into(), vec![value.into()]));
        self
    }

    /// The same question with a condition key of many values.
    #[must_use]
    pub fn with_list(mut self, key: impl Into<Cow<'static, str>>, values: Vec<String>) -> Self {
        self.context.push((key.into(), values));
        self
    }

    /// The same question with the tags of the resource as `aws:ResourceTag/…` and, under the service's own name,
    /// `PREFIX:ResourceTag/…`.
    #[must_use]
    pub fn with_resource_tags(mut self, prefix: &str, tags: &[Tag]) -> Self {
        self.push_tags("aws:ResourceTag", tags);
        self.push_tags(&format!("{prefix}:ResourceTag"), tags);
        self
    }

    /// The same question with the tags that the request sends: `aws:RequestTag/…` and `aws:TagKeys`.
    #[must_use]
    pub fn with_request_tags(mut self, tags: &[Tag]) -> Self {
        self.push_tags("aws:RequestTag", tags);
        if !tags.is_empty() {
            self.context
                .push(("aws:TagKeys".into(), tags.iter().map(|tag| tag.key.clone()).collect()));
        }
        self
    }

    /// Names of condition keys have no case, but some entities may have `Team` and `team`: such a key gets both values,
    /// and a condition that expects one is not met by either.
    fn push_tags(&mut self, name: &str, tags: &[Tag]) {
        for tag in tags {
            let key = format!("{name}/{}", tag.key);
            match self
                .context
                .iter_mut()
                .find(|(known, _)| known.eq_ignore_ascii_case(&key))
            {
                Some((_, values)) => values.push(tag.value.clone()),
                None => self.context.push((key.into(), vec![tag.value.clone()])),
            }
        }
    }
}

/// What is known of a request besides who signed it and what it asks.
#[derive(Clone, Debug)]
pub struct RequestFacts<'a> {
    /// The peer's address, or the one that a trusted proxy named.
    pub source_ip: IpAddr,
    /// Whether it came over TLS.
    pub secure_transport: bool,
    /// The `User-Agent` header.
    pub user_agent: &'a str,
    /// The `Referer` header.
    pub referer: Option<&'a str>,
    /// The region that the request was signed for or sent to.
    pub region: &'a str,
    /// When it is decided.
    pub now: Timestamp,
}

/// The outcome of a decision.
pub struct Authorization {
    /// What the engine decided, and by which statement.
    pub verdict: Verdict,
    /// Why, statement by statement; made only for refusals.
    pub explanation: Option<Explanation>,
    /// The request's condition keys; kept only for refusals.
    pub(crate) context: Option<Box<Context>>,
}

impl Authorization {
    /// Whether the request may go on.
    #[must_use]
    pub fn is_allowed(&self) -> bool {
        self.verdict.decision == Decision::Allowed
    }

    /// The refusal in AWS's words; `None` if the request is allowed.
    #[must_use]
    pub fn refusal(&self, caller: &Caller, target: &Target) -> Option<WireError> {
        if self.is_allowed() {
            return None;
        }
        let resource = match target.display.as_deref().unwrap_or(&target.resource) {
            "" => String::new(),
            resource => format!(" on resource: {resource}"),
        };
        let message = format!(
            "User: {} is not authorized to perform: {}{resource} {}",
            caller.arn(),
            target.action,
            self.verdict.reason(&target.action)
        );
        let error = WireError::new("AccessDenied", 403, message);
        Some(match &self.explanation {
            Some(explanation) => error.because(explanation.to_string()),
            None => error,
        })
    }
}

/// Decides one question. `resource_policy` is the policy of the resource itself: a bucket's, or a role's trust policy.
#[must_use]
pub fn authorize(
    state: &State,
    caller: &Caller,
    facts: &RequestFacts<'_>,
    target: &Target,
    resource_policy: Option<&irsa_policy::Policy>,
) -> Authorization {
    let mut context = request_context(caller, facts);
    add_target(&mut context, target);
    let account = state.account(caller.account);
    let (identity, boundary) = match (&caller.identity, account) {
        (Identity::User(user), Some(account)) => (
            user.permissions(account),
            boundary(account, user.record.permissions_boundary.as_deref()),
        ),
        (Identity::Role(role), Some(account)) => (
            role.permissions(account),
            boundary(account, role.record.permissions_boundary.as_deref()),
        ),
        (Identity::Root, _) | (_, None) => (Vec::new(), Boundary::None),
    };
    let session = session_policies(state, caller);
    let layers = Layers {
        identity: &identity,
        boundary: match &boundary {
            Boundary::None => None,
            Boundary::Policy(policy) => Some(policy),
            Boundary::Missing => Some(&*NOTHING),
        },
        session: session.as_deref(),
        resource: resource_policy,
        ..Layers::default()
    };
    settle(&layers, target, caller.principal(), context)
}

/// Decides one question of a caller without credentials: the resource's own policy alone can allow it.
#[must_use]
pub fn authorize_anonymous(
    facts: &RequestFacts<'_>,
    target: &Target,
    resource_policy: Option<&irsa_policy::Policy>,
) -> Authorization {
    let mut context = facts_context(facts);
    context.set("aws:PrincipalAccount", "anonymous");
    context.set("aws:PrincipalType", "Anonymous");
    add_target(&mut context, target);
    let layers = Layers {
        resource: resource_policy,
        ..Layers::default()
    };
    settle(&layers, target, Principal::Anonymous, context)
}

/// Puts the keys of the question into the context.
fn add_target(context: &mut Context, target: &Target) {
    for (key, values) in &target.context {
        match values.as_slice() {
            // A list of one is met both by conditions with a set qualifier and by those without.
            [value] => context.set(key, value.clone()),
            values => context.set_list(key, values.to_vec()),
        }
    }
    context.set("aws:ResourceAccount", target.resource_account.to_string());
}

fn settle(layers: &Layers<'_>, target: &Target, principal: Principal<'_>, context: Context) -> Authorization {
    let request = Request {
        principal,
        action: &target.action,
        resource: &target.resource,
        resource_account: Some(target.resource_account),
        context: &context,
    };
    let verdict = irsa_policy::decide(layers, &request);
    let denied = verdict.decision != Decision::Allowed;
    let explanation = denied.then(|| irsa_policy::explain(layers, &request));
    Authorization {
        verdict,
        explanation,
        context: denied.then(|| Box::new(context)),
    }
}

/// The global condition keys of a signed caller's request.
///
/// See <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-keys.html>.
#[must_use]
pub fn request_context(caller: &Caller, facts: &RequestFacts<'_>) -> Context {
    let mut context = facts_context(facts);
    context.set("aws:PrincipalIsAWSService", "false");
    context.set("aws:PrincipalAccount", caller.account.to_string());
    context.set("aws:userid", caller.user_id());
    match &caller.identity {
        Identity::Root => {
            context.set("aws:PrincipalType", "Account");
            context.set("aws:PrincipalArn", caller.arn());
        }
        Identity::User(user) => {
            context.set("aws:PrincipalType", "User");
            context.set("aws:PrincipalArn", user.arn.as_str());
            context.set("aws:username", user.record.name.as_str());
        }
        Identity::Role(role) => {
            context.set("aws:PrincipalType", "AssumedRole");
            context.set("aws:PrincipalArn", role.arn.as_str());
        }
    }
    let session_tags = caller
        .session
        .as_deref()
        .map_or(&[][..], |session| session.tags.as_slice());
    let entity_tags = match &caller.identity {
        Identity::Root => &[][..],
        Identity::User(user) => user.record.tags.as_slice(),
        Identity::Role(role) => role.record.tags.as_slice(),
    };
    // A session tag stands before the role's tag of that name, whatever the case.
    for tag in entity_tags
        .iter()
        .filter(|tag| !session_tags.iter().any(|(key, _)| key.eq_ignore_ascii_case(&tag.key)))
    {
        context.set(&format!("aws:PrincipalTag/{}", tag.key), tag.value.as_str());
    }
    for (key, value) in session_tags {
        context.set(&format!("aws:PrincipalTag/{key}"), value.as_str());
    }
    if let Some(session) = caller.session.as_deref() {
        context.set("aws:TokenIssueTime", session.issued_at.iso8601());
        context.set("aws:MultiFactorAuthPresent", if session.mfa { "true" } else { "false" });
        if let Some(source_identity) = &session.source_identity {
            context.set("aws:SourceIdentity", source_identity.as_str());
        }
        if let Some(federated) = &session.federated {
            context.set("aws:FederatedProvider", federated.provider_arn.as_str());
            let issuer = federated.issuer.strip_prefix("https://").unwrap_or(&federated.issuer);
            context.set(&format!("{issuer}:aud"), federated.audience.as_str());
            context.set(&format!("{issuer}:sub"), federated.subject.as_str());
            if !federated.amr.is_empty() {
                context.set_list(&format!("{issuer}:amr"), federated.amr.clone());
            }
        }
    }
    context
}

/// The keys that have nothing to do with the caller.
fn facts_context(facts: &RequestFacts<'_>) -> Context {
    let mut context = Context::new();
    context.set("aws:SourceIp", facts.source_ip.to_string());
    context.set(
        "aws:SecureTransport",
        if facts.secure_transport { "true" } else { "false" },
    );
    context.set("aws:CurrentTime", facts.now.iso8601());
    context.set("aws:EpochTime", facts.now.unix_seconds().to_string());
    context.set("aws:RequestedRegion", facts.region);
    if !facts.user_agent.is_empty() {
        context.set("aws:UserAgent", facts.user_agent);
    }
    if let Some(referer) = facts.referer {
        context.set("aws:referer", referer);
    }
    context.set("aws:ViaAWSService", "false");
    context
}

/// What stands for a boundary that is gone: a policy that allows nothing that anybody could ask for.
static NOTHING: LazyLock<irsa_policy::Policy> = LazyLock::new(|| {
    let document = r#"{"Version": "2012-10-17", "Statement": {
        "Effect": "Allow", "Action": "irsa:Nothing", "Resource": "arn:aws:irsa:::nothing"}}"#;
    // A constant of the program, used by a test; to go on without it would allow too much.
    irsa_policy::Policy::parse("missing permissions boundary", PolicyKind::Boundary, document)
        .expect("a constant policy parses")
});

enum Boundary {
    None,
    Policy(Arc<irsa_policy::Policy>),
    /// The record names a policy that is gone: nothing may pass.
    Missing,
}

fn boundary(account: &crate::state::Account, arn: Option<&str>) -> Boundary {
    match arn {
        None => Boundary::None,
        Some(arn) => account.managed_policy(arn).map_or(Boundary::Missing, Boundary::Policy),
    }
}

/// The session's policies, managed ones read live; `None` if the session was made without. A policy that can't be read
/// or is gone grants nothing.
fn session_policies(state: &State, caller: &Caller) -> Option<Vec<Arc<irsa_policy::Policy>>> {
    let session = caller.session.as_deref()?;
    if session.session_policy.is_none() && session.session_policy_arns.is_empty() {
        return None;
    }
    let inline = match session.session_policy.as_deref() {
        None => None,
        Some(document) => match irsa_policy::Policy::parse(SESSION_POLICY, PolicyKind::Session, document) {
            Ok(policy) => Some(Arc::new(policy)),
            // It was checked when the session was made; leaving it out could leave a Deny out.
            Err(_) => return Some(Vec::new()),
        },
    };
    let account = state.account(caller.account);
    let managed = session
        .session_policy_arns
        .iter()
        .filter_map(|arn| account.and_then(|account| account.managed_policy(arn)));
    Some(inline.into_iter().chain(managed).collect())
}
