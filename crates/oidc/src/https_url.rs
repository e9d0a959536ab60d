use std::net::{Ipv4Addr, Ipv6Addr};

/// The longest URL that is looked at, in bytes.
const MAX_LEN: usize = 2048;

/// An absolute https URL without user information and fragment, taken apart by the one parser that checks, resolves and connects, so that
/// no two readers of a URL can disagree about its host.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct HttpsUrl {
    /// Lower case, without brackets.
    pub(crate) host: String,
    /// The port as written, if one was.
    pub(crate) explicit_port: Option<u16>,
    /// The authority as written.
    pub(crate) authority: String,
    /// Path and query as written; empty if there is neither.
    pub(crate) target: String,
}

impl HttpsUrl {
    /// Takes a URL apart; the error says what is wrong with it.
    pub(crate) fn parse(text: &str) -> Result<Self, &'static str> {
        if text.len() > MAX_LEN {
            return Err("it is longer than 2048 bytes");
        }
        let visible = |byte: u8| byte.is_ascii_graphic() && !br#"\"<>^`{|}"#.contains(&byte);
        if !text.bytes().all(visible) {
            return Err("it holds a character that a URL cannot hold");
        }
        let rest = text.strip_prefix("https://").ok_or("it does not begin with https://")?;
        if rest.contains('#') {
            return Err("it has a fragment");
        }
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, target) = rest.split_at(end);
        if authority.contains('@') {
            return Err("it has user information");
        }
        let (host, port) = split_port(authority)?;
        Ok(Self {
            host: checked_host(host)?,
            explicit_port: port,
            authority: authority.to_owned(),
            target: target.to_owned(),
        })
    }

    /// The port to connect to.
    pub(crate) fn port(&self) -> u16 {
        self.explicit_port.unwrap_or(443)
    }

    /// Whether a port is written that is not https's own.
    pub(crate) fn has_foreign_port(&self) -> bool {
        self.port() != 443
    }

    /// What goes into the request line.
    pub(crate) fn request_target(&self) -> String {
        match self.target.as_bytes().first() {
            None => "/".to_owned(),
            Some(b'?') => format!("/{}", self.target),
            Some(_) => self.target.clone(),
        }
    }
}

fn split_port(authority: &str) -> Result<(&str, Option<u16>), &'static str> {
    let (host, port) = if authority.starts_with('[') {
        let end = authority.find(']').ok_or("its IPv6 address is not closed")?;
        let (address, rest) = authority.split_at(end + 1);
        match rest.strip_prefix(':') {
            Some(port) => (address, Some(port)),
            None if rest.is_empty() => (address, None),
            None => return Err("its host is not valid"),
        }
    } else {
        match authority.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (authority, None),
        }
    };
    let Some(port) = port else { return Ok((host, None)) };
    if port.is_empty() || port.len() > 5 || !port.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err("its port is not valid");
    }
    match port.parse() {
        Ok(number) if number > 0 => Ok((host, Some(number))),
        _ => Err("its port is not valid"),
    }
}

/// A DNS name, a dotted IPv4 address or an IPv6 address.
///
/// Resolvers of the C library also read `2130706433`, `0x7f.1` and `0177.0.0.1` as addresses: whatever ends in a number must be an IPv4
/// address in its one common form (as the URL standard of the WHATWG has it, without its leniency).
fn checked_host(host: &str) -> Result<String, &'static str> {
    if let Some(address) = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        let address: Ipv6Addr = address.parse().map_err(|_| "its IPv6 address is not valid")?;
        return Ok(address.to_string());
    }
    if host.is_empty() {
        return Err("it has no host");
    }
    let label_is_valid = |label: &str| {
        let inner = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        (1..=63).contains(&label.len()) && label.bytes().all(inner) && !label.starts_with('-') && !label.ends_with('-')
    };
    if host.len() > 253 || !host.split('.').all(label_is_valid) {
        return Err("its host is not valid");
    }
    let host = host.to_ascii_lowercase();
    let last = host.rsplit('.').next().unwrap_or_default();
    let is_number = last.bytes().all(|byte| byte.is_ascii_digit())
        || last
            .strip_prefix("0x")
            .is_some_and(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()));
    if is_number && host.parse::<Ipv4Addr>().is_err() {
        return Err("its host is a number");
    }
    Ok(host)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_of_a_url() {
        let url = HttpsUrl::parse("https://OIDC.example.com:8443/id/A%2f?x=1").unwrap();
        assert_eq!(
            (
                url.host.as_str(),
                url.port(),
                url.authority.as_str(),
                url.target.as_str()
            ),
            ("oidc.example.com", 8443, "OIDC.example.com:8443", "/id/A%2f?x=1")
        );
        assert_eq!(HttpsUrl::parse("https://a.b").unwrap().request_target(), "/");
        assert_eq!(HttpsUrl::parse("https://a.b?x").unwrap().request_target(), "/?x");
        assert_eq!(HttpsUrl::parse("https://[::1]:1/").unwrap().host, "::1");
        assert!(!HttpsUrl::parse("https://a.b:443").unwrap().has_foreign_port());
    }

    #[test]
    fn jk_03_addresses_in_disguise_are_no_hosts() {
        for bad in [
            "https://2130706433/",
            "https://0x7f000001/",
            "https://0x7f.1/",
            "https://127.1/",
            "https://0177.0.0.1/",
            "https://a.0x/",
            "https://[::1%25lo]/",
            "https://127.0.0.1./",
            "https://１２７.0.0.1/",
        ] {
            assert!(HttpsUrl::parse(bad).is_err(), "{bad}");
        }
        assert_eq!(HttpsUrl::parse("https://127.0.0.1/").unwrap().host, "127.0.0.1");
    }

    #[test]
    fn not_https_urls() {
        for bad in [
            "",
            "https://",
            "https:///a",
            "http://a.b",
            "HTTPS://a.b",
            "file:///etc/passwd",
            "gopher://a.b",
            "https://a.b@c.d/",
            "https://a.b\\@c.d/",
            "https://a.b#c",
            "https://a b/",
            "https://a.b:0",
            "https://a.b:65536",
            "https://a.b:+80",
            "https://a.b:",
            "https://a:1:2",
            "https://-a.b",
            "https://a..b",
            "https://[::1",
            "https://[::1]x",
        ] {
            assert!(HttpsUrl::parse(bad).is_err(), "{bad}");
        }
        assert!(HttpsUrl::parse(&format!("https://a.b/{}", "x".repeat(2048))).is_err());
    }
}
