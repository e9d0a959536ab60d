//! EKS's one error table.

use irsa_wire::WireError;

/// Why an operation refuses.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum EksError {
    /// 404.
    #[error("{0}")]
    ResourceNotFound(String),
    /// 409.
    #[error("{0}")]
    ResourceInUse(String),
    /// 400.
    #[error("{0}")]
    InvalidParameter(String),
    /// 400.
    #[error("{0}")]
    ResourceLimitExceeded(String),
    /// 400: what the operations on tags call an invalid parameter.
    #[error("{0}")]
    BadRequest(String),
    /// 404: what the operations on tags call a resource that is not there.
    #[error("{0}")]
    NotFound(String),
    /// 404: no such operation.
    #[error("{0}")]
    UnknownOperation(String),
    /// 500.
    #[error("{0}")]
    Internal(String),
}

impl From<EksError> for WireError {
    fn from(error: EksError) -> Self {
        let (code, status, message) = match error {
            EksError::ResourceNotFound(message) => ("ResourceNotFoundException", 404, message),
            EksError::ResourceInUse(message) => ("ResourceInUseException", 409, message),
            EksError::InvalidParameter(message) => ("InvalidParameterException", 400, message),
            EksError::ResourceLimitExceeded(message) => ("ResourceLimitExceededException", 400, message),
            EksError::BadRequest(message) => ("BadRequestException", 400, message),
            EksError::NotFound(message) => ("NotFoundException", 404, message),
            EksError::UnknownOperation(message) => ("UnknownOperationException", 404, message),
            EksError::Internal(reason) => {
                return Self::new("ServerException", 500, "An internal error occurred. Try again later.")
                    .because(reason);
            }
        };
        Self::new(code, status, message)
    }
}
