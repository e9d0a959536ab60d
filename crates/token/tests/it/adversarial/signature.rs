//! Attacks on the choice of algorithm and key.

use aws_lc_rs::hmac;
use irsa_token::{JwkError, SigningKey, TokenError, WebIdentityToken};
use serde_json::json;

use crate::support::{
    check, check_with, claims, compact, ec, ec_signature, encode, forge, forge_header, forge_with, key_set,
    pss_signature, rsa,
};

fn unsupported(token: &str) {
    assert_eq!(check(token), Err(TokenError::UnsupportedAlgorithm));
}

/// A header of this algorithm that names the RSA key.
fn header(alg: &str) -> String {
    format!("{{\"alg\":{alg},\"kid\":\"{}\"}}", rsa().key_id())
}

#[test]
fn adv_wt_01_alg_none_with_empty_signature() {
    unsupported(&compact(&header("\"none\""), claims().to_string(), ""));
    unsupported(&compact("{\"alg\":\"none\"}", claims().to_string(), ""));
    unsupported(&forge(&header("\"none\""), claims().to_string()));
}

#[test]
fn adv_wt_02_spellings_of_none_and_of_good_names() {
    for alg in [
        "None",
        "nOnE",
        "NONE",
        "none ",
        "none\\u0000",
        "",
        "rs256",
        "Rs256",
        "RS256 ",
        " RS256",
        "RS256\\u0000",
        "RS\\u200b256",
    ] {
        unsupported(&compact(&header(&format!("\"{alg}\"")), claims().to_string(), ""));
        unsupported(&forge(&header(&format!("\"{alg}\"")), claims().to_string()));
    }
}

#[test]
fn adv_wt_03_alg_missing_or_of_another_type() {
    for alg in ["null", "256", "[\"RS256\"]", "{\"alg\":\"RS256\"}", "true"] {
        let token = forge(&header(alg), claims().to_string());
        assert_eq!(check(&token), Err(TokenError::HeaderMember { member: "alg" }), "{alg}");
    }
    let token = forge(&format!("{{\"kid\":\"{}\"}}", rsa().key_id()), claims().to_string());
    assert_eq!(check(&token), Err(TokenError::HeaderMember { member: "alg" }));
}

fn mac(key: &[u8], header: &str) -> String {
    let input = format!("{}.{}", encode(header), encode(claims().to_string()));
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), input.as_bytes());
    format!("{input}.{}", encode(tag))
}

#[test]
fn adv_wt_04_hmac_with_the_public_key_as_secret() {
    use aws_lc_rs::encoding::AsDer as _;
    use aws_lc_rs::signature::{KeyPair as _, RsaKeyPair};
    let pair = RsaKeyPair::from_pkcs8(&rsa().to_pkcs8()).unwrap();
    let info = pair.public_key().as_der().unwrap().as_ref().to_vec();
    let pem = format!(
        "-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----",
        base64::Engine::encode(&base64::engine::general_purpose::STANDARD, &info)
    );
    let jwk = rsa().public_jwk();
    let modulus = base64::Engine::decode(
        &base64::engine::general_purpose::URL_SAFE_NO_PAD,
        jwk["n"].as_str().unwrap(),
    )
    .unwrap();
    for secret in [
        pem.clone().into_bytes(),
        format!("{pem}\n").into_bytes(),
        info,
        pair.public_key().as_ref().to_vec(),
        jwk.to_string().into_bytes(),
        modulus,
    ] {
        for alg in ["\"HS256\"", "\"HS384\"", "\"HS512\""] {
            unsupported(&mac(&secret, &header(alg)));
        }
        // A MAC under a good name is only a wrong signature.
        assert_eq!(
            check(&mac(&secret, &header("\"RS256\""))),
            Err(TokenError::BadSignature)
        );
    }
}

#[test]
fn adv_wt_05_hmac_with_a_published_shared_secret() {
    let secret = json!({"kty": "oct", "kid": "sts.amazonaws.com", "alg": "HS256", "k": encode("shared secret")});
    let set = key_set(&json!({"keys": [secret, rsa().public_jwk()]}));
    let token = mac(b"shared secret", "{\"alg\":\"HS256\",\"kid\":\"sts.amazonaws.com\"}");
    assert_eq!(check_with(&token, &set), Err(TokenError::UnsupportedAlgorithm));
    let token = mac(b"shared secret", "{\"alg\":\"RS256\",\"kid\":\"sts.amazonaws.com\"}");
    assert_eq!(check_with(&token, &set), Err(TokenError::UnknownKey));
}

#[test]
fn adv_wt_06_algorithm_of_another_key_type() {
    for alg in ["ES256", "ES384", "ES512"] {
        let input = format!(
            "{}.{}",
            encode(header(&format!("\"{alg}\""))),
            encode(claims().to_string())
        );
        let token = format!("{input}.{}", encode(ec_signature(&input)));
        assert_eq!(check(&token), Err(TokenError::KeyTypeMismatch), "{alg}");
    }
    for alg in ["RS256", "RS384", "RS512", "ES384", "ES512"] {
        let header = format!("{{\"alg\":\"{alg}\",\"kid\":\"{}\"}}", ec().key_id());
        assert_eq!(
            check(&forge(&header, claims().to_string())),
            Err(TokenError::KeyTypeMismatch),
            "{alg}"
        );
    }
}

/// The first part differs from the row: recorded, STS ignores which of the RS algorithms a key declares.
#[test]
fn adv_wt_07_key_declared_for_something_else() {
    let token = rsa().sign(&claims()).unwrap();
    let declared = |member: &str, value: serde_json::Value| {
        let mut jwk = rsa().public_jwk();
        jwk[member] = value;
        check_with(&token, &key_set(&json!({"keys": [jwk]})))
    };
    assert_eq!(declared("alg", "RS512".into()), Ok(()));
    assert_eq!(
        declared("use", "enc".into()),
        Err(TokenError::UnusableKey(JwkError::Usage))
    );
    assert_eq!(
        declared("key_ops", json!(["encrypt"])),
        Err(TokenError::UnusableKey(JwkError::Usage))
    );
    assert_eq!(
        declared("key_ops", json!(["verify"])),
        Err(TokenError::UnusableKey(JwkError::Usage))
    );
}

#[test]
fn adv_wt_08_pss_and_pkcs1_are_not_exchanged() {
    let mut jwk = rsa().public_jwk();
    jwk["alg"] = "PS256".into();
    let token = rsa().sign(&claims()).unwrap();
    let set = key_set(&json!({"keys": [jwk]}));
    assert_eq!(
        check_with(&token, &set),
        Err(TokenError::UnusableKey(JwkError::DeclaredAlgorithm))
    );

    for (alg, expected) in [
        ("\"RS256\"", TokenError::BadSignature),
        ("\"PS256\"", TokenError::UnsupportedAlgorithm),
    ] {
        let input = format!("{}.{}", encode(header(alg)), encode(claims().to_string()));
        assert_eq!(
            check(&format!("{input}.{}", encode(pss_signature(&input)))),
            Err(expected)
        );
    }
}

/// The order of P-256.
const ORDER: &str = "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551";

fn hex(text: &str) -> Vec<u8> {
    (0..text.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap())
        .collect()
}

/// Big-endian `left - right` of the same length, and whether it wrapped.
fn minus(left: &[u8], right: &[u8]) -> (Vec<u8>, bool) {
    let mut borrow = false;
    let mut result = vec![0; left.len()];
    for at in (0..left.len()).rev() {
        let (value, first) = left[at].overflowing_sub(right[at]);
        let (value, second) = value.overflowing_sub(u8::from(borrow));
        (result[at], borrow) = (value, first || second);
    }
    (result, borrow)
}

fn ec_input() -> String {
    let header = format!("{{\"alg\":\"ES256\",\"kid\":\"{}\"}}", ec().key_id());
    format!("{}.{}", encode(header), encode(claims().to_string()))
}

#[test]
fn adv_wt_09_malformed_ecdsa_signatures() {
    let input = ec_input();
    let good = ec_signature(&input);
    assert_eq!(check(&format!("{input}.{}", encode(&good))), Ok(()));
    let (r, s) = good.split_at(32);
    let order = hex(ORDER);
    let (order_minus_one, _) = minus(&order, &[&[0; 31][..], &[1]].concat());
    let zero = vec![0; 32];
    let mut one = zero.clone();
    one[31] = 1;

    let mut bad = vec![
        good[..63].to_vec(),
        [&good[..], &[0]].concat(),
        [&[0], &good[..]].concat(),
        [&[0], r, &[0], s].concat(),
        [&[0x30, 0x44, 2, 32], r, &[2, 32], s].concat(),
        [s, r].concat(),
        Vec::new(),
    ];
    for r in [&zero, &one, &order_minus_one, &order, &vec![0xff; 32]] {
        for s in [&zero, &one, &order_minus_one, &order, &vec![0xff; 32]] {
            bad.push([r.as_slice(), s].concat());
        }
    }
    for other in [&zero, &order] {
        bad.push([r, other].concat());
        bad.push([other.as_slice(), s].concat());
    }
    for signature in bad {
        assert_eq!(
            check(&format!("{input}.{}", encode(&signature))),
            Err(TokenError::BadSignature),
            "{signature:?}"
        );
    }
}

#[test]
fn adv_wt_10_the_other_s_of_a_valid_signature_is_valid() {
    let input = ec_input();
    let good = ec_signature(&input);
    let (other, _) = minus(&hex(ORDER), &good[32..]);
    assert_eq!(
        check(&format!("{input}.{}", encode([&good[..32], &other].concat()))),
        Ok(())
    );
}

#[test]
fn adv_wt_13_algorithms_that_sts_does_not_know() {
    for alg in [
        "EdDSA", "Ed25519", "ES256K", "RS1", "PS256", "PS384", "PS512", "HS256", "ES521", "XX256", "RSA-OAEP",
        "A128GCM",
    ] {
        unsupported(&forge(&header(&format!("\"{alg}\"")), claims().to_string()));
    }
}

#[test]
fn adv_wt_14_no_key_id() {
    let token = forge("{\"alg\":\"RS256\"}", claims().to_string());
    let set = |keys: &[&SigningKey]| key_set(&SigningKey::jwk_set(keys));
    assert_eq!(check_with(&token, &set(&[rsa()])), Ok(()));
    assert_eq!(check_with(&token, &set(&[rsa(), ec()])), Err(TokenError::KeyIdNeeded));
    assert_eq!(check_with(&token, &set(&[])), Err(TokenError::KeyIdNeeded));
    assert_eq!(check_with(&token, &set(&[ec()])), Err(TokenError::KeyTypeMismatch));
}

#[test]
fn adv_wt_15_key_ids_are_opaque() {
    for kid in [
        "../../../../dev/null",
        "/etc/passwd",
        "' OR '1'='1",
        "*)(uid=*",
        "$(reboot)",
        "`id`",
        "a\r\nX-Injected: 1",
        "\0",
        "\u{202e}dik",
        "%2e%2e%2f",
        "file:///dev/null",
        "https://evil.example/keys",
    ] {
        let token = forge(&json!({"alg": "RS256", "kid": kid}).to_string(), claims().to_string());
        assert_eq!(check(&token), Err(TokenError::UnknownKey), "{kid:?}");
        // Nor does an error text repeat it.
        assert!(!TokenError::UnknownKey.to_string().contains(kid));
        // A key that really has this id is found under it.
        let mut jwk = rsa().public_jwk();
        jwk["kid"] = kid.into();
        assert_eq!(check_with(&token, &key_set(&json!({"keys": [jwk]}))), Ok(()));
    }
    let long = |length: usize| {
        forge(
            &json!({"alg": "RS256", "kid": "k".repeat(length)}).to_string(),
            claims().to_string(),
        )
    };
    assert_eq!(check(&long(1024)), Err(TokenError::UnknownKey));
    assert_eq!(check(&long(1025)), Err(TokenError::HeaderMember { member: "kid" }));
    assert!(matches!(check(&long(1 << 20)), Err(TokenError::TooLong { .. })));
}

#[test]
fn adv_wt_16_key_id_of_another_type() {
    for kid in ["1", "[\"a\"]", "{}", "null", "true"] {
        let token = forge(&format!("{{\"alg\":\"RS256\",\"kid\":{kid}}}"), claims().to_string());
        assert_eq!(check(&token), Err(TokenError::HeaderMember { member: "kid" }), "{kid}");
    }
    let empty = forge("{\"alg\":\"RS256\",\"kid\":\"\"}", claims().to_string());
    assert_eq!(check(&empty), Err(TokenError::UnknownKey));
    assert_eq!(
        check_with(&empty, &key_set(&SigningKey::jwk_set(&[rsa()]))),
        Err(TokenError::UnknownKey)
    );
}

/// Differs from the row: recorded, STS takes the later of two keys with one key id.
#[test]
fn adv_wt_17_two_keys_share_a_key_id() {
    let mut other = SigningKey::generate(irsa_token::Algorithm::Es256).unwrap().public_jwk();
    other["kid"] = rsa().key_id().into();
    let token = rsa().sign(&claims()).unwrap();
    assert_eq!(
        check_with(&token, &key_set(&json!({"keys": [other, rsa().public_jwk()]}))),
        Ok(())
    );
    let later_wins = check_with(&token, &key_set(&json!({"keys": [rsa().public_jwk(), other]})));
    assert_eq!(later_wins, Err(TokenError::KeyTypeMismatch));
}

#[test]
fn adv_wt_18_19_20_key_locations_in_the_header_are_ignored() {
    let attacker = SigningKey::generate(irsa_token::Algorithm::Es256).unwrap();
    let jwk = attacker.public_jwk();
    for member in [
        "\"jku\":\"https://evil.example/jwks\"".to_owned(),
        "\"x5u\":\"http://169.254.169.254/\"".to_owned(),
        "\"x5c\":[\"MIIB\"]".to_owned(),
        "\"x5t\":\"AAAA\"".to_owned(),
        format!("\"jwk\":{jwk}"),
    ] {
        // Harmless beside a good signature …
        assert_eq!(check(&forge_header(&member)), Ok(()), "{member}");
        // … and no help for a bad one.
        let header = format!("{{\"alg\":\"ES256\",\"kid\":\"{}\",{member}}}", ec().key_id());
        let signed_by_attacker = attacker.sign(&claims()).unwrap();
        let signature = signed_by_attacker.rsplit_once('.').unwrap().1;
        let token = format!("{}.{}.{signature}", encode(header), encode(claims().to_string()));
        assert_eq!(check(&token), Err(TokenError::BadSignature), "{member}");
    }
}

#[test]
fn tokens_of_every_rsa_digest_verify_with_one_key() {
    for alg in ["RS256", "RS384", "RS512"] {
        let header = header(&format!("\"{alg}\""));
        assert_eq!(check(&forge_with(alg, &header, claims().to_string())), Ok(()), "{alg}");
        // The digest is that of the header.
        let other = if alg == "RS256" { "RS512" } else { "RS256" };
        assert_eq!(
            check(&forge_with(other, &header, claims().to_string())),
            Err(TokenError::BadSignature),
            "{alg}"
        );
    }
}

#[test]
fn nothing_that_is_printed_holds_the_token() {
    let text = rsa().sign(&claims()).unwrap();
    let token = WebIdentityToken::parse(&text).unwrap();
    let debug = format!("{token:?}");
    for part in text.split('.') {
        assert!(!debug.contains(part), "{debug}");
    }
}
