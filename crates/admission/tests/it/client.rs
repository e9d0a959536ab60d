//! An API server's side of a connection.

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

type Failure = Box<dyn std::error::Error + Send + Sync>;

#[derive(Clone, Copy)]
pub(crate) enum Protocol {
    Http1,
    Http2,
}

/// Who connects, and whom it trusts.
#[derive(Clone)]
pub(crate) struct Client {
    address: SocketAddr,
    roots: Vec<CertificateDer<'static>>,
    identity: Option<(String, String)>,
}

pub(crate) enum Connection {
    Http1(http1::SendRequest<Full<Bytes>>),
    Http2(http2::SendRequest<Full<Bytes>>),
}

impl Client {
    pub(crate) fn new(address: SocketAddr, root: CertificateDer<'static>) -> Self {
        Self {
            address,
            roots: vec![root],
            identity: None,
        }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn trusting(&self, root: CertificateDer<'static>) -> Self {
        let mut client = self.clone();
        client.roots.push(root);
        client
    }

    pub(crate) fn showing(&self, chain: &str, key: &str) -> Self {
        Self {
            identity: Some((chain.to_owned(), key.to_owned())),
            ..self.clone()
        }
    }

    pub(crate) async fn connect(&self, protocol: Protocol) -> Result<Connection, Failure> {
        let mut roots = RootCertStore::empty();
        for root in &self.roots {
            roots.add(root.clone())?;
        }
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
        let builder = builder.with_root_certificates(roots);
        let mut config = match &self.identity {
            None => builder.with_no_client_auth(),
            Some((chain, key)) => {
                let chain = CertificateDer::pem_slice_iter(chain.as_bytes()).collect::<Result<_, _>>()?;
                builder.with_client_auth_cert(chain, PrivateKeyDer::from_pem_slice(key.as_bytes())?)?
            }
        };
        config.alpn_protocols = match protocol {
            Protocol::Http1 => vec![b"http/1.1".to_vec()],
            Protocol::Http2 => vec![b"h2".to_vec()],
        };
        let stream = TcpStream::connect(self.address).await?;
        let name = ServerName::try_from("webhook.test")?;
        let stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await?;
        Ok(match protocol {
            Protocol::Http1 => {
                let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
                tokio::spawn(connection);
                Connection::Http1(sender)
            }
            Protocol::Http2 => {
                let (sender, connection) = http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await?;
                tokio::spawn(connection);
                Connection::Http2(sender)
            }
        })
    }
}

impl Connection {
    pub(crate) async fn post(&mut self, target: &str, body: &str) -> Result<(u16, String), Failure> {
        let body = Full::new(Bytes::from(body.to_owned()));
        let builder = Request::post(format!("https://webhook.test{target}")).header("content-type", "application/json");
        let answer = match self {
            Self::Http1(sender) => {
                sender.ready().await?;
                let request = Request::post(target)
                    .header("host", "webhook.test")
                    .header("content-type", "application/json");
                sender.send_request(request.body(body)?).await?
            }
            Self::Http2(sender) => {
                sender.ready().await?;
                sender.send_request(builder.body(body)?).await?
            }
        };
        let status = answer.status().as_u16();
        let text = answer.into_body().collect().await?.to_bytes();
        Ok((status, String::from_utf8(text.to_vec())?))
    }

    /// Whether the answer to one more request says that the connection ends.
    pub(crate) async fn ends(&mut self, target: &str) -> Result<bool, Failure> {
        let Self::Http1(sender) = self else {
            return Ok(false);
        };
        let request = Request::post(target).header("host", "webhook.test");
        let answer = sender.send_request(request.body(Full::default())?).await?;
        let ends = answer.headers().get("connection").is_some_and(|value| value == "close");
        answer.into_body().collect().await?;
        Ok(ends)
    }
}
