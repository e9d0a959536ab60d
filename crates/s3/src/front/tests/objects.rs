//! Objects on the wire.

use super::*;

#[tokio::test]
async fn an_object_comes_back_as_it_was_put() {
    let server = Server::with_bucket().await;
    let all = Script::all();
    let headers = [
        ("content-type", "text/plain; charset=utf-8"),
        ("content-encoding", "aws-chunked,gzip"),
        ("content-language", "de"),
        ("content-disposition", "attachment"),
        ("cache-control", "no-cache"),
        ("expires", "Fri, 02 Jan 2026 04:04:05 GMT"),
        ("x-amz-meta-team", "blue"),
        ("x-amz-storage-class", "STANDARD"),
    ];
    let put = server
        .send(&all, request("PUT", "/my-bucket/a", &headers, "hello"))
        .await;
    assert_eq!(put.status, StatusCode::OK, "{}", put.text);
    assert_eq!(put.header("etag"), "\"5d41402abc4b2a76b9719d911017c592\"");
    assert_eq!((put.outcome.bytes_in, put.outcome.bytes_out), (5, 0));
    for method in ["GET", "HEAD"] {
        let got = server.call(&all, method, "/my-bucket/a", "").await;
        assert_eq!(got.status, StatusCode::OK);
        assert_eq!(got.text, if method == "GET" { "hello" } else { "" });
        for (name, value) in [
            ("content-type", "text/plain; charset=utf-8"),
            ("content-encoding", "gzip"),
            ("content-language", "de"),
            ("content-disposition", "attachment"),
            ("cache-control", "no-cache"),
            ("expires", "Fri, 02 Jan 2026 04:04:05 GMT"),
            ("x-amz-meta-team", "blue"),
            ("etag", "\"5d41402abc4b2a76b9719d911017c592\""),
            ("last-modified", "Fri, 02 Jan 2026 03:04:05 GMT"),
            ("accept-ranges", "bytes"),
            ("content-length", "5"),
        ] {
            assert_eq!(got.header(name), value, "{method} {name}");
        }
    }
    let overridden = server
        .call(
            &all,
            "GET",
            "/my-bucket/a?response-content-type=text%2Fcsv&response-cache-control=private",
            "",
        )
        .await;
    assert_eq!(
        (overridden.header("content-type"), overridden.header("cache-control")),
        ("text/csv", "private")
    );

    // Nothing at all is an object too, and it has S3's default type.
    server.put("empty", "").await;
    let empty = server.call(&all, "GET", "/my-bucket/empty", "").await;
    assert_eq!(
        (empty.status, empty.header("content-length"), empty.text.as_str()),
        (StatusCode::OK, "0", "")
    );
    assert_eq!(empty.header("content-type"), "binary/octet-stream");
    let removed = server.call(&all, "DELETE", "/my-bucket/a", "").await;
    assert_eq!(removed.status, StatusCode::NO_CONTENT);
    let again = server.call(&all, "DELETE", "/my-bucket/a", "").await;
    assert_eq!(again.status, StatusCode::NO_CONTENT);
    let gone = server.call(&all, "GET", "/my-bucket/a", "").await;
    assert_eq!(
        (gone.status, gone.code(), gone.element("Key")),
        (StatusCode::NOT_FOUND, "NoSuchKey", "a")
    );
}

#[tokio::test]
async fn ranges() {
    let server = Server::with_bucket().await;
    let large: String = (0..60_000).map(|number| format!("{number:05}")).collect();
    server.put("large", &large).await;
    let all = Script::all();
    for (range, from, to) in [
        ("bytes=0-0", 0, 1),
        ("bytes=10-19", 10, 20),
        ("bytes=299990-", 299_990, 300_000),
        ("bytes=-7", 299_993, 300_000),
        ("bytes=100000-999999", 100_000, 300_000),
        ("bytes=-999999", 0, 300_000),
    ] {
        for method in ["GET", "HEAD"] {
            let answer = server
                .send(&all, request(method, "/my-bucket/large", &[("range", range)], ""))
                .await;
            assert_eq!(answer.status, StatusCode::PARTIAL_CONTENT, "{method} {range}");
            assert_eq!(
                answer.header("content-range"),
                format!("bytes {from}-{}/300000", to - 1)
            );
            assert_eq!(answer.header("content-length"), (to - from).to_string());
            if method == "GET" {
                assert!(answer.text == large[from..to], "{range}");
                assert_eq!(answer.outcome.bytes_out, (to - from) as u64);
            }
        }
    }
    for range in ["bytes=300000-", "bytes=-0"] {
        let answer = server
            .send(&all, request("GET", "/my-bucket/large", &[("range", range)], ""))
            .await;
        assert_eq!(
            (answer.status, answer.code()),
            (StatusCode::RANGE_NOT_SATISFIABLE, "InvalidRange"),
            "{range}"
        );
        assert_eq!(answer.header("content-range"), "bytes */300000");
    }
    // What is not one range of bytes is no range.
    for range in ["bytes=5-2", "bytes=0-1,3-4", "lines=1-2", "bytes=x"] {
        let answer = server
            .send(&all, request("GET", "/my-bucket/large", &[("range", range)], ""))
            .await;
        assert_eq!(
            (answer.status, answer.text.len()),
            (StatusCode::OK, large.len()),
            "{range}"
        );
    }
}

#[tokio::test]
async fn conditional_reads() {
    let server = Server::with_bucket().await;
    server.put("a", "hello").await;
    let all = Script::all();
    let (same, other) = (
        "\"5d41402abc4b2a76b9719d911017c592\"",
        "\"00000000000000000000000000000000\"",
    );
    let (now, before, bad) = (
        "Fri, 02 Jan 2026 03:04:05 GMT",
        "Fri, 02 Jan 2026 03:04:04 GMT",
        "yesterday",
    );
    let ok = StatusCode::OK;
    for (name, value, status) in [
        ("if-match", same, ok),
        ("if-match", "*", ok),
        ("if-match", other, StatusCode::PRECONDITION_FAILED),
        ("if-none-match", same, StatusCode::NOT_MODIFIED),
        ("if-none-match", other, ok),
        ("if-modified-since", now, StatusCode::NOT_MODIFIED),
        ("if-modified-since", before, ok),
        ("if-modified-since", bad, ok),
        ("if-unmodified-since", now, ok),
        ("if-unmodified-since", before, StatusCode::PRECONDITION_FAILED),
    ] {
        for method in ["GET", "HEAD"] {
            let answer = server
                .send(&all, request(method, "/my-bucket/a", &[(name, value)], ""))
                .await;
            assert_eq!(answer.status, status, "{method} {name}: {value}");
            if status == StatusCode::NOT_MODIFIED {
                assert_eq!((answer.text.as_str(), answer.header("etag")), ("", same));
                assert_eq!(answer.header("last-modified"), now);
            }
        }
    }
    // A matching tag outweighs a date (RFC 9110, 13.2.2).
    let both = [("if-match", same), ("if-unmodified-since", before)];
    assert_eq!(
        server
            .send(&all, request("GET", "/my-bucket/a", &both, ""))
            .await
            .status,
        ok
    );
}

#[tokio::test]
async fn conditional_writes() {
    let server = Server::with_bucket().await;
    let all = Script::all();
    let put = |name: &'static str, value: &'static str, body: &'static str| {
        request("PUT", "/my-bucket/a", &[(name, value)], body)
    };
    let same = "\"5d41402abc4b2a76b9719d911017c592\"";
    let answer = server.send(&all, put("if-match", same, "x")).await;
    assert_eq!((answer.status, answer.code()), (StatusCode::NOT_FOUND, "NoSuchKey"));
    let answer = server.send(&all, put("if-none-match", "*", "hello")).await;
    assert_eq!(answer.status, StatusCode::OK);
    let answer = server.send(&all, put("if-none-match", "*", "other")).await;
    assert_eq!(
        (answer.status, answer.code()),
        (StatusCode::PRECONDITION_FAILED, "PreconditionFailed")
    );
    let answer = server.send(&all, put("if-match", "\"0\"", "other")).await;
    assert_eq!(answer.status, StatusCode::PRECONDITION_FAILED);
    assert_eq!(server.call(&all, "GET", "/my-bucket/a", "").await.text, "hello");
    let remove = |value| request("DELETE", "/my-bucket/a", &[("if-match", value)], "");
    assert_eq!(
        server.send(&all, remove("\"0\"")).await.status,
        StatusCode::PRECONDITION_FAILED
    );
    assert_eq!(server.send(&all, remove(same)).await.status, StatusCode::NO_CONTENT);

    // Of many who create at once, one wins.
    let server = Arc::new(server);
    let racers: Vec<_> = (0..16)
        .map(|number| {
            let server = Arc::clone(&server);
            tokio::spawn(async move {
                let body = format!("{number}");
                let put = request("PUT", "/my-bucket/race", &[("if-none-match", "*")], &body);
                (server.send(&Script::all(), put).await.status, body)
            })
        })
        .collect();
    let mut winners = Vec::new();
    for racer in racers {
        let (status, body) = racer.await.unwrap();
        match status {
            StatusCode::OK => winners.push(body),
            other => assert_eq!(other, StatusCode::PRECONDITION_FAILED),
        }
    }
    assert_eq!(winners, [server.call(&all, "GET", "/my-bucket/race", "").await.text]);
}

#[tokio::test]
async fn copies() {
    let server = Server::with_bucket().await;
    let all = Script::all();
    let headers = [("content-type", "text/plain"), ("x-amz-meta-a", "1")];
    server
        .send(&all, request("PUT", "/my-bucket/from", &headers, "hello"))
        .await;
    let copy = |to: &str, headers: &[(&str, &str)]| {
        let mut all = vec![("x-amz-copy-source", "/my-bucket/from")];
        all.extend_from_slice(headers);
        request("PUT", &format!("/my-bucket/{to}"), &all, "")
    };
    let copied = server.send(&all, copy("to", &[])).await;
    assert_eq!(copied.status, StatusCode::OK, "{}", copied.text);
    assert_eq!(copied.element("ETag"), "\"5d41402abc4b2a76b9719d911017c592\"");
    // The copy lives on when the source is gone.
    server.call(&all, "DELETE", "/my-bucket/from", "").await;
    let got = server.call(&all, "GET", "/my-bucket/to", "").await;
    assert_eq!(
        (
            got.text.as_str(),
            got.header("content-type"),
            got.header("x-amz-meta-a")
        ),
        ("hello", "text/plain", "1")
    );

    server
        .send(&all, request("PUT", "/my-bucket/from", &headers, "hello"))
        .await;
    let itself = server.send(&all, copy("from", &[])).await;
    assert_eq!(itself.code(), "InvalidRequest");
    let replace = [("x-amz-metadata-directive", "REPLACE"), ("x-amz-meta-b", "2")];
    let itself = server.send(&all, copy("from", &replace)).await;
    assert_eq!(itself.status, StatusCode::OK, "{}", itself.text);
    let got = server.call(&all, "GET", "/my-bucket/from", "").await;
    assert_eq!(
        (
            got.text.as_str(),
            got.header("x-amz-meta-a"),
            got.header("x-amz-meta-b")
        ),
        ("hello", "", "2")
    );
    let failed = server
        .send(&all, copy("to", &[("x-amz-copy-source-if-match", "\"0\"")]))
        .await;
    assert_eq!(failed.code(), "PreconditionFailed");
    let failed = server
        .send(&all, copy("to", &[("x-amz-metadata-directive", "MOVE")]))
        .await;
    assert_eq!(failed.code(), "InvalidArgument");
}

#[tokio::test]
async fn digests_are_checked() {
    let server = Server::with_bucket().await;
    let all = Script::all();
    let put = |headers: &[(&str, &str)]| request("PUT", "/my-bucket/a", headers, "hello");
    for (name, value) in [
        ("content-md5", "XUFAKrxLKna5cZ2REBfFkg=="),
        ("x-amz-checksum-crc32", "NhCmhg=="),
        ("x-amz-checksum-crc32c", "mnG7TA=="),
        ("x-amz-checksum-sha1", "qvTGHdzF6KLavt4PO0gs2a6pQ00="),
        ("x-amz-checksum-sha256", "LPJNul+wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ="),
    ] {
        let answer = server.send(&all, put(&[(name, value)])).await;
        assert_eq!(answer.status, StatusCode::OK, "{name}: {}", answer.text);
        if name != "content-md5" {
            assert_eq!(answer.header(name), value);
            let read = request("GET", "/my-bucket/a", &[("x-amz-checksum-mode", "ENABLED")], "");
            let read = server.send(&all, read).await;
            assert_eq!(
                (read.header(name), read.header("x-amz-checksum-type")),
                (value, "FULL_OBJECT")
            );
        }
    }
    server.call(&all, "DELETE", "/my-bucket/a", "").await;
    for (headers, code) in [
        (vec![("content-md5", "AAAAAAAAAAAAAAAAAAAAAA==")], "BadDigest"),
        (vec![("content-md5", "short")], "InvalidDigest"),
        (vec![("x-amz-checksum-crc32", "AAAAAA==")], "BadDigest"),
        (vec![("x-amz-checksum-crc32", "NhCmhgAA")], "InvalidRequest"),
        (
            vec![
                ("x-amz-checksum-crc32", "NhCmhg=="),
                ("x-amz-checksum-crc32c", "mnG7TA=="),
            ],
            "InvalidRequest",
        ),
        (vec![("x-amz-sdk-checksum-algorithm", "CRC32")], "InvalidRequest"),
        (vec![("x-amz-trailer", "x-amz-checksum-crc32")], "MalformedTrailerError"),
        (vec![("x-amz-meta-long", &*"v".repeat(2050))], "MetadataTooLarge"),
    ] {
        let answer = server.send(&all, put(&headers)).await;
        assert_eq!(
            (answer.status, answer.code()),
            (StatusCode::BAD_REQUEST, code),
            "{headers:?}"
        );
    }
    assert_eq!(server.call(&all, "GET", "/my-bucket/a", "").await.code(), "NoSuchKey");
}

#[tokio::test]
async fn digests_of_documents_are_checked_too() {
    let server = Server::with_bucket().await;
    let all = Script::all();
    let document = "<Delete><Object><Key>a</Key></Object></Delete>";
    let crc = [("x-amz-trailer", "x-amz-checksum-crc32")];
    let with_trailer = |value: &str| {
        let mut trailers = HeaderMap::new();
        trailers.insert("x-amz-checksum-crc32", value.parse().unwrap());
        let frames = vec![Ok(Frame::data(document.into())), Ok(Frame::trailers(trailers))];
        request("POST", "/my-bucket?delete", &crc, document).map(|_| pieces(frames))
    };
    let with_header = |name: &str, value: &str| request("POST", "/my-bucket?delete", &[(name, value)], document);
    for (wrong, code) in [
        (with_header("content-md5", "AAAAAAAAAAAAAAAAAAAAAA=="), "BadDigest"),
        (with_header("content-md5", "short"), "InvalidDigest"),
        (with_header("x-amz-checksum-crc32", "AAAAAA=="), "BadDigest"),
        (with_header("x-amz-sdk-checksum-algorithm", "CRC32"), "InvalidRequest"),
        (with_trailer("AAAAAA=="), "BadDigest"),
    ] {
        server.put("a", "x").await;
        let answer = server.send(&all, wrong).await;
        assert_eq!((answer.status, answer.code()), (StatusCode::BAD_REQUEST, code));
        // No key is on record, for none was deleted.
        assert!(answer.outcome.targets.is_empty(), "{:?}", answer.outcome);
        assert_eq!(server.call(&all, "GET", "/my-bucket/a", "").await.text, "x");
    }
    for right in [
        with_header("content-md5", "aFPqFnlCon58cZ4Qt7zwvQ=="),
        with_header("x-amz-checksum-crc32", "v6Ysrw=="),
        with_header("x-amz-checksum-sha256", "b9qfkiJPh7YpXlHOwFcwrzwDhH5vPcI78v9N4bFbu4E="),
        with_trailer("v6Ysrw=="),
    ] {
        server.put("a", "x").await;
        let answer = server.send(&all, right).await;
        assert_eq!(answer.elements("Deleted").len(), 1, "{}", answer.text);
        assert_eq!(server.call(&all, "GET", "/my-bucket/a", "").await.code(), "NoSuchKey");
    }

    // A bucket whose place was cut off on the way would be made elsewhere.
    let wrong = request(
        "PUT",
        "/other-bucket",
        &[("content-md5", "AAAAAAAAAAAAAAAAAAAAAA==")],
        "",
    );
    assert_eq!(server.send(&all, wrong).await.code(), "BadDigest");
    assert_eq!(
        server.call(&all, "HEAD", "/other-bucket", "").await.status,
        StatusCode::NOT_FOUND
    );
    // The MD5 of nothing.
    let right = request(
        "PUT",
        "/other-bucket",
        &[("content-md5", "1B2M2Y8AsgTpgAmY7PhCfg==")],
        "",
    );
    assert_eq!(server.send(&all, right).await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_checksum_may_come_after_the_body() {
    let server = Server::with_bucket().await;
    for (crc, status) in [("NhCmhg==", StatusCode::OK), ("AAAAAA==", StatusCode::BAD_REQUEST)] {
        let mut trailers = HeaderMap::new();
        trailers.insert("x-amz-checksum-crc32", crc.parse().unwrap());
        let mut put = request("PUT", "/my-bucket/a", &[("x-amz-trailer", "x-amz-checksum-crc32")], "");
        put.headers_mut().insert("content-length", "99".parse().unwrap());
        put.headers_mut()
            .insert("x-amz-decoded-content-length", "5".parse().unwrap());
        *put.body_mut() = pieces(vec![
            Ok(Frame::data(Bytes::from_static(b"hel"))),
            Ok(Frame::data(Bytes::from_static(b"lo"))),
            Ok(Frame::trailers(trailers)),
        ]);
        let answer = server.send(&Script::all(), put).await;
        assert_eq!(answer.status, status, "{}", answer.text);
    }
}

#[tokio::test]
async fn a_body_that_is_not_what_was_promised_leaves_nothing() {
    let server = Server::with_bucket().await;
    server.put("a", "old").await;
    let all = Script::all();
    let large = Bytes::from(vec![b'x'; 300_000]);
    let data = |bytes: &Bytes| Ok(Frame::data(bytes.clone()));
    let mismatch = || -> BoxError {
        Box::new(BodyError {
            code: "XAmzContentSHA256Mismatch".to_owned(),
            message: "The provided 'x-amz-content-sha256' header does not match what was computed.".to_owned(),
        })
    };
    for (length, frames, code) in [
        ("600001", vec![data(&large), data(&large)], "IncompleteBody"),
        ("599999", vec![data(&large), data(&large)], "IncompleteBody"),
        (
            "600000",
            vec![data(&large), data(&large), Err(mismatch())],
            "XAmzContentSHA256Mismatch",
        ),
        (
            "600000",
            vec![data(&large), Err("connection reset".into())],
            "IncompleteBody",
        ),
        ("3", vec![Err(mismatch())], "XAmzContentSHA256Mismatch"),
    ] {
        let mut put = request("PUT", "/my-bucket/a", &[], "");
        put.headers_mut().insert("content-length", length.parse().unwrap());
        *put.body_mut() = pieces(frames);
        let answer = server.send(&all, put).await;
        assert_eq!(
            (answer.status, answer.code()),
            (StatusCode::BAD_REQUEST, code),
            "{length}"
        );
    }
    // The same for a body that is a document.
    let mut delete = request("POST", "/my-bucket?delete", &[], "");
    delete.headers_mut().insert("content-length", "60".parse().unwrap());
    *delete.body_mut() = pieces(vec![
        Ok(Frame::data(Bytes::from_static(
            b"<Delete><Object><Key>a</Key></Object></Delete>",
        ))),
        Err(mismatch()),
    ]);
    let answer = server.send(&all, delete).await;
    assert_eq!(
        (answer.status, answer.code()),
        (StatusCode::BAD_REQUEST, "XAmzContentSHA256Mismatch")
    );

    let mut put = request("PUT", "/my-bucket/a", &[], "x");
    put.headers_mut().remove("content-length");
    let answer = server.send(&all, put).await;
    assert_eq!(
        (answer.status, answer.code()),
        (StatusCode::LENGTH_REQUIRED, "MissingContentLength")
    );
    let mut put = request("PUT", "/my-bucket/a", &[], "x");
    put.headers_mut()
        .insert("content-length", "5368709121".parse().unwrap());
    assert_eq!(server.send(&all, put).await.code(), "EntityTooLarge");

    assert_eq!(server.call(&all, "GET", "/my-bucket/a", "").await.text, "old");
    let uploads = server._folder.path().join("uploads");
    // The janitor works on a thread of its own; a full store is what tells, not the moment.
    let mut waited = 0;
    while std::fs::read_dir(&uploads).unwrap().count() > 0 && waited < 500 {
        tokio::time::sleep(Duration::from_millis(10)).await;
        waited += 1;
    }
    assert_eq!(std::fs::read_dir(&uploads).unwrap().count(), 0);
}

#[tokio::test]
async fn a_large_object_in_many_pieces() {
    let server = Server::with_bucket().await;
    let all = Script::all();
    let piece: Vec<u8> = (0..65_537_u32).map(|number| (number % 251) as u8 % 128).collect();
    let piece = Bytes::from(piece);
    let mut put = request("PUT", "/my-bucket/large", &[], "");
    put.headers_mut()
        .insert("content-length", (65_537 * 40).to_string().parse().unwrap());
    *put.body_mut() = pieces((0..40).map(|_| Ok(Frame::data(piece.clone()))).collect());
    let answer = server.send(&all, put).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
    assert_eq!(answer.outcome.bytes_in, 65_537 * 40);
    let got = server.call(&all, "GET", "/my-bucket/large", "").await;
    assert_eq!(got.outcome.bytes_out, 65_537 * 40);
    assert!(got.text.as_bytes() == piece.repeat(40));
}
