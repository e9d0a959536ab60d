//! Versions on the wire.

use super::*;
use crate::bucket::Versioning;

mod decisions;
mod listing;

async fn send(server: &Server, method: &str, uri: &str, headers: &[(&str, &str)], body: &str) -> Answer {
    server.send(&Script::all(), request(method, uri, headers, body)).await
}

async fn get(server: &Server, uri: &str) -> Answer {
    send(server, "GET", uri, &[], "").await
}

async fn versioning(server: &Server, status: &str) {
    let body = format!("<VersioningConfiguration><Status>{status}</Status></VersioningConfiguration>");
    let answer = send(server, "PUT", "/my-bucket?versioning", &[], &body).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
}

/// A server whose bucket has versions.
async fn enabled() -> Server {
    let server = Server::with_bucket().await;
    versioning(&server, "Enabled").await;
    server
}

/// Puts an object; its version, as the answer tells it.
async fn put(server: &Server, key: &str, content: &str) -> String {
    let answer = send(server, "PUT", &format!("/my-bucket/{key}"), &[], content).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
    answer.header("x-amz-version-id").to_owned()
}

async fn delete(server: &Server, key: &str) -> String {
    let answer = send(server, "DELETE", &format!("/my-bucket/{key}"), &[], "").await;
    assert_eq!(answer.status, StatusCode::NO_CONTENT, "{}", answer.text);
    assert_eq!(answer.header("x-amz-delete-marker"), "true");
    answer.header("x-amz-version-id").to_owned()
}

/// Kind, key, version and whether it is the latest, in the order of the document.
fn entries(listing: &Answer) -> Vec<(String, String, String, bool)> {
    assert!(listing.text.ends_with("</ListVersionsResult>"), "{}", listing.text);
    let text = listing.text.replace("<DeleteMarker>", "<Version>marker");
    text.split("<Version>")
        .skip(1)
        .map(|entry| {
            let element = |name: &str| {
                let (_, rest) = entry.split_once(&format!("<{name}>")).unwrap();
                rest.split_once('<').unwrap().0.to_owned()
            };
            let kind = if entry.starts_with("marker") {
                "marker"
            } else {
                "object"
            };
            (
                kind.to_owned(),
                element("Key"),
                element("VersionId"),
                element("IsLatest") == "true",
            )
        })
        .collect()
}

fn is_id(version: &str) -> bool {
    version.len() == 32
        && version
            .bytes()
            .all(|byte| byte.is_ascii_digit() || byte.is_ascii_lowercase())
}

#[tokio::test]
async fn a_bucket_that_never_had_versions_tells_of_none() {
    let server = Server::with_bucket().await;
    assert_eq!(put(&server, "a", "x").await, "");
    assert_eq!(get(&server, "/my-bucket/a").await.header("x-amz-version-id"), "");
    // But the version `null` can be named.
    let named = get(&server, "/my-bucket/a?versionId=null").await;
    assert_eq!((named.text.as_str(), named.header("x-amz-version-id")), ("x", "null"));
    let listing = get(&server, "/my-bucket?versions").await;
    assert_eq!(
        entries(&listing),
        [("object".to_owned(), "a".to_owned(), "null".to_owned(), true)]
    );
    let gone = send(&server, "DELETE", "/my-bucket/a", &[], "").await;
    assert_eq!(
        (gone.header("x-amz-version-id"), gone.header("x-amz-delete-marker")),
        ("", "")
    );
    assert!(entries(&get(&server, "/my-bucket?versions").await).is_empty());
    put(&server, "a", "y").await;
    let gone = send(&server, "DELETE", "/my-bucket/a?versionId=null", &[], "").await;
    assert_eq!(
        (gone.status, gone.header("x-amz-version-id")),
        (StatusCode::NO_CONTENT, "null")
    );
    assert_eq!(get(&server, "/my-bucket/a").await.code(), "NoSuchKey");
}

#[tokio::test]
async fn objects_from_before_stay_as_the_version_null() {
    let server = Server::with_bucket().await;
    put(&server, "a", "before").await;
    versioning(&server, "Enabled").await;
    assert_eq!(get(&server, "/my-bucket/a").await.header("x-amz-version-id"), "null");
    let (second, third) = (put(&server, "a", "second").await, put(&server, "a", "third").await);
    assert!(is_id(&second) && is_id(&third) && second != third, "{second} {third}");
    for (version, content) in [("null", "before"), (&second, "second"), (&third, "third")] {
        for method in ["GET", "HEAD"] {
            let answer = send(&server, method, &format!("/my-bucket/a?versionId={version}"), &[], "").await;
            assert_eq!(answer.header("x-amz-version-id"), version);
            assert_eq!(answer.header("content-length"), content.len().to_string());
            assert_eq!(answer.text, if method == "GET" { content } else { "" });
        }
    }
    let newest = get(&server, "/my-bucket/a").await;
    assert_eq!(
        (newest.text.as_str(), newest.header("x-amz-version-id")),
        ("third", third.as_str())
    );
    // To remove the newest is to go back.
    let gone = send(&server, "DELETE", &format!("/my-bucket/a?versionId={third}"), &[], "").await;
    assert_eq!(
        (gone.header("x-amz-version-id"), gone.header("x-amz-delete-marker")),
        (third.as_str(), "")
    );
    assert_eq!(get(&server, "/my-bucket/a").await.text, "second");
    // To remove it again is no error, and another key's version is none of this one.
    let again = send(&server, "DELETE", &format!("/my-bucket/a?versionId={third}"), &[], "").await;
    assert_eq!(
        (again.status, again.header("x-amz-version-id")),
        (StatusCode::NO_CONTENT, third.as_str())
    );
    put(&server, "b", "other").await;
    let other = get(&server, &format!("/my-bucket/b?versionId={second}")).await;
    assert_eq!((other.status, other.code()), (StatusCode::NOT_FOUND, "NoSuchVersion"));
    assert_eq!(
        (other.element("Key"), other.element("VersionId")),
        ("b", second.as_str())
    );
}

#[tokio::test]
async fn a_delete_marker_hides_and_is_no_object() {
    let server = enabled().await;
    let object = put(&server, "a", "x").await;
    let marker = delete(&server, "a").await;
    assert!(is_id(&marker));
    for method in ["GET", "HEAD"] {
        let hidden = send(&server, method, "/my-bucket/a", &[], "").await;
        assert_eq!(hidden.status, StatusCode::NOT_FOUND);
        assert_eq!(hidden.header("x-amz-delete-marker"), "true");
        assert_eq!(hidden.header("x-amz-version-id"), marker);
        let named = send(&server, method, &format!("/my-bucket/a?versionId={marker}"), &[], "").await;
        assert_eq!(named.status, StatusCode::METHOD_NOT_ALLOWED);
        assert_eq!(named.header("x-amz-delete-marker"), "true");
        assert_eq!(named.header("x-amz-version-id"), marker);
        assert_eq!(named.header("allow"), "DELETE");
        assert_eq!(named.header("last-modified"), "Fri, 02 Jan 2026 03:04:05 GMT");
        assert_eq!(named.code(), if method == "GET" { "MethodNotAllowed" } else { "" });
        let below = send(&server, method, &format!("/my-bucket/a?versionId={object}"), &[], "").await;
        assert_eq!(
            (below.status, below.header("x-amz-delete-marker")),
            (StatusCode::OK, "")
        );
    }
    for uri in ["/my-bucket/a?tagging", "/my-bucket/a?attributes"] {
        let headers = [("x-amz-object-attributes", "ETag")];
        let headers = if uri.contains("attributes") {
            headers.as_slice()
        } else {
            &[]
        };
        let hidden = send(&server, "GET", uri, headers, "").await;
        assert_eq!(
            (hidden.code(), hidden.header("x-amz-delete-marker")),
            ("NoSuchKey", "true")
        );
        let named = send(&server, "GET", &format!("{uri}&versionId={marker}"), headers, "").await;
        assert_eq!(
            (named.code(), named.header("x-amz-delete-marker")),
            ("MethodNotAllowed", "true")
        );
    }
    // A marker on a marker, and on nothing.
    let second = delete(&server, "a").await;
    let nothing = delete(&server, "nothing").await;
    let listing = get(&server, "/my-bucket?versions").await;
    let expected = [
        ("marker", "a", &second, true),
        ("marker", "a", &marker, false),
        ("object", "a", &object, false),
        ("marker", "nothing", &nothing, true),
    ]
    .map(|(kind, key, version, latest)| (kind.to_owned(), key.to_owned(), version.clone(), latest));
    assert_eq!(entries(&listing), expected);
    assert!(get(&server, "/my-bucket").await.elements("Key").is_empty());
    // Who removes the markers has the object back.
    for marker in [&marker, &second] {
        let gone = send(&server, "DELETE", &format!("/my-bucket/a?versionId={marker}"), &[], "").await;
        assert_eq!(
            (gone.header("x-amz-version-id"), gone.header("x-amz-delete-marker")),
            (marker.as_str(), "true")
        );
    }
    assert_eq!(get(&server, "/my-bucket/a").await.text, "x");
}

#[tokio::test]
async fn a_suspended_bucket_keeps_versions_and_makes_none() {
    let server = enabled().await;
    let kept = put(&server, "a", "kept").await;
    versioning(&server, "Suspended").await;
    assert_eq!(put(&server, "a", "null 1").await, "null");
    assert_eq!(put(&server, "a", "null 2").await, "null");
    assert_eq!(get(&server, "/my-bucket/a").await.header("x-amz-version-id"), "null");
    assert_eq!(entries(&get(&server, "/my-bucket?versions").await).len(), 2);
    // The marker takes the place of the version `null`.
    assert_eq!(delete(&server, "a").await, "null");
    assert_eq!(
        get(&server, "/my-bucket/a?versionId=null").await.code(),
        "MethodNotAllowed"
    );
    assert_eq!(
        get(&server, &format!("/my-bucket/a?versionId={kept}")).await.text,
        "kept"
    );
    versioning(&server, "Enabled").await;
    let again = put(&server, "a", "again").await;
    assert!(is_id(&again));
    let expected = [
        ("object", again, true),
        ("marker", "null".to_owned(), false),
        ("object", kept, false),
    ]
    .map(|(kind, version, latest)| (kind.to_owned(), "a".to_owned(), version, latest));
    assert_eq!(entries(&get(&server, "/my-bucket?versions").await), expected);
}

#[tokio::test]
async fn ids_that_are_none_are_refused() {
    let server = enabled().await;
    let version = put(&server, "a", "x").await;
    for (id, message) in [
        ("", "Version id cannot be the empty string"),
        ("1", "Invalid version id specified"),
        ("NULL", "Invalid version id specified"),
        ("../../etc", "Invalid version id specified"),
        (&version.to_uppercase(), "Invalid version id specified"),
        (&format!("{version}0"), "Invalid version id specified"),
    ] {
        for (method, uri) in [
            ("GET", "/my-bucket/a?"),
            ("HEAD", "/my-bucket/a?"),
            ("DELETE", "/my-bucket/a?"),
            ("GET", "/my-bucket/a?tagging&"),
            ("DELETE", "/my-bucket/a?tagging&"),
        ] {
            let script = Script::all();
            let answer = server.call(&script, method, &format!("{uri}versionId={id}"), "").await;
            assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{method} {uri} {id}");
            assert_eq!(
                answer.outcome.error.unwrap(),
                ("InvalidArgument".to_owned(), message.to_owned())
            );
            assert!(script.questions().is_empty());
        }
        let source = format!("my-bucket/a?versionId={id}");
        let copy = send(&server, "PUT", "/my-bucket/b", &[("x-amz-copy-source", &source)], "").await;
        assert_eq!(
            (copy.code(), copy.element("Message")),
            ("InvalidArgument", message),
            "{id}"
        );
    }
    assert_eq!(get(&server, "/my-bucket/a").await.text, "x");
}

#[tokio::test]
async fn copies_of_a_version() {
    let server = enabled().await;
    let (old, new) = (put(&server, "a", "old").await, put(&server, "a", "new").await);
    let source = format!("my-bucket/a?versionId={old}");
    let copy = send(&server, "PUT", "/my-bucket/b", &[("x-amz-copy-source", &source)], "").await;
    assert_eq!(copy.status, StatusCode::OK, "{}", copy.text);
    assert_eq!(copy.header("x-amz-copy-source-version-id"), old);
    assert!(is_id(copy.header("x-amz-version-id")));
    assert_eq!(get(&server, "/my-bucket/b").await.text, "old");
    let copy = send(
        &server,
        "PUT",
        "/my-bucket/c",
        &[("x-amz-copy-source", "my-bucket/a")],
        "",
    )
    .await;
    assert_eq!(copy.header("x-amz-copy-source-version-id"), new);
    // An old version comes back by a copy onto the object itself.
    let copy = send(&server, "PUT", "/my-bucket/a", &[("x-amz-copy-source", &source)], "").await;
    assert_eq!(copy.status, StatusCode::OK, "{}", copy.text);
    assert_eq!(get(&server, "/my-bucket/a").await.text, "old");
    assert_eq!(entries(&get(&server, "/my-bucket?versions&prefix=a").await).len(), 3);
    let itself = send(
        &server,
        "PUT",
        "/my-bucket/a",
        &[("x-amz-copy-source", "my-bucket/a")],
        "",
    )
    .await;
    assert_eq!(itself.code(), "InvalidRequest");
    // Of a delete marker there is no copy.
    let marker = delete(&server, "a").await;
    let source_of_marker = format!("my-bucket/a?versionId={marker}");
    for (source, code) in [
        ("my-bucket/a", "NoSuchKey"),
        (source_of_marker.as_str(), "InvalidRequest"),
    ] {
        let copy = send(&server, "PUT", "/my-bucket/d", &[("x-amz-copy-source", source)], "").await;
        assert_eq!(copy.code(), code);
    }
    let copy = send(
        &server,
        "PUT",
        "/my-bucket/d",
        &[("x-amz-copy-source", "my-bucket/a?versionId=null")],
        "",
    )
    .await;
    assert_eq!(copy.code(), "NoSuchVersion");

    // And of a part.
    let begun = send(&server, "POST", "/my-bucket/parts?uploads", &[], "").await;
    let upload = begun.element("UploadId").to_owned();
    let uri = format!("/my-bucket/parts?partNumber=1&uploadId={upload}");
    let part = send(&server, "PUT", &uri, &[("x-amz-copy-source", &source)], "").await;
    assert_eq!(
        (part.status, part.header("x-amz-copy-source-version-id")),
        (StatusCode::OK, old.as_str())
    );
    let etag = part.element("ETag").replace("&quot;", "");
    let body = format!(
        "<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>{etag}</ETag></Part></CompleteMultipartUpload>"
    );
    let uri = format!("/my-bucket/parts?uploadId={upload}");
    let done = send(&server, "POST", &uri, &[], &body).await;
    assert!(is_id(done.header("x-amz-version-id")), "{}", done.text);
    let again = send(&server, "POST", &uri, &[], &body).await;
    assert_eq!(again.header("x-amz-version-id"), done.header("x-amz-version-id"));
    let read = get(
        &server,
        &format!("/my-bucket/parts?versionId={}", done.header("x-amz-version-id")),
    )
    .await;
    assert_eq!(read.text, "old");
}

#[tokio::test]
async fn tags_and_attributes_are_a_version_s() {
    let server = enabled().await;
    let tagged = |value: &'static str| [("x-amz-tagging", value)];
    let first = send(&server, "PUT", "/my-bucket/a", &tagged("team=blue"), "1").await;
    let first = first.header("x-amz-version-id").to_owned();
    let second = send(&server, "PUT", "/my-bucket/a", &tagged("team=red"), "22").await;
    let second = second.header("x-amz-version-id").to_owned();
    let value = async |version: &str| {
        let answer = get(&server, &format!("/my-bucket/a?tagging{version}")).await;
        (
            answer.element("Value").to_owned(),
            answer.header("x-amz-version-id").to_owned(),
        )
    };
    assert_eq!(value("").await, ("red".to_owned(), second.clone()));
    assert_eq!(
        value(&format!("&versionId={first}")).await,
        ("blue".to_owned(), first.clone())
    );
    let document = "<Tagging><TagSet><Tag><Key>team</Key><Value>green</Value></Tag></TagSet></Tagging>";
    let put = send(
        &server,
        "PUT",
        &format!("/my-bucket/a?tagging&versionId={first}"),
        &[],
        document,
    )
    .await;
    assert_eq!(
        (put.status, put.header("x-amz-version-id")),
        (StatusCode::OK, first.as_str())
    );
    assert_eq!(value(&format!("&versionId={first}")).await.0, "green");
    assert_eq!(value("").await.0, "red");
    let gone = send(&server, "DELETE", "/my-bucket/a?tagging", &[], "").await;
    assert_eq!(
        (gone.status, gone.header("x-amz-version-id")),
        (StatusCode::NO_CONTENT, second.as_str())
    );
    assert_eq!(value("").await.0, "");
    assert_eq!(value(&format!("&versionId={first}")).await.0, "green");
    let headers = [("x-amz-object-attributes", "ObjectSize")];
    for (version, size) in [(&first, "1"), (&second, "2")] {
        let uri = format!("/my-bucket/a?attributes&versionId={version}");
        let attributes = send(&server, "GET", &uri, &headers, "").await;
        assert_eq!(
            (attributes.element("ObjectSize"), attributes.header("x-amz-version-id")),
            (size, version.as_str())
        );
    }
    let head = send(&server, "HEAD", &format!("/my-bucket/a?versionId={first}"), &[], "").await;
    assert_eq!(head.header("x-amz-tagging-count"), "1");
}

#[tokio::test]
async fn batches_of_versions() {
    let server = enabled().await;
    let (a1, a2) = (put(&server, "a", "1").await, put(&server, "a", "2").await);
    put(&server, "b", "1").await;
    let marker = delete(&server, "c").await;
    let object =
        |key: &str, version: &str| format!("<Object><Key>{key}</Key><VersionId>{version}</VersionId></Object>");
    let body = format!(
        "<Delete>{}{}<Object><Key>b</Key></Object>{}{}</Delete>",
        object("a", &a1),
        object("c", &marker),
        object("a", "no-id"),
        object("a", &a1),
    );
    let answer = send(&server, "POST", "/my-bucket?delete", &[], &body).await;
    let deleted = answer.elements("Deleted");
    assert_eq!(deleted.len(), 4, "{}", answer.text);
    let has = |text: &str, name: &str, value: &str| text.contains(&format!("<{name}>{value}</{name}>"));
    for number in [0, 3] {
        assert!(has(deleted[number], "Key", "a") && has(deleted[number], "VersionId", &a1));
        assert!(!deleted[number].contains("DeleteMarker"));
    }
    assert!(has(deleted[1], "VersionId", &marker) && has(deleted[1], "DeleteMarkerVersionId", &marker));
    assert!(has(deleted[1], "DeleteMarker", "true"));
    assert!(has(deleted[2], "Key", "b") && has(deleted[2], "DeleteMarker", "true"));
    assert!(!deleted[2].contains("<VersionId>") && deleted[2].contains("<DeleteMarkerVersionId>"));
    let error = answer.element("Error");
    assert!(
        has(error, "Code", "NoSuchVersion") && has(error, "VersionId", "no-id"),
        "{error}"
    );
    assert_eq!(get(&server, "/my-bucket/a").await.header("x-amz-version-id"), a2);
    assert_eq!(
        get(&server, &format!("/my-bucket/a?versionId={a1}")).await.code(),
        "NoSuchVersion"
    );

    // Each for itself: who may remove objects may not remove versions.
    let script = Script::only(&["s3:DeleteObject"]);
    let body = format!(
        "<Delete>{}<Object><Key>a</Key></Object>{}</Delete>",
        object("a", &a2),
        object("a", "no-id")
    );
    let answer = server.call(&script, "POST", "/my-bucket?delete", &body).await;
    assert_eq!(answer.elements("Deleted").len(), 1);
    assert_eq!(answer.elements("Code"), ["AccessDenied", "AccessDenied"]);
    assert_eq!(get(&server, &format!("/my-bucket/a?versionId={a2}")).await.text, "2");
}

#[tokio::test]
async fn a_bucket_with_versions_or_markers_stays() {
    let server = enabled().await;
    let object = put(&server, "a", "x").await;
    let marker = delete(&server, "a").await;
    for version in [object, marker] {
        let refused = send(&server, "DELETE", "/my-bucket", &[], "").await;
        assert_eq!(
            (refused.status, refused.code()),
            (StatusCode::CONFLICT, "BucketNotEmpty")
        );
        send(&server, "DELETE", &format!("/my-bucket/a?versionId={version}"), &[], "").await;
    }
    assert_eq!(
        send(&server, "DELETE", "/my-bucket", &[], "").await.status,
        StatusCode::NO_CONTENT
    );
}

#[tokio::test]
async fn conditions_of_writes_see_a_marker_as_nothing() {
    let server = enabled().await;
    put(&server, "a", "x").await;
    let etag = get(&server, "/my-bucket/a").await.header("etag").to_owned();
    delete(&server, "a").await;
    let write =
        async |name: &'static str, value: &str| send(&server, "PUT", "/my-bucket/a", &[(name, value)], "y").await;
    assert_eq!(write("if-match", &etag).await.code(), "NoSuchKey");
    assert_eq!(write("if-none-match", "*").await.status, StatusCode::OK);
    assert_eq!(write("if-none-match", "*").await.code(), "PreconditionFailed");
    let delete = send(&server, "DELETE", "/my-bucket/a", &[("if-match", &etag)], "").await;
    assert_eq!(delete.code(), "PreconditionFailed");
}

#[tokio::test]
async fn the_status_counts_when_the_write_is_done() {
    let server = Server::with_bucket().await;
    put(&server, "a", "before").await;
    // While the body is on its way, versioning is enabled and somebody else writes.
    let (sender, body) = tokio::sync::mpsc::channel::<Result<Frame<Bytes>, BoxError>>(1);
    let stream = stream::unfold(body, async |mut body| body.recv().await.map(|frame| (frame, body)));
    let mut slow = Request::builder()
        .method("PUT")
        .uri("/my-bucket/a")
        .header("host", "127.0.0.1:4700")
        .header("content-length", "4")
        .body(StreamBody::new(stream).boxed_unsync())
        .unwrap();
    slow.extensions_mut().insert(Script::all() as Arc<dyn Authorizer>);
    let writing = async {
        let response = server.front.handle(slow).await;
        response
            .headers()
            .get("x-amz-version-id")
            .map(|id| id.to_str().unwrap().to_owned())
    };
    let meanwhile = async {
        sender.send(Ok(Frame::data(Bytes::from_static(b"la")))).await.unwrap();
        versioning(&server, "Enabled").await;
        let other = put(&server, "a", "other").await;
        sender.send(Ok(Frame::data(Bytes::from_static(b"te")))).await.unwrap();
        drop(sender);
        other
    };
    let (late, other) = futures_util::future::join(writing, meanwhile).await;
    assert!(is_id(&late.unwrap()));
    assert_eq!(get(&server, "/my-bucket/a").await.text, "late");
    assert_eq!(
        get(&server, &format!("/my-bucket/a?versionId={other}")).await.text,
        "other"
    );
    assert_eq!(get(&server, "/my-bucket/a?versionId=null").await.text, "before");
    assert_eq!(
        server.buckets.get("my-bucket").unwrap().settings.versioning,
        Versioning::Enabled
    );
}
