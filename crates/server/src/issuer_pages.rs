//! The public pages of hosted issuers: discovery document and keys.

use http::{Method, Response, StatusCode, header};
use irsa_oidc::CACHE_CONTROL;
use irsa_s3::Body;

use crate::body::full;
use crate::snapshot::Snapshot;

/// Answers `/id/<ID>/.well-known/openid-configuration` and `/id/<ID>/keys`.
pub(crate) fn answer(snapshot: &Snapshot, method: &Method, path: &str) -> Response<Body> {
    let mut segments = path.trim_start_matches("/id/").splitn(2, '/');
    let issuer = segments.next().and_then(|id| snapshot.oidc.by_id(id));
    let document = issuer.zip(segments.next()).and_then(|(issuer, page)| match page {
        ".well-known/openid-configuration" => Some(issuer.discovery_document()),
        "keys" => Some(issuer.keys_document()),
        _ => None,
    });
    let (status, body) = match document {
        Some(_) if *method != Method::GET && *method != Method::HEAD => (StatusCode::METHOD_NOT_ALLOWED, "{}"),
        Some(document) => (StatusCode::OK, document),
        None => (StatusCode::NOT_FOUND, "{\"message\":\"there is no such issuer\"}"),
    };
    let mut response = Response::new(full(body.to_owned()));
    *response.status_mut() = status;
    response.headers_mut().insert(
        header::CONTENT_TYPE,
        header::HeaderValue::from_static("application/json"),
    );
    if status == StatusCode::OK {
        response
            .headers_mut()
            .insert(header::CACHE_CONTROL, header::HeaderValue::from_static(CACHE_CONTROL));
    }
    response
}
