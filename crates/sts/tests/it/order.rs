//! Which of several mistakes is told first.

use serde_json::json;

use crate::harness::{DENIED, NO_KEY, NOT_A_JWT, NOT_VALIDATED, NOW, World, trust};
use crate::issuer::{Issuer, SUBJECT};

/// Every line mends the mistake of the line before; all later ones are still there.
#[tokio::test]
async fn mistakes_are_told_in_the_order_of_the_steps() {
    let (mut world, issuer) = World::new();
    world.role("closed", &trust(&issuer, "system:serviceaccount:default:other"));
    let stranger = Issuer::new("https://stranger.example", "key-1");
    let forger = Issuer::new(&issuer.url, &issuer.key_id);
    let unknown_key = Issuer::new(&issuer.url, "key-2");
    let tags = "https://aws.amazon.com/tags";
    let identity = "https://aws.amazon.com/source_identity";
    let all_wrong = json!({
        "sub": null, "aud": "other", "exp": NOW - 301, "https://aws.amazon.com/roles": 7, tags: 7, identity: "aws:me",
    });
    let fixed = |names: &[&str]| {
        let mut claims = all_wrong.clone();
        for name in names {
            claims.as_object_mut().unwrap().remove(*name);
        }
        claims
    };
    let mut missing_role = vec![
        ("RoleArn", "arn:aws:iam::111122223333:role/none"),
        ("RoleSessionName", "a:b"),
        ("ProviderId", "accounts.google.com"),
        ("DurationSeconds", "43200"),
    ];
    let garbage = "not.a.token";
    let said = world.says(garbage, &missing_role).await;
    assert!(
        said.starts_with("ValidationError 400: 1 validation error detected: Value 'a:b'"),
        "{said}"
    );
    missing_role[1].1 = "session";
    let said = world.says(garbage, &missing_role).await;
    assert!(
        said.starts_with("AccessDenied 403: Unrecognized OAuth provider."),
        "{said}"
    );
    missing_role.remove(2);
    assert_eq!(world.says(garbage, &missing_role).await, NOT_A_JWT);

    let roles = "https://aws.amazon.com/roles";
    for (token, expected) in [
        (
            stranger.token_with(&all_wrong),
            "InvalidIdentityToken 400: Missing a required claim: sub",
        ),
        (
            stranger.token_with(&fixed(&["sub"])),
            "InvalidIdentityToken 400: No OpenIDConnect provider found in your account for https://stranger.example",
        ),
        (unknown_key.token_with(&fixed(&["sub"])), NOT_VALIDATED),
        (unknown_key.token_with(&fixed(&["sub", "aud"])), NO_KEY),
        (forger.token_with(&fixed(&["sub", "aud"])), NOT_VALIDATED),
        (
            issuer.token_with(&fixed(&["sub", "aud"])),
            "ExpiredTokenException 400: Token expired: current date/time 1788999700 must be before the expiration date/time 1788999699",
        ),
        (
            issuer.token_with(&fixed(&["sub", "aud", "exp"])),
            "InvalidIdentityToken 400: The roles claim is not in a supported format",
        ),
        (
            issuer.token_with(&fixed(&["sub", "aud", "exp", roles])),
            "InvalidIdentityToken 400: principal_tags passed in claim is not in correct format.",
        ),
        (
            issuer.token_with(&fixed(&["sub", "aud", "exp", roles, tags])),
            "InvalidIdentityToken 400: source_identity passed in claim is not in correct format.",
        ),
        (issuer.token(), DENIED),
    ] {
        assert_eq!(world.says(&token, &missing_role).await, expected);
    }
    let closed = ("RoleArn", "arn:aws:iam::111122223333:role/closed");
    let too_long = ("DurationSeconds", "43200");
    assert_eq!(world.says(&issuer.token(), &[closed, too_long]).await, DENIED);
    assert_eq!(
        world.says(&issuer.token(), &[too_long]).await,
        "ValidationError 400: The requested DurationSeconds exceeds the MaxSessionDuration set for this role."
    );
    assert_eq!(world.says(&issuer.token(), &[]).await, "ok");
    assert_eq!(issuer.claims()["sub"], SUBJECT);
    assert_eq!(world.look_ups(), 0);
}
