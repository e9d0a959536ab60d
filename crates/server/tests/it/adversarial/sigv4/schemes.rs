//! Where a signature stands, and what stands there instead of one.

use crate::adversarial::{STREAMING, routes};
use crate::client::{Request, Signing, exchange};
use crate::harness::{now, world};

#[test]
fn adv_sv_05_headers_added_to_a_presigned_url_are_refused() {
    let world = world();
    let server = &world.server;
    for (header, value) in [
        ("x-amz-copy-source", "second-bucket/hello.txt"),
        ("x-amz-copy-source", "first-bucket/hello.txt"),
        ("x-amz-acl", "public-read"),
        ("x-amz-acl", "bucket-owner-full-control"),
        ("x-amz-tagging", "a=b"),
        ("x-amz-meta-owner", "mallory"),
        ("x-amz-object-lock-mode", "GOVERNANCE"),
        ("x-amz-server-side-encryption", "AES256"),
        ("x-amz-server-side-encryption-customer-algorithm", "AES256"),
        ("x-amz-website-redirect-location", "https://evil.example/"),
        ("x-amz-storage-class", "GLACIER"),
        ("X-Amz-Security-Token", "stolen"),
    ] {
        let request = Request::new("PUT", "/first-bucket/sv-05")
            .presigned(&server.host, &Signing::new(&world.admin, "s3"), "300")
            .header(header, value)
            .body("x");
        let response = server.send(&request);
        assert_eq!(response.outcome(), "403 AccessDenied", "{header}: {}", response.text());
        assert_eq!(
            response.message(),
            "There were headers present in the request which were not signed",
            "{header}"
        );
        server.record(&response);
    }
    let missing = server.s3(&world.admin, "GET", "/first-bucket/sv-05", b"");
    assert_eq!(missing.outcome(), "404 NoSuchKey");
}

#[test]
fn adv_sv_08_sv_27_other_schemes_and_no_signature_open_no_route() {
    let world = world();
    let server = &world.server;
    let token = world.expired.token.as_deref().unwrap();
    let schemes = [
        None,
        Some("AWS AKIAIOSFODNN7EXAMPLE:frJIUN8DYpKDtOLCwo//yllqDzg=".to_owned()),
        Some("AWS4-ECDSA-P256-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20260101/s3/aws4_request, SignedHeaders=host, Signature=00".to_owned()),
        Some(format!("Bearer {token}")),
        Some("Basic cm9vdDpyb290".to_owned()),
        Some("AWS4-HMAC-SHA256".to_owned()),
        Some(String::new()),
    ];
    for scheme in &schemes {
        for (service, request) in routes() {
            let line = format!("{service} {} {} {scheme:?}", request.method, request.path);
            let request = match scheme {
                Some(scheme) => request.header("authorization", scheme),
                None => request,
            };
            let response = server.send(&request);
            // Without a scope, our own paths are buckets, and anybody may know that there is no such bucket.
            let no_bucket = service == "irsa" && response.code() == "NoSuchBucket";
            assert!(
                response.status == 403 || response.status == 400 || no_bucket,
                "{line}: {}",
                response.text()
            );
            let record = server.record(&response);
            let identity = record["userIdentity"]["type"].as_str().unwrap();
            assert!(
                identity == "Unknown" || identity == "AWSAccount" || identity == "Anonymous",
                "{line}: {record}"
            );
        }
    }
}

#[test]
fn adv_sv_09_a_payload_word_added_to_a_presigned_url_does_not_reroute_it() {
    let world = world();
    let server = &world.server;
    for word in STREAMING.into_iter().chain(["UNSIGNED-PAYLOAD"]) {
        let request = Request::new("PUT", "/first-bucket/sv-09")
            .presigned(&server.host, &Signing::new(&world.admin, "s3"), "300")
            .header("x-amz-content-sha256", word)
            .header("x-amz-decoded-content-length", "1")
            .body("1\r\nx\r\n0\r\n\r\n");
        let response = server.send(&request);
        assert_eq!(response.outcome(), "403 AccessDenied", "{word}: {}", response.text());
        // In the query it is signed with the rest, so adding it breaks the signature.
        let mut request = Request::new("PUT", "/first-bucket/sv-09")
            .presigned(&server.host, &Signing::new(&world.admin, "s3"), "300")
            .body("1\r\nx\r\n0\r\n\r\n");
        request.query = format!("{}&X-Amz-Content-Sha256={word}", request.query);
        let response = server.send(&request);
        assert_eq!(
            response.outcome(),
            "403 SignatureDoesNotMatch",
            "{word}: {}",
            response.text()
        );
    }
    assert_eq!(server.s3(&world.admin, "GET", "/first-bucket/sv-09", b"").status, 404);
}

#[test]
fn adv_sv_10_header_and_query_at_once() {
    let world = world();
    let server = &world.server;
    for (service, request) in routes() {
        let line = format!("{service} {} {}", request.method, request.path);
        let both = request
            .presigned(&server.host, &Signing::new(&world.admin, service), "300")
            .sign(&server.host, &world.nobody, service);
        let response = server.send(&both);
        assert!(
            response.status == 400 || response.status == 403,
            "{line}: {}",
            response.text()
        );
        if service == "s3" {
            assert_eq!(response.outcome(), "400 InvalidArgument", "{line}");
        }
        server.record(&response);
    }
    let root = Request::new("GET", "/?Action=GetCallerIdentity&Version=2011-06-15")
        .presigned(&server.host, &Signing::new(&server.root, "sts"), "300")
        .sign(&server.host, &world.nobody, "sts");
    let response = server.send(&root);
    assert_ne!(response.status, 200, "{}", response.text());
}

#[test]
fn adv_sv_10_sv_33_browser_uploads_with_a_post_policy_are_refused() {
    let world = world();
    let server = &world.server;
    for (fields, extra) in [
        ("x-amz-algorithm", None),
        ("AWSAccessKeyId", None),
        ("x-amz-algorithm", Some("authorization")),
    ] {
        let boundary = "b0undary";
        let body = format!(
            "--{boundary}\r\nContent-Disposition: form-data; name=\"key\"\r\n\r\nuploaded\r\n--{boundary}\r\nContent-Disposition: form-data; name=\"{fields}\"\r\n\r\nAWS4-HMAC-SHA256\r\n--{boundary}\r\nContent-Disposition: form-data; name=\"policy\"\r\n\r\neyJleHBpcmF0aW9uIjoiMjA5OS0wMS0wMVQwMDowMDowMFoiLCJjb25kaXRpb25zIjpbXX0=\r\n--{boundary}\r\nContent-Disposition: form-data; name=\"file\"; filename=\"f\"\r\n\r\nx\r\n--{boundary}--\r\n"
        );
        let request = Request::new("POST", "/first-bucket")
            .header("content-type", &format!("multipart/form-data; boundary={boundary}"))
            .body(body);
        let request = match extra {
            Some(_) => request.sign(&server.host, &world.admin, "s3"),
            None => request,
        };
        let response = server.send(&request);
        assert!((400..=501).contains(&response.status), "{fields}: {}", response.text());
        assert!(!matches!(response.status, 500), "{fields}: {}", response.text());
        server.record(&response);
    }
    assert_eq!(
        server.s3(&world.admin, "GET", "/first-bucket/uploaded", b"").status,
        404
    );
}

#[test]
fn adv_sv_11_repeated_signature_parameters() {
    let world = world();
    let server = &world.server;
    for parameter in [
        "X-Amz-Signature",
        "X-Amz-Credential",
        "X-Amz-Date",
        "X-Amz-Expires",
        "X-Amz-SignedHeaders",
        "X-Amz-Algorithm",
        "x-amz-signature",
        "X%2DAmz-Signature",
    ] {
        for (service, target) in [("s3", "/first-bucket/hello.txt"), ("sts", "/?Action=GetCallerIdentity")] {
            let mut request =
                Request::new("GET", target).presigned(&server.host, &Signing::new(&world.admin, service), "300");
            let plain = parameter.replace("%2D", "-");
            let old = request
                .query
                .split('&')
                .filter_map(|pair| pair.split_once('='))
                .find(|(name, _)| name.eq_ignore_ascii_case(&plain))
                .map(|(_, value)| value.to_owned())
                .unwrap();
            assert_eq!(server.send(&request).status, 200, "{parameter}: the untouched one");
            request.query = format!("{}&{parameter}={old}", request.query);
            let response = server.send(&request);
            let expected = if service == "s3" { 400..=400 } else { 400..=403 };
            assert!(
                expected.contains(&response.status),
                "{parameter} {service}: {}",
                response.text()
            );
            server.record(&response);
        }
    }
}

#[test]
fn adv_sv_32_authorization_headers_that_are_none() {
    let world = world();
    let server = &world.server;
    let day = &Signing::new(&world.admin, "sts").date[..8];
    let scope = format!("{day}/us-east-1/sts/aws4_request");
    let id = &world.admin.id;
    let zeros = "0".repeat(64);
    let headers: Vec<Vec<u8>> = [
        "AWS4-HMAC-SHA256 ".to_owned(),
        "AWS4-HMAC-SHA256 ,,,,".to_owned(),
        "AWS4-HMAC-SHA256 Credential".to_owned(),
        "AWS4-HMAC-SHA256 Credential=".to_owned(),
        format!("AWS4-HMAC-SHA256 Credential={id}/{scope}"),
        format!("AWS4-HMAC-SHA256 Credential={id}/{scope}, SignedHeaders=, Signature="),
        format!(
            "AWS4-HMAC-SHA256 Credential={id}/{scope}, SignedHeaders=host;x-amz-date, Signature={}",
            "z".repeat(64)
        ),
        format!(
            "AWS4-HMAC-SHA256 Credential={id}/{scope}, SignedHeaders=host;x-amz-date, Signature={}",
            "0".repeat(63)
        ),
        format!("AWS4-HMAC-SHA256 Credential={id}/extra/{scope}, SignedHeaders=host;x-amz-date, Signature={zeros}"),
        format!("AWS4-HMAC-SHA256 Credential=a/b/{id}/{scope}, SignedHeaders=host, Signature={zeros}"),
        format!(
            "AWS4-HMAC-SHA256 Credential={}, SignedHeaders=host, Signature={zeros}",
            "/".repeat(4)
        ),
        format!("AWS4-HMAC-SHA256 Credential=../../etc/passwd/{scope}, SignedHeaders=host, Signature={zeros}"),
        format!(
            "AWS4-HMAC-SHA256 Credential={id}/{scope}, SignedHeaders={}, Signature={zeros}",
            ";".repeat(1000)
        ),
        format!(
            "AWS4-HMAC-SHA256 Credential={id}/{scope}, SignedHeaders={}, Signature={zeros}",
            "host;".repeat(2000)
        ),
        format!(
            "AWS4-HMAC-SHA256 Credential={id}/{scope}, Credential={id}/{scope}, SignedHeaders=host, Signature={zeros}"
        ),
        "AWS4-HMAC-SHA256 ".to_owned() + &",".repeat(50_000),
        "\u{e9}\u{1f600}".to_owned(),
    ]
    .into_iter()
    .map(String::into_bytes)
    .chain([b"AWS4-HMAC-SHA256 \xff\xfe\x80".to_vec()])
    .collect();
    let date = now().basic();
    for target in [
        "GET /?Action=GetCallerIdentity",
        "POST /",
        "GET /clusters",
        "GET /first-bucket/hello.txt",
    ] {
        for header in &headers {
            let mut bytes = format!(
                "{target} HTTP/1.1\r\nhost: {}\r\nx-amz-date: {date}\r\nconnection: close\r\nauthorization: ",
                server.host
            )
            .into_bytes();
            bytes.extend_from_slice(header);
            bytes.extend_from_slice(b"\r\n\r\n");
            let shown = String::from_utf8_lossy(&header[..header.len().min(120)]).into_owned();
            let response =
                exchange(&server.host, &bytes, false).unwrap_or_else(|error| panic!("{target} {shown}: {error}"));
            assert!(
                (400..=403).contains(&response.status),
                "{target} {shown}: {}",
                response.text()
            );
            assert!(response.body.len() < 4096, "{target} {shown}: {}", response.text());
            server.record(&response);
        }
    }
    // What no HTTP server takes for a header, or takes for too long a one: refused without a word of ours.
    for header in [b"AWS4-HMAC-SHA256 \0".to_vec(), vec![b'A'; 1 << 20]] {
        let mut bytes = format!("GET / HTTP/1.1\r\nhost: {}\r\nauthorization: ", server.host).into_bytes();
        bytes.extend_from_slice(&header);
        bytes.extend_from_slice(b"\r\n\r\n");
        match exchange(&server.host, &bytes, false) {
            Ok(response) => assert!((400..=431).contains(&response.status), "{}", response.text()),
            Err(error) => assert!(
                error.starts_with("no head in \"\"") || error.contains("reset"),
                "{error}"
            ),
        }
    }
    assert_eq!(server.send(&Request::new("GET", "/healthz")).status, 200);
}
