//! Clusters come, are seen, and go.

use serde_json::{Value, json};

use crate::harness::{MAIN, World};

/// An answer with the parts that differ from run to run replaced.
fn shown(answer: &Value) -> String {
    let mut answer = answer.clone();
    for issuer in ["/cluster/identity/oidc/issuer", "/identity/oidc/issuer"] {
        if let Some(Value::String(url)) = answer.pointer_mut(issuer) {
            let (base, id) = url.rsplit_once('/').unwrap();
            assert!(
                id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit()),
                "{id}"
            );
            *url = format!("{base}/[ID]");
        }
    }
    serde_json::to_string_pretty(&answer).unwrap()
}

#[test]
fn answers() {
    let mut world = World::new();
    let body = json!({
        "name": "my-cluster", "roleArn": "arn:aws:iam::111122223333:role/cluster", "version": "1.35",
        "resourcesVpcConfig": { "subnetIds": ["subnet-1", "subnet-2"], "endpointPublicAccess": true, "unknown": 7 },
        "tags": { "env": "prod" }, "clientRequestToken": "6b1e5ad6-5a6e-4a39-9d9e-6a7b3c1f0c55",
        "accessConfig": { "authenticationMode": "API" },
    });
    let created = world.ok("POST", "/clusters", &body);
    insta::assert_snapshot!("cluster", shown(&created));
    assert_eq!(world.ok("GET", "/clusters/my-cluster", &Value::Null), created);
    insta::assert_snapshot!("clusters", world.ok("GET", "/clusters", &Value::Null).to_string());
    let deleted = world.ok("DELETE", "/clusters/my-cluster", &Value::Null);
    let mut expected = created;
    expected["cluster"]["status"] = json!("DELETING");
    assert_eq!(deleted, expected);
    assert_eq!(world.ok("GET", "/clusters", &Value::Null), json!({ "clusters": [] }));
}

#[test]
fn a_registered_cluster() {
    let mut world = World::new();
    let body = json!({
        "name": "own", "connectorConfig": { "roleArn": "arn:aws:iam::111122223333:role/connector", "provider": "OTHER" },
    });
    let registered = world.ok("POST", "/cluster-registrations", &body);
    insta::assert_snapshot!("registered", shown(&registered));
    assert_eq!(world.ok("GET", "/clusters/own", &Value::Null), registered);
    world.ok("DELETE", "/cluster-registrations/own", &Value::Null);
    assert!(world.keys().is_empty());
    // Either kind can be deleted, but only a registered one deregistered.
    world.ok("POST", "/cluster-registrations", &json!({ "name": "own" }));
    world.ok("DELETE", "/clusters/own", &Value::Null);
    world.create("made");
    assert_eq!(
        world.error("DELETE", "/cluster-registrations/made", &Value::Null),
        "ResourceNotFoundException 404: No registered cluster found for name: made."
    );
}

#[test]
fn names_are_unique_in_account_and_region() {
    let mut world = World::new();
    let main = world.create("c");
    for path in ["/clusters", "/cluster-registrations"] {
        assert_eq!(
            world.error("POST", path, &json!({ "name": "c" })),
            "ResourceInUseException 409: Cluster already exists with name: c"
        );
    }
    // The case counts.
    world.create("C");
    world.region = "eu-west-1".to_owned();
    let elsewhere = world.create("c");
    assert_eq!(elsewhere["arn"], "arn:aws:eks:eu-west-1:111122223333:cluster/c");
    assert_ne!(elsewhere["identity"], main["identity"]);
    world.ok("DELETE", "/clusters/c", &Value::Null);
    assert_eq!(
        world.error("GET", "/clusters/c", &Value::Null),
        "ResourceNotFoundException 404: No cluster found for name: c."
    );
    world.region = "us-east-1".to_owned();
    assert_eq!(world.ok("GET", "/clusters/c", &Value::Null)["cluster"], main);
}

#[test]
fn accounts_do_not_see_each_other() {
    let mut world = World::new();
    let cluster = world.create("c");
    let arn = cluster["arn"].as_str().unwrap().to_owned();
    world.caller = world.stranger();
    assert_eq!(world.ok("GET", "/clusters", &Value::Null), json!({ "clusters": [] }));
    for (method, target) in [("GET", "/clusters/c"), ("DELETE", "/clusters/c")] {
        assert_eq!(
            world.error(method, target, &Value::Null),
            "ResourceNotFoundException 404: No cluster found for name: c."
        );
    }
    let own = world.create("c");
    assert_ne!(own["arn"], cluster["arn"]);
    for (method, query, body) in [
        ("GET", "", Value::Null),
        ("POST", "", json!({ "tags": { "a": "b" } })),
        ("DELETE", "?tagKeys=a", Value::Null),
    ] {
        assert_eq!(
            world.error(method, &format!("/tags/{arn}{query}"), &body),
            format!("NotFoundException 404: No resource found for arn: {arn}.")
        );
    }
    assert!(world.keys().iter().any(|key| key.contains(MAIN)));
}

#[test]
fn what_is_not_there() {
    let mut world = World::new();
    let missing = "ResourceNotFoundException 404: No cluster found for name: c.";
    assert_eq!(world.error("GET", "/clusters/c", &Value::Null), missing);
    assert_eq!(world.error("DELETE", "/clusters/c", &Value::Null), missing);
    assert_eq!(world.error("DELETE", "/cluster-registrations/c", &Value::Null), missing);
    // Names that no cluster has lead nowhere else.
    world.create("c");
    for name in ["", "C", "c%2F", "..%2Fcluster%2Fc", "c%00", "*"] {
        let said = world.error("GET", &format!("/clusters/{name}"), &Value::Null);
        assert!(said.starts_with("ResourceNotFoundException 404: "), "{name}: {said}");
    }
}

#[test]
fn members_have_their_types() {
    let mut world = World::new();
    for (member, value, expected) in [
        (
            "version",
            json!(1.35),
            "version must be a string of at most 2048 characters",
        ),
        (
            "roleArn",
            json!({}),
            "roleArn must be a string of at most 2048 characters",
        ),
        (
            "roleArn",
            json!("x".repeat(2049)),
            "roleArn must be a string of at most 2048 characters",
        ),
        ("resourcesVpcConfig", json!([]), "resourcesVpcConfig must be an object"),
        (
            "resourcesVpcConfig",
            json!({ "subnetIds": "s" }),
            "resourcesVpcConfig.subnetIds must be a list of at most 100 strings",
        ),
        (
            "resourcesVpcConfig",
            json!({ "securityGroupIds": [7] }),
            "resourcesVpcConfig.securityGroupIds must be a list of at most 100 strings",
        ),
        (
            "resourcesVpcConfig",
            json!({ "endpointPublicAccess": "yes" }),
            "resourcesVpcConfig.endpointPublicAccess must be true or false",
        ),
        ("connectorConfig", json!("EC2"), "connectorConfig must be an object"),
        (
            "connectorConfig",
            json!({ "provider": "MINE" }),
            "connectorConfig.provider must be one of EKS_ANYWHERE, ANTHOS, GKE, AKS, OPENSHIFT, TANZU, RANCHER, EC2, OTHER",
        ),
        ("tags", json!([]), "tags must be an object"),
        ("tags", json!({ "a": 7 }), "tags must be an object of strings"),
        ("oidc", json!("https://issuer.example"), "oidc must be an object"),
    ] {
        let said = world.error("POST", "/clusters", &json!({ "name": "c", member: value }));
        assert_eq!(said, format!("InvalidParameterException 400: {expected}"), "{member}");
    }
    assert!(world.keys().is_empty());
    // Null is like absent.
    let body = json!({
        "name": "c", "version": null, "roleArn": null, "resourcesVpcConfig": null, "connectorConfig": null, "tags": null, "oidc": null,
    });
    world.ok("POST", "/clusters", &body);
}

#[test]
fn a_region_is_a_word() {
    let mut world = World::new();
    for region in ["", "us east", "us-east-1:1", "us/east", "größe"] {
        world.region = region.to_owned();
        assert_eq!(
            world.error("POST", "/clusters", &json!({ "name": "c" })),
            "InvalidParameterException 400: The request is signed for no region"
        );
    }
}

#[test]
fn an_account_has_a_thousand_clusters_in_a_region() {
    let mut world = World::new();
    for number in 0..1000 {
        let body = json!({ "name": format!("c{number}"), "oidc": { "issuer": "https://issuer.example" } });
        world.ok("POST", "/clusters", &body);
    }
    assert_eq!(
        world.error("POST", "/clusters", &json!({ "name": "more" })),
        "ResourceLimitExceededException 400: An account may have 1000 clusters in a region."
    );
    world.region = "eu-west-1".to_owned();
    world.create("more");
}

#[test]
fn of_two_creations_at_a_time_one_succeeds() {
    let mut world = World::new();
    let call = irsa_eks::Call::new("POST", "/clusters", "", br#"{"name":"c"}"#).unwrap();
    let (first, first_issuer) = world.outcome(&call).unwrap();
    let (second, second_issuer) = world.outcome(&call).unwrap();
    world
        .commit(&first_issuer.unwrap().write_to(first.transaction))
        .unwrap();
    let keys = world.keys().len();
    assert!(
        world
            .commit(&second_issuer.unwrap().write_to(second.transaction))
            .is_err()
    );
    assert_eq!(world.keys().len(), keys);
    // A deletion of what was changed meanwhile is none.
    let delete = irsa_eks::Call::new("DELETE", "/clusters/c", "", b"").unwrap();
    let (deletion, _) = world.outcome(&delete).unwrap();
    let arn = "arn:aws:eks:us-east-1:111122223333:cluster/c";
    world.ok("POST", &format!("/tags/{arn}"), &json!({ "tags": { "a": "b" } }));
    assert!(world.commit(&deletion.transaction).is_err());
}
