//! AssumeRole: the caller's policies and the role's trust policy together.

use irsa_iam::Caller;
use serde_json::{Value, json};

use crate::harness::{ALL, MAIN, OTHER, World, ok, policy, said, shown, text};

const ROLE: &str = "arn:aws:iam::111122223333:role/target";

/// Allows every action of STS on everything.
fn may_assume() -> String {
    policy(&json!({ "Effect": "Allow", "Action": "sts:*", "Resource": "*" }))
}

fn trusting(principal: &Value, actions: &[&str], condition: &Value) -> String {
    policy(&json!({ "Effect": "Allow", "Principal": principal, "Action": actions, "Condition": condition }))
}

fn by_name(principal: &str) -> String {
    trusting(&json!({ "AWS": principal }), &["sts:AssumeRole"], &json!({}))
}

fn root_of(account: &str) -> String {
    format!("arn:aws:iam::{account}:root")
}

fn refused(caller: &Caller, action: &str) -> String {
    format!(
        "AccessDenied 403: User: {} is not authorized to perform: {action} on resource: {ROLE}",
        caller.arn()
    )
}

async fn assume(world: &World, caller: &Caller, params: &[(&str, &str)]) -> String {
    let mut all = vec![("RoleArn", ROLE), ("RoleSessionName", "s1")];
    all.extend(params);
    said(&world.call(Some(&world.again(caller)), "AssumeRole", &all).await)
}

#[tokio::test]
async fn the_answer() {
    let mut world = World::empty();
    let ann = world.user(MAIN, "ann", None);
    world.role("target", &trusting(&json!({ "AWS": ann.arn() }), ALL, &json!({})));
    let params = [
        ("RoleArn", ROLE),
        ("RoleSessionName", "s1"),
        ("DurationSeconds", "900"),
        ("SourceIdentity", "ann"),
        ("Tags.member.1.Key", "Team"),
        ("Tags.member.1.Value", "a"),
        ("TransitiveTagKeys.member.1", "Team"),
        ("MinimumSessionTokenSize", "2048"),
    ];
    let exchange = world.call(Some(&ann), "AssumeRole", &params).await;
    let elements = exchange.outcome.as_ref().unwrap().response_elements.clone().unwrap();
    let answer = ok(exchange);
    insta::assert_snapshot!("answer", shown(&answer));
    insta::assert_snapshot!(
        "response_elements",
        elements.replace(text(&answer, "AccessKeyId"), "[AccessKeyId]")
    );
    let (caller, session) = world.session(&answer);
    assert_eq!(caller.arn(), "arn:aws:sts::111122223333:assumed-role/target/s1");
    assert_eq!(session.expires_at, world.now.plus_seconds(900));
    assert_eq!(session.tags, [("Team".to_owned(), "a".to_owned())]);
    assert_eq!(session.transitive_tag_keys, ["Team"]);
    assert_eq!(session.source_identity.as_deref(), Some("ann"));
    assert!(!session.chained && session.federated.is_none());
}

#[tokio::test]
async fn trust_in_the_account_needs_a_policy_of_the_caller() {
    let mut world = World::empty();
    world.role("target", &by_name(&root_of(MAIN)));
    let powerless = world.user(MAIN, "ann", None);
    let assume_policy = policy(&json!({ "Effect": "Allow", "Action": "sts:AssumeRole", "Resource": ROLE }));
    let other_policy =
        policy(&json!({ "Effect": "Allow", "Action": "sts:AssumeRole", "Resource": format!("{ROLE}2") }));
    let able = world.user(MAIN, "bob", Some(&assume_policy));
    let elsewhere = world.user(MAIN, "carl", Some(&other_policy));
    assert_eq!(assume(&world, &able, &[]).await, "ok");
    assert_eq!(
        assume(&world, &powerless, &[]).await,
        refused(&powerless, "sts:AssumeRole")
    );
    assert_eq!(
        assume(&world, &elsewhere, &[]).await,
        refused(&elsewhere, "sts:AssumeRole")
    );
    // The account's number is the same principal.
    world.set_trust("target", &by_name(MAIN));
    assert_eq!(assume(&world, &able, &[]).await, "ok");
    assert_eq!(
        assume(&world, &powerless, &[]).await,
        refused(&powerless, "sts:AssumeRole")
    );
}

#[tokio::test]
async fn a_policy_of_the_caller_needs_trust() {
    let mut world = World::empty();
    let ann = world.user(
        MAIN,
        "ann",
        Some(&policy(&json!({ "Effect": "Allow", "Action": "*", "Resource": "*" }))),
    );
    let bob = world.user(MAIN, "bob", None);
    for principal in [
        json!({ "AWS": bob.arn() }),
        json!({ "AWS": OTHER }),
        json!({ "Service": "ec2.amazonaws.com" }),
    ] {
        let document = trusting(&principal, &["sts:AssumeRole"], &json!({}));
        if world
            .iam
            .account(MAIN.parse().unwrap())
            .unwrap()
            .role("target")
            .is_none()
        {
            world.role("target", &document);
        } else {
            world.set_trust("target", &document);
        }
        assert_eq!(
            assume(&world, &ann, &[]).await,
            refused(&ann, "sts:AssumeRole"),
            "{principal}"
        );
    }
}

#[tokio::test]
async fn trust_by_name_is_enough_within_the_account() {
    let mut world = World::empty();
    let ann = world.user(MAIN, "ann", None);
    let bob = world.user(MAIN, "bob", None);
    world.role("target", &by_name(ann.arn()));
    assert_eq!(assume(&world, &ann, &[]).await, "ok");
    assert_eq!(assume(&world, &bob, &[]).await, refused(&bob, "sts:AssumeRole"));
    // Everybody, by the star.
    world.set_trust("target", &by_name("*"));
    assert_eq!(assume(&world, &bob, &[]).await, "ok");
    // A denial of the caller's own still counts.
    let deny = policy(&json!({ "Effect": "Deny", "Action": "sts:AssumeRole", "Resource": "*" }));
    world.iam(
        MAIN,
        "PutUserPolicy",
        &[("UserName", "bob"), ("PolicyName", "deny"), ("PolicyDocument", &deny)],
    );
    assert_eq!(assume(&world, &bob, &[]).await, refused(&bob, "sts:AssumeRole"));
}

#[tokio::test]
async fn a_user_made_anew_is_not_the_trusted_one() {
    let mut world = World::empty();
    let ann = world.user(MAIN, "ann", None);
    world.role("target", &by_name(ann.arn()));
    let key = ann.access_key_id.to_string();
    world.iam(MAIN, "DeleteAccessKey", &[("UserName", "ann"), ("AccessKeyId", &key)]);
    world.iam(MAIN, "DeleteUser", &[("UserName", "ann")]);
    let again = world.user(MAIN, "ann", None);
    assert_eq!(again.arn(), ann.arn());
    assert_eq!(assume(&world, &again, &[]).await, refused(&again, "sts:AssumeRole"));
    world.set_trust("target", &by_name(again.user_id()));
    assert_eq!(assume(&world, &again, &[]).await, "ok");
}

#[tokio::test]
async fn another_account_needs_both_sides() {
    let mut world = World::empty();
    let able = world.user(OTHER, "ann", Some(&may_assume()));
    let powerless = world.user(OTHER, "bob", None);
    world.role("target", &by_name(&root_of(MAIN)));
    assert_eq!(assume(&world, &able, &[]).await, refused(&able, "sts:AssumeRole"));
    for principal in [
        root_of(OTHER),
        able.arn().to_owned(),
        powerless.arn().to_owned(),
        "*".to_owned(),
    ] {
        world.set_trust("target", &by_name(&principal));
        let expected = if principal == powerless.arn() {
            refused(&able, "sts:AssumeRole")
        } else {
            "ok".to_owned()
        };
        assert_eq!(assume(&world, &able, &[]).await, expected, "{principal}");
        assert_eq!(
            assume(&world, &powerless, &[]).await,
            refused(&powerless, "sts:AssumeRole"),
            "{principal}"
        );
    }
}

#[tokio::test]
async fn external_ids() {
    let mut world = World::empty();
    let ann = world.user(OTHER, "ann", Some(&may_assume()));
    let condition = json!({ "StringEquals": { "sts:ExternalId": "deal-1" } });
    world.role(
        "target",
        &trusting(&json!({ "AWS": OTHER }), &["sts:AssumeRole"], &condition),
    );
    let refusal = refused(&ann, "sts:AssumeRole");
    assert_eq!(assume(&world, &ann, &[("ExternalId", "deal-1")]).await, "ok");
    assert_eq!(assume(&world, &ann, &[("ExternalId", "deal-2")]).await, refusal);
    assert_eq!(assume(&world, &ann, &[("ExternalId", "Deal-1")]).await, refusal);
    assert_eq!(assume(&world, &ann, &[]).await, refusal);
    for (id, fits) in [
        ("ab", true),
        ("a:/_=,.@-", true),
        ("a", false),
        ("a b", false),
        ("a*b", false),
    ] {
        let said = assume(&world, &ann, &[("ExternalId", id)]).await;
        assert_eq!(said == refusal, fits, "{id}: {said}");
    }
}

#[tokio::test]
async fn root_may_not_assume() {
    let mut world = World::empty();
    world.role("target", &by_name("*"));
    let root = world.root(MAIN);
    let expected = "AccessDenied 403: Roles may not be assumed by root accounts.";
    assert_eq!(assume(&world, &root, &[]).await, expected);
    let answer = ok(world.call(Some(&root), "GetSessionToken", &[]).await);
    let (session, _) = world.session(&answer);
    assert_eq!(assume(&world, &session, &[]).await, expected);
    assert_eq!(assume(&world, &world.root(OTHER), &[]).await, expected);
}

#[tokio::test]
async fn tags_need_a_permission_on_each_side_that_decides() {
    let mut world = World::empty();
    let tag = [("Tags.member.1.Key", "Team"), ("Tags.member.1.Value", "a")];
    let only_assume = policy(&json!({ "Effect": "Allow", "Action": "sts:AssumeRole", "Resource": "*" }));
    let ann = world.user(MAIN, "ann", Some(&only_assume));
    let bob = world.user(MAIN, "bob", Some(&may_assume()));
    let both = ["sts:AssumeRole", "sts:TagSession"];
    world.role("target", &by_name(MAIN));
    assert_eq!(assume(&world, &bob, &tag).await, refused(&bob, "sts:TagSession"));
    world.set_trust("target", &trusting(&json!({ "AWS": MAIN }), &both, &json!({})));
    assert_eq!(assume(&world, &bob, &tag).await, "ok");
    assert_eq!(assume(&world, &ann, &tag).await, refused(&ann, "sts:TagSession"));
    // Who may not assume is told so, whatever else was asked.
    let carl = world.user(MAIN, "carl", None);
    assert_eq!(assume(&world, &carl, &tag).await, refused(&carl, "sts:AssumeRole"));
    for (condition, expected) in [
        (
            json!({ "StringEquals": { "aws:RequestTag/team": "a" } }),
            "ok".to_owned(),
        ),
        (
            json!({ "StringEquals": { "aws:RequestTag/Team": "b" } }),
            refused(&bob, "sts:AssumeRole"),
        ),
        (
            json!({ "ForAllValues:StringEquals": { "aws:TagKeys": ["Team"] } }),
            "ok".to_owned(),
        ),
        (
            json!({ "ForAllValues:StringEquals": { "aws:TagKeys": ["Other"] } }),
            refused(&bob, "sts:AssumeRole"),
        ),
        (
            json!({ "StringEquals": { "sts:RoleSessionName": "s1" } }),
            "ok".to_owned(),
        ),
        (
            json!({ "StringEquals": { "sts:RoleSessionName": "${aws:username}" } }),
            refused(&bob, "sts:AssumeRole"),
        ),
        (json!({ "StringEquals": { "aws:username": "bob" } }), "ok".to_owned()),
        (
            json!({ "Bool": { "aws:MultiFactorAuthPresent": "true" } }),
            refused(&bob, "sts:AssumeRole"),
        ),
    ] {
        world.set_trust("target", &trusting(&json!({ "AWS": MAIN }), &both, &condition));
        assert_eq!(assume(&world, &bob, &tag).await, expected, "{condition}");
    }
}

#[tokio::test]
async fn a_source_identity_needs_a_permission() {
    let mut world = World::empty();
    let ann = world.user(MAIN, "ann", None);
    let ask = [("SourceIdentity", "ann")];
    world.role("target", &by_name(ann.arn()));
    assert_eq!(assume(&world, &ann, &ask).await, refused(&ann, "sts:SetSourceIdentity"));
    let condition = json!({ "StringEquals": { "sts:SourceIdentity": "ann" } });
    let actions = ["sts:AssumeRole", "sts:SetSourceIdentity"];
    world.set_trust("target", &trusting(&json!({ "AWS": ann.arn() }), &actions, &condition));
    assert_eq!(assume(&world, &ann, &ask).await, "ok");
    // A policy can demand one.
    assert_eq!(assume(&world, &ann, &[]).await, refused(&ann, "sts:AssumeRole"));
    assert_eq!(
        assume(&world, &ann, &[("SourceIdentity", "bob")]).await,
        refused(&ann, "sts:AssumeRole")
    );
    assert_eq!(
        assume(&world, &ann, &[("SourceIdentity", "aws:x")]).await,
        "ValidationError 400: 1 validation error detected: Value 'aws:x' at 'sourceIdentity' failed to satisfy constraint: Member must satisfy regular \
         expression pattern: [\\w+=,.@-]*"
    );
}

#[tokio::test]
async fn parameters_that_do_not_fit() {
    let mut world = World::empty();
    let ann = world.user(MAIN, "ann", None);
    world.role("target", &trusting(&json!({ "AWS": ann.arn() }), ALL, &json!({})));
    let null = |member: &str| {
        format!(
            "ValidationError 400: 1 validation error detected: Value null at '{member}' failed to satisfy constraint: Member must not be null"
        )
    };
    for (params, expected) in [
        (vec![("Tags.member.1.Key", "k")], null("tags.1.member.value")),
        (vec![("Tags.member.1.Value", "v")], null("tags.1.member.key")),
        (vec![("TransitiveTagKeys.member.2", "k")], null("transitiveTagKeys.1.member")),
        (
            vec![("TransitiveTagKeys.member.1", "k")],
            "InvalidParameterValue 400: The specified transitive tag key must be included in the requested tags.".to_owned(),
        ),
        (
            vec![
                ("Tags.member.1.Key", "k"),
                ("Tags.member.1.Value", "1"),
                ("Tags.member.2.Key", "K"),
                ("Tags.member.2.Value", "2"),
            ],
            "InvalidParameterValue 400: Duplicate tag keys found. Please note that Tag keys are case insensitive.".to_owned(),
        ),
        (
            vec![("Tags.member.1.Key", "aws:k"), ("Tags.member.1.Value", "1")],
            "ValidationError 400: Tag keys beginning with aws: are reserved for system use.".to_owned(),
        ),
        (
            vec![("ProvidedContexts.member.1.ProviderArn", "arn:aws:iam::aws:contextProvider/IdentityCenter")],
            "ValidationError 400: ProvidedContexts is not supported.".to_owned(),
        ),
        (
            vec![("TokenCode", "12345")],
            "ValidationError 400: 1 validation error detected: Value at 'tokenCode' failed to satisfy constraint: Member must have length greater than \
             or equal to 6"
                .to_owned(),
        ),
        (
            vec![("TokenCode", "123456")],
            "AccessDenied 403: MultiFactorAuthentication failed with invalid MFA one time pass code.".to_owned(),
        ),
        (vec![("DurationSeconds", "3601")], "ValidationError 400: The requested DurationSeconds exceeds the MaxSessionDuration set for this role.".to_owned()),
        (vec![("DurationSeconds", "3600")], "ok".to_owned()),
        (vec![("PolicyArns.member.1.arn", "arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess")], "ok".to_owned()),
    ] {
        assert_eq!(assume(&world, &ann, &params).await, expected, "{params:?}");
    }
    let mut missing = vec![("RoleArn", ROLE)];
    let exchange = world.call(Some(&ann), "AssumeRole", &missing).await;
    assert_eq!(said(&exchange), null("roleSessionName"));
    missing[0].1 = "arn:aws:iam::111122223333:user/ann";
    missing.push(("RoleSessionName", "s1"));
    let exchange = world.call(Some(&ann), "AssumeRole", &missing).await;
    assert_eq!(
        said(&exchange),
        "ValidationError 400: arn:aws:iam::111122223333:user/ann is invalid"
    );
}
