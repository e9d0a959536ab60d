//! What an attacker or a typing mistake tries on the policy engine, by case number.

use std::sync::Arc;
use std::time::{Duration, Instant};

use irsa_policy::validate::{document, non_whitespace_len};
use irsa_policy::{Context, Decision, Layers, Policy, PolicyKind, Principal, Request, decide, decision, explain};
use proptest::prelude::*;
use proptest::sample::{Index, select};

const PROVIDER_A: &str = "arn:aws:iam::111122223333:oidc-provider/oidc.example.com/id/A";

fn user() -> Principal<'static> {
    Principal::User {
        arn: "arn:aws:iam::111122223333:user/ann",
        unique_id: "AIDAEXAMPLE1234567890",
        account: "111122223333".parse().unwrap(),
    }
}

/// The decision about one identity policy, given as its statements.
fn with_identity(statements: &str, action: &str, resource: &str, context: &Context) -> Decision {
    let text = format!(r#"{{"Version":"2012-10-17","Statement":{statements}}}"#);
    let policy = Policy::parse("p", PolicyKind::Identity, &text).unwrap();
    let identity = [Arc::new(policy)];
    let layers = Layers {
        identity: &identity,
        ..Layers::default()
    };
    let request = Request {
        principal: user(),
        action,
        resource,
        resource_account: None,
        context,
    };
    let decision = decision(&layers, &request);
    assert_eq!(explain(&layers, &request).verdict.decision, decision);
    decision
}

fn allows(statements: &str, action: &str, resource: &str) -> bool {
    with_identity(statements, action, resource, &Context::new()) == Decision::Allowed
}

fn trust(statement: &str, provider: &str, context: &Context) -> Decision {
    let text = format!(r#"{{"Version":"2012-10-17","Statement":{statement}}}"#);
    let policy = Policy::parse("trust", PolicyKind::Trust, &text).unwrap();
    let layers = Layers {
        resource: Some(&policy),
        ..Layers::default()
    };
    let request = Request {
        principal: Principal::WebIdentity { provider },
        action: "sts:AssumeRoleWithWebIdentity",
        resource: "arn:aws:iam::111122223333:role/app",
        resource_account: None,
        context,
    };
    decision(&layers, &request)
}

/// PE-05: wildcards in conditions are linear, and their escapes literal.
#[test]
fn pe_05_hostile_wildcards_are_linear() {
    let mut context = Context::new();
    context.set("k", "a".repeat(4000));
    let started = Instant::now();
    for pattern in [
        format!("{}b", "a*".repeat(300)),
        format!("{}b", "*a".repeat(8)),
        format!("{}b", "*?a*".repeat(200)),
    ] {
        let statements = format!(
            r#"{{"Effect":"Allow","Action":"*","Resource":"*","Condition":{{"StringLike":{{"k":"{pattern}"}}}}}}"#
        );
        assert_eq!(
            with_identity(&statements, "s3:GetObject", "arn:aws:s3:::b", &context),
            Decision::ImplicitlyDenied
        );
    }
    assert!(started.elapsed() < Duration::from_secs(20));
}

/// PE-08: the keys of one provider say nothing about the tokens of another.
#[test]
fn pe_08_a_condition_on_another_provider_never_matches() {
    let mut context = Context::new();
    context.set("oidc.example.com/id/A:sub", "system:serviceaccount:ns:app");
    let statement = |key: &str| {
        format!(
            r#"{{"Effect":"Allow","Principal":{{"Federated":"{PROVIDER_A}"}},"Action":"sts:AssumeRoleWithWebIdentity",
                "Condition":{{"StringEquals":{{"{key}":"system:serviceaccount:ns:app"}}}}}}"#
        )
    };
    assert_eq!(
        trust(&statement("oidc.example.com/id/A:sub"), PROVIDER_A, &context),
        Decision::Allowed
    );
    for key in [
        "oidc.example.com/id/B:sub",
        "oidc.example.com/id/A/:sub",
        "sub",
        "oidc.example.com/id/A:aud",
    ] {
        assert_eq!(
            trust(&statement(key), PROVIDER_A, &context),
            Decision::ImplicitlyDenied,
            "{key}"
        );
    }
    let other = PROVIDER_A.replace("/A", "/B");
    assert_eq!(
        trust(&statement("oidc.example.com/id/A:sub"), &other, &context),
        Decision::ImplicitlyDenied
    );
}

/// PE-10: a trust policy that checks the audience alone trusts every service account of the cluster, as on AWS.
#[test]
fn pe_10_trust_by_audience_alone_is_evaluated_as_written() {
    let statement = format!(
        r#"{{"Effect":"Allow","Principal":{{"Federated":"{PROVIDER_A}"}},"Action":"sts:AssumeRoleWithWebIdentity",
            "Condition":{{"StringEquals":{{"oidc.example.com/id/A:aud":"sts.amazonaws.com"}}}}}}"#
    );
    let mut context = Context::new();
    context.set("oidc.example.com/id/A:sub", "system:serviceaccount:any:thing");
    assert_eq!(trust(&statement, PROVIDER_A, &context), Decision::ImplicitlyDenied);
    context.set("oidc.example.com/id/A:aud", "sts.amazonaws.com");
    assert_eq!(trust(&statement, PROVIDER_A, &context), Decision::Allowed);
    // A private issuer is not guarded when the policy is written.
    let text = format!(r#"{{"Version":"2012-10-17","Statement":{statement}}}"#);
    assert_eq!(document(PolicyKind::Trust, &text), Ok(()));
}

/// PE-11.
#[test]
fn pe_11_negated_elements() {
    let statement = r#"{"Effect":"Allow","NotAction":["iam:*","S3:delete*"],"NotResource":["arn:aws:s3:::secret","arn:aws:s3:::secret/*"]}"#;
    assert!(allows(statement, "s3:GetObject", "arn:aws:s3:::open/k"));
    assert!(!allows(statement, "s3:DeleteObject", "arn:aws:s3:::open/k"));
    assert!(!allows(statement, "IAM:CreateUser", "arn:aws:s3:::open/k"));
    assert!(!allows(statement, "s3:GetObject", "arn:aws:s3:::secret/k"));
    // What names no resource cannot be among the excepted ones.
    assert!(allows(statement, "s3:ListAllMyBuckets", "*"));
    // A variable without a value excepts nothing.
    assert!(allows(
        r#"{"Effect":"Allow","Action":"*","NotResource":"arn:aws:s3:::${none}"}"#,
        "s3:GetObject",
        "arn:aws:s3:::x"
    ));
}

/// PE-12: what a tag or a name brings in is text.
#[test]
fn pe_12_variables_bring_no_wildcards() {
    let statement = r#"{"Effect":"Allow","Action":"s3:*","Resource":"arn:aws:s3:::homes/${aws:PrincipalTag/home}/*"}"#;
    let allows = |tag: &str, key: &str| {
        let mut context = Context::new();
        context.set("aws:PrincipalTag/home", tag);
        with_identity(
            statement,
            "s3:GetObject",
            &format!("arn:aws:s3:::homes/{key}"),
            &context,
        ) == Decision::Allowed
    };
    assert!(allows("ann", "ann/x"));
    assert!(!allows("*", "bob/x"));
    assert!(allows("*", "*/x"));
    assert!(!allows("b?b", "bob/x"));
    assert!(!allows("..", "bob/x"));
    assert!(!allows("${aws:username}", "ann/x"));
    assert!(allows("a/b", "a/b/x"));
    assert!(!allows("", "bob/x"));
}

/// PE-13: only a wildcard makes a prefix.
#[test]
fn pe_13_a_bucket_is_not_a_prefix() {
    let exact = r#"{"Effect":"Allow","Action":"s3:*","Resource":["arn:aws:s3:::bucket","arn:aws:s3:::bucket/*"]}"#;
    assert!(allows(exact, "s3:GetObject", "arn:aws:s3:::bucket/k"));
    assert!(!allows(exact, "s3:GetObject", "arn:aws:s3:::bucket-evil/k"));
    assert!(!allows(exact, "s3:GetObject", "arn:aws:s3:::Bucket/k"));
    let glob = r#"{"Effect":"Allow","Action":"s3:*","Resource":"arn:aws:s3:::bucket*"}"#;
    assert!(allows(glob, "s3:GetObject", "arn:aws:s3:::bucket-evil/k"));
    let action = r#"{"Effect":"Allow","Action":["s3:Get","s3:List?","s3:Put*"],"Resource":"*"}"#;
    assert!(!allows(action, "s3:GetObject", "arn:aws:s3:::b"));
    assert!(!allows(action, "s3:ListBucket", "arn:aws:s3:::b"));
    assert!(allows(action, "S3:PUTOBJECT", "arn:aws:s3:::b"));
    assert!(!allows(
        r#"{"Effect":"Allow","Action":"s3:Get.bject","Resource":"*"}"#,
        "s3:GetObject",
        "arn:aws:s3:::b"
    ));
}

/// PE-15: a repeated member is refused, wherever it stands; keeping the last would let two readers disagree.
#[test]
fn pe_15_repeated_members() {
    for text in [
        r#"{"Version":"2012-10-17","Statement":[],"Statement":{"Effect":"Allow","Action":"*","Resource":"*"}}"#,
        r#"{"Version":"2012-10-17","Version":"2008-10-17","Statement":{"Effect":"Allow","Action":"*","Resource":"*"}}"#,
        r#"{"Version":"2012-10-17","Statement":{"Effect":"Deny","Effect":"Allow","Action":"*","Resource":"*"}}"#,
        r#"{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"*","Resource":"*","Condition":{"Bool":{"a":"true"}},"Condition":{}}}"#,
        r#"{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"*","Resource":"*","Condition":{"Bool":{"a":"true"},"Bool":{}}}}"#,
        r#"{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"*","Resource":"*","Condition":{"Bool":{"a":"true","\u0061":"false"}}}}"#,
    ] {
        assert!(Policy::parse("p", PolicyKind::Identity, text).is_err(), "{text}");
        assert_eq!(
            document(PolicyKind::Identity, text).unwrap_err().message,
            "Syntax errors in policy.",
            "{text}"
        );
    }
}

/// PE-16: an element that the language does not have is refused, not ignored.
#[test]
fn pe_16_unknown_elements() {
    for (element, line) in [
        ("\"Conditions\":{}", 3),
        ("\"NotAcion\":\"*\"", 3),
        ("\"effect\":\"Deny\"", 3),
        ("\"\":1", 3),
    ] {
        let text = format!(
            "{{\"Version\":\"2012-10-17\",\"Statement\":{{\n\"Effect\":\"Allow\",\"Action\":\"*\",\"Resource\":\"*\",\n{element}}}}}"
        );
        let error = Policy::parse("p", PolicyKind::Identity, &text).unwrap_err();
        assert_eq!((error.line(), error.column()), (line, 1), "{error}");
        assert_eq!(
            document(PolicyKind::Identity, &text).unwrap_err().message,
            "Syntax errors in policy."
        );
    }
}

/// PE-17: what counts against the quotas. The quotas themselves are IAM's.
#[test]
fn pe_17_white_space_does_not_count() {
    assert_eq!(non_whitespace_len(" {\r\n\t\"a b\": \"é\u{a0}\" } "), 11);
    let padded = format!("{}{}{}", "\n".repeat(5000), "x".repeat(6144), " ".repeat(5000));
    assert_eq!(non_whitespace_len(&padded), 6144);
}

/// PE-18: an operand of the wrong type never turns a denial into a grant, and never into a crash.
#[test]
fn pe_18_wrong_operands_grant_nothing() {
    for operator in [
        "NumericEquals",
        "NumericLessThan",
        "DateLessThan",
        "DateEquals",
        "Bool",
        "IpAddress",
        "BinaryEquals",
        "ArnLike",
        "ForAnyValue:NumericEquals",
        "ForAnyValue:IpAddress",
        "BoolIfExists",
        "ForAllValues:DateEquals",
    ] {
        for value in [
            "",
            "**",
            "10.0.0.0/64",
            "NaN",
            "99999999999999999999-01-01",
            "\u{fffd}",
            "tru",
            "=",
            "arn:",
        ] {
            let statement = format!(
                r#"{{"Effect":"Allow","Action":"*","Resource":"*","Condition":{{"{operator}":{{"k":"{value}"}}}}}}"#
            );
            for request in ["1e400", "x", "2026-99-99", "300.0.0.1", "::zz"] {
                let mut context = Context::new();
                context.set("k", request);
                let decision = with_identity(&statement, "s3:GetObject", "arn:aws:s3:::b", &context);
                assert_eq!(decision, Decision::ImplicitlyDenied, "{operator} {value} {request}");
            }
        }
    }
    // A denial with a negated operator still holds when the request's value is nonsense.
    let statements = r#"[{"Effect":"Allow","Action":"*","Resource":"*"},
        {"Effect":"Deny","Action":"*","Resource":"*","Condition":{"NotIpAddress":{"aws:SourceIp":"10.0.0.0/8"}}}]"#;
    let mut context = Context::new();
    context.set("aws:SourceIp", "10.0.0.1, 203.0.113.1");
    assert_eq!(
        with_identity(statements, "s3:GetObject", "arn:aws:s3:::b", &context),
        Decision::ExplicitlyDenied
    );
}

/// PE-23: oversized and deeply nested documents are refused at once; the largest legal ones are quick.
#[test]
fn pe_23_hostile_documents_are_bounded() {
    let started = Instant::now();
    let statement = r#"{"Effect":"Allow","Action":"*","Resource":"*"}"#;
    let many = format!(
        r#"{{"Version":"2012-10-17","Statement":[{}]}}"#,
        vec![statement; 100_000].join(",")
    );
    let huge = format!(
        r#"{{"Version":"2012-10-17","Statement":[{statement}]{}}}"#,
        " ".repeat(10 << 20)
    );
    let deep = format!(r#"{{"Statement":{}1{}}}"#, "[".repeat(100_000), "]".repeat(100_000));
    let keys: Vec<String> = (0..12_000).map(|key| format!("\"k{key}\":\"\"")).collect();
    let wide = format!(
        r#"{{"Version":"2012-10-17","Statement":{{"Effect":"Allow","Action":"*","Resource":"*","Condition":{{"StringEquals":{{{}}}}}}}}}"#,
        keys.join(",")
    );
    for (text, parses) in [(many, false), (huge, false), (deep, false), (wide, true)] {
        assert_eq!(Policy::parse("p", PolicyKind::Identity, &text).is_ok(), parses);
    }
    assert!(started.elapsed() < Duration::from_secs(20));
}

/// PE-24: without a version there are no variables.
#[test]
fn pe_24_no_version_means_2008() {
    let mut context = Context::new();
    context.set("aws:username", "ann");
    let decide = |version: &str, resource: &str| {
        let text = format!(
            r#"{{{version}"Statement":{{"Effect":"Allow","Action":"*","Resource":"arn:aws:s3:::${{aws:username}}*"}}}}"#
        );
        let identity = [Arc::new(Policy::parse("p", PolicyKind::Identity, &text).unwrap())];
        let layers = Layers {
            identity: &identity,
            ..Layers::default()
        };
        let request = Request {
            principal: user(),
            action: "s3:GetObject",
            resource,
            resource_account: None,
            context: &context,
        };
        decision(&layers, &request) == Decision::Allowed
    };
    let new = r#""Version":"2012-10-17","#;
    assert!(decide(new, "arn:aws:s3:::ann/x"));
    for old in ["", r#""Version":"2008-10-17","#] {
        assert!(!decide(old, "arn:aws:s3:::ann/x"));
        assert!(decide(old, "arn:aws:s3:::${aws:username}/x"));
    }
}

/// PE-26: what cannot be read is an error to the caller, never an empty policy that a request could slip through.
#[test]
fn pe_26_a_policy_that_cannot_be_read_is_no_policy() {
    for (kind, text) in [
        (PolicyKind::Identity, ""),
        (PolicyKind::Identity, "{}"),
        (PolicyKind::Identity, r#"{"Statement":{"Effect":"Allow","Action":"*"}}"#),
        (
            PolicyKind::Identity,
            r#"{"Statement":{"Effect":"Allow","Resource":"*"}}"#,
        ),
        (PolicyKind::Identity, r#"{"Statement":{"Action":"*","Resource":"*"}}"#),
        (
            PolicyKind::Identity,
            r#"{"Statement":{"Effect":"deny","Action":"*","Resource":"*"}}"#,
        ),
        (
            PolicyKind::Identity,
            r#"{"Statement":{"Effect":"Deny","Principal":"*","Action":"*","Resource":"*"}}"#,
        ),
        (
            PolicyKind::Identity,
            r#"{"Statement":{"Effect":"Deny","Action":"*","Resource":"*","Condition":{"StringEqual":{"k":"v"}}}}"#,
        ),
        (
            PolicyKind::ServiceControl,
            r#"{"Statement":{"Effect":"Deny","Principal":"*","Action":"*","Resource":"*"}}"#,
        ),
        (
            PolicyKind::Resource,
            r#"{"Statement":{"Effect":"Deny","Action":"*","Resource":"*"}}"#,
        ),
        (
            PolicyKind::Resource,
            r#"{"Statement":{"Effect":"Deny","Principal":{"AWS":"arn:aws:iam::111122223333:role/*"},"Action":"*","Resource":"*"}}"#,
        ),
        (
            PolicyKind::Resource,
            r#"{"Statement":{"Effect":"Deny","Principal":{"Aws":"*"},"Action":"*","Resource":"*"}}"#,
        ),
        (
            PolicyKind::Resource,
            r#"{"Statement":{"Effect":"Deny","Principal":"111122223333","Action":"*","Resource":"*"}}"#,
        ),
        (
            PolicyKind::Resource,
            r#"{"Statement":{"Effect":"Deny","Principal":{},"Action":"*","Resource":"*"}}"#,
        ),
        (
            PolicyKind::Trust,
            r#"{"Statement":{"Effect":"Allow","Principal":"*","Action":"sts:AssumeRole","Resource":"*"}}"#,
        ),
        (
            PolicyKind::Trust,
            r#"{"Statement":{"Effect":"Deny","NotPrincipal":"*","Action":"sts:AssumeRole"}}"#,
        ),
        (
            PolicyKind::ResourceControl,
            r#"{"Statement":{"Effect":"Deny","Principal":"*","NotAction":"s3:*","Resource":"*"}}"#,
        ),
    ] {
        assert!(Policy::parse("p", kind, text).is_err(), "{kind}: {text}");
        assert!(document(kind, text).is_err(), "{kind}: {text}");
    }
}

/// PE-28: not being denied is not being allowed.
#[test]
fn pe_28_no_denial_is_no_grant() {
    let statement = r#"{"Effect":"Deny","Action":"s3:DeleteObject","Resource":"*"}"#;
    let decide = |action| with_identity(statement, action, "arn:aws:s3:::b/k", &Context::new());
    assert_eq!(decide("s3:GetObject"), Decision::ImplicitlyDenied);
    assert_eq!(decide("s3:DeleteObject"), Decision::ExplicitlyDenied);
}

/// One random statement of an identity policy.
fn statement() -> impl Strategy<Value = String> {
    let condition = prop_oneof![
        3 => Just(String::new()),
        1 => (
            select(vec!["StringEquals", "StringNotEquals", "StringLike", "ForAllValues:StringLike", "ForAnyValue:StringEquals",
                "StringEqualsIfExists", "Null", "Bool", "NumericLessThan", "NotIpAddress"]),
            select(vec!["k", "list", "absent"]),
            select(vec!["a", "*", "true", "5", "10.0.0.0/8", "${k}"]),
        ).prop_map(|(operator, key, value)| format!(r#","Condition":{{"{operator}":{{"{key}":"{value}"}}}}"#)),
    ];
    (
        select(vec!["Allow", "Allow", "Deny"]),
        select(vec![
            r#""Action":"*""#,
            r#""Action":"s3:*""#,
            r#""Action":["s3:Get*","iam:*"]"#,
            r#""NotAction":"s3:Get*""#,
        ]),
        select(vec![
            r#""Resource":"*""#,
            r#""Resource":"arn:aws:s3:::a*""#,
            r#""NotResource":"arn:aws:s3:::a/*""#,
            r#""Resource":"arn:aws:s3:::${k}/*""#,
        ]),
        condition,
    )
        .prop_map(|(effect, action, resource, condition)| {
            format!(r#"{{"Effect":"{effect}",{action},{resource}{condition}}}"#)
        })
}

fn random_request() -> impl Strategy<Value = (&'static str, &'static str, &'static str)> {
    (
        select(vec![
            "s3:GetObject",
            "s3:PutObject",
            "iam:CreateUser",
            "sqs:SendMessage",
        ]),
        select(vec!["arn:aws:s3:::a/k", "arn:aws:s3:::b/k", "arn:aws:s3:::a", "*"]),
        select(vec!["a", "b", "5", "true", "10.0.0.1", ""]),
    )
}

fn decide_all(statements: &[String], request: (&str, &str, &str)) -> Decision {
    let (action, resource, value) = request;
    let mut context = Context::new();
    context.set("k", value);
    context.set_list("list", ["a", value]);
    with_identity(&format!("[{}]", statements.join(",")), action, resource, &context)
}

proptest! {
    /// PE-02: the order of statements does not matter; a denial more never grants; a grant more never revokes.
    #[test]
    fn pe_02_monotone_and_order_free(
        statements in proptest::collection::vec(statement(), 1..6),
        more in statement(),
        at in any::<Index>(),
        request in random_request(),
    ) {
        let before = decide_all(&statements, request);
        let mut reversed = statements.clone();
        reversed.reverse();
        prop_assert_eq!(decide_all(&reversed, request), before);
        let mut longer = statements.clone();
        longer.insert(at.index(statements.len() + 1), more.clone());
        let after = decide_all(&longer, request);
        if more.contains(r#""Effect":"Deny""#) {
            prop_assert!(after == before || after == Decision::ExplicitlyDenied);
        } else {
            prop_assert!(after == before || (before == Decision::ImplicitlyDenied && after == Decision::Allowed));
        }
        // Without an Allow statement nothing is allowed.
        if !longer.iter().any(|statement| statement.contains(r#""Effect":"Allow""#)) {
            prop_assert_ne!(after, Decision::Allowed);
        }
    }

    /// No text makes the parser, the validator or the evaluation panic, and what one accepts the other reads.
    #[test]
    fn no_text_panics(
        statements in proptest::collection::vec(statement(), 1..4),
        at in any::<Index>(),
        noise in "[\"{}\\[\\]:,*?$a\\\\é]{0,4}",
        request in random_request(),
    ) {
        let mut text = format!(r#"{{"Version":"2012-10-17","Statement":[{}]}}"#, statements.join(","));
        let mut position = at.index(text.len());
        while !text.is_char_boundary(position) {
            position -= 1;
        }
        let removed = (position + noise.chars().count()).min(text.len());
        text.replace_range(position..removed, &noise);
        for kind in [PolicyKind::Identity, PolicyKind::Trust, PolicyKind::Resource, PolicyKind::Session,
            PolicyKind::Boundary, PolicyKind::ServiceControl, PolicyKind::ResourceControl, PolicyKind::VpcEndpoint] {
            let parsed = Policy::parse("p", kind, &text);
            if document(kind, &text).is_ok() {
                prop_assert!(parsed.is_ok());
            }
            if let Ok(policy) = parsed {
                let mut context = Context::new();
                context.set("k", request.2);
                let request = Request {
                    principal: user(), action: request.0, resource: request.1, resource_account: None, context: &context,
                };
                let identity = [Arc::new(policy)];
                let layers = Layers { identity: &identity, resource: Some(&identity[0]), ..Layers::default() };
                let explained = explain(&layers, &request);
                prop_assert_eq!(explained.verdict.decision, decide(&layers, &request).decision);
                let _ = (explained.to_string(), explained.to_json());
            }
        }
    }

    #[test]
    fn no_noise_panics(text in ".{0,200}") {
        let _ = Policy::parse("p", PolicyKind::Resource, &text);
        let _ = document(PolicyKind::Trust, &text);
    }
}
