//! Exchanges with servers that answer well, late, in part or not at all.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream;
use http::Request;
use http_body::Frame;
use http_body_util::{BodyExt, Full, StreamBody};
use irsa_core::Timestamp;
use irsa_sigv4::{Payload, RequestHead, Rules, presented};
use irsa_upstream::{BoxError, CredentialSource, Credentials, Deadlines, RequestBody, Sign, Upstream, UpstreamError};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;

const SHORT: Duration = Duration::from_millis(300);

fn now() -> Timestamp {
    Timestamp::parse_iso8601("2026-11-22T10:00:00Z").unwrap()
}

fn empty_hash() -> Payload {
    let hex = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    Payload::Sha256(std::array::from_fn(|index| {
        u8::from_str_radix(&hex[index * 2..index * 2 + 2], 16).unwrap()
    }))
}

fn keys() -> Credentials {
    Credentials {
        access_key_id: "AKIAIOSFODNN7EXAMPLE".to_owned(),
        secret_access_key: "upstream-secret".to_owned().into(),
        session_token: Some("upstream-token".to_owned().into()),
    }
}

async fn upstream(credentials: bool) -> (Upstream, TcpListener) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
    let source: Option<Arc<dyn CredentialSource>> = credentials.then(|| Arc::new(keys()) as Arc<dyn CredentialSource>);
    let deadlines = Deadlines {
        connect: SHORT,
        first_byte: SHORT,
        idle: SHORT,
    };
    (Upstream::new(endpoint, source, None, deadlines).unwrap(), listener)
}

fn full(bytes: &'static [u8]) -> RequestBody {
    Full::new(Bytes::from_static(bytes))
        .map_err(|never| match never {})
        .boxed_unsync()
}

/// Reads a head, up to and with the empty line.
async fn head(stream: &mut TcpStream) -> String {
    let mut text = Vec::new();
    while !text.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        if stream.read(&mut byte).await.unwrap() == 0 {
            break;
        }
        text.push(byte[0]);
    }
    String::from_utf8(text).unwrap()
}

async fn send(
    upstream: &Upstream,
    request: Request<RequestBody>,
) -> Result<http::Response<irsa_upstream::ResponseBody>, UpstreamError> {
    let what = Sign {
        service: "dynamodb",
        region: "us-east-1",
        payload: empty_hash(),
    };
    upstream.send(request, &what, now()).await
}

fn get(path: &str) -> Request<RequestBody> {
    Request::get(path).body(full(b"")).unwrap()
}

#[tokio::test]
async fn adv_up_02_the_upstream_sees_our_signature_and_none_of_the_callers() {
    let (upstream, listener) = upstream(true).await;
    let seen = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let head = head(&mut stream).await;
        stream
            .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: x-secret-hop\r\nX-Secret-Hop: 1\r\nX-Amzn-RequestId: r\r\n\r\nok")
            .await
            .unwrap();
        head
    });
    let request = Request::post("/a%20b//c?x=1&y")
        .header("host", "gateway:4700")
        .header("authorization", "AWS4-HMAC-SHA256 caller")
        .header("x-amz-security-token", "caller-token")
        .header("x-amz-date", "20200101T000000Z")
        .header("x-forwarded-for", "10.0.0.1")
        .header("connection", "x-hop")
        .header("x-hop", "1")
        .header("x-amz-target", "T.Op")
        .body(full(b""))
        .unwrap();
    let response = send(&upstream, request).await.unwrap();
    assert!(response.headers().get("x-secret-hop").is_none());
    assert_eq!(response.headers()["x-amzn-requestid"], "r");
    assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), "ok");
    let head = seen.await.unwrap();
    assert!(head.starts_with("POST /a%20b//c?x=1&y HTTP/1.1\r\n"), "{head}");
    for gone in ["caller", "x-hop", "10.0.0.1", "20200101", "gateway"] {
        assert!(!head.contains(gone), "{gone} in {head}");
    }
    let mut headers = http::HeaderMap::new();
    for line in head.lines().skip(1).filter(|line| !line.is_empty()) {
        let (name, value) = line.split_once(": ").unwrap();
        headers.append(
            http::HeaderName::from_bytes(name.as_bytes()).unwrap(),
            value.parse().unwrap(),
        );
    }
    let head = RequestHead {
        method: "POST",
        path: "/a%20b//c",
        query: "x=1&y",
        headers: &headers,
    };
    let presented = presented(&head).unwrap().unwrap();
    assert_eq!(presented.session_token(), Some("upstream-token"));
    let Payload::Sha256(hash) = empty_hash() else { panic!() };
    assert!(
        presented
            .verify(b"upstream-secret", Some(hash), now(), &Rules::service("dynamodb"))
            .is_ok()
    );
}

#[tokio::test]
async fn connections_are_used_again_and_dead_ones_are_not_trusted() {
    let (upstream, listener) = upstream(false).await;
    let (closed, is_closed) = oneshot::channel();
    let served = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        for _ in 0..2 {
            assert!(!head(&mut stream).await.contains("authorization"));
            stream
                .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\na")
                .await
                .unwrap();
        }
        drop(stream);
        closed.send(()).unwrap();
        let (mut stream, _) = listener.accept().await.unwrap();
        head(&mut stream).await;
        stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").await.unwrap();
    });
    for _ in 0..2 {
        let response = send(&upstream, get("/")).await.unwrap();
        assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), "a");
    }
    is_closed.await.unwrap();
    assert_eq!(send(&upstream, get("/")).await.unwrap().status(), 204);
    served.await.unwrap();
}

#[tokio::test]
async fn adv_up_03_a_body_cut_short_is_an_error() {
    for answer in [
        "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n",
    ] {
        let (upstream, listener) = upstream(false).await;
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            head(&mut stream).await;
            stream.write_all(answer.as_bytes()).await.unwrap();
        });
        let response = send(&upstream, get("/")).await.unwrap();
        assert!(response.into_body().collect().await.is_err(), "{answer}");
    }
}

#[tokio::test]
async fn every_wait_has_an_end() {
    // Nobody there.
    let (upstream_gone, listener) = upstream(false).await;
    drop(listener);
    let error = send(&upstream_gone, get("/")).await.err().unwrap();
    assert!(
        matches!(error, UpstreamError::Unreachable { .. }) && error.status() == 502,
        "{error}"
    );
    // No answer.
    let (silent, listener) = upstream(false).await;
    let error = send(&silent, get("/")).await.err().unwrap();
    assert!(
        matches!(error, UpstreamError::Deadline { .. }) && error.status() == 504,
        "{error}"
    );
    drop(listener);
    // An answer that is none.
    let (upstream_mad, listener) = upstream(false).await;
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        head(&mut stream).await;
        stream.write_all(b"mad\r\n\r\n").await.unwrap();
    });
    let error = send(&upstream_mad, get("/")).await.err().unwrap();
    assert!(matches!(error, UpstreamError::Broken { .. }), "{error}");
    // An answer that stops in the middle.
    let (pausing, listener) = upstream(false).await;
    let (_hold, held) = oneshot::channel::<()>();
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        head(&mut stream).await;
        stream
            .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc")
            .await
            .unwrap();
        drop(held.await);
        drop(stream);
    });
    let response = send(&pausing, get("/")).await.unwrap();
    assert!(response.into_body().collect().await.is_err());
}

#[tokio::test]
async fn bodies_stream_both_ways_and_a_broken_request_body_is_never_a_whole_one() {
    const PIECES: usize = 2048;
    let (upstream, listener) = upstream(false).await;
    let served = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let head = head(&mut stream).await;
        assert!(head.contains("transfer-encoding: chunked"), "{head}");
        stream
            .write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
            .await
            .unwrap();
        let mut total = 0;
        let mut buffer = vec![0; 65536];
        // What comes is sent back in chunks of one's own until the last piece was there.
        while total < PIECES * 16384 {
            let read = stream.read(&mut buffer).await.unwrap();
            assert!(read > 0);
            total += read;
            stream.write_all(format!("{read:x}\r\n").as_bytes()).await.unwrap();
            stream.write_all(&buffer[..read]).await.unwrap();
            stream.write_all(b"\r\n").await.unwrap();
        }
        stream.write_all(b"0\r\n\r\n").await.unwrap();
    });
    let pieces = stream::iter((0..PIECES).map(|_| Ok::<_, BoxError>(Frame::data(Bytes::from_static(&[7; 16384])))));
    let request = Request::post("/").body(StreamBody::new(pieces).boxed_unsync()).unwrap();
    let mut body = send(&upstream, request).await.unwrap().into_body();
    let mut received = 0;
    while let Some(frame) = body.frame().await {
        received += frame.unwrap().into_data().map_or(0, |data| data.len());
    }
    assert!(received >= PIECES * 16384, "{received}");
    served.await.unwrap();

    let (upstream, listener) = self::upstream(false).await;
    let served = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut all = Vec::new();
        drop(stream.read_to_end(&mut all).await);
        all
    });
    let pieces = stream::iter([
        Ok(Frame::data(Bytes::from_static(b"first"))),
        Err::<Frame<Bytes>, BoxError>("the caller's hash is wrong".into()),
    ]);
    let request = Request::post("/").body(StreamBody::new(pieces).boxed_unsync()).unwrap();
    assert!(send(&upstream, request).await.is_err());
    let all = served.await.unwrap();
    assert!(!all.ends_with(b"0\r\n\r\n"), "the body looks whole");
}

#[tokio::test]
async fn requests_without_credentials_do_not_leave() {
    struct None;
    #[async_trait::async_trait]
    impl CredentialSource for None {
        async fn credentials(&self) -> Result<Credentials, irsa_upstream::CredentialError> {
            Err(irsa_upstream::CredentialError {
                reason: "expired".to_owned(),
            })
        }
    }
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
    let upstream = Upstream::new(endpoint, Some(Arc::new(None)), Option::None, Deadlines::default()).unwrap();
    let error = send(&upstream, get("/")).await.err().unwrap();
    assert!(matches!(error, UpstreamError::Credentials(_)), "{error}");
    let accepted = tokio::time::timeout(Duration::from_millis(50), listener.accept()).await;
    assert!(accepted.is_err(), "somebody connected");
}
