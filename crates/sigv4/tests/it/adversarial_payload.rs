//! The attacks by what is declared about the body.

use aws_sigv4::http_request::SignableBody;
use irsa_sigv4::{BodyRule, Payload, Rules, SigV4Error};

use crate::support::{
    DATE, EMPTY, FORM, KEY_ID, Request, Signer, error_of, now, presigned_s3, sha256, signed_sts, sts, sts_call,
};

const PAYLOADS: [&str; 6] = [
    "UNSIGNED-PAYLOAD",
    "STREAMING-AWS4-HMAC-SHA256-PAYLOAD",
    "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER",
    "STREAMING-UNSIGNED-PAYLOAD-TRAILER",
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "",
];

/// A request with every part in place and a signature that nobody made.
fn fabricated(service: &str, in_query: bool, payload: &str) -> Request {
    let signature = "0123456789abcdef".repeat(4);
    let credential = format!("{KEY_ID}/20260102/us-east-1/{service}/aws4_request");
    let mut request = Request::new("PUT", "/bucket/key", &[("host", "example.com")]);
    let mut signed_headers = "host".to_owned();
    if !payload.is_empty() {
        request.add("x-amz-content-sha256", payload);
        signed_headers += ";x-amz-content-sha256";
    }
    if in_query {
        request.query = format!(
            "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential={}&X-Amz-Date={DATE}&X-Amz-Expires=60\
             &X-Amz-SignedHeaders={signed_headers}&X-Amz-Signature={signature}",
            credential.replace('/', "%2F")
        );
    } else {
        request.add("x-amz-date", DATE);
        request.add(
            "authorization",
            &format!(
                "AWS4-HMAC-SHA256 Credential={credential}, SignedHeaders={signed_headers};x-amz-date, \
                 Signature={signature}"
            ),
        );
    }
    request
}

/// All of what a request can say about itself, under a signature that nobody made.
fn no_fabrication_passes(in_query: bool, payloads: &[&str]) {
    for service in ["s3", "sts"] {
        for body in [BodyRule::Declared, BodyRule::Hashed] {
            for payload in payloads {
                for body_sha256 in [None, Some(EMPTY)] {
                    let mut request = fabricated(service, in_query, payload);
                    request.body_sha256 = body_sha256;
                    let rules = Rules {
                        body,
                        ..Rules::service(service)
                    };
                    let error = request.check(&rules).expect_err("a signature that nobody made");
                    let allowed = match error {
                        SigV4Error::SignatureMismatch => true,
                        SigV4Error::PayloadNotAllowed => body == BodyRule::Hashed,
                        SigV4Error::BodyNotHashed => body == BodyRule::Hashed && body_sha256.is_none(),
                        SigV4Error::ContentSha256Missing => body == BodyRule::Declared && payload.is_empty(),
                        _ => false,
                    };
                    assert!(allowed, "{service} {body:?} {in_query} {payload} {error:?}");
                }
            }
        }
    }
}

#[test]
fn adv_sv_06_a_fabricated_signature_passes_with_no_payload_word() {
    no_fabrication_passes(false, &PAYLOADS);
}

#[test]
fn adv_sv_07_a_fabricated_signature_in_the_query_passes_with_no_payload_word() {
    no_fabrication_passes(true, &PAYLOADS);
}

/// The other direction: each word is taken where it belongs, and only with its own decoder. The matches over `Payload`, `BodyRule` and
/// `Location` in the crate have no arm for "everything else", so that a new kind of body stops the compiler.
#[test]
fn adv_sv_08_each_kind_of_payload_is_verified_as_what_it_is() {
    for (word, payload) in [
        (PAYLOADS[0], Payload::Unsigned),
        (PAYLOADS[1], Payload::StreamingSigned),
        (PAYLOADS[2], Payload::StreamingSignedTrailer),
        (PAYLOADS[3], Payload::StreamingUnsignedTrailer),
    ] {
        let chunked = payload != Payload::Unsigned;
        for signer in [Signer::new("s3"), Signer::new("s3").presigning(60)] {
            let request = Request::new(
                "PUT",
                "/bucket/key",
                &[
                    ("host", "example.com"),
                    ("x-amz-content-sha256", word),
                    ("x-amz-decoded-content-length", "4"),
                ],
            );
            let mut signed = signer.sign(&request, SignableBody::Precomputed(word.to_owned()));
            signed.body_sha256 = None;
            let verified = signed
                .verified(now(), &Rules::s3())
                .unwrap_or_else(|error| panic!("{word}: {error}"));
            assert_eq!(verified.payload(), payload, "{word}");
            let decoder = verified
                .chunk_decoder(&signed.headers)
                .unwrap_or_else(|error| panic!("{word}: {error}"));
            assert_eq!(decoder.is_some(), chunked, "{word}");
            // No other service takes it, whoever signed it.
            let mut elsewhere = Signer::new("sts").sign(&request, SignableBody::Precomputed(word.to_owned()));
            elsewhere.body_sha256 = Some(EMPTY);
            assert_eq!(elsewhere.check(&sts()), Err(SigV4Error::PayloadNotAllowed), "{word}");
        }
    }
}

#[test]
fn adv_sv_09_a_presigned_request_cannot_be_given_another_payload() {
    for payload in PAYLOADS.into_iter().filter(|payload| !payload.is_empty()) {
        assert_eq!(
            error_of(&presigned_s3(60).with("x-amz-content-sha256", payload)),
            SigV4Error::UnsignedHeaders {
                names: vec!["x-amz-content-sha256".to_owned()]
            }
        );
        let mut added = presigned_s3(60);
        added.query += &format!("&X-Amz-Content-Sha256={payload}");
        assert_eq!(
            added.check(&Rules::s3()),
            Err(SigV4Error::SignatureMismatch),
            "{payload}"
        );
    }
}

#[test]
fn adv_sv_19_the_body_is_the_one_that_was_signed() {
    let mut other = signed_sts();
    other.body_sha256 = Some(sha256(b"Action=CreateUser"));
    assert_eq!(other.check(&sts()), Err(SigV4Error::SignatureMismatch));
    other.body_sha256 = None;
    assert_eq!(other.check(&sts()), Err(SigV4Error::BodyNotHashed));

    // With the hash declared, as most SDKs do, the two are told apart.
    let mut declared = Signer::new("s3").sign(&sts_call(), SignableBody::Bytes(FORM));
    assert_eq!(declared.check(&Rules::s3()), Ok(()));
    declared.body_sha256 = Some(sha256(b"Action=CreateUser"));
    assert_eq!(
        declared.check(&Rules::s3()),
        Err(SigV4Error::PayloadMismatch {
            declared: sha256(FORM),
            computed: sha256(b"Action=CreateUser")
        })
    );
    // Without the body, the caller is told what to compare.
    declared.body_sha256 = None;
    let verified = declared
        .verified(now(), &Rules::s3())
        .unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(verified.payload(), Payload::Sha256(sha256(FORM)));
}

#[test]
fn adv_sv_19_payloads_that_a_service_does_not_take() {
    let payload = |word| {
        let request = sts_call().with("x-amz-content-sha256", word);
        Signer::new("sts").sign(&request, SignableBody::Precomputed(word.to_owned()))
    };
    for word in PAYLOADS.into_iter().filter(|word| word.contains("PAYLOAD")) {
        assert_eq!(
            payload(word).check(&sts()),
            Err(SigV4Error::PayloadNotAllowed),
            "{word}"
        );
    }
    for word in [
        "unsigned-payload",
        "STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD",
        "",
        "abc",
    ] {
        assert_eq!(
            error_of(&payload(word)),
            SigV4Error::MalformedContentSha256 { found: word.to_owned() }
        );
    }
    let upper = hex::encode_upper(sha256(FORM));
    assert_eq!(
        error_of(&payload(&upper)),
        SigV4Error::MalformedContentSha256 { found: upper }
    );
    // S3 wants to be told.
    let mut silent = signed_sts().authorized_with("/sts/", "/s3/");
    silent.body_sha256 = None;
    assert_eq!(silent.check(&Rules::s3()), Err(SigV4Error::ContentSha256Missing));
}
