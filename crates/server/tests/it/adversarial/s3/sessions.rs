//! Sessions that may do less than their role, and sessions that end.

use std::io::{Read, Write};

use crate::client::{Key, Request, connect, read_answer};
use crate::harness::{ACCOUNT, mint, now, policy, role_session, world};
use crate::s3_multipart::{begin, complete, part};

/// Lists, reads and writes below `team-a/`, and nothing else.
const TEAM_A: &str = r#"
    {"Effect":"Allow","Action":"s3:ListBucket","Resource":"arn:aws:s3:::first-bucket","Condition":{"StringLike":{"s3:prefix":"team-a/*"}}},
    {"Effect":"Allow","Action":["s3:GetObject","s3:PutObject","s3:DeleteObject"],"Resource":"arn:aws:s3:::first-bucket/team-a/*"}"#;

#[test]
fn adv_s3_08_a_session_policy_ends_where_its_prefix_ends() {
    let world = world();
    let server = &world.server;
    for key in ["team-a/x", "team-ab/x", "team-b/x", "team-a"] {
        assert_eq!(
            server
                .s3(&world.admin, "PUT", &format!("/first-bucket/{key}"), key.as_bytes())
                .status,
            200
        );
    }
    let document = policy(TEAM_A);
    // The role may do everything; the session may not.
    let session = server.assume(&world.admin, "everything", &[("Policy", &document)]);
    let outcome = |method: &str, target: &str, body: &[u8]| {
        let response = server.s3(&session, method, &format!("/first-bucket{target}"), body);
        server.record(&response);
        response.outcome()
    };
    for target in [
        "?list-type=2&prefix=team-a/",
        "?list-type=2&prefix=team-a/x",
        "?list-type=2&prefix=team-a%2F",
        "?list-type=2&delimiter=/&prefix=team-a/",
        "?prefix=team-a/",
        "?prefix=team-a/&marker=team-a/a",
    ] {
        assert_eq!(outcome("GET", target, b""), "200", "{target}");
    }
    for target in [
        "",
        "?list-type=2",
        "?list-type=2&prefix=",
        "?list-type=2&prefix",
        "?list-type=2&prefix=team-a",
        "?list-type=2&prefix=team-ab/",
        "?list-type=2&prefix=team-b/",
        "?list-type=2&prefix=Team-a/",
        "?list-type=2&prefix=/team-a/",
        "?list-type=2&Prefix=team-a/",
        "?list-type=2&prefix=team-b/&delimiter=team-a/",
        "?list-type=2&start-after=team-a/",
        "?marker=team-a/",
        "?uploads&prefix=team-a/",
        "?delete",
    ] {
        let method = if target == "?delete" { "POST" } else { "GET" };
        let outcome = outcome(method, target, b"");
        assert!(
            outcome == "403 AccessDenied" || outcome.starts_with("400") || outcome.starts_with("501"),
            "{target}: {outcome}"
        );
    }
    for target in [
        "?list-type=2&prefix=team-a/&prefix=team-b/",
        "?list-type=2&prefix=team-b/&prefix=team-a/",
    ] {
        let outcome = outcome("GET", target, b"");
        assert!(
            outcome.starts_with("400") || outcome.starts_with("403"),
            "{target}: {outcome}"
        );
    }
    // A page's token is good within its prefix only.
    let first = server.s3(
        &world.admin,
        "GET",
        "/first-bucket?list-type=2&prefix=team-&max-keys=1",
        b"",
    );
    let token = first.element("NextContinuationToken").unwrap();
    let token = crate::client::encode(&token);
    let next = server.s3(
        &session,
        "GET",
        &format!("/first-bucket?list-type=2&prefix=team-a/&continuation-token={token}"),
        b"",
    );
    assert!(
        !next.text().contains("team-ab/") && !next.text().contains("team-b/"),
        "{}",
        next.text()
    );
    for (key, allowed) in [
        ("team-a/x", true),
        ("team-a/new", true),
        ("team-a/../team-b/x", true),
        ("team-a//x", true),
        ("team-a", false),
        ("team-ab/x", false),
        ("team-b/x", false),
        ("./team-a/x", false),
        ("/team-a/x", false),
        ("TEAM-A/x", false),
    ] {
        for method in ["PUT", "GET", "DELETE"] {
            let outcome = outcome(method, &format!("/{key}"), if method == "PUT" { b"y" } else { b"" });
            assert_eq!(
                outcome == "200" || outcome == "204",
                allowed,
                "{method} {key}: {outcome}"
            );
            assert!(allowed || outcome == "403 AccessDenied", "{method} {key}: {outcome}");
        }
    }
    assert_eq!(
        server.s3(&world.admin, "GET", "/first-bucket/team-b/x", b"").text(),
        "team-b/x"
    );
    // Neither a copy nor a batch leads out.
    for (to, from) in [
        ("team-a/stolen", "first-bucket/team-b/x"),
        ("team-b/x", "first-bucket/team-a/x"),
        ("team-a/s", "first-bucket/team-ab/x"),
    ] {
        let request = Request::new("PUT", &format!("/first-bucket/{to}")).header("x-amz-copy-source", from);
        assert_eq!(
            server.signed(request, &session, "s3").outcome(),
            "403 AccessDenied",
            "{from} to {to}"
        );
    }
    let batch = b"<Delete><Object><Key>team-b/x</Key></Object><Object><Key>team-a/x</Key></Object></Delete>";
    let response = server.s3(&session, "POST", "/first-bucket?delete", batch);
    let text = response.text();
    assert!(text.contains("<Code>AccessDenied</Code><Key>team-b/x</Key>"), "{text}");
    assert!(text.contains("<Deleted><Key>team-a/x</Key>"), "{text}");
    // A session policy gives nothing: the same one for a role that has nothing.
    let name = crate::harness::name("s3-08");
    server.role(&server.root, &name, None);
    let poor = server.assume(&world.admin, &name, &[("Policy", &document)]);
    assert_eq!(
        server.s3(&poor, "GET", "/first-bucket/team-a/x", b"").outcome(),
        "403 AccessDenied"
    );
}

/// A session of the role `everything` that ends after some seconds, and when.
fn ending(seconds: i64) -> (Key, irsa_core::Timestamp) {
    let world = world();
    let mut session = role_session(ACCOUNT, "everything", &world.everything_id);
    session.expires_at = now().plus_seconds(seconds);
    (mint(&world.epoch, &session), session.expires_at)
}

#[test]
fn adv_s3_10_an_upload_that_was_begun_in_time_is_finished_and_nothing_is_begun_after() {
    let world = world();
    let server = &world.server;
    let (key, end) = ending(8);
    let id = begin(server, &key, "/first-bucket/s3-10-parts");
    let first = part(server, &key, "/first-bucket/s3-10-parts", &id, 1, b"part");
    assert_eq!(first.status, 200, "{}", first.text());
    // The server asks for the body when it has decided.
    let content = vec![b'x'; 300_000];
    let request = Request::new("PUT", "/first-bucket/s3-10")
        .body(content.clone())
        .header("expect", "100-continue");
    let bytes = request.sign(&server.host, &key, "s3").bytes(&server.host);
    let (head, body) = bytes.split_at(bytes.len() - content.len());
    let mut stream = connect(&server.host);
    stream.write_all(head).unwrap();
    let mut asked = [0; 25];
    stream.read_exact(&mut asked).unwrap();
    assert!(
        asked.starts_with(b"HTTP/1.1 100"),
        "{}",
        String::from_utf8_lossy(&asked)
    );
    stream.write_all(&body[..150_000]).unwrap();
    // What is waited for is the clock itself.
    while now() <= end {
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    stream.write_all(&body[150_000..]).unwrap();
    let response = read_answer(&mut stream, false).unwrap();
    assert_eq!(response.status, 200, "{}", response.text());
    server.record(&response);
    assert_eq!(server.s3(&world.admin, "GET", "/first-bucket/s3-10", b"").body, content);
    // The next request is denied, also one that goes on with what was begun.
    for response in [
        server.s3(&key, "GET", "/first-bucket/s3-10", b""),
        server.s3(&key, "PUT", "/first-bucket/s3-10", b"y"),
        part(server, &key, "/first-bucket/s3-10-parts", &id, 2, b"late"),
        complete(server, &key, "/first-bucket/s3-10-parts", &id, &[&first]),
    ] {
        assert_eq!(response.outcome(), "400 ExpiredToken", "{}", response.text());
        server.record(&response);
    }
    assert_eq!(
        server
            .s3(&world.admin, "GET", "/first-bucket/s3-10-parts", b"")
            .outcome(),
        "404 NoSuchKey"
    );
    assert_eq!(server.s3(&world.admin, "GET", "/first-bucket/s3-10", b"").body, content);
}
