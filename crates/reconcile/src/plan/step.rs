//! What is done.

use std::collections::BTreeMap;
use std::fmt;

use crate::account::ServiceAccountName;
use crate::plan::Resource;

/// One thing to do.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Step {
    /// Its index in the plan.
    pub id: usize,
    /// What to do.
    pub action: Action,
    /// The steps that must be done before, by index: all of them smaller than its own.
    pub after: Vec<usize>,
}

impl Step {
    /// What it changes: steps with one resource are to be run one after the other.
    #[must_use]
    pub fn resource(&self) -> Resource {
        match &self.action {
            Action::CreateProvider { arn, .. } | Action::AddClientId { arn, .. } => Resource::Provider(arn.clone()),
            Action::CreateRole { role, .. }
            | Action::TagRole { role, .. }
            | Action::UntagRole { role, .. }
            | Action::UpdateTrust { role, .. }
            | Action::PutRolePolicy { role, .. }
            | Action::DeleteRolePolicy { role, .. }
            | Action::AttachRolePolicy { role, .. }
            | Action::DetachRolePolicy { role, .. }
            | Action::PutBoundary { role, .. }
            | Action::DeleteBoundary { role }
            | Action::DeleteRole { role } => Resource::Role(role.clone()),
            Action::CreateNamespace { cluster, name } => Resource::Namespace {
                cluster: cluster.clone(),
                name: name.clone(),
            },
            Action::ApplyServiceAccount { cluster, name, .. }
            | Action::ReleaseServiceAccount { cluster, name, .. }
            | Action::DeleteServiceAccount { cluster, name, .. } => Resource::ServiceAccount {
                cluster: cluster.clone(),
                name: name.clone(),
            },
        }
    }
}

/// An API call. Whoever runs it takes "is there already" and "is not there" for success where that is what is wanted.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Action {
    /// `CreateOpenIDConnectProvider`.
    CreateProvider {
        /// Its ARN to be.
        arn: String,
        /// The issuer's URL.
        url: String,
        /// The audiences.
        client_ids: Vec<String>,
        /// The tags.
        tags: BTreeMap<String, String>,
    },
    /// `AddClientIDToOpenIDConnectProvider`.
    AddClientId {
        /// The provider.
        arn: String,
        /// The audience.
        client_id: String,
    },
    /// `CreateRole`.
    CreateRole {
        /// The name.
        role: String,
        /// The trust policy.
        trust: String,
        /// The permissions boundary.
        boundary: Option<String>,
        /// The description.
        description: String,
        /// All tags, those that say whose it is among them.
        tags: BTreeMap<String, String>,
    },
    /// `TagRole`.
    TagRole {
        /// The role.
        role: String,
        /// Tags to set.
        tags: BTreeMap<String, String>,
    },
    /// `UntagRole`.
    UntagRole {
        /// The role.
        role: String,
        /// Keys of tags to remove.
        keys: Vec<String>,
    },
    /// `UpdateAssumeRolePolicy`.
    UpdateTrust {
        /// The role.
        role: String,
        /// The trust policy.
        trust: String,
        /// The text that it was made of: if the role has another by now, plan anew.
        instead_of: String,
    },
    /// `PutRolePolicy`.
    PutRolePolicy {
        /// The role.
        role: String,
        /// The inline policy's name.
        policy: String,
        /// Its text.
        document: String,
    },
    /// `DeleteRolePolicy`.
    DeleteRolePolicy {
        /// The role.
        role: String,
        /// The inline policy's name.
        policy: String,
    },
    /// `AttachRolePolicy`.
    AttachRolePolicy {
        /// The role.
        role: String,
        /// The managed policy.
        arn: String,
    },
    /// `DetachRolePolicy`.
    DetachRolePolicy {
        /// The role.
        role: String,
        /// The managed policy.
        arn: String,
    },
    /// `PutRolePermissionsBoundary`.
    PutBoundary {
        /// The role.
        role: String,
        /// The managed policy.
        arn: String,
    },
    /// `DeleteRolePermissionsBoundary`.
    DeleteBoundary {
        /// The role.
        role: String,
    },
    /// `DeleteRole`.
    DeleteRole {
        /// The role.
        role: String,
    },
    /// Create a namespace.
    CreateNamespace {
        /// What the plan calls the cluster.
        cluster: String,
        /// The namespace.
        name: String,
    },
    /// Server-side apply with our field manager and `force`: these labels and annotations, and none else of ours.
    ApplyServiceAccount {
        /// What the plan calls the cluster.
        cluster: String,
        /// The account.
        name: ServiceAccountName,
        /// Its labels.
        labels: BTreeMap<String, String>,
        /// Its annotations.
        annotations: BTreeMap<String, String>,
        /// The `uid` of the account that is there: no other one is meant. `None` if there was none.
        uid: Option<String>,
    },
    /// Server-side apply with our field manager of an account without labels and annotations: what is ours goes.
    ReleaseServiceAccount {
        /// What the plan calls the cluster.
        cluster: String,
        /// The account.
        name: ServiceAccountName,
        /// Its `uid`: one that has gone is not to be made.
        uid: String,
    },
    /// Delete a service account, with its `uid` as precondition.
    DeleteServiceAccount {
        /// What the plan calls the cluster.
        cluster: String,
        /// The account.
        name: ServiceAccountName,
        /// Its `uid`.
        uid: String,
    },
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CreateProvider { arn, .. } => write!(f, "create OIDC provider {arn}"),
            Self::AddClientId { arn, client_id } => write!(f, "add audience {client_id} to {arn}"),
            Self::CreateRole { role, .. } => write!(f, "create role {role}"),
            Self::TagRole { role, .. } => write!(f, "tag role {role}"),
            Self::UntagRole { role, keys } => write!(f, "remove tags {} of role {role}", keys.join(", ")),
            Self::UpdateTrust { role, .. } => write!(f, "change the trust policy of role {role}"),
            Self::PutRolePolicy { role, policy, .. } => write!(f, "write inline policy {policy} of role {role}"),
            Self::DeleteRolePolicy { role, policy } => write!(f, "delete inline policy {policy} of role {role}"),
            Self::AttachRolePolicy { role, arn } => write!(f, "attach {arn} to role {role}"),
            Self::DetachRolePolicy { role, arn } => write!(f, "detach {arn} from role {role}"),
            Self::PutBoundary { role, arn } => write!(f, "bound role {role} by {arn}"),
            Self::DeleteBoundary { role } => write!(f, "remove the boundary of role {role}"),
            Self::DeleteRole { role } => write!(f, "delete role {role}"),
            Self::CreateNamespace { cluster, name } => write!(f, "create namespace {name} in {cluster}"),
            Self::ApplyServiceAccount { cluster, name, .. } => write!(f, "apply service account {name} in {cluster}"),
            Self::ReleaseServiceAccount { cluster, name, .. } => {
                write!(f, "let go of service account {name} in {cluster}")
            }
            Self::DeleteServiceAccount { cluster, name, .. } => {
                write!(f, "delete service account {name} in {cluster}")
            }
        }
    }
}
