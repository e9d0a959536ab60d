//! An issuer whose tokens may hold anything.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use crate::harness::NOW;

pub(crate) const AUDIENCE: &str = "sts.amazonaws.com";
pub(crate) const SUBJECT: &str = "system:serviceaccount:default:app";

pub(crate) struct Issuer {
    pub(crate) url: String,
    pub(crate) key_id: String,
    key: EcdsaKeyPair,
}

impl Issuer {
    pub(crate) fn new(url: &str, key_id: &str) -> Self {
        Self {
            url: url.to_owned(),
            key_id: key_id.to_owned(),
            key: EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap(),
        }
    }

    /// Host and path: the name of its provider.
    pub(crate) fn resource(&self) -> &str {
        self.url.strip_prefix("https://").unwrap()
    }

    pub(crate) fn key_set(&self) -> Value {
        let point = self.key.public_key().as_ref();
        let coordinate = |range: std::ops::Range<usize>| URL_SAFE_NO_PAD.encode(&point[range]);
        json!({ "keys": [{
            "kty": "EC", "crv": "P-256", "use": "sig", "alg": "ES256", "kid": self.key_id,
            "x": coordinate(1..33), "y": coordinate(33..65),
        }] })
    }

    /// The claims of a service account's token.
    pub(crate) fn claims(&self) -> Value {
        json!({
            "iss": self.url, "sub": SUBJECT, "aud": AUDIENCE, "iat": NOW, "exp": NOW + 3600, "nbf": NOW,
        })
    }

    /// Those claims with others instead or besides; `null` stands for a claim that is not there.
    pub(crate) fn claims_with(&self, changes: &Value) -> Value {
        let mut claims = self.claims();
        let members = claims.as_object_mut().unwrap();
        for (name, value) in changes.as_object().unwrap() {
            match value {
                Value::Null => drop(members.remove(name)),
                value => drop(members.insert(name.clone(), value.clone())),
            }
        }
        claims
    }

    pub(crate) fn token(&self) -> String {
        self.sign(&self.claims())
    }

    pub(crate) fn token_with(&self, changes: &Value) -> String {
        self.sign(&self.claims_with(changes))
    }

    pub(crate) fn sign(&self, claims: &Value) -> String {
        let header = json!({ "alg": "ES256", "typ": "JWT", "kid": self.key_id });
        self.sign_as(&header, &claims.to_string())
    }

    /// Signs whatever is given.
    pub(crate) fn sign_as(&self, header: &Value, payload: &str) -> String {
        let encode = |text: &str| URL_SAFE_NO_PAD.encode(text);
        let input = format!("{}.{}", encode(&header.to_string()), encode(payload));
        let signature = self.key.sign(&SystemRandom::new(), input.as_bytes()).unwrap();
        format!("{input}.{}", URL_SAFE_NO_PAD.encode(signature.as_ref()))
    }
}
