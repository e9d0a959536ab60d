//! Clients of AWS APIs: what the command line and the workloads that it starts use to talk to a server, ours or AWS's.
//!
//! [`Client`] signs and sends single calls over a connection of its own, with a deadline, and tells refusals of the
//! service from everything that can go wrong on the way. [`default_chain`] is the credential chain of the AWS SDK for
//! Rust itself, so that a workload here finds its role exactly as any SDK program does.
//!
//! Invariants: secrets appear in no error and no `Debug` output; every call has a deadline and a largest answer; nothing
//! follows redirects.

mod answer;
mod chain;
mod client;
mod cluster_token;
mod connection;
mod eks;
mod endpoints;
mod error;
mod iam;
mod keys;
mod retry;
mod session;
mod sts;
#[cfg(test)]
mod test_server;
mod xml;

pub use answer::Answer;
pub use aws_credential_types::Credentials;
pub use chain::{Chain, ChainError, default_chain};
pub use client::{Client, QueryService, encode_path};
pub use eks::{ClusterDescription, ClusterToken, Eks, NewCluster};
pub use endpoints::Service;
pub use error::{ClientError, Server, ServiceError};
pub use iam::{Iam, NewRole, ProviderDetail, Quotas, RoleDetail, RoleHead};
pub use retry::Retries;
pub use session::{Session, SessionOptions};
pub use sts::{CallerIdentity, Sts};
pub use xml::{Element, XmlError};
