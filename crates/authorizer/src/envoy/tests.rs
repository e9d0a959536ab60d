use std::collections::HashMap;

use bytes::Bytes;
use http::{Method, StatusCode};
use prost::Message as _;

use super::message::{
    Address, AttributeContext, HeaderMap as RawHeaders, HeaderValue as RawHeader, Peer, Request, SocketAddress,
    TlsSession,
};
use super::*;
use crate::answer::BodyCheck;

fn question(headers: &[(&str, &str)]) -> CheckRequest {
    let raw = headers
        .iter()
        .map(|(key, value)| RawHeader {
            key: (*key).to_owned(),
            value: String::new(),
            raw_value: value.as_bytes().to_vec(),
        })
        .collect();
    CheckRequest {
        attributes: Some(AttributeContext {
            source: Some(Peer {
                address: Some(Address {
                    socket_address: Some(SocketAddress {
                        address: "203.0.113.9".to_owned(),
                        port_value: 1,
                    }),
                }),
            }),
            request: Some(Request {
                http: Some(HttpRequest {
                    method: "GET".to_owned(),
                    path: "/b//k%2F?x=1".to_owned(),
                    host: "s3.example.com".to_owned(),
                    header_map: Some(RawHeaders { headers: raw }),
                    ..HttpRequest::default()
                }),
            }),
            tls_session: None,
        }),
    }
}

fn http(request: &mut CheckRequest) -> &mut HttpRequest {
    request
        .attributes
        .as_mut()
        .unwrap()
        .request
        .as_mut()
        .unwrap()
        .http
        .as_mut()
        .unwrap()
}

fn joined(headers: &[(&str, &str)]) -> CheckRequest {
    let mut request = question(&[]);
    let http = http(&mut request);
    http.header_map = None;
    http.headers = headers
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect::<HashMap<_, _>>();
    request
}

#[test]
fn a_question_is_read_as_the_client_sent_it() {
    let mut request = question(&[
        (":method", "GET"),
        (":path", "/b//k%2F?x=1"),
        (":authority", "s3.example.com"),
        ("x-amz-meta-a", "1"),
        ("x-amz-meta-a", " 2"),
        ("x-amz-meta-b", "\u{e9}"),
    ]);
    request.attributes.as_mut().unwrap().tls_session = Some(TlsSession::default());
    // Over the wire and back, as Envoy would send it.
    let request = CheckRequest::decode(&*request.encode_to_vec()).unwrap();
    let original = read(request).unwrap();
    assert_eq!(
        (original.method, original.uri.to_string().as_str()),
        (Method::GET, "/b//k%2F?x=1")
    );
    assert_eq!(original.headers.get_all("x-amz-meta-a").iter().count(), 2);
    assert_eq!(original.headers["x-amz-meta-b"].as_bytes(), "\u{e9}".as_bytes());
    assert_eq!(original.headers["host"], "s3.example.com");
    assert_eq!(original.headers.len(), 4, "no pseudo-headers");
    assert_eq!(original.source_ip.to_string(), "203.0.113.9");
    assert_eq!(original.transport, Transport::Tls(None));
    assert_eq!(original.body, OriginalBody::Unseen);
}

#[test]
fn what_envoy_must_say_is_no_default() {
    type Fault = fn(&mut CheckRequest);
    let broken: [(&str, Fault); 12] = [
        ("attributes", |request| request.attributes = None),
        ("the client's address", |request| {
            request.attributes.as_mut().unwrap().source = None;
        }),
        ("the client's address", |request| {
            let source = request.attributes.as_mut().unwrap().source.as_mut().unwrap();
            source
                .address
                .as_mut()
                .unwrap()
                .socket_address
                .as_mut()
                .unwrap()
                .address = "@pipe".to_owned();
        }),
        ("the request", |request| {
            request.attributes.as_mut().unwrap().request = None;
        }),
        ("the host", |request| http(request).host.clear()),
        ("the host", |request| http(request).host = "a,b".to_owned()),
        ("the host", |request| http(request).host = "S3.example.com".to_owned()),
        ("the host", |request| {
            http(request).host = "s3.example.com:99999".to_owned();
        }),
        ("the method", |request| http(request).method = "get".to_owned()),
        ("the request target", |request| http(request).path = "*".to_owned()),
        ("the request target", |request| http(request).path = "/a#b".to_owned()),
        ("two forms", |request| {
            http(request).headers.insert("a".to_owned(), "b".to_owned());
        }),
    ];
    for (says, change) in broken {
        let mut request = question(&[]);
        change(&mut request);
        let error = read(request).map(drop).unwrap_err().to_string();
        assert!(error.contains(says), "{says}: {error}");
    }
    // A header that no server would read alike.
    for header in [
        ("a b", "c"),
        ("a", "b\r\nc: d"),
        ("host", "other.example.com"),
        ("content-length", "1, 2"),
        ("x_amz_copy_source", "/b/k"),
        ("x-http-method-override", "DELETE"),
        ("connection", "x-amz-tagging"),
    ] {
        assert!(read(question(&[header])).is_err(), "{header:?}");
    }
    assert!(read(question(&[("host", "s3.example.com")])).is_ok());
    assert!(read(question(&[("content-length", "0"), ("content-length", "5")])).is_err());
    assert!(read(CheckRequest::default()).is_err());
}

#[test]
fn joined_headers_are_read_only_where_a_comma_means_nothing() {
    for header in [
        ("x-amz-copy-source", "mine/a,theirs/b"),
        ("x-amz-target", "A.Get,A.Put"),
        ("x-amz-tagging", "a=1,b=2"),
        ("x-amz-acl", "private,public-read"),
        ("content-type", "application/json,application/x-www-form-urlencoded"),
        ("x-amz-content-sha256", "a,b"),
        ("if-match", "\"a\",\"b\""),
        ("if-none-match", "*,\"a\""),
    ] {
        let error = read(joined(&[header])).map(drop).unwrap_err();
        assert_eq!(error, OriginalError::Joined(header.0.to_owned()));
        // With raw headers a comma is one.
        assert!(read(question(&[header])).is_ok(), "{header:?}");
    }
    for header in [
        ("x-amz-meta-list", "a,b"),
        ("accept", "a,b"),
        ("x-amz-object-attributes", "ETag,Checksum"),
        (
            "authorization",
            "AWS4-HMAC-SHA256 Credential=a,SignedHeaders=b,Signature=c",
        ),
        ("date", "Sun, 22 Nov 2026 00:00:00 GMT"),
    ] {
        let original = read(joined(&[header])).unwrap();
        assert_eq!(original.headers[header.0], header.1);
    }
}

fn body_of(length: Option<&str>, partial: Option<&str>, body: &'static [u8]) -> Result<OriginalBody, OriginalError> {
    let mut headers = Vec::new();
    headers.extend(length.map(|length| ("content-length", length)));
    headers.extend(partial.map(|partial| ("x-envoy-auth-partial-body", partial)));
    let mut request = question(&headers);
    http(&mut request).raw_body = Bytes::from_static(body);
    let original = read(request)?;
    assert!(!original.headers.contains_key(PARTIAL_BODY));
    Ok(original.body)
}

#[test]
fn a_body_counts_only_to_its_last_byte() {
    let whole = |body: &'static [u8]| Ok(OriginalBody::Whole(Bytes::from_static(body)));
    assert_eq!(body_of(Some("3"), Some("false"), b"abc"), whole(b"abc"));
    assert_eq!(body_of(None, Some("false"), b"abc"), Ok(OriginalBody::Unseen));
    assert_eq!(body_of(Some("3"), Some("true"), b"abc"), Ok(OriginalBody::Unseen));
    // As long as Envoy's limit, and so whole in its eyes.
    assert_eq!(body_of(Some("4"), Some("false"), b"abc"), Ok(OriginalBody::Unseen));
    // No body, no word about one: it may be there all the same, chunked or over HTTP/2.
    assert_eq!(body_of(None, None, b""), Ok(OriginalBody::Unseen));
    assert_eq!(body_of(Some("0"), None, b""), whole(b""));
    assert_eq!(body_of(Some("5"), None, b""), Ok(OriginalBody::Unseen));
    assert!(body_of(None, None, b"abc").is_err());
    assert!(body_of(None, Some("maybe"), b"abc").is_err());
    let twice = question(&[
        ("x-envoy-auth-partial-body", "true"),
        ("x-envoy-auth-partial-body", "false"),
    ]);
    assert!(read(twice).is_err());
    // As text it may have been changed.
    let mut text = question(&[("x-envoy-auth-partial-body", "false")]);
    http(&mut text).body = "abc".to_owned();
    assert_eq!(read(text).unwrap().body, OriginalBody::Unseen);
}

fn permission() -> Permission {
    Permission {
        request_id: "R1".to_owned(),
        principal_arn: Some("arn:aws:sts::111122223333:assumed-role/app/one".to_owned()),
        account: Some("111122223333".to_owned()),
        role_session_name: Some("one".to_owned()),
        subject: None,
        pod: None,
        body: BodyCheck::Verified,
    }
}

#[test]
fn a_callers_own_identity_headers_do_not_go_on() {
    let mut sent = HeaderMap::new();
    for name in ["x-irsa-pod", "x-irsa-account", "x-irsa-invented", "x-other"] {
        sent.insert(HeaderName::from_static(name), "forged".parse().unwrap());
    }
    let answer = allow(&permission(), &sent, false);
    assert_eq!(answer.status.unwrap().code, 0);
    let Some(HttpResponse::Ok(ok)) = answer.http_response else {
        panic!("not allowed")
    };
    let set: Vec<_> = ok
        .headers
        .iter()
        .map(|option| {
            assert_eq!(option.append_action, OVERWRITE);
            let header = option.header.as_ref().unwrap();
            (header.key.as_str(), header.value.as_str())
        })
        .collect();
    assert_eq!(
        set,
        [
            ("x-irsa-account", "111122223333"),
            ("x-irsa-body", "verified"),
            ("x-irsa-principal-arn", "arn:aws:sts::111122223333:assumed-role/app/one"),
            ("x-irsa-request-id", "R1"),
            ("x-irsa-role-session-name", "one"),
        ]
    );
    // What is removed is never what was set: Envoy removes last.
    assert_eq!(
        ok.headers_to_remove[..3],
        ["x-irsa-pod", "x-irsa-subject", "x-irsa-invented"]
    );
    assert_eq!(ok.headers_to_remove[3..], MISLEADING);
    let Some(HttpResponse::Ok(stripped)) = allow(&permission(), &sent, true).http_response else {
        panic!("not allowed")
    };
    assert!(
        CREDENTIALS
            .iter()
            .all(|name| stripped.headers_to_remove.iter().any(|gone| gone == name))
    );
}

fn refusal(status: StatusCode, is_unauthenticated: bool) -> Refusal {
    let mut headers = HeaderMap::new();
    headers.insert("content-type", "application/xml".parse().unwrap());
    headers.insert("x-amz-request-id", "R1".parse().unwrap());
    headers.insert("content-length", "9".parse().unwrap());
    Refusal {
        status,
        code: "AccessDenied".to_owned(),
        message: "Access Denied".to_owned(),
        headers,
        document: "<Error/>".to_owned(),
        is_unauthenticated,
        request_id: "R1".to_owned(),
    }
}

#[test]
fn a_refusal_is_the_services_own_answer() {
    let answer = refuse(refusal(StatusCode::NOT_FOUND, false));
    // Over the wire and back.
    let answer = CheckResponse::decode(&*answer.encode_to_vec()).unwrap();
    assert_eq!(answer.status.unwrap().code, PERMISSION_DENIED);
    let Some(HttpResponse::Denied(denied)) = answer.http_response else {
        panic!("not denied")
    };
    assert_eq!(denied.status.unwrap().code, 404);
    assert_eq!(denied.body, "<Error/>");
    let names: Vec<_> = denied
        .headers
        .iter()
        .map(|option| option.header.as_ref().unwrap().key.as_str())
        .collect();
    assert_eq!(names, ["content-type", "x-amz-request-id", "x-irsa-request-id"]);
    let code = |refusal| refuse(refusal).status.unwrap().code;
    assert_eq!(code(refusal(StatusCode::FORBIDDEN, true)), UNAUTHENTICATED);
    assert_eq!(code(refusal(StatusCode::INTERNAL_SERVER_ERROR, true)), INTERNAL);
}

proptest::proptest! {
    #[test]
    fn any_bytes_are_a_question_or_an_error(bytes: Vec<u8>) {
        if let Ok(request) = CheckRequest::decode(&*bytes) {
            drop(read(request));
        }
    }

    #[test]
    fn any_texts_are_a_question_or_an_error(path in ".*", host in ".*", method in ".*", name in ".*", value in ".*") {
        let mut request = joined(&[(&name, &value)]);
        let http = http(&mut request);
        http.path = path.clone();
        http.host = host;
        http.method = method;
        if let Ok(original) = read(request) {
            proptest::prop_assert_eq!(original.uri.to_string(), path);
            proptest::prop_assert_eq!(original.headers.get_all("host").iter().count(), 1);
        }
    }
}
