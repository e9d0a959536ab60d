//! `PolicyExclusionList`: policies of the principal that are left out.
//!
//! See <https://docs.aws.amazon.com/IAM/latest/APIReference/API_PolicyIdentifier.html>.

use irsa_core::Arn;
use irsa_wire::{Params, Validator, WireError};

use super::invalid;
use crate::error::IamError;
use crate::managed::AwsManagedPolicy;
use crate::operation::common::{self, member};

const NAME: &str = "PolicyExclusionList";
/// `PolicyExclusionsListType`.
const MAX_EXCLUSIONS: usize = 256;
/// `PolicyIdentifierPolicyType`.
const TYPES: [&str; 6] = [
    "inline",
    "aws-managed",
    "user-managed",
    "permission-boundary",
    "scp",
    "rcp",
];
/// `AttachmentType`.
const HOLDERS: [&str; 3] = ["user", "group", "role"];

/// What is left out.
pub(super) enum Exclusion {
    /// All of a type.
    Type(String),
    /// Attached policies: path, and a pattern for the name.
    Managed(String, Pattern),
    /// An inline policy by the kind of its holder, a pattern for the holder's name, and its own name.
    Inline(String, Pattern, String),
}

/// A name with at most one `*` and any number of `?`.
pub(super) struct Pattern(String);

impl Exclusion {
    /// The elements of the list, with what the service model says of them.
    pub(super) fn elements(validator: &mut Validator, params: &Params) -> Result<Vec<Params>, WireError> {
        let elements = params.list(NAME)?.unwrap_or_default();
        validator.count(&member(NAME), elements.len(), 0, MAX_EXCLUSIONS);
        for (index, element) in elements.iter().enumerate() {
            let place = |name: &str| format!("{}.{}.member.{name}", member(NAME), index.saturating_add(1));
            let mut word = |name: &str, place: &str, words: &[&str]| {
                if let Some(value) = element.get(name).filter(|value| !words.contains(value)) {
                    let constraint = format!("Member must satisfy enum value set: [{}]", words.join(", "));
                    validator.fail(place, value, false, &constraint);
                }
            };
            word("PolicyType", &place("policyType"), &TYPES);
            let holder = "InlinePolicyIdentifier.AttachmentType";
            word(holder, &place("inlinePolicyIdentifier.attachmentType"), &HOLDERS);
            if let Some(arn) = element.get("PolicyArn") {
                validator.text(&place("policyArn"), arn, common::ARN);
            }
            if let Some(name) = element.get("InlinePolicyIdentifier.PolicyName") {
                validator.text(&place("inlinePolicyIdentifier.policyName"), name, common::POLICY_NAME);
            }
        }
        Ok(elements)
    }

    /// Reads an element of [`Exclusion::elements`].
    pub(super) fn read(element: &Params) -> Result<Self, IamError> {
        let inline = |name: &str| element.get(&format!("InlinePolicyIdentifier.{name}"));
        let parts = ["AttachmentType", "AttachmentName", "PolicyName"].map(inline);
        match (element.get("PolicyType"), element.get("PolicyArn"), parts) {
            (Some(kind), None, [None, None, None]) => Ok(Self::Type(kind.to_owned())),
            (None, Some(arn), [None, None, None]) => Self::managed(arn),
            (None, None, [Some(kind), Some(holder), Some(policy)]) => {
                Ok(Self::Inline(kind.to_owned(), Pattern::new(holder)?, policy.to_owned()))
            }
            _ => invalid(
                "An excluded policy is named by exactly one of PolicyType, PolicyArn and InlinePolicyIdentifier, and the last one is whole.",
            ),
        }
    }

    fn managed(text: &str) -> Result<Self, IamError> {
        let is_policy = |arn: &Arn| arn.service() == "iam" && arn.resource_of_kind("policy").is_some();
        let parsed = text.parse::<Arn>().ok().filter(is_policy);
        match text.rsplit_once('/') {
            Some((path, name)) if parsed.is_some() && !path.contains(['*', '?']) => {
                Ok(Self::Managed(path.to_owned(), Pattern::new(name)?))
            }
            _ => invalid(format!("ARN {text} is not valid.")),
        }
    }

    pub(super) fn is_attached(&self, arn: &str) -> bool {
        match self {
            Self::Type(kind) if kind == "aws-managed" => AwsManagedPolicy::find(arn).is_some(),
            Self::Type(kind) if kind == "user-managed" => AwsManagedPolicy::find(arn).is_none(),
            Self::Managed(path, name) => arn
                .rsplit_once('/')
                .is_some_and(|(own, policy)| own == path && name.matches(policy)),
            Self::Type(_) | Self::Inline(..) => false,
        }
    }

    pub(super) fn is_inline(&self, kind: &str, holder: &str, policy: &str) -> bool {
        match self {
            Self::Type(excluded) => excluded == "inline",
            Self::Inline(excluded, name, own) => excluded == kind && name.matches(holder) && own == policy,
            Self::Managed(..) => false,
        }
    }

    pub(super) fn is_boundary(&self) -> bool {
        matches!(self, Self::Type(kind) if kind == "permission-boundary")
    }
}

impl Pattern {
    fn new(text: &str) -> Result<Self, IamError> {
        let is_name = |character: char| character.is_ascii_alphanumeric() || "_+=,.@-*?".contains(character);
        if text.is_empty() || text.len() > 128 || !text.chars().all(is_name) || text.matches('*').count() > 1 {
            return invalid(format!(
                "The name {} of an excluded policy or its holder is not valid: at most one * and any number of ? may stand in it.",
                text.chars().take(128).collect::<String>()
            ));
        }
        Ok(Self(text.to_owned()))
    }

    fn matches(&self, name: &str) -> bool {
        let same = |pattern: &str, part: &str| {
            pattern.len() == part.len()
                && pattern
                    .bytes()
                    .zip(part.bytes())
                    .all(|(one, other)| one == b'?' || one == other)
        };
        let Some((head, tail)) = self.0.split_once('*') else {
            return same(&self.0, name);
        };
        let between = name.len().checked_sub(tail.len()).filter(|from| *from >= head.len());
        let parts = between.and_then(|from| Some((name.get(..head.len())?, name.get(from..)?)));
        parts.is_some_and(|(begin, end)| same(head, begin) && same(tail, end))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_with_wildcards() {
        for (pattern, name, matches) in [
            ("app", "app", true),
            ("app", "App", false),
            ("a?p", "app", true),
            ("a?p", "ap", false),
            ("*", "anything", true),
            ("a*", "a", true),
            ("a*a", "a", false),
            ("a*a", "aa", true),
            ("ab*ba", "aba", false),
            ("?*?", "x", false),
            ("?*?", "xy", true),
        ] {
            assert_eq!(
                Pattern::new(pattern).unwrap().matches(name),
                matches,
                "{pattern} {name}"
            );
        }
        for bad in ["", "a**", "*a*", "a/b", "\u{e9}"] {
            assert!(Pattern::new(bad).is_err(), "{bad}");
        }
    }
}
