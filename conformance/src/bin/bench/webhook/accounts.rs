//! The one thing of a Kubernetes API that the webhook asks of it at the start: service accounts by the page, and a watch of them in which nothing happens.

use std::{convert::Infallible, net::SocketAddr, time::Duration};

use anyhow::{Context as _, Result};
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full, combinators::BoxBody};
use hyper::{
    body::{Body, Frame, Incoming},
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpListener;

const WATCH: Duration = Duration::from_secs(280);

/// Serves so many accounts until the process ends; every one has a role.
pub(super) fn serve(accounts: usize) -> Result<SocketAddr> {
    let (sender, receiver) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(async {
            let listener = TcpListener::bind("127.0.0.1:0").await?;
            sender.send(listener.local_addr()?)?;
            loop {
                let (stream, _) = listener.accept().await?;
                tokio::spawn(async move {
                    let service =
                        service_fn(move |request| async move { Ok::<_, Infallible>(answer(accounts, &request)) });
                    let _ = hyper::server::conn::http1::Builder::new()
                        .serve_connection(TokioIo::new(stream), service)
                        .await;
                });
            }
            #[expect(unreachable_code, reason = "it says what the loop's errors are")]
            anyhow::Ok(())
        })
    });
    receiver.recv().context("no cluster")
}

fn answer(accounts: usize, request: &Request<Incoming>) -> Response<BoxBody<Bytes, Infallible>> {
    let query = request.uri().query().unwrap_or_default();
    let value = |name: &str| {
        let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
        pairs.find(|pair| pair.0 == name).map(|pair| pair.1)
    };
    let body = if value("watch").is_some() {
        Silent(Box::pin(tokio::time::sleep(WATCH))).boxed()
    } else {
        let number = |name: &str| value(name).and_then(|text| text.parse::<usize>().ok());
        let (from, limit) = (
            number("continue").unwrap_or_default(),
            number("limit").unwrap_or(accounts),
        );
        let end = (from + limit).min(accounts);
        let items: Vec<Value> = (from..end).map(account).collect();
        let next = if end < accounts { end.to_string() } else { String::new() };
        let list = json!({"kind": "PartialObjectMetadataList", "apiVersion": "meta.k8s.io/v1",
            "metadata": {"resourceVersion": "1000000", "continue": next}, "items": items});
        Full::new(Bytes::from(list.to_string())).boxed()
    };
    let mut answer = Response::new(body);
    let json = http::HeaderValue::from_static("application/json");
    answer.headers_mut().insert("content-type", json);
    answer
}

/// An account as clusters have them: a role, and what tools write.
fn account(number: usize) -> Value {
    json!({"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": {
        "name": format!("service-{number}"), "namespace": format!("team-{}", number % 500),
        "uid": format!("00000000-0000-4000-8000-{number:012}"), "resourceVersion": number.to_string(),
        "creationTimestamp": "2026-11-01T00:00:00Z", "labels": {"app.kubernetes.io/managed-by": "Helm"},
        "annotations": {
            "eks.amazonaws.com/role-arn": format!("arn:aws:iam::111122223333:role/teams/team-{}/service-{number}", number % 500),
            "meta.helm.sh/release-name": format!("service-{number}"),
            "kubectl.kubernetes.io/last-applied-configuration": "x".repeat(300)}}})
}

/// A body that ends after some time and says nothing.
struct Silent(std::pin::Pin<Box<tokio::time::Sleep>>);

impl Body for Silent {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: std::pin::Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.0.as_mut().poll(cx).map(|()| None)
    }
}
