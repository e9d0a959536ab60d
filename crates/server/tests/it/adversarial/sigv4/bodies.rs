//! Bodies that are not what the signature says.

use crate::adversarial::{STREAMING, routes, s3_operations};
use crate::client::{Key, Request, Signing, sha256};
use crate::harness::{ACCOUNT, name, world};

/// Sends a request of each kind under the secret of nobody, with each word for a body; `in_query`: signed there.
fn no_word_opens(in_query: bool) {
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
        let operations = s3_operations().into_iter().map(|(_, request)| ("s3", request));
        for (service, request) in routes().into_iter().chain(operations) {
            let line = format!("{service} {} {}?{} {word}", request.method, request.path, request.query);
            let request = request
                .header("x-amz-decoded-content-length", "1")
                .header("content-encoding", "aws-chunked");
            let signing = Signing::new(&forger, service).payload(word);
            let response = if in_query {
                // The word stands in a header that is signed, as it would have to.
                server.send(
                    &request
                        .header("x-amz-content-sha256", word)
                        .presigned(&server.host, &signing, "300"),
                )
            } else {
                server.signed_as(request.clone(), &signing)
            };
            assert!(matches!(response.status, 400 | 403), "{line}: {}", response.text());
            if !response.body.is_empty() {
                assert!(!response.code().is_empty(), "{line}: {}", response.text());
            }
            let record = server.record(&response);
            assert_ne!(record["userIdentity"]["type"], "Root", "{line}");
            assert!(record["errorCode"].is_string(), "{line}: {record}");
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
fn adv_sv_06_a_made_up_signature_opens_nothing_with_any_word_for_its_body() {
    no_word_opens(false);
}

#[test]
fn adv_sv_07_a_made_up_signature_in_the_query_opens_nothing_with_any_word_for_its_body() {
    no_word_opens(true);
}

#[test]
fn adv_sv_07_a_presigned_upload_in_chunks_is_what_was_signed() {
    let world = world();
    let server = &world.server;
    let put = |key: &Key, body: &str| {
        let signing = Signing::new(key, "s3").payload(STREAMING[2]);
        let request = Request::new("PUT", "/first-bucket/sv-07")
            .header("x-amz-content-sha256", STREAMING[2])
            .header("x-amz-decoded-content-length", "5")
            .header("x-amz-trailer", "x-amz-checksum-crc32")
            .header("content-encoding", "aws-chunked")
            .presigned(&server.host, &signing, "300");
        server.send(&request.body(body))
    };
    let body = "5\r\nhello\r\n0\r\nx-amz-checksum-crc32:NhCmhg==\r\n\r\n";
    let forger = Key {
        secret: "0".repeat(40),
        ..world.admin.clone()
    };
    let get = || server.s3(&world.admin, "GET", "/first-bucket/sv-07", b"");
    assert_eq!(put(&forger, body).outcome(), "403 SignatureDoesNotMatch");
    assert_eq!(
        put(&world.admin, &body.replace("NhCmhg", "AAAAAA")).outcome(),
        "400 BadDigest"
    );
    assert_eq!(put(&world.nobody, body).outcome(), "403 AccessDenied");
    assert_eq!(get().outcome(), "404 NoSuchKey");
    assert_eq!(put(&world.admin, body).status, 200);
    assert_eq!(get().text(), "hello");
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
