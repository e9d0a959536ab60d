//! Attacks with claims.

use irsa_core::Timestamp;
use irsa_token::{TokenError, WebIdentityToken};
use serde_json::json;

use crate::support::{NOW, check, claims, claims_with, compact, forge_payload};

#[test]
fn adv_wt_34_expiry_missing_or_of_another_type() {
    let mut none = claims();
    none.as_object_mut().unwrap().remove("exp");
    assert_eq!(
        check(&forge_payload(none.to_string())),
        Err(TokenError::MissingClaim { claim: "exp" })
    );
    for value in ["\"never\"", "true", "null", "[1900000000]", "{}", "\"\""] {
        let expected = Err(TokenError::InvalidTimestamp { claim: "exp" });
        assert_eq!(check(&forge_payload(claims_with("exp", value))), expected, "{value}");
    }
}

/// Stricter than STS, which takes integers in quotes.
#[test]
fn adv_wt_35_times_of_another_type_are_not_absent() {
    for claim in ["exp", "nbf", "iat"] {
        for value in [
            "\"1799999000\"",
            "\"x\"",
            "null",
            "false",
            "[]",
            "{}",
            "1799999000.5",
            "1799999000.0",
            "1.7e9",
        ] {
            let expected = Err(TokenError::InvalidTimestamp { claim });
            assert_eq!(
                check(&forge_payload(claims_with(claim, value))),
                expected,
                "{claim} {value}"
            );
        }
    }
}

#[test]
fn adv_wt_36_extreme_times() {
    let exp = |value: &str| check(&forge_payload(claims_with("exp", value)));
    for value in ["0", "-1", "-9223372036854775808"] {
        assert!(matches!(exp(value), Err(TokenError::Expired { .. })), "{value}");
    }
    for value in ["9007199254740992", "9223372036854775807"] {
        assert_eq!(exp(value), Ok(()), "{value}");
    }
    for value in [
        "9223372036854775808",
        "18446744073709551615",
        "18446744073709551616",
        "-9223372036854775809",
        "-0.0",
        "-0",
        "1e10",
    ] {
        assert_eq!(
            exp(value),
            Err(TokenError::InvalidTimestamp { claim: "exp" }),
            "{value}"
        );
    }
    let iat = |value: &str| check(&forge_payload(claims_with("iat", value)));
    assert_eq!(iat("-9223372036854775808"), Ok(()));
    assert_eq!(
        iat("9223372036854775807"),
        Err(TokenError::IssuedInFuture { issued_at: i64::MAX })
    );
    // And an extreme clock.
    let token = forge_payload(claims().to_string());
    let token = WebIdentityToken::parse(&token).unwrap();
    for now in [i64::MIN, i64::MIN + 1, i64::MAX] {
        assert!(token.check_times(Timestamp::from_unix_millis(now)).is_err());
    }
}

fn at(exp: i64, nbf: i64, iat: i64, now_millis: i64) -> Result<(), TokenError> {
    let mut claims = claims();
    (claims["exp"], claims["nbf"], claims["iat"]) = (exp.into(), nbf.into(), iat.into());
    let text = compact("{\"alg\":\"RS256\"}", claims.to_string(), "");
    WebIdentityToken::parse(&text)
        .unwrap()
        .check_times(Timestamp::from_unix_millis(now_millis))
}

#[test]
fn adv_wt_37_expiry_has_an_exact_boundary() {
    for offset in -310..=310 {
        let now = NOW + offset;
        let expected = if offset < 300 {
            Ok(())
        } else {
            Err(TokenError::Expired {
                current: now - 300,
                expires: NOW,
            })
        };
        assert_eq!(at(NOW, NOW - 900, NOW - 900, now * 1000), expected, "{offset}");
    }
    assert_eq!(at(NOW, NOW - 900, NOW - 900, (NOW + 299) * 1000 + 999), Ok(()));
}

#[test]
fn adv_wt_38_tokens_from_the_future() {
    let end = NOW + 9_000;
    for offset in 290..=310 {
        let future = NOW + offset;
        let (early, issued) = if offset <= 300 {
            (Ok(()), Ok(()))
        } else {
            (
                Err(TokenError::NotYetValid {
                    current: NOW + 300,
                    not_before: future,
                }),
                Err(TokenError::IssuedInFuture { issued_at: future }),
            )
        };
        assert_eq!(at(end, future, NOW, NOW * 1000), early, "{offset}");
        assert_eq!(at(end, NOW, future, NOW * 1000), issued, "{offset}");
    }
}

#[test]
fn adv_wt_39_tokens_of_a_year() {
    const DAY: i64 = 86_400;
    let lifetime = |seconds: i64| {
        let text = forge_payload(claims_with("exp", &(NOW - 60 + seconds).to_string()));
        WebIdentityToken::parse(&text).unwrap().claims().check_lifetime(DAY)
    };
    assert_eq!(lifetime(DAY), Ok(()));
    assert_eq!(
        lifetime(DAY + 1),
        Err(TokenError::LifetimeTooLong {
            seconds: DAY + 1,
            limit: DAY
        })
    );
    assert_eq!(
        lifetime(365 * DAY),
        Err(TokenError::LifetimeTooLong {
            seconds: 365 * DAY,
            limit: DAY
        })
    );
}

#[test]
fn adv_wt_40_50_text_claims_keep_every_byte() {
    for text in [
        "https://issuer.example/id/A/",
        "HTTPS://issuer.example",
        "https://good@evil.example",
        "https://issuer.example:443",
        "",
        " ",
        "system:serviceaccount:*:?",
        "${aws:username}",
        "e\u{301}",
        "\u{e9}",
        "a\u{200b}b",
        "trailing\0",
        "trailing ",
        "A",
        "a",
    ] {
        for claim in ["iss", "sub", "azp"] {
            let token = forge_payload(claims_with(claim, &json!(text).to_string()));
            let token = WebIdentityToken::parse(&token).unwrap();
            let claims = token.claims();
            let read = match claim {
                "iss" => &claims.issuer,
                "sub" => &claims.subject,
                _ => &claims.authorized_party,
            };
            assert_eq!(read.as_deref(), Some(text));
        }
    }
    let long = "s".repeat(2_000);
    let token = forge_payload(claims_with("sub", &json!(long).to_string()));
    assert_eq!(
        WebIdentityToken::parse(&token).unwrap().claims().subject.as_deref(),
        Some(long.as_str())
    );
}

#[test]
fn adv_wt_43_44_47_audiences() {
    let client = |aud: &str, azp: Option<&str>| {
        let mut payload = claims_with("aud", aud);
        if let Some(azp) = azp {
            payload = payload.replacen('{', &format!("{{\"azp\":{azp},"), 1);
        }
        let token = forge_payload(payload);
        WebIdentityToken::parse(&token).and_then(|token| token.claims().client_id().map(str::to_owned))
    };
    assert_eq!(client("\"a\"", None).as_deref(), Ok("a"));
    assert_eq!(client("[\"a\"]", None).as_deref(), Ok("a"));
    assert_eq!(
        client("\"sts.amazonaws.com,evil\"", None).as_deref(),
        Ok("sts.amazonaws.com,evil")
    );
    assert_eq!(
        client("\" sts.amazonaws.com\"", None).as_deref(),
        Ok(" sts.amazonaws.com")
    );
    assert_eq!(
        client("\"STS.amazonaws.com\"", None).as_deref(),
        Ok("STS.amazonaws.com")
    );
    for several in ["[\"a\",\"b\"]", "[\"b\",\"a\"]", "[\"a\",\"a\"]"] {
        assert_eq!(client(several, None), Err(TokenError::SeveralAudiences), "{several}");
        assert_eq!(client(several, Some("\"c\"")).as_deref(), Ok("c"), "{several}");
    }
    assert_eq!(client("\"a\"", Some("\"c\"")).as_deref(), Ok("c"));
    for empty in ["\"\"", "[]", "[\"\"]"] {
        assert_eq!(client(empty, None), Err(TokenError::EmptyAudience), "{empty}");
    }
    for wrong in ["1", "null", "{}", "true", "[1]", "[\"a\",null]", "[[\"a\"]]"] {
        assert_eq!(
            client(wrong, None),
            Err(TokenError::WrongType { claim: "aud" }),
            "{wrong}"
        );
    }
    assert_eq!(
        client("\"a\"", Some("[\"c\"]")),
        Err(TokenError::WrongType { claim: "azp" })
    );
    assert_eq!(
        client("\"a\"", Some("null")),
        Err(TokenError::WrongType { claim: "azp" })
    );
}

#[test]
fn adv_wt_51_kubernetes_claim_names_another_subject() {
    let subject = |claim: &str| {
        let token = forge_payload(claims_with("kubernetes.io", claim));
        WebIdentityToken::parse(&token)
            .unwrap()
            .claims()
            .check_kubernetes_subject()
    };
    assert_eq!(
        subject(r#"{"namespace":"shop","serviceaccount":{"name":"web","uid":"u"}}"#),
        Ok(())
    );
    for claim in [
        r#"{"namespace":"other","serviceaccount":{"name":"web"}}"#,
        r#"{"namespace":"shop","serviceaccount":{"name":"other"}}"#,
        r#"{"namespace":"shop:web","serviceaccount":{"name":""}}"#,
    ] {
        assert_eq!(subject(claim), Err(TokenError::SubjectMismatch), "{claim}");
    }
    let token = forge_payload(claims().to_string());
    assert_eq!(
        WebIdentityToken::parse(&token)
            .unwrap()
            .claims()
            .check_kubernetes_subject(),
        Ok(())
    );
}

#[test]
fn adv_wt_53_legacy_secret_token() {
    let legacy = json!({
        "iss": "kubernetes/serviceaccount",
        "kubernetes.io/serviceaccount/namespace": "shop",
        "kubernetes.io/serviceaccount/secret.name": "web-token-abcde",
        "sub": "system:serviceaccount:shop:web",
    });
    assert_eq!(
        check(&forge_payload(legacy.to_string())),
        Err(TokenError::MissingClaim { claim: "aud" })
    );
}
