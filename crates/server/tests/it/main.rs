//! The running server as an attacker and as an operator see it: requests over sockets, and what they leave in the data folder.

mod adversarial;
mod audit;
mod authorization_message;
mod authorizer;
mod aws_session;
mod client;
mod gateway;
mod harness;
mod lifecycle;
mod matrix;
mod poison;
mod routes;
mod s3;
mod s3_bucket_policies;
mod s3_forms;
mod s3_multipart;
mod s3_tags;
mod s3_upstream;
mod s3_versions;
mod simulate;
mod tls;
mod trail;
mod web_identity;
