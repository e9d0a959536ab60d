use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use hyper::body::Frame;
use irsa_webhook::Settings;

use super::*;
use crate::Sources;
use crate::testing::{ROLE, fixture, fixture_of, pod, review, rules};

const ANYBODY: Caller = Caller::Reviews { has_certificate: false };

fn routes(debug: bool, needs_certificate: bool) -> (Routes, watch::Sender<Phase>) {
    let (sender, phase) = watch::channel(Phase::Serving);
    let certificate = Arc::new(ServingCertificate::default());
    (
        Routes::new(fixture().admission, certificate, (debug, needs_certificate), phase),
        sender,
    )
}

fn full(body: impl Into<Bytes>) -> Full<Bytes> {
    Full::new(body.into())
}

async fn ask<B>(routes: &Routes, caller: Caller, target: &str, content_type: Option<&str>, body: B) -> (u16, String)
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: std::fmt::Display,
{
    let mut request = Request::post(target);
    if let Some(content_type) = content_type {
        request = request.header("content-type", content_type);
    }
    let answer = routes.answer(caller, request.body(body).unwrap()).await;
    let status = answer.status().as_u16();
    let body = answer.into_body().collect().await.unwrap().to_bytes();
    (status, String::from_utf8(body.to_vec()).unwrap())
}

async fn post(routes: &Routes, target: &str, body: impl Into<Bytes>) -> (u16, String) {
    ask(routes, ANYBODY, target, Some("application/json"), full(body)).await
}

#[tokio::test]
async fn paths_of_the_https_port() {
    let (routes, _phase) = routes(false, false);
    let body = review("app", &pod("reader")).to_string();
    for path in ["/mutate", "/mutate/fail-closed", "/mutate?timeout=10s", "/mutate?x=%41"] {
        let (status, text) = post(&routes, path, body.clone()).await;
        assert_eq!(status, 200);
        assert!(text.starts_with("{\"kind\":\"AdmissionReview\",\"apiVersion\":\"admission.k8s.io/v1\",\"response\":{\"uid\":\"u-1\",\"allowed\":true,"), "{text}");
    }
    for path in [
        "/mutate/",
        "/",
        "/metrics",
        "/Mutate",
        "/debug/alpha/deny",
        "/debug/alpha/500",
        "/debug/alpha/cache",
        "/mutate/fail-closed/",
    ] {
        assert_eq!(
            post(&routes, path, body.clone()).await,
            (404, "404 page not found\n".to_owned()),
            "{path}"
        );
    }
    for path in ["/mutate?%zz", "/mutate?a=%4", "/mutate?a;b"] {
        assert_eq!(
            post(&routes, path, body.clone()).await,
            (400, "{\"error\": \"error parsing form\"}\n".to_owned()),
            "{path}"
        );
    }
    assert_eq!(post(&routes, "/healthz", "").await, (200, "ok".to_owned()));
}

#[tokio::test]
async fn content_types_are_compared_exactly() {
    let (routes, _phase) = routes(false, false);
    for content_type in [
        None,
        Some("application/JSON"),
        Some("application/json; charset=utf-8"),
        Some("text/yaml"),
    ] {
        let answer = ask(&routes, ANYBODY, "/mutate", content_type, full("{}")).await;
        let expected = "Invalid Content-Type, expected `application/json`\n";
        assert_eq!(answer, (415, expected.to_owned()));
    }
    let bad =
        "{\"response\":{\"uid\":\"\",\"allowed\":false,\"status\":{\"metadata\":{},\"message\":\"bad content\"}}}";
    for body in ["", "{}"] {
        assert_eq!(post(&routes, "/mutate", body).await, (200, bad.to_owned()));
    }
}

#[tokio::test]
async fn debug_handlers_are_there_when_asked_for() {
    let (routes, _phase) = routes(true, false);
    let (status, text) = post(&routes, "/debug/alpha/deny", "").await;
    assert!(status == 200 && text.contains("Test deny message"));
    assert_eq!(
        post(&routes, "/debug/alpha/500", "").await,
        (500, "test error\n".to_owned())
    );
    let (status, text) = ask(&routes, Caller::Metrics, "/debug/alpha/cache", None, full("")).await;
    assert_eq!(status, 200);
    let entry = format!(
        " \"app/reader\": {{\n  \"RoleARN\": \"{ROLE}\",\n  \"Audience\": \"sts.amazonaws.com\",\n  \"UseRegionalSTS\": false,\n  \"TokenExpiration\": 86400\n }}"
    );
    assert!(text.contains(&entry), "{text}");
    assert_eq!(
        ask(&routes, Caller::Metrics, "/debug/alpha/cache/clear", None, full("")).await,
        (200, String::new())
    );
    assert_eq!(
        ask(&routes, Caller::Metrics, "/debug/alpha/cache", None, full(""))
            .await
            .1,
        "{}"
    );
}

#[tokio::test]
async fn ready_only_while_reviews_should_come() {
    let (sender, phase) = watch::channel(Phase::Serving);
    let certificate = Arc::new(ServingCertificate::default());
    let admission = fixture_of(Sources::new(Settings::default(), true, false), rules()).admission;
    let sources = Arc::clone(&admission.sources);
    let routes = Routes::new(admission, Arc::clone(&certificate), (false, false), phase);
    let ready = async || ask(&routes, Caller::Metrics, "/readyz", None, full("")).await;
    assert_eq!(
        ready().await,
        (503, "not ready: no serving certificate yet\n".to_owned())
    );
    let made = rcgen::generate_simple_self_signed(vec!["x.test".to_owned()]).unwrap();
    let (chain, key) = (made.cert.pem(), made.signing_key.serialize_pem());
    certificate.set(crate::certified_key(chain.as_bytes(), key.as_bytes()).unwrap());
    assert_eq!(ready().await, (503, "not ready: service accounts\n".to_owned()));
    sources.accounts.replace([]);
    assert_eq!(ready().await, (503, "not ready: the ConfigMap\n".to_owned()));
    sources.read_configured(None);
    assert_eq!(ready().await, (200, "ok".to_owned()));
    sender.send_replace(Phase::Draining);
    assert_eq!(ready().await, (503, "not ready: stopping\n".to_owned()));
    assert_eq!(ask(&routes, Caller::Metrics, "/healthz", None, full("")).await.0, 200);
}

#[tokio::test]
async fn adv_wh_15_without_the_certificate_of_an_api_server_nothing_is_told() {
    let (routes, _phase) = routes(false, true);
    let body = review("app", &pod("reader")).to_string();
    let (status, text) = post(&routes, "/mutate", body.clone()).await;
    assert_eq!((status, text.contains("arn:")), (403, false));
    assert_eq!(post(&routes, "/healthz", "").await.0, 200);
    let known = Caller::Reviews { has_certificate: true };
    assert_eq!(
        ask(&routes, known, "/mutate", Some("application/json"), full(body))
            .await
            .0,
        200
    );
}

/// A body in pieces, whose size nobody knows, or that stops coming.
struct Pieces {
    left: usize,
    stalls: bool,
}

impl Body for Pieces {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if self.left == 0 {
            return if self.stalls { Poll::Pending } else { Poll::Ready(None) };
        }
        self.left -= 1;
        Poll::Ready(Some(Ok(Frame::data(Bytes::from(vec![b' '; 64 * 1024])))))
    }
}

#[tokio::test(start_paused = true)]
async fn adv_wh_14_bodies_are_limited_in_size_and_time() {
    let (routes, _phase) = routes(false, false);
    let (json, start) = (Some("application/json"), tokio::time::Instant::now());
    assert_eq!(post(&routes, "/mutate", vec![b' '; MAX_BODY + 1]).await.0, 413);
    let endless = Pieces {
        left: usize::MAX,
        stalls: false,
    };
    assert_eq!(ask(&routes, ANYBODY, "/mutate", json, endless).await.0, 413);
    assert_eq!(start.elapsed(), Duration::ZERO);
    let slow = Pieces { left: 3, stalls: true };
    assert_eq!(ask(&routes, ANYBODY, "/mutate", json, slow).await.0, 408);
    assert_eq!(start.elapsed(), BODY_DEADLINE);
    let in_pieces = Pieces {
        left: 100,
        stalls: false,
    };
    assert_eq!(ask(&routes, ANYBODY, "/mutate", json, in_pieces).await.0, 200);
    let (_, text) = ask(&routes, Caller::Metrics, "/metrics", None, full("")).await;
    for (reason, count) in [("too_large", 2), ("too_slow", 1)] {
        let line = format!("irsa_webhook_decisions_total{{decision=\"unanswered\",reason=\"{reason}\"}} {count}\n");
        assert!(text.contains(&line), "{text}");
    }
    // All room is given back.
    assert_eq!(routes.room.bodies.available_permits(), BODIES_KIBIBYTES);
    assert_eq!(routes.room.documents.available_permits(), DOCUMENTS_KIBIBYTES);
}

#[tokio::test]
async fn adv_wh_14_small_bodies_that_become_large_documents_are_refused() {
    let (routes, _phase) = routes(false, false);
    let dense = format!(
        "{{\"request\":{{\"object\":{{\"a\":[{}1]}}}}}}",
        "{},".repeat(2_000_000)
    );
    assert_eq!(post(&routes, "/mutate", dense).await.0, 413);
    let deep = format!("{{\"request\":{{\"object\":{}", "[".repeat(100_000));
    let (status, text) = post(&routes, "/mutate", deep).await;
    assert!(status == 200 && text.contains("\"allowed\":false"), "{text}");
    let mut nested = pod("reader");
    nested["spec"]["future"] = serde_json::from_str(&format!("{}{}", "[".repeat(100), "]".repeat(100))).unwrap();
    let (status, text) = post(&routes, "/mutate", review("app", &nested).to_string()).await;
    assert!(status == 200 && text.contains("\"patchType\":\"JSONPatch\""), "{text}");
    let mut many = pod("reader");
    many["spec"]["containers"] = (0..1_000).map(|number| json!({"name": format!("c{number}")})).collect();
    let (status, text) = post(&routes, "/mutate", review("app", &many).to_string()).await;
    assert!(status == 200 && text.contains("\"patchType\":\"JSONPatch\""));
}

#[test]
fn the_api_servers_own_limit_bounds_the_wait() {
    let millis = |query| limit(query).map(|limit| limit.as_millis());
    for (query, expected) in [
        ("", 9_000),
        ("timeout=10s", 9_000),
        ("timeout=5s", 4_500),
        ("x=1&timeout=2s", 1_500),
        ("timeout=0s", 0),
        ("timeout=-5s", 9_000),
        ("timeout=5", 9_000),
        ("timeout=999999999999999999999s", 9_000),
        ("timeout=18446744073709551615s", 9_000),
    ] {
        assert_eq!(millis(query), Some(expected), "{query}");
    }
}

#[tokio::test]
async fn methods_of_strangers_make_no_labels() {
    let (routes, _phase) = routes(false, false);
    for method in ["A", "B", "MUTATE"] {
        let request = Request::builder().method(method).uri("/mutate").body(full("")).unwrap();
        assert_eq!(routes.answer(ANYBODY, request).await.status(), 415);
    }
    let (_, text) = ask(&routes, Caller::Metrics, "/metrics", None, full("")).await;
    assert!(
        text.contains("http_request_count{verb=\"OTHER\",path=\"/mutate\",code=\"415\"} 3\n"),
        "{text}"
    );
}
