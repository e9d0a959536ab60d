//! What can be wrong with a request, and with a file of rules.

/// Why a request is refused before any policy is asked. The texts name places, never values of the request.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum GatewayError {
    /// No rules for the service, or none for the protocol, target or version that the request uses.
    #[error("the gateway has no rules for {0}")]
    UnknownService(String),
    /// The service is known, the operation is not, and unknown ones are refused.
    #[error("the gateway has no rule for the operation `{0}`")]
    UnknownOperation(String),
    /// The rules know no resource for the operation, and such ones are refused.
    #[error("the gateway's rules can't tell which resource `{0}` is about")]
    UnknownResource(String),
    /// The rules refuse the operation.
    #[error("the gateway does not forward `{operation}`: {reason}")]
    Refused {
        /// The operation.
        operation: String,
        /// Why.
        reason: String,
    },
    /// The request is no call of the service's protocol.
    #[error("the request is no call of the service's protocol: {0}")]
    Protocol(&'static str),
    /// The request can be read in two ways.
    #[error("the request can be read in two ways: {0}")]
    Ambiguous(String),
    /// The decision needs the body, which is not there.
    #[error("the decision on {0} needs the request's body, which the proxy does not send")]
    BodyUnseen(String),
    /// The body can't be read.
    #[error("the body can't be read: {0}")]
    Body(String),
    /// A parameter that names a resource is missing.
    #[error("the parameter `{0}` is missing")]
    Missing(String),
    /// A parameter has a value that names no resource, or one of a wrong kind.
    #[error("the value of the parameter `{parameter}` is not accepted: {reason}")]
    Value {
        /// The parameter.
        parameter: String,
        /// Why.
        reason: &'static str,
    },
}

/// What is wrong with a file of rules, and where.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("line {line}, column {column}: {problem}")]
pub struct RulesError {
    /// The line, from 1.
    pub line: usize,
    /// The column, from 1.
    pub column: usize,
    /// What is wrong there.
    pub problem: String,
}

impl From<serde_json::Error> for RulesError {
    fn from(error: serde_json::Error) -> Self {
        let text = error.to_string();
        let problem = text
            .rsplit_once(" at line ")
            .map_or(text.as_str(), |(problem, _)| problem);
        Self {
            line: error.line(),
            column: error.column(),
            problem: problem.to_owned(),
        }
    }
}
