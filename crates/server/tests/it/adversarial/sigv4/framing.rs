//! One request that two servers would read as two.

use crate::client::{Request, exchange, read_answer};
use crate::harness::world;

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
fn adv_sv_30_a_proxy_that_rewrites_the_host_is_not_believed() {
    let world = world();
    let server = &world.server;
    let signed = Request::new("GET", "/first-bucket/hello.txt").sign(&server.host, &world.admin, "s3");
    assert_eq!(server.send(&signed).status, 200);
    for header in [
        "x-forwarded-host",
        "forwarded",
        "x-original-host",
        ":authority",
        "x-host",
    ] {
        let value = if header == "forwarded" {
            format!("host={}", server.host)
        } else {
            server.host.clone()
        };
        let mut bytes = format!(
            "GET /first-bucket/hello.txt HTTP/1.1\r\nhost: evil.example\r\nconnection: close\r\n{header}: {value}\r\n"
        );
        for (name, value) in &signed.headers {
            bytes.push_str(&format!("{name}: {value}\r\n"));
        }
        bytes.push_str("\r\n");
        match exchange(&server.host, bytes.as_bytes(), false) {
            Ok(response) => {
                // A name that begins with a colon is no name, and what HTTP refuses has no words of S3.
                let refused = response.outcome() == "403 SignatureDoesNotMatch"
                    || header == ":authority" && response.status == 400;
                assert!(refused, "{header}: {} {}", response.status, response.text());
            }
            Err(error) => assert!(error.starts_with("no head in"), "{header}: {error}"),
        }
    }
}

#[test]
fn adv_sv_30_no_second_protocol_with_an_authority_of_its_own() {
    let world = world();
    let server = &world.server;
    // HTTP/2 with prior knowledge, and HTTP/1.1 that asks for it: there is one host, that of HTTP/1.1.
    let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
    match exchange(&server.host, preface, false) {
        Ok(response) => assert_eq!(response.status, 400, "{}", response.text()),
        Err(error) => assert!(error.starts_with("no head in"), "{error}"),
    }
    let upgrade = Request::new("GET", "/first-bucket/hello.txt")
        .sign(&server.host, &world.admin, "s3")
        .header("upgrade", "h2c")
        .header("http2-settings", "AAMAAABkAAQCAAAAAAIAAAAA")
        .header("connection", "Upgrade, HTTP2-Settings, close");
    let response = server.send(&upgrade);
    assert_ne!(response.status, 101);
    assert_eq!(response.text(), "hello");
}

/// Who waits for leave to send a body, and is refused, may send it all the same or begin another request: where its next bytes belong is not to be told.
#[test]
fn adv_sv_30_a_body_that_was_waited_for() {
    let world = world();
    let host = world.server.host.as_str();
    let listing = Request::new("GET", "/").sign(host, &world.admin, "s3");
    let signed: String = listing
        .headers
        .iter()
        .map(|(name, value)| format!("{name}: {value}\r\n"))
        .collect();
    for (line, headers, class) in [("PUT /data/pub/a", "", 4), ("GET /", signed.as_str(), 2)] {
        let head =
            format!("{line} HTTP/1.1\r\nhost: {host}\r\nexpect: 100-continue\r\ncontent-length: 1\r\n{headers}\r\n");
        let mut stream = crate::client::connect(host);
        std::io::Write::write_all(&mut stream, head.as_bytes()).unwrap();
        let answer = read_answer(&mut stream, false).unwrap();
        assert_eq!(
            (answer.status / 100, answer.header("connection")),
            (class, Some("close")),
            "{line}: {}",
            answer.text()
        );
    }
}
