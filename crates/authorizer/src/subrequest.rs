//! Subrequests over HTTP: nginx's `auth_request`, Traefik's `forwardAuth`, Caddy's `forward_auth`.
//!
//! Such a proxy sends the headers of the client along, and says the rest in headers of its own. Which those are is told by the path that it
//! asks, and no others are looked at: a header that one proxy replaces another hands on as its client wrote it.

use std::net::IpAddr;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Response, StatusCode, header};

use crate::answer::{Permission, Refusal};
use crate::original::{
    Original, OriginalBody, OriginalError, Transport, check_header, host, malformed, method, parse_length, target,
};

/// How a proxy says what the client sent.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Form {
    /// nginx: the headers that `docs/authorizer.md` sets.
    AuthRequest,
    /// Traefik and Caddy: `X-Forwarded-…`.
    ForwardAuth,
}

/// The names of the headers of a form.
struct Names {
    method: &'static str,
    target: &'static str,
    host: &'static str,
    /// `TLS;PROTOCOL;CONTENT-LENGTH;TRANSFER-ENCODING`, or the same without the first.
    framing: Option<&'static str>,
}

impl Form {
    /// The form that is spoken at a path.
    #[must_use]
    pub fn at(path: &str) -> Option<Self> {
        match path {
            "/auth" => Some(Self::AuthRequest),
            "/forward-auth" => Some(Self::ForwardAuth),
            _ => None,
        }
    }

    fn names(self) -> Names {
        match self {
            Self::AuthRequest => Names {
                method: "x-original-method",
                target: "x-original-uri",
                host: "host",
                framing: Some("x-original-framing"),
            },
            Self::ForwardAuth => Names {
                method: "x-forwarded-method",
                target: "x-forwarded-uri",
                host: "x-forwarded-host",
                framing: None,
            },
        }
    }
}

/// Reads a question from the head of a subrequest. `trusted` are proxies whose word about the client's address counts, beyond the one that asks.
///
/// # Errors
/// If the head does not say enough, or can be read in two ways.
pub fn read(form: Form, asked: &HeaderMap, trusted: &[IpAddr]) -> Result<Original, OriginalError> {
    let names = form.names();
    let method = method(only(asked, names.method)?.as_bytes())?;
    let uri = target(only(asked, names.target)?.as_bytes())?;
    let host = host(only(asked, names.host)?.as_bytes())?;
    let source_ip = source_ip(asked, trusted)?;
    let mut transport = match only(asked, "x-forwarded-proto")?.as_bytes() {
        b"https" | b"wss" => Transport::Tls(None),
        b"http" | b"ws" => Transport::Plain,
        _ => return Err(malformed("`x-forwarded-proto`", "it is neither http nor https")),
    };
    let mut headers = asked.clone();
    // Those of the subrequest itself.
    for name in [header::CONTENT_LENGTH, header::TRANSFER_ENCODING, header::CONNECTION] {
        headers.remove(name);
    }
    for (name, value) in &headers {
        check_header(name, value)?;
    }
    let mut body = OriginalBody::Unseen;
    if let Some(name) = names.framing {
        let framing = Framing::read(only(asked, name)?)?;
        if let Some(length) = framing.length {
            headers.insert(header::CONTENT_LENGTH, length);
        }
        match (framing.tls, transport) {
            (None, _) => {}
            (Some(None), Transport::Plain) => {}
            (Some(Some(version)), Transport::Tls(_)) => transport = Transport::Tls(Some(version)),
            _ => {
                return Err(malformed(
                    "`X-Forwarded-Proto`",
                    "it is not what the version of TLS says",
                ));
            }
        }
        if framing.is_whole {
            body = OriginalBody::Whole(Bytes::new());
        }
        headers.remove(name);
    }
    headers.remove(names.method);
    headers.remove(names.target);
    headers.insert(header::HOST, host);
    Ok(Original {
        method,
        uri,
        headers,
        body,
        source_ip,
        transport,
    })
}

/// The one value of a header that the proxy sets.
fn only<'a>(headers: &'a HeaderMap, name: &'static str) -> Result<&'a HeaderValue, OriginalError> {
    let mut values = headers.get_all(name).iter();
    let value = values.next().filter(|value| !value.is_empty());
    let value = value.ok_or(OriginalError::Missing(label(name)))?;
    if values.next().is_some() {
        return Err(OriginalError::Repeated(label(name)));
    }
    Ok(value)
}

fn label(name: &'static str) -> &'static str {
    match name {
        "x-original-method" => "`X-Original-Method`",
        "x-original-uri" => "`X-Original-URI`",
        "x-original-framing" => "`X-Original-Framing`",
        "x-forwarded-method" => "`X-Forwarded-Method`",
        "x-forwarded-uri" => "`X-Forwarded-Uri`",
        "x-forwarded-host" => "`X-Forwarded-Host`",
        "x-forwarded-proto" => "`X-Forwarded-Proto`",
        "host" => "`Host`",
        _ => "a header",
    }
}

/// The client's address: the last in `X-Forwarded-For` that is no trusted proxy, since all before it could be made up.
fn source_ip(headers: &HeaderMap, trusted: &[IpAddr]) -> Result<IpAddr, OriginalError> {
    let mut source = None;
    let hops = headers
        .get_all("x-forwarded-for")
        .iter()
        .map(|value| {
            value
                .to_str()
                .map_err(|_| malformed("`X-Forwarded-For`", "it is no list of addresses"))
        })
        .collect::<Result<Vec<_>, _>>()?;
    for hop in hops.iter().flat_map(|value| value.split(',')).rev() {
        let Ok(address) = hop.trim().parse::<IpAddr>() else {
            break;
        };
        let address = address.to_canonical();
        source = Some(address);
        if !trusted.contains(&address) {
            break;
        }
    }
    source.ok_or(OriginalError::Missing("the client's address in `X-Forwarded-For`"))
}

/// What nginx says of a client's connection and body, in one header that it sets: so no part of it is a client's own word.
struct Framing {
    /// The version of TLS, inside `None` if the connection has none; outside, if the proxy does not say it.
    tls: Option<Option<&'static str>>,
    /// The client's `content-length`.
    length: Option<HeaderValue>,
    /// Whether there surely is no body: only HTTP/1 says so when it says nothing.
    is_whole: bool,
}

impl Framing {
    fn read(value: &HeaderValue) -> Result<Self, OriginalError> {
        let wrong = |reason| malformed("`X-Original-Framing`", reason);
        let shape = "it is not `TLS;PROTOCOL;LENGTH;ENCODING`";
        let text = value.to_str().map_err(|_| wrong(shape))?;
        let parts: Vec<&str> = text.split(';').map(str::trim).collect();
        let (tls, protocol, length, encoding) = match parts[..] {
            [protocol, length, encoding] => (None, protocol, length, encoding),
            [tls, protocol, length, encoding] => (Some(tls), protocol, length, encoding),
            _ => return Err(wrong(shape)),
        };
        // As nginx writes them: <https://nginx.org/en/docs/http/ngx_http_ssl_module.html#var_ssl_protocol>.
        let tls = match tls {
            None => None,
            Some("") => Some(None),
            Some("TLSv1") => Some(Some("1.0")),
            Some("TLSv1.1") => Some(Some("1.1")),
            Some("TLSv1.2") => Some(Some("1.2")),
            Some("TLSv1.3") => Some(Some("1.3")),
            Some(_) => return Err(wrong("it has no version of TLS that is known")),
        };
        let is_chunked = !encoding.is_empty();
        if length.is_empty() {
            let is_first = matches!(protocol, "HTTP/1.0" | "HTTP/1.1");
            return Ok(Self {
                tls,
                length: None,
                is_whole: is_first && !is_chunked,
            });
        }
        if is_chunked {
            return Err(malformed("the framing", "it has both a length and an encoding"));
        }
        let bytes = parse_length(length.as_bytes())?;
        let header = HeaderValue::from_str(length).map_err(|_| wrong(shape))?;
        Ok(Self {
            tls,
            length: Some(header),
            is_whole: bytes == 0,
        })
    }
}

/// The answer to an allowed subrequest.
#[must_use]
pub fn allow(permission: &Permission) -> Response<String> {
    let mut response = Response::new(String::new());
    for (name, value) in permission.headers() {
        response.headers_mut().insert(name, value);
    }
    response
}

/// The answer to a refused subrequest: 401 or 403, or 5xx for a failure of ours. The body is the service's own, for proxies that hand it on;
/// the headers hold it for those that don't.
#[must_use]
pub fn refuse(refusal: Refusal) -> Response<String> {
    let mut headers = refusal.headers.clone();
    headers.remove(header::CONTENT_LENGTH);
    for (name, value) in refusal.headers() {
        headers.insert(name, value);
    }
    let status = refusal.subrequest_status();
    let mut response = Response::new(refusal.document);
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    response
}

/// The answer to a question that can't be read: a proxy takes it for a broken authorizer, and lets nothing through.
#[must_use]
pub fn unreadable(error: &OriginalError) -> Response<String> {
    let mut response = Response::new(format!("{error}\n"));
    *response.status_mut() = StatusCode::BAD_REQUEST;
    response.headers_mut().insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("text/plain; charset=utf-8"),
    );
    response
}

#[cfg(test)]
mod tests;
