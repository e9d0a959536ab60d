//! The reference by itself, on what AWS's documentation shows.

use irsa_reference::evaluator::{Answer, Caller, Choices, Document, Keys, Kind, Policies, Request, Values, decide};

const ACCOUNT: &str = "111122223333";

fn user() -> Caller {
    Caller::User {
        arn: format!("arn:aws:iam::{ACCOUNT}:user/ann"),
        id: "AIDAEXAMPLE1234567890".to_owned(),
        account: ACCOUNT.to_owned(),
    }
}

fn session() -> Caller {
    Caller::RoleSession {
        arn: format!("arn:aws:sts::{ACCOUNT}:assumed-role/app/s1"),
        role_arn: format!("arn:aws:iam::{ACCOUNT}:role/team/app"),
        role_id: "AROAEXAMPLE1234567890".to_owned(),
        account: ACCOUNT.to_owned(),
    }
}

fn federated_user() -> Caller {
    Caller::FederatedUser {
        arn: format!("arn:aws:sts::{ACCOUNT}:federated-user/bob"),
        user_arn: format!("arn:aws:iam::{ACCOUNT}:user/ann"),
        account: ACCOUNT.to_owned(),
    }
}

fn root() -> Caller {
    Caller::Root {
        account: ACCOUNT.to_owned(),
    }
}

fn web() -> Caller {
    Caller::WebIdentity {
        provider: format!("arn:aws:iam::{ACCOUNT}:oidc-provider/oidc.example.com/id/X"),
    }
}

fn document(kind: Kind, statements: &str) -> Document {
    let text = format!(r#"{{"Version": "2012-10-17", "Statement": [{statements}]}}"#);
    Document::parse(kind, &text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

fn keys(keys: &[(&str, &[&str])]) -> Keys {
    let values = |values: &[&str]| match values {
        [one] => Values::One((*one).to_owned()),
        several => Values::List(several.iter().map(|value| (*value).to_owned()).collect()),
    };
    keys.iter()
        .map(|(key, list)| ((*key).to_owned(), values(list)))
        .collect()
}

fn request(caller: Caller, action: &str, resource: &str) -> Request {
    Request {
        caller,
        action: action.to_owned(),
        resource: resource.to_owned(),
        resource_account: Some(ACCOUNT.to_owned()),
        keys: Keys::new(),
    }
}

fn answer(policies: &Policies, request: &Request) -> Answer {
    decide(policies, request, &Choices::AWS)
}

/// Whether an identity policy of one statement allows a user an action.
fn allows(version: &str, action: &str, resource: &str, condition: &str, keys: Keys, asked: (&str, &str)) -> bool {
    let text = format!(
        r#"{{"Version": "{version}", "Statement": {{"Effect": "Allow", "Action": {action}, "Resource": {resource}, "Condition": {condition}}}}}"#
    );
    let document = Document::parse(Kind::Identity, &text).unwrap_or_else(|error| panic!("{error}: {text}"));
    let policies = Policies {
        identity: vec![document],
        ..Policies::default()
    };
    let mut request = request(user(), asked.0, asked.1);
    request.keys = keys;
    answer(&policies, &request) == Answer::Allowed
}

fn action_matches(pattern: &str, action: &str) -> bool {
    allows(
        "2012-10-17",
        &format!("{pattern:?}"),
        r#""*""#,
        "{}",
        Keys::new(),
        (action, "*"),
    )
}

fn resource_matches(pattern: &str, resource: &str, keys: Keys) -> bool {
    allows(
        "2012-10-17",
        r#""*""#,
        &format!("{pattern:?}"),
        "{}",
        keys,
        ("s3:GetObject", resource),
    )
}

fn holds(condition: &str, keys: Keys) -> bool {
    allows(
        "2012-10-17",
        r#""*""#,
        r#""*""#,
        condition,
        keys,
        ("s3:GetObject", "arn:aws:s3:::bucket/key"),
    )
}

/// <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_action.html>
#[test]
fn actions() {
    assert!(action_matches("iam:ListAccessKeys", "IAM:listaccesskeys"));
    assert!(action_matches("iam:*AccessKey*", "iam:CreateAccessKey"));
    assert!(action_matches("s3:*", "s3:GetObject"));
    assert!(action_matches("*", "s3:GetObject"));
    assert!(action_matches("s3:Get?bject", "s3:GetObject"));
    assert!(!action_matches("s3:Get.bject", "s3:GetObject"));
    assert!(!action_matches("s3:GetObject", "s3:GetObjectVersion"));
    assert!(!action_matches("s3:Get?", "s3:Get"));
    assert!(!action_matches("sqs:*", "s3:GetObject"));
}

/// <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_resource.html>
#[test]
fn resources() {
    let matches = |pattern, resource| resource_matches(pattern, resource, Keys::new());
    assert!(matches(
        "arn:aws:iam::111122223333:user/Development/product_1234/*",
        "arn:aws:iam::111122223333:user/Development/product_1234/x/y"
    ));
    assert!(!matches(
        "arn:aws:iam::111122223333:user/Development/product_1234/*",
        "arn:aws:iam::111122223333:user/Development/product_5678/x"
    ));
    assert!(
        !matches(
            "arn:aws:iam::111122223333:user/Bob",
            "arn:aws:iam::111122223333:user/bob"
        ),
        "case counts"
    );
    assert!(matches(
        "arn:aws:s3:::bucket/*/test/*",
        "arn:aws:s3:::bucket/1/2/test/object.jpg"
    ));
    assert!(matches(
        "arn:aws:s3:::bucket/*/test/*",
        "arn:aws:s3:::bucket/1/test/2/test/object.jpg"
    ));
    assert!(matches(
        "arn:aws:s3:::bucket/test???/object.jpg",
        "arn:aws:s3:::bucket/test123/object.jpg"
    ));
    assert!(!matches(
        "arn:aws:s3:::bucket/test???/object.jpg",
        "arn:aws:s3:::bucket/test12/object.jpg"
    ));
    assert!(
        matches(
            "arn:aws:dynamodb:*:table/prod-*",
            "arn:aws:dynamodb:us-east-1:111122223333:table/prod-x"
        ),
        "a `*` that ends a field goes on"
    );
    assert!(
        !matches(
            "arn:aws:dynamodb:us-*1:111122223333:table/x",
            "arn:aws:dynamodb:us-east-1:1:111122223333:table/x"
        ),
        "one within does not"
    );
    assert!(!matches(
        "arn:aws:sqs:us-east-1?111122223333:queue",
        "arn:aws:sqs:us-east-1:111122223333:queue"
    ));
    assert!(
        matches("arn:aws:s3", "arn:aws:s3:::bucket/key"),
        "missing fields of a principal's policy are wildcards"
    );
    assert!(matches("*", "*"));
    assert!(!matches("arn:aws:ec2:*", "*"), "what has no resource is no ARN");
}

/// <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_variables.html>
#[test]
fn variables() {
    let matches = |pattern: &str, name: &str| {
        resource_matches(pattern, "arn:aws:s3:::bucket/ann/x", keys(&[("aws:username", &[name])]))
    };
    assert!(matches("arn:aws:s3:::bucket/${aws:username}/*", "ann"));
    assert!(
        matches("arn:aws:s3:::bucket/${AWS:UserName}/*", "ann"),
        "names of keys have no case"
    );
    assert!(!matches("arn:aws:s3:::bucket/${aws:username}/*", "bob"));
    assert!(
        !matches("arn:aws:s3:::bucket/${aws:username}/*", "*"),
        "a value is never a wildcard"
    );
    assert!(!matches("arn:aws:s3:::bucket/${aws:username}/*", "a?n"));
    assert!(
        !matches("arn:aws:s3:::bucket/${aws:missing}*", "ann"),
        "a variable without value matches nothing"
    );
    assert!(matches("arn:aws:s3:::bucket/${aws:missing, 'ann'}/*", "bob"));
    assert!(
        !matches("arn:aws:s3:::bucket/${aws:missing, '*'}/x", "bob"),
        "nor is a default"
    );
    assert!(!matches("arn:aws:s3:::bucket/${*}/x", "ann"));
    assert!(!matches("arn:aws:s3:::bucket/${aws:username", "ann"));
    assert!(!matches("arn:aws:s3:::bucket/${aws: username}/*", "ann"));
    assert!(
        !matches("arn:aws:${aws:username}:::bucket/*", "s3"),
        "only the resource part has variables"
    );
    let literal = resource_matches(
        "arn:aws:s3:::bucket/${*}/${?}/${$}",
        "arn:aws:s3:::bucket/*/?/$",
        Keys::new(),
    );
    assert!(literal);
    let old = |resource| {
        let pattern = r#""arn:aws:s3:::bucket/${aws:username}/*""#;
        let keys = keys(&[("aws:username", &["ann"])]);
        allows("2008-10-17", r#""*""#, pattern, "{}", keys, ("s3:GetObject", resource))
    };
    assert!(
        old("arn:aws:s3:::bucket/${aws:username}/x"),
        "the old version has no variables"
    );
    assert!(!old("arn:aws:s3:::bucket/ann/x"));
    let several = keys(&[("aws:TagKeys", &["ann", "bob"])]);
    assert!(!resource_matches(
        "arn:aws:s3:::bucket/${aws:TagKeys}/x",
        "arn:aws:s3:::bucket/ann/x",
        several
    ));
}

/// <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_condition_operators.html>
#[test]
fn operators() {
    for (condition, key, value, expected) in [
        (r#"{"StringEquals": {"k": "admin"}}"#, "K", "admin", true),
        (r#"{"StringEquals": {"k": "admin"}}"#, "k", "Admin", false),
        (r#"{"StringEquals": {"k": "a*"}}"#, "k", "admin", false),
        (r#"{"StringEquals": {"k": ["x", "admin"]}}"#, "k", "admin", true),
        (r#"{"StringNotEquals": {"k": ["x", "admin"]}}"#, "k", "admin", false),
        (r#"{"StringNotEquals": {"k": ["x", "y"]}}"#, "k", "admin", true),
        (r#"{"StringEqualsIgnoreCase": {"k": "ADMIN"}}"#, "k", "admin", true),
        (r#"{"StringNotEqualsIgnoreCase": {"k": "ADMIN"}}"#, "k", "admin", false),
        (r#"{"StringLike": {"k": "a?m*"}}"#, "k", "admin", true),
        (r#"{"StringLike": {"k": "a?m*"}}"#, "k", "ADMIN", false),
        (r#"{"StringNotLike": {"k": "a*"}}"#, "k", "admin", false),
        (r#"{"StringLike": {"k": "a${*}"}}"#, "k", "admin", false),
        (r#"{"StringLike": {"k": "a${*}"}}"#, "k", "a*", true),
        (r#"{"NumericLessThanEquals": {"k": "10"}}"#, "k", "10.0", true),
        (r#"{"NumericLessThanEquals": {"k": 10}}"#, "k", "10.5", false),
        (r#"{"NumericLessThan": {"k": "10"}}"#, "k", "9", true),
        (
            r#"{"NumericGreaterThan": {"k": "9007199254740992"}}"#,
            "k",
            "9007199254740993",
            true,
        ),
        (r#"{"NumericGreaterThanEquals": {"k": "-1"}}"#, "k", "-2", false),
        (r#"{"NumericEquals": {"k": "1e3"}}"#, "k", "1000", true),
        (r#"{"NumericNotEquals": {"k": "1"}}"#, "k", "one", true),
        (r#"{"NumericEquals": {"k": "0"}}"#, "k", "-0.0", true),
        (
            r#"{"DateGreaterThan": {"k": "2020-01-01T00:00:01Z"}}"#,
            "k",
            "2020-01-01T00:00:02Z",
            true,
        ),
        (
            r#"{"DateLessThan": {"k": "2020-01-01T00:00:01Z"}}"#,
            "k",
            "1577836800",
            true,
        ),
        (
            r#"{"DateEquals": {"k": "2020-01-01"}}"#,
            "k",
            "2020-01-01T01:00:00+01:00",
            true,
        ),
        (r#"{"DateEquals": {"k": "2020-01"}}"#, "k", "1577836800", true),
        (r#"{"DateLessThanEquals": {"k": "2024-02-30"}}"#, "k", "0", false),
        (
            r#"{"DateGreaterThanEquals": {"k": "1900-03-01"}}"#,
            "k",
            "1900-02-28T23:59:59.9Z",
            false,
        ),
        (r#"{"DateNotEquals": {"k": "2020-01-01"}}"#, "k", "2020-01-01", false),
        (r#"{"Bool": {"k": false}}"#, "k", "False", true),
        (r#"{"Bool": {"k": "true"}}"#, "k", "yes", false),
        (
            r#"{"BinaryEquals": {"k": "QmluYXJ5VmFsdWVJbkJhc2U2NA=="}}"#,
            "k",
            "BinaryValueInBase64",
            true,
        ),
        (
            r#"{"BinaryEquals": {"k": "QmluYXJ5VmFsdWVJbkJhc2U2NA=="}}"#,
            "k",
            "binaryValueInBase64",
            false,
        ),
        (r#"{"IpAddress": {"k": "203.0.113.0/24"}}"#, "k", "203.0.113.255", true),
        (r#"{"IpAddress": {"k": "203.0.113.77/24"}}"#, "k", "203.0.113.1", true),
        (r#"{"IpAddress": {"k": "203.0.113.1"}}"#, "k", "203.0.113.2", false),
        (
            r#"{"IpAddress": {"k": "2001:DB8:1234:5678::/64"}}"#,
            "k",
            "2001:db8:1234:5678:0:0:0:9",
            true,
        ),
        (r#"{"IpAddress": {"k": "::/0"}}"#, "k", "203.0.113.1", false),
        (
            r#"{"NotIpAddress": {"k": "203.0.113.0/24"}}"#,
            "k",
            "198.51.100.1",
            true,
        ),
        (
            r#"{"ArnEquals": {"k": "arn:aws:sns:*:111122223333:*"}}"#,
            "k",
            "arn:aws:sns:us-east-1:111122223333:a:b",
            true,
        ),
        (
            r#"{"ArnLike": {"k": "arn:aws:sns:*:topic"}}"#,
            "k",
            "arn:aws:sns:us-east-1:111122223333:topic",
            false,
        ),
        (
            r#"{"ArnNotEquals": {"k": "arn:aws:sns:us-east-1:111122223333:x"}}"#,
            "k",
            "arn:aws:sns:us-east-1:111122223333:y",
            true,
        ),
        (
            r#"{"ArnNotLike": {"k": "arn:aws:sns:*:*:y"}}"#,
            "k",
            "arn:aws:sns:us-east-1:111122223333:y",
            false,
        ),
        (r#"{"ArnEquals": {"k": "${k}"}}"#, "k", "arn:aws:s3:::bucket", true),
        (r#"{"Null": {"k": "true"}}"#, "k", "", false),
        (r#"{"Null": {"k": false}}"#, "k", "", true),
    ] {
        assert_eq!(
            holds(condition, keys(&[(key, &[value])])),
            expected,
            "{condition} of {value}"
        );
    }
}

/// <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-logic-multiple-context-keys-or-values.html>
#[test]
fn several_conditions_must_all_hold() {
    let condition = r#"{"StringEquals": {"a": "1", "b": ["2", "3"]}, "Bool": {"c": "true"}}"#;
    assert!(holds(
        condition,
        keys(&[("a", &["1"]), ("b", &["3"]), ("c", &["true"])])
    ));
    assert!(!holds(
        condition,
        keys(&[("a", &["2"]), ("b", &["3"]), ("c", &["true"])])
    ));
    assert!(!holds(
        condition,
        keys(&[("a", &["1"]), ("b", &["4"]), ("c", &["true"])])
    ));
    assert!(!holds(condition, keys(&[("a", &["1"]), ("b", &["3"])])));
}

/// <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-single-vs-multi-valued-context-keys.html>
#[test]
fn keys_that_are_absent_and_keys_that_have_several_values() {
    let none: &[&str] = &[];
    let two: &[&str] = &["environment", "cost-center"];
    let one: &[&str] = &["environment"];
    // What each form says of no value, of one, and of two, where the policy lists the first of them.
    for (operator, absent, single, list) in [
        ("StringEquals", false, true, false),
        ("StringNotEquals", true, false, false),
        ("StringEqualsIfExists", true, true, false),
        ("StringNotEqualsIfExists", true, false, false),
        ("ForAllValues:StringEquals", true, true, false),
        ("ForAllValues:StringNotEquals", true, false, false),
        ("ForAllValues:StringEqualsIfExists", true, true, false),
        ("ForAnyValue:StringEquals", false, true, true),
        ("ForAnyValue:StringNotEquals", false, false, true),
        ("ForAnyValue:StringEqualsIfExists", false, true, true),
    ] {
        let condition = format!(r#"{{"{operator}": {{"aws:TagKeys": "environment"}}}}"#);
        assert_eq!(holds(&condition, Keys::new()), absent, "{operator} of nothing");
        assert_eq!(
            holds(&condition, keys(&[("aws:TagKeys", none)])),
            absent,
            "{operator} of an empty list"
        );
        assert_eq!(
            holds(&condition, keys(&[("aws:tagkeys", one)])),
            single,
            "{operator} of one"
        );
        assert_eq!(
            holds(&condition, keys(&[("aws:TagKeys", two)])),
            list,
            "{operator} of two"
        );
    }
    let both = r#"{"ForAllValues:StringEquals": {"aws:TagKeys": ["cost-center", "environment", "x"]}}"#;
    assert!(holds(both, keys(&[("aws:TagKeys", two)])));
    let empty = r#"{"ForAllValues:StringEquals": {"aws:TagKeys": "x"}}"#;
    assert!(holds(empty, keys(&[("aws:TagKeys", &[""])])));
    let instance = r#"{"StringLikeIfExists": {"ec2:InstanceType": ["t1.*", "t2.*"]}}"#;
    assert!(holds(instance, Keys::new()));
    assert!(holds(instance, keys(&[("ec2:InstanceType", &["t2.micro"])])));
    assert!(!holds(instance, keys(&[("ec2:InstanceType", &["m5.large"])])));
    assert!(holds(r#"{"Null": {"aws:TokenIssueTime": "true"}}"#, Keys::new()));
    // A variable without value: the value matches nothing, so a negation is true.
    assert!(!holds(
        r#"{"StringEquals": {"k": "${missing}"}}"#,
        keys(&[("k", &["x"])])
    ));
    assert!(holds(
        r#"{"StringNotEquals": {"k": "${missing}"}}"#,
        keys(&[("k", &["x"])])
    ));
}

const OBJECT: (&str, &str) = ("s3:GetObject", "arn:aws:s3:::bucket/key");

/// What a resource policy of one statement, and nothing else, answers.
fn resource_policy(statement: &str, caller: Caller) -> Answer {
    let policies = Policies {
        resource: Some(document(Kind::Resource, statement)),
        ..Policies::default()
    };
    answer(&policies, &request(caller, OBJECT.0, OBJECT.1))
}

fn is_granted(principal: &str, caller: Caller) -> bool {
    let statement = format!(r#"{{"Effect": "Allow", {principal}, "Action": "*", "Resource": "*"}}"#);
    resource_policy(&statement, caller) == Answer::Allowed
}

fn is_denied(principal: &str, caller: Caller) -> bool {
    let statement = format!(r#"{{"Effect": "Deny", {principal}, "Action": "*", "Resource": "*"}}"#);
    resource_policy(&statement, caller) == Answer::ExplicitlyDenied
}

/// <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_principal.html>
#[test]
fn principals() {
    let service = || Caller::Service {
        names: vec!["cloudtrail.amazonaws.com".to_owned(), "x.amazonaws.com".to_owned()],
    };
    assert!(is_granted(r#""Principal": "*""#, Caller::Anonymous));
    assert!(is_granted(r#""Principal": {"AWS": "*"}"#, service()));
    assert!(is_granted(
        r#""Principal": {"AWS": "arn:aws:iam::111122223333:user/ann"}"#,
        user()
    ));
    assert!(is_granted(
        r#""Principal": {"AWS": ["x", "AIDAEXAMPLE1234567890"]}"#,
        user()
    ));
    assert!(
        !is_granted(r#""Principal": {"AWS": "111122223333"}"#, user()),
        "an account only delegates"
    );
    assert!(!is_granted(
        r#""Principal": {"AWS": "arn:aws:iam::111122223333:root"}"#,
        user()
    ));
    assert!(is_granted(
        r#""Principal": {"AWS": "arn:aws:iam::111122223333:role/team/app"}"#,
        session()
    ));
    assert!(!is_granted(
        r#""Principal": {"AWS": "arn:aws:iam::111122223333:role/app"}"#,
        session()
    ));
    assert!(is_granted(
        r#""Principal": {"AWS": "arn:aws:sts::111122223333:assumed-role/app/s1"}"#,
        session()
    ));
    assert!(!is_granted(
        r#""Principal": {"AWS": "arn:aws:sts::111122223333:assumed-role/app/s2"}"#,
        session()
    ));
    assert!(is_granted(
        r#""Principal": {"AWS": "arn:aws:sts::111122223333:federated-user/bob"}"#,
        federated_user()
    ));
    assert!(is_granted(r#""Principal": {"Service": "x.amazonaws.com"}"#, service()));
    assert!(!is_granted(r#""Principal": {"Service": "y.amazonaws.com"}"#, service()));
    assert!(is_granted(
        r#""Principal": {"Federated": "arn:aws:iam::111122223333:oidc-provider/oidc.example.com/id/X"}"#,
        web()
    ));
    assert!(!is_granted(r#""Principal": "*""#, web()));
    assert!(is_denied(r#""Principal": "*""#, web()));
    assert!(is_denied(r#""Principal": {"AWS": "111122223333"}"#, session()));
}

/// <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_principal.html>
#[test]
fn who_is_made_anew_is_somebody_else() {
    let ann = "arn:aws:iam::111122223333:user/ann";
    let statement =
        format!(r#"{{"Effect": "Allow", "Principal": {{"AWS": "{ann}"}}, "Action": "*", "Resource": "*"}}"#);
    let ask = |id: &str| {
        let mut policy = document(Kind::Resource, &statement);
        policy.bind(&[(ann.to_owned(), id.to_owned())]);
        let policies = Policies {
            resource: Some(policy),
            ..Policies::default()
        };
        answer(&policies, &request(user(), OBJECT.0, OBJECT.1))
    };
    assert_eq!(ask("AIDAEXAMPLE1234567890"), Answer::Allowed);
    assert_eq!(ask("AIDAPREDECESSOR123456"), Answer::ImplicitlyDenied);
}

/// <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_notprincipal.html>
#[test]
fn not_principals() {
    let account = r#""arn:aws:iam::111122223333:root""#;
    let role = r#""arn:aws:iam::111122223333:role/team/app""#;
    let session_arn = r#""arn:aws:sts::111122223333:assumed-role/app/s1""#;
    let listed = |names: &str| format!(r#""NotPrincipal": {{"AWS": [{names}]}}"#);
    assert!(!is_denied(&listed(&[session_arn, role, account].join(",")), session()));
    assert!(is_denied(&listed(&[role, account].join(",")), session()));
    assert!(is_denied(&listed(&[session_arn, role].join(",")), session()));
    assert!(!is_denied(
        &listed(&[account, r#""arn:aws:iam::111122223333:user/ann""#].join(",")),
        user()
    ));
    assert!(is_denied(&listed(r#""arn:aws:iam::111122223333:user/ann""#), user()));
    assert!(is_granted(&listed(r#""arn:aws:iam::111122223333:user/bob""#), user()));
    assert!(!is_granted(&listed(account), user()));
    let bounded = Policies {
        boundary: Some(document(
            Kind::Boundary,
            r#"{"Effect": "Allow", "Action": "*", "Resource": "*"}"#,
        )),
        resource: Some(document(
            Kind::Resource,
            r#"{"Effect": "Deny", "NotPrincipal": "*", "Action": "*", "Resource": "*"}"#,
        )),
        ..Policies::default()
    };
    let request = request(user(), OBJECT.0, OBJECT.1);
    assert_eq!(
        answer(&bounded, &request),
        Answer::ExplicitlyDenied,
        "with a boundary it always denies"
    );
}

const ALL: &str = r#"{"Effect": "Allow", "Action": "*", "Resource": "*"}"#;

fn identity(statements: &str) -> Vec<Document> {
    vec![document(Kind::Identity, statements)]
}

/// <https://docs.aws.amazon.com/IAM/latest/UserGuide/access_policies_boundaries.html>
#[test]
fn boundaries_limit_what_identities_are_given() {
    let boundary = r#"{"Effect": "Allow", "Action": ["s3:*", "cloudwatch:*", "ec2:*"], "Resource": "*"}"#;
    let policies = Policies {
        identity: identity(r#"{"Effect": "Allow", "Action": ["iam:CreateUser", "s3:*"], "Resource": "*"}"#),
        boundary: Some(document(Kind::Boundary, boundary)),
        ..Policies::default()
    };
    let ask = |action| answer(&policies, &request(user(), action, "*"));
    assert_eq!(ask("s3:ListAllMyBuckets"), Answer::Allowed);
    assert_eq!(ask("iam:CreateUser"), Answer::ImplicitlyDenied, "not in the boundary");
    assert_eq!(
        ask("ec2:DescribeInstances"),
        Answer::ImplicitlyDenied,
        "a boundary gives nothing"
    );
}

/// <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic_policy-eval-denyallow.html>
#[test]
fn resource_policies_within_an_account() {
    let narrow = r#"{"Effect": "Allow", "Action": "sqs:*", "Resource": "*"}"#;
    let ask = |principal: &str, caller: Caller, limited: bool, given: bool| {
        let statement =
            format!(r#"{{"Effect": "Allow", "Principal": {{"AWS": "{principal}"}}, "Action": "*", "Resource": "*"}}"#);
        let policies = Policies {
            identity: if given { identity(ALL) } else { Vec::new() },
            boundary: limited.then(|| document(Kind::Boundary, narrow)),
            session: limited.then(|| vec![document(Kind::Session, narrow)]),
            resource: Some(document(Kind::Resource, &statement)),
            ..Policies::default()
        };
        answer(&policies, &request(caller, OBJECT.0, OBJECT.1))
    };
    let session_arn = "arn:aws:sts::111122223333:assumed-role/app/s1";
    let role_arn = "arn:aws:iam::111122223333:role/team/app";
    assert_eq!(
        ask(session_arn, session(), true, false),
        Answer::Allowed,
        "the session itself is named"
    );
    assert_eq!(
        ask(role_arn, session(), false, false),
        Answer::Allowed,
        "its role is named"
    );
    assert_eq!(
        ask(role_arn, session(), true, false),
        Answer::ImplicitlyDenied,
        "but that is limited"
    );
    assert_eq!(ask("111122223333", session(), false, false), Answer::ImplicitlyDenied);
    assert_eq!(ask("111122223333", session(), false, true), Answer::Allowed);
    assert_eq!(
        ask("arn:aws:iam::111122223333:user/ann", user(), true, false),
        Answer::Allowed
    );
    assert_eq!(
        ask("arn:aws:iam::111122223333:user/ann", federated_user(), false, false),
        Answer::ImplicitlyDenied,
        "no session policy"
    );
    assert_eq!(
        ask(
            "arn:aws:sts::111122223333:federated-user/bob",
            federated_user(),
            false,
            false
        ),
        Answer::Allowed
    );
    assert_eq!(
        ask("444455556666", root(), false, false),
        Answer::Allowed,
        "root has all of its account"
    );
}

/// <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic-cross-account.html>
#[test]
fn across_accounts_both_sides_must_allow() {
    let ask = |principal: &str, caller: Caller, given: bool| {
        let statement =
            format!(r#"{{"Effect": "Allow", "Principal": {{"AWS": "{principal}"}}, "Action": "*", "Resource": "*"}}"#);
        let policies = Policies {
            identity: if given { identity(ALL) } else { Vec::new() },
            resource: Some(document(Kind::Resource, &statement)),
            ..Policies::default()
        };
        let mut request = request(caller, OBJECT.0, OBJECT.1);
        request.resource_account = Some("444455556666".to_owned());
        answer(&policies, &request)
    };
    assert_eq!(ask("111122223333", user(), true), Answer::Allowed);
    assert_eq!(ask("arn:aws:iam::111122223333:user/ann", user(), true), Answer::Allowed);
    assert_eq!(
        ask("arn:aws:iam::111122223333:user/ann", user(), false),
        Answer::ImplicitlyDenied
    );
    assert_eq!(
        ask("arn:aws:iam::111122223333:user/bob", user(), true),
        Answer::ImplicitlyDenied
    );
    assert_eq!(
        ask("arn:aws:iam::111122223333:role/team/app", session(), true),
        Answer::Allowed
    );
    assert_eq!(ask("111122223333", root(), false), Answer::Allowed);
    assert_eq!(ask("444455556666", root(), false), Answer::ImplicitlyDenied);
}

/// <https://docs.aws.amazon.com/organizations/latest/userguide/orgs_manage_policies_scps_evaluation.html>
#[test]
fn organizations() {
    let level = |statements: &str| vec![document(Kind::ServiceControl, statements)];
    let ask = |levels: Vec<Vec<Document>>, caller: Caller| {
        let policies = Policies {
            identity: identity(ALL),
            service_control: levels,
            ..Policies::default()
        };
        answer(&policies, &request(caller, OBJECT.0, OBJECT.1))
    };
    let s3 = r#"{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}"#;
    let sqs = r#"{"Effect": "Allow", "Action": "sqs:*", "Resource": "*"}"#;
    let denial = r#"{"Effect": "Deny", "Action": "s3:*", "Resource": "*"}"#;
    assert_eq!(ask(vec![level(ALL), level(s3)], user()), Answer::Allowed);
    assert_eq!(
        ask(vec![level(ALL), level(sqs), level(ALL)], user()),
        Answer::ImplicitlyDenied
    );
    assert_eq!(ask(vec![level(ALL), Vec::new()], user()), Answer::ImplicitlyDenied);
    assert_eq!(
        ask(vec![level(&format!("{ALL},{denial}"))], user()),
        Answer::ExplicitlyDenied
    );
    assert_eq!(
        ask(vec![level(sqs)], root()),
        Answer::ImplicitlyDenied,
        "root is no exception"
    );
    let linked = Caller::RoleSession {
        arn: format!("arn:aws:sts::{ACCOUNT}:assumed-role/AWSServiceRoleForX/s1"),
        role_arn: format!("arn:aws:iam::{ACCOUNT}:role/aws-service-role/x.amazonaws.com/AWSServiceRoleForX"),
        role_id: "AROAEXAMPLE1234567890".to_owned(),
        account: ACCOUNT.to_owned(),
    };
    assert_eq!(
        ask(vec![level(denial)], linked),
        Answer::Allowed,
        "service-linked roles are"
    );
}

/// <https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles_create_for-idp_oidc.html> and
/// <https://docs.aws.amazon.com/kms/latest/developerguide/key-policies.html>
#[test]
fn roles_and_keys_need_their_own_policy() {
    let federated = r#""Principal": {"Federated": "arn:aws:iam::111122223333:oidc-provider/oidc.example.com/id/X"}"#;
    let trust = format!(
        r#"{{"Effect": "Allow", {federated}, "Action": "sts:AssumeRoleWithWebIdentity",
            "Condition": {{"StringEquals": {{"oidc.example.com/id/X:sub": "system:serviceaccount:prod:app"}}}}}}"#
    );
    let role = "arn:aws:iam::111122223333:role/app";
    let ask = |subject: &str| {
        let policies = Policies {
            resource: Some(document(Kind::Trust, &trust)),
            ..Policies::default()
        };
        let mut request = request(web(), "sts:AssumeRoleWithWebIdentity", role);
        request.keys = keys(&[("oidc.example.com/id/x:SUB", &[subject])]);
        answer(&policies, &request)
    };
    assert_eq!(ask("system:serviceaccount:prod:app"), Answer::Allowed);
    assert_eq!(ask("system:serviceaccount:prod:other"), Answer::ImplicitlyDenied);
    let only_identity = Policies {
        identity: identity(ALL),
        ..Policies::default()
    };
    let key = "arn:aws:kms:us-east-1:111122223333:key/1234abcd";
    assert_eq!(
        answer(&only_identity, &request(user(), "sts:AssumeRole", role)),
        Answer::ImplicitlyDenied
    );
    assert_eq!(
        answer(&only_identity, &request(user(), "kms:Decrypt", key)),
        Answer::ImplicitlyDenied
    );
    assert_eq!(
        answer(&only_identity, &request(root(), "kms:Decrypt", key)),
        Answer::ImplicitlyDenied
    );
    let delegates = r#"{"Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::111122223333:root"}, "Action": "kms:*", "Resource": "*"}"#;
    let delegated = Policies {
        identity: identity(ALL),
        resource: Some(document(Kind::Resource, delegates)),
        ..Policies::default()
    };
    assert_eq!(
        answer(&delegated, &request(user(), "kms:Decrypt", key)),
        Answer::Allowed
    );
}

/// <https://docs.aws.amazon.com/IAM/latest/UserGuide/access_policies.html#policies_session>
#[test]
fn sessions_and_endpoints() {
    let narrow = r#"{"Effect": "Allow", "Action": "sqs:*", "Resource": "*"}"#;
    let ask = |session_policies: Option<Vec<Document>>, endpoint: Option<Vec<Document>>, caller: Caller| {
        let policies = Policies {
            identity: identity(ALL),
            session: session_policies,
            vpc_endpoint: endpoint,
            ..Policies::default()
        };
        answer(&policies, &request(caller, OBJECT.0, OBJECT.1))
    };
    let one = |statements: &str| Some(vec![document(Kind::Session, statements)]);
    let two = Some(vec![document(Kind::Session, narrow), document(Kind::Session, ALL)]);
    assert_eq!(ask(None, None, session()), Answer::Allowed);
    assert_eq!(ask(one(narrow), None, session()), Answer::ImplicitlyDenied);
    assert_eq!(
        ask(two, None, session()),
        Answer::Allowed,
        "several session policies allow together"
    );
    assert_eq!(ask(None, None, federated_user()), Answer::ImplicitlyDenied);
    assert_eq!(ask(one(ALL), None, federated_user()), Answer::Allowed);
    let open = r#"{"Effect": "Allow", "Principal": "*", "Action": "*", "Resource": "*"}"#;
    assert_eq!(
        ask(None, Some(vec![document(Kind::VpcEndpoint, open)]), user()),
        Answer::Allowed
    );
    assert_eq!(ask(None, Some(Vec::new()), user()), Answer::ImplicitlyDenied);
}

/// <https://docs.aws.amazon.com/STS/latest/APIReference/API_GetCallerIdentity.html>
#[test]
fn whoever_has_credentials_may_ask_whose_they_are() {
    let denial = r#"{"Effect": "Deny", "Action": "*", "Resource": "*"}"#;
    let policies = Policies {
        identity: identity(denial),
        ..Policies::default()
    };
    assert_eq!(
        answer(&policies, &request(user(), "sts:GetCallerIdentity", "*")),
        Answer::Allowed
    );
    assert_eq!(
        answer(&policies, &request(user(), "sts:GetSessionToken", "*")),
        Answer::ExplicitlyDenied
    );
    let nobody = request(Caller::Anonymous, "sts:GetCallerIdentity", "*");
    assert_eq!(answer(&Policies::default(), &nobody), Answer::ImplicitlyDenied);
}

/// <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_grammar.html>
#[test]
fn what_is_no_policy() {
    let ok = r#""Action": "*", "Resource": "*""#;
    for (kind, statement) in [
        (Kind::Identity, format!(r#""Effect": "allow", {ok}"#)),
        (Kind::Identity, format!(r#""Effect": "Allow", "effect": "Deny", {ok}"#)),
        (Kind::Identity, format!(r#""Effect": "Allow", "Effect": "Allow", {ok}"#)),
        (Kind::Identity, format!(r#""Effect": "Allow", "NotAction": "x", {ok}"#)),
        (Kind::Identity, format!(r#""Effect": "Allow", "Principal": "*", {ok}"#)),
        (Kind::Identity, r#""Effect": "Allow", "Action": "*""#.to_owned()),
        (Kind::Identity, r#""Effect": "Allow", "Resource": "*""#.to_owned()),
        (
            Kind::Identity,
            format!(r#""Effect": "Allow", {ok}, "Condition": {{"StringMatches": {{"k": "v"}}}}"#),
        ),
        (
            Kind::Identity,
            format!(r#""Effect": "Allow", {ok}, "Condition": {{"NullIfExists": {{"k": "true"}}}}"#),
        ),
        (
            Kind::Identity,
            format!(r#""Effect": "Allow", {ok}, "Condition": {{"Bool": {{"k": "1", "\u006b": "2"}}}}"#),
        ),
        (
            Kind::Identity,
            format!(r#""Effect": "Allow", {ok}, "Condition": {{"Bool": {{"k": null}}}}"#),
        ),
        (Kind::Trust, format!(r#""Effect": "Allow", "Principal": "*", {ok}"#)),
        (
            Kind::Trust,
            r#""Effect": "Allow", "NotPrincipal": "*", "Action": "*""#.to_owned(),
        ),
        (Kind::Resource, format!(r#""Effect": "Allow", {ok}"#)),
        (
            Kind::Resource,
            format!(r#""Effect": "Allow", "Principal": "111122223333", {ok}"#),
        ),
        (
            Kind::Resource,
            format!(r#""Effect": "Allow", "Principal": {{"AWS": "arn:aws:iam::111122223333:user/*"}}, {ok}"#),
        ),
        (
            Kind::ResourceControl,
            r#""Effect": "Deny", "Principal": "*", "NotAction": "x", "Resource": "*""#.to_owned(),
        ),
    ] {
        let text = format!(r#"{{"Version": "2012-10-17", "Statement": {{{statement}}}}}"#);
        assert!(Document::parse(kind, &text).is_err(), "{kind:?} {text}");
    }
    for text in [
        "",
        "[]",
        "{}",
        r#"{"Statement": []}"#,
        r#"{"Version": "2012-10-18", "Statement": {"Effect": "Allow", "Action": "*", "Resource": "*"}}"#,
    ] {
        assert!(Document::parse(Kind::Identity, text).is_err(), "{text}");
    }
}
