//! IAM's one error table.

use irsa_wire::WireError;

/// Why an IAM operation refuses. Codes, statuses and texts are AWS's, most of them recorded.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum IamError {
    /// 404.
    #[error("{0}")]
    NoSuchEntity(String),
    /// 409.
    #[error("{0}")]
    EntityAlreadyExists(String),
    /// 409.
    #[error("{0}")]
    DeleteConflict(String),
    /// 409.
    #[error("{0}")]
    LimitExceeded(String),
    /// 400.
    #[error("{0}")]
    MalformedPolicyDocument(String),
    /// 400.
    #[error("{0}")]
    InvalidInput(String),
    /// 400.
    #[error("{0}")]
    UnmodifiableEntity(String),
    /// 400.
    #[error("{0}")]
    PolicyNotAttachable(String),
    /// 409: somebody else changed the same entity again and again.
    #[error("{0}")]
    ConcurrentModification(String),
    /// 400: what [`irsa_wire`] found in the parameters.
    #[error("{0}")]
    Wire(WireError),
    /// 500.
    #[error("{0}")]
    Internal(String),
}

impl IamError {
    /// `Cannot exceed quota for X: N`.
    #[must_use]
    pub fn quota(name: &str, limit: usize) -> Self {
        Self::LimitExceeded(format!("Cannot exceed quota for {name}: {limit}"))
    }
}

impl From<WireError> for IamError {
    fn from(error: WireError) -> Self {
        Self::Wire(error)
    }
}

impl From<IamError> for WireError {
    fn from(error: IamError) -> Self {
        let (code, status, message) = match error {
            IamError::NoSuchEntity(message) => ("NoSuchEntity", 404, message),
            IamError::EntityAlreadyExists(message) => ("EntityAlreadyExists", 409, message),
            IamError::DeleteConflict(message) => ("DeleteConflict", 409, message),
            IamError::LimitExceeded(message) => ("LimitExceeded", 409, message),
            IamError::MalformedPolicyDocument(message) => ("MalformedPolicyDocument", 400, message),
            IamError::InvalidInput(message) => ("InvalidInput", 400, message),
            IamError::UnmodifiableEntity(message) => ("UnmodifiableEntity", 400, message),
            IamError::PolicyNotAttachable(message) => ("PolicyNotAttachable", 400, message),
            IamError::ConcurrentModification(message) => ("ConcurrentModification", 409, message),
            IamError::Wire(error) => return error,
            IamError::Internal(reason) => {
                return Self::new(
                    "ServiceFailure",
                    500,
                    "The request processing has failed because of an unknown error.",
                )
                .because(reason);
            }
        };
        Self::new(code, status, message)
    }
}
