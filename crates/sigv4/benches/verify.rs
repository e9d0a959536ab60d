//! What one verification costs: canonical request, hashes, comparison, with and without deriving the signing key.

use http::{HeaderMap, HeaderName, HeaderValue};
use irsa_sigv4::{RequestHead, Rules, SigningKey, presented};

const SECRET: &[u8] = b"wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";

fn main() {
    divan::main();
}

/// A GetObject with a session token of 700 characters, as an SDK sends it. The signature is wrong, which costs the same.
fn headers() -> HeaderMap {
    let token = "t".repeat(700);
    let signature = "0".repeat(64);
    [
        ("host", "s3.us-east-1.amazonaws.com"),
        ("user-agent", "aws-sdk-rust/1.3 os/linux lang/rust/1.95"),
        ("accept", "*/*"),
        ("amz-sdk-invocation-id", "c2b7d0f0-3a0a-4d7c-8d8c-0b9f1c1c1c1c"),
        ("amz-sdk-request", "attempt=1; max=3"),
        ("x-amz-checksum-mode", "ENABLED"),
        (
            "x-amz-content-sha256",
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        ),
        ("x-amz-date", "20260102T030405Z"),
        ("x-amz-security-token", &token),
        (
            "authorization",
            &format!(
                "AWS4-HMAC-SHA256 Credential=ASIAEXAMPLE123456789/20260102/us-east-1/s3/aws4_request, SignedHeaders=\
                 accept;amz-sdk-invocation-id;amz-sdk-request;host;x-amz-checksum-mode;x-amz-content-sha256;x-amz-date;\
                 x-amz-security-token, Signature={signature}"
            ),
        ),
    ]
    .into_iter()
    .map(|(name, value)| {
        (
            HeaderName::from_bytes(name.as_bytes()).unwrap(),
            HeaderValue::from_str(value).unwrap(),
        )
    })
    .collect()
}

fn head(headers: &HeaderMap) -> RequestHead<'_> {
    RequestHead {
        method: "GET",
        path: "/bucket/some/object/key.txt",
        query: "x-id=GetObject",
        headers,
    }
}

#[divan::bench]
fn present(bencher: divan::Bencher<'_, '_>) {
    let headers = headers();
    let head = head(&headers);
    bencher.bench_local(|| presented(&head).is_ok());
}

#[divan::bench]
fn present_and_verify(bencher: divan::Bencher<'_, '_>) {
    let headers = headers();
    let head = head(&headers);
    let rules = Rules::s3();
    let now = presented(&head).unwrap().unwrap().timestamp();
    bencher.bench_local(|| {
        presented(&head)
            .unwrap()
            .unwrap()
            .verify(SECRET, None, now, &rules)
            .is_ok()
    });
}

/// Row SV-28 of the attacks in numbers: a guess that is wrong in its first digit costs what one costs that is wrong in its last. What the medians
/// differ by is noise. (That there is no other comparison is a matter of types: signatures have no `==`.)
#[divan::bench(args = ["first", "middle", "last"], sample_count = 2000)]
fn adv_sv_28_a_wrong_digit(bencher: divan::Bencher<'_, '_>, place: &str) {
    let scope = "20260102/us-east-1/s3/aws4_request";
    let at = irsa_core::Timestamp::parse_iso8601("2026-01-02T03:04:05Z").unwrap();
    let mut headers = headers();
    headers.remove("authorization");
    let input = irsa_sigv4::SigningInput {
        access_key_id: "ASIAEXAMPLE123456789",
        secret: SECRET,
        region: "us-east-1",
        service: "s3",
        now: at,
        path: irsa_sigv4::PathStyle::Verbatim,
        payload: irsa_sigv4::Payload::Sha256(std::array::from_fn(|index| {
            let empty = headers["x-amz-content-sha256"].to_str().unwrap();
            u8::from_str_radix(&empty[index * 2..index * 2 + 2], 16).unwrap()
        })),
    };
    let right = irsa_sigv4::authorization(&head(&headers), &input).unwrap();
    assert!(right.contains(scope));
    let start = right.len() - 64;
    let digit = start
        + [("first", 0), ("middle", 31), ("last", 63)]
            .into_iter()
            .find(|(name, _)| *name == place)
            .unwrap()
            .1;
    let mut wrong = right.clone();
    let other = if &right[digit..=digit] == "0" { "1" } else { "0" };
    wrong.replace_range(digit..=digit, other);
    let rules = Rules::s3();
    let key = {
        headers.insert("authorization", right.parse().unwrap());
        let head = head(&headers);
        let presentation = presented(&head).unwrap().unwrap();
        assert!(presentation.verify(SECRET, None, at, &rules).is_ok());
        SigningKey::derive(SECRET, &presentation.scope())
    };
    headers.insert("authorization", wrong.parse().unwrap());
    let head = head(&headers);
    let presentation = presented(&head).unwrap().unwrap();
    bencher.bench_local(|| presentation.verify_with(&key, None, at, &rules).is_err());
}

#[divan::bench]
fn present_and_verify_with_a_cached_key(bencher: divan::Bencher<'_, '_>) {
    let headers = headers();
    let head = head(&headers);
    let rules = Rules::s3();
    let presentation = presented(&head).unwrap().unwrap();
    let now = presentation.timestamp();
    let key = SigningKey::derive(SECRET, &presentation.scope());
    bencher.bench_local(|| {
        presented(&head)
            .unwrap()
            .unwrap()
            .verify_with(&key, None, now, &rules)
            .is_ok()
    });
}
