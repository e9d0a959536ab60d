//! Uploads by a browser's form.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::client::{Key, Request, Response, Signing, mac};
use crate::harness::{Server, name, policy, world};

/// A form to be turned wrong by the test.
struct Form {
    fields: Vec<(String, String)>,
    file: Vec<u8>,
}

impl Form {
    fn new(fields: &[(&str, &str)], file: &[u8]) -> Self {
        Self {
            fields: fields
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect(),
            file: file.to_vec(),
        }
    }

    /// Signs a policy of these conditions, besides those about the signature itself.
    fn signed(self, key: &Key, conditions: &str) -> Self {
        self.signed_until(key, conditions, "2100-01-01T00:00:00.000Z")
    }

    fn signed_until(mut self, key: &Key, conditions: &str, expiration: &str) -> Self {
        let signing = Signing::new(key, "s3");
        let credential = format!("{}/{}", key.id, signing.scope());
        let mut own = vec![
            ("x-amz-algorithm", "AWS4-HMAC-SHA256"),
            ("x-amz-credential", credential.as_str()),
            ("x-amz-date", signing.date.as_str()),
        ];
        if let Some(token) = &key.token {
            own.push(("x-amz-security-token", token));
        }
        let covered: Vec<String> = own
            .iter()
            .map(|(name, value)| format!(r#"{{"{name}": "{value}"}}"#))
            .collect();
        let document = format!(
            r#"{{"expiration": "{expiration}", "conditions": [{conditions}, {}]}}"#,
            covered.join(", ")
        );
        let document = STANDARD.encode(document);
        let signature = hex::encode(mac(&signing.signing_key(), document.as_bytes()));
        own.extend([("policy", document.as_str()), ("x-amz-signature", signature.as_str())]);
        self.fields
            .extend(own.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())));
        self
    }

    fn set(mut self, name: &str, value: &str) -> Self {
        self.fields.retain(|(known, _)| known != name);
        self.fields.push((name.to_owned(), value.to_owned()));
        self
    }

    fn body(&self) -> Vec<u8> {
        let mut body = Vec::new();
        for (name, value) in &self.fields {
            body.extend_from_slice(
                format!("--frame\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n").as_bytes(),
            );
        }
        body.extend_from_slice(
            b"--frame\r\nContent-Disposition: form-data; name=\"file\"; filename=\"photo.jpg\"\r\n\r\n",
        );
        body.extend_from_slice(&self.file);
        body.extend_from_slice(b"\r\n--frame--\r\n");
        body
    }

    fn request(&self, bucket: &str) -> Request {
        Request::new("POST", &format!("/{bucket}"))
            .header("content-type", "multipart/form-data; boundary=frame")
            .body(self.body())
    }

    fn send(&self, server: &Server, bucket: &str) -> Response {
        server.send(&self.request(bucket))
    }
}

fn bucket(server: &Server) -> String {
    let bucket = name("forms");
    assert_eq!(server.s3(&server.root, "PUT", &format!("/{bucket}"), b"").status, 200);
    bucket
}

fn content(server: &Server, bucket: &str, key: &str) -> Response {
    server.s3(&server.root, "GET", &format!("/{bucket}/{key}"), b"")
}

#[test]
fn a_form_uploads_what_its_policy_says() {
    let world = world();
    let server = &world.server;
    let bucket = bucket(server);
    let conditions = format!(
        r#"{{"bucket": "{bucket}"}}, ["starts-with", "$key", "user/"], ["starts-with", "$Content-Type", "image/"],
           {{"x-amz-meta-team": "blue"}}, ["content-length-range", 1, 100000], ["starts-with", "$success_action_status", ""]"#
    );
    let form = |status: &str| {
        Form::new(
            &[
                ("key", "user/${filename}"),
                ("Content-Type", "image/jpeg"),
                ("x-amz-meta-team", "blue"),
                ("success_action_status", status),
            ],
            &b"\r\n--fram?\r\n".repeat(5000),
        )
        .signed(&world.admin, &conditions)
    };
    let made = form("201").send(server, &bucket);
    assert_eq!(made.status, 201, "{}", made.text());
    assert_eq!(made.element("Key").unwrap(), "user/photo.jpg");
    assert_eq!(made.element("Bucket").unwrap(), bucket);
    let location = format!("http://{}/{bucket}/user/photo.jpg", server.host);
    assert_eq!(made.element("Location").unwrap(), location);
    assert_eq!(made.header("location").unwrap(), location);
    let got = content(server, &bucket, "user/photo.jpg");
    assert_eq!(got.body, b"\r\n--fram?\r\n".repeat(5000));
    assert_eq!(got.header("content-type").unwrap(), "image/jpeg");
    assert_eq!(got.header("x-amz-meta-team").unwrap(), "blue");
    let record = server.record(&made);
    assert_eq!(record["userIdentity"]["userName"], "admin");
    assert_eq!(record["additionalEventData"]["AuthenticationMethod"], "HtmlForm");
    assert_eq!(record["requestParameters"]["key"], "user/photo.jpg");
    assert_eq!(form("200").send(server, &bucket).status, 200);
    assert_eq!(form("999").send(server, &bucket).status, 204);
    // A session's token is a field too.
    let session = server.assume(&world.admin, "everything", &[]);
    let own = format!(r#"{{"key": "a"}}, {{"bucket": "{bucket}"}}"#);
    let simple = |key: &Key| Form::new(&[("key", "a")], b"x").signed(key, &own);
    let anywhere = Form::new(&[("key", "a")], b"x").signed(&world.admin, r#"{"key": "a"}"#);
    assert_eq!(anywhere.send(server, &bucket).outcome(), "403 AccessDenied");
    assert_eq!(simple(&session).send(server, &bucket).status, 204);
    let stolen = Form {
        fields: simple(&session)
            .fields
            .into_iter()
            .filter(|(name, _)| name != "x-amz-security-token")
            .collect(),
        file: b"x".to_vec(),
    };
    assert_eq!(stolen.send(server, &bucket).outcome(), "403 InvalidAccessKeyId");
    // The browser goes where the form says.
    let redirected = Form::new(
        &[
            ("key", "a"),
            ("success_action_redirect", "https://app.example/done?x=1"),
        ],
        b"x",
    )
    .signed(
        &world.admin,
        r#"{"key": "a"}, ["starts-with", "$bucket", ""], ["starts-with", "$success_action_redirect", ""]"#,
    )
    .send(server, &bucket);
    assert_eq!(redirected.status, 303);
    assert!(
        redirected
            .header("location")
            .unwrap()
            .starts_with(&format!("https://app.example/done?x=1&bucket={bucket}&key=a&etag=%22"))
    );
}

#[test]
fn adv_sv_33_a_form_uploads_nothing_else() {
    let world = world();
    let server = &world.server;
    let bucket = bucket(server);
    let conditions =
        format!(r#"{{"bucket": "{bucket}"}}, ["starts-with", "$key", "user/"], ["content-length-range", 2, 10]"#);
    let form = || Form::new(&[("key", "user/a")], b"hello").signed(&world.admin, &conditions);
    let text = |prefix: &str| format!("Invalid according to Policy: {prefix}");
    let other = name("forms");
    assert_eq!(server.s3(&server.root, "PUT", &format!("/{other}"), b"").status, 200);
    for (what, form, code, message) in [
        ("key", form().set("key", "other/a"), "403 AccessDenied", text("Policy Condition failed: [\"starts-with\",\"$key\",\"user/\"]")),
        ("extra", form().set("x-amz-meta-a", "b"), "403 AccessDenied", text("Extra input fields: x-amz-meta-a")),
        ("acl", form().set("acl", "public-read"), "403 AccessDenied", text("Extra input fields: acl")),
        (
            "large",
            Form { file: b"hello world".to_vec(), ..form() },
            "400 EntityTooLarge",
            "Your proposed upload exceeds the maximum allowed size".to_owned(),
        ),
        (
            "small",
            Form { file: b"x".to_vec(), ..form() },
            "400 EntityTooSmall",
            "Your proposed upload is smaller than the minimum allowed size".to_owned(),
        ),
        (
            "expired",
            Form::new(&[("key", "user/a")], b"hello").signed_until(&world.admin, &conditions, "2020-01-01T00:00:00Z"),
            "403 AccessDenied",
            text("Policy expired."),
        ),
        (
            "another policy",
            form().set("policy", &STANDARD.encode(r#"{"expiration": "2100-01-01T00:00:00Z", "conditions": []}"#)),
            "403 SignatureDoesNotMatch",
            "The request signature we calculated does not match the signature you provided. Check your key and signing method.".to_owned(),
        ),
        (
            "no signature",
            form().set("x-amz-signature", ""),
            "403 SignatureDoesNotMatch",
            "The request signature we calculated does not match the signature you provided. Check your key and signing method.".to_owned(),
        ),
        (
            "version 2",
            form().set("signature", "a"),
            "400 InvalidRequest",
            "The authorization mechanism you have provided is not supported. Please use AWS4-HMAC-SHA256.".to_owned(),
        ),
    ] {
        let refused = form.send(server, &bucket);
        assert_eq!(refused.outcome(), code, "{what}: {}", refused.text());
        assert_eq!(refused.message(), message, "{what}");
        server.record(&refused);
    }
    assert_eq!(
        form().send(server, &other).outcome(),
        "403 AccessDenied",
        "another bucket"
    );
    // Without the policy the signature is nothing, and without both the form is nobody's.
    for missing in [
        "policy",
        "x-amz-signature",
        "x-amz-date",
        "x-amz-credential",
        "x-amz-algorithm",
    ] {
        let mut cut = form();
        cut.fields.retain(|(name, _)| name != missing);
        assert_eq!(cut.send(server, &bucket).outcome(), "400 InvalidArgument", "{missing}");
    }
    assert_eq!(
        Form::new(&[("key", "user/a")], b"hello")
            .send(server, &bucket)
            .outcome(),
        "403 AccessDenied"
    );
    // A policy does not give what its signer has not.
    let refused = Form::new(&[("key", "user/a")], b"hello")
        .signed(&world.nobody, &conditions)
        .send(server, &bucket);
    assert_eq!(refused.outcome(), "403 AccessDenied");
    assert!(refused.message().contains("s3:PutObject"), "{}", refused.message());
    let only_headers = server.user(
        &server.root,
        &name("headers"),
        Some(&policy(
            r#"{"Effect":"Allow","Action":"s3:PutObject","Resource":"*","Condition":{"StringNotEquals":{"s3:authType":"POST"}}}"#,
        )),
    );
    let refused = Form::new(&[("key", "user/a")], b"hello")
        .signed(&only_headers, &conditions)
        .send(server, &bucket);
    assert_eq!(refused.outcome(), "403 AccessDenied");
    // Two signatures are one too many, wherever the second stands.
    let twice = server.signed(form().request(&bucket), &world.admin, "s3");
    assert_eq!(twice.outcome(), "400 InvalidArgument");
    // A form that breaks off leaves nothing behind.
    let mut cut = form().request(&bucket);
    cut.body.truncate(cut.body.len() - 12);
    assert_eq!(server.send(&cut).outcome(), "400 IncompleteBody");
    for key in ["user/a", "other/a"] {
        assert_eq!(content(server, &bucket, key).outcome(), "404 NoSuchKey");
    }
    for target in [format!("/{bucket}/key"), "/".to_owned(), "/no-such-bucket".to_owned()] {
        let refused = server.send(&Request {
            path: target.clone(),
            ..form().request(&bucket)
        });
        assert!((400..=405).contains(&refused.status), "{target}: {}", refused.text());
    }
}

#[test]
fn nobody_may_use_a_form_where_the_bucket_policy_says_so() {
    let server = &world().server;
    let bucket = bucket(server);
    assert_eq!(
        server
            .s3(&server.root, "DELETE", &format!("/{bucket}?publicAccessBlock"), b"")
            .status,
        204
    );
    let text = policy(&format!(
        r#"{{"Effect":"Allow","Principal":"*","Action":"s3:PutObject","Resource":"arn:aws:s3:::{bucket}/drop/*"}}"#
    ));
    let put = server.s3(&server.root, "PUT", &format!("/{bucket}?policy"), text.as_bytes());
    assert_eq!(put.status, 204, "{}", put.text());
    let made = Form::new(&[("key", "drop/a b")], b"hello").send(server, &bucket);
    assert_eq!(made.status, 204, "{}", made.text());
    assert_eq!(content(server, &bucket, "drop/a%20b").text(), "hello");
    let refused = Form::new(&[("key", "elsewhere")], b"hello").send(server, &bucket);
    assert_eq!(refused.outcome(), "403 AccessDenied");
    let disguised = Form::new(
        &[("key", "drop/b"), ("x-amz-copy-source", "/first-bucket/hello.txt")],
        b"",
    );
    assert_eq!(disguised.send(server, &bucket).outcome(), "501 NotImplemented");
}
