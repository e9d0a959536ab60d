use std::fmt;
use std::sync::{Arc, OnceLock};

use aws_lc_rs::digest;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{Resumption, WebPkiServerVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, OtherError, RootCertStore, SignatureScheme,
};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};

/// The certificate authorities that vouch for issuers: the system's and the operator's.
pub(crate) struct Trust {
    provider: Arc<CryptoProvider>,
    extra_ca: Vec<CertificateDer<'static>>,
    system: bool,
    /// Reading the system's takes milliseconds and memory, which a server without foreign issuers never spends.
    verifier: OnceLock<Option<Arc<WebPkiServerVerifier>>>,
}

impl Trust {
    /// Fails if one of the extra certificates is not one.
    pub(crate) fn new(extra_ca: Vec<CertificateDer<'static>>, system: bool) -> Result<Self, Error> {
        let mut roots = RootCertStore::empty();
        for certificate in &extra_ca {
            roots.add(certificate.clone())?;
        }
        Ok(Self {
            provider: Arc::new(rustls::crypto::aws_lc_rs::default_provider()),
            extra_ca,
            system,
            verifier: OnceLock::new(),
        })
    }

    /// Reads the certificates, once. Blocks.
    pub(crate) fn load(&self) {
        self.verifier.get_or_init(|| {
            let mut roots = RootCertStore::empty();
            roots.add_parsable_certificates(self.extra_ca.iter().cloned());
            if self.system {
                let native = rustls_native_certs::load_native_certs();
                for error in &native.errors {
                    tracing::warn!(%error, "a file of the system's certificate authorities cannot be read");
                }
                roots.add_parsable_certificates(native.certs);
            }
            WebPkiServerVerifier::builder_with_provider(roots.into(), Arc::clone(&self.provider))
                .build()
                .ok()
        });
    }

    /// Whether `load` has run.
    pub(crate) fn is_loaded(&self) -> bool {
        self.verifier.get().is_some()
    }

    /// The configuration for one connection to an issuer whose provider has these thumbprints.
    pub(crate) fn client_config(&self, thumbprints: &[String]) -> Result<ClientConfig, Error> {
        let verifier = IssuerVerifier {
            roots: self.verifier.get().cloned().flatten(),
            thumbprints: thumbprints.to_vec(),
            provider: Arc::clone(&self.provider),
        };
        let mut config = ClientConfig::builder_with_provider(Arc::clone(&self.provider))
            .with_safe_default_protocol_versions()?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier))
            .with_no_client_auth();
        // A resumed session would skip the check of the certificate.
        config.resumption = Resumption::disabled();
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(config)
    }
}

/// The certificate was good by neither rule.
#[derive(Debug, thiserror::Error)]
#[error("the certificate chain does not match a thumbprint")]
pub(crate) struct ThumbprintMismatch {
    /// The thumbprint of the last certificate that the server presented.
    pub(crate) presented: String,
}

/// The thumbprint of a certificate: the SHA-1 of its DER form in lower-case hexadecimal digits.
///
/// See <https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles_providers_create_oidc_verify-thumbprint.html>.
#[must_use]
pub fn thumbprint(certificate: &CertificateDer<'_>) -> String {
    hex::encode(digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, certificate))
}

/// Trusts the known authorities; failing that, the last certificate of the presented chain if its thumbprint is one of the provider's.
/// Signatures, host name and validity are checked in both cases.
struct IssuerVerifier {
    roots: Option<Arc<WebPkiServerVerifier>>,
    thumbprints: Vec<String>,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for IssuerVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let by_roots = match &self.roots {
            Some(roots) => roots.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now),
            None => Err(CertificateError::UnknownIssuer.into()),
        };
        let Err(refusal) = by_roots else { return by_roots };
        // Signed by an authority that has the name of a known one, but another key: as unknown as any.
        let is_unknown = matches!(
            refusal,
            Error::InvalidCertificate(CertificateError::UnknownIssuer | CertificateError::BadSignature)
        );
        if self.thumbprints.is_empty() {
            return Err(if is_unknown {
                CertificateError::UnknownIssuer.into()
            } else {
                refusal
            });
        }
        let last = intermediates.last().unwrap_or(end_entity);
        let presented = thumbprint(last);
        if !self
            .thumbprints
            .iter()
            .any(|known| known.eq_ignore_ascii_case(&presented))
        {
            let mismatch = || CertificateError::Other(OtherError(Arc::new(ThumbprintMismatch { presented }))).into();
            return Err(if is_unknown { mismatch() } else { refusal });
        }
        let mut pinned = RootCertStore::empty();
        pinned.add(last.clone().into_owned())?;
        WebPkiServerVerifier::builder_with_provider(pinned.into(), Arc::clone(&self.provider))
            .build()
            .map_err(|error| Error::General(error.to_string()))?
            .verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(
            message,
            certificate,
            signature,
            &self.provider.signature_verification_algorithms,
        )
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(
            message,
            certificate,
            signature,
            &self.provider.signature_verification_algorithms,
        )
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

impl fmt::Debug for IssuerVerifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IssuerVerifier")
            .field("thumbprints", &self.thumbprints)
            .finish_non_exhaustive()
    }
}
