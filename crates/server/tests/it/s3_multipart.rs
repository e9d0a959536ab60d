//! Multipart uploads through the whole pipeline: whose they are, what is decided, what is recorded, and what is left behind.

use std::io::Write;
use std::time::{Duration, Instant};

use crate::client::{Key, Request, Response, connect};
use crate::harness::{ACCOUNT, Server, name, policy, world};

fn user(server: &Server, actions: &str) -> Key {
    let statement = format!(r#"{{"Effect":"Allow","Action":{actions},"Resource":"arn:aws:s3:::first-bucket*"}}"#);
    server.user(&server.root, &name("mp"), Some(&policy(&statement)))
}

/// Begins an upload; its id.
fn begin(server: &Server, key: &Key, path: &str) -> String {
    let response = server.s3(key, "POST", &format!("{path}?uploads"), b"");
    assert_eq!(response.status, 200, "{}", response.text());
    response.element("UploadId").unwrap()
}

fn part(server: &Server, key: &Key, path: &str, id: &str, number: u32, content: &[u8]) -> Response {
    server.s3(
        key,
        "PUT",
        &format!("{path}?partNumber={number}&uploadId={id}"),
        content,
    )
}

fn complete(server: &Server, key: &Key, path: &str, id: &str, parts: &[&Response]) -> Response {
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

fn abort(server: &Server, key: &Key, path: &str, id: &str) -> Response {
    server.s3(key, "DELETE", &format!("{path}?uploadId={id}"), b"")
}

fn parts(server: &Server, key: &Key, path: &str, id: &str) -> Response {
    server.s3(key, "GET", &format!("{path}?uploadId={id}"), b"")
}

#[test]
fn adv_s3_03_an_upload_that_one_began_is_closed_to_others() {
    let world = world();
    let server = &world.server;
    let path = format!("/first-bucket/{}", name("upload"));
    let owner = user(server, r#""s3:PutObject""#);
    let id = begin(server, &owner, &path);
    let first = part(server, &owner, &path, &id, 1, b"hello");
    assert_eq!(first.status, 200, "{}", first.text());

    // Everything but the action that counts.
    let all_but = |action: &str| {
        let statement = format!(
            r#"{{"Effect":"Allow","Action":"s3:*","Resource":"*"}},{{"Effect":"Deny","Action":"{action}","Resource":"*"}}"#
        );
        server.user(&server.root, &name("mp"), Some(&policy(&statement)))
    };
    let reader = user(
        server,
        r#"["s3:GetObject","s3:ListBucket","s3:DeleteObject","s3:PutObjectAcl"]"#,
    );
    let strangers = [all_but("s3:PutObject"), reader, world.nobody.clone()];
    for stranger in &strangers {
        for (what, response) in [
            ("upload", part(server, stranger, &path, &id, 1, b"other")),
            ("complete", complete(server, stranger, &path, &id, &[&first])),
            ("begin", server.s3(stranger, "POST", &format!("{path}?uploads"), b"")),
        ] {
            assert_eq!(response.outcome(), "403 AccessDenied", "{what}: {}", response.text());
            let record = server.record(&response);
            assert_eq!(record["errorCode"], "AccessDenied", "{record}");
        }
    }
    // To write is not to abort, to list parts, or to list uploads: each is an action of its own.
    let bucket_uploads = |key: &Key| server.s3(key, "GET", "/first-bucket?uploads", b"");
    for (key, outcomes) in [
        (&owner, ["403 AccessDenied", "403 AccessDenied", "403 AccessDenied"]),
        (
            &all_but("s3:ListMultipartUploadParts"),
            ["403 AccessDenied", "200", "404 NoSuchUpload"],
        ),
        (
            &all_but("s3:ListBucketMultipartUploads"),
            ["200", "403 AccessDenied", "404 NoSuchUpload"],
        ),
        (&all_but("s3:AbortMultipartUpload"), ["200", "200", "403 AccessDenied"]),
    ] {
        let told = |response: &Response| {
            if response.status == 200 {
                return "200".to_owned();
            }
            response.outcome()
        };
        assert_eq!(told(&parts(server, key, &path, &id)), outcomes[0]);
        assert_eq!(told(&bucket_uploads(key)), outcomes[1]);
        // Of an upload that is not there, for nothing shall end here.
        assert_eq!(told(&abort(server, key, &path, &"0".repeat(32))), outcomes[2]);
    }
    // Another account, whose own policies allow it all, learns nothing, not even whether there is such an upload.
    for id in [id.as_str(), "0"] {
        for response in [
            part(server, &world.other_root, &path, id, 1, b"other"),
            complete(server, &world.other_root, &path, id, &[&first]),
            abort(server, &world.other_root, &path, id),
            parts(server, &world.other_root, &path, id),
        ] {
            assert_eq!(
                (response.outcome(), response.message()),
                ("403 AccessDenied".to_owned(), "Access Denied".to_owned())
            );
        }
    }
    // Nobody, and nobody's signature.
    let anonymous = server.send(&Request::new("DELETE", &format!("{path}?uploadId={id}")));
    assert_eq!(anonymous.outcome(), "403 AccessDenied");
    // The id opens the upload under its own key only.
    let elsewhere = user(
        server,
        r#"["s3:PutObject","s3:AbortMultipartUpload","s3:ListMultipartUploadParts"]"#,
    );
    let other_path = format!("{path}-other");
    for response in [
        part(server, &elsewhere, &other_path, &id, 1, b"other"),
        complete(server, &elsewhere, &other_path, &id, &[&first]),
        abort(server, &elsewhere, &other_path, &id),
        parts(server, &elsewhere, &other_path, &id),
    ] {
        assert_eq!(response.outcome(), "404 NoSuchUpload", "{}", response.text());
    }
    // Who may write may go on with what another began: S3 decides by the action, not by the beginner.
    let second = user(server, r#"["s3:PutObject","s3:ListMultipartUploadParts"]"#);
    let listed = parts(server, &second, &path, &id);
    assert!(
        listed.text().contains("<PartNumber>1</PartNumber>"),
        "{}",
        listed.text()
    );
    assert!(
        listed.text().contains(&format!("arn:aws:iam::{ACCOUNT}:user/")),
        "{}",
        listed.text()
    );
    let done = complete(server, &second, &path, &id, &[&first]);
    assert_eq!(done.status, 200, "{}", done.text());
    assert_eq!(server.s3(&world.admin, "GET", &path, b"").text(), "hello");
}

#[test]
fn adv_s3_01_a_part_that_is_copied_reads_and_writes() {
    let world = world();
    let server = &world.server;
    let path = format!("/first-bucket/{}", name("copy"));
    let writer = user(server, r#""s3:PutObject""#);
    let reader = user(server, r#"["s3:GetObject","s3:ListBucket"]"#);
    let id = begin(server, &writer, &path);
    let copy = |key: &Key, from: &str| {
        let request =
            Request::new("PUT", &format!("{path}?partNumber=1&uploadId={id}")).header("x-amz-copy-source", from);
        server.signed(request, key, "s3")
    };
    for from in [
        "first-bucket/hello.txt",
        "/first-bucket/hello.txt",
        "first-bucket/%68ello.txt",
    ] {
        assert_eq!(copy(&writer, from).outcome(), "403 AccessDenied", "{from}");
        assert_eq!(copy(&reader, from).outcome(), "403 AccessDenied", "{from}");
        let copied = copy(&world.admin, from);
        assert_eq!(copied.status, 200, "{from}: {}", copied.text());
        let record = server.record(&copied);
        assert_eq!(record["eventName"], "UploadPartCopy", "{record}");
        assert_eq!(record["requestParameters"]["x-amz-copy-source"], from);
        assert_eq!(record["requestParameters"]["uploadId"], id.as_str());
        let resources = record["resources"].as_array().unwrap();
        assert!(
            resources
                .iter()
                .any(|resource| resource["ARN"] == "arn:aws:s3:::first-bucket/hello.txt"),
            "{record}"
        );
    }
    // Another's bucket, by a caller who may do everything in its own account.
    for from in ["second-bucket/secret", "second-bucket/none"] {
        assert_eq!(copy(&world.admin, from).outcome(), "403 AccessDenied", "{from}");
    }
    for from in [
        "",
        "/",
        "first-bucket",
        "first-bucket/",
        "%ff/%ff",
        "arn:aws:s3:::first-bucket/hello.txt",
    ] {
        let response = copy(&world.admin, from);
        assert!((400..500).contains(&response.status), "{from}: {}", response.text());
    }
    // A policy may name the source.
    let statement = r#"{"Effect":"Allow","Action":"s3:*","Resource":"*"},{"Effect":"Deny","Action":"s3:PutObject","Resource":"*",
        "Condition":{"StringNotLike":{"s3:x-amz-copy-source":"first-bucket/public/*"}}}"#;
    let bound = server.user(&server.root, &name("mp"), Some(&policy(statement)));
    assert_eq!(copy(&bound, "first-bucket/hello.txt").outcome(), "403 AccessDenied");
    assert_eq!(
        server.s3(&world.admin, "PUT", "/first-bucket/public/a", b"x").status,
        200
    );
    assert_eq!(copy(&bound, "first-bucket/public/a").status, 200);
    assert_eq!(abort(server, &world.admin, &path, &id).status, 204);
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
fn files(server: &Server) -> usize {
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
fn until(what: &str, holds: impl Fn() -> bool) {
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
