//! Which method and path is which operation.

use irsa_eks::{Call, OPERATIONS};
use irsa_wire::{Access, Service};
use serde_json::{Value, json};

fn route(method: &str, path: &str) -> Result<(&'static str, String), String> {
    let body = if method == "POST" { r#"{"name":"c"}"# } else { "" };
    Call::new(method, path, "", body.as_bytes())
        .map(|call| (call.spec().name, call.cluster_name().to_owned()))
        .map_err(|error| format!("{} {}", error.code, error.status))
}

#[test]
fn routes() {
    let arn = "arn:aws:eks:us-east-1:111122223333:cluster/c";
    for (method, path, operation, subject) in [
        ("POST", "/clusters", "CreateCluster", "c"),
        ("GET", "/clusters", "ListClusters", ""),
        ("GET", "/clusters/c", "DescribeCluster", "c"),
        ("GET", "/clusters/my%2Dcluster", "DescribeCluster", "my-cluster"),
        ("DELETE", "/clusters/c", "DeleteCluster", "c"),
        ("POST", "/cluster-registrations", "RegisterCluster", "c"),
        ("DELETE", "/cluster-registrations/c", "DeregisterCluster", "c"),
        // As the AWS CLI sends it.
        (
            "POST",
            "/tags/arn%3Aaws%3Aeks%3Aus-east-1%3A111122223333%3Acluster%2Fc",
            "TagResource",
            arn,
        ),
        // As clients send it that escape less.
        (
            "GET",
            "/tags/arn:aws:eks:us-east-1:111122223333:cluster/c",
            "ListTagsForResource",
            arn,
        ),
        (
            "GET",
            "/tags/arn:aws:eks:us-east-1:111122223333:cluster%2Fc",
            "ListTagsForResource",
            arn,
        ),
        (
            "DELETE",
            "/tags/arn%3aaws%3aeks%3aus-east-1%3a111122223333%3acluster%2fc",
            "UntagResource",
            arn,
        ),
    ] {
        assert_eq!(
            route(method, path),
            Ok((operation, subject.to_owned())),
            "{method} {path}"
        );
    }
}

#[test]
fn what_is_no_route() {
    for (method, path) in [
        ("GET", "/"),
        ("GET", ""),
        ("GET", "//clusters"),
        ("GET", "/Clusters"),
        ("PUT", "/clusters"),
        ("POST", "/clusters/c"),
        ("GET", "/clusters/c/node-groups"),
        ("GET", "/clusters/c/"),
        ("get", "/clusters"),
        ("GET", "/cluster-registrations"),
        ("GET", "/clusters%2Fc"),
    ] {
        assert_eq!(
            route(method, path),
            Err("UnknownOperationException 404".to_owned()),
            "{method} {path}"
        );
    }
    // A path is echoed as far as it is short.
    let long = format!("/{}", "x".repeat(10_000));
    let error = Call::new("GET", &long, "", b"").unwrap_err();
    assert!(error.message.len() < 400);
    assert_eq!(
        route("GET", "/clusters/%ff"),
        Err("InvalidParameterException 400".to_owned())
    );
}

#[test]
fn bodies_are_objects() {
    for body in ["{", "[]", "7", "\"x\"", "{} {}", "{\"name\":\"c\"", "\u{feff}{}"] {
        let error = Call::new("POST", "/clusters", "", body.as_bytes()).unwrap_err();
        assert_eq!(
            (error.code.as_ref(), error.status),
            ("InvalidParameterException", 400),
            "{body}"
        );
        assert!(error.message.starts_with("The body is not a JSON object: "), "{body}");
    }
    let deep = format!("{{\"a\":{}", "[".repeat(100_000));
    assert_eq!(
        Call::new("POST", "/clusters", "", deep.as_bytes()).unwrap_err().status,
        400
    );
    assert!(Call::new("GET", "/clusters", "", b"").is_ok());
}

#[test]
fn names_of_new_clusters() {
    let create = |name: &Value| {
        let body = json!({ "name": name }).to_string();
        ["/clusters", "/cluster-registrations"].map(|path| {
            Call::new("POST", path, "", body.as_bytes())
                .map(|_| ())
                .map_err(|error| format!("{} {}", error.code, error.status))
        })
    };
    let (longest, long) = ("c".repeat(100), "c".repeat(101));
    for name in ["c", "C-1_x", "0", longest.as_str()] {
        assert_eq!(create(&json!(name)), [Ok(()), Ok(())], "{name}");
    }
    for name in [
        json!(null),
        json!(7),
        json!(["c"]),
        json!(""),
        json!("-c"),
        json!("_c"),
        json!("a/b"),
        json!("a b"),
        json!("a:b"),
        json!("*"),
        json!("größe"),
        json!("c\n"),
        json!(long),
    ] {
        let refused = || Err("InvalidParameterException 400".to_owned());
        assert_eq!(create(&name), [refused(), refused()], "{name}");
    }
}

#[test]
fn every_operation_is_authorized_by_policy() {
    for spec in &OPERATIONS {
        assert_eq!((spec.service, spec.access), (Service::Eks, Access::Authorized));
        assert_eq!(spec.action, format!("eks:{}", spec.name));
        let reads = ["Describe", "List"].iter().any(|verb| spec.name.starts_with(verb));
        assert_eq!(spec.read_only, reads, "{}", spec.name);
    }
}
