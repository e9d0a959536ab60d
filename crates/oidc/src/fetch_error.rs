use std::net::IpAddr;

/// Why the keys of an issuer are not to be had, in an operator's words. Callers of the AWS API see AWS's texts instead, which are shorter.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum FetchError {
    /// A URL cannot be fetched from: the issuer's own, or the `jwks_uri` of its discovery document.
    #[error("`{url}` cannot be fetched: {reason}")]
    Url {
        /// The URL.
        url: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A port other than 443, where private issuers are not allowed.
    #[error("`{url}` has a port; start the server with --allow-private-issuers")]
    Port {
        /// The URL.
        url: String,
    },
    /// The host's name has no address.
    #[error("`{host}` cannot be resolved: {reason}")]
    Resolve {
        /// The host.
        host: String,
        /// What the resolver says.
        reason: String,
    },
    /// An address of this host or of a private network, where those are not allowed.
    #[error("`{url}` resolves to the private address {address}; start the server with --allow-private-issuers")]
    PrivateAddress {
        /// The URL.
        url: String,
        /// The first such address.
        address: IpAddr,
    },
    /// An address that no issuer can have: instance metadata, multicast, documentation and the like.
    #[error("`{url}` resolves to {address}, an address that nothing is ever fetched from")]
    ForbiddenAddress {
        /// The URL.
        url: String,
        /// The first such address.
        address: IpAddr,
    },
    /// No address answers.
    #[error("`{host}` cannot be connected to: {reason}")]
    Connect {
        /// The host.
        host: String,
        /// What the last address said.
        reason: String,
    },
    /// The TLS handshake failed, or the certificate is expired, for another host, or broken.
    #[error("no TLS connection to `{host}`: {reason}")]
    Tls {
        /// The host.
        host: String,
        /// What failed.
        reason: String,
    },
    /// The chain does not end in a trusted authority, and the provider has no thumbprints.
    #[error(
        "the certificate of `{host}` does not end in a trusted authority; add the authority with --issuer-ca, or its thumbprint to the provider"
    )]
    UntrustedCertificate {
        /// The host.
        host: String,
    },
    /// The chain does not end in a trusted authority, and its last certificate has none of the provider's thumbprints.
    /// AWS: `OpenIDConnect provider's HTTPS certificate doesn't match configured thumbprint`.
    #[error(
        "the certificate of `{host}` does not end in a trusted authority, and the last one of its chain has the thumbprint {presented}, which the provider does not list"
    )]
    Thumbprint {
        /// The host.
        host: String,
        /// The thumbprint of the last certificate of the chain.
        presented: String,
    },
    /// The whole fetch took too long.
    #[error("issuer `{issuer}` did not answer within {milliseconds} ms")]
    TimedOut {
        /// The issuer.
        issuer: String,
        /// The deadline.
        milliseconds: u64,
    },
    /// Too many fetches from slow issuers are running to begin this one.
    #[error("too many fetches are running to begin one from issuer `{issuer}`")]
    Busy {
        /// The issuer.
        issuer: String,
    },
    /// The answer is not HTTP, ended early, or its head is too large.
    #[error("`{url}` does not answer in HTTP: {reason}")]
    Http {
        /// The URL.
        url: String,
        /// What failed.
        reason: String,
    },
    /// A redirect, which is never followed.
    #[error("`{url}` answers with the redirect {status}, which is not followed")]
    Redirect {
        /// The URL.
        url: String,
        /// The status.
        status: u16,
    },
    /// A status other than 200.
    #[error("`{url}` answers with status {status}")]
    Status {
        /// The URL.
        url: String,
        /// The status.
        status: u16,
    },
    /// The body is larger than its limit.
    #[error("the answer of `{url}` is larger than {limit} bytes")]
    TooLarge {
        /// The URL.
        url: String,
        /// The limit in bytes.
        limit: usize,
    },
    /// The body is compressed, though nobody asked for it.
    #[error("the answer of `{url}` has the encoding `{encoding}`")]
    Encoding {
        /// The URL.
        url: String,
        /// `Content-Encoding`.
        encoding: String,
    },
    /// The answer is a web page.
    #[error("the answer of `{url}` is of type `{content_type}`")]
    ContentType {
        /// The URL.
        url: String,
        /// `Content-Type`.
        content_type: String,
    },
    /// The discovery document is not one.
    #[error("the discovery document `{url}` is not valid: {reason}")]
    Discovery {
        /// Its URL.
        url: String,
        /// What is wrong.
        reason: String,
    },
    /// The discovery document is another issuer's (OpenID Connect Discovery 1.0, section 4.3).
    #[error("the discovery document of `{registered}` names the issuer `{found}`")]
    IssuerMismatch {
        /// The registered URL.
        registered: String,
        /// What the document says.
        found: String,
    },
    /// The keys are on another host, and the server does not allow that.
    #[error("the keys of issuer `{issuer}` are on another host, `{host}`")]
    OtherHost {
        /// The issuer.
        issuer: String,
        /// The host in `jwks_uri`.
        host: String,
    },
    /// The key set is not one.
    #[error("the key set `{url}` is not valid: {reason}")]
    Keys {
        /// Its URL.
        url: String,
        /// What is wrong.
        reason: String,
    },
    /// The key set gives away private keys: everything that it ever signed is void.
    #[error("the key set `{url}` holds private key material; its keys must be replaced")]
    PrivateKeys {
        /// Its URL.
        url: String,
    },
    /// The key set has no key that can be used. It never replaces one that has.
    #[error("the key set `{url}` holds no usable key: {reason}")]
    NoKeys {
        /// Its URL.
        url: String,
        /// What is wrong with the first of its keys.
        reason: String,
    },
    /// The server is stopping, or the fetch was given up.
    #[error("the fetch from issuer `{issuer}` was given up")]
    Abandoned {
        /// The issuer.
        issuer: String,
    },
}
