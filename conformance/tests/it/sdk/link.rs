//! A plain HTTP client, for URLs that need no other.

use std::{path::Path, sync::Arc, time::Duration};

use anyhow::{Context as _, Result};
use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt as _, Full};
use hyper_util::rt::TokioIo;
use rustls_pki_types::{CertificateDer, ServerName, pem::PemObject as _};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
};

/// Sends a request with no header but `Host`; the status and the body of the answer.
pub(super) async fn fetch(method: &str, url: &str, body: &str, authority: &Path) -> Result<(u16, String)> {
    let (scheme, rest) = url.split_once("://").with_context(|| format!("no URL: {url}"))?;
    let (host, target) = rest.split_at(rest.find('/').context("a URL without a path")?);
    let request = Request::builder().method(method).uri(target).header("host", host);
    let request = request.body(Full::new(Bytes::from(body.to_owned())))?;
    let answer = async {
        let stream = TcpStream::connect(host).await?;
        if scheme == "http" {
            return exchange(stream, request).await;
        }
        let mut roots = rustls::RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(authority)?)?;
        let config =
            rustls::ClientConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
                .with_safe_default_protocol_versions()?
                .with_root_certificates(roots)
                .with_no_client_auth();
        let name = ServerName::try_from("127.0.0.1")?;
        let stream = tokio_rustls::TlsConnector::from(Arc::new(config))
            .connect(name, stream)
            .await?;
        exchange(stream, request).await
    };
    tokio::time::timeout(Duration::from_secs(60), answer)
        .await
        .context("no answer within a minute")?
}

async fn exchange<S>(stream: S, request: Request<Full<Bytes>>) -> Result<(u16, String)>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    let driver = tokio::spawn(connection);
    let response = sender.send_request(request).await?;
    let status = response.status().as_u16();
    let body = response.into_body().collect().await?.to_bytes();
    driver.abort();
    Ok((status, String::from_utf8_lossy(&body).into_owned()))
}
