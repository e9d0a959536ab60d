//! Whom policies name.

use irsa_policy::PolicyKind;

use super::super::*;
use super::{between, describe, policy};

fn resource_policy(principal: &str, rest: &str) -> String {
    policy(&format!(
        r#"{{"Effect":"Allow","Principal":{principal},"Action":"s3:GetObject","Resource":"arn:aws:s3:::b/*"{rest}}}"#
    ))
}

#[test]
fn principals() {
    let kind = PolicyKind::Resource;
    let of = |principal: &str| resource_policy(principal, "");
    let order = [
        of(r#"{"AWS":"arn:aws:sts::111122223333:assumed-role/r/s"}"#),
        of(r#"{"AWS":"arn:aws:iam::111122223333:role/r"}"#),
        of(r#"{"AWS":["arn:aws:iam::111122223333:role/r","111122223333"]}"#),
        of(r#"{"AWS":["arn:aws:iam::111122223333:role/r","111122223333","arn:aws:iam::444455556666:user/u"]}"#),
        of(r#"{"AWS":"*"}"#),
        of(r#"{"AWS":"*","Federated":"*"}"#),
    ];
    for (number, narrow) in order.iter().enumerate() {
        for (other, wide) in order.iter().enumerate() {
            let gained = between(kind, narrow, wide).gained;
            // A session by its own ARN is named more strongly than by its role's.
            let expected = other > number || (number > 0 && other == 0 && number < 4);
            assert_eq!(
                matches!(gained, Answer::Witness(_)),
                expected,
                "{narrow}\n{wide}\n{}",
                describe(&gained)
            );
            assert!(!matches!(gained, Answer::Unknown(_)));
        }
    }
    assert_eq!(
        between(kind, &of(r#"{"AWS":"*"}"#), &of(r#""*""#)).is_equivalent(),
        Some(true)
    );
    let service = of(r#"{"Service":"a.amazonaws.com"}"#);
    assert!(matches!(
        between(kind, &service, &of(r#"{"Service":"b.amazonaws.com"}"#)).gained,
        Answer::Witness(_)
    ));
    assert!(matches!(between(kind, &of(r#""*""#), &service).gained, Answer::None));
}

#[test]
fn trust_policies() {
    let trust = |sub: &str| {
        policy(&format!(
            r#"{{"Effect":"Allow","Principal":{{"Federated":"arn:aws:iam::111122223333:oidc-provider/oidc.example.com/id/A"}},
                "Action":"sts:AssumeRoleWithWebIdentity","Condition":{{{sub}}}}}"#
        ))
    };
    let exact = trust(
        r#""StringEquals":{"oidc.example.com/id/A:sub":"system:serviceaccount:shop:cart","oidc.example.com/id/A:aud":"sts.amazonaws.com"}"#,
    );
    let wide = trust(
        r#""StringLike":{"oidc.example.com/id/A:sub":"system:serviceaccount:shop:*"},"StringEquals":{"oidc.example.com/id/A:aud":"sts.amazonaws.com"}"#,
    );
    let comparison = between(PolicyKind::Trust, &exact, &wide);
    assert_eq!(describe(&comparison.lost), "none");
    let Answer::Witness(witness) = comparison.gained else {
        panic!()
    };
    assert_eq!(witness.action, "sts:AssumeRoleWithWebIdentity");
    assert!(matches!(witness.caller, Some(Caller::WebIdentity { .. })));
    let sub = witness.context.iter().find(|(key, _)| key.ends_with(":sub")).unwrap();
    assert_eq!(
        sub.1,
        ContextValue::Single("system:serviceaccount:shop:example".to_owned())
    );
}

#[test]
fn not_principal() {
    let kind = PolicyKind::Resource;
    let deny = |principals: &str| {
        policy(&format!(
            r#"{{"Effect":"Allow","Principal":"*","Action":"s3:*","Resource":"*"}},
               {{"Effect":"Deny","NotPrincipal":{{"AWS":{principals}}},"Action":"s3:*","Resource":"*"}}"#
        ))
    };
    let one = deny(r#"["arn:aws:iam::111122223333:user/a","111122223333"]"#);
    let two = deny(r#"["arn:aws:iam::111122223333:user/a","arn:aws:iam::111122223333:user/b","111122223333"]"#);
    let comparison = between(kind, &one, &two);
    assert_eq!(describe(&comparison.lost), "none");
    let Answer::Witness(witness) = comparison.gained else {
        panic!()
    };
    assert_eq!(witness.caller.unwrap().to_string(), "arn:aws:iam::111122223333:user/b");
}

#[test]
fn a_session_has_a_role_that_may_not_be_named() {
    let allow = |principals: &str| {
        format!(r#"{{"Effect":"Allow","Principal":{{"AWS":{principals}}},"Action":"s3:GetObject","Resource":"*"}}"#)
    };
    let deny = |principals: &str| allow(principals).replace("Allow", "Deny");
    let zed = r#""arn:aws:iam::111122223333:user/zed""#;
    let old = policy(&allow(zed));
    let session = format!(r#"[{zed},"arn:aws:sts::111122223333:assumed-role/r/s"]"#);
    let new = policy(&format!(
        "{},{}",
        allow(&session),
        deny(r#""arn:aws:iam::111122223333:role/r""#)
    ));
    assert!(matches!(
        between(PolicyKind::Resource, &old, &new).gained,
        Answer::Witness(_)
    ));
    // An id may belong to an account that is not named.
    let everyone = allow(r#""*""#);
    let old = policy(&format!("{everyone},{}", deny(r#""AIDAEXAMPLE""#)));
    let new = policy(&format!("{everyone},{}", deny(r#""111122223333""#)));
    assert!(matches!(
        between(PolicyKind::Resource, &old, &new).gained,
        Answer::Witness(_)
    ));
}

#[test]
fn a_federated_user_may_have_a_boundary() {
    let old = r#"{"Statement":[{"Effect":"Deny","NotPrincipal":{"AWS":"*"},"Action":"s3:GetObject","Resource":"*"},
        {"Effect":"Allow","Principal":{"AWS":"arn:aws:sts::111122223333:federated-user/f"},"Action":"s3:GetObject","Resource":"*"}]}"#;
    let new = policy(
        r#"{"Effect":"Allow","Principal":{"AWS":"arn:aws:sts::111122223333:federated-user/f"},"Action":"s3:GetObject","Resource":"*"}"#,
    );
    let Answer::Witness(witness) = between(PolicyKind::Resource, old, &new).gained else {
        panic!()
    };
    assert!(witness.has_boundary);
}

#[test]
fn what_stands_in_both_needs_no_thought() {
    let names: Vec<String> = (0..9)
        .map(|number| format!(r#""logs.region-{number}.amazonaws.com""#))
        .collect();
    let services = resource_policy(&format!(r#"{{"Service":[{}]}}"#, names.join(",")), "");
    assert_eq!(
        between(PolicyKind::Resource, &services, &services).is_equivalent(),
        Some(true)
    );
    let roles: Vec<String> = (0..200)
        .map(|number| {
            format!(
                r#"{{"Effect":"Allow","Principal":{{"AWS":"arn:aws:iam::{number:012}:role/r"}},"Action":"s3:*","Resource":"*"}}"#
            )
        })
        .collect();
    let mut turned = roles.clone();
    turned.reverse();
    let (roles, turned) = (policy(&roles.join(",")), policy(&turned.join(",")));
    assert_eq!(
        between(PolicyKind::Resource, &roles, &turned).is_equivalent(),
        Some(true)
    );
}

#[test]
fn vpc_endpoints_and_tokens() {
    let of = |resource: &str| {
        policy(&format!(
            r#"{{"Effect":"Allow","Principal":{{"Federated":"idp.example.com"}},"Action":"s3:Get*","Resource":{resource}}}"#
        ))
    };
    let comparison = between(
        PolicyKind::VpcEndpoint,
        &of(r#""arn:a*s:""#),
        &of(r#"["arn:a*s:","arn:b"]"#),
    );
    assert!(matches!(comparison.gained, Answer::Witness(_)));
}

#[test]
fn an_endpoint_does_not_grade() {
    let of = |principal: &str| resource_policy(&format!(r#"{{"AWS":"{principal}"}}"#), "");
    let (account, user) = (of("111122223333"), of("arn:aws:iam::111122223333:user/a"));
    let comparison = between(PolicyKind::VpcEndpoint, &account, &user);
    assert_eq!(describe(&comparison.gained), "none");
    assert!(matches!(comparison.lost, Answer::Witness(_)));
}

#[test]
fn resource_control_policies_only_deny() {
    let deny = |resource: &str| {
        policy(&format!(
            r#"{{"Effect":"Deny","Principal":"*","Action":"s3:*","Resource":"{resource}"}}"#
        ))
    };
    let comparison = between(PolicyKind::ResourceControl, &deny("*"), &deny("arn:aws:s3:::b/*"));
    assert!(matches!(comparison.gained, Answer::Witness(_)));
    assert!(matches!(comparison.lost, Answer::None));
}
