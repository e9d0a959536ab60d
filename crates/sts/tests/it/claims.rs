//! Claims that are missing, of another type, or out of time.

use serde_json::{Value, json};

use crate::harness::{ALL, NOT_A_JWT, NOT_VALIDATED, NOW, ROLE, World, ok, text, trust_if};

const TIMESTAMP: &str = "InvalidIdentityToken 400: Invalid timestamp in token claims.";
const SEVERAL: &str =
    "InvalidIdentityToken 400: Token audience contains more than one audience while authorized party is not present";
const EMPTY: &str = "InvalidIdentityToken 400: Claim is not allowed to be empty: aud";

/// A role that everybody with a token of the issuer may have.
fn open() -> (World, crate::issuer::Issuer) {
    let (mut world, issuer) = World::new();
    world.set_trust("app", &trust_if(&issuer, ALL, &json!({})));
    (world, issuer)
}

#[tokio::test]
async fn claims_that_must_be_there() {
    let (world, issuer) = open();
    for claim in ["iss", "sub", "aud", "iat", "exp"] {
        assert_eq!(
            world.says(&issuer.token_with(&json!({ claim: null })), &[]).await,
            format!("InvalidIdentityToken 400: Missing a required claim: {claim}")
        );
    }
    assert_eq!(world.says(&issuer.token_with(&json!({ "nbf": null })), &[]).await, "ok");
    // Nothing is believed of a token without an issuer, so the first missing claim is named without a key.
    assert_eq!(
        world.says(&issuer.sign(&json!({})), &[]).await,
        "InvalidIdentityToken 400: Missing a required claim: iss"
    );
}

#[tokio::test]
async fn adv_wt_43_audiences() {
    let (world, issuer) = open();
    for (audience, expected) in [
        (json!("sts.amazonaws.com"), "ok"),
        (json!(["sts.amazonaws.com"]), "ok"),
        (json!(["sts.amazonaws.com", "other"]), SEVERAL),
        (json!(["other", "sts.amazonaws.com"]), SEVERAL),
        (json!(["sts.amazonaws.com", "sts.amazonaws.com"]), SEVERAL),
        (json!(["one", "other"]), SEVERAL),
        (json!([]), EMPTY),
        (json!(""), EMPTY),
        (json!([""]), EMPTY),
        (json!("other"), NOT_VALIDATED),
        (json!(["other"]), NOT_VALIDATED),
        (json!(7), NOT_VALIDATED),
        (json!({ "sts.amazonaws.com": 1 }), NOT_VALIDATED),
        (json!(["sts.amazonaws.com", 7]), NOT_VALIDATED),
        (json!(true), NOT_VALIDATED),
    ] {
        let token = issuer.token_with(&json!({ "aud": audience }));
        assert_eq!(world.says(&token, &[]).await, expected, "{audience}");
    }
}

#[tokio::test]
async fn adv_wt_44_audiences_are_compared_byte_for_byte() {
    let (world, issuer) = open();
    for audience in [
        "sts.amazonaws.com,evil",
        "sts.amazonaws.com evil",
        " sts.amazonaws.com",
        "sts.amazonaws.com ",
        "STS.amazonaws.com",
        "sts.amazonaws.com\u{0}",
        "sts.amazonaws.com\u{200b}",
        "sts.amazonaws.com/",
        "https://sts.amazonaws.com",
        "*",
    ] {
        for claims in [json!({ "aud": audience }), json!({ "azp": audience })] {
            assert_eq!(
                world.says(&issuer.token_with(&claims), &[]).await,
                NOT_VALIDATED,
                "{claims}"
            );
        }
    }
}

#[tokio::test]
async fn several_audiences_need_a_party() {
    let (world, issuer) = open();
    let token = issuer.token_with(&json!({ "aud": ["one", "other"], "azp": "sts.amazonaws.com" }));
    let answer = ok(world.exchange(&token, &[]).await);
    assert_eq!(text(&answer, "Audience"), "sts.amazonaws.com");
    let token = issuer.token_with(&json!({ "aud": "", "azp": "sts.amazonaws.com" }));
    assert_eq!(world.says(&token, &[]).await, EMPTY);
    let token = issuer.token_with(&json!({ "azp": "" }));
    assert_eq!(world.says(&token, &[]).await, NOT_VALIDATED);
}

#[tokio::test]
async fn times_have_five_minutes_of_tolerance() {
    let (world, issuer) = open();
    let expired = |expires: i64| {
        format!(
            "ExpiredTokenException 400: Token expired: current date/time {} must be before the expiration date/time {expires}",
            NOW - 300
        )
    };
    let early = |not_before: i64| {
        format!(
            "InvalidIdentityToken 400: Token not yet valid: current date/time {} must be after or equal to the not-before date/time {not_before}",
            NOW + 300
        )
    };
    let future = |issued: i64| format!("InvalidIdentityToken 400: Token issued in the future: {issued}");
    for (claim, seconds, expected) in [
        ("exp", NOW - 299, "ok".to_owned()),
        ("exp", NOW - 300, expired(NOW - 300)),
        ("exp", 0, expired(0)),
        ("exp", -1, expired(-1)),
        ("exp", i64::MAX, "ok".to_owned()),
        ("nbf", NOW + 300, "ok".to_owned()),
        ("nbf", NOW + 301, early(NOW + 301)),
        ("nbf", i64::MAX, early(i64::MAX)),
        ("nbf", i64::MIN, "ok".to_owned()),
        ("iat", NOW + 300, "ok".to_owned()),
        ("iat", NOW + 301, future(NOW + 301)),
        ("iat", i64::MIN, "ok".to_owned()),
    ] {
        let token = issuer.token_with(&json!({ claim: seconds }));
        assert_eq!(world.says(&token, &[]).await, expected, "{claim} {seconds}");
    }
}

#[tokio::test]
async fn times_are_whole_numbers() {
    let (world, issuer) = open();
    for claim in ["exp", "nbf", "iat"] {
        for value in [
            "1.5",
            "1e9",
            "\"1789000000\"",
            "\"soon\"",
            "null",
            "[1]",
            "true",
            "99999999999999999999",
        ] {
            let mut claims = issuer.claims();
            claims.as_object_mut().unwrap().remove(claim);
            let payload = claims.to_string().replacen('{', &format!("{{\"{claim}\":{value},"), 1);
            let header = json!({ "alg": "ES256", "kid": issuer.key_id });
            let said = world.says(&issuer.sign_as(&header, &payload), &[]).await;
            assert_eq!(said, TIMESTAMP, "{claim} {value}");
        }
    }
}

#[tokio::test]
async fn subjects_come_back_as_they_are() {
    let (world, issuer) = open();
    let long = "s".repeat(300);
    for (subject, shown) in [
        (json!("a"), "a"),
        (json!(""), ""),
        (json!(123), "123"),
        (json!(long), long.as_str()),
        (json!("<b>&\"x\""), "&lt;b&gt;&amp;&quot;x&quot;"),
    ] {
        let answer = ok(world
            .exchange(&issuer.token_with(&json!({ "sub": subject })), &[])
            .await);
        assert_eq!(text(&answer, "SubjectFromWebIdentityToken"), shown);
    }
    for subject in [json!(1.5), json!(true), json!(["a"]), json!({})] {
        let said = world.says(&issuer.token_with(&json!({ "sub": subject })), &[]).await;
        assert_eq!(said, NOT_VALIDATED, "{subject}");
    }
    let mut claims = issuer.claims();
    claims["sub"] = Value::Null;
    assert_eq!(
        world.says(&issuer.sign(&claims), &[]).await,
        "InvalidIdentityToken 400: Missing a required claim: sub"
    );
}

#[tokio::test]
async fn texts_that_are_no_token() {
    let (world, issuer) = open();
    let token = issuer.token();
    let mut claims = issuer.claims().to_string();
    claims.insert_str(1, "\"sub\":\"x\",");
    let header = json!({ "alg": "ES256", "kid": issuer.key_id });
    let critical = json!({ "alg": "ES256", "kid": issuer.key_id, "crit": ["x"], "x": 1 });
    for text in [
        "ya29.access-token",
        "a.b.c.d.e",
        "....",
        &token[1..],
        &format!("{token}\n\n"),
        &format!("{token}="),
        &issuer.sign_as(&header, &claims),
        &issuer.sign_as(&header, "[]"),
        &issuer.sign_as(&critical, &issuer.claims().to_string()),
    ] {
        assert_eq!(world.says(text, &[]).await, NOT_A_JWT, "{text}");
    }
}

#[tokio::test]
async fn the_claim_of_kubernetes_agrees_with_the_subject() {
    let (world, issuer) = open();
    let claim = |namespace: &str, name: &str| json!({ "kubernetes.io": { "namespace": namespace, "serviceaccount": { "name": name, "uid": "1" } } });
    for (claims, expected) in [
        (claim("default", "app"), "ok"),
        (claim("default", "other"), NOT_VALIDATED),
        (claim("kube-system", "app"), NOT_VALIDATED),
    ] {
        assert_eq!(world.says(&issuer.token_with(&claims), &[]).await, expected, "{claims}");
    }
}

#[tokio::test]
async fn the_roles_claim() {
    let (world, issuer) = open();
    let other = "arn:aws:iam::111122223333:role/other";
    let none = "InvalidIdentityToken 400: The roles claim contains no valid role ARNs";
    let elsewhere =
        "InvalidIdentityToken 400: The target role ARN is not present in the roles claim of the identity token";
    let format = "InvalidIdentityToken 400: The roles claim is not in a supported format";
    for (claim, expected) in [
        (json!([ROLE]), "ok"),
        (json!([other, ROLE]), "ok"),
        (json!(ROLE), "ok"),
        (json!(format!("{other};{ROLE}")), "ok"),
        (json!(format!(";{ROLE}")), "ok"),
        (json!([7, ROLE]), "ok"),
        (json!(["not an arn", ROLE]), "ok"),
        (json!([ROLE, ROLE]), "ok"),
        (json!([other]), elsewhere),
        (json!(format!("{ROLE}2")), elsewhere),
        (json!("arn:aws:iam::444455556666:role/app"), elsewhere),
        (json!("arn:aws:iam::111122223333:role/*"), elsewhere),
        (json!([]), none),
        (json!(""), none),
        (json!(";;"), none),
        (json!([[ROLE]]), none),
        (json!(ROLE.to_uppercase()), none),
        (json!(["arn:aws:iam::111122223333:user/app"]), none),
        (json!(7), format),
        (json!({ "a": ROLE }), format),
        (json!(true), format),
    ] {
        let token = issuer.token_with(&json!({ "https://aws.amazon.com/roles": claim }));
        assert_eq!(world.says(&token, &[]).await, expected, "{claim}");
    }
    // Null is like absent.
    let mut claims = issuer.claims();
    claims["https://aws.amazon.com/roles"] = Value::Null;
    assert_eq!(world.says(&issuer.sign(&claims), &[]).await, "ok");
}
