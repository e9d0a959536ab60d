//! Which service accounts a trust policy lets in: subjects and audiences of web identity tokens.

use std::collections::HashSet;

use irsa_policy::syntax::Predicate;

use super::exposure::{Gate, SERVICE_ACCOUNT, TRIES, examples, service_account};
use super::issuers::{Trusted, pins, trusted};
use super::reach::{Budget, Loose, Reach, Stray, denials};
use crate::finding::FindingType;
use crate::glob::{covers, has_wildcard, matches};
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

/// So many values are looked at: a text with more was not written by hand.
const MOST_VALUES: usize = 100;

/// Issuers whose tokens should be told apart by the subject.
fn by_subject<'s, 't>(subject: &'s Subject<'_, 't>) -> impl Iterator<Item = Trusted<'s, 't>> {
    trusted(subject).filter(|trusted| !trusted.is_by_audience() && !trusted.is_of_repositories())
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
    for trusted in trusted(subject).filter(|trusted| !trusted.is_by_audience()) {
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

/// What a pattern that lets strangers in does wrong.
fn why(loose: &Loose<'_, '_>) -> &'static str {
    let pattern = &*loose.value.text;
    if loose.has_variable {
        "the request says what the variable stands for, so it pins nothing down"
    } else if covers(pattern, "system:serviceaccount:*:*", false) {
        "every service account of the issuer is let in"
    } else if pattern.matches(':').count() < 3 {
        "`*` also stands for the colon between namespace and name, so other namespaces fit, too"
    } else {
        "the wildcard stands in the namespace: whoever may create a namespace that fits is let in"
    }
}

/// An example that the engine lets in: one that reads well, else the one that was worked out.
fn example(
    trusted: &Trusted<'_, '_>,
    reach: &Reach<'_, '_>,
    gate: &Gate<'_>,
    loose: &Loose<'_, '_>,
    found: &str,
) -> Option<String> {
    let pattern = &*loose.value.text;
    let readable = if loose.has_variable || !loose.condition.has_wildcards() || pattern.len() > 512 {
        Vec::new()
    } else {
        examples(pattern)
    };
    readable
        .into_iter()
        .take(TRIES)
        .filter(|example| matches(pattern, example, false) && reach.lets_stray(example))
        .chain(service_account(found).map(|_| found.to_owned()))
        .find(|example| gate.lets_in(trusted, example))
}

/// Every statement that lets in service accounts of a namespace that nobody named has a finding, of this rule if the
/// subject is compared with anything at all, else of one of the others here.
fn subject_too_wide(subject: &Subject<'_, '_>, findings: &mut Findings) {
    let gate = Gate::new(subject);
    let (budget, denials) = (Budget::new(), denials(subject));
    let mut seen: HashSet<usize> = HashSet::new();
    for trusted in by_subject(subject) {
        let mut positive = trusted
            .on("sub")
            .filter(|condition| !is_negated(condition) && !condition.is_null());
        let Some(first) = positive.next() else {
            continue;
        };
        if trusted.is_never_met() {
            continue;
        }
        let reach = Reach::new(subject, &trusted, &denials, &budget);
        let mut is_found = false;
        for loose in reach.loose.iter().take(MOST_VALUES) {
            let Stray::Found(found) = reach.stray(Some(loose), &budget) else {
                continue;
            };
            is_found = true;
            if !seen.insert(loose.value.bytes.start) {
                continue;
            }
            let message = match example(&trusted, &reach, &gate, loose, &found) {
                Some(example) => format!("{}; for example `{example}`", why(loose)),
                None => why(loose).to_owned(),
            };
            let finding = findings.at(loose.value, message);
            finding.fix(remedy(loose));
        }
        // Nothing was found, or the search was cut short.
        if is_found || reach.stray(None, &budget) == Stray::None {
            continue;
        }
        let place = reach.loose.first().map_or(&first.value, |loose| &loose.value.bytes);
        if seen.insert(place.start) {
            let path = reach.loose.first().map_or(&first.key.path, |loose| &loose.value.path);
            findings
                .add(
                    path,
                    place,
                    "this does not say which namespaces are meant: others may be let in, too",
                )
                .fix("name the namespaces, each in a value of its own");
        }
    }
}

/// What to write in place of a pattern that lets strangers in.
fn remedy(loose: &Loose<'_, '_>) -> String {
    let namespace = loose
        .value
        .text
        .strip_prefix(SERVICE_ACCOUNT)
        .and_then(|rest| rest.strip_suffix('*'));
    match namespace {
        Some(namespace)
            if !loose.has_variable && !namespace.is_empty() && !namespace.contains([':', '*', '?', '-']) =>
        {
            format!(
                "if the service accounts of the namespace `{namespace}` are meant, write \
                 `{SERVICE_ACCOUNT}{namespace}:*`"
            )
        }
        _ => "name the namespaces, each in a value of its own".to_owned(),
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
    super::conditions::conditions(subject).filter(|condition| super::issuers::is_subject(&condition.key.text))
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
