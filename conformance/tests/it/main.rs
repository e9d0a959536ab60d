//! The black-box suite: the built binary under the AWS CLI, boto3, and requests that no client would send. `cargo xtask test` runs it; by hand:
//!
//! `IRSA_BINARY=… IRSA_CONFORMANCE_VENV=… IRSA_CONFORMANCE_CLIENTS=… cargo test -p irsa-conformance --features real-clients`

mod accounts;
mod audit;
mod authorizer;
mod aws_cli;
mod bad_input;
mod boto3;
mod deploy;
mod gateway;
mod iamserviceaccount;
mod issuers;
mod kubernetes;
mod kubernetes_accounts;
mod policy_plugins;
mod restart;
mod s3_upstream;
mod sdk;
mod shell;
mod simulation;
mod versions;
mod webhook;
