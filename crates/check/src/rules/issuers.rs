//! Issuers of web identity tokens, and the conditions on what their tokens claim.

use irsa_policy::PolicyKind;
use irsa_policy::syntax::Predicate;
use irsa_policy::validate::non_whitespace_len;

use super::trust::{WEB_IDENTITY, is_about};
use crate::finding::FindingType;
use crate::glob::has_wildcard;
use crate::rule::{Findings, Kinds, Rule, Subject, clip};
use crate::tree::{Condition, Item, Statement};

const KEYS_PAGE: &str = "https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_iam-condition-keys.html";

pub(super) static RULES: &[Rule] = &[
    Rule::security_warning(
        "MISSING_CONDITION_KEY_FOR_OIDC_PRINCIPAL",
        "an issuer without a condition on its tokens",
        Kinds::TRUST,
        no_condition,
    ),
    Rule::security_warning(
        "MISSING_GITHUB_REPO_CONDITION_KEY",
        "GitHub without a condition on the repository",
        Kinds::TRUST,
        github_without_repository,
    ),
    Rule::warning(
        "SPECIFIC_GITHUB_REPO_AND_BRANCH_RECOMMENDED",
        "GitHub with a wildcard in the subject",
        Kinds::TRUST,
        github_wildcard,
    ),
    Rule::security_warning(
        "FORANYVALUE_WITH_AUDIENCE_CLAIM_TYPE",
        "ForAnyValue with the audience",
        Kinds::TRUST,
        |subject, findings| qualified_audience(subject, findings, "ForAnyValue:"),
    ),
    Rule::suggestion(
        "CONFIRM_AUDIENCE_CLAIM_TYPE",
        "ForAllValues with the audience",
        Kinds::TRUST,
        |subject, findings| qualified_audience(subject, findings, "ForAllValues:"),
    ),
    Rule::own(
        FindingType::SecurityWarning,
        "IRSA_COGNITO_UNAUTHENTICATED",
        "Cognito identities without a login",
        "https://docs.aws.amazon.com/cognito/latest/developerguide/role-trust-and-permissions.html",
        Kinds::TRUST,
        cognito_amr,
    ),
    Rule::own(
        FindingType::Warning,
        "IRSA_ISSUER_MISMATCH",
        "a condition on another issuer's tokens",
        KEYS_PAGE,
        Kinds::TRUST,
        issuer_mismatch,
    ),
    Rule::own(
        FindingType::Warning,
        "IRSA_WEB_IDENTITY_KEY_OUTSIDE_TRUST",
        "a token's claim in a policy that never sees tokens",
        KEYS_PAGE,
        Kinds::ALL.without(Kinds::TRUST),
        claims_outside_trust,
    ),
];

const GITHUB: &str = "token.actions.githubusercontent.com";

const COGNITO: &str = "cognito-identity.amazonaws.com";

/// The providers that IAM knew before OIDC; their claims stay with the session.
///
/// See <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_iam-condition-keys.html#condition-keys-wif>.
const BUILT_IN: [&str; 4] = [COGNITO, "accounts.google.com", "www.amazon.com", "graph.facebook.com"];
/// Issuers whose tokens IAM tells apart by another claim than the subject.
const BY_AUDIENCE: [&str; 7] = [
    COGNITO,
    "accounts.google.com",
    "www.amazon.com",
    "graph.facebook.com",
    "api.pulumi.com/oidc",
    "sandboxes.cloud",
    "oidc.vercel.com",
];

/// The issuer and the claim of a condition key such as `oidc.example.com/id/A:sub`.
///
/// An issuer is a host with a dot in it, or one with a port or a path; everything up to the last colon belongs to it.
pub(super) fn issuer_key(key: &str) -> Option<(&str, &str)> {
    let (issuer, claim) = key.rsplit_once(':')?;
    if claim.is_empty() || claim.contains('/') || claim.starts_with("//") {
        return None;
    }
    // Only these schemes: tags of requests have names such as `aws:RequestTag/x://y.z:sub`.
    let bare = ["https://", "http://"]
        .into_iter()
        .find_map(|scheme| issuer.strip_prefix(scheme))
        .unwrap_or(issuer);
    let end = bare.find([':', '/']).unwrap_or(bare.len());
    let (host, rest) = bare.split_at_checked(end)?;
    let has_port = rest
        .strip_prefix(':')
        .is_some_and(|rest| rest.bytes().next().is_some_and(|byte| byte.is_ascii_digit()));
    let is_host = !host.is_empty()
        && host
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_'));
    let is_issuer = is_host && (host.contains('.') || has_port || rest.starts_with('/') || bare.len() < issuer.len());
    is_issuer.then_some((issuer, claim))
}

/// Whether a condition key is the subject of an issuer's tokens.
pub(super) fn is_subject(key: &str) -> bool {
    issuer_key(key).is_some_and(|(_, claim)| claim.eq_ignore_ascii_case("sub"))
}

/// Whether a condition key is this claim of this issuer's tokens.
fn is_claim(key: &str, issuer: &str, claim: &str) -> bool {
    key.rsplit_once(':')
        .is_some_and(|(of, name)| of.eq_ignore_ascii_case(issuer) && name.eq_ignore_ascii_case(claim))
}

/// A statement that lets bearers of an issuer's tokens assume the role.
pub(super) struct Trusted<'s, 't> {
    pub(super) statement: &'s Statement<'t>,
    /// The entry of `Federated`.
    pub(super) provider: &'s Item<'t>,
    /// The issuer's URL without `https://`.
    pub(super) issuer: &'s str,
}

impl<'s, 't> Trusted<'s, 't> {
    /// The conditions on one claim of this issuer's tokens.
    pub(super) fn on(&self, claim: &'s str) -> impl Iterator<Item = &'s Condition<'t>> {
        let issuer = self.issuer;
        self.statement
            .conditions()
            .filter(move |condition| is_claim(&condition.key.text, issuer, claim))
    }

    /// Whether a condition, of any statement, is on a claim of this issuer's tokens.
    pub(super) fn is_on(&self, condition: &Condition<'_>, claim: &str) -> bool {
        is_claim(&condition.key.text, self.issuer, claim)
    }

    /// Whether a condition is on a claim that only another issuer's tokens have, so that nobody is let in.
    pub(super) fn is_never_met(&self) -> bool {
        self.statement.conditions().any(|condition| {
            let foreign = issuer_key(&condition.key.text).is_some_and(|(of, name)| {
                let (head, rest) = of.split_at_checked(self.issuer.len()).unwrap_or((of, ""));
                // A claim's name may have a colon in it.
                let own = head.eq_ignore_ascii_case(self.issuer) && (rest.is_empty() || rest.starts_with(':'));
                !own && (name.eq_ignore_ascii_case("sub") || name.eq_ignore_ascii_case("aud"))
            });
            foreign && condition.operator.is_some() && !condition.holds_when_absent()
        })
    }

    /// Whether there is a condition on a claim, of this issuer's tokens or of another's, which has a finding of its own.
    pub(super) fn asks_any_for(&self, claim: &str) -> bool {
        self.statement.conditions().any(|condition| {
            self.is_on(condition, claim)
                || issuer_key(&condition.key.text).is_some_and(|(_, name)| name.eq_ignore_ascii_case(claim))
        })
    }

    /// The conditions on any claim of this issuer's tokens.
    pub(super) fn on_any(&self) -> impl Iterator<Item = &'s Condition<'t>> {
        let issuer = self.issuer;
        self.statement.conditions().filter(move |condition| {
            let of = condition.key.text.rsplit_once(':').map(|(of, _)| of);
            of.is_some_and(|of| of.eq_ignore_ascii_case(issuer))
        })
    }

    /// Whether these are GitHub's own tokens, whose subjects are repositories. IAM's rule takes in whatever begins so.
    pub(super) fn is_of_repositories(&self) -> bool {
        let rest = self.issuer.strip_prefix(GITHUB);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }

    pub(super) fn is_github(&self) -> bool {
        self.issuer.starts_with(GITHUB)
    }

    /// Whether IAM tells this issuer's customers apart by the audience.
    pub(super) fn is_by_audience(&self) -> bool {
        BY_AUDIENCE.contains(&self.issuer)
    }
}

/// The issuer that a provider's ARN or domain names; `None` for SAML providers and wildcards.
pub(super) fn issuer_of(provider: &str) -> Option<&str> {
    if let Some((_, issuer)) = provider.split_once(":oidc-provider/") {
        return Some(issuer);
    }
    (!provider.starts_with("arn:") && provider.contains('.') && !has_wildcard(provider)).then_some(provider)
}

/// Providers of one statement that are looked at, each with all conditions: all of a document that IAM takes.
pub(super) fn most_providers(subject: &Subject<'_, '_>) -> usize {
    const OF_TOO_MANY: usize = 50;
    if non_whitespace_len(subject.text) > super::refusal::TRUST {
        OF_TOO_MANY
    } else {
        usize::MAX
    }
}

/// All issuers that statements trust.
pub(super) fn trusted<'s, 't>(subject: &'s Subject<'_, 't>) -> impl Iterator<Item = Trusted<'s, 't>> {
    let statements = subject.tree.statements.iter();
    let most = most_providers(subject);
    statements
        .filter(|statement| statement.allows() && is_about(statement, WEB_IDENTITY))
        .flat_map(move |statement| {
            let providers = statement
                .principal
                .iter()
                .flat_map(|principal| principal.of("Federated"))
                .take(most);
            providers.filter_map(move |provider| {
                issuer_of(&provider.text).map(|issuer| Trusted {
                    statement,
                    provider,
                    issuer,
                })
            })
        })
}

fn no_condition(subject: &Subject<'_, '_>, findings: &mut Findings) {
    for trusted in trusted(subject) {
        // Where IAM itself demands a claim, it says so.
        let other_issuer = trusted
            .statement
            .conditions()
            .any(|condition| issuer_key(&condition.key.text).is_some());
        if trusted.on_any().next().is_none() && !other_issuer {
            findings
                .at(
                    trusted.provider,
                    format!(
                        "whoever holds a token of `{}` may assume the role: nothing in it is checked",
                        clip(trusted.issuer)
                    ),
                )
                .fix(format!(
                    "add `\"StringEquals\": {{\"{issuer}:aud\": \"sts.amazonaws.com\", \"{issuer}:sub\": \
                     \"system:serviceaccount:NAMESPACE:NAME\"}}`",
                    issuer = clip(trusted.issuer)
                ));
        }
    }
}

/// Claims of GitHub's tokens that name a repository or a workflow in one.
const REPOSITORY_CLAIMS: [&str; 6] = [
    "sub",
    "job_workflow_ref",
    "repository",
    "repository_id",
    "repository_owner",
    "repository_owner_id",
];

fn github_without_repository(subject: &Subject<'_, '_>, findings: &mut Findings) {
    for trusted in trusted(subject).filter(Trusted::is_github) {
        let named = REPOSITORY_CLAIMS.iter().any(|claim| trusted.on(claim).next().is_some());
        if !named {
            findings
                .at(
                    trusted.provider,
                    "workflows of every repository on GitHub may assume the role",
                )
                .fix(format!(
                    "add a condition on `{}:sub`, such as `repo:OWNER/NAME:ref:refs/heads/main`",
                    clip(trusted.issuer)
                ));
        }
    }
}

fn github_wildcard(subject: &Subject<'_, '_>, findings: &mut Findings) {
    for trusted in trusted(subject).filter(Trusted::is_github) {
        for condition in trusted.on("sub") {
            let positive = condition.operator.is_some_and(|operator| !operator.negated);
            for value in condition.values.iter().filter(|value| has_wildcard(&value.text)) {
                if positive && condition.has_wildcards() {
                    findings
                        .at(
                            value,
                            format!(
                                "with a wildcard, `{}` is more than one repository and branch",
                                clip(&value.text)
                            ),
                        )
                        .fix("name the repository and the branch, such as `repo:OWNER/NAME:ref:refs/heads/main`");
                }
            }
        }
    }
}

fn qualified_audience(subject: &Subject<'_, '_>, findings: &mut Findings, prefix: &str) {
    for statement in &subject.tree.statements {
        for condition in statement.conditions() {
            let is_audience =
                issuer_key(&condition.key.text).is_some_and(|(_, claim)| claim.eq_ignore_ascii_case("aud"));
            let operator = &*condition.operator_name.text;
            let rest = operator
                .split_at_checked(prefix.len())
                .filter(|(head, _)| head.eq_ignore_ascii_case(prefix))
                .map(|(_, rest)| rest);
            // Cognito's keys are an exception that its own templates make, with `amr`, which has several values.
            if let Some(rest) = rest.filter(|_| is_audience) {
                let finding = findings.at_name(
                    &condition.operator_name,
                    format!(
                        "`{}` has one value: the qualifier makes the condition weaker",
                        clip(&condition.key.text)
                    ),
                );
                finding.fix(format!("write `{rest}`"));
                if condition.is_alone {
                    finding.retext(&condition.operator_name.bytes, rest);
                }
            }
        }
    }
}

fn cognito_amr(subject: &Subject<'_, '_>, findings: &mut Findings) {
    for trusted in trusted(subject).filter(|trusted| trusted.issuer == COGNITO) {
        if trusted.on("amr").next().is_none() {
            findings
                .at(
                    trusted.provider,
                    "identities that never logged in may assume the role, too",
                )
                .fix(format!(
                    "add `\"ForAnyValue:StringLike\": {{\"{COGNITO}:amr\": \"authenticated\"}}`"
                ));
        }
    }
}

/// An issuer as it is compared to find out what was meant.
fn normal(issuer: &str) -> String {
    let bare = issuer.split_once("://").map_or(issuer, |(_, bare)| bare);
    bare.trim_end_matches('/').to_ascii_lowercase()
}

fn issuer_mismatch(subject: &Subject<'_, '_>, findings: &mut Findings) {
    let most = most_providers(subject);
    for statement in subject
        .tree
        .statements
        .iter()
        .filter(|statement| is_about(statement, WEB_IDENTITY))
    {
        let Some(principal) = &statement.principal else {
            continue;
        };
        let providers: Vec<&str> = principal
            .of("Federated")
            .filter_map(|item| issuer_of(&item.text))
            .take(most)
            .collect();
        if providers.is_empty() || principal.of("Federated").any(|item| item.text == "*") {
            continue;
        }
        for condition in statement.conditions() {
            let Some((issuer, claim)) = issuer_key(&condition.key.text) else {
                continue;
            };
            let absent = condition.holds_when_absent();
            if let Some(other) = providers.iter().find(|known| !known.eq_ignore_ascii_case(issuer)) {
                let own = providers.iter().any(|known| known.eq_ignore_ascii_case(issuer));
                let bearers = if own {
                    format!("tokens of `{}`", clip(other))
                } else {
                    "the tokens here".to_owned()
                };
                let effect = if absent { "always met" } else { "never met" };
                let finding = findings.at_name(
                    &condition.key,
                    format!(
                        "this is a claim of tokens from `{}`; for {bearers} it is {effect}",
                        clip(issuer)
                    ),
                );
                if absent && statement.allows() {
                    finding.as_type(FindingType::SecurityWarning);
                }
                if own {
                    finding.fix("give each provider a statement of its own");
                    continue;
                }
                let near = providers.iter().find(|known| normal(known) == normal(issuer)).copied();
                let meant = near.or(match providers.as_slice() {
                    [only] => Some(*only),
                    _ => None,
                });
                match meant {
                    Some(meant) if meant.contains("://") => {
                        finding.fix("correct the provider's ARN, which has no scheme in it");
                    }
                    Some(meant) => {
                        let key = format!("{meant}:{claim}");
                        finding
                            .fix(format!("write `{}`", clip(&key)))
                            .retext(&condition.key.bytes, &key);
                    }
                    None => {
                        finding.fix("begin the key with the issuer that the provider's ARN names");
                    }
                }
            }
        }
    }
}

fn claims_outside_trust(subject: &Subject<'_, '_>, findings: &mut Findings) {
    for statement in &subject.tree.statements {
        for condition in statement.conditions() {
            let claimed = issuer_key(&condition.key.text);
            if claimed.is_none_or(|(issuer, _)| BUILT_IN.iter().any(|known| known.eq_ignore_ascii_case(issuer))) {
                continue;
            }
            let absent = condition.holds_when_absent();
            let effect = if absent { "always met" } else { "never met" };
            let finding = findings.at_name(
                &condition.key,
                format!(
                    "claims of a token are known only while AssumeRoleWithWebIdentity is called; here the condition is {effect}"
                ),
            );
            // A Deny that is never met protects nothing, an Allow that is always met neither.
            let opens = (statement.allows() && absent) || (statement.denies() && !absent);
            if opens && subject.kind != PolicyKind::ResourceControl {
                finding.as_type(FindingType::SecurityWarning);
            }
            finding.fix(
                "check claims in the role's trust policy; for later requests compare aws:PrincipalTag, \
                 aws:SourceIdentity or aws:userid",
            );
        }
    }
}

/// Whether a condition compares text and is not met without the key: what can pin a claim down.
pub(super) fn pins(condition: &Condition<'_>) -> bool {
    condition.operator.is_some_and(|operator| {
        !operator.negated
            && matches!(
                operator.predicate,
                Predicate::StringEquals | Predicate::StringEqualsIgnoreCase | Predicate::StringLike | Predicate::Arn
            )
    }) && !condition.holds_when_absent()
        && !condition
            .values
            .iter()
            .any(|value| condition.has_wildcards() && value.text.bytes().all(|byte| byte == b'*'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_of_issuers() {
        for (key, issuer, claim) in [
            ("oidc.example.com/id/A:sub", "oidc.example.com/id/A", "sub"),
            ("accounts.google.com:aud", "accounts.google.com", "aud"),
            ("127.0.0.1:4701/id/A:sub", "127.0.0.1:4701/id/A", "sub"),
            ("localhost:4701/id/A:sub", "localhost:4701/id/A", "sub"),
            ("issuer/path:aud", "issuer/path", "aud"),
            ("https://oidc.example.com:sub", "https://oidc.example.com", "sub"),
        ] {
            assert_eq!(issuer_key(key), Some((issuer, claim)), "{key}");
        }
        for key in [
            "aws:SourceIp",
            "saml:aud",
            "aws:RequestTag/a.b:c",
            "aws:RequestTag/x://a.b:sub",
            "kms:EncryptionContext:aws:s3:arn",
            "s3:ExistingObjectTag/x",
            "sub",
            "",
            ":sub",
            "oidc.example.com:",
        ] {
            assert_eq!(issuer_key(key), None, "{key}");
        }
    }
}
