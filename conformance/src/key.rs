//! Key pairs of issuers under test, and tokens signed with them: any header, any payload, also wrong ones.

use anyhow::{Context as _, Result, anyhow, bail};
use aws_lc_rs::{
    encoding::{AsDer as _, Pkcs8V1Der, PublicKeyX509Der},
    hmac,
    rand::SystemRandom,
    rsa,
    signature::{
        self, ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, ECDSA_P521_SHA512_FIXED_SIGNING,
        EcdsaKeyPair, KeyPair as _, RsaKeyPair,
    },
};
use base64::{Engine as _, engine::general_purpose::STANDARD, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Map, Value, json};

/// What kind of key pair to make.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyKind {
    /// RSA with a modulus of so many bits (2048, 3072, 4096).
    Rsa(u32),
    /// ECDSA on NIST P-256.
    P256,
    /// ECDSA on NIST P-384.
    P384,
    /// ECDSA on NIST P-521.
    P521,
}

impl KeyKind {
    /// The kind that a JWK's `kty`, `bits` (our own member in the recorded cases) and `crv` describe; errors for any other.
    pub fn of_jwk(jwk: &Map<String, Value>) -> Result<Self> {
        let text = |name: &str| jwk.get(name).and_then(Value::as_str);
        match (text("kty"), text("crv")) {
            (Some("RSA"), _) => Ok(Self::Rsa(
                jwk.get("bits")
                    .and_then(Value::as_u64)
                    .unwrap_or(2048)
                    .try_into()
                    .context("bits of an RSA key")?,
            )),
            (Some("EC"), Some("P-256")) => Ok(Self::P256),
            (Some("EC"), Some("P-384")) => Ok(Self::P384),
            (Some("EC"), Some("P-521")) => Ok(Self::P521),
            (kty, crv) => bail!("no key pair can be made for kty {kty:?} crv {crv:?}"),
        }
    }

    /// The kind that a label of the recorded cases names (`rsa1`, `ec256`, …); `None` for a label that names none.
    pub fn of_label(label: &str) -> Option<Self> {
        if label.starts_with("rsa") {
            Some(Self::Rsa(2048))
        } else if label.starts_with("ec256") {
            Some(Self::P256)
        } else if label.starts_with("ec384") {
            Some(Self::P384)
        } else if label.starts_with("ec521") {
            Some(Self::P521)
        } else {
            None
        }
    }

    fn own_algorithm(self) -> &'static str {
        match self {
            Self::Rsa(_) => "RS256",
            Self::P256 => "ES256",
            Self::P384 => "ES384",
            Self::P521 => "ES512",
        }
    }
}

/// A key pair.
pub struct Key {
    kind: KeyKind,
    pair: Pair,
    pkcs8: Vec<u8>,
}

enum Pair {
    Rsa(Box<RsaKeyPair>),
    Ecdsa(Box<EcdsaKeyPair>),
}

impl Key {
    /// Makes a new pair.
    pub fn generate(kind: KeyKind) -> Result<Self> {
        if let KeyKind::Rsa(bits) = kind {
            let size = match bits {
                2048 => rsa::KeySize::Rsa2048,
                3072 => rsa::KeySize::Rsa3072,
                4096 => rsa::KeySize::Rsa4096,
                _ => bail!("no RSA key of {bits} bits can be made"),
            };
            let pair = RsaKeyPair::generate(size).map_err(|_| anyhow!("an RSA key could not be made"))?;
            let pkcs8: Pkcs8V1Der<'_> = pair.as_der().map_err(|_| anyhow!("an RSA key could not be encoded"))?;
            let pkcs8 = pkcs8.as_ref().to_vec();
            return Ok(Self {
                kind,
                pair: Pair::Rsa(Box::new(pair)),
                pkcs8,
            });
        }
        let algorithm = match kind {
            KeyKind::P256 => &ECDSA_P256_SHA256_FIXED_SIGNING,
            KeyKind::P384 => &ECDSA_P384_SHA384_FIXED_SIGNING,
            _ => &ECDSA_P521_SHA512_FIXED_SIGNING,
        };
        let pair = EcdsaKeyPair::generate(algorithm).map_err(|_| anyhow!("an ECDSA key could not be made"))?;
        let pkcs8 = pair
            .to_pkcs8v1()
            .map_err(|_| anyhow!("an ECDSA key could not be encoded"))?
            .as_ref()
            .to_vec();
        Ok(Self {
            kind,
            pair: Pair::Ecdsa(Box::new(pair)),
            pkcs8,
        })
    }

    /// What kind of key it is.
    pub fn kind(&self) -> KeyKind {
        self.kind
    }

    /// The members of a JWK that carry the public key: kty, n, e or kty, crv, x, y.
    pub fn public_members(&self) -> Result<Map<String, Value>> {
        let members = match &self.pair {
            Pair::Rsa(pair) => {
                let (modulus, exponent) = rsa_integers(pair.public_key().as_ref())?;
                json!({"kty": "RSA", "n": URL_SAFE_NO_PAD.encode(modulus), "e": URL_SAFE_NO_PAD.encode(exponent)})
            }
            Pair::Ecdsa(pair) => {
                let point = pair.public_key().as_ref().get(1..).context("an empty point")?;
                let (x, y) = point.split_at(point.len() / 2);
                let curve = match self.kind {
                    KeyKind::P256 => "P-256",
                    KeyKind::P384 => "P-384",
                    _ => "P-521",
                };
                json!({"kty": "EC", "crv": curve, "x": URL_SAFE_NO_PAD.encode(x), "y": URL_SAFE_NO_PAD.encode(y)})
            }
        };
        match members {
            Value::Object(members) => Ok(members),
            _ => bail!("a JWK is an object"),
        }
    }

    /// The public key as DER `SubjectPublicKeyInfo` (RFC 5280), base64.
    pub fn public_der_base64(&self) -> Result<String> {
        let der: PublicKeyX509Der<'_> = match &self.pair {
            Pair::Rsa(pair) => pair.public_key().as_der(),
            Pair::Ecdsa(pair) => pair.public_key().as_der(),
        }
        .map_err(|_| anyhow!("a public key could not be encoded"))?;
        Ok(STANDARD.encode(der.as_ref()))
    }

    /// A JWK with `kid`, `alg` and `use`, as issuers publish it.
    pub fn public_jwk(&self, key_id: &str) -> Result<Value> {
        let mut jwk = self.public_members()?;
        jwk.insert("kid".into(), key_id.into());
        jwk.insert("alg".into(), self.kind.own_algorithm().into());
        jwk.insert("use".into(), "sig".into());
        Ok(Value::Object(jwk))
    }

    /// The public members with a modulus that is not this key's, but of its size: a key that verifies nothing.
    pub fn broken_members(&self) -> Result<Map<String, Value>> {
        let Pair::Rsa(pair) = &self.pair else {
            bail!("only an RSA key has a modulus")
        };
        let (mut modulus, _) = rsa_integers(pair.public_key().as_ref())?;
        let middle = modulus.len() / 2;
        *modulus.get_mut(middle).context("an empty modulus")? ^= 0x5a;
        let mut members = self.public_members()?;
        members.insert("n".into(), URL_SAFE_NO_PAD.encode(modulus).into());
        Ok(members)
    }

    /// A self-signed certificate for this key, base64 as `x5c` wants it (RFC 7517 section 4.7).
    pub fn certificate(&self) -> Result<String> {
        let key = rcgen::KeyPair::try_from(self.pkcs8.as_slice()).context("a key for a certificate")?;
        let certificate = rcgen::CertificateParams::new(vec!["issuer.example".to_owned()])?.self_signed(&key)?;
        Ok(STANDARD.encode(certificate.der()))
    }

    /// The signature of `message` as JWS algorithm `algorithm` wants it. An algorithm that this key cannot do is signed with the key's own one, so
    /// that a case about a lying header still carries a well-made signature; `none` has an empty one.
    pub fn sign(&self, algorithm: &str, message: &[u8]) -> Result<Vec<u8>> {
        if algorithm == "none" {
            return Ok(Vec::new());
        }
        if let Some(hash) = match algorithm {
            "HS256" => Some(hmac::HMAC_SHA256),
            "HS384" => Some(hmac::HMAC_SHA384),
            "HS512" => Some(hmac::HMAC_SHA512),
            _ => None,
        } {
            // The classic confusion: the public key, which everybody has, taken for a shared secret.
            let secret = serde_json::to_vec(&Value::Object(self.public_members()?))?;
            return Ok(hmac::sign(&hmac::Key::new(hash, &secret), message).as_ref().to_vec());
        }
        let random = SystemRandom::new();
        match &self.pair {
            Pair::Rsa(pair) => {
                let padding: &dyn signature::RsaEncoding = match algorithm {
                    "RS384" => &signature::RSA_PKCS1_SHA384,
                    "RS512" => &signature::RSA_PKCS1_SHA512,
                    "PS256" => &signature::RSA_PSS_SHA256,
                    "PS384" => &signature::RSA_PSS_SHA384,
                    "PS512" => &signature::RSA_PSS_SHA512,
                    _ => &signature::RSA_PKCS1_SHA256,
                };
                let mut out = vec![0; pair.public_modulus_len()];
                pair.sign(padding, &random, message, &mut out)
                    .map_err(|_| anyhow!("a signature could not be made"))?;
                Ok(out)
            }
            Pair::Ecdsa(pair) => {
                let made = pair
                    .sign(&random, message)
                    .map_err(|_| anyhow!("a signature could not be made"))?;
                Ok(made.as_ref().to_vec())
            }
        }
    }
}

/// A signed token of a header and claims.
pub fn jws(header: &Value, claims: &Value, key: &Key) -> Result<String> {
    let algorithm = header.get("alg").and_then(Value::as_str).unwrap_or_default();
    jws_of_texts(&header.to_string(), &claims.to_string(), algorithm, key)
}

/// A signed token of texts that need not be JSON.
pub fn jws_of_texts(header: &str, payload: &str, algorithm: &str, key: &Key) -> Result<String> {
    let signed = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(payload));
    let signature = key.sign(algorithm, signed.as_bytes())?;
    Ok(format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature)))
}

/// Modulus and exponent of a DER `RSAPublicKey` (RFC 8017 appendix A.1.1), without the leading zero byte.
fn rsa_integers(der: &[u8]) -> Result<(Vec<u8>, Vec<u8>)> {
    fn element(tag: u8, der: &[u8]) -> Option<(&[u8], &[u8])> {
        let (&found, rest) = der.split_first()?;
        let (&first, rest) = rest.split_first()?;
        let (length, rest) = if first < 0x80 {
            (usize::from(first), rest)
        } else {
            let (bytes, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
            (
                bytes
                    .iter()
                    .fold(0usize, |length, &byte| (length << 8) | usize::from(byte)),
                rest,
            )
        };
        (found == tag).then(|| rest.split_at_checked(length)).flatten()
    }
    let read = || {
        let (sequence, _) = element(0x30, der)?;
        let (modulus, rest) = element(0x02, sequence)?;
        let (exponent, _) = element(0x02, rest)?;
        let strip = |integer: &[u8]| integer.strip_prefix(&[0]).unwrap_or(integer).to_vec();
        Some((strip(modulus), strip(exponent)))
    };
    read().context("an RSA public key is not DER")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_signs_what_its_public_key_verifies() {
        let cases: [(KeyKind, &str, &dyn signature::VerificationAlgorithm); 5] = [
            (KeyKind::Rsa(2048), "RS256", &signature::RSA_PKCS1_2048_8192_SHA256),
            (KeyKind::Rsa(2048), "RS512", &signature::RSA_PKCS1_2048_8192_SHA512),
            (KeyKind::P256, "ES256", &signature::ECDSA_P256_SHA256_FIXED),
            (KeyKind::P384, "ES384", &signature::ECDSA_P384_SHA384_FIXED),
            (KeyKind::P521, "ES512", &signature::ECDSA_P521_SHA512_FIXED),
        ];
        for (kind, name, algorithm) in cases {
            let key = Key::generate(kind).unwrap();
            let signature = key.sign(name, b"message").unwrap();
            let public = match &key.pair {
                Pair::Rsa(pair) => pair.public_key().as_ref().to_vec(),
                Pair::Ecdsa(pair) => pair.public_key().as_ref().to_vec(),
            };
            signature::UnparsedPublicKey::new(algorithm, public)
                .verify(b"message", &signature)
                .unwrap();
        }
    }

    #[test]
    fn a_jwk_carries_the_key_and_a_broken_one_another_of_the_same_size() {
        let key = Key::generate(KeyKind::Rsa(2048)).unwrap();
        let good = key.public_members().unwrap();
        let broken = key.broken_members().unwrap();
        assert_eq!(URL_SAFE_NO_PAD.decode(good["n"].as_str().unwrap()).unwrap().len(), 256);
        assert_eq!(good["e"], "AQAB");
        assert_eq!(broken["n"].as_str().unwrap().len(), good["n"].as_str().unwrap().len());
        assert_ne!(broken["n"], good["n"]);
        let point = Key::generate(KeyKind::P521).unwrap().public_members().unwrap();
        assert_eq!(URL_SAFE_NO_PAD.decode(point["x"].as_str().unwrap()).unwrap().len(), 66);
    }

    #[test]
    fn certificates_hold_the_key() {
        let key = Key::generate(KeyKind::Rsa(2048)).unwrap();
        let certificate = STANDARD.decode(key.certificate().unwrap()).unwrap();
        let (modulus, _) = match &key.pair {
            Pair::Rsa(pair) => rsa_integers(pair.public_key().as_ref()).unwrap(),
            Pair::Ecdsa(_) => unreachable!("an RSA key was made"),
        };
        assert!(certificate.windows(modulus.len()).any(|window| window == modulus));
    }
}
