use crate::harness::{READ, Server, TRUST, lines, texts};

fn server() -> Server {
    let mut server = Server::new();
    server.ok("CreatePolicy", &[("PolicyName", "own"), ("PolicyDocument", READ)]);
    server.ok(
        "CreateRole",
        &[("RoleName", "App"), ("AssumeRolePolicyDocument", TRUST)],
    );
    server.ok(
        "PutRolePolicy",
        &[("RoleName", "App"), ("PolicyName", "p"), ("PolicyDocument", READ)],
    );
    server.ok(
        "AttachRolePolicy",
        &[
            ("RoleName", "App"),
            ("PolicyArn", "arn:aws:iam::111122223333:policy/own"),
        ],
    );
    let boundary = ("PermissionsBoundary", "arn:aws:iam::aws:policy/IAMReadOnlyAccess");
    server.ok("CreateUser", &[("UserName", "ann"), boundary]);
    server.ok("CreateAccessKey", &[("UserName", "ann")]);
    server
}

#[test]
fn summary() {
    let mut server = server();
    insta::assert_snapshot!(
        "account_summary",
        lines(&server.ok("GetAccountSummary", &[])).replace(">\n<value", "><value")
    );
}

#[test]
fn aliases() {
    let mut server = server();
    assert_eq!(
        server.ok("ListAccountAliases", &[]),
        "<AccountAliases></AccountAliases><IsTruncated>false</IsTruncated>"
    );
}

#[test]
fn authorization_details() {
    let mut server = server();
    let filter = [
        ("Filter.member.1", "User"),
        ("Filter.member.2", "Role"),
        ("Filter.member.3", "LocalManagedPolicy"),
    ];
    insta::assert_snapshot!(
        "authorization_details",
        lines(&server.ok("GetAccountAuthorizationDetails", &filter))
    );
    for (filter, names) in [
        ("User", "ann"),
        ("Role", "App own p"),
        ("Group", ""),
        ("LocalManagedPolicy", "own"),
    ] {
        let answer = server.ok("GetAccountAuthorizationDetails", &[("Filter.member.1", filter)]);
        let mut found = ["UserName", "RoleName", "PolicyName"]
            .map(|name| texts(&answer, name))
            .concat();
        found.dedup();
        found.sort();
        assert_eq!(found.join(" "), names, "{filter}");
    }
    let aws = server.ok(
        "GetAccountAuthorizationDetails",
        &[("Filter.member.1", "AWSManagedPolicy")],
    );
    assert_eq!(texts(&aws, "PolicyName").len(), irsa_iam::AWS_MANAGED.len());
    assert!(
        server
            .error("GetAccountAuthorizationDetails", &[("Filter.member.1", "user")])
            .starts_with("ValidationError")
    );
}
