//! S3 through the whole pipeline: keys that mean something else, bodies that never end, and what a refusal tells.

use std::io::Write;
use std::time::{Duration, Instant};

use crate::client::{Request, Response, connect, exchange, read_answer, sha256};
use crate::harness::{ACCOUNT, Server, name, policy, world};

/// A user with one statement of permissions, and a bucket of its own.
fn user(server: &Server, statement: &str) -> crate::client::Key {
    server.user(&server.root, &name("s3"), Some(&policy(statement)))
}

#[test]
fn xml_bodies_that_are_hostile() {
    let world = world();
    let server = &world.server;
    let laughs: String = (1..10)
        .map(|n| format!("<!ENTITY l{n} \"{}\">", format!("&l{};", n - 1).repeat(10)))
        .collect();
    let bomb = format!(
        "<?xml version=\"1.0\"?><!DOCTYPE d [<!ENTITY l0 \"lol\">{laughs}]><Delete><Object><Key>&l9;</Key></Object></Delete>"
    );
    let file = "<?xml version=\"1.0\"?><!DOCTYPE d [<!ENTITY f SYSTEM \"file:///etc/passwd\">]><Delete><Object><Key>&f;</Key></Object></Delete>".to_owned();
    let deep = format!("{}{}", "<a>".repeat(100_000), "</a>".repeat(100_000));
    let many = format!("<Delete>{}</Delete>", "<Object><Key>k</Key></Object>".repeat(1001));
    let wide = format!("<Delete>{}</Delete>", "<Object><Key>k</Key></Object>".repeat(60_000));
    for (what, body) in [
        ("entities", bomb),
        ("a file", file),
        ("deep", deep),
        ("1001 keys", many),
        ("60000 keys", wide),
        ("cut", "<Delete><Object><Key>hello.txt".to_owned()),
        ("another document", "<CreateBucketConfiguration/>".to_owned()),
        ("nothing", String::new()),
        ("text", "hello".to_owned()),
        ("no keys", "<Delete></Delete>".to_owned()),
        ("NUL", "<Delete><Object><Key>\0</Key></Object></Delete>".to_owned()),
        ("three megabytes", format!("<Delete>{}</Delete>", " ".repeat(3 << 20))),
        ("attributes", format!("<Delete {}/>", "a=\"b\" ".repeat(50_000))),
    ] {
        let before = Instant::now();
        let response = server.s3(&world.admin, "POST", "/first-bucket?delete", body.as_bytes());
        assert!(before.elapsed() < Duration::from_secs(20), "{what}");
        if what != "NUL" {
            assert!(
                (400..=413).contains(&response.status),
                "{what}: {} {}",
                response.status,
                response.text()
            );
        }
        assert!(!response.text().contains("root:"), "{what}");
        assert!(response.body.len() < 64 * 1024, "{what}");
        // A key that was decided has a record of its own.
        assert!(!server.records(response.request_id().unwrap()).is_empty(), "{what}");
    }
    for body in [
        "<CreateBucketConfiguration><LocationConstraint>../..</LocationConstraint></CreateBucketConfiguration>",
        "<a",
        "\0",
    ] {
        let response = server.s3(&world.admin, "PUT", &format!("/{}", name("xml")), body.as_bytes());
        assert!((400..=403).contains(&response.status), "{body}: {}", response.text());
        server.record(&response);
    }
    assert_eq!(
        server.s3(&world.admin, "GET", "/first-bucket/hello.txt", b"").text(),
        "hello"
    );
}

#[test]
fn names_of_buckets_that_are_none() {
    let world = world();
    let server = &world.server;
    for bucket in [
        "a",
        "UPPER",
        "under_score",
        "..",
        "%2e%2e",
        "a..b",
        "192.168.0.1",
        "xn--a",
        "-a-b",
        "a-s3alias",
        &"a".repeat(64),
        "a%2Fb",
        "a%00b",
        "%ff",
    ] {
        let response = server.s3(&world.admin, "PUT", &format!("/{bucket}"), b"");
        assert!(
            (400..=405).contains(&response.status) || bucket == "a%2Fb",
            "{bucket}: {} {}",
            response.status,
            response.text()
        );
        server.record(&response);
    }
    let again = server.s3(&server.root, "PUT", "/first-bucket", b"");
    assert!(
        matches!(again.outcome().as_str(), "409 BucketAlreadyOwnedByYou" | "200"),
        "{}",
        again.text()
    );
    let taken = server.s3(&server.root, "PUT", "/second-bucket", b"");
    assert_eq!(taken.outcome(), "409 BucketAlreadyExists", "{}", taken.text());
    let full = server.s3(&server.root, "DELETE", "/first-bucket", b"");
    assert_eq!(full.outcome(), "409 BucketNotEmpty", "{}", full.text());
}

#[test]
fn operations_that_are_not_done_are_refused_and_never_half_done() {
    let world = world();
    let server = &world.server;
    for (method, target) in [
        ("PUT", "/first-bucket?policy"),
        ("PUT", "/first-bucket?acl"),
        ("GET", "/first-bucket?policy"),
        ("PUT", "/first-bucket?abac"),
        ("GET", "/first-bucket?metrics"),
        ("PUT", "/first-bucket/hello.txt?acl"),
        ("PUT", "/first-bucket/hello.txt?tagging"),
        ("DELETE", "/first-bucket/hello.txt?versionId=1"),
        ("GET", "/first-bucket/hello.txt?versionId=1"),
        ("GET", "/first-bucket/hello.txt?torrent"),
        ("PUT", "/first-bucket/hello.txt?unknown=1"),
        ("DELETE", "/first-bucket?inventory&id=1"),
        ("PUT", "/first-bucket?lifecycle"),
        ("PUT", "/first-bucket?versioning"),
        ("POST", "/first-bucket/hello.txt?restore"),
        ("POST", "/first-bucket/hello.txt?select&select-type=2"),
        ("PATCH", "/first-bucket/hello.txt"),
        ("DELETE", "/"),
        ("POST", "/"),
        ("PUT", "/"),
    ] {
        let response = server.s3(&world.admin, method, target, b"");
        assert!(
            (400..=501).contains(&response.status) && response.status != 500,
            "{method} {target}: {} {}",
            response.status,
            response.text()
        );
        let record = server.record(&response);
        assert_eq!(
            record["userIdentity"]["userName"], "admin",
            "{method} {target}: {record}"
        );
    }
    for (header, value) in [
        ("x-amz-acl", "public-read"),
        ("x-amz-server-side-encryption", "aws:kms"),
        ("x-amz-tagging", "a=b&a=c"),
        ("x-amz-website-redirect-location", "/x"),
        ("x-amz-object-lock-mode", "COMPLIANCE"),
        ("x-amz-storage-class", "GLACIER"),
        ("x-amz-write-offset-bytes", "0"),
    ] {
        let request = Request::new("PUT", "/first-bucket/headers")
            .header(header, value)
            .body("x");
        let response = server.signed(request, &world.admin, "s3");
        assert!(
            (400..=501).contains(&response.status) && response.status != 500,
            "{header}: {}",
            response.text()
        );
    }
    assert_eq!(server.s3(&world.admin, "GET", "/first-bucket/headers", b"").status, 404);
    assert_eq!(
        server.s3(&world.admin, "GET", "/first-bucket/hello.txt", b"").text(),
        "hello"
    );
}

#[test]
fn ranges_and_conditions_that_are_hostile() {
    let world = world();
    let server = &world.server;
    let get = |name: &str, value: &str| {
        let request = Request::new("GET", "/first-bucket/hello.txt").header(name, value);
        server.signed(request, &world.admin, "s3")
    };
    for (range, status, body) in [
        ("bytes=0-0", 206, "h"),
        ("bytes=-2", 206, "lo"),
        ("bytes=1-99999999999999999999", 206, "ello"),
        ("bytes=-99999999999999999999", 206, "hello"),
        ("bytes=18446744073709551615-", 416, ""),
        ("bytes=5-", 416, ""),
        ("bytes=-0", 416, ""),
        ("bytes=2-1", 200, "hello"),
        ("bytes=a-b", 200, "hello"),
        ("lines=1-2", 200, "hello"),
    ] {
        let response = get("range", range);
        let fits = response.status == status && (status == 416 || response.text() == body);
        // A number that is no number makes a range that is none.
        let huge = range.len() > 20;
        let ignored = huge && response.status == 200 && response.text() == "hello";
        assert!(fits || ignored, "{range}: {} {}", response.status, response.text());
        server.record(&response);
    }
    for (name, value) in [
        ("if-match", "\"nope\""),
        ("if-match", "*"),
        ("if-none-match", "*"),
        ("if-modified-since", "not a date"),
        ("if-modified-since", "Thu, 01 Jan 9999 00:00:00 GMT"),
        ("if-unmodified-since", "Thu, 01 Jan 1970 00:00:00 GMT"),
    ] {
        let response = get(name, value);
        assert!(
            matches!(response.status, 200 | 304 | 400 | 412),
            "{name} {value}: {}",
            response.status
        );
        server.record(&response);
    }
    // A condition is a question about what is there: it needs the permission to read.
    let writer = user(server, r#"{"Effect":"Allow","Action":"s3:PutObject","Resource":"*"}"#);
    let request = Request::new("PUT", "/first-bucket/hello.txt")
        .header("if-match", "\"5d41402abc4b2a76b9719d911017c592\"")
        .body("x");
    assert_eq!(server.signed(request, &writer, "s3").outcome(), "403 AccessDenied");
    for query in [
        "max-keys=-1",
        "max-keys=99999999999",
        "max-keys=x",
        "encoding-type=zip",
        "list-type=3",
        "continuation-token=%00",
        "continuation-token=AAAA",
        "start-after=%ff",
        "delimiter=%00",
    ] {
        let response = server.s3(&world.admin, "GET", &format!("/first-bucket?list-type=2&{query}"), b"");
        assert!(
            response.status < 500 || response.status == 501,
            "{query}: {}",
            response.text()
        );
        server.record(&response);
    }
}

#[test]
fn big_objects_stream_and_interrupted_ones_are_not_there() {
    let world = world();
    let server = &world.server;
    let big: Vec<u8> = (0..5_000_000_u32).map(|n| u8::try_from(n % 251).unwrap()).collect();
    let put = server.s3(&world.admin, "PUT", "/first-bucket/big", &big);
    assert_eq!(put.status, 200, "{}", put.text());
    let record = server.record(&put);
    assert_eq!(
        record["additionalEventData"]["bytesTransferredIn"], 5_000_000,
        "{record}"
    );
    let got = server.s3(&world.admin, "GET", "/first-bucket/big", b"");
    assert!(got.body == big);
    server.record(&got);

    // Half of a body, then nobody: no object, and a record of the attempt.
    let request = Request::new("PUT", "/first-bucket/half")
        .body(big.clone())
        .sign(&server.host, &world.admin, "s3");
    let bytes = request.bytes(&server.host);
    let mut stream = connect(&server.host);
    stream.write_all(&bytes[..bytes.len() / 2]).unwrap();
    drop(stream);
    let attempt = || {
        let filter = irsa_audit::Filter {
            event_name: Some("PutObject".to_owned()),
            ..irsa_audit::Filter::default()
        };
        server
            .all_records(filter)
            .into_iter()
            .find(|record| record["requestParameters"]["key"] == "half")
    };
    let before = Instant::now();
    let record = loop {
        if let Some(record) = attempt() {
            break record;
        }
        assert!(
            before.elapsed() < Duration::from_secs(20),
            "an interrupted upload left no record"
        );
        std::thread::sleep(Duration::from_millis(20));
    };
    assert!(record["errorCode"].is_string(), "{record}");
    assert_eq!(record["userIdentity"]["userName"], "admin");
    assert_eq!(
        server.s3(&world.admin, "GET", "/first-bucket/half", b"").outcome(),
        "404 NoSuchKey"
    );

    // A length without a body, and a body without a length.
    let head = |lines: &str| {
        let request = Request::new("PUT", "/first-bucket/odd")
            .body("x")
            .sign(&server.host, &world.admin, "s3");
        let headers: String = request
            .headers
            .iter()
            .map(|(name, value)| format!("{name}: {value}\r\n"))
            .collect();
        format!(
            "PUT /first-bucket/odd HTTP/1.1\r\nhost: {}\r\nconnection: close\r\n{headers}{lines}\r\n",
            server.host
        )
    };
    let chunked = head("transfer-encoding: chunked\r\n") + "1\r\nx\r\n0\r\n\r\n";
    let response = exchange(&server.host, chunked.as_bytes(), false).unwrap();
    assert!(matches!(response.status, 200 | 411), "{}", response.text());
    let response = exchange(&server.host, head("").as_bytes(), false).unwrap();
    assert!((400..=411).contains(&response.status), "{}", response.text());
    let too_large = Request::new("PUT", "/first-bucket/huge")
        .header("content-length", "6442450944")
        .sign(&server.host, &world.admin, "s3");
    let mut stream = connect(&server.host);
    stream.write_all(&too_large.bytes(&server.host)).unwrap();
    let response = read_answer(&mut stream, false).unwrap();
    assert_eq!(response.outcome(), "400 EntityTooLarge", "{}", response.text());
}

#[test]
fn the_virtual_host_names_the_bucket_that_is_decided() {
    let world = world();
    let server = &world.server;
    let port = server.host.rsplit(':').next().unwrap();
    let ask = |host: &str, path: &str| -> Response {
        let request = Request::new("GET", path)
            .header("host", host)
            .sign(&server.host, &world.admin, "s3");
        server.send(&request)
    };
    let got = ask(&format!("first-bucket.localhost:{port}"), "/hello.txt");
    assert_eq!(got.text(), "hello");
    let record = server.record(&got);
    assert_eq!(record["resources"][0]["ARN"], "arn:aws:s3:::first-bucket/hello.txt");
    assert_eq!(
        record["requestParameters"],
        serde_json::json!({"bucketName": "first-bucket", "Host": format!("first-bucket.localhost:{port}"), "key": "hello.txt"})
    );
    // As CloudTrail has it: the account stands with the bucket alone.
    assert_eq!(record["resources"][0].get("accountId"), None, "{record}");
    assert_eq!(record["resources"][0]["type"], "AWS::S3::Object");
    assert_eq!(record["resources"][1]["ARN"], "arn:aws:s3:::first-bucket");
    assert_eq!(record["resources"][1]["type"], "AWS::S3::Bucket");
    assert_eq!(record["resources"][1]["accountId"], ACCOUNT);
    assert_eq!(record["resources"].as_array().unwrap().len(), 2);
    let other = ask(&format!("second-bucket.localhost:{port}"), "/hello.txt");
    assert_eq!(other.outcome(), "403 AccessDenied", "{}", other.text());
    // The bucket of the name counts, not one of the path.
    let both = ask(&format!("second-bucket.localhost:{port}"), "/first-bucket/hello.txt");
    assert_eq!(both.outcome(), "403 AccessDenied", "{}", both.text());
    // Clients that sign one host and name another get nowhere.
    let signed = Request::new("GET", "/hello.txt")
        .header("host", &format!("first-bucket.localhost:{port}"))
        .sign(&server.host, &world.admin, "s3")
        .replace("host", &format!("second-bucket.localhost:{port}"));
    assert_eq!(server.send(&signed).outcome(), "403 SignatureDoesNotMatch");
    for host in [
        "..localhost",
        ".localhost",
        "%00.localhost",
        "a b.localhost",
        &format!("{}.localhost", "a".repeat(300)),
    ] {
        let response = ask(host, "/");
        assert!(
            (200..=501).contains(&response.status) && response.status != 500,
            "{host}: {}",
            response.text()
        );
    }
}

#[test]
fn keys_of_conditions_can_be_trusted() {
    let world = world();
    let server = &world.server;
    let denied = |statement: &str, request: Request| {
        let key = user(server, statement);
        server.signed(request, &key, "s3").outcome()
    };
    let get = || Request::new("GET", "/first-bucket/hello.txt");
    // PE-19: a forwarded address that nobody vouches for.
    let statement = r#"{"Effect":"Allow","Action":"s3:GetObject","Resource":"*","Condition":{"IpAddress":{"aws:SourceIp":"10.0.0.0/8"}}}"#;
    assert_eq!(
        denied(statement, get().header("x-forwarded-for", "10.1.2.3")),
        "403 AccessDenied"
    );
    assert_eq!(
        denied(statement, get().header("forwarded", "for=10.1.2.3")),
        "403 AccessDenied"
    );
    assert_eq!(
        denied(statement, get().header("x-real-ip", "10.1.2.3")),
        "403 AccessDenied"
    );
    let statement = r#"{"Effect":"Allow","Action":"s3:GetObject","Resource":"*","Condition":{"Bool":{"aws:SecureTransport":"true"}}}"#;
    assert_eq!(
        denied(statement, get().header("x-forwarded-proto", "https")),
        "403 AccessDenied"
    );
    let statement = r#"{"Effect":"Allow","Action":"s3:GetObject","Resource":"*","Condition":{"StringEquals":{"aws:PrincipalAccount":"999999999999"}}}"#;
    assert_eq!(
        denied(
            statement,
            get()
                .header("aws:principalaccount", "999999999999")
                .without("aws:principalaccount")
        ),
        "403 AccessDenied"
    );
    let statement = r#"{"Effect":"Allow","Action":"s3:ListBucket","Resource":"*","Condition":{"StringEquals":{"s3:prefix":"allowed/"}}}"#;
    let key = user(server, statement);
    let list = |query: &str| server.s3(&key, "GET", &format!("/first-bucket?{query}"), b"").outcome();
    assert_eq!(list("list-type=2&prefix=allowed/"), "200");
    assert_eq!(list("list-type=2&prefix=allowed%2F"), "200");
    assert_eq!(list("list-type=2"), "403 AccessDenied");
    assert_eq!(list("list-type=2&prefix="), "403 AccessDenied");
    assert_eq!(list("list-type=2&prefix=allowed/x"), "403 AccessDenied");
    for twice in [
        "prefix=allowed/&prefix=",
        "prefix=&prefix=allowed/",
        "prefix=allowed/&%70refix=other",
    ] {
        let outcome = list(&format!("list-type=2&{twice}"));
        assert!(
            outcome.starts_with("400") || outcome.starts_with("403"),
            "{twice}: {outcome}"
        );
    }
    assert_eq!(sha256(b"").len(), 64);
}

#[test]
fn what_callers_wrote_does_not_end_a_header() {
    let world = world();
    let server = &world.server;
    for query in [
        "response-content-disposition=a%0d%0aset-cookie:%20a%3Db",
        "response-content-type=text/html%0a%0a%3Cscript%3E",
        "response-cache-control=%00",
        "response-content-language=%E2%98%83",
        "response-expires=x%0dy",
    ] {
        let response = server.s3(&world.admin, "GET", &format!("/first-bucket/hello.txt?{query}"), b"");
        assert!(response.header("set-cookie").is_none(), "{query}: {response:?}");
        assert!(
            (200..=400).contains(&response.status),
            "{query}: {} {}",
            response.status,
            response.text()
        );
        assert!(
            response.status == 400 || response.text() == "hello",
            "{query}: {}",
            response.text()
        );
        server.record(&response);
        // Those who did not sign have no say in headers.
        let unsigned = server.send(&Request::new("GET", &format!("/first-bucket/hello.txt?{query}")));
        assert!(matches!(unsigned.status, 400 | 403), "{query}: {}", unsigned.text());
    }
    let request = Request::new("PUT", "/first-bucket/meta")
        .header("x-amz-meta-a", "b\"; c=\t=?UTF-8?B?4piD?=")
        .header("content-type", "text/html; <script>")
        .body("x");
    let put = server.signed(request, &world.admin, "s3");
    assert!(matches!(put.status, 200 | 400), "{}", put.text());
    let got = server.s3(&world.admin, "GET", "/first-bucket/meta", b"");
    assert!(matches!(got.status, 200 | 404), "{}", got.text());
    let much = (0..300).fold(Request::new("PUT", "/first-bucket/much").body("x"), |request, index| {
        request.header(&format!("x-amz-meta-{index}"), &"v".repeat(100))
    });
    // More headers than a head may have, or more metadata than an object may have.
    match exchange(
        &server.host,
        &much.sign(&server.host, &world.admin, "s3").bytes(&server.host),
        false,
    ) {
        Ok(response) => assert!((400..=431).contains(&response.status), "{}", response.text()),
        Err(error) => assert!(error.starts_with("no head in"), "{error}"),
    }
}

#[test]
fn the_body_of_a_refused_upload_is_not_the_next_request() {
    let world = world();
    let server = &world.server;
    let inner = Request::form(&[("Action", "GetCallerIdentity")])
        .sign(&server.host, &world.admin, "sts")
        .bytes(&server.host);
    for (what, head) in [
        ("unsigned", "PUT /first-bucket/inner HTTP/1.1\r\n".to_owned()),
        ("to no bucket", "PUT /none/inner HTTP/1.1\r\n".to_owned()),
        ("a page", "GET /healthz HTTP/1.1\r\n".to_owned()),
        ("a JSON call", "POST /clusters HTTP/1.1\r\n".to_owned()),
    ] {
        for length in [inner.len(), inner.len() + 500_000] {
            let head = format!("{head}host: {}\r\ncontent-length: {length}\r\n\r\n", server.host);
            let mut stream = connect(&server.host);
            stream.write_all(&[head.as_bytes(), &inner].concat()).unwrap();
            stream.shutdown(std::net::Shutdown::Write).unwrap();
            let mut answer = Vec::new();
            drop(std::io::Read::read_to_end(&mut stream, &mut answer));
            let answer = String::from_utf8_lossy(&answer);
            assert!(answer.matches("HTTP/1.1 ").count() <= 1, "{what}: {answer}");
            assert!(!answer.contains("GetCallerIdentityResult"), "{what}: {answer}");
        }
    }
    // Who waits to be asked for a body is refused without being asked.
    let head = format!(
        "PUT /first-bucket/expect HTTP/1.1\r\nhost: {}\r\ncontent-length: 5\r\nexpect: 100-continue\r\nconnection: close\r\n\r\n",
        server.host
    );
    let mut stream = connect(&server.host);
    stream.write_all(head.as_bytes()).unwrap();
    let mut answer = Vec::new();
    drop(std::io::Read::read_to_end(&mut stream, &mut answer));
    assert!(
        answer.starts_with(b"HTTP/1.1 403"),
        "{}",
        String::from_utf8_lossy(&answer)
    );
}

#[test]
fn owners_that_are_expected_are_the_owners() {
    let world = world();
    let server = &world.server;
    for (owner, status) in [
        (ACCOUNT, 200),
        (crate::harness::OTHER_ACCOUNT, 403),
        ("", 403),
        ("x", 403),
    ] {
        let request = Request::new("GET", "/first-bucket/hello.txt").header("x-amz-expected-bucket-owner", owner);
        let response = server.signed(request, &world.admin, "s3");
        assert!(
            response.status == status || response.status == 400 && status == 403,
            "{owner}: {}",
            response.text()
        );
        server.record(&response);
    }
    // A header twice is two questions; it gets no answer.
    for header in [
        "x-amz-date",
        "x-amz-content-sha256",
        "authorization",
        "x-amz-security-token",
        "x-amz-copy-source",
    ] {
        let signed = Request::new("PUT", "/first-bucket/twice")
            .body("x")
            .sign(&server.host, &world.admin, "s3");
        let value = match signed.get(header) {
            "" => "first-bucket/hello.txt".to_owned(),
            value => value.to_owned(),
        };
        let response = server.send(&signed.header(header, &value).header(header, "other"));
        assert!((400..=403).contains(&response.status), "{header}: {}", response.text());
        server.record(&response);
    }
    assert_eq!(server.s3(&world.admin, "GET", "/first-bucket/twice", b"").status, 404);
}

#[test]
fn content_that_is_not_what_was_said_is_not_stored() {
    let world = world();
    let server = &world.server;
    for (header, value) in [
        ("content-md5", "AAAAAAAAAAAAAAAAAAAAAA=="),
        ("content-md5", "nonsense"),
        ("x-amz-checksum-sha256", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="),
        ("x-amz-checksum-sha1", "AAAAAAAAAAAAAAAAAAAAAAAAAAA="),
        ("x-amz-checksum-crc32", "AAAAAA=="),
        ("x-amz-checksum-crc32c", "AAAAAA=="),
        ("x-amz-checksum-crc64nvme", "AAAAAAAAAAA="),
        ("x-amz-checksum-crc32", "short"),
    ] {
        let request = Request::new("PUT", "/first-bucket/digest")
            .header(header, value)
            .body("hello");
        let response = server.signed(request, &world.admin, "s3");
        assert_eq!(response.status, 400, "{header} {value}: {}", response.text());
        server.record(&response);
        let got = server.s3(&world.admin, "GET", "/first-bucket/digest", b"");
        assert_eq!(got.outcome(), "404 NoSuchKey", "{header} {value}");
    }
    // An operator may insist on signed content.
    let key = user(
        server,
        r#"{"Effect":"Allow","Action":"s3:*","Resource":"*"},{"Effect":"Deny","Action":"s3:PutObject","Resource":"*","Condition":{"StringEquals":{"s3:x-amz-content-sha256":["UNSIGNED-PAYLOAD","STREAMING-UNSIGNED-PAYLOAD-TRAILER"]}}}"#,
    );
    let put = |payload: Option<&str>| {
        let mut signing = crate::client::Signing::new(&key, "s3");
        signing.payload = payload.map(str::to_owned);
        let request = Request::new("PUT", "/first-bucket/unsigned").body("hello");
        server.signed_as(request, &signing).outcome()
    };
    assert_eq!(put(None), "200");
    assert_eq!(put(Some("UNSIGNED-PAYLOAD")), "403 AccessDenied");
}

#[test]
fn checksums_in_the_query_of_a_presigned_upload_are_not_those_of_its_body() {
    let world = world();
    let server = &world.server;
    let signing = crate::client::Signing::new(&world.admin, "s3");
    // As the SDK for JavaScript presigns: with the checksum of the body that it does not have.
    let put = |query: &str, header: Option<&str>| {
        let mut request = Request::new("PUT", &format!("/first-bucket/presigned-checksum?{query}"));
        if let Some(value) = header {
            request = request.header("x-amz-checksum-crc32", value);
        }
        server.send(&request.presigned(&server.host, &signing, "300").body("hello"))
    };
    let query = "x-amz-checksum-crc32=AAAAAA%3D%3D&x-amz-sdk-checksum-algorithm=CRC32&x-id=PutObject";
    let stored = put(query, None);
    assert_eq!(stored.status, 200, "{}", stored.text());
    assert_eq!(
        server
            .s3(&world.admin, "GET", "/first-bucket/presigned-checksum", b"")
            .text(),
        "hello"
    );
    // One in a header, which is signed like all of them, counts.
    assert_eq!(put(query, Some("AAAAAA==")).outcome(), "400 BadDigest");
    assert_eq!(put("", Some("AAAAAA==")).outcome(), "400 BadDigest");
    assert_eq!(put(query, Some("NhCmhg==")).status, 200);
    // And what stands in the query is signed.
    let mut bent = Request::new("PUT", &format!("/first-bucket/presigned-checksum?{query}")).presigned(
        &server.host,
        &signing,
        "300",
    );
    bent.query = bent.query.replace("AAAAAA", "BAAAAA");
    assert_eq!(server.send(&bent.body("hello")).outcome(), "403 SignatureDoesNotMatch");
}
