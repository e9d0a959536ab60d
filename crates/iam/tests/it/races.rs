//! Two callers who see the same state: what one wants must not undo what the other was told.

use crate::harness::{READ, Server, TRUST, allow};

const OWN: &str = "arn:aws:iam::111122223333:policy/own";

fn server() -> Server {
    let mut server = Server::new();
    server.ok(
        "CreateRole",
        &[("RoleName", "App"), ("AssumeRolePolicyDocument", TRUST)],
    );
    server.ok("CreateUser", &[("UserName", "ann")]);
    server.ok("CreatePolicy", &[("PolicyName", "own"), ("PolicyDocument", READ)]);
    server
}

type Step = (&'static str, &'static [(&'static str, &'static str)]);

#[test]
fn adv_ia_06_of_two_conflicting_changes_one_is_made() {
    const ROLE: (&str, &str) = ("RoleName", "App");
    const USER: (&str, &str) = ("UserName", "ann");
    const POLICY: (&str, &str) = ("PolicyArn", OWN);
    const PUT: Step = ("PutRolePolicy", &[ROLE, ("PolicyName", "p"), ("PolicyDocument", READ)]);
    const BOUNDARY: (&str, &str) = ("PermissionsBoundary", OWN);
    let pairs: &[(Step, Step)] = &[
        (PUT, ("DeleteRole", &[ROLE])),
        (("AttachRolePolicy", &[ROLE, POLICY]), ("DeleteRole", &[ROLE])),
        (("AttachRolePolicy", &[ROLE, POLICY]), ("DeletePolicy", &[POLICY])),
        (("AttachUserPolicy", &[USER, POLICY]), ("DeletePolicy", &[POLICY])),
        (
            ("PutRolePermissionsBoundary", &[ROLE, BOUNDARY]),
            ("DeletePolicy", &[POLICY]),
        ),
        (
            ("CreateUser", &[("UserName", "bob"), BOUNDARY]),
            ("DeletePolicy", &[POLICY]),
        ),
        (("CreateAccessKey", &[USER]), ("DeleteUser", &[USER])),
        (
            ("CreateAccessKey", &[USER]),
            ("UpdateUser", &[USER, ("NewUserName", "anna")]),
        ),
        (("CreateAccessKey", &[USER]), ("CreateAccessKey", &[USER])),
        (
            (
                "TagRole",
                &[ROLE, ("Tags.member.1.Key", "a"), ("Tags.member.1.Value", "1")],
            ),
            PUT,
        ),
        (
            ("UpdateRole", &[ROLE, ("Description", "x")]),
            ("UpdateRole", &[ROLE, ("Description", "y")]),
        ),
        (
            ("CreatePolicyVersion", &[POLICY, ("PolicyDocument", READ)]),
            ("CreatePolicyVersion", &[POLICY, ("PolicyDocument", READ)]),
        ),
        (
            ("CreateUser", &[("UserName", "bob")]),
            ("CreateUser", &[("UserName", "Bob")]),
        ),
        (
            ("CreateUser", &[("UserName", "bob")]),
            ("UpdateUser", &[USER, ("NewUserName", "BOB")]),
        ),
    ];
    for (one, other) in pairs.iter().flat_map(|(one, other)| [(one, other), (other, one)]) {
        let mut server = server();
        let (first, second) = (
            server.outcome(one.0, one.1).unwrap(),
            server.outcome(other.0, other.1).unwrap(),
        );
        server.commit(&first.transaction).unwrap();
        let before = server.dump();
        assert!(server.commit(&second.transaction).is_err(), "{one:?} then {other:?}");
        assert_eq!(server.dump(), before);
    }
}

#[test]
fn attachments_of_one_policy_do_not_hinder_each_other() {
    let mut server = server();
    let role = server
        .outcome("AttachRolePolicy", &[("RoleName", "App"), ("PolicyArn", OWN)])
        .unwrap();
    let user = server
        .outcome("AttachUserPolicy", &[("UserName", "ann"), ("PolicyArn", OWN)])
        .unwrap();
    server.commit(&role.transaction).unwrap();
    server.commit(&user.transaction).unwrap();
}

#[test]
fn refused_calls_write_nothing() {
    let mut server = server();
    let before = server.dump();
    let big = allow("s3:Get*").replace("s3:Get*", &format!("s3:{}", "x".repeat(7000)));
    for (action, params) in [
        (
            "CreatePolicy",
            &[("PolicyName", "big"), ("PolicyDocument", big.as_str())][..],
        ),
        (
            "UpdateRole",
            &[("RoleName", "App"), ("Description", "x"), ("MaxSessionDuration", "1")],
        ),
        ("DeletePolicyVersion", &[("PolicyArn", OWN), ("VersionId", "v1")]),
        (
            "UpdateAssumeRolePolicy",
            &[("RoleName", "App"), ("PolicyDocument", "{}")],
        ),
    ] {
        server.error(action, params);
        assert_eq!(server.dump(), before, "{action}");
    }
}
