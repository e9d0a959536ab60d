use crate::https_url::HttpsUrl;

/// The URL of an OIDC provider as IAM keeps it.
///
/// The rules are those of CreateOpenIDConnectProvider: https, at most 255 characters, no query and no fragment, `:443` is dropped. Path,
/// letter case and a trailing slash stay as they are: they tell providers apart.
/// See <https://docs.aws.amazon.com/IAM/latest/APIReference/API_CreateOpenIDConnectProvider.html>.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct ProviderUrl {
    /// `https://` and the resource.
    url: String,
}

impl ProviderUrl {
    /// Checks a URL. A port other than 443 passes only with `allow_port`, the server's setting for private issuers.
    ///
    /// # Errors
    /// What is wrong with the URL.
    pub fn parse(text: &str, allow_port: bool) -> Result<Self, ProviderUrlError> {
        let malformed = |reason| ProviderUrlError {
            url: text.chars().take(256).collect(),
            reason,
        };
        if text.chars().count() > 255 {
            return Err(malformed("it is longer than 255 characters"));
        }
        let url = HttpsUrl::parse(text).map_err(malformed)?;
        if url.target.contains('?') {
            return Err(malformed("it has a query"));
        }
        if url.has_foreign_port() && !allow_port {
            return Err(malformed(
                "it has a port, which needs a server that was started with --allow-private-issuers",
            ));
        }
        let authority = match url.explicit_port {
            Some(443) => url.authority.rsplit_once(':').map_or("", |(host, _)| host),
            _ => &url.authority,
        };
        Ok(Self {
            url: format!("https://{authority}{}", url.target),
        })
    }

    /// The whole URL: what the `iss` claim of a token must be.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.url
    }

    /// Host and path without the scheme: the name of the provider in its ARN, after `oidc-provider/`, and the prefix of its condition keys.
    #[must_use]
    pub fn resource(&self) -> &str {
        self.url.strip_prefix("https://").unwrap_or_default()
    }
}

/// The text cannot be the URL of a provider.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("`{url}` is not the URL of an OIDC provider: {reason}")]
pub struct ProviderUrlError {
    url: String,
    reason: &'static str,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_makes_a_provider_is_kept() {
        for (given, resource) in [
            (
                "https://oidc.eks.us-east-1.amazonaws.com/id/EXAMPLE",
                "oidc.eks.us-east-1.amazonaws.com/id/EXAMPLE",
            ),
            ("https://Issuer.example/Path", "Issuer.example/Path"),
            ("https://issuer.example/", "issuer.example/"),
            ("https://issuer.example", "issuer.example"),
            ("https://issuer.example:443/a", "issuer.example/a"),
            ("https://issuer.example:0443/a", "issuer.example/a"),
        ] {
            let url = ProviderUrl::parse(given, false).unwrap();
            assert_eq!(url.resource(), resource);
            assert_eq!(url.as_str(), format!("https://{resource}"));
        }
    }

    #[test]
    fn a_port_is_for_private_issuers() {
        let refused = ProviderUrl::parse("https://localhost:4701/id/A", false).unwrap_err();
        assert!(refused.to_string().contains("--allow-private-issuers"), "{refused}");
        let url = ProviderUrl::parse("https://localhost:4701/id/A", true).unwrap();
        assert_eq!(url.resource(), "localhost:4701/id/A");
    }

    #[test]
    fn not_providers() {
        let long = format!("https://issuer.example/{}", "x".repeat(233));
        for bad in [
            "http://issuer.example",
            "https://issuer.example?a",
            "https://issuer.example#a",
            "issuer.example",
            "",
            &long,
        ] {
            assert!(ProviderUrl::parse(bad, true).is_err(), "{bad}");
        }
        assert!(ProviderUrl::parse(&long[..255], true).is_ok());
    }
}
