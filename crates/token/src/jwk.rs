mod certificate;
mod rsa;

use std::collections::HashMap;

use aws_lc_rs::encoding::{AsDer as _, PublicKeyX509Der};
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ECDSA_P521_SHA512_FIXED, EcdsaVerificationAlgorithm,
    ParsedPublicKey,
};
use serde_json::{Map, Value};

use crate::algorithm::Algorithm;
use crate::encoding;
use crate::error::{JwkError, JwkSetError, TokenError};
use crate::header::MAX_KEY_ID_LENGTH;
use crate::json;

/// Largest key set, in bytes. Two hundred keys of 8192 bits fit.
pub const MAX_SET_BYTES: usize = 512 * 1024;

/// Most entries of a key set, of whatever type.
pub const MAX_KEYS: usize = 1000;

/// Most RSA keys, and most EC keys, of a set; with more of a type, none of the type is used. The limits of STS.
pub const MAX_KEYS_PER_TYPE: usize = 100;

/// The public keys of an issuer, read and checked once, ready to verify.
///
/// Rules that are not in RFC 7517 are those of STS: `kid` is required, a later entry replaces an earlier one of the same
/// `kid`, `use` must be absent or `sig`, `key_ops` makes an entry unusable, and a certificate in `x5c` must hold the same key. An entry
/// that cannot be used does no harm to the others, with one exception: private key material anywhere refuses the set.
#[derive(Debug)]
pub struct JwkSet {
    keys: HashMap<String, Result<PublicKey, JwkError>>,
    /// Entries that have no key id to be found under.
    nameless: Vec<JwkError>,
}

impl JwkSet {
    /// Reads a JWK Set document (RFC 7517 section 5).
    ///
    /// # Errors
    /// [`JwkSetError`] for a document that is refused as a whole. Entries that are refused alone are in [`refused`](Self::refused).
    pub fn parse(json: &[u8]) -> Result<Self, JwkSetError> {
        if json.len() > MAX_SET_BYTES {
            return Err(JwkSetError::TooLarge { length: json.len() });
        }
        let document = json::object(json).map_err(|error| match error {
            json::JsonError::Malformed => JwkSetError::Json,
            json::JsonError::Repeated => JwkSetError::RepeatedMember,
        })?;
        let entries = document
            .get("keys")
            .and_then(Value::as_array)
            .ok_or(JwkSetError::NoKeys)?;
        if entries.len() > MAX_KEYS {
            return Err(JwkSetError::TooManyKeys { count: entries.len() });
        }
        if entries.iter().any(is_private) {
            return Err(JwkSetError::PrivateKey);
        }
        let of_type = |name: &str| entries.iter().filter(|entry| key_type(entry) == Some(name)).count();
        let too_many_rsa = of_type("RSA") > MAX_KEYS_PER_TYPE;
        let too_many_ec = of_type("EC") > MAX_KEYS_PER_TYPE;
        let mut set = Self {
            keys: HashMap::with_capacity(entries.len()),
            nameless: Vec::new(),
        };
        for entry in entries {
            let key = match key_type(entry) {
                Some("RSA") if too_many_rsa => Err(JwkError::TooManyOfType),
                Some("EC") if too_many_ec => Err(JwkError::TooManyOfType),
                // Not even a key id is taken from these, so that a shared secret cannot shadow a public key.
                Some("RSA" | "EC") => entry
                    .as_object()
                    .ok_or(JwkError::NotAnObject)
                    .and_then(PublicKey::parse),
                _ => {
                    set.nameless.push(if entry.is_object() {
                        JwkError::KeyType
                    } else {
                        JwkError::NotAnObject
                    });
                    continue;
                }
            };
            match entry
                .get("kid")
                .and_then(Value::as_str)
                .filter(|kid| kid.len() <= MAX_KEY_ID_LENGTH)
            {
                Some(kid) => {
                    set.keys.insert(kid.to_owned(), key);
                }
                None => set.nameless.push(JwkError::KeyId),
            }
        }
        Ok(set)
    }

    /// The key ids of the usable keys, in no order.
    pub fn key_ids(&self) -> impl Iterator<Item = &str> {
        self.keys
            .iter()
            .filter_map(|(kid, key)| key.is_ok().then_some(kid.as_str()))
    }

    /// Whether there is a usable key of exactly this key id.
    #[must_use]
    pub fn contains(&self, kid: &str) -> bool {
        self.keys.get(kid).is_some_and(Result::is_ok)
    }

    /// Number of usable keys.
    #[must_use]
    pub fn len(&self) -> usize {
        self.keys.values().filter(|key| key.is_ok()).count()
    }

    /// Whether no key is usable.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The entries that are not used and why, for the operator; with the key id if it has one.
    pub fn refused(&self) -> impl Iterator<Item = (Option<&str>, &JwkError)> {
        let named = self
            .keys
            .iter()
            .filter_map(|(kid, key)| Some((Some(kid.as_str()), key.as_ref().err()?)));
        named.chain(self.nameless.iter().map(|error| (None, error)))
    }

    /// The one key that a header may mean.
    pub(crate) fn select(&self, kid: Option<&str>) -> Result<&PublicKey, TokenError> {
        let entry = match kid {
            // Present and empty is not absent: STS finds no key for it.
            Some("") => return Err(TokenError::UnknownKey),
            Some(kid) => self.keys.get(kid).ok_or(TokenError::UnknownKey)?,
            // The guide to IRSA on self-hosted clusters publishes keys a second time under the empty key id, for the tokens of API
            // servers that name no key.
            None => match self.keys.get("") {
                Some(entry) => entry,
                None => {
                    let mut usable = self.keys.values().filter(|key| key.is_ok());
                    match (usable.next(), usable.next()) {
                        (Some(only), None) => only,
                        _ => return Err(TokenError::KeyIdNeeded),
                    }
                }
            },
        };
        entry.as_ref().map_err(|error| TokenError::UnusableKey(error.clone()))
    }
}

/// A public key and the algorithms that its type allows.
#[derive(Debug)]
pub(crate) enum PublicKey {
    /// Boxed: three times the same key, once an algorithm, because a parsed key knows its digest.
    Rsa(Box<rsa::RsaKey>),
    Ec(Algorithm, ParsedPublicKey),
}

impl PublicKey {
    fn parse(entry: &Map<String, Value>) -> Result<Self, JwkError> {
        match entry.get("use") {
            None => {}
            Some(Value::String(usage)) if usage == "sig" => {}
            Some(_) => return Err(JwkError::Usage),
        }
        if entry.contains_key("key_ops") {
            return Err(JwkError::Usage);
        }
        let key = if entry.get("kty").and_then(Value::as_str) == Some("RSA") {
            Self::Rsa(Box::new(rsa::RsaKey::parse(bytes(entry, "n")?, &bytes(entry, "e")?)?))
        } else {
            parse_ec(entry)?
        };
        // STS ignores `alg` between algorithms of one RSA key. A name that the key cannot have (RSA-PSS, encryption, another
        // curve) is still the publisher's word that it is not meant for us.
        match entry.get("alg") {
            None => {}
            Some(Value::String(name)) if Algorithm::from_name(name).is_some_and(|algorithm| key.allows(algorithm)) => {}
            Some(_) => return Err(JwkError::DeclaredAlgorithm),
        }
        if let Some(chain) = entry.get("x5c") {
            let spki = key.public_key_info().ok_or(JwkError::Certificate)?;
            if !certificate::holds(chain, spki.as_ref()) {
                return Err(JwkError::Certificate);
            }
        }
        Ok(key)
    }

    fn allows(&self, algorithm: Algorithm) -> bool {
        match self {
            Self::Rsa(_) => algorithm.is_rsa(),
            Self::Ec(own, _) => *own == algorithm,
        }
    }

    fn public_key_info(&self) -> Option<PublicKeyX509Der<'static>> {
        match self {
            Self::Rsa(key) => key.rs256.as_der(),
            Self::Ec(_, key) => key.as_der(),
        }
        .ok()
    }

    /// Checks a signature; ECDSA signatures are the fixed-length form of RFC 7518 section 3.4.
    pub(crate) fn verify(&self, algorithm: Algorithm, message: &[u8], signature: &[u8]) -> Result<(), TokenError> {
        let key = match (self, algorithm) {
            (Self::Rsa(key), Algorithm::Rs256) => &key.rs256,
            (Self::Rsa(key), Algorithm::Rs384) => &key.rs384,
            (Self::Rsa(key), Algorithm::Rs512) => &key.rs512,
            (Self::Ec(own, key), algorithm) if *own == algorithm => key,
            _ => return Err(TokenError::KeyTypeMismatch),
        };
        key.verify_sig(message, signature).map_err(|_| TokenError::BadSignature)
    }
}

fn parse_ec(entry: &Map<String, Value>) -> Result<PublicKey, JwkError> {
    let (algorithm, verification, size): (_, &'static EcdsaVerificationAlgorithm, usize) =
        match entry.get("crv").and_then(Value::as_str) {
            Some("P-256") => (Algorithm::Es256, &ECDSA_P256_SHA256_FIXED, 32),
            Some("P-384") => (Algorithm::Es384, &ECDSA_P384_SHA384_FIXED, 48),
            Some("P-521") => (Algorithm::Es512, &ECDSA_P521_SHA512_FIXED, 66),
            _ => return Err(JwkError::Curve),
        };
    // RFC 7518 section 6.2.1.2: coordinates have the full length of the field, leading zeros included.
    let mut point = vec![4];
    for member in ["x", "y"] {
        let coordinate = bytes(entry, member)?;
        if coordinate.len() != size {
            return Err(JwkError::Member { member });
        }
        point.extend(coordinate);
    }
    let key = ParsedPublicKey::new(verification, &point).map_err(|_| JwkError::Point)?;
    Ok(PublicKey::Ec(algorithm, key))
}

fn bytes(entry: &Map<String, Value>, member: &'static str) -> Result<Vec<u8>, JwkError> {
    entry
        .get(member)
        .and_then(Value::as_str)
        .and_then(encoding::decode)
        .ok_or(JwkError::Member { member })
}

fn key_type(entry: &Value) -> Option<&str> {
    entry.get("kty")?.as_str()
}

/// Whether an entry carries the private half of a key pair (RFC 7518 sections 6.2.2 and 6.3.2, RFC 8037 section 2). Shared
/// secrets (`oct`) are not meant: they are only ignored.
fn is_private(entry: &Value) -> bool {
    key_type(entry) != Some("oct")
        && ["d", "p", "q", "dp", "dq", "qi", "oth", "k", "priv"]
            .iter()
            .any(|member| entry.get(member).is_some())
}

#[cfg(test)]
mod tests;
