//! Forged, bent, borrowed and late signatures. Names carry the ids of the adversarial cases that they are.

use serde_json::json;

use crate::client::{Key, Request, Signing, exchange, sha256};
use crate::harness::{
    ACCOUNT, ALLOW_ALL, Server, allow, mint, name, now, provider_arn, role_session, session_key, web_role, world,
};

const STREAMING: [&str; 3] = [
    "STREAMING-AWS4-HMAC-SHA256-PAYLOAD",
    "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER",
    "STREAMING-UNSIGNED-PAYLOAD-TRAILER",
];

/// One harmless request for each way into the server.
fn routes(server: &Server) -> Vec<(&'static str, Request)> {
    let _ = server;
    let json = |method: &str, target: &str| Request::new(method, target).header("content-type", "application/json");
    vec![
        (
            "sts",
            Request::form(&[("Action", "GetCallerIdentity"), ("Version", "2011-06-15")]),
        ),
        (
            "iam",
            Request::form(&[("Action", "ListUsers"), ("Version", "2010-05-08")]),
        ),
        ("iam", Request::new("GET", "/?Action=ListUsers&Version=2010-05-08")),
        ("eks", json("GET", "/clusters")),
        ("eks", json("DELETE", "/clusters/none")),
        ("irsa", json("GET", "/accounts")),
        ("s3", Request::new("GET", "/")),
        ("s3", Request::new("GET", "/first-bucket")),
        ("s3", Request::new("GET", "/first-bucket/hello.txt")),
        ("s3", Request::new("PUT", "/first-bucket/forged").body("x")),
        ("s3", Request::new("PUT", "/forged-bucket")),
        ("s3", Request::new("POST", "/first-bucket?delete").body("<Delete/>")),
        ("s3", Request::new("DELETE", "/first-bucket/hello.txt")),
    ]
}

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
fn adv_sv_06_a_made_up_signature_with_any_payload_word_opens_no_route() {
    let world = world();
    let server = &world.server;
    let words: Vec<String> = STREAMING
        .into_iter()
        .chain(["UNSIGNED-PAYLOAD"])
        .map(str::to_owned)
        .chain([sha256(b""), "nonsense".to_owned()])
        .collect();
    let forger = Key {
        secret: "0".repeat(40),
        ..world.server.root.clone()
    };
    for word in &words {
        for (service, request) in routes(server) {
            let line = format!("{service} {} {} {word}", request.method, request.path);
            let request = request
                .header("x-amz-decoded-content-length", "1")
                .header("content-encoding", "aws-chunked");
            let signing = Signing::new(&forger, service).payload(word);
            let response = server.signed_as(request.clone(), &signing);
            assert!(
                response.status == 403 || response.status == 400,
                "{line}: {}",
                response.text()
            );
            assert!(
                !response.code().is_empty() || request.method == "HEAD",
                "{line}: {}",
                response.text()
            );
            let record = server.record(&response);
            assert_ne!(record["userIdentity"]["type"], "Root", "{line}");
            assert_eq!(record["errorCode"], response.code(), "{line}");

            // SV-07: the same with the credential in the query.
            let presigned = request.presigned(&server.host, &signing, "300");
            let response = server.send(&presigned);
            assert!(
                response.status == 403 || response.status == 400,
                "presigned {line}: {}",
                response.text()
            );
            server.record(&response);
        }
    }
    assert_eq!(
        server.s3(&world.admin, "GET", "/first-bucket/forged", b"").outcome(),
        "404 NoSuchKey"
    );
    assert_eq!(server.s3(&world.admin, "HEAD", "/forged-bucket", b"").status, 404);
    assert_eq!(
        server.s3(&world.admin, "GET", "/first-bucket/hello.txt", b"").text(),
        "hello"
    );
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
        for (service, request) in routes(server) {
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
    for (service, request) in routes(server) {
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
fn adv_sv_13_late_and_early_signatures() {
    let world = world();
    let server = &world.server;
    let code = |seconds: i64| {
        let signing = Signing::new(&world.admin, "sts").at(seconds);
        let response = server.signed_as(Request::form(&[("Action", "GetCallerIdentity")]), &signing);
        (response.outcome(), response.message())
    };
    for seconds in [-880, 0, 880] {
        assert_eq!(code(seconds).0, "200", "{seconds}");
    }
    let (outcome, message) = code(-930);
    assert_eq!(outcome, "403 SignatureDoesNotMatch");
    assert!(message.starts_with("Signature expired: "), "{message}");
    assert!(message.ends_with(" - 15 min.)"), "{message}");
    let (outcome, message) = code(930);
    assert_eq!(outcome, "403 SignatureDoesNotMatch");
    assert!(message.starts_with("Signature not yet current: "), "{message}");

    let s3 = |seconds: i64, expires: &str| {
        let signing = Signing::new(&world.admin, "s3").at(seconds);
        let request = Request::new("GET", "/first-bucket/hello.txt").presigned(&server.host, &signing, expires);
        let response = server.send(&request);
        (response.outcome(), response.message())
    };
    assert_eq!(s3(-100, "120").0, "200");
    assert_eq!(
        s3(-121, "120"),
        ("403 AccessDenied".to_owned(), "Request has expired".to_owned())
    );
    assert_eq!(s3(-604_700, "604800").0, "200");
    assert_eq!(s3(930, "300").0, "403 RequestTimeTooSkewed");
    for expires in ["0", "-1", "604801", "1e3", "10abc", "9223372036854775808", ""] {
        assert_eq!(s3(0, expires).0, "400 AuthorizationQueryParametersError", "{expires}");
    }
    let signing = Signing::new(&world.admin, "s3").at(-930);
    let response = server.signed_as(Request::new("GET", "/first-bucket/hello.txt"), &signing);
    assert_eq!(response.outcome(), "403 RequestTimeTooSkewed");
    assert_eq!(
        response.message(),
        "The difference between the request time and the current time is too large."
    );
}

#[test]
fn adv_sv_14_a_signature_is_good_for_one_service() {
    let world = world();
    let server = &world.server;
    let services = ["s3", "sts", "iam", "eks", "irsa", "cloudtrail", "ec2", "S3", ""];
    for (service, request) in routes(server) {
        for scope in services.iter().filter(|scope| **scope != service) {
            let response = server.signed(request.clone(), &world.admin, scope);
            let line = format!("{} {} of {service} signed for `{scope}`", request.method, request.path);
            // A JSON or S3 path is whatever its scope says: there it is no operation, or an S3 request like any other.
            let same_words = matches!(
                (service, *scope),
                ("eks" | "irsa" | "s3", "eks" | "irsa" | "s3" | "cloudtrail")
            );
            if !same_words {
                assert!(
                    response.status == 400 || response.status == 403 || response.status == 404,
                    "{line}: {}",
                    response.text()
                );
            }
            assert!(
                !(response.text().contains("<Arn>") || response.text().contains("accounts")) || response.status >= 400,
                "{line}: {}",
                response.text()
            );
            server.record(&response);
        }
    }
    let response = server.signed(Request::form(&[("Action", "ListUsers")]), &world.admin, "sts");
    assert_eq!(response.outcome(), "400 InvalidAction", "{}", response.text());
    let response = server.signed(Request::form(&[("Action", "ListUsers")]), &world.admin, "s3");
    assert_eq!(response.outcome(), "403 SignatureDoesNotMatch", "{}", response.text());
    assert_eq!(
        response.message(),
        "Credential should be scoped to correct service: 'iam'. "
    );

    let mut signing = Signing::new(&world.admin, "sts");
    signing.scope_day = Some("20200101".to_owned());
    let response = server.signed_as(Request::form(&[("Action", "GetCallerIdentity")]), &signing);
    assert_eq!(response.outcome(), "403 SignatureDoesNotMatch", "{}", response.text());
    assert!(
        response
            .message()
            .starts_with("Date in Credential scope does not match"),
        "{}",
        response.message()
    );
    let request = Request::form(&[("Action", "GetCallerIdentity")]).sign(&server.host, &world.admin, "sts");
    let bent = request.get("authorization").replace("aws4_request", "aws5_request");
    let response = server.send(&request.replace("authorization", &bent));
    assert_eq!(response.outcome(), "403 SignatureDoesNotMatch", "{}", response.text());
    assert!(
        response.message().contains("valid terminator"),
        "{}",
        response.message()
    );
}

#[test]
fn adv_sv_19_a_body_that_was_not_signed() {
    let world = world();
    let server = &world.server;
    let swap = |request: Request, service: &str, body: &str| {
        let signed = request.sign(&server.host, &world.admin, service);
        server.send(&signed.body(body))
    };
    let put = swap(
        Request::new("PUT", "/first-bucket/sv-19").body("honest"),
        "s3",
        "forged",
    );
    assert_eq!(put.outcome(), "400 XAmzContentSHA256Mismatch", "{}", put.text());
    server.record(&put);
    assert_eq!(server.s3(&world.admin, "GET", "/first-bucket/sv-19", b"").status, 404);

    let delete = "<Delete><Object><Key>hello.txt</Key></Object></Delete>";
    let deletion = swap(
        Request::new("POST", "/first-bucket?delete").body("<Delete/>"),
        "s3",
        delete,
    );
    assert!(deletion.status >= 400, "{}", deletion.text());
    let bucket = swap(
        Request::new("PUT", "/sv-19-bucket"),
        "s3",
        "<CreateBucketConfiguration/>",
    );
    assert!(bucket.status >= 400, "{}", bucket.text());
    assert_eq!(server.s3(&world.admin, "HEAD", "/sv-19-bucket", b"").status, 404);
    assert_eq!(
        server.s3(&world.admin, "GET", "/first-bucket/hello.txt", b"").text(),
        "hello"
    );

    // An empty body where something was signed.
    let put = swap(Request::new("PUT", "/first-bucket/sv-19").body("honest"), "s3", "");
    assert_eq!(put.outcome(), "400 XAmzContentSHA256Mismatch", "{}", put.text());

    let form = |pairs: &[(&str, &str)]| Request::form(pairs);
    let user = name("sv-19");
    let forged = crate::client::form(&[("Action", "CreateUser"), ("UserName", &user)]);
    let response = swap(form(&[("Action", "GetUser")]), "iam", &forged);
    assert_eq!(response.outcome(), "403 SignatureDoesNotMatch", "{}", response.text());
    assert_eq!(
        server.iam(&world.admin, "GetUser", &[("UserName", &user)]).outcome(),
        "404 NoSuchEntity"
    );
    for word in STREAMING.into_iter().chain(["UNSIGNED-PAYLOAD"]) {
        let signing = Signing::new(&world.admin, "iam").payload(word);
        let response = server.signed_as(form(&[("Action", "ListUsers")]), &signing);
        assert_eq!(response.status, 403, "{word}: {}", response.text());
    }
    let json = Request::new("POST", "/accounts")
        .header("content-type", "application/json")
        .body("{}");
    let response = server.send(
        &json
            .sign(&server.host, &server.root, "irsa")
            .body("{\"accountId\":\"999988887777\"}"),
    );
    assert_eq!(
        response.outcome(),
        "403 InvalidSignatureException",
        "{}",
        response.text()
    );
}

/// `size;chunk-signature=…`, its bytes, and the signature for the next chunk.
fn chunk(signing: &Signing<'_>, previous: &str, content: &[u8]) -> (Vec<u8>, String) {
    let signature = signing.chunk_signature(previous, content);
    let mut bytes = format!("{:x};chunk-signature={signature}\r\n", content.len()).into_bytes();
    bytes.extend_from_slice(content);
    bytes.extend_from_slice(b"\r\n");
    (bytes, signature)
}

#[test]
fn adv_sv_20_chunks_that_were_not_signed_so_leave_nothing() {
    let world = world();
    let server = &world.server;
    let first = vec![b'a'; 8192];
    let second = vec![b'b'; 8192];
    let third = vec![b'c'; 100];
    let length = first.len() + second.len() + third.len();
    let signing = Signing::new(&world.admin, "s3").payload(STREAMING[0]);
    let build = |key: &str, declared: usize, assemble: &dyn Fn([&[u8]; 4]) -> Vec<u8>| {
        let request = Request::new("PUT", &format!("/first-bucket/{key}"))
            .header("content-encoding", "aws-chunked")
            .header("x-amz-decoded-content-length", &declared.to_string())
            .signed(&server.host, &signing);
        let (one, signature) = chunk(&signing, &request.signature(), &first);
        let (two, signature) = chunk(&signing, &signature, &second);
        let (three, signature) = chunk(&signing, &signature, &third);
        let (end, _) = chunk(&signing, &signature, b"");
        let body = assemble([&one, &two, &three, &end]);
        request.body(body)
    };
    let honest = build("sv-20-honest", length, &|parts| parts.concat());
    assert_eq!(server.send(&honest).outcome(), "200");
    let got = server.s3(&world.admin, "GET", "/first-bucket/sv-20-honest", b"");
    assert_eq!(got.body, [&first[..], &second, &third].concat());

    type Assemble = Box<dyn Fn([&[u8]; 4]) -> Vec<u8>>;
    let bent: Vec<(&str, usize, Assemble)> = vec![
        (
            "reordered",
            length,
            Box::new(|[one, two, three, end]| [two, one, three, end].concat()),
        ),
        (
            "dropped",
            length,
            Box::new(|[one, _, three, end]| [one, three, end].concat()),
        ),
        (
            "dropped and declared so",
            length - 8192,
            Box::new(|[one, _, three, end]| [one, three, end].concat()),
        ),
        (
            "doubled",
            length,
            Box::new(|[one, two, three, end]| [one, two, two, three, end].concat()),
        ),
        (
            "no end",
            length,
            Box::new(|[one, two, three, _]| [one, two, three].concat()),
        ),
        (
            "cut",
            length,
            Box::new(|[one, two, _, _]| [one, &two[..two.len() - 5]].concat()),
        ),
        (
            "extra bytes",
            length,
            Box::new(|parts| [&parts.concat()[..], b"extra"].concat()),
        ),
        ("too short", length - 1, Box::new(|parts| parts.concat())),
        ("too long", length + 1, Box::new(|parts| parts.concat())),
        (
            "another byte",
            length,
            Box::new(|parts| {
                let mut bytes = parts.concat();
                bytes[200] ^= 1;
                bytes
            }),
        ),
        (
            "a chunk of 2^63",
            length,
            Box::new(|_| b"8000000000000000;chunk-signature=00\r\n".to_vec()),
        ),
        (
            "a chunk of 2^64",
            length,
            Box::new(|_| b"10000000000000000;chunk-signature=00\r\n".to_vec()),
        ),
        ("an endless chunk head", length, Box::new(|_| vec![b'0'; 300_000])),
        ("plain", length, Box::new(move |_| vec![b'a'; length])),
    ];
    for (index, (what, declared, assemble)) in bent.iter().enumerate() {
        let key = format!("sv-20-{index}");
        let response = server.send(&build(&key, *declared, assemble.as_ref()));
        assert!((400..=403).contains(&response.status), "{what}: {}", response.text());
        let record = server.record(&response);
        assert_eq!(record["userIdentity"]["userName"], "admin", "{what}: {record}");
        assert_eq!(record["errorCode"], response.code(), "{what}");
        let got = server.s3(&world.admin, "GET", &format!("/first-bucket/{key}"), b"");
        assert_eq!(got.outcome(), "404 NoSuchKey", "{what}: {}", got.text());
    }
    // A chunk of another request, of the same size and content, signed by the same key.
    let other = build("sv-20-other", length, &|parts| parts.concat());
    let mut spliced = build("sv-20-spliced", length, &|parts| parts.concat());
    spliced.body = other.body;
    let response = server.send(&spliced);
    assert_eq!(response.outcome(), "403 SignatureDoesNotMatch", "{}", response.text());

    // What describes the body must be there, and the record must say whose request it was.
    for (what, request) in [
        (
            "no length",
            Request::new("PUT", "/first-bucket/sv-20-x").header("content-encoding", "aws-chunked"),
        ),
        (
            "no number",
            Request::new("PUT", "/first-bucket/sv-20-x").header("x-amz-decoded-content-length", "1e3"),
        ),
        (
            "negative",
            Request::new("PUT", "/first-bucket/sv-20-x").header("x-amz-decoded-content-length", "-1"),
        ),
    ] {
        let response = server.signed_as(request, &signing);
        assert!((400..=411).contains(&response.status), "{what}: {}", response.text());
        let record = server.record(&response);
        assert_eq!(record["userIdentity"]["userName"], "admin", "{what}: {record}");
        assert_eq!(record["recipientAccountId"], ACCOUNT, "{what}: {record}");
    }
}

#[test]
fn adv_sv_21_trailers() {
    let world = world();
    let server = &world.server;
    let signing = Signing::new(&world.admin, "s3").payload(STREAMING[2]);
    let put = |declared: Option<&str>, body: &str| {
        let mut request = Request::new("PUT", "/first-bucket/sv-21")
            .header("content-encoding", "aws-chunked")
            .header("x-amz-decoded-content-length", "5");
        if let Some(declared) = declared {
            request = request.header("x-amz-trailer", declared);
        }
        let signed = request.signed(&server.host, &signing);
        server.send(&signed.body(body))
    };
    let good = "5\r\nhello\r\n0\r\nx-amz-checksum-crc32:NhCmhg==\r\n\r\n";
    assert_eq!(put(Some("x-amz-checksum-crc32"), good).outcome(), "200");
    server.s3(&world.admin, "DELETE", "/first-bucket/sv-21", b"");
    let wrong = put(Some("x-amz-checksum-crc32"), &good.replace("NhCmhg", "AAAAAA"));
    assert_eq!(wrong.outcome(), "400 BadDigest", "{}", wrong.text());
    for (what, declared, body) in [
        ("missing", Some("x-amz-checksum-crc32"), "5\r\nhello\r\n0\r\n\r\n"),
        ("undeclared", None, good),
        ("another", Some("x-amz-checksum-sha256"), good),
        (
            "not a checksum",
            Some("x-amz-meta-a"),
            "5\r\nhello\r\n0\r\nx-amz-meta-a:b\r\n\r\n",
        ),
        (
            "twice",
            Some("x-amz-checksum-crc32"),
            "5\r\nhello\r\n0\r\nx-amz-checksum-crc32:NhCmhg==\r\nx-amz-checksum-crc32:NhCmhg==\r\n\r\n",
        ),
    ] {
        let response = put(declared, body);
        assert!(
            (400..=403).contains(&response.status),
            "{what}: {} {}",
            response.status,
            response.text()
        );
        server.record(&response);
        let got = server.s3(&world.admin, "GET", "/first-bucket/sv-21", b"");
        assert_eq!(got.outcome(), "404 NoSuchKey", "{what}");
    }
}

#[test]
fn adv_sv_22_keys_and_tokens_that_do_not_belong_together() {
    let world = world();
    let server = &world.server;
    let one = server.assume(&world.admin, "everything", &[]);
    let other = server.assume(&world.admin, "everything", &[]);
    let with = |key: &Key, token: Option<&str>| Key {
        token: token.map(str::to_owned),
        ..key.clone()
    };
    let cases = [
        ("no token", with(&one, None)),
        ("another's token", with(&one, other.token.as_deref())),
        ("a token for a user's key", with(&world.admin, one.token.as_deref())),
        ("an empty token", with(&one, Some(""))),
        (
            "an unknown key",
            Key {
                id: "AKIAIOSFODNN7EXAMPLE".to_owned(),
                ..world.admin.clone()
            },
        ),
        (
            "a short key",
            Key {
                id: "AKIA".to_owned(),
                ..world.admin.clone()
            },
        ),
        (
            "a long key",
            Key {
                id: "A".repeat(128),
                ..world.admin.clone()
            },
        ),
        (
            "a lower-case key",
            Key {
                id: world.admin.id.to_ascii_lowercase(),
                ..world.admin.clone()
            },
        ),
    ];
    for (what, key) in &cases {
        let response = server.sts(key, "GetCallerIdentity", &[]);
        assert_eq!(
            response.outcome(),
            "403 InvalidClientTokenId",
            "{what}: {}",
            response.text()
        );
        assert_eq!(
            response.message(),
            "The security token included in the request is invalid.",
            "{what}"
        );
        server.record(&response);
        assert_eq!(
            server.iam(key, "ListUsers", &[]).outcome(),
            "403 InvalidClientTokenId",
            "{what}"
        );
        let response = server.json(key, "eks", "GET", "/clusters", &json!({}));
        assert_eq!(response.outcome(), "403 UnrecognizedClientException", "{what}");
        let response = server.s3(key, "GET", "/first-bucket/hello.txt", b"");
        assert!(matches!(response.status, 400 | 403), "{what}: {}", response.text());
    }
    let words = |key: &Key| server.s3(key, "GET", "/first-bucket/hello.txt", b"").outcome();
    assert_eq!(words(&cases[0].1), "403 InvalidAccessKeyId");
    assert_eq!(words(&cases[1].1), "400 InvalidToken");
    assert_eq!(words(&cases[4].1), "403 InvalidAccessKeyId");
}

#[test]
fn adv_sv_23_session_tokens_that_were_touched() {
    let world = world();
    let server = &world.server;
    let session = server.assume(&world.admin, "everything", &[]);
    let token = session.token.clone().unwrap();
    let tries = |token: String| {
        let key = Key {
            token: Some(token),
            ..session.clone()
        };
        server.sts(&key, "GetCallerIdentity", &[]).outcome()
    };
    assert_eq!(tries(token.clone()), "200");
    for at in (0..token.len()).step_by(7).chain([token.len() - 1]) {
        let mut bytes = token.clone().into_bytes();
        bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
        let bent = String::from_utf8(bytes).unwrap();
        assert_eq!(tries(bent), "403 InvalidClientTokenId", "byte {at} of {}", token.len());
    }
    for length in [1, 4, 5, token.len() / 2, token.len() - 1] {
        assert_eq!(
            tries(token[..length].to_owned()),
            "403 InvalidClientTokenId",
            "cut to {length}"
        );
    }
    assert_eq!(tries(format!("{token}A")), "403 InvalidClientTokenId");
    assert_eq!(tries("A".repeat(15_000)), "403 InvalidClientTokenId");
}

#[test]
fn adv_sv_25_a_session_token_is_nothing_else() {
    let world = world();
    let server = &world.server;
    let session = server.assume(&world.admin, "everything", &[]);
    let token = session.token.clone().unwrap();
    for target in [
        "/accounts",
        "/clusters",
        "/first-bucket/hello.txt",
        "/?Action=GetCallerIdentity",
    ] {
        let request = Request::new("GET", target).header("authorization", &format!("Bearer {token}"));
        let response = server.send(&request);
        assert!(matches!(response.status, 400 | 403), "{target}: {}", response.text());
        let request = Request::new("GET", target).header("x-amz-security-token", &token);
        let response = server.send(&request);
        let no_bucket = response.code() == "NoSuchBucket";
        assert!(response.status == 403 || no_bucket, "{target}: {}", response.text());
    }
    let response = server.exchange("web", &token, &[]);
    assert_eq!(response.outcome(), "400 InvalidIdentityToken", "{}", response.text());
    assert_eq!(
        response.message(),
        "The ID Token provided is not a valid JWT. (You may see this error if you sent an Access Token)"
    );
    // And a web identity token is no session token.
    let web = server.token(&server.root, "main", "shop/app");
    let key = Key {
        token: Some(web),
        ..session
    };
    assert_eq!(
        server.sts(&key, "GetCallerIdentity", &[]).outcome(),
        "403 InvalidClientTokenId"
    );
}

#[test]
fn adv_sv_26_sessions_and_keys_that_are_over() {
    let world = world();
    let server = &world.server;
    let root = &server.root;
    let expired = server.sts(&world.expired, "GetCallerIdentity", &[]);
    assert_eq!(expired.outcome(), "403 ExpiredToken", "{}", expired.text());
    assert_eq!(
        expired.message(),
        "The security token included in the request is expired"
    );
    server.record(&expired);
    assert_eq!(
        server.iam(&world.expired, "ListUsers", &[]).outcome(),
        "403 ExpiredToken"
    );
    let eks = server.json(&world.expired, "eks", "GET", "/clusters", &json!({}));
    assert_eq!(eks.outcome(), "403 ExpiredTokenException");
    let s3 = server.s3(&world.expired, "GET", "/first-bucket/hello.txt", b"");
    assert_eq!(s3.outcome(), "400 ExpiredToken");
    assert_eq!(s3.message(), "The provided token has expired.");

    // One that ends while it is used: the same token is good before, and over after.
    let mut short = role_session(ACCOUNT, "everything", &world.everything_id);
    let end = now().plus_seconds(3);
    short.expires_at = end;
    let short = mint(&world.epoch, &short);
    assert_eq!(server.sts(&short, "GetCallerIdentity", &[]).outcome(), "200");

    // A key that is switched off, and on again.
    let user = name("sv-26");
    let key = server.user(root, &user, Some(ALLOW_ALL));
    let status = |status: &str| {
        let pairs = [
            ("UserName", user.as_str()),
            ("AccessKeyId", &key.id),
            ("Status", status),
        ];
        server.iam_ok(root, "UpdateAccessKey", &pairs);
    };
    let own = session_key(&server.sts(&key, "GetSessionToken", &[]));
    assert_eq!(server.s3(&own, "GET", "/first-bucket/hello.txt", b"").status, 200);
    status("Inactive");
    assert_eq!(
        server.sts(&key, "GetCallerIdentity", &[]).outcome(),
        "403 InvalidClientTokenId"
    );
    let s3 = server.s3(&key, "GET", "/first-bucket/hello.txt", b"");
    assert_eq!(s3.outcome(), "403 InvalidAccessKeyId", "{}", s3.text());
    status("Active");
    assert_eq!(server.sts(&key, "GetCallerIdentity", &[]).outcome(), "200");
    let pairs = [("UserName", user.as_str()), ("AccessKeyId", &key.id)];
    server.iam_ok(root, "DeleteAccessKey", &pairs);
    assert_eq!(
        server.sts(&key, "GetCallerIdentity", &[]).outcome(),
        "403 InvalidClientTokenId"
    );
    let pairs = [("UserName", user.as_str()), ("PolicyName", "inline")];
    server.iam_ok(root, "DeleteUserPolicy", &pairs);
    assert_eq!(
        server.s3(&own, "GET", "/first-bucket/hello.txt", b"").outcome(),
        "403 AccessDenied"
    );
    server.iam_ok(root, "DeleteUser", &[("UserName", &user)]);
    assert_eq!(
        server.sts(&own, "GetCallerIdentity", &[]).outcome(),
        "403 InvalidClientTokenId"
    );

    // IA-08: the session of a role that is gone, and of one that was made again under its name.
    let role = name("sv-26");
    server.role(root, &role, Some(&allow("s3:*")));
    let session = server.assume(&world.admin, &role, &[]);
    assert_eq!(server.s3(&session, "GET", "/first-bucket/hello.txt", b"").status, 200);
    let pairs = [("RoleName", role.as_str()), ("PolicyName", "inline")];
    server.iam_ok(root, "DeleteRolePolicy", &pairs);
    assert_eq!(
        server.s3(&session, "GET", "/first-bucket/hello.txt", b"").outcome(),
        "403 AccessDenied"
    );
    server.iam_ok(root, "DeleteRole", &[("RoleName", &role)]);
    assert_eq!(
        server.sts(&session, "GetCallerIdentity", &[]).outcome(),
        "403 InvalidClientTokenId"
    );
    server.role(root, &role, Some(&allow("s3:*")));
    assert_eq!(
        server.sts(&session, "GetCallerIdentity", &[]).outcome(),
        "403 InvalidClientTokenId"
    );
    let s3 = server.s3(&session, "GET", "/first-bucket/hello.txt", b"");
    assert!(matches!(s3.status, 400 | 403), "{}", s3.text());

    while now() < end {
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    assert_eq!(
        server.sts(&short, "GetCallerIdentity", &[]).outcome(),
        "403 ExpiredToken"
    );
}

#[test]
fn adv_sv_30_ambiguous_framing() {
    let world = world();
    let server = &world.server;
    let host = server.host.as_str();
    let body = crate::client::form(&[("Action", "GetCallerIdentity"), ("Version", "2011-06-15")]);
    let signed =
        Request::form(&[("Action", "GetCallerIdentity"), ("Version", "2011-06-15")]).sign(host, &world.admin, "sts");
    let head = |lines: &str| {
        let mut text = format!("POST / HTTP/1.1\r\n{lines}");
        for (name, value) in &signed.headers {
            text.push_str(&format!("{name}: {value}\r\n"));
        }
        text + "\r\n"
    };
    let length = body.len();
    let chunked = format!("{length:x}\r\n{body}\r\n0\r\n\r\n");
    for (what, lines, content) in [
        (
            "two lengths",
            format!("host: {host}\r\ncontent-length: {length}\r\ncontent-length: 4\r\n"),
            body.clone(),
        ),
        (
            "two lengths in one",
            format!("host: {host}\r\ncontent-length: {length}, 4\r\n"),
            body.clone(),
        ),
        (
            "a signed length",
            format!("host: {host}\r\ncontent-length: +{length}\r\n"),
            body.clone(),
        ),
        (
            "a negative length",
            format!("host: {host}\r\ncontent-length: -1\r\n"),
            body.clone(),
        ),
        (
            "a huge length",
            format!("host: {host}\r\ncontent-length: 99999999999999999999\r\n"),
            body.clone(),
        ),
        (
            "an unknown coding",
            format!("host: {host}\r\ntransfer-encoding: xchunked\r\n"),
            chunked.clone(),
        ),
        (
            "chunked, then gzip",
            format!("host: {host}\r\ntransfer-encoding: chunked, gzip\r\n"),
            chunked.clone(),
        ),
        (
            "two hosts",
            format!("host: {host}\r\nhost: evil.example\r\ncontent-length: {length}\r\n"),
            body.clone(),
        ),
        (
            "a space before the colon",
            format!("host: {host}\r\ncontent-length : {length}\r\n"),
            body.clone(),
        ),
        (
            "a folded line",
            format!("host: {host}\r\nx-folded: a\r\n b\r\ncontent-length: {length}\r\n"),
            body.clone(),
        ),
    ] {
        let bytes = [head(&lines).into_bytes(), content.into_bytes()].concat();
        match exchange(host, &bytes, false) {
            Ok(response) => assert!((400..=501).contains(&response.status), "{what}: {}", response.text()),
            // A closed connection is a refusal too.
            Err(error) => assert!(error.starts_with("no head in"), "{what}: {error}"),
        }
    }

    // A length beside chunks: either refused, or read as chunks and nothing after it is read as a request.
    let smuggled = "GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n";
    for lines in [
        format!(
            "host: {host}\r\ncontent-length: {}\r\ntransfer-encoding: chunked\r\n",
            chunked.len() + smuggled.len()
        ),
        format!("host: {host}\r\ntransfer-encoding: chunked\r\ncontent-length: 4\r\n"),
    ] {
        let bytes = [head(&lines).into_bytes(), chunked.clone().into_bytes(), smuggled.into()].concat();
        match exchange(host, &bytes, false) {
            Ok(response) => {
                assert!(
                    !response.text().contains("HTTP/1.1"),
                    "two answers: {}",
                    response.text()
                );
                assert_eq!(response.header("connection"), Some("close"), "{response:?}");
            }
            Err(error) => assert!(error.starts_with("no head in"), "{error}"),
        }
    }

    // The host that was signed is the host that counts.
    let moved = signed.clone().header("host", "evil.example");
    let response = server.send(&moved);
    assert_eq!(response.outcome(), "403 SignatureDoesNotMatch", "{}", response.text());
    for (target, status) in [
        (format!("http://{host}/"), 200),
        ("http://evil.example/".to_owned(), 400),
        ("https://user@evil.example/".to_owned(), 400),
    ] {
        let mut absolute = signed.clone();
        absolute.path = target.clone();
        let response = server.send(&absolute);
        assert_eq!(response.status, status, "{target}: {}", response.text());
    }
}

#[test]
fn adv_sv_31_a_presigned_get_caller_identity_proves_who_signed_it() {
    let world = world();
    let server = &world.server;
    let session = server.assume(&world.admin, "everything", &[]);
    // As the Kubernetes authenticator makes it: the cluster's name is a signed header.
    let presigned = |key: &Key, seconds: i64, expires: &str| {
        Request::new("GET", "/?Action=GetCallerIdentity&Version=2011-06-15")
            .header("x-k8s-aws-id", "main")
            .presigned(&server.host, &Signing::new(key, "sts").at(seconds), expires)
    };
    let response = server.send(&presigned(&session, 0, "60"));
    assert_eq!(response.status, 200, "{}", response.text());
    assert_eq!(
        response.element("Arn").as_deref(),
        Some("arn:aws:sts::111122223333:assumed-role/everything/test")
    );
    server.record(&response);
    // Another cluster, no cluster, another host, another operation, later than fifteen minutes whatever it asked for.
    let other = presigned(&session, 0, "60").replace("x-k8s-aws-id", "other");
    assert_eq!(server.send(&other).outcome(), "403 SignatureDoesNotMatch");
    let none = presigned(&session, 0, "60").without("x-k8s-aws-id");
    assert!(matches!(server.send(&none).status, 400 | 403));
    let moved = presigned(&session, 0, "60").header("host", "evil.example");
    assert_eq!(server.send(&moved).outcome(), "403 SignatureDoesNotMatch");
    let mut operation = presigned(&session, 0, "60");
    operation.query = operation.query.replace("GetCallerIdentity", "GetSessionToken");
    assert_eq!(server.send(&operation).outcome(), "403 SignatureDoesNotMatch");
    let late = server.send(&presigned(&session, -920, "604800"));
    assert_eq!(late.outcome(), "403 SignatureDoesNotMatch", "{}", late.text());
    assert!(late.message().starts_with("Signature expired"), "{}", late.message());
    assert_eq!(
        server.send(&presigned(&session, -70, "60")).outcome(),
        "403 SignatureDoesNotMatch"
    );
    // A body that was not signed does not change what is asked.
    let body = presigned(&session, 0, "60")
        .body("Action=GetSessionToken")
        .header("content-length", "22");
    assert_ne!(server.send(&body).status, 200);
    // The unsigned one is asked for its signature.
    let response = server.send(&Request::new("GET", "/?Action=GetCallerIdentity&Version=2011-06-15"));
    assert_eq!(response.outcome(), "403 MissingAuthenticationToken");
    assert_eq!(response.message(), "Request is missing Authentication Token");
    // JSON services take them too, S3's words are S3's.
    let clusters = Request::new("GET", "/clusters").presigned(&server.host, &Signing::new(&world.admin, "eks"), "60");
    assert_eq!(server.send(&clusters).status, 200);
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

#[test]
fn adv_sv_34_unknown_keys_and_wrong_signatures_tell_what_aws_tells() {
    let world = world();
    let server = &world.server;
    let wrong = Key {
        secret: "x".repeat(40),
        ..world.admin.clone()
    };
    let response = server.sts(&wrong, "GetCallerIdentity", &[]);
    assert_eq!(response.outcome(), "403 SignatureDoesNotMatch");
    assert!(
        response
            .message()
            .starts_with("The request signature we calculated does not match the signature you provided."),
        "{}",
        response.message()
    );
    let record = server.record(&response);
    // Nobody was proven to be admin.
    assert_eq!(record["userIdentity"]["type"], "Unknown", "{record}");
    assert!(record["userIdentity"].get("userName").is_none(), "{record}");
}

#[test]
fn keys_of_an_unregistered_cluster_do_not_open_a_role() {
    let world = world();
    let server = &world.server;
    let root = &server.root;
    let role = name("foreign");
    web_role(
        server,
        root,
        &role,
        &world.issuer,
        "system:serviceaccount:shop:app",
        None,
    );
    // A second cluster has the same namespace and service account.
    let second = name("second");
    let issuer = crate::harness::cluster(server, root, &second);
    assert_ne!(provider_arn(&issuer), provider_arn(&world.issuer));
    let token = server.token(root, &second, "shop/app");
    let response = server.exchange(&role, &token, &[]);
    assert_eq!(response.outcome(), "403 AccessDenied", "{}", response.text());
    let token = server.token(root, "main", "shop/app");
    assert_eq!(server.exchange(&role, &token, &[]).status, 200);
}
