//! Where a signature stands, and what stands there instead of one.

use serde_json::Value;

use crate::adversarial::{STREAMING, routes, s3_operations};
use crate::client::{Request, Signing, exchange, sha256};
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

/// Nobody is in the record: what is not proven is not written down as if it were. S3's records have the anonymous account, as CloudTrail's.
#[track_caller]
fn assert_nobody(record: &Value) {
    let identity = &record["userIdentity"];
    let kind = identity["type"].as_str().unwrap();
    assert!(matches!(kind, "Unknown" | "AWSAccount"), "{record}");
    for name in ["userName", "arn", "sessionContext"] {
        assert!(identity.get(name).is_none(), "{record}");
    }
}

/// What stands in `Authorization` (`None`: nothing) opens no door, and nobody is taken for somebody.
fn nothing_opens(schemes: &[Option<String>]) {
    let world = world();
    let server = &world.server;
    for scheme in schemes {
        let operations = s3_operations().into_iter().map(|(_, request)| ("s3", request));
        for (service, request) in routes().into_iter().chain(operations) {
            let line = format!(
                "{service} {} {}?{} {scheme:?}",
                request.method, request.path, request.query
            );
            let request = match scheme {
                Some(scheme) => request.header("authorization", scheme),
                None => request,
            };
            let response = server.send(&request);
            // Without a scope, our own paths are buckets, and anybody may know that there is no such bucket.
            let no_bucket = service == "irsa" && response.code() == "NoSuchBucket";
            // S3 tells strangers what it cannot read before it tells them that they may not.
            let unreadable = service == "s3" && scheme.is_none() && response.status == 400;
            assert!(
                matches!(
                    response.outcome().as_str(),
                    "403 AccessDenied" | "403 MissingAuthenticationToken" | "403"
                ) || response.status == 400 && scheme.is_some()
                    || matches!(response.status, 403) && service != "s3"
                    || no_bucket
                    || unreadable,
                "{line}: {} {}",
                response.status,
                response.text()
            );
            let record = server.record(&response);
            assert_nobody(&record);
        }
    }
    let hello = server.s3(&world.admin, "GET", "/first-bucket/hello.txt", b"");
    assert_eq!(hello.text(), "hello");
    assert_eq!(server.s3(&world.admin, "HEAD", "/forged-bucket", b"").status, 404);
}

#[test]
fn adv_sv_08_no_scheme_is_taken_for_another() {
    let token = world().expired.token.as_deref().unwrap();
    nothing_opens(&[
        Some(format!("Bearer {token}")),
        Some("Basic cm9vdDpyb290".to_owned()),
        Some("AWS4-HMAC-SHA256".to_owned()),
        Some("STREAMING-UNSIGNED-PAYLOAD-TRAILER".to_owned()),
        Some(String::new()),
    ]);
}

#[test]
fn adv_sv_27_older_and_newer_signatures_and_none_open_no_door() {
    nothing_opens(&[
        None,
        Some("AWS AKIAIOSFODNN7EXAMPLE:frJIUN8DYpKDtOLCwo//yllqDzg=".to_owned()),
        Some("AWS4-ECDSA-P256-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20260101/s3/aws4_request, SignedHeaders=host, Signature=00".to_owned()),
    ]);
    // In the query, for the key of somebody who may do everything.
    let world = world();
    let id = &world.admin.id;
    let expires = now().unix_seconds() + 300;
    for query in [
        format!("AWSAccessKeyId={id}&Expires={expires}&Signature=frJIUN8DYpKDtOLCwo%2F%2FyllqDzg%3D"),
        format!(
            "X-Amz-Algorithm=AWS4-ECDSA-P256-SHA256&X-Amz-Credential={id}%2F20260101%2Fs3%2Faws4_request&X-Amz-Date=20260101T000000Z&X-Amz-Expires=300&X-Amz-SignedHeaders=host&X-Amz-Region-Set=%2A&X-Amz-Signature=00"
        ),
    ] {
        let response = world
            .server
            .send(&Request::new("GET", &format!("/first-bucket/hello.txt?{query}")));
        assert_eq!(response.status, 400, "{}", response.text());
        assert_nobody(&world.server.record(&response));
    }
}

/// The whole of a signature but for what is taken from it: by the book, so that only that can be the reason.
fn signed_over(request: &Request, host: &str, signing: &Signing<'_>, names: &[&str]) -> Request {
    let mut request = request.clone().header("x-amz-date", &signing.date);
    let payload = sha256(&request.body);
    if signing.service == "s3" {
        request = request.header("x-amz-content-sha256", &payload);
    }
    let lines: String = names
        .iter()
        .map(|name| match *name {
            "host" => format!("host:{host}\n"),
            name => format!("{name}:{}\n", request.get(name)),
        })
        .collect();
    let list = names.join(";");
    let canonical = format!(
        "{}\n{}\n{}\n{lines}\n{list}\n{payload}",
        request.method, request.path, request.query
    );
    let authorization = format!(
        "AWS4-HMAC-SHA256 Credential={}/{}, SignedHeaders={list}, Signature={}",
        signing.key.id,
        signing.scope(),
        signing.signature(&canonical)
    );
    request.header("authorization", &authorization)
}

/// One request to S3 and one to STS, with the list of headers that each has to sign.
fn two_services() -> [(&'static str, Request, Vec<&'static str>); 2] {
    [
        (
            "s3",
            Request::new("GET", "/first-bucket/hello.txt"),
            vec!["host", "x-amz-content-sha256", "x-amz-date"],
        ),
        (
            "sts",
            Request::form(&[("Action", "GetCallerIdentity"), ("Version", "2011-06-15")]),
            vec!["content-type", "host", "x-amz-date"],
        ),
    ]
}

#[test]
fn adv_sv_03_a_host_that_was_not_signed() {
    let world = world();
    let server = &world.server;
    for (service, request, names) in two_services() {
        let signing = Signing::new(&world.admin, service);
        let honest = server.send(&signed_over(&request, &server.host, &signing, &names));
        assert_eq!(honest.status, 200, "{}", honest.text());
        let without: Vec<&str> = names.into_iter().filter(|name| *name != "host").collect();
        let response = server.send(&signed_over(&request, &server.host, &signing, &without));
        let code = if service == "s3" {
            "403 AccessDenied"
        } else {
            "403 SignatureDoesNotMatch"
        };
        assert_eq!(response.outcome(), code, "{}", response.text());
        assert_nobody(&server.record(&response));
    }
    // Presigned: the list is part of what is signed, and must name the host.
    let presigned = Request::new("GET", "/first-bucket/hello.txt").presigned(
        &server.host,
        &Signing::new(&world.admin, "s3"),
        "300",
    );
    assert_eq!(server.send(&presigned).status, 200);
    for list in ["", "x-amz-date", "range"] {
        let mut bent = presigned.clone().header("range", "bytes=0-1");
        bent.query = bent
            .query
            .replace("X-Amz-SignedHeaders=host", &format!("X-Amz-SignedHeaders={list}"));
        let response = server.send(&bent);
        assert!(matches!(response.status, 400 | 403), "{list}: {}", response.text());
        server.record(&response);
    }
}

#[test]
fn adv_sv_04_a_date_that_was_not_signed() {
    let world = world();
    let server = &world.server;
    for (service, request, names) in two_services() {
        let signing = Signing::new(&world.admin, service);
        let without: Vec<&str> = names.into_iter().filter(|name| *name != "x-amz-date").collect();
        let response = server.send(&signed_over(&request, &server.host, &signing, &without));
        let code = if service == "s3" {
            "403 AccessDenied"
        } else {
            "403 SignatureDoesNotMatch"
        };
        assert_eq!(response.outcome(), code, "{}", response.text());
        assert_nobody(&server.record(&response));
        // A signed `Date` beside an unsigned `X-Amz-Date` that says something else.
        let signed =
            signed_over(&request, &server.host, &signing, &without).header("date", "Thu, 01 Jan 1970 00:00:00 GMT");
        let response = server.send(&signed);
        assert_eq!(response.outcome(), code, "{}", response.text());
    }
}

#[test]
fn adv_sv_15_lists_of_signed_headers_that_are_none() {
    let world = world();
    let server = &world.server;
    for (service, request, names) in two_services() {
        let signing = Signing::new(&world.admin, service);
        let unsorted: Vec<&str> = names.iter().rev().copied().collect();
        let doubled: Vec<&str> = names.iter().flat_map(|name| [*name, *name]).collect();
        let absent: Vec<&str> = names.iter().copied().chain(["x-zzz"]).collect();
        let empty: Vec<&str> = [""].into_iter().chain(names.iter().copied()).collect();
        for (what, list) in [
            ("unsorted", unsorted),
            ("doubled", doubled),
            ("absent", absent),
            ("an empty name", empty),
            ("nothing", Vec::new()),
        ] {
            // Signed by the book over that very list: only the list is wrong.
            let response = server.send(&signed_over(&request, &server.host, &signing, &list));
            assert!(
                matches!(response.status, 400 | 403),
                "{service} {what}: {}",
                response.text()
            );
            assert_nobody(&server.record(&response));
        }
        let upper = signed_over(&request, &server.host, &signing, &names);
        assert_eq!(server.send(&upper).status, 200);
        let bent = upper.get("authorization").replace("host", "Host");
        let response = server.send(&upper.replace("authorization", &bent));
        assert!(matches!(response.status, 400 | 403), "{service}: {}", response.text());
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
fn adv_sv_10_a_form_with_half_a_signature_or_with_two() {
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
