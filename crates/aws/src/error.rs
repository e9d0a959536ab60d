use std::fmt;

use irsa_core::AccountId;
use irsa_upstream::{EndpointError, TrustError};

use crate::XmlError;
use crate::endpoints::is_aws;
use crate::retry;

/// A call did not come to an answer that can be used.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The endpoint's URL is not one.
    #[error(transparent)]
    Endpoint(#[from] EndpointError),
    /// Nobody answers there, or not in HTTP.
    #[error("can't reach {endpoint}: {reason}")]
    Unreachable {
        /// The server.
        endpoint: String,
        /// What happened.
        reason: String,
    },
    /// The connection ended after the request had left: it may have been carried out.
    #[error("{endpoint} was lost before the answer to {operation} came: {reason}")]
    Lost {
        /// The server.
        endpoint: String,
        /// The operation.
        operation: String,
        /// What happened.
        reason: String,
    },
    /// The answer took too long.
    #[error("{endpoint} did not answer within {seconds} s")]
    Deadline {
        /// The server.
        endpoint: String,
        /// How long was waited.
        seconds: u64,
    },
    /// The service refused.
    #[error("{0}")]
    Service(Box<ServiceError>),
    /// The answer is not what the protocol says.
    #[error("{endpoint} sent an answer that can't be read: {reason}")]
    Unreadable {
        /// The server.
        endpoint: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A certificate authority can't be used.
    #[error(transparent)]
    Ca(#[from] TrustError),
    /// The request can't be made: its path or a value is not allowed in one.
    #[error("the request can't be made: {reason}")]
    Request {
        /// What is wrong with it.
        reason: String,
    },
    /// No source of credentials has any.
    #[error("there are no AWS credentials: {reason}")]
    Credentials {
        /// The sources' reasons; no secrets.
        reason: String,
    },
    /// The configuration files can't be read, or have no such profile.
    #[error("{reason}")]
    Profile {
        /// What is wrong.
        reason: String,
        /// The profiles that there are.
        known: Vec<String>,
    },
    /// A service that is one for each region was asked without a region.
    #[error("no AWS region is given")]
    Region,
}

impl ClientError {
    /// The refusal, if the service itself refused.
    #[must_use]
    pub fn service(&self) -> Option<&ServiceError> {
        match self {
            Self::Service(error) => Some(error),
            _ => None,
        }
    }

    /// Whether the service says that what was asked for is not there.
    #[must_use]
    pub fn is_not_found(&self) -> bool {
        self.has_code(&["NoSuchEntity", "NoSuchEntityException", "ResourceNotFoundException"])
    }

    /// Whether the service says that there is one of this name already.
    ///
    /// After a call whose answer was lost and that was sent again, it may be the one that the call itself made.
    #[must_use]
    pub fn is_already_there(&self) -> bool {
        self.has_code(&[
            "EntityAlreadyExists",
            "EntityAlreadyExistsException",
            "ResourceInUseException",
        ])
    }

    /// Whether the service says that the caller may not do this.
    #[must_use]
    pub fn is_denied(&self) -> bool {
        self.service().is_some_and(ServiceError::is_denied)
    }

    /// Whether calls came too fast, after all attempts.
    #[must_use]
    pub fn is_throttled(&self) -> bool {
        self.service().is_some_and(retry::is_throttled)
    }

    /// Whether the call may have been carried out though it failed: its answer is what is missing.
    #[must_use]
    pub fn may_have_happened(&self) -> bool {
        match self {
            Self::Lost { .. } | Self::Deadline { .. } | Self::Unreadable { .. } => true,
            Self::Service(error) => error.status >= 500,
            _ => false,
        }
    }

    /// What its reader can do about it, if that is known.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        let hint = |text: &str| Some(text.to_owned());
        match self {
            Self::Unreachable { endpoint, .. } if is_aws(endpoint) => {
                hint("is the region's name right, and does the network let HTTPS through to AWS?")
            }
            Self::Unreachable { .. } => hint("is the server running? start it with `irsa up`"),
            Self::Lost { .. } => hint("it may have been carried out all the same: look before you do it again"),
            Self::Deadline { endpoint, .. } if is_aws(endpoint) => {
                hint("it may have been carried out all the same: look before you do it again")
            }
            Self::Deadline { .. } => hint("look at the server's log, it may be out of disk or busy"),
            Self::Endpoint(_) => hint("an endpoint looks like `http://127.0.0.1:4700`"),
            Self::Service(error) => error.hint(),
            Self::Unreadable { endpoint, .. } if is_aws(endpoint) => {
                hint("is there a proxy between this machine and AWS that answers itself?")
            }
            Self::Unreadable { .. } => hint("is this endpoint an `irsa` server?"),
            Self::Credentials { .. } => hint(
                "for AWS, `aws configure` or `aws sso login` makes some, and `--profile` chooses; for a server of \
                 your own, `eval \"$(irsa env)\"`",
            ),
            Self::Profile { known, .. } if known.is_empty() => hint("`aws configure --profile NAME` makes one"),
            Self::Profile { known, .. } => Some(format!("the profiles are {}", known.join(", "))),
            Self::Region => hint("give `--region`, or set AWS_REGION or `region` of the profile"),
            Self::Ca(_) | Self::Request { .. } => None,
        }
    }

    fn has_code(&self, codes: &[&str]) -> bool {
        self.service().is_some_and(|error| codes.contains(&error.code.as_str()))
    }

    pub(crate) fn xml(endpoint: &impl fmt::Display, error: &XmlError) -> Self {
        Self::Unreadable {
            endpoint: endpoint.to_string(),
            reason: error.to_string(),
        }
    }
}

/// What a service answered instead of doing what it was asked: its own words.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct ServiceError {
    /// The operation, such as `CreateRole` or `PUT /my-bucket`.
    pub operation: String,
    /// What it was about, such as ``role `app` ``, if that is known.
    pub resource: Option<String>,
    /// The account of the credentials, once it is known.
    pub account: Option<AccountId>,
    /// The error code, such as `AccessDenied`.
    pub code: String,
    /// The message; may be empty.
    pub message: String,
    /// The HTTP status.
    pub status: u16,
    /// The request's id, with which the audit journal knows it.
    pub request_id: Option<String>,
    /// Who refused.
    pub server: Server,
}

/// Who answers: whoever reads a refusal can do different things about it.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Server {
    /// A server of our own, found by its data folder.
    #[default]
    Own,
    /// A server that is not AWS, by an endpoint of the environment or a profile.
    Configured,
    /// AWS.
    Aws,
}

impl ServiceError {
    /// Whether the caller may not do this.
    #[must_use]
    pub fn is_denied(&self) -> bool {
        matches!(
            self.code.as_str(),
            "AccessDenied" | "AccessDeniedException" | "UnauthorizedOperation" | "Forbidden" | "NotAuthorized"
        )
    }

    /// Whether the service took the credentials for ended.
    pub(crate) fn is_expired(&self) -> bool {
        matches!(
            self.code.as_str(),
            "ExpiredToken" | "ExpiredTokenException" | "TokenRefreshRequired"
        )
    }

    /// Whether the service took the signature for one of another time, or may have.
    pub(crate) fn is_of_another_time(&self) -> bool {
        match self.code.as_str() {
            "RequestTimeTooSkewed" | "RequestExpired" | "RequestInTheFuture" => true,
            "SignatureDoesNotMatch" | "InvalidSignatureException" | "AuthFailure" => {
                self.message.contains("Signature expired") || self.message.contains("Signature not yet current")
            }
            _ => false,
        }
    }

    fn hint(&self) -> Option<String> {
        let hint = |text: &str| Some(text.to_owned());
        if retry::is_throttled(self) {
            return hint("calls come too fast for the account; run it again, it goes on where it stopped");
        }
        if self.is_expired() {
            return match self.server {
                Server::Aws => hint("log in again (`aws sso login`), or get new credentials; then run it again"),
                Server::Own | Server::Configured => hint("get new credentials; then run it again"),
            };
        }
        if self.is_of_another_time() {
            return hint("is this machine's clock right?");
        }
        match (self.code.as_str(), self.server) {
            (
                "InvalidClientTokenId"
                | "UnrecognizedClientException"
                | "InvalidAccessKeyId"
                | "SignatureDoesNotMatch"
                | "InvalidSignatureException"
                | "AuthFailure",
                server,
            ) => match server {
                Server::Own => hint("the credentials are of another server: check `--data`"),
                Server::Configured => {
                    hint("the credentials are of another server: `eval \"$(irsa env)\"` sets those of the server here")
                }
                Server::Aws => hint(
                    "the credentials are not valid here: `aws sts get-caller-identity` tries them; are they of another \
                     partition, or of a server of your own while AWS_ENDPOINT_URL is not set?",
                ),
            },
            ("LimitExceeded" | "LimitExceededException" | "ServiceQuotaExceededException", Server::Aws) => {
                hint("ask for more in Service Quotas: `aws service-quotas list-service-quotas --service-code iam`")
            }
            ("ResourceNotFoundException", server) if self.operation == "DescribeCluster" => match server {
                Server::Aws => {
                    hint("is it in another region, or another account? `aws eks list-clusters` lists those here")
                }
                Server::Own | Server::Configured => hint("`irsa cluster list` lists those that there are"),
            },
            ("OptInRequired" | "RegionDisabledException", Server::Aws) => {
                hint("enable the region for this account, or give another `--region`")
            }
            (_, server) if self.status == 403 || self.code.starts_with("AccessDenied") => match server {
                Server::Aws => {
                    let service = match self.operation.as_str() {
                        "DescribeCluster" | "CreateCluster" => "eks",
                        "GetCallerIdentity" => "sts",
                        _ => "iam",
                    };
                    Some(format!(
                        "the caller (`aws sts get-caller-identity`) needs `{service}:{}` for this",
                        self.operation
                    ))
                }
                Server::Own | Server::Configured => {
                    let id = self.request_id.as_ref()?;
                    Some(format!("`irsa explain {id}` shows why"))
                }
            },
            _ => None,
        }
    }
}

impl fmt::Display for ServiceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.operation)?;
        if let Some(resource) = &self.resource {
            write!(f, " of {resource}")?;
        }
        if let Some(account) = &self.account {
            write!(f, " in account {account}")?;
        }
        write!(f, " failed with {}", self.code)?;
        if !self.message.is_empty() {
            write!(f, ": {}", self.message)?;
        }
        Ok(())
    }
}

impl std::error::Error for ServiceError {}

impl From<ServiceError> for ClientError {
    fn from(error: ServiceError) -> Self {
        Self::Service(Box::new(error))
    }
}
