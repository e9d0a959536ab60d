//! Trust policies: who may assume a role.

use irsa_policy::PolicyKind;
use irsa_policy::syntax::Predicate;

use super::resources::fields;
use crate::finding::FindingType;
use crate::glob::{has_wildcard, matches};
use crate::rule::{Findings, Kinds, Rule, Subject, clip};
use crate::tree::{Condition, Item, Statement};

const OIDC_PAGE: &str = "https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles_create_for-idp_oidc.html";
const KEYS_PAGE: &str = "https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_iam-condition-keys.html";
const PRINCIPAL_PAGE: &str =
    "https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_principal.html";

pub(super) static RULES: &[Rule] = &[
    Rule::error(
        "ROLE_TRUST_POLICY_SYNTAX_ERROR_NOTPRINCIPAL",
        "NotPrincipal in a trust policy",
        Kinds::TRUST,
        not_principal,
    ),
    Rule::error(
        "ROLE_TRUST_POLICY_UNSUPPORTED_WILDCARD_IN_PRINCIPAL",
        "the principal \"*\" in a trust policy",
        Kinds::TRUST,
        bare_star,
    ),
    Rule::error(
        "ROLE_TRUST_POLICY_SYNTAX_ERROR_RESOURCE",
        "a resource in a trust policy",
        Kinds::TRUST,
        resource,
    ),
    Rule::error(
        "INVALID_FEDERATED_PRINCIPAL_SYNTAX_IN_ROLE_TRUST_POLICY",
        "an identity provider of the wrong form",
        Kinds::TRUST,
        federated_syntax,
    ),
    Rule::error(
        "MISMATCHED_ACTION_FOR_PRINCIPAL",
        "an action that the principal cannot use",
        Kinds::TRUST,
        mismatched_action,
    ),
    Rule::error(
        "MISSING_ACTION_FOR_ROLES_ANYWHERE_TRUST_POLICY",
        "Roles Anywhere without one of its actions",
        Kinds::TRUST,
        roles_anywhere,
    ),
    Rule::doubt(
        "MISSING_ACTION_FOR_CONDITION_KEY",
        "a condition on what an action sets that is not there",
        Kinds::TRUST,
        missing_action_for_key,
    ),
    Rule::suggestion(
        "REDUNDANT_PRINCIPAL_IN_ROLE_TRUST_POLICY",
        "a role's session beside the role",
        Kinds::TRUST,
        redundant_session,
    ),
    Rule::own(
        FindingType::SecurityWarning,
        "IRSA_ANYONE_MAY_ASSUME",
        "a role that every account's users may assume",
        PRINCIPAL_PAGE,
        Kinds::TRUST,
        anyone,
    ),
    Rule::own(
        FindingType::SecurityWarning,
        "IRSA_ANY_PROVIDER",
        "a role for all identity providers",
        OIDC_PAGE,
        Kinds::TRUST,
        any_provider,
    ),
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

/// The actions that IAM takes in a trust policy, in exactly these letters.
pub(super) const ACTIONS: [&str; 12] = [
    "sts:AssumeRole",
    "sts:AssumeRoleWithSAML",
    WEB_IDENTITY,
    "sts:TagSession",
    "sts:SetSourceIdentity",
    "sts:SetContext",
    "sts:DecodeAuthorizationMessage",
    "sts:GetAccessKeyInfo",
    "sts:GetCallerIdentity",
    "sts:GetFederationToken",
    "sts:GetServiceBearerToken",
    "sts:GetSessionToken",
];

const ASSUME: &str = "sts:AssumeRole";
const WEB_IDENTITY: &str = "sts:AssumeRoleWithWebIdentity";
const SAML: &str = "sts:AssumeRoleWithSAML";

pub(super) const GITHUB: &str = "token.actions.githubusercontent.com";
const COGNITO: &str = "cognito-identity.amazonaws.com";
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
    let bare = issuer.split_once("://").map_or(issuer, |(_, bare)| bare);
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
        self.statement.conditions().filter(move |condition| {
            issuer_key(&condition.key.text)
                .is_some_and(|(of, name)| of.eq_ignore_ascii_case(issuer) && name.eq_ignore_ascii_case(claim))
        })
    }

    /// Whether there is a condition on a claim, of this issuer's tokens or of another's, which has a finding of its own.
    pub(super) fn asks_any_for(&self, claim: &str) -> bool {
        self.statement
            .conditions()
            .any(|condition| issuer_key(&condition.key.text).is_some_and(|(_, name)| name.eq_ignore_ascii_case(claim)))
    }

    /// The conditions on any claim of this issuer's tokens.
    pub(super) fn on_any(&self) -> impl Iterator<Item = &'s Condition<'t>> {
        let issuer = self.issuer;
        self.statement.conditions().filter(move |condition| {
            issuer_key(&condition.key.text).is_some_and(|(of, _)| of.eq_ignore_ascii_case(issuer))
        })
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
fn issuer_of(provider: &str) -> Option<&str> {
    if let Some((_, issuer)) = provider.split_once(":oidc-provider/") {
        return Some(issuer);
    }
    (!provider.starts_with("arn:") && provider.contains('.') && !has_wildcard(provider)).then_some(provider)
}

fn is_saml(provider: &str) -> bool {
    provider.contains(":saml-provider/")
}

/// Whether a statement is about an action.
fn is_about(statement: &Statement<'_>, action: &str) -> bool {
    match (&statement.action, &statement.not_action) {
        (Some(list), _) => list.items.iter().any(|item| matches(&item.text, action, true)),
        (None, Some(list)) => !list.items.iter().any(|item| matches(&item.text, action, true)),
        (None, None) => false,
    }
}

/// Providers of one statement that are looked at, each with all conditions.
const MOST_PROVIDERS: usize = 50;

/// All issuers that statements trust.
pub(super) fn trusted<'s, 't>(subject: &'s Subject<'_, 't>) -> impl Iterator<Item = Trusted<'s, 't>> {
    let statements = subject.tree.statements.iter();
    statements
        .filter(|statement| statement.allows() && is_about(statement, WEB_IDENTITY))
        .flat_map(|statement| {
            let providers = statement
                .principal
                .iter()
                .flat_map(|principal| principal.of("Federated"))
                .take(MOST_PROVIDERS);
            providers.filter_map(move |provider| {
                issuer_of(&provider.text).map(|issuer| Trusted {
                    statement,
                    provider,
                    issuer,
                })
            })
        })
}

fn not_principal(subject: &Subject<'_, '_>, findings: &mut Findings) {
    for principal in subject
        .tree
        .statements
        .iter()
        .filter_map(|statement| statement.not_principal.as_ref())
    {
        findings
            .at_name(&principal.name, "trust policies have no `NotPrincipal`")
            .fix("name in `Principal` who may assume the role");
    }
}

fn bare_star(subject: &Subject<'_, '_>, findings: &mut Findings) {
    for statement in &subject.tree.statements {
        let text = statement
            .principal
            .as_ref()
            .and_then(|principal| principal.text.as_ref());
        if let Some(text) = text.filter(|text| text.text == "*") {
            findings
                .at(text, "IAM takes no bare `\"*\"` as the principal of a trust policy")
                .fix("name who may assume the role; `{\"AWS\": \"*\"}` would be everyone in every account");
        }
    }
}

fn resource(subject: &Subject<'_, '_>, findings: &mut Findings) {
    for list in subject
        .tree
        .statements
        .iter()
        .flat_map(|statement| statement.resource_lists())
    {
        findings
            .at_name(
                &list.name,
                "a trust policy is about the role that it belongs to, and names no resource",
            )
            .fix(format!("remove `{}`", list.name.text));
    }
}

fn federated_syntax(subject: &Subject<'_, '_>, findings: &mut Findings) {
    let principals = subject
        .tree
        .statements
        .iter()
        .flat_map(|statement| statement.principals());
    for item in principals.flat_map(|principal| principal.of("Federated")) {
        let text = &*item.text;
        if text == "*" {
            continue;
        }
        let label = |label: &str| {
            let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
            !label.is_empty() && label.bytes().all(fits)
        };
        let fits = match fields(text) {
            Some(arn) => {
                let named = |kind: &str| arn.resource.strip_prefix(kind).is_some_and(|name| !name.is_empty());
                arn.service == "iam" && (named("oidc-provider/") || named("saml-provider/"))
            }
            None => text.contains('.') && text.split('.').all(label),
        };
        if fits {
            let scheme = issuer_of(text).and_then(|issuer| issuer.split_once("://"));
            if scheme.is_some() {
                let whole = text.replacen("https://", "", 1).replacen("http://", "", 1);
                findings
                    .at(
                        item,
                        "a provider's ARN has the issuer's URL without its scheme, so this is no provider's",
                    )
                    .as_type(FindingType::Warning)
                    .fix("remove `https://`")
                    .retext(&item.bytes, &whole);
            }
            continue;
        }
        let finding = findings.at(
            item,
            format!("`{}` is neither a provider's ARN nor a domain", clip(text)),
        );
        finding.fix("write `arn:aws:iam::ACCOUNT:oidc-provider/ISSUER`, with the issuer's URL without `https://`");
    }
}

/// Whether bearers of something can use an action at all. Actions that go along with others fit everybody.
fn fits(kind: &str, name: &str, action: &str) -> bool {
    let is = |wanted: &str| matches(action, wanted, true);
    let assumes = is(ASSUME) || is(WEB_IDENTITY) || is(SAML);
    if !assumes {
        return true;
    }
    match kind {
        "Federated" if name == "*" => is(WEB_IDENTITY) || is(SAML),
        "Federated" if is_saml(name) => is(SAML),
        "Federated" => is(WEB_IDENTITY),
        _ => is(ASSUME),
    }
}

fn is_assuming(action: &str) -> bool {
    [ASSUME, WEB_IDENTITY, SAML]
        .iter()
        .any(|known| matches(action, known, true))
}

fn mismatched_action(subject: &Subject<'_, '_>, findings: &mut Findings) {
    for statement in subject.tree.statements.iter().filter(|statement| statement.allows()) {
        let (Some(principal), Some(actions)) = (&statement.principal, &statement.action) else {
            continue;
        };
        let assuming: Vec<&Item<'_>> = actions
            .items
            .iter()
            .filter(|action| is_assuming(&action.text))
            .take(16)
            .collect();
        if assuming.is_empty() || principal.typed.is_empty() {
            continue;
        }
        let mut any_action_fits = false;
        for action in &assuming {
            if principal
                .entries()
                .any(|(kind, item)| fits(kind, &item.text, &action.text))
            {
                any_action_fits = true;
                continue;
            }
            let wanted = match principal.entries().next() {
                Some(("Federated", item)) if is_saml(&item.text) => SAML,
                Some(("Federated", _)) => WEB_IDENTITY,
                Some(_) => ASSUME,
                None => continue,
            };
            let finding = findings.at(
                action,
                format!("none of the principals here can use `{}`", clip(&action.text)),
            );
            finding.fix(format!("write `{wanted}`"));
            let is_there = actions.items.iter().any(|item| item.text == wanted);
            if !is_there {
                finding.retext(&action.bytes, wanted);
            }
        }
        if !any_action_fits {
            continue;
        }
        for (kind, item) in principal.entries() {
            if !assuming.iter().any(|action| fits(kind, &item.text, &action.text)) {
                findings
                    .at(item, format!("`{}` can use none of the actions here", clip(&item.text)))
                    .fix("give it a statement of its own, with the action that it uses");
            }
        }
    }
}

fn roles_anywhere(subject: &Subject<'_, '_>, findings: &mut Findings) {
    let needed = [ASSUME, "sts:SetSourceIdentity", "sts:TagSession"];
    let statements = || subject.tree.statements.iter().filter(|statement| statement.allows());
    let named = |statement: &Statement<'_>| {
        let services = statement.principal.iter().flat_map(|principal| principal.of("Service"));
        services
            .into_iter()
            .any(|item| item.text == "rolesanywhere.amazonaws.com")
    };
    let missing: Vec<&str> = needed
        .into_iter()
        .filter(|action| !statements().any(|statement| named(statement) && is_about(statement, action)))
        .collect();
    let Some(statement) = statements().find(|statement| named(statement)) else {
        return;
    };
    if let (Some(list), false) = (statement.action_lists().next(), missing.is_empty()) {
        findings
            .add(
                &list.name.path,
                &list.value,
                format!("IAM Roles Anywhere also needs {}", missing.join(" and ")),
            )
            .fix(format!("add {}", missing.join(" and ")));
    }
}

/// Condition keys that a request has only with an action of its own.
const SET_BY: [(&str, &str); 4] = [
    ("sts:SourceIdentity", "sts:SetSourceIdentity"),
    ("aws:RequestTag", "sts:TagSession"),
    ("aws:TagKeys", "sts:TagSession"),
    ("sts:TransitiveTagKeys", "sts:TagSession"),
];

fn missing_action_for_key(subject: &Subject<'_, '_>, findings: &mut Findings) {
    let allowed = |action: &str| {
        let mut allowing = subject.tree.statements.iter().filter(|statement| statement.allows());
        allowing.any(|statement| is_about(statement, action))
    };
    for statement in subject.tree.statements.iter().filter(|statement| statement.allows()) {
        for condition in statement.conditions() {
            let head = condition.key.text.split('/').next().unwrap_or_default();
            let set_by = SET_BY.iter().find(|(key, _)| head.eq_ignore_ascii_case(key));
            if let Some((_, action)) = set_by
                && !condition.holds_when_absent()
                && !allowed(action)
            {
                findings
                    .at_name(
                        &condition.key,
                        format!(
                            "without {action} nobody can set `{}`, so this is never met",
                            clip(&condition.key.text)
                        ),
                    )
                    .fix(format!("add {action} to `Action`"));
            }
        }
    }
}

fn redundant_session(subject: &Subject<'_, '_>, findings: &mut Findings) {
    for principal in subject
        .tree
        .statements
        .iter()
        .filter_map(|statement| statement.principal.as_ref())
    {
        let roles: std::collections::HashSet<(&str, &str)> = principal
            .of("AWS")
            .filter_map(|item| {
                let arn = fields(&item.text)?;
                let role = arn.resource.strip_prefix("role/")?;
                Some((arn.account, role.rsplit('/').next().unwrap_or(role)))
            })
            .collect();
        for item in principal.of("AWS") {
            let session = fields(&item.text).and_then(|arn| {
                let role = arn.resource.strip_prefix("assumed-role/")?.split('/').next()?;
                Some((arn.account, role))
            });
            if session.is_some_and(|session| roles.contains(&session)) {
                findings
                    .at(
                        item,
                        "the role of this session is a principal here, too, and means all of its sessions",
                    )
                    .fix("remove the session, or the role if only the session is meant");
            }
        }
    }
}

/// Whether something holds callers off: a condition that a request without the key does not meet.
fn is_restricted(statement: &Statement<'_>) -> bool {
    statement
        .conditions()
        .any(|condition| !condition.holds_when_absent() && condition.operator.is_some() && !condition.is_null())
}

fn anyone(subject: &Subject<'_, '_>, findings: &mut Findings) {
    for statement in subject.tree.statements.iter().filter(|statement| statement.allows()) {
        let everyone = statement
            .principal
            .as_ref()
            .and_then(|principal| principal.of("AWS").find(|item| item.text == "*"));
        if let Some(item) = everyone
            && !is_restricted(statement)
            && is_about(statement, ASSUME)
        {
            findings
                .at(item, "users and roles of every AWS account may assume this role")
                .fix("name accounts, users or roles, or add a condition such as one on aws:PrincipalOrgID");
        }
    }
}

fn any_provider(subject: &Subject<'_, '_>, findings: &mut Findings) {
    for statement in subject.tree.statements.iter().filter(|statement| statement.allows()) {
        let all = statement
            .principal
            .as_ref()
            .and_then(|principal| principal.of("Federated").find(|item| item.text == "*"));
        if let Some(item) = all {
            findings
                .at(
                    item,
                    "every identity provider of the account is trusted, and those that are added later",
                )
                .fix("name the provider's ARN");
        }
    }
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
            .take(MOST_PROVIDERS)
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
            if issuer_key(&condition.key.text).is_none() {
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
