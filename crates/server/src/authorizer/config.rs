//! What an external authorizer is told at the start, and who may ask it.

use std::collections::HashMap;
use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;

use irsa_core::AccountId;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{RootCertStore, server::WebPkiClientVerifier};
use tokio::sync::Semaphore;

use super::{Authorizer, Entry, MAX_QUESTIONS};
use crate::gateway::Desk;

/// The answering of proxies' questions.
#[derive(Clone, Debug)]
pub struct AuthorizerConfig {
    /// Where proxies ask.
    pub listen: AuthorizerAddress,
    /// The authorities of the certificates that proxies show, in PEM; required where strangers could ask.
    pub client_ca: Option<PathBuf>,
    /// Which services stand behind the proxies, and under which names.
    pub services: Vec<AuthorizerService>,
    /// Whether the S3 store behind the proxies takes every path as it is, so that keys with `//`, `/./` and `/../` in them are no other keys.
    pub literal_keys: bool,
    /// Whether the signature and the session token of an allowed request are removed before it goes on, by proxies that let us.
    pub strip_credentials: bool,
}

/// Where proxies ask.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum AuthorizerAddress {
    /// Address and port.
    Tcp(SocketAddr),
    /// A Unix socket, for its owner and group.
    Unix(PathBuf),
}

impl FromStr for AuthorizerAddress {
    type Err = AuthorizerConfigError;

    fn from_str(text: &str) -> Result<Self, AuthorizerConfigError> {
        if let Some(path) = text.strip_prefix("unix:") {
            return match path {
                "" => Err(AuthorizerConfigError::Address(text.to_owned())),
                path => Ok(Self::Unix(PathBuf::from(path))),
            };
        }
        text.parse()
            .map(Self::Tcp)
            .map_err(|_| AuthorizerConfigError::Address(text.to_owned()))
    }
}

impl fmt::Display for AuthorizerAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// One service behind a proxy: `[ACCOUNT/]SERVICE=HOST[:PORT]`.
///
/// Clients choose the `Host` header and the service of their signature's scope, and upstreams read either in their own way; so which go
/// together is not left to them.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct AuthorizerService {
    /// The account whose it is; of S3, whose those buckets are that this server does not know. `None`: the server's first.
    pub account: Option<AccountId>,
    /// The signing name, such as `s3`.
    pub service: String,
    /// The name that clients call it by, in lower case; for S3, `*.` before it says that its subdomains are buckets.
    pub host: String,
    /// The port, where only requests that name it are meant.
    pub port: Option<u16>,
}

/// Why an authorizer can't be made.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum AuthorizerConfigError {
    /// A text of `--authorizer`.
    #[error("`{0}` is no address: write `127.0.0.1:4702` or `unix:/run/irsa/authorizer.sock`")]
    Address(String),
    /// A text of `--authorizer-for`.
    #[error(
        "`{0}` is no service behind a proxy: write `SERVICE=HOST`, such as `s3=s3.example.com`, or `ACCOUNT/SERVICE=HOST`"
    )]
    Service(String),
    /// No services.
    #[error("the authorizer needs to know what stands behind the proxy: add --authorizer-for SERVICE=HOST")]
    Nothing,
    /// A service without rules.
    #[error("there are no rules for the service `{0}`: add them with --gateway-rules")]
    Unknown(String),
    /// The same service and host twice.
    #[error("`{0}` is there twice")]
    Twice(String),
    /// Several services have one host, and the upstream would not see which of them a request is signed for.
    #[error(
        "`{0}` is the host of several services, which only the signature tells apart: leave --authorizer-strip-credentials out, or give each \
         service a host of its own"
    )]
    Shared(String),
    /// Everybody could ask.
    #[error(
        "`{0}` can be reached from other machines, where anyone could pose as a proxy: listen on loopback or a Unix socket, or name the \
         authority of the proxies' certificates with --authorizer-client-ca"
    )]
    Open(SocketAddr),
    /// A Unix socket has no TLS.
    #[error("--authorizer-client-ca needs an address with a port")]
    Socket,
    /// The authorities of proxies.
    #[error("`{file}` can't be used as the authority of proxies: {reason}")]
    ClientCa {
        /// The file.
        file: String,
        /// What is wrong.
        reason: String,
    },
}

impl FromStr for AuthorizerService {
    type Err = AuthorizerConfigError;

    fn from_str(text: &str) -> Result<Self, AuthorizerConfigError> {
        let wrong = || AuthorizerConfigError::Service(text.to_owned());
        let (name, host) = text.split_once('=').ok_or_else(wrong)?;
        let (account, service) = match name.split_once('/') {
            Some((account, service)) => (Some(account.parse().map_err(|_| wrong())?), service),
            None => (None, name),
        };
        let is_name = |text: &str, more: &[u8]| {
            !text.is_empty()
                && text
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || more.contains(&byte))
        };
        let (host, port) = split_port(host).ok_or_else(wrong)?;
        let port = port.map(str::parse).transpose().map_err(|_| wrong())?;
        let bare = host.strip_prefix("*.").filter(|_| service == "s3").unwrap_or(host);
        let bracketed = bare.strip_prefix('[').and_then(|bare| bare.strip_suffix(']'));
        let is_host = bracketed.map_or_else(
            || is_name(bare, b"-_."),
            |address| address.parse::<std::net::Ipv6Addr>().is_ok(),
        );
        if !is_name(service, b"-_.") || !is_host {
            return Err(wrong());
        }
        Ok(Self {
            account,
            service: service.to_owned(),
            host: host.to_ascii_lowercase(),
            port,
        })
    }
}

/// Host and port of an authority; `None` if it is none.
pub(super) fn split_port(authority: &str) -> Option<(&str, Option<&str>)> {
    let end = authority.rfind(']').map_or(0, |end| end + 1);
    match authority.get(end..)?.rsplit_once(':') {
        Some((_, port)) if port.is_empty() || port.len() > 5 || !port.bytes().all(|byte| byte.is_ascii_digit()) => None,
        Some((_, port)) => Some((authority.get(..authority.len() - port.len() - 1)?, Some(port))),
        None => Some((authority, None)),
    }
}

impl AuthorizerConfig {
    /// Whether proxies must show a certificate; an error where they should and need not.
    pub(crate) fn check(&self) -> Result<(), AuthorizerConfigError> {
        match (&self.listen, &self.client_ca) {
            (AuthorizerAddress::Unix(_), Some(_)) => Err(AuthorizerConfigError::Socket),
            (AuthorizerAddress::Tcp(address), None) if !address.ip().to_canonical().is_loopback() => {
                Err(AuthorizerConfigError::Open(*address))
            }
            _ => Ok(()),
        }
    }

    /// Who verifies the certificates of proxies.
    pub(crate) fn client_verifier(
        &self,
    ) -> Result<Option<Arc<dyn rustls::server::danger::ClientCertVerifier>>, AuthorizerConfigError> {
        let Some(file) = &self.client_ca else { return Ok(None) };
        let unusable = |reason: String| AuthorizerConfigError::ClientCa {
            file: file.display().to_string(),
            reason,
        };
        let roots = authorities(file).map_err(unusable)?;
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider)
            .build()
            .map(Some)
            .map_err(|error| unusable(error.to_string()))
    }
}

fn authorities(file: &Path) -> Result<RootCertStore, String> {
    let found: Vec<CertificateDer<'static>> = CertificateDer::pem_file_iter(file)
        .and_then(Iterator::collect)
        .map_err(|error| error.to_string())?;
    if found.is_empty() {
        return Err("there is no certificate in it".to_owned());
    }
    let mut roots = RootCertStore::empty();
    for certificate in found {
        roots.add(certificate).map_err(|error| error.to_string())?;
    }
    Ok(roots)
}

impl Authorizer {
    /// Makes the authorizer of a server whose first account is `account`.
    pub(crate) fn new(
        config: &AuthorizerConfig,
        desk: &Desk,
        account: AccountId,
    ) -> Result<Self, AuthorizerConfigError> {
        config.check()?;
        if config.services.is_empty() {
            return Err(AuthorizerConfigError::Nothing);
        }
        let mut names: HashMap<&str, &'static str> = HashMap::new();
        let mut entries: Vec<Entry> = Vec::new();
        for of in &config.services {
            if of.service != "s3" && desk.book.services(&of.service).next().is_none() {
                return Err(AuthorizerConfigError::Unknown(of.service.clone()));
            }
            // Metrics want names that live as long as the program does, and so do these.
            let service = names
                .entry(&of.service)
                .or_insert_with(|| Box::leak(of.service.clone().into_boxed_str()));
            let (host, has_buckets) = match of.host.strip_prefix("*.") {
                Some(host) => (host, true),
                None => (of.host.as_str(), false),
            };
            let entry = Entry {
                service,
                account: of.account.unwrap_or(account),
                host: host.to_owned(),
                port: of.port,
                has_buckets,
            };
            if entries.iter().any(|known| known.meets(&entry)) {
                return Err(AuthorizerConfigError::Twice(format!("{}={}", of.service, of.host)));
            }
            let shares = |known: &Entry| known.service != entry.service && known.shares_host(&entry);
            if config.strip_credentials && entries.iter().any(shares) {
                return Err(AuthorizerConfigError::Shared(of.host.clone()));
            }
            entries.push(entry);
        }
        Ok(Self {
            entries,
            literal_keys: config.literal_keys,
            strip_credentials: config.strip_credentials,
            slots: Semaphore::new(MAX_QUESTIONS),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn services_are_written_in_one_way() {
        let of = |text: &str| text.parse::<AuthorizerService>();
        let plain = of("s3=S3.Example.com").unwrap();
        assert_eq!(
            (plain.service.as_str(), plain.host.as_str(), plain.port, plain.account),
            ("s3", "s3.example.com", None, None)
        );
        assert_eq!(of("s3=*.s3.example.com:4566").unwrap().port, Some(4566));
        assert_eq!(of("sqs=[::1]:80").unwrap().host, "[::1]");
        assert!(of("111122223333/dynamodb=127.0.0.1").unwrap().account.is_some());
        for text in [
            "",
            "s3",
            "s3=",
            "=h",
            "1/s3=h",
            "s3=h/",
            "s3=http://h",
            "s3=h:",
            "s3=h:x",
            "s3=h:99999",
            "s3=*",
            "s3=a b",
            "sqs=*.h",
            "s3=[::1",
            "s3=::1",
        ] {
            assert!(of(text).is_err(), "{text}");
        }
    }

    #[test]
    fn nobody_poses_as_a_proxy() {
        let config = |listen: &str, client_ca: Option<&str>| AuthorizerConfig {
            listen: listen.parse().unwrap(),
            client_ca: client_ca.map(PathBuf::from),
            services: Vec::new(),
            literal_keys: false,
            strip_credentials: false,
        };
        for listen in ["127.0.0.1:1", "[::1]:1", "[::ffff:127.0.0.1]:1", "unix:/run/a"] {
            assert_eq!(config(listen, None).check(), Ok(()), "{listen}");
        }
        for listen in ["0.0.0.0:1", "[::]:1", "192.0.2.1:1"] {
            assert!(
                matches!(config(listen, None).check(), Err(AuthorizerConfigError::Open(_))),
                "{listen}"
            );
            assert_eq!(config(listen, Some("ca.pem")).check(), Ok(()), "{listen}");
        }
        assert_eq!(
            config("unix:/run/a", Some("ca.pem")).check(),
            Err(AuthorizerConfigError::Socket)
        );
        for text in ["", "unix:", "localhost", "1.2.3.4"] {
            assert!(text.parse::<AuthorizerAddress>().is_err(), "{text}");
        }
    }
}
