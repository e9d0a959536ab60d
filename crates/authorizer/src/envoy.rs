//! Envoy's `ext_authz` over gRPC.

pub mod message;

use std::net::IpAddr;

use http::{HeaderMap, HeaderName, header};

use crate::answer::{CREDENTIALS, IDENTITY, MISLEADING, Permission, Refusal, is_of_answer, is_ours};
use crate::original::{
    Original, OriginalBody, OriginalError, Transport, add, declared_length, host, malformed, method, target,
};
use message::{
    CheckRequest, CheckResponse, DeniedHttpResponse, HeaderValueOption, HttpRequest, HttpResponse, HttpStatus,
    OVERWRITE, OkHttpResponse, Status,
};

/// Tells whether the body of a question is all of it; Envoy removes a client's own.
const PARTIAL_BODY: &str = "x-envoy-auth-partial-body";

/// Codes of gRPC.
const PERMISSION_DENIED: i32 = 7;
const INTERNAL: i32 = 13;
const UNAUTHENTICATED: i32 = 16;

/// Reads a question.
///
/// # Errors
/// If it does not say enough, or can be read in two ways.
pub fn read(request: CheckRequest) -> Result<Original, OriginalError> {
    let attributes = request.attributes.ok_or(OriginalError::Missing("attributes"))?;
    let source_ip = attributes
        .source
        .and_then(|source| source.address?.socket_address)
        .ok_or(OriginalError::Missing("the client's address"))?
        .address
        .parse::<IpAddr>()
        .map_err(|_| malformed("the client's address", "it is no address of the internet"))?
        .to_canonical();
    let http = attributes
        .request
        .and_then(|request| request.http)
        .ok_or(OriginalError::Missing("the request"))?;
    let (headers, partial) = headers(&http)?;
    let body = body(&http, &headers, partial.as_deref())?;
    Ok(Original {
        method: method(http.method.as_bytes())?,
        uri: target(http.path.as_bytes())?,
        headers,
        body,
        source_ip,
        // The scheme and `x-forwarded-proto` may be the client's own words. Which version of TLS it is, Envoy does not say.
        transport: match attributes.tls_session {
            Some(_) => Transport::Tls(None),
            None => Transport::Plain,
        },
    })
}

/// The headers, and what Envoy says about the body.
fn headers(http: &HttpRequest) -> Result<(HeaderMap, Option<Vec<u8>>), OriginalError> {
    let mut headers = HeaderMap::with_capacity(32);
    let mut partial = None;
    match &http.header_map {
        Some(_) if !http.headers.is_empty() => return Err(malformed("the headers", "they come in two forms")),
        Some(raw) => {
            for header in &raw.headers {
                // Envoy fills in one of the two.
                let value = if header.raw_value.is_empty() {
                    header.value.as_bytes()
                } else {
                    &header.raw_value
                };
                take(&mut headers, &mut partial, &header.key, value)?;
            }
        }
        None => {
            for (name, value) in &http.headers {
                if value.contains(',') && means_one_value(name) {
                    return Err(OriginalError::Joined(name.chars().take(64).collect()));
                }
                take(&mut headers, &mut partial, name, value.as_bytes())?;
            }
        }
    }
    let authority = host(http.host.as_bytes())?;
    if headers.get_all(header::HOST).iter().any(|given| *given != authority) {
        return Err(malformed("the host", "there are two"));
    }
    headers.insert(header::HOST, authority);
    Ok((headers, partial))
}

fn take(headers: &mut HeaderMap, partial: &mut Option<Vec<u8>>, name: &str, value: &[u8]) -> Result<(), OriginalError> {
    if name.starts_with(':') {
        return Ok(());
    }
    if name.eq_ignore_ascii_case(PARTIAL_BODY) {
        if partial.replace(value.to_vec()).is_some() {
            return Err(OriginalError::Repeated("`x-envoy-auth-partial-body`"));
        }
        return Ok(());
    }
    add(headers, name.as_bytes(), value)
}

/// Headers that decisions read as one value. What upstreams see may be several of them, of which they take one.
fn means_one_value(name: &str) -> bool {
    const LISTS: [&str; 4] = [
        "x-amz-object-attributes",
        "x-amz-optional-object-attributes",
        "x-amz-trailer",
        "x-amz-user-agent",
    ];
    let name = name.to_ascii_lowercase();
    matches!(
        name.as_str(),
        "content-type" | "content-length" | "content-md5" | "host" | "if-match" | "if-none-match"
    ) || name.starts_with("x-amz-") && !name.starts_with("x-amz-meta-") && !LISTS.contains(&name.as_str())
}

/// The body, if it is here to the last byte.
fn body(http: &HttpRequest, headers: &HeaderMap, partial: Option<&[u8]>) -> Result<OriginalBody, OriginalError> {
    let length = declared_length(headers)?;
    let here = u64::try_from(http.raw_body.len()).unwrap_or(u64::MAX);
    match partial {
        // Envoy had no body to send, or was not told to; a length says which. Chunked requests have lost the header that tells them.
        None if here == 0 && http.body.is_empty() && length == Some(0) => Ok(OriginalBody::Whole(bytes::Bytes::new())),
        None if here == 0 => Ok(OriginalBody::Unseen),
        None => Err(OriginalError::Missing("`x-envoy-auth-partial-body`")),
        Some(b"true") => Ok(OriginalBody::Unseen),
        // Text was changed where it was not UTF-8.
        Some(b"false") if !http.body.is_empty() => Ok(OriginalBody::Unseen),
        // Bodies of exactly the limit's length count as whole for Envoy, and more may follow: the length alone tells.
        Some(b"false") if length != Some(here) => Ok(OriginalBody::Unseen),
        Some(b"false") => Ok(OriginalBody::Whole(http.raw_body.clone())),
        Some(_) => Err(malformed("`x-envoy-auth-partial-body`", "it is neither true nor false")),
    }
}

/// Lets a request through, with the headers that tell its upstream who called, and without any such header of the client's own, nor any
/// of those by which servers take a request for another one.
/// `strip` removes the caller's signature and session token, too.
#[must_use]
pub fn allow(permission: &Permission, headers: &HeaderMap, strip: bool) -> CheckResponse {
    let ours = permission.headers();
    let is_set = |name: &str| ours.iter().any(|(ours, _)| *ours == name);
    // Envoy removes after it has set.
    let mut remove: Vec<String> = IDENTITY
        .iter()
        .filter(|name| !is_set(name))
        .map(|name| (*name).to_owned())
        .collect();
    let foreign = headers.keys().map(HeaderName::as_str).filter(|name| is_ours(name));
    for name in foreign.filter(|name| !is_set(name)) {
        if !remove.iter().any(|known| known == name) {
            remove.push(name.to_owned());
        }
    }
    remove.extend(MISLEADING.map(str::to_owned));
    if strip {
        remove.extend(CREDENTIALS.map(str::to_owned));
    }
    let headers = ours
        .iter()
        .filter_map(|(name, value)| option(name, value.to_str().ok()?))
        .collect();
    CheckResponse {
        status: Some(Status::default()),
        http_response: Some(HttpResponse::Ok(OkHttpResponse {
            headers,
            headers_to_remove: remove,
        })),
    }
}

/// Refuses a request with the answer that the service itself would give.
#[must_use]
pub fn refuse(refusal: Refusal) -> CheckResponse {
    let mut headers: Vec<HeaderValueOption> = refusal
        .headers
        .iter()
        .filter(|(name, _)| is_of_answer(name))
        .filter_map(|(name, value)| option(name.as_str(), value.to_str().ok()?))
        .collect();
    headers.extend(option("x-irsa-request-id", &refusal.request_id));
    let code = if refusal.status.is_server_error() {
        INTERNAL
    } else if refusal.is_unauthenticated {
        UNAUTHENTICATED
    } else {
        PERMISSION_DENIED
    };
    CheckResponse {
        status: Some(Status {
            code,
            message: refusal.code,
        }),
        http_response: Some(HttpResponse::Denied(DeniedHttpResponse {
            status: Some(HttpStatus {
                code: i32::from(refusal.status.as_u16()),
            }),
            headers,
            body: refusal.document,
        })),
    }
}

fn option(name: &str, value: &str) -> Option<HeaderValueOption> {
    // A value that no header can have would end the whole answer.
    let fits = value.bytes().all(|byte| matches!(byte, b' '..=b'~'));
    fits.then(|| HeaderValueOption {
        header: Some(message::HeaderValue {
            key: name.to_owned(),
            value: value.to_owned(),
            raw_value: Vec::new(),
        }),
        append_action: OVERWRITE,
    })
}

#[cfg(test)]
mod tests;
