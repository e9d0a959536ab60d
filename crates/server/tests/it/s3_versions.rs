//! Versions of objects through the whole pipeline: requests as they are on the wire, policies about them, and their records.

use std::sync::OnceLock;

use crate::client::{Key, Request, Response};
use crate::harness::{Server, World, name, policy, world};

const BUCKET: &str = "versioned-bucket";

/// The world's server, with a bucket that has versions.
fn versioned() -> &'static World {
    static READY: OnceLock<()> = OnceLock::new();
    let world = world();
    READY.get_or_init(|| {
        assert_eq!(
            world.server.s3(&world.admin, "PUT", &format!("/{BUCKET}"), b"").status,
            200
        );
        let body = b"<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>";
        let answer = world
            .server
            .s3(&world.admin, "PUT", &format!("/{BUCKET}?versioning"), body);
        assert_eq!(answer.status, 200, "{}", answer.text());
    });
    world
}

fn user(server: &Server, statements: &str) -> Key {
    server.user(&server.root, &name("versions"), Some(&policy(statements)))
}

fn version(answer: &Response) -> String {
    assert!(answer.status < 300, "{}", answer.text());
    answer.header("x-amz-version-id").unwrap().to_owned()
}

#[test]
fn versions_come_go_and_are_recorded() {
    let world = versioned();
    let (server, admin) = (&world.server, &world.admin);
    let key = name("kept");
    let path = format!("/{BUCKET}/{key}");
    let put = server.s3(admin, "PUT", &path, b"first");
    let first = version(&put);
    assert_eq!(first.len(), 32);
    let record = server.record(&put);
    assert_eq!(record["responseElements"]["x-amz-version-id"], *first);
    let second = version(&server.s3(admin, "PUT", &path, b"second"));
    let gone = server.s3(admin, "DELETE", &path, b"");
    let marker = version(&gone);
    assert_eq!(gone.header("x-amz-delete-marker"), Some("true"));
    let record = server.record(&gone);
    assert_eq!(record["responseElements"]["x-amz-delete-marker"], "true");
    assert_eq!(record["responseElements"]["x-amz-version-id"], *marker);
    assert_eq!(record["requestParameters"]["versionId"], serde_json::Value::Null);

    let hidden = server.s3(admin, "GET", &path, b"");
    assert_eq!(hidden.outcome(), "404 NoSuchKey");
    assert_eq!(hidden.header("x-amz-delete-marker"), Some("true"));
    let named = server.s3(admin, "GET", &format!("{path}?versionId={marker}"), b"");
    assert_eq!(named.outcome(), "405 MethodNotAllowed");
    assert_eq!(
        (named.header("allow"), named.header("x-amz-delete-marker")),
        (Some("DELETE"), Some("true"))
    );
    let read = server.s3(admin, "GET", &format!("{path}?versionId={first}"), b"");
    assert_eq!(read.text(), "first");
    let record = server.record(&read);
    assert_eq!(record["requestParameters"]["versionId"], *first);
    assert_eq!(record["requestParameters"]["VersionId"], serde_json::Value::Null);
    assert_eq!(record["responseElements"], serde_json::Value::Null);
    assert_eq!(record["eventName"], "GetObject");

    let listing = server.s3(admin, "GET", &format!("/{BUCKET}?versions&prefix={key}"), b"");
    let ids: Vec<String> = listing
        .text()
        .split("<VersionId>")
        .skip(1)
        .map(|rest| rest.split('<').next().unwrap().to_owned())
        .collect();
    assert_eq!(ids, [marker.clone(), second.clone(), first.clone()]);
    let record = server.record(&listing);
    assert_eq!(
        (
            record["eventName"].as_str(),
            record["eventCategory"].as_str(),
            record["readOnly"].as_bool()
        ),
        (Some("ListObjectVersions"), Some("Data"), Some(true))
    );
    // The bucket can't go while anything of it is there, though it looks empty.
    assert_eq!(
        server.s3(admin, "DELETE", &format!("/{BUCKET}"), b"").outcome(),
        "409 BucketNotEmpty"
    );

    let object = |version: &str| format!("<Object><Key>{key}</Key><VersionId>{version}</VersionId></Object>");
    let body = format!(
        "<Delete>{}{}{}</Delete>",
        object(&marker),
        object(&first),
        object("none")
    );
    let batch = server.s3(admin, "POST", &format!("/{BUCKET}?delete"), body.as_bytes());
    assert_eq!(batch.status, 200, "{}", batch.text());
    let records = server.records(batch.request_id().unwrap());
    // The newest comes first.
    let of_keys: Vec<_> = records
        .iter()
        .rev()
        .filter(|record| record["eventName"] == "DeleteObject")
        .collect();
    let told: Vec<_> = of_keys
        .iter()
        .map(|record| {
            (
                record["requestParameters"]["versionId"].as_str().unwrap(),
                record["responseElements"]["x-amz-version-id"].as_str(),
                record["responseElements"]["x-amz-delete-marker"].as_str(),
                record["errorCode"].as_str(),
            )
        })
        .collect();
    assert_eq!(
        told,
        [
            (marker.as_str(), Some(marker.as_str()), Some("true"), None),
            (first.as_str(), Some(first.as_str()), None, None),
            ("none", None, None, Some("NoSuchVersion")),
        ]
    );
    assert_eq!(server.s3(admin, "GET", &path, b"").text(), "second");
    let source = format!("{BUCKET}/{key}?versionId={second}");
    let copy = Request::new("PUT", &format!("{path}-copy")).header("x-amz-copy-source", &source);
    let copy = server.signed(copy, admin, "s3");
    let record = server.record(&copy);
    assert_eq!(record["responseElements"]["x-amz-copy-source-version-id"], *second);
    assert_eq!(record["responseElements"]["x-amz-version-id"], *version(&copy));
}

#[test]
fn adv_s3_06_versions_have_actions_of_their_own() {
    let world = versioned();
    let (server, admin) = (&world.server, &world.admin);
    let path = format!("/{BUCKET}/{}", name("own"));
    let version = version(&server.s3(admin, "PUT", &path, b"content"));
    let named = format!("{path}?versionId={version}");
    let plain = user(
        server,
        r#"{"Effect":"Allow","Action":["s3:GetObject","s3:DeleteObject","s3:GetObjectTagging","s3:ListBucket"],"Resource":"*"}"#,
    );
    for (method, target, action) in [
        ("GET", named.as_str(), "s3:GetObjectVersion"),
        ("DELETE", &named, "s3:DeleteObjectVersion"),
        (
            "GET",
            &format!("{path}?tagging&versionId={version}"),
            "s3:GetObjectVersionTagging",
        ),
        ("GET", &format!("/{BUCKET}?versions"), "s3:ListBucketVersions"),
    ] {
        let denied = server.s3(&plain, method, target, b"");
        assert_eq!(denied.outcome(), "403 AccessDenied", "{method} {target}");
        assert!(denied.message().contains(action), "{}", denied.message());
    }
    assert_eq!(server.s3(&plain, "HEAD", &named, b"").status, 403);
    let copy = Request::new("PUT", &format!("{path}-copy")).header("x-amz-copy-source", &named);
    let copier = user(
        server,
        r#"{"Effect":"Allow","Action":["s3:GetObject","s3:PutObject"],"Resource":"*"}"#,
    );
    assert_eq!(server.signed(copy, &copier, "s3").outcome(), "403 AccessDenied");
    // Each of them alone is enough, and for nothing else.
    let only = |action: &str| {
        user(
            server,
            &format!(r#"{{"Effect":"Allow","Action":"{action}","Resource":"*"}}"#),
        )
    };
    let reader = only("s3:GetObjectVersion");
    assert_eq!(server.s3(&reader, "GET", &named, b"").text(), "content");
    assert_eq!(server.s3(&reader, "GET", &path, b"").outcome(), "403 AccessDenied");
    assert_eq!(server.s3(&reader, "DELETE", &named, b"").outcome(), "403 AccessDenied");
    // Who may hide an object may not destroy it.
    assert_eq!(server.s3(&plain, "DELETE", &path, b"").status, 204);
    assert_eq!(server.s3(admin, "GET", &named, b"").text(), "content");
    let destroyer = only("s3:DeleteObjectVersion");
    assert_eq!(
        server.s3(&destroyer, "DELETE", &path, b"").outcome(),
        "403 AccessDenied"
    );
    assert_eq!(server.s3(&destroyer, "DELETE", &named, b"").status, 204);
    assert_eq!(server.s3(admin, "GET", &named, b"").outcome(), "404 NoSuchVersion");
    // Whether a version is there learns who may list.
    assert_eq!(server.s3(&reader, "GET", &named, b"").outcome(), "403 AccessDenied");
}

#[test]
fn policies_can_name_a_version_its_tags_and_prefixes() {
    let world = versioned();
    let (server, admin) = (&world.server, &world.admin);
    let key = name("named");
    let path = format!("/{BUCKET}/{key}");
    let tagged = |tags: &str| {
        let request = Request::new("PUT", &path).header("x-amz-tagging", tags).body(tags);
        version(&server.signed(request, admin, "s3"))
    };
    let (open, closed) = (tagged("access=open"), tagged("access=none"));
    let one = user(
        server,
        &format!(
            r#"{{"Effect":"Allow","Action":["s3:GetObject","s3:GetObjectVersion"],"Resource":"*","Condition":{{"StringEquals":{{"s3:VersionId":"{closed}"}}}}}}"#
        ),
    );
    let by_tag = user(
        server,
        r#"{"Effect":"Allow","Action":["s3:GetObject","s3:GetObjectVersion","s3:PutObjectVersionTagging"],"Resource":"*",
            "Condition":{"StringEquals":{"s3:ExistingObjectTag/access":"open"}}}"#,
    );
    let all_but = user(
        server,
        &format!(
            r#"{{"Effect":"Allow","Action":"s3:*","Resource":"*"}},
               {{"Effect":"Deny","Action":"s3:*","Resource":"*","Condition":{{"StringEquals":{{"s3:versionid":"{open}"}}}}}}"#
        ),
    );
    for (key, newest, of_open, of_closed) in [
        (&one, 403, 403, 200),
        (&by_tag, 403, 200, 403),
        (&all_but, 200, 403, 200),
    ] {
        assert_eq!(server.s3(key, "GET", &path, b"").status, newest);
        assert_eq!(
            server.s3(key, "GET", &format!("{path}?versionId={open}"), b"").status,
            of_open
        );
        assert_eq!(
            server.s3(key, "GET", &format!("{path}?versionId={closed}"), b"").status,
            of_closed
        );
    }
    let body = b"<Tagging><TagSet><Tag><Key>access</Key><Value>open</Value></Tag></TagSet></Tagging>";
    for (version, status) in [(&closed, 403), (&open, 200)] {
        let answer = server.s3(&by_tag, "PUT", &format!("{path}?tagging&versionId={version}"), body);
        assert_eq!(answer.status, status, "{}", answer.text());
    }
    let lister = user(
        server,
        &format!(
            r#"{{"Effect":"Allow","Action":"s3:ListBucketVersions","Resource":"*","Condition":{{"StringEquals":{{"s3:prefix":"{key}"}},"NumericLessThanEquals":{{"s3:max-keys":"10"}}}}}}"#
        ),
    );
    for (query, status) in [
        (format!("prefix={key}&max-keys=10"), 200),
        (format!("prefix={key}&max-keys=11"), 403),
        (format!("prefix={key}"), 403),
        (String::from("prefix=&max-keys=1"), 403),
        (String::from("max-keys=1"), 403),
    ] {
        assert_eq!(
            server
                .s3(&lister, "GET", &format!("/{BUCKET}?versions&{query}"), b"")
                .status,
            status,
            "{query}"
        );
    }
}

#[test]
fn versions_outlive_the_server() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path());
    let root = server.root.clone();
    assert_eq!(server.s3(&root, "PUT", "/kept-bucket", b"").status, 200);
    assert_eq!(server.s3(&root, "PUT", "/kept-bucket/a", b"before").status, 200);
    let body = b"<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>";
    assert_eq!(server.s3(&root, "PUT", "/kept-bucket?versioning", body).status, 200);
    let old = version(&server.s3(&root, "PUT", "/kept-bucket/a", b"old"));
    let marker = version(&server.s3(&root, "DELETE", "/kept-bucket/a", b""));
    server.stop();

    let server = Server::start(folder.path());
    let get = |query: &str| server.s3(&root, "GET", &format!("/kept-bucket/a{query}"), b"");
    assert_eq!(get("").outcome(), "404 NoSuchKey");
    assert_eq!(get(&format!("?versionId={old}")).text(), "old");
    assert_eq!(get("?versionId=null").text(), "before");
    let page = server.s3(
        &root,
        "GET",
        &format!("/kept-bucket?versions&key-marker=a&version-id-marker={marker}"),
        b"",
    );
    assert_eq!(page.element("VersionId").as_deref(), Some(old.as_str()));
    // Still enabled.
    assert_eq!(version(&server.s3(&root, "PUT", "/kept-bucket/a", b"new")).len(), 32);
    assert_eq!(get("?versionId=null").text(), "before");
}
