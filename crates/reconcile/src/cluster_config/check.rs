//! What is checked of policies, and of fields that do not go together.

use std::collections::BTreeSet;

use irsa_check::{Finding, FindingType, Options};
use irsa_core::Arn;
use irsa_policy::PolicyKind;
use irsa_policy::validate::non_whitespace_len;
use miette::Severity;

use super::read::{Reader, present};
use super::tree::{self, Entry, Node, Value};
use crate::account::ServiceAccount;

/// The greatest number of managed policies that AWS lets a role have, on request.
/// See <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html>.
const MOST_ATTACHED: usize = 25;

/// The number that every account has.
const USUALLY_ATTACHED: usize = 10;

/// All inline policies of a role together, in characters without white space.
const MOST_INLINE: usize = 10_240;

/// Tags of a role.
const MOST_TAGS: usize = 50;

impl Reader {
    pub(crate) fn policy_arns(&mut self, node: &Node, path: &str, partition: Option<&str>) -> BTreeSet<Arn> {
        let mut arns = BTreeSet::new();
        let Value::List(items) = &node.value else {
            self.wrong_type(node, path, "a list");
            return arns;
        };
        for (index, item) in items.iter().enumerate() {
            let path = format!("{path}[{index}]");
            let Some(arn) = self.arn(item, &path, "policy", partition) else {
                continue;
            };
            if arns.contains(&arn) {
                self.error(&item.place, format!("{path} `{arn}` stands here a second time"));
            }
            arns.insert(arn);
        }
        let severity = match arns.len() {
            many if many > MOST_ATTACHED => Some(Severity::Error),
            many if many > USUALLY_ATTACHED => Some(Severity::Warning),
            _ => None,
        };
        if let Some(severity) = severity {
            let message = format!(
                "{path} has {} policies; a role can have {USUALLY_ATTACHED}, and {MOST_ATTACHED} where AWS has raised the quota",
                arns.len()
            );
            self.say(severity, message, Some(&node.place), None);
        }
        arns
    }

    /// An inline policy as compact JSON, if IAM would take it. What it warns of is said, too.
    pub(crate) fn policy(&mut self, node: &Node, path: &str) -> Option<String> {
        if !matches!(node.value, Value::Map(_)) {
            let found = node.value.kind();
            let help = matches!(node.value, Value::Text(_))
                .then(|| "write the document itself, not its text in quotes".to_owned());
            let message = format!("{path} must be a policy document, not {found}");
            self.say(Severity::Error, message, Some(&node.place), help);
            return None;
        }
        let (text, places) = tree::json(node);
        let options = Options {
            kind: Some(PolicyKind::Identity),
            ..Options::default()
        };
        let report = irsa_check::check(&text, &options);
        let mut refused = false;
        let is_exact = |finding: &&Finding| {
            finding.finding_type == FindingType::Error && !finding.location.path.to_string().is_empty()
        };
        let has_exact = report.findings.iter().any(|finding| is_exact(&finding));
        for finding in &report.findings {
            // Sizes are those of managed policies, which this is not; and IAM's own words say less than what is exact.
            let is_size = matches!(
                finding.code,
                "LimitExceeded" | "POLICY_SIZE_EXCEEDS_IDENTITY_POLICY_QUOTA"
            );
            if is_size || (has_exact && finding.code == "MalformedPolicyDocument" && !is_exact(&finding)) {
                refused |= has_exact;
                continue;
            }
            let severity = match finding.finding_type {
                FindingType::Error => Severity::Error,
                FindingType::SecurityWarning | FindingType::Warning => Severity::Warning,
                FindingType::Suggestion => continue,
            };
            refused |= severity == Severity::Error;
            let before = finding.location.span.start.byte;
            let after = places.partition_point(|(start, _)| *start <= before);
            let place = places
                .get(after.saturating_sub(1))
                .map_or(&node.place, |(_, place)| place);
            let way = finding.location.path.to_string();
            let whole = if way.is_empty() {
                path.to_owned()
            } else {
                format!("{path}.{way}")
            };
            self.say(
                severity,
                format!("{whole}: {}", finding.message),
                Some(place),
                finding.fix.as_ref().map(|fix| fix.description.clone()),
            );
        }
        let size = non_whitespace_len(&text);
        if size > MOST_INLINE {
            refused = true;
            self.error(
                &node.place,
                format!("{path} has {size} characters of at most {MOST_INLINE} for the inline policies of a role"),
            );
        }
        // The checks above find whatever IAM refuses; this makes sure of it.
        if !refused && let Err(malformed) = irsa_policy::validate::document(PolicyKind::Identity, &text) {
            refused = true;
            self.error(&node.place, format!("{path}: {malformed}"));
        }
        (!refused).then_some(text)
    }

    /// Fields that need or exclude each other.
    pub(crate) fn together(&mut self, account: &ServiceAccount, node: &Node, entries: &[Entry], path: &str) {
        let given = |key: &str| present(entries, key);
        let sources = ["attachPolicyARNs", "wellKnownPolicies", "attachPolicy", "attachRoleARN"];
        // A field that has an error of its own counts as given.
        let any = sources
            .iter()
            .filter_map(|key| given(key))
            .any(|entry| match entry.key.as_str() {
                "wellKnownPolicies" => match &entry.node.value {
                    Value::Map(policies) => policies
                        .iter()
                        .any(|policy| !matches!(policy.node.value, Value::Bool(false))),
                    _ => true,
                },
                "attachPolicyARNs" => !matches!(&entry.node.value, Value::List(items) if items.is_empty()),
                _ => true,
            });
        if !any {
            self.error(
                &node.place,
                format!(
                    "{path}.wellKnownPolicies, {path}.attachPolicyARNs,{path}.attachRoleARN  or {path}.attachPolicy must be set"
                ),
            );
        }
        if given("attachRoleARN").is_some() {
            for key in [
                "attachPolicyARNs",
                "wellKnownPolicies",
                "attachPolicy",
                "permissionsBoundary",
                "roleName",
                "roleOnly",
                "tags",
                "subjectPattern",
            ] {
                let harmless = |entry: &Entry| match &entry.node.value {
                    Value::Bool(value) => !value,
                    Value::List(items) => items.is_empty(),
                    Value::Map(entries) => entries
                        .iter()
                        .all(|entry| matches!(entry.node.value, Value::Bool(false))),
                    _ => false,
                };
                if let Some(entry) = given(key).filter(|entry| !harmless(entry)) {
                    self.say(
                        Severity::Error,
                        format!("{path}.{key} cannot be used with {path}.attachRoleARN"),
                        Some(&entry.place),
                        Some("the role of `attachRoleARN` is used as it is".to_owned()),
                    );
                }
            }
        }
        if account.role_only && (account.labels.is_some() || account.annotations.is_some()) {
            let message = format!("{path}: labels and annotations have no effect with `roleOnly`");
            self.say(Severity::Warning, message, Some(&node.place), None);
        }
        let tags = account.tags.as_ref().map_or(0, |tags| tags.len());
        let ours = crate::OWNERSHIP_TAGS.len();
        if tags.saturating_add(ours) > MOST_TAGS {
            self.error(
                &node.place,
                format!("{path} has {tags} tags; a role can have {MOST_TAGS}, {ours} of which say whose it is"),
            );
        }
    }
}
