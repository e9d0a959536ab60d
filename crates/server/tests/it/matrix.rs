//! Who may do what: every operation of IAM by every kind of caller, and the wall between accounts.

use std::sync::OnceLock;

use irsa_iam::OPERATIONS;
use serde_json::json;

use crate::client::{Key, Request, Response};
use crate::harness::{
    ACCOUNT, ALLOW_ALL, OTHER_ACCOUNT, Server, allow, allow_all_but, name, policy, session_key, world,
};

const TRUST: &str = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::111122223333:root"},"Action":"sts:AssumeRole"}]}"#;
const READ: &str =
    r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:GetObject","Resource":"*"}]}"#;

/// The things that the operations are tried on.
struct Subjects {
    user: String,
    role: String,
    policy: String,
    provider: String,
    access_key: String,
}

/// Things that are there. No test changes them, since none is allowed to.
fn existing(server: &Server) -> &'static Subjects {
    static EXISTING: OnceLock<Subjects> = OnceLock::new();
    EXISTING.get_or_init(|| {
        let root = &server.root;
        let (user, role, document) = (name("subject"), name("subject"), name("subject"));
        let key = server.user(root, &user, Some(READ));
        server.role(root, &role, Some(READ));
        let policy = server.iam_ok(
            root,
            "CreatePolicy",
            &[("PolicyName", &document), ("PolicyDocument", READ)],
        );
        let policy = policy.element("Arn").unwrap();
        server.iam_ok(root, "AttachRolePolicy", &[("RoleName", &role), ("PolicyArn", &policy)]);
        server.iam_ok(root, "AttachUserPolicy", &[("UserName", &user), ("PolicyArn", &policy)]);
        let url = format!("https://subject.example/{}", name("subject"));
        let pairs = [
            ("Url", url.as_str()),
            ("ClientIDList.member.1", "a"),
            ("ThumbprintList.member.1", &"a".repeat(40)),
        ];
        server.iam_ok(root, "CreateOpenIDConnectProvider", &pairs);
        Subjects {
            user,
            role,
            policy,
            provider: format!(
                "arn:aws:iam::{ACCOUNT}:oidc-provider/{}",
                url.trim_start_matches("https://")
            ),
            access_key: key.id,
        }
    })
}

/// Things that are not there: what passes the gate finds nothing to change.
fn missing() -> Subjects {
    Subjects {
        user: name("missing"),
        role: name("missing"),
        policy: format!("arn:aws:iam::{ACCOUNT}:policy/{}", name("missing")),
        provider: format!(
            "arn:aws:iam::{ACCOUNT}:oidc-provider/missing.example/{}",
            name("missing")
        ),
        access_key: "AKIAIOSFODNN7EXAMPLE".to_owned(),
    }
}

/// Parameters with which an operation is well-formed.
fn parameters(operation: &str, subjects: &Subjects) -> Vec<(&'static str, String)> {
    let Subjects {
        user,
        role,
        policy,
        provider,
        access_key,
    } = subjects;
    let fresh = || name("made");
    let mut pairs: Vec<(&'static str, String)> = Vec::new();
    let mut add = |name: &'static str, value: &str| pairs.push((name, value.to_owned()));
    match operation {
        "CreateRole" => {
            add("RoleName", &fresh());
            add("AssumeRolePolicyDocument", TRUST);
        }
        "CreateUser" => add("UserName", &fresh()),
        "CreatePolicy" => {
            add("PolicyName", &fresh());
            add("PolicyDocument", READ);
        }
        "CreateOpenIDConnectProvider" => {
            add("Url", &format!("https://made.example/{}", fresh()));
            add("ThumbprintList.member.1", &"a".repeat(40));
        }
        _ => {}
    }
    let of = |words: &[&str]| words.iter().any(|word| operation.contains(word));
    let creates = [
        "CreateRole",
        "CreateUser",
        "CreatePolicy",
        "CreateOpenIDConnectProvider",
    ]
    .contains(&operation);
    let lists = ["ListRoles", "ListUsers", "ListPolicies", "ListOpenIDConnectProviders"].contains(&operation);
    let account = of(&["GetAccount", "ListAccountAliases"]);
    if creates || lists || account {
        return pairs;
    }
    if of(&["Simulate", "ContextKeys"]) {
        if of(&["Principal"]) {
            add("PolicySourceArn", &format!("arn:aws:iam::{ACCOUNT}:role/{role}"));
        } else {
            add("PolicyInputList.member.1", READ);
        }
        if of(&["Simulate"]) {
            add("ActionNames.member.1", "s3:GetObject");
        }
    } else if of(&["OpenIDConnectProvider"]) {
        add("OpenIDConnectProviderArn", provider);
        match operation {
            "AddClientIDToOpenIDConnectProvider" | "RemoveClientIDFromOpenIDConnectProvider" => add("ClientID", "b"),
            "UpdateOpenIDConnectProviderThumbprint" => add("ThumbprintList.member.1", &"b".repeat(40)),
            _ => {}
        }
    } else if of(&["AccessKey"]) {
        if operation == "GetAccessKeyLastUsed" {
            add("AccessKeyId", access_key);
        } else {
            add("UserName", user);
        }
        if ["UpdateAccessKey", "DeleteAccessKey"].contains(&operation) {
            add("AccessKeyId", access_key);
        }
        if operation == "UpdateAccessKey" {
            add("Status", "Inactive");
        }
    } else if of(&["UserPermissionsBoundary", "RolePermissionsBoundary"]) {
        if of(&["User"]) {
            add("UserName", user);
        } else {
            add("RoleName", role);
        }
        if operation.starts_with("Put") {
            add("PermissionsBoundary", policy);
        }
    } else if of(&["RolePolic", "UserPolic"]) {
        if of(&["User"]) {
            add("UserName", user);
        } else {
            add("RoleName", role);
        }
        if operation.starts_with("Attach") || operation.starts_with("Detach") {
            add("PolicyArn", policy);
        } else if !operation.starts_with("List") {
            if operation == "UpdateAssumeRolePolicy" {
                add("PolicyDocument", TRUST);
            } else {
                add("PolicyName", "inline");
            }
        }
        if operation.starts_with("Put") {
            add("PolicyDocument", ALLOW_ALL);
        }
    } else if operation == "UpdateAssumeRolePolicy" {
        add("RoleName", role);
        add("PolicyDocument", TRUST);
    } else if of(&["Policy", "Policies"]) {
        add("PolicyArn", policy);
        match operation {
            "CreatePolicyVersion" => add("PolicyDocument", ALLOW_ALL),
            "GetPolicyVersion" | "SetDefaultPolicyVersion" | "DeletePolicyVersion" => add("VersionId", "v1"),
            _ => {}
        }
    } else if of(&["User"]) {
        add("UserName", user);
        if operation == "UpdateUser" {
            add("NewUserName", &fresh());
        }
    } else {
        add("RoleName", role);
        if operation.starts_with("UpdateRole") {
            add("Description", "changed");
        }
    }
    if operation.starts_with("Tag") {
        add("Tags.member.1.Key", "k");
        add("Tags.member.1.Value", "v");
    }
    if operation.starts_with("Untag") {
        add("TagKeys.member.1", "k");
    }
    pairs
}

fn call(server: &Server, key: &Key, operation: &str, subjects: &Subjects) -> Response {
    let pairs = parameters(operation, subjects);
    let pairs: Vec<(&str, &str)> = pairs.iter().map(|(name, value)| (*name, value.as_str())).collect();
    server.iam(key, operation, &pairs)
}

#[test]
fn adv_ia_01_every_operation_by_every_caller() {
    let world = world();
    let server = &world.server;
    let there = existing(server);
    let names = [
        &there.user,
        &there.role,
        &there.policy,
        &there.provider,
        &there.access_key,
    ];
    // A session policy with the right action alone, and with every action but it: of a role that may do everything.
    let session = |document: &str| server.assume(&world.admin, "everything", &[("Policy", document)]);
    let mut count = 0;
    for operation in OPERATIONS.iter().flat_map(|rows| rows.iter()) {
        count += 1;
        let (operation, action) = (operation.spec.name, operation.spec.action);
        let pairs = parameters(operation, there);
        let form: Vec<(&str, &str)> = [("Action", operation), ("Version", "2010-05-08")]
            .into_iter()
            .chain(pairs.iter().map(|(name, value)| (*name, value.as_str())))
            .collect();

        let response = server.send(&Request::form(&form));
        assert_eq!(
            response.outcome(),
            "403 MissingAuthenticationToken",
            "{operation}: {}",
            response.text()
        );
        let record = server.record(&response);
        assert_eq!(record["eventName"], operation);
        assert_eq!(record["userIdentity"]["type"], "Unknown", "{operation}: {record}");

        let response = call(server, &world.expired, operation, there);
        assert_eq!(
            response.outcome(),
            "403 ExpiredToken",
            "{operation}: {}",
            response.text()
        );

        // Nobody may, whether the thing is there or not; and can't tell which.
        for subjects in [there, &missing()] {
            let response = call(server, &world.nobody, operation, subjects);
            assert_eq!(
                response.outcome(),
                "403 AccessDenied",
                "{operation}: {}",
                response.text()
            );
            assert!(
                response.message().starts_with(&format!(
                    "User: arn:aws:iam::{ACCOUNT}:user/nobody is not authorized to perform: {action} on resource: "
                )),
                "{operation}: {}",
                response.message()
            );
            assert!(
                response
                    .message()
                    .ends_with(&format!("because no identity-based policy allows the {action} action")),
                "{operation}: {}",
                response.message()
            );
            let record = server.record(&response);
            assert_eq!(record["userIdentity"]["userName"], "nobody", "{operation}");
            assert_eq!(record["errorCode"], "AccessDenied", "{operation}");
            assert!(record["responseElements"].is_null(), "{operation}");
        }

        let wrong = session(&allow_all_but(action));
        let response = call(server, &wrong, operation, there);
        assert_eq!(
            response.outcome(),
            "403 AccessDenied",
            "{operation} without {action}: {}",
            response.text()
        );
        assert!(
            response
                .message()
                .ends_with(&format!("because no session policy allows the {action} action")),
            "{operation}: {}",
            response.message()
        );

        let right = session(&allow(action));
        let response = call(server, &right, operation, &missing());
        assert_ne!(
            response.code(),
            "AccessDenied",
            "{operation} with {action}: {}",
            response.text()
        );
        assert!(response.status < 500, "{operation}: {}", response.text());
        let response = call(server, &server.root, operation, &missing());
        assert_ne!(
            response.code(),
            "AccessDenied",
            "{operation} by root: {}",
            response.text()
        );

        // Another account sees and changes nothing of this one.
        let response = call(server, &world.other_root, operation, there);
        let text = response.text();
        let echo = response.status >= 400;
        assert!(
            echo || names.iter().all(|name| !text.contains(name.as_str())),
            "{operation} by another account: {text}"
        );
        let record = server.record(&response);
        assert_eq!(record["recipientAccountId"], OTHER_ACCOUNT, "{operation}: {record}");
    }
    assert!(count >= 73, "{count} operations");

    // Nothing of it came true.
    let root = &server.root;
    let user = server.iam_ok(root, "GetUser", &[("UserName", &there.user)]);
    assert!(!user.text().contains("<member>"), "{}", user.text());
    let pairs = [("UserName", there.user.as_str()), ("PolicyName", "inline")];
    let inline = server.iam_ok(root, "GetUserPolicy", &pairs);
    assert!(inline.text().contains("s3%3AGetObject"), "{}", inline.text());
    let keys = server.iam_ok(root, "ListAccessKeys", &[("UserName", &there.user)]);
    assert!(
        keys.text().contains(&there.access_key) && keys.text().contains("<Status>Active</Status>"),
        "{}",
        keys.text()
    );
    let versions = server.iam_ok(root, "ListPolicyVersions", &[("PolicyArn", &there.policy)]);
    assert!(
        !versions.text().contains("<VersionId>v2</VersionId>"),
        "{}",
        versions.text()
    );
    let role = server.iam_ok(root, "GetRole", &[("RoleName", &there.role)]);
    assert!(!role.text().contains("changed"), "{}", role.text());
    let provider = server.iam_ok(
        root,
        "GetOpenIDConnectProvider",
        &[("OpenIDConnectProviderArn", &there.provider)],
    );
    assert!(
        !provider.text().contains("<member>b</member>") && !provider.text().contains(&"b".repeat(40)),
        "{}",
        provider.text()
    );
}

#[test]
fn adv_ia_02_a_session_does_not_widen_itself() {
    let world = world();
    let server = &world.server;
    let root = &server.root;
    // A role whose boundary keeps IAM away, though its own policy allows everything.
    let boundary = name("boundary");
    let document = policy(r#"{"Effect":"Allow","Action":["s3:*","sts:*"],"Resource":"*"}"#);
    let made = server.iam_ok(
        root,
        "CreatePolicy",
        &[("PolicyName", &boundary), ("PolicyDocument", &document)],
    );
    let boundary = made.element("Arn").unwrap();
    let role = name("bounded");
    server.role(root, &role, Some(ALLOW_ALL));
    let pairs = [("RoleName", role.as_str()), ("PermissionsBoundary", &boundary)];
    server.iam_ok(root, "PutRolePermissionsBoundary", &pairs);
    let bounded = server.assume(&world.admin, &role, &[]);
    let narrow = policy(r#"{"Effect":"Allow","Action":["s3:GetObject","sts:*"],"Resource":"*"}"#);
    let limited = server.assume(&world.admin, "everything", &[("Policy", &narrow)]);
    // Chaining carries no rights of the first session over, and none of the second's ceiling away.
    for (what, session) in [("bounded", &bounded), ("limited", &limited)] {
        for (action, pairs) in [
            ("CreateAccessKey", vec![("UserName", "admin")]),
            ("CreateUser", vec![("UserName", "mallory")]),
            (
                "CreateRole",
                vec![("RoleName", "mallory"), ("AssumeRolePolicyDocument", TRUST)],
            ),
            (
                "PutRolePolicy",
                vec![
                    ("RoleName", role.as_str()),
                    ("PolicyName", "p"),
                    ("PolicyDocument", ALLOW_ALL),
                ],
            ),
            (
                "PutUserPolicy",
                vec![
                    ("UserName", "nobody"),
                    ("PolicyName", "p"),
                    ("PolicyDocument", ALLOW_ALL),
                ],
            ),
            (
                "AttachRolePolicy",
                vec![
                    ("RoleName", role.as_str()),
                    ("PolicyArn", "arn:aws:iam::aws:policy/AdministratorAccess"),
                ],
            ),
            ("DeleteRolePermissionsBoundary", vec![("RoleName", role.as_str())]),
            (
                "UpdateAssumeRolePolicy",
                vec![("RoleName", "everything"), ("PolicyDocument", TRUST)],
            ),
            (
                "CreatePolicyVersion",
                vec![
                    ("PolicyArn", boundary.as_str()),
                    ("PolicyDocument", ALLOW_ALL),
                    ("SetAsDefault", "true"),
                ],
            ),
        ] {
            let response = server.iam(session, action, &pairs);
            assert_eq!(
                response.outcome(),
                "403 AccessDenied",
                "{what} {action}: {}",
                response.text()
            );
        }
        let again = server.sts(session, "GetSessionToken", &[]);
        assert_eq!(again.outcome(), "403 AccessDenied", "{what}: {}", again.text());
        let clusters = server.json(session, "eks", "GET", "/clusters", &json!({}));
        assert_eq!(
            clusters.outcome(),
            "403 AccessDeniedException",
            "{what}: {}",
            clusters.text()
        );
        let accounts = server.json(session, "irsa", "POST", "/accounts", &json!({}));
        assert_eq!(
            accounts.outcome(),
            "403 AccessDeniedException",
            "{what}: {}",
            accounts.text()
        );
        let body = json!({ "spec": { "audiences": ["sts.amazonaws.com"] } });
        let target = "/clusters/main/namespaces/shop/serviceaccounts/app/token";
        let token = server.json(session, "irsa", "POST", target, &body);
        assert_eq!(token.outcome(), "403 AccessDeniedException", "{what}: {}", token.text());
    }
    assert_eq!(server.s3(&bounded, "PUT", "/first-bucket/bounded", b"x").status, 200);
    assert_eq!(server.s3(&limited, "GET", "/first-bucket/hello.txt", b"").status, 200);
    assert_eq!(
        server.s3(&limited, "PUT", "/first-bucket/limited", b"x").outcome(),
        "403 AccessDenied"
    );
    let message = server.s3(&limited, "PUT", "/first-bucket/limited", b"x").message();
    assert_eq!(
        message,
        format!(
            "User: arn:aws:sts::{ACCOUNT}:assumed-role/everything/test is not authorized to perform: s3:PutObject on resource: \
             \"arn:aws:s3:::first-bucket/limited\" because no session policy allows the s3:PutObject action"
        )
    );

    // A boundary whose policy is gone lets nothing through.
    let gone = name("boundary");
    let made = server.iam_ok(
        root,
        "CreatePolicy",
        &[("PolicyName", &gone), ("PolicyDocument", ALLOW_ALL)],
    );
    let gone = made.element("Arn").unwrap();
    let user = name("bounded");
    let key = server.user(root, &user, Some(ALLOW_ALL));
    server.iam_ok(
        root,
        "PutUserPermissionsBoundary",
        &[("UserName", &user), ("PermissionsBoundary", &gone)],
    );
    assert_eq!(server.iam(&key, "ListUsers", &[]).status, 200);
    let deleted = server.iam(root, "DeletePolicy", &[("PolicyArn", &gone)]);
    if deleted.status == 200 {
        assert_eq!(server.iam(&key, "ListUsers", &[]).outcome(), "403 AccessDenied");
    } else {
        assert_eq!(deleted.outcome(), "409 DeleteConflict", "{}", deleted.text());
    }
}

#[test]
fn own_sessions_reach_neither_iam_nor_further_sessions() {
    let world = world();
    let server = &world.server;
    let own = session_key(&server.sts(&world.admin, "GetSessionToken", &[]));
    let root = session_key(&server.sts(&server.root, "GetSessionToken", &[("DurationSeconds", "900")]));
    for (what, key) in [("user", &own), ("root", &root)] {
        assert_eq!(
            server.iam(key, "ListUsers", &[]).outcome(),
            "403 InvalidClientTokenId",
            "{what}"
        );
        assert_eq!(server.sts(key, "GetCallerIdentity", &[]).outcome(), "200", "{what}");
        assert_eq!(
            server.sts(key, "GetSessionToken", &[]).outcome(),
            "403 AccessDenied",
            "{what}"
        );
        assert_eq!(
            server.s3(key, "GET", "/first-bucket/hello.txt", b"").text(),
            "hello",
            "{what}"
        );
    }
    // Root asks for more than an hour and gets an hour.
    let long = server.sts(&server.root, "GetSessionToken", &[("DurationSeconds", "129600")]);
    session_key(&long);
    let end = irsa_core::Timestamp::parse_iso8601(&long.element("Expiration").unwrap()).unwrap();
    assert!(end <= crate::harness::now().plus_seconds(3600), "{}", long.text());
    let arn = format!("arn:aws:iam::{ACCOUNT}:role/everything");
    let pairs = [("RoleArn", arn.as_str()), ("RoleSessionName", "root")];
    assert_eq!(
        server.sts(&server.root, "AssumeRole", &pairs).outcome(),
        "403 AccessDenied"
    );
    assert_eq!(server.sts(&root, "AssumeRole", &pairs).outcome(), "403 AccessDenied");
    // GetCallerIdentity is never denied, not even by an explicit deny.
    let user = name("denied");
    let denied = server.user(
        &server.root,
        &user,
        Some(&policy(r#"{"Effect":"Deny","Action":"*","Resource":"*"}"#)),
    );
    assert_eq!(server.sts(&denied, "GetCallerIdentity", &[]).status, 200);
    assert_eq!(
        server
            .sts(&denied, "GetAccessKeyInfo", &[("AccessKeyId", &denied.id)])
            .outcome(),
        "403 AccessDenied"
    );
}

#[test]
fn adv_ia_09_ia_13_markers_and_key_ids_of_others() {
    let world = world();
    let server = &world.server;
    let root = &server.root;
    let prefix = format!("/{}/", name("pages"));
    for letter in ["a", "b", "c"] {
        let user = format!("{}-{letter}", name("page"));
        server.iam_ok(root, "CreateUser", &[("UserName", &user), ("Path", &prefix)]);
    }
    let first = server.iam_ok(root, "ListUsers", &[("PathPrefix", &prefix), ("MaxItems", "1")]);
    let marker = first.element("Marker").unwrap();
    let second = server.iam_ok(
        root,
        "ListUsers",
        &[("PathPrefix", &prefix), ("MaxItems", "1"), ("Marker", &marker)],
    );
    assert_ne!(first.element("UserName"), second.element("UserName"));
    let mut touched = marker.clone().into_bytes();
    let last = touched.len() - 1;
    touched[last] = if touched[last] == b'A' { b'B' } else { b'A' };
    let touched = String::from_utf8(touched).unwrap();
    for (what, key, action, marker) in [
        ("another account's", &world.other_root, "ListUsers", marker.as_str()),
        ("of another operation", root, "ListRoles", &marker),
        ("made up", root, "ListUsers", "admin"),
        ("traversal", root, "ListUsers", "../../444455556666/users"),
        ("empty", root, "ListUsers", ""),
        ("long", root, "ListUsers", &"A".repeat(320)),
        ("too long", root, "ListUsers", &"A".repeat(321)),
        ("touched", root, "ListUsers", &touched),
    ] {
        let response = server.iam(key, action, &[("Marker", marker), ("MaxItems", "1")]);
        assert!(
            response.status == 400 || !response.text().contains("page-") || key.id == root.id,
            "{what}: {}",
            response.text()
        );
        assert!(
            response.status == 400 || response.status == 200,
            "{what}: {}",
            response.text()
        );
        if key.id != root.id {
            assert!(!response.text().contains(ACCOUNT), "{what}: {}", response.text());
        }
    }
    // Keys and their ids are shown to those who may see them, and never across accounts.
    let nobody = &world.nobody;
    assert_eq!(
        server.iam(nobody, "ListAccessKeys", &[("UserName", "admin")]).outcome(),
        "403 AccessDenied"
    );
    assert_eq!(server.iam(nobody, "ListAccessKeys", &[]).outcome(), "403 AccessDenied");
    assert_eq!(
        server
            .iam(nobody, "GetAccessKeyLastUsed", &[("AccessKeyId", &world.admin.id)])
            .outcome(),
        "403 AccessDenied"
    );
    let other = server.iam(
        &world.other_root,
        "GetAccessKeyLastUsed",
        &[("AccessKeyId", &world.admin.id)],
    );
    assert!(
        other.status >= 400 && !other.text().contains("<UserName>admin"),
        "{}",
        other.text()
    );
    let others = server.iam_ok(root, "ListAccessKeys", &[("UserName", "admin")]);
    assert!(!others.text().contains(&world.admin.secret) && others.text().contains(&world.admin.id));
    // IA-12: no read shows a secret again.
    for action in [
        "GetUser",
        "ListUsers",
        "ListAccessKeys",
        "GetAccountAuthorizationDetails",
        "GetAccountSummary",
    ] {
        let text = server.iam(root, action, &[("UserName", "admin")]).text();
        assert!(
            !text.contains(&world.admin.secret) && !text.contains("SecretAccessKey"),
            "{action}: {text}"
        );
    }
}

#[test]
fn accounts_do_not_see_each_other_in_any_service() {
    let world = world();
    let server = &world.server;
    let other = &world.other_root;
    let all_of_other = server.user(other, &name("other-admin"), Some(ALLOW_ALL));
    for key in [other, &all_of_other] {
        for (method, target, body) in [
            ("GET", "/first-bucket", ""),
            ("GET", "/first-bucket?location", ""),
            ("GET", "/first-bucket?list-type=2&prefix=h", ""),
            ("GET", "/first-bucket/hello.txt", ""),
            ("GET", "/first-bucket/none", ""),
            ("PUT", "/first-bucket/hello.txt", "overwritten"),
            ("DELETE", "/first-bucket/hello.txt", ""),
            ("DELETE", "/first-bucket", ""),
        ] {
            let response = server.s3(key, method, target, body.as_bytes());
            assert_eq!(
                response.outcome(),
                "403 AccessDenied",
                "{method} {target}: {}",
                response.text()
            );
            assert_eq!(response.message(), "Access Denied", "{method} {target}");
            let record = server.record(&response);
            assert_eq!(record["userIdentity"]["accountId"], OTHER_ACCOUNT, "{record}");
            assert_eq!(record["recipientAccountId"], ACCOUNT, "{method} {target}: {record}");
        }
        for target in ["/first-bucket", "/first-bucket/hello.txt"] {
            let response = server.s3(key, "HEAD", target, b"");
            assert_eq!((response.status, response.body.len()), (403, 0), "{target}");
        }
        let delete = "<Delete><Object><Key>hello.txt</Key></Object></Delete>";
        let response = server.s3(key, "POST", "/first-bucket?delete", delete.as_bytes());
        assert!(
            response.status == 403 || response.text().contains("<Code>AccessDenied</Code>"),
            "{}",
            response.text()
        );
        let copy = |to: &str, from: &str| {
            let request = Request::new("PUT", to).header("x-amz-copy-source", from);
            server.signed(request, key, "s3")
        };
        let taken = copy("/second-bucket/stolen", "first-bucket/hello.txt");
        assert_eq!(taken.outcome(), "403 AccessDenied", "{}", taken.text());
        let pushed = copy("/first-bucket/pushed", "second-bucket/hello.txt");
        assert_eq!(pushed.outcome(), "403 AccessDenied", "{}", pushed.text());
        let buckets = server.s3(key, "GET", "/", b"");
        assert!(
            buckets.text().contains("second-bucket") && !buckets.text().contains("first-bucket"),
            "{}",
            buckets.text()
        );
        let made = server.s3(key, "PUT", "/first-bucket", b"");
        assert_eq!(made.outcome(), "409 BucketAlreadyExists", "{}", made.text());

        let clusters = server.json(key, "eks", "GET", "/clusters", &json!({}));
        assert!(!clusters.text().contains("main"), "{}", clusters.text());
        for (method, target) in [
            ("GET", "/clusters/main"),
            ("DELETE", "/clusters/main"),
            ("DELETE", "/cluster-registrations/main"),
            (
                "GET",
                "/tags/arn%3Aaws%3Aeks%3Aus-east-1%3A111122223333%3Acluster%2Fmain",
            ),
            (
                "POST",
                "/tags/arn%3Aaws%3Aeks%3Aus-east-1%3A111122223333%3Acluster%2Fmain",
            ),
        ] {
            let response = server.json(key, "eks", method, target, &json!({ "tags": { "a": "b" } }));
            assert!(
                matches!(response.status, 403 | 404),
                "{method} {target}: {}",
                response.text()
            );
        }
        let body = json!({ "spec": { "audiences": ["sts.amazonaws.com"] } });
        let token = server.json(
            key,
            "irsa",
            "POST",
            "/clusters/main/namespaces/shop/serviceaccounts/app/token",
            &body,
        );
        assert_eq!(token.outcome(), "404 ResourceNotFoundException", "{}", token.text());
        for (method, body) in [("GET", json!({})), ("POST", json!({ "name": "mine" }))] {
            let response = server.json(key, "irsa", method, "/accounts", &body);
            assert_eq!(
                response.outcome(),
                "403 AccessDeniedException",
                "{method}: {}",
                response.text()
            );
            assert!(!response.text().contains(ACCOUNT), "{}", response.text());
        }
        for role in ["everything", "nonesuch"] {
            let arn = format!("arn:aws:iam::{ACCOUNT}:role/{role}");
            let response = server.sts(
                &all_of_other,
                "AssumeRole",
                &[("RoleArn", &arn), ("RoleSessionName", "xx")],
            );
            assert_eq!(response.outcome(), "403 AccessDenied", "{}", response.text());
            assert!(response.message().ends_with(&format!(
                "is not authorized to perform: sts:AssumeRole on resource: {arn}"
            )));
        }
    }
    // Policies and boundaries of another account are not attached, and its names say nothing.
    let there = existing(server);
    for (action, pairs) in [
        (
            "AttachUserPolicy",
            vec![("UserName", "nope"), ("PolicyArn", there.policy.as_str())],
        ),
        ("GetPolicy", vec![("PolicyArn", there.policy.as_str())]),
        (
            "CreateUser",
            vec![
                ("UserName", "with-boundary"),
                ("PermissionsBoundary", there.policy.as_str()),
            ],
        ),
        (
            "GetOpenIDConnectProvider",
            vec![("OpenIDConnectProviderArn", there.provider.as_str())],
        ),
        (
            "DeleteOpenIDConnectProvider",
            vec![("OpenIDConnectProviderArn", there.provider.as_str())],
        ),
    ] {
        let response = server.iam(other, action, &pairs);
        assert!((400..=404).contains(&response.status), "{action}: {}", response.text());
    }
    // A wildcard in a resource is no way into another account.
    let wild = server.user(
        other,
        &name("wild"),
        Some(&policy(&format!(
            r#"{{"Effect":"Allow","Action":"*","Resource":["arn:aws:s3:::first-bucket/*","arn:aws:iam::{ACCOUNT}:*"]}}"#
        ))),
    );
    assert_eq!(
        server.s3(&wild, "GET", "/first-bucket/hello.txt", b"").outcome(),
        "403 AccessDenied"
    );
    assert_eq!(
        server.s3(&server.root, "GET", "/first-bucket/hello.txt", b"").text(),
        "hello"
    );
}

#[test]
fn adv_ia_11_two_accounts_trust_the_same_issuer_apart() {
    let world = world();
    let server = &world.server;
    let other = &world.other_root;
    // The other account registers this one's issuer: that is its own affair, and opens nothing here.
    let pairs = [
        ("Url", world.issuer.as_str()),
        ("ClientIDList.member.1", "sts.amazonaws.com"),
    ];
    let made = server.iam(other, "CreateOpenIDConnectProvider", &pairs);
    assert_eq!(made.status, 200, "{}", made.text());
    let arn = made.element("OpenIDConnectProviderArn").unwrap();
    assert!(arn.contains(OTHER_ACCOUNT), "{arn}");
    let role = name("cross");
    let trust = policy(&format!(
        r#"{{"Effect":"Allow","Principal":{{"Federated":"{arn}"}},"Action":"sts:AssumeRoleWithWebIdentity","Condition":{{"StringEquals":{{"{}:sub":"system:serviceaccount:shop:app"}}}}}}"#,
        world.issuer.trim_start_matches("https://")
    ));
    // A role here that trusts the provider of there is not opened by this account's provider.
    let made = server.iam(
        &server.root,
        "CreateRole",
        &[("RoleName", &role), ("AssumeRolePolicyDocument", &trust)],
    );
    let token = server.token(&server.root, "main", "shop/app");
    if made.status == 200 {
        assert_eq!(server.exchange(&role, &token, &[]).outcome(), "403 AccessDenied");
    }
    let pairs = [("OpenIDConnectProviderArn", arn.as_str())];
    server.iam_ok(other, "DeleteOpenIDConnectProvider", &pairs);
    assert_eq!(server.exchange("web", &token, &[]).status, 200);
}

#[test]
fn a_role_that_trusts_another_account_opens_to_those_whom_that_account_allows() {
    let world = world();
    let server = &world.server;
    let other = &world.other_root;
    let role = name("shared");
    let trust = policy(&format!(
        r#"{{"Effect":"Allow","Principal":{{"AWS":"arn:aws:iam::{OTHER_ACCOUNT}:root"}},"Action":"sts:AssumeRole","Condition":{{"StringEquals":{{"sts:ExternalId":"agreed"}}}}}}"#
    ));
    server.iam_ok(
        &server.root,
        "CreateRole",
        &[("RoleName", &role), ("AssumeRolePolicyDocument", &trust)],
    );
    let read = allow("s3:GetObject");
    let pairs = [
        ("RoleName", role.as_str()),
        ("PolicyName", "read"),
        ("PolicyDocument", &read),
    ];
    server.iam_ok(&server.root, "PutRolePolicy", &pairs);
    let arn = format!("arn:aws:iam::{ACCOUNT}:role/{role}");
    let allowed = server.user(
        other,
        &name("allowed"),
        Some(&policy(&format!(
            r#"{{"Effect":"Allow","Action":"sts:AssumeRole","Resource":"{arn}"}}"#
        ))),
    );
    let unable = server.user(
        other,
        &name("unable"),
        Some(&policy(r#"{"Effect":"Allow","Action":"s3:*","Resource":"*"}"#)),
    );
    let assume = |key: &Key, id: &str| {
        server.sts(
            key,
            "AssumeRole",
            &[("RoleArn", &arn), ("RoleSessionName", "shared"), ("ExternalId", id)],
        )
    };
    assert_eq!(assume(&unable, "agreed").outcome(), "403 AccessDenied");
    assert_eq!(assume(&allowed, "guessed").outcome(), "403 AccessDenied");
    // This account's own administrators are not named by the trust policy, so theirs is not the way either.
    assert_eq!(assume(&world.nobody, "agreed").outcome(), "403 AccessDenied");
    let taken = assume(&allowed, "agreed");
    let session = session_key(&taken);
    let record = server.record(&taken);
    assert_eq!(record["userIdentity"]["accountId"], OTHER_ACCOUNT, "{record}");
    assert_eq!(record["resources"][0]["ARN"], arn, "{record}");
    assert_eq!(record["resources"][0]["accountId"], ACCOUNT, "{record}");
    // The session is of this account now: it reads here and not there.
    assert_eq!(
        server.s3(&session, "GET", "/first-bucket/hello.txt", b"").text(),
        "hello"
    );
    assert_eq!(
        server.s3(&session, "GET", "/second-bucket/hello.txt", b"").outcome(),
        "403 AccessDenied"
    );
    assert_eq!(
        server.s3(&allowed, "GET", "/first-bucket/hello.txt", b"").outcome(),
        "403 AccessDenied"
    );
    let who = server.sts(&session, "GetCallerIdentity", &[]);
    assert_eq!(who.element("Account").as_deref(), Some(ACCOUNT));
    let record = server.record(&server.s3(&session, "GET", "/first-bucket/hello.txt", b""));
    assert_eq!(record["recipientAccountId"], ACCOUNT);
    assert_eq!(record["userIdentity"]["accountId"], ACCOUNT);
}

#[test]
fn adv_ia_16_quotas_are_per_account() {
    let world = world();
    let server = &world.server;
    let user = name("quota");
    server.iam_ok(&server.root, "CreateUser", &[("UserName", &user)]);
    for _ in 0..2 {
        server.access_key(&server.root, &user);
    }
    let third = server.iam(&server.root, "CreateAccessKey", &[("UserName", &user)]);
    assert_eq!(third.outcome(), "409 LimitExceeded", "{}", third.text());
    assert_eq!(third.message(), "Cannot exceed quota for AccessKeysPerUser: 2");
    assert!(!third.text().contains("SecretAccessKey"));
    let record = server.record(&third);
    assert_eq!(record["errorCode"], "LimitExceededException", "{record}");
    // The same name in another account is another user, with its own.
    server.iam_ok(&world.other_root, "CreateUser", &[("UserName", &user)]);
    let key = server.access_key(&world.other_root, &user);
    assert_eq!(
        server.sts(&key, "GetCallerIdentity", &[]).element("Account").as_deref(),
        Some(OTHER_ACCOUNT)
    );
}
