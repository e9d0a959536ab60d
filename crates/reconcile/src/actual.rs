//! What is there: plain structs, filled by whoever does the IO.
//!
//! One call of `GetAccountAuthorizationDetails` a page fills all roles, one list a cluster all service accounts: an
//! account that does not change costs less than one call.

use std::collections::{BTreeMap, BTreeSet};

use crate::account::ServiceAccountName;

/// Everything that a plan is made of, beside what is wanted.
#[derive(Clone, Debug, Default)]
pub struct Actual {
    /// The roles of the AWS account. Whoever leaves some out must not leave out any that is tagged for one of the
    /// clusters, or is named.
    pub roles: Vec<Role>,
    /// The OIDC providers of the clusters, as far as there are any.
    pub providers: Vec<Provider>,
    /// The clusters, in the order of [`Desired::clusters`](crate::desired::Desired::clusters).
    pub clusters: Vec<KubernetesState>,
}

impl Actual {
    pub(crate) fn role(&self, name: &str) -> Option<&Role> {
        // Names that differ only in case are one name to IAM.
        self.roles.iter().find(|role| role.name.eq_ignore_ascii_case(name))
    }
}

/// A role with all that belongs to it.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Role {
    /// Its name.
    pub name: String,
    /// Its ARN.
    pub arn: String,
    /// The trust policy as JSON (IAM sends it percent-encoded).
    pub trust: String,
    /// Inline policies as JSON, by name.
    pub inline: BTreeMap<String, String>,
    /// The ARNs of the managed policies that are attached.
    pub attached: BTreeSet<String>,
    /// The ARN of the permissions boundary.
    pub boundary: Option<String>,
    /// Its tags.
    pub tags: BTreeMap<String, String>,
}

impl Role {
    /// The value of a tag. IAM does not tell keys apart that differ only in case, and keeps the case that it saw first.
    pub(crate) fn tag(&self, key: &str) -> Option<&str> {
        let found = self.tags.get(key).or_else(|| {
            let mut all = self.tags.iter();
            all.find(|(other, _)| other.eq_ignore_ascii_case(key))
                .map(|(_, value)| value)
        });
        found.map(String::as_str)
    }
}

/// An OIDC provider.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Provider {
    /// Its ARN.
    pub arn: String,
    /// The audiences that it accepts.
    pub client_ids: BTreeSet<String>,
}

/// What one cluster's Kubernetes API has.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct KubernetesState {
    /// The namespaces.
    pub namespaces: BTreeSet<String>,
    /// The service accounts.
    pub service_accounts: BTreeMap<ServiceAccountName, KubernetesAccount>,
}

/// A service account's metadata.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct KubernetesAccount {
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// Its annotations.
    pub annotations: BTreeMap<String, String>,
    /// The labels that our field manager ([`MANAGER`](crate::MANAGER)) owns, of `metadata.managedFields`.
    pub owned_labels: BTreeSet<String>,
    /// The annotations that our field manager owns.
    pub owned_annotations: BTreeSet<String>,
    /// Its `uid`, so that a deletion meets no other object of the name.
    pub uid: String,
}
