//! The TLS listener's identity: a certificate authority of our own, and a server certificate that is replaced without a restart.

use std::fs;
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;

use arc_swap::ArcSwap;
use irsa_core::Timestamp;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, SanType, date_time_ymd,
};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

use crate::data_folder::{DataFolder, DataFolderError, write_private};

const CA_YEARS: i32 = 10;
const CERTIFICATE_DAYS: i64 = 90;
/// A certificate is made anew when it has less than this left.
const RENEW_DAYS: i64 = 30;

/// Why TLS can't be served.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file can't be read or written.
    #[error(transparent)]
    Folder(#[from] DataFolderError),
    /// A key or certificate can't be made.
    #[error("a certificate can't be made: {0}")]
    Generate(#[from] rcgen::Error),
    /// A key or certificate can't be used.
    #[error("`{file}` can't be used: {reason}; remove the folder `tls` to have everything in it made anew")]
    Unusable {
        /// The file.
        file: String,
        /// What is wrong.
        reason: String,
    },
}

/// The certificate that the listener shows; swapped while it runs.
#[derive(Debug)]
pub(crate) struct ServerCertificate {
    current: ArcSwap<CertifiedKey>,
}

impl ResolvesServerCert for ServerCertificate {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.current.load_full())
    }
}

impl ServerCertificate {
    /// Reads the certificate in the data folder, or makes authority and certificate.
    pub(crate) fn open(folder: &DataFolder, hosts: &[String], now: Timestamp) -> Result<Arc<Self>, TlsError> {
        let certified = load_or_make(folder, hosts, now)?;
        Ok(Arc::new(Self {
            current: ArcSwap::from_pointee(certified),
        }))
    }

    /// Reads the files again (an operator may have put others there), and makes a new certificate when the old one is near its end.
    pub(crate) fn reload(&self, folder: &DataFolder, hosts: &[String], now: Timestamp) -> Result<(), TlsError> {
        self.current.store(Arc::new(load_or_make(folder, hosts, now)?));
        Ok(())
    }

    /// The listener's settings: TLS 1.2 and 1.3, HTTP/1.1.
    pub(crate) fn server_config(self: &Arc<Self>) -> Result<Arc<rustls::ServerConfig>, TlsError> {
        self.config(None)
    }

    /// The settings of the listener for proxies, which show certificates: HTTP/2 or HTTP/1.1.
    pub(crate) fn proxies_config(
        self: &Arc<Self>,
        verifier: Arc<dyn ClientCertVerifier>,
    ) -> Result<Arc<rustls::ServerConfig>, TlsError> {
        self.config(Some(verifier))
    }

    fn config(
        self: &Arc<Self>,
        verifier: Option<Arc<dyn ClientCertVerifier>>,
    ) -> Result<Arc<rustls::ServerConfig>, TlsError> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| TlsError::Unusable {
                file: "tls".to_owned(),
                reason: error.to_string(),
            })?;
        let (builder, protocols) = match verifier {
            Some(verifier) => (
                builder.with_client_cert_verifier(verifier),
                vec![b"h2".to_vec(), b"http/1.1".to_vec()],
            ),
            None => (builder.with_no_client_auth(), vec![b"http/1.1".to_vec()]),
        };
        let mut config = builder.with_cert_resolver(Arc::<Self>::clone(self));
        config.alpn_protocols = protocols;
        Ok(Arc::new(config))
    }
}

fn load_or_make(folder: &DataFolder, hosts: &[String], now: Timestamp) -> Result<CertifiedKey, TlsError> {
    let (certificate, key) = (folder.tls().join("server.pem"), folder.tls().join("server-key.pem"));
    let made_for = folder.tls().join("server-hosts");
    let wanted = hosts.join("\n");
    let own = made_for.exists();
    let current = own
        .then(|| fs::read_to_string(&made_for).ok())
        .flatten()
        .and_then(|text| {
            text.split_once('\n')
                .map(|(until, hosts)| (until.parse::<i64>().unwrap_or_default(), hosts.to_owned()))
        })
        .is_some_and(|(until, hosts)| hosts == wanted && now.plus_seconds(RENEW_DAYS * 86_400).unix_seconds() < until);
    // Files that an operator put there have no `server-hosts` beside them: they are used as they are.
    if !certificate.exists() || !key.exists() || own && !current {
        let issuer = authority(folder, now)?;
        let until = now.plus_seconds(CERTIFICATE_DAYS * 86_400);
        let (pem, key_pem) = server_certificate(&issuer, hosts, now, until)?;
        write_private(&key, key_pem.as_bytes())?;
        write_private(&certificate, pem.as_bytes())?;
        write_private(&made_for, format!("{}\n{wanted}", until.unix_seconds()).as_bytes())?;
    }
    certified_key(&certificate, &key)
}

/// The authority that signs the server's certificate: its key is read, or made with a certificate for clients to trust.
fn authority(folder: &DataFolder, now: Timestamp) -> Result<Issuer<'static, KeyPair>, TlsError> {
    let (certificate_path, key_path) = (folder.ca(), folder.tls().join("ca-key.pem"));
    if certificate_path.exists() && key_path.exists() {
        let text = fs::read_to_string(&key_path).map_err(|error| TlsError::Unusable {
            file: key_path.display().to_string(),
            reason: error.to_string(),
        })?;
        let key = KeyPair::from_pem(&text)?;
        return Ok(Issuer::new(authority_params(&key), key));
    }
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
    let mut params = authority_params(&key);
    let (year, month, day, ..) = now.civil();
    let year = i32::try_from(year).unwrap_or(2026);
    let (month, day) = (u8::try_from(month).unwrap_or(1), u8::try_from(day.min(28)).unwrap_or(1));
    params.not_before = date_time_ymd(year - 1, month, day);
    params.not_after = date_time_ymd(year + CA_YEARS, month, day);
    let certificate = params.self_signed(&key)?;
    write_private(&key_path, key.serialize_pem().as_bytes())?;
    write_private(&certificate_path, certificate.pem().as_bytes())?;
    Ok(Issuer::new(params, key))
}

/// The name is made of the key, so that the authority can be used again with nothing but its key, and two of them are never taken for one.
fn authority_params(key: &KeyPair) -> CertificateParams {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, key.public_key_raw());
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(
        DnType::CommonName,
        format!("irsa local authority {}", hex::encode(&digest.as_ref()[..6])),
    );
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
}

fn server_certificate(
    issuer: &Issuer<'_, KeyPair>,
    hosts: &[String],
    now: Timestamp,
    until: Timestamp,
) -> Result<(String, String), TlsError> {
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params
        .distinguished_name
        .push(DnType::CommonName, hosts.first().map_or("irsa", String::as_str));
    params.subject_alt_names = hosts
        .iter()
        .map(|host| match host.parse::<IpAddr>() {
            Ok(address) => Ok(SanType::IpAddress(address)),
            Err(_) => host.as_str().try_into().map(SanType::DnsName),
        })
        .collect::<Result<_, _>>()?;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.use_authority_key_identifier_extension = true;
    let date = |instant: Timestamp| {
        let (year, month, day, ..) = instant.civil();
        date_time_ymd(
            i32::try_from(year).unwrap_or(2026),
            u8::try_from(month).unwrap_or(1),
            u8::try_from(day).unwrap_or(1),
        )
    };
    // A day back, for clients whose clock is behind.
    params.not_before = date(now.plus_seconds(-86_400));
    params.not_after = date(until.plus_seconds(86_400));
    let certificate = params.signed_by(&key, issuer)?;
    Ok((certificate.pem(), key.serialize_pem()))
}

fn certified_key(certificate: &Path, key: &Path) -> Result<CertifiedKey, TlsError> {
    let unusable = |path: &Path, reason: String| TlsError::Unusable {
        file: path.display().to_string(),
        reason,
    };
    let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_file_iter(certificate)
        .and_then(Iterator::collect)
        .map_err(|error| unusable(certificate, error.to_string()))?;
    if chain.is_empty() {
        return Err(unusable(certificate, "there is no certificate in it".to_owned()));
    }
    let private = PrivateKeyDer::from_pem_file(key).map_err(|error| unusable(key, error.to_string()))?;
    let signing = rustls::crypto::aws_lc_rs::sign::any_supported_type(&private)
        .map_err(|error| unusable(key, error.to_string()))?;
    let certified = CertifiedKey::new(chain, signing);
    certified
        .keys_match()
        .map_err(|error| unusable(key, error.to_string()))?;
    Ok(certified)
}
