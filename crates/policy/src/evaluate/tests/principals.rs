//! How a statement names its caller, and what follows from it.

use super::*;

/// PE-20: how a resource policy names the caller decides what else must allow.
#[test]
fn pe_20_strength_of_a_grant_within_the_account() {
    let closed = statement(PolicyKind::Boundary, "Allow", "", "sqs:*", "");
    let closed_session = [statement(PolicyKind::Session, "Allow", "", "sqs:*", "")];
    let with = |principal: &str| policy(PolicyKind::Resource, "Allow", principal);
    let aws = |text: &str| with(&format!(r#"{{"AWS": "{text}"}}"#));
    // The session itself: nothing limits it.
    let resource = aws(SESSION);
    let granted = Layers {
        resource: Some(&resource),
        ..Layers::default()
    };
    let limited = Layers {
        boundary: Some(&closed),
        session: Some(&closed_session),
        ..granted
    };
    assert_eq!(get(&granted, role_session()), allowed(Layer::Resource));
    assert_eq!(get(&limited, role_session()), allowed(Layer::Resource));
    // The role: boundary and session policies limit it, identity policies are not needed.
    for principal in [ROLE, "AROAEXAMPLE1234567890"] {
        let resource = aws(principal);
        let granted = Layers {
            resource: Some(&resource),
            ..Layers::default()
        };
        assert_eq!(get(&granted, role_session()), allowed(Layer::Resource));
        let layers = Layers {
            boundary: Some(&closed),
            ..granted
        };
        assert_eq!(get(&layers, role_session()), implicit(Layer::Boundary));
        let layers = Layers {
            session: Some(&closed_session),
            ..granted
        };
        assert_eq!(get(&layers, role_session()), implicit(Layer::Session));
    }
    // The role's ARN without its path is another role's.
    let resource = aws("arn:aws:iam::111122223333:role/app");
    assert_eq!(
        get(
            &Layers {
                resource: Some(&resource),
                ..Layers::default()
            },
            role_session()
        ),
        implicit(Layer::Identity)
    );
    // The user itself.
    for principal in [USER, "AIDAEXAMPLE1234567890"] {
        let resource = aws(principal);
        let layers = Layers {
            resource: Some(&resource),
            boundary: Some(&closed),
            ..Layers::default()
        };
        assert_eq!(get(&layers, user()), allowed(Layer::Resource));
    }
    // The account delegates: it grants nothing by itself.
    for principal in [ACCOUNT, "arn:aws:iam::111122223333:root"] {
        let resource = aws(principal);
        let layers = Layers {
            resource: Some(&resource),
            ..Layers::default()
        };
        assert_eq!(get(&layers, user()), implicit(Layer::Identity));
        assert_eq!(get(&layers, root()), allowed(Layer::Resource));
    }
    // A federated user is limited by its session policy if the grant is to its user.
    let resource = aws(USER);
    let layers = Layers {
        resource: Some(&resource),
        ..Layers::default()
    };
    assert_eq!(get(&layers, federated_user()), implicit(Layer::Session));
    let resource = aws(FEDERATED);
    let layers = Layers {
        resource: Some(&resource),
        ..Layers::default()
    };
    assert_eq!(get(&layers, federated_user()), allowed(Layer::Resource));
}

#[test]
fn callers_without_identity_policies() {
    let services: &[&str] = &["cloudtrail.amazonaws.com", "cloudtrail.eu-west-1.amazonaws.com"];
    let service = Principal::Service { names: services };
    let identity = [allow(PolicyKind::Identity)];
    for (principal, covers_service, covers_anonymous) in [
        (r#"{"Service": "cloudtrail.amazonaws.com"}"#, true, false),
        (
            r#"{"Service": ["x.amazonaws.com", "cloudtrail.eu-west-1.amazonaws.com"]}"#,
            true,
            false,
        ),
        (r#"{"Service": "cloudtrail"}"#, false, false),
        (r#"{"AWS": "cloudtrail.amazonaws.com"}"#, false, false),
        (
            r#"{"CanonicalUser": "79a59df900b949e55d96a1e698fbacedfd6e09d98eacf8f8d5218e7cd47ef2be"}"#,
            false,
            false,
        ),
        (r#"{"AWS": "*"}"#, true, true),
        (r#""*""#, true, true),
    ] {
        let resource = policy(PolicyKind::Resource, "Allow", principal);
        let layers = Layers {
            resource: Some(&resource),
            identity: &identity,
            ..Layers::default()
        };
        assert_eq!(
            get(&layers, service).0 == Decision::Allowed,
            covers_service,
            "{principal}"
        );
        assert_eq!(
            get(&layers, Principal::Anonymous).0 == Decision::Allowed,
            covers_anonymous,
            "{principal}"
        );
    }
}

/// PE-09: whom a trust policy must name for a web identity token.
#[test]
fn pe_09_web_identity_needs_a_federated_principal() {
    const PROVIDER: &str = "arn:aws:iam::111122223333:oidc-provider/oidc.example.com/id/A";
    let action = "sts:AssumeRoleWithWebIdentity";
    let ask_with = |principal: &str, effect: &str, caller| {
        let deciding = statement(PolicyKind::Trust, effect, principal, action, "");
        // An endpoint's policy that lets everyone through lets tokens through too.
        let endpoint = [policy(PolicyKind::VpcEndpoint, "Allow", "\"*\"")];
        let layers = Layers {
            resource: Some(&deciding),
            vpc_endpoint: Some(&endpoint),
            ..Layers::default()
        };
        ask(&layers, caller, action, ACCOUNT).decision
    };
    let web = Principal::WebIdentity { provider: PROVIDER };
    let saml = Principal::Saml {
        provider: "arn:aws:iam::111122223333:saml-provider/corp",
    };
    for (principal, grants) in [
        (format!(r#"{{"Federated": "{PROVIDER}"}}"#), true),
        (r#"{"Federated": "*"}"#.to_owned(), true),
        (
            format!(r#"{{"Federated": ["accounts.google.com", "{PROVIDER}"]}}"#),
            true,
        ),
        (format!(r#"{{"Federated": "{PROVIDER}/"}}"#), false),
        (r#"{"Federated": "oidc.example.com/id/A"}"#.to_owned(), false),
        (format!(r#"{{"AWS": "{PROVIDER}"}}"#), false),
        (r#"{"AWS": "*"}"#.to_owned(), false),
        (r#"{"AWS": "111122223333"}"#.to_owned(), false),
        (r#""*""#.to_owned(), false),
    ] {
        let expected = if grants {
            Decision::Allowed
        } else {
            Decision::ImplicitlyDenied
        };
        assert_eq!(ask_with(&principal, "Allow", web), expected, "{principal}");
    }
    for principal in [r#""*""#, r#"{"AWS": "*"}"#, r#"{"Federated": "*"}"#] {
        assert_eq!(
            ask_with(principal, "Deny", web),
            Decision::ExplicitlyDenied,
            "{principal}"
        );
        assert_eq!(
            ask_with(principal, "Deny", saml),
            Decision::ExplicitlyDenied,
            "{principal}"
        );
    }
    assert_eq!(ask_with(r#"{"Federated": "*"}"#, "Allow", saml), Decision::Allowed);
    assert_eq!(
        ask_with(r#"{"Federated": "*"}"#, "Allow", user()),
        Decision::ImplicitlyDenied
    );
}

#[test]
fn not_principal() {
    let with = |effect: &str, list: &str| {
        let text = format!(
            r#"{{"Version":"2012-10-17","Statement":[
                {{"Effect":"Allow","Principal":"*","Action":"*","Resource":"*"}},
                {{"Effect":"{effect}","NotPrincipal":{list},"Action":"*","Resource":"*"}}]}}"#
        );
        Policy::parse("bucket", PolicyKind::Resource, &text).unwrap()
    };
    let denies = |list: &str, caller| {
        let resource = with("Deny", list);
        get(
            &Layers {
                resource: Some(&resource),
                ..Layers::default()
            },
            caller,
        )
        .0 == Decision::ExplicitlyDenied
    };
    let (root_arn, chain) = (
        "arn:aws:iam::111122223333:root",
        format!(r#"{{"AWS": ["{SESSION}", "{ROLE}", "{ACCOUNT}"]}}"#),
    );
    // Only a whole chain is spared.
    assert!(!denies(&chain, role_session()));
    assert!(denies(&chain, user()));
    assert!(denies(
        &format!(r#"{{"AWS": ["{SESSION}", "{ROLE}"]}}"#),
        role_session()
    ));
    assert!(denies(
        &format!(r#"{{"AWS": ["{ROLE}", "{ACCOUNT}"]}}"#),
        role_session()
    ));
    assert!(denies(&format!(r#"{{"AWS": "{USER}"}}"#), user()));
    assert!(!denies(&format!(r#"{{"AWS": ["{USER}", "{root_arn}"]}}"#), user()));
    assert!(!denies(&format!(r#"{{"AWS": "{root_arn}"}}"#), root()));
    assert!(denies(&chain, Principal::Anonymous));
    assert!(!denies(r#"{"AWS": "*"}"#, Principal::Anonymous));
    // A permissions boundary makes NotPrincipal with Deny always deny.
    let boundary = allow(PolicyKind::Boundary);
    let resource = with("Deny", &chain);
    let layers = Layers {
        resource: Some(&resource),
        boundary: Some(&boundary),
        ..Layers::default()
    };
    assert_eq!(get(&layers, role_session()), explicit(Layer::Resource));
    // Allow covers whoever is in no way listed.
    let grants = |list: &str, caller| {
        let text = format!(
            r#"{{"Version":"2012-10-17","Statement":{{"Effect":"Allow","NotPrincipal":{list},"Action":"*","Resource":"*"}}}}"#
        );
        let resource = Policy::parse("bucket", PolicyKind::Resource, &text).unwrap();
        get(
            &Layers {
                resource: Some(&resource),
                ..Layers::default()
            },
            caller,
        )
        .0 == Decision::Allowed
    };
    assert!(!grants(&chain, role_session()) && !grants(&chain, user()));
    assert!(grants(&format!(r#"{{"AWS": "{SESSION}"}}"#), user()));
    assert!(grants(&format!(r#"{{"AWS": "{SESSION}"}}"#), Principal::Anonymous));
    assert!(!grants(&chain, Principal::WebIdentity { provider: "p" }));
}

#[test]
fn a_bound_principal_is_the_entity_not_its_name() {
    let text = format!(
        r#"{{"Version":"2012-10-17","Statement":{{"Effect":"Allow","Action":"*","Resource":"*",
            "Principal":{{"AWS":["{USER}","{ROLE}"]}}}}}}"#
    );
    let bound_to = |user_id: &str, role_id: &str| {
        let mut policy = Policy::parse("bucket", PolicyKind::Resource, &text).unwrap();
        policy.bind_principals(|arn| Some(if arn == USER { user_id } else { role_id }.to_owned()));
        policy
    };
    let same = bound_to("AIDAEXAMPLE1234567890", "AROAEXAMPLE1234567890");
    let layers = Layers {
        resource: Some(&same),
        ..Layers::default()
    };
    assert_eq!(get(&layers, user()), allowed(Layer::Resource));
    assert_eq!(get(&layers, role_session()), allowed(Layer::Resource));
    let gone = bound_to("AIDAOLD00000000000000", "AROAOLD00000000000000");
    let layers = Layers {
        resource: Some(&gone),
        ..Layers::default()
    };
    assert_eq!(get(&layers, user()), implicit(Layer::Identity));
    assert_eq!(get(&layers, role_session()), implicit(Layer::Identity));
}

/// A policy in the wrong place, which is a programming error, must not become a grant.
#[test]
fn a_policy_without_principals_grants_nothing_as_a_resource_policy() {
    let misplaced = allow(PolicyKind::Identity);
    let layers = Layers {
        resource: Some(&misplaced),
        ..Layers::default()
    };
    assert_eq!(get(&layers, user()), implicit(Layer::Identity));
    assert_eq!(get(&layers, Principal::Anonymous), implicit(Layer::Resource));
}

/// A wildcard for services, which the documentation does not know, denies but never lets in.
#[test]
fn a_wildcard_for_services_only_denies() {
    let service = Principal::Service {
        names: &["cloudtrail.amazonaws.com"],
    };
    let any = r#"{"Service": "*"}"#;
    let decide = |list: &str, effect: &str| {
        let (open, closed) = (
            policy(PolicyKind::Resource, "Allow", "\"*\""),
            statement(PolicyKind::Resource, effect, list, "*", ""),
        );
        let resource = if effect == "Allow" { &closed } else { &open };
        let endpoint = [policy(PolicyKind::VpcEndpoint, effect, list)];
        let layers = Layers {
            resource: Some(resource),
            vpc_endpoint: (effect == "Deny").then_some(&endpoint),
            ..Layers::default()
        };
        get(&layers, service).0
    };
    assert_eq!(decide(any, "Allow"), Decision::ImplicitlyDenied);
    assert_eq!(decide(any, "Deny"), Decision::ExplicitlyDenied);
    assert_eq!(
        decide(r#"{"Service": "cloudtrail.amazonaws.com"}"#, "Allow"),
        Decision::Allowed
    );
}
