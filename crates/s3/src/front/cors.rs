//! What pages of other origins may do, by the rules of the bucket.
//!
//! See <https://docs.aws.amazon.com/AmazonS3/latest/userguide/cors.html> and
//! <https://docs.aws.amazon.com/AmazonS3/latest/API/RESTOPTIONSobject.html>.

use std::sync::Arc;

use http::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS,
    ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_HEADERS,
    ACCESS_CONTROL_REQUEST_METHOD, HeaderName, ORIGIN, VARY,
};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use s3s::{S3Error, S3Result};

use super::S3Outcome;
use crate::access::error;
use crate::bucket::Buckets;
use crate::bucket::cors::{Grant, find};
use crate::operation::PREFLIGHT;
use crate::post::FormUpload;
use crate::route::place;

/// Methods that a page may ask about.
const METHODS: [&str; 5] = ["GET", "PUT", "HEAD", "POST", "DELETE"];

pub(super) struct Cors {
    pub(super) buckets: Arc<dyn Buckets>,
    pub(super) domains: Vec<String>,
}

/// What the answer to a page depends on.
#[derive(Clone, Debug)]
pub struct Visitor {
    origin: Option<String>,
    method: Method,
}

impl Visitor {
    /// Reads it of a request that is still as it came.
    #[must_use]
    pub fn of(parts: &Parts) -> Self {
        Self {
            origin: text(&parts.headers, &ORIGIN).map(str::to_owned),
            method: match parts.extensions.get::<FormUpload>() {
                Some(FormUpload) => Method::POST,
                None => parts.method.clone(),
            },
        }
    }
}

impl Cors {
    /// The answer to a browser that asks before it sends a page's request. It comes without credentials and tells nothing of the bucket
    /// but its rules.
    pub(super) fn preflight(&self, parts: &Parts, outcome: &mut S3Outcome) -> S3Result<HeaderMap> {
        outcome.operation = Some(&PREFLIGHT);
        let place = place(&parts.uri, parts.version, &parts.headers, &self.domains)?;
        outcome.bucket.clone_from(&place.bucket);
        outcome.key.clone_from(&place.key);
        let origin = text(&parts.headers, &ORIGIN)
            .ok_or_else(|| error("BadRequest", "Insufficient information. Origin request header needed."))?;
        let method = text(&parts.headers, &ACCESS_CONTROL_REQUEST_METHOD);
        let Some(method) = method.filter(|method| METHODS.contains(method)) else {
            let method: String = method.unwrap_or("null").chars().take(64).collect();
            return Err(error(
                "BadRequest",
                format!("Invalid Access-Control-Request-Method: {method}"),
            ));
        };
        let not_enabled = || forbidden("CORSResponse: CORS is not enabled for this bucket.");
        let bucket = place.bucket.as_deref().ok_or_else(not_enabled)?;
        let record = self
            .buckets
            .get(bucket)
            .ok_or_else(|| error("NoSuchBucket", "The specified bucket does not exist"))?;
        let rules = &record.settings.cors;
        if rules.is_empty() {
            return Err(not_enabled());
        }
        let asked = match parts.headers.get(ACCESS_CONTROL_REQUEST_HEADERS) {
            None => Some(String::new()),
            Some(value) => value.to_str().ok().map(str::to_ascii_lowercase),
        };
        let names: Option<Vec<&str>> = asked.as_deref().map(|asked| {
            let names = asked.split(',').map(str::trim);
            names.filter(|name| !name.is_empty()).collect()
        });
        let grant = names
            .as_deref()
            .and_then(|names| find(rules, origin, method, names))
            .ok_or_else(|| {
                forbidden(
                    "CORSResponse: This CORS request is not allowed. This is usually because the evalution of Origin, request method / \
                     Access-Control-Request-Method or Access-Control-Request-Headers are not whitelisted by the resource's CORS spec.",
                )
            })?;
        let mut headers = HeaderMap::new();
        allow(&mut headers, &grant, origin);
        if let Some(names) = names.filter(|names| !names.is_empty()) {
            insert(&mut headers, ACCESS_CONTROL_ALLOW_HEADERS, &names.join(", "));
        }
        vary(&mut headers);
        Ok(headers)
    }

    /// Says in an answer which pages may read it.
    pub(super) fn mark(&self, visitor: &Visitor, bucket: Option<&str>, headers: &mut HeaderMap) {
        let Some(record) = bucket.and_then(|bucket| self.buckets.get(bucket)) else {
            return;
        };
        let rules = &record.settings.cors;
        // The answer to the question itself says it all.
        if rules.is_empty() || visitor.method == Method::OPTIONS {
            return;
        }
        vary(headers);
        if let Some(origin) = visitor.origin.as_deref()
            && let Some(grant) = find(rules, origin, visitor.method.as_str(), &[])
        {
            allow(headers, &grant, origin);
        }
    }
}

/// The only place where an origin goes into an answer: one that a rule has.
fn allow(headers: &mut HeaderMap, grant: &Grant<'_>, origin: &str) {
    if grant.any_origin {
        insert(headers, ACCESS_CONTROL_ALLOW_ORIGIN, "*");
    } else {
        insert(headers, ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        insert(headers, ACCESS_CONTROL_ALLOW_CREDENTIALS, "true");
    }
    let rule = grant.rule;
    insert(headers, ACCESS_CONTROL_ALLOW_METHODS, &rule.allowed_methods.join(", "));
    if !rule.expose_headers.is_empty() {
        insert(headers, ACCESS_CONTROL_EXPOSE_HEADERS, &rule.expose_headers.join(", "));
    }
    if let Some(seconds) = rule.max_age_seconds {
        insert(headers, ACCESS_CONTROL_MAX_AGE, &seconds.to_string());
    }
}

/// No cache may give one origin's answer to another.
fn vary(headers: &mut HeaderMap) {
    insert(
        headers,
        VARY,
        "Origin, Access-Control-Request-Headers, Access-Control-Request-Method",
    );
}

fn insert(headers: &mut HeaderMap, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(name, value);
    }
}

fn text<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Option<&'h str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

fn forbidden(message: &'static str) -> S3Error {
    let mut error = error("AccessForbidden", message);
    error.set_status_code(StatusCode::FORBIDDEN);
    error
}
