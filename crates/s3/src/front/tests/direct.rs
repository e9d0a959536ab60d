//! That reads answered directly are answered as the general way answers them.

use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use proptest::strategy::ValueTree as _;

use super::super::direct::wanted;
use super::*;
use crate::bucket::Versioning;

/// A body without bytes that does not say so: its request takes the general way.
fn unknown() -> Body {
    StreamBody::new(stream::iter(Vec::<Result<Frame<Bytes>, BoxError>>::new())).boxed_unsync()
}

/// Who is asked: what they allow.
#[derive(Clone, Copy, Debug)]
enum Who {
    All,
    Reader,
    Lister,
    Nobody,
}

impl Who {
    fn script(self) -> Arc<Script> {
        match self {
            Self::All => Script::all(),
            Self::Reader => Script::only(&["s3:GetObject", "s3:GetObjectVersion"]),
            Self::Lister => Script::only(&["s3:GetObject", "s3:ListBucket", "s3:ListBucketVersions"]),
            Self::Nobody => Script::only(&[]),
        }
    }
}

/// What somebody sees, and what the record and the questions are.
async fn seen(
    server: &Server,
    (method, uri, headers, who): &(&str, String, Vec<(&str, String)>, Who),
    body: Body,
) -> String {
    let headers: Vec<(&str, &str)> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let script = who.script();
    let request = request(method, uri, &headers, "").map(|_| body);
    let answer = server.send(&script, request).await;
    // The general way keeps metadata in no order, and an order of headers means nothing.
    let mut told: Vec<String> = answer
        .headers
        .iter()
        .map(|(name, value)| format!("{name}: {value:?}"))
        .collect();
    told.sort_unstable();
    format!(
        "{} {told:#?}\n{}\n{:#?}\n{:#?}",
        answer.status,
        answer.text,
        answer.outcome,
        script.asked.lock().unwrap()
    )
}

/// Whether a request is answered directly.
fn is_direct(server: &Server, (method, uri, headers, _): &(&str, String, Vec<(&str, String)>, Who)) -> bool {
    let headers: Vec<(&str, &str)> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let (mut parts, _) = request(method, uri, &headers, "").into_parts();
    read_head(&mut parts).is_ok()
        && server
            .front
            .direct
            .door
            .questioner
            .head(&parts)
            .is_ok_and(|head| wanted(&head).is_some())
}

struct World {
    server: Server,
    keys: Vec<&'static str>,
    versions: Vec<String>,
}

impl World {
    /// Objects of all kinds.
    async fn new() -> Self {
        let server = Server::with_bucket().await;
        let put = |uri: &'static str, headers: Vec<(&'static str, &'static str)>, content: String| {
            let server = &server;
            async move {
                let answer = server
                    .send(&Script::all(), request("PUT", uri, &headers, &content))
                    .await;
                assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
                answer.header("x-amz-version-id").to_owned()
            }
        };
        put("/my-bucket/plain", vec![], "hello".to_owned()).await;
        put("/my-bucket/empty", vec![], String::new()).await;
        put("/my-bucket/large", vec![], "0123456789".repeat(20_000)).await;
        let all = vec![
            ("content-type", "application/xml"),
            ("content-encoding", "gzip"),
            ("content-language", "de"),
            ("content-disposition", "attachment; filename=\"a\""),
            ("cache-control", "no-cache"),
            ("expires", "Fri, 02 Jan 2026 04:04:05 GMT"),
            ("x-amz-meta-team", "blue"),
            (
                "x-amz-meta-long",
                "=?UTF-8?B?w7zDvMO8w7zDvMO8w7zDvMO8w7zDvMO8w7zDvMO8w7zDvMO8w7zDvMO8w7w=?= =?UTF-8?B?w7zDvMO8w7zDvA==?=",
            ),
            (
                "x-amz-meta-short",
                "=?UTF-8?B?w7zDvMO8w7zDvMO8w7zDvMO8w7zDvMO8w7zDvMO8w7zDvMO8w7zDvMO8w7xh?=",
            ),
            ("x-amz-tagging", "a=b&c=d"),
            ("x-amz-checksum-sha256", "LPJNul+wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ="),
        ];
        put("/my-bucket/dressed%20%2B%C3%BC", all, "hello".to_owned()).await;
        let begun = server
            .call(&Script::all(), "POST", "/my-bucket/parts?uploads", "")
            .await;
        let id = begun.element("UploadId");
        let mut parts = String::new();
        for (number, content) in [(1, "x".repeat(5 * 1024 * 1024)), (2, "last".to_owned())] {
            let uri = format!("/my-bucket/parts?partNumber={number}&uploadId={id}");
            let etag = server.call(&Script::all(), "PUT", &uri, &content).await;
            let etag = etag.header("etag");
            parts.push_str(&format!(
                "<Part><PartNumber>{number}</PartNumber><ETag>{etag}</ETag></Part>"
            ));
        }
        let document = format!(
            "<CompleteMultipartUpload xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">{parts}</CompleteMultipartUpload>"
        );
        let whole = server
            .call(
                &Script::all(),
                "POST",
                &format!("/my-bucket/parts?uploadId={id}"),
                &document,
            )
            .await;
        assert_eq!(whole.status, StatusCode::OK, "{}", whole.text);
        let record = server.buckets.get("my-bucket").unwrap();
        let mut settings = record.settings.clone();
        settings.versioning = Versioning::Enabled;
        server.buckets.update(&record, settings).await.unwrap();
        let mut versions = vec![
            put("/my-bucket/versions", vec![], "one".to_owned()).await,
            put("/my-bucket/versions", vec![("x-amz-tagging", "a=b")], "two".to_owned()).await,
            put("/my-bucket/hidden", vec![], "one".to_owned()).await,
        ];
        let marker = server.call(&Script::all(), "DELETE", "/my-bucket/hidden", "").await;
        versions.push(marker.header("x-amz-version-id").to_owned());
        assert!(versions.iter().all(|version| !version.is_empty()), "{versions:?}");
        versions.extend(["null", "nonsense", ""].map(str::to_owned));
        Self {
            server,
            keys: vec![
                "plain",
                "empty",
                "large",
                "dressed%20%2B%C3%BC",
                "parts",
                "versions",
                "hidden",
                "missing",
                "%FF",
            ],
            versions,
        }
    }

    fn requests(&self) -> impl Strategy<Value = (&'static str, String, Vec<(&'static str, String)>, Who)> + use<> {
        const HEADERS: &[(&str, &str)] = &[
            ("range", "bytes=0-0"),
            ("range", "bytes=1-3"),
            ("range", "bytes=-2"),
            ("range", "bytes=70000-150000"),
            ("range", "bytes=9999999-"),
            ("range", "bytes=x"),
            ("if-match", "\"5d41402abc4b2a76b9719d911017c592\""),
            ("if-match", "*"),
            ("if-match", "W/\"5d41402abc4b2a76b9719d911017c592\""),
            ("if-match", "\"other\""),
            ("if-none-match", "\"5d41402abc4b2a76b9719d911017c592\""),
            ("if-none-match", "\"other\""),
            ("if-none-match", "\"un"),
            ("if-modified-since", "Fri, 02 Jan 2026 03:04:05 GMT"),
            ("if-modified-since", "Fri, 02 Jan 2026 03:04:04 GMT"),
            ("if-modified-since", "yesterday"),
            ("if-unmodified-since", "Fri, 02 Jan 2026 03:04:05 GMT"),
            ("if-unmodified-since", "Fri, 02 Jan 2026 03:04:04 GMT"),
            ("x-amz-checksum-mode", "ENABLED"),
            ("x-amz-checksum-mode", "enabled"),
            ("x-amz-checksum-mode", ""),
            ("x-amz-expected-bucket-owner", "111122223333"),
            ("x-amz-expected-bucket-owner", "444455556666"),
            ("x-amz-request-payer", "requester"),
            ("x-amz-server-side-encryption-customer-key", "a"),
            ("x-amz-something", "a"),
            ("x-custom", "a"),
            ("accept-encoding", "identity"),
            ("origin", "https://page.example"),
            ("host", "my-bucket.s3.example"),
        ];
        const PARAMETERS: &[&str] = &[
            "partNumber=1",
            "partNumber=2",
            "partNumber=3",
            "partNumber=0",
            "partNumber=x",
            "partNumber=10001",
            "response-content-type=text%2Fcsv",
            "response-expires=Fri,%2002%20Jan%202026%2003:04:05%20GMT",
            "response-cache-control=%0A",
            "x-id=GetObject",
            "x-amz-checksum-mode=ENABLED",
            "acl",
            "tagging",
            "attributes",
            "unknown=1",
        ];
        let versions: Vec<Option<String>> = self.versions.iter().cloned().map(Some).chain(vec![None; 7]).collect();
        let headers = prop_oneof![
            4 => subsequence(HEADERS, 0..=2),
            1 => subsequence(HEADERS, 2..=5),
        ];
        (
            select(&["GET", "HEAD"][..]),
            select(self.keys.clone()),
            select(versions),
            prop_oneof![3 => subsequence(PARAMETERS, 0..=0), 2 => subsequence(PARAMETERS, 1..=2)],
            headers,
            select(&[Who::All, Who::All, Who::Reader, Who::Lister, Who::Nobody][..]),
        )
            .prop_map(|(method, key, version, mut parameters, headers, who)| {
                let version = version.map(|version| format!("versionId={version}"));
                parameters.extend(version.as_deref());
                let uri = format!("/my-bucket/{key}?{}", parameters.join("&"));
                let headers = headers.into_iter().map(|(name, value)| (name, value.to_owned()));
                (method, uri, headers.collect(), who)
            })
    }
}

#[test]
fn both_ways_answer_alike() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let world = runtime.block_on(World::new());
    let (mut direct, mut answered) = (0, 0);
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig {
        cases: 1_500,
        failure_persistence: None,
        ..ProptestConfig::default()
    });
    let strategy = world.requests();
    for _ in 0..runner.config().cases {
        let case = strategy.new_tree(&mut runner).unwrap().current();
        let [one, other] = runtime.block_on(async {
            [
                seen(&world.server, &case, full(Bytes::new())).await,
                seen(&world.server, &case, unknown()).await,
            ]
        });
        assert_eq!(one, other, "{case:?}");
        if is_direct(&world.server, &case) {
            direct += 1;
            answered += u32::from(one.starts_with("200") || one.starts_with("206"));
        }
    }
    assert!(direct > 500 && answered > 100, "{direct} direct, {answered} answered");
}

#[test]
fn what_others_find_words_for_is_left_to_them() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let world = runtime.block_on(World::new());
    for (uri, headers, direct) in [
        ("/my-bucket/plain", vec![], true),
        (
            "/my-bucket/plain?x-id=GetObject&partNumber=1",
            vec![("range", "bytes=0-1")],
            true,
        ),
        ("/my-bucket/plain?response-content-type=a", vec![], false),
        ("/my-bucket/plain?tagging", vec![], false),
        ("/my-bucket", vec![], false),
        (
            "/my-bucket/plain",
            vec![("if-match", "\"a\""), ("if-match", "\"b\"")],
            false,
        ),
        ("/my-bucket/plain", vec![("if-none-match", "")], false),
    ] {
        let headers = headers
            .into_iter()
            .map(|(name, value): (&str, &str)| (name, value.to_owned()));
        let case = ("GET", uri.to_owned(), headers.collect(), Who::All);
        assert_eq!(is_direct(&world.server, &case), direct, "{case:?}");
        let [one, other] = runtime.block_on(async {
            [
                seen(&world.server, &case, full(Bytes::new())).await,
                seen(&world.server, &case, unknown()).await,
            ]
        });
        assert_eq!(one, other, "{case:?}");
    }
}
