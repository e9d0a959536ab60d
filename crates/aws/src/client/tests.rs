use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;

use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider, future};
use aws_smithy_types::DateTime;
use aws_smithy_types::date_time::Format;

use super::*;
use crate::test_server::{Reply, TestServer};

/// Answers one request with `response` and gives what was sent.
fn server(response: &'static str) -> (String, JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let thread = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut seen = Vec::new();
        let mut block = [0; 4096];
        loop {
            let count = stream.read(&mut block).unwrap();
            seen.extend_from_slice(&block[..count]);
            let text = String::from_utf8_lossy(&seen).into_owned();
            let Some((head, body)) = text.split_once("\r\n\r\n") else {
                continue;
            };
            let length = head
                .lines()
                .find_map(|line| {
                    line.to_ascii_lowercase()
                        .strip_prefix("content-length: ")
                        .map(|n| n.parse().unwrap())
                })
                .unwrap_or(0);
            if body.len() >= length {
                stream.write_all(response.as_bytes()).unwrap();
                return text;
            }
        }
    });
    (endpoint, thread)
}

fn keys() -> Credentials {
    Credentials::new(
        "AKIDEXAMPLE",
        "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY",
        Some("session+token".into()),
        None,
        "test",
    )
}

#[tokio::test]
async fn a_query_is_signed_and_read() {
    let (endpoint, thread) =
        server("HTTP/1.1 200 OK\r\ncontent-length: 43\r\n\r\n<GetUserResponse><A>b</A></GetUserResponse>");
    let client = Client::new(&endpoint, "eu-west-1", keys()).unwrap();
    let answer = client
        .query(QueryService::Iam, "GetUser", &[("UserName", "a b")])
        .await
        .unwrap();
    let seen = thread.join().unwrap();
    assert_eq!(answer.text_at("A"), Some("b"));
    assert!(seen.starts_with("POST / HTTP/1.1\r\n"), "{seen}");
    assert!(
        seen.ends_with("\r\n\r\nAction=GetUser&Version=2010-05-08&UserName=a+b"),
        "{seen}"
    );
    assert!(seen.contains("/eu-west-1/iam/aws4_request, SignedHeaders="), "{seen}");
    assert!(seen.contains("x-amz-security-token: session+token\r\n"), "{seen}");
    assert!(
        seen.contains("content-type;host;x-amz-date;x-amz-security-token"),
        "{seen}"
    );
    assert!(!seen.contains("wJalrXUtn"), "{seen}");
}

#[tokio::test]
async fn s3_signs_its_payload_and_keeps_the_path() {
    let (endpoint, thread) = server("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok");
    let client = Client::new(&endpoint, "us-east-1", keys()).unwrap();
    let path = encode_path("/my-bucket/a//b c+ü");
    let answer = client.s3("PUT", &path, "", Bytes::from_static(b"body")).await.unwrap();
    assert_eq!(&answer.body[..], b"ok");
    let seen = thread.join().unwrap();
    assert!(
        seen.starts_with("PUT /my-bucket/a//b%20c%2B%C3%BC HTTP/1.1\r\n"),
        "{seen}"
    );
    assert!(
        seen.contains("x-amz-content-sha256: 230d8358dc8e8890b4c58deeb62912ee2f20357ae92a5cc861b98e68fe31acb5\r\n"),
        "{seen}"
    );
}

#[tokio::test]
async fn documents_are_read_unsigned() {
    let (endpoint, thread) = server("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}");
    let client = Client::new(&endpoint, "us-east-1", keys()).unwrap();
    client.get("/keys").await.unwrap();
    let seen = thread.join().unwrap().to_ascii_lowercase();
    assert!(
        !seen.contains("authorization") && !seen.contains("security-token"),
        "{seen}"
    );
}

#[tokio::test]
async fn a_refusal_keeps_the_services_words() {
    let (endpoint, thread) = server(
        "HTTP/1.1 403 Forbidden\r\nx-amzn-requestid: r-9\r\ncontent-length: 70\r\n\r\n\
         {\"__type\":\"AccessDeniedException\",\"message\":\"not authorized: c.....\"} ",
    );
    let client = Client::new(&endpoint, "us-east-1", keys()).unwrap();
    let error = client.json("eks", "GET", "/clusters/c", None).await.unwrap_err();
    thread.join().unwrap();
    let service = error.service().unwrap();
    assert_eq!(
        (service.code.as_str(), service.message.as_str(), service.status),
        ("AccessDeniedException", "not authorized: c.....", 403)
    );
    assert_eq!(
        error.to_string(),
        "GET /clusters/c failed with AccessDeniedException: not authorized: c....."
    );
    assert_eq!(error.hint().unwrap(), "`irsa explain r-9` shows why");
}

#[tokio::test]
async fn nobody_there() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let client = Client::new(&endpoint, "us-east-1", keys()).unwrap();
    let error = client
        .query(QueryService::Sts, "GetCallerIdentity", &[])
        .await
        .unwrap_err();
    assert!(
        error.to_string().starts_with(&format!("can't reach {endpoint}: ")),
        "{error}"
    );
    assert_eq!(error.hint().unwrap(), "is the server running? start it with `irsa up`");
}

#[tokio::test]
async fn a_silent_server_meets_the_deadline() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let client = Client::new(&endpoint, "us-east-1", keys())
        .unwrap()
        .with_deadline(Duration::from_millis(50));
    let error = client.get("/").await.unwrap_err();
    assert!(matches!(error, ClientError::Deadline { .. }), "{error}");
    drop(listener);
}

#[test]
fn debug_shows_no_secret() {
    let client = Client::new("http://127.0.0.1:1", "us-east-1", keys()).unwrap();
    let shown = format!("{client:?}");
    assert!(!shown.contains("wJalr") && !shown.contains("session+token"), "{shown}");
}

#[test]
fn a_file_without_certificates_is_no_authority() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let client = Client::anonymous("https://127.0.0.1:1", "us-east-1").unwrap();
    let error = client.with_ca(file.path()).unwrap_err();
    assert!(error.to_string().contains("holds no certificate"), "{error}");
}

/// Credentials by number: `AKID0`, then `AKID1`.
#[derive(Debug, Default)]
struct Numbered(AtomicU64);

impl ProvideCredentials for Numbered {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        let id = format!("AKID{}", self.0.fetch_add(1, Ordering::SeqCst));
        future::ProvideCredentials::ready(Ok(Credentials::new(id, "secret", None, None, "test")))
    }
}

fn renewing(server: &TestServer) -> Client {
    Client::anonymous(&server.endpoint, "us-east-1")
        .unwrap()
        .with_keys(Keys::renewed(SharedCredentialsProvider::new(Numbered::default())))
        .with_retries(Retries::default())
}

#[tokio::test]
async fn credentials_that_ended_are_replaced_in_the_middle() {
    let ended = || {
        Reply::refused(
            403,
            "ExpiredToken",
            "The security token included in the request is expired",
        )
    };
    let server = TestServer::start([ended(), Reply::ok("<R/>"), ended(), ended()]).await;
    let client = renewing(&server);
    client.query(QueryService::Iam, "GetUser", &[]).await.unwrap();
    // New ones that are refused, too, are not replaced again and again.
    let error = client.query(QueryService::Iam, "GetUser", &[]).await.unwrap_err();
    assert_eq!(error.service().unwrap().code, "ExpiredToken");
    let used: Vec<String> = server
        .requests()
        .iter()
        .map(|request| {
            let (_, credential) = request.split_once("Credential=").unwrap();
            credential.split('/').next().unwrap().to_owned()
        })
        .collect();
    assert_eq!(used, ["AKID0", "AKID1", "AKID1", "AKID2"]);
}

#[tokio::test]
async fn the_servers_clock_is_followed() {
    let refused = |date| {
        Reply::Answer(
            403,
            date,
            "<ErrorResponse><Error><Code>SignatureDoesNotMatch</Code><Message>Signature expired: 20260102T030405Z is now \
             earlier than …</Message></Error></ErrorResponse>"
                .to_owned(),
        )
    };
    let theirs = DateTime::from(SystemTime::now() + Duration::from_secs(3600));
    let date = format!("date: {}\r\n", theirs.fmt(Format::HttpDate).unwrap());
    let date: &'static str = Box::leak(date.into_boxed_str());
    let server = TestServer::start([refused(date), Reply::ok("<R/>"), Reply::ok("<R/>")]).await;
    let client = renewing(&server);
    client.query(QueryService::Iam, "GetUser", &[]).await.unwrap();
    client.query(QueryService::Iam, "GetUser", &[]).await.unwrap();
    let dates: Vec<String> = server
        .requests()
        .iter()
        .map(|request| {
            let line = request
                .lines()
                .find_map(|line| line.strip_prefix("x-amz-date: "))
                .unwrap();
            line[..11].to_owned()
        })
        .collect();
    // Up to the hour, so that seconds make no difference.
    assert_eq!(dates.len(), 3);
    assert!(dates[0] < dates[1] && dates[1] <= dates[2], "{dates:?}");

    // A clock of another age is not followed, and a second refusal is the answer.
    let old = "date: Fri, 02 Jan 2026 03:04:05 GMT\r\n";
    let server = TestServer::start([refused(old), Reply::ok("<R/>")]).await;
    let error = renewing(&server)
        .query(QueryService::Iam, "GetUser", &[])
        .await
        .unwrap_err();
    assert_eq!(error.hint().unwrap(), "is this machine's clock right?");
    assert_eq!(server.requests().len(), 1);
}

#[tokio::test]
async fn without_retries_a_call_is_sent_once() {
    let server = TestServer::start([Reply::refused(503, "Throttling", "Rate exceeded"), Reply::ok("<R/>")]).await;
    let client = Client::new(&server.endpoint, "us-east-1", keys()).unwrap();
    let error = client.query(QueryService::Iam, "GetUser", &[]).await.unwrap_err();
    assert!(error.is_throttled());
    assert_eq!(server.requests().len(), 1);
}

#[tokio::test]
async fn silence_is_tried_again_on_another_connection() {
    let server = TestServer::start([Reply::Silence, Reply::ok("<R/>")]).await;
    let client = renewing(&server).with_deadline(Duration::from_millis(100));
    client.query(QueryService::Iam, "GetUser", &[]).await.unwrap();
    assert_eq!((server.requests().len(), server.connections()), (2, 2));
}

#[test]
fn hints_are_for_who_refuses() {
    let hint = |server, status, operation: &str, code: &str| {
        let error = ServiceError {
            operation: operation.to_owned(),
            code: code.to_owned(),
            status,
            server,
            request_id: Some("r-1".to_owned()),
            ..ServiceError::default()
        };
        ClientError::from(error).hint()
    };
    for (server, status, operation, code, expected) in [
        (Server::Aws, 403, "CreateRole", "AccessDenied", "needs `iam:CreateRole`"),
        (
            Server::Aws,
            403,
            "DescribeCluster",
            "AccessDeniedException",
            "needs `eks:DescribeCluster`",
        ),
        (
            Server::Configured,
            403,
            "CreateRole",
            "AccessDenied",
            "`irsa explain r-1`",
        ),
        (
            Server::Aws,
            403,
            "CreateRole",
            "InvalidClientTokenId",
            "aws sts get-caller-identity",
        ),
        (
            Server::Configured,
            403,
            "CreateRole",
            "InvalidClientTokenId",
            "irsa env",
        ),
        (Server::Own, 403, "CreateRole", "InvalidClientTokenId", "`--data`"),
        (Server::Aws, 403, "CreateRole", "ExpiredToken", "aws sso login"),
        (
            Server::Aws,
            404,
            "DescribeCluster",
            "ResourceNotFoundException",
            "aws eks list-clusters",
        ),
        (Server::Aws, 409, "CreateRole", "LimitExceeded", "Service Quotas"),
        (Server::Aws, 400, "CreateRole", "Throttling", "run it again"),
    ] {
        let shown = hint(server, status, operation, code).unwrap_or_default();
        assert!(shown.contains(expected), "{code}: {shown}");
    }
    assert_eq!(hint(Server::Aws, 400, "CreateRole", "MalformedPolicyDocument"), None);
    let unreachable = |endpoint: &str| ClientError::Unreachable {
        endpoint: endpoint.to_owned(),
        reason: "no".to_owned(),
    };
    assert!(
        unreachable("https://sts.eu-wst-1.amazonaws.com")
            .hint()
            .unwrap()
            .contains("region")
    );
    assert!(unreachable("http://127.0.0.1:4700").hint().unwrap().contains("irsa up"));
}
