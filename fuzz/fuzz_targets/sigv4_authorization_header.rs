//! Any `Authorization` header, beside honest headers: never a panic, and never accepted, since nobody who writes it has the secret.
#![no_main]

use http::{HeaderMap, HeaderValue};
use irsa_core::Timestamp;
use irsa_sigv4::{RequestHead, Rules, presented};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Ok(authorization) = HeaderValue::from_bytes(bytes) else {
        return;
    };
    let mut headers = HeaderMap::new();
    for (name, value) in [
        ("host", "s3.example.com"),
        ("x-amz-date", "20260102T030405Z"),
        ("x-amz-content-sha256", "UNSIGNED-PAYLOAD"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers.insert("authorization", authorization);
    let head = RequestHead {
        method: "GET",
        path: "/bucket/key",
        query: "list-type=2",
        headers: &headers,
    };
    match presented(&head) {
        // What is there is a claim; it may be refused, and never overlooked.
        Ok(None) => panic!("a header that is there was not seen"),
        Ok(Some(presented)) => {
            assert_eq!(presented.timestamp(), Timestamp::from_unix_seconds(1_767_323_045));
            assert!(!presented.access_key_id().is_empty() && !presented.access_key_id().contains('/'));
            for rules in [Rules::s3(), Rules::service("sts")] {
                let verified = presented.verify(
                    b"a secret that no input holds",
                    Some([0; 32]),
                    presented.timestamp(),
                    &rules,
                );
                assert!(verified.is_err());
            }
        }
        Err(error) => assert!(error.to_string().len() < 4096),
    }
});
