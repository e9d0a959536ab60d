use irsa_token::{JwkSet, SigningKey, WebIdentityToken};
use proptest::prelude::*;

use crate::support::{check, claims, ec, encode, forge_payload, keys, rsa};

/// WT-70, whole: every bit of header, payload and signature of a valid token, one after another.
#[test]
fn adv_wt_70_any_flipped_bit_is_refused() {
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    for key in [rsa(), ec()] {
        let token = key.sign(&claims()).unwrap();
        assert_eq!(check(&token), Ok(()));
        let parts: Vec<Vec<u8>> = token
            .split('.')
            .map(|part| URL_SAFE_NO_PAD.decode(part).unwrap())
            .collect();
        for part in 0..3 {
            for bit in 0..parts[part].len() * 8 {
                let mut changed = parts.clone();
                changed[part][bit / 8] ^= 1 << (bit % 8);
                let changed = changed.iter().map(encode).collect::<Vec<_>>().join(".");
                assert!(check(&changed).is_err(), "bit {bit} of part {part}");
            }
        }
        // And of the text: another spelling of the same bytes would be a second token.
        for bit in 0..token.len() * 8 {
            let mut changed = token.clone().into_bytes();
            changed[bit / 8] ^= 1 << (bit % 8);
            if let Ok(changed) = String::from_utf8(changed) {
                assert!(check(&changed).is_err(), "bit {bit} of the text");
            }
        }
    }
}

/// JSON of any shape, with the names that the parser knows more often than others.
fn any_json() -> impl Strategy<Value = serde_json::Value> {
    let name = prop_oneof![
        proptest::sample::select(vec![
            "iss",
            "sub",
            "aud",
            "azp",
            "exp",
            "nbf",
            "iat",
            "amr",
            "email",
            "jti",
            "kubernetes.io",
            "serviceaccount",
            "name",
            "uid",
            "namespace",
            "pod",
            "https://aws.amazon.com/tags",
            "principal_tags",
            "transitive_tag_keys",
            "https://aws.amazon.com/roles",
            "https://aws.amazon.com/source_identity",
            "https://aws.amazon.com/tags/principal_tags/K",
            "kty",
            "kid",
            "n",
            "e",
            "crv",
            "x",
            "y",
            "x5c",
            "use",
            "alg",
            "keys",
        ])
        .prop_map(str::to_owned),
        ".{0,8}",
    ];
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<i64>().prop_map(Into::into),
        any::<u64>().prop_map(Into::into),
        any::<f64>().prop_map(Into::into),
        ".{0,12}".prop_map(Into::into),
        proptest::sample::select(vec!["RSA", "EC", "oct", "P-256", "P-521", "sig", "AQAB"]).prop_map(Into::into),
    ];
    leaf.prop_recursive(4, 48, 8, move |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..6).prop_map(Into::into),
            proptest::collection::vec((name.clone(), inner), 0..8)
                .prop_map(|members| serde_json::Value::Object(members.into_iter().collect())),
        ]
    })
}

fn use_everything(text: &str) {
    if let Ok(token) = WebIdentityToken::parse(text) {
        let _ = token.verify(keys());
        let _ = token.check_times(crate::support::now());
        let claims = token.claims();
        let _ = (
            claims.session_tags(),
            claims.roles(),
            claims.source_identity(),
            claims.kubernetes(),
        );
        let _ = (
            claims.client_id(),
            claims.missing(),
            claims.check_lifetime(1),
            claims.check_kubernetes_subject(),
        );
    }
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused_without_panic(text in "\\PC*", bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        use_everything(&text);
        use_everything(&String::from_utf8_lossy(&bytes));
        use_everything(&format!("{}.{}.{}", encode(&bytes), encode(&text), encode(&bytes)));
        let _ = JwkSet::parse(&bytes);
        let _ = JwkSet::parse(text.as_bytes());
        let _ = SigningKey::from_pkcs8(irsa_token::Algorithm::Rs256, &bytes);
        let _ = SigningKey::from_pkcs8(irsa_token::Algorithm::Es384, &bytes);
    }

    #[test]
    fn any_claims_and_any_key_set_are_read_or_refused_without_panic(json in any_json()) {
        let text = json.to_string();
        use_everything(&format!("{}.{}.AAAA", encode("{\"alg\":\"RS256\"}"), encode(&text)));
        use_everything(&format!("{}.{}.AAAA", encode(&text), encode("{}")));
        let _ = JwkSet::parse(text.as_bytes());
        let _ = JwkSet::parse(serde_json::json!({"keys": [json]}).to_string().as_bytes());
    }

    #[test]
    fn any_number_as_time_is_compared_exactly_or_refused(exp in any::<i64>(), text in "-?[0-9]{1,25}(\\.[0-9]{1,3})?([eE][+-]?[0-9]{1,3})?") {
        use crate::support::{NOW, claims_with};
        let good = check(&forge_payload(claims_with("exp", &exp.to_string()))).is_ok();
        prop_assert_eq!(good, i128::from(exp) > i128::from(NOW) - 300);
        let good = check(&forge_payload(claims_with("exp", &text))).is_ok();
        prop_assert!(!good || text.parse::<i64>().is_ok_and(|exp| exp > NOW - 300));
    }
}
