//! What holds for whole documents: recorded answers of AWS, AWS's own policies, sizes, hostile texts.

use std::time::{Duration, Instant};

use irsa_metadata::Metadata;
use irsa_policy::{Policy, validate};
use proptest::prelude::*;
use serde_json::Value;

use super::*;
use crate::Step;

const KINDS: [PolicyKind; 8] = [
    PolicyKind::Identity,
    PolicyKind::Trust,
    PolicyKind::Resource,
    PolicyKind::Boundary,
    PolicyKind::Session,
    PolicyKind::ServiceControl,
    PolicyKind::ResourceControl,
    PolicyKind::VpcEndpoint,
];

/// Whether a text is taken by a service that attaches policies to what they are about, and names no resource in them.
fn is_attached(kind: PolicyKind, text: &str) -> bool {
    let refusal = validate::document(kind, text).map_err(|malformed| malformed.message);
    kind == PolicyKind::Resource
        && refusal == Err("Missing required field Resource".to_owned())
        && text.contains("ecr:")
}

/// Errors are what is refused, or what the rules call so; no errors means that it is taken.
fn errors_agree_with_the_engine(kind: PolicyKind, text: &str) {
    let report = checked(kind, text);
    let refused =
        (validate::document(kind, text).is_err() && !is_attached(kind, text)) || Policy::parse("", kind, text).is_err();
    if refused {
        assert!(!errors(&report).is_empty(), "{kind:?} {text}");
    }
    for finding in &report.findings {
        let span = &finding.location.span;
        assert!(
            span.start.byte <= span.end.byte && span.end.byte <= text.len(),
            "{finding:?}"
        );
        assert!(
            text.is_char_boundary(span.start.byte) && text.is_char_boundary(span.end.byte),
            "{finding:?}"
        );
        assert!(!finding.message.is_empty() && finding.learn_more.starts_with("https://"));
        assert!(
            !finding.message.ends_with('.') || finding.finding_type == FindingType::Error,
            "{finding:?}"
        );
        for edit in finding.fix.iter().flat_map(|fix| &fix.edits) {
            assert!(edit.span.end.byte <= text.len(), "{finding:?}");
        }
    }
}

#[test]
fn recorded_trust_policies_have_errors_exactly_if_aws_refused_them() {
    let text = include_str!("../../../../conformance/cases/trust_validation.jsonl");
    let (mut taken, mut refused) = (0, 0);
    for line in text.replace("${ACCOUNT}", "111122223333").lines() {
        let case: Value = serde_json::from_str(line).unwrap();
        let document = case["document"].to_string();
        let report = checked(PolicyKind::Trust, &document);
        let errors: Vec<_> = errors(&report).into_iter().map(|finding| finding.code).collect();
        if case["outcome"]["ok"] == true {
            assert_eq!(errors, Vec::<&str>::new(), "{line}");
            taken += 1;
        } else {
            assert!(!errors.is_empty(), "{line}");
            let message = case["outcome"]["message"].as_str().unwrap();
            let said = report.findings.iter().any(|finding| finding.message == message);
            assert!(said || message.contains("${"), "{line}: {:#?}", report.findings);
            refused += 1;
        }
    }
    assert!(taken > 50 && refused > 50, "{taken} {refused}");
}

#[test]
fn policies_of_aws_have_no_errors() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../iam/src/managed");
    let mut read = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let text = std::fs::read_to_string(&path).unwrap();
        let report = checked(PolicyKind::Identity, &text);
        assert_eq!(errors(&report), Vec::<&Finding>::new(), "{}", path.display());
        read += 1;
    }
    assert!(read >= 10, "{read}");
}

#[test]
fn kinds_are_found_out() {
    for (text, kind) in [
        (
            r#"{"Statement":{"Principal":{"AWS":"x"},"Action":"sts:AssumeRole"}}"#,
            PolicyKind::Trust,
        ),
        (
            r#"{"Statement":{"Principal":{"AWS":"x"},"Action":"STS:AssumeRole","Resource":"*"}}"#,
            PolicyKind::Trust,
        ),
        (
            r#"{"Statement":{"Principal":"*","Action":"s3:*","Resource":"*"}}"#,
            PolicyKind::Resource,
        ),
        (
            r#"{"Statement":[{"Effect":"Deny","Principal":"*","Action":["sts:AssumeRole","STS:SetContext"],"Resource":"*"}]}"#,
            PolicyKind::ResourceControl,
        ),
        (
            r#"{"Statement":[{"Effect":"Deny","Principal":"*","Action":"sts:AssumeRole"}]}"#,
            PolicyKind::Trust,
        ),
        (
            r#"{"Statement":[{"Effect":"Allow","Principal":"*","Action":"sts:AssumeRole","Resource":"*"}]}"#,
            PolicyKind::Trust,
        ),
        (r#"{"Statement":{"Principal":"*"}}"#, PolicyKind::Trust),
        (
            r#"{"Statement":{"Action":"sts:AssumeRole","Resource":"*"}}"#,
            PolicyKind::Identity,
        ),
        ("", PolicyKind::Identity),
    ] {
        let report = check(text, &Options::default());
        assert_eq!((report.kind, report.kind_is_assumed), (kind, true), "{text}");
    }
}

#[test]
fn a_document_in_an_answer_of_an_api_is_recognised() {
    let report = checked(
        PolicyKind::Identity,
        r#"{"RoleName":"app","PolicyName":"p","PolicyDocument":{"Version":"2012-10-17","Statement":[]}}"#,
    );
    let finding = report
        .findings
        .iter()
        .find(|finding| finding.code == "MISSING_STATEMENT");
    let fix = finding.and_then(|finding| finding.fix.as_ref()).unwrap();
    assert!(fix.description.contains("`PolicyDocument`"), "{fix:?}");
}

#[test]
fn sizes() {
    let sized = |size: usize| {
        let head = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:GetObject","Resource":"arn:aws:s3:::"#;
        let tail = r#""}]}"#;
        format!("{head}{}{tail}", "b".repeat(size - head.len() - tail.len()))
    };
    for (kind, size, code, finding_type) in [
        (
            PolicyKind::Identity,
            6_144,
            "POLICY_SIZE_EXCEEDS_IDENTITY_POLICY_QUOTA",
            FindingType::Warning,
        ),
        (PolicyKind::Identity, 10_240, "LimitExceeded", FindingType::Error),
        (PolicyKind::Boundary, 6_144, "LimitExceeded", FindingType::Error),
        (PolicyKind::Trust, 2_048, "LimitExceeded", FindingType::Error),
        (
            PolicyKind::Trust,
            2_048,
            "POLICY_SIZE_EXCEEDS_ROLE_TRUST_POLICY_QUOTA",
            FindingType::Warning,
        ),
        (PolicyKind::Session, 2_048, "ValidationError", FindingType::Error),
        (
            PolicyKind::ServiceControl,
            10_240,
            "POLICY_SIZE_EXCEEDS_SCP_QUOTA",
            FindingType::Error,
        ),
        (
            PolicyKind::ResourceControl,
            5_120,
            "POLICY_SIZE_EXCEEDS_RCP_QUOTA",
            FindingType::Error,
        ),
        (
            PolicyKind::Resource,
            20_480,
            "POLICY_SIZE_EXCEEDS_RESOURCE_POLICY_QUOTA",
            FindingType::Warning,
        ),
    ] {
        let has = |text: &str| {
            let report = checked(kind, text);
            report
                .findings
                .iter()
                .any(|finding| finding.code == code && finding.finding_type == finding_type)
        };
        assert!(!has(&sized(size)), "{code}");
        assert!(has(&sized(size + 1)), "{code}");
        // IAM does not count white space; Organizations, STS and resources do.
        let padded = format!("{}{}", sized(size), "\n".repeat(8));
        let counts = !matches!(kind, PolicyKind::Identity | PolicyKind::Boundary | PolicyKind::Trust);
        assert_eq!(has(&padded), counts, "{code}");
    }
    let report = checked(PolicyKind::Identity, &sized(300_000));
    assert!(codes(&report).contains(&"IRSA_TEXT_TOO_LONG"));
}

#[test]
fn one_finding_for_all_foreign_characters() {
    let text = concat!(
        r#"{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"s3:*","Resource":"arn:aws:s3:::"#,
        "\u{416}\u{416}\u{416}",
        r#""}}"#
    );
    let report = checked(PolicyKind::Identity, text);
    let found: Vec<_> = report
        .findings
        .iter()
        .filter(|finding| finding.code == "ValidationError")
        .collect();
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(found[0].location.span.start.byte, text.find('\u{416}').unwrap());
    let fix = found[0].fix.as_ref().unwrap();
    assert!(
        fix.description.contains("U+0416") && fix.description.contains("2 more"),
        "{fix:?}"
    );
}

#[test]
fn of_a_text_that_is_too_long_only_the_length_is_told() {
    for text in ["\0".repeat(300_000), "{".repeat(300_000), "\u{416}".repeat(131_073)] {
        for kind in KINDS {
            let report = checked(kind, &text);
            assert_eq!(codes(&report), ["IRSA_TEXT_TOO_LONG"], "{kind:?}");
            assert_eq!(report.omitted, 0);
        }
    }
}

#[test]
fn policies_of_repositories_name_no_resource() {
    let repository = r#"{"Version":"2012-10-17","Statement":[{"Sid":"AllowPull","Effect":"Allow","Principal":{"AWS":"arn:aws:iam::111122223333:root"},"Action":["ecr:BatchGetImage","ecr:GetDownloadUrlForLayer"]}]}"#;
    let with_type = |text: &str, resource_type: Option<&str>| {
        let options = Options {
            kind: Some(PolicyKind::Resource),
            resource_type,
            ..Options::default()
        };
        let report = check(text, &options);
        let mut codes: Vec<_> = errors(&report).into_iter().map(|finding| finding.code).collect();
        codes.sort_unstable();
        codes
    };
    let none: [&str; 0] = [];
    assert_eq!(with_type(repository, None), none);
    assert_eq!(with_type(repository, Some("AWS::ECR::Repository")), none);
    let wide = repository.replace(r#"["ecr:BatchGetImage","ecr:GetDownloadUrlForLayer"]"#, r#""*""#);
    assert_eq!(with_type(&wide, Some("AWS::ECR::Repository")), none);
    let missing = ["MISSING_RESOURCE", "MalformedPolicy"];
    assert_eq!(with_type(&wide, None), missing);
    assert!(with_type(repository, Some("AWS::S3::Bucket")).starts_with(&missing));
    assert_eq!(with_type(&repository.replace("ecr:GetD", "s3:GetD"), None), missing);
    // What else is wrong is still told.
    let other = repository.replace("]}]}", r#"]},{"Effect":"Allow","Action":"ecr:BatchGetImage"}]}"#);
    assert!(with_type(&other, None).contains(&"MISSING_PRINCIPAL"));
    let unknown = repository.replace(r#""Sid""#, r#""Foo":1,"Sid""#);
    assert_ne!(with_type(&unknown, None), none);
}

/// A service that tells the tags of its resources, and one that does not.
fn own_services() -> Metadata {
    let text = r#"{"services":[
        {"prefix":"plain","name":"Plain","actions":[{"name":"GetThing","accessLevel":"Read"}]},
        {"prefix":"tagged","name":"Tagged","actions":[
            {"name":"GetThing","accessLevel":"Read","conditionKeys":["aws:ResourceTag/${TagKey}"]}]}]}"#;
    Metadata::aws().with_services(text).unwrap()
}

#[test]
fn tags_that_a_service_does_not_tell() {
    let services = own_services();
    for (effect, element, code) in [
        ("Deny", "Action", "DENY_WITH_UNSUPPORTED_TAG_CONDITION_KEY_FOR_SERVICE"),
        (
            "Deny",
            "NotAction",
            "DENY_NOTACTION_WITH_UNSUPPORTED_TAG_CONDITION_KEY_FOR_SERVICE",
        ),
        (
            "Allow",
            "Action",
            "ALLOW_WITH_UNSUPPORTED_TAG_CONDITION_KEY_FOR_SERVICE",
        ),
        (
            "Allow",
            "NotAction",
            "ALLOW_NOTACTION_WITH_UNSUPPORTED_TAG_CONDITION_KEY_FOR_SERVICE",
        ),
    ] {
        let found = |service: &str, key: &str| {
            let text = format!(
                r#"{{"Version":"2012-10-17","Statement":{{"Effect":"{effect}","{element}":"{service}:GetThing","Resource":"*",
                    "Condition":{{"StringEquals":{{"{key}":"x"}}}}}}}}"#
            );
            let options = Options {
                kind: Some(PolicyKind::Identity),
                services: &services,
                ..Options::default()
            };
            let report = check(&text, &options);
            let finding = report.findings.iter().find(|finding| finding.code == code);
            finding.map(|finding| finding.location.span.start.line)
        };
        assert_eq!(found("plain", "aws:ResourceTag/team"), Some(2), "{code}");
        assert_eq!(found("plain", "aws:PrincipalTag/team"), None, "{code}");
        if element == "Action" {
            assert_eq!(found("tagged", "aws:ResourceTag/team"), None, "{code}");
        }
    }
}

#[test]
fn only_one_gate_lets_examples_through() {
    // A second statement denies every example: then there is none, and no claim that there is.
    let text = r#"{"Version":"2012-10-17","Statement":[
        {"Effect":"Allow","Principal":{"Federated":"arn:aws:iam::111122223333:oidc-provider/oidc.example.com/id/A"},
         "Action":"sts:AssumeRoleWithWebIdentity",
         "Condition":{"StringLike":{"oidc.example.com/id/A:sub":"system:serviceaccount:team-*:app"}}},
        {"Effect":"Deny","Principal":{"Federated":"arn:aws:iam::111122223333:oidc-provider/oidc.example.com/id/A"},
         "Action":"sts:AssumeRoleWithWebIdentity",
         "Condition":{"StringNotEquals":{"oidc.example.com/id/A:sub":"system:serviceaccount:team-1:app"}}}]}"#;
    assert!(!codes(&checked(PolicyKind::Trust, text)).contains(&"IRSA_SUBJECT_TOO_WIDE"));
    let open = text
        .replace("team-1", "team-*")
        .replace("StringNotEquals", "StringNotLike");
    let report = checked(PolicyKind::Trust, &open);
    let finding = report
        .findings
        .iter()
        .find(|finding| finding.code == "IRSA_SUBJECT_TOO_WIDE")
        .unwrap();
    assert!(
        finding.message.contains("`system:serviceaccount:team-evil:app`"),
        "{}",
        finding.message
    );
}

#[test]
fn a_star_across_the_colon_is_shown() {
    let text = r#"{"Version":"2012-10-17","Statement":{"Effect":"Allow",
        "Principal":{"Federated":"arn:aws:iam::111122223333:oidc-provider/oidc.example.com/id/A"},
        "Action":"sts:AssumeRoleWithWebIdentity",
        "Condition":{"StringLike":{"oidc.example.com/id/A:sub":"system:serviceaccount:dev-*-reader"}}}}"#;
    let report = checked(PolicyKind::Trust, text);
    let finding = report
        .findings
        .iter()
        .find(|finding| finding.code == "IRSA_SUBJECT_TOO_WIDE")
        .unwrap();
    assert!(
        finding.message.contains("`system:serviceaccount:dev-x:evil-reader`"),
        "{}",
        finding.message
    );
    assert!(finding.message.contains("colon"), "{}", finding.message);
}

#[test]
fn places_are_paths_lines_and_columns() {
    let text = "{\n  \"Version\": \"2012-10-17\",\n  \"Statement\": [{\"Effect\": \"Allow\", \"Action\": \"s3:*\",\n    \"Resource\": [\"*\", \"\u{fc}\", \"nope\"]}]\n}";
    let report = checked(PolicyKind::Identity, text);
    let finding = report
        .findings
        .iter()
        .filter(|finding| finding.code == "INVALID_ARN_PREFIX")
        .nth(1)
        .unwrap();
    let span = &finding.location.span;
    assert_eq!((span.start.line, span.start.column), (4, 28));
    assert_eq!((span.end.line, span.end.column), (4, 34));
    assert_eq!(span.start.offset, span.start.byte - 1);
    assert_eq!(finding.location.path.to_string(), "Statement[0].Resource[2]");
    assert_eq!(finding.location.path.0.last(), Some(&Step::Index(2)));
}

#[test]
fn services_of_ones_own_are_known() {
    let text = r#"{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":["plain:GetThing","plain:GetThin"],"Resource":"*"}}"#;
    let report = checked(PolicyKind::Identity, text);
    let finding = report
        .findings
        .iter()
        .find(|finding| finding.code == "INVALID_SERVICE_IN_ACTION")
        .unwrap();
    assert_eq!(finding.finding_type, FindingType::Warning);
    let services = own_services();
    let options = Options {
        kind: Some(PolicyKind::Identity),
        services: &services,
        ..Options::default()
    };
    let report = check(text, &options);
    assert_eq!(codes(&report), ["INVALID_ACTION"]);
    assert_eq!(
        report.findings[0].fix.as_ref().unwrap().description,
        "write `plain:GetThing`"
    );
}

/// Long enough for a debug build on a busy machine; a quadratic rule would take hours.
const PATIENCE: Duration = Duration::from_secs(60);

#[test]
fn hostile_texts_take_bounded_time_and_room() {
    let statement = r#"{"Effect":"Allow","Action":"s3:*","Resource":"*"},"#;
    let many_statements = format!(
        r#"{{"Version":"2012-10-17","Statement":[{}{{}}]}}"#,
        statement.repeat(100_000)
    );
    let list = |entry: &dyn Fn(usize) -> String, count: usize| {
        let entries: Vec<String> = (0..count).map(entry).collect();
        entries.join(",")
    };
    let wild_actions = format!(
        r#"{{"Version":"2012-10-17","Statement":[{{"Effect":"Allow","Action":[{}],"Resource":[{}]}}]}}"#,
        list(&|index| format!("\"s3:*a*b{index}*\""), 8_000),
        list(&|index| format!("\"arn:aws:s3:::*{index}*\""), 4_000),
    );
    let few_statements = format!(
        r#"{{"Version":"2012-10-17","Statement":[{}{{}}]}}"#,
        statement.repeat(4_900)
    );
    let subjects = format!(
        r#"{{"Version":"2012-10-17","Statement":[{{"Effect":"Allow","Principal":{{"Federated":"arn:aws:iam::111122223333:oidc-provider/o.example.com"}},"Action":"sts:AssumeRoleWithWebIdentity","Condition":{{"StringLike":{{"o.example.com:sub":[{}]}}}}}}]}}"#,
        list(&|index| format!("\"system:serviceaccount:*{index}*-*:a?*\""), 4_000),
    );
    let conditions = format!(
        r#"{{"Version":"2012-10-17","Statement":[{{"Effect":"Allow","Action":"s3:*","Resource":"*","Condition":{{{}}}}}]}}"#,
        list(&|index| format!("\"Str{index}\":{{\"aws:x{index}\":\"*\"}}"), 6_000),
    );
    let providers = format!(
        r#"{{"Version":"2012-10-17","Statement":[{{"Effect":"Allow","Principal":{{"Federated":[{}]}},"Action":"sts:AssumeRoleWithWebIdentity","Condition":{{"StringLike":{{{}}}}}}}]}}"#,
        list(
            &|index| format!("\"arn:aws:iam::111122223333:oidc-provider/o{index}.example.com\""),
            2_000
        ),
        list(
            &|index| format!("\"o{index}.example.com:sub\":\"system:serviceaccount:*\""),
            2_000
        ),
    );
    for text in [
        providers,
        many_statements,
        wild_actions,
        few_statements,
        subjects,
        conditions,
        "[".repeat(10_000_000),
        format!("\"{}\"", "a".repeat(10_000_000)),
        "{\"Version\":".repeat(20_000),
        format!(
            r#"{{"Version":"2012-10-17","Statement":[{}]}}"#,
            vec!["1"; 100_000].join(",")
        ),
    ] {
        for kind in [PolicyKind::Identity, PolicyKind::Trust] {
            let begin = Instant::now();
            let report = checked(kind, &text);
            let head: String = text.chars().take(60).collect();
            assert!(begin.elapsed() < PATIENCE, "{head}: {:?}", begin.elapsed());
            assert!(report.findings.len() <= 100 * crate::rules().count(), "{head}");
        }
    }
}

/// Texts that are nearly policies.
fn nearly() -> impl Strategy<Value = String> {
    let word = prop_oneof![
        Just("*".to_owned()),
        Just("s3:GetObject".to_owned()),
        Just("sts:AssumeRoleWithWebIdentity".to_owned()),
        Just("arn:aws:s3:::b/${aws:username}".to_owned()),
        Just("arn:aws:iam::111122223333:oidc-provider/o.example.com".to_owned()),
        Just("system:serviceaccount:*:x".to_owned()),
        Just("Allow".to_owned()),
        Just("Deny".to_owned()),
        Just("2012-10-17".to_owned()),
        "[a-z*?${}:,' \u{e9}/.-]{0,12}",
    ];
    let name = prop_oneof![
        Just("Effect"),
        Just("Action"),
        Just("NotAction"),
        Just("Resource"),
        Just("NotResource"),
        Just("Principal"),
        Just("Condition"),
        Just("Sid"),
        Just("AWS"),
        Just("Federated"),
        Just("StringLike"),
        Just("Null"),
        Just("ForAllValues:StringEqualsIfExists"),
        Just("o.example.com:sub"),
        Just("aws:SourceIp"),
        Just("Statement"),
        Just("Version"),
    ];
    let leaf = prop_oneof![
        word.prop_map(Value::String),
        any::<bool>().prop_map(Value::Bool),
        any::<i32>().prop_map(Value::from),
        Just(Value::Null),
    ];
    let tree = leaf.prop_recursive(4, 48, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::Array),
            prop::collection::vec((name.clone(), inner), 0..6).prop_map(|members| {
                Value::Object(
                    members
                        .into_iter()
                        .map(|(name, value)| (name.to_owned(), value))
                        .collect(),
                )
            }),
        ]
    });
    tree.prop_map(|statement| format!(r#"{{"Version":"2012-10-17","Statement":[{statement}]}}"#))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    #[test]
    fn what_is_refused_has_an_error(text in nearly(), kind in prop::sample::select(&KINDS[..])) {
        errors_agree_with_the_engine(kind, &text);
    }

    #[test]
    fn any_text_at_all(text in "\\PC{0,200}", kind in prop::sample::select(&KINDS[..])) {
        errors_agree_with_the_engine(kind, &text);
    }
}
