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
fn adv_s3_01_a_policy_may_name_the_source_of_a_copy() {
    let world = world();
    let server = &world.server;
    for key in ["public/a", "public/b c", "publication/a"] {
        let target = format!("/first-bucket/{}", key.replace(' ', "%20"));
        assert_eq!(server.s3(&world.admin, "PUT", &target, key.as_bytes()).status, 200);
    }
    let bound = user(
        server,
        r#"{"Effect":"Allow","Action":"s3:GetObject","Resource":"*"},
           {"Effect":"Allow","Action":"s3:PutObject","Resource":"*","Condition":{"StringLike":{"s3:x-amz-copy-source":"first-bucket/public/*"}}}"#,
    );
    let copy = |from: &str| {
        let request = Request::new("PUT", "/first-bucket/copied").header("x-amz-copy-source", from);
        server.signed(request, &bound, "s3")
    };
    for from in [
        "first-bucket/public/a",
        "/first-bucket/public/a",
        "first-bucket/public/b%20c",
        "first-bucket%2Fpublic%2Fa",
        "first-bucket/%70ublic/a",
    ] {
        let response = copy(from);
        assert_eq!(response.status, 200, "{from}: {}", response.text());
    }
    for from in [
        "first-bucket/hello.txt",
        "first-bucket/publication/a",
        "second-bucket/public/a",
        "first-bucket/public%252Fa",
        "first-bucket/./public/a",
        "first-bucket//public/a",
    ] {
        let response = copy(from);
        assert!(
            matches!(response.status, 403),
            "{from}: {} {}",
            response.status,
            response.text()
        );
        server.record(&response);
    }
    // What the key is named after its dots is no way around: this is another object, which is not there.
    let dots = copy("first-bucket/public/../hello.txt");
    assert!(
        matches!(dots.outcome().as_str(), "404 NoSuchKey" | "403 AccessDenied"),
        "{}",
        dots.text()
    );
    // Who is bound to a source must have one.
    assert_eq!(
        server.s3(&bound, "PUT", "/first-bucket/copied", b"x").outcome(),
        "403 AccessDenied"
    );
    // Two sources are none.
    let two = Request::new("PUT", "/first-bucket/copied")
        .header("x-amz-copy-source", "first-bucket/public/a")
        .header("x-amz-copy-source", "first-bucket/hello.txt")
        .sign(&server.host, &world.admin, "s3");
    let response = server.send(&two);
    assert!(matches!(response.status, 400 | 403), "{}", response.text());
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
