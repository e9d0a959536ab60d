//! That our reading of a head is the one of `s3s`, which runs it.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use futures_util::FutureExt as _;
use http::{Method, Request};
use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use s3s::S3;
use s3s::access::{S3Access, S3AccessContext};
use s3s::service::S3ServiceBuilder;

use super::*;
use crate::access::RefuseCredentials;
use crate::operation::find;

struct Nothing;

impl S3 for Nothing {}

/// Writes down what `s3s` would run.
#[derive(Clone, Default)]
struct Witness(Arc<Mutex<Option<(String, Place)>>>);

#[async_trait]
impl S3Access for Witness {
    async fn check(&self, context: &mut S3AccessContext<'_>) -> S3Result<()> {
        let seen = (context.s3_op().name().to_owned(), Place::of(context.s3_path()));
        *self.0.lock().unwrap() = Some(seen);
        Err(error("AccessDenied", "enough seen"))
    }
}

fn domains() -> Vec<String> {
    vec!["s3.example".to_owned(), "localhost".to_owned()]
}

/// Operation and place as `s3s` tells them, if we have the operation and its parameters and headers.
fn of_s3s(parts: &Parts) -> Option<(&'static str, Place)> {
    let witness = Witness::default();
    let mut builder = S3ServiceBuilder::new(Nothing);
    builder.set_auth(RefuseCredentials);
    builder.set_access(witness.clone());
    builder.set_host(crate::front::Domains(domains()));
    builder.set_config(crate::front::configuration());
    let request = Request::from_parts(parts.clone(), s3s::Body::empty());
    // It waits for nothing.
    drop(builder.build().call(request).now_or_never().unwrap());
    let (name, place) = witness.0.lock().unwrap().take()?;
    let operation = find(&name)?;
    Head::of(operation, place.clone(), &parts.uri, &parts.headers).ok()?;
    Some((operation.name, place))
}

fn of_ours(parts: &Parts) -> Option<(&'static str, Place)> {
    let head = Head::of_parts(parts, &domains()).ok()?;
    Some((head.operation.name, head.place))
}

fn request(method: &str, target: &str, headers: &[(&str, &str)]) -> Parts {
    let mut builder = Request::builder().method(Method::from_bytes(method.as_bytes()).unwrap());
    builder = builder.uri(target);
    for (name, value) in headers {
        builder = builder.header(*name, *value);
    }
    builder.body(()).unwrap().into_parts().0
}

/// Every name that means something to S3, ours and others.
fn words() -> Vec<&'static str> {
    let mut words: Vec<&'static str> = operations().flat_map(|row| row.query.iter().copied()).collect();
    words.extend([
        "accelerate",
        "acl",
        "analytics",
        "cors",
        "encryption",
        "events",
        "id",
        "intelligent-tiering",
        "inventory",
        "legal-hold",
        "lifecycle",
        "logging",
        "metadataTable",
        "metrics",
        "notification",
        "object-lock",
        "ownershipControls",
        "policy",
        "policyStatus",
        "publicAccessBlock",
        "replication",
        "requestPayment",
        "restore",
        "retention",
        "select",
        "select-type",
        "session",
        "torrent",
        "versionId",
        "versions",
        "website",
        "x-id",
        "x-other",
        "X-ID",
        "Uploads",
        "list-typ",
        "",
    ]);
    words.sort_unstable();
    words.dedup();
    words
}

fn targets() -> impl Strategy<Value = String> {
    let piece = select(vec![
        "bucket",
        "my-bucket",
        "b.c.d",
        "Bucket",
        "a",
        "key",
        "%2f",
        "%2F",
        "..",
        ".",
        "%2e%2e",
        "+",
        "%20",
        "%",
        "%4",
        "%%41",
        "%zz",
        "%ff",
        "%c3%a4",
        "%00",
        "ä%",
        ";",
        "~",
        "192.168.1.1",
        "xn--abc",
        "%41%",
        "a%3Fb",
        "a%23b",
        "?",
        "",
    ]);
    let path = prop::collection::vec(piece, 0..5).prop_map(|pieces| {
        let path: String = pieces.iter().map(|piece| format!("/{piece}")).collect();
        if path.is_empty() {
            "/".to_owned()
        } else {
            path.replace('?', "")
        }
    });
    let value = select(vec![
        "",
        "=",
        "=2",
        "=1",
        "=a%2Fb",
        "=%ff",
        "=ListDirectoryBuckets",
        "=hidden",
    ]);
    let query = prop::collection::vec((select(words()), value), 0..4);
    (path, query, any::<bool>()).prop_map(|(path, query, empty)| {
        let query: Vec<String> = query.iter().map(|(name, value)| format!("{name}{value}")).collect();
        match (query.is_empty(), empty) {
            (true, false) => path,
            _ => format!("{path}?{}", query.join("&")),
        }
    })
}

fn header_sets() -> impl Strategy<Value = Vec<(&'static str, &'static str)>> {
    let hosts = select(vec![
        "127.0.0.1:4700",
        "localhost",
        "localhost:4700",
        "my-bucket.localhost:4700",
        "My-Bucket.LOCALHOST",
        "s3.example",
        "a.s3.example",
        "abc.def.s3.example:80",
        "xs3.example",
        ".s3.example",
        "[::1]:4700",
        "::1",
        "other.example",
        "abc.localhost:",
        "abc.localhost:x",
        "",
    ]);
    let others = subsequence(
        vec![
            ("x-amz-copy-source", "my-bucket/key"),
            ("x-amz-acl", "bucket-owner-full-control"),
            ("x-amz-acl", "public-read"),
            ("x-amz-request-route", "r"),
            ("x-amz-request-token", "t"),
            ("x-amz-tagging", "a=b"),
            ("x-amz-meta-a", "b"),
            ("x-amz-grant-read", "id=1"),
            ("content-type", "text/plain"),
            ("range", "bytes=0-1"),
            ("x-amz-copy-source-if-match", "e"),
        ],
        0..3,
    );
    (hosts, others).prop_map(|(host, mut others)| {
        others.push(("host", host));
        others
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3000))]

    /// The operation, the bucket and the key that are decided are those that run, or both refuse.
    #[test]
    fn s3s_and_we_read_a_head_alike(
        method in select(vec!["GET", "HEAD", "PUT", "POST", "DELETE", "PATCH", "OPTIONS"]),
        target in targets(),
        headers in header_sets(),
    ) {
        let Ok(uri) = target.parse::<Uri>() else { return Ok(()) };
        let parts = request(method, &uri.to_string(), &headers);
        prop_assert_eq!(of_ours(&parts), of_s3s(&parts), "{} {} {:?}", method, target, headers);
    }
}

/// Each row is found by its own markers, so that the property above is about all of them.
#[test]
fn every_operation_is_found() {
    for row in operations() {
        let path = match row.resource {
            ResourceKind::Service => "/",
            ResourceKind::NewBucket | ResourceKind::Bucket | ResourceKind::Keys => "/my-bucket",
            ResourceKind::Object | ResourceKind::Copy | ResourceKind::Tagged => "/my-bucket/a/b",
        };
        let mut query = Vec::new();
        let mut headers = vec![("host", "127.0.0.1")];
        for marker in row.markers {
            match *marker {
                Marker::Query(name) => query.push(name.to_owned()),
                Marker::QueryIs(name, value) => query.push(format!("{name}={value}")),
                Marker::Header(name) => headers.push((name, "my-bucket/key")),
            }
        }
        let parts = request(row.method, &format!("{path}?{}", query.join("&")), &headers);
        assert_eq!(of_ours(&parts).map(|(name, _)| name), Some(row.name));
        assert_eq!(of_ours(&parts), of_s3s(&parts), "{}", row.name);
    }
}

/// No request has two rows that fit it equally well: a marker of one is a parameter that the other does not take.
#[test]
fn rows_do_not_compete() {
    let names = |row: &Operation| -> Vec<&'static str> {
        let name = |marker: &Marker| match *marker {
            Marker::Query(name) | Marker::QueryIs(name, _) | Marker::Header(name) => name,
        };
        row.markers.iter().map(name).collect()
    };
    let place = |row: &Operation| match row.resource {
        ResourceKind::Service => 0,
        ResourceKind::NewBucket | ResourceKind::Bucket | ResourceKind::Keys => 1,
        ResourceKind::Object | ResourceKind::Copy | ResourceKind::Tagged => 2,
    };
    for one in operations() {
        for other in operations() {
            let same =
                one.method == other.method && place(one) == place(other) && one.markers.len() == other.markers.len();
            if one.name == other.name || !same {
                continue;
            }
            let takes =
                |name: &&str| other.query.contains(name) || other.headers.iter().any(|(known, _)| known == name);
            assert!(!names(one).iter().all(takes), "{} and {}", one.name, other.name);
        }
    }
}

/// Names of keys that look like paths.
#[test]
fn keys_are_names() {
    let key =
        |target: &str| of_ours(&request("GET", target, &[("host", "127.0.0.1")])).and_then(|(_, place)| place.key);
    for (target, expected) in [
        ("/my-bucket/a/../b", "a/../b"),
        ("/my-bucket/a//b", "a//b"),
        ("/my-bucket//a", "/a"),
        ("/my-bucket/a%2fb", "a/b"),
        ("/my-bucket/a+b", "a+b"),
        ("/my-bucket/a%20b%2B", "a b+"),
        ("/my-bucket/%2e%2e", ".."),
        ("/my-bucket/100%", "100%"),
        ("/my-bucket/%C3%A4", "ä"),
    ] {
        assert_eq!(key(target).as_deref(), Some(expected), "{target}");
    }
    assert_eq!(key("/my-bucket/%ff"), None);
}

/// Of two values one decides, and the other is done.
#[test]
fn headers_that_decide_come_once() {
    let read = |method: &str, target: &str, headers: &[(&str, &str)]| {
        let parts = request(method, target, headers);
        Head::of_parts(&parts, &[])
            .map(drop)
            .map_err(|error| error.code().as_str().to_owned())
    };
    for (method, name, one, other) in [
        ("PUT", "if-match", "\"a\"", "*"),
        ("PUT", "if-none-match", "*", "\"a\""),
        ("DELETE", "if-match", "*", "\"a\""),
        ("GET", "range", "bytes=0-1", "bytes=2-3"),
        ("PUT", "content-type", "text/plain", "text/html"),
        ("PUT", "x-amz-expected-bucket-owner", "111122223333", "444455556666"),
        ("PUT", "x-amz-checksum-sha256", "a", "b"),
        ("PUT", "x-amz-tagging", "a=b", "a=c"),
        ("PUT", "x-amz-copy-source", "/b/k", "/b/l"),
    ] {
        assert_eq!(read(method, "/my-bucket/a", &[(name, one)]), Ok(()), "{name}");
        let twice = read(method, "/my-bucket/a", &[(name, one), (name, other)]);
        assert_eq!(twice, Err("InvalidArgument".to_owned()), "{name}");
    }
    for (name, one, other) in [
        ("x-amz-meta-a", "1", "2"),
        ("accept", "a", "b"),
        ("x-amz-user-agent", "a", "b"),
    ] {
        let twice = read("PUT", "/my-bucket/a", &[(name, one), (name, other)]);
        assert_eq!(twice, Ok(()), "{name}");
    }
}
