//! What we ask of a Kubernetes API.
//!
//! This is the only crate that knows `kube`. It asks and tells in words of its own, so that nobody above it depends on a Kubernetes client: who
//! the service accounts are and what they are annotated with, what a ConfigMap says, which pods run, and, in the other direction, Events, a
//! serving certificate in a Secret and the `caBundle` that makes the API server trust it, and service accounts with labels and annotations of ours.
//!
//! Invariants: every call has a deadline, and all of them together a rate; nothing is kept here that grows with the cluster; an API server that
//! is away is asked again, later and later, and never makes anything fail that can wait.
//!
//! See <https://kubernetes.io/docs/reference/using-api/api-concepts/>.

mod apply;
mod ask;
mod backoff;
mod bearer;
mod certificates;
mod cluster;
mod config_map;
mod error;
mod events;
#[cfg(test)]
mod fake;
mod issuer;
mod keys;
mod kubeconfig;
mod limiter;
mod list;
mod plugin;
mod pods;
mod proxy;
mod service_accounts;
mod transport;
mod watch;

pub use apply::{apply_service_account, create_namespace, delete_service_account, release_service_account};
pub use bearer::{BearerToken, TokenSource};
pub use certificates::{CertificateOptions, Rotation, keep_certificate, service_names};
pub use cluster::{Cluster, ClusterOptions, Location};
pub use config_map::watch_config_map;
pub use error::{CallError, ClusterError};
pub use events::{Events, ObjectReference, Warning};
pub use issuer::{issuer, signing_keys};
pub use keys::{KeysOf, look_up_keys};
pub use kubeconfig::has_kubeconfig;
pub use list::{AccountMetadata, list_all_service_accounts, list_namespaces, look_up_account};
pub use pods::{delete_pod, for_each_pod};
pub use service_accounts::{ServiceAccount, look_up_service_account, watch_service_accounts};
pub use watch::{Change, WatchOptions};
