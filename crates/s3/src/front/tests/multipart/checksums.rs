//! Checksums of parts and of what they become.

use super::*;

#[tokio::test]
async fn parts_are_checked_as_objects_are() {
    let server = Server::with_bucket().await;
    let plain = begin(&server, "a", &[]).await;
    for (headers, code) in [
        (vec![("content-md5", "AAAAAAAAAAAAAAAAAAAAAA==")], "BadDigest"),
        (vec![("x-amz-checksum-crc32", "AAAAAA==")], "BadDigest"),
        (vec![("x-amz-trailer", "x-amz-checksum-crc32")], "MalformedTrailerError"),
    ] {
        assert_eq!(part(&server, "a", &plain, "1", &headers, "hello").await.code(), code);
    }
    for number in ["0", "10001", "x", ""] {
        let answer = part(&server, "a", &plain, number, &[], "hello").await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{number}");
    }
    let listed = get(&server, &format!("/my-bucket/a?uploadId={plain}"), &[]).await;
    assert!(listed.elements("Part").is_empty());
    // The algorithm of the upload is the one of its parts.
    let sha = begin(&server, "b", &[("x-amz-checksum-algorithm", "SHA256")]).await;
    let right = ("x-amz-checksum-sha256", "LPJNul+wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ=");
    for headers in [vec![], vec![("x-amz-checksum-crc32", "NhCmhg==")]] {
        let answer = part(&server, "b", &sha, "1", &headers, "hello").await;
        assert_eq!(answer.code(), "InvalidRequest");
        assert!(
            answer
                .text
                .contains("expected checksum Type: sha256, actual checksum Type: ")
        );
    }
    assert_eq!(
        part(&server, "b", &sha, "1", &[right], "hello").await.header(right.0),
        right.1
    );
    for (algorithm, kind, code) in [
        ("SHA256", "FULL_OBJECT", "InvalidRequest"),
        ("CRC64NVME", "COMPOSITE", "InvalidRequest"),
        ("CRC32", "HALF", "InvalidRequest"),
        ("MD4", "COMPOSITE", "InvalidRequest"),
    ] {
        let headers = [("x-amz-checksum-algorithm", algorithm), ("x-amz-checksum-type", kind)];
        let answer = server
            .send(&Script::all(), request("POST", "/my-bucket/c?uploads", &headers, ""))
            .await;
        assert_eq!(answer.code(), code, "{algorithm} {kind}");
    }
}

#[tokio::test]
async fn checksums_over_the_whole_of_an_upload() {
    let server = Server::with_bucket().await;
    let large = "abcdefgh".repeat(5 * MIB / 8);
    server.put("whole", &format!("{large}hello")).await;
    for (algorithm, header) in [
        ("CRC32", "x-amz-checksum-crc32"),
        ("CRC32C", "x-amz-checksum-crc32c"),
        ("CRC64NVME", "x-amz-checksum-crc64nvme"),
    ] {
        let id = begin(
            &server,
            "a",
            &[
                ("x-amz-checksum-algorithm", algorithm),
                ("x-amz-checksum-type", "FULL_OBJECT"),
            ],
        )
        .await;
        let mut etags = Vec::new();
        for (number, content) in [("1", &*large), ("2", "hello")] {
            // The checksum is taken from a copy with that algorithm.
            server.put("piece", content).await;
            let copy = [
                ("x-amz-copy-source", "my-bucket/piece"),
                ("x-amz-checksum-algorithm", algorithm),
            ];
            let copied = server
                .send(&Script::all(), request("PUT", "/my-bucket/copy", &copy, ""))
                .await;
            let value = copied.element(&format!("Checksum{algorithm}")).to_owned();
            assert!(!value.is_empty(), "{}", copied.text);
            let answer = part(&server, "a", &id, number, &[(header, &value)], content).await;
            assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
            etags.push(answer.header("etag").to_owned());
        }
        let body = document(&[(1, &etags[0]), (2, &etags[1])]);
        let done = complete(&server, "a", &id, &[], &body).await;
        assert_eq!(done.status, StatusCode::OK, "{}", done.text);
        // As if it had been put at once.
        let copy = [
            ("x-amz-copy-source", "my-bucket/whole"),
            ("x-amz-checksum-algorithm", algorithm),
        ];
        let copied = server
            .send(&Script::all(), request("PUT", "/my-bucket/copy", &copy, ""))
            .await;
        let name = format!("Checksum{algorithm}");
        assert_eq!(done.element(&name), copied.element(&name), "{algorithm}");
        assert_eq!(done.element("ChecksumType"), "FULL_OBJECT");
    }
    // A copy of it is an object that was put at once.
    let copied = server
        .send(
            &Script::all(),
            request("PUT", "/my-bucket/copy", &[("x-amz-copy-source", "my-bucket/a")], ""),
        )
        .await;
    let (copy, whole) = (
        get(&server, "/my-bucket/copy", &[]).await,
        get(&server, "/my-bucket/whole", &[]).await,
    );
    assert!(copy.text == whole.text);
    assert_eq!(copy.header("etag"), whole.header("etag"));
    assert_eq!(copied.element("ETag").replace("&quot;", "\""), whole.header("etag"));
}
