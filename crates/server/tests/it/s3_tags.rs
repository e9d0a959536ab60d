//! Tags of objects through the whole pipeline: actions of their own, and what policies can say about them.

use crate::client::{Key, Request};
use crate::harness::{Server, name, policy, world};

fn user(server: &Server, statements: &str) -> Key {
    server.user(&server.root, &name("tags"), Some(&policy(statements)))
}

fn put_tagged(server: &Server, key: &Key, path: &str, tags: &str) -> crate::client::Response {
    let request = Request::new("PUT", path).header("x-amz-tagging", tags).body("content");
    server.signed(request, key, "s3")
}

const TAGS: &[u8] = b"<Tagging><TagSet><Tag><Key>team</Key><Value>red</Value></Tag></TagSet></Tagging>";

#[test]
fn adv_s3_06_what_belongs_to_an_object_has_actions_of_its_own() {
    let world = world();
    let server = &world.server;
    let path = format!("/first-bucket/{}", name("sub"));
    assert_eq!(put_tagged(server, &world.admin, &path, "team=blue").status, 200);
    let everything_but = |actions: &str| {
        user(
            server,
            &format!(
                r#"{{"Effect":"Allow","Action":"s3:*","Resource":"*"}},{{"Effect":"Deny","Action":[{actions}],"Resource":"*"}}"#
            ),
        )
    };
    let content_only = user(
        server,
        r#"{"Effect":"Allow","Action":["s3:GetObject","s3:PutObject","s3:DeleteObject","s3:ListBucket"],"Resource":"*"}"#,
    );
    // Content is one thing, what belongs to it another.
    for (method, query, body, action, event) in [
        ("GET", "tagging", &b""[..], "s3:GetObjectTagging", "GetObjectTagging"),
        ("PUT", "tagging", TAGS, "s3:PutObjectTagging", "PutObjectTagging"),
        (
            "DELETE",
            "tagging",
            b"",
            "s3:DeleteObjectTagging",
            "DeleteObjectTagging",
        ),
    ] {
        for key in [&content_only, &everything_but(&format!("\"{action}\""))] {
            let response = server.s3(key, method, &format!("{path}?{query}"), body);
            assert_eq!(
                response.outcome(),
                "403 AccessDenied",
                "{method} {query}: {}",
                response.text()
            );
            assert!(response.message().contains(action), "{}", response.message());
            let record = server.record(&response);
            assert_eq!(
                (record["eventName"].as_str(), record["eventCategory"].as_str()),
                (Some(event), Some("Data"))
            );
        }
        // And the other way: this action alone is enough.
        let only = user(
            server,
            &format!(r#"{{"Effect":"Allow","Action":"{action}","Resource":"*"}}"#),
        );
        let response = server.s3(&only, method, &format!("{path}?{query}"), body);
        assert!(response.status < 300, "{method}: {}", response.text());
        assert_eq!(server.s3(&only, "GET", &path, b"").outcome(), "403 AccessDenied");
    }
    let attributes = |key: &Key| {
        let request = Request::new("GET", &format!("{path}?attributes")).header("x-amz-object-attributes", "ETag");
        server.signed(request, key, "s3").status
    };
    assert_eq!(attributes(&content_only), 403);
    assert_eq!(attributes(&everything_but("\"s3:GetObject\"")), 403);
    assert_eq!(attributes(&world.admin), 200);
    // A write that brings tags is two actions.
    assert_eq!(
        put_tagged(server, &content_only, &path, "a=b").outcome(),
        "403 AccessDenied"
    );
    let begin = Request::new("POST", &format!("{path}?uploads")).header("x-amz-tagging", "a=b");
    assert_eq!(server.signed(begin, &content_only, "s3").outcome(), "403 AccessDenied");
    for method in ["GET", "PUT"] {
        let acl = server.s3(&content_only, method, &format!("{path}?acl"), b"");
        assert_eq!(acl.outcome(), "403 AccessDenied", "{}", acl.text());
    }
    // What is not done is refused, and never taken for the object itself.
    for (method, query) in [
        ("GET", "legal-hold"),
        ("PUT", "legal-hold"),
        ("GET", "retention"),
        ("PUT", "retention"),
        ("GET", "versionId=1"),
        ("DELETE", "versionId=1"),
        ("GET", "tagging&versionId=1"),
        ("DELETE", "tagging&versionId=1"),
        ("DELETE", "acl"),
    ] {
        let response = server.s3(&content_only, method, &format!("{path}?{query}"), b"");
        assert!(
            response.status == 501 || response.status == 400,
            "{method} {query}: {} {}",
            response.status,
            response.text()
        );
        assert!(!response.text().contains("content"));
    }
    assert_eq!(server.s3(&content_only, "GET", &path, b"").text(), "content");
}

#[test]
fn policies_can_name_the_tags_that_are_there_and_those_that_come() {
    let world = world();
    let server = &world.server;
    let (open, closed) = (
        format!("/first-bucket/{}", name("open")),
        format!("/first-bucket/{}", name("closed")),
    );
    assert_eq!(
        put_tagged(server, &world.admin, &open, "access=open&team=blue").status,
        200
    );
    assert_eq!(put_tagged(server, &world.admin, &closed, "access=none").status, 200);
    let reader = user(
        server,
        r#"{"Effect":"Allow","Action":["s3:GetObject","s3:PutObjectTagging"],"Resource":"*",
            "Condition":{"StringEquals":{"s3:ExistingObjectTag/access":"open"}}}"#,
    );
    for method in ["GET", "HEAD"] {
        assert_eq!(server.s3(&reader, method, &open, b"").status, 200);
        assert_eq!(server.s3(&reader, method, &closed, b"").status, 403);
        assert_eq!(server.s3(&reader, method, "/first-bucket/hello.txt", b"").status, 403);
    }
    // Copies read too, in one piece and in parts.
    let copier = user(
        server,
        r#"{"Effect":"Allow","Action":"s3:*","Resource":"*"},{"Effect":"Deny","Action":"s3:GetObject","Resource":"*",
            "Condition":{"StringNotEquals":{"s3:ExistingObjectTag/access":"open"}}}"#,
    );
    let begun = server.s3(&copier, "POST", "/first-bucket/copied?uploads", b"");
    let id = begun.element("UploadId").unwrap();
    for target in [
        "/first-bucket/copied".to_owned(),
        format!("/first-bucket/copied?partNumber=1&uploadId={id}"),
    ] {
        for (from, status) in [(&open, 200), (&closed, 403)] {
            let request = Request::new("PUT", &target).header("x-amz-copy-source", from);
            let response = server.signed(request, &copier, "s3");
            assert_eq!(response.status, status, "{target} {from}: {}", response.text());
        }
    }
    // Who may only tag what is open cannot open what is closed.
    let retag = |path: &str| server.s3(&reader, "PUT", &format!("{path}?tagging"), TAGS).status;
    assert_eq!((retag(&closed), retag(&open)), (403, 200));
    assert_eq!(server.s3(&reader, "GET", &open, b"").status, 403);
    // Tags that come.
    let writer = user(
        server,
        r#"{"Effect":"Allow","Action":["s3:PutObject","s3:PutObjectTagging"],"Resource":"*","Condition":{
            "StringEquals":{"s3:RequestObjectTag/team":"blue"},"ForAllValues:StringEquals":{"s3:RequestObjectTagKeys":["team","zone"]}}}"#,
    );
    let path = format!("/first-bucket/{}", name("new"));
    for (tags, status) in [
        ("team=blue", 200),
        ("team=blue&zone=1", 200),
        ("team=red", 403),
        ("zone=1", 403),
        ("team=blue&other=1", 403),
        ("Team=blue", 403),
    ] {
        let response = put_tagged(server, &writer, &path, tags);
        assert_eq!(response.status, status, "{tags}: {}", response.text());
    }
    assert_eq!(server.s3(&writer, "PUT", &path, b"untagged").status, 403);
    assert_eq!(server.s3(&writer, "PUT", &format!("{path}?tagging"), TAGS).status, 403);
}
