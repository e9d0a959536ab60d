//! Multipart uploads at a store that knows an upload by its id alone.

use base64::Engine as _;

use super::store::{Store, ok};
use super::{before, user};
use crate::client::{Request, encode};
use crate::harness::ALLOW_ALL;

/// A store that gives out one id for all that is begun.
fn careless() -> Store {
    Store::new(|seen| {
        let line = seen.line();
        let document = if line.starts_with("POST") && line.contains("?uploads=") {
            "<?xml version=\"1.0\"?><InitiateMultipartUploadResult><Bucket>data</Bucket><Key>mine</Key><UploadId>their/id+1</UploadId></InitiateMultipartUploadResult>"
        } else if line.starts_with("POST") {
            "<CompleteMultipartUploadResult><Location>http://their.host/x</Location><ETag>\"e\"</ETag></CompleteMultipartUploadResult>"
        } else if line.contains("?uploads=") {
            "<ListMultipartUploadsResult><UploadIdMarker></UploadIdMarker><NextKeyMarker>mine</NextKeyMarker><NextUploadIdMarker>their/id+1</NextUploadIdMarker>\
             <IsTruncated>true</IsTruncated><Upload><Key>mine</Key><UploadId>their/id+1</UploadId></Upload></ListMultipartUploadsResult>"
        } else if line.starts_with("GET") {
            "<ListPartsResult><Key>mine</Key><UploadId>their/id+1</UploadId></ListPartsResult>"
        } else if line.starts_with("PUT") && !seen.header("x-amz-copy-source").is_empty() {
            "<CopyPartResult><ETag>\"e\"</ETag></CopyPartResult>"
        } else {
            ""
        };
        ok(&[("etag", "\"e\"")], document.as_bytes())
    })
}

#[test]
fn adv_s3_up_06_an_upload_is_worth_nothing_for_another_key() {
    let store = careless();
    let (_folder, server) = before(&store);
    let admin = user(&server, ALLOW_ALL);
    let begun = server.s3(&admin, "POST", "/data/mine?uploads", b"");
    assert_eq!(begun.outcome(), "200", "{}", begun.text());
    let id = begun.element("UploadId").unwrap();
    assert_ne!(id, "their/id+1");
    let listed = server.s3(&admin, "GET", "/data?uploads", b"");
    assert_eq!(
        listed.element("UploadId").as_deref(),
        Some(id.as_str()),
        "{}",
        listed.text()
    );
    assert_eq!(listed.element("NextUploadIdMarker").as_deref(), Some(id.as_str()));
    let shown = encode(&id);
    let next = server.s3(
        &admin,
        "GET",
        &format!("/data?uploads&key-marker=mine&upload-id-marker={shown}"),
        b"",
    );
    assert_eq!(next.outcome(), "200", "{}", next.text());
    assert_eq!(
        store.last().line(),
        "GET /data?uploads=&key-marker=mine&upload-id-marker=their%2Fid%2B1 HTTP/1.1"
    );
    let parts =
        "<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>\"e\"</ETag></Part></CompleteMultipartUpload>";
    let send = |key: &str, id: &str| {
        let part = format!("{key}?partNumber=1&uploadId={id}");
        [
            server.s3(&admin, "PUT", &part, b"part"),
            server.signed(
                Request::new("PUT", &part).header("x-amz-copy-source", "data/source"),
                &admin,
                "s3",
            ),
            server.s3(&admin, "GET", &format!("{key}?uploadId={id}"), b""),
            server.s3(&admin, "POST", &format!("{key}?uploadId={id}"), parts.as_bytes()),
            server.s3(&admin, "DELETE", &format!("{key}?uploadId={id}"), b""),
        ]
    };
    let known = |store: &Store| {
        store
            .seen()
            .iter()
            .filter(|seen| seen.line().contains("their%2Fid"))
            .count()
    };
    let before = known(&store);
    for answer in send("/data/mine", &shown) {
        assert!(
            matches!(answer.status, 200 | 204),
            "{} {}",
            answer.status,
            answer.text()
        );
        assert!(!answer.text().contains(">their/id+1<"), "{}", answer.text());
        let record = server.record(&answer);
        assert_eq!(record["requestParameters"]["uploadId"], id.as_str(), "{record}");
    }
    assert_eq!(known(&store), before + 5);
    let count = store.seen().len();
    let other = server
        .s3(&admin, "POST", "/data/other?uploads", b"")
        .element("UploadId")
        .unwrap();
    assert_ne!(other, id);
    for (key, id) in [
        ("/data/other", shown.as_str()),
        ("/other/mine", &shown),
        ("/data/mine", &encode(&other)),
        ("/data/mine", "their%2Fid%2B1"),
        ("/data/mine", &shown[1..]),
        ("/data/mine", &format!("{shown}1")),
        ("/data/mine", ""),
    ] {
        for answer in send(key, id) {
            assert_eq!(answer.outcome(), "404 NoSuchUpload", "{key} {id}: {}", answer.text());
        }
    }
    let marker = server.s3(
        &admin,
        "GET",
        "/data?uploads&key-marker=other&upload-id-marker=their%2Fid%2B1",
        b"",
    );
    assert_eq!(marker.outcome(), "400 InvalidArgument", "{}", marker.text());
    let sent: Vec<String> = store.seen()[count..]
        .iter()
        .map(|seen| seen.line().to_owned())
        .collect();
    assert_eq!(sent, ["POST /data/other?uploads= HTTP/1.1"]);
}

#[test]
fn documents_that_arrive_otherwise_than_they_were_sent_stay_here() {
    let store = careless();
    let (_folder, server) = before(&store);
    let admin = user(&server, ALLOW_ALL);
    let id = server
        .s3(&admin, "POST", "/data/mine?uploads", b"")
        .element("UploadId")
        .unwrap();
    let known = store.seen().len();
    let wrong = base64::engine::general_purpose::STANDARD.encode([7; 16]);
    let complete = "<CompleteMultipartUpload></CompleteMultipartUpload>";
    let versioning = "<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>";
    for (method, target, body) in [
        ("POST", format!("/data/mine?uploadId={}", encode(&id)), complete),
        ("PUT", "/data?versioning".to_owned(), versioning),
    ] {
        let request = Request::new(method, &target).header("content-md5", &wrong).body(body);
        let answer = server.signed(request, &admin, "s3");
        assert_eq!(answer.outcome(), "400 BadDigest", "{target}: {}", answer.text());
    }
    let request = Request::new("PUT", "/data?versioning")
        .header("x-amz-checksum-crc32", "AAAAAA==")
        .body(versioning);
    assert_eq!(server.signed(request, &admin, "s3").outcome(), "400 BadDigest");
    assert_eq!(store.seen().len(), known);
    // The checksum of an object is not that of the list of its parts.
    let request = Request::new("POST", &format!("/data/mine?uploadId={}", encode(&id)))
        .header("x-amz-checksum-crc32", "AAAAAA==")
        .body(complete);
    assert_eq!(server.signed(request, &admin, "s3").outcome(), "200");
    assert_eq!(store.last().header("x-amz-checksum-crc32"), "AAAAAA==");
}
