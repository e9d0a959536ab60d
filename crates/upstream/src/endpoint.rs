//! Where an upstream is.

use std::fmt;
use std::str::FromStr;

use http::Uri;

/// Scheme, host and port of a server, without a path.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Endpoint {
    pub(crate) tls: bool,
    /// Without the brackets of an IPv6 address.
    pub(crate) host: String,
    pub(crate) port: u16,
}

/// A text that is no endpoint.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("`{text}` is no URL of a server: {reason}")]
pub struct EndpointError {
    text: String,
    reason: &'static str,
}

impl FromStr for Endpoint {
    type Err = EndpointError;

    fn from_str(text: &str) -> Result<Self, EndpointError> {
        let malformed = |reason| EndpointError {
            // A password in it is nobody's business.
            text: if text.contains('@') {
                "…".to_owned()
            } else {
                text.to_owned()
            },
            reason,
        };
        let uri: Uri = text.parse().map_err(|_| malformed("it can't be read"))?;
        let tls = match uri.scheme_str() {
            Some("http") => false,
            Some("https") => true,
            _ => return Err(malformed("it must begin with http:// or https://")),
        };
        let authority = uri.authority().ok_or_else(|| malformed("it has no host"))?;
        if authority.as_str().contains('@') {
            return Err(malformed("it holds a user name"));
        }
        if !matches!(uri.path(), "" | "/") || uri.query().is_some() {
            return Err(malformed("it has a path"));
        }
        let host = authority.host();
        let host = host
            .strip_prefix('[')
            .and_then(|host| host.strip_suffix(']'))
            .unwrap_or(host);
        if host.is_empty() {
            return Err(malformed("it has no host"));
        }
        let port = match authority.as_str().rsplit_once(':') {
            Some((_, port)) if !port.ends_with(']') => port.parse().map_err(|_| malformed("its port is no port"))?,
            _ if tls => 443,
            _ => 80,
        };
        Ok(Self {
            tls,
            host: host.to_owned(),
            port,
        })
    }
}

impl Endpoint {
    /// Whether it is reached over TLS.
    #[must_use]
    pub fn is_tls(&self) -> bool {
        self.tls
    }

    /// The host: a name or an address, without brackets.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The value of the `Host` header: without the port that the scheme implies.
    #[must_use]
    pub fn authority(&self) -> String {
        let host = if self.host.contains(':') {
            format!("[{}]", self.host)
        } else {
            self.host.clone()
        };
        match (self.tls, self.port) {
            (true, 443) | (false, 80) => host,
            (_, port) => format!("{host}:{port}"),
        }
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", if self.tls { "https" } else { "http" }, self.authority())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints() {
        for (text, shown) in [
            ("http://127.0.0.1:8000", "http://127.0.0.1:8000"),
            ("http://moto:80/", "http://moto"),
            ("http://localhost", "http://localhost"),
            (
                "https://sts.us-east-1.amazonaws.com/",
                "https://sts.us-east-1.amazonaws.com",
            ),
            ("https://[::1]:4701", "https://[::1]:4701"),
            ("https://[::1]", "https://[::1]"),
        ] {
            assert_eq!(text.parse::<Endpoint>().unwrap().to_string(), shown);
        }
        for (text, reason) in [
            ("moto:8000", "http:// or https://"),
            ("ftp://moto", "http:// or https://"),
            ("", "read"),
            ("http://", "read"),
            ("http://moto/path", "path"),
            ("http://moto?x", "path"),
            ("http://moto/?x=1", "path"),
            ("http://moto:99999", "no port"),
            ("http://u:secret@moto", "user name"),
        ] {
            let error = text.parse::<Endpoint>().unwrap_err().to_string();
            assert!(error.contains(reason), "{text}: {error}");
            assert!(!error.contains("secret"), "{error}");
        }
    }
}
