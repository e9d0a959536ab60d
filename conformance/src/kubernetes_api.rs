//! A client of a Kubernetes API for many requests at once: connections that stay open, and the answers as they come.

use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context as _, Result};
use bytes::Bytes;
use http::{Request, header};
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1::SendRequest;
use hyper_util::rt::TokioIo;
use rustls_pki_types::{CertificateDer, ServerName, pem::PemObject as _};
use serde_json::Value;
use tokio::net::TcpStream;

/// An administrator's way to an API server; clones share connections.
#[derive(Clone)]
pub struct KubernetesApi {
    authority: String,
    token: String,
    tls: tokio_rustls::TlsConnector,
    idle: Arc<Mutex<Vec<SendRequest<Full<Bytes>>>>>,
}

impl KubernetesApi {
    pub(crate) fn new(authority: &str, token: &str, ca_pem: &str) -> Result<Self> {
        let mut roots = rustls::RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(ca_pem.as_bytes())?)?;
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Self {
            authority: authority.to_owned(),
            token: token.to_owned(),
            tls: tokio_rustls::TlsConnector::from(Arc::new(config)),
            idle: Arc::default(),
        })
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<SendRequest<Full<Bytes>>>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One request; its status and the object that came, null if none did.
    ///
    /// # Errors
    /// No connection, or no answer.
    pub async fn call(&self, method: &str, path: &str, body: Option<&Value>) -> Result<(u16, Value)> {
        let kind = match method {
            "PATCH" => "application/merge-patch+json",
            _ => "application/json",
        };
        let body = body.map(Value::to_string).unwrap_or_default();
        let request = || {
            Request::builder()
                .method(method)
                .uri(path)
                .header(header::HOST, &self.authority)
                .header(header::AUTHORIZATION, format!("Bearer {}", self.token))
                .header(header::CONTENT_TYPE, kind)
                .body(Full::new(Bytes::from(body.clone())))
        };
        let mut kept = self.idle().pop();
        let mut sender = loop {
            match kept {
                None => break self.connect().await?,
                Some(mut sender) => {
                    if sender.ready().await.is_ok() {
                        break sender;
                    }
                    kept = self.idle().pop();
                }
            }
        };
        let response = sender.send_request(request()?).await?;
        let status = response.status().as_u16();
        let body = response.into_body().collect().await?.to_bytes();
        self.idle().push(sender);
        Ok((status, serde_json::from_slice(&body).unwrap_or_default()))
    }

    async fn connect(&self) -> Result<SendRequest<Full<Bytes>>> {
        let stream = TcpStream::connect(&self.authority).await?;
        stream.set_nodelay(true)?;
        let stream = self.tls.connect(ServerName::try_from("127.0.0.1")?, stream).await?;
        let (sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
        tokio::spawn(connection);
        Ok(sender)
    }

    /// A GET that finds something.
    ///
    /// # Errors
    /// It does not.
    pub async fn get(&self, path: &str) -> Result<Value> {
        self.must("GET", path, None).await
    }

    /// A request that succeeds.
    ///
    /// # Errors
    /// It does not.
    pub async fn must(&self, method: &str, path: &str, body: Option<&Value>) -> Result<Value> {
        let (status, object) = self.call(method, path, body).await?;
        anyhow::ensure!((200..300).contains(&status), "{method} {path}: {status} {object}");
        Ok(object)
    }

    /// All items of a list, page by page.
    ///
    /// # Errors
    /// A page can't be had.
    pub async fn list(&self, path: &str) -> Result<Vec<Value>> {
        let (mut items, mut token) = (Vec::new(), String::new());
        loop {
            let mut page = self.get(&format!("{path}?limit=500&continue={token}")).await?;
            let found = page.get_mut("items").map(Value::take);
            items.extend(found.and_then(|items| items.as_array().cloned()).context("no items")?);
            match page.pointer("/metadata/continue").and_then(Value::as_str) {
                Some(more) if !more.is_empty() => more.clone_into(&mut token),
                _ => return Ok(items),
            }
        }
    }
}
