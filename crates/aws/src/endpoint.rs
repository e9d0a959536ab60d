use std::fmt;

use http::Uri;

use crate::ClientError;

/// Where a server is: scheme, host and port of a URL, without a path.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Endpoint {
    pub(crate) tls: bool,
    /// Without the brackets of an IPv6 address.
    pub(crate) host: String,
    pub(crate) port: u16,
}

impl Endpoint {
    pub(crate) fn parse(text: &str) -> Result<Self, ClientError> {
        let malformed = |reason: &'static str| ClientError::Endpoint {
            endpoint: text.to_owned(),
            reason,
        };
        let uri: Uri = text.parse().map_err(|_| malformed("it is no URL"))?;
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

    /// The value of the `Host` header: without the port that the scheme implies.
    pub(crate) fn authority(&self) -> String {
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
        for (text, shown, port) in [
            ("http://127.0.0.1:4700", "http://127.0.0.1:4700", 4700),
            ("http://localhost", "http://localhost", 80),
            ("http://localhost:80/", "http://localhost", 80),
            (
                "https://sts.us-east-1.amazonaws.com/",
                "https://sts.us-east-1.amazonaws.com",
                443,
            ),
            ("https://[::1]:4701", "https://[::1]:4701", 4701),
            ("https://[::1]", "https://[::1]", 443),
        ] {
            let endpoint = Endpoint::parse(text).unwrap();
            assert_eq!((endpoint.to_string().as_str(), endpoint.port), (shown, port), "{text}");
        }
    }

    #[test]
    fn what_is_no_endpoint_says_why() {
        for (text, reason) in [
            ("127.0.0.1:4700", "http:// or https://"),
            ("ftp://host", "http:// or https://"),
            ("http://", "no URL"),
            ("http://host:99999", "no port"),
            ("http://user@host", "user name"),
            ("http://host/path", "path"),
            ("http://host/?x=1", "path"),
            ("", "no URL"),
        ] {
            let error = Endpoint::parse(text).unwrap_err().to_string();
            assert!(error.contains(reason), "{text}: {error}");
        }
    }
}
