//! STS's operations: one table, one row an operation.

use irsa_core::{AccountId, Timestamp};
use irsa_credentials::EpochKeys;
use irsa_iam::{Caller, RequestFacts, State, Target};
use irsa_oidc::Trusted;
use irsa_wire::{Access, EventKind, OperationSpec, Params, Service, WireError};

use crate::error::StsError;
use crate::{access_key_info, assume_role, caller_identity, decode_message, session_token, web_identity};

/// What a call may know.
pub struct Environment<'a> {
    /// Accounts, roles, providers.
    pub iam: &'a State,
    /// Issuers that we host, and those whose keys were given.
    pub hosted: &'a irsa_oidc::State,
    /// Issuers that we fetch from.
    pub trusted: &'a Trusted,
    /// What sessions are sealed with.
    pub epoch_keys: &'a EpochKeys,
    /// Address, time and so on of the request.
    pub facts: &'a RequestFacts<'a>,
    /// Who signed; `None` for anonymous calls.
    pub caller: Option<&'a Caller>,
}

impl Environment<'_> {
    pub(crate) fn now(&self) -> Timestamp {
        self.facts.now
    }

    pub(crate) fn caller(&self) -> Result<&Caller, StsError> {
        self.caller
            .ok_or_else(|| StsError::Internal("a signed operation was run without a caller".to_owned()))
    }
}

/// A resource that an audit record names.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Resource {
    /// Its owner.
    pub account: AccountId,
    /// CloudFormation's type name, such as `AWS::IAM::Role`.
    pub kind: &'static str,
    /// Its ARN.
    pub arn: String,
}

/// The holder of a web identity token whose signature is verified, for the audit record: CloudTrail's `WebIdentityUser`, and what else finds it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct WebIdentityUser {
    /// ARN of the provider.
    pub provider_arn: String,
    /// The accepted audience.
    pub audience: String,
    /// The subject.
    pub subject: String,
    /// The token's `jti`.
    pub token_id: Option<String>,
    /// The pod that the token is bound to and what belongs to it, as JSON.
    pub kubernetes: Option<String>,
}

/// A successful answer, before the envelope.
#[derive(Clone, Debug)]
pub struct Answer {
    /// What stands inside `<OperationResult>`.
    pub result: String,
    /// CloudTrail's `responseElements` as JSON, without secrets.
    pub response_elements: Option<String>,
}

/// A finished call: the answer or the refusal, and what the audit record needs of both.
pub struct Exchange {
    /// What the caller gets.
    pub outcome: Result<Answer, StsError>,
    /// CloudTrail's `requestParameters` as JSON.
    pub request_parameters: Option<String>,
    /// The token's holder, once its signature was verified.
    pub web_identity: Option<WebIdentityUser>,
    /// What an unverified token claims, as JSON: for the record of a failure, marked as such.
    pub unverified_claims: Option<String>,
    /// The role.
    pub resources: Vec<Resource>,
}

impl Exchange {
    pub(crate) fn of(outcome: Result<Answer, StsError>) -> Self {
        Self {
            outcome,
            request_parameters: None,
            web_identity: None,
            unverified_claims: None,
            resources: Vec::new(),
        }
    }
}

/// The rows.
pub static OPERATIONS: [OperationSpec; 6] = [
    row(
        "AssumeRoleWithWebIdentity",
        "sts:AssumeRoleWithWebIdentity",
        Access::Anonymous,
        true,
    ),
    row("AssumeRole", "sts:AssumeRole", Access::Delegated, true),
    row(
        "GetCallerIdentity",
        "sts:GetCallerIdentity",
        Access::Authenticated,
        true,
    ),
    row("GetSessionToken", "sts:GetSessionToken", Access::Authenticated, false),
    row("GetAccessKeyInfo", "sts:GetAccessKeyInfo", Access::Authorized, true),
    row(
        "DecodeAuthorizationMessage",
        "sts:DecodeAuthorizationMessage",
        Access::Authorized,
        true,
    ),
];

const fn row(name: &'static str, action: &'static str, access: Access, read_only: bool) -> OperationSpec {
    OperationSpec {
        service: Service::Sts,
        name,
        action,
        access,
        read_only,
        kind: EventKind::Management,
    }
}

/// One call of an operation that exists.
pub struct Call {
    spec: &'static OperationSpec,
    params: Params,
}

impl Call {
    /// Finds the operation that `Action` names.
    ///
    /// # Errors
    /// `InvalidAction`, 400, in AWS's words.
    pub fn new(params: Params) -> Result<Self, WireError> {
        let action = params.get("Action").unwrap_or_default();
        let version = params.get("Version").unwrap_or(Service::Sts.version());
        match OPERATIONS.iter().find(|spec| spec.name == action) {
            Some(spec) if version == Service::Sts.version() => Ok(Self { spec, params }),
            _ => {
                let (action, version): (String, String) =
                    (action.chars().take(128).collect(), version.chars().take(32).collect());
                Err(WireError::new(
                    "InvalidAction",
                    400,
                    format!("Could not find operation {action} for version {version}"),
                ))
            }
        }
    }

    /// Name, action, access.
    #[must_use]
    pub fn spec(&self) -> &'static OperationSpec {
        self.spec
    }

    /// The questions to ask before [`Call::run`], for operations that policy authorizes.
    #[must_use]
    pub fn targets(&self, caller: &Caller) -> Vec<Target> {
        match self.spec.access {
            Access::Authorized => {
                let target = Target::new(self.spec.action, "*", caller.account);
                // Recorded: this refusal alone names no resource.
                let bare = self.spec.name == "DecodeAuthorizationMessage";
                vec![if bare { target.shown_as("") } else { target }]
            }
            Access::Anonymous | Access::Authenticated | Access::Delegated => Vec::new(),
        }
    }

    /// The account that an anonymous call is about, as far as its parameters tell: whose audit trail a failure belongs to.
    #[must_use]
    pub fn account(&self) -> Option<AccountId> {
        self.params.get("RoleArn")?.split(':').nth(4)?.parse().ok()
    }

    /// Runs the operation.
    pub async fn run(&self, environment: &Environment<'_>) -> Exchange {
        match self.spec.name {
            "AssumeRoleWithWebIdentity" => web_identity::run(&self.params, environment).await,
            "AssumeRole" => assume_role::run(&self.params, environment),
            "GetCallerIdentity" => Exchange::of(caller_identity::run(environment)),
            "GetSessionToken" => session_token::run(&self.params, environment),
            "GetAccessKeyInfo" => access_key_info::run(&self.params, environment),
            "DecodeAuthorizationMessage" => Exchange::of(decode_message::run(&self.params, environment)),
            name => Exchange::of(Err(StsError::Internal(format!("the operation `{name}` has no code")))),
        }
    }
}
