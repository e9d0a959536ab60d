//! Any query: alone it is never accepted, and appended to a signed one only if it adds nothing to what was signed.
#![no_main]

use http::{HeaderMap, HeaderValue};
use irsa_core::Timestamp;
use irsa_sigv4::{RequestHead, Rules, presented};
use libfuzzer_sys::fuzz_target;

/// Signed for the secret below: `GET /bucket/key` at 2013-05-24, the example of AWS's documentation.
const SIGNED: &str = "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524%2Fus-east-1%2Fs3%2Faws4_request\
                      &X-Amz-Date=20130524T000000Z&X-Amz-Expires=86400&X-Amz-SignedHeaders=host\
                      &X-Amz-Signature=aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404";
const SECRET: &[u8] = b"wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";

fn accepted(query: &str) -> bool {
    let mut headers = HeaderMap::new();
    headers.insert("host", HeaderValue::from_static("examplebucket.s3.amazonaws.com"));
    let head = RequestHead {
        method: "GET",
        path: "/test.txt",
        query,
        headers: &headers,
    };
    let now = Timestamp::from_unix_seconds(1_369_353_600);
    match presented(&head) {
        Ok(Some(presented)) => presented.verify(SECRET, None, now, &Rules::s3()).is_ok(),
        Ok(None) | Err(_) => false,
    }
}

fuzz_target!(|bytes: &[u8]| {
    assert!(accepted(SIGNED));
    let Ok(query) = std::str::from_utf8(bytes) else {
        return;
    };
    if query.contains("aeeed9bbccd4") {
        return;
    }
    assert!(!accepted(query), "nobody signed {query:?}");
    // Empty parts between ampersands are nothing, to the signature as to every reader.
    let nothing = query.bytes().all(|byte| byte == b'&');
    for joined in [format!("{SIGNED}&{query}"), format!("{query}&{SIGNED}")] {
        assert_eq!(accepted(&joined), nothing, "{query:?}");
    }
});
