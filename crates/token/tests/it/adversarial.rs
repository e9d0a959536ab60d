//! Attacks on a verifier of web identity tokens, one test a row of the project's list (WT-…). Rows about the whole server are tested there.

use aws_lc_rs::hmac;
use irsa_core::Timestamp;
use irsa_token::{JwkError, Part, SigningKey, TokenError, WebIdentityToken};
use serde_json::json;

use crate::support::{
    NOW, check, check_with, claims, claims_with, compact, ec, ec_signature, encode, forge, forge_header, forge_payload,
    forge_with, header_with, key_set, pss_signature, rsa,
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
fn adv_wt_21_critical_extensions() {
    for member in [
        "\"crit\":[\"custom\"],\"custom\":\"yes\"",
        "\"crit\":[\"x\"]",
        "\"crit\":[\"exp\"]",
        "\"crit\":[]",
        "\"crit\":\"x\"",
        "\"crit\":null",
        "\"cr\\u0069t\":[\"x\"]",
    ] {
        assert_eq!(
            check(&forge_header(member)),
            Err(TokenError::HeaderFeature { member: "crit" }),
            "{member}"
        );
    }
}

#[test]
fn adv_wt_22_unencoded_payload() {
    for member in ["\"b64\":false", "\"b64\":true"] {
        assert_eq!(
            check(&forge_header(member)),
            Err(TokenError::HeaderFeature { member: "b64" })
        );
    }
    let both = check(&forge_header("\"b64\":false,\"crit\":[\"b64\"]"));
    assert_eq!(both, Err(TokenError::HeaderFeature { member: "crit" }));
}

#[test]
fn adv_wt_23_encryption_and_compression() {
    assert_eq!(
        check(&forge_header("\"zip\":\"DEF\"")),
        Err(TokenError::HeaderFeature { member: "zip" })
    );
    assert_eq!(
        check(&forge_header("\"enc\":\"A128GCM\"")),
        Err(TokenError::HeaderFeature { member: "enc" })
    );
    let jwe = format!(
        "{}.e30.e30.e30.e30",
        encode("{\"alg\":\"RSA-OAEP\",\"enc\":\"A128GCM\"}")
    );
    assert_eq!(check(&jwe), Err(TokenError::NotCompact));
}

#[test]
fn adv_wt_24_nested_token() {
    let inner = rsa().sign(&claims()).unwrap();
    for cty in ["JWT", "jwt", "application/jwt", "Application/JWT"] {
        let token = forge(&header_with(&format!("\"cty\":\"{cty}\"")), &inner);
        assert_eq!(check(&token), Err(TokenError::HeaderFeature { member: "cty" }), "{cty}");
    }
    assert_eq!(
        check(&forge_payload(&inner)),
        Err(TokenError::Json { part: Part::Payload })
    );
    assert_eq!(check(&forge_header("\"cty\":\"json\"")), Ok(()));
    assert_eq!(
        check(&forge_header("\"cty\":1")),
        Err(TokenError::HeaderMember { member: "cty" })
    );
    assert_eq!(
        check(&forge_header("\"typ\":[]")),
        Err(TokenError::HeaderMember { member: "typ" })
    );
}

#[test]
fn adv_wt_25_json_serialization() {
    let token = rsa().sign(&claims()).unwrap();
    let [header, payload, signature] = token.split('.').collect::<Vec<_>>()[..] else {
        panic!("three segments");
    };
    let flattened = json!({"protected": header, "payload": payload, "signature": signature});
    assert_eq!(check(&flattened.to_string()), Err(TokenError::NotCompact));
    let general = json!({"payload": payload, "signatures": [{"protected": header, "signature": signature}]});
    assert_eq!(check(&general.to_string()), Err(TokenError::NotCompact));
}

#[test]
fn adv_wt_26_other_numbers_of_segments() {
    let token = rsa().sign(&claims()).unwrap();
    let [header, payload, signature] = token.split('.').collect::<Vec<_>>()[..] else {
        panic!("three segments");
    };
    for text in [
        String::new(),
        ".".to_owned(),
        header.to_owned(),
        format!("{header}.{payload}"),
        format!("{payload}.{signature}"),
        format!("{token}."),
        format!(".{token}"),
        format!("{token}.{signature}"),
        "....".to_owned(),
        format!("{token}.a.b"),
    ] {
        assert_eq!(check(&text), Err(TokenError::NotCompact), "{text}");
    }
    let json = |part| Err(TokenError::Json { part });
    assert_eq!(check(".."), json(Part::Header));
    assert_eq!(check(&format!(".{payload}.{signature}")), json(Part::Header));
    assert_eq!(check(&format!("{header}..{signature}")), json(Part::Payload));
    assert_eq!(check(&format!("{header}.{payload}.")), Err(TokenError::BadSignature));
}

#[test]
fn adv_wt_27_stray_bytes() {
    let token = rsa().sign(&claims()).unwrap();
    for text in [
        format!(" {token}"),
        format!("{token} "),
        format!("{token}\n"),
        format!("{token}\r\n"),
        format!("\u{feff}{token}"),
        format!("{token}\t"),
        format!("{token} 11:11:49.123456 1 v3.go:79] EOF"),
        token.replacen('.', ".\n", 1),
        format!("\u{a0}{token}"),
    ] {
        assert_eq!(check(&text), Err(TokenError::StrayBytes), "{text:?}");
    }
    assert_eq!(
        check(&format!("{token}\0")),
        Err(TokenError::Encoding { part: Part::Signature })
    );
}

#[test]
fn adv_wt_28_lax_base64() {
    let token = rsa().sign(&claims()).unwrap();
    let [header, payload, signature] = token.split('.').collect::<Vec<_>>()[..] else {
        panic!("three segments");
    };
    let part = |part| Err(TokenError::Encoding { part });
    assert_eq!(check(&format!("{header}=.{payload}.{signature}")), part(Part::Header));
    assert_eq!(check(&format!("{header}.{payload}=.{signature}")), part(Part::Payload));
    assert_eq!(
        check(&format!("{header}.{payload}.{signature}==")),
        part(Part::Signature)
    );
    assert_eq!(
        check(&format!(
            "{header}.{payload}.{}",
            signature.replace('_', "/").replace('-', "+")
        )),
        part(Part::Signature)
    );
    assert_eq!(check(&format!("{header}.?{payload}.{signature}")), part(Part::Payload));
    assert_eq!(
        check(&format!("{header}.####{payload}.{signature}")),
        part(Part::Payload)
    );
    assert_eq!(check(&format!("{header}.{payload}.A")), part(Part::Signature));
    // 256 bytes end in a character of which four bits are unused; another spelling of them is another token.
    let last = signature.chars().last().unwrap();
    for other in "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
        .chars()
        .filter(|c| *c != last)
    {
        let changed = format!("{header}.{payload}.{}{other}", &signature[..signature.len() - 1]);
        assert!(check(&changed).is_err());
    }
    assert_eq!(
        check(&format!("{header}.{payload}.{}B", &signature[..signature.len() - 1])),
        part(Part::Signature)
    );
}

#[test]
fn adv_wt_29_segments_that_are_no_object() {
    let utf16: Vec<u8> = "{\"alg\":\"RS256\"}"
        .encode_utf16()
        .flat_map(u16::to_be_bytes)
        .collect();
    for bytes in [
        b"[]".to_vec(),
        b"\"text\"".to_vec(),
        b"1".to_vec(),
        b"null".to_vec(),
        b"{\"a\":\"\xff\"}".to_vec(),
        utf16,
        Vec::new(),
    ] {
        assert_eq!(
            check(&forge_payload(&bytes)),
            Err(TokenError::Json { part: Part::Payload }),
            "{bytes:?}"
        );
        let token = format!("{}.{}.AAAA", encode(&bytes), encode(claims().to_string()));
        assert_eq!(check(&token), Err(TokenError::Json { part: Part::Header }), "{bytes:?}");
    }
}

/// Stricter than STS, where the last member wins.
#[test]
fn adv_wt_30_repeated_members() {
    for member in ["iss", "sub", "aud", "exp", "iat", "nbf"] {
        let again = claims()[member].to_string();
        let payload = claims()
            .to_string()
            .replacen('{', &format!("{{\"{member}\":{again},"), 1);
        assert_eq!(
            check(&forge_payload(payload)),
            Err(TokenError::RepeatedMember { part: Part::Payload }),
            "{member}"
        );
    }
    for member in [
        "\"alg\":\"RS256\"".to_owned(),
        "\"alg\":\"none\"".to_owned(),
        format!("\"kid\":\"{}\"", rsa().key_id()),
    ] {
        assert_eq!(
            check(&forge_header(&member)),
            Err(TokenError::RepeatedMember { part: Part::Header }),
            "{member}"
        );
    }
}

#[test]
fn adv_wt_31_repeated_members_in_disguise() {
    for member in [
        "\"s\\u0075b\":\"system:serviceaccount:shop:web\"",
        "\"\\u0061\\u0075\\u0064\":\"other\"",
        "\"kubernetes.io\":{\"namespace\":\"shop\",\"n\\u0061mespace\":\"other\"}",
        "\"x\":[[{\"a\":1,\"a\":1}]]",
        "\"other\":1,\"other\":1",
    ] {
        let payload = claims().to_string().replacen('{', &format!("{{{member},"), 1);
        assert_eq!(
            check(&forge_payload(payload)),
            Err(TokenError::RepeatedMember { part: Part::Payload }),
            "{member}"
        );
    }
    assert_eq!(
        check(&forge_header("\"\\u0061lg\":\"none\"")),
        Err(TokenError::RepeatedMember { part: Part::Header })
    );
}

#[test]
fn adv_wt_32_hostile_json() {
    let malformed = Err(TokenError::Json { part: Part::Payload });
    for value in [
        "1e999",
        "-1e999",
        "\"\\ud800\"",
        "\"\\udfff\\ud800\"",
        "01",
        "+1",
        "NaN",
        "Infinity",
        "'a'",
        "0x10",
        "1.",
        ".5",
    ] {
        assert_eq!(check(&forge_payload(claims_with("x", value))), malformed, "{value}");
    }
    let deep = |depth: usize| forge_payload(claims_with("x", &format!("{}{}", "[".repeat(depth), "]".repeat(depth))));
    assert_eq!(check(&deep(31)), Ok(()));
    assert_eq!(check(&deep(32)), malformed);
    assert_eq!(check(&deep(6_000)), malformed);
    assert!(matches!(check(&deep(100_000)), Err(TokenError::TooLong { .. })));
    assert!(matches!(
        check(&forge_payload(claims_with("x", &"9".repeat(1 << 20)))),
        Err(TokenError::TooLong { .. })
    ));
    assert_eq!(check(&forge_payload(claims_with("x", &"9".repeat(10_000)))), malformed);
    let many: String = (0..1_000).map(|number| format!("\"{number:x}\":0,")).collect();
    assert_eq!(
        check(&forge_payload(claims().to_string().replacen(
            '{',
            &format!("{{{many}"),
            1
        ))),
        Ok(())
    );
}

#[test]
fn adv_wt_33_token_length() {
    for length in [20_001, 1 << 20, 10 << 20] {
        assert_eq!(check(&"a".repeat(length)), Err(TokenError::TooLong { length }));
    }
    assert_eq!(check(&"a".repeat(20_000)), Err(TokenError::NotCompact));
    assert_eq!(check("a.b"), Err(TokenError::NotCompact));
}

#[test]
fn adv_wt_34_expiry_missing_or_of_another_type() {
    let mut none = claims();
    none.as_object_mut().unwrap().remove("exp");
    assert_eq!(
        check(&forge_payload(none.to_string())),
        Err(TokenError::MissingClaim { claim: "exp" })
    );
    for value in ["\"never\"", "true", "null", "[1900000000]", "{}", "\"\""] {
        let expected = Err(TokenError::InvalidTimestamp { claim: "exp" });
        assert_eq!(check(&forge_payload(claims_with("exp", value))), expected, "{value}");
    }
}

/// Stricter than STS, which takes integers in quotes.
#[test]
fn adv_wt_35_times_of_another_type_are_not_absent() {
    for claim in ["exp", "nbf", "iat"] {
        for value in [
            "\"1799999000\"",
            "\"x\"",
            "null",
            "false",
            "[]",
            "{}",
            "1799999000.5",
            "1799999000.0",
            "1.7e9",
        ] {
            let expected = Err(TokenError::InvalidTimestamp { claim });
            assert_eq!(
                check(&forge_payload(claims_with(claim, value))),
                expected,
                "{claim} {value}"
            );
        }
    }
}

#[test]
fn adv_wt_36_extreme_times() {
    let exp = |value: &str| check(&forge_payload(claims_with("exp", value)));
    for value in ["0", "-1", "-9223372036854775808"] {
        assert!(matches!(exp(value), Err(TokenError::Expired { .. })), "{value}");
    }
    for value in ["9007199254740992", "9223372036854775807"] {
        assert_eq!(exp(value), Ok(()), "{value}");
    }
    for value in [
        "9223372036854775808",
        "18446744073709551615",
        "18446744073709551616",
        "-9223372036854775809",
        "-0.0",
        "-0",
        "1e10",
    ] {
        assert_eq!(
            exp(value),
            Err(TokenError::InvalidTimestamp { claim: "exp" }),
            "{value}"
        );
    }
    let iat = |value: &str| check(&forge_payload(claims_with("iat", value)));
    assert_eq!(iat("-9223372036854775808"), Ok(()));
    assert_eq!(
        iat("9223372036854775807"),
        Err(TokenError::IssuedInFuture { issued_at: i64::MAX })
    );
    // And an extreme clock.
    let token = forge_payload(claims().to_string());
    let token = WebIdentityToken::parse(&token).unwrap();
    for now in [i64::MIN, i64::MIN + 1, i64::MAX] {
        assert!(token.check_times(Timestamp::from_unix_millis(now)).is_err());
    }
}

fn at(exp: i64, nbf: i64, iat: i64, now_millis: i64) -> Result<(), TokenError> {
    let mut claims = claims();
    (claims["exp"], claims["nbf"], claims["iat"]) = (exp.into(), nbf.into(), iat.into());
    let text = compact(&header("\"RS256\""), claims.to_string(), "");
    WebIdentityToken::parse(&text)
        .unwrap()
        .check_times(Timestamp::from_unix_millis(now_millis))
}

#[test]
fn adv_wt_37_expiry_has_an_exact_boundary() {
    for offset in -310..=310 {
        let now = NOW + offset;
        let expected = if offset < 300 {
            Ok(())
        } else {
            Err(TokenError::Expired {
                current: now - 300,
                expires: NOW,
            })
        };
        assert_eq!(at(NOW, NOW - 900, NOW - 900, now * 1000), expected, "{offset}");
    }
    assert_eq!(at(NOW, NOW - 900, NOW - 900, (NOW + 299) * 1000 + 999), Ok(()));
}

#[test]
fn adv_wt_38_tokens_from_the_future() {
    let end = NOW + 9_000;
    for offset in 290..=310 {
        let future = NOW + offset;
        let (early, issued) = if offset <= 300 {
            (Ok(()), Ok(()))
        } else {
            (
                Err(TokenError::NotYetValid {
                    current: NOW + 300,
                    not_before: future,
                }),
                Err(TokenError::IssuedInFuture { issued_at: future }),
            )
        };
        assert_eq!(at(end, future, NOW, NOW * 1000), early, "{offset}");
        assert_eq!(at(end, NOW, future, NOW * 1000), issued, "{offset}");
    }
}

#[test]
fn adv_wt_39_tokens_of_a_year() {
    const DAY: i64 = 86_400;
    let lifetime = |seconds: i64| {
        let text = forge_payload(claims_with("exp", &(NOW - 60 + seconds).to_string()));
        WebIdentityToken::parse(&text).unwrap().claims().check_lifetime(DAY)
    };
    assert_eq!(lifetime(DAY), Ok(()));
    assert_eq!(
        lifetime(DAY + 1),
        Err(TokenError::LifetimeTooLong {
            seconds: DAY + 1,
            limit: DAY
        })
    );
    assert_eq!(
        lifetime(365 * DAY),
        Err(TokenError::LifetimeTooLong {
            seconds: 365 * DAY,
            limit: DAY
        })
    );
}

#[test]
fn adv_wt_40_50_text_claims_keep_every_byte() {
    for text in [
        "https://issuer.example/id/A/",
        "HTTPS://issuer.example",
        "https://good@evil.example",
        "https://issuer.example:443",
        "",
        " ",
        "system:serviceaccount:*:?",
        "${aws:username}",
        "e\u{301}",
        "\u{e9}",
        "a\u{200b}b",
        "trailing\0",
        "trailing ",
        "A",
        "a",
    ] {
        for claim in ["iss", "sub", "azp"] {
            let token = forge_payload(claims_with(claim, &json!(text).to_string()));
            let token = WebIdentityToken::parse(&token).unwrap();
            let claims = token.claims();
            let read = match claim {
                "iss" => &claims.issuer,
                "sub" => &claims.subject,
                _ => &claims.authorized_party,
            };
            assert_eq!(read.as_deref(), Some(text));
        }
    }
    let long = "s".repeat(2_000);
    let token = forge_payload(claims_with("sub", &json!(long).to_string()));
    assert_eq!(
        WebIdentityToken::parse(&token).unwrap().claims().subject.as_deref(),
        Some(long.as_str())
    );
}

#[test]
fn adv_wt_43_44_47_audiences() {
    let client = |aud: &str, azp: Option<&str>| {
        let mut payload = claims_with("aud", aud);
        if let Some(azp) = azp {
            payload = payload.replacen('{', &format!("{{\"azp\":{azp},"), 1);
        }
        let token = forge_payload(payload);
        WebIdentityToken::parse(&token).and_then(|token| token.claims().client_id().map(str::to_owned))
    };
    assert_eq!(client("\"a\"", None).as_deref(), Ok("a"));
    assert_eq!(client("[\"a\"]", None).as_deref(), Ok("a"));
    assert_eq!(
        client("\"sts.amazonaws.com,evil\"", None).as_deref(),
        Ok("sts.amazonaws.com,evil")
    );
    assert_eq!(
        client("\" sts.amazonaws.com\"", None).as_deref(),
        Ok(" sts.amazonaws.com")
    );
    assert_eq!(
        client("\"STS.amazonaws.com\"", None).as_deref(),
        Ok("STS.amazonaws.com")
    );
    for several in ["[\"a\",\"b\"]", "[\"b\",\"a\"]", "[\"a\",\"a\"]"] {
        assert_eq!(client(several, None), Err(TokenError::SeveralAudiences), "{several}");
        assert_eq!(client(several, Some("\"c\"")).as_deref(), Ok("c"), "{several}");
    }
    assert_eq!(client("\"a\"", Some("\"c\"")).as_deref(), Ok("c"));
    for empty in ["\"\"", "[]", "[\"\"]"] {
        assert_eq!(client(empty, None), Err(TokenError::EmptyAudience), "{empty}");
    }
    for wrong in ["1", "null", "{}", "true", "[1]", "[\"a\",null]", "[[\"a\"]]"] {
        assert_eq!(
            client(wrong, None),
            Err(TokenError::WrongType { claim: "aud" }),
            "{wrong}"
        );
    }
    assert_eq!(
        client("\"a\"", Some("[\"c\"]")),
        Err(TokenError::WrongType { claim: "azp" })
    );
    assert_eq!(
        client("\"a\"", Some("null")),
        Err(TokenError::WrongType { claim: "azp" })
    );
}

#[test]
fn adv_wt_51_kubernetes_claim_names_another_subject() {
    let subject = |claim: &str| {
        let token = forge_payload(claims_with("kubernetes.io", claim));
        WebIdentityToken::parse(&token)
            .unwrap()
            .claims()
            .check_kubernetes_subject()
    };
    assert_eq!(
        subject(r#"{"namespace":"shop","serviceaccount":{"name":"web","uid":"u"}}"#),
        Ok(())
    );
    for claim in [
        r#"{"namespace":"other","serviceaccount":{"name":"web"}}"#,
        r#"{"namespace":"shop","serviceaccount":{"name":"other"}}"#,
        r#"{"namespace":"shop:web","serviceaccount":{"name":""}}"#,
    ] {
        assert_eq!(subject(claim), Err(TokenError::SubjectMismatch), "{claim}");
    }
    let token = forge_payload(claims().to_string());
    assert_eq!(
        WebIdentityToken::parse(&token)
            .unwrap()
            .claims()
            .check_kubernetes_subject(),
        Ok(())
    );
}

#[test]
fn adv_wt_53_legacy_secret_token() {
    let legacy = json!({
        "iss": "kubernetes/serviceaccount",
        "kubernetes.io/serviceaccount/namespace": "shop",
        "kubernetes.io/serviceaccount/secret.name": "web-token-abcde",
        "sub": "system:serviceaccount:shop:web",
    });
    assert_eq!(
        check(&forge_payload(legacy.to_string())),
        Err(TokenError::MissingClaim { claim: "aud" })
    );
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
