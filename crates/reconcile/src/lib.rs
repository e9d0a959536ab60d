//! From a ClusterConfig or flags to roles and service accounts: desired state, diff, and the steps between.
//!
//! This is the core of `create|get|update|delete iamserviceaccount`, `apply` and `diff`: it reads what is wanted
//! ([`cluster_config`]), chooses what it is about ([`select`]), expands it ([`desired`]), compares it with what is there
//! ([`actual`]), and answers with a plan ([`plan`]): differences for people, and steps for those who carry them out.
//!
//! ```
//! use irsa_reconcile::actual::{Actual, KubernetesState};
//! use irsa_reconcile::desired::{Cluster, Desired, Issuer, Mode};
//! use irsa_reconcile::plan::{Options, plan};
//! use irsa_reconcile::{cluster_config, render};
//!
//! let file = "
//! apiVersion: eksctl.io/v1alpha5
//! kind: ClusterConfig
//! metadata: {name: prod, region: us-west-2}
//! iam:
//!   withOIDC: true
//!   serviceAccounts:
//!   - metadata: {name: s3-reader, namespace: backend-apps}
//!     attachPolicyARNs: ['arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess']
//! ";
//! let configuration = cluster_config::read([("cluster.yaml", file)]);
//! assert!(!configuration.has_errors());
//! let config = &configuration.clusters[0];
//! // What EKS and STS say of the cluster and the account.
//! let issuer = Issuer::parse("https://oidc.eks.us-west-2.amazonaws.com/id/EXAMPLE")?;
//! let cluster = Cluster::new(&config.name, &config.region, "111122223333".parse()?, issuer);
//! let desired = Desired::new(&[config.request(cluster)], Mode::Create).expect("no two accounts share a role");
//! // What IAM and Kubernetes have: nothing.
//! let actual = Actual { clusters: vec![KubernetesState::default()], ..Actual::default() };
//! let options = Options { create_providers: true, ..Options::default() };
//! let plan = plan(&desired, &actual, &options);
//! // Provider, role, policy, namespace, service account.
//! assert_eq!(plan.steps.len(), 5);
//! assert!(render::text(&plan).ends_with("1 to create\n"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Invariants:
//! * Pure: no IO, no clock, no panic on any input.
//! * Everything that is wrong with a configuration is found at once, each in its place.
//! * A plan is made of a state and nothing else, so a run that was cut off anywhere is resumed by planning anew; a plan of
//!   the state that a plan leads to is empty.
//! * Nothing that is not ours is changed or deleted unless the options say so; what is ours stands in tags, labels and
//!   field managers, never in a file.
//! * What is allowed before and after a plan is allowed in between; what is allowed neither before nor after is not, as far as
//!   that can be.
#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::string_slice,
        clippy::panic,
        clippy::unreachable,
        clippy::todo,
        clippy::unimplemented
    )
)]

mod account;
pub mod actual;
pub mod cluster_config;
pub mod desired;
mod document;
pub mod flags;
pub mod list;
pub mod names;
mod place;
pub mod plan;
pub mod render;
pub mod select;
mod trust;
pub mod well_known;

/// The label that says who made a service account.
pub const MANAGED_BY_LABEL: &str = "app.kubernetes.io/managed-by";

/// The value of [`MANAGED_BY_LABEL`] and of the tag `irsa/managed-by`, and the name of our field manager.
pub const MANAGER: &str = "irsa";

/// The annotation that names a service account's role.
/// See <https://docs.aws.amazon.com/eks/latest/userguide/associate-service-account-role.html>.
pub const ROLE_ARN_ANNOTATION: &str = "eks.amazonaws.com/role-arn";

/// The tags that say whose a role is.
pub const OWNERSHIP_TAGS: [&str; 6] = [
    "irsa/borrowed",
    "irsa/cluster",
    "irsa/managed-by",
    "irsa/name",
    "irsa/namespace",
    "irsa/tags",
];

pub use account::{DEFAULT_NAMESPACE, ServiceAccount, ServiceAccountName};
pub use place::{Place, Problem};
pub use trust::is_same_trust;
