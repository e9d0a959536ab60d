//! The cluster registry: which clusters an account has, and which issuer each one's tokens name.
//!
//! It speaks enough of EKS's API that `aws eks describe-cluster --query cluster.identity.oidc.issuer` works as the documents
//! say. A cluster is a record: nothing is started for it. Its tokens come from an issuer that we host, or from one that exists
//! already, whose URL, or URL and keys, stand in our own member `oidc` of the request.
//!
//! Source: the EKS API reference (<https://docs.aws.amazon.com/eks/latest/APIReference/>).

mod cluster;
mod error;
mod input;
mod operation;
mod state;

pub use cluster::ClusterRecord;
pub use error::EksError;
pub use operation::{Answer, Call, Execution, OPERATIONS, Outcome};
pub use state::{Cluster, State, StateError};
