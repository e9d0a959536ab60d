//! The admission server: an API server asks about a pod, and is told what to add to it.
//!
//! This is the story's mutation as a service. [`Accounts`] holds the service accounts that have roles; whoever watches the cluster feeds it, and the
//! few things that are asked of the cluster itself go through [`Cluster`]. The crate knows no client of the Kubernetes API, so that all of it runs in
//! tests without one. What is added to a pod is decided by `irsa-webhook` alone.
//!
//! Invariants: a pod whose account has a role is injected or refused with the reason, never let through in silence; a pod whose account has none is
//! never held up by a fault of ours; nothing that is kept grows with what strangers send.
//!
//! The protocol is that of <https://kubernetes.io/docs/reference/access-authn-authz/extensible-admission-controllers/>.

mod accounts;
mod admission;
mod certificate;
mod cluster;
mod env_from;
mod files;
mod flights;
mod listener;
mod lookups;
mod metrics;
mod route;
mod server;
mod sources;
#[cfg(test)]
mod testing;
mod tls;

pub use accounts::{Account, Accounts, Known, Listed};
pub use admission::{OnRefusal, Rules};
pub use certificate::{CertificateError, ServingCertificate, certified_key};
pub use cluster::{Annotations, Cluster, EnvLookUp, LookUp, LookUpError, Owner, Report};
pub use files::{CertificateFiles, IdentitiesFile};
pub use server::{Options, Server, StartError};
pub use sources::Sources;
pub use tls::{MinVersion, TlsOptions, cipher_suites, min_version};
