//! The TLS settings of the HTTPS port, from words that Go's TLS library knows.

use std::path::PathBuf;
use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::server::WebPkiClientVerifier;
use rustls::{CipherSuite, RootCertStore, ServerConfig};

use crate::{ServingCertificate, StartError};

/// The least version of TLS.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum MinVersion {
    /// TLS 1.2; it also stands for 1.0 and 1.1, which are not served at all.
    #[default]
    Tls12,
    /// TLS 1.3.
    Tls13,
}

/// What an operator chooses of TLS.
#[derive(Clone, Debug, Default)]
pub struct TlsOptions {
    /// The least version.
    pub min_version: MinVersion,
    /// The suites of TLS 1.2 that are served, by their registered names; empty: all that there are.
    pub cipher_suites: Vec<String>,
    /// Certificate authorities in PEM; with them, reviews are answered only to those who show a certificate of theirs.
    pub client_ca: Option<PathBuf>,
}

/// Reads the least version: `1.0` to `1.3`, or `VersionTLS10` to `VersionTLS13`; empty is the default. The flag says whether it is one that we
/// raise to 1.2.
///
/// # Errors
/// Any other text.
pub fn min_version(text: &str) -> Result<(MinVersion, bool), StartError> {
    match text {
        "" | "1.2" | "VersionTLS12" => Ok((MinVersion::Tls12, false)),
        "1.3" | "VersionTLS13" => Ok((MinVersion::Tls13, false)),
        "1.0" | "1.1" | "VersionTLS10" | "VersionTLS11" => Ok((MinVersion::Tls12, true)),
        _ => Err(StartError::Option {
            option: "--tls-min-version",
            reason: format!("`{text}` is no version of TLS"),
        }),
    }
}

/// What Go's TLS library has and we do not: CBC, RC4, 3DES, and keys without forward secrecy.
const NOT_SERVED: [&str; 16] = [
    "TLS_RSA_WITH_RC4_128_SHA",
    "TLS_RSA_WITH_3DES_EDE_CBC_SHA",
    "TLS_RSA_WITH_AES_128_CBC_SHA",
    "TLS_RSA_WITH_AES_256_CBC_SHA",
    "TLS_RSA_WITH_AES_128_CBC_SHA256",
    "TLS_RSA_WITH_AES_128_GCM_SHA256",
    "TLS_RSA_WITH_AES_256_GCM_SHA384",
    "TLS_ECDHE_ECDSA_WITH_RC4_128_SHA",
    "TLS_ECDHE_RSA_WITH_RC4_128_SHA",
    "TLS_ECDHE_RSA_WITH_3DES_EDE_CBC_SHA",
    "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA256",
    "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA256",
    "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA",
    "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA",
    "TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA",
    "TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA",
];
/// No choice of suites has an effect on TLS 1.3.
const ALWAYS: [&str; 3] = [
    "TLS_AES_128_GCM_SHA256",
    "TLS_AES_256_GCM_SHA384",
    "TLS_CHACHA20_POLY1305_SHA256",
];

/// Reads a list of suites by Go's names, and returns those that are served, and those that Go has and we do not.
///
/// # Errors
/// A name that nobody has.
pub fn cipher_suites(text: &str) -> Result<(Vec<String>, Vec<String>), StartError> {
    let (mut served, mut not_served) = (Vec::new(), Vec::new());
    let provider = rustls::crypto::aws_lc_rs::default_provider();
    for name in text.split(',').map(str::trim).filter(|name| !name.is_empty()) {
        if ALWAYS.contains(&name) {
            continue;
        }
        if provider
            .cipher_suites
            .iter()
            .any(|suite| suite_name(suite.suite()) == name)
        {
            served.push(name.to_owned());
        } else if NOT_SERVED.contains(&name) {
            not_served.push(name.to_owned());
        } else {
            return Err(StartError::Option {
                option: "--tls-cipher-suites",
                reason: format!("`{name}` is no cipher suite"),
            });
        }
    }
    Ok((served, not_served))
}

fn suite_name(suite: CipherSuite) -> String {
    format!("{suite:?}")
}

/// The listener's settings.
pub(crate) fn server_config(
    options: &TlsOptions,
    certificate: &Arc<ServingCertificate>,
    client_ca: Option<&[u8]>,
) -> Result<ServerConfig, StartError> {
    let provider = Arc::new(provider(&options.cipher_suites));
    let unusable = |error: &dyn std::fmt::Display| StartError::Tls {
        reason: error.to_string(),
    };
    let versions: &[&rustls::SupportedProtocolVersion] = match options.min_version {
        MinVersion::Tls12 if serves_tls12(&provider) => &[&rustls::version::TLS13, &rustls::version::TLS12],
        _ => &[&rustls::version::TLS13],
    };
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(versions)
        .map_err(|error| unusable(&error))?;
    let builder = match client_ca {
        None => builder.with_no_client_auth(),
        Some(authorities) => {
            let mut roots = RootCertStore::empty();
            for certificate in CertificateDer::pem_slice_iter(authorities) {
                let certificate = certificate.map_err(|error| unusable(&error))?;
                roots.add(certificate).map_err(|error| unusable(&error))?;
            }
            // Probes of a kubelet show no certificate, and may not be asked for one: who has none gets no review answered.
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider)
                .allow_unauthenticated()
                .build()
                .map_err(|error| unusable(&error))?;
            builder.with_client_cert_verifier(verifier)
        }
    };
    let mut config = builder.with_cert_resolver(Arc::<ServingCertificate>::clone(certificate));
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}

fn provider(chosen: &[String]) -> CryptoProvider {
    let mut provider = rustls::crypto::aws_lc_rs::default_provider();
    if !chosen.is_empty() {
        provider.cipher_suites.retain(|suite| {
            let is_tls13 = matches!(suite, rustls::SupportedCipherSuite::Tls13(_));
            is_tls13 || chosen.contains(&suite_name(suite.suite()))
        });
    }
    provider
}

fn serves_tls12(provider: &CryptoProvider) -> bool {
    let suites = &provider.cipher_suites;
    suites
        .iter()
        .any(|suite| matches!(suite, rustls::SupportedCipherSuite::Tls12(_)))
}

/// When a certificate ends, in seconds since 1970: `notAfter` of RFC 5280, section 4.1.2.5. `None`: it is no certificate.
pub(crate) fn not_after(certificate: &[u8]) -> Option<i64> {
    let (certificate, _) = element(certificate, 0x30)?;
    let (mut fields, _) = element(certificate, 0x30)?;
    if let Some((_version, rest)) = element(fields, 0xa0) {
        fields = rest;
    }
    let (_serial, fields) = element(fields, 0x02)?;
    let (_signature, fields) = element(fields, 0x30)?;
    let (_issuer, fields) = element(fields, 0x30)?;
    let (validity, _) = element(fields, 0x30)?;
    let (_, end) = any_time(validity)?;
    let (end, _) = any_time(end)?;
    Some(end)
}

/// The content of the element that begins here, if it has this tag, and what follows it.
fn element(bytes: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (&found, rest) = bytes.split_first()?;
    let (&first, mut rest) = rest.split_first()?;
    if found != tag {
        return None;
    }
    let mut length = usize::from(first);
    if first >= 0x80 {
        let count = usize::from(first & 0x7f);
        if !(1..=4).contains(&count) {
            return None;
        }
        let (digits, after) = rest.split_at_checked(count)?;
        length = digits.iter().fold(0, |length, digit| length << 8 | usize::from(*digit));
        rest = after;
    }
    rest.split_at_checked(length)
}

/// A UTCTime or GeneralizedTime, in seconds since 1970, and what follows it.
fn any_time(bytes: &[u8]) -> Option<(i64, &[u8])> {
    let (text, rest, century) = match element(bytes, 0x17) {
        // Years below 50 are of this century, as RFC 5280 says.
        Some((text, rest)) => (text, rest, if *text.first()? < b'5' { 20 } else { 19 }),
        None => {
            let (text, rest) = element(bytes, 0x18)?;
            let (century, text) = text.split_at_checked(2)?;
            (text, rest, number(century)?)
        }
    };
    let mut parts = text.chunks_exact(2).take(6).map(number);
    let mut part = || parts.next()?;
    let (year, month, day) = (century.checked_mul(100)?.checked_add(part()?)?, part()?, part()?);
    let (hour, minute, second) = (part()?, part()?, part()?);
    if !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    // Days from the civil date, with years that begin in March.
    let (shifted_year, shifted_month) = if month > 2 {
        (year, month - 3)
    } else {
        (year - 1, month + 9)
    };
    let days = 365 * shifted_year + shifted_year / 4 - shifted_year / 100
        + shifted_year / 400
        + (153 * shifted_month + 2) / 5
        + day
        - 1
        - 719_468;
    Some((days * 86_400 + hour * 3_600 + minute * 60 + second, rest))
}

fn number(digits: &[u8]) -> Option<i64> {
    digits.iter().try_fold(0_i64, |number, digit| {
        let digit = char::from(*digit).to_digit(10)?;
        number.checked_mul(10)?.checked_add(i64::from(digit))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_as_the_reference_reads_them() {
        for (text, expected) in [
            ("", (MinVersion::Tls12, false)),
            ("1.0", (MinVersion::Tls12, true)),
            ("VersionTLS11", (MinVersion::Tls12, true)),
            ("1.2", (MinVersion::Tls12, false)),
            ("VersionTLS13", (MinVersion::Tls13, false)),
        ] {
            assert_eq!(min_version(text).unwrap(), expected, "{text}");
        }
        for text in ["1.4", "tls1.2", " 1.2", "TLSv1.2"] {
            assert!(min_version(text).is_err(), "{text}");
        }
    }

    #[test]
    fn suites_by_gos_names() {
        let text = " TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256 ,,TLS_AES_128_GCM_SHA256,TLS_RSA_WITH_RC4_128_SHA";
        let (served, not_served) = cipher_suites(text).unwrap();
        assert_eq!(served, ["TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256"]);
        assert_eq!(not_served, ["TLS_RSA_WITH_RC4_128_SHA"]);
        let all = "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,\
                   TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256";
        assert_eq!(cipher_suites(all).unwrap().0.len(), 5);
        let error = cipher_suites("TLS_ECDHE_RSA_WITH_AES_128_GCM").unwrap_err().to_string();
        assert!(error.contains("TLS_ECDHE_RSA_WITH_AES_128_GCM"), "{error}");
    }

    #[test]
    fn a_choice_of_suites_without_ours_leaves_version_1_3() {
        let options = TlsOptions {
            cipher_suites: vec!["TLS_RSA_WITH_RC4_128_SHA".into()],
            ..TlsOptions::default()
        };
        assert!(!serves_tls12(&provider(&options.cipher_suites)));
        assert!(serves_tls12(&provider(&[])));
        assert!(server_config(&options, &Arc::default(), None).is_ok());
        assert!(server_config(&options, &Arc::default(), Some(b"nothing")).is_err());
    }

    #[test]
    fn the_end_of_a_certificate() {
        for (year, month, day, expected) in [
            (2026, 11, 23, 1_795_392_000),
            (2049, 12, 31, 2_524_521_600),
            (2050, 3, 1, 2_529_705_600),
        ] {
            let mut params = rcgen::CertificateParams::new(vec!["x.test".to_owned()]).unwrap();
            params.not_after = rcgen::date_time_ymd(year, month, day);
            assert_eq!(params.not_after.unix_timestamp(), expected);
            let certificate = params.self_signed(&rcgen::KeyPair::generate().unwrap()).unwrap();
            assert_eq!(not_after(certificate.der()), Some(expected), "{year}");
            let der = certificate.der();
            for length in 0..der.len() {
                // Any beginning of it is read without harm.
                let _ = not_after(&der[..length]);
            }
        }
        assert_eq!(not_after(&[0x30, 0x84, 0xff, 0xff, 0xff, 0xff]), None);
    }
}
