//! The IAM policy language, whole: parse, compile, evaluate, explain, and check what is written.
//!
//! This is the step of the story where a request meets its policies. A [`Policy`] is compiled once from its text and
//! then shared; a request is a [`Request`] with a [`Context`] of condition keys; [`Layers`] says which policies apply.
//! [`decide`] answers with a [`Verdict`]; [`explain()`] answers the same by the same code and says why.
//!
//! ```
//! use std::sync::Arc;
//! use irsa_policy::{Context, Layers, Policy, PolicyKind, Principal, Request, decide};
//!
//! let policy = Policy::parse("app", PolicyKind::Identity, r#"{"Version": "2012-10-17", "Statement": {
//!     "Effect": "Allow", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::my-bucket/*"}}"#)?;
//! let context = Context::new();
//! let request = Request {
//!     principal: Principal::User {
//!         arn: "arn:aws:iam::111122223333:user/ann",
//!         unique_id: "AIDAEXAMPLE1234567890",
//!         account: "111122223333".parse()?,
//!     },
//!     action: "s3:GetObject",
//!     resource: "arn:aws:s3:::my-bucket/key",
//!     resource_account: None,
//!     context: &context,
//! };
//! let identity = [Arc::new(policy)];
//! let layers = Layers { identity: &identity, ..Layers::default() };
//! assert!(decide(&layers, &request).is_allowed());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Invariants:
//! * Pure: no IO, no clock, no panic on any input, time bounded by the product of the sizes involved.
//! * Nothing is allowed but by a statement that allows it (or to an account's root user, by rule). A text that is no
//!   policy makes no [`Policy`], so what cannot be evaluated cannot allow.
//! * A matching `Deny` wins, wherever it stands.
//! * Text that a policy variable brings is never a wildcard.
//! * [`decide`] and [`explain()`] cannot disagree: they are one generic function.
//!
//! Where AWS is silent, [`Profile`] says what we do.
//!
//! See <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies.html>.
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

/// The examples of the README are tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

mod action;
mod arn;
mod condition;
mod context;
mod error;
mod evaluate;
mod explain;
mod index;
mod pattern;
mod policy;
mod principal;
mod profile;
mod request;
mod resource;
pub mod syntax;
pub mod validate;
mod value;

pub use context::{Context, RepeatedKeyError, ValueList, Values};
pub use error::{PolicyError, PolicyProblem};
pub use evaluate::{decide, decision};
pub use explain::{Element, Explanation, Miss, Reason, StatementOutcome, StatementTrace, explain};
pub use policy::{Effect, Policy, PolicyKind, StatementRef};
pub use profile::{Profile, Setting, UnknownSettingError};
pub use request::{Decision, Layer, Layers, Principal, Request, Verdict};
