//! Objects: what is not there, what keys mean, copies and batches.

use crate::adversarial::user;
use crate::client::{Request, Response};
use crate::harness::world;

#[test]
fn adv_s3_04_what_is_not_there_is_told_to_those_who_may_list() {
    let world = world();
    let server = &world.server;
    let reader = user(server, r#"{"Effect":"Allow","Action":"s3:GetObject","Resource":"*"}"#);
    let lister = user(
        server,
        r#"{"Effect":"Allow","Action":["s3:GetObject","s3:ListBucket"],"Resource":"*"}"#,
    );
    let got = server.s3(&reader, "GET", "/first-bucket/none", b"");
    assert_eq!(got.outcome(), "403 AccessDenied", "{}", got.text());
    let got = server.s3(&lister, "GET", "/first-bucket/none", b"");
    assert_eq!(got.outcome(), "404 NoSuchKey", "{}", got.text());
    assert_eq!(got.message(), "The specified key does not exist.");
    assert_eq!(got.element("Key").as_deref(), Some("none"));
    for (key, status) in [(&reader, 403), (&lister, 404), (&world.nobody, 403)] {
        let head = server.s3(key, "HEAD", "/first-bucket/none", b"");
        assert_eq!((head.status, head.body.len()), (status, 0));
        server.record(&head);
    }
    // Somebody without any permission can't tell a missing object from one that is there.
    let answer = |key: &str| {
        let response = server.s3(&world.nobody, "GET", &format!("/first-bucket/{key}"), b"");
        (response.outcome(), response.message().replace(key, "KEY"))
    };
    assert_eq!(answer("hello.txt"), answer("none"));
    // Nor can a stranger without a signature.
    let anonymous = |key: &str| {
        let response = server.send(&Request::new("GET", &format!("/first-bucket/{key}")));
        server.record(&response);
        (response.outcome(), response.message())
    };
    assert_eq!(
        anonymous("hello.txt"),
        ("403 AccessDenied".to_owned(), "Access Denied".to_owned())
    );
    assert_eq!(anonymous("hello.txt"), anonymous("none"));
    for target in ["/first-bucket/hello.txt", "/first-bucket", "/first-bucket/none"] {
        let head = server.send(&Request::new("HEAD", target));
        assert_eq!((head.status, head.body.len()), (403, 0), "{target}");
        let record = server.record(&head);
        assert_eq!(record["errorCode"], "AccessDenied", "{record}");
    }
    let get = server.s3(&world.admin, "GET", "/no-such-bucket-here/x", b"");
    assert_eq!(get.outcome(), "404 NoSuchBucket");
    assert_eq!(
        server.s3(&world.admin, "HEAD", "/no-such-bucket-here/x", b"").status,
        404
    );
}

#[test]
fn adv_s3_05_the_key_that_was_allowed_is_the_key_that_is_stored() {
    let world = world();
    let server = &world.server;
    // May write below `allowed/` only, and may read and list all.
    let writer = user(
        server,
        r#"{"Effect":"Allow","Action":"s3:PutObject","Resource":"arn:aws:s3:::first-bucket/allowed/*"}"#,
    );
    for (path, decoded, allowed) in [
        ("allowed/a", "allowed/a", true),
        ("allowed/../outside", "allowed/../outside", true),
        ("allowed/%2e%2e/outside", "allowed/../outside", true),
        ("allowed/..%2foutside", "allowed/../outside", true),
        ("allowed//double", "allowed//double", true),
        ("allowed/%2Fslash", "allowed//slash", true),
        ("allowed/a%20b%2Bc+d", "allowed/a b+c+d", true),
        ("allowed/%E2%98%83", "allowed/\u{2603}", true),
        ("allowed/%3Fquery%23fragment", "allowed/?query#fragment", true),
        ("allowed/%25", "allowed/%", true),
        ("allowed/%252e", "allowed/%2e", true),
        ("%61llowed/b", "allowed/b", true),
        ("allowed%2Fc", "allowed/c", true),
        ("Allowed/a", "Allowed/a", false),
        ("/allowed/a", "/allowed/a", false),
        ("./allowed/a", "./allowed/a", false),
        ("x/../allowed/a", "x/../allowed/a", false),
        ("allowed", "allowed", false),
        ("allowe%64x/a", "allowedx/a", false),
    ] {
        let response = server.s3(&writer, "PUT", &format!("/first-bucket/{path}"), path.as_bytes());
        if !allowed {
            assert_eq!(response.outcome(), "403 AccessDenied", "{path}: {}", response.text());
            continue;
        }
        assert_eq!(response.status, 200, "{path}: {}", response.text());
        let record = server.record(&response);
        assert_eq!(record["requestParameters"]["key"], decoded, "{path}");
        assert_eq!(
            record["resources"][0]["ARN"],
            format!("arn:aws:s3:::first-bucket/{decoded}"),
            "{path}: {record}"
        );
        let got = server.s3(&world.admin, "GET", &format!("/first-bucket/{path}"), b"");
        assert_eq!(got.status, 200, "{path}: {}", got.text());
    }
    let outside = server.s3(&world.admin, "GET", "/first-bucket/outside", b"");
    assert_eq!(
        outside.outcome(),
        "404 NoSuchKey",
        "an object was stored outside of its prefix"
    );
    // The two spellings of the dots name one object, since dots mean nothing.
    let dots = server.s3(&world.admin, "GET", "/first-bucket/allowed/../outside", b"");
    assert_eq!(dots.text(), "allowed/..%2foutside");

    // Keys that can't be: refused, without a trace on the disk.
    for (what, path) in [
        ("1025 bytes", "a".repeat(1025)),
        ("no UTF-8", "%ff%fe".to_owned()),
        ("a broken escape", "%zz".to_owned()),
        ("a long escape", "%F0%9F%98%80".repeat(300)),
    ] {
        let response = server.s3(&world.admin, "PUT", &format!("/first-bucket/{path}"), b"x");
        assert!(
            (400..=403).contains(&response.status) || response.status == 200,
            "{what}: {}",
            response.text()
        );
        if what != "a broken escape" {
            assert_ne!(response.status, 200, "{what}");
        }
        server.record(&response);
    }
    // NUL and other controls are characters like any other, in the store and in the listing.
    for path in [
        "allowed/nul%00x",
        "allowed/bell%07",
        "allowed/line%0Abreak",
        "allowed/%3Cxml%3E",
    ] {
        let response = server.s3(&world.admin, "PUT", &format!("/first-bucket/{path}"), b"x");
        assert!(
            response.status == 200 || response.status == 400,
            "{path}: {}",
            response.text()
        );
        server.record(&response);
    }
    let list = server.s3(&world.admin, "GET", "/first-bucket?list-type=2&prefix=allowed", b"");
    assert_eq!(list.status, 200, "{}", list.text());
    let raw = list.text();
    assert!(
        !raw.chars().any(|character| character.is_control() && character != '\n'),
        "{raw:?}"
    );
    assert!(!raw.contains("<xml>"), "{raw}");
    // Nothing but objects lies where objects lie: no file has the name of a key.
    let mut folders = vec![server.folder.objects()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap().flatten() {
            let file = entry.file_name().to_string_lossy().into_owned();
            assert!(!file.contains("outside") && !file.contains("double"), "{file}");
            if entry.file_type().unwrap().is_dir() {
                folders.push(entry.path());
            }
        }
    }
    assert!(!server.folder.root().join("outside").exists());
}

#[test]
fn adv_s3_01_a_copy_reads_and_writes() {
    let world = world();
    let server = &world.server;
    let writer = user(server, r#"{"Effect":"Allow","Action":"s3:PutObject","Resource":"*"}"#);
    let reader = user(server, r#"{"Effect":"Allow","Action":"s3:GetObject","Resource":"*"}"#);
    let copy = |key: &crate::client::Key, from: &str| {
        let request = Request::new("PUT", "/first-bucket/copy").header("x-amz-copy-source", from);
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
        // Both objects are in the record: what was read, and what was written.
        let record = server.record(&copied);
        assert_eq!(record["requestParameters"]["key"], "copy", "{record}");
        assert_eq!(record["requestParameters"]["x-amz-copy-source"], from, "{record}");
        let resources = record["resources"].as_array().unwrap();
        for key in ["copy", "hello.txt"] {
            let arn = format!("arn:aws:s3:::first-bucket/{key}");
            assert!(
                resources.iter().any(|resource| resource["ARN"] == arn.as_str()),
                "{from}: {record}"
            );
        }
    }
    for from in [
        "",
        "/",
        "first-bucket",
        "first-bucket/",
        "arn:aws:s3:::first-bucket/hello.txt",
        "second-bucket/hello.txt",
        "first-bucket/none",
        "%ff/%ff",
        "first-bucket/hello.txt?versionId=1",
    ] {
        let response = copy(&world.admin, from);
        assert!(
            (400..=501).contains(&response.status) && response.status != 500,
            "{from}: {}",
            response.text()
        );
        server.record(&response);
    }
}

#[test]
fn adv_s3_02_every_key_of_a_batch_is_decided_for_itself() {
    let world = world();
    let server = &world.server;
    let deleter = user(
        server,
        r#"{"Effect":"Allow","Action":"s3:DeleteObject","Resource":"arn:aws:s3:::first-bucket/batch/*"}"#,
    );
    for key in ["batch/a", "kept"] {
        assert_eq!(
            server
                .s3(&world.admin, "PUT", &format!("/first-bucket/{key}"), b"x")
                .status,
            200
        );
    }
    let body = "<Delete><Object><Key>batch/a</Key></Object><Object><Key>kept</Key></Object><Object><Key>batch/../kept</Key></Object></Delete>";
    let response = server.s3(&deleter, "POST", "/first-bucket?delete", body.as_bytes());
    assert_eq!(response.status, 200, "{}", response.text());
    let text = response.text();
    assert!(text.contains("<Deleted><Key>batch/a</Key></Deleted>"), "{text}");
    assert!(
        text.contains("<Key>kept</Key>") && text.contains("<Code>AccessDenied</Code>"),
        "{text}"
    );
    // One record for the request, and one for each key, as CloudTrail has it.
    let told = |response: &Response| {
        let mut told: Vec<(String, String)> = server
            .records(response.request_id().unwrap())
            .iter()
            .filter(|record| record["eventName"] == "DeleteObject")
            .map(|record| {
                let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
                (text(&record["requestParameters"]["key"]), text(&record["errorCode"]))
            })
            .collect();
        told.sort();
        told
    };
    let pair = |key: &str, code: &str| (key.to_owned(), code.to_owned());
    assert_eq!(
        told(&response),
        [
            pair("batch/../kept", ""),
            pair("batch/a", ""),
            pair("kept", "AccessDenied")
        ]
    );
    assert_eq!(server.records(response.request_id().unwrap()).len(), 4);
    // A condition on what is there asks for a permission to read, and what is not deleted is not recorded as deleted.
    let conditional = "<Delete><Object><Key>batch/b</Key><ETag>\"0\"</ETag></Object></Delete>";
    assert_eq!(
        server.s3(&world.admin, "PUT", "/first-bucket/batch/b", b"x").status,
        200
    );
    let response = server.s3(&deleter, "POST", "/first-bucket?delete", conditional.as_bytes());
    assert!(
        response.text().contains("<Code>AccessDenied</Code>"),
        "{}",
        response.text()
    );
    assert_eq!(told(&response), [pair("batch/b", "AccessDenied")]);
    assert_eq!(server.s3(&world.admin, "GET", "/first-bucket/batch/b", b"").status, 200);
    assert_eq!(server.s3(&world.admin, "GET", "/first-bucket/batch/a", b"").status, 404);
    assert_eq!(server.s3(&world.admin, "GET", "/first-bucket/kept", b"").status, 200);
}
