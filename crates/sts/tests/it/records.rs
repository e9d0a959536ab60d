//! What audit records learn of calls: who and what, and no secret.

use irsa_sts::{Exchange, Resource, WebIdentityUser};
use serde_json::{Value, json};

use crate::harness::{ALL, MAIN, ROLE, World, ok, policy, said, text, trust_if};
use crate::issuer::{AUDIENCE, Issuer, SUBJECT};

fn parameters(exchange: &Exchange) -> Value {
    serde_json::from_str(exchange.request_parameters.as_deref().unwrap()).unwrap()
}

/// Everything that goes into a record.
fn record(exchange: &Exchange) -> String {
    let elements = exchange
        .outcome
        .as_ref()
        .ok()
        .and_then(|answer| answer.response_elements.as_deref());
    let reason = exchange.outcome.as_ref().err().map(ToString::to_string);
    format!(
        "{:?} {elements:?} {reason:?} {:?} {:?} {:?}",
        exchange.request_parameters, exchange.unverified_claims, exchange.web_identity, exchange.resources
    )
}

#[tokio::test]
async fn an_exchange_is_recorded_with_what_the_token_asked_for() {
    let (mut world, issuer) = World::new();
    world.set_trust("app", &trust_if(&issuer, ALL, &json!({})));
    let token = issuer.token_with(&json!({
        "https://aws.amazon.com/source_identity": "ann",
        "https://aws.amazon.com/tags": { "principal_tags": { "Team": ["a"] }, "transitive_tag_keys": ["Team"] },
    }));
    let changes = [
        ("DurationSeconds", "900"),
        (
            "PolicyArns.member.1.arn",
            "arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess",
        ),
        ("X-Amz-Security-Token", "not for records"),
    ];
    let exchange = world.exchange(&token, &changes).await;
    assert_eq!(
        parameters(&exchange),
        json!({
            "roleArn": ROLE, "roleSessionName": "session", "durationSeconds": 900,
            "policyArns": [{ "arn": "arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess" }],
            "sourceIdentity": "ann", "principalTags": { "Team": "a" }, "transitiveTagKeys": ["Team"],
        })
    );
    assert_eq!(
        exchange.web_identity,
        Some(WebIdentityUser {
            provider_arn: "arn:aws:iam::111122223333:oidc-provider/oidc.example/id/A".to_owned(),
            audience: AUDIENCE.to_owned(),
            subject: SUBJECT.to_owned(),
            token_id: None,
            kubernetes: None,
        })
    );
    assert_eq!(exchange.unverified_claims, None);
    assert_eq!(
        exchange.resources,
        [Resource {
            account: MAIN.parse().unwrap(),
            kind: "AWS::IAM::Role",
            arn: ROLE.to_owned()
        }]
    );
    let written = record(&exchange);
    let answer = ok(exchange);
    let signature = token.rsplit('.').next().unwrap();
    for secret in [
        signature,
        text(&answer, "SecretAccessKey"),
        text(&answer, "SessionToken"),
        "not for records",
    ] {
        assert!(!written.contains(secret), "{written}");
    }
}

#[tokio::test]
async fn claims_of_a_forged_token_are_marked_as_such() {
    let (world, issuer) = World::new();
    let forger = Issuer::new(&issuer.url, &issuer.key_id);
    let long = "s".repeat(1000);
    let token = forger.token_with(&json!({ "sub": long, "https://aws.amazon.com/source_identity": "boss" }));
    let exchange = world.exchange(&token, &[]).await;
    assert_eq!(exchange.web_identity, None);
    let claims: Value = serde_json::from_str(exchange.unverified_claims.as_deref().unwrap()).unwrap();
    assert_eq!(claims["iss"], issuer.url);
    assert_eq!(claims["sub"], "s".repeat(256));
    assert_eq!(
        parameters(&exchange),
        json!({ "roleArn": ROLE, "roleSessionName": "session" })
    );
    assert!(!record(&exchange).contains(token.rsplit('.').next().unwrap()));
    // What was refused after the signature was verified has an owner.
    let expired = issuer.token_with(&json!({ "exp": 0 }));
    let exchange = world.exchange(&expired, &[]).await;
    assert_eq!(exchange.web_identity.unwrap().subject, SUBJECT);
    assert_eq!(exchange.unverified_claims, None);
    // What is no token at all claims nothing.
    let exchange = world.exchange("not a token", &[]).await;
    assert_eq!((exchange.web_identity, exchange.unverified_claims), (None, None));
}

#[tokio::test]
async fn assume_role_is_recorded_without_the_code_of_a_second_factor() {
    let (mut world, _) = World::new();
    let user = world.user(
        MAIN,
        "ann",
        Some(&policy(
            &json!({ "Effect": "Allow", "Action": "sts:*", "Resource": "*" }),
        )),
    );
    let params = [
        ("RoleArn", ROLE),
        ("RoleSessionName", "s1"),
        ("ExternalId", "ext-1"),
        ("SourceIdentity", "ann"),
        ("SerialNumber", "arn:aws:iam::111122223333:mfa/ann"),
        ("TokenCode", "246813"),
        ("DurationSeconds", "900"),
        ("Tags.member.1.Key", "Team"),
        ("Tags.member.1.Value", "a"),
        ("TransitiveTagKeys.member.1", "Team"),
        ("X-Amz-Security-Token", "not for records"),
    ];
    let exchange = world.call(Some(&user), "AssumeRole", &params).await;
    assert_eq!(
        said(&exchange),
        "AccessDenied 403: MultiFactorAuthentication failed with invalid MFA one time pass code."
    );
    assert_eq!(
        parameters(&exchange),
        json!({
            "roleArn": ROLE, "roleSessionName": "s1", "externalId": "ext-1", "sourceIdentity": "ann",
            "serialNumber": "arn:aws:iam::111122223333:mfa/ann", "durationSeconds": 900,
            "tags": [{ "key": "Team", "value": "a" }], "transitiveTagKeys": ["Team"],
        })
    );
    let written = record(&exchange);
    assert!(
        !written.contains("246813") && !written.contains("not for records"),
        "{written}"
    );
}

#[tokio::test]
async fn long_parameters_are_cut() {
    let (world, issuer) = World::new();
    let long = "x".repeat(100_000);
    let token = issuer.token();
    let tag = [
        ("RoleArn", long.as_str()),
        ("RoleSessionName", &long),
        ("Policy", &long),
        ("WebIdentityToken", &token),
    ];
    let exchange = world.call(None, "AssumeRoleWithWebIdentity", &tag).await;
    assert!(record(&exchange).len() < 20_000);
    let root = world.root(MAIN);
    let exchange = world.call(Some(&root), "AssumeRole", &tag).await;
    assert!(record(&exchange).len() < 20_000);
}

#[tokio::test]
async fn the_account_of_a_failure_is_the_roles() {
    use irsa_sts::Call;
    use irsa_wire::Params;
    let account = |arn: &str| {
        let params = [("Action", "AssumeRoleWithWebIdentity"), ("RoleArn", arn)];
        Call::new(Params::from_pairs(params)).unwrap().account()
    };
    assert_eq!(account(ROLE), Some(MAIN.parse().unwrap()));
    for arn in ["", "arn:aws:iam::1:role/app", "111122223333", "a:b:c:d:x"] {
        assert_eq!(account(arn), None);
    }
}
