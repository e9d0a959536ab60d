//! Requests that a server behind the proxy could read as others than those that were decided.

use super::*;

#[test]
fn adv_az_04_paths_that_servers_read_in_two_ways() {
    let authorizer = start();
    let reader = authorizer.user(r#"{"Effect":"Allow","Action":"s3:*","Resource":"arn:aws:s3:::photos/public/*"}"#);
    let tricks = [
        "/photos/public/../secret",
        "/photos/public/%2e%2e/secret",
        "/photos/public/./a",
        "/photos/public//a",
        "/photos//public/a",
        "//photos/public/a",
        "/photos/public/a%2F..%2F..%2Fsecret",
        "/photos/public/a%2fb",
        "/photos/public/a%5c..%5csecret",
        "/photos/public/..",
        "/photos/public/a%00",
        "/photos/public/a;v=1/../../secret",
        "/photos/pri;vate/a",
        "/photos/public/a+b",
        "/photos/public/%252e%252e/secret",
        "/photos/public/100%",
    ];
    for trick in tricks {
        for method in ["GET", "PUT", "DELETE"] {
            let refused = authorizer.ask_nginx(&s3(&reader, method, trick));
            assert_eq!(refused.status, 403, "{method} {trick}: {refused:?}");
            authorizer.record(refused.header("x-irsa-request-id").unwrap());
        }
        let copy = Request::new("PUT", "/photos/public/copy").header("x-amz-copy-source", trick);
        let copy = sent(S3, copy, &Signing::new(&reader, "s3"));
        assert_eq!(authorizer.ask_nginx(&copy).status, 403, "{trick}");
    }
    for plain in [
        "/photos/public/a%20b%2Bc%3B",
        "/photos/public/folder/",
        "/photos/public/a..b/.c",
        "/photos/public/100%25",
    ] {
        assert_eq!(authorizer.ask_nginx(&s3(&reader, "GET", plain)).status, 200, "{plain}");
    }
    // A store that takes keys as they are: then a key is what it is.
    let literal = start_with(AuthorizerConfig {
        literal_keys: true,
        ..settings()
    });
    let reader = literal.user(READ);
    for key in ["/photos/public/../secret", "/photos/public//a", "/photos/public/a%2Fb"] {
        assert_eq!(literal.ask_nginx(&s3(&reader, "GET", key)).status, 200, "{key}");
    }
    for key in ["/photos//public/a", "/photos/public/%zz/../../../x%"] {
        let status = literal.ask_nginx(&s3(&reader, "GET", key)).status;
        let expected = if key.starts_with("/photos/public/") { 200 } else { 403 };
        assert_eq!(status, expected, "{key}");
    }
}

/// Status and code of a refusal that nginx hears.
fn refusal(answer: &Response) -> (u16, &str) {
    (answer.status, answer.header("x-irsa-error-code").unwrap_or_default())
}

#[test]
fn adv_az_16_parameters_that_stand_for_headers() {
    let authorizer = start();
    let admin = authorizer.admin();
    // For S3 a parameter of this name is a header if the signature stands beside it; for others it is nothing. `/photos/a` would be
    // written, or `/photos/secret` copied.
    for target in [
        "/photos/a?x-amz-copy-source=%2Fphotos%2Fsecret",
        "/photos/a?X-Amz-Copy-Source=%2Fphotos%2F..%2Fsecret",
        "/photos/a?x-amz-acl=bucket-owner-full-control",
        "/photos/a?x-amz-tagging=a%3Db",
        "/photos/a?x%2Damz-tagging=a%3Db",
        "/photos/a?x-amz-storage-class=STANDARD",
        "/photos/a?x-amz-meta-a=b",
        "/photos/a?x-amz-content-sha256=UNSIGNED-PAYLOAD",
    ] {
        let refused = authorizer.ask_nginx(&s3(&admin, "PUT", target));
        assert_eq!(refusal(&refused), (403, "InvalidArgument"), "{target}");
        let record = authorizer.record(refused.header("x-irsa-request-id").unwrap());
        assert!(
            record["additionalEventData"]["irsa"].to_string().contains("two ways"),
            "{record}"
        );
    }
    // Nobody's request is not presigned either.
    let unsigned = Sent {
        host: S3.to_owned(),
        request: Request::new("PUT", "/photos/a?x-amz-acl=bucket-owner-full-control"),
    };
    assert_eq!(refusal(&authorizer.ask_nginx(&unsigned)), (401, "InvalidArgument"));
    let presigned = |target: &str| Sent {
        host: S3.to_owned(),
        request: Request::new("PUT", target).presigned(S3, &Signing::new(&admin, "s3"), "60"),
    };
    for allowed in [
        "/photos/a",
        "/photos/a?x-amz-tagging=a%3Db",
        "/photos/a?X-Amz-Acl=bucket-owner-full-control",
    ] {
        assert_eq!(authorizer.ask_nginx(&presigned(allowed)).status, 200, "{allowed}");
    }
    let copies = presigned("/photos/a?x-amz-copy-source=%2Fphotos%2Fsecret");
    assert_eq!(refusal(&authorizer.ask_nginx(&copies)), (403, "InvalidArgument"));
    // What the parameter says counts: who may not tag may not tag so.
    let writer = authorizer.user(r#"{"Effect":"Allow","Action":"s3:PutObject","Resource":"*"}"#);
    let tagged = Sent {
        host: S3.to_owned(),
        request: Request::new("PUT", "/photos/a?x-amz-tagging=a%3Db").presigned(S3, &Signing::new(&writer, "s3"), "60"),
    };
    assert_eq!(refusal(&authorizer.ask_nginx(&tagged)), (403, "AccessDenied"));
}

#[test]
fn adv_az_17_sources_of_copies_with_two_readings() {
    let authorizer = start();
    let literal = start_with(AuthorizerConfig {
        literal_keys: true,
        ..settings()
    });
    let copy = |key: &Key, source: &str| {
        let request = Request::new("PUT", "/photos/copy").header("x-amz-copy-source", source);
        sent(S3, request, &Signing::new(key, "s3"))
    };
    for authorizer in [&authorizer, &literal] {
        let admin = authorizer.admin();
        for source in ["/photos/a", "photos/a%20b%2B", "photos/a?versionId=3%2FL4"] {
            assert_eq!(authorizer.ask_nginx(&copy(&admin, source)).status, 200, "{source}");
        }
        for source in [
            "/photos/a?b",
            "/photos/a?versionid=1",
            "/photos/a?versionId=1&versionId=2",
            "/photos/a?x=1&versionId=2",
            "/photos/a?versionId=1?versionId=2",
            "/photos/a#b",
            "/photos/a+b",
        ] {
            let refused = authorizer.ask_nginx(&copy(&admin, source));
            assert_eq!(refusal(&refused), (403, "InvalidURI"), "{source}");
            assert_eq!(outcome(&authorizer.denied(&copy(&admin, source))), "400 InvalidURI");
        }
        let part =
            Request::new("PUT", "/photos/copy?partNumber=1&uploadId=a").header("x-amz-copy-source", "/photos/a?b");
        let part = sent(S3, part, &Signing::new(&admin, "s3"));
        assert_eq!(refusal(&authorizer.ask_nginx(&part)), (403, "InvalidURI"));
    }
}

#[test]
fn adv_az_18_hosts_with_two_readings() {
    let authorizer = start();
    let admin = authorizer.admin();
    // A store that does not fold cases sees no bucket in the host, and takes the path's first part for one.
    for host in [
        &format!("PHOTOS.{S3}"),
        &format!("photos.{}", S3.to_uppercase()),
        "S3.example.com",
        "s3.example.com:",
        "s3.example.com:0443",
        "s3.example.com:65536",
        "s3.example.com:99999",
        "s3.example.com:443:443",
    ] {
        let question = sent(host, Request::new("GET", "/secret/a"), &Signing::new(&admin, "s3"));
        assert_eq!(authorizer.ask_nginx(&question).status, 400, "{host}");
        let error = authorizer.check(&authorizer.envoy(&question)).map(drop).unwrap_err();
        assert!(error.starts_with("3 "), "{host}: {error}");
    }
}

#[test]
fn adv_az_19_headers_with_two_readings() {
    let authorizer = start();
    let admin = authorizer.admin();
    let put = |headers: &[(&str, &str)]| {
        let mut request = Request::new("PUT", "/photos/a");
        for (name, value) in headers {
            request = request.header(name, value);
        }
        sent(S3, request, &Signing::new(&admin, "s3"))
    };
    for twice in [
        [("if-match", "\"a\""), ("if-match", "*")],
        [("if-none-match", "*"), ("if-none-match", "\"a\"")],
        [("content-type", "text/plain"), ("content-type", "text/html")],
        [
            ("x-amz-expected-bucket-owner", ACCOUNT),
            ("x-amz-expected-bucket-owner", OTHER_ACCOUNT),
        ],
    ] {
        assert_eq!(authorizer.ask_nginx(&put(&twice[..1])).status, 200, "{twice:?}");
        // A header that comes twice is signed as a list.
        let [(name, one), (_, other)] = twice;
        let mut question = put(&[(name, &format!("{one},{other}"))]);
        question.request = question.request.without(name).header(name, one).header(name, other);
        let refused = authorizer.ask_nginx(&question);
        assert_eq!(refusal(&refused), (403, "InvalidArgument"), "{twice:?}");
        assert_eq!(outcome(&authorizer.denied(&question)), "400 InvalidArgument");
    }
    // Orders for stores of others.
    for order in ["x-goog-copy-source", "x-oss-copy-source", "x-minio-extract"] {
        let refused = authorizer.ask_nginx(&put(&[(order, "/photos/secret")]));
        assert_eq!(refusal(&refused), (403, "InvalidArgument"), "{order}");
    }
    // Not signed, and a header with hyphens for stores that get their headers as a program gets variables.
    let question = s3(&admin, "PUT", "/photos/a");
    for (name, value) in [
        ("x_amz_copy_source", "/photos/secret"),
        ("x-amz_copy_source", "/photos/secret"),
        ("x-http-method-override", "DELETE"),
        ("upgrade", "h2c"),
    ] {
        let over_nginx = authorizer.nginx(&question).header(name, value);
        assert_eq!(authorizer.ask(&over_nginx).status, 400, "{name}");
        let mut over_envoy = authorizer.envoy(&question);
        let headers = &mut http_of(&mut over_envoy).header_map.as_mut().unwrap().headers;
        headers.push(HeaderValue {
            key: name.to_owned(),
            value: String::new(),
            raw_value: value.as_bytes().to_vec(),
        });
        let error = authorizer.check(&over_envoy).map(drop).unwrap_err();
        assert!(error.starts_with("3 "), "{name}: {error}");
    }
}

#[test]
fn adv_az_20_queries_with_two_readings() {
    let authorizer = start();
    let admin = authorizer.admin();
    for target in [
        // It parts parameters for some, and not for others.
        "/photos?list-type=2&prefix=a/;",
        "/photos?list-type=2&prefix=a%2F..%2Fsecret%2F",
        "/photos?list-type=2&prefix=%2Fsecret",
        "/photos?list-type=2&max-keys=",
        "/photos?acl=x",
        // The object itself, for stores that take an empty parameter for none.
        "/photos/a?uploadId=",
        "/photos/a?versionId=",
        "/photos/a?x-oss-process=style",
    ] {
        let refused = authorizer.ask_nginx(&s3(&admin, "GET", target));
        assert_eq!(refusal(&refused), (403, "InvalidArgument"), "{target}");
    }
    let aborts = authorizer.user(r#"{"Effect":"Allow","Action":"s3:AbortMultipartUpload","Resource":"*"}"#);
    assert_eq!(
        authorizer
            .ask_nginx(&s3(&aborts, "DELETE", "/photos/a?uploadId=u"))
            .status,
        200
    );
    let deletes = authorizer.ask_nginx(&s3(&aborts, "DELETE", "/photos/a?uploadId="));
    assert_eq!(refusal(&deletes), (403, "InvalidArgument"));
    for target in [
        "/photos?list-type=2&prefix=a%2Fb%20c%2B%3B&max-keys=10",
        "/photos/a?uploadId=u",
        "/photos/a?response-content-disposition=a%3B%20b&x-id=GetObject",
    ] {
        assert_eq!(authorizer.ask_nginx(&s3(&admin, "GET", target)).status, 200, "{target}");
    }
}

#[test]
fn adv_az_21_documents_with_two_readings() {
    let authorizer = start();
    let literal = start_with(AuthorizerConfig {
        literal_keys: true,
        ..settings()
    });
    let deletes = |key: &Key, document: &str, headers: &[(&str, &str)]| {
        let mut request = Request::new("POST", "/photos?delete").body(document);
        for (name, value) in headers {
            request = request.header(name, value);
        }
        sent(S3, request, &Signing::new(key, "s3"))
    };
    let one = |inner: &str| format!("<Delete><Object>{inner}</Object></Delete>");
    for authorizer in [&authorizer, &literal] {
        let admin = authorizer.admin();
        authorizer.allowed(&deletes(&admin, &one("<Key>public/a&amp;b</Key>"), &[]));
        for document in [
            // Some readers pass CDATA and comments over, others take them for a part of the key.
            one("<Key>public/a<![CDATA[/../../secret]]></Key>"),
            one("<Key>public/a<!-- x -->b</Key>"),
            one("<Key>public/a</Key><Key>secret</Key>"),
            one("<Key>public/a</Key><x:Key xmlns:x=\"y\">secret</x:Key>"),
            one("<Other><Key>secret</Key></Other><Key>public/a</Key>"),
            one("<Key> public/a</Key>"),
            format!(
                "<?xml version=\"1.0\" encoding=\"utf-7\"?>{}",
                one("<Key>public/a+ADw-</Key>")
            ),
            format!("<!DOCTYPE Delete>{}", one("<Key>public/a</Key>")),
        ] {
            let denied = authorizer.denied(&deletes(&admin, &document, &[]));
            assert_eq!(outcome(&denied), "400 MalformedXML", "{document}");
        }
        for header in [
            ("content-encoding", "gzip"),
            ("content-type", "application/xml; charset=utf-7"),
            ("content-type", "text/xml, multipart/form-data; boundary=b"),
        ] {
            let denied = authorizer.denied(&deletes(&admin, &one("<Key>public/a</Key>"), &[header]));
            assert_eq!(outcome(&denied), "400 InvalidArgument", "{header:?}");
        }
    }
    // Keys that a store of files would take for others.
    for key in ["public/../secret", "public//a", "/secret", "./a", "a\\b"] {
        let document = one(&format!("<Key>{key}</Key>"));
        let denied = authorizer.denied(&deletes(&authorizer.admin(), &document, &[]));
        assert_eq!(outcome(&denied), "400 InvalidURI", "{key}");
        literal.allowed(&deletes(&literal.admin(), &document, &[]));
    }
    // The other documents that decide.
    let admin = authorizer.admin();
    for (target, document) in [
        (
            "/photos/a?tagging",
            "<Tagging><TagSet><Tag><Key>a</Key><Value>b<![CDATA[c]]></Value></Tag></TagSet></Tagging>",
        ),
        (
            "/photos-new",
            "<CreateBucketConfiguration><LocationConstraint>eu-west-1</LocationConstraint><LocationConstraint>us-west-2</LocationConstraint></CreateBucketConfiguration>",
        ),
    ] {
        let request = Request::new("PUT", target).body(document);
        let denied = authorizer.denied(&sent(S3, request, &Signing::new(&admin, "s3")));
        assert_eq!(outcome(&denied), "400 MalformedXML", "{target}");
    }
}
