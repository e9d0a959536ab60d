//! Multipart uploads on the wire.

use super::*;

mod checksums;

const MIB: usize = 1024 * 1024;

/// Begins an upload with these headers; its id.
async fn begin(server: &Server, key: &str, headers: &[(&str, &str)]) -> String {
    let answer = server
        .send(
            &Script::all(),
            request("POST", &format!("/my-bucket/{key}?uploads"), headers, ""),
        )
        .await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
    assert_eq!((answer.element("Bucket"), answer.element("Key")), ("my-bucket", key));
    answer.element("UploadId").to_owned()
}

async fn part(server: &Server, key: &str, id: &str, number: &str, headers: &[(&str, &str)], content: &str) -> Answer {
    let uri = format!("/my-bucket/{key}?partNumber={number}&uploadId={id}");
    server
        .send(&Script::all(), request("PUT", &uri, headers, content))
        .await
}

fn document(parts: &[(u32, &str)]) -> String {
    let parts: String = parts
        .iter()
        .map(|(number, etag)| format!("<Part><PartNumber>{number}</PartNumber><ETag>{etag}</ETag></Part>"))
        .collect();
    format!(
        "<CompleteMultipartUpload xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">{parts}</CompleteMultipartUpload>"
    )
}

async fn complete(server: &Server, key: &str, id: &str, headers: &[(&str, &str)], body: &str) -> Answer {
    let uri = format!("/my-bucket/{key}?uploadId={id}");
    server.send(&Script::all(), request("POST", &uri, headers, body)).await
}

async fn get(server: &Server, uri: &str, headers: &[(&str, &str)]) -> Answer {
    server.send(&Script::all(), request("GET", uri, headers, "")).await
}

const HELLO: &str = "\"5d41402abc4b2a76b9719d911017c592\"";

#[tokio::test]
async fn parts_become_an_object() {
    let server = Server::with_bucket().await;
    let headers = [
        ("content-type", "text/plain"),
        ("cache-control", "no-store"),
        ("x-amz-meta-team", "blue"),
    ];
    let id = begin(&server, "a", &headers).await;
    let large = "0123456789abcdef".repeat(5 * MIB / 16);
    let first = part(&server, "a", &id, "2", &[], &large).await;
    assert_eq!(first.status, StatusCode::OK, "{}", first.text);
    let last = part(&server, "a", &id, "7", &[], "hello").await;
    assert_eq!(last.header("etag"), HELLO);
    assert_eq!((last.outcome.bytes_in, last.outcome.bytes_out), (5, 0));
    // Nothing is visible, but the upload and its parts are listed.
    assert_eq!(get(&server, "/my-bucket/a", &[]).await.code(), "NoSuchKey");
    assert!(get(&server, "/my-bucket", &[]).await.elements("Contents").is_empty());
    let parts = get(&server, &format!("/my-bucket/a?uploadId={id}"), &[]).await;
    assert_eq!(parts.elements("PartNumber"), ["2", "7"], "{}", parts.text);
    assert_eq!(parts.elements("Size"), ["5242880", "5"]);
    assert_eq!(parts.element("IsTruncated"), "false");
    assert_eq!(parts.element("StorageClass"), "STANDARD");
    let page = get(&server, &format!("/my-bucket/a?uploadId={id}&max-parts=1"), &[]).await;
    assert_eq!(
        (page.elements("PartNumber"), page.element("NextPartNumberMarker")),
        (vec!["2"], "2")
    );
    let page = get(
        &server,
        &format!("/my-bucket/a?uploadId={id}&max-parts=1&part-number-marker=2"),
        &[],
    )
    .await;
    assert_eq!(
        (page.elements("PartNumber"), page.element("IsTruncated")),
        (vec!["7"], "false")
    );
    let uploads = get(&server, "/my-bucket?uploads", &[]).await;
    assert_eq!(uploads.elements("UploadId"), [id.as_str()], "{}", uploads.text);
    assert_eq!(uploads.element("Initiated"), "2026-01-02T03:04:05.000Z");

    let body = document(&[(2, first.header("etag")), (7, HELLO)]);
    let done = complete(&server, "a", &id, &[("x-amz-mp-object-size", "5242885")], &body).await;
    assert_eq!(done.status, StatusCode::OK, "{}", done.text);
    let etag = done.element("ETag").replace("&quot;", "\"");
    assert!(etag.ends_with("-2\""), "{etag}");
    assert_eq!(done.element("ChecksumType"), "FULL_OBJECT");
    assert!(!done.element("ChecksumCRC64NVME").is_empty(), "{}", done.text);
    let got = get(&server, "/my-bucket/a", &[("x-amz-checksum-mode", "ENABLED")]).await;
    assert!(got.text == format!("{large}hello"));
    assert_eq!(got.outcome.bytes_out, 5_242_885);
    assert_eq!(got.header("etag"), etag);
    assert_eq!(got.header("content-type"), "text/plain");
    assert_eq!(got.header("cache-control"), "no-store");
    assert_eq!(got.header("x-amz-meta-team"), "blue");
    assert_eq!(
        got.header("x-amz-checksum-crc64nvme"),
        done.element("ChecksumCRC64NVME")
    );
    // The same content at once has the same checksum over the whole.
    server.put("b", &format!("{large}hello")).await;
    let whole = get(&server, "/my-bucket/b", &[("x-amz-checksum-mode", "ENABLED")]).await;
    assert_eq!(
        whole.header("x-amz-checksum-crc64nvme"),
        got.header("x-amz-checksum-crc64nvme")
    );
    // Ranges over the seam.
    let seam = get(&server, "/my-bucket/a", &[("range", "bytes=5242878-5242881")]).await;
    assert_eq!(
        (seam.status, seam.text.as_str(), seam.header("content-range")),
        (StatusCode::PARTIAL_CONTENT, "efhe", "bytes 5242878-5242881/5242885")
    );
    // Completed once more, because the answer got lost, and with other parts.
    let again = complete(&server, "a", &id, &[], &body).await;
    assert_eq!(
        (again.status, again.element("ETag")),
        (StatusCode::OK, done.element("ETag"))
    );
    let other = complete(&server, "a", &id, &[], &document(&[(7, HELLO)])).await;
    assert_eq!((other.status, other.code()), (StatusCode::NOT_FOUND, "NoSuchUpload"));
    assert!(
        get(&server, "/my-bucket?uploads", &[])
            .await
            .elements("Upload")
            .is_empty()
    );
    let listed = get(&server, "/my-bucket?list-type=2", &[]).await;
    assert_eq!(listed.elements("ETag")[0].replace("&quot;", "\""), etag);
}

#[tokio::test]
async fn one_part_of_an_object() {
    let server = Server::with_bucket().await;
    let id = begin(&server, "a", &[("x-amz-checksum-algorithm", "CRC32")]).await;
    let large = "x".repeat(5 * MIB);
    let crc = |text: &str| {
        use base64::Engine as _;
        use s3s::crypto::Checksum as _;
        base64::engine::general_purpose::STANDARD.encode(s3s::crypto::Crc32::checksum(text.as_bytes()))
    };
    let crcs = [crc(&large), crc("hello")];
    let mut etags = Vec::new();
    for (number, content, crc) in [("1", &*large, &crcs[0]), ("2", "hello", &crcs[1])] {
        let answer = part(&server, "a", &id, number, &[("x-amz-checksum-crc32", crc)], content).await;
        assert_eq!(answer.header("x-amz-checksum-crc32"), crc, "{}", answer.text);
        etags.push(answer.header("etag").to_owned());
    }
    let body = document(&[(1, &etags[0]), (2, &etags[1])]);
    // A checksum of checksums needs all of them.
    let missing = complete(&server, "a", &id, &[], &body).await;
    assert_eq!(missing.code(), "InvalidRequest", "{}", missing.text);
    assert!(missing.text.contains("It was missing for part 1"));
    let with = |first: &str| {
        body.replacen("</ETag>", &format!("</ETag><ChecksumCRC32>{first}</ChecksumCRC32>"), 1)
            .replace(
                "</ETag></Part>",
                &format!("</ETag><ChecksumCRC32>{}</ChecksumCRC32></Part>", crcs[1]),
            )
    };
    assert_eq!(
        complete(&server, "a", &id, &[], &with(&crcs[1])).await.code(),
        "InvalidPart"
    );
    let wrong = [("x-amz-checksum-crc32", "AAAAAA==-2")];
    assert_eq!(
        complete(&server, "a", &id, &wrong, &with(&crcs[0])).await.code(),
        "BadDigest"
    );
    let done = complete(
        &server,
        "a",
        &id,
        &[("x-amz-checksum-type", "COMPOSITE")],
        &with(&crcs[0]),
    )
    .await;
    assert_eq!(done.status, StatusCode::OK, "{}", done.text);
    assert_eq!(done.element("ChecksumType"), "COMPOSITE");
    assert!(done.element("ChecksumCRC32").ends_with("-2"), "{}", done.text);

    for method in ["GET", "HEAD"] {
        let ask = |number: &str| {
            request(
                method,
                &format!("/my-bucket/a?partNumber={number}"),
                &[("x-amz-checksum-mode", "ENABLED")],
                "",
            )
        };
        let second = server.send(&Script::all(), ask("2")).await;
        assert_eq!(second.status, StatusCode::PARTIAL_CONTENT);
        assert_eq!(second.text, if method == "GET" { "hello" } else { "" });
        assert_eq!(second.header("content-range"), "bytes 5242880-5242884/5242885");
        assert_eq!(second.header("x-amz-mp-parts-count"), "2");
        assert_eq!(second.header("x-amz-checksum-crc32"), crcs[1]);
        let third = server.send(&Script::all(), ask("3")).await;
        assert_eq!(third.status, StatusCode::RANGE_NOT_SATISFIABLE);
        for bad in ["0", "10001", "-1"] {
            assert_eq!(
                server.send(&Script::all(), ask(bad)).await.status,
                StatusCode::BAD_REQUEST
            );
        }
    }
    let both = get(&server, "/my-bucket/a?partNumber=1", &[("range", "bytes=0-1")]).await;
    assert_eq!(both.code(), "InvalidRequest");
    server.put("b", "whole").await;
    let first = get(&server, "/my-bucket/b?partNumber=1", &[]).await;
    assert_eq!(
        (first.text.as_str(), first.header("x-amz-mp-parts-count")),
        ("whole", "")
    );
    assert_eq!(
        get(&server, "/my-bucket/b?partNumber=2", &[]).await.code(),
        "InvalidPartNumber"
    );
}

#[tokio::test]
async fn what_is_wrong_with_a_completion() {
    let server = Server::with_bucket().await;
    let id = begin(&server, "a", &[]).await;
    for number in ["1", "2"] {
        assert_eq!(
            part(&server, "a", &id, number, &[], "hello").await.status,
            StatusCode::OK
        );
    }
    let wrong = "\"00000000000000000000000000000000\"";
    for (body, code) in [
        (document(&[(1, HELLO), (2, HELLO)]), "EntityTooSmall"),
        (document(&[(2, HELLO), (1, HELLO)]), "InvalidPartOrder"),
        (document(&[(1, HELLO), (1, HELLO)]), "InvalidPartOrder"),
        (document(&[(3, HELLO)]), "InvalidPart"),
        (document(&[(1, wrong)]), "InvalidPart"),
        (document(&[(1, "nonsense")]), "InvalidPart"),
        (document(&[(0, HELLO)]), "InvalidArgument"),
        (document(&[(10_001, HELLO)]), "InvalidArgument"),
        (document(&[]), "MalformedXML"),
        (String::new(), "MalformedXML"),
        ("<CompleteMultipartUpload>".to_owned(), "MalformedXML"),
        (
            "<CompleteMultipartUpload><Part><PartNumber>1</PartNumber></Part></CompleteMultipartUpload>".to_owned(),
            "MalformedXML",
        ),
    ] {
        let answer = complete(&server, "a", &id, &[], &body).await;
        assert_eq!(
            (answer.status, answer.code()),
            (StatusCode::BAD_REQUEST, code),
            "{body}"
        );
    }
    let body = document(&[(2, HELLO)]);
    for (name, value, code) in [
        ("x-amz-mp-object-size", "6", "InvalidRequest"),
        ("x-amz-checksum-crc64nvme", "AAAAAAAAAAA=", "BadDigest"),
        ("x-amz-checksum-crc32", "NhCmhg==", "BadDigest"),
        ("x-amz-checksum-type", "COMPOSITE", "InvalidRequest"),
        ("if-match", "\"0\"", "NoSuchKey"),
    ] {
        let answer = complete(&server, "a", &id, &[(name, value)], &body).await;
        assert_eq!(answer.code(), code, "{name}: {}", answer.text);
    }
    server.put("a", "there").await;
    let answer = complete(&server, "a", &id, &[("if-none-match", "*")], &body).await;
    assert_eq!(
        (answer.status, answer.code()),
        (StatusCode::PRECONDITION_FAILED, "PreconditionFailed")
    );
    assert_eq!(get(&server, "/my-bucket/a", &[]).await.text, "there");
    server.call(&Script::all(), "DELETE", "/my-bucket/a", "").await;
    // Of many who complete at once, all are answered alike.
    let server = Arc::new(server);
    let racers: Vec<_> = (0..8)
        .map(|_| {
            let (server, id, body) = (Arc::clone(&server), id.clone(), body.clone());
            tokio::spawn(async move {
                complete(&server, "a", &id, &[("if-none-match", "*")], &body)
                    .await
                    .status
            })
        })
        .collect();
    for racer in racers {
        assert_eq!(racer.await.unwrap(), StatusCode::OK);
    }
    assert_eq!(get(&server, "/my-bucket/a", &[]).await.text, "hello");
}

#[tokio::test]
async fn uploads_that_are_not_there() {
    let server = Server::with_bucket().await;
    let id = begin(&server, "a", &[]).await;
    assert_eq!(part(&server, "a", &id, "1", &[], "hello").await.status, StatusCode::OK);
    let body = document(&[(1, HELLO)]);
    let upper = id.to_ascii_uppercase();
    // Under another key, in another spelling, and without any sense.
    for (key, id) in [
        ("b", id.as_str()),
        ("a", "00"),
        ("a", "../x"),
        ("a", ""),
        ("a", &upper),
        ("A", &id),
    ] {
        if key == "a" && id == upper && upper == id.to_ascii_lowercase() {
            continue;
        }
        for answer in [
            part(&server, key, id, "1", &[], "other").await,
            complete(&server, key, id, &[], &body).await,
            get(&server, &format!("/my-bucket/{key}?uploadId={id}"), &[]).await,
            server
                .call(&Script::all(), "DELETE", &format!("/my-bucket/{key}?uploadId={id}"), "")
                .await,
        ] {
            assert_eq!(
                (answer.status, answer.code()),
                (StatusCode::NOT_FOUND, "NoSuchUpload"),
                "{key} {id}"
            );
        }
    }
    let aborted = server
        .call(&Script::all(), "DELETE", &format!("/my-bucket/a?uploadId={id}"), "")
        .await;
    assert_eq!(aborted.status, StatusCode::NO_CONTENT, "{}", aborted.text);
    assert_eq!(complete(&server, "a", &id, &[], &body).await.code(), "NoSuchUpload");
    assert_eq!(get(&server, "/my-bucket/a", &[]).await.code(), "NoSuchKey");
    assert_eq!(part(&server, "a", &id, "1", &[], "hello").await.code(), "NoSuchUpload");
    // Half of a name is not a name of an operation.
    for (method, uri) in [
        ("PUT", "/my-bucket/a?uploadId=x"),
        ("PUT", "/my-bucket/a?partNumber=1"),
        ("POST", "/my-bucket/a?uploads&uploadId=x"),
        ("DELETE", "/my-bucket/a?uploadId=x&partNumber=1"),
    ] {
        let script = Script::all();
        assert_eq!(
            server.call(&script, method, uri, "x").await.code(),
            "NotImplemented",
            "{uri}"
        );
        assert_eq!(script.questions(), []);
    }
    let twice = server
        .call(
            &Script::all(),
            "DELETE",
            &format!("/my-bucket/a?uploadId={id}&uploadId={id}"),
            "",
        )
        .await;
    assert_eq!(twice.code(), "InvalidArgument");
}

#[tokio::test]
async fn parts_copied_from_objects() {
    let server = Server::with_bucket().await;
    let large = "0123456789".repeat(6 * MIB / 10);
    server.put("from%20here", &large).await;
    let id = begin(&server, "to", &[]).await;
    let copy = async |number: &str, headers: &[(&str, &str)]| {
        let mut all = vec![("x-amz-copy-source", "/my-bucket/from%20here")];
        all.extend_from_slice(headers);
        part(&server, "to", &id, number, &all, "").await
    };
    let first = copy("1", &[("x-amz-copy-source-range", "bytes=0-5242879")]).await;
    assert_eq!(first.status, StatusCode::OK, "{}", first.text);
    assert_eq!(first.element("LastModified"), "2026-01-02T03:04:05.000Z");
    let last = copy("2", &[("x-amz-copy-source-range", "bytes=10-14")]).await;
    let whole = copy("3", &[]).await;
    let etag = |answer: &Answer| answer.element("ETag").replace("&quot;", "\"");
    server.put("five", "01234").await;
    assert_eq!(get(&server, "/my-bucket/five", &[]).await.header("etag"), etag(&last));
    assert_eq!(
        get(&server, "/my-bucket/from%20here", &[]).await.header("etag"),
        etag(&whole)
    );
    for (range, code) in [
        ("bytes=0-99999999", "InvalidArgument"),
        ("bytes=99999998-99999999", "InvalidArgument"),
        ("bytes=5-4", "InvalidArgument"),
        ("bytes=5-", "InvalidArgument"),
        ("bytes=-5", "InvalidArgument"),
        ("bytes=+1-5", "InvalidArgument"),
        ("0-5", "InvalidArgument"),
        ("bytes=0-18446744073709551615", "InvalidArgument"),
    ] {
        let answer = copy("4", &[("x-amz-copy-source-range", range)]).await;
        assert_eq!(
            (answer.status, answer.code()),
            (StatusCode::BAD_REQUEST, code),
            "{range}"
        );
    }
    let failed = copy("4", &[("x-amz-copy-source-if-match", "\"0\"")]).await;
    assert_eq!(failed.code(), "PreconditionFailed");
    let missing = part(&server, "to", &id, "4", &[("x-amz-copy-source", "/my-bucket/none")], "").await;
    assert_eq!(missing.code(), "NoSuchKey");
    let body = document(&[(1, &etag(&first)), (2, &etag(&last))]);
    let done = complete(&server, "to", &id, &[], &body).await;
    assert_eq!(done.status, StatusCode::OK, "{}", done.text);
    let got = get(&server, "/my-bucket/to", &[]).await;
    assert!(got.text == format!("{}01234", &large[..5 * MIB]));
    // A part of an object of parts, over its seam.
    let id = begin(&server, "again", &[]).await;
    let seam = part(
        &server,
        "again",
        &id,
        "1",
        &[
            ("x-amz-copy-source", "my-bucket/to"),
            ("x-amz-copy-source-range", "bytes=5242878-5242881"),
        ],
        "",
    )
    .await;
    let done = complete(&server, "again", &id, &[], &document(&[(1, &etag(&seam))])).await;
    assert_eq!(done.status, StatusCode::OK, "{}", done.text);
    assert_eq!(
        get(&server, "/my-bucket/again", &[]).await.text,
        format!("{}01", &large[5 * MIB - 2..5 * MIB])
    );
}

#[tokio::test]
async fn a_part_that_does_not_arrive_leaves_nothing() {
    let server = Server::with_bucket().await;
    let id = begin(&server, "a", &[]).await;
    assert_eq!(part(&server, "a", &id, "1", &[], "hello").await.status, StatusCode::OK);
    let large = Bytes::from(vec![b'x'; 300_000]);
    for (length, frames) in [
        (
            "600001",
            vec![Ok(Frame::data(large.clone())), Ok(Frame::data(large.clone()))],
        ),
        (
            "599999",
            vec![Ok(Frame::data(large.clone())), Ok(Frame::data(large.clone()))],
        ),
        (
            "600000",
            vec![Ok(Frame::data(large.clone())), Err("connection reset".into())],
        ),
    ] {
        let mut put = request("PUT", &format!("/my-bucket/a?partNumber=1&uploadId={id}"), &[], "");
        put.headers_mut().insert("content-length", length.parse().unwrap());
        *put.body_mut() = pieces(frames);
        let answer = server.send(&Script::all(), put).await;
        assert_eq!(answer.code(), "IncompleteBody", "{length}");
    }
    // What is for no upload is not read.
    let nothing = part(&server, "a", &"0".repeat(32), "1", &[], &"x".repeat(100_000)).await;
    assert_eq!((nothing.code(), nothing.outcome.bytes_in), ("NoSuchUpload", 0));
    let done = complete(&server, "a", &id, &[], &document(&[(1, HELLO)])).await;
    assert_eq!(done.status, StatusCode::OK);
    assert_eq!(get(&server, "/my-bucket/a", &[]).await.text, "hello");
}

#[tokio::test]
async fn a_bucket_with_uploads_can_go_and_takes_them_along() {
    let server = Server::with_bucket().await;
    let id = begin(&server, "a", &[]).await;
    assert_eq!(part(&server, "a", &id, "1", &[], "hello").await.status, StatusCode::OK);
    let gone = server.call(&Script::all(), "DELETE", "/my-bucket", "").await;
    assert_eq!(gone.status, StatusCode::NO_CONTENT, "{}", gone.text);
    server.bucket("my-bucket", 111_122_223_333).await;
    assert_eq!(
        complete(&server, "a", &id, &[], &document(&[(1, HELLO)])).await.code(),
        "NoSuchUpload"
    );
    assert!(
        get(&server, "/my-bucket?uploads", &[])
            .await
            .elements("Upload")
            .is_empty()
    );
}

#[tokio::test]
async fn listings_of_uploads() {
    let server = Server::with_bucket().await;
    let mut ids = Vec::new();
    for key in ["a", "logs%2F1", "logs%2F2", "z%20z"] {
        let uri = format!("/my-bucket/{key}?uploads");
        let answer = server.call(&Script::all(), "POST", &uri, "").await;
        ids.push(answer.element("UploadId").to_owned());
    }
    let listed = get(&server, "/my-bucket?uploads&delimiter=%2F&encoding-type=url", &[]).await;
    let uploads: Vec<_> = listed.elements("Upload");
    assert_eq!(uploads.len(), 2, "{}", listed.text);
    assert!(listed.text.contains("<Key>z%20z</Key>"));
    assert!(listed.element("CommonPrefixes").contains("<Prefix>logs/</Prefix>"));
    let page = get(&server, "/my-bucket?uploads&max-uploads=2", &[]).await;
    assert_eq!(
        (page.element("NextKeyMarker"), page.element("NextUploadIdMarker")),
        ("logs/1", &*ids[1])
    );
    assert_eq!(page.element("IsTruncated"), "true");
    let uri = format!("/my-bucket?uploads&key-marker=logs%2F1&upload-id-marker={}", ids[1]);
    assert_eq!(get(&server, &uri, &[]).await.elements("UploadId"), [&*ids[2], &*ids[3]]);
    for bad in [
        "max-uploads=-1",
        "key-marker=a&upload-id-marker=x",
        "encoding-type=base64",
    ] {
        let answer = get(&server, &format!("/my-bucket?uploads&{bad}"), &[]).await;
        assert_eq!(answer.code(), "InvalidArgument", "{bad}");
    }
}
