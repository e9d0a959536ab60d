use http::HeaderName;

use super::*;
use crate::answer::{BodyCheck, IDENTITY};

fn asked(headers: &[(&str, &str)]) -> HeaderMap {
    headers
        .iter()
        .map(|(name, value)| (name.parse::<HeaderName>().unwrap(), value.parse().unwrap()))
        .collect()
}

const NGINX: [(&str, &str); 6] = [
    ("host", "s3.example.com"),
    ("x-original-method", "PUT"),
    ("x-original-uri", "/b//k%2F?x=1"),
    ("x-original-framing", "HTTP/1.1;17;"),
    ("x-forwarded-for", "203.0.113.9"),
    ("x-forwarded-proto", "https"),
];

/// The headers of nginx with one changed; `None` takes it away.
fn with(name: &str, value: Option<&str>) -> HeaderMap {
    let mut headers = asked(&NGINX);
    headers.remove(name);
    if let Some(value) = value {
        headers.insert(name.parse::<HeaderName>().unwrap(), value.parse().unwrap());
    }
    headers
}

#[test]
fn nginx_asks() {
    let mut headers = asked(&NGINX);
    headers.insert("connection", "close".parse().unwrap());
    headers.insert("x-amz-date", "20261122T000000Z".parse().unwrap());
    let original = read(Form::AuthRequest, &headers, &[]).unwrap();
    assert_eq!(
        (original.method.as_str(), original.uri.to_string().as_str()),
        ("PUT", "/b//k%2F?x=1")
    );
    assert_eq!(original.headers["host"], "s3.example.com");
    // Clients sign it, and nginx asks without a body.
    assert_eq!(original.headers["content-length"], "17");
    assert_eq!(original.body, OriginalBody::Unseen);
    assert_eq!(original.source_ip.to_string(), "203.0.113.9");
    // The form without the version of TLS.
    assert_eq!(original.transport, Transport::Tls(None));
    for gone in [
        "x-original-uri",
        "x-original-method",
        "x-original-framing",
        "connection",
    ] {
        assert!(!original.headers.contains_key(gone), "{gone}");
    }
}

#[test]
fn what_nginx_must_say_is_no_default() {
    for (name, _) in NGINX {
        let error = read(Form::AuthRequest, &with(name, None), &[]).map(drop).unwrap_err();
        assert!(matches!(error, OriginalError::Missing(_)), "{name}: {error}");
        let error = read(Form::AuthRequest, &with(name, Some("")), &[])
            .map(drop)
            .unwrap_err();
        assert!(matches!(error, OriginalError::Missing(_)), "{name}: {error}");
    }
    for name in [
        "x-original-method",
        "x-original-uri",
        "x-original-framing",
        "x-forwarded-proto",
        "host",
    ] {
        let mut headers = asked(&NGINX);
        headers.append(name.parse::<HeaderName>().unwrap(), "x".parse().unwrap());
        let error = read(Form::AuthRequest, &headers, &[]).map(drop).unwrap_err();
        assert!(matches!(error, OriginalError::Repeated(_)), "{name}: {error}");
    }
    for (name, value) in [
        ("x-original-uri", "b/k"),
        ("x-original-uri", "http://h/b"),
        ("x-original-method", "put"),
        ("x-original-framing", "17"),
        ("x-original-framing", "HTTP/1.1;-1;"),
        ("x-original-framing", "HTTP/1.1;1;chunked"),
        ("x-original-framing", "HTTP/1.1;1;;"),
        ("x-original-framing", ";TLSv1.3;HTTP/1.1;;"),
        ("x-original-framing", "TLSv1.4;HTTP/1.1;;"),
        ("x-original-framing", "1.3;HTTP/1.1;;"),
        ("x-original-framing", "SSLv3;HTTP/1.1;;"),
        // Over https, and yet without TLS.
        ("x-original-framing", ";HTTP/1.1;;"),
        ("x-forwarded-proto", "https, http"),
        ("x-forwarded-for", "unknown"),
        ("host", "a/b"),
        ("host", "S3.example.com"),
        ("x_amz_copy_source", "/b/k"),
        ("x-http-method-override", "DELETE"),
        ("upgrade", "h2c"),
    ] {
        assert!(
            read(Form::AuthRequest, &with(name, Some(value)), &[]).is_err(),
            "{name}: {value}"
        );
    }
}

#[test]
fn the_framing_tells_whether_there_is_a_body() {
    let body = |framing: &str| {
        let original = read(Form::AuthRequest, &with("x-original-framing", Some(framing)), &[]).unwrap();
        (
            original.body == OriginalBody::Whole(Bytes::new()),
            original.headers.contains_key("content-length"),
        )
    };
    assert_eq!(body("HTTP/1.1;;"), (true, false));
    assert_eq!(body("HTTP/1.1;0;"), (true, true));
    assert_eq!(body("HTTP/1.1;5;"), (false, true));
    assert_eq!(body("HTTP/1.1;;chunked"), (false, false));
    // A stream may have a body that nobody announced.
    assert_eq!(body("HTTP/2.0;;"), (false, false));
    assert_eq!(body("HTTP/2.0;0;"), (true, true));
}

#[test]
fn the_framing_tells_the_version_of_tls() {
    let transport = |scheme: &str, framing: &str| {
        let mut headers = with("x-original-framing", Some(framing));
        headers.insert("x-forwarded-proto", scheme.parse().unwrap());
        let original = read(Form::AuthRequest, &headers, &[]);
        original.map(|original| (original.transport, original.body == OriginalBody::Unseen))
    };
    for (name, version) in [
        ("TLSv1", "1.0"),
        ("TLSv1.1", "1.1"),
        ("TLSv1.2", "1.2"),
        ("TLSv1.3", "1.3"),
    ] {
        let framing = format!("{name};HTTP/1.1;17;");
        assert_eq!(transport("https", &framing), Ok((Transport::Tls(Some(version)), true)));
        assert!(transport("http", &framing).is_err());
    }
    assert_eq!(transport("http", ";HTTP/1.1;;"), Ok((Transport::Plain, false)));
    assert!(transport("https", ";HTTP/1.1;;").is_err());
    // A header of a client that looks like another proxy's word for it is none.
    let mut headers = asked(&NGINX);
    headers.insert("x-forwarded-tls-version", "TLSv1.3".parse().unwrap());
    headers.insert("x-irsa-tls-version", "TLSv1.3".parse().unwrap());
    let original = read(Form::AuthRequest, &headers, &[]).unwrap();
    assert_eq!(original.transport, Transport::Tls(None));
}

#[test]
fn each_form_has_its_own_headers() {
    let mut headers = asked(&[
        ("host", "authorizer:4702"),
        ("x-forwarded-host", "s3.example.com"),
        ("x-forwarded-method", "GET"),
        ("x-forwarded-uri", "/b/k"),
        ("x-forwarded-for", "10.0.0.1, 203.0.113.9"),
        ("x-forwarded-proto", "http"),
    ]);
    // A client's own.
    headers.insert("x-original-uri", "/public".parse().unwrap());
    let original = read(Form::ForwardAuth, &headers, &[]).unwrap();
    assert_eq!(
        (original.uri.path(), &original.headers["host"]),
        ("/b/k", &HeaderValue::from_static("s3.example.com"))
    );
    assert_eq!(
        (original.body, original.transport),
        (OriginalBody::Unseen, Transport::Plain)
    );
    assert!(read(Form::AuthRequest, &headers, &[]).is_err());
    let mut headers = asked(&NGINX);
    headers.insert("x-forwarded-uri", "/public".parse().unwrap());
    headers.insert("x-forwarded-method", "GET".parse().unwrap());
    headers.insert("x-forwarded-host", "other".parse().unwrap());
    let original = read(Form::AuthRequest, &headers, &[]).unwrap();
    assert_eq!((original.uri.path(), original.method.as_str()), ("/b//k%2F", "PUT"));
    assert_eq!(original.headers["host"], "s3.example.com");
    assert_eq!(Form::at("/auth"), Some(Form::AuthRequest));
    assert_eq!(Form::at("/forward-auth"), Some(Form::ForwardAuth));
    assert_eq!(Form::at("/auth/"), None);
}

#[test]
fn the_last_address_that_is_no_proxy_counts() {
    let source = |forwarded: &str, trusted: &[&str]| {
        let trusted: Vec<IpAddr> = trusted.iter().map(|ip| ip.parse().unwrap()).collect();
        read(Form::AuthRequest, &with("x-forwarded-for", Some(forwarded)), &trusted)
            .map(|original| original.source_ip.to_string())
            .unwrap_or_default()
    };
    assert_eq!(source("127.0.0.1, 203.0.113.9", &[]), "203.0.113.9");
    assert_eq!(
        source("127.0.0.1, 203.0.113.9, 198.51.100.1", &["198.51.100.1"]),
        "203.0.113.9"
    );
    assert_eq!(source("198.51.100.1", &["198.51.100.1"]), "198.51.100.1");
    assert_eq!(source("127.0.0.1, x, 198.51.100.1", &["198.51.100.1"]), "198.51.100.1");
    assert_eq!(source("::ffff:203.0.113.9", &[]), "203.0.113.9");
    assert_eq!(source("127.0.0.1, x", &[]), "");
}

#[test]
fn answers() {
    let permission = Permission {
        request_id: "R1".to_owned(),
        principal_arn: Some("arn:aws:iam::111122223333:user/a".to_owned()),
        account: Some("111122223333".to_owned()),
        role_session_name: None,
        subject: Some("two\nlines".to_owned()),
        pod: None,
        body: BodyCheck::Declared,
    };
    let allowed = allow(&permission);
    assert_eq!(allowed.status(), StatusCode::OK);
    let names: Vec<_> = allowed.headers().keys().map(HeaderName::as_str).collect();
    assert_eq!(
        names,
        [
            "x-irsa-account",
            "x-irsa-body",
            "x-irsa-principal-arn",
            "x-irsa-request-id"
        ]
    );
    assert!(names.iter().all(|name| IDENTITY.contains(name)));
    let refused = refuse(Refusal {
        status: StatusCode::BAD_REQUEST,
        code: "ExpiredToken".to_owned(),
        message: "The provided token has expired.".to_owned(),
        headers: asked(&[("content-type", "application/xml"), ("content-length", "3")]),
        document: "<Error/>".to_owned(),
        is_unauthenticated: true,
        request_id: "R1".to_owned(),
    });
    assert_eq!(
        (refused.status(), refused.body().as_str()),
        (StatusCode::UNAUTHORIZED, "<Error/>")
    );
    let header = |name: &str| refused.headers().get(name).map(|value| value.to_str().unwrap());
    assert_eq!(header("x-irsa-error-code"), Some("ExpiredToken"));
    assert_eq!(header("x-irsa-error-status"), Some("400"));
    assert_eq!(header("x-irsa-error-document"), Some("<Error/>"));
    assert_eq!(header("x-irsa-error-type"), Some("application/xml"));
    assert_eq!(header("content-length"), None);
    let unreadable = unreadable(&OriginalError::Missing("`X-Original-URI`"));
    assert_eq!(unreadable.status(), StatusCode::BAD_REQUEST);
    assert_eq!(unreadable.body(), "the proxy does not send `X-Original-URI`\n");
}
