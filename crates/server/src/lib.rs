//! Composition: configuration, the snapshot that requests read, the services, the listeners, and the one pipeline between them.
//!
//! A request goes: listener → [`pipeline`] → service → answer, and every one takes exactly that way. The pipeline
//! authenticates, authorizes, runs, records and answers; services know nothing of HTTP or of each other.

mod admin;
mod authenticate;
mod authorizer;
mod body;
mod buckets;
mod call;
mod config;
mod data_folder;
mod early;
mod first_start;
mod gateway;
mod issuer_pages;
mod keeper;
mod listener;
mod metrics;
mod peer;
mod pipeline;
mod random;
mod recording;
mod route;
mod run;
mod s3_form;
mod s3_gate;
mod s3_record;
mod s3_upstream;
mod snapshot;
mod start;
mod tls;
mod trail;

pub use authorizer::{AuthorizerAddress, AuthorizerConfig, AuthorizerConfigError, AuthorizerService};
pub use config::{AuditDurability, ServerConfig};
pub use data_folder::{DataFolder, DataFolderError};
pub use first_start::RootKey;
pub use gateway::{GatewayConfig, GatewayConfigError, GatewayUpstream, UpstreamCredentials};
pub use s3_upstream::{S3Upstream, S3UpstreamConfig, S3UpstreamError};
pub use start::{RunningServer, StartError, start};
