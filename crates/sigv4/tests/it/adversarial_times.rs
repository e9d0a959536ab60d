//! The attacks by time: dates, skew, expiry.

use aws_sigv4::http_request::SignableBody;
use irsa_core::Timestamp;
use irsa_sigv4::{ExpiresFault, Rules, SigV4Error, presented};
use proptest::prelude::*;

use crate::support::{AT, DATE, Request, Signer, error_of, now, presigned_s3, signed_sts, sts};

#[test]
fn adv_sv_12_expires_is_a_number_of_seconds_up_to_a_week() {
    let presigned = presigned_s3(60);
    for (value, fault) in [
        ("0", ExpiresFault::Zero),
        ("000", ExpiresFault::Zero),
        ("-0", ExpiresFault::Zero),
        ("-1", ExpiresFault::Negative),
        ("604801", ExpiresFault::TooLong),
        ("9223372036854775808", ExpiresFault::TooLong),
        ("340282366920938463463374607431768211456", ExpiresFault::TooLong),
        ("", ExpiresFault::NotANumber),
        ("-", ExpiresFault::NotANumber),
        ("--1", ExpiresFault::NotANumber),
        ("1e3", ExpiresFault::NotANumber),
        ("10abc", ExpiresFault::NotANumber),
        ("1.0", ExpiresFault::NotANumber),
        ("%2B60", ExpiresFault::NotANumber),
        ("+60", ExpiresFault::NotANumber),
        ("0x10", ExpiresFault::NotANumber),
        ("%D9%A1", ExpiresFault::NotANumber),
    ] {
        let error = error_of(&presigned.queried_with("X-Amz-Expires=60", &format!("X-Amz-Expires={value}")));
        assert!(
            matches!(error, SigV4Error::MalformedExpires { fault: found, .. } if found == fault),
            "{value}: {error:?}"
        );
    }
    assert_eq!(presigned_s3(604_800).check(&Rules::s3()), Ok(()));
    assert_eq!(presigned_s3(1).check(&Rules::s3()), Ok(()));
}

#[test]
fn adv_sv_13_clock_skew_has_exact_edges() {
    let at = |offset_millis: i64| Timestamp::from_unix_millis(AT * 1000 + offset_millis);
    let signed = signed_sts();
    for inside in [-900_000, -1, 0, 1, 900_000] {
        assert!(signed.verified(at(inside), &sts()).is_ok(), "{inside}");
    }
    assert_eq!(
        signed.verified(at(900_001), &sts()).err(),
        Some(SigV4Error::TooOld {
            signed_at: now(),
            now: at(900_001),
            max_skew_seconds: 900
        })
    );
    assert_eq!(
        signed.verified(at(-900_001), &sts()).err(),
        Some(SigV4Error::NotYetCurrent {
            signed_at: now(),
            now: at(-900_001),
            max_skew_seconds: 900
        })
    );
}

#[test]
fn adv_sv_13_presigned_requests_have_exact_edges() {
    let at = |offset_millis: i64| Timestamp::from_unix_millis(AT * 1000 + offset_millis);
    let presigned = presigned_s3(3600);
    for inside in [-900_000, 0, 900_001, 3_600_000] {
        assert!(presigned.verified(at(inside), &Rules::s3()).is_ok(), "{inside}");
    }
    assert!(matches!(
        presigned.verified(at(-900_001), &Rules::s3()).err(),
        Some(SigV4Error::NotYetCurrent { .. })
    ));
    assert_eq!(
        presigned.verified(at(3_601_000), &Rules::s3()).err(),
        Some(SigV4Error::Expired {
            signed_at: now(),
            expires_seconds: 3600,
            expires_at: now().plus_seconds(3600),
            now: at(3_601_000)
        })
    );
    let error = presigned.verified(at(3_600_001), &Rules::s3()).err().unwrap();
    assert_eq!(
        error.to_string(),
        "the presigned request expired at 20260102T040405Z, and now is 20260102T040405Z"
    );
}

#[test]
fn times_far_outside_of_any_calendar_are_no_problem() {
    for extreme in [i64::MIN, i64::MAX] {
        let extreme = Timestamp::from_unix_millis(extreme);
        assert!(signed_sts().verified(extreme, &sts()).is_err());
        assert!(presigned_s3(604_800).verified(extreme, &Rules::s3()).is_err());
    }
}

#[test]
fn adv_sv_31_a_presigned_identity_proof_lives_fifteen_minutes_at_most() {
    let call = Request::new(
        "GET",
        "/?Action=GetCallerIdentity&Version=2011-06-15",
        &[("host", "sts.us-east-1.amazonaws.com"), ("x-k8s-aws-id", "cluster-one")],
    );
    let proof = Signer::new("sts")
        .presigning(604_800)
        .sign(&call, SignableBody::Bytes(b""));
    assert!(proof.verified(now().plus_seconds(900), &sts()).is_ok());
    assert!(matches!(
        proof.verified(now().plus_seconds(901), &sts()).err(),
        Some(SigV4Error::Expired {
            expires_seconds: 604_800,
            ..
        })
    ));
    let mut elsewhere = proof.clone();
    elsewhere.set("x-k8s-aws-id", "cluster-two");
    assert_eq!(elsewhere.check(&sts()), Err(SigV4Error::SignatureMismatch));
    let none = Rules {
        presigned: false,
        ..sts()
    };
    assert_eq!(proof.check(&none), Err(SigV4Error::PresignedNotAllowed));
}

#[test]
fn dates_are_read_strictly() {
    for date in [
        "20260102T030405",
        "2026-01-02T03:04:05Z",
        "20260102T030405z",
        "20260132T030405Z",
        "",
        "now",
        "20260102T030405Z,20260102T030405Z",
    ] {
        let mut request = signed_sts();
        request.set("x-amz-date", date);
        assert_eq!(error_of(&request), SigV4Error::MalformedDate { found: date.to_owned() });
    }
    let two = signed_sts().with("x-amz-date", DATE);
    assert_eq!(error_of(&two), SigV4Error::DuplicateHeader { name: "x-amz-date" });
}

proptest! {
    /// However far apart the clocks are, the answer follows the distance alone.
    #[test]
    fn adv_sv_13_skew_by_distance(offset in -2_000_000_i64..2_000_000) {
        let at = Timestamp::from_unix_millis(AT * 1000 + offset);
        prop_assert_eq!(signed_sts().verified(at, &sts()).is_ok(), offset.abs() <= 900_000);
    }

    #[test]
    fn adv_sv_12_any_expiry(text in "[0-9a-z.+-]{0,22}") {
        let request = presigned_s3(60).queried_with("X-Amz-Expires=60", &format!("X-Amz-Expires={text}"));
        let canonical = text.bytes().all(|byte| byte.is_ascii_digit()) && !text.is_empty();
        let valid = canonical && text.parse::<u128>().is_ok_and(|seconds| (1..=604_800).contains(&seconds));
        prop_assert_eq!(presented(&request.head()).is_ok(), valid);
    }
}
