use std::fmt;

use irsa_upstream::{EndpointError, TrustError};

use crate::XmlError;

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

    /// What its reader can do about it, if that is known.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Unreachable { .. } => Some("is the server running? start it with `irsa up`".to_owned()),
            Self::Deadline { .. } => Some("look at the server's log, it may be out of disk or busy".to_owned()),
            Self::Endpoint(_) => Some("an endpoint looks like `http://127.0.0.1:4700`".to_owned()),
            Self::Service(error) => match error.code.as_str() {
                "InvalidClientTokenId"
                | "UnrecognizedClientException"
                | "InvalidAccessKeyId"
                | "SignatureDoesNotMatch" => Some("the credentials are of another server: check `--data`".to_owned()),
                _ if error.status == 403 || error.code.starts_with("AccessDenied") => {
                    let id = error.request_id.as_ref()?;
                    Some(format!("`irsa explain {id}` shows why"))
                }
                _ => None,
            },
            Self::Unreadable { .. } => Some("is this endpoint an `irsa` server?".to_owned()),
            Self::Ca(_) | Self::Request { .. } => None,
        }
    }

    pub(crate) fn xml(endpoint: &impl fmt::Display, error: &XmlError) -> Self {
        Self::Unreadable {
            endpoint: endpoint.to_string(),
            reason: error.to_string(),
        }
    }
}

/// What a service answered instead of doing what it was asked: its own words.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ServiceError {
    /// The operation, such as `CreateRole` or `PUT /my-bucket`.
    pub operation: String,
    /// The error code, such as `AccessDenied`.
    pub code: String,
    /// The message; may be empty.
    pub message: String,
    /// The HTTP status.
    pub status: u16,
    /// The request's id, with which the audit journal knows it.
    pub request_id: Option<String>,
}

impl fmt::Display for ServiceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} failed with {}", self.operation, self.code)?;
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
