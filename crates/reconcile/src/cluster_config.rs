//! eksctl's ClusterConfig (`eksctl.io/v1alpha5`), the part that concerns service accounts.
//!
//! [`read`] finds everything that is wrong at once, each with its place; parts that concern other things are accepted and
//! left alone. Where eksctl checks the same, its message is kept; most of the checks are ours.
//!
//! See <https://eksctl.io/usage/schema/>.

mod check;
mod fields;
mod read;
mod tree;

use std::collections::BTreeMap;
use std::sync::Arc;

use miette::{NamedSource, Severity};

use crate::account::ServiceAccount;
use crate::desired::{Cluster, Request};
use crate::place::{Place, Problem, source};
use read::Reader;

/// One ClusterConfig.
#[derive(Clone, Debug)]
pub struct ClusterConfig {
    /// Where it begins.
    pub place: Place,
    /// `metadata.name`.
    pub name: String,
    /// `metadata.region`.
    pub region: String,
    /// `metadata.tags`: for every role.
    pub tags: BTreeMap<String, String>,
    /// `iam.withOIDC`; `None` if it is not given.
    pub with_oidc: Option<bool>,
    /// `iam.serviceAccounts`; `None` if it is not given.
    pub service_accounts: Option<Vec<ServiceAccount>>,
    /// Whether eksctl itself gives `kube-system/aws-node` a role: no `vpc-cni` among `addons`, and no
    /// `addonsConfig.disableDefaultAddons`. `delete --only-missing` then leaves that account alone.
    pub implies_aws_node: bool,
}

impl ClusterConfig {
    /// What it asks for, of the cluster that EKS knows by its name.
    #[must_use]
    pub fn request(&self, cluster: Cluster) -> Request {
        Request {
            cluster,
            tags: self.tags.clone(),
            accounts: self.service_accounts.clone().unwrap_or_default(),
        }
    }
}

/// What files hold, and everything that is to be said about them.
#[derive(Clone, Debug, Default)]
pub struct Configuration {
    /// The clusters, in the order of files and documents. Not to be used if there are errors.
    pub clusters: Vec<ClusterConfig>,
    /// Errors, warnings and notes, in the order of places.
    pub problems: Vec<Problem>,
}

impl Configuration {
    /// Whether there is an error, so that nothing may be done.
    #[must_use]
    pub fn has_errors(&self) -> bool {
        self.problems.iter().any(Problem::is_error)
    }
}

/// Reads files, given as names and texts. A file may hold several documents, and so several clusters.
#[must_use]
pub fn read<'f>(files: impl IntoIterator<Item = (&'f str, &'f str)>) -> Configuration {
    let mut configuration = Configuration::default();
    for (name, text) in files {
        let file: Arc<str> = name.into();
        let shown: Arc<str> = source(text).into();
        let mut reader = Reader::new(NamedSource::new(name, Arc::clone(&shown)));
        match tree::documents(&file, text) {
            Err(unreadable) => {
                reader.say(
                    Severity::Error,
                    format!("`{name}` is no YAML: {}", unreadable.message),
                    unreadable.place.as_ref(),
                    None,
                );
            }
            Ok(documents) if documents.is_empty() => {
                reader.say(Severity::Error, format!("`{name}` holds no ClusterConfig"), None, None);
            }
            Ok(documents) => {
                for document in &documents {
                    let cluster = reader.cluster(document);
                    configuration.clusters.extend(cluster);
                }
            }
        }
        let mut problems = reader.problems;
        problems.sort_by_key(|problem| problem.place.as_ref().map(|place| place.offset));
        configuration.problems.append(&mut problems);
        clusters_are_unique(&mut configuration, name, &shown);
    }
    configuration
}

fn clusters_are_unique(configuration: &mut Configuration, name: &str, text: &Arc<str>) {
    let clusters = &configuration.clusters;
    let mut problems = Vec::new();
    for (index, cluster) in clusters.iter().enumerate() {
        let same = |other: &&ClusterConfig| other.name == cluster.name && other.region == cluster.region;
        let Some(first) = clusters.iter().take(index).find(same) else {
            continue;
        };
        if &*cluster.place.file == name {
            problems.push(Problem {
                severity: Severity::Error,
                message: format!(
                    "cluster `{}` of region `{}` is described twice",
                    cluster.name, cluster.region
                ),
                help: Some(format!("the first time at {}", first.place)),
                place: Some(cluster.place.clone()),
                source: Some(NamedSource::new(name, Arc::clone(text))),
            });
        }
    }
    configuration.problems.append(&mut problems);
}

#[cfg(test)]
mod tests;
