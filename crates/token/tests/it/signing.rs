use irsa_token::{Algorithm, SignError, SigningKey};
use serde_json::{Value, json};

use crate::support::{check_with, claims, ec, key_set, rsa};

const ALL: [Algorithm; 6] = [
    Algorithm::Rs256,
    Algorithm::Rs384,
    Algorithm::Rs512,
    Algorithm::Es256,
    Algorithm::Es384,
    Algorithm::Es512,
];

/// The tests' keys where the type fits, new ones for the other curves.
fn key(algorithm: Algorithm) -> SigningKey {
    match algorithm {
        Algorithm::Es384 | Algorithm::Es512 => SigningKey::generate(algorithm).unwrap(),
        Algorithm::Es256 => SigningKey::from_pkcs8(algorithm, &ec().to_pkcs8()).unwrap(),
        _ => SigningKey::from_pkcs8(algorithm, &rsa().to_pkcs8()).unwrap(),
    }
}

#[test]
fn every_algorithm_signs_what_it_publishes() {
    for algorithm in ALL {
        let key = key(algorithm);
        let set = key_set(&SigningKey::jwk_set(&[&key]));
        let token = key.sign(&claims()).unwrap();
        assert_eq!(check_with(&token, &set), Ok(()), "{algorithm}");
        let (header, _) = token.split_once('.').unwrap();
        let header = String::from_utf8(
            base64::Engine::decode(&base64::engine::general_purpose::URL_SAFE_NO_PAD, header).unwrap(),
        );
        assert_eq!(
            header.unwrap(),
            format!(r#"{{"alg":"{algorithm}","kid":"{}","typ":"JWT"}}"#, key.key_id())
        );
        assert!(set.contains(key.key_id()));
    }
}

#[test]
fn keys_survive_storage() {
    for algorithm in ALL {
        let key = key(algorithm);
        let restored = SigningKey::from_pkcs8(algorithm, &key.to_pkcs8()).unwrap();
        assert_eq!(restored.public_jwk(), key.public_jwk());
        assert_eq!(restored.algorithm(), algorithm);
        let set = key_set(&SigningKey::jwk_set(&[&key]));
        assert_eq!(check_with(&restored.sign(&claims()).unwrap(), &set), Ok(()));
    }
}

#[test]
fn a_stored_key_is_read_only_as_what_it_is() {
    for (algorithm, pkcs8) in [
        (Algorithm::Es256, rsa().to_pkcs8()),
        (Algorithm::Rs256, ec().to_pkcs8()),
        (Algorithm::Es384, ec().to_pkcs8()),
        (Algorithm::Es256, Vec::new().into()),
        (Algorithm::Rs512, b"garbage".to_vec().into()),
    ] {
        assert_eq!(
            SigningKey::from_pkcs8(algorithm, &pkcs8).unwrap_err(),
            SignError::Key { algorithm }
        );
    }
}

/// RFC 7638 section 3: SHA-256 over the required public members alone, in alphabetical order.
#[test]
fn the_key_id_is_the_thumbprint_of_the_public_members() {
    use aws_lc_rs::digest;
    for (key, text) in [
        (rsa(), ["e", "kty", "n"].as_slice()),
        (ec(), ["crv", "kty", "x", "y"].as_slice()),
    ] {
        let jwk = key.public_jwk();
        let members: Vec<String> = text
            .iter()
            .map(|member| format!("\"{member}\":{}", jwk[member]))
            .collect();
        let canonical = format!("{{{}}}", members.join(","));
        let expected = crate::support::encode(digest::digest(&digest::SHA256, canonical.as_bytes()));
        assert_eq!(key.key_id(), expected);
        assert_eq!(jwk["kid"], key.key_id());
    }
}

#[test]
fn only_public_members_are_published() {
    let names = |key: &SigningKey| -> Vec<String> { key.public_jwk().as_object().unwrap().keys().cloned().collect() };
    assert_eq!(names(rsa()), ["e", "kty", "n", "use", "alg", "kid"]);
    assert_eq!(names(ec()), ["crv", "kty", "x", "y", "use", "alg", "kid"]);
    assert_eq!(rsa().public_jwk()["use"], "sig");
    assert_eq!(rsa().public_jwk()["alg"], "RS256");
    assert_eq!(rsa().public_jwk()["e"], "AQAB");
    assert_eq!(SigningKey::jwk_set(&[]), json!({"keys": []}));
    let debug = format!("{:?}", rsa());
    assert_eq!(
        debug,
        format!("SigningKey {{ algorithm: Rs256, key_id: {:?}, .. }}", rsa().key_id())
    );
}

#[test]
fn only_objects_are_signed() {
    for claims in [Value::Null, json!([]), json!("text"), json!(1)] {
        assert_eq!(ec().sign(&claims).unwrap_err(), SignError::Claims);
    }
}
