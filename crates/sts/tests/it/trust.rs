//! What trust policies can say about a web identity.

use serde_json::{Value, json};

use crate::harness::{ALL, DENIED, MAIN, World, policy, trust, trust_if};
use crate::issuer::{AUDIENCE, Issuer, SUBJECT};

const WEB_IDENTITY: &[&str] = &["sts:AssumeRoleWithWebIdentity"];

/// Whether the role `app` takes a token under a condition.
async fn holds(world: &mut World, issuer: &Issuer, token: &str, condition: &Value) -> bool {
    world.set_trust("app", &trust_if(issuer, ALL, condition));
    match world.says(token, &[]).await.as_str() {
        "ok" => true,
        said => {
            assert_eq!(said, DENIED);
            false
        }
    }
}

#[tokio::test]
async fn condition_keys_of_the_exchange() {
    let (mut world, issuer) = World::new();
    world.iam(
        MAIN,
        "TagRole",
        &[
            ("RoleName", "app"),
            ("Tags.member.1.Key", "env"),
            ("Tags.member.1.Value", "prod"),
        ],
    );
    let token = issuer.token_with(&json!({
        "amr": ["pwd", "mfa"], "email": "a@example.com", "azp": AUDIENCE, "aud": ["one", "two"],
        "https://aws.amazon.com/source_identity": "me",
        "https://aws.amazon.com/tags": { "principal_tags": { "Team": ["a"], "Env": ["x"] }, "transitive_tag_keys": ["Team"] },
    }));
    let provider = "arn:aws:iam::111122223333:oidc-provider/oidc.example/id/A";
    for (operator, key, value) in [
        ("StringEquals", "oidc.example/id/A:aud", json!(AUDIENCE)),
        (
            "ForAllValues:StringEquals",
            "oidc.example/id/A:oaud",
            json!(["one", "two"]),
        ),
        ("ForAnyValue:StringEquals", "oidc.example/id/A:oaud", json!("two")),
        ("StringEquals", "oidc.example/id/A:sub", json!(SUBJECT)),
        (
            "StringLike",
            "oidc.example/id/A:sub",
            json!("system:serviceaccount:*:app"),
        ),
        ("ForAnyValue:StringEquals", "oidc.example/id/A:amr", json!("mfa")),
        ("StringEquals", "oidc.example/id/A:email", json!("a@example.com")),
        ("StringEquals", "aws:PrincipalAccount", json!(MAIN)),
        ("StringEquals", "aws:PrincipalType", json!("User")),
        ("StringEquals", "aws:userid", json!(provider)),
        ("Null", "aws:PrincipalArn", json!("true")),
        ("Null", "aws:TokenIssueTime", json!("true")),
        ("Null", "aws:PrincipalTag/Team", json!("true")),
        ("IpAddress", "aws:SourceIp", json!("192.0.2.0/24")),
        ("Bool", "aws:SecureTransport", json!("true")),
        ("Bool", "aws:ViaAWSService", json!("false")),
        ("StringEquals", "aws:UserAgent", json!("test/1")),
        ("StringEquals", "aws:RequestedRegion", json!("us-east-1")),
        ("StringEquals", "aws:ResourceAccount", json!(MAIN)),
        ("StringEquals", "aws:ResourceTag/env", json!("prod")),
        ("DateGreaterThan", "aws:CurrentTime", json!("2026-01-01T00:00:00Z")),
        ("NumericGreaterThan", "aws:EpochTime", json!("1788999999")),
        ("StringEquals", "sts:RoleSessionName", json!("session")),
        ("Bool", "sts:RoleAuthorizedByIdp", json!("false")),
        ("StringEquals", "sts:SourceIdentity", json!("me")),
        ("StringEquals", "aws:RequestTag/Team", json!("a")),
        ("ForAllValues:StringEquals", "aws:TagKeys", json!(["Team", "Env"])),
        ("ForAllValues:StringEquals", "sts:TransitiveTagKeys", json!(["Team"])),
    ] {
        let condition = json!({ operator: { key: value } });
        assert!(holds(&mut world, &issuer, &token, &condition).await, "{condition}");
    }
    for (operator, key, value) in [
        ("StringEquals", "oidc.example/id/A:aud", json!("one")),
        ("StringEquals", "oidc.example/id/A:jti", json!("*")),
        ("StringLike", "oidc.example/id/A:kubernetes.io", json!("*")),
        ("StringLike", "oidc.example/id/B:sub", json!("*")),
        ("StringEquals", "aws:userid", json!(SUBJECT)),
        ("StringEquals", "aws:PrincipalAccount", json!("anonymous")),
        ("StringEquals", "aws:PrincipalArn", json!(provider)),
        ("StringEquals", "aws:PrincipalType", json!("FederatedUser")),
        ("IpAddress", "aws:SourceIp", json!("198.51.100.0/24")),
        ("Bool", "sts:RoleAuthorizedByIdp", json!("true")),
        ("StringEquals", "aws:RequestTag/Env", json!("a")),
    ] {
        let condition = json!({ operator: { key: value } });
        assert!(!holds(&mut world, &issuer, &token, &condition).await, "{condition}");
    }
}

#[tokio::test]
async fn the_roles_claim_is_a_condition_key() {
    let (mut world, issuer) = World::new();
    let listed = issuer.token_with(&json!({ "https://aws.amazon.com/roles": crate::harness::ROLE }));
    let authorized = |value: &str| json!({ "Bool": { "sts:RoleAuthorizedByIdp": value } });
    assert!(holds(&mut world, &issuer, &listed, &authorized("true")).await);
    assert!(!holds(&mut world, &issuer, &listed, &authorized("false")).await);
    assert!(!holds(&mut world, &issuer, &issuer.token(), &authorized("true")).await);
    assert!(holds(&mut world, &issuer, &issuer.token(), &authorized("false")).await);
}

#[tokio::test]
async fn principals_that_mean_a_web_identity() {
    let (mut world, issuer) = World::new();
    let provider = "arn:aws:iam::111122223333:oidc-provider/oidc.example/id/A";
    for (principal, expected) in [
        (json!({ "Federated": provider }), "ok"),
        (json!({ "Federated": "*" }), "ok"),
        (
            json!({ "Federated": ["arn:aws:iam::111122223333:oidc-provider/x", provider] }),
            "ok",
        ),
        (json!({ "AWS": "*" }), DENIED),
        (json!({ "AWS": "arn:aws:iam::111122223333:root" }), DENIED),
        (
            json!({ "Federated": "arn:aws:iam::111122223333:oidc-provider/oidc.example/id/AA" }),
            DENIED,
        ),
        (
            json!({ "Federated": "arn:aws:iam::444455556666:oidc-provider/oidc.example/id/A" }),
            DENIED,
        ),
        (json!({ "Federated": "oidc.example" }), DENIED),
    ] {
        let statement = json!({ "Effect": "Allow", "Principal": principal, "Action": "sts:AssumeRoleWithWebIdentity" });
        world.set_trust("app", &policy(&statement));
        assert_eq!(world.says(&issuer.token(), &[]).await, expected, "{principal}");
    }
}

#[tokio::test]
async fn an_action_of_another_kind_is_not_enough() {
    let (mut world, issuer) = World::new();
    for (actions, expected) in [
        (&["sts:AssumeRole"][..], DENIED),
        (&["sts:TagSession"], DENIED),
        (&["sts:AssumeRoleWithSAML", "sts:SetSourceIdentity"], DENIED),
        (&["sts:AssumeRole", "sts:AssumeRoleWithWebIdentity"], "ok"),
    ] {
        world.set_trust("app", &trust_if(&issuer, actions, &json!({})));
        assert_eq!(world.says(&issuer.token(), &[]).await, expected, "{actions:?}");
    }
}

#[tokio::test]
async fn adv_wt_48_a_subject_is_the_word_of_its_issuer() {
    let (mut world, cluster) = World::new();
    // A login service of the same account, which lets its users choose their names.
    let login = Issuer::new("https://login.example", "key-1");
    world.provider(MAIN, &login, &[AUDIENCE]);
    world.give_keys(MAIN, &login);
    assert_eq!(world.says(&login.token(), &[]).await, DENIED);
    // Not even if the principal is any provider: the condition names the cluster's.
    let condition = json!({ "StringEquals": { "oidc.example/id/A:sub": SUBJECT } });
    let statement = json!({
        "Effect": "Allow", "Principal": { "Federated": "*" }, "Action": "sts:AssumeRoleWithWebIdentity", "Condition": condition,
    });
    world.set_trust("app", &policy(&statement));
    assert_eq!(world.says(&cluster.token(), &[]).await, "ok");
    assert_eq!(world.says(&login.token(), &[]).await, DENIED);
}

#[tokio::test]
async fn adv_wt_49_claims_are_data() {
    let (mut world, issuer) = World::new();
    for subject in [
        "*",
        "system:serviceaccount:default:*",
        "system:serviceaccount:default:ap?",
        "${aws:username}",
        "${*}",
        "${oidc.example/id/A:sub}",
    ] {
        let token = issuer.token_with(&json!({ "sub": subject }));
        for operator in ["StringEquals", "StringLike", "StringEqualsIgnoreCase"] {
            let condition = |value: &str| json!({ operator: { "oidc.example/id/A:sub": value } });
            assert!(
                !holds(&mut world, &issuer, &token, &condition(SUBJECT)).await,
                "{operator} {subject}"
            );
        }
    }
    // A variable of a policy is filled in, and what it is filled with is data again.
    let token = issuer.token_with(&json!({ "sub": "*" }));
    let condition = json!({ "StringLike": { "sts:RoleSessionName": "${oidc.example/id/A:sub}" } });
    assert!(!holds(&mut world, &issuer, &token, &condition).await);
}

#[tokio::test]
async fn adv_wt_50_subjects_are_compared_byte_for_byte() {
    let (world, issuer) = World::new();
    for subject in [
        "system:serviceaccount:default:App",
        "SYSTEM:serviceaccount:default:app",
        "system:serviceaccount:default:app ",
        " system:serviceaccount:default:app",
        "system:serviceaccount:default:app\u{0}",
        "system:serviceaccount:default:app\u{200b}",
        "system:serviceaccount:default:аpp",
        "system:serviceaccount:default:app:x",
        "system:serviceaccount:default:ap",
        "",
    ] {
        let token = issuer.token_with(&json!({ "sub": subject }));
        assert_eq!(world.says(&token, &[]).await, DENIED, "{subject:?}");
    }
}

#[tokio::test]
async fn a_denial_wins() {
    let (mut world, issuer) = World::new();
    let provider = "arn:aws:iam::111122223333:oidc-provider/oidc.example/id/A";
    let allow = json!({ "Effect": "Allow", "Principal": { "Federated": provider }, "Action": WEB_IDENTITY });
    for (principal, condition) in [
        (json!({ "Federated": provider }), json!({})),
        (json!({ "Federated": "*" }), json!({})),
        (
            json!({ "AWS": "*" }),
            json!({ "StringLike": { "oidc.example/id/A:sub": "system:*" } }),
        ),
    ] {
        let deny = json!({ "Effect": "Deny", "Principal": principal, "Action": ALL, "Condition": condition });
        world.set_trust("app", &policy(&json!([allow, deny])));
        assert_eq!(world.says(&issuer.token(), &[]).await, DENIED, "{principal}");
    }
    world.set_trust("app", &policy(&allow));
    assert_eq!(world.says(&issuer.token(), &[]).await, "ok");
}

#[tokio::test]
async fn a_change_of_trust_counts_at_once() {
    let (mut world, issuer) = World::new();
    assert_eq!(world.says(&issuer.token(), &[]).await, "ok");
    world.set_trust("app", &trust(&issuer, "other"));
    assert_eq!(world.says(&issuer.token(), &[]).await, DENIED);
}
