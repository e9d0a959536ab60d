use std::sync::OnceLock;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, RSA_PKCS1_SHA256, RSA_PKCS1_SHA384, RSA_PKCS1_SHA512,
    RSA_PSS_SHA256, RsaEncoding, RsaKeyPair,
};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use irsa_core::Timestamp;
use irsa_token::{Algorithm, JwkSet, SigningKey, TokenError, WebIdentityToken};
use serde_json::{Value, json};

/// The time of every test, in seconds since 1970.
pub(crate) const NOW: i64 = 1_800_000_000;

pub(crate) fn now() -> Timestamp {
    Timestamp::from_unix_seconds(NOW)
}

/// One RSA key a test binary: making one takes a while.
pub(crate) fn rsa() -> &'static SigningKey {
    static KEY: OnceLock<SigningKey> = OnceLock::new();
    KEY.get_or_init(|| SigningKey::generate(Algorithm::Rs256).unwrap())
}

pub(crate) fn ec() -> &'static SigningKey {
    static KEY: OnceLock<SigningKey> = OnceLock::new();
    KEY.get_or_init(|| SigningKey::generate(Algorithm::Es256).unwrap())
}

/// The published keys of the tests' issuer: one RSA, one EC.
pub(crate) fn keys() -> &'static JwkSet {
    static KEYS: OnceLock<JwkSet> = OnceLock::new();
    KEYS.get_or_init(|| key_set(&SigningKey::jwk_set(&[rsa(), ec()])))
}

pub(crate) fn key_set(document: &Value) -> JwkSet {
    JwkSet::parse(document.to_string().as_bytes()).unwrap()
}

pub(crate) fn claims() -> Value {
    json!({
        "iss": "https://issuer.example/id/A",
        "sub": "system:serviceaccount:shop:web",
        "aud": ["sts.amazonaws.com"],
        "iat": NOW - 60,
        "nbf": NOW - 60,
        "exp": NOW + 3600,
    })
}

/// The claims with one member replaced by hand-written JSON, or added.
pub(crate) fn claims_with(member: &str, json: &str) -> String {
    let mut claims = claims();
    claims.as_object_mut().unwrap().remove(member);
    let claims = claims.to_string();
    format!("{},\"{member}\":{json}}}", &claims[..claims.len() - 1])
}

pub(crate) fn encode(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// A token from three parts that are not encoded yet.
pub(crate) fn compact(header: &str, payload: impl AsRef<[u8]>, signature: impl AsRef<[u8]>) -> String {
    format!("{}.{}.{}", encode(header), encode(payload), encode(signature))
}

pub(crate) fn pss_signature(message: &str) -> Vec<u8> {
    rsa_signature_with(&RSA_PSS_SHA256, message)
}

fn rsa_signature_with(encoding: &'static dyn RsaEncoding, message: &str) -> Vec<u8> {
    static PAIR: OnceLock<RsaKeyPair> = OnceLock::new();
    let pair = PAIR.get_or_init(|| RsaKeyPair::from_pkcs8(&rsa().to_pkcs8()).unwrap());
    let mut signature = vec![0; pair.public_modulus_len()];
    pair.sign(encoding, &SystemRandom::new(), message.as_bytes(), &mut signature)
        .unwrap();
    signature
}

pub(crate) fn rsa_encoding(algorithm: &str) -> &'static dyn RsaEncoding {
    match algorithm {
        "RS384" => &RSA_PKCS1_SHA384,
        "RS512" => &RSA_PKCS1_SHA512,
        _ => &RSA_PKCS1_SHA256,
    }
}

/// A token that the issuer really signed with its RSA key, whatever its header says; PKCS#1 with the digest of `algorithm`.
pub(crate) fn forge_with(algorithm: &str, header: &str, payload: impl AsRef<[u8]>) -> String {
    let input = format!("{}.{}", encode(header), encode(payload));
    let signature = rsa_signature_with(rsa_encoding(algorithm), &input);
    format!("{input}.{}", encode(signature))
}

/// A token with this header and payload, signed RS256 by the issuer.
pub(crate) fn forge(header: &str, payload: impl AsRef<[u8]>) -> String {
    forge_with("RS256", header, payload)
}

/// A valid RS256 header with more members, given as JSON text.
pub(crate) fn header_with(members: &str) -> String {
    format!("{{\"alg\":\"RS256\",\"kid\":\"{}\",{members}}}", rsa().key_id())
}

/// A token with the ordinary claims and more header members, signed RS256 by the issuer.
pub(crate) fn forge_header(members: &str) -> String {
    forge(&header_with(members), claims().to_string())
}

/// A token with the ordinary header and this payload, signed RS256 by the issuer.
pub(crate) fn forge_payload(payload: impl AsRef<[u8]>) -> String {
    forge(&header_with("\"typ\":\"JWT\""), payload)
}

pub(crate) fn ec_signature(message: &str) -> Vec<u8> {
    let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &ec().to_pkcs8()).unwrap();
    pair.sign(&SystemRandom::new(), message.as_bytes())
        .unwrap()
        .as_ref()
        .to_vec()
}

/// Everything that this crate checks, in the order of the exchange.
pub(crate) fn check_with(token: &str, keys: &JwkSet) -> Result<(), TokenError> {
    let token = WebIdentityToken::parse(token)?;
    if let Some(claim) = token.claims().missing() {
        return Err(TokenError::MissingClaim { claim });
    }
    token.verify(keys)?;
    token.check_times(now())
}

pub(crate) fn check(token: &str) -> Result<(), TokenError> {
    check_with(token, keys())
}
