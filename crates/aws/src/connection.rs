use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, ServerName};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::endpoint::Endpoint;
use crate::{Answer, ClientError};

/// Which servers are believed to be who they say.
#[derive(Clone)]
pub(crate) struct Trust {
    config: Arc<ClientConfig>,
}

impl Trust {
    /// Trusts the authorities of a PEM file, or, without one, those of this machine.
    pub(crate) fn new(ca: Option<&Path>) -> Result<Self, ClientError> {
        let mut roots = RootCertStore::empty();
        if let Some(path) = ca {
            let failed = |reason: String| ClientError::Ca {
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
            .map_err(|error| ClientError::Ca {
                reason: error.to_string(),
            })?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Self {
            config: Arc::new(config),
        })
    }
}

/// Sends one request over a connection of its own and reads the whole answer, of at most `limit` bytes.
pub(crate) async fn send(
    endpoint: &Endpoint,
    trust: Option<&Trust>,
    request: Request<Full<Bytes>>,
    limit: usize,
) -> Result<Answer, ClientError> {
    let unreachable = |error: &dyn std::error::Error| ClientError::Unreachable {
        endpoint: endpoint.to_string(),
        reason: deepest(error),
    };
    let stream = TcpStream::connect((endpoint.host.as_str(), endpoint.port))
        .await
        .map_err(|error| unreachable(&error))?;
    stream.set_nodelay(true).map_err(|error| unreachable(&error))?;
    match (endpoint.tls, trust) {
        (false, _) => exchange(endpoint, stream, request, limit).await,
        (true, trust) => {
            let trust = match trust {
                Some(trust) => trust.clone(),
                None => Trust::new(None)?,
            };
            let name = ServerName::try_from(endpoint.host.clone()).map_err(|error| unreachable(&error))?;
            let stream = TlsConnector::from(trust.config)
                .connect(name, stream)
                .await
                .map_err(|error| unreachable(&error))?;
            exchange(endpoint, stream, request, limit).await
        }
    }
}

async fn exchange<S: AsyncRead + AsyncWrite + Send + Unpin + 'static>(
    endpoint: &Endpoint,
    stream: S,
    request: Request<Full<Bytes>>,
    limit: usize,
) -> Result<Answer, ClientError> {
    let unreachable = |error: &dyn std::error::Error| ClientError::Unreachable {
        endpoint: endpoint.to_string(),
        reason: deepest(error),
    };
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream))
        .await
        .map_err(|error| unreachable(&error))?;
    // Ends when the sender is dropped; what goes wrong in it is told to the sender.
    let driver = tokio::spawn(connection);
    let response = sender
        .send_request(request)
        .await
        .map_err(|error| unreachable(&error))?;
    let (parts, body) = response.into_parts();
    let body = Limited::new(body, limit)
        .collect()
        .await
        .map_err(|error| ClientError::Unreadable {
            endpoint: endpoint.to_string(),
            reason: deepest(error.as_ref()),
        })?;
    driver.abort();
    Ok(Answer {
        status: parts.status,
        headers: parts.headers,
        body: body.to_bytes(),
    })
}

/// The text of the first cause, which says most and repeats nothing.
fn deepest(error: &dyn std::error::Error) -> String {
    let mut error = error;
    while let Some(source) = error.source() {
        error = source;
    }
    error.to_string()
}
