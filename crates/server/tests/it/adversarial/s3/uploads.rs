//! Multipart uploads that another began.

use crate::client::{Key, Request, Response};
use crate::harness::{ACCOUNT, name, policy, world};
use crate::s3_multipart::{abort, begin, complete, part, parts, user};

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
