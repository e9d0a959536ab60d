//! Inline policies, attached policies and boundaries; roles and users by the same words.

use crate::harness::{READ, Server, TRUST, allow, lines, text, texts};

const READ_ONLY: &str = "arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess";

/// A server with a role and a user of the name `App`, and an own policy `own`.
fn server() -> Server {
    let mut server = Server::new();
    server.ok(
        "CreateRole",
        &[("RoleName", "App"), ("AssumeRolePolicyDocument", TRUST)],
    );
    server.ok("CreateUser", &[("UserName", "App")]);
    server.ok(
        "CreatePolicy",
        &[("PolicyName", "own"), ("Path", "/team/"), ("PolicyDocument", READ)],
    );
    server
}

const OWN: &str = "arn:aws:iam::111122223333:policy/team/own";

#[test]
fn inline_policies() {
    for kind in ["Role", "User"] {
        let mut server = server();
        let name = format!("{kind}Name");
        let holder = (name.as_str(), "App");
        let document = READ.replace(":{", ": {").replace("GetObject", "Get*");
        server.ok(
            &format!("Put{kind}Policy"),
            &[holder, ("PolicyName", "Read"), ("PolicyDocument", READ)],
        );
        server.ok(
            &format!("Put{kind}Policy"),
            &[holder, ("PolicyName", "rEAD"), ("PolicyDocument", &document)],
        );
        server.ok(
            &format!("Put{kind}Policy"),
            &[holder, ("PolicyName", "another"), ("PolicyDocument", READ)],
        );
        let list = server.ok(&format!("List{kind}Policies"), &[holder]);
        assert_eq!(
            list,
            "<PolicyNames><member>another</member><member>Read</member></PolicyNames><IsTruncated>false</IsTruncated>"
        );
        let got = server.ok(&format!("Get{kind}Policy"), &[holder, ("PolicyName", "READ")]);
        insta::assert_snapshot!(format!("inline_policy_{kind}"), lines(&got));
        server.ok(&format!("Delete{kind}Policy"), &[holder, ("PolicyName", "read")]);
        let missing = format!(
            "NoSuchEntity 404: The {} policy with name read cannot be found.",
            kind.to_lowercase()
        );
        assert_eq!(
            server.error(&format!("Get{kind}Policy"), &[holder, ("PolicyName", "read")]),
            missing
        );
        assert_eq!(
            server.error(&format!("Delete{kind}Policy"), &[holder, ("PolicyName", "read")]),
            missing
        );
    }
}

#[test]
fn adv_pe_17_inline_policies_have_a_size_together() {
    for (kind, limit) in [("Role", 10_240), ("User", 2048)] {
        let mut server = server();
        let (name, put) = (format!("{kind}Name"), format!("Put{kind}Policy"));
        let holder = (name.as_str(), "App");
        let document = |length: usize| {
            let empty = allow("");
            empty.replace(
                "\"Action\":\"\"",
                &format!("\"Action\":\"s3:{}\"", "x".repeat(length - empty.len() - 3)),
            )
        };
        server.ok(
            &put,
            &[holder, ("PolicyName", "a"), ("PolicyDocument", &document(1000))],
        );
        let over = format!(
            "LimitExceeded 409: Maximum policy size of {limit} bytes exceeded for {} App",
            kind.to_lowercase()
        );
        assert_eq!(
            server.error(
                &put,
                &[holder, ("PolicyName", "b"), ("PolicyDocument", &document(limit - 999))]
            ),
            over
        );
        let fits = document(limit - 1000).replace(",\"", " ,\n\t\r \"");
        server.ok(&put, &[holder, ("PolicyName", "b"), ("PolicyDocument", &fits)]);
        assert_eq!(
            server.error(
                &put,
                &[holder, ("PolicyName", "a"), ("PolicyDocument", &document(1001))]
            ),
            over
        );
    }
}

#[test]
fn white_space_does_not_make_a_record_endless() {
    let mut server = server();
    let blank = READ.replace(",\"", &format!("{},\"", "\n".repeat(30_000)));
    let mut refused = 0;
    for index in 0..10 {
        let name = format!("p{index}");
        let put = server.call(
            "PutRolePolicy",
            &[("RoleName", "App"), ("PolicyName", &name), ("PolicyDocument", &blank)],
        );
        refused += usize::from(put.is_err_and(|error| error.code == "LimitExceeded"));
    }
    assert!(refused > 0 && refused < 10, "{refused}");
}

#[test]
fn attached_policies() {
    for kind in ["Role", "User"] {
        let mut server = server();
        let name = format!("{kind}Name");
        let holder = (name.as_str(), "App");
        let (attach, detach, list) = (
            format!("Attach{kind}Policy"),
            format!("Detach{kind}Policy"),
            format!("ListAttached{kind}Policies"),
        );
        for arn in [OWN, READ_ONLY, OWN] {
            server.ok(&attach, &[holder, ("PolicyArn", arn)]);
        }
        insta::assert_snapshot!(format!("attached_policies_{kind}"), lines(&server.ok(&list, &[holder])));
        assert_eq!(
            texts(&server.ok(&list, &[holder, ("PathPrefix", "/team/")]), "PolicyName"),
            ["own"]
        );
        assert_eq!(
            texts(&server.ok("GetPolicy", &[("PolicyArn", READ_ONLY)]), "AttachmentCount"),
            ["1"]
        );
        server.ok(&detach, &[holder, ("PolicyArn", OWN)]);
        assert_eq!(
            server.error(&detach, &[holder, ("PolicyArn", OWN)]),
            format!("NoSuchEntity 404: Policy {OWN} was not found.")
        );
        for (arn, expected) in [
            (
                "arn:aws:iam::111122223333:policy/none",
                "NoSuchEntity 404: Policy arn:aws:iam::111122223333:policy/none does not exist or is not attachable.",
            ),
            // The path is a part of the ARN.
            (
                "arn:aws:iam::111122223333:policy/own",
                "NoSuchEntity 404: Policy arn:aws:iam::111122223333:policy/own does not exist or is not attachable.",
            ),
            (
                "arn:aws:iam::aws:policy/NoSuchPolicy",
                "NoSuchEntity 404: Policy arn:aws:iam::aws:policy/NoSuchPolicy does not exist or is not attachable.",
            ),
            (
                "not an ARN but long enough",
                "ValidationError 400: Invalid ARN:  Could not be parsed!",
            ),
            (
                "arn:aws:iam::111122223333:role/App",
                "InvalidInput 400: ARN arn:aws:iam::111122223333:role/App is not valid.",
            ),
        ] {
            assert_eq!(server.error(&attach, &[holder, ("PolicyArn", arn)]), expected);
        }
        assert!(
            server
                .error(&attach, &[holder, ("PolicyArn", "arn:aws:iam::1")])
                .contains("greater than or equal to 20")
        );
    }
}

#[test]
fn attachment_quota() {
    for kind in ["Role", "User"] {
        let mut server = server();
        let name = format!("{kind}Name");
        let holder = (name.as_str(), "App");
        for index in 0..11 {
            server.ok(
                "CreatePolicy",
                &[("PolicyName", &format!("p{index}")), ("PolicyDocument", READ)],
            );
            let arn = format!("arn:aws:iam::111122223333:policy/p{index}");
            let attached = server.call(&format!("Attach{kind}Policy"), &[holder, ("PolicyArn", &arn)]);
            match attached {
                Ok(_) => assert!(index < 10),
                Err(error) => {
                    assert_eq!(index, 10);
                    assert_eq!(
                        error.to_string(),
                        format!("LimitExceeded (409): Cannot exceed quota for PoliciesPer{kind}: 10")
                    );
                }
            }
        }
    }
}

#[test]
fn boundaries() {
    for kind in ["Role", "User"] {
        let mut server = server();
        let name = format!("{kind}Name");
        let holder = (name.as_str(), "App");
        let (put, delete) = (
            format!("Put{kind}PermissionsBoundary"),
            format!("Delete{kind}PermissionsBoundary"),
        );
        for arn in [OWN, OWN, READ_ONLY, OWN] {
            server.ok(&put, &[holder, ("PermissionsBoundary", arn)]);
            assert_eq!(
                text(&server.ok(&format!("Get{kind}"), &[holder]), "PermissionsBoundaryArn"),
                arn
            );
        }
        // A boundary is no attachment, and has a counter of its own.
        let policy = server.ok("GetPolicy", &[("PolicyArn", OWN)]);
        assert_eq!(
            (
                text(&policy, "AttachmentCount"),
                text(&policy, "PermissionsBoundaryUsageCount")
            ),
            ("0", "1")
        );
        let read_only = server.ok("GetPolicy", &[("PolicyArn", READ_ONLY)]);
        assert_eq!(text(&read_only, "PermissionsBoundaryUsageCount"), "0");
        assert_eq!(
            server.error("DeletePolicy", &[("PolicyArn", OWN)]),
            "DeleteConflict 409: Cannot delete a policy attached to entities."
        );
        assert!(
            server
                .error(
                    &put,
                    &[holder, ("PermissionsBoundary", "arn:aws:iam::111122223333:policy/none")]
                )
                .starts_with("NoSuchEntity")
        );
        server.ok(&delete, &[holder]);
        assert!(server.error(&delete, &[holder]).starts_with("NoSuchEntity 404: "));
        server.ok(&put, &[holder, ("PermissionsBoundary", OWN)]);
        // The boundary goes with its entity.
        server.ok(&format!("Delete{kind}"), &[holder]);
        server.ok("DeletePolicy", &[("PolicyArn", OWN)]);
        assert!(
            !server.keys().iter().any(|key| key.contains("/attachment/")),
            "{:?}",
            server.keys()
        );
    }
}

#[test]
fn adv_pe_15_16_malformed_documents_change_nothing() {
    let mut server = server();
    for (document, message) in [
        ("{", None),
        ("{\"Version\":\"2012-10-17\"}", None),
        (
            r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Effect":"Deny","Action":"s3:*","Resource":"*"}]}"#,
            None,
        ),
        (
            r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","NotAcion":"s3:*","Resource":"*"}]}"#,
            Some("Syntax errors in policy."),
        ),
        (
            &READ.replace("\"Action\"", "\"Principal\":\"*\",\"Action\""),
            Some("Policy document should not specify a principal."),
        ),
    ] {
        for (action, params) in [
            ("PutRolePolicy", [("RoleName", "App"), ("PolicyName", "p")]),
            ("PutUserPolicy", [("UserName", "App"), ("PolicyName", "p")]),
            ("CreatePolicy", [("PolicyName", "p"), ("Path", "/")]),
            ("CreatePolicyVersion", [("PolicyArn", OWN), ("SetAsDefault", "true")]),
        ] {
            let error = server
                .call(action, &[&params[..], &[("PolicyDocument", document)]].concat())
                .unwrap_err();
            assert_eq!(
                (error.code.as_ref(), error.status),
                ("MalformedPolicyDocument", 400),
                "{action} {document}"
            );
            assert!(
                message.is_none_or(|message| error.message == message),
                "{action} {document}: {error}"
            );
        }
    }
    assert_eq!(
        texts(&server.ok("ListPolicies", &[("Scope", "Local")]), "PolicyName"),
        ["own"]
    );
    assert_eq!(
        texts(&server.ok("ListPolicyVersions", &[("PolicyArn", OWN)]), "VersionId"),
        ["v1"]
    );
}
