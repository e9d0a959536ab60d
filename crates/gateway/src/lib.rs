//! From a request of any AWS service to what must be asked of the policy engine.
//!
//! A [`RuleBook`] says, service by service, how operations are named on the wire, which resources they are about and
//! which condition keys can be read from them. [`RuleBook::read`] turns one request into an [`Asked`]: the operation, and
//! a list of questions, every one of which must be answered with yes before the request may reach the service.
//!
//! The rules are data (`data/rules.json`, described in `docs/gateway.md`), and an operator may add to them.
//!
//! Invariants:
//! * Pure: no IO, no clock, no panic on any input.
//! * Never a guess: a body that can't be read, a member or parameter that comes twice, two places that name an
//!   operation, a name that differs from an expected one in case only, a path that two readers could read in two ways,
//!   and a service without rules are errors.
//! * Where a value of a condition key can't be told from the request alone, all values that it could have are asked, and
//!   keys that can't be read at all are named ([`Asked::unread`]), so that policies that depend on them can be refused.
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

mod dynamodb;
mod error;
mod expression;
mod form;
mod json;
mod names;
mod path;
mod read;
mod resource;
mod route;
mod rules;
mod xml;

pub use error::{GatewayError, RulesError};
pub use read::{Ask, Asked, GatewayRequest};
pub use rules::{Protocol, RuleBook, Sample, ServiceRules};
