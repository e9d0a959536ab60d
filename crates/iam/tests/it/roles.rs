use crate::harness::{READ, Server, TRUST, allow, lines, text, texts};

const NAME: (&str, &str) = ("RoleName", "App");

fn create(server: &mut Server, name: &str) -> String {
    server.ok("CreateRole", &[("RoleName", name), ("AssumeRolePolicyDocument", TRUST)])
}

#[test]
fn a_role_lives() {
    let mut server = Server::new();
    server.ok("CreatePolicy", &[("PolicyName", "limit"), ("PolicyDocument", READ)]);
    let boundary = ("PermissionsBoundary", "arn:aws:iam::111122223333:policy/limit");
    let created = server.answer(
        "CreateRole",
        &[
            NAME,
            ("Path", "/team/"),
            ("AssumeRolePolicyDocument", TRUST),
            ("Description", "été"),
            ("MaxSessionDuration", "07200"),
            boundary,
            ("Tags.member.1.Key", "Team"),
            ("Tags.member.1.Value", "a & b"),
        ],
    );
    // The blank after `&` is a tag's right, the ampersand is not.
    assert_eq!(created.unwrap_err().code, "ValidationError");
    let created = server
        .answer(
            "CreateRole",
            &[
                NAME,
                ("Path", "/team/"),
                ("AssumeRolePolicyDocument", TRUST),
                ("Description", "été"),
                ("MaxSessionDuration", "07200"),
                boundary,
                ("Tags.member.1.Key", "Team"),
                ("Tags.member.1.Value", "a b"),
            ],
        )
        .unwrap();
    insta::assert_snapshot!("role_created", lines(&created.result.unwrap()));
    insta::assert_snapshot!(
        "role_created_event",
        format!("{:#}", created.response_elements.unwrap())
    );
    // Names have no case; a path that is sent is not looked at.
    insta::assert_snapshot!(
        "role",
        lines(&server.ok("GetRole", &[("RoleName", "aPP"), ("Path", "/other/")]))
    );
    insta::assert_snapshot!("roles", lines(&server.ok("ListRoles", &[])));

    assert_eq!(
        server.answer("UpdateRole", &[NAME]).unwrap().result.as_deref(),
        Some("")
    );
    server.ok("UpdateRole", &[NAME, ("Description", "")]);
    let role = server.ok("GetRole", &[NAME]);
    assert_eq!(
        (text(&role, "Description"), text(&role, "MaxSessionDuration")),
        ("", "7200")
    );
    server.ok("UpdateRole", &[NAME, ("MaxSessionDuration", "43200")]);
    insta::assert_snapshot!(
        "role_described",
        lines(&server.ok("UpdateRoleDescription", &[NAME, ("Description", "new")]))
    );
    let role = server.ok("GetRole", &[NAME]);
    assert_eq!(
        (text(&role, "Description"), text(&role, "MaxSessionDuration")),
        ("new", "43200")
    );

    let profiles = server.ok("ListInstanceProfilesForRole", &[NAME]);
    assert_eq!(
        profiles,
        "<InstanceProfiles></InstanceProfiles><IsTruncated>false</IsTruncated>"
    );
    server.ok("DeleteRole", &[("RoleName", "app")]);
    assert!(
        !server.keys().iter().any(|key| key.contains("role")),
        "{:?}",
        server.keys()
    );
}

#[test]
fn missing_roles() {
    let mut server = Server::new();
    let missing = "NoSuchEntity 404: The role with name App cannot be found.";
    let document = ("PolicyDocument", READ);
    let policy = ("PolicyName", "p");
    let arn = ("PolicyArn", "arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess");
    let boundary = ("PermissionsBoundary", "arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess");
    let tag = [NAME, ("Tags.member.1.Key", "a"), ("Tags.member.1.Value", "")];
    for (action, params) in [
        ("GetRole", &[NAME][..]),
        ("DeleteRole", &[NAME]),
        ("UpdateRole", &[NAME]),
        ("UpdateRoleDescription", &[NAME, ("Description", "x")]),
        ("UpdateAssumeRolePolicy", &[NAME, ("PolicyDocument", TRUST)]),
        ("PutRolePolicy", &[NAME, policy, document]),
        ("GetRolePolicy", &[NAME, policy]),
        ("ListRolePolicies", &[NAME]),
        ("DeleteRolePolicy", &[NAME, policy]),
        ("AttachRolePolicy", &[NAME, arn]),
        ("DetachRolePolicy", &[NAME, arn]),
        ("ListAttachedRolePolicies", &[NAME]),
        ("PutRolePermissionsBoundary", &[NAME, boundary]),
        ("DeleteRolePermissionsBoundary", &[NAME]),
        ("TagRole", &tag),
        ("UntagRole", &[NAME, ("TagKeys.member.1", "a")]),
        ("ListRoleTags", &[NAME]),
        ("ListInstanceProfilesForRole", &[NAME]),
    ] {
        assert_eq!(server.error(action, params), missing, "{action}");
    }
}

#[test]
fn adv_ia_05_names_and_paths() {
    let mut server = Server::new();
    create(&mut server, "Admin");
    assert_eq!(
        server.error(
            "CreateRole",
            &[("RoleName", "admin"), ("AssumeRolePolicyDocument", TRUST)]
        ),
        "EntityAlreadyExists 409: Role with name admin already exists."
    );
    let (long, longest) = ("r".repeat(65), "r".repeat(64));
    create(&mut server, &longest);
    for name in ["", long.as_str(), "a/b", "../a", "a b", "\u{410}dmin", "a\n", "a*"] {
        let error = server.error("CreateRole", &[("RoleName", name), ("AssumeRolePolicyDocument", TRUST)]);
        assert!(
            error.starts_with("ValidationError 400: ") && error.contains("'roleName'"),
            "{name:?}: {error}"
        );
    }
    for path in [
        "//",
        "/a",
        "a/",
        "",
        "/a b/",
        "/é/",
        "/a\n/",
        &format!("/{}/", "p".repeat(511)),
    ] {
        let error = server.error(
            "CreateRole",
            &[NAME, ("Path", path), ("AssumeRolePolicyDocument", TRUST)],
        );
        assert!(
            error.starts_with("ValidationError 400: ") && error.contains("'path'"),
            "{path:?}: {error}"
        );
    }
    // A path with dots is text, not a walk: the ARN holds it as it is.
    for (name, path) in [("Dots", "/a/../"), ("Slashes", "/a//b/")] {
        let created = server.ok(
            "CreateRole",
            &[("RoleName", name), ("Path", path), ("AssumeRolePolicyDocument", TRUST)],
        );
        assert_eq!(
            text(&created, "Arn"),
            format!("arn:aws:iam::111122223333:role{path}{name}")
        );
    }
}

#[test]
fn constraints() {
    let mut server = Server::new();
    create(&mut server, "App");
    let (fits, long) = ("é".repeat(1000), "é".repeat(1001));
    server.ok("UpdateRoleDescription", &[NAME, ("Description", &fits)]);
    assert!(
        server
            .error("UpdateRoleDescription", &[NAME, ("Description", &long)])
            .contains("less than or equal to 1000")
    );
    for (duration, expected) in [
        (
            "43201",
            "ValidationError 400: 1 validation error detected: Value '43201' at 'maxSessionDuration' failed to satisfy constraint: Member must have value less than or equal to 43200",
        ),
        (
            "3599",
            "ValidationError 400: 1 validation error detected: Value '3599' at 'maxSessionDuration' failed to satisfy constraint: Member must have value greater than or equal to 3600",
        ),
        ("1e4", "MalformedInput 400: Could not parse '1e4' as an integer"),
    ] {
        assert_eq!(
            server.error(
                "UpdateRole",
                &[NAME, ("MaxSessionDuration", duration), ("Description", "x")]
            ),
            expected
        );
    }
    // A failed update changes nothing.
    assert_eq!(text(&server.ok("GetRole", &[NAME]), "Description"), fits);
    assert_eq!(
        server.error("CreateRole", &[]),
        "ValidationError 400: 2 validation errors detected: Value null at 'roleName' failed to satisfy constraint: Member must not be null; \
         Value null at 'assumeRolePolicyDocument' failed to satisfy constraint: Member must not be null"
    );
}

#[test]
fn adv_ia_07_roles_in_use_stay() {
    let mut server = Server::new();
    create(&mut server, "App");
    let arn = ("PolicyArn", "arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess");
    server.ok("AttachRolePolicy", &[NAME, arn]);
    server.ok("PutRolePolicy", &[NAME, ("PolicyName", "p"), ("PolicyDocument", READ)]);
    assert_eq!(
        server.error("DeleteRole", &[NAME]),
        "DeleteConflict 409: Cannot delete entity, must detach all policies first."
    );
    server.ok("DetachRolePolicy", &[NAME, arn]);
    assert_eq!(
        server.error("DeleteRole", &[NAME]),
        "DeleteConflict 409: Cannot delete entity, must delete policies first."
    );
    server.ok("DeleteRolePolicy", &[NAME, ("PolicyName", "P")]);
    server.ok("DeleteRole", &[NAME]);
}

#[test]
fn boundaries_on_creation_must_exist() {
    let mut server = Server::new();
    let base = [NAME, ("AssumeRolePolicyDocument", TRUST)];
    for (arn, expected) in [
        (
            "arn:aws:iam::111122223333:policy/none",
            "NoSuchEntity 404: Scope ARN: arn:aws:iam::111122223333:policy/none does not exist or is not attachable.",
        ),
        (
            "arn:aws:iam::444455556666:policy/theirs",
            "NoSuchEntity 404: Scope ARN: arn:aws:iam::444455556666:policy/theirs does not exist or is not attachable.",
        ),
        (
            "AmazonS3ReadOnlyAccess",
            "ValidationError 400: Invalid ARN:  Could not be parsed!",
        ),
        (
            "arn:aws:iam::111122223333:role/limit",
            "InvalidInput 400: ARN arn:aws:iam::111122223333:role/limit is not valid.",
        ),
    ] {
        // The shortest ARN has 20 characters.
        let arn = if arn.len() < 20 { "AmazonS3ReadOnlyAccess" } else { arn };
        assert_eq!(
            server.error("CreateRole", &[&base[..], &[("PermissionsBoundary", arn)]].concat()),
            expected
        );
    }
}

#[test]
fn adv_pe_17_trust_policies_have_a_size() {
    let mut server = Server::new();
    let trust = |length: usize| {
        let head = r#"{"Version":"2012-10-17","Id":""#;
        let tail = r#"","Statement":[{"Effect":"Allow","Principal":{"AWS":"*"},"Action":"sts:AssumeRole"}]}"#;
        format!("{head}{}{tail}", "x".repeat(length - head.len() - tail.len()))
    };
    let (fits, over) = (trust(2048), trust(2049));
    let spaced = fits.replace(",\"", " ,\n\t \"");
    let quota = "LimitExceeded 409: Cannot exceed quota for ACLSizePerRole: 2048";
    assert_eq!(
        server.error("CreateRole", &[NAME, ("AssumeRolePolicyDocument", &over)]),
        quota
    );
    server.ok("CreateRole", &[NAME, ("AssumeRolePolicyDocument", &spaced)]);
    assert_eq!(
        server.error("UpdateAssumeRolePolicy", &[NAME, ("PolicyDocument", &over)]),
        quota
    );
    server.ok("UpdateAssumeRolePolicy", &[NAME, ("PolicyDocument", &fits)]);
}

#[test]
fn quota() {
    let mut server = Server::new();
    server.quotas.roles = 3;
    for name in ["a", "b", "c"] {
        create(&mut server, name);
    }
    assert_eq!(
        server.error("CreateRole", &[("RoleName", "d"), ("AssumeRolePolicyDocument", TRUST)]),
        "LimitExceeded 409: Cannot exceed quota for RolesPerAccount: 3"
    );
}

#[test]
fn lists_by_path() {
    let mut server = Server::new();
    for (name, path) in [("a", "/x/"), ("B", "/x/y/"), ("c", "/z/"), ("d", "/")] {
        server.ok(
            "CreateRole",
            &[("RoleName", name), ("Path", path), ("AssumeRolePolicyDocument", TRUST)],
        );
    }
    for (prefix, names) in [
        ("/", "a B c d"),
        ("/x", "a B"),
        ("/x/", "a B"),
        ("/x/y/", "B"),
        ("/no/", ""),
    ] {
        let roles = texts(&server.ok("ListRoles", &[("PathPrefix", prefix)]), "RoleName");
        assert_eq!(roles.join(" "), names, "{prefix}");
    }
    assert!(
        server
            .error("ListRoles", &[("PathPrefix", "x")])
            .starts_with("ValidationError")
    );
}

#[test]
fn adv_ia_08_a_role_made_anew_is_another_one() {
    let mut server = Server::new();
    create(&mut server, "App");
    let session = server.role_session("App");
    server.ok(
        "PutRolePolicy",
        &[NAME, ("PolicyName", "p"), ("PolicyDocument", &allow("iam:GetRole"))],
    );
    let first = text(&server.ok("GetRole", &[NAME]), "RoleId").to_owned();
    server.ok("DeleteRolePolicy", &[NAME, ("PolicyName", "p")]);
    server.ok("DeleteRole", &[NAME]);
    create(&mut server, "App");
    assert_ne!(first, text(&server.ok("GetRole", &[NAME]), "RoleId"));
    let again = irsa_iam::Caller::of_session(
        &server.state,
        session.access_key_id.clone(),
        session.session.clone().unwrap(),
        server.now,
    );
    assert_eq!(again.err(), Some(irsa_iam::CallerError::Unknown));
}
