use std::collections::BTreeSet;
use std::fmt;
use std::sync::{Arc, OnceLock};

use aws_lc_rs::rand;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use irsa_core::Timestamp;
use irsa_credentials::{KeyEncryptionKey, SealError, UnsealError};
use irsa_store::Transaction;
use irsa_token::{Algorithm, JwkSet, JwkSetError, SignError, SigningKey};
use serde::{Deserialize, Serialize};
use serde_json::json;
use serde_json::value::RawValue;
use zeroize::Zeroizing;

use crate::https_url::HttpsUrl;
use crate::kubernetes::{FieldError, TokenRequest, uuid};

/// How long the keys of a hosted issuer may be cached, in seconds: a key signs nothing before it has been published for this long.
pub const KEYS_LIFETIME_SECONDS: i64 = 300;
/// The `Cache-Control` of both documents of a hosted issuer.
pub const CACHE_CONTROL: &str = "public, max-age=300";

/// Where the records of hosted issuers lie in the store.
pub(crate) const PREFIX: &str = "oidc/issuer/";
/// The version of the records that are written.
const VERSION: u32 = 1;

/// The step of its life that a key is in: published but not signing yet, signing, or only still published until the last token that it
/// signed has expired.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum KeySlot {
    /// Will sign.
    Next,
    /// Signs. There is exactly one.
    Current,
    /// Has signed.
    Retired,
}

/// An issuer whose keys we hold: discovery document, key set, and the tokens that it signs.
pub struct HostedIssuer {
    id: String,
    url: String,
    cluster: String,
    created: Timestamp,
    slots: Vec<(KeySlot, String)>,
    signer: Signer,
    keys: Arc<JwkSet>,
    discovery_document: String,
    keys_document: String,
}

/// A token and what it says about itself. Shows the token to nobody who does not ask for it.
pub struct IssuedToken {
    /// The token, in compact form.
    pub token: String,
    /// When it is issued.
    pub issued_at: Timestamp,
    /// When it expires.
    pub expires_at: Timestamp,
    /// Its `jti`: what an audit record may say of it.
    pub token_id: String,
}

/// What makes a new issuer once it is committed.
pub struct NewIssuer {
    id: String,
    url: String,
    record: Bytes,
}

/// Makes the record of a new issuer that signs with `key`, as `https://…/id/<ID>` under `base_url`. `cluster` is the ARN of its cluster.
///
/// Making an RSA key takes a tenth of a second and more: callers do it where they may block.
///
/// # Errors
/// If the URL is none, or there is no randomness.
pub fn new_hosted_issuer(
    base_url: &str,
    cluster: &str,
    key: &SigningKey,
    key_encryption_key: &KeyEncryptionKey,
    now: Timestamp,
) -> Result<NewIssuer, OidcError> {
    let base_url = base_url.strip_suffix('/').unwrap_or(base_url);
    let malformed = |reason| OidcError::BaseUrl {
        url: base_url.to_owned(),
        reason,
    };
    let location = HttpsUrl::parse(base_url).map_err(malformed)?;
    if location.target.contains('?') {
        return Err(malformed("it has a query"));
    }
    let id = hex::encode_upper(random()?);
    let record = IssuerRecord {
        version: VERSION,
        url: format!("{base_url}/id/{id}"),
        cluster: cluster.to_owned(),
        created: now.unix_millis(),
        keys: vec![KeyRecord::new(KeySlot::Current, &id, key, key_encryption_key, now)?],
        id,
    };
    Ok(NewIssuer {
        record: serde_json::to_vec(&record).map_err(|_| OidcError::Encode)?.into(),
        id: record.id,
        url: record.url,
    })
}

/// The key under which the record of an issuer lies: what to delete to end it.
#[must_use]
pub fn issuer_key(id: &str) -> String {
    format!("{PREFIX}{id}")
}

impl NewIssuer {
    /// 32 hexadecimal digits in upper case.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The issuer URL: the `iss` of its tokens.
    #[must_use]
    pub fn issuer_url(&self) -> &str {
        &self.url
    }

    /// Adds the issuer to a transaction.
    #[must_use]
    pub fn write_to(&self, transaction: Transaction) -> Transaction {
        let key = issuer_key(&self.id);
        transaction.when_absent(key.clone()).put(key, self.record.clone())
    }
}

impl HostedIssuer {
    /// Reads a record. Every key must be as it was sealed, retired ones too.
    pub(crate) fn from_record(
        id: &str,
        record: &[u8],
        key_encryption_key: &KeyEncryptionKey,
    ) -> Result<Self, OidcError> {
        let damaged = |reason: String| OidcError::Damaged {
            key: issuer_key(id),
            reason,
        };
        let record: IssuerRecord = serde_json::from_slice(record).map_err(|error| damaged(error.to_string()))?;
        if record.version != VERSION {
            return Err(damaged(format!("it is of the unknown version {}", record.version)));
        }
        if record.id != id {
            return Err(damaged(format!("it is the record of `{}`", record.id)));
        }
        let mut signer = None;
        for key in &record.keys {
            let opened = key.open(id, key_encryption_key)?;
            if key.slot == KeySlot::Current && signer.replace(Signer::new(key, opened)?).is_some() {
                return Err(damaged("two keys are current".to_owned()));
            }
        }
        let signer = signer.ok_or_else(|| damaged("no key is current".to_owned()))?;
        let algorithms: BTreeSet<&str> = record.keys.iter().map(|key| key.algorithm.as_str()).collect();
        let discovery_document = json!({
            "issuer": record.url,
            "jwks_uri": format!("{}/keys", record.url),
            "authorization_endpoint": "urn:kubernetes:programmatic_authorization",
            "response_types_supported": ["id_token"],
            "subject_types_supported": ["public"],
            "claims_supported": ["sub", "iss"],
            "id_token_signing_alg_values_supported": algorithms,
        })
        .to_string();
        let public: Vec<&RawValue> = record.keys.iter().map(|key| key.public.as_ref()).collect();
        let keys_document = serde_json::to_string(&json!({ "keys": public })).map_err(|_| OidcError::Encode)?;
        let keys = JwkSet::parse(keys_document.as_bytes())?;
        if keys.len() != record.keys.len() {
            return Err(damaged("a public key cannot be used".to_owned()));
        }
        Ok(Self {
            slots: record.keys.iter().map(|key| (key.slot, key.kid.clone())).collect(),
            id: record.id,
            url: record.url,
            cluster: record.cluster,
            created: Timestamp::from_unix_millis(record.created),
            signer,
            keys: Arc::new(keys),
            discovery_document,
            keys_document,
        })
    }

    /// 32 hexadecimal digits in upper case.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The issuer URL: the `iss` of its tokens.
    #[must_use]
    pub fn issuer_url(&self) -> &str {
        &self.url
    }

    /// The ARN of its cluster.
    #[must_use]
    pub fn cluster(&self) -> &str {
        &self.cluster
    }

    /// When it was made.
    #[must_use]
    pub fn created(&self) -> Timestamp {
        self.created
    }

    /// The keys by slot and key id.
    pub fn slots(&self) -> impl Iterator<Item = (KeySlot, &str)> {
        self.slots.iter().map(|(slot, kid)| (*slot, kid.as_str()))
    }

    /// What its tokens are verified with: all published keys.
    #[must_use]
    pub fn keys(&self) -> &Arc<JwkSet> {
        &self.keys
    }

    /// The document at `/.well-known/openid-configuration`, JSON, to be served with [`CACHE_CONTROL`].
    #[must_use]
    pub fn discovery_document(&self) -> &str {
        &self.discovery_document
    }

    /// The document at `/keys`, JSON, to be served with [`CACHE_CONTROL`].
    #[must_use]
    pub fn keys_document(&self) -> &str {
        &self.keys_document
    }

    /// Signs a token for a service account, in the form of Kubernetes. An RSA signature takes about a millisecond; the first one after a
    /// start takes a few, since the key is read then.
    ///
    /// # Errors
    /// A field of the request, or the signature.
    pub fn issue(&self, request: &TokenRequest, now: Timestamp) -> Result<IssuedToken, OidcError> {
        let token_id = uuid(random()?, 4);
        let (claims, expires_at) = request.claims(&self.id, &self.url, &token_id, now)?;
        Ok(IssuedToken {
            token: self.signer.key()?.sign(&claims)?,
            issued_at: Timestamp::from_unix_seconds(now.unix_seconds()),
            expires_at,
            token_id,
        })
    }
}

impl fmt::Debug for HostedIssuer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HostedIssuer")
            .field("url", &self.url)
            .field("slots", &self.slots)
            .finish_non_exhaustive()
    }
}

/// Something is wrong with a hosted issuer.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum OidcError {
    /// The URL under which issuers are to be hosted is none.
    #[error("no issuer can be hosted under `{url}`: {reason}")]
    BaseUrl {
        /// The URL.
        url: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// A record is not what was written.
    #[error("the record `{key}` is damaged: {reason}")]
    Damaged {
        /// Its key in the store.
        key: String,
        /// What is wrong.
        reason: String,
    },
    /// A key of a record does not open: it was changed, or sealed under another key-encryption key.
    #[error("the signing key `{kid}` of issuer `{id}` does not open: {source}")]
    Unseal {
        /// The issuer's id.
        id: String,
        /// The key id.
        kid: String,
        /// Why.
        source: UnsealError,
    },
    /// A key cannot be sealed.
    #[error(transparent)]
    Seal(#[from] SealError),
    /// A key set is not one.
    #[error(transparent)]
    Keys(#[from] JwkSetError),
    /// A key set that was given holds no key that can be used.
    #[error("the key set holds no usable key")]
    NoUsableKey,
    /// A signing key cannot be read or used.
    #[error(transparent)]
    Sign(#[from] SignError),
    /// The operating system gave no randomness.
    #[error("no randomness is to be had")]
    Randomness,
    /// A record cannot be written as JSON.
    #[error("a record cannot be encoded")]
    Encode,
    /// A token request is refused.
    #[error(transparent)]
    Request(#[from] FieldError),
}

/// The private key of the current slot. It is unsealed when its record is read, and parsed when it signs first: of a thousand issuers,
/// few sign on this replica.
struct Signer {
    algorithm: Algorithm,
    kid: String,
    pkcs8: Zeroizing<Vec<u8>>,
    parsed: OnceLock<Result<SigningKey, SignError>>,
}

impl Signer {
    fn new(record: &KeyRecord, pkcs8: Zeroizing<Vec<u8>>) -> Result<Self, OidcError> {
        let algorithm = Algorithm::from_name(&record.algorithm).ok_or_else(|| OidcError::Damaged {
            key: record.kid.clone(),
            reason: format!("`{}` is no algorithm", record.algorithm),
        })?;
        Ok(Self {
            algorithm,
            kid: record.kid.clone(),
            pkcs8,
            parsed: OnceLock::new(),
        })
    }

    fn key(&self) -> Result<&SigningKey, SignError> {
        let parsed = self.parsed.get_or_init(|| {
            let key = SigningKey::from_pkcs8(self.algorithm, &self.pkcs8)?;
            // A key that is not the published one must never sign.
            if key.key_id() == self.kid {
                Ok(key)
            } else {
                Err(SignError::Key {
                    algorithm: self.algorithm,
                })
            }
        });
        parsed.as_ref().map_err(Clone::clone)
    }
}

#[derive(Deserialize, Serialize)]
struct IssuerRecord {
    version: u32,
    id: String,
    url: String,
    cluster: String,
    /// Milliseconds since 1970, as all times here.
    created: i64,
    keys: Vec<KeyRecord>,
}

#[derive(Deserialize, Serialize)]
struct KeyRecord {
    slot: KeySlot,
    kid: String,
    algorithm: String,
    /// The JWK as it is published, to the byte.
    public: Box<RawValue>,
    /// The private key as PKCS#8, sealed, in base64; of a retired key nothing but the seal.
    sealed: String,
    /// Since when it is in the key set.
    published: i64,
    /// Since when it signs or signed.
    activated: Option<i64>,
    /// When the last token that it signed expires.
    retires: Option<i64>,
}

impl KeyRecord {
    fn new(
        slot: KeySlot,
        issuer_id: &str,
        key: &SigningKey,
        key_encryption_key: &KeyEncryptionKey,
        now: Timestamp,
    ) -> Result<Self, OidcError> {
        let public = RawValue::from_string(key.public_jwk().to_string()).map_err(|_| OidcError::Encode)?;
        let associated_data = associated_data(issuer_id, key.key_id(), public.get());
        let sealed = key_encryption_key.seal(&associated_data, &key.to_pkcs8())?;
        Ok(Self {
            slot,
            kid: key.key_id().to_owned(),
            algorithm: key.algorithm().name().to_owned(),
            public,
            sealed: STANDARD.encode(sealed),
            published: now.unix_millis(),
            activated: (slot == KeySlot::Current).then(|| now.unix_millis()),
            retires: None,
        })
    }

    fn open(&self, issuer_id: &str, key_encryption_key: &KeyEncryptionKey) -> Result<Zeroizing<Vec<u8>>, OidcError> {
        let unseal = |source| OidcError::Unseal {
            id: issuer_id.to_owned(),
            kid: self.kid.clone(),
            source,
        };
        let sealed = STANDARD
            .decode(&self.sealed)
            .map_err(|_| unseal(UnsealError::Malformed))?;
        let associated_data = associated_data(issuer_id, &self.kid, self.public.get());
        key_encryption_key.open(&associated_data, &sealed).map_err(unseal)
    }
}

/// Binds a sealed key to its issuer, its key id and its public half: whoever writes into the store cannot publish a key of their own.
fn associated_data(issuer_id: &str, kid: &str, public: &str) -> Vec<u8> {
    ["irsa issuer signing key", issuer_id, kid, public]
        .join("\0")
        .into_bytes()
}

fn random() -> Result<[u8; 16], OidcError> {
    let mut bytes = [0; 16];
    rand::fill(&mut bytes).map_err(|_| OidcError::Randomness)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests;
