use std::sync::Arc;

use irsa_core::AccountId;

use crate::{
    Context, Decision, Layer, Layers, Policy, PolicyKind, Principal, Request, Verdict, decide, decision, explain,
};

mod principals;

const ACCOUNT: &str = "111122223333";
const OTHER: &str = "444455556666";
const USER: &str = "arn:aws:iam::111122223333:user/team/ann";
const ROLE: &str = "arn:aws:iam::111122223333:role/team/app";
const SESSION: &str = "arn:aws:sts::111122223333:assumed-role/app/s1";
const FEDERATED: &str = "arn:aws:sts::111122223333:federated-user/bob";

fn account(text: &str) -> AccountId {
    text.parse().unwrap()
}

fn user() -> Principal<'static> {
    Principal::User {
        arn: USER,
        unique_id: "AIDAEXAMPLE1234567890",
        account: account(ACCOUNT),
    }
}

fn role_session() -> Principal<'static> {
    Principal::RoleSession {
        session_arn: SESSION,
        role_arn: ROLE,
        role_unique_id: "AROAEXAMPLE1234567890",
        account: account(ACCOUNT),
    }
}

fn federated_user() -> Principal<'static> {
    Principal::FederatedUser {
        arn: FEDERATED,
        user_arn: USER,
        account: account(ACCOUNT),
    }
}

fn root() -> Principal<'static> {
    Principal::Root {
        account: account(ACCOUNT),
    }
}

/// A policy of one statement. `principal` is JSON, empty where the kind has none.
fn policy(kind: PolicyKind, effect: &str, principal: &str) -> Arc<Policy> {
    statement(kind, effect, principal, "*", "")
}

fn statement(kind: PolicyKind, effect: &str, principal: &str, action: &str, more: &str) -> Arc<Policy> {
    let principal = if principal.is_empty() {
        String::new()
    } else {
        format!(r#""Principal": {principal},"#)
    };
    let resource = if kind == PolicyKind::Trust {
        ""
    } else {
        r#""Resource": "*","#
    };
    let text = format!(
        r#"{{"Version": "2012-10-17", "Statement": {{{principal}{resource}{more} "Action": "{action}", "Effect": "{effect}"}}}}"#
    );
    Arc::new(Policy::parse(&format!("{kind}"), kind, &text).unwrap_or_else(|error| panic!("{text}: {error}")))
}

fn allow(kind: PolicyKind) -> Arc<Policy> {
    policy(kind, "Allow", if kind.has_principal() { "\"*\"" } else { "" })
}

fn deny(kind: PolicyKind) -> Arc<Policy> {
    policy(kind, "Deny", if kind.has_principal() { "\"*\"" } else { "" })
}

fn ask(layers: &Layers<'_>, principal: Principal<'_>, action: &str, owner: &str) -> Verdict {
    let mut context = Context::new();
    context.set("aws:SourceIp", "10.0.0.1");
    let request = Request {
        principal,
        action,
        resource: if action.starts_with("sts:") {
            ROLE
        } else {
            "arn:aws:s3:::bucket/key"
        },
        resource_account: Some(account(owner)),
        context: &context,
    };
    let verdict = decide(layers, &request);
    assert_eq!(decision(layers, &request), verdict.decision);
    let explained = explain(layers, &request).verdict;
    assert_eq!(
        (explained.decision, explained.layer, explained.statement),
        (verdict.decision, verdict.layer, verdict.statement.clone())
    );
    verdict
}

fn get(layers: &Layers<'_>, principal: Principal<'_>) -> (Decision, Option<Layer>) {
    let verdict = ask(layers, principal, "s3:GetObject", ACCOUNT);
    (verdict.decision, verdict.layer)
}

const fn allowed(layer: Layer) -> (Decision, Option<Layer>) {
    (Decision::Allowed, Some(layer))
}

const fn implicit(layer: Layer) -> (Decision, Option<Layer>) {
    (Decision::ImplicitlyDenied, Some(layer))
}

const fn explicit(layer: Layer) -> (Decision, Option<Layer>) {
    (Decision::ExplicitlyDenied, Some(layer))
}

#[test]
fn nothing_is_allowed_by_default_but_to_root() {
    let none = Layers::default();
    assert_eq!(get(&none, user()), implicit(Layer::Identity));
    assert_eq!(get(&none, role_session()), implicit(Layer::Identity));
    assert_eq!(get(&none, Principal::Anonymous), implicit(Layer::Resource));
    assert_eq!(get(&none, root()), allowed(Layer::Identity));
}

/// PE-01: in whatever layer a denial stands, it wins over all the others' grants.
#[test]
fn pe_01_a_denial_anywhere_wins() {
    let (identity, session) = ([allow(PolicyKind::Identity)], [allow(PolicyKind::Session)]);
    let (boundary, resource) = (allow(PolicyKind::Boundary), allow(PolicyKind::Resource));
    let service = [
        vec![allow(PolicyKind::ServiceControl)],
        vec![allow(PolicyKind::ServiceControl)],
    ];
    let endpoint = [allow(PolicyKind::VpcEndpoint)];
    let open = Layers {
        identity: &identity,
        boundary: Some(&boundary),
        session: Some(&session),
        resource: Some(&resource),
        service_control: &service,
        resource_control: &[],
        vpc_endpoint: Some(&endpoint),
        ..Layers::default()
    };
    for principal in [user(), role_session(), federated_user(), root()] {
        assert_eq!(get(&open, principal), allowed(Layer::Resource));
        let identity = [allow(PolicyKind::Identity), deny(PolicyKind::Identity)];
        let layers = Layers {
            identity: &identity,
            ..open
        };
        assert_eq!(get(&layers, principal), explicit(Layer::Identity));
        let boundary = deny(PolicyKind::Boundary);
        let layers = Layers {
            boundary: Some(&boundary),
            ..open
        };
        assert_eq!(get(&layers, principal), explicit(Layer::Boundary));
        let session = [deny(PolicyKind::Session), allow(PolicyKind::Session)];
        let layers = Layers {
            session: Some(&session),
            ..open
        };
        assert_eq!(get(&layers, principal), explicit(Layer::Session));
        let resource = deny(PolicyKind::Resource);
        let layers = Layers {
            resource: Some(&resource),
            ..open
        };
        assert_eq!(get(&layers, principal), explicit(Layer::Resource));
        let service = [
            vec![allow(PolicyKind::ServiceControl)],
            vec![deny(PolicyKind::ServiceControl)],
        ];
        let layers = Layers {
            service_control: &service,
            ..open
        };
        assert_eq!(get(&layers, principal), explicit(Layer::ServiceControl));
        let control = [vec![], vec![deny(PolicyKind::ResourceControl)]];
        let layers = Layers {
            resource_control: &control,
            ..open
        };
        assert_eq!(get(&layers, principal), explicit(Layer::ResourceControl));
        let endpoint = [deny(PolicyKind::VpcEndpoint), allow(PolicyKind::VpcEndpoint)];
        let layers = Layers {
            vpc_endpoint: Some(&endpoint),
            ..open
        };
        assert_eq!(get(&layers, principal), explicit(Layer::VpcEndpoint));
    }
}

/// PE-20: identity ∩ boundary ∩ session ∩ organization ∩ endpoint, each the one that is missing.
#[test]
fn pe_20_each_ceiling_is_named() {
    let nothing: [Arc<Policy>; 0] = [];
    let identity = [allow(PolicyKind::Identity)];
    let open = Layers {
        identity: &identity,
        ..Layers::default()
    };
    assert_eq!(get(&open, user()), allowed(Layer::Identity));
    let other = statement(PolicyKind::Boundary, "Allow", "", "sqs:*", "");
    let layers = Layers {
        boundary: Some(&other),
        ..open
    };
    assert_eq!(get(&layers, user()), implicit(Layer::Boundary));
    let layers = Layers {
        session: Some(&nothing),
        ..open
    };
    assert_eq!(get(&layers, role_session()), implicit(Layer::Session));
    // Session policies allow as one.
    let union = [
        statement(PolicyKind::Session, "Allow", "", "sqs:*", ""),
        allow(PolicyKind::Session),
    ];
    let layers = Layers {
        session: Some(&union),
        ..open
    };
    assert_eq!(get(&layers, role_session()), allowed(Layer::Identity));
    // A federated user without session policy has nothing of its user's.
    assert_eq!(get(&open, federated_user()), implicit(Layer::Session));
    assert_eq!(get(&layers, federated_user()), allowed(Layer::Identity));
    // Every level of the organization must allow, also for root, and only for principals of an account.
    for levels in [vec![vec![]], vec![vec![allow(PolicyKind::ServiceControl)], vec![]]] {
        let resource = allow(PolicyKind::Resource);
        let layers = Layers {
            service_control: &levels,
            resource: Some(&resource),
            ..open
        };
        assert_eq!(get(&layers, user()), implicit(Layer::ServiceControl));
        assert_eq!(get(&layers, root()), implicit(Layer::ServiceControl));
        assert_eq!(get(&layers, Principal::Anonymous), allowed(Layer::Resource));
    }
    let resource = allow(PolicyKind::Resource);
    let layers = Layers {
        vpc_endpoint: Some(&nothing),
        resource: Some(&resource),
        ..open
    };
    assert_eq!(get(&layers, user()), implicit(Layer::VpcEndpoint));
    assert_eq!(get(&layers, Principal::Anonymous), implicit(Layer::VpcEndpoint));
}

/// PE-21: across accounts both sides must allow.
#[test]
fn pe_21_across_accounts() {
    let identity = [allow(PolicyKind::Identity)];
    let closed = statement(PolicyKind::Boundary, "Allow", "", "sqs:*", "");
    let across = |layers: &Layers<'_>, principal| {
        let verdict = ask(layers, principal, "s3:GetObject", OTHER);
        (verdict.decision, verdict.layer)
    };
    assert_eq!(
        across(
            &Layers {
                identity: &identity,
                ..Layers::default()
            },
            user()
        ),
        implicit(Layer::Resource)
    );
    for principal in [USER, ACCOUNT, "*"] {
        let resource = policy(PolicyKind::Resource, "Allow", &format!(r#"{{"AWS": "{principal}"}}"#));
        let granted = Layers {
            resource: Some(&resource),
            ..Layers::default()
        };
        assert_eq!(across(&granted, user()), implicit(Layer::Identity), "{principal}");
        let both = Layers {
            identity: &identity,
            ..granted
        };
        assert_eq!(across(&both, user()), allowed(Layer::Identity), "{principal}");
        let layers = Layers {
            boundary: Some(&closed),
            ..both
        };
        assert_eq!(across(&layers, user()), implicit(Layer::Boundary), "{principal}");
    }
    // Root needs no identity policy, but the other account's consent.
    assert_eq!(across(&Layers::default(), root()), implicit(Layer::Resource));
    let resource = policy(PolicyKind::Resource, "Allow", r#"{"AWS": "111122223333"}"#);
    assert_eq!(
        across(
            &Layers {
                resource: Some(&resource),
                ..Layers::default()
            },
            root()
        ),
        allowed(Layer::Identity)
    );
}

#[test]
fn a_role_must_trust_even_its_own_account() {
    let identity = [allow(PolicyKind::Identity)];
    let assume = |layers: &Layers<'_>, principal| {
        let verdict = ask(layers, principal, "sts:AssumeRole", ACCOUNT);
        (verdict.decision, verdict.layer)
    };
    let trust = |principal: &str| {
        statement(
            PolicyKind::Trust,
            "Allow",
            &format!(r#"{{"AWS": "{principal}"}}"#),
            "sts:AssumeRole",
            "",
        )
    };
    let alone = Layers {
        identity: &identity,
        ..Layers::default()
    };
    assert_eq!(assume(&alone, user()), implicit(Layer::Resource));
    assert_eq!(assume(&alone, root()), implicit(Layer::Resource));
    let delegating = trust(ACCOUNT);
    let layers = Layers {
        resource: Some(&delegating),
        ..Layers::default()
    };
    assert_eq!(assume(&layers, user()), implicit(Layer::Identity));
    assert_eq!(
        assume(
            &Layers {
                identity: &identity,
                ..layers
            },
            user()
        ),
        allowed(Layer::Identity)
    );
    let direct = trust(USER);
    assert_eq!(
        assume(
            &Layers {
                resource: Some(&direct),
                ..Layers::default()
            },
            user()
        ),
        allowed(Layer::Resource)
    );
    let foreign = trust(OTHER);
    let layers = Layers {
        resource: Some(&foreign),
        identity: &identity,
        ..Layers::default()
    };
    assert_eq!(assume(&layers, user()), implicit(Layer::Resource));
    assert_eq!(
        ask(&layers, user(), "sts:AssumeRole", ACCOUNT).reason("sts:AssumeRole"),
        "because no role trust policy allows the sts:AssumeRole action"
    );
}

#[test]
fn a_kms_key_must_trust_its_own_account() {
    let identity = [allow(PolicyKind::Identity)];
    let context = Context::new();
    let request = Request {
        principal: user(),
        action: "kms:Decrypt",
        resource: "arn:aws:kms:us-east-1:111122223333:key/k",
        resource_account: Some(account(ACCOUNT)),
        context: &context,
    };
    let alone = Layers {
        identity: &identity,
        ..Layers::default()
    };
    assert_eq!(decision(&alone, &request), Decision::ImplicitlyDenied);
    let resource = policy(PolicyKind::Resource, "Allow", r#"{"AWS": "111122223333"}"#);
    assert_eq!(
        decision(
            &Layers {
                resource: Some(&resource),
                ..alone
            },
            &request
        ),
        Decision::Allowed
    );
    // What is not about a key needs no key policy.
    let request = Request {
        action: "kms:CreateKey",
        resource: "*",
        ..request
    };
    assert_eq!(decision(&alone, &request), Decision::Allowed);
}

#[test]
fn get_caller_identity_is_always_allowed() {
    let identity = [deny(PolicyKind::Identity)];
    let layers = Layers {
        identity: &identity,
        ..Layers::default()
    };
    let verdict = ask(&layers, user(), "STS:GetCallerIdentity", ACCOUNT);
    assert!(verdict.is_allowed());
    assert_eq!(verdict.layer, None);
    assert!(!ask(&layers, Principal::Anonymous, "sts:GetCallerIdentity", ACCOUNT).is_allowed());
}

#[test]
fn reasons_in_aws_words() {
    let reason = |layers: &Layers<'_>| ask(layers, user(), "s3:PutObject", ACCOUNT).reason("s3:PutObject");
    let none = Layers::default();
    assert_eq!(
        reason(&none),
        "because no identity-based policy allows the s3:PutObject action"
    );
    let identity = [allow(PolicyKind::Identity)];
    let open = Layers {
        identity: &identity,
        ..none
    };
    let boundary = statement(PolicyKind::Boundary, "Allow", "", "sqs:*", "");
    assert_eq!(
        reason(&Layers {
            boundary: Some(&boundary),
            ..open
        }),
        "because no permissions boundary allows the s3:PutObject action"
    );
    assert_eq!(
        reason(&Layers {
            session: Some(&[]),
            ..open
        }),
        "because no session policy allows the s3:PutObject action"
    );
    assert_eq!(
        reason(&Layers {
            service_control: &[vec![]],
            ..open
        }),
        "because no service control policy allows the s3:PutObject action"
    );
    assert_eq!(
        reason(&Layers {
            vpc_endpoint: Some(&[]),
            ..open
        }),
        "because no VPC endpoint policy allows the s3:PutObject action"
    );
    for (kind, expected) in [
        (
            PolicyKind::Identity,
            "with an explicit deny in an identity-based policy",
        ),
        (PolicyKind::Boundary, "with an explicit deny in a permissions boundary"),
        (PolicyKind::Session, "with an explicit deny in a session policy"),
        (PolicyKind::Resource, "with an explicit deny in a resource-based policy"),
        (
            PolicyKind::ServiceControl,
            "with an explicit deny in a service control policy",
        ),
        (
            PolicyKind::ResourceControl,
            "with an explicit deny in a resource control policy",
        ),
        (
            PolicyKind::VpcEndpoint,
            "with an explicit deny in a VPC endpoint policy",
        ),
    ] {
        let list = [deny(kind)];
        let levels = [list.to_vec()];
        let layers = match kind {
            PolicyKind::Identity => Layers {
                identity: &list,
                ..none
            },
            PolicyKind::Boundary => Layers {
                boundary: Some(&list[0]),
                ..none
            },
            PolicyKind::Session => Layers {
                session: Some(&list),
                ..none
            },
            PolicyKind::ServiceControl => Layers {
                service_control: &levels,
                ..none
            },
            PolicyKind::ResourceControl => Layers {
                resource_control: &levels,
                ..none
            },
            PolicyKind::VpcEndpoint => Layers {
                vpc_endpoint: Some(&list),
                ..none
            },
            PolicyKind::Resource | PolicyKind::Trust => Layers {
                resource: Some(&list[0]),
                ..none
            },
        };
        assert_eq!(reason(&layers), expected);
    }
}

/// Service-linked roles are outside of an organization's control policies; roles whose path only looks like it are not.
#[test]
fn service_linked_roles_are_outside_of_control_policies() {
    let identity = [allow(PolicyKind::Identity)];
    let service = [vec![deny(PolicyKind::ServiceControl)]];
    let resource = [vec![deny(PolicyKind::ResourceControl)]];
    for (role_arn, expected) in [
        (
            "arn:aws:iam::111122223333:role/aws-service-role/x.amazonaws.com/R",
            Decision::Allowed,
        ),
        (
            "arn:aws:iam::111122223333:role/x:role/aws-service-role/R",
            Decision::ExplicitlyDenied,
        ),
        (ROLE, Decision::ExplicitlyDenied),
    ] {
        let session = Principal::RoleSession {
            session_arn: SESSION,
            role_arn,
            role_unique_id: "AROAEXAMPLE1234567890",
            account: account(ACCOUNT),
        };
        for layers in [
            Layers {
                identity: &identity,
                service_control: &service,
                ..Layers::default()
            },
            Layers {
                identity: &identity,
                resource_control: &resource,
                ..Layers::default()
            },
        ] {
            assert_eq!(get(&layers, session).0, expected, "{role_arn}");
        }
    }
}

/// A caller that passes a boundary for a root user means it.
#[test]
fn a_boundary_limits_root_across_accounts() {
    let resource = policy(PolicyKind::Resource, "Allow", r#"{"AWS": "111122223333"}"#);
    let closed = statement(PolicyKind::Boundary, "Allow", "", "sqs:*", "");
    let layers = Layers {
        resource: Some(&resource),
        boundary: Some(&closed),
        ..Layers::default()
    };
    let verdict = ask(&layers, root(), "s3:GetObject", OTHER);
    assert_eq!(verdict.layer, Some(Layer::Boundary));
    assert_eq!(verdict.decision, Decision::ImplicitlyDenied);
}

/// A resource's policy that names no resource is about what it is attached to, as those of ECR repositories are.
#[test]
fn a_resource_policy_without_resources() {
    let text = r#"{"Statement": {"Effect": "Allow", "Action": "s3:*", "Principal": "*"}}"#;
    let resource = Policy::parse("repository", PolicyKind::Resource, text).unwrap();
    let layers = Layers {
        resource: Some(&resource),
        ..Layers::default()
    };
    assert_eq!(get(&layers, Principal::Anonymous), allowed(Layer::Resource));
    assert!(Policy::parse("", PolicyKind::VpcEndpoint, text).is_err());
}
