//! The ceiling: a bare HTTPS server that parses a review as plain JSON, and answers with a patch that it has ready.

use std::{convert::Infallible, io::Write as _, path::Path, sync::Arc};

use anyhow::{Context as _, Result};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full};
use hyper::{body::Incoming, service::service_fn};
use hyper_util::rt::TokioIo;
use rustls::{
    ServerConfig,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

/// Serves until killed; prints its address once it listens.
pub(crate) fn main(folder: &Path) -> Result<()> {
    let chain = CertificateDer::pem_file_iter(folder.join("tls.crt"))?.collect::<Result<Vec<_>, _>>()?;
    let key = PrivateKeyDer::from_pem_file(folder.join("tls.key"))?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(chain, key)?;
    let acceptor = TlsAcceptor::from(Arc::new(config));
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?
        .block_on(async {
            let listener = TcpListener::bind("127.0.0.1:0").await?;
            let mut stdout = std::io::stdout();
            writeln!(stdout, "{}", listener.local_addr()?)?;
            stdout.flush()?;
            loop {
                let (stream, _) = listener.accept().await?;
                stream.set_nodelay(true)?;
                let acceptor = acceptor.clone();
                tokio::spawn(async move {
                    let Ok(stream) = acceptor.accept(stream).await else {
                        return;
                    };
                    let _ = hyper::server::conn::http1::Builder::new()
                        .serve_connection(TokioIo::new(stream), service_fn(answer))
                        .await;
                });
            }
        })
}

async fn answer(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let text = match request.into_body().collect().await {
        Ok(body) => review(&body.to_bytes()).unwrap_or_else(|error| format!("{error:#}")),
        Err(error) => error.to_string(),
    };
    let mut answer = Response::new(Full::new(Bytes::from(text)));
    let json = http::HeaderValue::from_static("application/json");
    answer.headers_mut().insert("content-type", json);
    Ok(answer)
}

fn review(body: &[u8]) -> Result<String> {
    let review: Value = serde_json::from_slice(body)?;
    let uid = review.pointer("/request/uid").context("no uid")?;
    let containers = review
        .pointer("/request/object/spec/containers")
        .and_then(Value::as_array);
    // As many additions as a webhook would make: three a container, and the volume.
    let operations = containers.into_iter().flatten().flat_map(|_| 0..3).chain(0..1).map(|number| {
        json!({"op": "add", "path": "/spec/containers/0/env/-",
            "value": {"name": "AWS_ROLE_ARN", "value": "arn:aws:iam::111122223333:role/teams/team-7/service-7", "number": number}})
    });
    let patch = serde_json::to_vec(&operations.collect::<Vec<_>>())?;
    let response = json!({"uid": uid, "allowed": true, "patch": STANDARD.encode(patch), "patchType": "JSONPatch",
        "auditAnnotations": {"decision": "injected", "reason": "role"}});
    let answer = json!({"kind": review.get("kind"), "apiVersion": review.get("apiVersion"), "response": response});
    Ok(answer.to_string())
}
