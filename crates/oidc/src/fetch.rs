use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::header::{ACCEPT, ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_TYPE, HOST, HeaderName, USER_AGENT};
use http::{HeaderMap, Request, StatusCode};
use http_body_util::{BodyExt, Empty};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use irsa_token::JwkSet;
use rustls_pki_types::ServerName;
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::FetchError;
use crate::address::{AddressClass, classify};
use crate::document::{discovery, key_set};
use crate::freshness::{Freshness, freshness};
use crate::https_url::HttpsUrl;
use crate::options::FetchOptions;
use crate::tls::{ThumbprintMismatch, Trust};

/// The largest head of an answer: status line and headers together.
const MAX_HEAD: usize = 16 * 1024;
/// The most headers of an answer.
const MAX_HEADERS: usize = 100;
/// More addresses of one host are not tried.
const MAX_ADDRESSES: usize = 8;

/// A key set and how long its issuer lets it be used.
pub(crate) struct Fetched {
    pub(crate) keys: Arc<JwkSet>,
    pub(crate) freshness: Freshness,
}

/// Fetches the discovery document of a registered issuer and the key set that it names, within one deadline.
pub(crate) async fn fetch(
    options: &FetchOptions,
    trust: &Trust,
    issuer_url: &str,
    thumbprints: &[String],
) -> Result<Fetched, FetchError> {
    let whole = async {
        let issuer = parse(issuer_url, options)?;
        let fetcher = Fetcher {
            options,
            trust,
            thumbprints,
        };
        let discovery_url = format!(
            "{}/.well-known/openid-configuration",
            issuer_url.strip_suffix('/').unwrap_or(issuer_url)
        );
        let location = parse(&discovery_url, options)?;
        let (_, body) = fetcher.get(&discovery_url, &location, options.discovery_limit).await?;
        let keys_url = discovery(issuer_url, &discovery_url, &body)?;
        let location = parse(&keys_url, options)?;
        if location.host != issuer.host && !options.allow_other_host {
            return Err(FetchError::OtherHost {
                issuer: issuer_url.to_owned(),
                host: location.host,
            });
        }
        let (headers, body) = fetcher.get(&keys_url, &location, options.keys_limit).await?;
        Ok(Fetched {
            keys: Arc::new(key_set(&keys_url, &body)?),
            freshness: freshness(&headers),
        })
    };
    tokio::time::timeout(options.deadline, whole).await.unwrap_or_else(|_| {
        Err(FetchError::TimedOut {
            issuer: issuer_url.to_owned(),
            milliseconds: u64::try_from(options.deadline.as_millis()).unwrap_or(u64::MAX),
        })
    })
}

fn parse(url: &str, options: &FetchOptions) -> Result<HttpsUrl, FetchError> {
    let location = HttpsUrl::parse(url).map_err(|reason| FetchError::Url {
        url: shortened(url),
        reason: reason.to_owned(),
    })?;
    if location.has_foreign_port() && !options.allow_private {
        return Err(FetchError::Port { url: url.to_owned() });
    }
    Ok(location)
}

struct Fetcher<'a> {
    options: &'a FetchOptions,
    trust: &'a Trust,
    thumbprints: &'a [String],
}

impl Fetcher<'_> {
    async fn get(&self, url: &str, location: &HttpsUrl, limit: usize) -> Result<(HeaderMap, Bytes), FetchError> {
        let http = |error: hyper::Error| FetchError::Http {
            url: url.to_owned(),
            reason: error.to_string(),
        };
        let stream = self.connect(url, location).await?;
        let (mut sender, connection) = http1::Builder::new()
            .max_buf_size(MAX_HEAD)
            .max_headers(MAX_HEADERS)
            .handshake(TokioIo::new(stream))
            .await
            .map_err(http)?;
        let _driver = AbortOnDrop(tokio::spawn(async move {
            // Its error also reaches the sender or the body, where it is reported.
            let _ = connection.await;
        }));
        let request = Request::get(location.request_target())
            .header(HOST, &location.authority)
            .header(ACCEPT, "application/json, application/jwk-set+json")
            .header(ACCEPT_ENCODING, "identity")
            .header(USER_AGENT, "irsa")
            .body(Empty::<Bytes>::new())
            .map_err(|error| FetchError::Http {
                url: url.to_owned(),
                reason: error.to_string(),
            })?;
        let response = sender.send_request(request).await.map_err(http)?;
        check_head(url, response.status(), response.headers())?;
        let (head, mut body) = response.into_parts();
        let mut bytes = BytesMut::new();
        while let Some(frame) = body.frame().await {
            // Trailers are of no interest.
            let Ok(data) = frame.map_err(http)?.into_data() else {
                continue;
            };
            if bytes.len().saturating_add(data.len()) > limit {
                return Err(FetchError::TooLarge {
                    url: url.to_owned(),
                    limit,
                });
            }
            bytes.extend_from_slice(&data);
        }
        Ok((head.headers, bytes.freeze()))
    }

    /// Resolves once, checks every address, and connects to one of those: a name that answers differently the next time changes nothing.
    async fn connect(&self, url: &str, location: &HttpsUrl) -> Result<TlsStream<TcpStream>, FetchError> {
        let host = location.host.as_str();
        let addresses = self.addresses(url, location).await?;
        let server_name = ServerName::try_from(host.to_owned()).map_err(|error| FetchError::Tls {
            host: host.to_owned(),
            reason: error.to_string(),
        })?;
        // An address that swallows packets must not eat the time of the next one.
        let share = self.options.deadline / u32::try_from(addresses.len()).unwrap_or(u32::MAX).saturating_add(1);
        let stream = first_to_answer(host, &addresses, share).await?;
        let config = self
            .trust
            .client_config(self.thumbprints)
            .map_err(|error| FetchError::Tls {
                host: host.to_owned(),
                reason: error.to_string(),
            })?;
        TlsConnector::from(Arc::new(config))
            .connect(server_name, stream)
            .await
            .map_err(|error| tls_error(host, &error))
    }

    async fn addresses(&self, url: &str, location: &HttpsUrl) -> Result<Vec<SocketAddr>, FetchError> {
        let failed = |reason: String| FetchError::Resolve {
            host: location.host.clone(),
            reason,
        };
        let addresses = match location.host.parse::<IpAddr>() {
            Ok(address) => vec![SocketAddr::new(address, location.port())],
            Err(_) => self
                .options
                .resolver
                .resolve(&location.host, location.port())
                .await
                .map_err(|error| failed(error.to_string()))?,
        };
        for address in &addresses {
            let address = address.ip();
            match classify(address) {
                AddressClass::Public => {}
                AddressClass::Private if self.options.allow_private => {}
                AddressClass::Private => {
                    return Err(FetchError::PrivateAddress {
                        url: url.to_owned(),
                        address,
                    });
                }
                AddressClass::Forbidden => {
                    return Err(FetchError::ForbiddenAddress {
                        url: url.to_owned(),
                        address,
                    });
                }
            }
        }
        if addresses.is_empty() {
            return Err(failed("it has no address".to_owned()));
        }
        Ok(addresses.into_iter().take(MAX_ADDRESSES).collect())
    }
}

async fn first_to_answer(host: &str, addresses: &[SocketAddr], share: Duration) -> Result<TcpStream, FetchError> {
    let mut reason = String::new();
    for address in addresses {
        match tokio::time::timeout(share, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(error)) => reason = format!("{address}: {error}"),
            Err(_) => reason = format!("{address}: no answer"),
        }
    }
    Err(FetchError::Connect {
        host: host.to_owned(),
        reason,
    })
}

fn tls_error(host: &str, error: &std::io::Error) -> FetchError {
    use rustls::{CertificateError, Error};

    let host = host.to_owned();
    match error.get_ref().and_then(|inner| inner.downcast_ref::<Error>()) {
        Some(Error::InvalidCertificate(CertificateError::UnknownIssuer)) => FetchError::UntrustedCertificate { host },
        Some(Error::InvalidCertificate(CertificateError::Other(other))) => {
            match other.0.downcast_ref::<ThumbprintMismatch>() {
                Some(mismatch) => FetchError::Thumbprint {
                    host,
                    presented: mismatch.presented.clone(),
                },
                None => FetchError::Tls {
                    host,
                    reason: other.to_string(),
                },
            }
        }
        _ => FetchError::Tls {
            host,
            reason: error.to_string(),
        },
    }
}

fn check_head(url: &str, status: StatusCode, headers: &HeaderMap) -> Result<(), FetchError> {
    let url = || url.to_owned();
    if status.is_redirection() {
        return Err(FetchError::Redirect {
            url: url(),
            status: status.as_u16(),
        });
    }
    if status != StatusCode::OK {
        return Err(FetchError::Status {
            url: url(),
            status: status.as_u16(),
        });
    }
    let header = |name: HeaderName| headers.get(name).map(|value| String::from_utf8_lossy(value.as_bytes()));
    if let Some(encoding) = header(CONTENT_ENCODING)
        && !encoding.trim().eq_ignore_ascii_case("identity")
    {
        return Err(FetchError::Encoding {
            url: url(),
            encoding: shortened(&encoding),
        });
    }
    if let Some(content_type) = header(CONTENT_TYPE) {
        let essence = content_type
            .split(';')
            .next()
            .unwrap_or_default()
            .trim()
            .to_ascii_lowercase();
        if matches!(essence.as_str(), "text/html" | "application/xhtml+xml") {
            return Err(FetchError::ContentType {
                url: url(),
                content_type: shortened(&content_type),
            });
        }
    }
    Ok(())
}

/// What others wrote, short enough for a message.
pub(crate) fn shortened(text: &str) -> String {
    text.chars().take(256).collect()
}

struct AbortOnDrop(JoinHandle<()>);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}
