//! Who a key belongs to, and what is known of a caller.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use irsa_core::AccessKeyId;
use irsa_credentials::{Federated, Session, SessionPrincipal};
use irsa_iam::{Caller, CallerError, RequestFacts, request_context};
use irsa_policy::{Context, Values};

use crate::harness::{ACCOUNT, Server, TRUST, account_id, text};

fn facts(server: &Server) -> RequestFacts<'static> {
    RequestFacts {
        source_ip: IpAddr::V4(Ipv4Addr::new(10, 0, 0, 7)),
        secure_transport: false,
        user_agent: "aws-cli/2",
        referer: None,
        region: "eu-west-1",
        now: server.now,
    }
}

fn value(context: &Context, key: &str) -> Option<String> {
    match context.get(key) {
        Values::Absent => None,
        Values::Single(value) => Some(value.to_owned()),
        Values::List(values) => Some(values.iter().collect::<Vec<_>>().join(",")),
    }
}

#[test]
fn long_term_keys() {
    let mut server = Server::new();
    assert_eq!(
        (server.caller.arn(), server.caller.user_id()),
        ("arn:aws:iam::111122223333:root", ACCOUNT)
    );
    server.ok("CreateUser", &[("UserName", "ann"), ("Path", "/team/")]);
    let created = server.ok("CreateAccessKey", &[("UserName", "ann")]);
    let id: AccessKeyId = text(&created, "AccessKeyId").parse().unwrap();
    let caller = |server: &Server| Caller::of_access_key(&server.state, server.state.access_key(&id).unwrap());
    let user_id = text(&server.ok("GetUser", &[("UserName", "ann")]), "UserId").to_owned();
    let ann = caller(&server).unwrap();
    assert_eq!(
        (ann.arn(), ann.user_id()),
        ("arn:aws:iam::111122223333:user/team/ann", user_id.as_str())
    );
    assert_eq!(ann.session_name(), None);
    let key = [("UserName", "ann"), ("AccessKeyId", id.as_str())];
    server.ok("UpdateAccessKey", &[&key[..], &[("Status", "Inactive")]].concat());
    assert_eq!(caller(&server).err(), Some(CallerError::Inactive));
}

#[test]
fn sessions_end() {
    let mut server = Server::new();
    server.ok(
        "CreateRole",
        &[
            ("RoleName", "App"),
            ("AssumeRolePolicyDocument", TRUST),
            ("Path", "/team/"),
        ],
    );
    let caller = server.role_session("App");
    assert_eq!(caller.arn(), "arn:aws:sts::111122223333:assumed-role/App/s1");
    assert!(caller.user_id().starts_with("AROA") && caller.user_id().ends_with(":s1"));
    let session = caller.session.clone().unwrap();
    let open = |server: &Server, seconds| {
        let now = server.now.plus_seconds(seconds);
        Caller::of_session(&server.state, caller.access_key_id.clone(), Arc::clone(&session), now).err()
    };
    assert_eq!(open(&server, 3599), None);
    assert_eq!(open(&server, 3600), Some(CallerError::Expired));
    server.ok("DeleteRole", &[("RoleName", "App")]);
    assert_eq!(open(&server, 0), Some(CallerError::Unknown));
}

#[test]
fn a_session_does_not_pass_to_another_account() {
    let mut server = Server::new();
    server.ok(
        "CreateRole",
        &[("RoleName", "App"), ("AssumeRolePolicyDocument", TRUST)],
    );
    let session = server.role_session("App").session.unwrap();
    server.caller = server.add_account("444455556666");
    let trust = TRUST.replace("111122223333", "444455556666");
    server.ok(
        "CreateRole",
        &[("RoleName", "App"), ("AssumeRolePolicyDocument", &trust)],
    );
    let moved = Session {
        account: account_id("444455556666"),
        ..(*session).clone()
    };
    let id = AccessKeyId::temporary(moved.account, [9; 5]);
    let caller = Caller::of_session(&server.state, id, Arc::new(moved), server.now);
    assert_eq!(caller.err(), Some(CallerError::Unknown));
}

#[test]
fn federated_users_are_nobody_here() {
    let server = Server::new();
    let session = Session {
        account: account_id(ACCOUNT),
        principal: SessionPrincipal::FederatedUser {
            name: "f".to_owned(),
            user_name: "ann".to_owned(),
            user_path: "/".to_owned(),
            user_id: "AIDAAAAAAAAAAAAAAAAAA".to_owned(),
        },
        ..plain_session(&server)
    };
    let id = AccessKeyId::temporary(session.account, [1; 5]);
    assert_eq!(
        Caller::of_session(&server.state, id, Arc::new(session), server.now).err(),
        Some(CallerError::Unknown)
    );
}

fn plain_session(server: &Server) -> Session {
    Session {
        account: account_id(ACCOUNT),
        principal: SessionPrincipal::Root,
        issued_at: server.now,
        expires_at: server.now.plus_seconds(60),
        source_identity: None,
        tags: Vec::new(),
        transitive_tag_keys: Vec::new(),
        session_policy: None,
        session_policy_arns: Vec::new(),
        federated: None,
        mfa: false,
        chained: false,
    }
}

#[test]
fn condition_keys_of_a_web_identity_session() {
    let mut server = Server::new();
    let tags = [
        ("Tags.member.1.Key", "Team"),
        ("Tags.member.1.Value", "role"),
        ("Tags.member.2.Key", "Env"),
    ];
    let role = [
        ("RoleName", "App"),
        ("Path", "/team/"),
        ("AssumeRolePolicyDocument", TRUST),
    ];
    server.ok(
        "CreateRole",
        &[&role[..], &tags, &[("Tags.member.2.Value", "prod")]].concat(),
    );
    let session = Session {
        source_identity: Some("pod".to_owned()),
        tags: vec![("team".to_owned(), "session".to_owned())],
        federated: Some(Federated {
            provider_arn: "arn:aws:iam::111122223333:oidc-provider/oidc.example/id/A".to_owned(),
            issuer: "https://oidc.example/id/A".to_owned(),
            audience: "sts.amazonaws.com".to_owned(),
            subject: "system:serviceaccount:ns:sa".to_owned(),
            amr: vec!["a".to_owned(), "b".to_owned()],
        }),
        ..(*server.role_session("App").session.unwrap()).clone()
    };
    let id = AccessKeyId::temporary(session.account, [9; 5]);
    let caller = Caller::of_session(&server.state, id, Arc::new(session), server.now).unwrap();
    let context = request_context(&caller, &facts(&server));
    for (key, expected) in [
        ("aws:PrincipalArn", "arn:aws:iam::111122223333:role/team/App"),
        ("aws:PrincipalType", "AssumedRole"),
        ("aws:PrincipalAccount", ACCOUNT),
        ("aws:userid", caller.user_id()),
        // The session's tag stands before the role's, whatever the case.
        ("aws:PrincipalTag/Team", "session"),
        ("aws:PrincipalTag/Env", "prod"),
        ("aws:SourceIdentity", "pod"),
        ("aws:SourceIp", "10.0.0.7"),
        ("aws:SecureTransport", "false"),
        ("aws:MultiFactorAuthPresent", "false"),
        ("aws:TokenIssueTime", "2026-09-10T00:26:40Z"),
        ("aws:RequestedRegion", "eu-west-1"),
        ("aws:UserAgent", "aws-cli/2"),
        ("oidc.example/id/A:sub", "system:serviceaccount:ns:sa"),
        ("oidc.example/id/A:aud", "sts.amazonaws.com"),
        ("oidc.example/id/A:amr", "a,b"),
        (
            "aws:FederatedProvider",
            "arn:aws:iam::111122223333:oidc-provider/oidc.example/id/A",
        ),
    ] {
        assert_eq!(value(&context, key).as_deref(), Some(expected), "{key}");
    }
    for absent in ["aws:username", "aws:referer"] {
        assert_eq!(value(&context, absent), None, "{absent}");
    }
    let root = request_context(&server.caller, &facts(&server));
    for absent in [
        "aws:MultiFactorAuthPresent",
        "aws:TokenIssueTime",
        "aws:username",
        "aws:PrincipalTag/Team",
    ] {
        assert_eq!(value(&root, absent), None, "{absent}");
    }
    assert_eq!(value(&root, "aws:PrincipalType").as_deref(), Some("Account"));
}

#[test]
fn session_policies_only_narrow() {
    let mut server = Server::new();
    server.ok(
        "CreateRole",
        &[("RoleName", "App"), ("AssumeRolePolicyDocument", TRUST)],
    );
    let all = crate::harness::allow("iam:*");
    server.ok(
        "PutRolePolicy",
        &[("RoleName", "App"), ("PolicyName", "p"), ("PolicyDocument", &all)],
    );
    server.ok(
        "CreatePolicy",
        &[
            ("PolicyName", "gets"),
            ("PolicyDocument", &crate::harness::allow("iam:Get*")),
        ],
    );
    let gets = "arn:aws:iam::111122223333:policy/gets".to_owned();
    let base = (*server.role_session("App").session.unwrap()).clone();
    let role = [("RoleName", "App")];
    let refused = |server: &Server, session: Session| {
        let id = AccessKeyId::temporary(session.account, [9; 5]);
        let caller = Caller::of_session(&server.state, id, Arc::new(session), server.now).unwrap();
        ["GetRole", "DeleteRole"].map(|action| server.refusal(&caller, action, &role).is_some())
    };
    let inline = |text: &str| Session {
        session_policy: Some(text.to_owned()),
        ..base.clone()
    };
    let managed = Session {
        session_policy_arns: vec![gets.clone()],
        ..base.clone()
    };
    assert_eq!(refused(&server, base.clone()), [false, false]);
    assert_eq!(
        refused(&server, inline(&crate::harness::allow("iam:Get*"))),
        [false, true]
    );
    assert_eq!(refused(&server, managed.clone()), [false, true]);
    // What can't be read, or is gone, grants nothing: it does not count as if no policy had been passed.
    assert_eq!(refused(&server, inline("nonsense")), [true, true]);
    // A managed one is read live.
    let deny = all.replace("Allow", "Deny");
    let version = [
        ("PolicyArn", gets.as_str()),
        ("PolicyDocument", &deny),
        ("SetAsDefault", "true"),
    ];
    server.ok("CreatePolicyVersion", &version);
    assert_eq!(refused(&server, managed.clone()), [true, true]);
    server.ok("SetDefaultPolicyVersion", &[("PolicyArn", &gets), ("VersionId", "v1")]);
    server.ok("DeletePolicyVersion", &[("PolicyArn", &gets), ("VersionId", "v2")]);
    server.ok("DeletePolicy", &[("PolicyArn", &gets)]);
    assert_eq!(refused(&server, managed), [true, true]);
}
