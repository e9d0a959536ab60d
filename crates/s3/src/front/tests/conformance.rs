//! Buckets and listings, on the wire.

use super::*;

#[tokio::test]
async fn a_bucket_s_life() {
    let server = Server::new();
    let all = Script::all();
    let created = server.call(&all, "PUT", "/my-bucket", "").await;
    assert_eq!(created.status, StatusCode::OK, "{}", created.text);
    assert_eq!(created.header("location"), "/my-bucket");
    assert_eq!(created.header("x-amz-request-id"), "REQ1");
    assert_eq!(created.header("x-amz-id-2"), "HOST1");
    assert_eq!(server.buckets.get("my-bucket").unwrap().created, FixedClock.now());

    let head = server.call(&all, "HEAD", "/my-bucket", "").await;
    assert_eq!(
        (head.status, head.header("x-amz-bucket-region")),
        (StatusCode::OK, "us-east-1")
    );
    let location = server.call(&all, "GET", "/my-bucket?location", "").await;
    assert!(
        location.text.contains("LocationConstraint") && !location.text.contains("us-east-1"),
        "{}",
        location.text
    );

    let listed = server.call(&all, "GET", "/", "").await;
    assert_eq!(listed.elements("Name"), ["my-bucket"]);
    assert_eq!(listed.element("CreationDate"), "2026-01-02T03:04:05.000Z");

    server.put("a", "x").await;
    let full = server.call(&all, "DELETE", "/my-bucket", "").await;
    assert_eq!((full.status, full.code()), (StatusCode::CONFLICT, "BucketNotEmpty"));
    assert_eq!(full.element("BucketName"), "my-bucket");
    server.call(&all, "DELETE", "/my-bucket/a", "").await;
    let gone = server.call(&all, "DELETE", "/my-bucket", "").await;
    assert_eq!(gone.status, StatusCode::NO_CONTENT, "{}", gone.text);
    for (method, uri) in [
        ("GET", "/my-bucket"),
        ("PUT", "/my-bucket/a"),
        ("DELETE", "/my-bucket"),
        ("GET", "/my-bucket/a"),
    ] {
        let answer = server.call(&all, method, uri, "").await;
        assert_eq!(
            (answer.status, answer.code()),
            (StatusCode::NOT_FOUND, "NoSuchBucket"),
            "{method} {uri}"
        );
        assert_eq!(answer.element("Message"), "The specified bucket does not exist");
    }
    let head = server.call(&all, "HEAD", "/my-bucket", "").await;
    assert_eq!((head.status, head.text.as_str()), (StatusCode::NOT_FOUND, ""));
    // The name is free again, and the new bucket takes objects.
    assert_eq!(server.call(&all, "PUT", "/my-bucket", "").await.status, StatusCode::OK);
    server.put("a", "y").await;
}

#[tokio::test]
async fn names_are_unique_over_accounts() {
    let server = Server::new();
    server.bucket("theirs", 444_455_556_666).await;
    let all = Script::all();
    let theirs = server.call(&all, "PUT", "/theirs", "").await;
    assert_eq!(
        (theirs.status, theirs.code()),
        (StatusCode::CONFLICT, "BucketAlreadyExists")
    );
    assert_eq!(server.call(&all, "PUT", "/mine", "").await.status, StatusCode::OK);
    // In the classic region, making one's own bucket again succeeds; elsewhere it does not.
    assert_eq!(server.call(&all, "PUT", "/mine", "").await.status, StatusCode::OK);
    let listed = server.call(&all, "GET", "/", "").await;
    assert_eq!(listed.elements("Name"), ["mine"]);
    let elsewhere = Server::in_region("eu-central-1");
    assert_eq!(elsewhere.call(&all, "PUT", "/mine", "").await.status, StatusCode::OK);
    let again = elsewhere.call(&all, "PUT", "/mine", "").await;
    assert_eq!(
        (again.status, again.code()),
        (StatusCode::CONFLICT, "BucketAlreadyOwnedByYou")
    );
    let location = elsewhere.call(&all, "GET", "/mine?location", "").await;
    assert!(location.text.contains(">eu-central-1<"), "{}", location.text);
    let anonymous = Arc::new(Script {
        account: None,
        allow: Box::new(|_| true),
        asked: Mutex::default(),
    });
    assert_eq!(
        server.call(&anonymous, "PUT", "/nobodys", "").await.code(),
        "AccessDenied"
    );
    assert_eq!(server.call(&anonymous, "GET", "/", "").await.code(), "AccessDenied");
}

#[tokio::test]
async fn where_a_bucket_is_made() {
    let server = Server::new();
    let configuration = |region: &str| {
        format!(
            "<CreateBucketConfiguration xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">\
             <LocationConstraint>{region}</LocationConstraint></CreateBucketConfiguration>"
        )
    };
    let script = Script::all();
    let answer = server
        .call(&script, "PUT", "/in-ireland", &configuration("eu-west-1"))
        .await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
    assert_eq!(server.buckets.get("in-ireland").unwrap().region, "eu-west-1");
    assert_eq!(
        script.asked.lock().unwrap()[0].condition("s3:locationconstraint"),
        Some("eu-west-1")
    );
    for bad in ["us-east-1", "nowhere", "eu_west_1", "", "../x-1"] {
        let answer = server.call(&script, "PUT", "/other-one", &configuration(bad)).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{bad}: {}", answer.text);
    }
    for bad in ["xn--abc", "a-s3alias"] {
        let answer = server.call(&script, "PUT", &format!("/{bad}"), "").await;
        assert_eq!(answer.code(), "InvalidBucketName", "{bad}");
    }
    assert_eq!(
        server
            .call(&script, "PUT", "/other-one", "<CreateBucketConfiguration>")
            .await
            .code(),
        "MalformedXML"
    );
}

#[tokio::test]
async fn buckets_are_listed_in_pages() {
    let server = Server::new();
    for name in ["log-a", "log-b", "log-c", "web"] {
        server.bucket(name, 111_122_223_333).await;
    }
    let all = Script::all();
    let first = server.call(&all, "GET", "/?max-buckets=2&prefix=log-", "").await;
    assert_eq!(first.elements("Name"), ["log-a", "log-b"]);
    let token = first.element("ContinuationToken");
    let second = server
        .call(
            &all,
            "GET",
            &format!("/?max-buckets=2&prefix=log-&continuation-token={token}"),
            "",
        )
        .await;
    assert_eq!(second.elements("Name"), ["log-c"]);
    assert_eq!(second.element("ContinuationToken"), "");
}

#[tokio::test]
async fn objects_are_listed_in_pages_by_both_versions() {
    let server = Server::with_bucket().await;
    let all = Script::all();
    for key in ["a", "a/b", "dir/1", "dir/2", "z z&<"] {
        server
            .put(
                &percent_encoding::utf8_percent_encode(key, percent_encoding::NON_ALPHANUMERIC).to_string(),
                "12345",
            )
            .await;
    }
    let everything = server.call(&all, "GET", "/my-bucket?list-type=2", "").await;
    assert_eq!(
        everything.elements("Key"),
        ["a", "a/b", "dir/1", "dir/2", "z z&amp;&lt;"]
    );
    assert_eq!(everything.element("KeyCount"), "5");
    assert_eq!(everything.element("MaxKeys"), "1000");
    assert_eq!(everything.element("IsTruncated"), "false");
    assert_eq!(everything.element("Size"), "5");
    assert_eq!(everything.element("StorageClass"), "STANDARD");
    assert_eq!(everything.element("LastModified"), "2026-01-02T03:04:05.000Z");
    assert!(everything.element("Owner").is_empty());

    // Version 2, one entry a page.
    let mut seen = Vec::new();
    let mut token = String::new();
    loop {
        let uri = format!("/my-bucket?list-type=2&delimiter=/&max-keys=1&encoding-type=url{token}");
        let page = server.call(&all, "GET", &uri, "").await;
        let prefixes = page.elements("CommonPrefixes");
        seen.extend(page.elements("Key").into_iter().map(str::to_owned));
        seen.extend(prefixes.into_iter().map(str::to_owned));
        if page.element("IsTruncated") == "false" {
            break;
        }
        token = format!("&continuation-token={}", page.element("NextContinuationToken"));
    }
    assert_eq!(
        seen,
        ["a", "<Prefix>a/</Prefix>", "<Prefix>dir/</Prefix>", "z%20z%26%3C"]
    );

    // Version 1, with markers.
    let page = server.call(&all, "GET", "/my-bucket?delimiter=/&max-keys=2", "").await;
    assert_eq!(
        (page.element("IsTruncated"), page.element("NextMarker")),
        ("true", "a/")
    );
    assert!(!page.element("Owner").is_empty());
    let page = server.call(&all, "GET", "/my-bucket?delimiter=/&marker=a/", "").await;
    assert_eq!(page.elements("Key"), ["z z&amp;&lt;"]);
    assert_eq!(page.element("CommonPrefixes"), "<Prefix>dir/</Prefix>");
    let after = server
        .call(&all, "GET", "/my-bucket?list-type=2&start-after=dir/1", "")
        .await;
    assert_eq!(after.elements("Key"), ["dir/2", "z z&amp;&lt;"]);
    let none = server.call(&all, "GET", "/my-bucket?list-type=2&max-keys=0", "").await;
    assert_eq!((none.element("IsTruncated"), none.element("KeyCount")), ("false", "0"));
    for bad in ["max-keys=-1", "max-keys=x", "encoding-type=xml", "continuation-token=x"] {
        let answer = server
            .call(&all, "GET", &format!("/my-bucket?list-type=2&{bad}"), "")
            .await;
        assert_eq!(
            (answer.status, answer.code()),
            (StatusCode::BAD_REQUEST, "InvalidArgument"),
            "{bad}"
        );
    }
}
