//! What is not what it says, and what would be read as something else behind us.

use std::io::Write;

use base64::Engine as _;

use super::store::{Store, error, ok};
use super::{UPSTREAM_KEY, UPSTREAM_SECRET, before, user};
use crate::client::{Key, Request, Signing, connect, exchange};
use crate::harness::{ALLOW_ALL, Server, policy};

fn crc32(content: &[u8]) -> String {
    let mut crc = irsa_sigv4::Checksum::new(irsa_sigv4::ChecksumAlgorithm::Crc32);
    crc.update(content);
    base64::engine::general_purpose::STANDARD.encode(crc.finish())
}

/// A PUT in unsigned chunks with this trailer.
fn with_trailer(server: &Server, key: &Key, content: &[u8], said: usize, trailer: &str) -> Request {
    let mut body = format!("{:x}\r\n", content.len()).into_bytes();
    body.extend_from_slice(content);
    body.extend_from_slice(format!("\r\n0\r\n{trailer}\r\n\r\n").as_bytes());
    Request::new("PUT", "/data/k")
        .header("content-encoding", "aws-chunked")
        .header("x-amz-decoded-content-length", &said.to_string())
        .header("x-amz-trailer", "x-amz-checksum-crc32")
        .header("x-amz-sdk-checksum-algorithm", "CRC32")
        .body(body)
        .signed(
            &server.host,
            &Signing::new(key, "s3").payload("STREAMING-UNSIGNED-PAYLOAD-TRAILER"),
        )
}

/// A PUT in signed chunks; the second chunk's signature is `wrong`.
fn in_signed_chunks(server: &Server, key: &Key, chunks: &[&[u8]], wrong: bool) -> Request {
    let signing = Signing::new(key, "s3").payload("STREAMING-AWS4-HMAC-SHA256-PAYLOAD");
    let length: usize = chunks.iter().map(|chunk| chunk.len()).sum();
    let mut request = Request::new("PUT", "/data/k")
        .header("content-encoding", "aws-chunked,gzip")
        .header("x-amz-decoded-content-length", &length.to_string())
        .signed(&server.host, &signing);
    let mut previous = request.signature();
    for (number, chunk) in chunks.iter().chain(&[&b""[..]]).enumerate() {
        previous = signing.chunk_signature(&previous, chunk);
        let shown = if wrong && number == 1 {
            "0".repeat(64)
        } else {
            previous.clone()
        };
        request
            .body
            .extend_from_slice(format!("{:x};chunk-signature={shown}\r\n", chunk.len()).as_bytes());
        request.body.extend_from_slice(chunk);
        request.body.extend_from_slice(b"\r\n");
    }
    request
}

#[test]
fn adv_s3_up_01_checksums_of_trailers_stay_with_their_content() {
    let store = Store::new(|_| ok(&[], b""));
    let (_folder, server) = before(&store);
    let admin = user(&server, ALLOW_ALL);
    let content = vec![b'x'; 100_000];
    let request = with_trailer(
        &server,
        &admin,
        &content,
        content.len(),
        &format!("x-amz-checksum-crc32:{}", crc32(&content)),
    );
    let answer = server.send(&request);
    assert_eq!(answer.outcome(), "200", "{}", answer.text());
    let seen = store.last();
    seen.verify(UPSTREAM_SECRET, "eu-west-1");
    assert_eq!(
        seen.header("x-amz-content-sha256"),
        "STREAMING-UNSIGNED-PAYLOAD-TRAILER"
    );
    assert_eq!(seen.header("x-amz-decoded-content-length"), "100000");
    assert_eq!(seen.header("x-amz-trailer"), "x-amz-checksum-crc32");
    assert_eq!(seen.header("x-amz-sdk-checksum-algorithm"), "CRC32");
    assert_eq!(seen.header("content-encoding"), "aws-chunked");
    let text = String::from_utf8(seen.body).unwrap();
    let expected = format!(
        "10000\r\n{}\r\n86a0\r\n{}\r\n0\r\nx-amz-checksum-crc32:{}\r\n\r\n",
        "x".repeat(65_536),
        "x".repeat(34_464),
        crc32(&content)
    );
    assert!(text == expected, "{} bytes, {} expected", text.len(), expected.len());
    // Also of a caller without a name.
    let open = r#"<PublicAccessBlockConfiguration><BlockPublicPolicy>false</BlockPublicPolicy></PublicAccessBlockConfiguration>"#;
    assert_eq!(
        server
            .s3(&admin, "PUT", "/data?publicAccessBlock", open.as_bytes())
            .status,
        200
    );
    let everybody =
        policy(r#"{"Effect":"Allow","Principal":"*","Action":"s3:PutObject","Resource":"arn:aws:s3:::data/*"}"#);
    let put = server.s3(&admin, "PUT", "/data?policy", everybody.as_bytes());
    assert!(matches!(put.status, 200 | 204), "{}", put.text());
    let line = format!("x-amz-checksum-crc32:{}", crc32(b"abc"));
    let unsigned = with_trailer(&server, &admin, b"abc", 3, &line).without("authorization");
    let answer = server.send(&unsigned);
    assert_eq!(answer.outcome(), "200", "{}", answer.text());
    let seen = store.last();
    assert_eq!(seen.header("x-amz-trailer"), "x-amz-checksum-crc32");
    assert_eq!(
        String::from_utf8(seen.body).unwrap(),
        format!("3\r\nabc\r\n0\r\n{line}\r\n\r\n")
    );
    let plain = Request::new("PUT", "/data/k")
        .header("x-amz-checksum-crc32", &crc32(b"abc"))
        .body("abc");
    assert_eq!(server.signed(plain, &admin, "s3").status, 200);
    assert_eq!(store.last().header("x-amz-checksum-crc32"), crc32(b"abc"));
}

#[test]
fn adv_s3_up_02_signed_chunks_are_decoded() {
    let store = Store::new(|_| ok(&[], b""));
    let (_folder, server) = before(&store);
    let admin = user(&server, ALLOW_ALL);
    let (first, second) = (vec![b'a'; 8192], vec![b'b'; 8192]);
    let answer = server.send(&in_signed_chunks(&server, &admin, &[&first, &second], false));
    assert_eq!(answer.outcome(), "200", "{}", answer.text());
    let seen = store.last();
    assert_eq!((seen.body.len(), seen.whole), (16_384, true));
    assert_eq!(
        (seen.header("content-encoding"), seen.header("x-amz-content-sha256")),
        ("gzip", "UNSIGNED-PAYLOAD")
    );
    assert_eq!(seen.header("x-amz-decoded-content-length"), "");
    seen.verify(UPSTREAM_SECRET, "eu-west-1");
    let answer = server.send(&in_signed_chunks(&server, &admin, &[&first, &second], true));
    assert_eq!(answer.outcome(), "403 SignatureDoesNotMatch", "{}", answer.text());
    let seen = &store.wait(2)[1];
    assert!(!seen.whole && seen.body.len() < 16_384);
}

#[test]
fn adv_s3_up_03_a_content_that_is_wrong_never_ends_there() {
    let store = Store::new(|_| ok(&[], b""));
    let (_folder, server) = before(&store);
    let admin = user(&server, ALLOW_ALL);
    let content = vec![b'x'; 300_000];
    let put = || Request::new("PUT", "/data/k").body(content.clone());
    let good = crc32(&content);
    let wrong_md5 = base64::engine::general_purpose::STANDARD.encode([7; 16]);
    let cases = [
        (
            put().signed(&server.host, &Signing::new(&admin, "s3").payload(&"0".repeat(64))),
            "400 XAmzContentSHA256Mismatch",
        ),
        (
            put()
                .header("x-amz-checksum-crc32", "AAAAAA==")
                .sign(&server.host, &admin, "s3"),
            "400 BadDigest",
        ),
        (
            put().header("content-md5", &wrong_md5).sign(&server.host, &admin, "s3"),
            "400 BadDigest",
        ),
        (
            with_trailer(
                &server,
                &admin,
                &content,
                content.len(),
                "x-amz-checksum-crc32:AAAAAA==",
            ),
            "400 BadDigest",
        ),
        (
            with_trailer(
                &server,
                &admin,
                &content,
                content.len() + 1,
                &format!("x-amz-checksum-crc32:{good}"),
            ),
            "",
        ),
        (
            with_trailer(
                &server,
                &admin,
                &content,
                content.len() - 1,
                &format!("x-amz-checksum-crc32:{good}"),
            ),
            "",
        ),
        (
            with_trailer(
                &server,
                &admin,
                &content,
                content.len(),
                &format!("x-amz-checksum-sha1:{good}"),
            ),
            "",
        ),
        (with_trailer(&server, &admin, &content, content.len(), ""), ""),
        (
            Request::new("PUT", "/data/k").signed(&server.host, &Signing::new(&admin, "s3").payload(&"0".repeat(64))),
            "400 XAmzContentSHA256Mismatch",
        ),
    ];
    for (number, (request, outcome)) in cases.into_iter().enumerate() {
        let answer = server.send(&request);
        assert!(
            (400..500).contains(&answer.status),
            "{number}: {} {}",
            answer.status,
            answer.text()
        );
        if !outcome.is_empty() {
            assert_eq!(answer.outcome(), outcome, "{number}: {}", answer.text());
        }
        assert_eq!(server.record(&answer)["errorCode"], answer.code(), "{number}");
    }
    for seen in store.seen() {
        assert!(!seen.whole, "{}", seen.head);
        assert!(!seen.body.windows(5).any(|window| window == b"\r\n0\r\n"));
    }
    // It hangs up.
    let mut cut = put().sign(&server.host, &admin, "s3").bytes(&server.host);
    cut.truncate(cut.len() - 10);
    let known = store.seen().len();
    let mut stream = connect(&server.host);
    stream.write_all(&cut).unwrap();
    drop(stream);
    assert!(
        !store.wait(known + 1)[known].whole,
        "who goes away takes the request along"
    );
}

#[test]
fn adv_s3_up_04_framing_that_can_be_read_twice_is_refused() {
    let store = Store::new(|_| ok(&[], b""));
    let (_folder, server) = before(&store);
    let admin = user(&server, ALLOW_ALL);
    for headers in [
        &[("content-length", "5"), ("transfer-encoding", "chunked")][..],
        &[("content-length", "5"), ("content-length", "6")],
        &[("content-length", "+5")],
        &[("transfer-encoding", "chunked, identity")],
        &[("transfer-encoding", "xchunked"), ("content-length", "5")],
    ] {
        let mut request = Request::new("PUT", "/data/k").body("5\r\nhello\r\n0\r\n\r\nGET /data/x HTTP/1.1\r\n\r\n");
        for (name, value) in headers {
            request = request.header(name, value);
        }
        let signing = Signing {
            unsigned: vec!["content-length", "transfer-encoding"],
            ..Signing::new(&admin, "s3").payload("UNSIGNED-PAYLOAD")
        };
        let request = request.signed(&server.host, &signing);
        if let Ok(answer) = exchange(&server.host, &request.bytes(&server.host), false) {
            assert!((400..=501).contains(&answer.status), "{headers:?}: {}", answer.status);
        }
    }
    // A length must be known: a store takes no object without.
    let request = Request::new("PUT", "/data/k")
        .header("transfer-encoding", "chunked")
        .body("5\r\nhello\r\n0\r\n\r\n");
    let signing = Signing {
        unsigned: vec!["transfer-encoding"],
        ..Signing::new(&admin, "s3").payload("UNSIGNED-PAYLOAD")
    };
    let answer = server.signed_as(request, &signing);
    assert_eq!(answer.outcome(), "411 MissingContentLength", "{}", answer.text());
    assert!(store.seen().is_empty());
}

#[test]
fn adv_s3_up_05_what_names_more_than_was_decided_is_refused() {
    let store = Store::new(|_| ok(&[], b""));
    let (_folder, server) = before(&store);
    let admin = user(&server, ALLOW_ALL);
    for (name, value) in [
        ("x-amz-acl", "public-read"),
        (
            "x-amz-grant-read",
            "uri=http://acs.amazonaws.com/groups/global/AllUsers",
        ),
        ("x-amz-website-redirect-location", "/elsewhere"),
        ("x-amz-server-side-encryption", "aws:kms"),
        ("x-amz-server-side-encryption-customer-key", "k"),
        ("x-amz-object-lock-mode", "GOVERNANCE"),
        ("x-amz-rename-source", "data/other"),
        ("x-amz-copy-source-version-id", "v"),
        ("x-amz-write-offset-bytes", "5"),
        ("x-amz-storage-class", "GLACIER"),
        ("x-amz-unheard-of", "1"),
    ] {
        let answer = server.signed(
            Request::new("PUT", "/data/k").header(name, value).body("x"),
            &admin,
            "s3",
        );
        assert!(
            matches!(answer.status, 400 | 501),
            "{name}: {} {}",
            answer.status,
            answer.text()
        );
    }
    for target in [
        "/data/k?acl&unknown",
        "/data/k?unknown=1",
        "/data/k?versionId=1&versionId=2",
        "/data?cors&policy",
        "/data/k?torrent",
        "/data/k?partNumber=1&partNumber=2",
    ] {
        let answer = server.s3(&admin, "GET", target, b"");
        assert!((400..=501).contains(&answer.status), "{target}: {}", answer.status);
    }
    for name in ["if-match", "range", "if-none-match"] {
        let twice = Request::new("GET", "/data/k")
            .header(name, "\"a\"")
            .header(name, "\"b\"");
        let signing = Signing {
            unsigned: vec![name],
            ..Signing::new(&admin, "s3")
        };
        let answer = server.signed_as(twice, &signing);
        assert!(answer.status == 400 || name == "range", "{name}: {}", answer.status);
    }
    let conditional = Request::new("PUT", "/data/copy")
        .header("x-amz-copy-source", "data/k")
        .header("if-match", "\"e\"");
    assert_eq!(server.signed(conditional, &admin, "s3").outcome(), "501 NotImplemented");
    let owned = Request::new("GET", "/data/k").header("x-amz-expected-bucket-owner", "444455556666");
    assert_eq!(server.signed(owned, &admin, "s3").outcome(), "403 AccessDenied");
    for seen in store.seen() {
        assert!(seen.line().starts_with("GET /data/k"), "{}", seen.line());
        assert!(seen.header("range").is_empty());
    }
    // A condition needs what it tells about.
    let writer = user(&server, r#"{"Effect":"Allow","Action":"s3:PutObject","Resource":"*"}"#);
    let known = store.seen().len();
    let conditional = Request::new("PUT", "/data/k").header("if-match", "\"e\"").body("x");
    assert_eq!(server.signed(conditional, &writer, "s3").outcome(), "403 AccessDenied");
    assert_eq!(store.seen().len(), known);
}

#[test]
fn adv_s3_09_the_store_knows_nobody_but_us() {
    // A store as it should stand behind us: it takes one key, and that is ours.
    let store = Store::new(|seen| {
        if seen
            .header("authorization")
            .contains(&format!("Credential={UPSTREAM_KEY}/"))
        {
            ok(&[("etag", "\"abc\"")], b"content")
        } else {
            error(403, "AccessDenied")
        }
    });
    let (_folder, server) = before(&store);
    let key = user(&server, ALLOW_ALL);
    let session = crate::harness::session_key(&server.sts(&key, "GetSessionToken", &[]));
    let get = || Request::new("GET", "/data/key");
    for caller in [&key, &session] {
        for request in [
            get().sign(&server.host, caller, "s3"),
            get().presigned(&server.host, &Signing::new(caller, "s3"), "300"),
        ] {
            let answer = server.send(&request);
            assert_eq!(answer.text(), "content", "{answer:?}");
            let seen = store.last();
            seen.verify(UPSTREAM_SECRET, "eu-west-1");
            for secret in [&caller.id, &caller.secret, caller.token.as_ref().unwrap_or(&caller.id)] {
                assert!(!seen.head.contains(secret.as_str()), "{}", seen.head);
                assert!(!seen.head.contains(&crate::client::encode(secret)), "{}", seen.head);
            }
        }
        // Around us, at the store itself, a caller's key is worth nothing.
        let around = crate::client::send(&store.host(), &get().sign(&store.host(), caller, "s3"));
        assert_eq!(around.status, 403, "{}", around.text());
    }
    // What the store saw of us is worth nothing with us.
    let seen = store.seen();
    let ours = seen
        .iter()
        .find(|seen| seen.header("authorization").contains(UPSTREAM_KEY))
        .unwrap();
    let back = ["authorization", "x-amz-date", "x-amz-content-sha256"]
        .into_iter()
        .fold(get().header("host", &store.host()), |request, name| {
            request.header(name, ours.header(name))
        });
    let answer = server.send(&back);
    assert_eq!(answer.outcome(), "403 InvalidAccessKeyId", "{}", answer.text());
    // Nor does anybody reach the store through us by its address.
    let count = store.seen().len();
    let mut through = get().sign(&server.host, &key, "s3");
    through.path = format!("{}/data/key", store.url());
    assert_eq!(server.send(&through).status, 400);
    assert_eq!(store.seen().len(), count);
}
