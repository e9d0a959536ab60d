//! How long, how large and how limited a session is.

use irsa_iam::{Caller, RequestFacts, Target, authorize};
use serde_json::json;

use crate::harness::{MAIN, World, ok, policy, text};

const TOO_LONG: &str =
    "ValidationError 400: The requested DurationSeconds exceeds the MaxSessionDuration set for this role.";

fn out_of_bounds(value: &str, bound: &str) -> String {
    format!(
        "ValidationError 400: 1 validation error detected: Value '{value}' at 'durationSeconds' failed to satisfy constraint: Member must have value {bound}"
    )
}

#[tokio::test]
async fn adv_wt_67_durations() {
    let (mut world, issuer) = World::new();
    let said = async |world: &World, seconds: &str| world.says(&issuer.token(), &[("DurationSeconds", seconds)]).await;
    let (below, above) = ("greater than or equal to 900", "less than or equal to 43200");
    for (seconds, expected) in [
        ("900", "ok".to_owned()),
        ("3600", "ok".to_owned()),
        ("0900", "ok".to_owned()),
        ("3601", TOO_LONG.to_owned()),
        ("43200", TOO_LONG.to_owned()),
        ("899", out_of_bounds("899", below)),
        ("0", out_of_bounds("0", below)),
        ("-900", out_of_bounds("-900", below)),
        ("43201", out_of_bounds("43201", above)),
        ("2147483647", out_of_bounds("2147483647", above)),
    ] {
        assert_eq!(said(&world, seconds).await, expected, "{seconds}");
    }
    for seconds in ["3600.0", "1h", " 3600", "2147483648", "9e2", "0x384"] {
        let expected = format!("MalformedInput 400: Could not parse '{seconds}' as an integer");
        assert_eq!(said(&world, seconds).await, expected);
    }
    for (limit, last, first_bad) in [("7200", "7200", "7201"), ("43200", "43200", "")] {
        world.iam(
            MAIN,
            "UpdateRole",
            &[("RoleName", "app"), ("MaxSessionDuration", limit)],
        );
        assert_eq!(said(&world, last).await, "ok");
        if !first_bad.is_empty() {
            assert_eq!(said(&world, first_bad).await, TOO_LONG);
        }
    }
    // The default stays an hour, whatever the role's limit is.
    let (_, session) = world.session(&ok(world.exchange(&issuer.token(), &[]).await));
    assert_eq!(session.expires_at, world.now.plus_seconds(3600));
}

#[tokio::test]
async fn a_session_outlives_its_token() {
    let (mut world, issuer) = World::new();
    world.iam(
        MAIN,
        "UpdateRole",
        &[("RoleName", "app"), ("MaxSessionDuration", "7200")],
    );
    let token = issuer.token_with(&json!({ "exp": world.now.unix_seconds() + 60 }));
    let answer = ok(world.exchange(&token, &[("DurationSeconds", "7200")]).await);
    let (_, session) = world.session(&answer);
    assert_eq!(session.expires_at, world.now.plus_seconds(7200));
    assert_eq!(text(&answer, "Expiration"), session.expires_at.iso8601());
}

#[tokio::test]
async fn a_token_has_at_least_the_size_that_was_asked_for() {
    let (world, issuer) = World::new();
    let plain = ok(world.exchange(&issuer.token(), &[]).await);
    let plain = text(&plain, "SessionToken").len();
    for minimum in [0, 1, plain, plain + 1, plain + 2, plain + 3, 1000, 4095, 4096] {
        let asked = minimum.to_string();
        let answer = ok(world
            .exchange(&issuer.token(), &[("MinimumSessionTokenSize", &asked)])
            .await);
        let length = text(&answer, "SessionToken").len();
        assert!(
            (minimum.max(plain)..=minimum.max(plain) + 1).contains(&length),
            "{minimum}: {length}"
        );
        assert_eq!(text(&answer, "SessionTokenSize"), length.to_string());
        let percent = (length * 100 / 4096).to_string();
        assert_eq!(text(&answer, "SessionTokenUtilization"), percent);
        assert_eq!(text(&answer, "PackedPolicySize"), percent);
        // It opens as any other.
        let (caller, _) = world.session(&answer);
        assert_eq!(caller.session_name(), Some("session"));
    }
}

fn may(world: &World, caller: &Caller, action: &'static str) -> bool {
    let facts = RequestFacts {
        source_ip: [192, 0, 2, 1].into(),
        secure_transport: true,
        user_agent: "",
        referer: None,
        region: "us-east-1",
        now: world.now,
    };
    let target = Target::new(action, "arn:aws:s3:::bucket/key", caller.account);
    authorize(&world.iam, caller, &facts, &target, None).is_allowed()
}

fn allow(actions: &[&str]) -> String {
    policy(&json!({ "Effect": "Allow", "Action": actions, "Resource": "*" }))
}

#[tokio::test]
async fn adv_wt_68_session_policies_only_take_away() {
    let (mut world, issuer) = World::new();
    let role_policy = allow(&["s3:GetObject", "s3:PutObject"]);
    world.iam(
        MAIN,
        "PutRolePolicy",
        &[
            ("RoleName", "app"),
            ("PolicyName", "p"),
            ("PolicyDocument", &role_policy),
        ],
    );
    let delete = allow(&["s3:DeleteObject"]);
    world.iam(
        MAIN,
        "CreatePolicy",
        &[("PolicyName", "delete"), ("PolicyDocument", &delete)],
    );
    let (read, everything) = (allow(&["s3:GetObject"]), allow(&["*"]));
    let deny = policy(&json!([
        { "Effect": "Allow", "Action": "*", "Resource": "*" }, { "Effect": "Deny", "Action": "s3:GetObject", "Resource": "*" },
    ]));
    let aws_read = "arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess";
    let ours = "arn:aws:iam::111122223333:policy/delete";
    let gone = "arn:aws:iam::111122223333:policy/gone";
    let actions = ["s3:GetObject", "s3:PutObject", "s3:DeleteObject"];
    for (params, expected) in [
        (vec![], [true, true, false]),
        (vec![("Policy", read.as_str())], [true, false, false]),
        (vec![("Policy", everything.as_str())], [true, true, false]),
        (vec![("Policy", deny.as_str())], [false, true, false]),
        (vec![("PolicyArns.member.1.arn", aws_read)], [true, false, false]),
        // A session policy of the role's account, which allows what the role does not.
        (vec![("PolicyArns.member.1.arn", ours)], [false, false, false]),
        (vec![("PolicyArns.member.1.arn", gone)], [false, false, false]),
        // Several are one union, and then cut with the role's.
        (
            vec![("Policy", delete.as_str()), ("PolicyArns.member.1.arn", aws_read)],
            [true, false, false],
        ),
    ] {
        let (caller, _) = world.session(&ok(world.exchange(&issuer.token(), &params).await));
        assert_eq!(
            actions.map(|action| may(&world, &caller, action)),
            expected,
            "{params:?}"
        );
    }
}

#[tokio::test]
async fn adv_wt_68_session_policies_that_are_none() {
    let (world, issuer) = World::new();
    let said = async |name: &str, value: &str| world.says(&issuer.token(), &[(name, value)]).await;
    let readable = allow(&["s3:GetObject"]);
    let (longest, long) = (format!("{readable:<2048}"), format!("{readable:<2049}"));
    assert_eq!(said("Policy", &longest).await, "ok");
    assert_eq!(
        said("Policy", &long).await,
        format!(
            "ValidationError 400: 1 validation error detected: Value '{}' at 'policy' failed to satisfy constraint: Member must have length less than \
             or equal to 2048",
            &long[..1024]
        )
    );
    for document in [
        "{",
        "[]",
        "null",
        r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:*"}]}"#,
        r#"{"Version":"2012-10-17","Statement":[{"Effect":"Maybe","Action":"s3:*","Resource":"*"}]}"#,
        r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":"s3:*","Resource":"*"}]}"#,
        r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:*","Resource":"*","Condition":{"StringIs":{"a":"b"}}}]}"#,
    ] {
        let said = said("Policy", document).await;
        assert!(said.starts_with("MalformedPolicyDocument 400: "), "{document}: {said}");
    }
    let said_of_kilroy = said("Policy", "kilroy \u{1F600}").await;
    assert!(
        said_of_kilroy.starts_with("ValidationError 400: 1 validation error detected:"),
        "{said_of_kilroy}"
    );
}

#[tokio::test]
async fn adv_wt_68_policies_by_arn() {
    let (world, issuer) = World::new();
    let names: Vec<String> = (1..=11)
        .map(|number| format!("PolicyArns.member.{number}.arn"))
        .collect();
    let aws = "arn:aws:iam::aws:policy/ReadOnlyAccess";
    let eleven: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), aws)).collect();
    assert_eq!(world.says(&issuer.token(), &eleven[..10]).await, "ok");
    assert_eq!(
        world.says(&issuer.token(), &eleven).await,
        "ValidationError 400: 1 validation error detected: Value at 'policyArns' failed to satisfy constraint: Member must have length less than or \
         equal to 10"
    );
    let foreign = "arn:aws:iam::444455556666:policy/theirs";
    assert_eq!(
        world
            .says(&issuer.token(), &[("PolicyArns.member.1.arn", foreign)])
            .await,
        format!("ValidationError 400: {foreign} is invalid: session policies must be of the role's account")
    );
    for arn in [
        "arn:aws:iam::111122223333:role/app",
        "arn:aws:s3:::bucket/policy/x",
        "AmazonS3ReadOnlyAccess-and-more",
    ] {
        assert_eq!(
            world.says(&issuer.token(), &[("PolicyArns.member.1.arn", arn)]).await,
            format!("ValidationError 400: {arn} is invalid")
        );
    }
    // A limit that can't be read must not become no limit.
    for (name, element) in [
        ("PolicyArns.member.1", 1),
        ("PolicyArns.member.1.Arn", 1),
        ("PolicyArns.member.2.arn", 1),
    ] {
        assert_eq!(
            world.says(&issuer.token(), &[(name, aws)]).await,
            format!(
                "ValidationError 400: 1 validation error detected: Value null at 'policyArns.{element}.member.arn' failed to satisfy constraint: Member \
                 must not be null"
            )
        );
    }
    let said = world.says(&issuer.token(), &[("PolicyArns.member.x.arn", aws)]).await;
    assert!(said.starts_with("MalformedInput 400: "), "{said}");
}
