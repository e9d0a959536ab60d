//! The authorizer as proxies and as attackers behind them see it: over HTTP as nginx asks, over gRPC as Envoy does.

mod bodies;
mod decisions;
mod proxies;
mod readings;

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
            .header("x-original-framing", &format!("TLSv1.3;HTTP/1.1;{length};"))
            .header("x-forwarded-for", SOURCE)
            .header("x-forwarded-proto", "https");
        asked.headers.extend(sent.request.headers.clone());
        asked
    }

    /// The same of a client that came without TLS.
    fn plain_nginx(&self, sent: &Sent) -> Request {
        let asked = self.nginx(sent);
        let framing = asked.get("x-original-framing").replace("TLSv1.3", "");
        asked
            .replace("x-original-framing", &framing)
            .replace("x-forwarded-proto", "http")
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
