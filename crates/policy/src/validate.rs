//! The checks that IAM makes when a policy is written, with the words it uses.
//!
//! Two languages meet here: identity-based policies are refused with one set of sentences, trust policies and bucket
//! policies with others. Sizes and quotas are not checked here; [`non_whitespace_len`] counts for those who do.
//!
//! See <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_grammar.html>.

mod identity;
mod resource;
mod trust;

pub use identity::{IAM_PATHS, PARTITIONS};
pub use trust::TRUST_ACTIONS;

use crate::error::{Fault, PolicyProblem};
use crate::policy::{Policy, PolicyKind};
use crate::syntax::{Condition, Document, Statement};
use crate::syntax::{Operator, Predicate};
use crate::value::Instant;

/// A text that IAM refuses as `MalformedPolicyDocument` (S3: `MalformedPolicy`).
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{message}")]
pub struct Malformed {
    /// The message, as AWS words it.
    pub message: String,
}

impl Malformed {
    fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
        }
    }
}

const SYNTAX: &str = "Syntax errors in policy.";

/// Checks a policy text as IAM does when it is written.
///
/// # Errors
/// The first thing that IAM would refuse, in its words. A text that passes is one that [`Policy::parse`] compiles.
pub fn document(kind: PolicyKind, text: &str) -> Result<(), Malformed> {
    match kind {
        PolicyKind::Identity | PolicyKind::Boundary => identity::check(text, true)?,
        PolicyKind::Session => identity::check(text, false)?,
        PolicyKind::Trust => trust::check(text)?,
        PolicyKind::Resource | PolicyKind::VpcEndpoint => resource::check(text)?,
        PolicyKind::ServiceControl | PolicyKind::ResourceControl => {}
    }
    match Policy::parse("", kind, text) {
        Ok(_) => Ok(()),
        Err(_) => Err(Malformed::new(SYNTAX)),
    }
}

/// How many characters of a text IAM counts against its size quotas: all but blanks, tabs and line ends.
#[must_use]
pub fn non_whitespace_len(text: &str) -> usize {
    text.chars()
        .filter(|character| !matches!(character, ' ' | '\t' | '\n' | '\r'))
        .count()
}

/// Reads the grammar that all kinds share.
fn read(text: &str) -> Result<Document<'_>, Fault> {
    let document = Document::read(text)?;
    for statement in &document.statements {
        for condition in statement.conditions.iter().flatten() {
            if Operator::parse(&condition.operator).is_none() {
                let operator = condition.operator.to_string();
                return Err(Fault::new(
                    condition.operator.start,
                    PolicyProblem::UnknownOperator(operator),
                ));
            }
        }
    }
    Ok(document)
}

/// Sids that are there and not empty must differ.
fn sids_are_unique(statements: &[Statement<'_>]) -> bool {
    let mut sids: Vec<&str> = statements
        .iter()
        .filter_map(|statement| statement.sid.as_deref())
        .filter(|sid| !sid.is_empty())
        .collect();
    let all = sids.len();
    sids.sort_unstable();
    sids.dedup();
    sids.len() == all
}

/// Date operators need dates.
fn dates_are_readable(conditions: &[Condition<'_>]) -> bool {
    conditions.iter().all(|condition| {
        let dated = Operator::parse(&condition.operator)
            .is_some_and(|operator| matches!(operator.predicate, Predicate::Date(_)));
        !dated || condition.values.iter().all(|value| Instant::parse(value).is_some())
    })
}

#[cfg(test)]
mod tests;
