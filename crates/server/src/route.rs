//! Which service a request is for.

use http::{HeaderMap, Method, header};
use irsa_sigv4::{Presented, SigV4Error};
use irsa_wire::Service;

/// Where a request goes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Route {
    /// The Query protocol: parameters in the form, or in the query string of a GET. Which service is told by scope and `Action`.
    Query,
    /// A REST-JSON or JSON 1.1 service.
    Json(Service),
    /// Everything else: a bucket or an object.
    S3,
    /// Discovery documents and keys.
    Issuer,
    /// Health, readiness.
    Health,
}

/// Decides by the credential scope first, then by form and path. A form at the root is always the Query protocol, since an anonymous
/// call may carry a signature that nobody looks at.
pub(crate) fn route(
    method: &Method,
    path: &str,
    query: &str,
    headers: &HeaderMap,
    presented: &Result<Option<Presented<'_>>, SigV4Error>,
) -> Route {
    let form = headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split(';').next())
        .is_some_and(|value| value.trim().eq_ignore_ascii_case("application/x-www-form-urlencoded"));
    let names_action = query.split('&').any(|part| part.starts_with("Action="));
    if path == "/" && (*method == Method::POST && form || *method == Method::GET && names_action) {
        return Route::Query;
    }
    let service = match presented {
        Ok(Some(presented)) => Service::from_signing_name(presented.scope().service),
        Ok(None) | Err(_) => None,
    };
    match service {
        Some(Service::Sts | Service::Iam) => Route::Query,
        Some(service @ (Service::Eks | Service::CloudTrail | Service::Irsa)) => Route::Json(service),
        Some(Service::S3) => Route::S3,
        None if matches!(presented, Ok(None)) => match path {
            "/healthz" | "/readyz" | "/livez" => Route::Health,
            path if path.starts_with("/id/") => Route::Issuer,
            "/" if *method == Method::POST && names_trail(headers) => Route::Json(Service::CloudTrail),
            path if path == "/clusters" || path.starts_with("/clusters/") => Route::Json(Service::Eks),
            _ => Route::S3,
        },
        None => Route::S3,
    }
}

/// Whether a request names an operation of CloudTrail, which a bucket's owner has no use for.
fn names_trail(headers: &HeaderMap) -> bool {
    let target = headers.get("x-amz-target").and_then(|target| target.to_str().ok());
    target.is_some_and(|target| target.contains("CloudTrail_20131101."))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(method: Method, path: &str, query: &str, content_type: Option<&str>) -> Route {
        let mut headers = HeaderMap::new();
        if let Some(content_type) = content_type {
            headers.insert(header::CONTENT_TYPE, content_type.parse().unwrap());
        }
        route(&method, path, query, &headers, &Ok(None))
    }

    #[test]
    fn unsigned_requests_go_by_form_and_path() {
        assert_eq!(
            of(
                Method::POST,
                "/",
                "",
                Some("application/x-www-form-urlencoded; charset=utf-8")
            ),
            Route::Query
        );
        assert_eq!(
            of(Method::GET, "/", "Version=2011-06-15&Action=GetCallerIdentity", None),
            Route::Query
        );
        assert_eq!(of(Method::GET, "/", "", None), Route::S3);
        assert_eq!(of(Method::POST, "/", "", Some("application/json")), Route::S3);
        assert_eq!(
            of(Method::POST, "/bucket", "", Some("application/x-www-form-urlencoded")),
            Route::S3
        );
        assert_eq!(of(Method::GET, "/id/ABC/keys", "", None), Route::Issuer);
        assert_eq!(of(Method::GET, "/healthz", "", None), Route::Health);
        assert_eq!(of(Method::GET, "/clusters/c", "", None), Route::Json(Service::Eks));
    }
}
