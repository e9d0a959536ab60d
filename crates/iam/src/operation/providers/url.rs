//! Which URLs may name an issuer.

use std::net::{Ipv4Addr, Ipv6Addr};

use irsa_wire::WireError;

use crate::error::IamError;

/// An issuer's URL without its scheme and without `:443`.
#[derive(Debug, Eq, PartialEq)]
pub(super) struct IssuerUrl {
    resource: String,
    has_port: bool,
}

impl IssuerUrl {
    /// Checks a URL: https, a host, no user information, no query, no fragment. Ports are for the caller to judge.
    pub(super) fn parse(text: &str) -> Result<Self, IamError> {
        let rest = text
            .strip_prefix("https://")
            .ok_or_else(|| invalid("it does not begin with https://"))?;
        if rest.contains(['?', '#']) {
            // Recorded: this is all that AWS says.
            return Err(IamError::InvalidInput("Unknown".to_owned()));
        }
        let allowed = |byte: u8| byte.is_ascii_graphic() && !br#"\"<>^`{|}"#.contains(&byte);
        if !rest.bytes().all(allowed) {
            return Err(invalid("it holds a character that a URL cannot hold"));
        }
        let (authority, path) = rest.find('/').map_or((rest, ""), |slash| rest.split_at(slash));
        if path.split('/').any(|segment| segment == "." || segment == "..") {
            return Err(invalid("its path climbs"));
        }
        let (host, port) = split_port(authority)?;
        check_host(host)?;
        let has_port = port.is_some_and(|port| port != 443);
        let authority = if has_port { authority } else { host };
        Ok(Self {
            resource: format!("{authority}{path}"),
            has_port,
        })
    }

    /// What stands behind `oidc-provider/` in the ARN.
    pub(super) fn resource(&self) -> &str {
        &self.resource
    }

    /// Whether it names a port other than 443.
    pub(super) fn has_port(&self) -> bool {
        self.has_port
    }
}

/// The refusal of a URL: the reason is for operators.
pub(super) fn invalid(reason: &str) -> IamError {
    IamError::Wire(WireError::validation("Invalid Open ID Connect Provider URL").because(reason))
}

fn split_port(authority: &str) -> Result<(&str, Option<u16>), IamError> {
    if authority.contains('@') {
        return Err(invalid("it has user information"));
    }
    let bracket = authority.rfind(']').unwrap_or(0);
    let Some((host, port)) = authority.rsplit_once(':').filter(|(host, _)| host.len() > bracket) else {
        return Ok((authority, None));
    };
    let digits = (1..=5).contains(&port.len()) && port.bytes().all(|byte| byte.is_ascii_digit());
    match port.parse::<u16>() {
        Ok(number) if digits && number > 0 => Ok((host, Some(number))),
        _ => Err(invalid("its port is not valid")),
    }
}

/// A DNS name or an address. What ends in a number must be an address in the one form that every resolver reads alike.
fn check_host(host: &str) -> Result<(), IamError> {
    if let Some(address) = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        return address
            .parse::<Ipv6Addr>()
            .map(drop)
            .map_err(|_| invalid("its IPv6 address is not valid"));
    }
    let label_is_valid = |label: &str| {
        let inner = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        (1..=63).contains(&label.len()) && label.bytes().all(inner) && !label.starts_with('-') && !label.ends_with('-')
    };
    if host.len() > 253 || !host.split('.').all(label_is_valid) {
        return Err(invalid("its host is not valid"));
    }
    let last = host.rsplit('.').next().unwrap_or_default().to_ascii_lowercase();
    let hexadecimal = last
        .strip_prefix("0x")
        .is_some_and(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()));
    let number = hexadecimal || last.bytes().all(|byte| byte.is_ascii_digit());
    if number && host.parse::<Ipv4Addr>().is_err() {
        Err(invalid("its host is a number"))
    } else {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_makes_a_provider_is_kept() {
        for (text, resource, port) in [
            (
                "https://oidc.eks.us-west-2.amazonaws.com/id/EXAMPLE",
                "oidc.eks.us-west-2.amazonaws.com/id/EXAMPLE",
                false,
            ),
            ("https://Issuer.Example/Path/", "Issuer.Example/Path/", false),
            ("https://issuer.example:443/a", "issuer.example/a", false),
            ("https://issuer.example", "issuer.example", false),
            ("https://127.0.0.1:4701/id/A", "127.0.0.1:4701/id/A", true),
            ("https://[::1]:443/a", "[::1]/a", false),
            ("https://[::1]:4701", "[::1]:4701", true),
        ] {
            let url = IssuerUrl::parse(text).unwrap();
            assert_eq!((url.resource(), url.has_port()), (resource, port), "{text}");
        }
    }

    #[test]
    fn adv_ia_10_bad_urls_are_refused() {
        for text in [
            "http://issuer.example",
            "HTTPS://issuer.example",
            "issuer.example",
            "",
            "https://",
            "https:///path",
            "https://user@issuer.example",
            "https://user:password@issuer.example",
            "https://issuer.example:0",
            "https://issuer.example:65536",
            "https://issuer.example:+443",
            "https://issuer.example:",
            "https://issuer.example/a/../b",
            "https://issuer.example/.",
            "https://issuer example",
            "https://größe.example",
            "https://issuer.example/a\nb",
            "https://2130706433",
            "https://0x7f.1",
            "https://-a.example",
            "https://[::1",
            "https://a..b",
        ] {
            let error = IssuerUrl::parse(text).unwrap_err();
            assert_eq!(
                error.to_string(),
                "ValidationError (400): Invalid Open ID Connect Provider URL",
                "{text}"
            );
        }
        for text in [
            "https://issuer.example?a",
            "https://issuer.example/#a",
            "https://issuer.example/a?",
        ] {
            assert_eq!(
                IssuerUrl::parse(text).unwrap_err(),
                IamError::InvalidInput("Unknown".to_owned()),
                "{text}"
            );
        }
    }
}
