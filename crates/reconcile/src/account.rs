//! A service account with its role, as a file or flags ask for it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use irsa_core::Arn;

use crate::place::Place;
use crate::well_known::WellKnownPolicy;

/// The namespace of a service account that names none.
pub const DEFAULT_NAMESPACE: &str = "default";

/// `namespace/name`.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct ServiceAccountName {
    /// The namespace.
    pub namespace: String,
    /// The name.
    pub name: String,
}

impl ServiceAccountName {
    /// Makes a name of its parts.
    pub fn new(namespace: impl Into<String>, name: impl Into<String>) -> Self {
        Self {
            namespace: namespace.into(),
            name: name.into(),
        }
    }

    /// The `sub` claim of its tokens.
    /// See <https://kubernetes.io/docs/reference/access-authn-authz/service-accounts-admin/>.
    #[must_use]
    pub fn subject(&self) -> String {
        format!("system:serviceaccount:{}:{}", self.namespace, self.name)
    }
}

impl fmt::Display for ServiceAccountName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

/// What is asked for one service account. A field that is `None` was not given: creating takes it for empty, updating
/// leaves what is there.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ServiceAccount {
    /// Where it stands; `None` for flags.
    pub place: Option<Place>,
    /// Namespace and name.
    pub name: ServiceAccountName,
    /// Labels of the service account.
    pub labels: Option<BTreeMap<String, String>>,
    /// Annotations of the service account, but for that of the role.
    pub annotations: Option<BTreeMap<String, String>>,
    /// Managed policies to attach.
    pub attach_policy_arns: Option<BTreeSet<Arn>>,
    /// Policies of controllers that everybody runs.
    pub well_known_policies: Option<BTreeSet<WellKnownPolicy>>,
    /// An inline policy as compact JSON.
    pub attach_policy: Option<String>,
    /// A role that is there and stays as it is.
    pub attach_role_arn: Option<Arn>,
    /// The ARN of the policy that bounds the role.
    pub permissions_boundary: Option<Arn>,
    /// The role's name; derived if it is not given.
    pub role_name: Option<String>,
    /// Make no service account, only the role.
    pub role_only: bool,
    /// Tags of the role.
    pub tags: Option<BTreeMap<String, String>>,
    /// Stands for the name in the subject, with wildcards.
    pub subject_pattern: Option<String>,
}

impl ServiceAccount {
    /// A service account for which nothing is asked yet.
    #[must_use]
    pub fn new(name: ServiceAccountName) -> Self {
        Self {
            place: None,
            name,
            labels: None,
            annotations: None,
            attach_policy_arns: None,
            well_known_policies: None,
            attach_policy: None,
            attach_role_arn: None,
            permissions_boundary: None,
            role_name: None,
            role_only: false,
            tags: None,
            subject_pattern: None,
        }
    }

    /// Whether anything says what its role may do.
    #[must_use]
    pub fn has_policies(&self) -> bool {
        self.attach_policy.is_some()
            || self.attach_role_arn.is_some()
            || self.attach_policy_arns.as_ref().is_some_and(|arns| !arns.is_empty())
            || self
                .well_known_policies
                .as_ref()
                .is_some_and(|policies| !policies.is_empty())
    }
}
