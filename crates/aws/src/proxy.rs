//! The way out of networks that let HTTPS through a proxy alone.

use std::fmt;
use std::net::IpAddr;

use http::HeaderValue;
use hyper_util::client::proxy::matcher::Matcher;
use irsa_upstream::Endpoint;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::ClientError;

/// The longest head of a proxy's answer.
const LONGEST_HEAD: usize = 16 << 10;

/// An HTTP proxy that opens ways to other servers (`CONNECT`, RFC 9110, section 9.3.6). What goes through is encrypted
/// end to end.
#[derive(Clone)]
pub(crate) struct Proxy {
    host: String,
    port: u16,
    authorization: Option<HeaderValue>,
}

impl Proxy {
    /// The proxy that `HTTPS_PROXY` or `ALL_PROXY` names for a server, unless `NO_PROXY` excepts it. Servers without
    /// TLS and those of this machine are reached directly.
    ///
    /// # Errors
    /// A proxy of a kind that is not known here.
    pub(crate) fn of_environment(endpoint: &Endpoint) -> Result<Option<Self>, ClientError> {
        Self::of(&Matcher::from_env(), endpoint)
    }

    fn of(matcher: &Matcher, endpoint: &Endpoint) -> Result<Option<Self>, ClientError> {
        let host = endpoint.host();
        let is_here = host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback());
        if !endpoint.is_tls() || is_here || host == "localhost" {
            return Ok(None);
        }
        let Ok(server) = endpoint.to_string().parse() else {
            return Ok(None);
        };
        let Some(found) = matcher.intercept(&server) else {
            return Ok(None);
        };
        let uri = found.uri();
        // Never the whole URL: it may hold a password.
        let host = uri.host().unwrap_or_default();
        let refused = |reason: &str| ClientError::Request {
            reason: format!("the proxy `{host}` of the environment can't be used: {reason}"),
        };
        if uri.scheme_str() != Some("http") {
            return Err(refused("its URL must begin with http://"));
        }
        if host.is_empty() {
            return Err(refused("it has no host"));
        }
        Ok(Some(Self {
            host: host.trim_matches(['[', ']']).to_owned(),
            port: uri.port_u16().unwrap_or(80),
            authorization: found.basic_auth().cloned(),
        }))
    }

    /// A stream to a server.
    ///
    /// # Errors
    /// What the proxy or the system says.
    pub(crate) async fn connect(&self, endpoint: &Endpoint) -> Result<TcpStream, String> {
        let failed = |reason: &dyn fmt::Display| format!("the proxy {}:{}: {reason}", self.host, self.port);
        let mut stream = TcpStream::connect((self.host.as_str(), self.port))
            .await
            .map_err(|error| failed(&error))?;
        let host = if endpoint.host().contains(':') {
            format!("[{}]", endpoint.host())
        } else {
            endpoint.host().to_owned()
        };
        let target = format!("{host}:{}", endpoint.port());
        let mut head = format!("CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n").into_bytes();
        if let Some(authorization) = &self.authorization {
            head.extend_from_slice(b"Proxy-Authorization: ");
            head.extend_from_slice(authorization.as_bytes());
            head.extend_from_slice(b"\r\n");
        }
        head.extend_from_slice(b"\r\n");
        stream.write_all(&head).await.map_err(|error| failed(&error))?;
        let mut answer = Vec::new();
        // Byte by byte: what follows the head is the server's.
        while !answer.ends_with(b"\r\n\r\n") {
            if answer.len() >= LONGEST_HEAD {
                return Err(failed(&"its answer has no end"));
            }
            let byte = stream.read_u8().await.map_err(|error| failed(&error))?;
            answer.push(byte);
        }
        let line = answer.split(|byte| *byte == b'\r').next().unwrap_or_default();
        let line = String::from_utf8_lossy(line);
        let status = line.split(' ').nth(1).unwrap_or_default();
        match status.as_bytes() {
            [b'2', ..] if line.starts_with("HTTP/1.") => Ok(stream),
            b"407" => Err(failed(&"it wants a user name and password")),
            _ => Err(failed(&format!("it answers `{}`", line.escape_debug()))),
        }
    }
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Proxy")
            .field("host", &self.host)
            .field("port", &self.port)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    fn matcher(proxy: &str) -> Matcher {
        Matcher::builder().https(proxy).no("inside.example,10.0.0.0/8").build()
    }

    fn endpoint(url: &str) -> Endpoint {
        url.parse().unwrap()
    }

    #[test]
    fn who_is_reached_through_it() {
        let matcher = matcher("http://user:hidden@proxy.example:3128");
        for (url, through) in [
            ("https://iam.amazonaws.com", true),
            ("https://eks.inside.example", false),
            ("https://10.1.2.3", false),
            ("http://iam.example", false),
            ("https://127.0.0.1:4701", false),
            ("https://[::1]:4701", false),
            ("https://localhost:4701", false),
        ] {
            let proxy = Proxy::of(&matcher, &endpoint(url)).unwrap();
            assert_eq!(proxy.is_some(), through, "{url}");
            assert!(!format!("{proxy:?}").contains("hidden"), "{proxy:?}");
        }
        let error = Proxy::of(
            &self::matcher("socks5://user:hidden@proxy.example"),
            &endpoint("https://iam.amazonaws.com"),
        );
        let error = error.unwrap_err().to_string();
        assert!(
            error.contains("`proxy.example`") && !error.contains("hidden"),
            "{error}"
        );
    }

    /// A proxy that answers once, and what it was sent.
    async fn asked(answer: &'static str) -> (String, Result<TcpStream, String>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let proxy = format!("http://user:hidden@{}", listener.local_addr().unwrap());
        let proxy = Proxy::of(&matcher(&proxy), &endpoint("https://iam.amazonaws.com"))
            .unwrap()
            .unwrap();
        let proxied = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                head.push(stream.read_u8().await.unwrap());
            }
            stream.write_all(answer.as_bytes()).await.unwrap();
            String::from_utf8(head).unwrap()
        });
        let outcome = proxy.connect(&endpoint("https://iam.amazonaws.com")).await;
        (proxied.await.unwrap(), outcome)
    }

    #[tokio::test]
    async fn it_opens_the_way() {
        let (head, outcome) = asked("HTTP/1.1 200 Connection established\r\nVia: x\r\n\r\nfirst").await;
        let mut stream = outcome.unwrap();
        let mut rest = String::new();
        stream.read_to_string(&mut rest).await.unwrap();
        assert_eq!(rest, "first");
        assert_eq!(
            head,
            "CONNECT iam.amazonaws.com:443 HTTP/1.1\r\nHost: iam.amazonaws.com:443\r\n\
             Proxy-Authorization: Basic dXNlcjpoaWRkZW4=\r\n\r\n"
        );
    }

    #[tokio::test]
    async fn it_refuses() {
        for (answer, reason) in [
            (
                "HTTP/1.1 407 Proxy Authentication Required\r\n\r\n",
                "wants a user name",
            ),
            ("HTTP/1.1 403 Forbidden\r\n\r\n", "it answers `HTTP/1.1 403 Forbidden`"),
            ("SSH-2.0 200\r\n\r\n", "it answers"),
            ("HTTP/1.1 200", "end of file"),
        ] {
            let (_, outcome) = asked(answer).await;
            let error = outcome.unwrap_err();
            assert!(error.contains(reason) && !error.contains("hidden"), "{error}");
        }
    }
}
