//! Whether a bucket policy is public, by AWS's definition of the word.
//!
//! A policy is public unless each statement that allows something says by fixed values whom: in its principals, or in a condition that
//! must hold. A value with a wildcard or a variable is not fixed, and what is not understood here is public.
//!
//! See <https://docs.aws.amazon.com/AmazonS3/latest/userguide/access-control-block-public-access.html#access-control-block-public-access-policy-status>.

use std::net::IpAddr;

use irsa_policy::syntax::{Condition, Document, Operator, Predicate, Principal, Quantifier, Statement};

/// Keys that stand for somebody when they are compared with fixed values.
const FIXING: [&str; 10] = [
    "aws:PrincipalOrgID",
    "aws:PrincipalArn",
    "aws:PrincipalAccount",
    "aws:SourceArn",
    "aws:SourceVpc",
    "aws:SourceVpce",
    "aws:SourceOwner",
    "aws:SourceAccount",
    "aws:userid",
    "s3:DataAccessPointAccount",
];

pub(super) fn is_public(document: &Document<'_>) -> bool {
    document.statements.iter().any(|statement| {
        let denies = statement.effect.as_ref().is_some_and(|effect| effect.value == "Deny");
        !denies && !names_principals(statement) && !is_fixed_by_condition(statement)
    })
}

/// Whether it allows nobody but principals that it names.
fn names_principals(statement: &Statement<'_>) -> bool {
    match statement.principal.as_ref().map(|element| &element.value) {
        Some(Principal::Typed(types)) => types
            .iter()
            .all(|(_, values)| values.iter().all(|value| is_fixed(value))),
        // `NotPrincipal` allows all but a few.
        Some(Principal::Text(_)) | None => false,
    }
}

/// Conditions must hold all, so one is enough.
fn is_fixed_by_condition(statement: &Statement<'_>) -> bool {
    statement.conditions.iter().flatten().any(|condition| {
        Operator::parse(&condition.operator).is_some_and(|operator| {
            // Absent keys must not pass.
            let strict = !operator.negated
                && !operator.if_exists
                && operator.quantifier != Quantifier::All
                && !condition.values.is_empty();
            strict && fixes(&operator, condition)
        })
    })
}

fn fixes(operator: &Operator, condition: &Condition<'_>) -> bool {
    let is_key = |name: &str| condition.key.eq_ignore_ascii_case(name);
    match operator.predicate {
        Predicate::IpAddress => is_key("aws:SourceIp") && condition.values.iter().all(|value| is_narrow(value)),
        Predicate::StringEquals | Predicate::StringEqualsIgnoreCase | Predicate::StringLike | Predicate::Arn => {
            (FIXING.iter().any(|key| is_key(key)) && condition.values.iter().all(|value| is_fixed(value)))
                || (is_key("s3:DataAccessPointArn") && condition.values.iter().all(|value| is_access_point(value)))
        }
        _ => false,
    }
}

/// Neither a wildcard nor a variable, and not nothing.
fn is_fixed(value: &str) -> bool {
    !value.is_empty() && !value.contains(['*', '?']) && !value.contains("${")
}

/// An access point's name may be open as long as its account is not.
fn is_access_point(value: &str) -> bool {
    let fields: Vec<&str> = value.splitn(6, ':').collect();
    match fields.as_slice() {
        ["arn", partition, "s3", region, account, resource] => {
            is_fixed(partition)
                && is_fixed(account)
                && !region.contains("${")
                && resource.starts_with("accesspoint/")
                && !resource.contains("${")
        }
        _ => false,
    }
}

/// An address block that is no wider than /8 (IPv4) or /32 (IPv6), or one for private use (RFC 1918).
fn is_narrow(block: &str) -> bool {
    let (address, length) = match block.split_once('/') {
        Some((address, length)) => (address, Some(length)),
        None => (block, None),
    };
    let Ok(address) = address.parse::<IpAddr>() else {
        return false;
    };
    let least = if address.is_ipv4() { 8 } else { 32 };
    match length {
        None => true,
        // All private blocks are narrow enough.
        Some(length) => length.parse::<u8>().is_ok_and(|length| length >= least),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn public(members: &str) -> bool {
        let text = format!(
            r#"{{"Version": "2012-10-17", "Statement": [
                {{"Effect": "Deny", "Principal": "*", "Action": "s3:*", "Resource": "arn:aws:s3:::b"}},
                {{"Action": "s3:GetObject", "Resource": "arn:aws:s3:::b/*", {members}}}]}}"#
        );
        is_public(&Document::parse(&text).unwrap())
    }

    #[test]
    fn fixed_principals_are_not_public() {
        for (principal, expected) in [
            (r#""*""#, true),
            (r#"{"AWS": "*"}"#, true),
            (r#"{"AWS": ["111122223333", "*"]}"#, true),
            (r#"{"AWS": "111122223333"}"#, false),
            (r#"{"AWS": "arn:aws:iam::111122223333:role/a"}"#, false),
            (r#"{"Service": "logs.amazonaws.com"}"#, false),
            (r#"{"Service": "*"}"#, true),
            (r#"{"Federated": "*"}"#, true),
            (r#"{"AWS": "111122223333", "Federated": "*"}"#, true),
        ] {
            assert_eq!(
                public(&format!(r#""Effect": "Allow", "Principal": {principal}"#)),
                expected,
                "{principal}"
            );
        }
        assert!(public(r#""Effect": "Allow", "NotPrincipal": {"AWS": "111122223333"}"#));
        assert!(!public(r#""Effect": "Deny", "Principal": "*""#));
        assert!(public(r#""Effect": "allow", "Principal": "*""#));
    }

    #[test]
    fn conditions_with_fixed_values_are_not_public() {
        for (condition, expected) in [
            (r#"{"StringEquals": {"aws:SourceVpc": "vpc-91237329"}}"#, false),
            (r#"{"StringLike": {"aws:SourceVpc": "vpc-91237329"}}"#, false),
            (r#"{"StringLike": {"aws:SourceVpc": "vpc-*"}}"#, true),
            (r#"{"StringLike": {"AWS:sourcevpc": ["vpc-1", "vpc-?"]}}"#, true),
            (r#"{"StringEquals": {"aws:SourceVpc": []}}"#, true),
            (r#"{"StringEquals": {"aws:SourceVpc": ""}}"#, true),
            (r#"{"StringEqualsIfExists": {"aws:SourceVpc": "vpc-1"}}"#, true),
            (r#"{"StringNotEquals": {"aws:SourceVpc": "vpc-1"}}"#, true),
            (r#"{"ForAllValues:StringEquals": {"aws:SourceVpc": "vpc-1"}}"#, true),
            (r#"{"StringEquals": {"aws:PrincipalOrgID": "o-1"}}"#, false),
            (r#"{"StringEquals": {"aws:userid": "${aws:userid}"}}"#, true),
            (r#"{"StringLike": {"aws:userid": "AROAEXAMPLE:*"}}"#, true),
            (r#"{"StringEquals": {"aws:userid": "AROAEXAMPLE:s"}}"#, false),
            (r#"{"StringEquals": {"aws:Referer": "https://example.com"}}"#, true),
            (r#"{"Bool": {"aws:SecureTransport": "true"}}"#, true),
            (r#"{"Null": {"aws:SourceVpc": "false"}}"#, true),
            (
                r#"{"ArnLike": {"aws:SourceArn": "arn:aws:cloudtrail:us-east-1:1:trail/t"}}"#,
                false,
            ),
            (
                r#"{"ArnLike": {"aws:SourceArn": "arn:aws:cloudtrail:*:1:trail/t"}}"#,
                true,
            ),
            (
                r#"{"ArnLike": {"s3:DataAccessPointArn": "arn:aws:s3:us-west-2:123456789012:accesspoint/*"}}"#,
                false,
            ),
            (
                r#"{"ArnLike": {"s3:DataAccessPointArn": "arn:aws:s3:*:*:accesspoint/a"}}"#,
                true,
            ),
            (r#"{"IpAddress": {"aws:SourceIp": "192.0.2.0/24"}}"#, false),
            (r#"{"IpAddress": {"aws:SourceIp": "192.0.2.1"}}"#, false),
            (r#"{"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}}"#, false),
            (
                r#"{"IpAddress": {"aws:SourceIp": ["192.0.2.0/24", "0.0.0.0/1"]}}"#,
                true,
            ),
            (r#"{"IpAddress": {"aws:SourceIp": "0.0.0.0/0"}}"#, true),
            (r#"{"IpAddress": {"aws:SourceIp": "2001:db8::/32"}}"#, false),
            (r#"{"IpAddress": {"aws:SourceIp": "2000::/3"}}"#, true),
            (r#"{"IpAddress": {"aws:VpcSourceIp": "192.0.2.0/24"}}"#, true),
            (r#"{"NotIpAddress": {"aws:SourceIp": "192.0.2.0/24"}}"#, true),
            (r#"{"StringLike": {"aws:SourceIp": "192.0.2.1"}}"#, true),
        ] {
            assert_eq!(
                public(&format!(
                    r#""Effect": "Allow", "Principal": "*", "Condition": {condition}"#
                )),
                expected,
                "{condition}"
            );
        }
    }
}
