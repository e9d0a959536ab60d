//! Conditions that can't be decided: a policy that depends on what a request does not say must not be passed over.

use irsa_iam::{AWS_MANAGED, Caller, Identity};
use irsa_policy::syntax::{Document, Statement};

use crate::snapshot::Snapshot;

/// The first condition key of the caller's policies on one of the actions that is among the unread ones: names in full, or their beginning
/// with a `/` or `:` at its end. With such a key absent, a `Deny` would not match, or a condition with `ForAllValues` or `IfExists` would.
pub(crate) fn key_of_policies(
    snapshot: &Snapshot,
    caller: &Caller,
    actions: &[&str],
    unread: &[String],
) -> Option<String> {
    if unread.is_empty() {
        return None;
    }
    documents(snapshot, caller)
        .iter()
        .find_map(|text| key_of(text, actions, unread))
}

/// The same of one policy.
pub(crate) fn key_of(text: &str, actions: &[&str], unread: &[String]) -> Option<String> {
    if !text.contains("Condition") && !text.contains("${") && !text.contains('\\') {
        return None;
    }
    // A document that can't be read allows nothing.
    let document = Document::parse(text).ok()?;
    document
        .statements
        .iter()
        .filter(|statement| concerns(statement, actions))
        .find_map(|statement| {
            let conditions = || statement.conditions.iter().flatten();
            let keys = conditions().map(|condition| &*condition.key.value);
            let values = conditions().flat_map(|condition| condition.values.iter().map(|value| &*value.value));
            let resources = statement.resource.iter().chain(&statement.not_resource);
            let resources = resources.flat_map(|resources| resources.value.iter());
            let inserted = values
                .chain(resources.map(|resource| &*resource.value))
                .flat_map(variables);
            let mut all = keys.chain(inserted);
            all.find(|key| is_unread(key, unread)).map(str::to_owned)
        })
}

/// The keys whose values a text inserts: what stands between `${` and `}`, or a comma.
fn variables(text: &str) -> impl Iterator<Item = &str> {
    text.split("${")
        .skip(1)
        .filter_map(|rest| rest.split(['}', ',']).next())
        .map(str::trim)
}

fn is_unread(key: &str, unread: &[String]) -> bool {
    unread.iter().any(|unread| {
        if unread.ends_with(['/', ':']) {
            key.get(..unread.len())
                .is_some_and(|start| start.eq_ignore_ascii_case(unread))
        } else {
            key.eq_ignore_ascii_case(unread)
        }
    })
}

/// Whether a statement is about one of the actions; in doubt it is.
fn concerns(statement: &Statement<'_>, asked: &[&str]) -> bool {
    let Some(actions) = &statement.action else { return true };
    asked.iter().any(|action| {
        let action = action.to_ascii_lowercase();
        actions
            .value
            .iter()
            .any(|pattern| matches(pattern.value.to_ascii_lowercase().as_bytes(), action.as_bytes()))
    })
}

/// `*` and `?` over bytes, in time that is linear but for the last star.
fn matches(pattern: &[u8], text: &[u8]) -> bool {
    let (mut at, mut place, mut star) = (0, 0, None);
    while place < text.len() {
        match pattern.get(at) {
            Some(b'*') => {
                star = Some((at, place));
                at += 1;
            }
            Some(sign) if *sign == b'?' || Some(sign) == text.get(place) => {
                at += 1;
                place += 1;
            }
            _ => match star {
                Some((star_at, star_place)) => {
                    star = Some((star_at, star_place + 1));
                    at = star_at + 1;
                    place = star_place + 1;
                }
                None => return false,
            },
        }
    }
    pattern
        .get(at..)
        .is_none_or(|rest| rest.iter().all(|sign| *sign == b'*'))
}

/// The texts of all policies that the decision on a caller's request depends on.
fn documents(snapshot: &Snapshot, caller: &Caller) -> Vec<String> {
    let mut texts = Vec::new();
    let mut arns: Vec<&str> = Vec::new();
    match &caller.identity {
        Identity::Root => {}
        Identity::User(user) => {
            texts.extend(user.record.inline_policies.iter().map(|policy| policy.document.clone()));
            arns.extend(user.record.attached_policies.iter().map(String::as_str));
            arns.extend(user.record.permissions_boundary.as_deref());
        }
        Identity::Role(role) => {
            texts.extend(role.record.inline_policies.iter().map(|policy| policy.document.clone()));
            arns.extend(role.record.attached_policies.iter().map(String::as_str));
            arns.extend(role.record.permissions_boundary.as_deref());
        }
    }
    if let Some(session) = caller.session.as_deref() {
        texts.extend(session.session_policy.clone());
        arns.extend(session.session_policy_arns.iter().map(String::as_str));
    }
    let account = snapshot.iam.account(caller.account);
    for arn in arns {
        let own = account.and_then(|account| account.policy(arn));
        let own = own
            .and_then(|policy| policy.record.default_document())
            .map(|version| version.document.clone());
        let of_aws = || {
            AWS_MANAGED
                .iter()
                .find(|policy| policy.arn() == arn)
                .map(|policy| policy.document.to_owned())
        };
        texts.extend(own.or_else(of_aws));
    }
    texts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_counts_wherever_its_value_does() {
        let unread = ["s3:ExistingObjectTag/".to_owned()];
        let found = |statement: &str| {
            let text = format!(
                r#"{{"Version": "2012-10-17", "Statement": {{"Effect": "Allow", "Action": "s3:Get*", {statement}}}}}"#
            );
            key_of(&text, &["s3:GetObject"], &unread)
        };
        let everything = r#""Resource": "*""#;
        for (statement, expected) in [
            (everything.to_owned(), None),
            (
                format!(r#"{everything}, "Condition": {{"Null": {{"s3:existingobjecttag/a": "true"}}}}"#),
                Some("s3:existingobjecttag/a"),
            ),
            (
                format!(
                    r#"{everything}, "Condition": {{"StringEquals": {{"aws:username": "${{s3:ExistingObjectTag/a, 'x'}}"}}}}"#
                ),
                Some("s3:ExistingObjectTag/a"),
            ),
            (
                r#""Resource": "arn:aws:s3:::b/${S3:ExistingObjectTag/a}/*""#.to_owned(),
                Some("S3:ExistingObjectTag/a"),
            ),
            (
                r#""NotResource": ["arn:aws:s3:::b/${aws:username}/${s3:ExistingObjectTag/a}"]"#.to_owned(),
                Some("s3:ExistingObjectTag/a"),
            ),
            (r#""Resource": "arn:aws:s3:::b/${aws:username}/*""#.to_owned(), None),
        ] {
            assert_eq!(found(&statement).as_deref(), expected, "{statement}");
        }
    }

    #[test]
    fn patterns() {
        for (pattern, text, expected) in [
            ("*", "a:b", true),
            ("dynamodb:*", "dynamodb:getitem", true),
            ("dynamodb:get*m", "dynamodb:getitem", true),
            ("dynamodb:?etitem", "dynamodb:getitem", true),
            ("dynamodb:get", "dynamodb:getitem", false),
            ("s3:*", "dynamodb:getitem", false),
            ("*item*", "dynamodb:getitem", true),
            ("", "a", false),
        ] {
            assert_eq!(matches(pattern.as_bytes(), text.as_bytes()), expected, "{pattern}");
        }
    }
}
