//! What S3's requests leave in the journal and the log.

use crate::adversarial::user;
use crate::client::{Request, Signing};
use crate::harness::{log, name, world};

#[test]
fn adv_au_03_nothing_of_a_presigned_url_or_a_key_for_encryption_is_written_down() {
    let world = world();
    let server = &world.server;
    let session = server.assume(&world.admin, "everything", &[]);
    let customer = "Y2FuYXJ5LWNhbmFyeS1jYW5hcnktY2FuYXJ5LTEyMzQ=";
    let mut written = String::new();
    let mut signatures = Vec::new();
    for (method, target, status) in [
        ("GET", "/first-bucket/hello.txt", 200),
        ("GET", "/first-bucket/none", 404),
        ("GET", "/second-bucket/hello.txt", 403),
        ("PUT", "/first-bucket/au-03", 501),
    ] {
        let mut request = Request::new(method, target);
        if method == "PUT" {
            request = request
                .header("x-amz-server-side-encryption-customer-algorithm", "AES256")
                .header("x-amz-server-side-encryption-customer-key", customer);
        }
        let request = request.presigned(&server.host, &Signing::new(&session, "s3"), "300");
        let (_, signature) = request.query.rsplit_once('=').unwrap();
        signatures.push(signature.to_owned());
        let response = server.send(&request);
        assert_eq!(response.status, status, "{target}: {}", response.text());
        let record = server.record(&response);
        assert_eq!(
            record["additionalEventData"]["AuthenticationMethod"], "QueryString",
            "{record}"
        );
        written.push_str(&record.to_string());
    }
    written.push_str(&log());
    let token = session.token.as_deref().unwrap();
    for secret in [token, &crate::client::encode(token), &session.secret, customer] {
        assert!(!written.contains(secret), "{secret}");
    }
    for signature in signatures {
        assert!(!written.contains(&signature), "{signature}");
    }
    assert!(written.contains(&session.id));
}

#[test]
fn adv_au_04_keys_tags_and_agents_stay_inside_of_their_fields() {
    let world = world();
    let server = &world.server;
    let forged = "{\"eventName\":\"ForgedEvent\",\"errorCode\":null}";
    let key = format!(
        "au-04/{}%0d%0a{}%1b%5B31m%00%E2%80%AE",
        name("k"),
        crate::client::encode(forged)
    );
    let agent = format!("agent\"}},{forged} \u{1b}[31m");
    let agent = agent.replace('\u{1b}', "");
    let request = Request::new("PUT", &format!("/first-bucket/{key}"))
        .header("user-agent", &agent)
        .header("referer", &format!("https://evil.example/{forged}"))
        .header("x-amz-meta-a", forged)
        .header("x-amz-tagging", &format!("a={}", crate::client::encode("x\"}")))
        .body("x");
    let response = server.signed(request, &world.admin, "s3");
    assert!(matches!(response.status, 200 | 400), "{}", response.text());
    // One record, whose name is ours, and whose fields are what was sent.
    let record = server.record(&response);
    assert_eq!(record["eventName"], "PutObject", "{record}");
    assert_eq!(record["userAgent"], format!("[{agent}]"), "{record}");
    let decoded = String::from_utf8(crate::client::decode(&key)).unwrap();
    assert_eq!(record["requestParameters"]["key"], decoded);
    let filter = irsa_audit::Filter {
        event_name: Some("ForgedEvent".to_owned()),
        ..irsa_audit::Filter::default()
    };
    assert!(server.all_records(filter).is_empty());
    // No line of the log begins with a caller's words, and no terminal is driven.
    let log = log();
    assert!(
        !log.lines()
            .any(|line| line.starts_with('{') || line.starts_with("au-04"))
    );
    assert!(!log.contains('\u{1b}') && !log.contains('\u{202e}') && !log.contains('\0'));
}

#[test]
fn adv_au_06_strangers_to_a_bucket_learn_no_reason() {
    let world = world();
    let server = &world.server;
    let denied = user(
        server,
        r#"{"Effect":"Deny","Action":"s3:*","Resource":"*","Condition":{"StringEquals":{"aws:PrincipalTag/secret-plan":"x"}}}"#,
    );
    for target in [
        "/first-bucket/hello.txt",
        "/first-bucket/none",
        "/first-bucket?list-type=2",
        "/first-bucket/hello.txt?tagging",
    ] {
        for (who, response) in [
            ("nobody", server.send(&Request::new("GET", target))),
            ("another account", server.s3(&world.other_root, "GET", target, b"")),
        ] {
            assert_eq!(response.outcome(), "403 AccessDenied", "{who} {target}");
            assert_eq!(response.message(), "Access Denied", "{who} {target}");
            let text = response.text();
            for word in [
                "111122223333",
                "444455556666",
                "policy",
                "arn:",
                "EncodedAuthorizationMessage",
                "bucket is public",
            ] {
                assert!(!text.contains(word), "{who} {target}: {text}");
            }
            // The operator does.
            let record = server.record(&response);
            assert!(
                record["additionalEventData"]["irsa"]["reason"].is_string() || record.to_string().contains("reason"),
                "{record}"
            );
        }
        // A caller of the bucket's own account is told its action and resource, as by AWS, and no condition.
        let response = server.s3(&denied, "GET", target, b"");
        assert_eq!(response.outcome(), "403 AccessDenied");
        assert!(
            response.message().contains("is not authorized to perform: s3:"),
            "{}",
            response.message()
        );
        assert!(!response.text().contains("secret-plan"), "{}", response.text());
    }
}
