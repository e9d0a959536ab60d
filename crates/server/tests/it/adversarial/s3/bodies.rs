//! Bodies that are not what was said, and callers who go away in the middle of one.

use std::io::Write;

use irsa_audit::Filter;

use crate::client::{Key, Request, Signing, connect, exchange};
use crate::harness::{Server, world};
use crate::s3_multipart::{abort, begin, files, part, until};

/// Sends the first bytes of a request and goes away.
fn cut(server: &Server, request: &Request, body_bytes: usize) {
    let bytes = request.bytes(&server.host);
    let mut stream = connect(&server.host);
    let sent = bytes.len() - request.body.len() + body_bytes;
    stream.write_all(&bytes[..sent]).unwrap();
}

/// How many requests of this kind failed so far.
fn failed(server: &Server, event: &str) -> usize {
    let filter = Filter {
        event_name: Some(event.to_owned()),
        ..Filter::default()
    };
    let records = server.all_records(filter);
    records.iter().filter(|record| record["errorCode"].is_string()).count()
}

#[test]
fn callers_who_go_away_leave_neither_objects_nor_files() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path());
    let root = server.root.clone();
    assert_eq!(server.s3(&root, "PUT", "/cut-bucket", b"").status, 200);
    let content = vec![b'x'; 3_000_000];
    assert_eq!(server.s3(&root, "PUT", "/cut-bucket/there", &content).status, 200);
    let id = begin(&server, &root, "/cut-bucket/parts");
    assert_eq!(part(&server, &root, "/cut-bucket/parts", &id, 1, &content).status, 200);
    let before = files(&server);
    let chunks = |key: &Key, target: &str| {
        let signing = Signing::new(key, "s3").payload("STREAMING-UNSIGNED-PAYLOAD-TRAILER");
        let request = Request::new("PUT", target)
            .header("content-encoding", "aws-chunked")
            .header("x-amz-decoded-content-length", &content.len().to_string())
            .header("x-amz-trailer", "x-amz-checksum-crc32")
            .signed(&server.host, &signing);
        let mut body = format!("{:x}\r\n", content.len()).into_bytes();
        body.extend_from_slice(&content);
        body.extend_from_slice(b"\r\n0\r\nx-amz-checksum-crc32:AAAAAA==\r\n\r\n");
        request.body(body)
    };
    let mut cuts = 0;
    for target in [
        "/cut-bucket/new".to_owned(),
        "/cut-bucket/there".to_owned(),
        format!("/cut-bucket/parts?partNumber=1&uploadId={id}"),
        format!("/cut-bucket/parts?partNumber=2&uploadId={id}"),
    ] {
        let plain = Request::new("PUT", &target)
            .body(content.clone())
            .sign(&server.host, &root, "s3");
        let chunked = chunks(&root, &target);
        for sent in [1, 70_000, 1_500_000, content.len() - 1] {
            cut(&server, &plain, sent);
            cut(&server, &chunked, sent);
            cuts += 2;
        }
        // All of the content, and then not the last chunk, or half of the trailer.
        for missing in [1, 2, 20, 40] {
            cut(&server, &chunked, chunked.body.len() - missing);
            cuts += 1;
        }
        // A trailer that lies, to its end.
        let lied = server.send(&chunked);
        assert_eq!(lied.outcome(), "400 BadDigest", "{}", lied.text());
        cuts += 1;
    }
    let failures = || failed(&server, "PutObject") + failed(&server, "UploadPart");
    until("each attempt leaves its record", || failures() == cuts);
    until("content of what was cut off stayed", || files(&server) == before);
    assert_eq!(server.s3(&root, "GET", "/cut-bucket/there", b"").body, content);
    assert_eq!(
        server.s3(&root, "GET", "/cut-bucket/new", b"").outcome(),
        "404 NoSuchKey"
    );
    let list = server.s3(&root, "GET", "/cut-bucket?list-type=2", b"");
    assert_eq!(list.text().matches("<Contents>").count(), 1, "{}", list.text());
    let listed = server.s3(&root, "GET", &format!("/cut-bucket/parts?uploadId={id}"), b"");
    assert_eq!(listed.text().matches("<Part>").count(), 1, "{}", listed.text());
    assert_eq!(abort(&server, &root, "/cut-bucket/parts", &id).status, 204);
    assert_eq!(server.s3(&root, "DELETE", "/cut-bucket/there", b"").status, 204);
    until("what was deleted stayed", || files(&server) == 0);
    server.stop();
}

#[test]
fn adv_sv_20_what_is_refused_leaves_no_file() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path());
    let root = server.root.clone();
    assert_eq!(server.s3(&root, "PUT", "/clean-bucket", b"").status, 200);
    let word = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD";
    let signing = Signing::new(&root, "s3").payload(word);
    let build = |last: &[u8], signed_last: &[u8]| {
        let length = 700_000 + last.len();
        let request = Request::new("PUT", "/clean-bucket/object")
            .header("content-encoding", "aws-chunked")
            .header("x-amz-decoded-content-length", &length.to_string())
            .signed(&server.host, &signing);
        let mut previous = request.signature();
        let mut body = Vec::new();
        for content in [&[b'a'; 700_000][..], last, b""] {
            let covered = if content == last { signed_last } else { content };
            previous = signing.chunk_signature(&previous, covered);
            body.extend_from_slice(format!("{:x};chunk-signature={previous}\r\n", content.len()).as_bytes());
            body.extend_from_slice(content);
            body.extend_from_slice(b"\r\n");
        }
        request.body(body)
    };
    for _ in 0..5 {
        let response = server.send(&build(b"other", b"honest"));
        assert_eq!(response.outcome(), "403 SignatureDoesNotMatch", "{}", response.text());
    }
    assert_eq!(
        server.s3(&root, "GET", "/clean-bucket/object", b"").outcome(),
        "404 NoSuchKey"
    );
    until("a refused upload left its file", || files(&server) == 0);
    assert_eq!(server.send(&build(b"honest", b"honest")).status, 200);
    assert_eq!(files(&server), 1);
    server.stop();
}

#[test]
fn bodies_that_are_shorter_or_longer_than_said() {
    let world = world();
    let server = &world.server;
    let signed = Request::new("PUT", "/first-bucket/length")
        .body("hello")
        .sign(&server.host, &world.admin, "s3");
    let send = |lines: &str, body: &str| {
        let mut text = format!(
            "PUT /first-bucket/length HTTP/1.1\r\nhost: {}\r\nconnection: close\r\n",
            server.host
        );
        for (name, value) in &signed.headers {
            text.push_str(&format!("{name}: {value}\r\n"));
        }
        text.push_str(lines);
        text.push_str("\r\n");
        text.push_str(body);
        exchange(&server.host, text.as_bytes(), false)
    };
    for (what, lines, body) in [
        ("longer than said", "content-length: 4\r\n", "hello"),
        ("nothing", "content-length: 0\r\n", ""),
        ("two lengths", "content-length: 5\r\ncontent-length: 6\r\n", "hello"),
        ("a negative length", "content-length: -5\r\n", "hello"),
        ("no length", "", ""),
        (
            "more in chunks",
            "transfer-encoding: chunked\r\n",
            "6\r\nhello!\r\n0\r\n\r\n",
        ),
        (
            "less in chunks",
            "transfer-encoding: chunked\r\n",
            "4\r\nhell\r\n0\r\n\r\n",
        ),
        (
            "a chunk that lies",
            "transfer-encoding: chunked\r\n",
            "6\r\nhello\r\n0\r\n\r\n",
        ),
        (
            "an endless chunk",
            "transfer-encoding: chunked\r\n",
            "ffffffffffffffff\r\nhello",
        ),
    ] {
        match send(lines, body) {
            Ok(response) => {
                assert!(
                    (400..=411).contains(&response.status) || response.status == 501,
                    "{what}: {} {}",
                    response.status,
                    response.text()
                );
            }
            Err(error) => assert!(error.starts_with("no head in"), "{what}: {error}"),
        }
        let got = server.s3(&world.admin, "GET", "/first-bucket/length", b"");
        assert_eq!(got.outcome(), "404 NoSuchKey", "{what}");
    }
    let honest = send("content-length: 5\r\n", "hello").unwrap();
    assert_eq!(honest.status, 200, "{}", honest.text());
}
