use super::*;

const RULES: &str = "<CORSRule><ID>app</ID><AllowedOrigin>https://*.app.example</AllowedOrigin><AllowedOrigin>http://localhost:3000</AllowedOrigin>\
    <AllowedMethod>GET</AllowedMethod><AllowedMethod>PUT</AllowedMethod><AllowedHeader>x-amz-*</AllowedHeader>\
    <AllowedHeader>Content-Type</AllowedHeader><ExposeHeader>ETag</ExposeHeader><ExposeHeader>x-amz-request-id</ExposeHeader>\
    <MaxAgeSeconds>600</MaxAgeSeconds></CORSRule>\
    <CORSRule><AllowedOrigin>*</AllowedOrigin><AllowedMethod>HEAD</AllowedMethod></CORSRule>";

fn document(rules: &str) -> String {
    format!("<CORSConfiguration {NAMESPACE}>{rules}</CORSConfiguration>")
}

async fn with_rules() -> Server {
    let server = Server::with_bucket().await;
    put(&server, "cors", &document(RULES)).await;
    server.put("a", "content").await;
    server
}

async fn ask(server: &Server, uri: &str, headers: &[(&str, &str)]) -> Answer {
    // Nobody is asked: browsers send no credentials with this question.
    let script = Script::only(&[]);
    let answer = server.send(&script, request("OPTIONS", uri, headers, "")).await;
    assert_eq!(script.questions(), []);
    assert_eq!(answer.outcome.operation.unwrap().name, "PreflightRequest");
    answer
}

const ALLOWED: [&str; 5] = [
    "access-control-allow-origin",
    "access-control-allow-methods",
    "access-control-allow-headers",
    "access-control-expose-headers",
    "access-control-allow-credentials",
];

#[tokio::test]
async fn rules_come_and_go() {
    let server = with_rules().await;
    let answer = send(&server, "GET", "cors", "").await;
    assert_eq!(answer.elements("CORSRule").len(), 2);
    assert_eq!(
        answer.elements("AllowedOrigin"),
        ["https://*.app.example", "http://localhost:3000", "*"]
    );
    assert_eq!(answer.elements("AllowedMethod"), ["GET", "PUT", "HEAD"]);
    assert_eq!(answer.elements("ExposeHeader"), ["ETag", "x-amz-request-id"]);
    assert_eq!((answer.element("ID"), answer.element("MaxAgeSeconds")), ("app", "600"));
    let answer = send(&server, "DELETE", "cors", "").await;
    assert_eq!(answer.status, StatusCode::NO_CONTENT);
    assert_eq!(
        refused(&server, "GET", "cors", "").await,
        refusal(404, "NoSuchCORSConfiguration", "The CORS configuration does not exist")
    );
}

#[tokio::test]
async fn rules_that_cannot_be() {
    let server = with_rules().await;
    let rule = |more: &str| format!("<CORSRule>{more}</CORSRule>");
    const GET: &str = "<AllowedMethod>GET</AllowedMethod>";
    const ANY: &str = "<AllowedOrigin>*</AllowedOrigin>";
    let malformed = "The XML you provided was not well-formed or did not validate against our published schema";
    for (rules, code, message) in [
        (String::new(), "MalformedXML", malformed),
        (rule(GET), "MalformedXML", malformed),
        (rule(ANY), "MalformedXML", malformed),
        (
            rule(&format!("{ANY}<AllowedMethod>PATCH</AllowedMethod>")),
            "InvalidRequest",
            "Found unsupported HTTP method in CORS config. Unsupported method is PATCH",
        ),
        (
            rule(&format!("{GET}<AllowedOrigin>*.a.*</AllowedOrigin>")),
            "InvalidRequest",
            "AllowedOrigin &quot;*.a.*&quot; can not have more than one wildcard.",
        ),
        (
            rule(&format!("{GET}{ANY}<AllowedHeader>*-*</AllowedHeader>")),
            "InvalidRequest",
            "AllowedHeader &quot;*-*&quot; can not have more than one wildcard.",
        ),
        (
            rule(&format!("{GET}{ANY}<ExposeHeader>x-*</ExposeHeader>")),
            "InvalidRequest",
            "ExposeHeader &quot;x-*&quot; contains wildcard. We currently do not support wildcard for ExposeHeader.",
        ),
        (
            rule(&format!("{GET}{ANY}<ExposeHeader>a\r\nset-cookie: b</ExposeHeader>")),
            "MalformedXML",
            malformed,
        ),
        (
            rule(&format!("{GET}{ANY}")).repeat(101),
            "InvalidRequest",
            "The number of CORS rules should not exceed allowed limit of 100 rules.",
        ),
    ] {
        assert_eq!(
            refused(&server, "PUT", "cors", &document(&rules)).await,
            refusal(400, code, message),
            "{rules:.200}"
        );
    }
    assert_eq!(send(&server, "GET", "cors", "").await.elements("CORSRule").len(), 2);
}

#[tokio::test]
async fn s3_07_a_page_learns_what_the_first_rule_that_fits_allows() {
    let server = with_rules().await;
    let answer = ask(
        &server,
        "/my-bucket/a",
        &[
            ("origin", "https://www.app.example"),
            ("access-control-request-method", "PUT"),
            ("access-control-request-headers", "Content-Type, x-amz-date"),
        ],
    )
    .await;
    assert_eq!((answer.status, answer.text.as_str()), (StatusCode::OK, ""));
    assert_eq!(
        ALLOWED.map(|name| answer.header(name)),
        [
            "https://www.app.example",
            "GET, PUT",
            "content-type, x-amz-date",
            "ETag, x-amz-request-id",
            "true"
        ]
    );
    assert_eq!(answer.header("access-control-max-age"), "600");
    assert_eq!(
        answer.header("vary"),
        "Origin, Access-Control-Request-Headers, Access-Control-Request-Method"
    );
    // A rule for all origins names none, and lets nobody send credentials.
    let answer = ask(
        &server,
        "/my-bucket/a",
        &[
            ("origin", "https://evil.example"),
            ("access-control-request-method", "HEAD"),
        ],
    )
    .await;
    assert_eq!(ALLOWED.map(|name| answer.header(name)), ["*", "HEAD", "", "", ""]);
    // The bucket may be in the host name.
    let by_host = Request::builder()
        .method("OPTIONS")
        .uri("/a")
        .header("host", "my-bucket.s3.example")
        .header("origin", "http://localhost:3000")
        .header("access-control-request-method", "GET")
        .body(full(Bytes::new()))
        .unwrap();
    let answer = server.send(&Script::only(&[]), by_host).await;
    assert_eq!(
        answer.header("access-control-allow-origin"),
        "http://localhost:3000",
        "{}",
        answer.text
    );
}

#[tokio::test]
async fn s3_07_no_origin_is_reflected_that_no_rule_has() {
    let server = with_rules().await;
    const FORBIDDEN: &str = "CORSResponse: This CORS request is not allowed. This is usually because the evalution of Origin, request method / \
        Access-Control-Request-Method or Access-Control-Request-Headers are not whitelisted by the resource&apos;s CORS spec.";
    for (origin, method, headers) in [
        ("https://evil.example", "GET", ""),
        ("https://app.example", "GET", ""),
        ("https://www.app.example.evil", "GET", ""),
        ("https://www.app.example", "DELETE", ""),
        ("https://www.app.example", "PUT", "authorization"),
        ("null", "GET", ""),
        ("https://evil.example", "HEAD", "x-amz-date"),
    ] {
        let mut all = vec![("origin", origin), ("access-control-request-method", method)];
        if !headers.is_empty() {
            all.push(("access-control-request-headers", headers));
        }
        let answer = ask(&server, "/my-bucket/a", &all).await;
        assert_eq!(
            (answer.status, answer.code(), answer.element("Message")),
            (StatusCode::FORBIDDEN, "AccessForbidden", FORBIDDEN),
            "{origin} {method}"
        );
        assert_eq!(ALLOWED.map(|name| answer.header(name)), [""; 5]);
    }
    let origin = ("origin", "https://www.app.example");
    let method = ("access-control-request-method", "GET");
    for (uri, headers, expected) in [
        (
            "/my-bucket/a",
            vec![method],
            (
                400,
                "BadRequest",
                "Insufficient information. Origin request header needed.",
            ),
        ),
        (
            "/my-bucket/a",
            vec![origin],
            (400, "BadRequest", "Invalid Access-Control-Request-Method: null"),
        ),
        (
            "/my-bucket/a",
            vec![origin, ("access-control-request-method", "TRACE")],
            (400, "BadRequest", "Invalid Access-Control-Request-Method: TRACE"),
        ),
        (
            "/no-bucket/a",
            vec![origin, method],
            (404, "NoSuchBucket", "The specified bucket does not exist"),
        ),
    ] {
        let answer = ask(&server, uri, &headers).await;
        assert_eq!(
            (answer.status.as_u16(), answer.code(), answer.element("Message")),
            expected
        );
    }
    send(&server, "DELETE", "cors", "").await;
    let answer = ask(&server, "/my-bucket/a", &[origin, method]).await;
    assert_eq!(
        (answer.status.as_u16(), answer.code(), answer.element("Message")),
        (
            403,
            "AccessForbidden",
            "CORSResponse: CORS is not enabled for this bucket."
        )
    );
}

#[tokio::test]
async fn s3_07_answers_say_who_may_read_them() {
    let server = with_rules().await;
    let with = async |method: &str, uri: &str, origin: &str| {
        server
            .send(&Script::all(), request(method, uri, &[("origin", origin)], ""))
            .await
    };
    let answer = with("GET", "/my-bucket/a", "https://www.app.example").await;
    assert_eq!((answer.status, answer.text.as_str()), (StatusCode::OK, "content"));
    assert_eq!(
        ALLOWED.map(|name| answer.header(name)),
        [
            "https://www.app.example",
            "GET, PUT",
            "",
            "ETag, x-amz-request-id",
            "true"
        ]
    );
    // A page may read why it failed as well.
    let answer = with("GET", "/my-bucket/none", "https://www.app.example").await;
    assert_eq!(answer.status, StatusCode::NOT_FOUND);
    assert_eq!(answer.header("access-control-allow-origin"), "https://www.app.example");
    // What no rule allows is done, and the browser keeps it from the page.
    for (method, origin) in [
        ("GET", "https://evil.example"),
        ("DELETE", "https://www.app.example"),
        ("GET", "null"),
    ] {
        let answer = with(method, "/my-bucket/none", origin).await;
        assert_eq!(ALLOWED.map(|name| answer.header(name)), [""; 5], "{method} {origin}");
        assert!(answer.header("vary").starts_with("Origin"));
    }
    let answer = with("HEAD", "/my-bucket/a", "https://evil.example").await;
    assert_eq!(ALLOWED.map(|name| answer.header(name)), ["*", "HEAD", "", "", ""]);
    // Without an origin there is nothing to say, and without rules neither.
    let answer = send(&server, "GET", "location", "").await;
    assert_eq!(ALLOWED.map(|name| answer.header(name)), [""; 5]);
    send(&server, "DELETE", "cors", "").await;
    let answer = with("GET", "/my-bucket/a", "https://www.app.example").await;
    assert_eq!(ALLOWED.map(|name| answer.header(name)), [""; 5]);
}
