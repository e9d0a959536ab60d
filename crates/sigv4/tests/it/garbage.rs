//! Whatever comes in, the verifier answers; and it accepts nothing that was not signed.

use aws_sigv4::http_request::SignableBody;
use http::{HeaderMap, HeaderName, HeaderValue};
use irsa_sigv4::{RequestHead, Rules, presented};
use proptest::prelude::*;

use crate::support::{FORM, SECRET, Signer, get_object, now, sts_call};

fn never_accepted(head: &RequestHead<'_>) {
    let Ok(Some(presented)) = presented(head) else {
        return;
    };
    for rules in [Rules::s3(), Rules::service(presented.scope().service.to_owned())] {
        for body in [None, Some([0; 32])] {
            assert!(presented.verify(SECRET.as_bytes(), body, now(), &rules).is_err());
        }
    }
}

/// Pieces that take a random text deeper into the parser.
fn authorization() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        Just(b"AWS4-HMAC-SHA256 ".to_vec()),
        Just(b"Credential=".to_vec()),
        Just(b"AKIDEXAMPLE/20260102/us-east-1/sts/aws4_request".to_vec()),
        Just(b"SignedHeaders=".to_vec()),
        Just(b"host;x-amz-date".to_vec()),
        Just(b"Signature=".to_vec()),
        Just(b"0".repeat(64)),
        Just(b", ".to_vec()),
        prop::collection::vec(32_u8..=255, 0..8),
    ];
    prop::collection::vec(piece, 0..14).prop_map(|pieces| pieces.concat())
}

fn query() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        Just("X-Amz-Algorithm=AWS4-HMAC-SHA256".to_owned()),
        Just("X-Amz-Credential=AKIDEXAMPLE%2F20260102%2Fus-east-1%2Fs3%2Faws4_request".to_owned()),
        Just("X-Amz-Date=20260102T030405Z".to_owned()),
        Just("X-Amz-Expires=60".to_owned()),
        Just("X-Amz-SignedHeaders=host".to_owned()),
        Just(format!("X-Amz-Signature={}", "0".repeat(64))),
        "[%a-zA-Z0-9=&+;-]{0,12}",
        any::<String>(),
    ];
    prop::collection::vec(piece, 0..9).prop_map(|pieces| pieces.join("&"))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1024))]

    #[test]
    fn adv_sv_32_any_request_is_answered(
        method: String,
        path: String,
        query in query(),
        authorization in prop::option::of(authorization()),
        headers in prop::collection::vec(
            ("host|date|x-amz-date|x-amz-content-sha256|x-amz-[a-z]{1,4}|[a-z]{1,6}", prop::collection::vec(32_u8..=255, 0..20)),
            0..6,
        ),
        well_dated: bool,
    ) {
        let mut map = HeaderMap::new();
        if well_dated {
            map.insert("host", HeaderValue::from_static("h"));
            map.insert("x-amz-date", HeaderValue::from_static("20260102T030405Z"));
        }
        for (name, value) in &headers {
            if let (Ok(name), Ok(value)) = (name.parse::<HeaderName>(), HeaderValue::from_bytes(value)) {
                map.append(name, value);
            }
        }
        if let Some(Ok(value)) = authorization.map(|value| HeaderValue::from_bytes(&value)) {
            map.append("authorization", value);
        }
        never_accepted(&RequestHead { method: &method, path: &path, query: &query, headers: &map });
    }

    #[test]
    fn adv_sv_32_a_spliced_authorization_is_refused(at: prop::sample::Index, length in 0..20_usize, splice in "[ -~]{0,12}") {
        let signed = Signer::new("sts").sign(&sts_call(), SignableBody::Bytes(FORM));
        let original = signed.authorization();
        let at = at.index(original.len());
        let end = original.len().min(at + length);
        let mut changed = original.clone();
        changed.replace_range(at..end, &splice);
        let meaning = |text: &str| text.split([',', ' ']).map(str::trim).collect::<String>();
        prop_assume!(meaning(&changed) != meaning(&original));
        let mut request = signed;
        request.set("authorization", &changed);
        prop_assert!(request.check(&Rules::service("sts")).is_err(), "{}", changed);
    }

    #[test]
    fn adv_sv_11_a_spliced_query_is_refused(at: prop::sample::Index, length in 0..20_usize, splice in "[0-9a-zA-Z&=%.-]{1,12}") {
        let signed = Signer::new("s3").presigning(60).sign(&get_object(), SignableBody::UnsignedPayload);
        let at = at.index(signed.query.len());
        let end = signed.query.len().min(at + length);
        let mut request = signed.clone();
        request.query.replace_range(at..end, &splice);
        let parsed = |query: &str| {
            let mut pairs: Vec<(String, String)> = query
                .split('&')
                .filter(|pair| !pair.is_empty())
                .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
                .map(|(name, value)| {
                    let decoded = |text: &str| percent_encoding::percent_decode_str(text).map(char::from).collect();
                    (decoded(name), decoded(value))
                })
                .collect();
            pairs.sort();
            pairs
        };
        prop_assume!(parsed(&request.query) != parsed(&signed.query));
        never_accepted(&request.head());
    }
}
