//! Bucket policies in decisions: of the owner's account, of others, and of nobody.

use serde_json::Value;

use crate::client::{Key, Request, Response, sha256};
use crate::harness::{ACCOUNT, ALLOW_ALL, OTHER_ACCOUNT, Server, name, policy, world};

/// A bucket of the first account with one object `key`, without a public access block.
fn open_bucket(server: &Server) -> String {
    let bucket = name("policies");
    ok(server.s3(&server.root, "PUT", &format!("/{bucket}"), b""));
    ok(server.s3(&server.root, "PUT", &format!("/{bucket}/key"), b"content"));
    ok(server.s3(&server.root, "DELETE", &format!("/{bucket}?publicAccessBlock"), b""));
    bucket
}

#[track_caller]
fn ok(response: Response) -> Response {
    assert!(response.status < 300, "{}", response.text());
    response
}

/// Statements about the bucket, `BUCKET` being its ARN.
fn put_policy(server: &Server, key: &Key, bucket: &str, statements: &str) -> Response {
    let text = policy(&statements.replace("BUCKET", &format!("arn:aws:s3:::{bucket}")));
    server.s3(key, "PUT", &format!("/{bucket}?policy"), text.as_bytes())
}

const PUBLIC_READ: &str =
    r#"{"Sid":"everyone","Effect":"Allow","Principal":"*","Action":"s3:GetObject","Resource":"BUCKET/*"}"#;

#[test]
fn nobody_gets_what_a_bucket_policy_gives_to_everybody() {
    let server = &world().server;
    let bucket = open_bucket(server);
    let get = || server.send(&Request::new("GET", &format!("/{bucket}/key")));
    let refused = get();
    assert_eq!(refused.outcome(), "403 AccessDenied");
    assert_eq!(refused.message(), "Access Denied");
    ok(put_policy(server, &server.root, &bucket, PUBLIC_READ));
    let answer = ok(get());
    assert_eq!(answer.text(), "content");
    let record = server.record(&answer);
    assert_eq!(record["userIdentity"]["type"], "AWSAccount");
    assert_eq!(record["userIdentity"]["principalId"], "");
    assert_eq!(record["userIdentity"]["accountId"], "ANONYMOUS_PRINCIPAL");
    assert_eq!(record["recipientAccountId"], ACCOUNT);
    assert_eq!(record["eventName"], "GetObject");
    assert!(
        record["additionalEventData"]["irsa"]["statement"]
            .as_str()
            .unwrap()
            .contains("`everyone`"),
        "{record}"
    );
    // That and nothing else.
    for (method, target) in [
        ("GET", format!("/{bucket}")),
        ("PUT", format!("/{bucket}/key")),
        ("DELETE", format!("/{bucket}/key")),
        ("GET", format!("/{bucket}/key?tagging")),
        ("GET", format!("/{bucket}?policy")),
        ("DELETE", format!("/{bucket}?policy")),
        ("PUT", format!("/{}", name("anonymous"))),
        ("GET", "/first-bucket/hello.txt".to_owned()),
    ] {
        let refused = server.send(&Request::new(method, &target));
        assert_eq!(
            refused.outcome(),
            "403 AccessDenied",
            "{method} {target}: {}",
            refused.text()
        );
        let record = server.record(&refused);
        assert_eq!(record["userIdentity"]["accountId"], "ANONYMOUS_PRINCIPAL", "{record}");
    }
    // Who may not list does not learn what is not there.
    let missing = server.send(&Request::new("GET", &format!("/{bucket}/missing")));
    assert_eq!(missing.outcome(), "403 AccessDenied");
    ok(put_policy(
        server,
        &server.root,
        &bucket,
        &format!(r#"{PUBLIC_READ},{{"Effect":"Allow","Principal":"*","Action":"s3:ListBucket","Resource":"BUCKET"}}"#),
    ));
    let missing = server.send(&Request::new("GET", &format!("/{bucket}/missing")));
    assert_eq!(missing.outcome(), "404 NoSuchKey");
    // A broken signature does not make nobody of somebody.
    let forged = Request::new("GET", &format!("/{bucket}/key")).sign(&server.host, &server.root, "s3");
    let headers = forged
        .headers
        .into_iter()
        .map(|(name, value)| {
            let value = match name.as_str() {
                "authorization" => format!("{}0", value.trim_end_matches(|c: char| c.is_ascii_hexdigit())),
                _ => value,
            };
            (name, value)
        })
        .collect();
    let forged = server.send(&Request {
        method: "GET".to_owned(),
        path: format!("/{bucket}/key"),
        query: String::new(),
        headers,
        body: Vec::new(),
    });
    assert!((400..=403).contains(&forged.status), "{}", forged.text());
}

#[test]
fn what_nobody_writes_is_checked_as_far_as_it_says() {
    let server = &world().server;
    let bucket = open_bucket(server);
    ok(put_policy(
        server,
        &server.root,
        &bucket,
        r#"{"Effect":"Allow","Principal":"*","Action":["s3:PutObject","s3:GetObject"],"Resource":"BUCKET/*",
            "Condition":{"Null":{"s3:authType":"true","aws:userid":"true","aws:PrincipalArn":"true"},
                         "StringEquals":{"aws:PrincipalType":"Anonymous"}}}"#,
    ));
    let put = |request: Request| server.send(&request);
    let to = |key: &str| Request::new("PUT", &format!("/{bucket}/{key}"));
    let read = |key: &str| ok(server.send(&Request::new("GET", &format!("/{bucket}/{key}")))).text();
    ok(put(to("plain").body("hello")));
    assert_eq!(read("plain"), "hello");
    ok(put(to("hashed")
        .header("x-amz-content-sha256", &sha256(b"hello"))
        .body("hello")));
    let wrong = put(to("wrong")
        .header("x-amz-content-sha256", &sha256(b"other"))
        .body("hello"));
    assert_eq!(wrong.outcome(), "400 XAmzContentSHA256Mismatch");
    assert_eq!(
        server
            .s3(&server.root, "GET", &format!("/{bucket}/wrong"), b"")
            .outcome(),
        "404 NoSuchKey"
    );
    let chunked = |trailer: &str| {
        to("chunked")
            .header("x-amz-content-sha256", "STREAMING-UNSIGNED-PAYLOAD-TRAILER")
            .header("content-encoding", "aws-chunked")
            .header("x-amz-decoded-content-length", "5")
            .header("x-amz-trailer", "x-amz-checksum-crc32")
            .body(format!("5\r\nhello\r\n0\r\nx-amz-checksum-crc32:{trailer}\r\n\r\n"))
    };
    let wrong = put(chunked("AAAAAA=="));
    assert_eq!(wrong.status, 400, "{}", wrong.text());
    ok(put(chunked("NhCmhg==")));
    assert_eq!(read("chunked"), "hello");
    let signed = put(to("signed")
        .header("x-amz-content-sha256", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD")
        .header("x-amz-decoded-content-length", "5")
        .body(format!("5;chunk-signature={}\r\nhello\r\n", sha256(b""))));
    assert_eq!(signed.outcome(), "403 AccessDenied");
    // Somebody who has a key is not nobody.
    let key = server.user(&server.root, &name("reader"), None);
    let refused = server.s3(&key, "GET", &format!("/{bucket}/plain"), b"");
    assert_eq!(refused.outcome(), "403 AccessDenied");
}

#[test]
fn a_public_access_block_keeps_a_public_bucket_in_its_account() {
    let world = world();
    let server = &world.server;
    let bucket = open_bucket(server);
    ok(put_policy(
        server,
        &server.root,
        &bucket,
        &format!(
            r#"{PUBLIC_READ},{{"Effect":"Allow","Principal":{{"AWS":"{OTHER_ACCOUNT}"}},"Action":"s3:ListBucket","Resource":"BUCKET"}}"#
        ),
    ));
    let mine = server.user(&server.root, &name("mine"), None);
    let other = server.user(&world.other_root, &name("other"), Some(ALLOW_ALL));
    let outcomes = || {
        let target = format!("/{bucket}/key");
        [
            server.send(&Request::new("GET", &target)).status,
            server.s3(&other, "GET", &target, b"").status,
            server.s3(&other, "GET", &format!("/{bucket}"), b"").status,
            server.s3(&mine, "GET", &target, b"").status,
        ]
    };
    assert_eq!(outcomes(), [200, 200, 200, 200]);
    let block = |restrict: bool, policy: bool| {
        let document = format!(
            "<PublicAccessBlockConfiguration><RestrictPublicBuckets>{restrict}</RestrictPublicBuckets>\
             <BlockPublicPolicy>{policy}</BlockPublicPolicy></PublicAccessBlockConfiguration>"
        );
        ok(server.s3(
            &server.root,
            "PUT",
            &format!("/{bucket}?publicAccessBlock"),
            document.as_bytes(),
        ));
    };
    block(true, false);
    assert_eq!(
        outcomes(),
        [403, 403, 403, 200],
        "also what is not public of a public policy"
    );
    block(false, true);
    assert_eq!(outcomes(), [200, 200, 200, 200], "what is there stays");
    let refused = put_policy(server, &world.admin, &bucket, PUBLIC_READ);
    assert_eq!(refused.outcome(), "403 AccessDenied");
    assert_eq!(
        refused.message(),
        format!(
            "User: arn:aws:iam::{ACCOUNT}:user/admin is not authorized to perform: s3:PutBucketPolicy on resource: \
             \"arn:aws:s3:::{bucket}\" because public policies are blocked by the BlockPublicPolicy block public access setting."
        )
    );
    // A policy that is not public is no concern of the block.
    block(true, true);
    ok(put_policy(
        server,
        &server.root,
        &bucket,
        &format!(
            r#"{{"Effect":"Allow","Principal":{{"AWS":"{OTHER_ACCOUNT}"}},"Action":"s3:GetObject","Resource":"BUCKET/*"}}"#
        ),
    ));
    assert_eq!(outcomes(), [403, 200, 403, 403]);
}

#[test]
fn callers_of_other_accounts_need_both_sides() {
    let world = world();
    let server = &world.server;
    let bucket = open_bucket(server);
    let target = format!("/{bucket}/key");
    let allowed = server.user(&world.other_root, &name("allowed"), Some(ALLOW_ALL));
    let not_allowed = server.user(&world.other_root, &name("not-allowed"), None);
    let statuses = || [&allowed, &not_allowed, &world.other_root].map(|key| server.s3(key, "GET", &target, b"").status);
    assert_eq!(statuses(), [403, 403, 403]);
    ok(put_policy(
        server,
        &server.root,
        &bucket,
        &format!(
            r#"{{"Effect":"Allow","Principal":{{"AWS":"arn:aws:iam::{OTHER_ACCOUNT}:root"}},"Action":"s3:*","Resource":["BUCKET","BUCKET/*"]}}"#
        ),
    ));
    assert_eq!(statuses(), [200, 403, 200]);
    // Strangers learn nothing, and the policy is none of their business even if it says so.
    let refused = server.s3(&not_allowed, "GET", &target, b"");
    assert_eq!(refused.message(), "Access Denied");
    for (method, body) in [("GET", &b""[..]), ("PUT", b"{}"), ("DELETE", b"")] {
        let refused = server.s3(&allowed, method, &format!("/{bucket}?policy"), body);
        assert_eq!(refused.outcome(), "405 MethodNotAllowed", "{method}");
    }
    // A copy reads with the policy of its source, and writes with that of its target.
    let copy = |source: &str, target: &str| {
        let request = Request::new("PUT", target).header("x-amz-copy-source", source);
        server.signed(request, &allowed, "s3").outcome()
    };
    assert_eq!(copy(&target, "/second-bucket/copied"), "200");
    assert_eq!(copy("/second-bucket/hello.txt", &format!("/{bucket}/copied")), "200");
    assert_eq!(
        copy("/first-bucket/hello.txt", &format!("/{bucket}/copied")),
        "403 AccessDenied"
    );
    assert_eq!(copy(&target, "/first-bucket/copied"), "403 AccessDenied");
    // Who expects another owner touches nothing.
    let request = Request::new("DELETE", &target).header("x-amz-expected-bucket-owner", OTHER_ACCOUNT);
    assert_eq!(server.signed(request, &allowed, "s3").outcome(), "403 AccessDenied");
    let request = Request::new("DELETE", &target).header("x-amz-expected-bucket-owner", ACCOUNT);
    assert_eq!(server.signed(request, &allowed, "s3").status, 204);
}

#[test]
fn refusals_name_the_kind_of_policy() {
    let world = world();
    let server = &world.server;
    let bucket = open_bucket(server);
    ok(put_policy(
        server,
        &server.root,
        &bucket,
        r#"{"Effect":"Deny","Principal":"*","Action":"s3:GetObject","Resource":"BUCKET/*"}"#,
    ));
    let refused = server.s3(&world.admin, "GET", &format!("/{bucket}/key"), b"");
    assert_eq!(
        refused.message(),
        format!(
            "User: arn:aws:iam::{ACCOUNT}:user/admin is not authorized to perform: s3:GetObject on resource: \
             \"arn:aws:s3:::{bucket}/key\" with an explicit deny in a resource-based policy"
        )
    );
    let record = server.record(&refused);
    let reason = record["additionalEventData"]["irsa"]["reason"].as_str().unwrap();
    assert!(reason.contains(&format!("bucket policy of {bucket}")), "{reason}");
}

#[test]
fn only_the_owner_s_root_user_cannot_be_locked_out() {
    let world = world();
    let server = &world.server;
    let bucket = open_bucket(server);
    let everything = r#"{"Effect":"Deny","Principal":"*","Action":"s3:*","Resource":["BUCKET","BUCKET/*"]}"#;
    ok(put_policy(server, &world.admin, &bucket, everything));
    for (method, target) in [
        ("GET", format!("/{bucket}/key")),
        ("GET", format!("/{bucket}?policyStatus")),
        ("PUT", format!("/{bucket}?tagging")),
        ("DELETE", format!("/{bucket}")),
    ] {
        for key in [&world.admin, &server.root] {
            assert_eq!(
                server
                    .s3(key, method, &target, b"<Tagging><TagSet/></Tagging>")
                    .outcome(),
                "403 AccessDenied",
                "{method} {target}"
            );
        }
    }
    for method in ["GET", "DELETE"] {
        let refused = server.s3(&world.admin, method, &format!("/{bucket}?policy"), b"");
        assert_eq!(refused.outcome(), "403 AccessDenied");
        assert!(
            refused
                .message()
                .ends_with("with an explicit deny in a resource-based policy")
        );
        // The root of another account is no owner.
        let refused = server.s3(&world.other_root, method, &format!("/{bucket}?policy"), b"");
        assert_eq!(refused.outcome(), "403 AccessDenied");
    }
    ok(server.s3(&server.root, "GET", &format!("/{bucket}?policy"), b""));
    ok(put_policy(server, &server.root, &bucket, everything));
    ok(server.s3(&server.root, "DELETE", &format!("/{bucket}?policy"), b""));
    ok(server.s3(&world.admin, "GET", &format!("/{bucket}/key"), b""));
}

#[test]
fn a_policy_means_who_was_there_when_it_was_put() {
    let world = world();
    let server = &world.server;
    let bucket = open_bucket(server);
    let role = name("bound");
    server.role(&server.root, &role, None);
    let session = || server.assume(&world.admin, &role, &[]);
    let names = |arn: &str| {
        format!(r#"{{"Effect":"Allow","Principal":{{"AWS":"{arn}"}},"Action":"s3:GetObject","Resource":"BUCKET/*"}}"#)
    };
    let arn = format!("arn:aws:iam::{ACCOUNT}:role/{role}");
    ok(put_policy(server, &server.root, &bucket, &names(&arn)));
    let get = |key: &Key| server.s3(key, "GET", &format!("/{bucket}/key"), b"").status;
    assert_eq!(get(&session()), 200);
    // Sessions can be narrowed.
    let narrow = server.assume(
        &world.admin,
        &role,
        &[(
            "Policy",
            &policy(r#"{"Effect":"Allow","Action":"s3:ListBucket","Resource":"*"}"#),
        )],
    );
    assert_eq!(get(&narrow), 403);
    server.iam_ok(&server.root, "DeleteRole", &[("RoleName", &role)]);
    server.role(&server.root, &role, None);
    assert_eq!(get(&session()), 403, "another role under the old name");
    ok(put_policy(server, &server.root, &bucket, &names(&arn)));
    assert_eq!(get(&session()), 200);
    // One session of it alone, and a name that nobody has.
    let session_arn = |name: &str| format!("arn:aws:sts::{ACCOUNT}:assumed-role/{role}/{name}");
    ok(put_policy(server, &server.root, &bucket, &names(&session_arn("test"))));
    assert_eq!(get(&session()), 200);
    ok(put_policy(
        server,
        &server.root,
        &bucket,
        &names(&session_arn("another")),
    ));
    assert_eq!(get(&session()), 403);
    for nobody in [
        format!("arn:aws:iam::{ACCOUNT}:role/nobody-here"),
        format!("arn:aws:iam::{ACCOUNT}:user/nobody-here"),
        format!("arn:aws:iam::{OTHER_ACCOUNT}:user/nobody-here"),
        "arn:aws:iam::999988887777:root".to_owned(),
        "999988887777".to_owned(),
        "AIDANOBODYHERE123456".to_owned(),
    ] {
        let refused = put_policy(server, &server.root, &bucket, &names(&nobody));
        assert_eq!(refused.outcome(), "400 MalformedPolicy", "{nobody}");
        assert_eq!(refused.message(), "Invalid principal in policy");
    }
}

#[test]
fn policies_that_are_too_large_and_those_that_are_just_large() {
    let world = world();
    let server = &world.server;
    let bucket = open_bucket(server);
    let with = |principals: &[String]| {
        let principals: Vec<String> = principals.iter().map(|name| format!("\"{name}\"")).collect();
        format!(
            r#"{{"Effect":"Allow","Principal":{{"AWS":[{}]}},"Action":"s3:GetObject","Resource":"BUCKET/*"}}"#,
            principals.join(",")
        )
    };
    let many = vec![format!("arn:aws:iam::{ACCOUNT}:user/admin"); 10_000];
    let refused = put_policy(server, &server.root, &bucket, &with(&many));
    assert_eq!(refused.outcome(), "400 PolicyTooLarge", "{}", refused.text());
    ok(put_policy(server, &server.root, &bucket, &with(&many[..500])));
    ok(server.s3(&world.admin, "GET", &format!("/{bucket}/key"), b""));
    let deep = format!("{}{}", r#"{"Statement":"#.repeat(1000), "}".repeat(1000));
    let refused = server.s3(&server.root, "PUT", &format!("/{bucket}?policy"), deep.as_bytes());
    assert_eq!(refused.outcome(), "400 MalformedPolicy");
}

#[test]
fn settings_outlive_a_restart_and_changes_at_the_same_time() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path());
    let bucket = open_bucket(&server);
    ok(put_policy(&server, &server.root, &bucket, PUBLIC_READ));
    let versioning = "<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>";
    let cors = "<CORSConfiguration><CORSRule><AllowedOrigin>https://a.example</AllowedOrigin><AllowedMethod>GET</AllowedMethod></CORSRule></CORSConfiguration>";
    std::thread::scope(|scope| {
        for number in 0..4 {
            let (server, bucket) = (&server, &bucket);
            scope.spawn(move || {
                let tags =
                    format!("<Tagging><TagSet><Tag><Key>n</Key><Value>{number}</Value></Tag></TagSet></Tagging>");
                for _ in 0..5 {
                    ok(server.s3(&server.root, "PUT", &format!("/{bucket}?tagging"), tags.as_bytes()));
                }
            });
            scope.spawn(move || {
                let (query, body) = [("versioning", versioning), ("cors", cors)][number % 2];
                for _ in 0..5 {
                    ok(server.s3(&server.root, "PUT", &format!("/{bucket}?{query}"), body.as_bytes()));
                }
            });
        }
    });
    let told = |server: &Server| -> Vec<String> {
        ["tagging", "versioning", "cors", "policy"]
            .iter()
            .map(|query| ok(server.s3(&server.root, "GET", &format!("/{bucket}?{query}"), b"")).text())
            .collect()
    };
    let before = told(&server);
    server.stop();
    let server = Server::start(folder.path());
    assert_eq!(told(&server), before);
    let anonymous =
        ok(server.send(&Request::new("GET", &format!("/{bucket}/key")).header("origin", "https://a.example")));
    assert_eq!(anonymous.text(), "content");
    let asked = ok(server.send(
        &Request::new("OPTIONS", &format!("/{bucket}/key"))
            .header("origin", "https://a.example")
            .header("access-control-request-method", "GET"),
    ));
    let record = server.record(&asked);
    assert_eq!(record["eventName"], "PreflightRequest");
    assert_eq!(record["userIdentity"]["accountId"], "ANONYMOUS_PRINCIPAL");
    server.stop();
}

#[test]
fn changes_of_settings_are_management_events() {
    let server = &world().server;
    let bucket = open_bucket(server);
    let events: Vec<(Value, Value, Value)> = [
        ("PUT", "tagging", "<Tagging><TagSet/></Tagging>"),
        ("DELETE", "publicAccessBlock", ""),
        ("GET", "acl", ""),
        ("PUT", "lifecycle", "<LifecycleConfiguration/>"),
    ]
    .iter()
    .map(|(method, query, body)| {
        let response = server.s3(&server.root, method, &format!("/{bucket}?{query}"), body.as_bytes());
        let record = server.record(&response);
        assert_eq!(record["requestParameters"]["bucketName"], bucket.as_str());
        assert_eq!(record["requestParameters"][*query], "", "{record}");
        assert_eq!(record["managementEvent"], true);
        (
            record["eventName"].clone(),
            record["eventCategory"].clone(),
            record["readOnly"].clone(),
        )
    })
    .collect();
    let expected = [
        ("PutBucketTagging", false),
        ("DeleteBucketPublicAccessBlock", false),
        ("GetBucketAcl", true),
        ("PutBucketLifecycle", false),
    ];
    for ((event, category, read_only), (name, reads)) in events.into_iter().zip(expected) {
        assert_eq!(
            (event, category, read_only),
            (name.into(), "Management".into(), reads.into())
        );
    }
}
