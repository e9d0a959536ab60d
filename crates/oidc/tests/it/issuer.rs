//! An issuer in this process that answers what a test wants, and counts.

use std::collections::HashMap;
use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use irsa_core::{AccountId, Timestamp};
use irsa_oidc::{FetchError, FetchOptions, Resolve, Trusted};
use irsa_token::{Algorithm, JwkSet, SigningKey};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio_rustls::TlsAcceptor;

pub(crate) const DISCOVERY: &str = "/.well-known/openid-configuration";
pub(crate) const KEYS: &str = "/keys";

/// What is sent for a path.
#[derive(Clone)]
pub(crate) enum Reply {
    /// These bytes, and the connection is closed.
    Bytes(Vec<u8>),
    /// These bytes, and then the second ones for ever.
    Endless(Vec<u8>, Vec<u8>),
    /// Nothing, for ever.
    Silence,
    /// As soon as the gate opens, these bytes.
    Gated(Arc<Notify>, Vec<u8>),
}

impl Reply {
    pub(crate) fn ok(headers: &str, body: &str) -> Self {
        Self::status("200 OK", headers, body)
    }

    pub(crate) fn status(status: &str, headers: &str, body: &str) -> Self {
        let length = body.len();
        Self::Bytes(
            format!("HTTP/1.1 {status}\r\ncontent-length: {length}\r\nconnection: close\r\n{headers}\r\n{body}")
                .into_bytes(),
        )
    }

    pub(crate) fn keys(headers: &str, keys: &[&SigningKey]) -> Self {
        Self::ok(headers, &SigningKey::jwk_set(keys).to_string())
    }

    pub(crate) fn gated(self, gate: &Arc<Notify>) -> Self {
        let Self::Bytes(bytes) = self else {
            panic!("only bytes are gated")
        };
        Self::Gated(Arc::clone(gate), bytes)
    }
}

#[derive(Default)]
struct Script {
    replies: HashMap<String, Reply>,
    counts: HashMap<String, usize>,
}

pub(crate) struct Issuer {
    pub(crate) url: String,
    pub(crate) chain: Vec<CertificateDer<'static>>,
    script: Arc<Mutex<Script>>,
}

/// A certificate authority and what it issues.
pub(crate) struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    pub(crate) fn new() -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        Self::named(&format!("authority {}", COUNT.fetch_add(1, Ordering::Relaxed)))
    }

    pub(crate) fn named(name: &str) -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    pub(crate) fn certificate(&self) -> CertificateDer<'static> {
        self.0.der().clone()
    }

    pub(crate) fn issue(&self, params: &CertificateParams) -> (CertificateDer<'static>, KeyPair) {
        let key = KeyPair::generate().unwrap();
        (params.signed_by(&key, &self.0).unwrap().der().clone(), key)
    }
}

impl Issuer {
    /// An issuer `https://issuer.test:<port>` with a certificate of the authority and one key set.
    pub(crate) async fn start(authority: &Authority, keys: &[&SigningKey]) -> Self {
        let (certificate, key) = authority.issue(&CertificateParams::new(vec!["issuer.test".to_owned()]).unwrap());
        let issuer = Self::with_chain(vec![certificate, authority.certificate()], &key).await;
        issuer.reply(KEYS, Reply::keys("", keys));
        issuer
    }

    pub(crate) async fn with_chain(chain: Vec<CertificateDer<'static>>, key: &KeyPair) -> Self {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(chain.clone(), PrivateKeyDer::try_from(key.serialize_der()).unwrap())
            .unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("https://issuer.test:{}", listener.local_addr().unwrap().port());
        let script = Arc::<Mutex<Script>>::default();
        let issuer = Self {
            url,
            chain,
            script: Arc::clone(&script),
        };
        issuer.reply(
            DISCOVERY,
            issuer.discovery(&issuer.url, &format!("{}{KEYS}", issuer.url)),
        );
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (acceptor, script) = (acceptor.clone(), Arc::clone(&script));
                tokio::spawn(async move {
                    // A client that refuses the certificate, or hangs up, is what some tests are about.
                    let _ = serve(acceptor, stream, &script).await;
                });
            }
        });
        issuer
    }

    pub(crate) fn discovery(&self, issuer: &str, jwks_uri: &str) -> Reply {
        Reply::ok(
            "content-type: application/json\r\n",
            &format!(
                r#"{{"issuer":"{issuer}","jwks_uri":"{jwks_uri}","response_types_supported":["id_token"],"subject_types_supported":["public"],"id_token_signing_alg_values_supported":["ES256"]}}"#
            ),
        )
    }

    pub(crate) fn reply(&self, path: &str, reply: Reply) {
        self.script.lock().unwrap().replies.insert(path.to_owned(), reply);
    }

    /// How often a path was asked for.
    pub(crate) fn count(&self, path: &str) -> usize {
        self.script.lock().unwrap().counts.get(path).copied().unwrap_or(0)
    }

    pub(crate) fn port(&self) -> u16 {
        self.url.rsplit(':').next().unwrap().parse().unwrap()
    }
}

async fn serve(acceptor: TlsAcceptor, stream: tokio::net::TcpStream, script: &Mutex<Script>) -> io::Result<()> {
    let mut stream = acceptor.accept(stream).await?;
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await?);
    }
    let head = String::from_utf8(head).unwrap();
    assert!(head.contains("accept-encoding: identity\r\n"), "{head}");
    let path = head.split(' ').nth(1).unwrap().to_owned();
    let reply = {
        let mut script = script.lock().unwrap();
        *script.counts.entry(path.clone()).or_default() += 1;
        script.replies.get(&path).cloned()
    };
    match reply.unwrap_or_else(|| Reply::status("404 Not Found", "", "")) {
        Reply::Bytes(bytes) => stream.write_all(&bytes).await?,
        Reply::Endless(first, rest) => {
            stream.write_all(&first).await?;
            loop {
                stream.write_all(&rest).await?;
                stream.flush().await?;
            }
        }
        Reply::Silence => std::future::pending().await,
        Reply::Gated(gate, bytes) => {
            gate.notified().await;
            stream.write_all(&bytes).await?;
        }
    }
    stream.shutdown().await
}

/// Answers the addresses in turn, the last one for ever, and writes down how often it was asked.
pub(crate) struct Resolver {
    answers: Vec<Vec<IpAddr>>,
    pub(crate) asked: Mutex<Vec<String>>,
}

impl Resolver {
    pub(crate) fn new(answers: &[&[&str]]) -> Arc<Self> {
        let parse = |answer: &&[&str]| answer.iter().map(|address| address.parse().unwrap()).collect();
        Arc::new(Self {
            answers: answers.iter().map(parse).collect(),
            asked: Mutex::default(),
        })
    }
}

impl Resolve for Resolver {
    fn resolve<'a>(
        &'a self,
        host: &'a str,
        port: u16,
    ) -> Pin<Box<dyn Future<Output = io::Result<Vec<SocketAddr>>> + Send + 'a>> {
        let mut asked = self.asked.lock().unwrap();
        let answer = self.answers.get(asked.len()).or(self.answers.last()).unwrap();
        asked.push(host.to_owned());
        let addresses = answer.iter().map(|address| SocketAddr::new(*address, port)).collect();
        Box::pin(async move { Ok(addresses) })
    }
}

/// Options under which the issuers of these tests can be reached.
pub(crate) fn options(authority: &Authority) -> FetchOptions {
    FetchOptions {
        extra_ca: vec![authority.certificate()],
        system_ca: false,
        allow_private: true,
        // Far above what anything here takes on a busy machine; tests of the deadline set their own.
        deadline: Duration::from_secs(60),
        resolver: Resolver::new(&[&["127.0.0.1"]]),
        ..FetchOptions::default()
    }
}

pub(crate) fn key() -> SigningKey {
    SigningKey::generate(Algorithm::Es256).unwrap()
}

pub(crate) fn account(number: u64) -> AccountId {
    AccountId::from_number(number).unwrap()
}

/// An instant some seconds into the test.
pub(crate) fn at(seconds: i64) -> Timestamp {
    Timestamp::from_unix_seconds(1_767_323_045 + seconds)
}

/// The keys of an issuer in account 1, without thumbprints.
pub(crate) async fn ask(
    trusted: &Trusted,
    issuer: &Issuer,
    kid: Option<&str>,
    now: Timestamp,
) -> Result<Arc<JwkSet>, FetchError> {
    trusted.keys(account(1), &issuer.url, &[], kid, now).await
}

/// One fetch by a fetcher that knows nothing yet.
pub(crate) async fn fetch_once(options: FetchOptions, issuer: &Issuer) -> Result<Arc<JwkSet>, FetchError> {
    ask(&Trusted::new(options).unwrap(), issuer, None, at(0)).await
}
