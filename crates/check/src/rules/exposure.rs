//! Who gets in: subjects of service accounts that a pattern matches, tried against the policy by the engine.

use std::cell::{Cell, OnceCell};

use irsa_core::AccountId;
use irsa_policy::syntax::{AddressBlock, Predicate};
use irsa_policy::{Context, Layers, Policy, PolicyKind, Principal, Request, decide};

use super::issuers::{Trusted, issuer_key};
use crate::glob::has_wildcard;
use crate::rule::Subject;
use crate::tree::Condition;

pub(super) const SERVICE_ACCOUNT: &str = "system:serviceaccount:";

/// The namespace and the name in a service account's subject.
///
/// See <https://kubernetes.io/docs/concepts/overview/working-with-objects/names/>.
pub(super) fn service_account(subject: &str) -> Option<(&str, &str)> {
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

/// Tries subjects against the policy; compiled when it is first needed.
pub(super) struct Gate<'a> {
    text: &'a str,
    policy: OnceCell<Option<Policy>>,
    /// How many more questions a document is worth.
    questions: Cell<usize>,
}

impl<'a> Gate<'a> {
    pub(super) fn new(subject: &Subject<'_, 'a>) -> Self {
        Self {
            text: subject.text,
            policy: OnceCell::new(),
            questions: Cell::new(QUESTIONS),
        }
    }

    /// Whether the policy lets a token in that has this subject, and of everything else what the statement asks for.
    pub(super) fn lets_in(&self, trusted: &Trusted<'_, '_>, token_subject: &str) -> bool {
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
        // What every such request has; what the statement asks for comes after, and takes its place.
        for (key, value) in USUAL {
            context.set(key, value);
        }
        context.set("aws:FederatedProvider", &trusted.provider.text);
        context.set("aws:userid", &trusted.provider.text);
        context.set("aws:PrincipalAccount", account.to_string());
        context.set("aws:ResourceAccount", account.to_string());
        context.set_list(&format!("{}:amr", trusted.issuer), ["authenticated"]);
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

/// Condition keys of every request of this kind, with usual values.
const USUAL: [(&str, &str); 11] = [
    ("aws:SourceIp", "203.0.113.7"),
    ("aws:CurrentTime", "2026-06-15T12:00:00Z"),
    ("aws:EpochTime", "1781524800"),
    ("aws:SecureTransport", "true"),
    ("aws:RequestedRegion", "us-east-1"),
    ("aws:PrincipalType", "User"),
    ("aws:ViaAWSService", "false"),
    ("aws:PrincipalIsAWSService", "false"),
    ("aws:UserAgent", "aws-sdk"),
    ("sts:RoleSessionName", "example"),
    ("sts:RoleAuthorizedByIdp", "false"),
];

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
const STARS: [&str; 10] = [
    "evil",
    "",
    "x",
    "x:evil",
    "evil:evil",
    "system:serviceaccount:evil:evil",
    "system:serviceaccount:evil:x",
    "system:serviceaccount:evil",
    "system",
    "serviceaccount",
];

/// Wildcards of one pattern that are tried with everything; the others with one thing each.
const FREE: usize = 3;

/// Questions to the engine that a document is worth.
const QUESTIONS: usize = 200;

/// Subjects of one pattern that the engine is asked about.
pub(super) const TRIES: usize = 8;

/// Subjects of service accounts that a pattern matches.
pub(super) fn examples(pattern: &str) -> Vec<String> {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::glob::matches;

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
            ("*:*:*:app", Some("system:serviceaccount:evil:app")),
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
