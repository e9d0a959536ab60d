//! Tags of clusters.

use serde_json::{Map, Value, json};

use crate::harness::World;

/// As the AWS CLI writes the ARN into a path.
const PATH: &str = "/tags/arn%3Aaws%3Aeks%3Aus-east-1%3A111122223333%3Acluster%2Fc";

fn world() -> World {
    let mut world = World::new();
    world.ok("POST", "/clusters", &json!({ "name": "c", "tags": { "env": "prod" } }));
    world
}

fn tags(world: &mut World) -> Value {
    let tags = world.ok("GET", PATH, &Value::Null)["tags"].clone();
    assert_eq!(world.ok("GET", "/clusters/c", &Value::Null)["cluster"]["tags"], tags);
    tags
}

#[test]
fn tags_come_and_go() {
    let mut world = world();
    assert_eq!(tags(&mut world), json!({ "env": "prod" }));
    let added = json!({ "tags": { "env": "test", "Team": "a b", "größe": "" } });
    assert_eq!(world.ok("POST", PATH, &added), json!({}));
    assert_eq!(tags(&mut world), json!({ "Team": "a b", "env": "test", "größe": "" }));
    assert_eq!(
        world.ok(
            "DELETE",
            &format!("{PATH}?tagKeys=env&tagKeys=gr%C3%B6%C3%9Fe"),
            &Value::Null
        ),
        json!({})
    );
    assert_eq!(tags(&mut world), json!({ "Team": "a b" }));
    // A key that is not there is gone already; the case counts.
    world.ok("DELETE", &format!("{PATH}?tagKeys=team&tagKeys=none"), &Value::Null);
    assert_eq!(tags(&mut world), json!({ "Team": "a b" }));
}

#[test]
fn keys_may_hold_what_forms_hold() {
    let mut world = world();
    world.ok(
        "POST",
        PATH,
        &json!({ "tags": { "a=b&c": "1", "a+b": "2", "a b": "3" } }),
    );
    world.ok(
        "DELETE",
        &format!("{PATH}?tagKeys=a%3Db%26c&tagKeys=a%2Bb&tagKeys=a%20b"),
        &Value::Null,
    );
    assert_eq!(tags(&mut world), json!({ "env": "prod" }));
}

#[test]
fn rules_of_tags() {
    let mut world = world();
    let many = |count: usize| {
        let tags: Map<String, Value> = (0..count).map(|number| (format!("k{number}"), json!(""))).collect();
        json!({ "tags": tags })
    };
    let rule = "A resource may have 50 tags with keys of 1 to 128 characters that do not begin with aws: and values of up to 256";
    for body in [
        json!({ "tags": { "": "x" } }),
        json!({ "tags": { "k".repeat(129): "x" } }),
        json!({ "tags": { "k": "v".repeat(257) } }),
        json!({ "tags": { "AWS:x": "x" } }),
        many(51),
        // With the one that is there it is one too many.
        many(50),
    ] {
        assert_eq!(
            world.error("POST", PATH, &body),
            format!("BadRequestException 400: {rule}")
        );
    }
    for (body, expected) in [
        (json!({}), "tags must have 1 to 50 members"),
        (json!({ "tags": {} }), "tags must have 1 to 50 members"),
        (json!({ "tags": [] }), "tags must be an object"),
        (json!({ "tags": { "a": null } }), "tags must be an object of strings"),
    ] {
        assert_eq!(
            world.error("POST", PATH, &body),
            format!("BadRequestException 400: {expected}"),
            "{body}"
        );
    }
    assert_eq!(
        world.error("DELETE", PATH, &Value::Null),
        "BadRequestException 400: tagKeys must name 1 to 50 tags"
    );
    assert_eq!(tags(&mut world), json!({ "env": "prod" }));
    world.ok("POST", PATH, &many(49));
    assert_eq!(
        world.error("POST", "/clusters", &json!({ "name": "d", "tags": { "aws:x": "" } })),
        format!("InvalidParameterException 400: {rule}")
    );
}

#[test]
fn arns_of_nothing() {
    let mut world = world();
    for arn in [
        "arn:aws:eks:us-east-1:111122223333:cluster/d",
        "arn:aws:eks:us-east-1:111122223333:cluster/C",
        "arn:aws:eks:us-east-1:444455556666:cluster/c",
        "arn:aws:eks:eu-west-1:111122223333:cluster/c",
        "arn:aws-cn:eks:us-east-1:111122223333:cluster/c",
        "arn:aws:iam:us-east-1:111122223333:cluster/c",
        "arn:aws:eks:us-east-1:111122223333:cluster/c/d",
        "arn:aws:eks:us-east-1:111122223333:nodegroup/c",
        "arn:aws:eks:us-east-1:111122223333:cluster/",
    ] {
        assert_eq!(
            world.error("GET", &format!("/tags/{arn}"), &Value::Null),
            format!("NotFoundException 404: No resource found for arn: {arn}.")
        );
    }
    for arn in ["", "c", "arn:aws:eks"] {
        let said = world.error("GET", &format!("/tags/{arn}"), &Value::Null);
        assert!(said.starts_with("BadRequestException 400: "), "{arn}: {said}");
    }
}
