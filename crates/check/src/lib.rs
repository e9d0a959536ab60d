//! Finds what is wrong with an IAM policy before it is used.
//!
//! [`check`] says, in one pass and with places, what IAM refuses when the policy is written, with its codes and texts,
//! and what IAM Access Analyzer would find, with its issue codes and types, in words of our own. Trust policies for web
//! identities get rules that no other tool has; their codes begin with `IRSA_`.
//!
//! ```
//! use irsa_check::{FindingType, Options, check};
//!
//! let report = check(r#"{"Version": "2012-10-17", "Statement": {
//!     "Effect": "Allow", "Action": "iam:PassRole", "Resource": "*"}}"#, &Options::default());
//! let finding = &report.findings[0];
//! assert_eq!(finding.code, "PASS_ROLE_WITH_STAR_IN_RESOURCE");
//! assert_eq!(finding.finding_type, FindingType::SecurityWarning);
//! assert_eq!(finding.location.path.to_string(), "Statement.Resource");
//! ```
//!
//! Invariants:
//! * Pure, and no panic on any input; time and the number of findings are bounded by the size of the text.
//! * What IAM refuses has at least one finding of type [`FindingType::Error`].
//! * What only the table of services says is never an error: the table can be older than a service, and a service of
//!   one's own is in no table.
//! * An example that a finding gives was let in by the engine.
//!
//! See <https://docs.aws.amazon.com/IAM/latest/UserGuide/access-analyzer-reference-policy-checks.html>.
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

mod finding;
mod glob;
mod kind;
mod place;
mod rule;
mod rules;
mod tree;

use std::cell::Cell;

use irsa_metadata::Metadata;
use irsa_policy::PolicyKind;
use irsa_policy::syntax::Node;

pub use finding::{Edit, Finding, FindingType, Fix, Location, Path, Position, Span, Step};
pub use rule::{Kinds, Rule};

use crate::place::Places;
use crate::rule::{Findings, SPELLINGS, Subject};
use crate::tree::Tree;

/// The longest text whose inside is looked at, in bytes: twice what any API takes. Of a longer one only that is said, so
/// nobody needs to read more of it.
pub const MAX_TEXT_LEN: usize = 262_144;

/// What is known about the policy beside its text.
#[derive(Clone, Copy, Debug)]
pub struct Options<'a> {
    /// What kind of policy it is; found out from the text if it is not given.
    pub kind: Option<PolicyKind>,
    /// The CloudFormation type of the resource that a resource-based policy is for, such as `AWS::S3::Bucket`.
    pub resource_type: Option<&'a str>,
    /// The services, actions, resource types and condition keys that there are.
    pub services: &'a Metadata,
}

impl Default for Options<'_> {
    fn default() -> Self {
        Self {
            kind: None,
            resource_type: None,
            services: Metadata::aws(),
        }
    }
}

/// What a check found.
#[derive(Clone, Debug)]
pub struct Report {
    /// The kind of policy that it was checked as.
    pub kind: PolicyKind,
    /// Whether that was found out from the text.
    pub kind_is_assumed: bool,
    /// What is wrong, in the order of places; at one place the worst first.
    pub findings: Vec<Finding>,
    /// How many further findings were left out, because there are too many of their kind.
    pub omitted: usize,
}

impl Report {
    /// The worst type of all findings.
    #[must_use]
    pub fn worst(&self) -> Option<FindingType> {
        self.findings.iter().map(|finding| finding.finding_type).max()
    }
}

/// All rules, in the order of their topics. A code can stand on more than one of them.
pub fn rules() -> impl Iterator<Item = &'static Rule> {
    rules::ALL.iter().copied().flatten()
}

/// Checks a policy text.
#[must_use]
pub fn check(text: &str, options: &Options<'_>) -> Report {
    let is_too_long = rules::is_too_long(text);
    let parsed = if is_too_long { None } else { Some(Node::parse(text)) };
    let (tree, json_error) = match parsed {
        None => (Tree::default(), None),
        Some(Ok(node)) => (Tree::new(node), None),
        Some(Err(error)) => (Tree::default(), Some(error)),
    };
    let kind = options.kind.unwrap_or_else(|| kind::detect(&tree));
    let subject = Subject {
        text,
        kind,
        tree: &tree,
        json_error: json_error.as_ref(),
        options,
        spellings: Cell::new(SPELLINGS),
    };
    let mut findings = Findings::new(&rules::FIRST);
    let wanted = |rule: &&Rule| rule.kinds.contain(kind) && (!is_too_long || rule.code == rules::TOO_LONG);
    for rule in rules().filter(wanted) {
        findings.begin(rule);
        (rule.run)(&subject, &mut findings);
    }
    let omitted = findings.omitted;
    Report {
        kind,
        kind_is_assumed: options.kind.is_none(),
        findings: Places::new(text, &findings.all).resolve(findings.all),
        omitted,
    }
}

#[cfg(test)]
mod tests;
