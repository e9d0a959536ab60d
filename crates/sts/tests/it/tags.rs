//! Session tags and source identities of web identity tokens.

use serde_json::{Map, Value, json};

use crate::harness::{ALL, DENIED, World, ok, text, trust_if};
use crate::issuer::Issuer;

const WEB_IDENTITY: &str = "sts:AssumeRoleWithWebIdentity";
const TAGS: &str = "https://aws.amazon.com/tags";
const SOURCE_IDENTITY: &str = "https://aws.amazon.com/source_identity";
const MALFORMED: &str = "InvalidIdentityToken 400: principal_tags passed in claim is not in correct format.";

fn world(actions: &[&str]) -> (World, Issuer) {
    let (mut world, issuer) = World::new();
    world.set_trust("app", &trust_if(&issuer, actions, &json!({})));
    (world, issuer)
}

/// The tags claim with tags of one value each.
fn tagged(pairs: &[(&str, &str)], transitive: &[&str]) -> Value {
    let tags: Map<String, Value> = pairs
        .iter()
        .map(|(key, value)| ((*key).to_owned(), json!([value])))
        .collect();
    json!({ TAGS: { "principal_tags": tags, "transitive_tag_keys": transitive } })
}

#[tokio::test]
async fn tags_become_the_sessions() {
    let (world, issuer) = world(&[WEB_IDENTITY, "sts:TagSession"]);
    let nested = tagged(&[("Team", "a"), ("Größe", "5 m")], &["Team"]);
    let flat = json!({
        "https://aws.amazon.com/tags/principal_tags/Team": "a",
        "https://aws.amazon.com/tags/principal_tags/Größe": ["5 m"],
        "https://aws.amazon.com/tags/transitive_tag_keys": ["Team"],
    });
    for claims in [nested, flat] {
        let (_, session) = world.session(&ok(world.exchange(&issuer.token_with(&claims), &[]).await));
        assert_eq!(
            session.tags,
            [
                ("Team".to_owned(), "a".to_owned()),
                ("Größe".to_owned(), "5 m".to_owned())
            ]
        );
        assert_eq!(session.transitive_tag_keys, ["Team"]);
    }
}

#[tokio::test]
async fn adv_wt_58_tags_need_a_permission_of_their_own() {
    let (mut world, issuer) = world(&[WEB_IDENTITY]);
    let token = issuer.token_with(&tagged(&[("Team", "a")], &[]));
    assert_eq!(world.says(&issuer.token(), &[]).await, "ok");
    assert_eq!(world.says(&token, &[]).await, DENIED);
    // A claim without tags asks for nothing.
    assert_eq!(world.says(&issuer.token_with(&tagged(&[], &[])), &[]).await, "ok");
    world.set_trust("app", &trust_if(&issuer, &["sts:TagSession"], &json!({})));
    assert_eq!(world.says(&token, &[]).await, DENIED);
    let tag_is = |value: &str| json!({ "StringEquals": { "aws:RequestTag/Team": value } });
    world.set_trust(
        "app",
        &trust_if(&issuer, &[WEB_IDENTITY, "sts:TagSession"], &tag_is("a")),
    );
    assert_eq!(world.says(&token, &[]).await, "ok");
    world.set_trust(
        "app",
        &trust_if(&issuer, &[WEB_IDENTITY, "sts:TagSession"], &tag_is("b")),
    );
    assert_eq!(world.says(&token, &[]).await, DENIED);
}

#[tokio::test]
async fn adv_wt_59_a_source_identity_needs_a_permission_of_its_own() {
    let (mut world, issuer) = world(&[WEB_IDENTITY, "sts:TagSession"]);
    let token = issuer.token_with(&json!({ SOURCE_IDENTITY: "ann" }));
    assert_eq!(world.says(&token, &[]).await, DENIED);
    world.set_trust(
        "app",
        &trust_if(&issuer, &[WEB_IDENTITY, "sts:SetSourceIdentity"], &json!({})),
    );
    let answer = ok(world.exchange(&token, &[]).await);
    assert_eq!(text(&answer, "SourceIdentity"), "ann");
    let (_, session) = world.session(&answer);
    assert_eq!(session.source_identity.as_deref(), Some("ann"));
    let plain = ok(world.exchange(&issuer.token(), &[]).await);
    assert!(!plain.contains("SourceIdentity"), "{plain}");
}

#[tokio::test]
async fn source_identities_have_a_form() {
    let (world, issuer) = world(ALL);
    let (longest, long) = ("a".repeat(64), "a".repeat(65));
    for (identity, fits) in [
        (json!("ab"), true),
        (json!(longest), true),
        (json!("a_+=,.@-"), true),
        (json!("a"), false),
        (json!(""), false),
        (json!(long), false),
        (json!("a b"), false),
        (json!("a:b"), false),
        (json!("größe"), false),
        (json!("aws:ann"), false),
        (json!("AWS:ann"), false),
        (json!(7), false),
        (json!(["ann"]), false),
    ] {
        let said = world
            .says(&issuer.token_with(&json!({ SOURCE_IDENTITY: identity })), &[])
            .await;
        let expected = if fits {
            "ok"
        } else {
            "InvalidIdentityToken 400: source_identity passed in claim is not in correct format."
        };
        assert_eq!(said, expected, "{identity}");
    }
}

#[tokio::test]
async fn tags_of_another_shape() {
    let (world, issuer) = world(ALL);
    for claim in [
        json!(7),
        json!([]),
        json!("Team=a"),
        json!({ "principal_tags": [] }),
        json!({ "principal_tags": { "Team": "a" } }),
        json!({ "principal_tags": { "Team": [] } }),
        json!({ "principal_tags": { "Team": ["a", "b"] } }),
        json!({ "principal_tags": { "Team": [7] } }),
        json!({ "principal_tags": { "Team": 7 } }),
        json!({ "principal_tags": {}, "transitive_tag_keys": "Team" }),
        json!({ "principal_tags": {}, "transitive_tag_keys": [7] }),
    ] {
        let said = world.says(&issuer.token_with(&json!({ TAGS: claim })), &[]).await;
        assert_eq!(said, MALFORMED, "{claim}");
    }
}

#[tokio::test]
async fn adv_wt_57_rules_of_session_tags() {
    let (world, issuer) = world(ALL);
    let (longest_key, long_key) = ("k".repeat(128), "k".repeat(129));
    let (longest_value, long_value) = ("v".repeat(256), "v".repeat(257));
    let many: Vec<String> = (0..51).map(|number| format!("k{number}")).collect();
    let many: Vec<(&str, &str)> = many.iter().map(|key| (key.as_str(), "")).collect();
    for claims in [
        tagged(&[(longest_key.as_str(), "")], &[]),
        tagged(&[("k", longest_value.as_str())], &[]),
        tagged(&many[..50], &[]),
        tagged(&[("Team", "a")], &["TEAM"]),
    ] {
        assert_eq!(world.says(&issuer.token_with(&claims), &[]).await, "ok");
    }
    for (claims, expected) in [
        (
            tagged(&many, &[]),
            "ValidationError 400: 1 validation error detected: Value at 'tags' failed to satisfy constraint: Member must have length less than or \
             equal to 50"
                .to_owned(),
        ),
        (
            tagged(&[(long_key.as_str(), "")], &[]),
            format!(
                "ValidationError 400: 1 validation error detected: Value '{long_key}' at 'tags.1.member.key' failed to satisfy constraint: Member must \
                 have length less than or equal to 128"
            ),
        ),
        (
            tagged(&[("k", long_value.as_str())], &[]),
            format!(
                "ValidationError 400: 1 validation error detected: Value '{long_value}' at 'tags.1.member.value' failed to satisfy constraint: Member \
                 must have length less than or equal to 256"
            ),
        ),
        (
            tagged(&[("a*b", "")], &[]),
            "ValidationError 400: 1 validation error detected: Value 'a*b' at 'tags.1.member.key' failed to satisfy constraint: Member must satisfy \
             regular expression pattern: [\\p{L}\\p{Z}\\p{N}_.:/=+\\-@]+"
                .to_owned(),
        ),
        (
            tagged(&[("AWS:x", "")], &[]),
            "ValidationError 400: Tag keys beginning with aws: are reserved for system use.".to_owned(),
        ),
        (
            tagged(&[("Team", "a"), ("team", "b")], &[]),
            "InvalidParameterValue 400: Duplicate tag keys found. Please note that Tag keys are case insensitive.".to_owned(),
        ),
        (
            tagged(&[("GRÖSSE", "a"), ("grösse", "b")], &[]),
            "InvalidParameterValue 400: Duplicate tag keys found. Please note that Tag keys are case insensitive.".to_owned(),
        ),
        (
            tagged(&[("Team", "a")], &["other"]),
            "InvalidParameterValue 400: The specified transitive tag key must be included in the requested tags.".to_owned(),
        ),
    ] {
        assert_eq!(world.says(&issuer.token_with(&claims), &[]).await, expected, "{claims}");
    }
    // Tags of the nested and of the flat claims are tags of one session.
    let mut both = tagged(&[("Team", "a")], &[]);
    both["https://aws.amazon.com/tags/principal_tags/TEAM"] = json!("b");
    let said = world.says(&issuer.token_with(&both), &[]).await;
    assert!(said.starts_with("InvalidParameterValue 400: Duplicate"), "{said}");
}

#[tokio::test]
async fn more_tags_than_a_token_holds() {
    let (world, issuer) = world(ALL);
    let keys: Vec<String> = (0..30).map(|number| format!("key-{number}")).collect();
    let value = "v".repeat(256);
    let pairs: Vec<(&str, &str)> = keys.iter().map(|key| (key.as_str(), value.as_str())).collect();
    let said = world.says(&issuer.token_with(&tagged(&pairs, &[])), &[]).await;
    let percent = said
        .strip_prefix("PackedPolicyTooLarge 400: Packed size of session policies and tags consumes ")
        .and_then(|rest| rest.strip_suffix("% of allotted space."))
        .unwrap_or_else(|| panic!("{said}"));
    assert!(percent.parse::<u32>().unwrap() > 200, "{percent}");
}
