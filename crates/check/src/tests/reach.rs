//! The promise of the trust lints: whoever lets service accounts in whose namespaces nobody named is told.

use irsa_policy::{Context, Layers, Principal, Request, decide};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use irsa_policy::Policy;

const ISSUER: &str = "oidc.example.com/id/A";
const PROVIDER: &str = "arn:aws:iam::111122223333:oidc-provider/oidc.example.com/id/A";

/// A trust policy with an Allow and perhaps Denies, each by its conditions.
fn trust(allow: &Value, denials: &[Value]) -> String {
    let statement = |effect: &str, condition: &Value| {
        json!({"Effect": effect, "Principal": {"Federated": PROVIDER}, "Action": "sts:AssumeRoleWithWebIdentity",
            "Condition": condition})
    };
    let mut statements = vec![statement("Allow", allow)];
    statements.extend(denials.iter().map(|condition| statement("Deny", condition)));
    json!({"Version": "2012-10-17", "Statement": statements}).to_string()
}

/// With an audience, so that only the subject is in question.
fn allow(operator: &str, subjects: &Value) -> Value {
    let mut condition = json!({"StringEquals": {"oidc.example.com/id/A:aud": "sts.amazonaws.com"}});
    condition[operator]["oidc.example.com/id/A:sub"] = subjects.clone();
    condition
}

fn found(text: &str) -> Option<Finding> {
    let report = checked(PolicyKind::Trust, text);
    report
        .findings
        .into_iter()
        .find(|finding| finding.code == "IRSA_SUBJECT_TOO_WIDE")
}

/// The example in a message.
fn example(finding: &Finding) -> Option<&str> {
    let (_, example) = finding.message.split_once("for example `")?;
    example.split_once('`').map(|(example, _)| example)
}

/// Whether the engine lets a subject in, in a request with all that real ones have.
fn gets_in(text: &str, subject: &str) -> bool {
    let policy = Policy::parse("trust", PolicyKind::Trust, text).unwrap();
    let mut context = Context::new();
    for (key, value) in [
        ("oidc.example.com/id/A:sub", subject),
        ("oidc.example.com/id/A:aud", "sts.amazonaws.com"),
        ("aws:SourceIp", "198.51.100.9"),
        ("aws:CurrentTime", "2027-01-01T00:00:00Z"),
        ("aws:EpochTime", "1798761600"),
        ("aws:SecureTransport", "true"),
        ("aws:FederatedProvider", PROVIDER),
        ("aws:RequestedRegion", "eu-west-1"),
        ("sts:RoleSessionName", "session"),
    ] {
        context.set(key, value);
    }
    let request = Request {
        principal: Principal::WebIdentity { provider: PROVIDER },
        action: "sts:AssumeRoleWithWebIdentity",
        resource: "arn:aws:iam::111122223333:role/app",
        resource_account: "111122223333".parse().ok(),
        context: &context,
    };
    let layers = Layers {
        resource: Some(&policy),
        ..Layers::default()
    };
    decide(&layers, &request).is_allowed()
}

#[test]
fn patterns_that_begin_before_the_namespace() {
    for subjects in [
        json!("system:*"),
        json!("system*"),
        json!("system:service*"),
        json!("system:serviceaccount*"),
        json!("system?serviceaccount?*"),
        json!(["system:serviceaccount:prod:app", "system:*"]),
        json!("s*"),
        json!("*"),
        json!("*:*"),
        json!("system:serviceaccount:*"),
        json!("?ystem:serviceaccount:**"),
        json!("*:app"),
        json!("*a*b*c*d*e*"),
        json!("system:serviceaccount:?"),
        json!("system:serviceaccount:prod*"),
        json!("system:serviceaccount:team-?:app"),
        json!("system:serviceaccount:*-prod:app"),
    ] {
        let text = trust(&allow("StringLike", &subjects), &[]);
        let finding = found(&text);
        if subjects == "system:serviceaccount:?" {
            assert_eq!(finding, None, "no service account has it");
            continue;
        }
        let finding = finding.unwrap_or_else(|| panic!("{text}"));
        let example = example(&finding).unwrap_or_else(|| panic!("{text}: {}", finding.message));
        assert!(gets_in(&text, example), "{text}: {example}");
    }
}

#[test]
fn patterns_that_name_their_namespaces() {
    for subjects in [
        json!("system:serviceaccount:prod:*"),
        json!("system:serviceaccount:prod:app-?"),
        json!(["system:serviceaccount:prod:*", "system:serviceaccount:test:*"]),
        json!("*:prod:*"),
        json!("system?serviceaccount?prod?app"),
        json!("system:serviceaccount:prod:${aws:RequestTag/app}"),
        json!("system:serviceaccount:PROD*"),
        json!("repo:*"),
        json!("system:node:*"),
    ] {
        let text = trust(&allow("StringLike", &subjects), &[]);
        assert_eq!(found(&text), None, "{text}");
    }
    // The other condition pins it down.
    let mut condition = allow("StringLike", &json!("system:serviceaccount:*:app"));
    condition["StringEquals"]["oidc.example.com/id/A:sub"] = json!(["system:serviceaccount:prod:app", "other"]);
    assert_eq!(found(&trust(&condition, &[])), None);
}

#[test]
fn a_variable_pins_nothing() {
    for operator in ["StringEquals", "StringLike", "StringEqualsIgnoreCase"] {
        for value in [
            "${oidc.example.com/id/A:sub}",
            "${oidc.example.com/id/A:aud}",
            "${aws:FederatedProvider}",
            "system:serviceaccount:${aws:RequestTag/namespace}:app",
            "${aws:RequestTag/x, 'system:serviceaccount:prod:app'}",
        ] {
            let text = trust(&allow(operator, &json!(value)), &[]);
            let finding = found(&text).unwrap_or_else(|| panic!("{text}"));
            assert_eq!(finding.finding_type, FindingType::SecurityWarning);
            assert!(finding.message.contains("variable"), "{}", finding.message);
            if let Some(example) = example(&finding) {
                assert!(gets_in(&text, example), "{text}");
            }
        }
    }
    let itself = trust(&allow("StringEquals", &json!("${oidc.example.com/id/A:sub}")), &[]);
    assert!(example(&found(&itself).unwrap()).is_some());
    // Before 2012-10-17 it is no variable, and nobody's subject.
    let old = itself.replace("2012-10-17", "2008-10-17");
    assert_eq!(found(&old), None);
}

#[test]
fn a_deny_that_pretends_silences_nothing() {
    let open = allow("StringLike", &json!("system:serviceaccount:*"));
    for denial in [
        json!({"Null": {"aws:SourceIp": "true"}}),
        json!({"Null": {"aws:CurrentTime": "true"}}),
        json!({"Null": {"aws:FederatedProvider": "true"}}),
        json!({"StringEqualsIfExists": {"aws:FederatedProvider": "x"}}),
        json!({"NotIpAddressIfExists": {"aws:SourceIp": "0.0.0.0/0"}}),
        json!({"StringNotEquals": {"aws:RequestedRegion": "eu-west-1"}}),
        json!({"StringNotLike": {"sts:RoleSessionName": "*"}}),
        json!({"Bool": {"aws:SecureTransport": "false"}}),
        json!({"StringNotEquals": {"aws:UserAgent": "mine"}}),
        json!({"StringLike": {"oidc.example.com/id/A:sub": ["*evil*", "*attacker*", "*default*", "*x*", "*kube*", "*other*"]}}),
        json!({"StringLike": {"oidc.example.com/id/A:sub": ["*:e*", "*evil*", "*:default:*", "*:x:*"]}}),
        json!({"StringLike": {"oidc.example.com/id/A:sub": "*${aws:RequestTag/x}*"}}),
        json!({"StringNotLike": {"oidc.example.com/id/A:sub": "${oidc.example.com/id/A:sub}"}}),
        json!({"StringNotLike": {"oidc.example.com/id/A:sub": "*:prod*:*"}}),
        json!({"StringNotLike": {"oidc.example.com/id/A:sub": "system:serviceaccount:prod:*", "oidc.example.com/id/A:aud": "x"}}),
        json!({"StringNotLike": {"oidc.example.com/id/B:sub": "system:serviceaccount:prod:*"}}),
    ] {
        let text = trust(&open, std::slice::from_ref(&denial));
        let finding = found(&text).unwrap_or_else(|| panic!("{text}"));
        if let Some(example) = example(&finding) {
            assert!(
                denial.to_string().contains("eu-west-1") || gets_in(&text, example),
                "{text}: {example}"
            );
        }
    }
    // Of another provider, or of another action.
    for (from, to) in [
        (PROVIDER, "arn:aws:iam::111122223333:oidc-provider/b.example.com"),
        ("sts:AssumeRoleWithWebIdentity", "sts:TagSession"),
    ] {
        let denial = json!({"StringNotLike": {"oidc.example.com/id/A:sub": "system:serviceaccount:prod:*"}});
        let text = trust(&open, &[denial]);
        assert_eq!(found(&text), None, "{text}");
        let at = text.rfind(from).unwrap();
        let text = format!("{}{to}{}", &text[..at], &text[at + from.len()..]);
        assert!(found(&text).is_some(), "{text}");
    }
}

#[test]
fn denials_that_leave_only_what_is_named() {
    let open = allow("StringLike", &json!("system:serviceaccount:*"));
    for denial in [
        json!({"StringNotLike": {"oidc.example.com/id/A:sub": ["system:serviceaccount:prod:*", "system:serviceaccount:test:x"]}}),
        json!({"StringNotEquals": {"oidc.example.com/id/A:sub": "system:serviceaccount:prod:app"}}),
        json!({"StringNotEqualsIgnoreCase": {"oidc.example.com/id/A:sub": "SYSTEM:serviceaccount:prod:app"}}),
        json!({"StringLike": {"oidc.example.com/id/A:sub": "*"}}),
        json!({"Null": {"oidc.example.com/id/A:sub": "false"}}),
    ] {
        let text = trust(&open, &[denial]);
        assert_eq!(found(&text), None, "{text}");
    }
}

#[test]
fn what_takes_too_long_is_told_without_an_example() {
    // As many states as there are sets of places: no search ends.
    let hard: Vec<String> = (0..20)
        .map(|index| format!("*a{}b*:x", "?".repeat(20 + index)))
        .collect();
    let denials: Vec<Value> = (0..12)
        .map(|index| json!({"StringLike": {"oidc.example.com/id/A:sub": format!("*{}{}", char::from(b'a' + index), "?".repeat(30))}}))
        .collect();
    let text = trust(&allow("StringLike", &json!(hard)), &denials);
    let report = checked(PolicyKind::Trust, &text);
    assert!(
        codes(&report).contains(&"IRSA_SUBJECT_TOO_WIDE"),
        "{:?}",
        codes(&report)
    );
}

#[test]
fn a_provider_behind_many_others_is_looked_at() {
    let mut statement: Value = serde_json::from_str(&trust(&allow("StringLike", &json!("system:*")), &[])).unwrap();
    let mut providers = vec![json!("a.b"); 120];
    providers.push(json!(PROVIDER));
    statement["Statement"][0]["Principal"]["Federated"] = json!(providers);
    assert!(found(&statement.to_string()).is_some());
}

#[test]
fn an_issuer_that_only_sounds_like_github() {
    let text = trust(&allow("StringLike", &json!("system:*")), &[])
        .replace(ISSUER, "token.actions.githubusercontent.com.example.com");
    assert!(found(&text).is_some());
}

#[test]
fn a_tag_that_looks_like_a_claim_is_no_check_of_the_subject() {
    let condition =
        json!({"StringEquals": {"oidc.example.com/id/A:aud": "sts.amazonaws.com", "aws:RequestTag/x://a.b:sub": "y"}});
    let report = checked(PolicyKind::Trust, &trust(&condition, &[]));
    assert!(
        codes(&report).contains(&"IRSA_SUBJECT_NOT_CHECKED"),
        "{:?}",
        codes(&report)
    );
}

fn pattern() -> impl Strategy<Value = String> {
    let part = prop_oneof![
        3 => Just("system:serviceaccount:"),
        2 => Just("*"),
        2 => Just("prod"),
        2 => Just(":"),
        1 => Just("?"),
        1 => Just("-"),
        1 => Just("app"),
        1 => Just("system"),
        1 => Just("PROD"),
        1 => Just("${oidc.example.com/id/A:sub}"),
        1 => Just("${aws:RequestTag/x, 'prod'}"),
        1 => Just("${*}"),
    ];
    prop_oneof![
        3 => prop::collection::vec(part, 1..6).prop_map(|parts| parts.concat()),
        1 => Just("system:serviceaccount:prod:app".to_owned()),
        1 => Just("system:serviceaccount:prod:*".to_owned()),
        1 => Just("system:serviceaccount:*".to_owned()),
    ]
}

fn condition() -> impl Strategy<Value = Value> {
    let operator = prop::sample::select(vec![
        "StringLike",
        "StringLike",
        "StringEquals",
        "StringNotLike",
        "StringNotEquals",
        "StringEqualsIgnoreCase",
        "StringLikeIfExists",
        "ForAllValues:StringLike",
        "ForAnyValue:StringNotLike",
        "ArnLike",
        "ArnNotLike",
        "NumericEquals",
        "DateNotEquals",
        "Bool",
        "BinaryEquals",
        "IpAddress",
        "NotIpAddress",
    ]);
    let key = prop::sample::select(vec![
        "oidc.example.com/id/A:sub",
        "oidc.example.com/id/A:sub",
        "oidc.example.com/id/A:sub",
        "OIDC.example.com/id/A:SUB",
        "oidc.example.com/id/A:aud",
        "oidc.example.com/id/B:sub",
        "aws:SourceIp",
    ]);
    let block = (operator, key, prop::collection::vec(pattern(), 1..3));
    prop::collection::vec(block, 1..3).prop_map(|blocks| {
        let mut condition = json!({});
        for (operator, key, values) in blocks {
            condition[operator][key] = json!(values);
        }
        condition
    })
}

/// An Allow that compares the subject, mostly with little, so that it comes down to the one rule.
fn comparing() -> impl Strategy<Value = Value> {
    let operator = prop::sample::select(vec![
        "StringLike",
        "StringLike",
        "StringEquals",
        "StringEqualsIgnoreCase",
    ]);
    let value = prop_oneof![
        pattern(),
        Just("system:serviceaccount:*".to_owned()),
        Just("system:*".to_owned()),
        Just("${oidc.example.com/id/A:sub}".to_owned()),
    ];
    (operator, prop::collection::vec(value, 1..3)).prop_map(|(operator, values)| allow(operator, &json!(values)))
}

/// A Deny that leaves only what is named, or would if it were not for another condition.
fn sparing() -> impl Strategy<Value = Value> {
    let other = prop::sample::select(vec![
        None,
        Some(json!({"Null": {"aws:SourceIp": "true"}})),
        Some(json!({"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}})),
        Some(json!({"StringEquals": {"aws:RequestedRegion": "us-east-1"}})),
        Some(json!({"StringNotEqualsIfExists": {"oidc.example.com/id/A:aud": "sts.amazonaws.com"}})),
    ]);
    (other, prop::collection::vec(pattern(), 1..3)).prop_map(|(other, values)| {
        let mut condition = other.unwrap_or_else(|| json!({}));
        condition["StringNotLike"] = json!({"oidc.example.com/id/A:sub": values});
        condition
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    /// No text of the policies has `q` or `z`: whoever has one in the namespace was not named.
    #[test]
    fn whoever_lets_strangers_in_is_told(
        allowed in prop_oneof![condition(), comparing()],
        denials in prop::collection::vec(prop_oneof![condition(), sparing()], 0..2),
    ) {
        let text = trust(&allowed, &denials);
        let report = checked(PolicyKind::Trust, &text);
        let worst = report.worst();
        for stranger in ["q:z", "prodq:app", "qprod:app", "z-prod:prod", "prod-q:prod", "q-:z", "pzprod:app-z", "q:prod", "z:app"] {
            let subject = format!("system:serviceaccount:{stranger}");
            if gets_in(&text, &subject) {
                prop_assert!(worst >= Some(FindingType::SecurityWarning), "{} {}", subject, text);
            }
        }
        if let Some(example) = report.findings.iter().filter(|finding| finding.code == "IRSA_SUBJECT_TOO_WIDE").find_map(example) {
            prop_assert!(example.starts_with("system:serviceaccount:"));
        }
    }
}
