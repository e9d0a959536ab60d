//! What may be asked: policies that are left out, typed condition keys, and what is refused.

use super::{ANN, Asked, BUCKET, server};
use crate::harness::{READ, Server, TRUST, policy, text};

#[test]
fn policies_are_left_out_on_request() {
    let mut server = server();
    let table = "arn:aws:dynamodb:us-east-1:111122223333:table/ann";
    let asked = |action: &str, resource: &str, excluded: &[(&str, &str)]| {
        let mut asked = Asked::new(&[action]).list("ResourceArns", &[resource]);
        for (name, value) in excluded {
            asked = asked.with(&format!("PolicyExclusionList.member.1.{name}"), value);
        }
        asked
    };
    let inline = |holder: &'static str, name: &'static str| {
        vec![
            ("InlinePolicyIdentifier.AttachmentType", "user"),
            ("InlinePolicyIdentifier.AttachmentName", holder),
            ("InlinePolicyIdentifier.PolicyName", name),
        ]
    };
    for (action, resource, excluded, decision) in [
        ("s3:GetObject", BUCKET, vec![], "allowed"),
        (
            "s3:GetObject",
            BUCKET,
            vec![("PolicyType", "aws-managed")],
            "implicitDeny",
        ),
        ("s3:GetObject", BUCKET, vec![("PolicyType", "user-managed")], "allowed"),
        ("s3:GetObject", BUCKET, vec![("PolicyType", "rcp")], "allowed"),
        (
            "s3:GetObject",
            BUCKET,
            vec![("PolicyArn", "arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess")],
            "implicitDeny",
        ),
        (
            "s3:GetObject",
            BUCKET,
            vec![("PolicyArn", "arn:aws:iam::aws:policy/AmazonS3*")],
            "implicitDeny",
        ),
        (
            "s3:GetObject",
            BUCKET,
            vec![("PolicyArn", "arn:aws:iam::111122223333:policy/*")],
            "allowed",
        ),
        // The boundary lets tables be read; without it they may be written too.
        ("dynamodb:PutItem", table, vec![], "implicitDeny"),
        (
            "dynamodb:PutItem",
            table,
            vec![("PolicyType", "permission-boundary")],
            "allowed",
        ),
        ("dynamodb:GetItem", table, inline("ann", "Other"), "allowed"),
        ("dynamodb:GetItem", table, inline("bob", "Tables"), "allowed"),
        ("dynamodb:GetItem", table, inline("ann", "Tables"), "implicitDeny"),
        ("dynamodb:GetItem", table, inline("a?*", "Tables"), "implicitDeny"),
        (
            "dynamodb:GetItem",
            table,
            vec![("PolicyType", "inline")],
            "implicitDeny",
        ),
    ] {
        let answer = asked(action, resource, &excluded).principal(&mut server, ANN);
        assert_eq!(text(&answer, "EvalDecision"), decision, "{action} {excluded:?}");
    }
    let bad = asked("s3:GetObject", BUCKET, &[("PolicyType", "everything")]).principal_error(&mut server, ANN);
    assert!(
        bad.starts_with("ValidationError 400: 1 validation error detected: Value 'everything' at 'policyExclusionList.1.member.policyType'"),
        "{bad}"
    );
    let incomplete = &inline("ann", "Tables")[..2];
    for excluded in [
        &[
            ("PolicyType", "inline"),
            ("PolicyArn", "arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess"),
        ][..],
        &[("PolicyArn", "arn:aws:iam::*:policy/AmazonS3ReadOnlyAccess")],
        &[("PolicyArn", "arn:aws:iam::aws:policy/Amazon*Read*")],
        &[("PolicyArn", "arn:aws:iam::111122223333:role/app")],
        incomplete,
        &inline("*a*", "Tables"),
    ] {
        let error = asked("s3:GetObject", BUCKET, excluded).principal_error(&mut server, ANN);
        assert!(error.starts_with("InvalidInput 400: "), "{excluded:?}: {error}");
    }
}

#[test]
fn types_of_condition_keys() {
    let mut server = Server::new();
    let decide = |server: &mut Server, condition: &str, entry: (&str, &str, &[&str])| {
        let document = policy(&format!(
            r#"{{"Effect":"Allow","Action":"*","Resource":"*","Condition":{condition}}}"#
        ));
        let answer = Asked::new(&["s3:GetObject"])
            .list("PolicyInputList", &[&document])
            .context(&[entry])
            .custom(server);
        text(&answer, "EvalDecision") == "allowed"
    };
    for (condition, entry, allowed) in [
        (
            r#"{"StringEquals":{"aws:x":"a"}}"#,
            ("aws:x", "string", &["a"][..]),
            true,
        ),
        (r#"{"StringEquals":{"AWS:X":"a"}}"#, ("aws:x", "string", &["A"]), false),
        (
            r#"{"NumericLessThan":{"s3:max-keys":"10"}}"#,
            ("s3:max-keys", "numeric", &["9.5"]),
            true,
        ),
        (
            r#"{"Bool":{"aws:SecureTransport":"true"}}"#,
            ("aws:SecureTransport", "boolean", &["true"]),
            true,
        ),
        (
            r#"{"Bool":{"aws:SecureTransport":"true"}}"#,
            ("aws:SecureTransport", "boolean", &["false"]),
            false,
        ),
        (
            r#"{"IpAddress":{"aws:SourceIp":"10.0.0.0/8"}}"#,
            ("aws:SourceIp", "ip", &["10.1.2.3"]),
            true,
        ),
        (
            r#"{"IpAddress":{"aws:SourceIp":"2001:db8::/32"}}"#,
            ("aws:SourceIp", "ip", &["2001:db8::1"]),
            true,
        ),
        (
            r#"{"DateLessThan":{"aws:CurrentTime":"2020-01-01"}}"#,
            ("aws:CurrentTime", "date", &["2019-12-31T23:59:59Z"]),
            true,
        ),
        (
            r#"{"BinaryEquals":{"aws:binary":"c2VjcmV0"}}"#,
            ("aws:binary", "binary", &["c2VjcmV0"]),
            true,
        ),
        (
            r#"{"ForAllValues:StringEquals":{"aws:TagKeys":["a","b"]}}"#,
            ("aws:TagKeys", "stringList", &["a", "b"]),
            true,
        ),
        (
            r#"{"ForAllValues:StringEquals":{"aws:TagKeys":["a","b"]}}"#,
            ("aws:TagKeys", "stringList", &["a", "c"]),
            false,
        ),
        (
            r#"{"ForAnyValue:StringEquals":{"aws:TagKeys":["a"]}}"#,
            ("aws:TagKeys", "stringList", &["c", "a"]),
            true,
        ),
    ] {
        assert_eq!(decide(&mut server, condition, entry), allowed, "{condition} {entry:?}");
    }
    let asked = |context: &[(&str, &str, &[&str])]| {
        Asked::new(&["s3:GetObject"])
            .list("PolicyInputList", &[READ])
            .context(context)
    };
    for (entry, error) in [
        (("aws:x", "string", &[][..]), "The context key aws:x has no value."),
        (
            ("aws:x", "string", &["a", "b"]),
            "The context key aws:x is of the type string, and has 2 values.",
        ),
        (
            ("aws:x", "numeric", &["many"]),
            "A value of the context key aws:x is not of the type numeric.",
        ),
        (
            ("aws:x", "boolean", &["yes"]),
            "A value of the context key aws:x is not of the type boolean.",
        ),
        (
            ("aws:x", "date", &["yesterday"]),
            "A value of the context key aws:x is not of the type date.",
        ),
        (
            ("aws:x", "ip", &["10.0.0.0/8"]),
            "A value of the context key aws:x is not of the type ip.",
        ),
        (
            ("aws:x", "binary", &["%"]),
            "A value of the context key aws:x is not of the type binary.",
        ),
    ] {
        assert_eq!(
            asked(&[entry]).custom_error(&mut server),
            format!("InvalidInput 400: {error}")
        );
    }
    let twice = asked(&[("aws:x", "string", &["a"]), ("AWS:X", "string", &["b"])]).custom_error(&mut server);
    assert_eq!(twice, "InvalidInput 400: The context key AWS:X is there twice.");
    let unnamed = Asked::new(&["s3:GetObject"])
        .list("PolicyInputList", &[READ])
        .with("ContextEntries.member.1.ContextKeyType", "string")
        .custom_error(&mut server);
    assert_eq!(
        unnamed,
        "InvalidInput 400: An entry of the context has no ContextKeyName."
    );
    // Without a type, the values are texts.
    let tags = policy(
        r#"{"Effect":"Allow","Action":"*","Resource":"*","Condition":{"ForAllValues:StringEquals":{"aws:TagKeys":["a","b"]}}}"#,
    );
    let untyped = Asked::new(&["s3:GetObject"])
        .list("PolicyInputList", &[&tags])
        .with("ContextEntries.member.1.ContextKeyName", "aws:TagKeys")
        .list("ContextEntries.member.1.ContextKeyValues", &["a", "b"])
        .custom(&mut server);
    assert_eq!(text(&untyped, "EvalDecision"), "allowed");
    for (name, kind, constraint) in [
        ("a:b", "string", "Member must have length greater than or equal to 5"),
        (
            "aws:x",
            "text",
            "Member must satisfy enum value set: [string, stringList, numeric",
        ),
    ] {
        let error = asked(&[(name, kind, &["a"])]).custom_error(&mut server);
        assert!(
            error.starts_with("ValidationError 400: 1 validation error") && error.contains(constraint),
            "{error}"
        );
    }
}

#[test]
fn what_is_refused() {
    let mut server = Server::new();
    let asked = |actions: &[&str]| Asked::new(actions).list("PolicyInputList", &[READ]);
    for (asked, error) in [
        (
            asked(&["GetObject"]),
            "InvalidInput 400: An action names its service, such as iam:CreateUser; GetObject does not.",
        ),
        (
            asked(&["s3:GetObject"]).list("ResourceArns", &["bucket"]),
            "InvalidInput 400: ResourceNames are not in a valid ARN format: bucket.",
        ),
        (
            asked(&["s3:GetObject"]).list("ResourceArns", &["arn:aws:s3"]),
            "InvalidInput 400: ResourceNames are not in a valid ARN format: arn:aws:s3.",
        ),
        (
            asked(&["s3:GetObject"]).list("ResourceArns", &["*", BUCKET]),
            "InvalidInput 400: you cannot include both * and individual resources in the resource list for a simulation.",
        ),
        (
            asked(&["s3:GetObject"]).with("ResourceOwner", "111122223333"),
            "InvalidInput 400: '111122223333' is not a valid as a Resource Owner.",
        ),
        (
            asked(&["s3:GetObject"])
                .list("ResourceArns", &[BUCKET])
                .with(
                    "ResourcePolicy",
                    r#"{"Statement":{"Effect":"Allow","Principal":"*","Action":"s3:*","Resource":"arn:aws:s3:::bucket/*"}}"#,
                ),
            "InvalidInput 400: CallerArn is required if you include a ResourcePolicy.",
        ),
        (
            asked(&["s3:GetObject"]).with("CallerArn", "arn:aws:sts::111122223333:assumed-role/a/b"),
            "InvalidInput 400: Invalid Entity Arn: arn:aws:sts::111122223333:assumed-role/a/b does not clearly define entity type and name.",
        ),
        (
            asked(&["s3:GetObject"]).list("PermissionsBoundaryPolicyInputList", &[READ, READ]),
            "InvalidInput 400: Only one permissions boundary policy can be simulated.",
        ),
        (
            asked(&["ec2:RunInstances"]).with("ResourceHandlingOption", "EC2-VPC-EBS"),
            "InvalidInput 400: The resource handling option EC2-VPC-EBS needs a resource of the type instance.",
        ),
        (
            asked(&["s3:GetObject"])
                .list("ResourceArns", &[BUCKET])
                .with("ResourceHandlingOption", "everything"),
            "InvalidInput 400: The resource handling option everything is unknown.",
        ),
        (
            Asked::new(&["s3:GetObject"]).list("PolicyInputList", &["{}"]),
            "InvalidInput 400: Syntax errors in policy. PolicyInputList.1: line 1, column 1: `Statement` is missing",
        ),
        (
            asked(&["s3:GetObject"])
                .list("ResourceArns", &[BUCKET])
                .with("CallerArn", ANN)
                .with("ResourcePolicy", READ),
            "InvalidInput 400: Syntax errors in policy. ResourcePolicy: line 1, column 38: `Principal` is missing",
        ),
    ] {
        assert_eq!(asked.custom_error(&mut server), error);
    }
    let of_ec2 = |kind: &str| format!("arn:aws:ec2:us-east-1:111122223333:{kind}/x");
    let needed = ["instance", "image", "security-group", "network-interface", "volume"].map(of_ec2);
    let needed: Vec<&str> = needed.iter().map(String::as_str).collect();
    let fine = asked(&["ec2:RunInstances"])
        .list("ResourceArns", &needed)
        .with("ResourceHandlingOption", "EC2-VPC-EBS");
    fine.custom(&mut server);
    // An empty list is a list: nothing is allowed.
    let nothing = Asked::new(&["s3:GetObject"])
        .with("PolicyInputList", "")
        .custom(&mut server);
    assert_eq!(text(&nothing, "EvalDecision"), "implicitDeny");
    for (params, member) in [
        (&[("ActionNames.member.1", "s3:GetObject")][..], "policyInputList"),
        (&[("PolicyInputList.member.1", READ)], "actionNames"),
    ] {
        assert_eq!(
            server.error("SimulateCustomPolicy", params),
            format!(
                "ValidationError 400: 1 validation error detected: Value null at '{member}' failed to satisfy constraint: Member \
                 must not be null"
            )
        );
    }
    // Whoever's policies are simulated calls, if nobody else is named.
    server.ok(
        "CreateRole",
        &[("RoleName", "App"), ("AssumeRolePolicyDocument", TRUST)],
    );
    let role = "arn:aws:iam::111122223333:role/App";
    let decide = |principal: &str, server: &mut Server| {
        let bucket = format!(
            r#"{{"Statement":{{"Effect":"Allow","Principal":{{"AWS":"{principal}"}},"Action":"s3:*","Resource":"arn:aws:s3:::bucket/*"}}}}"#
        );
        let asked = Asked::new(&["s3:GetObject"])
            .list("ResourceArns", &[BUCKET])
            .with("ResourcePolicy", &bucket);
        text(&asked.principal(server, role), "EvalDecision").to_owned()
    };
    assert_eq!(decide(role, &mut server), "allowed");
    assert_eq!(
        decide("arn:aws:iam::111122223333:role/Other", &mut server),
        "implicitDeny"
    );
}
