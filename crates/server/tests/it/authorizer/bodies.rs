//! What only a body says, and what is said about bodies.

use super::*;

const DELETE: &str = "<Delete><Object><Key>public/a</Key></Object><Object><Key>KEY</Key></Object></Delete>";

#[test]
fn adv_az_07_what_the_body_decides_is_not_decided_without_it() {
    let authorizer = start();
    let writer = authorizer.user(r#"{"Effect":"Allow","Action":["s3:DeleteObject","s3:PutObject*","s3:CreateBucket"],"Resource":"arn:aws:s3:::photos*"}"#);
    let deletes = |key: &str, signing: &Signing<'_>| {
        sent(
            S3,
            Request::new("POST", "/photos?delete").body(DELETE.replace("KEY", key)),
            signing,
        )
    };
    let tagging = "<Tagging><TagSet><Tag><Key>a</Key><Value>b</Value></Tag></TagSet></Tagging>";
    let tag = sent(
        S3,
        Request::new("PUT", "/photos/a?tagging").body(tagging),
        &Signing::new(&writer, "s3"),
    );
    let location =
        "<CreateBucketConfiguration><LocationConstraint>eu-west-1</LocationConstraint></CreateBucketConfiguration>";
    let create = sent(
        S3,
        Request::new("PUT", "/photos-new").body(location),
        &Signing::new(&writer, "s3"),
    );
    let plain = Signing::new(&writer, "s3");
    for (name, sent) in [
        ("DeleteObjects", deletes("b", &plain)),
        ("PutObjectTagging", tag),
        ("CreateBucket", create),
    ] {
        let refused = authorizer.ask_nginx(&sent);
        assert_eq!(refused.status, 403, "{name}");
        let message = refused.header("x-irsa-error-message").unwrap();
        assert!(message.contains(name) && message.contains("body"), "{message}");
        authorizer.allowed(&sent);
        // Envoy that sends a part of it, or that says nothing of it.
        let partial = |change: &dyn Fn(&mut HttpRequest)| {
            let mut question = authorizer.envoy(&sent);
            change(http_of(&mut question));
            match authorizer.check(&question).unwrap() {
                HttpResponse::Denied(denied) => outcome(&denied),
                HttpResponse::Ok(_) => panic!("{name} was decided on a part of its body"),
            }
        };
        assert_eq!(
            partial(&|http| set(http, "x-envoy-auth-partial-body", "true")),
            "403 AccessDenied"
        );
        assert_eq!(
            partial(&|http| {
                unset(http, "x-envoy-auth-partial-body");
                http.raw_body.clear();
            }),
            "403 AccessDenied"
        );
        assert_eq!(
            partial(&|http| {
                http.raw_body.truncate(40);
            }),
            "403 AccessDenied"
        );
    }
    // Of several keys all must be allowed: a proxy sends on all or nothing.
    let mixed =
        authorizer.user(r#"{"Effect":"Allow","Action":"s3:DeleteObject","Resource":"arn:aws:s3:::photos/public/*"}"#);
    let plain = Signing::new(&mixed, "s3");
    authorizer.allowed(&deletes("public/b", &plain));
    let denied = authorizer.denied(&deletes("private/b", &plain));
    assert_eq!(outcome(&denied), "403 AccessDenied");
    assert!(denied.body.contains("photos/private/b"), "{}", denied.body);
    // A body that is not the signed one, and one that nobody signed and whose length nobody said.
    let mut swapped = deletes("public/b", &plain);
    swapped.request.body = DELETE.replace("KEY", "public/c").into_bytes();
    assert_eq!(outcome(&authorizer.denied(&swapped)), "400 XAmzContentSHA256Mismatch");
    let unsigned = deletes("public/b", &plain.clone().payload("UNSIGNED-PAYLOAD"));
    authorizer.allowed(&unsigned);
    let mut chunked = authorizer.envoy(&unsigned);
    unset(http_of(&mut chunked), "content-length");
    assert!(matches!(authorizer.check(&chunked), Ok(HttpResponse::Denied(_))));
}

#[test]
fn adv_az_08_objects_are_said_to_be_checked_only_if_they_were() {
    let authorizer = start();
    let admin = authorizer.admin();
    let put = |signing: &Signing<'_>| sent(S3, Request::new("PUT", "/photos/a").body("content"), signing);
    let signed = put(&Signing::new(&admin, "s3"));
    let body_of = |sent: &Sent| {
        authorizer
            .ask_nginx(sent)
            .header("x-irsa-body")
            .unwrap_or_default()
            .to_owned()
    };
    let over_grpc = |sent: &Sent| header_of(&headers_of(&authorizer.allowed(sent)), "x-irsa-body").to_owned();
    assert_eq!(
        (body_of(&signed), over_grpc(&signed)),
        ("declared".to_owned(), "verified".to_owned())
    );
    let unsigned = put(&Signing::new(&admin, "s3").payload("UNSIGNED-PAYLOAD"));
    assert_eq!(
        (body_of(&unsigned), over_grpc(&unsigned)),
        ("unsigned".to_owned(), "unsigned".to_owned())
    );
    // Chunks: signed ones are checked where they are here.
    let signing = Signing::new(&admin, "s3").payload("STREAMING-AWS4-HMAC-SHA256-PAYLOAD");
    let head = Request::new("PUT", "/photos/a")
        .header("content-encoding", "aws-chunked")
        .header("x-amz-decoded-content-length", "7");
    let mut chunked = sent(S3, head, &signing);
    let first = signing.chunk_signature(&chunked.request.signature(), b"content");
    let last = signing.chunk_signature(&first, b"");
    let body = format!("7;chunk-signature={first}\r\ncontent\r\n0;chunk-signature={last}\r\n\r\n");
    chunked.request.body = body.clone().into_bytes();
    assert_eq!(
        (body_of(&chunked), over_grpc(&chunked)),
        ("streaming".to_owned(), "verified".to_owned())
    );
    chunked.request.body = body.replace("content\r\n", "CONTENT\r\n").into_bytes();
    assert_eq!(outcome(&authorizer.denied(&chunked)), "400 SignatureDoesNotMatch");
    // Clients sign the length, and nginx asks without a body.
    let mut with_length = Request::new("PUT", "/photos/a").header("content-length", "7");
    with_length.body = b"content".to_vec();
    let mut signed = sent(S3, with_length, &Signing::new(&admin, "s3"));
    signed.request = signed.request.without("content-length");
    assert_eq!(body_of(&signed), "declared");
}

#[test]
fn adv_az_09_other_services_by_the_gateways_rules() {
    let authorizer = start();
    let statement = format!(
        r#"{{"Effect":"Allow","Action":["dynamodb:GetItem","dynamodb:ListTables"],"Resource":["arn:aws:dynamodb:us-east-1:{ACCOUNT}:table/orders","*"]}},
           {{"Effect":"Deny","Action":"dynamodb:GetItem","Resource":"arn:aws:dynamodb:us-east-1:{ACCOUNT}:table/secrets"}}"#
    );
    let reader = authorizer.user(&statement);
    let item = |table: &str| format!(r#"{{"TableName":"{table}","Key":{{"pk":{{"S":"a"}}}}}}"#);
    let ok = authorizer.allowed(&dynamodb(&reader, "GetItem", &item("orders")));
    let headers = headers_of(&ok);
    assert_eq!(header_of(&headers, "x-irsa-body"), "verified");
    let record = authorizer.record(header_of(&headers, "x-irsa-request-id"));
    assert_eq!(record["eventSource"], "dynamodb.amazonaws.com", "{record}");
    assert_eq!(record["requestParameters"], serde_json::json!({"tableName": "orders"}));
    let written = r#"{"TableName":"orders","Item":{"pk":{"S":"a"}}}"#;
    assert_eq!(
        outcome(&authorizer.denied(&dynamodb(&reader, "GetItem", &item("secrets")))),
        "400 AccessDeniedException"
    );
    assert_eq!(
        outcome(&authorizer.denied(&dynamodb(&reader, "PutItem", written))),
        "400 AccessDeniedException"
    );
    // What was signed is the body that is here.
    let mut swapped = dynamodb(&reader, "GetItem", &item("orders"));
    swapped.request.body = item("stolen").into_bytes();
    assert_eq!(outcome(&authorizer.denied(&swapped)), "400 InvalidSignatureException");
    let mut partial = authorizer.envoy(&dynamodb(&reader, "GetItem", &item("orders")));
    set(http_of(&mut partial), "x-envoy-auth-partial-body", "true");
    assert!(matches!(authorizer.check(&partial), Ok(HttpResponse::Denied(_))));
    // nginx shows no body: which table is meant can't be known, whatever may be read.
    let hashed = |operation: &str, body: &str| {
        let request = Request::new("POST", "/")
            .header("content-type", "application/x-amz-json-1.0")
            .header("x-amz-target", &format!("DynamoDB_20120810.{operation}"))
            .body(body);
        let hash = hex::encode(aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, body.as_bytes()));
        sent(DYNAMODB, request, &Signing::new(&reader, "dynamodb").payload(&hash))
    };
    let refused = authorizer.ask_nginx(&hashed("GetItem", &item("orders")));
    assert_eq!(
        (refused.status, refused.header("x-irsa-error-code")),
        (403, Some("AccessDeniedException"))
    );
    assert_eq!(refused.header("x-irsa-error-type"), Some("application/x-amz-json-1.0"));
    // An action without a resource needs no body, once its hash is signed.
    let allowed = authorizer.ask_nginx(&hashed("ListTables", "{}"));
    assert_eq!(
        (allowed.status, allowed.header("x-irsa-body")),
        (200, Some("declared")),
        "{allowed:?}"
    );
    assert_eq!(authorizer.ask_nginx(&dynamodb(&reader, "ListTables", "{}")).status, 401);
    // The Query protocol says in its body even what is to be done.
    let form = Request::form(&[("Action", "ListQueues"), ("Version", "2012-11-05")]);
    let admin = authorizer.admin();
    let query = sent(DYNAMODB, form, &Signing::new(&admin, "sqs"));
    assert_eq!(authorizer.ask_nginx(&query).status, 401);
    authorizer.allowed(&query);
    // REST, whose path says all.
    let zone = |host: &str| {
        sent(
            host,
            Request::new("GET", "/2013-04-01/hostedzone/Z1"),
            &Signing::new(&admin, "route53"),
        )
    };
    assert_eq!(authorizer.ask_nginx(&zone("dns.example.com")).status, 200);
    // Signed as one without a body, and nobody has seen whether there is one: so nobody declared it.
    let streamed = authorizer
        .nginx(&zone("dns.example.com"))
        .replace("x-original-framing", "TLSv1.3;HTTP/2.0;;");
    let allowed = authorizer.ask(&streamed);
    assert_eq!((allowed.status, allowed.header("x-irsa-body")), (200, Some("unsigned")));
    assert_eq!(authorizer.ask_nginx(&zone(DYNAMODB)).status, 401);
}
