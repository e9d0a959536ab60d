use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::stream;
use http_body_util::StreamBody;
use hyper::body::Frame;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use rustls_pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio_rustls::TlsAcceptor;

use super::*;
use crate::{BearerToken, Cluster, ClusterOptions, Location, WatchOptions, watch_service_accounts};

type Asked = Arc<watch::Sender<Vec<String>>>;

/// An API server with TLS: HTTP/2 for whoever wants it. The first watch tells nothing, each later one of an account. It notes the version, the target and the
/// credentials of each request.
async fn api_server() -> (u16, String, Asked) {
    let key = rcgen::KeyPair::generate().unwrap();
    let parameters = rcgen::CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
    let certificate = parameters.self_signed(&key).unwrap();
    let private = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut tls = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], private)
        .unwrap();
    tls.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let acceptor = TlsAcceptor::from(Arc::new(tls));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let asked = Asked::default();
    let notes = Arc::clone(&asked);
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            tokio::spawn(serve(acceptor.clone(), stream, Arc::clone(&notes)));
        }
    });
    (port, certificate.pem(), asked)
}

async fn serve(acceptor: TlsAcceptor, stream: TcpStream, asked: Asked) {
    let Ok(stream) = acceptor.accept(stream).await else {
        return;
    };
    let two = stream.get_ref().1.alpn_protocol() == Some(b"h2");
    let service = service_fn(|request: Request<Incoming>| {
        let answer = answer(&request, &asked);
        async { Ok::<_, Infallible>(answer) }
    });
    // The end of a connection is its client's matter.
    let _ = match two {
        true => {
            let builder = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
            builder.serve_connection(TokioIo::new(stream), service).await
        }
        false => {
            let builder = hyper::server::conn::http1::Builder::new();
            builder.serve_connection(TokioIo::new(stream), service).await
        }
    };
}

type Said = StreamBody<stream::BoxStream<'static, Result<Frame<Bytes>, Infallible>>>;

fn answer(request: &Request<Incoming>, asked: &Asked) -> Response<Said> {
    use futures_util::StreamExt as _;
    let watch = is_watch(request.uri());
    let again = asked.borrow().iter().any(|line| line.contains("watch=true"));
    let credentials = request
        .headers()
        .get(AUTHORIZATION)
        .map_or("", |value| value.to_str().unwrap());
    let target = request.uri().path_and_query().unwrap();
    asked.send_modify(|lines| lines.push(format!("{:?} {target} {credentials}", request.version())));
    let account = json!({"apiVersion": "v1", "kind": "ServiceAccount",
        "metadata": {"namespace": "app", "name": "reader", "resourceVersion": "8"}});
    let text: Option<Value> = match (watch, again) {
        (false, _) => Some(json!({"metadata": {"resourceVersion": "7"}, "items": []})),
        (true, false) => None,
        (true, true) => Some(json!({"type": "ADDED", "object": account})),
    };
    let said = stream::iter(text.map(|text| Ok(Frame::data(Bytes::from(format!("{text}\n"))))));
    let body = match watch {
        true => said.chain(stream::pending()).boxed(),
        false => said.boxed(),
    };
    let mut response = Response::new(StreamBody::new(body));
    response
        .headers_mut()
        .insert("content-type", http::HeaderValue::from_static("application/json"));
    response
}

/// Passes bytes on, both ways, until told otherwise; then the connections that are open stay so, and nothing moves on them any more. New ones work.
async fn relay(to: u16) -> (u16, Arc<AtomicBool>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let silent = Arc::new(AtomicBool::new(false));
    let told = Arc::clone(&silent);
    tokio::spawn(async move {
        loop {
            let (client, _) = listener.accept().await.unwrap();
            let server = TcpStream::connect(("127.0.0.1", to)).await.unwrap();
            let (client, server) = (client.into_split(), server.into_split());
            // Those that are made after the silence are not part of it.
            let concerned = !told.load(Ordering::SeqCst);
            for (mut from, mut into) in [(client.0, server.1), (server.0, client.1)] {
                let told = Arc::clone(&told);
                tokio::spawn(async move {
                    let mut part = [0; 4096];
                    while let Ok(length @ 1..) = from.read(&mut part).await {
                        if concerned && told.load(Ordering::SeqCst) {
                            return std::future::pending().await;
                        }
                        if into.write_all(&part[..length]).await.is_err() {
                            return;
                        }
                    }
                });
            }
        }
    });
    (port, silent)
}

async fn cluster(port: u16, authority: &str, silence: Duration) -> Cluster {
    let location = Location::Address {
        server: format!("https://127.0.0.1:{port}"),
        certificate_authority: Some(authority.to_owned()),
        token: TokenSource::new(|| async { Ok(BearerToken::new("t1", None)) }),
    };
    let options = ClusterOptions {
        location,
        silence,
        deadline: Duration::from_secs(5),
        ..ClusterOptions::default()
    };
    Cluster::connect(&options).await.unwrap()
}

/// Follows the accounts, and sends what it is told.
fn follow(cluster: Cluster) -> mpsc::UnboundedReceiver<String> {
    let (sender, receiver) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        watch_service_accounts(&cluster, "eks.amazonaws.com", WatchOptions::default(), |change| {
            let _ = sender.send(format!("{change:?}"));
        })
        .await;
    });
    receiver
}

async fn until(asked: &Asked, count: usize) -> Vec<String> {
    let mut lines = asked.subscribe();
    let waiting = lines.wait_for(|lines| lines.len() >= count);
    tokio::time::timeout(Duration::from_secs(10), waiting)
        .await
        .unwrap()
        .unwrap()
        .clone()
}

#[tokio::test]
async fn a_watch_whose_connection_goes_silent_is_opened_anew_within_two_silences() {
    let silence = Duration::from_millis(500);
    let (server, authority, asked) = api_server().await;
    let (port, silent) = relay(server).await;
    let mut told = follow(cluster(port, &authority, silence).await);
    let lines = until(&asked, 2).await;
    assert!(
        lines[0].starts_with("HTTP/1.1 /api/v1/serviceaccounts?") && lines[0].ends_with(" Bearer t1"),
        "{lines:?}"
    );
    assert!(
        lines[1].starts_with("HTTP/2.0 ") && lines[1].ends_with(" Bearer t1"),
        "{lines:?}"
    );

    // A watch that only has nothing to tell goes on, however long.
    tokio::time::sleep(silence * 5).await;
    assert_eq!(asked.borrow().len(), 2);

    silent.store(true, Ordering::SeqCst);
    let since = Instant::now();
    let change = async {
        loop {
            let change = told.recv().await.unwrap();
            if change.contains("reader") {
                return change;
            }
        }
    };
    let change = tokio::time::timeout(Duration::from_secs(10), change)
        .await
        .expect("the dead connection is noticed");
    assert!(change.starts_with("Present"), "{change}");
    // Two silences, and the pause before it is opened anew.
    assert!(
        since.elapsed() < silence * 2 + Duration::from_secs(2),
        "{:?}",
        since.elapsed()
    );
}

#[test]
fn a_dead_watch_is_noticed_within_twenty_seconds() {
    assert!(ClusterOptions::default().silence * 2 <= Duration::from_secs(12));
    assert!(PROBED_AFTER + BETWEEN_PROBES * PROBES <= Duration::from_secs(20));
    assert!(ACKNOWLEDGED_WITHIN <= Duration::from_secs(20));
}

#[tokio::test]
async fn an_authority_that_is_another_is_refused_at_once() {
    let (server, _, asked) = api_server().await;
    let (_, other, _) = api_server().await;
    let cluster = cluster(server, &other, Duration::from_secs(5)).await;
    let error = crate::issuer(&cluster).await.unwrap_err().to_string();
    assert!(error.contains("certificate"), "{error}");
    assert!(asked.borrow().is_empty());
}

#[tokio::test]
async fn a_token_that_is_not_to_be_had_is_no_reason_to_ask_again() {
    let (server, authority, asked) = api_server().await;
    let location = Location::Address {
        server: format!("https://127.0.0.1:{server}"),
        certificate_authority: Some(authority),
        token: TokenSource::new(|| async { Err("the session has ended".to_owned()) }),
    };
    let options = ClusterOptions {
        location,
        ..ClusterOptions::default()
    };
    let cluster = Cluster::connect(&options).await.unwrap();
    let error = crate::issuer(&cluster).await.unwrap_err().to_string();
    assert!(error.ends_with("no credentials: the session has ended"), "{error}");
    assert!(asked.borrow().is_empty());
}

#[tokio::test]
async fn a_kubeconfigs_proxy_is_asked_for_a_tunnel() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let asked = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut text = Vec::new();
        while !text.ends_with(b"\r\n\r\n") {
            text.push(stream.read_u8().await.unwrap());
        }
        String::from_utf8(text).unwrap()
    });
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("config");
    let text = format!(
        "{{current-context: a, contexts: [{{name: a, context: {{cluster: c, user: u}}}}], users: [], clusters: [{{name: c, cluster: \
         {{server: 'https://api.example:6443', proxy-url: 'http://me:p%40ss@127.0.0.1:{port}', certificate-authority-data: {}}}}}]}}",
        base64::Engine::encode(&base64::engine::general_purpose::STANDARD, api_server().await.1)
    );
    std::fs::write(&file, text).unwrap();
    let options = ClusterOptions {
        patience: Duration::ZERO,
        ..ClusterOptions::from_flags(&file.to_string_lossy(), "")
    };
    let cluster = Cluster::connect(&options).await.unwrap();
    crate::issuer(&cluster).await.unwrap_err();
    let asked = asked.await.unwrap();
    assert!(asked.starts_with("CONNECT api.example:6443 HTTP/1.1\r\n"), "{asked}");
    // `me:p@ss`
    assert!(
        asked.to_lowercase().contains("proxy-authorization: basic bwu6cebzcw=="),
        "{asked}"
    );
}
