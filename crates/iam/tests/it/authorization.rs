//! Which questions are asked: resources, condition keys, and the words of refusals.

use irsa_iam::Caller;

use crate::harness::{READ, Server, TRUST, allow, call, policy};

/// A server with the user `ann` and its key.
fn server() -> (Server, Caller) {
    let mut server = Server::new();
    server.ok("CreateUser", &[("UserName", "ann")]);
    server.ok(
        "CreateRole",
        &[
            ("RoleName", "App"),
            ("Path", "/team/"),
            ("AssumeRolePolicyDocument", TRUST),
        ],
    );
    server.ok(
        "CreatePolicy",
        &[("PolicyName", "limit"), ("PolicyDocument", &allow("iam:Get*"))],
    );
    let ann = server.user("ann");
    (server, ann)
}

/// Gives `ann` one statement, and her caller on the new state.
fn grant(server: &mut Server, ann: &Caller, statement: &str) -> Caller {
    server.ok(
        "PutUserPolicy",
        &[
            ("UserName", "ann"),
            ("PolicyName", "p"),
            ("PolicyDocument", &policy(statement)),
        ],
    );
    Caller::of_access_key(&server.state, server.state.access_key(&ann.access_key_id).unwrap()).unwrap()
}

fn statement(action: &str, resource: &str, condition: &str) -> String {
    format!(r#"{{"Effect":"Allow","Action":{action},"Resource":"{resource}","Condition":{{{condition}}}}}"#)
}

#[test]
fn refusals_name_things_as_iam_does() {
    let (server, ann) = server();
    for (action, params, resource) in [
        ("GetRole", &[("RoleName", "App")][..], "role App"),
        ("GetRole", &[("RoleName", "none")], "role none"),
        ("GetUser", &[], "user ann"),
        ("CreateUser", &[("UserName", "bob")], "user bob"),
        ("ListRoles", &[], "arn:aws:iam::111122223333:role/"),
        (
            "ListUsers",
            &[("PathPrefix", "/x/")],
            "arn:aws:iam::111122223333:user/x/",
        ),
        ("ListPolicies", &[], "policy path /"),
        (
            "CreatePolicy",
            &[("PolicyName", "p"), ("PolicyDocument", READ)],
            "policy p",
        ),
        (
            "GetPolicy",
            &[("PolicyArn", "arn:aws:iam::aws:policy/IAMFullAccess")],
            "policy arn:aws:iam::aws:policy/IAMFullAccess",
        ),
        (
            "CreateOpenIDConnectProvider",
            &[("Url", "https://oidc.example:443/id/A")],
            "arn:aws:iam::111122223333:oidc-provider/oidc.example/id/A",
        ),
        (
            "ListOpenIDConnectProviders",
            &[],
            "arn:aws:iam::111122223333:oidc-provider/*",
        ),
        ("GetAccountSummary", &[], "*"),
        ("GetAccountAuthorizationDetails", &[], "*"),
    ] {
        let expected = format!(
            "User: arn:aws:iam::111122223333:user/ann is not authorized to perform: iam:{action} on resource: {resource} because no identity-based \
             policy allows the iam:{action} action"
        );
        assert_eq!(server.refusal(&ann, action, params).as_deref(), Some(expected.as_str()));
    }
}

#[test]
fn the_stored_arn_decides() {
    let (mut server, ann) = server();
    let role = |path: &str| format!("arn:aws:iam::111122223333:role{path}");
    let ann = grant(
        &mut server,
        &ann,
        &statement("[\"iam:GetRole\",\"iam:CreateRole\"]", &role("/team/*"), ""),
    );
    assert_eq!(server.refusal(&ann, "GetRole", &[("RoleName", "app")]), None);
    // A path in a call that looks something up is not believed.
    server.ok(
        "CreateRole",
        &[("RoleName", "Other"), ("AssumeRolePolicyDocument", TRUST)],
    );
    assert!(
        server
            .refusal(&ann, "GetRole", &[("RoleName", "Other"), ("Path", "/team/")])
            .is_some()
    );
    let document = ("AssumeRolePolicyDocument", TRUST);
    assert_eq!(
        server.refusal(&ann, "CreateRole", &[("RoleName", "New"), ("Path", "/team/"), document]),
        None
    );
    assert!(
        server
            .refusal(&ann, "CreateRole", &[("RoleName", "New"), document])
            .is_some()
    );
}

#[test]
fn attaching_is_bound_to_policies() {
    let (mut server, ann) = server();
    let condition = r#""ArnEquals":{"iam:PolicyARN":"arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess"}"#;
    let ann = grant(
        &mut server,
        &ann,
        &statement("[\"iam:AttachRolePolicy\",\"iam:DetachRolePolicy\"]", "*", condition),
    );
    for action in ["AttachRolePolicy", "DetachRolePolicy"] {
        let with = |arn| [("RoleName", "App"), ("PolicyArn", arn)];
        assert_eq!(
            server.refusal(&ann, action, &with("arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess")),
            None
        );
        assert!(
            server
                .refusal(&ann, action, &with("arn:aws:iam::aws:policy/AdministratorAccess"))
                .is_some()
        );
    }
}

#[test]
fn adv_ia_02_who_may_only_make_bounded_roles_makes_no_others() {
    let (mut server, ann) = server();
    let limit = "arn:aws:iam::111122223333:policy/limit";
    let actions = r#"["iam:CreateRole","iam:PutRolePolicy","iam:AttachRolePolicy","iam:DeleteRolePolicy","iam:PutRolePermissionsBoundary"]"#;
    let ann = grant(
        &mut server,
        &ann,
        &statement(
            actions,
            "*",
            &format!(r#""StringEquals":{{"iam:PermissionsBoundary":"{limit}"}}"#),
        ),
    );
    let new = [("RoleName", "New"), ("AssumeRolePolicyDocument", TRUST)];
    let bounded = ("PermissionsBoundary", limit);
    let other = ("PermissionsBoundary", "arn:aws:iam::aws:policy/AdministratorAccess");
    assert!(server.refusal(&ann, "CreateRole", &new).is_some());
    assert!(
        server
            .refusal(&ann, "CreateRole", &[&new[..], &[other]].concat())
            .is_some()
    );
    assert_eq!(
        server.refusal(&ann, "CreateRole", &[&new[..], &[bounded]].concat()),
        None
    );
    server.ok("CreateRole", &[&new[..], &[bounded]].concat());

    // What a role may do is changed only where the boundary is.
    let put = |role| [("RoleName", role), ("PolicyName", "p"), ("PolicyDocument", READ)];
    let attach = |role| [("RoleName", role), ("PolicyArn", limit)];
    assert!(server.refusal(&ann, "PutRolePolicy", &put("App")).is_some());
    assert!(server.refusal(&ann, "AttachRolePolicy", &attach("App")).is_some());
    assert!(server.refusal(&ann, "DeleteRolePolicy", &put("App")).is_some());
    assert_eq!(server.refusal(&ann, "PutRolePolicy", &put("New")), None);
    assert_eq!(server.refusal(&ann, "AttachRolePolicy", &attach("New")), None);

    // The boundary can be put on, not swapped for a wider one, and not taken off.
    assert_eq!(
        server.refusal(&ann, "PutRolePermissionsBoundary", &[("RoleName", "App"), bounded]),
        None
    );
    assert!(
        server
            .refusal(&ann, "PutRolePermissionsBoundary", &[("RoleName", "New"), other])
            .is_some()
    );
    assert!(
        server
            .refusal(&ann, "DeleteRolePermissionsBoundary", &[("RoleName", "New")])
            .is_some()
    );
}

#[test]
fn a_boundary_limits() {
    let (mut server, _) = server();
    server.ok(
        "PutRolePolicy",
        &[
            ("RoleName", "App"),
            ("PolicyName", "p"),
            ("PolicyDocument", &allow("iam:*")),
        ],
    );
    let role = [("RoleName", "App")];
    let session = server.role_session("App");
    assert_eq!(server.refusal(&session, "DeleteRole", &role), None);
    server.ok(
        "PutRolePermissionsBoundary",
        &[
            ("RoleName", "App"),
            ("PermissionsBoundary", "arn:aws:iam::111122223333:policy/limit"),
        ],
    );
    let session = server.role_session("App");
    assert_eq!(server.refusal(&session, "GetRole", &role), None);
    let refusal = server.refusal(&session, "DeleteRole", &role).unwrap();
    assert_eq!(
        refusal,
        "User: arn:aws:sts::111122223333:assumed-role/App/s1 is not authorized to perform: iam:DeleteRole on resource: role App because no permissions \
         boundary allows the iam:DeleteRole action"
    );
}

#[test]
fn adv_ia_03_each_way_up_needs_its_own_permission() {
    let (mut server, ann) = server();
    let ann = grant(
        &mut server,
        &ann,
        &statement(
            "[\"iam:Get*\",\"iam:List*\",\"iam:PassRole\",\"iam:UpdateRole\"]",
            "*",
            "",
        ),
    );
    let arn = ("PolicyArn", "arn:aws:iam::111122223333:policy/limit");
    for (action, params) in [
        (
            "UpdateAssumeRolePolicy",
            &[("RoleName", "App"), ("PolicyDocument", TRUST)][..],
        ),
        ("AttachUserPolicy", &[("UserName", "ann"), arn]),
        (
            "PutUserPolicy",
            &[("UserName", "ann"), ("PolicyName", "x"), ("PolicyDocument", READ)],
        ),
        (
            "CreatePolicyVersion",
            &[arn, ("PolicyDocument", READ), ("SetAsDefault", "true")],
        ),
        ("SetDefaultPolicyVersion", &[arn, ("VersionId", "v1")]),
        ("CreateAccessKey", &[("UserName", "ann")]),
        ("CreateAccessKey", &[]),
        ("DeleteUserPermissionsBoundary", &[("UserName", "ann")]),
    ] {
        assert!(server.refusal(&ann, action, params).is_some(), "{action}");
    }
}

#[test]
fn creation_with_tags_asks_for_tagging_too() {
    let (mut server, ann) = server();
    let tags = [("Tags.member.1.Key", "Team"), ("Tags.member.1.Value", "blue")];
    for (create, tag, params) in [
        (
            "CreateRole",
            "TagRole",
            &[("RoleName", "n"), ("AssumeRolePolicyDocument", TRUST)][..],
        ),
        ("CreateUser", "TagUser", &[("UserName", "n")]),
        (
            "CreatePolicy",
            "TagPolicy",
            &[("PolicyName", "n"), ("PolicyDocument", READ)],
        ),
        (
            "CreateOpenIDConnectProvider",
            "TagOpenIDConnectProvider",
            &[("Url", "https://n.example")],
        ),
    ] {
        let caller = grant(&mut server, &ann, &statement(&format!("\"iam:{create}\""), "*", ""));
        assert_eq!(server.refusal(&caller, create, params), None, "{create}");
        let tagged = [params, &tags].concat();
        let refusal = server.refusal(&caller, create, &tagged).unwrap();
        assert!(refusal.contains(&format!("perform: iam:{tag} on")), "{refusal}");
        let condition =
            r#""StringEquals":{"aws:RequestTag/team":"blue"},"ForAllValues:StringEquals":{"aws:TagKeys":["Team"]}"#;
        let both = statement(&format!("[\"iam:{create}\",\"iam:{tag}\"]"), "*", condition);
        let caller = grant(&mut server, &ann, &both);
        assert_eq!(server.refusal(&caller, create, &tagged), None, "{create}");
        let red = [params, &[("Tags.member.1.Key", "Team"), ("Tags.member.1.Value", "red")]].concat();
        assert!(server.refusal(&caller, create, &red).is_some(), "{create}");
        let more = [&tagged[..], &[("Tags.member.2.Key", "x"), ("Tags.member.2.Value", "y")]].concat();
        assert!(server.refusal(&caller, create, &more).is_some(), "{create}");
    }
}

#[test]
fn tags_of_the_resource_decide() {
    let (mut server, ann) = server();
    server.ok(
        "TagRole",
        &[
            ("RoleName", "App"),
            ("Tags.member.1.Key", "Team"),
            ("Tags.member.1.Value", "blue"),
        ],
    );
    for key in ["aws:ResourceTag/Team", "iam:ResourceTag/team"] {
        let ann = grant(
            &mut server,
            &ann,
            &statement("\"iam:*\"", "*", &format!(r#""StringEquals":{{"{key}":"blue"}}"#)),
        );
        assert_eq!(server.refusal(&ann, "DeleteRole", &[("RoleName", "App")]), None);
        assert!(server.refusal(&ann, "DeleteRole", &[("RoleName", "none")]).is_some());
    }
}

#[test]
fn two_spellings_of_a_tag_satisfy_no_condition() {
    let (mut server, ann) = server();
    let ann = grant(
        &mut server,
        &ann,
        &statement("\"iam:*\"", "*", r#""StringEquals":{"aws:RequestTag/Team":"blue"}"#),
    );
    let policy = ("PolicyArn", "arn:aws:iam::111122223333:policy/limit");
    let one = [policy, ("Tags.member.1.Key", "Team"), ("Tags.member.1.Value", "blue")];
    assert_eq!(server.refusal(&ann, "TagPolicy", &one), None);
    let two = [
        &one[..],
        &[("Tags.member.2.Key", "team"), ("Tags.member.2.Value", "red")],
    ]
    .concat();
    assert!(server.refusal(&ann, "TagPolicy", &two).is_some());
}

#[test]
fn renaming_needs_both_names() {
    let (mut server, ann) = server();
    let ann = grant(
        &mut server,
        &ann,
        &statement("\"iam:UpdateUser\"", "arn:aws:iam::111122223333:user/ann", ""),
    );
    assert_eq!(server.refusal(&ann, "UpdateUser", &[("UserName", "ann")]), None);
    assert!(
        server
            .refusal(&ann, "UpdateUser", &[("UserName", "ann"), ("NewUserName", "root2")])
            .is_some()
    );
    assert!(
        server
            .refusal(&ann, "UpdateUser", &[("UserName", "ann"), ("NewPath", "/admins/")])
            .is_some()
    );
}

#[test]
fn adv_ia_13_keys_of_others_are_not_listed() {
    let (mut server, ann) = server();
    server.ok("CreateUser", &[("UserName", "bob")]);
    let bob = server.user("bob");
    let ann = grant(
        &mut server,
        &ann,
        &statement(
            "[\"iam:ListAccessKeys\",\"iam:GetAccessKeyLastUsed\"]",
            "arn:aws:iam::*:user/${aws:username}",
            "",
        ),
    );
    assert_eq!(server.refusal(&ann, "ListAccessKeys", &[]), None);
    assert!(server.refusal(&ann, "ListAccessKeys", &[("UserName", "bob")]).is_some());
    assert_eq!(
        server.refusal(
            &ann,
            "GetAccessKeyLastUsed",
            &[("AccessKeyId", ann.access_key_id.as_str())]
        ),
        None
    );
    assert!(
        server
            .refusal(
                &ann,
                "GetAccessKeyLastUsed",
                &[("AccessKeyId", bob.access_key_id.as_str())]
            )
            .is_some()
    );
    assert!(
        server
            .refusal(&ann, "GetAccessKeyLastUsed", &[("AccessKeyId", "AKIAAAAAAAAAAAAAAAAA")])
            .is_some()
    );
}

#[test]
fn other_accounts_policies_are_refused_before_they_are_looked_for() {
    let (mut server, _) = server();
    let other = server.add_account("444455556666");
    for arn in [
        "arn:aws:iam::111122223333:policy/limit",
        "arn:aws:iam::111122223333:policy/none",
    ] {
        let refusal = server.refusal(&other, "GetPolicy", &[("PolicyArn", arn)]).unwrap();
        assert!(refusal.contains(&format!("on resource: policy {arn} ")), "{refusal}");
        let targets = call("GetPolicy", &[("PolicyArn", arn)])
            .unwrap()
            .targets(&server.state, &other)
            .unwrap();
        assert!(targets[0].context.is_empty());
    }
}
