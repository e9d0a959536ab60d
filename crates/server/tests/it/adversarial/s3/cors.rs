//! Pages of other origins, and redirects.

use crate::client::{Request, Response};
use crate::harness::{Server, name, world};

/// A bucket with an object that everybody may read, and with these rules.
fn bucket_with(server: &Server, rules: &str) -> String {
    let bucket = name("cors");
    let ok = |response: Response| assert!(response.status < 300, "{}", response.text());
    ok(server.s3(&server.root, "PUT", &format!("/{bucket}"), b""));
    ok(server.s3(&server.root, "PUT", &format!("/{bucket}/key"), b"content"));
    ok(server.s3(&server.root, "DELETE", &format!("/{bucket}?publicAccessBlock"), b""));
    let policy = format!(
        r#"{{"Version":"2012-10-17","Statement":[{{"Effect":"Allow","Principal":"*","Action":"s3:GetObject","Resource":"arn:aws:s3:::{bucket}/*"}}]}}"#
    );
    ok(server.s3(&server.root, "PUT", &format!("/{bucket}?policy"), policy.as_bytes()));
    let document = format!("<CORSConfiguration>{rules}</CORSConfiguration>");
    let digest = base64::Engine::encode(
        &base64::engine::general_purpose::STANDARD,
        aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, document.as_bytes()),
    );
    let put = Request::new("PUT", &format!("/{bucket}?cors"))
        .header("x-amz-checksum-sha256", &digest)
        .body(document);
    ok(server.signed(put, &server.root, "s3"));
    bucket
}

const ORIGINS: [&str; 14] = [
    "https://app.example",
    "https://evil.example",
    "https://app.example.evil.example",
    "https://evil-app.example",
    "http://app.example",
    "https://app.example:8443",
    "https://APP.example",
    "https://a.wild.example",
    "https://wild.example",
    "https://evilwild.example",
    "null",
    "*",
    "",
    "https://app.example, https://evil.example",
];

#[test]
fn adv_s3_07_no_origin_is_reflected_and_no_star_comes_with_credentials() {
    let world = world();
    let server = &world.server;
    let rule = |origins: &[&str]| {
        let origins: String = origins
            .iter()
            .map(|origin| format!("<AllowedOrigin>{origin}</AllowedOrigin>"))
            .collect();
        format!(
            "<CORSRule>{origins}<AllowedMethod>GET</AllowedMethod><AllowedMethod>PUT</AllowedMethod><AllowedHeader>*</AllowedHeader></CORSRule>"
        )
    };
    let exact = bucket_with(server, &rule(&["https://app.example", "https://*.wild.example"]));
    let star = bucket_with(server, &rule(&["*"]));
    let both = bucket_with(server, &format!("{}{}", rule(&["https://app.example"]), rule(&["*"])));
    let mut granted = 0;
    for (bucket, all) in [(&exact, false), (&star, true), (&both, true)] {
        for origin in ORIGINS {
            let get = |path: &str| Request::new("GET", path).header("origin", origin);
            let preflight = |path: &str| {
                Request::new("OPTIONS", path)
                    .header("origin", origin)
                    .header("access-control-request-method", "PUT")
                    .header("access-control-request-headers", "x-amz-acl, authorization")
            };
            let path = format!("/{bucket}/key");
            for (what, response) in [
                ("preflight", server.send(&preflight(&path))),
                ("read", server.send(&get(&path))),
                ("refusal", server.send(&get(&format!("/{bucket}?list-type=2")))),
                ("signed", server.signed(get(&path), &world.admin, "s3")),
                (
                    "missing",
                    server.signed(get(&format!("/{bucket}/none")), &world.admin, "s3"),
                ),
                (
                    "bent",
                    server.send(
                        &get(&path)
                            .sign(&server.host, &world.admin, "s3")
                            .replace("x-amz-date", "20200101T000000Z"),
                    ),
                ),
            ] {
                let line = format!("{what} of {origin:?} at {bucket}: {response:?}");
                let allowed = response.header("access-control-allow-origin");
                let credentials = response.header("access-control-allow-credentials");
                match allowed {
                    None => assert_eq!(credentials, None, "{line}"),
                    Some("*") => {
                        assert!(all && credentials.is_none(), "{line}");
                        granted += 1;
                    }
                    Some(named) => {
                        assert_eq!(named, origin, "{line}");
                        assert!(
                            matches!(origin, "https://app.example" | "https://a.wild.example"),
                            "{line}"
                        );
                        granted += 1;
                    }
                }
                // What depends on the origin must not be cached for another.
                if response.status < 300 && what != "preflight" {
                    assert!(
                        response.header("vary").is_some_and(|vary| vary.contains("Origin")),
                        "{line}"
                    );
                }
                assert!(response.header("location").is_none(), "{line}");
            }
        }
    }
    assert!(granted > 20, "{granted}");
}

#[test]
fn adv_s3_07_a_preflight_opens_nothing_else() {
    let world = world();
    let server = &world.server;
    let rules = "<CORSRule><AllowedOrigin>https://app.example</AllowedOrigin><AllowedMethod>GET</AllowedMethod><AllowedHeader>x-allowed</AllowedHeader></CORSRule>";
    let bucket = bucket_with(server, rules);
    let ask = |target: &str, method: &str, headers: &str| {
        let request = Request::new("OPTIONS", target)
            .header("origin", "https://app.example")
            .header("access-control-request-method", method)
            .header("access-control-request-headers", headers);
        server.send(&request)
    };
    let honest = ask(&format!("/{bucket}/key"), "GET", "x-allowed");
    assert_eq!(honest.status, 200, "{}", honest.text());
    assert_eq!(honest.header("access-control-allow-methods"), Some("GET"));
    for (target, method, headers) in [
        (format!("/{bucket}/key"), "PUT", ""),
        (format!("/{bucket}/key"), "DELETE", ""),
        (format!("/{bucket}/key"), "get", ""),
        (format!("/{bucket}/key"), "PATCH", ""),
        (format!("/{bucket}/key"), "GET", "x-allowed, authorization"),
        (format!("/{bucket}/key"), "GET", "x-allowed-too"),
        ("/first-bucket/hello.txt".to_owned(), "GET", ""),
        ("/".to_owned(), "GET", ""),
        (format!("/{bucket}?policy"), "PUT", ""),
    ] {
        let response = ask(&target, method, headers);
        assert!(
            matches!(response.status, 400 | 403),
            "{method} {target}: {}",
            response.text()
        );
        assert!(response.header("access-control-allow-origin").is_none(), "{response:?}");
    }
    // Other services answer no page at all.
    for target in ["/?Action=GetCallerIdentity&Version=2011-06-15", "/clusters"] {
        let request = Request::new("GET", target).header("origin", "https://app.example");
        let response = server.signed(request, &world.admin, if target == "/clusters" { "eks" } else { "sts" });
        assert!(response.header("access-control-allow-origin").is_none(), "{response:?}");
    }
}

#[test]
fn adv_s3_07_nobody_is_sent_elsewhere() {
    let world = world();
    let server = &world.server;
    for (method, target, header) in [
        (
            "PUT",
            "/first-bucket/s3-07",
            Some(("x-amz-website-redirect-location", "https://evil.example/")),
        ),
        (
            "PUT",
            "/first-bucket/s3-07?x-amz-website-redirect-location=https%3A%2F%2Fevil.example",
            None,
        ),
        ("PUT", "/first-bucket?website", None),
        ("GET", "/first-bucket?website", None),
    ] {
        let mut request = Request::new(method, target).body(if method == "PUT" { "<WebsiteConfiguration><RedirectAllRequestsTo><HostName>evil.example</HostName></RedirectAllRequestsTo></WebsiteConfiguration>" } else { "" });
        if let Some((name, value)) = header {
            request = request.header(name, value);
        }
        let response = server.signed(request, &world.admin, "s3");
        assert!(response.status >= 400, "{method} {target}: {}", response.text());
        assert!(response.header("location").is_none(), "{response:?}");
    }
    assert_eq!(
        server.s3(&world.admin, "GET", "/first-bucket/s3-07", b"").outcome(),
        "404 NoSuchKey"
    );
    for target in [
        "/first-bucket/hello.txt/..",
        "/first-bucket",
        "/first-bucket/",
        "//evil.example/%2e%2e",
        "/\\evil.example",
    ] {
        let response = server.s3(&world.admin, "GET", target, b"");
        assert!(!(300..400).contains(&response.status), "{target}: {response:?}");
    }
}
