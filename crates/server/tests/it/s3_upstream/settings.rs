//! Settings of buckets whose objects are in a store.

use irsa_server::ServerConfig;

use super::store::{Store, error, ok};
use super::{before, upstream_config, user};
use crate::client::Request;
use crate::harness::{ALLOW_ALL, OTHER_ACCOUNT, Server, config, policy};

const OPEN: &str = "<PublicAccessBlockConfiguration><BlockPublicPolicy>false</BlockPublicPolicy><RestrictPublicBuckets>false</RestrictPublicBuckets></PublicAccessBlockConfiguration>";

#[test]
fn settings_are_kept_here_and_count() {
    let store = Store::new(|seen| {
        if seen.line().contains("/nowhere") {
            return error(404, "NoSuchBucket");
        }
        ok(
            &[("access-control-allow-origin", "*")],
            if seen.line().starts_with("HEAD") { b"" } else { b"hello" },
        )
    });
    let (_folder, server) = before(&store);
    let admin = user(&server, ALLOW_ALL);
    assert_eq!(
        server
            .s3(&admin, "PUT", "/data?publicAccessBlock", OPEN.as_bytes())
            .outcome(),
        "200"
    );
    let document =
        policy(r#"{"Effect":"Allow","Principal":"*","Action":"s3:GetObject","Resource":"arn:aws:s3:::data/pub/*"}"#);
    let put = server.s3(&admin, "PUT", "/data?policy", document.as_bytes());
    assert!(matches!(put.status, 200 | 204), "{}", put.text());
    assert_eq!(server.s3(&admin, "GET", "/data?policy", b"").text(), document);
    let cors = "<CORSConfiguration><CORSRule><AllowedOrigin>https://page.example</AllowedOrigin><AllowedMethod>GET</AllowedMethod></CORSRule></CORSConfiguration>";
    assert_eq!(server.s3(&admin, "PUT", "/data?cors", cors.as_bytes()).outcome(), "200");
    let none = server.s3(
        &admin,
        "PUT",
        "/nowhere?policy",
        document.replace("data", "nowhere").as_bytes(),
    );
    assert_eq!(none.outcome(), "404 NoSuchBucket", "{}", none.text());
    for seen in store.seen() {
        assert!(seen.line().starts_with("HEAD /"), "a setting left: {}", seen.line());
    }
    let known = store.seen().len();
    let page = Request::new("GET", "/data/pub/a").header("origin", "https://page.example");
    let public = server.send(&page);
    assert_eq!((public.status, public.text().as_str()), (200, "hello"));
    assert_eq!(
        public.header("access-control-allow-origin"),
        Some("https://page.example")
    );
    let other = server.send(&Request::new("GET", "/data/pub/a").header("origin", "https://other.example"));
    assert_eq!((other.status, other.header("access-control-allow-origin")), (200, None));
    let preflight = Request::new("OPTIONS", "/data/pub/a")
        .header("origin", "https://page.example")
        .header("access-control-request-method", "GET");
    assert_eq!(server.send(&preflight).status, 200);
    assert_eq!(
        server.send(&Request::new("GET", "/data/priv/a")).outcome(),
        "403 AccessDenied"
    );
    assert_eq!(
        server.send(&Request::new("PUT", "/data/pub/a").body("x")).outcome(),
        "403 AccessDenied"
    );
    assert_eq!(store.seen().len(), known + 2);
    // What was set goes with the bucket.
    assert_eq!(server.s3(&admin, "DELETE", "/data", b"").status, 200);
    assert_eq!(
        server.send(&Request::new("GET", "/data/pub/a")).outcome(),
        "403 AccessDenied"
    );
}

#[test]
fn what_a_former_owner_said_of_a_bucket_is_said_no_more() {
    let store = Store::new(|seen| ok(&[], if seen.line().starts_with("HEAD") { b"" } else { b"hello" }));
    let folder = tempfile::tempdir().unwrap();
    let serve = |upstream: String| {
        Server::start_with(ServerConfig {
            s3_upstream: upstream_config(&[upstream]),
            ..config(folder.path())
        })
        .unwrap_or_else(|error| panic!("{error}"))
    };
    let server = serve(format!("data={}", store.url()));
    let root = server.root.clone();
    let block = server.s3(&root, "PUT", "/data?publicAccessBlock", OPEN.as_bytes());
    assert_eq!(block.outcome(), "200");
    let document = policy(
        r#"{"Effect":"Allow","Principal":"*","Action":"s3:*","Resource":["arn:aws:s3:::data","arn:aws:s3:::data/*"]}"#,
    );
    let put = server.s3(&root, "PUT", "/data?policy", document.as_bytes());
    assert!(matches!(put.status, 200 | 204), "{}", put.text());
    assert_eq!(server.send(&Request::new("GET", "/data/k")).text(), "hello");
    drop(server);
    let server = serve(format!("{OTHER_ACCOUNT}/data={}", store.url()));
    let known = store.seen().len();
    assert_eq!(
        server.send(&Request::new("GET", "/data/k")).outcome(),
        "403 AccessDenied"
    );
    let former = user(&server, ALLOW_ALL);
    for (method, target) in [
        ("GET", "/data/k"),
        ("PUT", "/data/k"),
        ("GET", "/data?policy"),
        ("DELETE", "/data?policy"),
    ] {
        let answer = server.s3(&former, method, target, b"");
        assert_eq!(
            answer.outcome(),
            "403 AccessDenied",
            "{method} {target}: {}",
            answer.text()
        );
    }
    assert_eq!(store.seen().len(), known);
    drop(server);
    // It is the first owner's again, with what was set.
    let server = serve(format!("data={}", store.url()));
    assert_eq!(server.send(&Request::new("GET", "/data/k")).text(), "hello");
}
