//! Who is at the other end of a connection.

use std::net::{IpAddr, SocketAddr};

use http::HeaderMap;

/// One connection's other end.
#[derive(Debug)]
pub(crate) struct Peer {
    pub(crate) address: SocketAddr,
    pub(crate) tls: Option<TlsSession>,
}

/// What was agreed in the handshake, in CloudTrail's spelling.
#[derive(Debug)]
pub(crate) struct TlsSession {
    pub(crate) version: &'static str,
    pub(crate) cipher_suite: String,
}

impl Peer {
    /// The caller's address: the socket's, or the last one that a trusted proxy put into `X-Forwarded-For`.
    ///
    /// The header is read from its end, since everything before the first untrusted hop could be made up.
    pub(crate) fn source_ip(&self, headers: &HeaderMap, trusted_proxies: &[IpAddr]) -> IpAddr {
        let mut source = self.address.ip().to_canonical();
        if !trusted_proxies.contains(&source) {
            return source;
        }
        let forwarded: Vec<&str> = headers
            .get_all("x-forwarded-for")
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','))
            .collect();
        for hop in forwarded.iter().rev() {
            let Ok(hop) = hop.trim().parse::<IpAddr>() else {
                return source;
            };
            source = hop.to_canonical();
            if !trusted_proxies.contains(&source) {
                return source;
            }
        }
        source
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(peer: &str, forwarded: &str, trusted: &[&str]) -> String {
        let peer = Peer {
            address: SocketAddr::new(peer.parse().unwrap(), 1),
            tls: None,
        };
        let mut headers = HeaderMap::new();
        headers.insert("x-forwarded-for", forwarded.parse().unwrap());
        let trusted: Vec<IpAddr> = trusted.iter().map(|ip| ip.parse().unwrap()).collect();
        peer.source_ip(&headers, &trusted).to_string()
    }

    #[test]
    fn adv_pe_19_forwarded_addresses_count_only_from_trusted_proxies() {
        assert_eq!(source("203.0.113.9", "10.0.0.1", &[]), "203.0.113.9");
        assert_eq!(source("203.0.113.9", "10.0.0.1", &["198.51.100.1"]), "203.0.113.9");
        assert_eq!(
            source("198.51.100.1", "10.0.0.1, 203.0.113.7", &["198.51.100.1"]),
            "203.0.113.7"
        );
        assert_eq!(
            source(
                "198.51.100.1",
                "10.0.0.1, 198.51.100.2",
                &["198.51.100.1", "198.51.100.2"]
            ),
            "10.0.0.1"
        );
        assert_eq!(source("198.51.100.1", "garbage", &["198.51.100.1"]), "198.51.100.1");
        assert_eq!(source("::ffff:203.0.113.9", "x", &[]), "203.0.113.9");
    }
}
