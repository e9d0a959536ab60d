//! An HTTPS identity provider in this process: any number of issuers by path, their documents under the test's control.

use std::{
    collections::HashMap,
    convert::Infallible,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use anyhow::{Context as _, Result};
use bytes::Bytes;
use http::{HeaderValue, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::{body::Incoming, service::service_fn};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::TcpListener;

use crate::authority::Authority;

/// The HTTPS server. It lives on a thread of its own until it goes out of scope.
pub struct Issuer {
    base: String,
    pages: Arc<Mutex<Pages>>,
    folder: TempDir,
    _stop: tokio::sync::oneshot::Sender<()>,
}

/// The documents by path, and how long clients may keep them.
struct Pages {
    documents: HashMap<String, Page>,
    cache_control: HeaderValue,
}

struct Page {
    status: StatusCode,
    body: String,
    requests: usize,
}

impl Issuer {
    /// Starts the server on a free port of 127.0.0.1, with a certificate for 127.0.0.1 and localhost from an authority of its own.
    pub fn start() -> Result<Self> {
        let authority = Authority::new("conformance suite")?;
        let leaf = authority.leaf(&["127.0.0.1", "localhost"])?;

        let folder = tempfile::tempdir()?;
        std::fs::write(folder.path().join("ca.pem"), authority.pem())?;

        let tls = rustls::ServerConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(leaf.chain, leaf.key)?;
        let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
        listener.set_nonblocking(true)?;
        let base = format!("https://{}", listener.local_addr()?);
        let pages = Arc::new(Mutex::new(Pages {
            documents: HashMap::new(),
            cache_control: HeaderValue::from_static("no-cache"),
        }));
        let (stop, stopped) = tokio::sync::oneshot::channel();
        let served = Arc::clone(&pages);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        std::thread::Builder::new().name("issuer".into()).spawn(move || {
            runtime.block_on(async {
                tokio::select! {
                    _ = serve(listener, Arc::new(tls), served) => {}
                    _ = stopped => {}
                }
            });
        })?;
        Ok(Self {
            base,
            pages,
            folder,
            _stop: stop,
        })
    }

    /// The certificate of the authority, for `--issuer-ca`.
    pub fn authority(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }

    /// The folder of the authority's file.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The URL of the issuer at `path`, which needs no slash before it.
    pub fn url(&self, path: &str) -> String {
        format!("{}/{path}", self.base)
    }

    /// Publishes the issuer at `path`: a discovery document as AWS wants it, and these keys. Hands back the issuer's URL.
    pub fn publish(&self, path: &str, keys: &Value) -> String {
        let url = self.url(path);
        self.set(
            &format!("{path}/.well-known/openid-configuration"),
            200,
            &json!({
                "issuer": url,
                "jwks_uri": format!("{url}/keys.json"),
                "id_token_signing_alg_values_supported": ["RS256", "RS384", "RS512", "ES256", "ES384", "ES512"],
                "response_types_supported": ["id_token"],
                "subject_types_supported": ["public"],
                "claims_supported": ["iss", "sub", "aud", "exp", "iat"],
            })
            .to_string(),
        );
        self.set(&format!("{path}/keys.json"), 200, &keys.to_string());
        url
    }

    /// Sets the document at a path.
    pub fn set(&self, path: &str, status: u16, body: &str) {
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut pages = self.pages.lock().unwrap_or_else(PoisonError::into_inner);
        let requests = pages.documents.get(path).map_or(0, |page| page.requests);
        pages.documents.insert(
            path.to_owned(),
            Page {
                status,
                body: body.to_owned(),
                requests,
            },
        );
    }

    /// Lets clients keep documents for so many seconds; until then they are told to ask each time.
    pub fn let_keep(&self, seconds: u32) -> Result<()> {
        let value = HeaderValue::try_from(format!("public, max-age={seconds}"))?;
        self.pages.lock().unwrap_or_else(PoisonError::into_inner).cache_control = value;
        Ok(())
    }

    /// How often the document at a path was asked for.
    pub fn requests(&self, path: &str) -> usize {
        self.pages
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .documents
            .get(path)
            .map_or(0, |page| page.requests)
    }
}

async fn serve(
    listener: std::net::TcpListener,
    tls: Arc<rustls::ServerConfig>,
    pages: Arc<Mutex<Pages>>,
) -> Result<()> {
    let listener = TcpListener::from_std(listener).context("a listener for the issuer")?;
    let acceptor = tokio_rustls::TlsAcceptor::from(tls);
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            continue;
        };
        let (acceptor, pages) = (acceptor.clone(), Arc::clone(&pages));
        tokio::spawn(async move {
            // A client that breaks off is its own affair: what the server under test made of it is what the test looks at.
            let Ok(stream) = acceptor.accept(stream).await else {
                return;
            };
            let service = service_fn(move |request: Request<Incoming>| {
                let answer = page(&pages, request.uri().path());
                async move { Ok::<_, Infallible>(answer) }
            });
            let _ = hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service)
                .await;
        });
    }
}

fn page(pages: &Mutex<Pages>, path: &str) -> Response<Full<Bytes>> {
    let mut pages = pages.lock().unwrap_or_else(PoisonError::into_inner);
    let (status, body) = match pages.documents.get_mut(path.trim_start_matches('/')) {
        Some(page) => {
            page.requests += 1;
            (page.status, page.body.clone())
        }
        None => (StatusCode::NOT_FOUND, String::new()),
    };
    let mut response = Response::new(Full::new(body.into()));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert("content-type", HeaderValue::from_static("application/json"));
    headers.insert("cache-control", pages.cache_control.clone());
    response
}
