//! What goes wrong, in words for whoever runs this.

use std::time::Duration;

/// Why there is no way to a cluster. Asking again changes nothing: a file, a variable or an option is wrong.
#[derive(Debug, thiserror::Error)]
pub enum ClusterError {
    /// The pod's own files and variables.
    #[error("not inside of a cluster: {0}")]
    InCluster(String),
    /// There is no kubeconfig file where one is looked for.
    #[error("there is no kubeconfig: {0}")]
    NoKubeconfig(String),
    /// The kubeconfig file.
    #[error("the kubeconfig can't be used: {0}")]
    Kubeconfig(String),
    /// The URL of an option.
    #[error("`{0}` is not the URL of an API server")]
    Url(String),
    /// The program that a kubeconfig names for credentials.
    #[error("the kubeconfig's plugin for credentials: {0}")]
    Plugin(String),
    /// Certificates and keys that are named by it.
    #[error("no client for this cluster: {0}")]
    Client(String),
}

/// Why one call brought nothing.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum CallError {
    /// The API server answered, and not what was hoped for.
    #[error("the API server says {code}: {message}")]
    Refused {
        /// The HTTP status.
        code: u16,
        /// Kubernetes' word for it, such as `NotFound`.
        reason: String,
        /// Its text.
        message: String,
    },
    /// The API server does not know who we are.
    #[error(
        "the API server does not accept the credentials (401): {0}; on EKS, an IAM principal without an access entry gets the same answer"
    )]
    Unauthenticated(String),
    /// We may not: an operator has to grant it.
    #[error(
        "no permission to {verb} {resource}{}: {message}",
        .namespace.as_deref().map(|namespace| format!(" in the namespace `{namespace}`")).unwrap_or_default()
    )]
    Forbidden {
        /// The verb of authorization.
        verb: &'static str,
        /// The resource, or the path of what is none.
        resource: &'static str,
        /// The namespace of the object.
        namespace: Option<String>,
        /// The API server's text.
        message: String,
    },
    /// Nothing is made in a namespace that goes.
    #[error("the namespace `{0}` is being deleted: wait until it is gone, then run this again")]
    NamespaceTerminating(String),
    /// No answer in time.
    #[error("the API server did not answer within {} ms", .0.as_millis())]
    Deadline(Duration),
    /// No connection, no TLS, no credentials, or no answer that can be read.
    #[error("the API server can't be asked: {0}")]
    Unreachable(String),
}

impl CallError {
    /// The object is not there.
    #[must_use]
    pub fn is_not_found(&self) -> bool {
        matches!(self, Self::Refused { code: 404, .. })
    }

    /// Somebody else was faster: the object has changed since it was read, or is there already.
    #[must_use]
    pub fn is_conflict(&self) -> bool {
        matches!(self, Self::Refused { code: 409, .. })
    }

    /// What was sent is wrong, whoever asks and whenever.
    pub(crate) fn is_invalid(&self) -> bool {
        matches!(self, Self::Refused { code: 422, .. })
    }

    /// We may not: an operator has to grant it.
    #[must_use]
    pub fn is_forbidden(&self) -> bool {
        matches!(
            self,
            Self::Refused { code: 401 | 403, .. } | Self::Unauthenticated(_) | Self::Forbidden { .. }
        )
    }
}

impl From<kube::Error> for CallError {
    fn from(error: kube::Error) -> Self {
        match error {
            kube::Error::Api(status) => Self::Refused {
                code: status.code,
                reason: status.reason,
                message: status.message,
            },
            other => Self::Unreachable(chain(&other)),
        }
    }
}

/// An error with its causes: those of HTTP clients say little alone.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let more = error.to_string();
        if !text.ends_with(&more) {
            text.push_str(": ");
            text.push_str(&more);
        }
        cause = error.source();
    }
    text
}

/// The innermost cause: what the network, TLS or the system said; what is around it are names of layers.
pub(crate) fn deepest(error: &dyn std::error::Error) -> String {
    let mut error = error;
    while let Some(cause) = error.source() {
        error = cause;
    }
    error.to_string()
}
