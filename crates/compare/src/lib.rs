//! Compares two policies by meaning: does the new one allow a request that the old one does not?
//!
//! Every policy document stands for a set of requests: those that one of its `Allow` statements matches and none of its
//! `Deny` statements. [`compare`] asks whether one set holds a request that is not in the other, and gives one if so.
//!
//! ```
//! use irsa_compare::{Answer, compare_texts};
//! use irsa_policy::PolicyKind;
//!
//! let allow = |action: &str| format!(
//!     r#"{{"Version": "2012-10-17", "Statement": {{"Effect": "Allow", "Action": "{action}", "Resource": "arn:aws:s3:::b/*"}}}}"#);
//! let comparison = compare_texts(PolicyKind::Identity, &allow("s3:GetObject"), &allow("s3:Get*"))?;
//! assert!(matches!(comparison.lost, Answer::None));
//! let Answer::Witness(witness) = comparison.gained else { panic!("nothing is gained") };
//! assert!(witness.action.to_ascii_lowercase().starts_with("s3:get"));
//! # Ok::<(), irsa_compare::CompareError>(())
//! ```
//!
//! # How
//!
//! A statement is a conjunction of atoms, each about one part of the request: the action, the resource, or one condition
//! key. For every kind of caller that the policies can tell apart, every `Allow` statement of the new policy is one
//! question: is there a request that it matches, that no `Deny` of the new policy matches, and that either no `Allow` of
//! the old policy matches or a `Deny` of it does? The clauses are split case by case ([`search`]); each case is checked
//! part by part ([`tape`]): texts by a search through the patterns' automata ([`language`]), numbers, dates and addresses by
//! the finitely many sets that the constants cut out ([`value`]), lists and set qualifiers by the values that all of a
//! list's must be and that one of them must be. Nothing is enumerated that the documents do not name.
//!
//! A policy variable stands for the value of a condition key, so it ties two parts of a request together. The cases are
//! split over what that value is: absent, empty, one of the constants it is compared with, or any other text. The last is
//! an unknown letter in the texts, which is exact where both policies write the variable in the same way; where it is
//! not, a question can end undecided. Of more variables than can be tried in all combinations nothing is assumed.
//!
//! # What an answer means
//!
//! * [`Answer::None`] is a proof: no request at all, however odd. (A service is taken to have one name, or several that
//!   begin with the same label; a session's ARN to be that of its role; `sts:GetCallerIdentity`, which needs no permission,
//!   to be allowed by either.)
//! * [`Answer::Witness`] is a request for which the engine itself gives the two different decisions. Its condition keys
//!   are independent of its caller: that a caller cannot choose, say, `aws:PrincipalOrgID` is not known here.
//! * [`Answer::Unknown`] says why: see [`Why`].
//!
//! Policies of an account's resources are graded: naming a role or user is more than naming its account, which only
//! delegates. A higher grade is new access.
//!
//! Invariants:
//! * Pure: no IO, no clock, no panic on any input. Work is counted and bounded; what would exceed the bound is unknown.
//! * No witness that the engine does not confirm.
//! * The engine is asked who a principal element names and how each request is decided; only the meaning of patterns and
//!   conditions is written down a second time, as sets instead of tests.
//!
//! The choices where AWS is silent are those of [`Profile::AWS`](irsa_policy::Profile::AWS).
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

mod atom;
mod caller;
mod difference;
mod document;
mod find;
mod language;
mod pattern;
mod search;
mod tape;
mod value;
mod witness;

use std::cell::LazyCell;
use std::fmt;

use irsa_policy::{PolicyError, PolicyKind};

pub use caller::{Caller, Strength};
pub use document::{Document, kind_of};
pub use witness::{ContextValue, Witness};

use caller::{Candidate, candidates};
use difference::{Question, difference};

/// What two policies allow, one against the other.
#[derive(Clone, Debug)]
pub struct Comparison {
    /// What the new policy allows and the old one does not.
    pub gained: Answer,
    /// What the old policy allows and the new one does not.
    pub lost: Answer,
    /// What the old policy denies explicitly and the new one does not: of no account to these policies alone, but a
    /// third policy may allow it, and then the denial was all that stood against it.
    pub undenied: Answer,
}

impl Comparison {
    /// Whether both policies allow the same requests; `None` if that is not known.
    #[must_use]
    pub fn is_equivalent(&self) -> Option<bool> {
        match (&self.gained, &self.lost) {
            (Answer::None, Answer::None) => Some(true),
            (Answer::Witness(_), _) | (_, Answer::Witness(_)) => Some(false),
            _ => None,
        }
    }
}

/// Whether there is a request that tells two policies apart in one direction.
#[derive(Clone, Debug)]
pub enum Answer {
    /// There is none.
    None,
    /// There is, and this is one.
    Witness(Box<Witness>),
    /// It could not be found out, for these reasons.
    Unknown(Vec<Why>),
}

/// Why a question stays open.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
#[non_exhaustive]
pub enum Why {
    /// The documents are of different kinds.
    Kinds,
    /// It would take more work than is allowed.
    TooLarge,
    /// It depends on the values of these variables in ways that are not followed.
    Variables(Vec<String>),
    /// Conditions of different types are asked of one of these keys.
    MixedTypes(Vec<String>),
    /// There are more principals than are looked at in all combinations.
    TooMany,
    /// A request was found that the engine does not confirm: a fault of this crate.
    Unconfirmed,
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |keys: &[String]| keys.iter().map(|key| format!("`{key}`")).collect::<Vec<_>>().join(", ");
        match self {
            Self::Kinds => f.write_str("the policies are of different kinds"),
            Self::TooLarge => f.write_str("the policies are too intricate to compare within the bounds set"),
            Self::Variables(keys) => write!(f, "it depends on the value that variables have: {}", list(keys)),
            Self::MixedTypes(keys) => write!(
                f,
                "the conditions on one key take its value for text and for a number, a date or an address: {}",
                list(keys)
            ),
            Self::TooMany => f.write_str("the policies name too many principals to try them in all combinations"),
            Self::Unconfirmed => f.write_str("a difference was found that the policy engine does not confirm"),
        }
    }
}

/// A text that is no policy.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum CompareError {
    /// The old one.
    #[error("the old policy: {0}")]
    Old(#[source] PolicyError),
    /// The new one.
    #[error("the new policy: {0}")]
    New(#[source] PolicyError),
}

/// Chooses an action of those that exist: given a test, the first that passes, or none.
pub type KnownActions<'a> = &'a dyn Fn(&dyn Fn(&str) -> bool) -> Option<String>;

/// How to compare.
#[derive(Clone, Copy)]
pub struct Options<'a> {
    /// How much work may be done to find out what is gained, in steps of some ten nanoseconds; for each of the other
    /// answers half as much.
    pub budget: u64,
    /// The actions that witnesses are taken from where the policies name none.
    pub actions: Option<KnownActions<'a>>,
}

impl Default for Options<'_> {
    fn default() -> Self {
        Self {
            budget: 6_000_000,
            actions: None,
        }
    }
}

impl fmt::Debug for Options<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options")
            .field("budget", &self.budget)
            .finish_non_exhaustive()
    }
}

/// Compares two policies in both directions.
#[must_use]
pub fn compare(old: &Document, new: &Document, options: &Options<'_>) -> Comparison {
    let candidates = LazyCell::new(|| candidates(old, new));
    let swapped = || {
        let (all, complete) = &*candidates;
        (all.iter().map(Candidate::swapped).collect(), *complete)
    };
    let half = Options {
        budget: options.budget / 2,
        ..*options
    };
    Comparison {
        gained: difference(old, new, Question::Gained, options, || candidates.clone()),
        lost: difference(new, old, Question::Gained, &half, swapped),
        undenied: difference(old, new, Question::Undenied, &half, || candidates.clone()),
    }
}

/// What the new policy allows and the old one does not.
#[must_use]
pub fn gained(old: &Document, new: &Document, options: &Options<'_>) -> Answer {
    difference(old, new, Question::Gained, options, || candidates(old, new))
}

/// Reads and compares two policies of one kind.
///
/// # Errors
/// One of the texts is no such policy.
pub fn compare_texts(kind: PolicyKind, old: &str, new: &str) -> Result<Comparison, CompareError> {
    let old = Document::parse("OLD", kind, old).map_err(CompareError::Old)?;
    let new = Document::parse("NEW", kind, new).map_err(CompareError::New)?;
    Ok(compare(&old, &new, &Options::default()))
}

#[cfg(test)]
mod tests;
