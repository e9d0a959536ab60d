use std::fmt;

use aws_lc_rs::digest;
use aws_lc_rs::encoding::{AsDer as _, Pkcs8V1Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, ECDSA_P521_SHA512_FIXED_SIGNING, EcdsaKeyPair,
    EcdsaSigningAlgorithm, KeyPair as _, RSA_PKCS1_SHA256, RSA_PKCS1_SHA384, RSA_PKCS1_SHA512, RsaEncoding, RsaKeyPair,
};
use serde_json::{Map, Value, json};
use zeroize::Zeroizing;

use crate::algorithm::Algorithm;
use crate::error::SignError;
use crate::{der, encoding};

/// A private key of an issuer that we host, with the key id under which its public half is published.
///
/// The parsed key is kept: parsing costs more than twice as much as a signature.
pub struct SigningKey {
    algorithm: Algorithm,
    pair: Pair,
    pkcs8: Zeroizing<Vec<u8>>,
    public: Map<String, Value>,
    key_id: String,
    /// The encoded header and its point: the same for every token of the key.
    header: String,
}

enum Pair {
    Rsa(RsaKeyPair, &'static dyn RsaEncoding),
    Ec(EcdsaKeyPair),
}

impl SigningKey {
    /// Makes a new key; RSA keys have 2048 bits.
    ///
    /// # Errors
    /// [`SignError::Generate`].
    pub fn generate(algorithm: Algorithm) -> Result<Self, SignError> {
        let pair = match ec_algorithm(algorithm) {
            Err(encoding) => Pair::Rsa(
                RsaKeyPair::generate(KeySize::Rsa2048).map_err(|_| SignError::Generate)?,
                encoding,
            ),
            Ok(curve) => Pair::Ec(EcdsaKeyPair::generate(curve).map_err(|_| SignError::Generate)?),
        };
        Self::new(algorithm, pair).ok_or(SignError::Generate)
    }

    /// Reads a key that [`to_pkcs8`](Self::to_pkcs8) wrote, or that an operator brings. RSA keys have 2048 to 8192 bits.
    ///
    /// # Errors
    /// [`SignError::Key`].
    pub fn from_pkcs8(algorithm: Algorithm, pkcs8: &[u8]) -> Result<Self, SignError> {
        let refused = SignError::Key { algorithm };
        let pair = match ec_algorithm(algorithm) {
            Err(encoding) => Pair::Rsa(RsaKeyPair::from_pkcs8(pkcs8).map_err(|_| refused)?, encoding),
            Ok(curve) => Pair::Ec(EcdsaKeyPair::from_pkcs8(curve, pkcs8).map_err(|_| refused)?),
        };
        Self::new(algorithm, pair).ok_or(refused)
    }

    fn new(algorithm: Algorithm, pair: Pair) -> Option<Self> {
        let (pkcs8, public) = match &pair {
            Pair::Rsa(pair, _) => {
                let document: Pkcs8V1Der<'_> = pair.as_der().ok()?;
                let (modulus, exponent) = rsa_numbers(pair.public_key().as_ref())?;
                let members = json!({"e": encoding::encode(exponent), "kty": "RSA", "n": encoding::encode(modulus)});
                (Zeroizing::new(document.as_ref().to_vec()), members)
            }
            Pair::Ec(pair) => {
                let document = pair.to_pkcs8v1().ok()?;
                let (x, y) = coordinates(pair.public_key().as_ref())?;
                let members = json!({
                    "crv": match algorithm {
                        Algorithm::Es384 => "P-384",
                        Algorithm::Es512 => "P-521",
                        _ => "P-256",
                    },
                    "kty": "EC",
                    "x": encoding::encode(x),
                    "y": encoding::encode(y),
                });
                (Zeroizing::new(document.as_ref().to_vec()), members)
            }
        };
        // RFC 7638: SHA-256 of exactly these members, in alphabetical order, without whitespace.
        let key_id = encoding::encode(digest::digest(&digest::SHA256, public.to_string().as_bytes()).as_ref());
        let header = json!({"alg": algorithm.name(), "kid": key_id, "typ": "JWT"}).to_string();
        let Value::Object(public) = public else {
            return None;
        };
        Some(Self {
            algorithm,
            pair,
            pkcs8,
            public,
            key_id,
            header: encoding::encode(header.as_bytes()) + ".",
        })
    }

    /// The algorithm that the key signs with.
    #[must_use]
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// The key id: the RFC 7638 thumbprint (SHA-256, base64url) of the public key.
    #[must_use]
    pub fn key_id(&self) -> &str {
        &self.key_id
    }

    /// The private key as PKCS#8 (RFC 5208), not encrypted: seal it before it leaves memory.
    #[must_use]
    pub fn to_pkcs8(&self) -> Zeroizing<Vec<u8>> {
        self.pkcs8.clone()
    }

    /// The public key as a JWK, with `kid`, `use` and `alg`.
    #[must_use]
    pub fn public_jwk(&self) -> Value {
        let mut jwk = self.public.clone();
        jwk.insert("use".to_owned(), "sig".into());
        jwk.insert("alg".to_owned(), self.algorithm.name().into());
        jwk.insert("kid".to_owned(), self.key_id.as_str().into());
        Value::Object(jwk)
    }

    /// The JWK Set document that publishes these keys, in this order.
    #[must_use]
    pub fn jwk_set(keys: &[&Self]) -> Value {
        json!({ "keys": keys.iter().map(|key| key.public_jwk()).collect::<Vec<_>>() })
    }

    /// Signs a claims object as a compact JWS with the header members `alg`, `kid` and `typ`.
    ///
    /// # Errors
    /// [`SignError::Claims`] if the claims are not an object, [`SignError::Sign`] if the library fails.
    pub fn sign(&self, claims: &Value) -> Result<String, SignError> {
        if !claims.is_object() {
            return Err(SignError::Claims);
        }
        let mut token = self.header.clone();
        token += &encoding::encode(claims.to_string().as_bytes());
        let random = SystemRandom::new();
        let signature = match &self.pair {
            Pair::Rsa(pair, encoding) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(*encoding, &random, token.as_bytes(), &mut signature)
                    .map_err(|_| SignError::Sign)?;
                encoding::encode(&signature)
            }
            Pair::Ec(pair) => {
                let signature = pair.sign(&random, token.as_bytes()).map_err(|_| SignError::Sign)?;
                encoding::encode(signature.as_ref())
            }
        };
        token.push('.');
        token += &signature;
        Ok(token)
    }
}

// By hand: a private key must not reach a log through `{:?}`.
impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SigningKey")
            .field("algorithm", &self.algorithm)
            .field("key_id", &self.key_id)
            .finish_non_exhaustive()
    }
}

/// The curve of an ES algorithm, or else the padding of an RS one.
fn ec_algorithm(algorithm: Algorithm) -> Result<&'static EcdsaSigningAlgorithm, &'static dyn RsaEncoding> {
    match algorithm {
        Algorithm::Rs256 => Err(&RSA_PKCS1_SHA256),
        Algorithm::Rs384 => Err(&RSA_PKCS1_SHA384),
        Algorithm::Rs512 => Err(&RSA_PKCS1_SHA512),
        Algorithm::Es256 => Ok(&ECDSA_P256_SHA256_FIXED_SIGNING),
        Algorithm::Es384 => Ok(&ECDSA_P384_SHA384_FIXED_SIGNING),
        Algorithm::Es512 => Ok(&ECDSA_P521_SHA512_FIXED_SIGNING),
    }
}

/// Modulus and exponent of an `RSAPublicKey` (RFC 8017 appendix A.1.1), without the zero byte that marks a DER integer as positive.
fn rsa_numbers(public_key: &[u8]) -> Option<(&[u8], &[u8])> {
    let (numbers, _) = der::content(public_key, der::SEQUENCE)?;
    let (modulus, rest) = der::content(numbers, der::INTEGER)?;
    let (exponent, _) = der::content(rest, der::INTEGER)?;
    let zeros = |number: &[u8]| number.iter().take_while(|byte| **byte == 0).count();
    Some((modulus.get(zeros(modulus)..)?, exponent.get(zeros(exponent)..)?))
}

/// Splits an uncompressed point into its two coordinates.
fn coordinates(point: &[u8]) -> Option<(&[u8], &[u8])> {
    let (4, coordinates) = point.split_first()? else {
        return None;
    };
    coordinates.split_at_checked(coordinates.len() / 2)
}
