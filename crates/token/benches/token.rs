//! Cost of one web identity token: reading, verifying, signing.

use divan::Bencher;
use irsa_token::{Algorithm, JwkSet, SigningKey, WebIdentityToken};
use serde_json::json;

fn main() {
    divan::main();
}

const FAMILIES: [Algorithm; 2] = [Algorithm::Rs256, Algorithm::Es256];

/// A key, its published set and a projected token of ordinary size.
fn issued(algorithm: Algorithm) -> (SigningKey, JwkSet, String) {
    let key = SigningKey::generate(algorithm).expect("a key");
    let set = JwkSet::parse(SigningKey::jwk_set(&[&key]).to_string().as_bytes()).expect("a key set");
    let token = key.sign(&claims()).expect("a token");
    (key, set, token)
}

fn claims() -> serde_json::Value {
    json!({
        "aud": ["sts.amazonaws.com"],
        "exp": 1_800_086_400,
        "iat": 1_800_000_000,
        "iss": "https://oidc.example.com/id/9C3E2A7F1B5D4E6A8F0B1C2D3E4F5A6B",
        "jti": "5e9b0a4e-31a5-4f0c-9a52-5ad6a1e9d0f1",
        "kubernetes.io": {
            "namespace": "payments",
            "node": {"name": "node-7.internal", "uid": "0c1d6e5f-7f53-4f3a-8a55-6a1b5f0c7e21"},
            "pod": {"name": "api-6d5f7c9b8-x2v4q", "uid": "d3c4b5a6-1f2e-4d3c-8b9a-0f1e2d3c4b5a"},
            "serviceaccount": {"name": "api", "uid": "7a6b5c4d-3e2f-4a1b-9c8d-7e6f5a4b3c2d"},
        },
        "nbf": 1_800_000_000,
        "sub": "system:serviceaccount:payments:api",
    })
}

#[divan::bench]
fn parse(bencher: Bencher<'_, '_>) {
    let (_, _, token) = issued(Algorithm::Rs256);
    bencher.bench(|| WebIdentityToken::parse(&token).expect("a token").claims().expires);
}

#[divan::bench(args = FAMILIES)]
fn parse_and_verify(bencher: Bencher<'_, '_>, algorithm: Algorithm) {
    let (_, set, token) = issued(algorithm);
    bencher.bench(|| WebIdentityToken::parse(&token).and_then(|token| token.verify(&set)));
}

#[divan::bench(args = FAMILIES)]
fn sign(bencher: Bencher<'_, '_>, algorithm: Algorithm) {
    let (key, _, _) = issued(algorithm);
    let claims = claims();
    bencher.bench(|| key.sign(&claims));
}
