//! The authorizer as proxies and as attackers behind them see it: over HTTP as nginx asks, over gRPC as Envoy does.

use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use bytes::{Bytes, BytesMut};
use http_body_util::{BodyExt, Full};
use hyper_util::rt::{TokioExecutor, TokioIo};
use irsa_authorizer::envoy::message::{
    Address, AttributeContext, CHECK, CheckRequest, CheckResponse, DeniedHttpResponse, HEALTH, HeaderMap, HeaderValue,
    HealthCheckRequest, HealthCheckResponse, HttpRequest, HttpResponse, OkHttpResponse, Peer, SERVING, SocketAddress,
};
use irsa_server::{AuthorizerAddress, AuthorizerConfig, ServerConfig};
use prost::Message;
use serde_json::Value;

use crate::client::{Key, Request, Response, Signing, exchange};
use crate::harness::{ACCOUNT, ALLOW_ALL, ISSUER, OTHER_ACCOUNT, Server, config, name, policy};

const S3: &str = "s3.example.com";
const DYNAMODB: &str = "dynamodb.example.com";
const SOURCE: &str = "203.0.113.9";

struct Authorizer {
    server: Server,
    address: String,
    _folder: tempfile::TempDir,
}

fn settings() -> AuthorizerConfig {
    let services = [
        format!("s3={S3}"),
        format!("s3=*.{S3}"),
        format!("dynamodb={DYNAMODB}"),
        format!("sqs={DYNAMODB}"),
        "route53=dns.example.com".to_owned(),
    ];
    AuthorizerConfig {
        listen: "127.0.0.1:0".parse().unwrap(),
        client_ca: None,
        services: services.iter().map(|service| service.parse().unwrap()).collect(),
        literal_keys: false,
        strip_credentials: false,
    }
}

fn start_with(settings: AuthorizerConfig) -> Authorizer {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start_with(ServerConfig {
        authorizer: Some(settings),
        ..config(&folder.path().join("data"))
    });
    let server = server.unwrap_or_else(|error| panic!("{error}"));
    let address = server.running().authorizer().unwrap().to_string();
    Authorizer {
        server,
        address,
        _folder: folder,
    }
}

fn start() -> Authorizer {
    start_with(settings())
}

/// A signed request of a client, to the host that it was signed for.
#[derive(Clone)]
struct Sent {
    host: String,
    request: Request,
}

fn sent(host: &str, request: Request, signing: &Signing<'_>) -> Sent {
    Sent {
        host: host.to_owned(),
        request: request.signed(host, signing),
    }
}

fn s3(key: &Key, method: &str, target: &str) -> Sent {
    sent(S3, Request::new(method, target), &Signing::new(key, "s3"))
}

fn dynamodb(key: &Key, operation: &str, body: &str) -> Sent {
    let request = Request::new("POST", "/")
        .header("content-type", "application/x-amz-json-1.0")
        .header("x-amz-target", &format!("DynamoDB_20120810.{operation}"))
        .body(body);
    sent(DYNAMODB, request, &Signing::new(key, "dynamodb"))
}

fn target(request: &Request) -> String {
    match request.query.as_str() {
        "" => request.path.clone(),
        query => format!("{}?{query}", request.path),
    }
}

impl Authorizer {
    /// A question as nginx asks it.
    fn nginx(&self, sent: &Sent) -> Request {
        let length = match sent.request.body.len() {
            0 => String::new(),
            length => length.to_string(),
        };
        let mut asked = Request::new("GET", "/auth")
            .header("host", &sent.host)
            .header("x-original-method", &sent.request.method)
            .header("x-original-uri", &target(&sent.request))
            .header("x-original-framing", &format!("HTTP/1.1;{length};"))
            .header("x-forwarded-for", SOURCE)
            .header("x-forwarded-proto", "https");
        asked.headers.extend(sent.request.headers.clone());
        asked
    }

    fn ask(&self, asked: &Request) -> Response {
        exchange(&self.address, &asked.bytes(&self.address), false).unwrap()
    }

    fn ask_nginx(&self, sent: &Sent) -> Response {
        self.ask(&self.nginx(sent))
    }

    /// A question as Envoy asks it, with the whole body.
    fn envoy(&self, sent: &Sent) -> CheckRequest {
        let mut headers: Vec<HeaderValue> = Vec::new();
        let mut add = |key: &str, value: &str| {
            headers.push(HeaderValue {
                key: key.to_owned(),
                value: String::new(),
                raw_value: value.as_bytes().to_vec(),
            });
        };
        add(":path", &target(&sent.request));
        for (name, value) in &sent.request.headers {
            add(name, value);
        }
        let body = &sent.request.body;
        if !body.is_empty() || sent.request.method != "GET" {
            add("content-length", &body.len().to_string());
        }
        if !body.is_empty() {
            add("x-envoy-auth-partial-body", "false");
        }
        CheckRequest {
            attributes: Some(AttributeContext {
                source: Some(Peer {
                    address: Some(Address {
                        socket_address: Some(SocketAddress {
                            address: SOURCE.to_owned(),
                            port_value: 5,
                        }),
                    }),
                }),
                request: Some(irsa_authorizer::envoy::message::Request {
                    http: Some(HttpRequest {
                        method: sent.request.method.clone(),
                        path: target(&sent.request),
                        host: sent.host.clone(),
                        raw_body: body.clone().into(),
                        header_map: Some(HeaderMap { headers }),
                        ..HttpRequest::default()
                    }),
                }),
                tls_session: None,
            }),
        }
    }

    fn check(&self, asked: &CheckRequest) -> Result<HttpResponse, String> {
        let answer: CheckResponse = call(&self.address, CHECK, asked)?;
        let code = answer.status.unwrap().code;
        let response = answer.http_response.unwrap();
        assert_eq!(code == 0, matches!(response, HttpResponse::Ok(_)));
        Ok(response)
    }

    #[track_caller]
    fn denied(&self, sent: &Sent) -> DeniedHttpResponse {
        match self.check(&self.envoy(sent)).unwrap() {
            HttpResponse::Denied(denied) => denied,
            HttpResponse::Ok(_) => panic!("{} {} is allowed", sent.request.method, sent.request.path),
        }
    }

    #[track_caller]
    fn allowed(&self, sent: &Sent) -> OkHttpResponse {
        match self.check(&self.envoy(sent)).unwrap() {
            HttpResponse::Ok(ok) => ok,
            HttpResponse::Denied(denied) => panic!("refused: {}", denied.body),
        }
    }

    fn user(&self, statement: &str) -> Key {
        self.server
            .user(&self.server.root, &name("az"), Some(&policy(statement)))
    }

    fn admin(&self) -> Key {
        self.server.user(&self.server.root, &name("az"), Some(ALLOW_ALL))
    }

    #[track_caller]
    fn record(&self, id: &str) -> Value {
        let mut records = self.server.records(id);
        assert_eq!(records.len(), 1, "records of {id}: {records:?}");
        records.remove(0)
    }
}

/// One call over HTTP/2 without TLS; an error is gRPC's status with its message.
fn call<A: Message, B: Message + Default>(address: &str, path: &str, message: &A) -> Result<B, String> {
    let mut framed = BytesMut::new();
    framed.extend_from_slice(&[0]);
    framed.extend_from_slice(&u32::try_from(message.encoded_len()).unwrap().to_be_bytes());
    message.encode(&mut framed).unwrap();
    let (trailers, bytes) = call_bytes(address, path, framed.freeze())?;
    if trailers.0 != "0" {
        return Err(format!("{} {}", trailers.0, trailers.1));
    }
    B::decode(&bytes[5..]).map_err(|error| error.to_string())
}

fn call_bytes(address: &str, path: &str, body: Bytes) -> Result<((String, String), Bytes), String> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let stream = tokio::net::TcpStream::connect(address).await.unwrap();
        let (mut sender, connection) =
            hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream))
                .await
                .map_err(|error| error.to_string())?;
        let driver = tokio::spawn(connection);
        let request = http::Request::post(format!("http://authorizer{path}"))
            .header("content-type", "application/grpc")
            .header("te", "trailers")
            .body(Full::new(body))
            .unwrap();
        let response = sender.send_request(request).await.map_err(|error| error.to_string())?;
        let head = response.headers().clone();
        let collected = response
            .into_body()
            .collect()
            .await
            .map_err(|error| error.to_string())?;
        let trailers = collected.trailers().cloned().unwrap_or(head);
        let text = |name: &str| {
            let value = trailers.get(name).map(|value| value.to_str().unwrap().to_owned());
            value.unwrap_or_default()
        };
        let status = (text("grpc-status"), text("grpc-message"));
        drop(sender);
        driver.abort();
        Ok((status, collected.to_bytes()))
    })
}

fn headers_of(ok: &OkHttpResponse) -> Vec<(String, String)> {
    let pair = |header: &HeaderValue| (header.key.clone(), header.value.clone());
    ok.headers
        .iter()
        .map(|option| pair(option.header.as_ref().unwrap()))
        .collect()
}

fn header_of<'a>(headers: &'a [(String, String)], wanted: &str) -> &'a str {
    headers
        .iter()
        .find(|(name, _)| name == wanted)
        .map_or("", |(_, value)| value)
}

/// Status and code of a refusal over gRPC.
fn outcome(denied: &DeniedHttpResponse) -> String {
    let status = denied.status.as_ref().unwrap().code;
    let body = &denied.body;
    let code = match serde_json::from_str::<Value>(body) {
        Ok(json) => json["__type"].as_str().unwrap_or_default().to_owned(),
        Err(_) => body
            .split_once("<Code>")
            .and_then(|(_, rest)| rest.split_once("</Code>"))
            .map_or_else(String::new, |(code, _)| code.to_owned()),
    };
    format!("{status} {code}")
}

const READ: &str = r#"{"Effect":"Allow","Action":"s3:GetObject","Resource":"arn:aws:s3:::photos/public/*"}"#;

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
    assert_eq!(authorizer.ask_nginx(&of("S3.Example.COM:443", "s3")).status, 200);
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
        "/photos/public/a%20b+c",
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

#[test]
fn adv_az_05_headers_that_a_client_makes_up() {
    let authorizer = start();
    let reader = authorizer.user(READ);
    let good = s3(&reader, "GET", "/photos/public/a");
    let question = authorizer.nginx(&good);
    // The proxy does not replace what the client sends, but adds its own: nobody knows which is which.
    for name in [
        "x-original-uri",
        "x-original-method",
        "x-original-framing",
        "x-forwarded-proto",
        "host",
    ] {
        let answer = authorizer.ask(&question.clone().header(name, "/photos/public/a"));
        assert_eq!(answer.status, 400, "{name}");
        let missing = authorizer.ask(&question.clone().replace(name, ""));
        assert_eq!(missing.status, 400, "{name}");
    }
    assert_eq!(authorizer.ask(&question.clone().without("x-forwarded-for")).status, 400);
    // The words of other proxies say nothing here, and a caller's identity is no word of the caller.
    let answer = authorizer.ask(
        &question
            .clone()
            .header("x-forwarded-uri", "/photos/private/a")
            .header("x-forwarded-method", "DELETE")
            .header("x-irsa-account", "999999999999")
            .header("x-irsa-principal-arn", "arn:aws:iam::999999999999:root"),
    );
    assert_eq!((answer.status, answer.header("x-irsa-account")), (200, Some(ACCOUNT)));
    // The last address is the one that the proxy saw.
    let at_home = authorizer.user(
        r#"{"Effect":"Allow","Action":"s3:GetObject","Resource":"*","Condition":{"IpAddress":{"aws:SourceIp":"10.0.0.0/8"}}}"#,
    );
    let good = s3(&at_home, "GET", "/photos/a");
    let from = |source: &str| {
        authorizer
            .ask(&authorizer.nginx(&good).replace("x-forwarded-for", source))
            .status
    };
    assert_eq!(from("10.0.0.1"), 200);
    assert_eq!(from("10.0.0.1, 203.0.113.9"), 403);
    assert_eq!(from("127.0.0.1"), 403);
    // Whether the client came over TLS is the proxy's word.
    let secure = authorizer.user(
        r#"{"Effect":"Allow","Action":"s3:GetObject","Resource":"*","Condition":{"Bool":{"aws:SecureTransport":"true"}}}"#,
    );
    let good = s3(&secure, "GET", "/photos/a");
    assert_eq!(authorizer.ask_nginx(&good).status, 200);
    assert_eq!(
        authorizer
            .ask(&authorizer.nginx(&good).replace("x-forwarded-proto", "http"))
            .status,
        403
    );
    let forged = Sent {
        request: good.request.clone().header("x-forwarded-proto", "https"),
        ..good
    };
    assert_eq!(outcome(&authorizer.denied(&forged)), "403 AccessDenied");
    let mut over_tls = authorizer.envoy(&forged);
    over_tls.attributes.as_mut().unwrap().tls_session = Some(irsa_authorizer::envoy::message::TlsSession::default());
    assert!(matches!(authorizer.check(&over_tls), Ok(HttpResponse::Ok(_))));
}

#[test]
fn adv_az_06_identity_headers_of_a_client_are_removed() {
    let authorizer = start_with(AuthorizerConfig {
        strip_credentials: true,
        ..settings()
    });
    let reader = authorizer.user(READ);
    let request = Request::new("GET", "/photos/public/a")
        .header("x-irsa-pod", "shop/forged")
        .header("x-irsa-account", "999999999999");
    let ok = authorizer.allowed(&sent(S3, request, &Signing::new(&reader, "s3")));
    for gone in [
        "x-irsa-pod",
        "x-irsa-subject",
        "x-irsa-role-session-name",
        "authorization",
        "x-amz-security-token",
    ] {
        assert!(
            ok.headers_to_remove.iter().any(|name| name == gone),
            "{gone}: {:?}",
            ok.headers_to_remove
        );
    }
    let headers = headers_of(&ok);
    assert_eq!(header_of(&headers, "x-irsa-account"), ACCOUNT);
    assert!(
        !ok.headers_to_remove
            .iter()
            .any(|name| headers.iter().any(|(set, _)| set == name))
    );
}

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

fn http_of(question: &mut CheckRequest) -> &mut HttpRequest {
    question
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

fn set(http: &mut HttpRequest, name: &str, value: &str) {
    for header in &mut http.header_map.as_mut().unwrap().headers {
        if header.key == name {
            header.raw_value = value.as_bytes().to_vec();
        }
    }
}

fn unset(http: &mut HttpRequest, name: &str) {
    http.header_map
        .as_mut()
        .unwrap()
        .headers
        .retain(|header| header.key != name);
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
    assert_eq!(authorizer.ask_nginx(&zone(DYNAMODB)).status, 401);
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
    // A semicolon parts parameters for some, and not for others.
    assert_eq!(
        authorizer
            .ask_nginx(&s3(&authorizer.admin(), "GET", "/of-b?list-type=2&prefix=a/;"))
            .status,
        403
    );
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

#[test]
fn adv_az_12_questions_that_are_none() {
    let authorizer = start();
    let reader = authorizer.user(READ);
    let question = authorizer.nginx(&s3(&reader, "GET", "/photos/public/a"));
    let with = |method: &str, path: &str| {
        let mut asked = question.clone();
        (asked.method, asked.path) = (method.to_owned(), path.to_owned());
        authorizer.ask(&asked).status
    };
    assert_eq!(with("POST", "/auth"), 405);
    assert_eq!(with("GET", "/auth/"), 404);
    assert_eq!(with("GET", "/"), 404);
    assert_eq!(with("GET", "/photos/public/a"), 404);
    assert_eq!(authorizer.ask(&question.clone().body("x")).status, 400);
    assert_eq!(authorizer.ask(&Request::new("GET", "/healthz")).status, 200);
    // A header that is a second request, to a proxy that reads answers badly.
    let answer = authorizer.ask(&question.clone().header("x-irsa-pod", "a\tb"));
    assert_eq!(answer.status, 200);
    let check = |question: &CheckRequest| authorizer.check(question).map(drop).unwrap_err();
    assert!(check(&CheckRequest::default()).starts_with("3 "));
    let mut broken = authorizer.envoy(&s3(&reader, "GET", "/photos/public/a"));
    http_of(&mut broken).path = "/photos/public/a#b".to_owned();
    assert!(check(&broken).starts_with("3 "));
    // Ten mebibytes.
    let mut large = authorizer.envoy(&s3(&reader, "GET", "/photos/public/a"));
    http_of(&mut large).raw_body = vec![0; 10 << 20].into();
    let error = check(&large);
    assert!(error.starts_with("11 ") || error.starts_with("8 "), "{error}");
    // Bytes that are no message, a message that is cut off, and a call that does not exist.
    let raw = |path: &str, bytes: &'static [u8]| {
        call_bytes(&authorizer.address, path, Bytes::from_static(bytes)).map(|(status, _)| status.0)
    };
    assert_eq!(raw(CHECK, b"\0\0\0\0\x03\xff\xff\xff"), Ok("13".to_owned()));
    assert_eq!(raw(CHECK, b"\x07\0\0\0\0"), Ok("13".to_owned()));
    assert!(raw(CHECK, b"\0\0\0\0\x09abc").is_ok_and(|status| status != "0"));
    assert!(raw(CHECK, b"").is_ok_and(|status| status != "0"));
    assert_eq!(
        raw("/envoy.service.auth.v2.Authorization/Check", b"\0\0\0\0\0"),
        Ok("12".to_owned())
    );
    let health = |service: &str| {
        let asked = HealthCheckRequest {
            service: service.to_owned(),
        };
        call::<_, HealthCheckResponse>(&authorizer.address, HEALTH, &asked).map(|answer| answer.status)
    };
    assert_eq!(health(""), Ok(SERVING));
    assert_eq!(health("envoy.service.auth.v3.Authorization"), Ok(SERVING));
    assert!(health("other").is_err_and(|error| error.starts_with("5 ")));
    // And it still answers.
    assert_eq!(authorizer.ask(&question).status, 200);
}

#[test]
fn adv_az_13_only_proxies_ask() {
    let folder = tempfile::tempdir().unwrap();
    let start = |settings: AuthorizerConfig| {
        let folder = tempfile::tempdir().unwrap();
        let config = ServerConfig {
            authorizer: Some(settings),
            ..config(&folder.path().join("data"))
        };
        Server::start_with(config).map(|server| (server, folder))
    };
    let fails = |settings: AuthorizerConfig| match start(settings) {
        Ok(_) => panic!("it starts"),
        Err(error) => error.to_string(),
    };
    let open = |client_ca: Option<PathBuf>| AuthorizerConfig {
        listen: "0.0.0.0:0".parse().unwrap(),
        client_ca,
        ..settings()
    };
    assert!(fails(open(None)).contains("--authorizer-client-ca"));
    assert!(fails(open(Some(folder.path().join("none.pem")))).contains("can't be used"));
    assert!(
        fails(AuthorizerConfig {
            services: Vec::new(),
            ..settings()
        })
        .contains("--authorizer-for")
    );
    let unknown = AuthorizerConfig {
        services: vec!["invented=h".parse().unwrap()],
        ..settings()
    };
    assert!(fails(unknown).contains("invented"));
    let twice = AuthorizerConfig {
        services: vec!["s3=h".parse().unwrap(), "s3=H:80".parse().unwrap()],
        ..settings()
    };
    assert!(fails(twice).contains("twice"));

    // A Unix socket is its owner's and its group's, and gone with the server.
    let socket = folder.path().join("authorizer.sock");
    let listen = AuthorizerAddress::Unix(socket.clone());
    let settings_of = |listen: AuthorizerAddress| AuthorizerConfig { listen, ..settings() };
    let (server, _folder) = start(settings_of(listen.clone())).unwrap_or_else(|error| panic!("{error}"));
    let mode = std::fs::metadata(&socket).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o660);
    let key = server.user(&server.root, "reader", Some(&policy(READ)));
    let authorizer = Authorizer {
        server,
        address: socket.display().to_string(),
        _folder,
    };
    let question = authorizer.nginx(&s3(&key, "GET", "/photos/public/a"));
    let ask = || {
        let mut stream = UnixStream::connect(&socket).unwrap();
        stream.write_all(&question.bytes("x")).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    };
    assert!(ask().starts_with("HTTP/1.1 200 "), "{}", ask());
    // Another server does not take it away.
    assert!(fails(settings_of(listen.clone())).contains("authorizer.sock"));
    authorizer.server.stop();
    assert!(!socket.exists());
    // One that was left behind is replaced; a file is not.
    drop(std::os::unix::net::UnixListener::bind(&socket).unwrap());
    let (server, _folder) = start(settings_of(listen.clone())).unwrap_or_else(|error| panic!("{error}"));
    server.stop();
    std::fs::write(&socket, "x").unwrap();
    assert!(fails(settings_of(listen)).contains("authorizer.sock"));
    assert_eq!(std::fs::read_to_string(&socket).unwrap(), "x");
}

#[test]
fn adv_az_14_proxies_from_afar_show_certificates() {
    let folder = tempfile::tempdir().unwrap();
    let authority = |name: &str| {
        let key = rcgen::KeyPair::generate().unwrap();
        let mut params = rcgen::CertificateParams::default();
        params.distinguished_name.push(rcgen::DnType::CommonName, name);
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let pem = params.self_signed(&key).unwrap().pem();
        (rcgen::Issuer::new(params, key), pem)
    };
    let (ours, pem) = authority("proxies");
    let (others, _) = authority("strangers");
    let file = folder.path().join("proxies.pem");
    std::fs::write(&file, pem).unwrap();
    let authorizer = start_with(AuthorizerConfig {
        client_ca: Some(file),
        ..settings()
    });
    let key = authorizer.user(READ);
    let question = authorizer.nginx(&s3(&key, "GET", "/photos/public/a")).bytes("x");
    let ask = |issuer: Option<&rcgen::Issuer<'_, rcgen::KeyPair>>| {
        ask_over_tls(&authorizer, issuer, &question, &authorizer.server.folder.ca())
    };
    assert!(ask(Some(&ours)).is_ok_and(|answer| answer.starts_with("HTTP/1.1 200 ")));
    for answer in [ask(None), ask(Some(&others))] {
        assert!(!answer.unwrap_or_default().contains("200"));
    }
    let plain = exchange(&authorizer.address, &question, false);
    assert!(plain.is_err(), "{plain:?}");
}

fn ask_over_tls(
    authorizer: &Authorizer,
    issuer: Option<&rcgen::Issuer<'_, rcgen::KeyPair>>,
    question: &[u8],
    ca: &Path,
) -> Result<String, String> {
    use rustls::pki_types::pem::PemObject;
    let mut roots = rustls::RootCertStore::empty();
    for certificate in rustls::pki_types::CertificateDer::pem_file_iter(ca).unwrap() {
        roots.add(certificate.unwrap()).unwrap();
    }
    let provider = std::sync::Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots);
    let settings = match issuer {
        Some(issuer) => {
            let key = rcgen::KeyPair::generate().unwrap();
            let mut params = rcgen::CertificateParams::default();
            params.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ClientAuth];
            let certificate = params.signed_by(&key, issuer).unwrap();
            let key = rustls::pki_types::PrivateKeyDer::try_from(key.serialize_der()).unwrap();
            builder
                .with_client_auth_cert(vec![certificate.der().clone()], key)
                .unwrap()
        }
        None => builder.with_no_client_auth(),
    };
    let name = rustls::pki_types::ServerName::try_from("127.0.0.1").unwrap();
    let mut session = rustls::ClientConnection::new(std::sync::Arc::new(settings), name).unwrap();
    let mut stream = crate::client::connect(&authorizer.address);
    let mut tls = rustls::Stream::new(&mut session, &mut stream);
    tls.write_all(question).map_err(|error| error.to_string())?;
    let mut answer = Vec::new();
    match tls.read_to_end(&mut answer) {
        Ok(_) => {}
        Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => {}
        Err(error) => return Err(error.to_string()),
    }
    Ok(String::from_utf8_lossy(&answer).into_owned())
}
