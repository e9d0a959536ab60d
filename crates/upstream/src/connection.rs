//! One connection to a server.

use std::path::Path;
use std::sync::Arc;

use hyper::body::Body;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, ServerName};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::endpoint::Endpoint;
use crate::upstream::BoxError;

/// The most that is read at once, and the longest head of an answer. Larger pieces of bodies were not faster.
const READ_AT_ONCE: usize = 64 << 10;

/// Which servers are believed to be who they say.
#[derive(Clone)]
pub struct Trust(Arc<ClientConfig>);

/// Certificate authorities that can't be used.
#[derive(Debug, thiserror::Error)]
#[error("the certificate authorities can't be used: {reason}")]
pub struct TrustError {
    reason: String,
}

impl Trust {
    /// Trusts the authorities of a PEM file, or, without one, those of this machine.
    ///
    /// # Errors
    /// A file that can't be read or holds no certificate.
    pub fn new(ca: Option<&Path>) -> Result<Self, TrustError> {
        let mut roots = RootCertStore::empty();
        if let Some(path) = ca {
            let failed = |reason: String| TrustError {
                reason: format!("`{}`: {reason}", path.display()),
            };
            let text = std::fs::read(path).map_err(|error| failed(error.to_string()))?;
            for certificate in CertificateDer::pem_slice_iter(&text) {
                let certificate = certificate.map_err(|error| failed(error.to_string()))?;
                roots.add(certificate).map_err(|error| failed(error.to_string()))?;
            }
            if roots.is_empty() {
                return Err(failed("it holds no certificate".to_owned()));
            }
        } else {
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        }
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| TrustError {
                reason: error.to_string(),
            })?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Self(Arc::new(config)))
    }
}

/// No connection; the text is what the system says.
#[derive(Debug, thiserror::Error)]
#[error("{reason}")]
pub struct ConnectError {
    reason: String,
}

/// Connects; the connection ends when the sender is dropped. A server that is to be reached over TLS always is: without a `trust` it is
/// believed by this machine's authorities.
///
/// # Errors
/// Nobody answers there, or is not who it should be.
pub async fn connect<B>(endpoint: &Endpoint, trust: Option<&Trust>) -> Result<SendRequest<B>, ConnectError>
where
    B: Body<Data: Send, Error: Into<BoxError>> + Send + Unpin + 'static,
{
    let unreachable = |error: &dyn std::error::Error| ConnectError { reason: deepest(error) };
    let stream = TcpStream::connect((endpoint.host.as_str(), endpoint.port))
        .await
        .map_err(|error| unreachable(&error))?;
    connect_over(stream, endpoint, trust).await
}

/// The same over a stream that leads there already, such as one through a proxy.
///
/// # Errors
/// As [`connect`].
pub async fn connect_over<B>(
    stream: TcpStream,
    endpoint: &Endpoint,
    trust: Option<&Trust>,
) -> Result<SendRequest<B>, ConnectError>
where
    B: Body<Data: Send, Error: Into<BoxError>> + Send + Unpin + 'static,
{
    let unreachable = |error: &dyn std::error::Error| ConnectError { reason: deepest(error) };
    stream.set_nodelay(true).map_err(|error| unreachable(&error))?;
    if !endpoint.tls {
        return handshake(stream).await;
    }
    let trust = match trust {
        Some(trust) => trust.clone(),
        None => Trust::new(None).map_err(|error| unreachable(&error))?,
    };
    let name = ServerName::try_from(endpoint.host.clone()).map_err(|error| unreachable(&error))?;
    let stream = TlsConnector::from(trust.0)
        .connect(name, stream)
        .await
        .map_err(|error| unreachable(&error))?;
    handshake(stream).await
}

async fn handshake<S, B>(stream: S) -> Result<SendRequest<B>, ConnectError>
where
    B: Body<Data: Send, Error: Into<BoxError>> + Send + Unpin + 'static,
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let (sender, connection) = http1::Builder::new()
        .max_buf_size(READ_AT_ONCE)
        .handshake(TokioIo::new(stream))
        .await
        .map_err(|error| ConnectError {
            reason: deepest(&error),
        })?;
    // What goes wrong in it is told to the sender and to the body.
    tokio::spawn(async move { drop(connection.await) });
    Ok(sender)
}

/// The text of an error's first cause, which says most and repeats nothing.
#[must_use]
pub fn deepest(error: &dyn std::error::Error) -> String {
    let mut error = error;
    while let Some(source) = error.source() {
        error = source;
    }
    error.to_string()
}
