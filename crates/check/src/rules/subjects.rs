//! Which service accounts a trust policy lets in: subjects and audiences of web identity tokens.

use std::cell::{Cell, OnceCell};

use irsa_core::AccountId;
use irsa_policy::syntax::{AddressBlock, Predicate};
use irsa_policy::{Context, Layers, Policy, PolicyKind, Principal, Request, decide};

use super::trust::{Trusted, issuer_key, pins, trusted};
use crate::finding::FindingType;
use crate::glob::{has_wildcard, matches};
use crate::rule::{Findings, Kinds, Rule, Subject, clip};
use crate::tree::Condition;

const PAGE: &str = "https://docs.aws.amazon.com/eks/latest/userguide/associate-service-account-role.html";
const OPERATOR_PAGE: &str =
    "https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_condition_operators.html";

pub(super) static RULES: &[Rule] = &[
    Rule::own(
        FindingType::SecurityWarning,
        "IRSA_SUBJECT_NOT_CHECKED",
        "an issuer whose every token may assume the role",
        PAGE,
        Kinds::TRUST,
        subject_not_checked,
    ),
    Rule::own(
        FindingType::Warning,
        "IRSA_AUDIENCE_NOT_CHECKED",
        "tokens that were made for somebody else",
        PAGE,
        Kinds::TRUST,
        audience_not_checked,
    ),
    Rule::own(
        FindingType::Suggestion,
        "IRSA_UNUSUAL_AUDIENCE",
        "an audience other than STS",
        PAGE,
        Kinds::TRUST,
        unusual_audience,
    ),
    Rule::own(
        FindingType::SecurityWarning,
        "IRSA_SUBJECT_TOO_WIDE",
        "a subject that more service accounts have than it seems",
        PAGE,
        Kinds::TRUST,
        subject_too_wide,
    ),
    Rule::own(
        FindingType::SecurityWarning,
        "IRSA_CLAIM_MAY_BE_ABSENT",
        "a check of a claim that tokens without it pass",
        OPERATOR_PAGE,
        Kinds::TRUST,
        claim_may_be_absent,
    ),
    Rule::own(
        FindingType::SecurityWarning,
        "IRSA_SUBJECT_ONLY_EXCLUDED",
        "a role for everyone but some",
        OPERATOR_PAGE,
        Kinds::TRUST,
        only_excluded,
    ),
    Rule::own(
        FindingType::SecurityWarning,
        "IRSA_CLAIM_ONLY_PRESENT",
        "a check that a claim is there, whatever it says",
        OPERATOR_PAGE,
        Kinds::TRUST,
        only_present,
    ),
    Rule::own(
        FindingType::Warning,
        "IRSA_WILDCARD_IN_EXACT_SUBJECT",
        "a wildcard in a subject that is compared exactly",
        OPERATOR_PAGE,
        Kinds::TRUST,
        wildcard_in_exact_subject,
    ),
    Rule::own(
        FindingType::Warning,
        "IRSA_SUBJECT_CASE",
        "a subject in letters that no service account has",
        PAGE,
        Kinds::TRUST,
        subject_case,
    ),
    Rule::own(
        FindingType::Warning,
        "IRSA_SUBJECT_FORMAT",
        "a subject that no service account has",
        PAGE,
        Kinds::TRUST,
        subject_format,
    ),
];

const SERVICE_ACCOUNT: &str = "system:serviceaccount:";
/// So many values are looked at: a text with more was not written by hand.
const MOST_VALUES: usize = 100;

/// The namespace and the name in a service account's subject.
///
/// See <https://kubernetes.io/docs/concepts/overview/working-with-objects/names/>.
fn service_account(subject: &str) -> Option<(&str, &str)> {
    let (namespace, name) = subject.strip_prefix(SERVICE_ACCOUNT)?.split_once(':')?;
    let label = |label: &str| {
        let bytes = label.as_bytes();
        let inner = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || *byte == b'-';
        let is_edge = |byte: Option<&u8>| byte.is_some_and(|byte| *byte != b'-');
        bytes.iter().all(inner) && is_edge(bytes.first()) && is_edge(bytes.last())
    };
    let valid = label(namespace) && namespace.len() <= 63 && name.len() <= 253 && name.split('.').all(label);
    valid.then_some((namespace, name))
}

/// Issuers whose tokens should be told apart by the subject.
fn by_subject<'s, 't>(subject: &'s Subject<'_, 't>) -> impl Iterator<Item = Trusted<'s, 't>> {
    trusted(subject).filter(|trusted| !trusted.is_by_audience() && !trusted.is_github())
}

fn subject_not_checked(subject: &Subject<'_, '_>, findings: &mut Findings) {
    for trusted in by_subject(subject) {
        // Without any condition on its tokens there is a finding already; so there is for conditions on other issuers.
        if trusted.asks_any_for("sub") || trusted.on_any().next().is_none() {
            continue;
        }
        findings
            .at(
                trusted.provider,
                format!(
                    "every service account of `{}` may assume the role: nothing checks the subject",
                    clip(trusted.issuer)
                ),
            )
            .fix(format!(
                "add `\"StringEquals\": {{\"{}:sub\": \"system:serviceaccount:NAMESPACE:NAME\"}}`",
                clip(trusted.issuer)
            ));
    }
}

fn audience_not_checked(subject: &Subject<'_, '_>, findings: &mut Findings) {
    for trusted in by_subject(subject) {
        if trusted.asks_any_for("aud") || trusted.on_any().next().is_none() {
            continue;
        }
        findings
            .at(
                trusted.provider,
                format!(
                    "tokens of `{}` for any client that its provider lists may be used: nothing checks the audience",
                    clip(trusted.issuer)
                ),
            )
            .fix(format!(
                "add `\"StringEquals\": {{\"{}:aud\": \"sts.amazonaws.com\"}}`",
                clip(trusted.issuer)
            ));
    }
}

/// Whether the statement is about service accounts of Kubernetes.
fn is_kubernetes(trusted: &Trusted<'_, '_>) -> bool {
    trusted
        .on("sub")
        .flat_map(|condition| &condition.values)
        .any(|value| value.text.starts_with(SERVICE_ACCOUNT))
}

fn unusual_audience(subject: &Subject<'_, '_>, findings: &mut Findings) {
    for trusted in by_subject(subject).filter(is_kubernetes) {
        for condition in trusted.on("aud").filter(|condition| pins(condition)) {
            for value in &condition.values {
                if !matches!(&*value.text, "sts.amazonaws.com" | "sts.amazonaws.com.cn") && !value.text.contains("${") {
                    findings
                        .at(
                            value,
                            format!(
                                "pods' tokens for AWS have the audience `sts.amazonaws.com`, not `{}`",
                                clip(&value.text)
                            ),
                        )
                        .fix("write `sts.amazonaws.com`, unless the tokens are really made for this audience");
                }
            }
        }
    }
}

/// Tries subjects against the policy; compiled when it is first needed.
struct Gate<'a> {
    text: &'a str,
    policy: OnceCell<Option<Policy>>,
    /// How many more questions a document is worth.
    questions: Cell<usize>,
}

impl<'a> Gate<'a> {
    fn new(subject: &Subject<'_, 'a>) -> Self {
        Self {
            text: subject.text,
            policy: OnceCell::new(),
            questions: Cell::new(QUESTIONS),
        }
    }

    /// Whether the policy lets a token in that has this subject, and of everything else what the statement asks for.
    fn lets_in(&self, trusted: &Trusted<'_, '_>, token_subject: &str) -> bool {
        let Some(left) = self.questions.get().checked_sub(1) else {
            return false;
        };
        self.questions.set(left);
        let compile = || Policy::parse("trust policy", PolicyKind::Trust, self.text).ok();
        let Some(policy) = self.policy.get_or_init(compile) else {
            return false;
        };
        let account = trusted.provider.text.split(':').nth(4);
        let account: Option<AccountId> = account.and_then(|account| account.parse().ok());
        let Some(account) = account.or_else(|| AccountId::from_number(111_122_223_333)) else {
            return false;
        };
        let mut context = Context::new();
        let key = format!("{}:sub", trusted.issuer);
        context.set(&key, token_subject);
        let audience = format!("{}:aud", trusted.issuer);
        for condition in trusted.statement.conditions() {
            // What other issuers claim is in no request.
            if issuer_key(&condition.key.text).is_some_and(|(issuer, _)| !issuer.eq_ignore_ascii_case(trusted.issuer))
                || condition.is_on(&key)
                || condition.is_on(&audience)
            {
                continue;
            }
            if let Some(value) = meeting(condition) {
                context.set(&condition.key.text, value);
            }
        }
        let value = trusted.on("aud").find_map(meeting).unwrap_or("sts.amazonaws.com");
        context.set(&audience, value);
        let role = format!("arn:aws:iam::{account}:role/example");
        let request = Request {
            principal: Principal::WebIdentity {
                provider: &trusted.provider.text,
            },
            action: "sts:AssumeRoleWithWebIdentity",
            resource: &role,
            resource_account: Some(account),
            context: &context,
        };
        let layers = Layers {
            resource: Some(policy),
            ..Layers::default()
        };
        decide(&layers, &request).is_allowed()
    }
}

/// A value that meets a condition, where one is easily found.
fn meeting<'s>(condition: &'s Condition<'_>) -> Option<&'s str> {
    let operator = condition.operator.filter(|operator| !operator.negated)?;
    let value = &*condition.values.first()?.text;
    match operator.predicate {
        Predicate::StringEquals | Predicate::StringEqualsIgnoreCase | Predicate::Bool => Some(value),
        Predicate::StringLike | Predicate::Arn if !has_wildcard(value) => Some(value),
        Predicate::IpAddress if AddressBlock::parse(value).is_some() => value.split('/').next(),
        _ => None,
    }
}

/// What a `*` is tried with: nothing, a part of a name, and more than one part.
const STARS: [&str; 8] = [
    "evil",
    "",
    "x",
    "x:evil",
    "evil:evil",
    "system:serviceaccount:evil:evil",
    "system:serviceaccount:evil:x",
    "system:serviceaccount:evil",
];
/// Wildcards of one pattern that are tried with everything; the others with one thing each.
const FREE: usize = 3;
/// Questions to the engine that a document is worth.
const QUESTIONS: usize = 200;
/// Subjects of one pattern that the engine is asked about.
const TRIES: usize = 8;

/// Subjects of service accounts that a pattern matches.
fn examples(pattern: &str) -> Vec<String> {
    let stars = pattern.matches('*').count();
    let combinations = STARS.len().saturating_pow(u32::try_from(stars.min(FREE)).unwrap_or(0));
    let mut found: Vec<String> = Vec::new();
    for combination in 0..combinations {
        for last in ["", "x"] {
            let mut rest = combination;
            let mut seen = 0_usize;
            let mut text = String::with_capacity(pattern.len().saturating_add(32));
            for character in pattern.chars() {
                match character {
                    '*' if seen < FREE => {
                        text.push_str(STARS.get(rest % STARS.len()).copied().unwrap_or_default());
                        rest /= STARS.len();
                        seen = seen.saturating_add(1);
                    }
                    '*' => text.push_str(last),
                    '?' => text.push('x'),
                    other => text.push(other),
                }
            }
            if service_account(&text).is_some() && !found.contains(&text) {
                found.push(text);
            }
            if stars <= FREE {
                break;
            }
        }
    }
    found
}

/// The namespace that a pattern fixes, if it fixes one.
fn fixed_namespace(pattern: &str) -> Option<&str> {
    let (namespace, _) = pattern.strip_prefix(SERVICE_ACCOUNT)?.split_once(':')?;
    (!has_wildcard(namespace)).then_some(namespace)
}

fn subject_too_wide(subject: &Subject<'_, '_>, findings: &mut Findings) {
    let gate = Gate::new(subject);
    for trusted in by_subject(subject) {
        let patterns = trusted
            .on("sub")
            .filter(|condition| {
                condition
                    .operator
                    .is_some_and(|operator| operator.predicate == Predicate::StringLike && !operator.negated)
            })
            .flat_map(|condition| &condition.values)
            .filter(|value| has_wildcard(&value.text) && !value.text.contains("${"));
        for value in patterns.take(MOST_VALUES) {
            let pattern = &*value.text;
            if fixed_namespace(pattern).is_some() || pattern.len() > 512 {
                continue;
            }
            let examples = examples(pattern);
            let example = examples
                .iter()
                .take(TRIES)
                .find(|example| matches(pattern, example, false) && gate.lets_in(&trusted, example));
            let is_everything = pattern.bytes().all(|byte| byte == b'*');
            let Some(example) = example else {
                if is_everything {
                    findings
                        .at(value, "every subject of the issuer is let in")
                        .fix("name service accounts: `system:serviceaccount:NAMESPACE:NAME`");
                }
                continue;
            };
            let segments = pattern.matches(':').count();
            let why = if is_everything {
                "every service account of the issuer is let in"
            } else if segments < 3 {
                "`*` also stands for the colon between namespace and name, so other namespaces fit, too"
            } else {
                "the wildcard stands in the namespace: whoever may create a namespace that fits is let in"
            };
            let finding = findings.at(value, format!("{why}; for example `{example}`"));
            match pattern
                .strip_prefix(SERVICE_ACCOUNT)
                .and_then(|rest| rest.strip_suffix('*'))
            {
                Some(namespace) if !namespace.is_empty() && !namespace.contains([':', '*', '?', '-']) => {
                    finding.fix(format!(
                        "if the service accounts of the namespace `{namespace}` are meant, write \
                         `{SERVICE_ACCOUNT}{namespace}:*`"
                    ));
                }
                _ => {
                    finding.fix("name the namespaces, each in a value of its own");
                }
            }
        }
    }
}

/// The conditions on a claim, unless one of them pins it down.
fn unpinned<'s, 't>(trusted: &Trusted<'s, 't>, claim: &'s str) -> Vec<&'s Condition<'t>> {
    let conditions: Vec<&Condition<'_>> = trusted.on(claim).collect();
    if conditions.iter().any(|condition| pins(condition)) {
        Vec::new()
    } else {
        conditions
    }
}

fn is_negated(condition: &Condition<'_>) -> bool {
    condition.operator.is_some_and(|operator| operator.negated)
}

fn claim_may_be_absent(subject: &Subject<'_, '_>, findings: &mut Findings) {
    for trusted in trusted(subject) {
        for condition in ["sub", "aud"].into_iter().flat_map(|claim| unpinned(&trusted, claim)) {
            if !condition.holds_when_absent() || is_negated(condition) || condition.is_null() {
                continue;
            }
            let operator = &*condition.operator_name.text;
            let bare = operator
                .strip_suffix("IfExists")
                .unwrap_or(operator)
                .trim_start_matches("ForAllValues:");
            let finding = findings.at_name(
                &condition.operator_name,
                format!(
                    "`{operator}` is also met by a token without `{}`",
                    clip(&condition.key.text)
                ),
            );
            finding.fix(format!("write `{bare}`"));
            if condition.is_alone && bare != operator {
                finding.retext(&condition.operator_name.bytes, bare);
            }
        }
    }
}

fn only_excluded(subject: &Subject<'_, '_>, findings: &mut Findings) {
    let gate = Gate::new(subject);
    for trusted in trusted(subject) {
        for condition in unpinned(&trusted, "sub")
            .into_iter()
            .filter(|condition| is_negated(condition))
        {
            let example = [
                "system:serviceaccount:evil:evil",
                "system:serviceaccount:default:default",
                "evil",
            ]
            .into_iter()
            .find(|example| gate.lets_in(&trusted, example));
            let message = match example {
                Some(example) => format!("every other subject is let in; for example `{example}`"),
                None => "every other subject is let in".to_owned(),
            };
            findings
                .at_name(&condition.operator_name, message)
                .fix("name with StringEquals who may assume the role; put exceptions into a Deny statement");
        }
    }
}

fn only_present(subject: &Subject<'_, '_>, findings: &mut Findings) {
    for trusted in trusted(subject) {
        for condition in ["sub", "aud"].into_iter().flat_map(|claim| unpinned(&trusted, claim)) {
            if condition.is_null() {
                let absent = condition.holds_when_absent();
                let what = if absent {
                    "no token here lacks"
                } else {
                    "every token has"
                };
                findings
                    .at_name(
                        &condition.key,
                        format!(
                            "{what} `{}`, and nothing else checks what it says",
                            clip(&condition.key.text)
                        ),
                    )
                    .fix("compare the claim with StringEquals");
            } else if !condition.holds_when_absent() && condition.has_wildcards() {
                findings
                    .at_name(
                        &condition.key,
                        format!("`*` only asks whether the token has `{}`", clip(&condition.key.text)),
                    )
                    .fix("compare the claim with StringEquals");
            }
        }
    }
}

/// Conditions on subjects in statements of either effect.
fn subject_conditions<'s, 't>(subject: &'s Subject<'_, 't>) -> impl Iterator<Item = &'s Condition<'t>> {
    super::conditions::conditions(subject).filter(|condition| super::trust::is_subject(&condition.key.text))
}

fn wildcard_in_exact_subject(subject: &Subject<'_, '_>, findings: &mut Findings) {
    for condition in subject_conditions(subject) {
        let exact = condition.operator.is_some_and(|operator| {
            matches!(
                operator.predicate,
                Predicate::StringEquals | Predicate::StringEqualsIgnoreCase
            )
        });
        if !exact {
            continue;
        }
        for value in &condition.values {
            if !has_wildcard(&super::variables::outside(&value.text, subject.has_variables())) {
                continue;
            }
            let effect = if is_negated(condition) {
                "every token's differs"
            } else {
                "no token has it"
            };
            let finding = findings.at(
                value,
                format!(
                    "under `{}` the wildcard is a plain character of the subject `{}`: {effect}",
                    condition.operator_name.text,
                    clip(&value.text)
                ),
            );
            let like = if is_negated(condition) {
                "StringNotLike"
            } else {
                "StringLike"
            };
            finding.fix(format!("name the service account, or write `{like}`"));
            if condition.is_alone && matches!(&*condition.operator_name.text, "StringEquals" | "StringNotEquals") {
                finding.retext(&condition.operator_name.bytes, like);
            }
        }
    }
}

/// Conditions that tell letters' case apart.
fn is_exact_about_case(condition: &Condition<'_>) -> bool {
    condition
        .operator
        .is_some_and(|operator| matches!(operator.predicate, Predicate::StringEquals | Predicate::StringLike))
}

fn subject_case(subject: &Subject<'_, '_>, findings: &mut Findings) {
    for condition in subject_conditions(subject).filter(|condition| is_exact_about_case(condition)) {
        for value in &condition.values {
            let lower = value.text.to_ascii_lowercase();
            if !lower.starts_with(SERVICE_ACCOUNT) || lower == *value.text || value.text.contains("${") {
                continue;
            }
            findings
                .at(
                    value,
                    "subjects of service accounts are in lower case, and letters' case counts here: no token has this",
                )
                .fix(format!("write `{}`", clip(&lower)))
                .retext(&value.bytes, &lower);
        }
    }
}

fn subject_format(subject: &Subject<'_, '_>, findings: &mut Findings) {
    for condition in subject_conditions(subject) {
        for value in &condition.values {
            let text = value.text.to_ascii_lowercase();
            if !text.starts_with("system:service") || has_wildcard(&text) || text.contains("${") {
                continue;
            }
            if service_account(&text).is_some() {
                continue;
            }
            let finding = findings.at(
                value,
                format!("no service account has the subject `{}`", clip(&value.text)),
            );
            let colons = text
                .strip_prefix(SERVICE_ACCOUNT)
                .map(|rest| format!("{SERVICE_ACCOUNT}{}", rest.trim().replacen('/', ":", 1)));
            match colons.filter(|meant| service_account(meant).is_some()) {
                Some(meant) => finding.fix(format!("write `{meant}`")).retext(&value.bytes, &meant),
                None => finding.fix("write `system:serviceaccount:NAMESPACE:NAME`"),
            };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_service_accounts() {
        assert_eq!(service_account("system:serviceaccount:ns:sa"), Some(("ns", "sa")));
        assert_eq!(
            service_account("system:serviceaccount:ns:my.app-1"),
            Some(("ns", "my.app-1"))
        );
        for text in [
            "system:serviceaccount:ns",
            "system:serviceaccount:ns:",
            "system:serviceaccount::sa",
            "system:serviceaccount:a:b:c",
            "system:serviceaccount:Ns:sa",
            "system:serviceaccount:n.s:sa",
            "system:serviceaccount:-ns:sa",
            "system:serviceaccount:ns:sa.",
            "repo:a/b",
        ] {
            assert_eq!(service_account(text), None, "{text}");
        }
    }

    #[test]
    fn examples_are_matched_and_are_service_accounts() {
        for (pattern, expected) in [
            (
                "system:serviceaccount:team-*:app",
                Some("system:serviceaccount:team-evil:app"),
            ),
            (
                "system:serviceaccount:dev-*-reader",
                Some("system:serviceaccount:dev-x:evil-reader"),
            ),
            ("system:serviceaccount:prod*", Some("system:serviceaccount:prodx:evil")),
            ("*", Some("system:serviceaccount:evil:evil")),
            ("*:app", Some("system:serviceaccount:evil:app")),
            ("system:serviceaccount:*", Some("system:serviceaccount:x:evil")),
            ("system:serviceaccount:a-?:b", Some("system:serviceaccount:a-x:b")),
            ("repo:a/*", None),
        ] {
            let found = examples(pattern);
            for example in &found {
                assert!(matches(pattern, example, false), "{pattern} {example}");
                assert!(service_account(example).is_some(), "{pattern} {example}");
            }
            match expected {
                Some(expected) => assert!(!found.is_empty(), "{pattern}: no {expected}"),
                None => assert!(found.is_empty(), "{pattern}"),
            }
        }
        assert_eq!(
            examples("system:serviceaccount:team-*:app")[0],
            "system:serviceaccount:team-evil:app"
        );
        assert_eq!(
            examples("system:serviceaccount:dev-*-reader")[0],
            "system:serviceaccount:dev-x:evil-reader"
        );
    }
}
