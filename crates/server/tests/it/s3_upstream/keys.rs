//! Names of objects: which go on and how, and what is neither here nor there.

use irsa_server::S3UpstreamConfig;

use super::store::{Store, error, ok};
use super::{UPSTREAM_SECRET, before, start_as, upstream_config, user};
use crate::client::Request;
use crate::harness::ALLOW_ALL;

#[test]
fn keys_arrive_as_they_were_decided() {
    let store = Store::new(|seen| {
        if seen.line().contains("?tagging=") {
            return error(404, "NoSuchKey");
        }
        ok(&[], b"x")
    });
    let (_folder, server) = start_as(S3UpstreamConfig {
        literal_keys: true,
        ..upstream_config(&[store.url()])
    });
    let reader = user(
        &server,
        r#"{"Effect":"Allow","Action":"s3:GetObject","Resource":"arn:aws:s3:::data/pub/*"}"#,
    );
    for (sent, arrives) in [
        ("/data/pub/a+b", "/data/pub/a%2Bb"),
        ("/data/pub/a%20b", "/data/pub/a%20b"),
        ("/data/pub/%61", "/data/pub/a"),
        ("/data/pub//a", "/data/pub//a"),
        ("/data/pub/../x", "/data/pub/../x"),
        ("/data/pub/%2e%2e%2fx", "/data/pub/../x"),
        ("/data/pub/%C3%A4", "/data/pub/%C3%A4"),
        ("/data/pub/100%25", "/data/pub/100%25"),
        ("/data/pub/%252e", "/data/pub/%252e"),
        ("/data/pub/a%3Fversions%23", "/data/pub/a%3Fversions%23"),
        ("/data/pub/%0d%0ax", "/data/pub/%0D%0Ax"),
        ("/data/pub/;a=b", "/data/pub/%3Ba%3Db"),
    ] {
        let answer = server.s3(&reader, "GET", sent, b"");
        assert_eq!(answer.status, 200, "{sent}: {}", answer.text());
        assert_eq!(store.last().line(), format!("GET {arrives} HTTP/1.1"), "{sent}");
        store.last().verify(UPSTREAM_SECRET, "eu-west-1");
    }
    let known = store.seen().len();
    for (sent, outcome) in [
        ("/data/priv/../pub/a", "403 AccessDenied"),
        ("/data//pub/a", "403 AccessDenied"),
        ("/data/./pub/a", "403 AccessDenied"),
        ("/data/pub%2", "403 AccessDenied"),
        ("/data/pub/%ff", "400 InvalidURI"),
        (&format!("/data/pub/{}", "a".repeat(1021)), "400 KeyTooLongError"),
    ] {
        let answer = server.s3(&reader, "GET", sent, b"");
        assert_eq!(answer.outcome(), outcome, "{sent}: {}", answer.text());
    }
    assert_eq!(store.seen().len(), known);
    // What is copied is named as it is too.
    let copier = user(
        &server,
        r#"{"Effect":"Allow","Action":["s3:GetObject","s3:PutObject"],"Resource":["arn:aws:s3:::data/pub/*","arn:aws:s3:::out/*"]}"#,
    );
    let copy = Request::new("PUT", "/out/k").header("x-amz-copy-source", "data/pub/../priv");
    server.signed(copy, &copier, "s3");
    let put = store.last();
    assert_eq!(
        (put.line(), put.header("x-amz-copy-source")),
        ("PUT /out/k HTTP/1.1", "/data/pub/../priv")
    );
}

#[test]
fn keys_that_a_store_may_read_in_two_ways_stay_here() {
    let store = Store::new(|_| ok(&[], b"<DeleteResult><Deleted><Key>a</Key></Deleted></DeleteResult>"));
    let (_folder, server) = before(&store);
    let admin = user(&server, ALLOW_ALL);
    for key in [
        "../other/secret",
        "%2e%2e/other/secret",
        "a/..%2f..%2fother/secret",
        "a/./b",
        "a//b",
        "/a",
        "a/..",
        ".",
        "a%5cb",
        "a%00b",
    ] {
        for (method, query) in [
            ("GET", ""),
            ("HEAD", ""),
            ("PUT", ""),
            ("DELETE", ""),
            ("GET", "?tagging"),
            ("POST", "?uploads"),
        ] {
            let answer = server.s3(&admin, method, &format!("/data/{key}{query}"), b"");
            assert_eq!(answer.status, 400, "{method} {key}{query}: {}", answer.text());
            if method == "GET" {
                assert_eq!(answer.code(), "InvalidURI");
                assert!(
                    answer.message().contains("--s3-upstream-literal-keys"),
                    "{}",
                    answer.message()
                );
                assert_eq!(server.record(&answer)["errorCode"], "InvalidURI");
            }
        }
        let copy = Request::new("PUT", "/data/copy").header("x-amz-copy-source", &format!("data/{key}"));
        let answer = server.signed(copy, &admin, "s3");
        assert_eq!(answer.outcome(), "400 InvalidURI", "{key}: {}", answer.text());
    }
    for prefix in ["..%2f", "a%2f..%2fb", "%2f", "..", "a%2f%2f"] {
        for target in [
            format!("/data?list-type=2&prefix={prefix}"),
            format!("/data?versions&prefix={prefix}"),
        ] {
            let answer = server.s3(&admin, "GET", &target, b"");
            assert_eq!(answer.outcome(), "400 InvalidURI", "{target}: {}", answer.text());
        }
    }
    assert_eq!(store.seen().len(), 0);
    // Of a batch, the others go.
    let body = "<Delete><Object><Key>a</Key></Object><Object><Key>a/../b</Key><ETag>\"e\"</ETag></Object></Delete>";
    let answer = server.s3(&admin, "POST", "/data?delete", body.as_bytes());
    let text = answer.text();
    assert!(text.contains("<Deleted><Key>a</Key>"), "{text}");
    assert!(text.contains("<Key>a/../b</Key><Code>InvalidURI</Code>"), "{text}");
    assert!(!String::from_utf8(store.last().body).unwrap().contains(".."));
    for target in [
        "/data/a/",
        "/data/.a/b..",
        "/data/%252e%252e/a",
        "/data?list-type=2&prefix=a%2F.",
    ] {
        assert_eq!(server.s3(&admin, "GET", target, b"").status, 200, "{target}");
    }
}

#[test]
fn acls_are_off_wherever_the_object_is() {
    let store = Store::new(|seen| {
        if seen.line().contains("missing") {
            return b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\nconnection: close\r\n\r\n".to_vec();
        }
        ok(&[("x-amz-acl", "theirs")], b"")
    });
    let (_folder, server) = before(&store);
    let admin = user(&server, ALLOW_ALL);
    let told = server.s3(&admin, "GET", "/data/k?acl", b"");
    assert_eq!(told.outcome(), "200", "{}", told.text());
    let text = told.text();
    assert_eq!(text.matches("<Permission>").count(), 1, "{text}");
    assert!(text.contains("<Permission>FULL_CONTROL</Permission>"), "{text}");
    let owner = told.element("ID").unwrap();
    assert_eq!(text.matches(&owner).count(), 2, "the owner alone: {text}");
    let of_bucket = server.s3(&admin, "GET", "/data?acl", b"").element("ID").unwrap();
    assert_eq!(owner, of_bucket);
    let lines: Vec<String> = store.seen().iter().map(|seen| seen.line().to_owned()).collect();
    assert_eq!(lines, ["HEAD /data/k HTTP/1.1", "HEAD /data HTTP/1.1"]);
    let record = server.record(&told);
    assert_eq!(
        (&record["eventName"], &record["readOnly"]),
        (&"GetObjectAcl".into(), &true.into())
    );
    assert_eq!(
        server.s3(&admin, "GET", "/data/missing?acl", b"").outcome(),
        "404 NoSuchKey"
    );
    server.s3(&admin, "GET", "/data/k?acl&versionId=v1", b"");
    assert_eq!(store.last().line(), "HEAD /data/k?versionId=v1 HTTP/1.1");
    // None can be set, and nobody is asked to.
    let known = store.seen().len();
    for acl in ["public-read", "private", "bucket-owner-full-control"] {
        let put = Request::new("PUT", "/data/k?acl").header("x-amz-acl", acl);
        let answer = server.signed(put, &admin, "s3");
        assert_eq!(
            answer.outcome(),
            "400 AccessControlListNotSupported",
            "{acl}: {}",
            answer.text()
        );
    }
    for (action, method, target) in [
        ("s3:GetObjectAcl", "GET", "/data/k?acl"),
        ("s3:GetObjectVersionAcl", "GET", "/data/k?acl&versionId=v1"),
        ("s3:PutObjectAcl", "PUT", "/data/k?acl"),
    ] {
        let all_but = server.user(
            &server.root,
            &crate::harness::name("acl"),
            Some(&crate::harness::allow_all_but(action)),
        );
        let denied = server.s3(&all_but, method, target, b"");
        assert_eq!(denied.outcome(), "403 AccessDenied");
        assert!(denied.text().contains(action), "{}", denied.text());
    }
    assert_eq!(store.seen().len(), known);
}

#[test]
fn a_condition_that_no_store_has_is_not_sent_on() {
    let store = Store::new(|_| ok(&[], b""));
    let (_folder, server) = before(&store);
    let admin = user(&server, ALLOW_ALL);
    for (method, target) in [("PUT", "/data/k"), ("POST", "/data/k?uploadId=u")] {
        let request = Request::new(method, target).header("if-none-match", "\"e\"").body("x");
        let answer = server.signed(request, &admin, "s3");
        assert_eq!(answer.outcome(), "501 NotImplemented", "{method}: {}", answer.text());
    }
    assert_eq!(store.seen().len(), 0);
    let absent = Request::new("PUT", "/data/k").header("if-none-match", "*").body("x");
    assert_eq!(server.signed(absent, &admin, "s3").status, 200);
    assert_eq!(store.last().header("if-none-match"), "*");
}
