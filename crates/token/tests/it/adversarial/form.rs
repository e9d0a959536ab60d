//! Attacks with the form of the token and of its JSON.

use irsa_token::{Part, TokenError};
use serde_json::json;

use crate::support::{check, claims, claims_with, encode, forge, forge_header, forge_payload, header_with, rsa};

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
