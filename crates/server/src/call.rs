//! One call of any service but S3, and what became of it.

use irsa_audit::ObjectWriter;
use irsa_core::AccountId;
use irsa_iam::{Caller, Target};
use irsa_sigv4::RequestHead;
use irsa_sts::{Resource, WebIdentityUser};
use irsa_token::WebIdentityToken;
use irsa_wire::{OperationSpec, Params, Service, WireError};
use zeroize::Zeroizing;

use crate::snapshot::Snapshot;
use crate::{admin, trail};

/// An operation that exists, with its input.
pub(crate) enum Call {
    Iam(irsa_iam::Call),
    /// With the token of an exchange.
    Sts(irsa_sts::Call, Option<Zeroizing<String>>),
    Eks(irsa_eks::Call),
    CloudTrail(trail::Call),
    Irsa(admin::Call),
}

/// What became of a call, and what its record needs.
pub(crate) struct Done {
    /// What stands inside the envelope.
    pub(crate) result: Result<Option<String>, WireError>,
    pub(crate) request_parameters: Option<String>,
    pub(crate) response_elements: Option<String>,
    pub(crate) web_identity: Option<Holder>,
    pub(crate) unverified_claims: Option<String>,
    pub(crate) resources: Vec<Resource>,
    pub(crate) account: Option<AccountId>,
    pub(crate) allowed_by: Option<String>,
    /// Why policy refused it, sealed.
    pub(crate) authorization_message: Option<String>,
}

/// The holder of a web identity token whose signature is verified.
pub(crate) struct Holder {
    pub(crate) user: WebIdentityUser,
    /// The token's `jti`.
    pub(crate) token_id: Option<String>,
    /// The pod that the token is bound to and what belongs to it, as JSON.
    pub(crate) kubernetes: Option<String>,
}

impl Holder {
    pub(crate) fn new(user: WebIdentityUser, token: Option<&str>) -> Self {
        let token = token.and_then(|token| WebIdentityToken::parse(token).ok());
        let claims = token.as_ref().map(WebIdentityToken::claims);
        let text = |text: &str| text.chars().take(256).collect::<String>();
        let token_id = claims.and_then(|claims| claims.token_id.as_deref().map(text));
        let kubernetes = claims.and_then(|claims| claims.kubernetes().ok().flatten());
        let kubernetes = kubernetes.map(|claims| {
            let mut members = ObjectWriter::with_capacity(512);
            members.text("namespace", &text(claims.namespace));
            let objects = [
                ("serviceaccount", Some(claims.service_account)),
                ("pod", claims.pod),
                ("node", claims.node),
            ];
            for (kind, object) in objects {
                let Some(object) = object else { continue };
                members.open(kind).text("name", &text(object.name));
                members.text_if("uid", object.uid.map(text).as_deref()).close();
            }
            members.finish()
        });
        Self {
            user,
            token_id,
            kubernetes,
        }
    }
}

impl Done {
    pub(crate) fn failed(error: WireError) -> Self {
        Self::of(Err(error))
    }

    pub(crate) fn of(result: Result<Option<String>, WireError>) -> Self {
        Self {
            result,
            request_parameters: None,
            response_elements: None,
            web_identity: None,
            unverified_claims: None,
            resources: Vec::new(),
            account: None,
            allowed_by: None,
            authorization_message: None,
        }
    }
}

impl Call {
    pub(crate) fn iam(params: Params) -> Result<Self, (Service, WireError)> {
        irsa_iam::Call::new(params)
            .map(Self::Iam)
            .map_err(|error| (Service::Iam, error))
    }

    pub(crate) fn sts(params: Params) -> Result<Self, (Service, WireError)> {
        let exchanges = params.get("Action") == Some("AssumeRoleWithWebIdentity");
        let token = params.get("WebIdentityToken").filter(|_| exchanges);
        let token = token.map(|token| Zeroizing::new(token.to_owned()));
        irsa_sts::Call::new(params)
            .map(|call| Self::Sts(call, token))
            .map_err(|error| (Service::Sts, error))
    }

    /// The service that an unsigned Query call is for: by its operation's name, else by its version.
    pub(crate) fn query_service(action: &str, version: Option<&str>) -> Option<Service> {
        let iam = || {
            irsa_iam::OPERATIONS
                .iter()
                .flat_map(|rows| rows.iter())
                .any(|row| row.spec.name == action)
        };
        if irsa_sts::OPERATIONS.iter().any(|spec| spec.name == action) {
            Some(Service::Sts)
        } else if version == Some(Service::Iam.version()) || iam() {
            Some(Service::Iam)
        } else {
            None
        }
    }

    pub(crate) fn json(service: Service, head: &RequestHead<'_>, body: &[u8]) -> Result<Self, WireError> {
        match service {
            Service::Eks => irsa_eks::Call::new(head.method, head.path, head.query, body).map(Self::Eks),
            Service::Irsa => admin::Call::new(head.method, head.path, body).map(Self::Irsa),
            Service::CloudTrail => {
                let target = head.headers.get("x-amz-target").and_then(|target| target.to_str().ok());
                trail::Call::new(head.method, head.path, target, body).map(Self::CloudTrail)
            }
            Service::Iam | Service::Sts | Service::S3 => Err(WireError::new(
                "UnknownOperationException",
                404,
                "This service has no operations here.",
            )),
        }
    }

    pub(crate) fn spec(&self) -> &'static OperationSpec {
        match self {
            Self::Iam(call) => call.spec(),
            Self::Sts(call, _) => call.spec(),
            Self::CloudTrail(call) => call.spec(),
            Self::Eks(call) => call.spec(),
            Self::Irsa(call) => call.spec(),
        }
    }

    /// The questions for the policy engine, for operations that policy authorizes.
    pub(crate) fn targets(&self, snapshot: &Snapshot, caller: &Caller, region: &str) -> Result<Vec<Target>, WireError> {
        match self {
            Self::Iam(call) => Ok(call.targets(&snapshot.iam, caller)?),
            Self::Sts(call, _) => Ok(call.targets(caller)),
            Self::CloudTrail(call) => Ok(call.targets(caller)),
            Self::Eks(call) => Ok(call.targets(&snapshot.eks, caller.account, region)),
            Self::Irsa(call) => call.targets(snapshot, caller, region),
        }
    }

    /// CloudTrail's `requestParameters` as JSON.
    pub(crate) fn request_parameters(&self) -> Option<String> {
        match self {
            Self::Iam(call) => Some(irsa_iam::request_parameters(call.params()).to_string()),
            // STS makes its own, since its parameters hold tokens.
            Self::Sts(..) => None,
            Self::CloudTrail(call) => Some(call.request_parameters().to_string()),
            Self::Eks(call) => Some(call.request_parameters().to_string()),
            Self::Irsa(call) => Some(call.request_parameters().to_string()),
        }
    }
}
