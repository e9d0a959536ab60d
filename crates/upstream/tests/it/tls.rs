//! Whom an upstream over TLS must prove to be.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use irsa_upstream::{Trust, Upstream};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, date_time_ymd};
use rustls::ServerConfig;
use rustls_pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use crate::{DEADLINES, answer, upstream};

struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: PathBuf,
}

impl Authority {
    fn new(folder: &Path, name: &str) -> Self {
        let key = KeyPair::generate().unwrap();
        let mut parameters = CertificateParams::new(Vec::new()).unwrap();
        parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        parameters.distinguished_name.push(DnType::CommonName, name);
        let pem = folder.join(name);
        std::fs::write(&pem, parameters.self_signed(&key).unwrap().pem()).unwrap();
        Self {
            issuer: Issuer::new(parameters, key),
            pem,
        }
    }

    /// A server with a certificate of this authority for a name; gives its port.
    async fn server(&self, name: &str, expired: bool) -> u16 {
        let key = KeyPair::generate().unwrap();
        let mut parameters = CertificateParams::new(vec![name.to_owned()]).unwrap();
        if expired {
            parameters.not_before = date_time_ymd(2020, 1, 1);
            parameters.not_after = date_time_ymd(2021, 1, 1);
        }
        let certificate = parameters.signed_by(&key, &self.issuer).unwrap();
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], key)
            .unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                // Whoever does not believe us hangs up.
                let Ok(mut stream) = acceptor.accept(stream).await else {
                    continue;
                };
                let mut block = [0; 4096];
                let read = stream.read(&mut block).await.unwrap();
                assert!(read > 0);
                let text = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok";
                stream.write_all(text).await.unwrap();
                drop(stream.shutdown().await);
            }
        });
        port
    }
}

#[tokio::test]
async fn adv_up_05_only_who_proves_its_name_is_sent_anything() {
    let folder = tempfile::tempdir().unwrap();
    let own = Authority::new(folder.path(), "own");
    let other = Authority::new(folder.path(), "other");
    let port = own.server("localhost", false).await;
    let url = format!("https://localhost:{port}");
    let (status, body) = answer(&upstream(&url, Some(&own.pem))).await.unwrap();
    assert_eq!((status, body.as_ref()), (200, b"ok".as_slice()));
    let by_address = own.server("127.0.0.1", false).await;
    let by_address = upstream(&format!("https://127.0.0.1:{by_address}"), Some(&own.pem));
    assert_eq!(answer(&by_address).await.unwrap().0, 200);

    let expired = own.server("localhost", true).await;
    let elsewhere = own.server("elsewhere.test", false).await;
    for (url, ca, reason) in [
        (url.clone(), Some(&other.pem), "UnknownIssuer"),
        // This machine's authorities do not know it either.
        (url, None, "UnknownIssuer"),
        (format!("https://localhost:{expired}"), Some(&own.pem), "expired"),
        (
            format!("https://localhost:{elsewhere}"),
            Some(&own.pem),
            "not valid for name \"localhost\"",
        ),
    ] {
        let error = answer(&upstream(&url, ca.map(PathBuf::as_path))).await.unwrap_err();
        assert!(
            error.starts_with("the upstream can't be reached: ") && error.contains(reason),
            "{reason}: {error}"
        );
    }
}

#[tokio::test]
async fn a_server_without_tls_is_not_spoken_to_in_clear() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let seen = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut block = [0; 4096];
        let read = stream.read(&mut block).await.unwrap();
        drop(
            stream
                .write_all(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
                .await,
        );
        block[..read].to_vec()
    });
    let folder = tempfile::tempdir().unwrap();
    let own = Authority::new(folder.path(), "own");
    let error = answer(&upstream(&format!("https://127.0.0.1:{port}"), Some(&own.pem)))
        .await
        .unwrap_err();
    assert!(error.starts_with("the upstream can't be reached: "), "{error}");
    // A handshake, and nothing of the request.
    let seen = seen.await.unwrap();
    assert_eq!(seen[0], 0x16);
    assert!(!seen.windows(4).any(|window| window == b"POST"));
}

#[test]
fn files_that_hold_no_authority_are_told() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    let key = KeyPair::generate().unwrap().serialize_pem();
    for (path, reason) in [
        (folder.path().join("missing"), "No such file"),
        (file("empty", ""), "holds no certificate"),
        (file("key", &key), "holds no certificate"),
        (
            file(
                "broken",
                "-----BEGIN CERTIFICATE-----\n%%%\n-----END CERTIFICATE-----\n",
            ),
            "",
        ),
        (
            file(
                "other",
                "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
            ),
            "",
        ),
    ] {
        let error = Trust::new(Some(&path)).map(drop).unwrap_err().to_string();
        assert!(
            error.contains(&path.display().to_string()) && error.contains(reason),
            "{error}"
        );
        let refused = Upstream::new("https://x".parse().unwrap(), None, Some(&path), DEADLINES);
        assert!(refused.is_err());
    }
}
