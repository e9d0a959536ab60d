//! Encoded authorization messages: who gets one, who may read it, and what it says.

use serde_json::Value;

use crate::client::{Key, Request, Response};
use crate::harness::{ACCOUNT, Server, allow, name, policy, secrets, world};

const HEADER: &str = "x-irsa-authorization-message";

#[track_caller]
fn message(response: &Response) -> String {
    response
        .header(HEADER)
        .unwrap_or_else(|| panic!("no message: {response:?}"))
        .to_owned()
}

fn decode(server: &Server, key: &Key, message: &str) -> Response {
    server.sts(key, "DecodeAuthorizationMessage", &[("EncodedMessage", message)])
}

#[track_caller]
fn decoded(server: &Server, message: &str) -> Value {
    let response = decode(server, &server.root, message);
    assert_eq!(response.status, 200, "{}", response.text());
    let text = response.element("DecodedMessage").unwrap();
    serde_json::from_str(&text).unwrap()
}

fn condition<'v>(decoded: &'v Value, key: &str) -> Option<&'v str> {
    let items = decoded["context"]["conditions"]["items"].as_array().unwrap();
    let item = items.iter().find(|item| item["key"] == key)?;
    item["values"]["items"][0]["value"].as_str()
}

#[test]
fn an_implicit_denial_by_iam() {
    let world = world();
    let server = &world.server;
    let user = name("denied");
    let key = server.user(&server.root, &user, Some(&allow("iam:GetUser")));
    let response = server.iam(&key, "GetRole", &[("RoleName", "secret-role")]);
    assert_eq!(response.outcome(), "403 AccessDenied");
    // The text is AWS's, and the message stands in the head alone.
    let message = message(&response);
    assert!(!response.text().contains(&message));
    assert!(message.len() <= 3072, "{}", message.len());
    let said = decoded(server, &message);
    assert_eq!(said["allowed"], false);
    assert_eq!(said["explicitDeny"], false);
    assert_eq!(said["matchedStatements"]["items"].as_array().unwrap().len(), 0);
    assert_eq!(said["failures"]["items"].as_array().unwrap().len(), 0);
    let context = &said["context"];
    assert_eq!(
        context["principal"]["arn"],
        format!("arn:aws:iam::{ACCOUNT}:user/{user}")
    );
    assert_eq!(context["principal"]["name"], user);
    assert!(context["principal"]["id"].as_str().unwrap().starts_with("AIDA"));
    assert_eq!(context["action"], "iam:GetRole");
    assert_eq!(context["resource"], format!("arn:aws:iam::{ACCOUNT}:role/secret-role"));
    assert_eq!(condition(&said, "aws:username"), Some(user.as_str()));
    assert_eq!(condition(&said, "aws:SourceIp"), Some("127.0.0.1"));
    assert_eq!(said["irsa"]["layer"], "identity-based policy");
    assert_eq!(
        said["irsa"]["reason"],
        "because no identity-based policy allows the iam:GetRole action"
    );
    assert_eq!(said["irsa"]["requestId"], response.request_id().unwrap());
    assert!(said["irsa"]["nearestMiss"].as_str().unwrap().contains("iam:GetUser"));
}

#[test]
fn an_explicit_denial_names_its_statement() {
    let world = world();
    let server = &world.server;
    let role = name("guarded");
    let document = policy(
        r#"{"Effect":"Allow","Action":"*","Resource":"*"},
           {"Sid":"KeepOut","Effect":"Deny","Action":["s3:GetObject","s3:PutObject"],"Resource":"arn:aws:s3:::first-bucket/*",
            "Condition":{"StringNotEquals":{"aws:PrincipalTag/team":"red"}}}"#,
    );
    server.role(&server.root, &role, Some(&document));
    let session = server.assume(&world.admin, &role, &[]);
    let response = server.s3(&session, "GET", "/first-bucket/hello.txt", b"");
    assert_eq!(response.outcome(), "403 AccessDenied");
    let said = decoded(server, &message(&response));
    assert_eq!(said["explicitDeny"], true);
    let statement = &said["matchedStatements"]["items"][0];
    assert_eq!(statement["statementId"], "KeepOut");
    assert_eq!(statement["effect"], "DENY");
    let values = |of: &Value| -> Vec<String> {
        let items = of["items"].as_array().unwrap().iter();
        items.map(|item| item["value"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(values(&statement["actions"]), ["s3:GetObject", "s3:PutObject"]);
    assert_eq!(values(&statement["resources"]), ["arn:aws:s3:::first-bucket/*"]);
    assert_eq!(statement["conditions"]["items"][0]["key"], "aws:PrincipalTag/team");
    let id = said["context"]["principal"]["id"].as_str().unwrap();
    assert_eq!(format!("{}:test", values(&statement["principals"])[0]), id);
    assert_eq!(said["context"]["action"], "s3:GetObject");
    assert_eq!(said["context"]["resource"], "arn:aws:s3:::first-bucket/hello.txt");
    assert_eq!(said["irsa"]["statement"]["line"], 2);
    assert_eq!(
        said["irsa"]["statement"]["policy"],
        format!("inline policy inline of role {role}")
    );
    // An answer without a body has its message as well.
    let head = server.s3(&session, "HEAD", "/first-bucket/hello.txt", b"");
    assert_eq!(head.status, 403);
    assert_eq!(decoded(server, &message(&head))["explicitDeny"], true);
}

#[test]
fn a_session_policy_and_a_boundary_are_named() {
    let world = world();
    let server = &world.server;
    let narrow = policy(
        r#"{"Effect":"Allow","Action":"*","Resource":"*"},{"Sid":"No","Effect":"Deny","Action":"s3:*","Resource":"*"}"#,
    );
    let session = server.assume(&world.admin, "everything", &[("Policy", &narrow)]);
    let response = server.s3(&session, "GET", "/first-bucket/hello.txt", b"");
    let said = decoded(server, &message(&response));
    assert_eq!(said["irsa"]["layer"], "session policy");
    assert_eq!(said["matchedStatements"]["items"][0]["statementId"], "No");
    assert_eq!(
        said["matchedStatements"]["items"][0]["actions"]["items"][0]["value"],
        "s3:*"
    );
}

#[test]
fn only_who_may_decode_and_only_in_the_account() {
    let world = world();
    let server = &world.server;
    let response = server.iam(&world.nobody, "ListUsers", &[]);
    let message = message(&response);
    // The one who was denied can't read why.
    let refused = decode(server, &world.nobody, &message);
    assert_eq!(refused.outcome(), "403 AccessDenied");
    assert_eq!(
        refused.message(),
        format!(
            "User: arn:aws:iam::{ACCOUNT}:user/nobody is not authorized to perform: sts:DecodeAuthorizationMessage because no \
             identity-based policy allows the sts:DecodeAuthorizationMessage action"
        )
    );
    let reader = server.user(
        &server.root,
        &name("reader"),
        Some(&allow("sts:DecodeAuthorizationMessage")),
    );
    let read = decode(server, &reader, &message);
    assert_eq!(read.status, 200, "{}", read.text());
    let record = server.record(&read);
    assert_eq!(record["eventName"], "DecodeAuthorizationMessage");
    assert_eq!(record["readOnly"], true);
    assert!(!record.to_string().contains(&message), "{record}");
    // Another account's root may decode there, not here.
    let foreign = decode(server, &world.other_root, &message);
    assert_eq!(foreign.outcome(), "400 InvalidAuthorizationMessageException");
    assert_eq!(foreign.message(), "Message is not valid");
    // Anonymous callers and expired sessions may not at all.
    let form = [
        ("Action", "DecodeAuthorizationMessage"),
        ("Version", "2011-06-15"),
        ("EncodedMessage", message.as_str()),
    ];
    assert_eq!(
        server.send(&Request::form(&form)).outcome(),
        "403 MissingAuthenticationToken"
    );
    assert_eq!(decode(server, &world.expired, &message).outcome(), "403 ExpiredToken");
}

#[test]
fn what_is_no_message_of_ours_does_not_open() {
    let world = world();
    let server = &world.server;
    let root = &server.root;
    let message = message(&server.iam(&world.nobody, "ListUsers", &[]));
    let last = if message.ends_with('A') { "B" } else { "A" };
    let session = server.assume(&world.admin, "everything", &[]);
    for bad in [
        "x",
        "not base64!",
        &message[1..],
        &message[..message.len() - 1],
        &format!("{}{last}", &message[..message.len() - 1]),
        &format!("{message}\n"),
        &format!("{message}A"),
        session.token.as_deref().unwrap(),
        &"A".repeat(10_240),
    ] {
        let response = decode(server, root, bad);
        assert_eq!(
            response.outcome(),
            "400 InvalidAuthorizationMessageException",
            "{bad}: {}",
            response.text()
        );
        assert!(!server.record(&response).to_string().contains(bad) || bad == "x");
    }
    for (bad, count) in [("", "1"), (&*"A".repeat(10_241), "1")] {
        let response = decode(server, root, bad);
        assert_eq!(response.outcome(), "400 ValidationError", "{}", response.text());
        assert!(response.message().starts_with(&format!("{count} validation error")));
        assert!(!response.text().contains("AAAA"), "{}", response.text());
    }
}

#[test]
fn no_message_where_policy_said_nothing() {
    let world = world();
    let server = &world.server;
    let root = &server.root;
    let anonymous = server.send(&Request::new("GET", "/first-bucket/hello.txt"));
    let forbidden = policy(r#"{"Effect":"Deny","Action":"*","Resource":"*"}"#);
    let stranger = server.user(&world.other_root, &name("stranger"), Some(&forbidden));
    assert_eq!(anonymous.status, 403);
    for response in [
        anonymous,
        server.iam(root, "GetUser", &[("UserName", "nobody")]),
        server.iam(root, "GetUser", &[("UserName", "nonesuch")]),
        server.iam(root, "CreateUser", &[("UserName", "!")]),
        server.iam(&world.expired, "ListUsers", &[]),
        server.s3(root, "GET", "/first-bucket/hello.txt", b""),
        server.s3(root, "GET", "/first-bucket/nonesuch", b""),
        // The trust policy of a role is its account's own affair.
        server.sts(
            &world.nobody,
            "AssumeRole",
            &[
                ("RoleArn", &format!("arn:aws:iam::{ACCOUNT}:role/everything")),
                ("RoleSessionName", "xx"),
            ],
        ),
        // A message would tell whose another account's bucket is.
        server.s3(&world.other_root, "GET", "/first-bucket/hello.txt", b""),
        server.s3(&stranger, "GET", "/first-bucket/hello.txt", b""),
    ] {
        assert!(response.header(HEADER).is_none(), "{response:?}");
    }
}

#[test]
fn a_batch_has_no_message() {
    let world = world();
    let server = &world.server;
    let key = server.user(&server.root, &name("batch"), Some(&allow("s3:ListBucket")));
    let body = br"<Delete><Object><Key>a</Key></Object><Object><Key>b</Key></Object></Delete>";
    let request = Request::new("POST", "/first-bucket?delete=").body(body.as_slice());
    let response = server.signed(request, &key, "s3");
    assert!(response.header(HEADER).is_none(), "{response:?}");
}

#[test]
fn it_says_no_secret_and_stays_small() {
    let world = world();
    let server = &world.server;
    let session = server.assume(&world.admin, "everything", &[("Policy", &allow("s3:ListBucket"))]);
    let key = "k".repeat(1000);
    let request = Request::new("GET", &format!("/first-bucket/{key}"))
        .header("user-agent", &"a very long agent ".repeat(100))
        .header(
            "referer",
            "https://example.com/page?X-Amz-Security-Token=leaked&X-Amz-Signature=leaked#leaked",
        );
    let response = server.signed(request, &session, "s3");
    assert_eq!(response.outcome(), "403 AccessDenied");
    let message = message(&response);
    assert!(message.len() <= 3072, "{}", message.len());
    let said = decoded(server, &message);
    assert_eq!(said["irsa"]["truncated"], true);
    assert_eq!(said["context"]["resource"], format!("arn:aws:s3:::first-bucket/{key}"));
    assert_eq!(condition(&said, "aws:SourceIp"), Some("127.0.0.1"));
    if let Some(referer) = condition(&said, "aws:referer") {
        assert_eq!(referer, "https://example.com/page");
    }
    let text = said.to_string();
    assert!(!text.contains("leaked"), "{text}");
    for secret in secrets() {
        assert!(!text.contains(&secret), "{text}");
    }
}

#[test]
fn a_message_outlives_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path());
    let key = server.user(&server.root, "nobody", None);
    let message = message(&server.iam(&key, "ListUsers", &[]));
    server.stop();
    let server = Server::start(folder.path());
    assert_eq!(decoded(&server, &message)["context"]["action"], "iam:ListUsers");
    server.stop();
    // Another server's keys are others.
    let elsewhere = tempfile::tempdir().unwrap();
    let server = Server::start(elsewhere.path());
    let response = decode(&server, &server.root, &message);
    assert_eq!(response.outcome(), "400 InvalidAuthorizationMessageException");
}
