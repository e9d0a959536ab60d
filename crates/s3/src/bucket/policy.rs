//! Bucket policies: what S3 takes as one, and what is kept of it.
//!
//! See <https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutBucketPolicy.html> and
//! <https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucket-policies.html>.

use irsa_core::Arn;
use irsa_metadata::{Action, Metadata};
use irsa_policy::syntax::{Document, Element, Principal, Statement, Text};
use irsa_policy::{Policy, PolicyError, PolicyKind, validate};
use serde::{Deserialize, Serialize};

use super::public::is_public;

/// The limit of AWS, 20 KB, in characters that are no white space.
const MAX_SIZE: usize = 20 * 1024;

/// A bucket policy as it is stored.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct BucketPolicy {
    /// The text as it was put.
    pub text: String,
    /// Whom the users and roles that it names were when it was put: another one under the same name later is not meant.
    #[serde(default)]
    pub principals: Vec<BoundPrincipal>,
}

/// A user or role that a policy names.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct BoundPrincipal {
    /// Its ARN.
    pub arn: String,
    /// Its unique id.
    pub id: String,
}

/// A bucket policy ready for decisions.
#[derive(Debug)]
pub struct CompiledPolicy {
    /// The resource layer of a decision.
    pub policy: Policy,
    /// Whether S3 would call it public.
    pub public: bool,
}

/// What is known of a principal that a policy names.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum NamedPrincipal {
    /// There is none of this name.
    Unknown,
    /// It exists.
    Known,
    /// A user or role, by its unique id.
    Bound(String),
}

impl BucketPolicy {
    /// Makes it ready for decisions about this bucket.
    ///
    /// # Errors
    /// The text is no policy; then nothing may be decided about the bucket.
    pub fn compile(&self, bucket: &str) -> Result<CompiledPolicy, PolicyError> {
        let label = format!("bucket policy of {bucket}");
        let mut policy = Policy::parse(&label, PolicyKind::Resource, &self.text)?;
        policy.bind_principals(|arn| {
            let bound = self.principals.iter().find(|principal| principal.arn == arn);
            bound.map(|principal| principal.id.clone())
        });
        Ok(CompiledPolicy {
            policy,
            public: self.is_public(),
        })
    }

    /// Whether S3 would call it public.
    #[must_use]
    pub fn is_public(&self) -> bool {
        Document::parse(&self.text).map_or(true, |document| is_public(&document))
    }
}

/// Error code and message of a text that is no policy for this bucket.
#[derive(Debug, Eq, PartialEq)]
pub(crate) struct Refused {
    pub(crate) code: &'static str,
    pub(crate) message: String,
}

fn malformed(message: impl Into<String>) -> Refused {
    Refused {
        code: "MalformedPolicy",
        message: message.into(),
    }
}

/// Checks a text as S3 does when it is put, and binds the principals to who they are.
pub(crate) fn check(
    text: &str,
    bucket: &str,
    partition: &str,
    find: &dyn Fn(&str) -> NamedPrincipal,
) -> Result<BucketPolicy, Refused> {
    const NO_JSON: &str = "Policies must be valid JSON and the first byte must be '{'";
    if validate::non_whitespace_len(text) > MAX_SIZE {
        return Err(Refused {
            code: "PolicyTooLarge",
            message: "Policy exceeds the maximum allowed document size.".to_owned(),
        });
    }
    if !text.starts_with('{') {
        return Err(malformed(NO_JSON));
    }
    validate::document(PolicyKind::Resource, text).map_err(|fault| malformed(fault.message))?;
    let document = Document::parse(text).map_err(|_| malformed(NO_JSON))?;
    let mut principals: Vec<BoundPrincipal> = Vec::new();
    for statement in &document.statements {
        check_principals(statement, find, &mut principals)?;
        let actions = check_actions(statement)?;
        check_resources(statement, &format!("arn:{partition}:s3:::"), bucket, &actions)?;
        check_conditions(statement, &actions)?;
    }
    Ok(BucketPolicy {
        text: text.to_owned(),
        principals,
    })
}

fn check_principals(
    statement: &Statement<'_>,
    find: &dyn Fn(&str) -> NamedPrincipal,
    bound: &mut Vec<BoundPrincipal>,
) -> Result<(), Refused> {
    let invalid = || malformed("Invalid principal in policy");
    let element = statement.principal.as_ref().or(statement.not_principal.as_ref());
    let Some(Principal::Typed(types)) = element.map(|element| &element.value) else {
        return Ok(());
    };
    for (name, values) in types {
        for value in values {
            let known = match &**name {
                "AWS" if value == "*" => true,
                "AWS" => match find(value) {
                    NamedPrincipal::Unknown => false,
                    NamedPrincipal::Known => true,
                    NamedPrincipal::Bound(id) => {
                        if !bound.iter().any(|known| *known.arn == **value) {
                            bound.push(BoundPrincipal {
                                arn: value.to_string(),
                                id,
                            });
                        }
                        true
                    }
                },
                "Service" => is_service(value),
                "Federated" => is_federation(value),
                // Canonical ids name nobody here.
                _ => false,
            };
            if !known {
                return Err(invalid());
            }
        }
    }
    Ok(())
}

fn is_service(name: &str) -> bool {
    let label = |label: &str| {
        !label.is_empty()
            && label
                .bytes()
                .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
    };
    [".amazonaws.com", ".amazonaws.com.cn"]
        .iter()
        .filter_map(|suffix| name.strip_suffix(suffix))
        .any(|rest| rest.split('.').all(label))
}

fn is_federation(name: &str) -> bool {
    const BUILT_IN: [&str; 4] = [
        "cognito-identity.amazonaws.com",
        "accounts.google.com",
        "www.amazon.com",
        "graph.facebook.com",
    ];
    match name.parse::<Arn>() {
        Ok(arn) => {
            arn.service() == "iam"
                && (arn.resource_of_kind("oidc-provider").is_some() || arn.resource_of_kind("saml-provider").is_some())
        }
        Err(_) => BUILT_IN.contains(&name),
    }
}

/// The actions of a statement, one list for each pattern; a pattern without any is refused.
fn check_actions(statement: &Statement<'_>) -> Result<Vec<Vec<Action<'static>>>, Refused> {
    let metadata = Metadata::aws();
    texts(&statement.action, &statement.not_action)
        .map(|pattern| {
            let is_of_s3 = *pattern == *"*" || pattern.get(..3).is_some_and(|start| start.eq_ignore_ascii_case("s3:"));
            let matched: Vec<_> = match is_of_s3 {
                true if *pattern == *"*" => metadata.actions_matching("s3:*").collect(),
                true => metadata.actions_matching(pattern).collect(),
                false => Vec::new(),
            };
            if matched.is_empty() {
                return Err(malformed("Policy has invalid action"));
            }
            Ok(matched)
        })
        .collect()
}

fn check_resources(
    statement: &Statement<'_>,
    prefix: &str,
    bucket: &str,
    actions: &[Vec<Action<'static>>],
) -> Result<(), Refused> {
    let (mut buckets, mut objects) = (false, false);
    for resource in texts(&statement.resource, &statement.not_resource) {
        let rest = resource
            .strip_prefix(prefix)
            .and_then(|rest| rest.strip_prefix(bucket))
            .ok_or_else(|| malformed("Policy has invalid resource"))?;
        match rest.as_bytes().first() {
            None => buckets = true,
            Some(b'/') => objects = true,
            // Both the bucket and what is in it.
            Some(b'*') => (buckets, objects) = (true, true),
            Some(_) => return Err(malformed("Policy has invalid resource")),
        }
    }
    if statement.action.is_none() || statement.resource.is_none() {
        return Ok(());
    }
    let applies = |action: &Action<'_>| {
        action.resource_types().any(|accepted| {
            let name = accepted.resource_type().name();
            (buckets && name == "bucket") || (objects && name == "object")
        })
    };
    if actions.iter().all(|matched| matched.iter().any(applies)) {
        return Ok(());
    }
    Err(malformed("Action does not apply to any resource(s) in statement"))
}

/// Keys of S3's and AWS's own must exist, and S3's be keys of an action of the statement.
fn check_conditions(statement: &Statement<'_>, actions: &[Vec<Action<'static>>]) -> Result<(), Refused> {
    let metadata = Metadata::aws();
    for condition in statement.conditions.iter().flatten() {
        let prefix = condition.key.split(':').next().unwrap_or_default();
        let (of_aws, of_s3) = (prefix.eq_ignore_ascii_case("aws"), prefix.eq_ignore_ascii_case("s3"));
        if !of_aws && !of_s3 {
            continue;
        }
        let Some(key) = metadata.condition_key(&condition.key) else {
            return Err(malformed("Policy has an invalid condition key"));
        };
        if of_s3 && statement.action.is_some() && !actions.iter().flatten().any(|action| action.carries(key)) {
            return Err(malformed(
                "Conditions do not apply to combination of actions and resources in statement",
            ));
        }
    }
    Ok(())
}

/// The texts of one of two elements.
fn texts<'s, 't>(
    one: &'s Option<Element<Vec<Text<'t>>>>,
    other: &'s Option<Element<Vec<Text<'t>>>>,
) -> impl Iterator<Item = &'s Text<'t>> {
    let element = one.as_ref().or(other.as_ref());
    element.into_iter().flat_map(|element| &element.value)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROLE: &str = "arn:aws:iam::111122223333:role/app";

    fn find(name: &str) -> NamedPrincipal {
        match name {
            ROLE => NamedPrincipal::Bound("AROAEXAMPLE1234567890".to_owned()),
            "111122223333" | "arn:aws:iam::111122223333:root" => NamedPrincipal::Known,
            _ => NamedPrincipal::Unknown,
        }
    }

    fn put(text: &str) -> Result<BucketPolicy, Refused> {
        check(text, "logs", "aws", &find)
    }

    fn statement(members: &str) -> String {
        format!(r#"{{"Version": "2012-10-17", "Statement": {{{members}}}}}"#)
    }

    fn message(members: &str) -> String {
        match put(&statement(members)) {
            Ok(_) => "taken".to_owned(),
            Err(refused) => {
                assert_eq!(refused.code, "MalformedPolicy");
                refused.message
            }
        }
    }

    #[test]
    fn what_s3_refuses_in_its_words() {
        const ALLOW: &str = r#""Effect": "Allow", "Principal": {"AWS": "111122223333"}"#;
        const GET: &str = r#""Action": "s3:GetObject", "Resource": "arn:aws:s3:::logs/*""#;
        for (members, expected) in [
            (format!("{ALLOW}, {GET}"), "taken"),
            (format!(r#""Effect": "Allow", "Principal": "*", {GET}"#), "taken"),
            (format!(r#""Principal": "*", {GET}"#), "Missing required field Effect"),
            (
                format!(r#""Effect": "Allow", {GET}"#),
                "Missing required field Principal",
            ),
            (
                r#""Effect": "Allow", "Principal": "*", "Action": "s3:*""#.to_owned(),
                "Missing required field Resource",
            ),
            (
                format!(r#"{ALLOW}, "Action": "s3:GetObject", "Resource": "*""#),
                "Policy has invalid resource",
            ),
            (
                format!(r#"{ALLOW}, "Action": "s3:GetObject", "Resource": "arn:aws:s3:::*""#),
                "Policy has invalid resource",
            ),
            (
                format!(r#"{ALLOW}, "Action": "s3:GetObject", "Resource": "arn:aws:s3:::other/*""#),
                "Policy has invalid resource",
            ),
            (
                format!(r#"{ALLOW}, "Action": "s3:GetObject", "Resource": "arn:aws:s3:::logs2/*""#),
                "Policy has invalid resource",
            ),
            (
                format!(r#"{ALLOW}, "Action": "s3:GetObject", "Resource": "arn:aws-cn:s3:::logs/*""#),
                "Policy has invalid resource",
            ),
            (
                format!(r#"{ALLOW}, "Action": "s3:GetObject", "Resource": "arn:aws:s3:::logs*""#),
                "taken",
            ),
            (
                format!(r#"{ALLOW}, "Action": "s3:GetObject", "Resource": "arn:aws:s3:::logs""#),
                "Action does not apply to any resource(s) in statement",
            ),
            (
                format!(r#"{ALLOW}, "Action": ["s3:GetObject", "s3:ListBucket"], "Resource": "arn:aws:s3:::logs/*""#),
                "Action does not apply to any resource(s) in statement",
            ),
            (
                format!(r#"{ALLOW}, "Action": "s3:ListAllMyBuckets", "Resource": "arn:aws:s3:::logs""#),
                "Action does not apply to any resource(s) in statement",
            ),
            (
                format!(r#"{ALLOW}, "Action": "s3:*", "Resource": ["arn:aws:s3:::logs", "arn:aws:s3:::logs/*"]"#),
                "taken",
            ),
            (
                format!(r#"{ALLOW}, "Action": "s3:GetObjects", "Resource": "arn:aws:s3:::logs/*""#),
                "Policy has invalid action",
            ),
            (
                format!(r#"{ALLOW}, "Action": "ec2:*", "Resource": "arn:aws:s3:::logs/*""#),
                "Policy has invalid action",
            ),
            (
                format!(r#""Effect": "Allow", "Principal": {{"AWS": "999988887777"}}, {GET}"#),
                "Invalid principal in policy",
            ),
            (
                format!(r#""Effect": "Allow", "Principal": {{"AWS": "arn:aws:iam::111122223333:role/none"}}, {GET}"#),
                "Invalid principal in policy",
            ),
            (
                format!(r#""Effect": "Allow", "Principal": {{"AWS": "arn:aws:iam::111122223333:role/*"}}, {GET}"#),
                "Invalid principal in policy",
            ),
            (
                format!(r#""Effect": "Allow", "Principal": {{"Service": "*"}}, {GET}"#),
                "Invalid principal in policy",
            ),
            (
                format!(r#""Effect": "Allow", "Principal": {{"Service": "logs.amazonaws.com"}}, {GET}"#),
                "taken",
            ),
            (
                format!(
                    r#""Effect": "Allow", "Principal": {{"CanonicalUser": "{}"}}, {GET}"#,
                    "a".repeat(64)
                ),
                "Invalid principal in policy",
            ),
            (
                format!(r#""Effect": "Allow", "NotPrincipal": {{"AWS": "111122223333"}}, {GET}"#),
                "Allow with NotPrincipal is not allowed.",
            ),
            (
                format!(r#"{ALLOW}, {GET}, "Condition": {{"StringEquals": {{"s3:nothing": "a"}}}}"#),
                "Policy has an invalid condition key",
            ),
            (
                format!(r#"{ALLOW}, {GET}, "Condition": {{"StringEquals": {{"s3:prefix": "a"}}}}"#),
                "Conditions do not apply to combination of actions and resources in statement",
            ),
            (
                format!(r#"{ALLOW}, {GET}, "Condition": {{"StringEquals": {{"s3:ExistingObjectTag/a": "b"}}}}"#),
                "taken",
            ),
            (
                format!(r#"{ALLOW}, {GET}, "Condition": {{"StringEqual": {{"aws:SourceIp": "a"}}}}"#),
                "Invalid Condition type : StringEqual",
            ),
        ] {
            assert_eq!(message(&members), expected, "{members}");
        }
        for text in ["", "[]", " {}", "policy"] {
            assert_eq!(
                put(text).unwrap_err().message,
                "Policies must be valid JSON and the first byte must be '{'",
                "{text}"
            );
        }
    }

    #[test]
    fn twenty_kilobytes_without_white_space() {
        let with = |padding: usize| {
            statement(&format!(
                r#""Effect": "Deny", "Principal": "*", "Action": "s3:GetObject",
                   "Resource": "arn:aws:s3:::logs/{}""#,
                "a".repeat(padding)
            ))
        };
        let frame = validate::non_whitespace_len(&with(0));
        assert!(put(&with(MAX_SIZE - frame)).is_ok());
        assert!(put(&format!("{}{}", with(MAX_SIZE - frame), " ".repeat(9000))).is_ok());
        let refused = put(&with(MAX_SIZE - frame + 1)).unwrap_err();
        assert_eq!(
            (refused.code, refused.message.as_str()),
            ("PolicyTooLarge", "Policy exceeds the maximum allowed document size.")
        );
    }

    #[test]
    fn users_and_roles_are_bound_once() {
        let policy = put(&statement(&format!(
            r#""Effect": "Allow", "Principal": {{"AWS": ["{ROLE}", "{ROLE}", "111122223333"]}},
               "Action": "s3:GetObject", "Resource": "arn:aws:s3:::logs/*""#
        )))
        .unwrap();
        assert_eq!(
            policy.principals,
            [BoundPrincipal {
                arn: ROLE.to_owned(),
                id: "AROAEXAMPLE1234567890".to_owned()
            }]
        );
    }
}
