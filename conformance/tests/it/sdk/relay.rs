//! What makes a session end within seconds, for a client: a relay before STS.
//!
//! No session of STS is shorter than a quarter of an hour, and no test waits that long. So this stands between client and server and changes
//! one thing in what goes by: the `<Expiration>` of sessions that the first token was exchanged for is a few seconds away. When the client
//! has made its first call, the relay puts the second token into the client's token file, and keeps the answer back until the first session
//! has ended, as the client was told. The client's next call shows whether it comes back by itself: reads the file again, exchanges the
//! new token, and keeps that session. Signatures are the client's and the server's own; what is feigned is time.

use std::{
    convert::Infallible,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use anyhow::{Context as _, Result, bail};
use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::{body::Incoming, service::service_fn};
use hyper_util::rt::TokioIo;
use irsa_conformance::{Answer, Transport};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};
use tokio::{net::TcpListener, task::JoinHandle};

/// How long a session of the first token is good, as the client is told. Instants of STS are whole seconds.
const SHORT: Duration = Duration::from_secs(3);

/// What went by.
#[derive(Clone, Debug)]
pub(super) enum Seen {
    /// A token (the first or the second) became a session.
    Exchange { token: usize, session: String },
    /// A call under a session.
    Call { session: String },
}

/// The relay; it ends with this value.
pub(super) struct Relay {
    endpoint: String,
    shared: Arc<Shared>,
    listener: JoinHandle<()>,
}

struct Shared {
    upstream: Transport,
    tokens: [String; 2],
    file: PathBuf,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    seen: Vec<Seen>,
    /// When the last session of the first token ends, as the client was told.
    ends: Option<OffsetDateTime>,
}

impl Relay {
    /// A relay to `upstream`, where `file` holds the first of the tokens.
    pub(super) async fn start(upstream: &Transport, tokens: &[String; 2], file: &Path) -> Result<Self> {
        let shared = Arc::new(Shared {
            upstream: upstream.clone(),
            tokens: tokens.clone(),
            file: file.to_owned(),
            state: Mutex::default(),
        });
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let endpoint = format!("http://{}", listener.local_addr()?);
        let served = Arc::clone(&shared);
        let listener = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let shared = Arc::clone(&served);
                tokio::spawn(async move {
                    let service = service_fn(move |request| answer(Arc::clone(&shared), request));
                    let http = hyper::server::conn::http1::Builder::new();
                    // A client that goes away is no concern of the relay's.
                    drop(http.serve_connection(TokioIo::new(stream), service).await);
                });
            }
        });
        Ok(Self {
            endpoint,
            shared,
            listener,
        })
    }

    /// Where clients find it.
    pub(super) fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// What went by, in order.
    pub(super) fn seen(&self) -> Vec<Seen> {
        self.shared.state().seen.clone()
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.listener.abort();
    }
}

impl Shared {
    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn relay(&self, request: Request<Incoming>) -> Result<Response<Full<Bytes>>> {
        let (mut head, body) = request.into_parts();
        let body = body.collect().await?.to_bytes();
        // The header names the relay, and is signed so; the server goes by the signature.
        head.headers.remove("connection");
        let session = head
            .headers
            .get("authorization")
            .map(|value| session(value.to_str().unwrap_or_default()));
        let form = String::from_utf8_lossy(&body).into_owned();
        let mut answer = self.upstream.send(Request::from_parts(head, Full::new(body))).await?;
        match session {
            None => self.exchanged(&form, &mut answer)?,
            Some(session) => self.called(session?).await?,
        }
        let mut response = Response::builder().status(answer.status);
        for (name, value) in &answer.headers {
            if name != "content-length" && name != "connection" {
                response = response.header(name, value);
            }
        }
        Ok(response.body(Full::new(answer.body))?)
    }

    /// An unsigned request: a token's exchange.
    fn exchanged(&self, form: &str, answer: &mut Answer) -> Result<()> {
        let credentials = answer.credentials().with_context(|| answer.text())?;
        let token = self.tokens.iter().position(|token| form.contains(token.as_str()));
        let token = token.context("a token that is in no file")?;
        let mut state = self.state();
        if token == 0 {
            let ends = OffsetDateTime::now_utc().replace_nanosecond(0)? + SHORT;
            let told = answer.must_xml("Expiration")?;
            answer.body = answer.text().replace(&told, &ends.format(&Rfc3339)?).into();
            state.ends = Some(ends);
        }
        state.seen.push(Seen::Exchange {
            token,
            session: credentials.access_key_id,
        });
        Ok(())
    }

    /// A signed request: a call. The first is answered when its session has ended.
    async fn called(&self, session: String) -> Result<()> {
        let ends = {
            let mut state = self.state();
            let first = !state.seen.iter().any(|seen| matches!(seen, Seen::Call { .. }));
            state.seen.push(Seen::Call { session });
            state.ends.filter(|_| first)
        };
        if let Some(ends) = ends {
            // As the kubelet replaces it: at once.
            let new = self.file.with_extension("new");
            std::fs::write(&new, &self.tokens[1])?;
            std::fs::rename(&new, &self.file)?;
            let left = ends - OffsetDateTime::now_utc();
            tokio::time::sleep(Duration::try_from(left).unwrap_or_default() + Duration::from_millis(50)).await;
        }
        Ok(())
    }
}

/// The access key id of an `Authorization` header.
fn session(header: &str) -> Result<String> {
    let Some((_, rest)) = header.split_once("Credential=") else {
        bail!("no credential in {header}");
    };
    Ok(rest.split('/').next().unwrap_or_default().to_owned())
}

async fn answer(shared: Arc<Shared>, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    Ok(shared.relay(request).await.unwrap_or_else(|error| {
        let mut response = Response::new(Full::new(Bytes::from(format!("{error:#}"))));
        *response.status_mut() = StatusCode::BAD_GATEWAY;
        response
    }))
}
