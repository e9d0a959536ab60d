//! The issuers of clusters: hosted by us, or brought along.

use irsa_core::AccountId;
use serde_json::{Value, json};

use crate::harness::{MAIN, OTHER, World, key_set};

fn account(id: &str) -> AccountId {
    id.parse().unwrap()
}

fn with(name: &str, oidc: &Value) -> Value {
    json!({ "name": name, "oidc": oidc })
}

#[test]
fn a_hosted_issuer_comes_and_goes_with_its_cluster() {
    let mut world = World::new();
    let cluster = world.create("c");
    let issuer = cluster["identity"]["oidc"]["issuer"].as_str().unwrap().to_owned();
    assert!(issuer.starts_with("https://localhost:4701/id/"), "{issuer}");
    assert!(world.oidc.hosted(&issuer).is_some());
    assert!(world.oidc.keys(account(MAIN), &issuer).is_some());
    world.create("other");
    world.ok("DELETE", "/clusters/c", &Value::Null);
    assert!(world.oidc.hosted(&issuer).is_none() && world.oidc.keys(account(MAIN), &issuer).is_none());
    assert_eq!(world.oidc.hosted_issuers().count(), 1);
    // A cluster of the old name has another issuer.
    let again = world.create("c");
    assert_ne!(again["identity"]["oidc"]["issuer"], issuer.as_str());
}

#[test]
fn an_issuer_by_its_url() {
    let mut world = World::new();
    for (name, given, kept) in [
        ("a", "https://oidc.example/id/A", "https://oidc.example/id/A"),
        ("b", "https://oidc.example:443/id/B/", "https://oidc.example/id/B/"),
        ("c", "https://10.0.0.1:6443", "https://10.0.0.1:6443"),
    ] {
        let path = if name == "a" {
            "/clusters"
        } else {
            "/cluster-registrations"
        };
        let cluster = &world.ok("POST", path, &with(name, &json!({ "issuer": given })))["cluster"];
        assert_eq!(cluster["identity"]["oidc"]["issuer"], kept);
        // Its keys are fetched when a provider asks for them.
        assert!(world.oidc.keys(account(MAIN), kept).is_none());
    }
    assert_eq!(world.oidc.hosted_issuers().count(), 0);
    world.ok("DELETE", "/clusters/a", &Value::Null);
    assert_eq!(world.keys().len(), 2);
}

#[test]
fn an_issuer_with_its_keys() {
    let mut world = World::new();
    let issuer = "https://oidc.example/id/A";
    let keys = key_set();
    let id = keys["keys"][0]["kid"].as_str().unwrap().to_owned();
    world.ok(
        "POST",
        "/cluster-registrations",
        &with("c", &json!({ "issuer": issuer, "keys": keys })),
    );
    assert!(world.oidc.keys(account(MAIN), issuer).unwrap().contains(&id));
    // They were given to this account.
    assert!(world.oidc.keys(account(OTHER), issuer).is_none());
    world.ok("DELETE", "/cluster-registrations/c", &Value::Null);
    assert!(world.oidc.keys(account(MAIN), issuer).is_none() && world.keys().is_empty());
}

#[test]
fn keys_of_an_issuer_are_given_once() {
    let mut world = World::new();
    let issuer = "https://oidc.example/id/A";
    let keys = key_set();
    let id = keys["keys"][0]["kid"].as_str().unwrap().to_owned();
    world.ok(
        "POST",
        "/clusters",
        &with("c", &json!({ "issuer": issuer, "keys": keys })),
    );
    // Nobody puts other keys in their place, not even from another region.
    world.region = "eu-west-1".to_owned();
    let refused = "ResourceInUseException 409: The keys of https://oidc.example/id/A were given with the cluster \
                   arn:aws:eks:us-east-1:111122223333:cluster/c";
    let body = with(
        "d",
        &json!({ "issuer": "https://oidc.example:443/id/A", "keys": key_set() }),
    );
    assert_eq!(world.error("POST", "/clusters", &body), refused);
    // A cluster with the issuer and no keys is no harm, and takes none along when it goes.
    world.ok("POST", "/clusters", &with("d", &json!({ "issuer": issuer })));
    world.ok("DELETE", "/clusters/d", &Value::Null);
    assert!(world.oidc.keys(account(MAIN), issuer).unwrap().contains(&id));
    // Another account is another matter.
    world.caller = world.stranger();
    let theirs = key_set();
    world.ok(
        "POST",
        "/clusters",
        &with("c", &json!({ "issuer": issuer, "keys": theirs })),
    );
    assert!(world.oidc.keys(account(MAIN), issuer).unwrap().contains(&id));
    assert!(!world.oidc.keys(account(OTHER), issuer).unwrap().contains(&id));
}

#[test]
fn of_two_that_give_keys_at_a_time_one_succeeds() {
    let mut world = World::new();
    let call = |name: &str| {
        let body = with(name, &json!({ "issuer": "https://oidc.example", "keys": key_set() }));
        irsa_eks::Call::new("POST", "/clusters", "", body.to_string().as_bytes()).unwrap()
    };
    let (first, none) = world.outcome(&call("a")).unwrap();
    assert!(none.is_none());
    let (second, _) = world.outcome(&call("b")).unwrap();
    world.commit(&first.transaction).unwrap();
    assert!(world.commit(&second.transaction).is_err());
}

#[test]
fn issuers_that_can_not_be_used() {
    let mut world = World::new();
    let mut private = key_set();
    private["keys"][0]["d"] = json!("AAAA");
    for (oidc, expected) in [
        (json!({}), "oidc.issuer can't be used: "),
        (json!({ "issuer": 7 }), "oidc.issuer must be a string"),
        (
            json!({ "issuer": "http://oidc.example" }),
            "oidc.issuer can't be used: ",
        ),
        (json!({ "issuer": "oidc.example" }), "oidc.issuer can't be used: "),
        (
            json!({ "issuer": "https://oidc.example?x" }),
            "oidc.issuer can't be used: ",
        ),
        (
            json!({ "issuer": "https://user@oidc.example" }),
            "oidc.issuer can't be used: ",
        ),
        (
            json!({ "url": "https://oidc.example" }),
            "oidc has the members issuer and keys, not url",
        ),
        (
            json!({ "issuer": "https://oidc.example", "jwks": {} }),
            "oidc has the members issuer and keys, not jwks",
        ),
        (
            json!({ "issuer": "https://oidc.example", "keys": [] }),
            "oidc.keys can't be used: ",
        ),
        (
            json!({ "issuer": "https://oidc.example", "keys": { "keys": [] } }),
            "oidc.keys can't be used: ",
        ),
        (
            json!({ "issuer": "https://oidc.example", "keys": private }),
            "oidc.keys can't be used: ",
        ),
        (
            json!({ "issuer": "https://oidc.example", "keys": { "keys": [{ "kty": "oct", "kid": "a", "k": "AAAA" }] } }),
            "oidc.keys can't be used: ",
        ),
    ] {
        let said = world.error("POST", "/clusters", &with("c", &oidc));
        let expected = format!("InvalidParameterException 400: {expected}");
        assert!(said.starts_with(&expected), "{oidc}: {said}");
    }
    assert!(world.keys().is_empty());
    let keys = json!({ "issuer": "https://oidc.example", "keys": null });
    world.ok("POST", "/clusters", &with("c", &keys));
}
