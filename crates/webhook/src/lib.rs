//! Pod mutation: what turns a pod of an annotated service account into one that can take its role.
//!
//! This is the story's "webhook injects" step, as a pure function: [`mutate`] takes a pod as plain JSON and answers with
//! a JSON Patch that only ever adds (environment variables, one projected token volume, mounts). It never rewrites a
//! container, so fields that this code has not heard of stay as they are. The admission server, `irsa run` and
//! `irsa exec` all call the same function.
//!
//! Invariants: no IO, no clock, no panic on any JSON; mutating twice changes nothing; a container is never pointed at a
//! volume that we know to hold another token than ours, unless its owner mounted it there.
//!
//! The injected values are those that AWS documents for IAM roles for service accounts:
//! <https://docs.aws.amazon.com/eks/latest/userguide/pod-configuration.html>.
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

pub mod configured;
mod env_from;
mod identity;
mod injection;
pub mod manifest;
mod mutation;
mod path;
pub mod policy;
pub mod process;
pub mod review;
mod settings;
mod skip;
mod warning;

pub use env_from::{EnvFrom, EnvKeys, EnvSource, EnvSourceKind};
pub use identity::{ContainerIdentity, Identity, IdentityError, identity_of, identity_with_warnings};
pub use json_patch::{Patch, PatchError, PatchOperation};
pub use mutation::{
    ContainerList, ContainerMutation, Decision, Mutation, Outcome, Refusal, apply, container_credentials_env_sources,
    env_sources, is_opted_out, mutate, mutate_container_credentials, mutate_container_credentials_with, mutate_with,
};
pub use settings::{ContainerCredentials, RoleArnCheck, SessionName, Settings, WindowsDetection};
pub use warning::{Shown, Warning};
