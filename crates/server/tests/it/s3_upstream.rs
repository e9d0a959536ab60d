//! Another S3 store behind the server: what reaches it, byte for byte, what does not, and what is told and recorded.

mod attacks;
mod keys;
mod late;
mod settings;
mod store;
mod tags;
mod uploads;

use std::time::{Duration, Instant};

use irsa_server::{S3UpstreamConfig, ServerConfig, UpstreamCredentials};
use irsa_upstream::Credentials;
use store::{Store, error, ok};

use crate::client::{Key, Request, Signing, exchange, sha256};
use crate::harness::{ACCOUNT, ALLOW_ALL, OTHER_ACCOUNT, Server, config, name, policy, remember_secret};

const UPSTREAM_KEY: &str = "AKIAUPSTREAMEXAMPLE2";
const UPSTREAM_SECRET: &str = "behind-the-proxy";

/// What the server is told about stores behind it, in its tests.
fn upstream_config(upstreams: &[String]) -> S3UpstreamConfig {
    remember_secret(UPSTREAM_SECRET);
    S3UpstreamConfig {
        upstreams: upstreams.iter().map(|text| text.parse().unwrap()).collect(),
        credentials: UpstreamCredentials::Static(Credentials {
            access_key_id: UPSTREAM_KEY.to_owned(),
            secret_access_key: UPSTREAM_SECRET.to_owned().into(),
            session_token: None,
        }),
        region: Some("eu-west-1".to_owned()),
        ..S3UpstreamConfig::default()
    }
}

fn start_as(s3_upstream: S3UpstreamConfig) -> (tempfile::TempDir, Server) {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start_with(ServerConfig {
        s3_upstream,
        ..config(&folder.path().join("data"))
    });
    (folder, server.unwrap_or_else(|error| panic!("{error}")))
}

fn start(upstreams: &[String]) -> (tempfile::TempDir, Server) {
    start_as(upstream_config(upstreams))
}

fn before(store: &Store) -> (tempfile::TempDir, Server) {
    start(&[store.url()])
}

fn user(server: &Server, statement: &str) -> Key {
    let document = if statement == ALLOW_ALL {
        statement.to_owned()
    } else {
        policy(statement)
    };
    server.user(&server.root, &name("up"), Some(&document))
}

#[test]
fn what_is_allowed_goes_on_under_our_name_and_is_recorded() {
    let store = Store::new(|_| {
        ok(
            &[
                ("etag", "\"abc\""),
                ("server", "TheirServer"),
                ("x-amz-id-2", "their-host"),
            ],
            b"",
        )
    });
    let (_folder, server) = before(&store);
    let writer = user(
        &server,
        r#"{"Effect":"Allow","Action":"s3:PutObject","Resource":"arn:aws:s3:::data/in/*"}"#,
    );
    let request = Request::new("PUT", "/data/in/a%20b")
        .header("content-type", "text/plain")
        .header("x-amz-meta-color", "blue")
        .header("content-md5", "XUFAKrxLKna5cZ2REBfFkg==")
        .header("x-amz-user-agent", "sdk")
        .header("x-forwarded-for", "10.1.2.3")
        .header("cookie", "secret=1")
        .body("hello");
    let answer = server.signed(request, &writer, "s3");
    assert_eq!(answer.outcome(), "200", "{}", answer.text());
    assert_eq!(answer.header("etag"), Some("\"abc\""));
    assert_eq!(answer.header("server"), None);
    assert_ne!(answer.header("x-amz-id-2"), Some("their-host"));
    let [seen] = &store.seen()[..] else {
        panic!("one request")
    };
    assert_eq!(
        (seen.line(), seen.body.as_slice(), seen.whole),
        ("PUT /data/in/a%20b HTTP/1.1", &b"hello"[..], true)
    );
    assert_eq!(seen.header("x-amz-content-sha256"), sha256(b"hello"));
    assert_eq!(seen.header("x-amz-meta-color"), "blue");
    assert_eq!(seen.header("content-md5"), "XUFAKrxLKna5cZ2REBfFkg==");
    assert_eq!(seen.header("host"), store.host());
    seen.verify(UPSTREAM_SECRET, "eu-west-1");
    for gone in [
        writer.id.as_str(),
        "10.1.2.3",
        "cookie",
        "x-amz-user-agent",
        server.host.as_str(),
    ] {
        assert!(!seen.head.contains(gone), "{gone} in {}", seen.head);
    }
    let record = server.record(&answer);
    assert_eq!(record["eventName"], "PutObject");
    assert_eq!(record["eventCategory"], "Data");
    assert_eq!(record["requestParameters"]["key"], "in/a b");
    assert_eq!(record["resources"][0]["ARN"], "arn:aws:s3:::data/in/a b");
    assert_eq!(record["recipientAccountId"], ACCOUNT);
    assert_eq!(record["additionalEventData"]["bytesTransferredIn"], 5);
    let denied = server.s3(&writer, "PUT", "/data/out/a", b"hello");
    assert_eq!(denied.outcome(), "403 AccessDenied");
    assert!(denied.text().contains("s3:PutObject"), "{}", denied.text());
    assert_eq!(server.record(&denied)["errorCode"], "AccessDenied");
    let unsigned = server.send(&Request::new("GET", "/data/in/a"));
    assert_eq!(unsigned.outcome(), "403 AccessDenied");
    assert_eq!(store.seen().len(), 1, "nothing that is denied is sent on");
}

#[test]
fn objects_come_back_as_they_are() {
    let store = Store::new(|seen| {
        if seen.header("range") == "bytes=1-2" {
            let mut part = ok(&[("content-range", "bytes 1-2/5")], b"el");
            part.splice(9..12, *b"206");
            return part;
        }
        if !seen.header("if-none-match").is_empty() {
            return b"HTTP/1.1 304 Not Modified\r\netag: \"e\"\r\nconnection: close\r\n\r\n".to_vec();
        }
        ok(
            &[
                ("etag", "\"e\""),
                ("x-amz-tagging-count", "2"),
                ("x-amz-meta-a", "b"),
                ("set-cookie", "x=1"),
            ],
            b"hello",
        )
    });
    let (_folder, server) = before(&store);
    let reader = user(
        &server,
        r#"{"Effect":"Allow","Action":"s3:GetObject","Resource":"arn:aws:s3:::data/*"}"#,
    );
    let got = server.s3(
        &reader,
        "GET",
        "/data/k?response-content-type=text%2Fx&x-id=GetObject",
        b"",
    );
    assert_eq!((got.status, got.text().as_str()), (200, "hello"));
    assert_eq!(
        (got.header("x-amz-meta-a"), got.header("set-cookie")),
        (Some("b"), None)
    );
    assert_eq!(
        got.header("x-amz-tagging-count"),
        None,
        "who may not read tags learns not how many there are"
    );
    assert_eq!(
        store.last().line(),
        "GET /data/k?response-content-type=text%2Fx HTTP/1.1"
    );
    assert_eq!(server.record(&got)["additionalEventData"]["bytesTransferredOut"], 5);
    let part = server.signed(
        Request::new("GET", "/data/k").header("range", "bytes=1-2"),
        &reader,
        "s3",
    );
    assert_eq!((part.status, part.text().as_str()), (206, "el"));
    let same = server.signed(
        Request::new("GET", "/data/k").header("if-none-match", "\"e\""),
        &reader,
        "s3",
    );
    assert_eq!(same.status, 304);
    let admin = user(&server, ALLOW_ALL);
    let head = server.s3(&admin, "HEAD", "/data/k", b"");
    assert_eq!(
        (
            head.status,
            head.header("content-length"),
            head.header("x-amz-tagging-count")
        ),
        (200, Some("5"), Some("2"))
    );
    let presigned = Request::new("GET", "/data/k").presigned(&server.host, &Signing::new(&reader, "s3"), "60");
    assert_eq!(server.send(&presigned).text(), "hello");
    assert_eq!(store.last().line(), "GET /data/k HTTP/1.1");
    assert!(!store.last().head.contains("Signature=") || store.last().head.contains(UPSTREAM_KEY));
}

#[test]
fn each_bucket_has_its_store_and_each_account_its_own() {
    let (rest, logs) = (
        Store::new(|seen| {
            match seen.line() {
            "GET / HTTP/1.1" => ok(&[], b"<ListAllMyBucketsResult><Buckets><Bucket><Name>zeta</Name><CreationDate>2026-01-02T03:04:05.000Z</CreationDate></Bucket><Bucket><Name>logs</Name></Bucket></Buckets></ListAllMyBucketsResult>"),
            _ => ok(&[], b"rest"),
        }
        }),
        Store::new(|seen| ok(&[], if seen.line().starts_with("HEAD") { b"" } else { b"logs" })),
    );
    let (_folder, server) = start(&[
        rest.url(),
        format!("logs={}", logs.url()),
        format!("{OTHER_ACCOUNT}/theirs={}", logs.url()),
    ]);
    let admin = user(&server, ALLOW_ALL);
    assert_eq!(server.s3(&admin, "GET", "/zeta/k", b"").text(), "rest");
    assert_eq!(server.s3(&admin, "GET", "/logs/k", b"").text(), "logs");
    let foreign = server.s3(&admin, "GET", "/theirs/k", b"");
    assert_eq!(foreign.outcome(), "403 AccessDenied", "{}", foreign.text());
    assert_eq!(
        foreign.message(),
        "Access Denied",
        "callers of other accounts learn nothing"
    );
    let list = server.s3(&admin, "GET", "/", b"");
    assert_eq!(list.status, 200, "{}", list.text());
    let text = list.text();
    let names: Vec<&str> = text
        .split("<Name>")
        .skip(1)
        .map(|rest| rest.split('<').next().unwrap())
        .collect();
    assert_eq!(names, ["logs", "zeta"]);
    assert!(text.contains("2026-01-02T03:04:05.000Z"), "{text}");
    let nobody = user(&server, r#"{"Effect":"Allow","Action":"s3:GetObject","Resource":"*"}"#);
    let known = rest.seen().len();
    assert_eq!(server.s3(&nobody, "GET", "/", b"").outcome(), "403 AccessDenied");
    assert_eq!(rest.seen().len(), known);
    let between = Request::new("PUT", "/zeta/copy").header("x-amz-copy-source", "/logs/k");
    let answer = server.signed(between, &admin, "s3");
    assert_eq!(answer.outcome(), "501 NotImplemented", "{}", answer.text());
    assert_eq!((rest.seen().len(), logs.seen().len()), (known, 2));
}

#[test]
fn copies_name_the_source_that_was_decided() {
    let store = Store::new(|seen| match seen.line().split(' ').next() {
        Some("GET") => error(404, "NoSuchKey"),
        _ => ok(&[], b"<CopyObjectResult><ETag>\"e\"</ETag></CopyObjectResult>"),
    });
    let (_folder, server) = before(&store);
    let copier = user(
        &server,
        r#"{"Effect":"Allow","Action":["s3:GetObject","s3:PutObject"],"Resource":["arn:aws:s3:::data/pub/*","arn:aws:s3:::out/*"]}"#,
    );
    let copy = |source: &str| {
        let request = Request::new("PUT", "/out/k").header("x-amz-copy-source", source);
        server.signed(request, &copier, "s3")
    };
    let done = copy("data/pub/a%20b+c");
    assert_eq!(done.status, 200, "{}", done.text());
    assert_eq!(store.last().header("x-amz-copy-source"), "/data/pub/a%20b%2Bc");
    store.last().verify(UPSTREAM_SECRET, "eu-west-1");
    let known = store
        .seen()
        .iter()
        .filter(|seen| seen.line().starts_with("PUT"))
        .count();
    for source in [
        "data/priv/a",
        "/data/priv/a",
        "data/pub/../priv",
        "data%2Fpriv%2Fa",
        "other/pub/a",
        "data",
        "data/",
        "",
        "arn:aws:s3:us-east-1:111122223333:accesspoint/x/object/k",
    ] {
        let answer = copy(source);
        assert!(
            matches!(answer.status, 400 | 403 | 501),
            "{source}: {} {}",
            answer.status,
            answer.text()
        );
    }
    let twice = Request::new("PUT", "/out/k")
        .header("x-amz-copy-source", "data/pub/a")
        .header("x-amz-copy-source", "data/priv/a");
    assert!(server.signed(twice, &copier, "s3").status >= 400);
    let puts = store.seen().into_iter().filter(|seen| seen.line().starts_with("PUT"));
    assert_eq!(puts.count(), known);
    let range = Request::new("PUT", "/out/k?partNumber=1&uploadId=u")
        .header("x-amz-copy-source", "data/priv/a")
        .header("x-amz-copy-source-range", "bytes=0-1");
    assert_eq!(server.signed(range, &copier, "s3").outcome(), "403 AccessDenied");
}

#[test]
fn many_keys_are_decided_one_by_one() {
    let store = Store::new(|seen| {
        let text = String::from_utf8(seen.body.clone()).unwrap();
        assert!(!text.contains("priv"), "{text}");
        ok(&[], b"<DeleteResult><Deleted><Key>pub/a</Key></Deleted><Error><Key>pub/b</Key><Code>SlowDown</Code><Message>m</Message></Error></DeleteResult>")
    });
    let (_folder, server) = before(&store);
    let cleaner = user(
        &server,
        r#"{"Effect":"Allow","Action":"s3:DeleteObject","Resource":"arn:aws:s3:::data/pub/*"}"#,
    );
    let body = "<Delete><Object><Key>pub/a</Key></Object><Object><Key>priv/<![CDATA[x]]></Key></Object><!-- --><Object><Key>pub/b</Key></Object><Object><Key>pub/&#x63;</Key></Object></Delete>";
    let answer = server.s3(&cleaner, "POST", "/data?delete", body.as_bytes());
    assert_eq!(answer.status, 200, "{}", answer.text());
    let text = answer.text();
    for part in [
        "<Deleted><Key>pub/a</Key></Deleted>",
        "<Error><Key>priv/</Key><Code>AccessDenied</Code>",
        "<Error><Key>pub/b</Key><Code>SlowDown</Code>",
        "<Error><Key>pub/c</Key><Code>InternalError</Code>",
    ] {
        assert!(text.contains(part), "{part} in {text}");
    }
    let seen = store.last();
    assert_eq!(seen.line(), "POST /data?delete= HTTP/1.1");
    let sent = String::from_utf8(seen.body.clone()).unwrap();
    assert!(
        sent.contains("<Key>pub/c</Key>") && sent.contains("<Quiet>false</Quiet>"),
        "{sent}"
    );
    assert!(!seen.header("content-md5").is_empty());
    let records = server.records(answer.request_id().unwrap());
    assert_eq!(records.len(), 5);
    let none = server.s3(
        &cleaner,
        "POST",
        "/data?delete",
        b"<Delete><Quiet>true</Quiet><Object><Key>priv/a</Key></Object></Delete>",
    );
    assert!(none.text().contains("AccessDenied"), "{}", none.text());
    assert_eq!(store.seen().len(), 1, "a request of which nothing is left is not sent");
}

#[test]
fn buckets_are_made_for_their_own_account_and_settings_stay_here() {
    let store = Store::new(|_| ok(&[("location", "http://their.host/new")], b""));
    let (_folder, server) = before(&store);
    let admin = user(&server, ALLOW_ALL);
    let made = server.s3(&admin, "PUT", "/new-bucket", b"");
    assert_eq!((made.status, made.header("location")), (200, Some("/new-bucket")));
    let text = String::from_utf8(store.last().body).unwrap();
    assert!(
        text.contains("<LocationConstraint>eu-west-1</LocationConstraint>"),
        "{text}"
    );
    let known = store.seen().len();
    let located = server.s3(&admin, "GET", "/new-bucket?location", b"");
    assert_eq!(located.status, 200, "{}", located.text());
    let asked: Vec<String> = store.seen()[known..]
        .iter()
        .map(|seen| seen.line().to_owned())
        .collect();
    assert_eq!(asked, ["HEAD /new-bucket HTTP/1.1"], "the answer is ours");
    let head = server.s3(&admin, "HEAD", "/new-bucket", b"");
    assert_eq!(head.header("x-amz-bucket-region"), Some("us-east-1"));
    assert_eq!(server.s3(&admin, "DELETE", "/new-bucket", b"").status, 200);
}

#[test]
fn errors_are_told_in_our_name() {
    let store = Store::new(|seen| {
        let key = seen
            .line()
            .split(' ')
            .nth(1)
            .unwrap()
            .rsplit('/')
            .next()
            .unwrap()
            .to_owned();
        if seen.line().starts_with("HEAD") {
            return b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\nconnection: close\r\n\r\n".to_vec();
        }
        match key.as_str() {
            "missing" => error(404, "NoSuchKey"),
            "keys" => error(403, "InvalidAccessKeyId"),
            "signature" => error(403, "SignatureDoesNotMatch"),
            "denied" => error(403, "AccessDenied"),
            "slow" => error(503, "SlowDown"),
            "moved" => error(301, "PermanentRedirect"),
            "html" => b"HTTP/1.1 502 Bad Gateway\r\ncontent-length: 6\r\nconnection: close\r\n\r\n<html>".to_vec(),
            "gone" => Vec::new(),
            _ => b"garbage\r\n\r\n".to_vec(),
        }
    });
    let (_folder, server) = before(&store);
    let lister = user(
        &server,
        r#"{"Effect":"Allow","Action":["s3:GetObject","s3:ListBucket"],"Resource":"*"}"#,
    );
    for (key, outcome) in [
        ("missing", "404 NoSuchKey"),
        ("keys", "500 InternalError"),
        ("signature", "500 InternalError"),
        ("denied", "403 AccessDenied"),
        ("slow", "503 SlowDown"),
        ("moved", "500 InternalError"),
        ("html", "503 ServiceUnavailable"),
        ("gone", "500 InternalError"),
        ("garbage", "500 InternalError"),
    ] {
        let answer = server.s3(&lister, "GET", &format!("/data/{key}"), b"");
        assert_eq!(answer.outcome(), outcome, "{key}: {}", answer.text());
        for secret in [UPSTREAM_KEY, "their-host", "their-request", "arn:aws:iam::999"] {
            assert!(!answer.text().contains(secret), "{key}: {}", answer.text());
        }
        assert_eq!(answer.element("RequestId").as_deref(), answer.request_id());
        assert_eq!(server.record(&answer)["errorCode"], outcome[4..], "{key}");
    }
    assert_eq!(server.s3(&lister, "HEAD", "/data/missing", b"").status, 404);
    let reader = user(&server, r#"{"Effect":"Allow","Action":"s3:GetObject","Resource":"*"}"#);
    assert_eq!(
        server.s3(&reader, "GET", "/data/missing", b"").outcome(),
        "403 AccessDenied"
    );
    assert_eq!(server.s3(&reader, "HEAD", "/data/missing", b"").status, 403);
}

#[test]
fn a_store_that_is_not_there_or_dies() {
    let gone = {
        let store = Store::new(|_| Vec::new());
        store.close()
    };
    let (_folder, server) = start(&[gone]);
    let admin = user(&server, ALLOW_ALL);
    let begun = Instant::now();
    for (method, target) in [
        ("GET", "/data/k"),
        ("PUT", "/data/k"),
        ("GET", "/data?list-type=2"),
        ("GET", "/"),
    ] {
        assert_eq!(
            server.s3(&admin, method, target, b"").outcome(),
            "503 ServiceUnavailable",
            "{method} {target}"
        );
    }
    assert!(begun.elapsed() < Duration::from_secs(30));
    let dying =
        Store::new(|_| b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\nconnection: close\r\n\r\nonly this".to_vec());
    let (_folder, server) = before(&dying);
    let admin = user(&server, ALLOW_ALL);
    let request = Request::new("GET", "/data/k").sign(&server.host, &admin, "s3");
    // What is cut short there is cut short here, and no end.
    let answer = exchange(&server.host, &request.bytes(&server.host), false);
    assert!(answer.unwrap_err().contains("100 bytes were announced"));
}
