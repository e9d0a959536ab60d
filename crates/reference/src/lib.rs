//! A second opinion on every decision: a plain evaluator of IAM policies, and a generator of cases to ask both.
//!
//! [`evaluator`] is written from the documentation of the policy language, one small function a rule, and shares no code
//! with the engine: it keeps every policy as text, compares by tables and lists, and is slow. Where AWS documents
//! nothing it takes the choice that the engine's `Profile` states in words. [`generator`] makes cases from a seed: a
//! caller, a request, and policies that are about that request or just miss it. [`compare`] asks both and lists what they
//! say differently, down to the single statement; [`shrink`] makes a differing case small; [`coverage`] counts what the
//! cases were made of.
//!
//! See <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies.html>.

pub mod case;
pub mod compare;
pub mod coverage;
pub mod evaluator;
pub mod generator;
pub mod shrink;
