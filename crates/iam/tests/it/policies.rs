use crate::harness::{READ, Server, TRUST, allow, lines, text, texts};

const ARN: &str = "arn:aws:iam::111122223333:policy/team/Read";
const AWS: &str = "arn:aws:iam::aws:policy/service-role/AmazonEBSCSIDriverPolicy";

fn server() -> Server {
    let mut server = Server::new();
    server.ok(
        "CreatePolicy",
        &[
            ("PolicyName", "Read"),
            ("Path", "/team/"),
            ("PolicyDocument", READ),
            ("Description", "reads"),
        ],
    );
    server
}

#[test]
fn a_policy_lives() {
    let mut server = Server::new();
    let created = server
        .answer(
            "CreatePolicy",
            &[
                ("PolicyName", "Read"),
                ("Path", "/team/"),
                ("PolicyDocument", READ),
                ("Description", "reads"),
                ("Tags.member.1.Key", "Team"),
                ("Tags.member.1.Value", "a"),
            ],
        )
        .unwrap();
    insta::assert_snapshot!("policy_created", lines(&created.result.unwrap()));
    insta::assert_snapshot!(
        "policy_created_event",
        format!("{:#}", created.response_elements.unwrap())
    );
    insta::assert_snapshot!("policy", lines(&server.ok("GetPolicy", &[("PolicyArn", ARN)])));
    insta::assert_snapshot!("policies", lines(&server.ok("ListPolicies", &[("Scope", "Local")])));
    assert_eq!(
        server.error("CreatePolicy", &[("PolicyName", "rEAD"), ("PolicyDocument", READ)]),
        "EntityAlreadyExists 409: A policy called rEAD already exists. Duplicate names are not allowed."
    );
    server.ok("DeletePolicy", &[("PolicyArn", ARN)]);
    for (action, params) in [
        ("GetPolicy", &[("PolicyArn", ARN)][..]),
        ("DeletePolicy", &[("PolicyArn", ARN)]),
        ("ListPolicyVersions", &[("PolicyArn", ARN)]),
        ("ListEntitiesForPolicy", &[("PolicyArn", ARN)]),
        ("GetPolicyVersion", &[("PolicyArn", ARN), ("VersionId", "v1")]),
        ("CreatePolicyVersion", &[("PolicyArn", ARN), ("PolicyDocument", READ)]),
        ("SetDefaultPolicyVersion", &[("PolicyArn", ARN), ("VersionId", "v1")]),
        ("DeletePolicyVersion", &[("PolicyArn", ARN), ("VersionId", "v1")]),
        ("ListPolicyTags", &[("PolicyArn", ARN)]),
        ("UntagPolicy", &[("PolicyArn", ARN), ("TagKeys.member.1", "a")]),
    ] {
        assert_eq!(
            server.error(action, params),
            format!("NoSuchEntity 404: Policy {ARN} was not found."),
            "{action}"
        );
    }
}

#[test]
fn the_arn_must_agree_in_every_character() {
    let mut server = server();
    for arn in [
        "arn:aws:iam::111122223333:policy/Read",
        "arn:aws:iam::111122223333:policy/team/read",
        "arn:aws-cn:iam::111122223333:policy/team/Read",
    ] {
        assert_eq!(
            server.error("GetPolicy", &[("PolicyArn", arn)]),
            format!("NoSuchEntity 404: Policy {arn} was not found.")
        );
    }
}

#[test]
fn versions() {
    let mut server = server();
    let arn = ("PolicyArn", ARN);
    let created = server
        .answer("CreatePolicyVersion", &[arn, ("PolicyDocument", &allow("s3:Get*"))])
        .unwrap();
    insta::assert_snapshot!("version_created", lines(&created.result.unwrap()));
    insta::assert_snapshot!(
        "version_created_event",
        format!("{:#}", created.response_elements.unwrap())
    );
    server.ok(
        "CreatePolicyVersion",
        &[arn, ("PolicyDocument", &allow("s3:Put*")), ("SetAsDefault", "1")],
    );
    insta::assert_snapshot!("versions", lines(&server.ok("ListPolicyVersions", &[arn])));
    insta::assert_snapshot!(
        "version",
        lines(&server.ok("GetPolicyVersion", &[arn, ("VersionId", "v2")]))
    );
    assert_eq!(
        server.error("DeletePolicyVersion", &[arn, ("VersionId", "v3")]),
        "DeleteConflict 409: Cannot delete the default version of a policy."
    );
    assert_eq!(
        server.error("DeletePolicy", &[arn]),
        "DeleteConflict 409: This policy has more than one version. Before you delete a policy, you must delete the policy's versions. \
         The default version is deleted with the policy."
    );
    server.ok("SetDefaultPolicyVersion", &[arn, ("VersionId", "v1")]);
    server.ok("DeletePolicyVersion", &[arn, ("VersionId", "v3")]);
    // A number is never used again.
    let created = server.ok("CreatePolicyVersion", &[arn, ("PolicyDocument", READ)]);
    assert_eq!(text(&created, "VersionId"), "v4");
    for (action, id) in [
        ("GetPolicyVersion", "v3"),
        ("SetDefaultPolicyVersion", "v9"),
        ("DeletePolicyVersion", "v2.a"),
        ("GetPolicyVersion", "v99999999999"),
    ] {
        let expected = format!("NoSuchEntity 404: Policy {ARN} version {id} does not exist or is not attachable.");
        assert_eq!(server.error(action, &[arn, ("VersionId", id)]), expected);
    }
    assert!(
        server
            .error("GetPolicyVersion", &[arn, ("VersionId", "1")])
            .starts_with("ValidationError 400")
    );
    server.ok("CreatePolicyVersion", &[arn, ("PolicyDocument", READ)]);
    server.ok("CreatePolicyVersion", &[arn, ("PolicyDocument", READ)]);
    assert_eq!(
        server.error("CreatePolicyVersion", &[arn, ("PolicyDocument", READ)]),
        "LimitExceeded 409: A managed policy can have up to 5 versions. Before you create a new version, you must delete an existing version."
    );
}

#[test]
fn policies_of_aws() {
    let mut server = server();
    insta::assert_snapshot!("aws_policy", lines(&server.ok("GetPolicy", &[("PolicyArn", AWS)])));
    let document = server.ok(
        "GetPolicyVersion",
        &[
            ("PolicyArn", "arn:aws:iam::aws:policy/AdministratorAccess"),
            ("VersionId", "v1"),
        ],
    );
    insta::assert_snapshot!("aws_version", lines(&document));
    assert_eq!(
        texts(&server.ok("ListPolicyVersions", &[("PolicyArn", AWS)]), "VersionId"),
        ["v15"]
    );
    for (action, params) in [
        ("DeletePolicy", &[("PolicyArn", AWS)][..]),
        ("CreatePolicyVersion", &[("PolicyArn", AWS), ("PolicyDocument", READ)]),
        ("SetDefaultPolicyVersion", &[("PolicyArn", AWS), ("VersionId", "v15")]),
        ("DeletePolicyVersion", &[("PolicyArn", AWS), ("VersionId", "v15")]),
        (
            "TagPolicy",
            &[
                ("PolicyArn", AWS),
                ("Tags.member.1.Key", "a"),
                ("Tags.member.1.Value", "b"),
            ],
        ),
        ("UntagPolicy", &[("PolicyArn", AWS), ("TagKeys.member.1", "a")]),
    ] {
        let expected = format!(
            "AccessDenied 403: User: arn:aws:iam::111122223333:root is not authorized to perform: iam:{action} on resource: policy {AWS}"
        );
        assert_eq!(server.error(action, params), expected);
    }
    // An own policy of the same name is another one.
    server.ok(
        "CreatePolicy",
        &[("PolicyName", "AmazonS3ReadOnlyAccess"), ("PolicyDocument", READ)],
    );
    server.ok("CreateUser", &[("UserName", "ann")]);
    server.ok(
        "AttachUserPolicy",
        &[
            ("UserName", "ann"),
            ("PolicyArn", "arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess"),
        ],
    );
    server.ok(
        "DeletePolicy",
        &[("PolicyArn", "arn:aws:iam::111122223333:policy/AmazonS3ReadOnlyAccess")],
    );
}

#[test]
fn lists() {
    let mut server = server();
    server.ok("CreatePolicy", &[("PolicyName", "limit"), ("PolicyDocument", READ)]);
    server.ok("CreatePolicy", &[("PolicyName", "Idle"), ("PolicyDocument", READ)]);
    server.ok(
        "CreateUser",
        &[
            ("UserName", "ann"),
            ("PermissionsBoundary", "arn:aws:iam::111122223333:policy/limit"),
        ],
    );
    for arn in [ARN, AWS] {
        server.ok("AttachUserPolicy", &[("UserName", "ann"), ("PolicyArn", arn)]);
    }
    let aws = irsa_iam::AWS_MANAGED.len();
    for (params, count) in [
        (&[][..], 3 + aws),
        (&[("Scope", "All")], 3 + aws),
        (&[("Scope", "AWS")], aws),
        (&[("Scope", "Local")], 3),
    ] {
        assert_eq!(
            texts(&server.ok("ListPolicies", params), "PolicyName").len(),
            count,
            "{params:?}"
        );
    }
    let attached = ("OnlyAttached", "true");
    for (params, names) in [
        (&[attached][..], "limit Read AmazonEBSCSIDriverPolicy"),
        (
            &[attached, ("PolicyUsageFilter", "PermissionsPolicy")],
            "Read AmazonEBSCSIDriverPolicy",
        ),
        (&[attached, ("PolicyUsageFilter", "PermissionsBoundary")], "limit"),
        // Without OnlyAttached the filter has no effect.
        (
            &[("Scope", "Local"), ("PolicyUsageFilter", "PermissionsBoundary")],
            "Idle limit Read",
        ),
        (&[("OnlyAttached", "0"), ("Scope", "Local")], "Idle limit Read"),
        (&[("PathPrefix", "/service-role/")], "AmazonEBSCSIDriverPolicy"),
        (&[("PathPrefix", "/team/")], "Read"),
    ] {
        assert_eq!(
            texts(&server.ok("ListPolicies", params), "PolicyName").join(" "),
            names,
            "{params:?}"
        );
    }
    assert_eq!(
        server.error("ListPolicies", &[("Scope", "Mine")]),
        "ValidationError 400: 1 validation error detected: Value 'Mine' at 'scope' failed to satisfy constraint: Member must satisfy enum value set: \
         [All, AWS, Local]"
    );
}

#[test]
fn entities() {
    let mut server = server();
    for (name, path) in [("App", "/"), ("Job", "/team/")] {
        server.ok(
            "CreateRole",
            &[("RoleName", name), ("Path", path), ("AssumeRolePolicyDocument", TRUST)],
        );
        server.ok("AttachRolePolicy", &[("RoleName", name), ("PolicyArn", ARN)]);
    }
    server.ok("CreateUser", &[("UserName", "Ann"), ("PermissionsBoundary", ARN)]);
    server.ok(
        "PutRolePermissionsBoundary",
        &[("RoleName", "App"), ("PermissionsBoundary", ARN)],
    );
    let arn = ("PolicyArn", ARN);
    insta::assert_snapshot!("entities", lines(&server.ok("ListEntitiesForPolicy", &[arn])));
    for (params, names) in [
        (&[arn, ("EntityFilter", "Role")][..], "App Job"),
        (&[arn, ("EntityFilter", "User")], "Ann"),
        (&[arn, ("EntityFilter", "Group")], ""),
        (&[arn, ("EntityFilter", "LocalManagedPolicy")], ""),
        (&[arn, ("EntityFilter", "AWSManagedPolicy")], ""),
        (&[arn, ("PathPrefix", "/team/")], "Job"),
        (&[arn, ("PolicyUsageFilter", "PermissionsPolicy")], "App Job"),
        (&[arn, ("PolicyUsageFilter", "PermissionsBoundary")], "Ann App"),
    ] {
        let answer = server.ok("ListEntitiesForPolicy", params);
        assert_eq!(
            [texts(&answer, "UserName"), texts(&answer, "RoleName")]
                .concat()
                .join(" "),
            names,
            "{params:?}"
        );
    }
    assert_eq!(
        server.error("DeletePolicy", &[arn]),
        "DeleteConflict 409: Cannot delete a policy attached to entities."
    );
    let none = server.ok("ListEntitiesForPolicy", &[("PolicyArn", AWS)]);
    assert_eq!(texts(&none, "IsTruncated"), ["false"]);
}

#[test]
fn adv_pe_17_policies_have_a_size() {
    let mut server = server();
    let document = |length: usize| {
        let empty = allow("");
        empty.replace(
            "\"Action\":\"\"",
            &format!("\"Action\":\"s3:{}\"", "x".repeat(length - empty.len() - 3)),
        )
    };
    let quota = "LimitExceeded 409: Cannot exceed quota for PolicySize: 6144";
    assert_eq!(
        server.error(
            "CreatePolicy",
            &[("PolicyName", "big"), ("PolicyDocument", &document(6145))]
        ),
        quota
    );
    assert_eq!(
        server.error(
            "CreatePolicyVersion",
            &[("PolicyArn", ARN), ("PolicyDocument", &document(6145))]
        ),
        quota
    );
    server.ok(
        "CreatePolicy",
        &[
            ("PolicyName", "big"),
            ("PolicyDocument", &document(6144).replace(",\"", "\n ,\"")),
        ],
    );
}

#[test]
fn quota_and_names() {
    let mut server = server();
    server.quotas.policies = 1;
    let error = server.error("CreatePolicy", &[("PolicyName", "b"), ("PolicyDocument", READ)]);
    assert_eq!(
        error,
        "LimitExceeded 409: Cannot exceed quota for PoliciesPerAccount: 1"
    );
    for path in ["//", "/a//b/", "/é/", "a", "/a!/"] {
        let error = server.error(
            "CreatePolicy",
            &[("PolicyName", "b"), ("Path", path), ("PolicyDocument", READ)],
        );
        assert!(error.starts_with("ValidationError 400: "), "{path}: {error}");
    }
    assert!(
        server
            .error(
                "CreatePolicy",
                &[("PolicyName", &"p".repeat(129)), ("PolicyDocument", READ)]
            )
            .starts_with("ValidationError")
    );
}
