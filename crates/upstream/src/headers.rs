//! What a proxy must not hand on.

use http::{HeaderMap, HeaderName};

/// RFC 9110, section 7.6.1, and what older proxies send.
const HOP_BY_HOP: [&str; 10] = [
    "connection",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-authentication-info",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// What says who the caller is, or was to a proxy before us.
const CALLER: [&str; 11] = [
    "authorization",
    "cookie",
    "date",
    "expect",
    "forwarded",
    "host",
    "x-amz-content-sha256",
    "x-amz-date",
    "x-amz-security-token",
    "x-amz-s3session-token",
    "x-real-ip",
];

/// Removes the headers of one connection: the listed ones, and those that `Connection` names.
pub fn remove_hop_by_hop(headers: &mut HeaderMap) {
    let named: Vec<HeaderName> = headers
        .get_all(http::header::CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|name| name.trim().parse().ok())
        .collect();
    for name in named {
        headers.remove(name);
    }
    for name in HOP_BY_HOP {
        headers.remove(name);
    }
}

/// Removes what belonged to the caller's signature and to proxies before us.
pub fn remove_caller(headers: &mut HeaderMap) {
    for name in CALLER {
        headers.remove(name);
    }
    let forwarded: Vec<HeaderName> = headers
        .keys()
        .filter(|name| name.as_str().starts_with("x-forwarded-"))
        .cloned()
        .collect();
    for name in forwarded {
        headers.remove(name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn adv_up_01_nothing_of_the_callers_connection_or_signature_goes_on() {
        let mut headers = HeaderMap::new();
        for name in HOP_BY_HOP
            .iter()
            .chain(&CALLER)
            .chain(&["x-forwarded-for", "x-forwarded-host", "x-hop"])
        {
            headers.insert(HeaderName::from_static(name), "x-hop".parse().unwrap());
        }
        headers.insert("connection", "close, X-Hop".parse().unwrap());
        headers.insert("x-amz-target", "T.Op".parse().unwrap());
        headers.insert("content-type", "text/plain".parse().unwrap());
        remove_hop_by_hop(&mut headers);
        remove_caller(&mut headers);
        let left: Vec<&str> = headers.keys().map(HeaderName::as_str).collect();
        assert_eq!(left.len(), 2, "{left:?}");
    }
}
