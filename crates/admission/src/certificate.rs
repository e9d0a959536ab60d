//! The certificate that the HTTPS listener shows, replaced while it runs.

use std::sync::Arc;

use arc_swap::ArcSwapOption;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

/// A certificate or its key cannot be used.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum CertificateError {
    /// There is no certificate in the text.
    #[error("no certificate in PEM: {reason}")]
    Certificate {
        /// What is wrong.
        reason: String,
    },
    /// There is no private key in the text.
    #[error("no private key in PEM: {reason}")]
    Key {
        /// What is wrong; never any of the text.
        reason: String,
    },
    /// Each is well-formed, and they do not belong together or are of no use.
    #[error("the certificate and its key can't be used: {reason}")]
    Pair {
        /// What is wrong.
        reason: String,
    },
}

/// The certificate in force: whoever keeps it current sets it, every new handshake reads it, and connections that stand are not touched.
#[derive(Debug, Default)]
pub struct ServingCertificate {
    current: ArcSwapOption<CertifiedKey>,
}

impl ServingCertificate {
    /// From now on, handshakes show this one.
    pub fn set(&self, certified: CertifiedKey) {
        self.current.store(Some(Arc::new(certified)));
    }

    /// The certificate in force; without one, handshakes fail and the server is not ready.
    #[must_use]
    pub fn current(&self) -> Option<Arc<CertifiedKey>> {
        self.current.load_full()
    }
}

impl ResolvesServerCert for ServingCertificate {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let current = self.current();
        if current.is_none() {
            tracing::warn!("a handshake fails: there is no serving certificate yet");
        }
        current
    }
}

/// Reads a certificate with its chain, and the private key, both in PEM.
///
/// # Errors
/// One of them is missing or malformed, or they do not belong together.
pub fn certified_key(chain: &[u8], key: &[u8]) -> Result<CertifiedKey, CertificateError> {
    let malformed = |error: &dyn std::fmt::Display| CertificateError::Certificate {
        reason: error.to_string(),
    };
    let chain = CertificateDer::pem_slice_iter(chain)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| malformed(&error))?;
    if chain.is_empty() {
        return Err(malformed(&"there is none"));
    }
    let key = PrivateKeyDer::from_pem_slice(key).map_err(|error| CertificateError::Key {
        reason: match error {
            rustls::pki_types::pem::Error::NoItemsFound => "there is none".to_owned(),
            _ => "it is malformed".to_owned(),
        },
    })?;
    let provider = rustls::crypto::aws_lc_rs::default_provider();
    CertifiedKey::from_der(chain, key, &provider).map_err(|error| CertificateError::Pair {
        reason: error.to_string(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair() -> (String, String) {
        let made = rcgen::generate_simple_self_signed(vec!["webhook.test".to_owned()]).unwrap();
        (made.cert.pem(), made.signing_key.serialize_pem())
    }

    #[test]
    fn a_pair_is_read_and_shown() {
        let serving = ServingCertificate::default();
        assert!(serving.current().is_none());
        let (chain, key) = pair();
        serving.set(certified_key(chain.as_bytes(), key.as_bytes()).unwrap());
        assert_eq!(serving.current().unwrap().cert.len(), 1);
    }

    #[test]
    fn what_does_not_belong_together_is_told_without_the_key() {
        let ((chain, key), (_, other)) = (pair(), pair());
        let error = |chain: &str, key: &str| certified_key(chain.as_bytes(), key.as_bytes()).unwrap_err();
        assert!(matches!(error(&chain, &other), CertificateError::Pair { .. }));
        assert!(matches!(error("", &key), CertificateError::Certificate { .. }));
        assert!(matches!(error(&key, &key), CertificateError::Certificate { .. }));
        assert!(matches!(error(&chain, &chain), CertificateError::Key { .. }));
        assert!(matches!(error(&chain, ""), CertificateError::Key { .. }));
        let cut = key.replace("-----END PRIVATE KEY-----", "");
        let secret = key.lines().nth(1).unwrap();
        assert!(!error(&chain, &cut).to_string().contains(secret));
    }
}
