//! The server as an API server meets it: TLS, connections, certificates that change, and the way it stops.

mod client;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use irsa_admission::{
    Cluster, EnvLookUp, LookUp, OnRefusal, Options, Report, Rules, Server, ServingCertificate, Sources, TlsOptions,
    certified_key,
};
use irsa_webhook::{EnvSourceKind, Settings};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, ExtendedKeyUsagePurpose, IsCa, KeyPair};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use self::client::{Client, Protocol};

/// A cluster that is never asked anything.
struct Nothing;

impl Cluster for Nothing {
    fn look_up<'a>(&'a self, _: &'a str, _: &'a str, _: Duration) -> LookUp<'a> {
        Box::pin(async { Ok(None) })
    }

    fn env_keys<'a>(&'a self, _: &'a str, _: EnvSourceKind, _: &'a str, _: Duration) -> EnvLookUp<'a> {
        Box::pin(async { Ok(None) })
    }

    fn report(&self, _: Report) {}
}

struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    /// A certificate and its key, in PEM.
    fn certify(&self, name: &str, usage: ExtendedKeyUsagePurpose) -> (String, String) {
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        params.extended_key_usages = vec![usage];
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.0).unwrap();
        (certificate.pem(), key.serialize_pem())
    }

    fn serving(&self) -> rustls::sign::CertifiedKey {
        let (chain, key) = self.certify("webhook.test", ExtendedKeyUsagePurpose::ServerAuth);
        certified_key(chain.as_bytes(), key.as_bytes()).unwrap()
    }
}

struct Running {
    client: Client,
    certificate: Arc<ServingCertificate>,
    metrics: std::net::SocketAddr,
    stop: oneshot::Sender<()>,
    ended: JoinHandle<()>,
}

fn options() -> Options {
    Options {
        address: Some([127, 0, 0, 1].into()),
        port: 0,
        metrics_port: 0,
        debug: false,
        tls: TlsOptions::default(),
        drain: Duration::from_secs(3),
        max_connections: 64,
        rules: Rules {
            on_refusal: OnRefusal::Deny,
            grace: Duration::from_secs(1),
            association_grace: Duration::ZERO,
            exempt_namespaces: Vec::new(),
        },
    }
}

async fn start(authority: &Authority, options: Options) -> Running {
    let sources = Arc::new(Sources::new(Settings::default(), false, false));
    let role = [("eks.amazonaws.com/role-arn", "arn:aws:iam::111122223333:role/reader")];
    sources.accounts.replace([sources.accounts.read("app", "reader", role)]);
    let certificate = Arc::new(ServingCertificate::default());
    certificate.set(authority.serving());
    let server = Server::bind(options, sources, Arc::new(Nothing), Arc::clone(&certificate))
        .await
        .unwrap();
    let (reviews, metrics) = server.addresses().unwrap();
    let (stop, stopped) = oneshot::channel();
    let ended = tokio::spawn(server.run(async {
        let _ = stopped.await;
    }));
    Running {
        client: Client::new(reviews, authority.0.as_ref().der().clone()),
        certificate,
        metrics,
        stop,
        ended,
    }
}

const REVIEW: &str = r#"{"kind":"AdmissionReview","apiVersion":"admission.k8s.io/v1","request":{"uid":"u-1","namespace":"app","operation":"CREATE",
    "object":{"spec":{"serviceAccountName":"reader","containers":[{"name":"c"}]}}}}"#;

#[tokio::test]
async fn reviews_over_both_protocols() {
    let authority = Authority::new();
    let running = start(&authority, options()).await;
    for protocol in [Protocol::Http1, Protocol::Http2] {
        let mut connection = running.client.connect(protocol).await.unwrap();
        for _ in 0..3 {
            let (status, text) = connection.post("/mutate?timeout=10s", REVIEW).await.unwrap();
            assert_eq!(status, 200);
            assert!(text.contains("\"patchType\":\"JSONPatch\""), "{text}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn adv_wh_16_certificates_and_authorities_change_under_load_and_no_review_fails() {
    let authority = Authority::new();
    let running = start(&authority, options()).await;
    let (done, answered) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    // API servers trust the old authority and the new one while they change.
    let next = Authority::new();
    let client = running.client.trusting(next.0.as_ref().der().clone());
    let askers: Vec<_> = [Protocol::Http1, Protocol::Http2, Protocol::Http2]
        .into_iter()
        .map(|protocol| {
            let (client, done, answered) = (client.clone(), Arc::clone(&done), Arc::clone(&answered));
            tokio::spawn(async move {
                while !done.load(Ordering::Relaxed) {
                    let mut connection = client.connect(protocol).await.unwrap();
                    for _ in 0..5 {
                        assert_eq!(connection.post("/mutate", REVIEW).await.unwrap().0, 200);
                        answered.fetch_add(1, Ordering::Relaxed);
                    }
                }
            })
        })
        .collect();
    // Reviews under both authorities, however slow the machine is.
    for number in 0_u32.. {
        if number >= 40 && answered.load(Ordering::Relaxed) > 50 {
            break;
        }
        let authority = if number < 20 { &authority } else { &next };
        running.certificate.set(authority.serving());
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    done.store(true, Ordering::Relaxed);
    for asker in askers {
        asker.await.unwrap();
    }
    // Who trusts the old authority alone is not served any more, so the new one is really in force.
    assert!(running.client.connect(Protocol::Http1).await.is_err());
}

#[tokio::test]
async fn it_stops_without_failing_those_who_still_come() {
    let authority = Authority::new();
    let running = start(&authority, options()).await;
    let mut standing = running.client.connect(Protocol::Http2).await.unwrap();
    assert_eq!(standing.post("/readyz", "").await.unwrap().0, 200);
    running.stop.send(()).unwrap();
    while standing.post("/readyz", "").await.unwrap().0 == 200 {}
    // Draining: old connections and new ones are served.
    assert_eq!(standing.post("/mutate", REVIEW).await.unwrap().0, 200);
    let mut fresh = running.client.connect(Protocol::Http1).await.unwrap();
    assert_eq!(fresh.post("/mutate", REVIEW).await.unwrap().0, 200);
    tokio::time::timeout(Duration::from_secs(20), running.ended)
        .await
        .unwrap()
        .unwrap();
    assert!(running.client.connect(Protocol::Http1).await.is_err());
}

/// API servers keep HTTP/1.1 connections, and a review that meets the end of one is lost.
#[tokio::test]
async fn who_keeps_asking_is_told_that_the_connection_ends() {
    let authority = Authority::new();
    let running = start(&authority, options()).await;
    let mut standing = running.client.connect(Protocol::Http1).await.unwrap();
    assert!(!standing.ends("/healthz").await.unwrap());
    running.stop.send(()).unwrap();
    while !standing.ends("/healthz").await.unwrap() {}
    let mut next = running.client.connect(Protocol::Http1).await.unwrap();
    assert_eq!(next.post("/mutate", REVIEW).await.unwrap().0, 200);
}

#[tokio::test]
async fn adv_wh_15_only_api_servers_with_a_certificate_are_answered() {
    let (authority, clients) = (Authority::new(), Authority::new());
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("clients.pem");
    std::fs::write(&file, clients.0.as_ref().pem()).unwrap();
    let mut options = options();
    options.tls.client_ca = Some(file);
    let running = start(&authority, options).await;
    let (chain, key) = clients.certify("kube-apiserver", ExtendedKeyUsagePurpose::ClientAuth);
    let known = running.client.showing(&chain, &key);
    let mut connection = known.connect(Protocol::Http2).await.unwrap();
    assert_eq!(connection.post("/mutate", REVIEW).await.unwrap().0, 200);
    let mut stranger = running.client.connect(Protocol::Http2).await.unwrap();
    let (status, text) = stranger.post("/mutate", REVIEW).await.unwrap();
    assert_eq!((status, text.contains("arn:")), (403, false));
    assert_eq!(stranger.post("/readyz", "").await.unwrap().0, 200);
    let (chain, key) = authority.certify("forged", ExtendedKeyUsagePurpose::ClientAuth);
    let forged = running.client.showing(&chain, &key).connect(Protocol::Http1).await;
    // TLS 1.3 tells of a refused certificate with the first answer.
    let refused = match forged {
        Ok(mut connection) => connection.post("/mutate", REVIEW).await.is_err(),
        Err(_) => true,
    };
    assert!(refused);
}

#[tokio::test]
async fn adv_wh_15_who_only_holds_connections_does_not_keep_others_out_for_long() {
    let authority = Authority::new();
    let mut options = options();
    options.max_connections = 4;
    let running = start(&authority, options).await;
    let mut idle = Vec::new();
    for _ in 0..4 {
        let mut stream = TcpStream::connect(running.client.address()).await.unwrap();
        stream.write_all(&[0x16, 0x03, 0x01]).await.unwrap();
        idle.push(stream);
    }
    // The fifth waits until handshakes that never end are given up.
    let waited = tokio::time::timeout(Duration::from_secs(20), async {
        let mut connection = running.client.connect(Protocol::Http1).await.unwrap();
        connection.post("/mutate", REVIEW).await.unwrap()
    });
    assert_eq!(waited.await.unwrap().0, 200);
    for mut stream in idle {
        let mut rest = Vec::new();
        let _ = stream.read_to_end(&mut rest).await;
    }
    // Metrics have a port of their own, and saw it.
    let mut metrics = TcpStream::connect(running.metrics).await.unwrap();
    metrics
        .write_all(b"GET /metrics HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
        .await
        .unwrap();
    let mut text = String::new();
    metrics.read_to_string(&mut text).await.unwrap();
    assert!(text.contains("irsa_webhook_handshake_failures_total 4\n"), "{text}");
}
