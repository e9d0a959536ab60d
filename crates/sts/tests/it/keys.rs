//! Whose keys verify whose tokens.

use serde_json::json;

use crate::harness::{DENIED, MAIN, NO_KEY, NOT_VALIDATED, OTHER, World, trust, trust_if};
use crate::issuer::{AUDIENCE, Issuer, SUBJECT};

fn no_provider(issuer: &str) -> String {
    format!("InvalidIdentityToken 400: No OpenIDConnect provider found in your account for {issuer}")
}

#[tokio::test]
async fn adv_jk_19_two_issuers_with_one_key_id() {
    let (mut world, one) = World::new();
    let other = Issuer::new("https://oidc.example/id/B", "key-1");
    world.provider(MAIN, &other, &[AUDIENCE]);
    world.give_keys(MAIN, &other);
    world.role("other", &trust(&other, SUBJECT));
    let to_other = [("RoleArn", "arn:aws:iam::111122223333:role/other")];
    assert_eq!(world.says(&one.token(), &[]).await, "ok");
    assert_eq!(world.says(&other.token(), &to_other).await, "ok");
    // Each key signs in the name of the other issuer.
    let claims = |issuer: &Issuer| json!({ "iss": issuer.url });
    assert_eq!(world.says(&other.token_with(&claims(&one)), &[]).await, NOT_VALIDATED);
    assert_eq!(
        world.says(&one.token_with(&claims(&other)), &to_other).await,
        NOT_VALIDATED
    );
}

#[tokio::test]
async fn adv_jk_19_one_issuer_in_two_accounts() {
    let (mut world, ours) = World::new();
    // The other account was given other keys for the same URL and key id.
    let theirs = Issuer::new(&ours.url, &ours.key_id);
    world.provider(OTHER, &theirs, &[AUDIENCE]);
    world.give_keys(OTHER, &theirs);
    let document = trust(&ours, SUBJECT).replace(MAIN, OTHER);
    let params = [("RoleName", "app"), ("AssumeRolePolicyDocument", document.as_str())];
    world.iam(OTHER, "CreateRole", &params);
    let in_other = [("RoleArn", "arn:aws:iam::444455556666:role/app")];
    assert_eq!(world.says(&ours.token(), &[]).await, "ok");
    assert_eq!(world.says(&theirs.token(), &in_other).await, "ok");
    assert_eq!(world.says(&theirs.token(), &[]).await, NOT_VALIDATED);
    assert_eq!(world.says(&ours.token(), &in_other).await, NOT_VALIDATED);
}

#[tokio::test]
async fn adv_wt_56_a_cluster_is_not_another() {
    let (mut world, one) = World::new();
    let other = Issuer::new("https://oidc.example/id/B", "key-b");
    world.provider(MAIN, &other, &[AUDIENCE]);
    world.give_keys(MAIN, &other);
    // The same namespace and service account, in the cluster that the role does not trust.
    assert_eq!(other.claims()["sub"], one.claims()["sub"]);
    assert_eq!(world.says(&other.token(), &[]).await, DENIED);
}

#[tokio::test]
async fn adv_wt_42_a_provider_counts_in_its_own_account() {
    let mut world = World::empty();
    let issuer = Issuer::new("https://oidc.example/id/A", "key-1");
    world.provider(OTHER, &issuer, &[AUDIENCE]);
    world.give_keys(OTHER, &issuer);
    // Even a role that names the other account's provider does not see it.
    let document = trust(&issuer, SUBJECT).replace(MAIN, OTHER);
    world.role("app", &document);
    assert_eq!(world.says(&issuer.token(), &[]).await, no_provider(&issuer.url));
}

#[tokio::test]
async fn adv_wt_40_only_the_exact_issuer_is_one() {
    let (world, issuer) = World::new();
    for url in [
        "https://oidc.example/id/A/",
        "https://OIDC.example/id/A",
        "https://oidc.example/id/a",
        "https://oidc.example:443/id/A",
        "http://oidc.example/id/A",
        "HTTPS://oidc.example/id/A",
        "oidc.example/id/A",
        "https://oidc.example/id%2fA",
        "https://oidc.example/./id/A",
        "https://oidc.example/x/../id/A",
        "https://oidc.example//id/A",
        "https://good@oidc.example/id/A",
        "https://oidc.example@evil.example/id/A",
        "https://oidc.example/id/A?x",
        "https://oidc.example/id/A#x",
        "https://oidc.example/id/A ",
        "https://оidc.example/id/A",
        "https://oidc.example/id/A\u{0}",
        "https://",
        "",
    ] {
        let token = issuer.token_with(&json!({ "iss": url }));
        assert_eq!(world.says(&token, &[]).await, no_provider(url));
    }
    assert_eq!(world.look_ups(), 0);
}

#[tokio::test]
async fn adv_wt_41_beginnings_and_ends_are_not_the_issuer() {
    let (world, issuer) = World::new();
    for url in [
        "https://oidc.example/id/AAAA",
        "https://oidc.example/id/",
        "https://oidc.example/id",
        "https://oidc.example",
        "https://oidc.example.evil.example/id/A",
        "https://evil-oidc.example/id/A",
        "https://a.oidc.example/id/A",
    ] {
        let token = issuer.token_with(&json!({ "iss": url }));
        assert_eq!(world.says(&token, &[]).await, no_provider(url));
    }
    assert_eq!(world.look_ups(), 0);
}

#[tokio::test]
async fn keys_that_are_not_there() {
    let (world, issuer) = World::new();
    let claims = issuer.claims().to_string();
    for header in [
        json!({ "alg": "ES256", "kid": "key-2" }),
        json!({ "alg": "ES256", "kid": "" }),
        json!({ "alg": "ES256", "kid": "KEY-1" }),
        json!({ "alg": "HS256", "kid": "key-2" }),
        json!({ "alg": "none", "kid": "key-2" }),
    ] {
        assert_eq!(
            world.says(&issuer.sign_as(&header, &claims), &[]).await,
            NO_KEY,
            "{header}"
        );
    }
    // One key needs no name.
    let header = json!({ "alg": "ES256" });
    assert_eq!(world.says(&issuer.sign_as(&header, &claims), &[]).await, "ok");
    // What is wrong with an algorithm is that the signature is not one.
    for algorithm in ["none", "None", "HS256", "PS256", "EdDSA", "ES256K", "RS256", "ES384"] {
        let header = json!({ "alg": algorithm, "kid": issuer.key_id });
        assert_eq!(
            world.says(&issuer.sign_as(&header, &claims), &[]).await,
            NOT_VALIDATED,
            "{algorithm}"
        );
    }
}

#[tokio::test]
async fn several_keys_need_a_name() {
    let (mut world, issuer) = World::new();
    let second = Issuer::new(&issuer.url, "key-2");
    let mut keys = issuer.key_set();
    keys["keys"]
        .as_array_mut()
        .unwrap()
        .push(second.key_set()["keys"][0].clone());
    world.give_key_set(MAIN, &issuer, &keys);
    assert_eq!(world.says(&issuer.token(), &[]).await, "ok");
    assert_eq!(world.says(&second.token(), &[]).await, "ok");
    let header = json!({ "alg": "ES256" });
    let nameless = issuer.sign_as(&header, &issuer.claims().to_string());
    assert_eq!(world.says(&nameless, &[]).await, NO_KEY);
}

#[tokio::test]
async fn adv_wt_61_only_registered_issuers_are_fetched_from() {
    let mut world = World::empty();
    let (known, unknown) = (
        Issuer::new("https://known.example", "key-1"),
        Issuer::new("https://unknown.example", "key-1"),
    );
    world.provider(MAIN, &known, &[AUDIENCE]);
    world.role("app", &trust_if(&known, &["sts:AssumeRoleWithWebIdentity"], &json!({})));
    for _ in 0..100 {
        assert_eq!(world.says(&unknown.token(), &[]).await, no_provider(&unknown.url));
    }
    // An audience of somebody else leads to no fetch either.
    let token = known.token_with(&json!({ "aud": "other" }));
    assert_eq!(world.says(&token, &[]).await, NOT_VALIDATED);
    assert_eq!(world.look_ups(), 0);
    // An issuer that can't be reached has no key for anybody, and is not asked again at once.
    for _ in 0..3 {
        assert_eq!(world.says(&known.token(), &[]).await, NO_KEY);
    }
    assert_eq!(world.look_ups(), 1);
}

#[tokio::test]
async fn a_provider_that_is_gone_vouches_for_nobody() {
    let (mut world, issuer) = World::new();
    let arn = "arn:aws:iam::111122223333:oidc-provider/oidc.example/id/A";
    world.iam(
        MAIN,
        "DeleteOpenIDConnectProvider",
        &[("OpenIDConnectProviderArn", arn)],
    );
    assert_eq!(world.says(&issuer.token(), &[]).await, no_provider(&issuer.url));
}
