//! Services that users register.

use irsa_metadata::{AccessLevel, KeyCategory, Metadata, ValueType};
use proptest::prelude::*;

const ORDERS: &str = r#"{
  "services": [
    {
      "prefix": "orders",
      "name": "Orders of ours",
      "resourceControlPolicies": true,
      "conditionKeys": [
        {"name": "orders:Shop", "type": "ArrayOfString"},
        {"name": "orders:Tag/${TagKey}", "type": "String"}
      ],
      "resourceTypes": [
        {"name": "order", "arns": ["arn:${Partition}:orders:${Region}:${Account}:order/${OrderId}", "arn:${Partition}:orders:::o/${Id}"],
         "conditionKeys": ["aws:ResourceTag/${TagKey}"]},
        {"name": "big order", "arns": ["arn:${Partition}:orders:${Region}:${Account}:big/${OrderId}"]}
      ],
      "actions": [
        {"name": "ListOrders", "accessLevel": "List"},
        {"name": "CancelOrder", "accessLevel": "Write",
         "resourceTypes": [
           {"name": "ORDER", "required": true, "conditionKeys": ["orders:tag/${tagkey}"]},
           {"name": "big order"}
         ],
         "conditionKeys": ["orders:Shop", "idp.example.com:department"]},
        {"name": "GrantOrder", "accessLevel": "Permissions management", "resourceTypes": [{"name": "order"}]}
      ]
    }
  ],
  "conditionKeys": [{"name": "idp.example.com:department", "type": "String", "category": "session"},
                    {"name": "irsa:Room", "type": "Numeric"}]
}"#;

#[test]
fn own_services_stand_beside_those_of_aws() {
    let metadata = Metadata::aws().with_services(ORDERS).expect("registration");
    let service = metadata.service("Orders").expect("service");
    assert_eq!(service.name(), "Orders of ours");
    assert!(service.supports_resource_control_policies());
    assert_eq!(metadata.services().len(), Metadata::aws().services().len() + 1);
    let cancel = metadata.action("orders:cancelorder").expect("action");
    assert_eq!(cancel.to_string(), "orders:CancelOrder");
    assert_eq!(cancel.access_level(), AccessLevel::Write);
    let accepted: Vec<_> = cancel
        .resource_types()
        .map(|accepted| (accepted.resource_type().name(), accepted.is_required()))
        .collect();
    assert_eq!(accepted, [("big order", false), ("order", true)]);
    assert!(cancel.accepts_resource("arn:aws:orders:::o/1"));
    assert!(cancel.accepts_resource("arn:aws:orders:eu-west-1:111122223333:big/*"));
    assert!(!cancel.accepts_resource("arn:aws:orders:eu-west-1:111122223333:small/1"));
    let key = |name: &str| metadata.condition_key(name).expect("key");
    assert!(key("orders:shop").key_type().is_multivalued);
    assert!(cancel.carries(key("orders:Shop")));
    assert!(cancel.carries(key("orders:Tag/x")));
    assert!(cancel.carries(key("aws:ResourceTag/x")));
    assert!(!cancel.carries(key("aws:RequestTag/x")));
    assert!(
        !metadata
            .action("orders:ListOrders")
            .expect("action")
            .carries(key("orders:Shop"))
    );
    assert_eq!(key("irsa:Room").category(), Some(KeyCategory::Request));
    assert_eq!(key("idp.example.com:department").category(), Some(KeyCategory::Session));
    assert_eq!(key("irsa:room").key_type().value, ValueType::Numeric);
    let width = metadata.width("orders:*");
    assert_eq!((width.list, width.write, width.permissions_management), (1, 1, 1));
    assert_eq!(metadata.width("*").total(), Metadata::aws().width("*").total() + 3);
    assert_eq!(metadata.suggest_actions("orders:CancelOder"), ["orders:CancelOrder"]);
    // AWS's own table is as it was.
    assert!(Metadata::aws().service("orders").is_none());
    assert!(Metadata::aws().condition_key("orders:Shop").is_none());
    // Services that both share answer in both.
    assert!(
        metadata
            .action("s3:GetObject")
            .expect("action")
            .carries(key("s3:ExistingObjectTag/x"))
    );
}

#[test]
fn known_services_are_extended_and_overridden() {
    let metadata = Metadata::aws()
        .with_services(
            r#"{"services": [{"prefix": "S3", "actions": [
                {"name": "getobject", "accessLevel": "Write"},
                {"name": "WarmObject", "accessLevel": "Read", "resourceTypes": [{"name": "object"}], "conditionKeys": ["s3:versionid"]}
            ]}]}"#,
        )
        .expect("registration");
    let s3 = metadata.service("s3").expect("S3");
    assert_eq!(s3.name(), "Amazon S3");
    assert_eq!(s3.prefix(), "s3");
    let before = Metadata::aws().service("s3").expect("S3").actions().len();
    assert_eq!(s3.actions().len(), before + 1);
    let get = metadata.action("s3:GetObject").expect("action");
    assert_eq!(
        (get.name(), get.access_level(), get.is_wildcard_only()),
        ("getobject", AccessLevel::Write, true)
    );
    let warm = metadata.action("s3:WarmObject").expect("action");
    assert!(warm.accepts_resource("arn:aws:s3:::b/k"));
    assert!(warm.carries(metadata.condition_key("s3:VersionId").expect("key")));
    // What was not named is untouched.
    let put = metadata.action("s3:PutObject").expect("action");
    assert_eq!(put.access_level(), AccessLevel::Write);
    assert!(put.accepts_resource("arn:aws:s3:::b/k"));
    // And again on top.
    let third = metadata
        .with_services(r#"{"services": [{"prefix": "s3", "name": "S3 of ours", "conditionKeys": [{"name": "s3:prefix", "type": "ArrayOfString"}]}]}"#)
        .expect("registration");
    assert_eq!(third.service("s3").expect("S3").name(), "S3 of ours");
    assert!(third.action("s3:WarmObject").is_some());
    assert!(third.condition_key("s3:prefix").expect("key").key_type().is_multivalued);
    assert!(
        !metadata
            .condition_key("s3:prefix")
            .expect("key")
            .key_type()
            .is_multivalued
    );
}

#[test]
fn services_can_share_a_key() {
    let metadata = Metadata::empty()
        .with_services(
            r#"{"services": [
                {"prefix": "a", "conditionKeys": [{"name": "b:Key", "type": "String"}],
                 "actions": [{"name": "Get", "accessLevel": "Read", "conditionKeys": ["b:Key"]}]},
                {"prefix": "b", "conditionKeys": [{"name": "b:key", "type": "Bool"}],
                 "actions": [{"name": "Get", "accessLevel": "Read", "conditionKeys": ["B:KEY"]}]}
            ]}"#,
        )
        .expect("registration");
    let key = metadata.condition_key("b:key").expect("key");
    assert_eq!((key.name(), key.key_type().value), ("b:Key", ValueType::Bool));
    for action in metadata.actions_matching("*:Get") {
        assert!(action.carries(key), "{action}");
    }
    assert_eq!(metadata.condition_keys().count(), 1);
}

#[test]
fn the_smallest_files_are_good() {
    for text in ["{}", r#"{"services": []}"#, r#"{"services": [{"prefix": "x"}]}"#] {
        let metadata = Metadata::empty().with_services(text).expect(text);
        assert_eq!(metadata.width("*").total(), 0);
    }
    assert!(Metadata::empty().service("s3").is_none());
}

#[test]
fn mistakes_are_named_with_their_place() {
    for (text, expected) in [
        ("", "line 1, column 1: EOF while parsing a value"),
        (
            "{\n  \"servces\": []}",
            "line 2, column 11: unknown field `servces`, expected `services` or `conditionKeys`",
        ),
        ("{\"services\": [{}]}", "line 1, column 16: missing field `prefix`"),
        (
            "{\"services\": [\n  {\"prefix\": \"my_svc\"}]}",
            "line 2, column 14: `my_svc` is no prefix of a service: it may hold letters, digits and hyphens",
        ),
        (
            "{\"services\": [{\"prefix\": 7}]}",
            "line 1, column 26: expected a text",
        ),
        (
            "{\"services\": [{\"prefix\": \"x\", \"name\": \" y\"}]}",
            "line 1, column 39: ` y` is no name of a service: it must be one line, without spaces around it",
        ),
        (
            "{\"services\": [{\"prefix\": \"x\"}, {\"prefix\": \"X\"}]}",
            "line 1, column 43: `X` is there twice",
        ),
        (
            "{\"services\": [{\"prefix\": \"x\", \"actions\": [\n{\"name\": \"Get Thing\", \"accessLevel\": \"Read\"}]}]}",
            "line 2, column 10: `Get Thing` is no name of an action: it may hold letters, digits, `.`, `_` and `-`",
        ),
        (
            "{\"services\": [{\"prefix\": \"x\", \"actions\": [\n{\"name\": \"Get\", \"accessLevel\": \"Reading\"}]}]}",
            "line 2, column 32: `Reading` is no access level: List, Read, Write, Tagging and Permissions management are",
        ),
        (
            "{\"services\": [{\"prefix\": \"x\", \"actions\": [\n{\"name\": \"Get\", \"accessLevel\": \"Read\", \"resourceTypes\": [{\"name\": \"thing\"}]}]}]}",
            "line 2, column 67: the service has no resource type `thing`",
        ),
        (
            "{\"services\": [{\"prefix\": \"x\", \"actions\": [\n{\"name\": \"Get\", \"accessLevel\": \"Read\", \"conditionKeys\": [\"x:Key\"]}]}]}",
            "line 2, column 58: no condition key `x:Key` is declared",
        ),
        (
            "{\"services\": [{\"prefix\": \"x\", \"actions\": [{\"name\": \"Get\", \"accessLevel\": \"Read\"},\n{\"name\": \"get\", \"accessLevel\": \"Read\"}]}]}",
            "line 2, column 10: `get` is there twice",
        ),
        (
            "{\"services\": [{\"prefix\": \"x\", \"resourceTypes\": [{\"name\": \"thing\", \"arns\": [\"arn:aws:x\"]}]}]}",
            "line 1, column 76: `arn:aws:x` is no ARN pattern: it must be `arn:` and five more fields in printable ASCII",
        ),
        (
            "{\"services\": [{\"prefix\": \"x\", \"resourceTypes\": [{\"name\": \"thing\", \"arns\": []}]}]}",
            "line 1, column 58: the resource type `thing` has no ARN pattern",
        ),
        (
            "{\"conditionKeys\": [{\"name\": \"team\", \"type\": \"String\"}]}",
            "line 1, column 29: `team` is no condition key: it must be `prefix:name` in printable ASCII, with one variable part at most",
        ),
        (
            "{\"conditionKeys\": [{\"name\": \"x:${A}/${B}\", \"type\": \"String\"}]}",
            "line 1, column 29: `x:${A}/${B}` is no condition key: it must be `prefix:name` in printable ASCII, with one variable part at most",
        ),
        (
            "{\"conditionKeys\": [{\"name\": \"x:team\", \"type\": \"Text\"}]}",
            "line 1, column 47: `Text` is no type of condition keys: String, Numeric, Bool, Date, ARN, IPAddress and Binary are, and each with ArrayOf before it",
        ),
        (
            "{\"conditionKeys\": [{\"name\": \"x:team\", \"type\": \"String\", \"category\": \"person\"}]}",
            "line 1, column 69: `person` is no category: principal, session, network, resource and request are",
        ),
    ] {
        let error = Metadata::empty().with_services(text).expect_err(text);
        assert_eq!(error.to_string(), expected, "{text}");
    }
    let long = "a".repeat(126);
    let text =
        format!(r#"{{"services": [{{"prefix": "x", "actions": [{{"name": "{long}", "accessLevel": "Read"}}]}}]}}"#);
    let error = Metadata::empty().with_services(&text).expect_err("too long");
    assert!(error.to_string().contains("is too long"), "{error}");
    let text = text.replace(&long, &long[1..]);
    let metadata = Metadata::empty().with_services(&text).expect("just not too long");
    assert_eq!(metadata.width(&format!("x:{}", &long[1..])).total(), 1);
}

#[test]
fn signs_of_the_compact_form_cannot_be_smuggled_in() {
    for name in ["a\\tb", "a\\nb", "a,b", "a(b", "a!", "=1", "a/", ":", "-", ""] {
        let text =
            format!(r#"{{"services": [{{"prefix": "x", "actions": [{{"name": "{name}", "accessLevel": "Read"}}]}}]}}"#);
        assert!(Metadata::empty().with_services(&text).is_err(), "{name}");
        let text = format!(r#"{{"conditionKeys": [{{"name": "x:{name}", "type": "String"}}]}}"#);
        let taken = Metadata::empty().with_services(&text).is_ok();
        assert!(!taken || name == "-", "{name}");
        let text = format!(r#"{{"services": [{{"prefix": "x", "name": "{name}"}}]}}"#);
        let metadata = Metadata::empty().with_services(&text);
        if let Ok(metadata) = metadata {
            assert_eq!(
                metadata.services().map(|service| service.name()).collect::<Vec<_>>(),
                [name]
            );
        }
    }
}

proptest! {
    #[test]
    fn takes_any_text(text in ".*") {
        let _ = Metadata::empty().with_services(&text);
    }

    /// Damaged files are refused or read, never worse.
    #[test]
    fn takes_damaged_files(at in 0..ORDERS.len(), byte in proptest::char::any(), cut in 0_usize..40) {
        let end = (at + cut).min(ORDERS.len());
        let text = format!("{}{byte}{}", &ORDERS[..at], &ORDERS[end..]);
        if let Ok(metadata) = Metadata::empty().with_services(&text) {
            let _ = metadata.width("*");
        }
    }
}
