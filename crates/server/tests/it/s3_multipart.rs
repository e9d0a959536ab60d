//! Multipart uploads through the whole pipeline: whose they are, what is decided, what is recorded, and what is left behind.

use std::io::Write;
use std::time::{Duration, Instant};

use crate::client::{Key, Request, Response, connect};
use crate::harness::{Server, name, policy, world};

pub(crate) fn user(server: &Server, actions: &str) -> Key {
    let statement = format!(r#"{{"Effect":"Allow","Action":{actions},"Resource":"arn:aws:s3:::first-bucket*"}}"#);
    server.user(&server.root, &name("mp"), Some(&policy(&statement)))
}

/// Begins an upload; its id.
pub(crate) fn begin(server: &Server, key: &Key, path: &str) -> String {
    let response = server.s3(key, "POST", &format!("{path}?uploads"), b"");
    assert_eq!(response.status, 200, "{}", response.text());
    response.element("UploadId").unwrap()
}

pub(crate) fn part(server: &Server, key: &Key, path: &str, id: &str, number: u32, content: &[u8]) -> Response {
    server.s3(
        key,
        "PUT",
        &format!("{path}?partNumber={number}&uploadId={id}"),
        content,
    )
}

pub(crate) fn complete(server: &Server, key: &Key, path: &str, id: &str, parts: &[&Response]) -> Response {
    let parts: String = (1..)
        .zip(parts)
        .map(|(number, part)| {
            let etag = part.header("etag").unwrap_or_default();
            format!("<Part><PartNumber>{number}</PartNumber><ETag>{etag}</ETag></Part>")
        })
        .collect();
    let body = format!("<CompleteMultipartUpload>{parts}</CompleteMultipartUpload>");
    server.s3(key, "POST", &format!("{path}?uploadId={id}"), body.as_bytes())
}

pub(crate) fn abort(server: &Server, key: &Key, path: &str, id: &str) -> Response {
    server.s3(key, "DELETE", &format!("{path}?uploadId={id}"), b"")
}

pub(crate) fn parts(server: &Server, key: &Key, path: &str, id: &str) -> Response {
    server.s3(key, "GET", &format!("{path}?uploadId={id}"), b"")
}

#[test]
fn every_step_of_an_upload_is_recorded() {
    let world = world();
    let server = &world.server;
    let key = name("steps");
    let path = format!("/first-bucket/{key}");
    let begun = server.s3(&world.admin, "POST", &format!("{path}?uploads"), b"");
    let id = begun.element("UploadId").unwrap();
    let first = part(server, &world.admin, &path, &id, 1, b"hello");
    let listed = parts(server, &world.admin, &path, &id);
    let uploads = server.s3(&world.admin, "GET", "/first-bucket?uploads&prefix=steps", b"");
    let done = complete(server, &world.admin, &path, &id, &[&first]);
    let aborted = abort(server, &world.admin, &path, &id);
    for (response, event, read_only, part_number, failed) in [
        (&begun, "CreateMultipartUpload", false, None, None),
        (&first, "UploadPart", false, Some("1"), None),
        (&listed, "ListParts", true, None, None),
        (&done, "CompleteMultipartUpload", false, None, None),
        (&aborted, "AbortMultipartUpload", false, None, Some("NoSuchUpload")),
    ] {
        let record = server.record(response);
        assert_eq!(record["eventName"], event, "{record}");
        assert_eq!(record["eventCategory"], "Data", "{record}");
        assert_eq!(record["readOnly"], read_only, "{record}");
        assert_eq!(record["requestParameters"]["key"], key.as_str(), "{record}");
        assert_eq!(record["requestParameters"]["bucketName"], "first-bucket");
        if event != "CreateMultipartUpload" {
            assert_eq!(record["requestParameters"]["uploadId"], id.as_str(), "{record}");
        }
        assert_eq!(
            record["requestParameters"]["partNumber"].as_str(),
            part_number,
            "{record}"
        );
        assert_eq!(record["errorCode"].as_str(), failed, "{record}");
        assert_eq!(
            record["resources"][0]["ARN"],
            format!("arn:aws:s3:::first-bucket/{key}").as_str()
        );
    }
    assert_eq!(
        server.record(&first)["additionalEventData"]["bytesTransferredIn"].to_string(),
        "5"
    );
    assert_eq!(server.record(&uploads)["eventName"], "ListMultipartUploads");
}

/// The files that hold content, of objects and of parts.
pub(crate) fn files(server: &Server) -> usize {
    let mut folders = vec![server.folder.objects()];
    let mut count = 0;
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap().flatten() {
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                folders.push(entry.path());
            } else if entry.file_name().len() == 32 {
                count += 1;
            }
        }
    }
    count
}

#[track_caller]
pub(crate) fn until(what: &str, holds: impl Fn() -> bool) {
    let before = Instant::now();
    while !holds() {
        assert!(before.elapsed() < Duration::from_secs(20), "{what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn a_client_that_goes_away_in_the_middle_leaves_nothing() {
    // A server of its own, whose files can be counted.
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path());
    let root = server.root.clone();
    assert_eq!(server.s3(&root, "PUT", "/gone-bucket", b"").status, 200);
    let path = "/gone-bucket/large";
    let id = begin(&server, &root, path);
    let content = vec![b'x'; 5 * 1024 * 1024];
    let kept = part(&server, &root, path, &id, 1, &content);
    assert_eq!(kept.status, 200, "{}", kept.text());
    assert_eq!(files(&server), 1);
    for sent in [1, 1000, content.len() / 2, content.len() - 1] {
        let request = Request::new("PUT", &format!("{path}?partNumber=2&uploadId={id}"))
            .body(content.clone())
            .sign(&server.host, &root, "s3");
        let bytes = request.bytes(&server.host);
        let mut stream = connect(&server.host);
        stream.write_all(&bytes[..bytes.len() - content.len() + sent]).unwrap();
        drop(stream);
    }
    let interrupted = || {
        let filter = irsa_audit::Filter {
            event_name: Some("UploadPart".to_owned()),
            ..irsa_audit::Filter::default()
        };
        server
            .all_records(filter)
            .iter()
            .filter(|record| record["errorCode"].is_string())
            .count()
    };
    until("an interrupted part left no record", || interrupted() == 4);
    until("an interrupted part left its file", || files(&server) == 1);
    let listed = parts(&server, &root, path, &id);
    assert_eq!(listed.text().matches("<Part>").count(), 1, "{}", listed.text());
    // What is left can be listed and aborted, and then nothing is left.
    let uploads = server.s3(&root, "GET", "/gone-bucket?uploads", b"");
    assert_eq!(uploads.element("UploadId").as_deref(), Some(id.as_str()));
    assert_eq!(abort(&server, &root, path, &id).status, 204);
    until("the part of an aborted upload stayed", || files(&server) == 0);
    assert_eq!(server.s3(&root, "GET", path, b"").outcome(), "404 NoSuchKey");
    server.stop();
}

#[test]
fn a_large_upload_survives_a_restart_in_the_middle() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path());
    let root = server.root.clone();
    assert_eq!(server.s3(&root, "PUT", "/restart-bucket", b"").status, 200);
    let path = "/restart-bucket/large";
    let id = begin(&server, &root, path);
    let content: Vec<u8> = (0..6 * 1024 * 1024_u32).map(|byte| (byte % 253) as u8).collect();
    let first = part(&server, &root, path, &id, 1, &content);
    assert_eq!(first.status, 200, "{}", first.text());
    server.stop();
    let server = Server::start(folder.path());
    let second = part(&server, &root, path, &id, 2, b"the end");
    let done = complete(&server, &root, path, &id, &[&first, &second]);
    assert_eq!(done.status, 200, "{}", done.text());
    let got = server.s3(&root, "GET", path, b"");
    assert!(got.body == [content.as_slice(), b"the end"].concat());
    let again = complete(&server, &root, path, &id, &[&first, &second]);
    assert_eq!(again.element("ETag"), done.element("ETag"), "{}", again.text());
    server.stop();
}
