use irsa_token::{BoundObject, Claims, KubernetesClaims, SessionTags, TokenError, WebIdentityToken};
use serde_json::json;

use crate::support::{NOW, claims, claims_with, compact};

fn parse(payload: &str) -> Result<Claims, TokenError> {
    let text = compact("{\"alg\":\"RS256\"}", payload, "");
    Ok(WebIdentityToken::parse(&text)?.claims().clone())
}

fn with(claim: &str, json: &str) -> Result<Claims, TokenError> {
    parse(&claims_with(claim, json))
}

#[test]
fn a_projected_token_is_read_whole() {
    let read = parse(
        r#"{"aud":["sts.amazonaws.com"],"exp":1800003600,"iat":1800000000,"iss":"https://issuer.example/id/A","jti":"b6cb",
            "kubernetes.io":{"namespace":"shop","node":{"name":"n1","uid":"n-uid"},"pod":{"name":"web-0","uid":"p-uid"},
            "serviceaccount":{"name":"web","uid":"s-uid"}},"nbf":1800000000,"sub":"system:serviceaccount:shop:web",
            "email":"a@example.com","amr":["mfa","otp"],"azp":"client","job_workflow_ref":"x"}"#,
    )
    .unwrap();
    assert_eq!(read.issuer.as_deref(), Some("https://issuer.example/id/A"));
    assert_eq!(read.subject.as_deref(), Some("system:serviceaccount:shop:web"));
    assert_eq!(
        read.audience.as_deref(),
        Some(["sts.amazonaws.com".to_owned()].as_slice())
    );
    assert_eq!(read.authorized_party.as_deref(), Some("client"));
    assert_eq!(
        (read.expires, read.not_before, read.issued_at),
        (Some(NOW + 3600), Some(NOW), Some(NOW))
    );
    assert_eq!(read.amr, ["mfa", "otp"]);
    assert_eq!(read.email.as_deref(), Some("a@example.com"));
    assert_eq!(read.token_id.as_deref(), Some("b6cb"));
    assert_eq!(
        read.raw.keys().collect::<Vec<_>>(),
        ["kubernetes.io", "job_workflow_ref"]
    );
    assert_eq!(read.missing(), None);
    let object = |name, uid| BoundObject { name, uid: Some(uid) };
    let kubernetes = read.kubernetes().unwrap().unwrap();
    assert_eq!(
        kubernetes,
        KubernetesClaims {
            namespace: "shop",
            service_account: object("web", "s-uid"),
            pod: Some(object("web-0", "p-uid")),
            node: Some(object("n1", "n-uid")),
            secret: None,
        }
    );
    assert_eq!(kubernetes.subject(), "system:serviceaccount:shop:web");
}

#[test]
fn required_claims_are_named_in_order() {
    let mut left = claims();
    for claim in ["exp", "iat", "aud", "sub", "iss"] {
        left.as_object_mut().unwrap().remove(claim);
        assert_eq!(parse(&left.to_string()).unwrap().missing(), Some(claim));
    }
    assert_eq!(parse("{}").unwrap(), Claims::default());
}

/// Recorded: STS takes short, empty, long and numeric subjects.
#[test]
fn subjects() {
    let subject = |json: &str| with("sub", json).map(|claims| claims.subject.unwrap());
    assert_eq!(subject("\"a\"").as_deref(), Ok("a"));
    assert_eq!(subject("\"\"").as_deref(), Ok(""));
    assert_eq!(subject("123").as_deref(), Ok("123"));
    assert_eq!(subject("-7").as_deref(), Ok("-7"));
    assert_eq!(subject("18446744073709551615").as_deref(), Ok("18446744073709551615"));
    assert_eq!(subject("null"), Err(TokenError::NullSubject));
    for json in ["1.5", "18446744073709551616", "true", "[\"a\"]", "{}"] {
        assert_eq!(subject(json), Err(TokenError::WrongType { claim: "sub" }), "{json}");
    }
    for json in ["null", "1", "[\"https://issuer.example\"]"] {
        assert_eq!(
            with("iss", json).unwrap_err(),
            TokenError::WrongType { claim: "iss" },
            "{json}"
        );
    }
}

#[test]
fn null_is_absence_only_where_nothing_depends_on_it() {
    for claim in ["email", "amr", "jti"] {
        let read = with(claim, "null").unwrap();
        assert_eq!((read.email, read.amr, read.token_id), (None, vec![], None));
        assert_eq!(with(claim, "1").unwrap_err(), TokenError::WrongType { claim });
    }
    assert_eq!(with("amr", "\"mfa\"").unwrap().amr, ["mfa"]);
}

const TAGS: &str = "https://aws.amazon.com/tags";

#[test]
fn session_tags_nested_and_flattened() {
    let tags = |json: &str| with(TAGS, json).unwrap().session_tags();
    let team = || vec![("Team".to_owned(), "engineering".to_owned())];
    assert_eq!(
        tags(r#"{"principal_tags":{"Team":["engineering"]},"transitive_tag_keys":["Team"]}"#),
        Ok(Some(SessionTags {
            tags: team(),
            transitive_keys: vec!["Team".to_owned()],
        }))
    );
    assert_eq!(tags("{}"), Ok(Some(SessionTags::default())));
    assert_eq!(parse(&claims().to_string()).unwrap().session_tags(), Ok(None));
    for wrong in [
        r#"{"principal_tags":{"Team":"engineering"}}"#,
        r#"{"principal_tags":{"Team":[]}}"#,
        r#"{"principal_tags":{"Team":["a","b"]}}"#,
        r#"{"principal_tags":{"Team":[1]}}"#,
        r#"{"principal_tags":{"Team":null}}"#,
        r#"{"principal_tags":["Team"]}"#,
        r#"{"principal_tags":null}"#,
        r#"{"transitive_tag_keys":"Team"}"#,
        r#"{"transitive_tag_keys":[1]}"#,
        r#""text""#,
        "[]",
        "null",
        "7",
    ] {
        assert_eq!(tags(wrong), Err(TokenError::MalformedTags), "{wrong}");
    }

    let mut flat = claims();
    flat["https://aws.amazon.com/tags/principal_tags/Team"] = json!("engineering");
    flat["https://aws.amazon.com/tags/principal_tags/a/b"] = json!(["c"]);
    flat["https://aws.amazon.com/tags/transitive_tag_keys"] = json!(["Team"]);
    let read = parse(&flat.to_string()).unwrap().session_tags().unwrap().unwrap();
    assert_eq!(read.tags, [team(), vec![("a/b".to_owned(), "c".to_owned())]].concat());
    assert_eq!(read.transitive_keys, ["Team"]);
    flat["https://aws.amazon.com/tags/principal_tags/Team"] = json!(1);
    assert_eq!(
        parse(&flat.to_string()).unwrap().session_tags(),
        Err(TokenError::MalformedTags)
    );
}

#[test]
fn source_identity() {
    const CLAIM: &str = "https://aws.amazon.com/source_identity";
    assert_eq!(with(CLAIM, "\"alice\"").unwrap().source_identity(), Ok(Some("alice")));
    assert_eq!(parse(&claims().to_string()).unwrap().source_identity(), Ok(None));
    for json in ["null", "1", "[\"alice\"]"] {
        assert_eq!(
            with(CLAIM, json).unwrap().source_identity(),
            Err(TokenError::WrongType { claim: CLAIM }),
            "{json}"
        );
    }
}

/// Recorded shapes of the roles claim.
#[test]
fn roles() {
    let read = |json: &str| with("https://aws.amazon.com/roles", json).unwrap();
    let role = "arn:aws:iam::111122223333:role/app";
    let quoted = format!("\"{role}\"");
    for (json, expected) in [
        (format!("[{quoted}]"), vec![role]),
        (format!("[{quoted},{quoted}]"), vec![role, role]),
        (format!("[123,{quoted}]"), vec![role]),
        (format!("[\"not-an-arn\",{quoted}]"), vec!["not-an-arn", role]),
        (format!("[[{quoted}]]"), vec![]),
        ("[]".to_owned(), vec![]),
        ("\"\"".to_owned(), vec![]),
        (format!("\"other;{role}\""), vec!["other", role]),
        (format!("\";{role}\""), vec![role]),
        (format!("\"{role};\""), vec![role]),
    ] {
        assert_eq!(read(&json).roles(), Ok(Some(expected)), "{json}");
    }
    assert_eq!(read("null").roles(), Ok(None));
    assert_eq!(parse(&claims().to_string()).unwrap().roles(), Ok(None));
    for json in ["123", "true", "{\"role\":\"x\"}"] {
        assert_eq!(read(json).roles(), Err(TokenError::MalformedRoles), "{json}");
    }
}

#[test]
fn malformed_kubernetes_claims_are_not_absent() {
    for claim in [
        "null",
        "\"shop\"",
        "{}",
        r#"{"namespace":"shop"}"#,
        r#"{"serviceaccount":{"name":"web"}}"#,
        r#"{"namespace":1,"serviceaccount":{"name":"web"}}"#,
        r#"{"namespace":"shop","serviceaccount":"web"}"#,
        r#"{"namespace":"shop","serviceaccount":{"uid":"u"}}"#,
        r#"{"namespace":"shop","serviceaccount":{"name":"web","uid":1}}"#,
        r#"{"namespace":"shop","serviceaccount":{"name":"web"},"pod":null}"#,
    ] {
        let read = with("kubernetes.io", claim).unwrap();
        let expected = TokenError::WrongType { claim: "kubernetes.io" };
        assert_eq!(read.kubernetes(), Err(expected.clone()), "{claim}");
        assert_eq!(read.check_kubernetes_subject(), Err(expected), "{claim}");
    }
}
