//! The proxy between us and an API server, if there is one.
//!
//! See <https://kubernetes.io/docs/reference/config-api/kubeconfig.v1/#Cluster>: a kubeconfig's `proxy-url`, else the environment's variables.

use http::Uri;
use hyper_util::client::proxy::matcher::{Intercept, Matcher};

use crate::error::ClusterError;

/// The proxy that a kubeconfig names.
pub(crate) fn named(proxy: &Uri, server: &Uri) -> Result<Intercept, ClusterError> {
    Matcher::builder()
        .all(proxy.to_string())
        .build()
        .intercept(server)
        .ok_or_else(|| {
            // A URL may hold a password.
            let host = proxy.host().unwrap_or_default();
            ClusterError::Kubeconfig(format!("the `proxy-url` at `{host}` is none of http, https and socks5"))
        })
}

/// The proxy that the environment names for an API server: `HTTPS_PROXY`, unless `NO_PROXY` excepts the host; never one for this machine.
pub(crate) fn of_environment(server: &Uri) -> Option<Intercept> {
    of(&Matcher::from_env(), server)
}

fn of(matcher: &Matcher, server: &Uri) -> Option<Intercept> {
    let host = server.host()?.trim_matches(['[', ']']);
    let address = host.parse::<std::net::IpAddr>();
    let local = host.eq_ignore_ascii_case("localhost") || address.is_ok_and(|address| address.is_loopback());
    if local || server.scheme_str() != Some("https") {
        return None;
    }
    matcher.intercept(server)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_environment_has_exceptions() {
        let matcher = Matcher::builder();
        let matcher = matcher
            .https("http://me:p%40ss@proxy:3128")
            .no("internal.example,10.0.0.0/8")
            .build();
        let proxy = |server: &str| of(&matcher, &server.parse().unwrap());
        let found = proxy("https://api.example:6443").unwrap();
        assert_eq!(found.uri(), "http://proxy:3128/");
        // `me:p@ss`
        assert_eq!(found.basic_auth().unwrap(), "Basic bWU6cEBzcw==");
        for direct in [
            "https://api.internal.example",
            "https://10.1.2.3:6443",
            "https://localhost:6443",
            "https://127.0.0.1:6443",
            "https://[::1]:6443",
            "http://api.example",
        ] {
            assert!(proxy(direct).is_none(), "{direct}");
        }
    }

    #[test]
    fn what_is_no_proxy_is_refused_and_not_left_out() {
        let server = "https://api.example".parse().unwrap();
        let error = named(&"ftp://me:top-secret@proxy".parse().unwrap(), &server)
            .unwrap_err()
            .to_string();
        assert!(error.contains("`proxy`") && !error.contains("top-secret"), "{error}");
        let found = named(&"socks5://me:pass@proxy:1080".parse().unwrap(), &server).unwrap();
        assert_eq!(found.raw_auth(), Some(("me", "pass")));
    }
}
