//! Any method, path, query and headers: what is signed here is verified here, and after a change no more.
#![no_main]

use http::{HeaderMap, HeaderName, HeaderValue};
use irsa_core::Timestamp;
use irsa_sigv4::{Payload, RequestHead, Rules, SigV4Error, SigningInput, authorization, presented};
use libfuzzer_sys::fuzz_target;
use percent_encoding::{NON_ALPHANUMERIC, percent_decode_str, percent_encode};

const SECRET: &[u8] = b"secret";

fn verify(head: &RequestHead<'_>, now: Timestamp, rules: &Rules) -> Option<Result<(), SigV4Error>> {
    match presented(head) {
        Ok(Some(presented)) => Some(presented.verify(SECRET, Some([7; 32]), now, rules).map(drop)),
        Ok(None) => panic!("the signature was not seen"),
        Err(_) => None,
    }
}

fuzz_target!(|input: (bool, &str, &str, &str, Vec<(&str, &[u8])>)| {
    let (s3, method, path, query, fields) = input;
    if method.contains('\n') || method.is_empty() {
        return;
    }
    let now = Timestamp::from_unix_seconds(1_767_323_045);
    let mut headers = HeaderMap::new();
    for (name, value) in fields.into_iter().take(8) {
        if let (Ok(name), Ok(value)) = (HeaderName::from_bytes(name.as_bytes()), HeaderValue::from_bytes(value)) {
            headers.append(name, value);
        }
    }
    headers.remove("authorization");
    headers.insert("host", HeaderValue::from_static("example.com"));
    headers.insert("x-amz-date", HeaderValue::from_static("20260102T030405Z"));
    headers.insert(
        "x-amz-content-sha256",
        HeaderValue::from_static("0707070707070707070707070707070707070707070707070707070707070707"),
    );
    let rules = if s3 { Rules::s3() } else { Rules::service("eks") };
    let input = SigningInput {
        access_key_id: "AKIAIOSFODNN7EXAMPLE",
        secret: SECRET,
        region: "us-east-1",
        service: &rules.service,
        now,
        path: rules.path,
        payload: Payload::Sha256([7; 32]),
    };
    let head = RequestHead {
        method,
        path,
        query,
        headers: &headers,
    };
    let Ok(value) = authorization(&head, &input) else {
        return;
    };
    let mut signed = headers.clone();
    signed.insert("authorization", HeaderValue::from_str(&value).unwrap());
    let check = |path: &str, query: &str| {
        let head = RequestHead {
            method,
            path,
            query,
            headers: &signed,
        };
        verify(&head, now, &rules)
    };
    match check(path, query) {
        Some(outcome) => assert_eq!(outcome, Ok(())),
        // A request that cannot be presented (two places of authentication, two tokens) has no spelling that can.
        None => return,
    }
    if s3 && path.starts_with('/') {
        // Everything but the first slash in another spelling.
        let decoded: Vec<u8> = percent_decode_str(path.get(1..).unwrap_or_default()).collect();
        let spelled = format!("/{}", percent_encode(&decoded, NON_ALPHANUMERIC));
        assert_eq!(check(&spelled, query), Some(Ok(())), "{path:?} as {spelled:?}");
        let longer = format!("{path}x");
        assert_eq!(
            check(&longer, query),
            Some(Err(SigV4Error::SignatureMismatch)),
            "{longer:?}"
        );
    }
    let more = if query.is_empty() {
        "zz=1".to_owned()
    } else {
        format!("{query}&zz=1")
    };
    assert_eq!(check(path, &more), Some(Err(SigV4Error::SignatureMismatch)), "{more:?}");
});
