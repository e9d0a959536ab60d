//! Connections to an API server: made through proxies, kept alive, and found out when they are dead.
//!
//! A watch is silent for as long as nothing happens, so a connection that died without a word looks like one on which nothing happens. HTTP/2 asks the other
//! side every few seconds whether it is there, end to end whatever lies between, so watches go over HTTP/2 where the API server has it. Calls go over
//! HTTP/1.1: one that gets no answer in time takes its connection with it, and the next one is made on another.

use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::future::BoxFuture;
use http::header::AUTHORIZATION;
use http::{Request, Response, StatusCode, Uri};
use hyper::body::Incoming;
use hyper_rustls::{FixedServerNameResolver, HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::proxy::{SocksV5, Tunnel};
use hyper_util::client::legacy::connect::{Connect, Connection, HttpConnector};
use hyper_util::client::proxy::matcher::Intercept;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use kube::Config;
use kube::client::{Body, ConfigExt as _};
use rustls::ClientConfig;
use tower::util::option_layer;
use tower::{BoxError, Layer as _, Service};

use crate::bearer::TokenSource;
use crate::error::{ClusterError, chain};

/// When the other host's kernel is asked whether it is there, which is all there is to ask of a server without HTTP/2.
const PROBED_AFTER: Duration = Duration::from_secs(8);
const PROBES: u32 = 3;
const BETWEEN_PROBES: Duration = Duration::from_secs(3);
/// How long what was sent may remain without being acknowledged.
const ACKNOWLEDGED_WITHIN: Duration = Duration::from_secs(15);

/// How long things may take.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Times {
    /// Until a connection is there, TLS and proxies included.
    pub(crate) connected_within: Duration,
    /// Until the other side of a watch is asked whether it is there, and until it has answered.
    pub(crate) silence: Duration,
}

/// A client that reaches the API server as `config` says, through the proxy and with the source's tokens, if any.
///
/// The configuration's programs for credentials are not run: `tokens` are theirs.
pub(crate) fn client(
    config: &Config,
    proxy: Option<Intercept>,
    tokens: Option<TokenSource>,
    times: Times,
) -> Result<kube::Client, ClusterError> {
    // Whoever makes a TLS configuration without saying by which library means this one.
    if rustls::crypto::CryptoProvider::get_default().is_none() {
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    }
    let mut http = HttpConnector::new();
    http.enforce_http(false);
    http.set_nodelay(true);
    http.set_connect_timeout(Some(times.connected_within));
    http.set_keepalive(Some(PROBED_AFTER));
    http.set_keepalive_interval(Some(BETWEEN_PROBES));
    http.set_keepalive_retries(Some(PROBES));
    #[cfg(target_os = "linux")]
    http.set_tcp_user_timeout(Some(ACKNOWLEDGED_WITHIN));
    let Some(proxy) = proxy else {
        return assemble(config, http, tokens, times);
    };
    let address = proxy.uri().clone();
    match proxy.uri().scheme_str() {
        Some("http") => assemble(config, tunnel(&proxy, http), tokens, times),
        Some("https") => {
            // The proxy's own certificate is judged by the system, not by the cluster's authority.
            let tls = Config::new(address).rustls_client_config().map_err(wrong)?;
            let https = HttpsConnectorBuilder::new()
                .with_tls_config(tls)
                .https_only()
                .enable_http1();
            assemble(config, tunnel(&proxy, https.wrap_connector(http)), tokens, times)
        }
        Some("socks5" | "socks5h") => {
            let mut socks = SocksV5::new(address, http);
            if let Some((user, password)) = proxy.raw_auth() {
                socks = socks.with_auth(user.to_owned(), password.to_owned());
            }
            assemble(config, socks, tokens, times)
        }
        _ => Err(ClusterError::Client(format!(
            "the proxy `{address}` is none of http, https and socks5"
        ))),
    }
}

fn tunnel<C>(proxy: &Intercept, connector: C) -> Tunnel<C> {
    let tunnel = Tunnel::new(proxy.uri().clone(), connector);
    match proxy.basic_auth() {
        Some(authorization) => tunnel.with_auth(authorization.clone()),
        None => tunnel,
    }
}

fn wrong(error: impl std::error::Error) -> ClusterError {
    ClusterError::Client(chain(&error))
}

fn assemble<C>(
    config: &Config,
    connector: C,
    tokens: Option<TokenSource>,
    times: Times,
) -> Result<kube::Client, ClusterError>
where
    C: Service<Uri> + Clone + Send + Sync + 'static,
    C::Response: Connection + hyper::rt::Read + hyper::rt::Write + Send + Unpin + 'static,
    C::Future: Send + 'static,
    C::Error: Into<BoxError>,
{
    let tls = config.rustls_client_config().map_err(wrong)?;
    let over = |versions| {
        let connector = over_tls(config, tls.clone(), connector.clone(), versions)?;
        let deadline = times.connected_within;
        Ok::<_, ClusterError>(Within { connector, deadline })
    };
    let mut calls = Client::builder(TokioExecutor::new());
    calls.pool_timer(TokioTimer::new());
    let mut watches = Client::builder(TokioExecutor::new());
    watches
        .pool_timer(TokioTimer::new())
        .timer(TokioTimer::new())
        .http2_keep_alive_interval(times.silence)
        .http2_keep_alive_timeout(times.silence);
    let transport = Transport {
        calls: calls.build(over(Versions::One)?),
        watches: watches.build(over(Versions::Both)?),
        tokens,
    };
    let service = config.extra_headers_layer().map_err(wrong)?.layer(transport);
    let service = option_layer(config.auth_layer().map_err(wrong)?).layer(service);
    let service = config.base_uri_layer().layer(service);
    Ok(kube::Client::new(service, config.default_namespace.clone()))
}

/// The versions of HTTP that are offered.
enum Versions {
    One,
    Both,
}

fn over_tls<C>(
    config: &Config,
    tls: ClientConfig,
    connector: C,
    versions: Versions,
) -> Result<HttpsConnector<C>, ClusterError> {
    let mut builder = HttpsConnectorBuilder::new().with_tls_config(tls).https_or_http();
    if let Some(name) = config.tls_server_name.clone() {
        let name = name
            .try_into()
            .map_err(|error| ClusterError::Client(format!("`tls-server-name`: {error}")))?;
        builder = builder.with_server_name_resolver(FixedServerNameResolver::new(name));
    }
    Ok(match versions {
        Versions::One => builder.enable_http1().wrap_connector(connector),
        Versions::Both => builder.enable_all_versions().wrap_connector(connector),
    })
}

/// A connector whose connections are there in time, TLS and proxies included.
#[derive(Clone)]
struct Within<C> {
    connector: C,
    deadline: Duration,
}

impl<C> Service<Uri> for Within<C>
where
    C: Service<Uri>,
    C::Future: Send + 'static,
    C::Error: Into<BoxError>,
{
    type Response = C::Response;
    type Error = BoxError;
    type Future = BoxFuture<'static, Result<C::Response, BoxError>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.connector.poll_ready(context).map_err(Into::into)
    }

    fn call(&mut self, server: Uri) -> Self::Future {
        let (connecting, deadline) = (self.connector.call(server), self.deadline);
        Box::pin(async move {
            match tokio::time::timeout(deadline, connecting).await {
                Ok(connected) => connected.map_err(Into::into),
                Err(_) => Err(std::io::Error::new(std::io::ErrorKind::TimedOut, "no connection in time").into()),
            }
        })
    }
}

/// Sends a request on the connection that is made for its kind, with the token of now.
#[derive(Clone)]
struct Transport<C> {
    calls: Client<C, Body>,
    watches: Client<C, Body>,
    tokens: Option<TokenSource>,
}

/// No token is to be had.
#[derive(Debug, thiserror::Error)]
#[error("no credentials: {0}")]
struct NoToken(String);

fn is_watch(uri: &Uri) -> bool {
    uri.query()
        .is_some_and(|query| query.split('&').any(|pair| pair == "watch=true"))
}

impl<C> Service<Request<Body>> for Transport<C>
where
    C: Connect + Clone + Send + Sync + 'static,
{
    type Response = Response<Incoming>;
    type Error = BoxError;
    type Future = BoxFuture<'static, Result<Response<Incoming>, BoxError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        let client = if is_watch(request.uri()) {
            &self.watches
        } else {
            &self.calls
        };
        let (client, tokens) = (client.clone(), self.tokens.clone());
        Box::pin(async move {
            let Some(tokens) = tokens else {
                return Ok(client.request(request).await?);
            };
            let token = tokens.header().await.map_err(NoToken)?;
            request.headers_mut().insert(AUTHORIZATION, token.clone());
            let (head, body) = request.into_parts();
            let again = body.try_clone().map(|body| Request::from_parts(head.clone(), body));
            let answer = client.request(Request::from_parts(head, body)).await?;
            match again {
                Some(mut again) if answer.status() == StatusCode::UNAUTHORIZED && tokens.refused(&token) => {
                    let token = tokens.header().await.map_err(NoToken)?;
                    again.headers_mut().insert(AUTHORIZATION, token);
                    Ok(client.request(again).await?)
                }
                _ => Ok(answer),
            }
        })
    }
}

#[cfg(test)]
mod tests;
