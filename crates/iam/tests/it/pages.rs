use crate::harness::{READ, Server, TRUST, text, texts};

fn server() -> Server {
    let mut server = Server::new();
    for name in ["e", "B", "a", "D", "c"] {
        server.ok("CreateRole", &[("RoleName", name), ("AssumeRolePolicyDocument", TRUST)]);
        server.ok(
            "PutRolePolicy",
            &[("RoleName", "E"), ("PolicyName", name), ("PolicyDocument", READ)],
        );
        server.ok("CreateUser", &[("UserName", name)]);
        server.ok("CreatePolicy", &[("PolicyName", name), ("PolicyDocument", READ)]);
        let arn = format!("arn:aws:iam::111122223333:policy/{name}");
        server.ok("AttachRolePolicy", &[("RoleName", "e"), ("PolicyArn", &arn)]);
        server.ok(
            "TagRole",
            &[
                ("RoleName", "e"),
                ("Tags.member.1.Key", name),
                ("Tags.member.1.Value", ""),
            ],
        );
    }
    server
}

/// All pages of a list, of changing sizes.
fn walk(server: &mut Server, action: &str, params: &[(&str, &str)], element: &str) -> (Vec<String>, usize) {
    let (mut found, mut pages, mut marker) = (Vec::new(), 0, None::<String>);
    for size in ["2", "1"].into_iter().cycle() {
        let mut params = [params, &[("MaxItems", size)]].concat();
        if let Some(marker) = &marker {
            params.push(("Marker", marker));
        }
        let page = server.ok(action, &params);
        let items = texts(&page, element);
        found.extend(items);
        pages += 1;
        if text(&page, "IsTruncated") == "false" {
            assert!(!page.contains("<Marker>"));
            break;
        }
        marker = Some(text(&page, "Marker").to_owned());
        assert!(text(&page, "Marker").len() <= 320);
    }
    (found, pages)
}

#[test]
fn every_item_comes_once() {
    let mut server = server();
    let role = ("RoleName", "e");
    for (action, params, element) in [
        ("ListRoles", &[][..], "RoleName"),
        ("ListUsers", &[], "UserName"),
        ("ListPolicies", &[("Scope", "Local")], "PolicyName"),
        ("ListRolePolicies", &[role], "member"),
        ("ListAttachedRolePolicies", &[role], "PolicyName"),
        ("ListRoleTags", &[role], "Key"),
    ] {
        let (mut found, pages) = walk(&mut server, action, params, element);
        assert_eq!(pages, 3, "{action}");
        found.sort();
        assert_eq!(found, ["B", "D", "a", "c", "e"], "{action}");
    }
    let (all, _) = walk(&mut server, "ListPolicies", &[], "PolicyName");
    assert_eq!(all.len(), 5 + irsa_iam::AWS_MANAGED.len());
    let (entities, _) = walk(&mut server, "GetAccountAuthorizationDetails", &[], "CreateDate");
    // Every version of a policy has a date as well.
    assert_eq!(entities.len(), 5 + 5 + 2 * (5 + irsa_iam::AWS_MANAGED.len()));
    let policy = ("PolicyArn", "arn:aws:iam::111122223333:policy/a");
    for _ in 0..4 {
        server.ok("CreatePolicyVersion", &[policy, ("PolicyDocument", READ)]);
    }
    assert_eq!(
        walk(&mut server, "ListPolicyVersions", &[policy], "VersionId").0,
        ["v5", "v4", "v3", "v2", "v1"]
    );
    for name in ["a", "b", "c"] {
        server.ok("AttachUserPolicy", &[("UserName", name), policy]);
    }
    assert_eq!(
        walk(&mut server, "ListEntitiesForPolicy", &[policy], "UserName").0,
        ["a", "B", "c"]
    );
}

#[test]
fn a_page_survives_changes() {
    let mut server = server();
    let first = server.ok("ListRoles", &[("MaxItems", "2")]);
    assert_eq!(texts(&first, "RoleName"), ["a", "B"]);
    server.ok("DeleteRole", &[("RoleName", "b")]);
    server.ok("CreateRole", &[("RoleName", "bb"), ("AssumeRolePolicyDocument", TRUST)]);
    let second = server.ok("ListRoles", &[("Marker", text(&first, "Marker"))]);
    assert_eq!(texts(&second, "RoleName"), ["bb", "c", "D", "e"]);
}

#[test]
fn adv_ia_09_markers_are_ours_and_theirs_alone() {
    let mut server = server();
    let marker = text(&server.ok("ListRoles", &[("MaxItems", "2")]), "Marker").to_owned();
    let tags = text(
        &server.ok("ListRoleTags", &[("RoleName", "e"), ("MaxItems", "2")]),
        "Marker",
    )
    .to_owned();
    let refused = "ValidationError 400: Invalid Marker.";
    let mut tampered = marker.clone().into_bytes();
    tampered[3] ^= 1;
    let tampered = String::from_utf8(tampered).unwrap();
    let longer = format!("{marker}AAAA");
    for forged in [
        "b",
        "AAAA",
        "YQ",
        "not base64!",
        tampered.as_str(),
        &longer,
        &tags,
        &marker[..marker.len() - 2],
    ] {
        assert_eq!(server.error("ListRoles", &[("Marker", forged)]), refused, "{forged}");
    }
    // Of another list, of another entity's list, of another account.
    assert_eq!(server.error("ListUsers", &[("Marker", &marker)]), refused);
    assert_eq!(
        server.error("ListRoleTags", &[("RoleName", "a"), ("Marker", &tags)]),
        refused
    );
    server.ok("ListRoleTags", &[("RoleName", "E"), ("Marker", &tags)]);
    let other = server.add_account("444455556666");
    server.caller = other;
    assert_eq!(server.error("ListRoles", &[("Marker", &marker)]), refused);
}

#[test]
fn sizes() {
    let mut server = server();
    for (size, expected) in [
        ("0", "greater than or equal to 1"),
        ("1001", "less than or equal to 1000"),
    ] {
        assert!(server.error("ListRoles", &[("MaxItems", size)]).contains(expected));
    }
    assert!(
        server
            .error("ListRoles", &[("MaxItems", "2147483648")])
            .starts_with("MalformedInput 400: ")
    );
    assert_eq!(
        texts(&server.ok("ListRoles", &[("MaxItems", "1000")]), "RoleName").len(),
        5
    );
    assert!(
        server
            .error("ListRoles", &[("Marker", "")])
            .starts_with("ValidationError")
    );
    for index in 0..100 {
        server.ok("CreateUser", &[("UserName", &format!("u{index}"))]);
    }
    let page = server.ok("ListUsers", &[]);
    assert_eq!(
        (texts(&page, "UserName").len(), text(&page, "IsTruncated")),
        (100, "true")
    );
}
