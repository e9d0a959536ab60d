//! Who may do what: signatures, hosts, accounts, policies.

use super::*;

#[test]
fn a_request_is_decided_by_its_signature_and_its_callers_policies() {
    let authorizer = start();
    let reader = authorizer.user(READ);
    let allowed = authorizer.ask_nginx(&s3(&reader, "GET", "/photos/public/a.jpg"));
    assert_eq!((allowed.status, allowed.text()), (200, String::new()), "{allowed:?}");
    let arn = allowed.header("x-irsa-principal-arn").unwrap();
    assert!(arn.starts_with(&format!("arn:aws:iam::{ACCOUNT}:user/az-")), "{arn}");
    assert_eq!(allowed.header("x-irsa-account"), Some(ACCOUNT));
    assert_eq!(allowed.header("x-irsa-role-session-name"), None);
    assert_eq!(allowed.header("x-irsa-body"), Some("verified"));
    let record = authorizer.record(allowed.header("x-irsa-request-id").unwrap());
    assert_eq!(
        (record["eventName"].as_str(), record["sourceIPAddress"].as_str()),
        (Some("GetObject"), Some(SOURCE)),
        "{record}"
    );
    assert_eq!(record["requestParameters"]["key"], "public/a.jpg");
    assert_eq!(record["requestParameters"]["Host"], S3);
    assert_eq!(record["userIdentity"]["type"], "IAMUser");
    assert!(record["errorCode"].is_null(), "{record}");

    let refused = authorizer.ask_nginx(&s3(&reader, "GET", "/photos/private/a.jpg"));
    assert_eq!(refused.status, 403);
    assert_eq!(refused.header("x-irsa-error-code"), Some("AccessDenied"));
    assert_eq!(refused.header("x-irsa-error-status"), Some("403"));
    let message = refused.header("x-irsa-error-message").unwrap();
    assert!(
        message
            .contains("is not authorized to perform: s3:GetObject on resource: \"arn:aws:s3:::photos/private/a.jpg\""),
        "{message}"
    );
    let document = refused.header("x-irsa-error-document").unwrap();
    assert!(
        document.starts_with("<?xml version=\"1.0\" encoding=\"UTF-8\"?><Error><Code>AccessDenied</Code>"),
        "{document}"
    );
    assert_eq!(refused.header("x-irsa-error-type"), Some("application/xml"));
    let record = authorizer.record(refused.header("x-irsa-request-id").unwrap());
    assert_eq!(record["errorCode"], "AccessDenied", "{record}");

    // The same over gRPC, with S3's own answer.
    let ok = authorizer.allowed(&s3(&reader, "GET", "/photos/public/a.jpg"));
    let headers = headers_of(&ok);
    assert_eq!(header_of(&headers, "x-irsa-account"), ACCOUNT);
    authorizer.record(header_of(&headers, "x-irsa-request-id"));
    let denied = authorizer.denied(&s3(&reader, "DELETE", "/photos/public/a.jpg"));
    assert_eq!(outcome(&denied), "403 AccessDenied");
    assert!(denied.body.contains("s3:DeleteObject"), "{}", denied.body);
    let of_answer = OkHttpResponse {
        headers: denied.headers.clone(),
        headers_to_remove: Vec::new(),
    };
    let headers = headers_of(&of_answer);
    assert_eq!(header_of(&headers, "content-type"), "application/xml");
    let id = header_of(&headers, "x-amz-request-id");
    assert_eq!(authorizer.record(id)["eventName"], "DeleteObject");

    // Virtual-host style: the bucket is in the host.
    let of_bucket = |key: &str| {
        let request = Request::new("GET", key);
        sent(&format!("photos.{S3}:8443"), request, &Signing::new(&reader, "s3"))
    };
    assert_eq!(authorizer.ask_nginx(&of_bucket("/public/a.jpg")).status, 200);
    assert_eq!(authorizer.ask_nginx(&of_bucket("/photos/public/a.jpg")).status, 403);
}

#[test]
fn a_pods_session_is_named_to_the_upstream() {
    let authorizer = start();
    let server = &authorizer.server;
    let made = server.json(
        &server.root,
        "eks",
        "POST",
        "/clusters",
        &serde_json::json!({
        "name": "az", "roleArn": format!("arn:aws:iam::{ACCOUNT}:role/c"), "resourcesVpcConfig": {} }),
    );
    assert_eq!(made.status, 200, "{}", made.text());
    let issuer = made.json()["cluster"]["identity"]["oidc"]["issuer"]
        .as_str()
        .unwrap()
        .to_owned();
    assert!(issuer.starts_with(ISSUER));
    server.iam_ok(
        &server.root,
        "CreateOpenIDConnectProvider",
        &[("Url", &issuer), ("ClientIDList.member.1", "sts.amazonaws.com")],
    );
    let bare = issuer.trim_start_matches("https://");
    let trust = policy(&format!(
        r#"{{"Effect":"Allow","Principal":{{"Federated":"arn:aws:iam::{ACCOUNT}:oidc-provider/{bare}"}},"Action":"sts:AssumeRoleWithWebIdentity","Condition":{{"StringEquals":{{"{bare}:sub":"system:serviceaccount:shop:reader"}}}}}}"#
    ));
    server.iam_ok(
        &server.root,
        "CreateRole",
        &[("RoleName", "reader"), ("AssumeRolePolicyDocument", &trust)],
    );
    let pairs = [
        ("RoleName", "reader"),
        ("PolicyName", "p"),
        ("PolicyDocument", &policy(READ)),
    ];
    server.iam_ok(&server.root, "PutRolePolicy", &pairs);
    let token = server.token(&server.root, "az", "shop/reader");
    let session = crate::harness::session_key(&server.exchange("reader", &token, &[]));
    let allowed = authorizer.ask_nginx(&s3(&session, "GET", "/photos/public/a.jpg"));
    assert_eq!(allowed.status, 200, "{allowed:?}");
    assert_eq!(
        allowed.header("x-irsa-principal-arn"),
        Some(&*format!("arn:aws:sts::{ACCOUNT}:assumed-role/reader/pod"))
    );
    assert_eq!(allowed.header("x-irsa-role-session-name"), Some("pod"));
    assert_eq!(
        allowed.header("x-irsa-subject"),
        Some("system:serviceaccount:shop:reader")
    );
    // A session token of another session, none, and one that was made up.
    let other = crate::harness::session_key(&server.exchange("reader", &token, &[]));
    for token in [other.token, Some("invented".to_owned())] {
        let key = Key {
            token,
            ..session.clone()
        };
        let refused = authorizer.ask_nginx(&s3(&key, "GET", "/photos/public/a.jpg"));
        assert_eq!(
            (refused.status, refused.header("x-irsa-error-code")),
            (401, Some("InvalidToken"))
        );
    }
    let key = Key { token: None, ..session };
    let refused = authorizer.ask_nginx(&s3(&key, "GET", "/photos/public/a.jpg"));
    assert_eq!(
        (refused.status, refused.header("x-irsa-error-code")),
        (401, Some("InvalidAccessKeyId"))
    );
}

#[test]
fn adv_az_01_what_was_signed_is_what_is_decided() {
    let authorizer = start();
    let admin = authorizer.admin();
    let good = s3(&admin, "GET", "/photos/a?x-id=GetObject");
    assert_eq!(authorizer.ask_nginx(&good).status, 200);
    let question = authorizer.nginx(&good);
    for (what, changed) in [
        (
            "the target",
            question.clone().replace("x-original-uri", "/photos/b?x-id=GetObject"),
        ),
        (
            "the query",
            question
                .clone()
                .replace("x-original-uri", "/photos/a?x-id=GetObject&versionId=1"),
        ),
        ("the method", question.clone().replace("x-original-method", "DELETE")),
        ("the host", question.clone().replace("host", &format!("other.{S3}"))),
        ("a header", question.clone().replace("x-amz-date", "20200101T000000Z")),
    ] {
        let refused = authorizer.ask(&changed);
        assert_eq!(refused.status, 401, "{what}: {refused:?}");
        authorizer.record(refused.header("x-irsa-request-id").unwrap());
    }
    // A header that was added on the way, and a signature that is nobody's.
    let refused = authorizer.ask(&question.clone().header("x-amz-acl", "public-read"));
    assert_eq!(
        (refused.status, refused.header("x-irsa-error-code")),
        (401, Some("AccessDenied"))
    );
    let wrong = Key {
        secret: "wrong".to_owned(),
        ..admin.clone()
    };
    let refused = authorizer.ask_nginx(&s3(&wrong, "GET", "/photos/a"));
    assert_eq!(
        (refused.status, refused.header("x-irsa-error-code")),
        (401, Some("SignatureDoesNotMatch"))
    );
    let record = authorizer.record(refused.header("x-irsa-request-id").unwrap());
    assert_eq!(record["userIdentity"]["accessKeyId"], admin.id.as_str(), "{record}");
    // Nobody at all.
    let unsigned = Sent {
        host: S3.to_owned(),
        request: Request::new("GET", "/photos/a"),
    };
    let refused = authorizer.ask_nginx(&unsigned);
    assert_eq!(
        (refused.status, refused.header("x-irsa-error-code")),
        (401, Some("AccessDenied"))
    );
    let unsigned = Sent {
        host: DYNAMODB.to_owned(),
        request: Request::new("POST", "/"),
    };
    assert_eq!(
        outcome(&authorizer.denied(&unsigned)),
        "403 MissingAuthenticationTokenException"
    );
}

#[test]
fn adv_az_02_a_request_lives_as_long_as_it_says() {
    let authorizer = start();
    let admin = authorizer.admin();
    let header = |seconds| {
        sent(
            S3,
            Request::new("GET", "/photos/a"),
            &Signing::new(&admin, "s3").at(seconds),
        )
    };
    let presigned = |seconds, expires: &str| Sent {
        host: S3.to_owned(),
        request: Request::new("GET", "/photos/a").presigned(S3, &Signing::new(&admin, "s3").at(seconds), expires),
    };
    for allowed in [
        header(-14 * 60),
        header(14 * 60),
        presigned(-50, "60"),
        presigned(-86_000, "86400"),
    ] {
        assert_eq!(authorizer.ask_nginx(&allowed).status, 200);
        authorizer.allowed(&allowed);
    }
    for (refused, code) in [
        (header(-16 * 60), "RequestTimeTooSkewed"),
        (header(16 * 60), "RequestTimeTooSkewed"),
        (presigned(-61, "60"), "AccessDenied"),
        (presigned(-700_000, "604800"), "AccessDenied"),
        (presigned(0, "604801"), "AuthorizationQueryParametersError"),
    ] {
        let answer = authorizer.ask_nginx(&refused);
        assert_eq!((answer.status, answer.header("x-irsa-error-code")), (401, Some(code)));
        authorizer.denied(&refused);
    }
    // Other services take no presigned requests.
    let request = Request::new("GET", "/?Action=ListQueues&Version=2012-11-05");
    let presigned = Sent {
        host: DYNAMODB.to_owned(),
        request: request.presigned(DYNAMODB, &Signing::new(&admin, "sqs"), "60"),
    };
    authorizer.denied(&presigned);
}

#[test]
fn adv_az_03_a_host_is_of_the_services_that_stand_behind_it() {
    let authorizer = start();
    let admin = authorizer.admin();
    let of = |host: &str, service| sent(host, Request::new("GET", "/photos/a"), &Signing::new(&admin, service));
    assert_eq!(authorizer.ask_nginx(&of(S3, "s3")).status, 200);
    assert_eq!(authorizer.ask_nginx(&of("s3.example.com:443", "s3")).status, 200);
    // A name that some stores would take a bucket from, and hosts of nobody.
    for host in [
        "secret.s3.amazonaws.com",
        "example.com",
        "s3.example.com.",
        "xs3.example.com",
        "127.0.0.1",
        "[::1]:1",
        ".s3.example.com",
    ] {
        let refused = authorizer.ask_nginx(&of(host, "s3"));
        assert_eq!(
            (refused.status, refused.header("x-irsa-error-code")),
            (401, Some("AccessDenied")),
            "{host}"
        );
        let record = authorizer.record(refused.header("x-irsa-request-id").unwrap());
        assert!(
            record["additionalEventData"]["irsa"]
                .to_string()
                .contains("--authorizer-for"),
            "{record}"
        );
    }
    // Signed for S3, and read as DynamoDB by what stands behind that host; and the other way round.
    let crossed = Request::new("PUT", "/photos/a")
        .header("x-amz-target", "DynamoDB_20120810.DeleteTable")
        .body("{}");
    assert_eq!(
        outcome(&authorizer.denied(&sent(DYNAMODB, crossed, &Signing::new(&admin, "s3")))),
        "403 InvalidSignatureException"
    );
    let refused = authorizer.ask_nginx(&of(S3, "dynamodb"));
    assert_eq!(refused.status, 401, "{refused:?}");
    assert_eq!(
        refused.header("x-irsa-error-code"),
        Some("AuthorizationHeaderMalformed")
    );
    // A service's own host is no bucket of a store that has the domain: what stands there would read the request as its own.
    let beside = start_with(AuthorizerConfig {
        services: [
            "s3=*.example.com",
            "route53=dns.example.com:8053",
            "s3=photos.example.com",
        ]
        .map(|service| service.parse().unwrap())
        .into(),
        ..settings()
    });
    let key = beside.admin();
    let of_beside = |host: &str, service| {
        let request = Request::new("GET", "/2013-04-01/hostedzone/Z1");
        beside.ask_nginx(&sent(host, request, &Signing::new(&key, service)))
    };
    assert_eq!(of_beside("dns.example.com:8053", "route53").status, 200);
    assert_eq!(of_beside("other.example.com", "s3").status, 200);
    for host in ["dns.example.com:8053", "dns.example.com", "dns.example.com:1"] {
        assert_eq!(of_beside(host, "s3").status, 401, "{host}");
    }
    // Nor is the store's own host one of its buckets.
    let own = of_beside("photos.example.com", "s3");
    let record = beside.record(own.header("x-irsa-request-id").unwrap());
    assert_eq!(record["requestParameters"]["bucketName"], "2013-04-01", "{record}");
    // And one service of a host may not be taken for another of it.
    authorizer.denied(&sent(
        DYNAMODB,
        Request::new("POST", "/")
            .header("x-amz-target", "DynamoDB_20120810.ListTables")
            .body("{}"),
        &Signing::new(&admin, "sqs"),
    ));
}

#[test]
fn adv_az_10_accounts_are_walls() {
    let authorizer = start();
    let server = &authorizer.server;
    let made = server.json(
        &server.root,
        "irsa",
        "POST",
        "/accounts",
        &serde_json::json!({"name": "b", "accountId": OTHER_ACCOUNT}),
    );
    assert_eq!(made.status, 200, "{}", made.text());
    let made = made.json();
    let text = |name: &str| made["accessKey"][name].as_str().unwrap().to_owned();
    let stranger = Key {
        id: text("accessKeyId"),
        secret: text("secretAccessKey"),
        token: None,
    };
    crate::harness::remember_secret(&stranger.secret);
    assert_eq!(
        outcome(&authorizer.denied(&dynamodb(&stranger, "ListTables", "{}"))),
        "400 AccessDeniedException"
    );
    let refused = authorizer.ask_nginx(&s3(&stranger, "GET", "/photos/a"));
    assert_eq!(
        (refused.status, refused.header("x-irsa-error-message")),
        (403, Some("Access Denied"))
    );
    // A bucket that somebody else has here does not become the one of that name behind the proxy.
    let created = server.s3(&stranger, "PUT", "/of-b", b"");
    assert_eq!(created.status, 200, "{}", created.text());
    assert_eq!(authorizer.ask_nginx(&s3(&stranger, "GET", "/of-b/a")).status, 403);
    assert_eq!(
        authorizer.ask_nginx(&s3(&authorizer.admin(), "GET", "/of-b/a")).status,
        200
    );
    // A stranger does not say what a public object is.
    let unsigned = Sent {
        host: S3.to_owned(),
        request: Request::new("GET", "/photos/a?response-content-type=text/html"),
    };
    let refused = authorizer.ask_nginx(&unsigned);
    assert_eq!(refused.header("x-irsa-error-code"), Some("InvalidRequest"));
    // Nor are lists and new buckets anybody's but the account's.
    assert_eq!(authorizer.ask_nginx(&s3(&stranger, "GET", "/")).status, 403);
    assert_eq!(authorizer.ask_nginx(&s3(&authorizer.admin(), "GET", "/")).status, 200);
}

#[test]
fn adv_az_11_what_only_the_store_knows_is_not_guessed() {
    let authorizer = start();
    let tagged = authorizer.user(
        r#"{"Effect":"Allow","Action":"s3:*","Resource":"*"},
           {"Effect":"Deny","Action":"s3:GetObject","Resource":"*","Condition":{"StringEquals":{"s3:ExistingObjectTag/secret":"yes"}}}"#,
    );
    let refused = authorizer.ask_nginx(&s3(&tagged, "GET", "/photos/a"));
    assert_eq!(refused.status, 403);
    assert!(
        refused
            .header("x-irsa-error-message")
            .unwrap()
            .contains("s3:ExistingObjectTag/secret"),
        "{refused:?}"
    );
    assert_eq!(authorizer.ask_nginx(&s3(&tagged, "PUT", "/photos/a")).status, 200);
    // Tags may go along with a copy: whoever may not read and write them may not copy.
    let copy = |key: &Key| {
        let request = Request::new("PUT", "/photos/b").header("x-amz-copy-source", "/photos/a");
        sent(S3, request, &Signing::new(key, "s3"))
    };
    let plain = authorizer.user(r#"{"Effect":"Allow","Action":["s3:GetObject","s3:PutObject"],"Resource":"*"}"#);
    let refused = authorizer.ask_nginx(&copy(&plain));
    assert!(
        refused
            .header("x-irsa-error-message")
            .unwrap()
            .contains("s3:GetObjectTagging"),
        "{refused:?}"
    );
    assert_eq!(authorizer.ask_nginx(&copy(&authorizer.admin())).status, 200);
}

/// Policies that ask for the version of TLS are decided where the proxy says it, and nothing is allowed by them where it does not.
#[test]
fn adv_az_15_the_version_of_tls_is_known_or_asked_of_nobody() {
    let authorizer = start();
    let modern = authorizer.user(
        r#"{"Effect":"Allow","Action":"s3:GetObject","Resource":"*"},
           {"Effect":"Deny","Action":"s3:*","Resource":"*","Condition":{"NumericLessThan":{"s3:TlsVersion":"1.3"}}}"#,
    );
    let get = s3(&modern, "GET", "/photos/a");
    assert_eq!(authorizer.ask_nginx(&get).status, 200);
    let over = |framing: &str| {
        let asked = authorizer.nginx(&get).replace("x-original-framing", framing);
        authorizer.ask(&asked)
    };
    let old = over("TLSv1.2;HTTP/1.1;;");
    assert_eq!(
        (old.status, old.header("x-irsa-error-code")),
        (403, Some("AccessDenied"))
    );
    assert!(
        old.header("x-irsa-error-message").unwrap().contains("explicit deny"),
        "{old:?}"
    );
    // As S3: who comes without TLS has no version of it.
    assert_eq!(authorizer.ask(&authorizer.plain_nginx(&get)).status, 200);
    // A file of nginx that says no version, and Envoy, which has none to say.
    let untold = over("HTTP/1.1;;");
    assert_eq!(untold.status, 403);
    assert!(
        untold.header("x-irsa-error-message").unwrap().contains("s3:TlsVersion"),
        "{untold:?}"
    );
    // What a client says of it is nothing.
    let forged = authorizer
        .nginx(&get)
        .replace("x-original-framing", "HTTP/1.1;;")
        .header("x-ssl-protocol", "TLSv1.3");
    assert_eq!(authorizer.ask(&forged).status, 403);
    authorizer.allowed(&get);
    let mut over_tls = authorizer.envoy(&get);
    let session = irsa_authorizer::envoy::message::TlsSession::default();
    over_tls.attributes.as_mut().unwrap().tls_session = Some(session.clone());
    match authorizer.check(&over_tls).unwrap() {
        HttpResponse::Denied(denied) => assert!(denied.body.contains("s3:TlsVersion"), "{}", denied.body),
        HttpResponse::Ok(_) => panic!("the version of TLS is not known, and yet it is allowed"),
    }
    // Policies that do not ask are decided as ever.
    let reader = authorizer.user(READ);
    let mut over_tls = authorizer.envoy(&s3(&reader, "GET", "/photos/public/a"));
    over_tls.attributes.as_mut().unwrap().tls_session = Some(session);
    assert!(matches!(authorizer.check(&over_tls), Ok(HttpResponse::Ok(_))));
    // Nor is a bucket's policy passed over.
    let server = &authorizer.server;
    let admin = authorizer.admin();
    assert_eq!(server.s3(&admin, "PUT", "/tls-bucket", b"").status, 200);
    let text = policy(
        r#"{"Effect":"Deny","Principal":"*","Action":"s3:*","Resource":"arn:aws:s3:::tls-bucket/*","Condition":{"NumericLessThan":{"s3:TlsVersion":1.3}}}"#,
    );
    let put = server.s3(&admin, "PUT", "/tls-bucket?policy", text.as_bytes());
    assert_eq!(put.status, 204, "{}", put.text());
    let get = s3(&admin, "GET", "/tls-bucket/a");
    assert_eq!(authorizer.ask_nginx(&get).status, 200);
    for (framing, status) in [("TLSv1.2;HTTP/1.1;;", 403), ("HTTP/1.1;;", 403)] {
        let asked = authorizer.nginx(&get).replace("x-original-framing", framing);
        assert_eq!(authorizer.ask(&asked).status, status, "{framing}");
    }
}
