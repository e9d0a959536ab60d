//! Heads that mean the same in another way, or nothing that we do.

use super::*;

#[tokio::test]
async fn headers_in_the_query_are_headers() {
    let server = Server::with_bucket().await;
    // SDKs write headers of presigned requests into the query, and S3 heeds them there.
    for (query, code) in [
        ("x-amz-acl=public-read", "AccessControlListNotSupported"),
        ("X-Amz-Tagging=a%3Db%26a%3Dc", "InvalidTag"),
        ("x-amz-server-side-encryption=aws%3Akms", "NotImplemented"),
        ("x-amz-meta-a=1&x-amz-meta-a=2", "InvalidArgument"),
        ("x-amz-meta-a=%0A", "InvalidArgument"),
        ("x%2Damz-acl=public-read", "NotImplemented"),
    ] {
        let answer = server
            .call(&Script::all(), "PUT", &format!("/my-bucket/a?{query}"), "hello")
            .await;
        assert_eq!(answer.code(), code, "{query}: {}", answer.text);
    }
    // All but the checksums of a body that was not there when the request was signed.
    let checksums = "X-Amz-Checksum-CRC32=AAAAAA%3D%3D&x-amz-sdk-checksum-algorithm=CRC32";
    let uri = &format!("/my-bucket/a?x-id=PutObject&x-amz-meta-team=blue%20team&{checksums}");
    let both = request("PUT", uri, &[("x-amz-meta-team", "red")], "hello");
    assert_eq!(server.send(&Script::all(), both).await.code(), "InvalidArgument");
    assert_eq!(
        server.call(&Script::all(), "PUT", uri, "hello").await.status,
        StatusCode::OK
    );
    let uri = "/my-bucket/a?x-amz-checksum-mode=ENABLED&response-content-type=text%2Fcsv";
    let got = server.call(&Script::all(), "GET", uri, "").await;
    assert_eq!(got.header("x-amz-meta-team"), "blue team", "{}", got.text);
    assert_eq!(
        (got.header("x-amz-checksum-crc32"), got.header("content-type")),
        ("", "text/csv")
    );
    // A copy in disguise is decided as a copy.
    let script = Script::only(&["s3:PutObject"]);
    let copy = server
        .call(&script, "PUT", "/my-bucket/b?x-amz-copy-source=my-bucket%2Fa", "")
        .await;
    assert_eq!(copy.status, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn buckets_in_host_names_are_the_same_buckets() {
    let server = Server::with_bucket().await;
    server.put("a/b", "x").await;
    for (host, uri, status) in [
        ("my-bucket.s3.example", "/a/b", StatusCode::OK),
        ("my-bucket.S3.example:4700", "/a/b", StatusCode::OK),
        ("s3.example", "/my-bucket/a/b", StatusCode::OK),
        ("localhost:4700", "/my-bucket/a/b", StatusCode::OK),
        ("other.example", "/my-bucket/a/b", StatusCode::OK),
        ("other.s3.example", "/a/b", StatusCode::NOT_FOUND),
    ] {
        let script = Script::all();
        let mut get = request("GET", uri, &[], "");
        get.headers_mut().insert("host", host.parse().unwrap());
        let answer = server.send(&script, get).await;
        assert_eq!(answer.status, status, "{host} {uri}: {}", answer.text);
        if status == StatusCode::OK {
            assert_eq!(
                script.questions(),
                [("s3:GetObject", "arn:aws:s3:::my-bucket/a/b".to_owned())]
            );
        }
    }
}

#[tokio::test]
async fn headers_that_we_cannot_honour_are_refused_not_ignored() {
    let server = Server::with_bucket().await;
    for (name, value, code) in [
        ("x-amz-acl", "public-read", "AccessControlListNotSupported"),
        ("x-amz-grant-read", "id=1", "NotImplemented"),
        ("x-amz-server-side-encryption", "aws:kms", "NotImplemented"),
        (
            "x-amz-server-side-encryption-customer-algorithm",
            "AES256",
            "NotImplemented",
        ),
        ("x-amz-object-lock-mode", "COMPLIANCE", "NotImplemented"),
        ("x-amz-tagging", "a=b&a=c", "InvalidTag"),
        ("x-amz-website-redirect-location", "/x", "NotImplemented"),
        ("x-amz-storage-class", "GLACIER", "InvalidStorageClass"),
        ("x-amz-write-offset-bytes", "0", "NotImplemented"),
        ("x-amz-something-new", "1", "NotImplemented"),
        ("if-none-match", "\"abc\"", "NotImplemented"),
    ] {
        let answer = server
            .send(&Script::all(), request("PUT", "/my-bucket/a", &[(name, value)], "x"))
            .await;
        assert_eq!(answer.code(), code, "{name}: {}", answer.text);
    }
    let missing = server.call(&Script::all(), "GET", "/my-bucket/a", "").await;
    assert_eq!(missing.code(), "NoSuchKey");
}

#[tokio::test]
async fn credentials_that_come_along_are_not_looked_at() {
    let server = Server::with_bucket().await;
    // In headers they are dropped: the caller is who the server says.
    let script = Script::only(&["s3:ListBucket"]);
    let authorization = [(
        "authorization",
        "AWS4-HMAC-SHA256 Credential=AKIAX/20260102/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=00",
    )];
    let answer = server
        .send(&script, request("GET", "/my-bucket", &authorization, ""))
        .await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
    // In the query they should have been removed; if they were not, the request goes no further.
    let presigned = "/my-bucket?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIAX%2F20260102%2Fus-east-1%2Fs3%2Faws4_request\
                     &X-Amz-Date=20260102T030405Z&X-Amz-Expires=604800&X-Amz-SignedHeaders=host&X-Amz-Signature=00";
    let script = Script::all();
    let answer = server.call(&script, "GET", presigned, "").await;
    assert!(answer.status.is_client_error(), "{}", answer.text);
    assert_eq!(script.questions(), []);
}
