//! The Kubernetes API of a cluster: found, reached, and known to be the one that is meant.

use std::time::Duration;

use irsa_aws::ClusterDescription;
use irsa_kubernetes::{BearerToken, CallError, Cluster, ClusterOptions, Location, TokenSource, has_kubeconfig, issuer};
use irsa_reconcile::desired::Issuer;

use crate::cli::iamserviceaccount::Access;
use crate::failure::Failure;
use crate::output;

/// The contexts of `--context`, one for each cluster.
///
/// # Errors
/// What is wrong with them.
pub(super) fn contexts(given: &[String], clusters: &[&str]) -> Result<Vec<Option<String>>, String> {
    let mut contexts: Vec<Option<String>> = vec![None; clusters.len()];
    for text in given {
        let named = text
            .split_once('=')
            .and_then(|(cluster, context)| Some((clusters.iter().position(|name| *name == cluster)?, context)));
        match (named, clusters.len()) {
            (Some((index, context)), _) => {
                if contexts.get(index).is_some_and(Option::is_some) {
                    return Err(format!(
                        "--context is given twice for the cluster `{}`",
                        clusters[index]
                    ));
                }
                contexts[index] = Some(context.to_owned());
            }
            (None, 0) => {}
            (None, 1) if contexts[0].is_none() => contexts[0] = Some(text.clone()),
            (None, 1) => return Err("--context is given twice".to_owned()),
            (None, _) => {
                return Err(format!(
                    "--context `{text}` names none of the clusters: with several, `CLUSTER=CONTEXT` is needed"
                ));
            }
        }
    }
    Ok(contexts)
}

/// How long before its end a token is no longer used.
const MARGIN: Duration = Duration::from_secs(60);

/// How long one call may take.
const DEADLINE: Duration = Duration::from_secs(30);

/// A way to the Kubernetes API of a cluster.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Way {
    /// A kubeconfig or context that was given.
    Given,
    /// The current context.
    Current,
    /// The endpoint that EKS tells.
    Endpoint,
    /// Of a pod.
    InCluster,
}

/// Where no Kubernetes API is configured at all.
#[derive(Debug, thiserror::Error)]
#[error(
    "no Kubernetes API of cluster `{name}` is known: EKS names no endpoint, and {kubeconfig} has no current context"
)]
pub(super) struct NowhereError {
    name: String,
    kubeconfig: String,
}

impl NowhereError {
    fn new(name: &str) -> Self {
        let list = std::env::var("KUBECONFIG").ok().filter(|list| !list.is_empty());
        Self {
            name: name.to_owned(),
            kubeconfig: list.map_or_else(|| "~/.kube/config".to_owned(), |list| format!("KUBECONFIG=`{list}`")),
        }
    }
}

/// What is needed to reach a cluster's API.
pub(super) struct Reach<'r> {
    pub(super) name: &'r str,
    pub(super) description: &'r ClusterDescription,
    pub(super) issuer: Option<&'r Issuer>,
    pub(super) context: Option<&'r str>,
    pub(super) access: &'r Access,
    pub(super) eks: &'r irsa_aws::Eks,
    /// How long a call may take, and be tried.
    pub(super) patience: Duration,
}

impl Reach<'_> {
    /// Connects, and sees whose tokens the API server issues: a kubeconfig may speak of any cluster.
    ///
    /// # Errors
    /// There is no way ([`NowhereError`]), it leads nowhere, or to another cluster.
    pub(super) async fn connect(&self) -> anyhow::Result<Cluster> {
        let ways = self.ways();
        let mut other: Option<anyhow::Error> = None;
        for way in ways {
            let connected = Cluster::connect(&self.options(way)).await;
            let cluster = match connected {
                Ok(cluster) => cluster,
                // Nobody has asked for it.
                Err(error) if way == Way::Current && self.description.endpoint.is_some() => {
                    other.get_or_insert_with(|| error.into());
                    continue;
                }
                Err(error) => return Err(self.failure(error).into()),
            };
            match self.verify(way, &cluster).await {
                Ok(()) => return Ok(cluster),
                Err(error) if way == Way::Current => {
                    other.get_or_insert(error);
                }
                Err(error) => return Err(error),
            }
        }
        Err(other.unwrap_or_else(|| NowhereError::new(self.name).into()))
    }

    fn ways(&self) -> Vec<Way> {
        if self.access.kubeconfig.is_some() || self.context.is_some() {
            return vec![Way::Given];
        }
        let mut ways = Vec::new();
        if has_kubeconfig() {
            ways.push(Way::Current);
        }
        if self.description.endpoint.is_some() {
            ways.push(Way::Endpoint);
        } else if ways.is_empty() && std::env::var_os("KUBERNETES_SERVICE_HOST").is_some() {
            ways.push(Way::InCluster);
        }
        ways
    }

    fn options(&self, way: Way) -> ClusterOptions {
        let location = match way {
            Way::Given | Way::Current => Location::Kubeconfig {
                path: self.access.kubeconfig.clone(),
                context: self.context.map(str::to_owned),
            },
            Way::Endpoint => {
                let eks = self.eks.clone();
                // A cluster on an Outpost is called by its id.
                let name = self.description.id.clone().unwrap_or_else(|| self.name.to_owned());
                Location::Address {
                    server: self.description.endpoint.clone().unwrap_or_default(),
                    certificate_authority: self.description.certificate_authority.clone(),
                    token: TokenSource::new(move || {
                        let (eks, name) = (eks.clone(), name.clone());
                        async move {
                            let token = eks.cluster_token(&name).await.map_err(|error| error.to_string())?;
                            // Another one costs no call, so it need not be made before the end.
                            Ok(BearerToken::new(token.as_str(), Some(token.until() + MARGIN)))
                        }
                    }),
                }
            }
            Way::InCluster => Location::InCluster,
        };
        ClusterOptions {
            location,
            calls_per_second: 0,
            deadline: self.patience.min(DEADLINE),
            patience: self.patience,
            ..ClusterOptions::default()
        }
    }

    /// The API server's own word on its issuer, or else its address, must be that of the cluster.
    async fn verify(&self, way: Way, cluster: &Cluster) -> anyhow::Result<()> {
        let Some(expected) = self.issuer else { return Ok(()) };
        // EKS itself names the address, so it is the cluster's.
        if way == Way::Endpoint {
            return Ok(());
        }
        let server = cluster.server();
        match issuer(cluster).await {
            Ok(found) => {
                if is_issuer(&found, expected) {
                    return Ok(());
                }
                let context = match cluster.context() {
                    Some(context) => format!("the context `{context}`"),
                    None => "the API server that is reached".to_owned(),
                };
                Err(Failure::new(format!(
                    "{context} is not of cluster `{}`: its API server {server} issues tokens of `{found}`, the cluster of `{}`",
                    self.name,
                    expected.url()
                ))
                .hint("name the cluster's own context with `--context`, or its file with `--kubeconfig`")
                .into())
            }
            Err(error @ (CallError::Deadline(_) | CallError::Unreachable(_))) => Err(self.failure(error).into()),
            Err(error @ CallError::Unauthenticated(_)) => Err(self.failure(error).into()),
            Err(error) => {
                let endpoint = self.description.endpoint.as_deref().unwrap_or_default();
                if server.trim_end_matches('/') == endpoint.trim_end_matches('/') {
                    return Ok(());
                }
                if self.context.is_some() {
                    output::warning(format_args!(
                        "whether {server} is the API server of cluster `{}` could not be seen: {error}",
                        self.name
                    ));
                    return Ok(());
                }
                Err(Failure::new(format!(
                    "whether {server} is the API server of cluster `{}` cannot be seen",
                    self.name
                ))
                .hint("name the context with `--context`: it is then taken at your word")
                .caused_by(error)
                .into())
            }
        }
    }

    fn failure(&self, error: impl Into<anyhow::Error>) -> Failure {
        Failure::new(format!("the Kubernetes API of cluster `{}` can't be used", self.name))
            .hint("`--kubeconfig` and `--context` say how to reach it; `--role-only` leaves Kubernetes alone")
            .caused_by(error)
    }
}

fn is_issuer(found: &str, expected: &Issuer) -> bool {
    Issuer::parse(found).is_ok_and(|found| found == *expected)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contexts_of_clusters() {
        let given = |texts: &[&str], clusters: &[&str]| {
            let texts: Vec<String> = texts.iter().map(ToString::to_string).collect();
            contexts(&texts, clusters)
        };
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(given(&[], &["a"]), Ok(vec![None]));
        assert_eq!(given(&["x"], &["a"]), Ok(vec![some("x")]));
        assert_eq!(given(&["x=y"], &["a"]), Ok(vec![some("x=y")]));
        assert_eq!(given(&["a=y"], &["a"]), Ok(vec![some("y")]));
        assert_eq!(given(&["b=y", "a=x"], &["a", "b"]), Ok(vec![some("x"), some("y")]));
        assert_eq!(given(&["b=y"], &["a", "b"]), Ok(vec![None, some("y")]));
        assert!(given(&["x"], &["a", "b"]).is_err());
        assert!(given(&["a=x", "a=y"], &["a", "b"]).is_err());
        assert!(given(&["x", "y"], &["a"]).is_err());
    }
}
