//! How the SDK's own calls leave this machine: those that find credentials.

use std::path::Path;

use aws_smithy_http_client::proxy::ProxyConfig;
use aws_smithy_http_client::tls::{Provider, TlsContext, TrustStore, rustls_provider::CryptoMode};
use aws_smithy_http_client::{Builder, Connector};
use aws_smithy_runtime_api::client::http::SharedHttpClient;
use irsa_upstream::Trust;

use crate::ClientError;
use crate::chain::reasons;

/// A client for the SDK with the proxies of the environment and the authorities of a file; `None` means that the SDK's own
/// will do. Only what is encrypted goes through a proxy: the metadata services of instances and containers do not.
///
/// # Errors
/// A file without certificates, and a proxy that is none.
pub(crate) fn client(ca: Option<&Path>) -> Result<Option<SharedHttpClient>, ClientError> {
    let proxy = proxy()?;
    if proxy.is_none() && ca.is_none() {
        return Ok(None);
    }
    let mut trust = TrustStore::default();
    if let Some(file) = ca {
        // Says what is wrong with the file, which the SDK would do by panicking.
        Trust::new(Some(file))?;
        let text = std::fs::read(file).map_err(|error| refused("certificate authorities", &error))?;
        trust = TrustStore::empty().with_pem_certificate(text);
    }
    let context = TlsContext::builder()
        .with_trust_store(trust)
        .build()
        .map_err(|error| refused("certificate authorities", &error))?;
    let client = Builder::new().build_with_connector_fn(move |settings, components| {
        let mut connector = Connector::builder();
        connector.set_connector_settings(settings.cloned());
        if let Some(sleep) = components.and_then(|components| components.sleep_impl()) {
            connector.set_sleep_impl(Some(sleep));
        }
        connector.set_proxy_config(proxy.clone());
        connector
            .tls_provider(Provider::Rustls(CryptoMode::AwsLc))
            .tls_context(context.clone())
            .build()
    });
    Ok(Some(client))
}

fn refused(what: &str, error: &dyn std::error::Error) -> ClientError {
    ClientError::Request {
        reason: format!("the {what} of the environment can't be used: {}", reasons(error)),
    }
}

fn proxy() -> Result<Option<ProxyConfig>, ClientError> {
    let set = |names: [&str; 2]| {
        let mut values = names.iter().filter_map(|name| std::env::var(name).ok());
        values.find(|value| !value.trim().is_empty())
    };
    let Some(url) = set(["HTTPS_PROXY", "https_proxy"]).or_else(|| set(["ALL_PROXY", "all_proxy"])) else {
        return Ok(None);
    };
    let url = if url.contains("://") {
        url
    } else {
        format!("http://{url}")
    };
    // Without its reason, which may hold the URL and in it a password.
    let config = ProxyConfig::https(url).map_err(|_| ClientError::Request {
        reason: "HTTPS_PROXY or ALL_PROXY is no URL of a proxy".to_owned(),
    })?;
    let excepted = set(["NO_PROXY", "no_proxy"]).unwrap_or_default();
    Ok(Some(config.no_proxy(excepted)))
}
