//! Buckets that are open to some, and what others make of that.

use crate::client::{Key, Request, Response, Signing};
use crate::harness::{ACCOUNT, ALLOW_ALL, OTHER_ACCOUNT, Server, name, policy, world};

#[track_caller]
fn ok(response: Response) -> Response {
    assert!(response.status < 300, "{}", response.text());
    response
}

/// A bucket of the first account with `public/key` and `private/key`, and a policy; `BUCKET` stands for its ARN.
fn bucket_with(server: &Server, statements: &str) -> String {
    let bucket = name("open");
    ok(server.s3(&server.root, "PUT", &format!("/{bucket}"), b""));
    for key in ["public/key", "private/key"] {
        ok(server.s3(&server.root, "PUT", &format!("/{bucket}/{key}"), key.as_bytes()));
    }
    ok(server.s3(&server.root, "DELETE", &format!("/{bucket}?publicAccessBlock"), b""));
    let text = policy(&statements.replace("BUCKET", &format!("arn:aws:s3:::{bucket}")));
    ok(server.s3(&server.root, "PUT", &format!("/{bucket}?policy"), text.as_bytes()));
    bucket
}

const PUBLIC_READ: &str = r#"{"Effect":"Allow","Principal":"*","Action":"s3:GetObject","Resource":"BUCKET/public/*"}"#;

#[test]
fn nobody_dresses_a_public_object_up() {
    let world = world();
    let server = &world.server;
    let bucket = bucket_with(server, PUBLIC_READ);
    let path = format!("/{bucket}/public/key");
    assert_eq!(ok(server.send(&Request::new("GET", &path))).text(), "public/key");
    // A page of the bucket's origin with a type of the stranger's choosing.
    for query in [
        "response-content-type=text%2Fhtml",
        "response-content-disposition=inline",
        "response-cache-control=public",
        "response-content-encoding=gzip",
        "response-content-language=x",
        "response-expires=Thu%2C%2001%20Jan%201970%2000%3A00%3A00%20GMT",
    ] {
        for method in ["GET", "HEAD"] {
            let response = server.send(&Request::new(method, &format!("{path}?{query}")));
            assert_eq!(response.status, 400, "{method} {query}: {}", response.text());
            assert_ne!(response.text(), "public/key");
        }
        let signed = server.s3(&world.admin, "GET", &format!("{path}?{query}"), b"");
        assert_eq!(signed.status, 200, "{query}: {}", signed.text());
    }
}

#[test]
fn a_prefix_that_is_public_ends_where_it_ends() {
    let world = world();
    let server = &world.server;
    let bucket = bucket_with(server, PUBLIC_READ);
    let get = |path: &str| server.send(&Request::new("GET", &format!("/{bucket}/{path}")));
    assert_eq!(get("public/key").text(), "public/key");
    assert_eq!(get("public%2Fkey").text(), "public/key");
    for path in [
        "private/key",
        "public/../private/key",
        "public/%2e%2e/private/key",
        "public%2F..%2Fprivate%2Fkey",
        "publi%63/..%2fprivate/key",
        "Public/key",
        "/public/key",
        "./public/key",
        "public",
        "",
        "?list-type=2&prefix=public/",
        "public/key?tagging",
        "public/key?acl",
        "public/key?attributes",
        "public/key?versionId=null",
        "public/key?uploadId=1",
        "public/key?torrent",
    ] {
        let response = get(path);
        assert!(
            matches!(response.status, 403 | 400 | 501),
            "{path}: {} {}",
            response.status,
            response.text()
        );
        assert_ne!(response.text(), "private/key", "{path}");
    }
    // Nor by way of a copy, by someone who may write in a bucket of its own.
    let own = name("own");
    ok(server.s3(&world.other_root, "PUT", &format!("/{own}"), b""));
    for (from, status) in [
        ("public/key", 200),
        ("private/key", 403),
        ("public/../private/key", 403),
    ] {
        let request =
            Request::new("PUT", &format!("/{own}/copy")).header("x-amz-copy-source", &format!("{bucket}/{from}"));
        let stranger = server.user(&world.other_root, &name("copier"), Some(ALLOW_ALL));
        let response = server.signed(request, &stranger, "s3");
        // Of what is under the public prefix and not there a stranger learns no more.
        assert_eq!(response.status, status, "{from}: {}", response.text());
    }
}

#[test]
fn another_account_gets_what_both_sides_give_and_no_more() {
    let world = world();
    let server = &world.server;
    let reader_name = name("reader");
    let reader = server.user(
        &world.other_root,
        &reader_name,
        Some(&policy(r#"{"Effect":"Allow","Action":"s3:*","Resource":"*"}"#)),
    );
    let powerless = server.user(&world.other_root, &name("powerless"), None);
    let bucket = bucket_with(
        server,
        &format!(
            r#"{{"Effect":"Allow","Principal":{{"AWS":"arn:aws:iam::{OTHER_ACCOUNT}:root"}},"Action":["s3:GetObject","s3:PutObject"],"Resource":"BUCKET/public/*"}},
               {{"Effect":"Deny","Principal":"*","Action":"s3:*","Resource":"BUCKET/public/secret*"}}"#
        ),
    );
    let call = |key: &Key, method: &str, path: &str| {
        server
            .s3(
                key,
                method,
                &format!("/{bucket}/{path}"),
                if method == "PUT" { b"x" } else { b"" },
            )
            .outcome()
    };
    assert_eq!(call(&reader, "GET", "public/key"), "200");
    assert_eq!(call(&reader, "PUT", "public/new"), "200");
    assert_eq!(call(&world.other_root, "GET", "public/key"), "200");
    for (who, method, path) in [
        (&powerless, "GET", "public/key"),
        (&reader, "GET", "private/key"),
        (&reader, "DELETE", "public/key"),
        (&reader, "GET", "public/secret"),
        (&reader, "PUT", "public/secret"),
        (&reader, "GET", "?list-type=2"),
        (&reader, "GET", "?policy"),
        (&reader, "DELETE", "?policy"),
        (&reader, "PUT", "?policy"),
        (&reader, "PUT", "?publicAccessBlock"),
        (&reader, "DELETE", ""),
        (&reader, "PUT", "public/key?tagging"),
        (&world.other_root, "GET", "?policy"),
        (&world.other_root, "DELETE", "public/key"),
    ] {
        let outcome = call(who, method, path);
        assert!(
            matches!(
                outcome.as_str(),
                "403 AccessDenied" | "405 MethodNotAllowed" | "400 MalformedXML"
            ),
            "{method} {path}: {outcome}"
        );
    }
    // What a stranger wrote is the bucket owner's, and the deny holds for the owner too.
    assert_eq!(call(&world.admin, "GET", "public/new"), "200");
    assert_eq!(call(&world.admin, "PUT", "public/secret"), "403 AccessDenied");
    assert_eq!(call(&server.root, "PUT", "public/secret"), "403 AccessDenied");
    // A session that may less than its role is not helped by a policy that names the account.
    let role = name("reader");
    server.role(
        &world.other_root,
        &role,
        Some(&policy(r#"{"Effect":"Allow","Action":"s3:*","Resource":"*"}"#)),
    );
    let arn = format!("arn:aws:iam::{OTHER_ACCOUNT}:role/{role}");
    let narrow = policy(r#"{"Effect":"Allow","Action":"s3:GetObject","Resource":"*"}"#);
    let pairs = [
        ("RoleArn", arn.as_str()),
        ("RoleSessionName", "session"),
        ("Policy", &narrow),
    ];
    let taker = server.user(&world.other_root, &name("taker"), Some(ALLOW_ALL));
    let session = crate::harness::session_key(&server.sts(&taker, "AssumeRole", &pairs));
    assert_eq!(call(&session, "GET", "public/key"), "200");
    assert_eq!(call(&session, "PUT", "public/new"), "403 AccessDenied");
    // The record is the owner's too, and names the stranger.
    let response = server.s3(&reader, "GET", &format!("/{bucket}/private/key"), b"");
    let records = server.records(response.request_id().unwrap());
    assert!(
        records.iter().any(|record| record["recipientAccountId"] == ACCOUNT),
        "{records:?}"
    );
}

#[test]
fn a_policy_about_how_a_request_is_signed_sees_how_it_was_signed() {
    let world = world();
    let server = &world.server;
    let bucket = bucket_with(
        server,
        r#"{"Effect":"Deny","Principal":"*","Action":"s3:*","Resource":["BUCKET/public/*"],"Condition":{"StringNotEquals":{"s3:authType":"REST-HEADER"}}},
           {"Effect":"Deny","Principal":"*","Action":"s3:*","Resource":"BUCKET/private/*","Condition":{"NumericGreaterThan":{"s3:signatureAge":"60000"}}},
           {"Effect":"Allow","Principal":"*","Action":"s3:GetObject","Resource":"BUCKET/*"}"#,
    );
    let path = |key: &str| format!("/{bucket}/{key}/key");
    let presigned = |key: &str, seconds: i64| {
        let signing = Signing::new(&world.admin, "s3").at(seconds);
        server
            .send(&Request::new("GET", &path(key)).presigned(&server.host, &signing, "3600"))
            .status
    };
    assert_eq!(server.s3(&world.admin, "GET", &path("public"), b"").status, 200);
    assert_eq!(presigned("public", 0), 403);
    assert_eq!(server.send(&Request::new("GET", &path("public"))).status, 403);
    assert_eq!(presigned("private", -10), 200);
    assert_eq!(presigned("private", -300), 403);
    // Headers of these names are a caller's words, and keys of conditions are not.
    let dressed = Request::new("GET", &format!("{}?s3:authType=REST-HEADER", path("public")))
        .header("s3-authtype", "REST-HEADER");
    assert_ne!(server.send(&dressed).status, 200);
}
