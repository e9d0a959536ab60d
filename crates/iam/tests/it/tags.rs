use crate::harness::{READ, Server, TRUST, texts};

const PROVIDER: &str = "arn:aws:iam::111122223333:oidc-provider/oidc.example";
const POLICY: &str = "arn:aws:iam::111122223333:policy/own";

struct Kind {
    name: &'static str,
    id: (&'static str, &'static str),
    case_counts: bool,
}

const KINDS: [Kind; 4] = [
    Kind {
        name: "Role",
        id: ("RoleName", "App"),
        case_counts: false,
    },
    Kind {
        name: "User",
        id: ("UserName", "App"),
        case_counts: false,
    },
    Kind {
        name: "Policy",
        id: ("PolicyArn", POLICY),
        case_counts: true,
    },
    Kind {
        name: "OpenIDConnectProvider",
        id: ("OpenIDConnectProviderArn", PROVIDER),
        case_counts: true,
    },
];

fn server() -> Server {
    let mut server = Server::new();
    server.ok(
        "CreateRole",
        &[("RoleName", "App"), ("AssumeRolePolicyDocument", TRUST)],
    );
    server.ok("CreateUser", &[("UserName", "App")]);
    server.ok("CreatePolicy", &[("PolicyName", "own"), ("PolicyDocument", READ)]);
    server.ok("CreateOpenIDConnectProvider", &[("Url", "https://oidc.example")]);
    server
}

/// The call's parameters, and the tags as parameters.
fn with<'a>(kind: &Kind, names: &'a [(String, String)], tags: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    let tags = tags
        .iter()
        .zip(names)
        .flat_map(|((key, value), (key_name, value_name))| [(key_name.as_str(), *key), (value_name.as_str(), *value)]);
    [kind.id].into_iter().chain(tags).collect()
}

fn names(count: usize) -> Vec<(String, String)> {
    (1..=count)
        .map(|index| (format!("Tags.member.{index}.Key"), format!("Tags.member.{index}.Value")))
        .collect()
}

fn listed(server: &mut Server, kind: &Kind) -> String {
    let answer = server.ok(&format!("List{}Tags", kind.name), &[kind.id]);
    assert_eq!(texts(&answer, "IsTruncated"), ["false"]);
    let pairs = texts(&answer, "Key").into_iter().zip(texts(&answer, "Value"));
    pairs
        .map(|(key, value)| format!("{key}={value}"))
        .collect::<Vec<_>>()
        .join(" ")
}

#[test]
fn tags_come_and_go() {
    let names = names(3);
    for kind in &KINDS {
        let mut server = server();
        let (tag, untag) = (format!("Tag{}", kind.name), format!("Untag{}", kind.name));
        assert_eq!(listed(&mut server, kind), "");
        server.ok(
            &tag,
            &with(kind, &names, &[("Team", "a"), ("env", "aws:x"), ("empty", "")]),
        );
        server.ok(&tag, &with(kind, &names, &[("team", "b")]));
        let (expected, left) = if kind.case_counts {
            ("Team=a empty= env=aws:x team=b", "Team=a empty=")
        } else {
            ("empty= env=aws:x team=b", "empty=")
        };
        assert_eq!(listed(&mut server, kind), expected, "{}", kind.name);
        let keys = [
            kind.id,
            ("TagKeys.member.1", "env"),
            ("TagKeys.member.2", "team"),
            ("TagKeys.member.3", "team"),
            ("TagKeys.member.4", "aws:none"),
        ];
        server.ok(&untag, &keys);
        assert_eq!(listed(&mut server, kind), left, "{}", kind.name);
        server.ok(&untag, &[kind.id, ("TagKeys", "")]);
    }
}

#[test]
fn bad_tags() {
    let names = names(2);
    for kind in &KINDS {
        let mut server = server();
        let tag = format!("Tag{}", kind.name);
        let mut error = |tags: &[(&str, &str)]| server.error(&tag, &with(kind, &names, tags));
        let reserved = "InvalidInput 400: Tag keys beginning with aws: are reserved for system use.";
        assert_eq!(error(&[("aws:x", "a")]), reserved);
        assert_eq!(error(&[("AwS:x", "a")]), reserved);
        assert!(error(&[("a", "1"), ("a", "2")]).starts_with("InvalidInput 400: Duplicate tag keys found."));
        for (key, value) in [
            ("", "a"),
            (" ", "a"),
            ("a*", "b"),
            ("a", "b\n"),
            (&"k".repeat(129), ""),
            ("a", &"v".repeat(257)),
        ] {
            assert!(
                error(&[(key, value)]).starts_with("ValidationError 400: "),
                "{key:?} {value:?}"
            );
        }
        assert_eq!(
            server.error(&tag, &[kind.id]),
            "ValidationError 400: 1 validation error detected: Value null at 'tags' failed to satisfy constraint: Member must not be null"
        );
        assert!(
            server
                .error(&tag, &[kind.id, ("Tags", "")])
                .starts_with("InvalidInput 400: ")
        );
        assert!(
            server
                .error(&tag, &[kind.id, ("Tags.member.1.Key", "a")])
                .contains("Value null at 'tags.1.member.value'")
        );
        assert_eq!(listed(&mut server, kind), "");
        if !kind.case_counts {
            assert_eq!(
                server.error(&tag, &with(kind, &names, &[("a", "1"), ("A", "2")])),
                "InvalidInput 400: Duplicate tag keys found. Please note that Tag keys are case insensitive."
            );
        }
    }
}

#[test]
fn fifty_tags() {
    let names = names(51);
    let keys: Vec<String> = (0..51).map(|index| format!("k{index}")).collect();
    let tags: Vec<(&str, &str)> = keys.iter().map(|key| (key.as_str(), "v")).collect();
    for kind in &KINDS {
        let mut server = server();
        let tag = format!("Tag{}", kind.name);
        assert!(
            server
                .error(&tag, &with(kind, &names, &tags))
                .starts_with("ValidationError 400: ")
        );
        server.ok(&tag, &with(kind, &names, &tags[..50]));
        let over = server.error(&tag, &with(kind, &names, &tags[50..]));
        assert!(
            over.starts_with("LimitExceeded 409: Cannot exceed quota for TagsPer") && over.ends_with(": 50"),
            "{over}"
        );
        // A known key does not count again.
        server.ok(&tag, &with(kind, &names, &tags[..1]));
        assert_eq!(listed(&mut server, kind).split(' ').count(), 50);
    }
}

#[test]
fn adv_ia_15_lists_with_odd_numbers() {
    let mut server = server();
    for (index, expected) in [
        ("one", "MalformedInput 400: Start of list found where not expected"),
        ("+1", "MalformedInput 400: Start of list found where not expected"),
        ("0", "MalformedInput 400: 0 is not a valid index"),
        ("-1", "MalformedInput 400: Key -1 may not have a leading '-'"),
        (
            "12",
            "MalformedInput 400: Excessively sparse input would skip 11 list elements",
        ),
        ("99999999999", "MalformedInput 400: 99999999999 is not a valid index"),
    ] {
        let name = format!("TagKeys.member.{index}");
        assert_eq!(
            server.error("UntagRole", &[("RoleName", "App"), (&name, "a")]),
            expected
        );
    }
    server.ok("UntagRole", &[("RoleName", "App"), ("TagKeys.member.01", "a")]);
    assert!(
        server
            .error("UntagRole", &[("RoleName", "App"), ("TagKeys.member.2", "a")])
            .starts_with("ValidationError")
    );
}
