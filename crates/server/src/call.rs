//! One call of any service but S3, and what became of it.

use irsa_core::AccountId;
use irsa_iam::{Caller, Target};
use irsa_sigv4::RequestHead;
use irsa_sts::{Resource, WebIdentityUser};
use irsa_wire::{OperationSpec, Params, Service, WireError};

use crate::snapshot::Snapshot;
use crate::{admin, trail};

/// An operation that exists, with its input.
pub(crate) enum Call {
    Iam(irsa_iam::Call),
    Sts(irsa_sts::Call),
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
    pub(crate) web_identity: Option<WebIdentityUser>,
    pub(crate) unverified_claims: Option<String>,
    pub(crate) resources: Vec<Resource>,
    pub(crate) account: Option<AccountId>,
    pub(crate) allowed_by: Option<String>,
    /// Why policy refused it, sealed.
    pub(crate) authorization_message: Option<String>,
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
        irsa_sts::Call::new(params)
            .map(Self::Sts)
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
            Self::Sts(call) => call.spec(),
            Self::CloudTrail(call) => call.spec(),
            Self::Eks(call) => call.spec(),
            Self::Irsa(call) => call.spec(),
        }
    }

    /// The questions for the policy engine, for operations that policy authorizes.
    pub(crate) fn targets(&self, snapshot: &Snapshot, caller: &Caller, region: &str) -> Result<Vec<Target>, WireError> {
        match self {
            Self::Iam(call) => Ok(call.targets(&snapshot.iam, caller)?),
            Self::Sts(call) => Ok(call.targets(caller)),
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
            Self::Sts(_) => None,
            Self::CloudTrail(call) => Some(call.request_parameters().to_string()),
            Self::Eks(call) => Some(call.request_parameters().to_string()),
            Self::Irsa(call) => Some(call.request_parameters().to_string()),
        }
    }
}
