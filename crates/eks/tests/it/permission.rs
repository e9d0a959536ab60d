//! Which questions the policy engine is asked.

use irsa_eks::Call;
use serde_json::{Value, json};

use crate::harness::{World, key_set};

const ARN: &str = "arn:aws:eks:us-east-1:111122223333:cluster/c";

fn refused(user: &str, action: &str, resource: &str) -> String {
    format!(
        "User: arn:aws:iam::111122223333:user/{user} is not authorized to perform: {action} on resource: {resource} because no identity-based policy \
         allows the {action} action"
    )
}

#[test]
fn resources_of_the_questions() {
    let mut world = World::new();
    let nobody = world.user(
        "nobody",
        &json!({ "Effect": "Allow", "Action": "s3:*", "Resource": "*" }),
    );
    let named = json!({ "name": "c" });
    for (method, target, body, action, resource) in [
        ("POST", "/clusters", &named, "eks:CreateCluster", ARN),
        ("POST", "/cluster-registrations", &named, "eks:RegisterCluster", ARN),
        ("GET", "/clusters", &json!({}), "eks:ListClusters", "*"),
        ("GET", "/clusters/c", &json!({}), "eks:DescribeCluster", ARN),
        ("DELETE", "/clusters/c", &json!({}), "eks:DeleteCluster", ARN),
        (
            "DELETE",
            "/cluster-registrations/c",
            &json!({}),
            "eks:DeregisterCluster",
            ARN,
        ),
        ("POST", &format!("/tags/{ARN}"), &json!({}), "eks:TagResource", ARN),
        ("DELETE", &format!("/tags/{ARN}"), &json!({}), "eks:UntagResource", ARN),
        (
            "GET",
            &format!("/tags/{ARN}"),
            &json!({}),
            "eks:ListTagsForResource",
            ARN,
        ),
    ] {
        assert_eq!(
            world.refusal(&nobody, method, target, body),
            Some(refused("nobody", action, resource)),
            "{method} {target}"
        );
    }
    let able = world.user(
        "able",
        &json!({ "Effect": "Allow", "Action": "eks:*", "Resource": "arn:aws:eks:*:*:cluster/c" }),
    );
    assert_eq!(world.refusal(&able, "POST", "/clusters", &named), None);
    assert_eq!(world.refusal(&able, "GET", "/clusters/c", &json!({})), None);
    assert!(world.refusal(&able, "GET", "/clusters/d", &json!({})).is_some());
    assert!(
        world
            .refusal(&able, "POST", "/clusters", &json!({ "name": "d" }))
            .is_some()
    );
}

#[test]
fn tags_are_condition_keys() {
    let mut world = World::new();
    world.ok("POST", "/clusters", &json!({ "name": "c", "tags": { "env": "prod" } }));
    world.ok("POST", "/clusters", &json!({ "name": "d", "tags": { "env": "test" } }));
    let condition = |operator: &str, key: &str, value: &Value| json!({ "Effect": "Allow", "Action": "eks:*", "Resource": "*", "Condition": { operator: { key: value } } });
    let owner = world.user(
        "owner",
        &condition("StringEquals", "aws:ResourceTag/env", &json!("prod")),
    );
    assert_eq!(world.refusal(&owner, "GET", "/clusters/c", &json!({})), None);
    assert_eq!(
        world.refusal(&owner, "DELETE", &format!("/tags/{ARN}?tagKeys=env"), &json!({})),
        None
    );
    assert!(world.refusal(&owner, "GET", "/clusters/d", &json!({})).is_some());
    // The ARN of somebody else's cluster is not this cluster, though the names are the same.
    let foreign = "/tags/arn:aws:eks:us-east-1:444455556666:cluster/c";
    assert!(world.refusal(&owner, "GET", foreign, &json!({})).is_some());
    let tagger = world.user("tagger", &condition("StringEquals", "aws:RequestTag/team", &json!("a")));
    let create = |team: &str| json!({ "name": "new", "tags": { "team": team } });
    assert_eq!(world.refusal(&tagger, "POST", "/clusters", &create("a")), None);
    assert!(world.refusal(&tagger, "POST", "/clusters", &create("b")).is_some());
    assert!(
        world
            .refusal(&tagger, "POST", "/clusters", &json!({ "name": "new" }))
            .is_some()
    );
    let keys = world.user(
        "keys",
        &condition("ForAnyValue:StringEquals", "aws:TagKeys", &json!(["team"])),
    );
    assert_eq!(
        world.refusal(&keys, "DELETE", &format!("/tags/{ARN}?tagKeys=team"), &json!({})),
        None
    );
    assert!(
        world
            .refusal(&keys, "DELETE", &format!("/tags/{ARN}?tagKeys=env"), &json!({}))
            .is_some()
    );
}

#[test]
fn who_gives_keys_says_whose_tokens_are_believed() {
    let mut world = World::new();
    let creator = world.user(
        "creator",
        &json!({ "Effect": "Allow", "Action": "eks:*", "Resource": "*" }),
    );
    let body = |oidc: Value| json!({ "name": "c", "oidc": oidc });
    let issuer = json!({ "issuer": "https://oidc.example:443/id/A" });
    let keys = json!({ "issuer": "https://oidc.example:443/id/A", "keys": key_set() });
    let call = |oidc: &Value| {
        let body = body(oidc.clone()).to_string();
        let call = Call::new("POST", "/clusters", "", body.as_bytes()).unwrap();
        call.given_keys_issuer().map(str::to_owned)
    };
    assert_eq!(call(&keys).as_deref(), Some("https://oidc.example/id/A"));
    assert_eq!(call(&issuer), None);
    let provider = "arn:aws:iam::111122223333:oidc-provider/oidc.example/id/A";
    let action = "iam:UpdateOpenIDConnectProviderThumbprint";
    for path in ["/clusters", "/cluster-registrations"] {
        assert_eq!(world.refusal(&creator, "POST", path, &body(issuer.clone())), None);
        assert_eq!(
            world.refusal(&creator, "POST", path, &body(keys.clone())),
            Some(refused("creator", action, provider))
        );
    }
    let trusted = world.user(
        "trusted",
        &json!([
            { "Effect": "Allow", "Action": "eks:*", "Resource": "*" }, { "Effect": "Allow", "Action": action, "Resource": provider },
        ]),
    );
    assert_eq!(world.refusal(&trusted, "POST", "/clusters", &body(keys)), None);
}
