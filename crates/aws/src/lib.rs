//! Clients of AWS APIs: what the command line and the workloads that it starts use to talk to a server, ours or AWS's.
//!
//! A [`Session`] is a user's way to AWS as every SDK finds it: profiles, single sign-on, the environment, endpoints, proxies. It gives
//! [`Iam`], [`Sts`] and [`Eks`], which know the calls that reconciling needs, renew credentials that end in between, keep
//! connections, and try again what passes: too many calls, a server's own failure, a lost connection, another change under
//! way. All of these calls may be sent twice; what the first one did, the second finds.
//!
//! [`Client`] is below them, and by itself signs and sends single calls to a server of our own, each once, over a connection of its own.
//! Both tell refusals of the service from everything that can go wrong on the way, and say what to do about it ([`ClientError::hint`]).
//! [`default_chain`] is the credential chain alone, so that a workload here finds its role exactly as any SDK program does.
//!
//! ```no_run
//! # async fn example() -> Result<(), irsa_aws::ClientError> {
//! use irsa_aws::{Session, SessionOptions};
//!
//! let session = Session::load(&SessionOptions::default()).await?;
//! let caller = session.sts()?.caller_identity().await?;
//! let issuer = session.eks()?.describe_cluster("my-cluster").await?.issuer;
//! let roles = session.iam()?.roles(|count| eprintln!("{count} roles of {}", caller.account)).await?;
//! # Ok(())
//! # }
//! ```
//!
//! Invariants: secrets appear in no error and no `Debug` output; every call has a deadline, a bounded number of attempts and a largest
//! answer; half a list is never taken for a whole one; nothing follows redirects.

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
mod pace;
mod proxy;
mod retry;
mod sdk_http;
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
