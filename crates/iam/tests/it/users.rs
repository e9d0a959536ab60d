use crate::harness::{READ, Server, lines, text, texts};

const NAME: (&str, &str) = ("UserName", "Ann");
const READ_ONLY: &str = "arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess";

#[test]
fn a_user_lives() {
    let mut server = Server::new();
    let created = server
        .answer(
            "CreateUser",
            &[
                NAME,
                ("Path", "/team/"),
                ("PermissionsBoundary", READ_ONLY),
                ("Tags.member.1.Key", "k"),
                ("Tags.member.1.Value", "v"),
            ],
        )
        .unwrap();
    insta::assert_snapshot!("user_created", lines(&created.result.unwrap()));
    insta::assert_snapshot!(
        "user_created_event",
        format!("{:#}", created.response_elements.unwrap())
    );
    insta::assert_snapshot!("user", lines(&server.ok("GetUser", &[("UserName", "aNN")])));
    insta::assert_snapshot!("users", lines(&server.ok("ListUsers", &[("PathPrefix", "/team/")])));
    assert_eq!(
        texts(&server.ok("ListUsers", &[("PathPrefix", "/other/")]), "UserName"),
        [""; 0]
    );
    assert_eq!(
        server.error("CreateUser", &[("UserName", "ANN")]),
        "EntityAlreadyExists 409: User with name ANN already exists."
    );
    assert_eq!(
        server.ok("ListGroupsForUser", &[NAME]),
        "<Groups></Groups><IsTruncated>false</IsTruncated>"
    );
    server.ok("DeleteUser", &[NAME]);
    assert!(
        !server.keys().iter().any(|key| key.contains("ann")),
        "{:?}",
        server.keys()
    );
}

#[test]
fn missing_users() {
    let mut server = Server::new();
    let policy = ("PolicyName", "p");
    let arn = ("PolicyArn", READ_ONLY);
    let tag = [NAME, ("Tags.member.1.Key", "a"), ("Tags.member.1.Value", "")];
    let key = ("AccessKeyId", "AKIAAAAAAAAAAAAAAAAA");
    for (action, params) in [
        ("GetUser", &[NAME][..]),
        ("DeleteUser", &[NAME]),
        ("UpdateUser", &[NAME, ("NewPath", "/x/")]),
        ("ListGroupsForUser", &[NAME]),
        ("PutUserPolicy", &[NAME, policy, ("PolicyDocument", READ)]),
        ("GetUserPolicy", &[NAME, policy]),
        ("ListUserPolicies", &[NAME]),
        ("DeleteUserPolicy", &[NAME, policy]),
        ("AttachUserPolicy", &[NAME, arn]),
        ("DetachUserPolicy", &[NAME, arn]),
        ("ListAttachedUserPolicies", &[NAME]),
        (
            "PutUserPermissionsBoundary",
            &[NAME, ("PermissionsBoundary", READ_ONLY)],
        ),
        ("DeleteUserPermissionsBoundary", &[NAME]),
        ("TagUser", &tag),
        ("UntagUser", &[NAME, ("TagKeys.member.1", "a")]),
        ("ListUserTags", &[NAME]),
        ("CreateAccessKey", &[NAME]),
        ("ListAccessKeys", &[NAME]),
        ("UpdateAccessKey", &[NAME, key, ("Status", "Active")]),
        ("DeleteAccessKey", &[NAME, key]),
    ] {
        assert_eq!(
            server.error(action, params),
            "NoSuchEntity 404: The user with name Ann cannot be found.",
            "{action}"
        );
    }
}

#[test]
fn names() {
    let mut server = Server::new();
    server.ok("CreateUser", &[("UserName", &"u".repeat(64))]);
    assert!(
        server
            .error("CreateUser", &[("UserName", &"u".repeat(65))])
            .starts_with("ValidationError 400")
    );
    // The name of an existing user may be longer in the model, so it is only not found.
    assert!(
        server
            .error("GetUser", &[("UserName", &"u".repeat(128))])
            .starts_with("NoSuchEntity")
    );
    assert!(
        server
            .error("GetUser", &[("UserName", &"u".repeat(129))])
            .starts_with("ValidationError")
    );
    server.quotas.users = 1;
    assert_eq!(
        server.error("CreateUser", &[NAME]),
        "LimitExceeded 409: Cannot exceed quota for UsersPerAccount: 1"
    );
}

#[test]
fn without_a_name_the_caller_is_meant() {
    let mut server = Server::new();
    server.ok("CreateUser", &[NAME]);
    insta::assert_snapshot!("root_user", lines(&server.ok("GetUser", &[])));
    server.caller = server.user("Ann");
    assert_eq!(
        text(&server.ok("GetUser", &[]), "Arn"),
        "arn:aws:iam::111122223333:user/Ann"
    );
    assert_eq!(texts(&server.ok("ListAccessKeys", &[]), "UserName"), ["Ann"]);
    server.ok(
        "CreateRole",
        &[("RoleName", "App"), ("AssumeRolePolicyDocument", crate::harness::TRUST)],
    );
    server.caller = server.role_session("App");
    for action in ["GetUser", "CreateAccessKey", "ListAccessKeys"] {
        assert_eq!(
            server.error(action, &[]),
            "ValidationError 400: Must specify userName when calling with non-User credentials"
        );
    }
}

#[test]
fn a_user_moves_with_all_it_has() {
    let mut server = Server::new();
    server.ok("CreateUser", &[NAME, ("PermissionsBoundary", READ_ONLY)]);
    server.ok("CreatePolicy", &[("PolicyName", "own"), ("PolicyDocument", READ)]);
    let own = ("PolicyArn", "arn:aws:iam::111122223333:policy/own");
    server.ok("AttachUserPolicy", &[NAME, own]);
    server.ok("PutUserPolicy", &[NAME, ("PolicyName", "p"), ("PolicyDocument", READ)]);
    let key = text(&server.ok("CreateAccessKey", &[NAME]), "AccessKeyId").to_owned();
    let id = text(&server.ok("GetUser", &[NAME]), "UserId").to_owned();
    server.ok("CreateUser", &[("UserName", "bob")]);
    assert_eq!(
        server.error("UpdateUser", &[NAME, ("NewUserName", "BOB")]),
        "EntityAlreadyExists 409: User with name BOB already exists."
    );
    server.ok("UpdateUser", &[NAME, ("NewUserName", "Anna"), ("NewPath", "/x/")]);
    assert!(server.error("GetUser", &[NAME]).starts_with("NoSuchEntity"));
    let anna = ("UserName", "anna");
    let user = server.ok("GetUser", &[anna]);
    assert_eq!(
        (text(&user, "Arn"), text(&user, "UserId")),
        ("arn:aws:iam::111122223333:user/x/Anna", id.as_str())
    );
    assert_eq!(
        texts(&server.ok("ListAccessKeys", &[anna]), "AccessKeyId"),
        [key.as_str()]
    );
    assert_eq!(
        text(&server.ok("GetAccessKeyLastUsed", &[("AccessKeyId", &key)]), "UserName"),
        "Anna"
    );
    assert_eq!(texts(&server.ok("ListEntitiesForPolicy", &[own]), "UserName"), ["Anna"]);
    assert_eq!(
        server.error("DeletePolicy", &[own]),
        "DeleteConflict 409: Cannot delete a policy attached to entities."
    );
    assert!(
        !server.keys().iter().any(|key| key.ends_with("/ann")),
        "{:?}",
        server.keys()
    );
    // Only another case: the key stays, the name changes.
    server.ok("UpdateUser", &[anna, ("NewUserName", "ANNA")]);
    assert_eq!(texts(&server.ok("ListAccessKeys", &[anna]), "UserName"), ["ANNA"]);

    server.ok("UpdateUser", &[anna]);
    for (conflict, action, params) in [
        ("detach all policies", "DetachUserPolicy", &[anna, own][..]),
        ("delete policies", "DeleteUserPolicy", &[anna, ("PolicyName", "p")]),
        ("delete access keys", "DeleteAccessKey", &[anna, ("AccessKeyId", &key)]),
    ] {
        assert_eq!(
            server.error("DeleteUser", &[anna]),
            format!("DeleteConflict 409: Cannot delete entity, must {conflict} first.")
        );
        server.ok(action, params);
    }
    server.ok("DeleteUser", &[anna]);
}
