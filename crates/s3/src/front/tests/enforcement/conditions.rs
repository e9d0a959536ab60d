//! Writes that depend on the object that is there, and what a bucket is made with.

use super::*;

/// The MD5 of `hello`, quoted.
const HELLO: &str = "\"5d41402abc4b2a76b9719d911017c592\"";

#[tokio::test]
async fn a_condition_on_what_is_there_needs_the_right_to_read_it() {
    let server = Server::with_bucket().await;
    server.put("a", "hello").await;
    let blind = Script::only(&["s3:PutObject", "s3:DeleteObject"]);
    let same = "\"5d41402abc4b2a76b9719d911017c592\"";
    for (method, value) in [("PUT", same), ("PUT", "*"), ("DELETE", same)] {
        let guess = request(method, "/my-bucket/a", &[("if-match", value)], "");
        let answer = server.send(&blind, guess).await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN, "{method} {value}");
        assert!(answer.text.contains("s3:GetObject"), "{}", answer.text);
    }
    let body = "<Delete><Object><Key>a</Key><ETag>\"5d41402abc4b2a76b9719d911017c592\"</ETag></Object></Delete>";
    let answer = server.call(&blind, "POST", "/my-bucket?delete", body).await;
    // The key was allowed and not deleted, and the record must say so.
    assert_eq!(codes(&answer), [("a", Some("AccessDenied"))]);
    let stale = body
        .replace("5d41", "0000")
        .replace("</Delete>", "<Object><Key>b</Key></Object></Delete>");
    let failed = server.call(&Script::all(), "POST", "/my-bucket?delete", &stale).await;
    assert_eq!(codes(&failed), [("a", Some("PreconditionFailed")), ("b", None)]);
    assert!(answer.element("Error").contains("s3:GetObject"), "{}", answer.text);
    assert_eq!(
        server.call(&Script::all(), "GET", "/my-bucket/a", "").await.text,
        "hello"
    );

    // And whether there is anything is for those to know who may list.
    let reader = Script::only(&["s3:PutObject", "s3:GetObject"]);
    let copied = [("if-match", "*"), ("x-amz-copy-source", "my-bucket/a")];
    for headers in [&copied[..1], &copied] {
        let probe = request("PUT", "/my-bucket/missing", headers, "");
        assert_eq!(server.send(&reader, probe).await.status, StatusCode::FORBIDDEN);
    }
}

#[tokio::test]
async fn a_condition_in_a_batch_sees_the_tags_that_the_object_has() {
    let server = Server::with_bucket().await;
    let secret = request("PUT", "/my-bucket/a", &[("x-amz-tagging", "class=secret")], "hello");
    assert_eq!(server.send(&Script::all(), secret).await.status, StatusCode::OK);
    server.put("b", "hello").await;
    let guarded = Script::new(|target| {
        target.action != "s3:GetObject" || target.condition("s3:ExistingObjectTag/class") != Some("secret")
    });
    let body = |key: &str| format!("<Delete><Object><Key>{key}</Key><ETag>{HELLO}</ETag></Object></Delete>");
    let answer = server.call(&guarded, "POST", "/my-bucket?delete", &body("a")).await;
    assert_eq!(codes(&answer), [("a", Some("AccessDenied"))]);
    assert_eq!(
        server.call(&Script::all(), "HEAD", "/my-bucket/a", "").await.status,
        StatusCode::OK
    );
    let answer = server.call(&guarded, "POST", "/my-bucket?delete", &body("b")).await;
    assert_eq!(codes(&answer), [("b", None)]);
}

#[tokio::test]
async fn a_copy_keeps_the_condition_on_what_it_would_replace() {
    let server = Server::with_bucket().await;
    server.put("source", "new").await;
    server.put("a", "hello").await;
    let copy = |condition: (&'static str, &str), to: &str| {
        request(
            "PUT",
            &format!("/my-bucket/{to}"),
            &[("x-amz-copy-source", "my-bucket/source"), condition],
            "",
        )
    };
    let writer = Script::new(|target| target.action != "s3:GetObject" || target.key.as_deref() == Some("source"));
    let blind = server.send(&writer, copy(("if-match", HELLO), "a")).await;
    assert_eq!(blind.code(), "AccessDenied", "{}", blind.text);
    assert!(blind.text.contains("s3:GetObject"), "{}", blind.text);
    let stale = "\"00000000000000000000000000000000\"";
    for (condition, to, outcome) in [
        (("if-match", stale), "a", "PreconditionFailed"),
        (("if-none-match", "*"), "a", "PreconditionFailed"),
        (("if-match", HELLO), "missing", "NoSuchKey"),
        (("if-none-match", HELLO), "a", "NotImplemented"),
        (("if-match", "hello"), "a", "PreconditionFailed"),
    ] {
        let answer = server.send(&Script::all(), copy(condition, to)).await;
        assert_eq!(answer.code(), outcome, "{condition:?}: {}", answer.text);
        let unharmed = server.call(&Script::all(), "GET", "/my-bucket/a", "").await;
        assert_eq!(unharmed.text, "hello", "{condition:?}");
    }
    for (condition, to) in [(("if-match", HELLO), "a"), (("if-none-match", "*"), "fresh")] {
        let answer = server.send(&Script::all(), copy(condition, to)).await;
        assert_eq!(answer.status, StatusCode::OK, "{condition:?}: {}", answer.text);
        let copied = server
            .call(&Script::all(), "GET", &format!("/my-bucket/{to}"), "")
            .await;
        assert_eq!(copied.text, "new");
    }
}

#[tokio::test]
async fn a_bucket_is_made_with_what_its_maker_may_set() {
    let server = Server::new();
    let owned = [("x-amz-object-ownership", "BucketOwnerEnforced")];
    let maker = Script::only(&["s3:CreateBucket"]);
    let answer = server.send(&maker, request("PUT", "/one-bucket", &owned, "")).await;
    assert_eq!(answer.code(), "AccessDenied", "{}", answer.text);
    assert!(answer.text.contains("s3:PutBucketOwnershipControls"), "{}", answer.text);
    let owner = Script::only(&["s3:CreateBucket", "s3:PutBucketOwnershipControls"]);
    let answer = server.send(&owner, request("PUT", "/one-bucket", &owned, "")).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
    assert_eq!(
        owner.questions(),
        [
            ("s3:CreateBucket", "arn:aws:s3:::one-bucket".to_owned()),
            ("s3:PutBucketOwnershipControls", "arn:aws:s3:::one-bucket".to_owned()),
        ]
    );
    // What a document asks for besides is not passed over.
    for (inner, code) in [
        ("<Tags><Tag><Key>a</Key><Value>b</Value></Tag></Tags>", "NotImplemented"),
        ("<Location><Type>AvailabilityZone</Type></Location>", "NotImplemented"),
        ("<Bucket><Type>Directory</Type></Bucket>", "NotImplemented"),
        ("<ObjectLock>true</ObjectLock>", "MalformedXML"),
        (
            "<LocationConstraint>eu-west-1</LocationConstraint><LocationConstraint>us-east-2</LocationConstraint>",
            "MalformedXML",
        ),
    ] {
        let body = format!("<CreateBucketConfiguration>{inner}</CreateBucketConfiguration>");
        let answer = server.call(&Script::all(), "PUT", "/two-bucket", &body).await;
        assert_eq!(answer.code(), code, "{inner}: {}", answer.text);
    }
    let missing = server.call(&Script::all(), "HEAD", "/two-bucket", "").await;
    assert_eq!(missing.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn what_can_be_read_in_two_ways_is_not_read() {
    let server = Server::with_bucket().await;
    server.put("a", "hello").await;
    // For one reader this is no version, for another it is one.
    let empty = "<Delete><Object><Key>a</Key><VersionId></VersionId></Object></Delete>";
    let answer = server.call(&Script::all(), "POST", "/my-bucket?delete", empty).await;
    assert_eq!(answer.code(), "InvalidArgument", "{}", answer.text);
    let kept = server.call(&Script::all(), "GET", "/my-bucket/a", "").await;
    assert_eq!(kept.text, "hello");
    // Tags that no header can have: nobody could say which are decided.
    let tagging = HeaderValue::from_bytes("team=b\u{e4}r".as_bytes()).unwrap();
    let copied = [
        ("x-amz-copy-source", "my-bucket/a"),
        ("x-amz-tagging-directive", "REPLACE"),
    ];
    for headers in [&[][..], &copied] {
        let mut write = request("PUT", "/my-bucket/b", headers, "");
        write.headers_mut().insert("x-amz-tagging", tagging.clone());
        let script = Script::all();
        let answer = server.send(&script, write).await;
        assert_eq!(answer.code(), "InvalidArgument", "{headers:?}: {}", answer.text);
        assert_eq!(script.questions(), []);
    }
    // Nor where they would have no effect.
    let mut copy = request("PUT", "/my-bucket/b", &copied[..1], "");
    copy.headers_mut().insert("x-amz-tagging", tagging);
    let answer = server.send(&Script::all(), copy).await;
    assert_eq!(answer.code(), "InvalidArgument", "{}", answer.text);
    let missing = server.call(&Script::all(), "HEAD", "/my-bucket/b", "").await;
    assert_eq!(missing.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn the_list_of_an_uploads_parts_is_the_one_that_was_sent() {
    let server = Server::with_bucket().await;
    let begun = server.call(&Script::all(), "POST", "/my-bucket/a?uploads", "").await;
    let uri = format!("/my-bucket/a?uploadId={}", begun.element("UploadId"));
    let wrong = [("content-md5", "BwcHBwcHBwcHBwcHBwcHBw==")];
    let list = "<CompleteMultipartUpload></CompleteMultipartUpload>";
    let answer = server.send(&Script::all(), request("POST", &uri, &wrong, list)).await;
    assert_eq!(answer.code(), "BadDigest", "{}", answer.text);
}
