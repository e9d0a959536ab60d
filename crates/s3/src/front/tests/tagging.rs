//! Tags and attributes of objects on the wire, and what decisions see of tags.

use super::*;

async fn send(server: &Server, method: &str, uri: &str, headers: &[(&str, &str)], body: &str) -> Answer {
    server.send(&Script::all(), request(method, uri, headers, body)).await
}

fn document(tags: &[(&str, &str)]) -> String {
    let tags: String = tags
        .iter()
        .map(|(key, value)| format!("<Tag><Key>{key}</Key><Value>{value}</Value></Tag>"))
        .collect();
    format!("<Tagging xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><TagSet>{tags}</TagSet></Tagging>")
}

async fn tags(server: &Server, key: &str) -> Vec<(String, String)> {
    let answer = send(server, "GET", &format!("/my-bucket/{key}?tagging"), &[], "").await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
    let texts = |name| answer.elements(name).into_iter().map(str::to_owned).collect::<Vec<_>>();
    texts("Key").into_iter().zip(texts("Value")).collect()
}

fn pairs(given: &[(&str, &str)]) -> Vec<(String, String)> {
    given
        .iter()
        .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
        .collect()
}

#[tokio::test]
async fn tags_come_and_go() {
    let server = Server::with_bucket().await;
    send(
        &server,
        "PUT",
        "/my-bucket/a",
        &[("x-amz-tagging", "team=blue&a%20b=c%2Fd&empty=")],
        "x",
    )
    .await;
    let first = [("team", "blue"), ("a b", "c/d"), ("empty", "")];
    assert_eq!(tags(&server, "a").await, pairs(&first));
    for method in ["GET", "HEAD"] {
        let got = send(&server, method, "/my-bucket/a", &[], "").await;
        assert_eq!(got.header("x-amz-tagging-count"), "3", "{method}");
        // Not for those who may not know the tags.
        let script = Script::only(&["s3:GetObject"]);
        let got = server.call(&script, method, "/my-bucket/a", "").await;
        assert_eq!((got.status, got.header("x-amz-tagging-count")), (StatusCode::OK, ""));
    }
    let put = send(
        &server,
        "PUT",
        "/my-bucket/a?tagging",
        &[],
        &document(&[("other", "1")]),
    )
    .await;
    assert_eq!(put.status, StatusCode::OK, "{}", put.text);
    assert_eq!(tags(&server, "a").await, pairs(&[("other", "1")]));
    // A copy takes them along, or others.
    for (headers, expected) in [
        (vec![], vec![("other", "1")]),
        (vec![("x-amz-tagging", "ignored=1")], vec![("other", "1")]),
        (
            vec![("x-amz-tagging-directive", "REPLACE"), ("x-amz-tagging", "new=2")],
            vec![("new", "2")],
        ),
        (vec![("x-amz-tagging-directive", "REPLACE")], vec![]),
    ] {
        let mut all = vec![("x-amz-copy-source", "/my-bucket/a")];
        all.extend(headers);
        let copied = send(&server, "PUT", "/my-bucket/copy", &all, "").await;
        assert_eq!(copied.status, StatusCode::OK, "{}", copied.text);
        assert_eq!(tags(&server, "copy").await, pairs(&expected));
    }
    let removed = send(&server, "DELETE", "/my-bucket/a?tagging", &[], "").await;
    assert_eq!(removed.status, StatusCode::NO_CONTENT, "{}", removed.text);
    assert_eq!(tags(&server, "a").await, []);
    // What is written anew has no old tags.
    send(
        &server,
        "PUT",
        "/my-bucket/a?tagging",
        &[],
        &document(&[("other", "1")]),
    )
    .await;
    server.put("a", "y").await;
    assert_eq!(tags(&server, "a").await, []);
    for (method, body) in [
        ("GET", String::new()),
        ("PUT", document(&[("a", "b")])),
        ("DELETE", String::new()),
    ] {
        let missing = send(&server, method, "/my-bucket/none?tagging", &[], &body).await;
        assert_eq!((missing.status, missing.code()), (StatusCode::NOT_FOUND, "NoSuchKey"));
    }
}

#[tokio::test]
async fn tags_of_an_upload_are_the_object_s() {
    let server = Server::with_bucket().await;
    let begun = send(
        &server,
        "POST",
        "/my-bucket/a?uploads",
        &[("x-amz-tagging", "team=blue")],
        "",
    )
    .await;
    let id = begun.element("UploadId");
    let part = send(
        &server,
        "PUT",
        &format!("/my-bucket/a?partNumber=1&uploadId={id}"),
        &[],
        "hello",
    )
    .await;
    let body = format!(
        "<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>{}</ETag></Part></CompleteMultipartUpload>",
        part.header("etag")
    );
    let done = send(&server, "POST", &format!("/my-bucket/a?uploadId={id}"), &[], &body).await;
    assert_eq!(done.status, StatusCode::OK, "{}", done.text);
    assert_eq!(tags(&server, "a").await, pairs(&[("team", "blue")]));
}

#[tokio::test]
async fn tags_that_cannot_be() {
    let server = Server::with_bucket().await;
    server.put("a", "x").await;
    let long = "k".repeat(129);
    let value = "v".repeat(257);
    let many: Vec<String> = (0..11).map(|number| format!("k{number}")).collect();
    let many: Vec<(&str, &str)> = many.iter().map(|key| (key.as_str(), "v")).collect();
    for (tags, code) in [
        (vec![("", "v")], "InvalidTag"),
        (vec![(long.as_str(), "v")], "InvalidTag"),
        (vec![("k", value.as_str())], "InvalidTag"),
        (vec![("k", "v"), ("k", "w")], "InvalidTag"),
        (vec![("aws:k", "v")], "InvalidTag"),
        (vec![("a*", "v")], "InvalidTag"),
        (vec![("k", "a?")], "InvalidTag"),
        (many.clone(), "BadRequest"),
    ] {
        let answer = send(&server, "PUT", "/my-bucket/a?tagging", &[], &document(&tags)).await;
        assert_eq!(
            (answer.status, answer.code()),
            (StatusCode::BAD_REQUEST, code),
            "{tags:?}"
        );
        let header = form_urlencoded::Serializer::new(String::new())
            .extend_pairs(&tags)
            .finish();
        let answer = send(&server, "PUT", "/my-bucket/b", &[("x-amz-tagging", &header)], "x").await;
        assert_eq!(
            (answer.status, answer.code()),
            (StatusCode::BAD_REQUEST, code),
            "{tags:?}"
        );
    }
    for body in [
        "",
        "<Tagging/>",
        "<Tagging><TagSet><Tag><Key>k</Key></Tag></TagSet></Tagging>",
    ] {
        let answer = send(&server, "PUT", "/my-bucket/a?tagging", &[], body).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{body}: {}", answer.text);
    }
    let wrong = [("content-md5", "AAAAAAAAAAAAAAAAAAAAAA==")];
    let answer = send(&server, "PUT", "/my-bucket/a?tagging", &wrong, &document(&[("k", "v")])).await;
    assert_eq!(answer.code(), "BadDigest");
    assert_eq!(tags(&server, "a").await, []);
    assert_eq!(send(&server, "GET", "/my-bucket/b", &[], "").await.code(), "NoSuchKey");
}

fn values<'a>(target: &'a Target, key: &str) -> Vec<&'a str> {
    target
        .context
        .iter()
        .filter(|(name, _)| name == key)
        .flat_map(|(_, values)| values)
        .map(String::as_str)
        .collect()
}

#[tokio::test]
async fn decisions_see_the_tags_that_are_there_and_those_that_come() {
    let server = Server::with_bucket().await;
    send(
        &server,
        "PUT",
        "/my-bucket/a",
        &[("x-amz-tagging", "team=blue&zone=1")],
        "x",
    )
    .await;
    for (method, uri, headers, body, action) in [
        ("GET", "/my-bucket/a", vec![], String::new(), "s3:GetObject"),
        ("HEAD", "/my-bucket/a", vec![], String::new(), "s3:GetObject"),
        (
            "GET",
            "/my-bucket/a?tagging",
            vec![],
            String::new(),
            "s3:GetObjectTagging",
        ),
        (
            "GET",
            "/my-bucket/a?attributes",
            vec![("x-amz-object-attributes", "ETag")],
            String::new(),
            "s3:GetObjectAttributes",
        ),
        (
            "PUT",
            "/my-bucket/a?tagging",
            vec![],
            document(&[("team", "blue"), ("zone", "1")]),
            "s3:PutObjectTagging",
        ),
        (
            "PUT",
            "/my-bucket/c",
            vec![("x-amz-copy-source", "my-bucket/a")],
            String::new(),
            "s3:GetObject",
        ),
    ] {
        let script = Script::all();
        let answer = server.send(&script, request(method, uri, &headers, &body)).await;
        assert_eq!(answer.status, StatusCode::OK, "{uri}: {}", answer.text);
        let asked = script.asked.lock().unwrap();
        let target = asked.iter().find(|target| target.action == action).unwrap();
        assert_eq!(values(target, "s3:ExistingObjectTag/team"), ["blue"], "{method} {uri}");
        assert_eq!(values(target, "s3:ExistingObjectTag/zone"), ["1"]);
    }
    // Tags that go along with a copy are read and written.
    let script = Script::all();
    let copy = [("x-amz-copy-source", "my-bucket/a")];
    server.send(&script, request("PUT", "/my-bucket/c", &copy, "")).await;
    let asked: Vec<_> = script.questions().into_iter().map(|(action, _)| action).collect();
    assert_eq!(
        asked,
        [
            "s3:GetObject",
            "s3:PutObject",
            "s3:GetObjectTagging",
            "s3:PutObjectTagging"
        ]
    );
    for denied in ["s3:GetObjectTagging", "s3:PutObjectTagging"] {
        let script = Script::new(move |target| target.action != denied);
        let answer = server.send(&script, request("PUT", "/my-bucket/d", &copy, "")).await;
        assert_eq!(answer.code(), "AccessDenied");
    }
    // Those that come.
    for (method, uri, headers, body) in [
        (
            "PUT",
            "/my-bucket/b",
            vec![("x-amz-tagging", "team=red&zone=2")],
            "x".to_owned(),
        ),
        (
            "PUT",
            "/my-bucket/a?tagging",
            vec![],
            document(&[("team", "red"), ("zone", "2")]),
        ),
        (
            "POST",
            "/my-bucket/b?uploads",
            vec![("x-amz-tagging", "team=red&zone=2")],
            String::new(),
        ),
    ] {
        let script = Script::all();
        server.send(&script, request(method, uri, &headers, &body)).await;
        let asked = script.asked.lock().unwrap();
        assert!(!asked.is_empty());
        for target in asked.iter() {
            assert_eq!(
                values(target, "s3:RequestObjectTag/team"),
                ["red"],
                "{uri} {}",
                target.action
            );
            assert_eq!(values(target, "s3:RequestObjectTagKeys"), ["team", "zone"]);
        }
    }
    // A write is not decided by the tags of what it replaces, and a deletion is not either, as on AWS.
    for (method, body) in [("PUT", "x"), ("DELETE", "")] {
        let script = Script::all();
        server.call(&script, method, "/my-bucket/a", body).await;
        let asked = script.asked.lock().unwrap();
        assert!(
            asked
                .iter()
                .all(|target| values(target, "s3:ExistingObjectTag/team").is_empty())
        );
    }
}

/// Allows what has the tag `open`, and at that moment does something else.
struct Meddling {
    meddle: Box<dyn Fn() + Send + Sync>,
}

impl Authorizer for Meddling {
    fn account(&self) -> Option<AccountId> {
        Some(account(111_122_223_333))
    }

    fn authorize(&self, target: &Arc<Target>) -> Result<Allowed, Denied> {
        self.permits(target)?;
        (self.meddle)();
        Ok(Allowed::decided(target))
    }

    fn permits(&self, target: &Target) -> Result<(), Denied> {
        let open = values(target, "s3:ExistingObjectTag/open") == ["yes"];
        open.then_some(()).ok_or_else(Denied::bare)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_that_changes_after_its_decision_is_not_told() {
    let server = Arc::new(Server::with_bucket().await);
    for (method, uri, body) in [
        ("GET", "/my-bucket/a", String::new()),
        ("HEAD", "/my-bucket/a", String::new()),
        ("GET", "/my-bucket/a?tagging", String::new()),
        ("PUT", "/my-bucket/a?tagging", document(&[("mine", "1")])),
        ("DELETE", "/my-bucket/a?tagging", String::new()),
    ] {
        send(
            &server,
            "PUT",
            "/my-bucket/a",
            &[("x-amz-tagging", "open=yes")],
            "public",
        )
        .await;
        let (other, handle) = (Arc::clone(&server), tokio::runtime::Handle::current());
        let meddle = move || {
            tokio::task::block_in_place(|| {
                handle.block_on(async { other.put("a", "secret").await });
            });
        };
        let mut request = request(method, uri, &[], &body);
        request.extensions_mut().insert(Arc::new(Meddling {
            meddle: Box::new(meddle),
        }) as Arc<dyn Authorizer>);
        let answer = Answer::of(server.front.handle(request).await).await;
        assert_eq!(answer.status, StatusCode::CONFLICT, "{method} {uri}: {}", answer.text);
        assert!(!answer.text.contains("secret"));
        assert_eq!(tags(&server, "a").await, []);
    }
}

#[tokio::test]
async fn attributes_of_objects() {
    let server = Server::with_bucket().await;
    let attributes = async |key: &str, names: &str, more: &[(&str, &str)]| {
        let mut headers = vec![("x-amz-object-attributes", names)];
        headers.extend_from_slice(more);
        send(&server, "GET", &format!("/my-bucket/{key}?attributes"), &headers, "").await
    };
    server.put("a", "hello").await;
    let all = "ETag,Checksum,ObjectParts, StorageClass,ObjectSize";
    let got = attributes("a", all, &[]).await;
    assert_eq!(got.status, StatusCode::OK, "{}", got.text);
    assert_eq!(got.element("ETag"), "5d41402abc4b2a76b9719d911017c592");
    assert_eq!(
        (got.element("ObjectSize"), got.element("StorageClass")),
        ("5", "STANDARD")
    );
    assert!(!got.element("ChecksumCRC64NVME").is_empty());
    assert_eq!(
        (got.element("ChecksumType"), got.element("ObjectParts")),
        ("FULL_OBJECT", "")
    );
    assert_eq!(got.header("last-modified"), "Fri, 02 Jan 2026 03:04:05 GMT");
    let some = attributes("a", "ObjectSize", &[]).await;
    assert_eq!(
        (
            some.element("ObjectSize"),
            some.element("ETag"),
            some.element("Checksum")
        ),
        ("5", "", "")
    );
    assert_eq!(attributes("a", "ETag,Colour", &[]).await.code(), "InvalidArgument");
    assert_eq!(attributes("none", "ETag", &[]).await.code(), "NoSuchKey");
    let without = send(&server, "GET", "/my-bucket/a?attributes", &[], "").await;
    assert_eq!(without.status, StatusCode::BAD_REQUEST);

    let begun = send(
        &server,
        "POST",
        "/my-bucket/m?uploads",
        &[("x-amz-checksum-algorithm", "CRC32")],
        "",
    )
    .await;
    let id = begun.element("UploadId");
    let large = "x".repeat(5 * 1024 * 1024);
    let mut parts = String::new();
    for (number, content) in [("1", large.as_str()), ("2", "hello")] {
        use base64::Engine as _;
        use s3s::crypto::Checksum as _;
        let crc = base64::engine::general_purpose::STANDARD.encode(s3s::crypto::Crc32::checksum(content.as_bytes()));
        let uri = format!("/my-bucket/m?partNumber={number}&uploadId={id}");
        let part = send(&server, "PUT", &uri, &[("x-amz-checksum-crc32", &crc)], content).await;
        parts.push_str(&format!(
            "<Part><PartNumber>{number}</PartNumber><ETag>{}</ETag><ChecksumCRC32>{crc}</ChecksumCRC32></Part>",
            part.header("etag")
        ));
    }
    let body = format!("<CompleteMultipartUpload>{parts}</CompleteMultipartUpload>");
    let done = send(&server, "POST", &format!("/my-bucket/m?uploadId={id}"), &[], &body).await;
    assert_eq!(done.status, StatusCode::OK, "{}", done.text);
    let got = attributes("m", all, &[]).await;
    assert_eq!(
        (got.element("PartsCount"), got.elements("Size")),
        ("2", vec!["5242880", "5"]),
        "{}",
        got.text
    );
    assert!(got.element("ChecksumCRC32").ends_with("-2"));
    let page = attributes("m", "ObjectParts", &[("x-amz-max-parts", "1")]).await;
    assert_eq!(
        (page.element("IsTruncated"), page.element("NextPartNumberMarker")),
        ("true", "1")
    );
    let page = attributes("m", "ObjectParts", &[("x-amz-part-number-marker", "1")]).await;
    assert_eq!(
        (page.element("IsTruncated"), page.elements("Size")),
        ("false", vec!["5"])
    );
}
