//! Principals that trust policies name.

use irsa_core::AccountId;
use irsa_policy::{Context, Layers, Principal, Request, decide};

use crate::harness::{ACCOUNT, Server, TRUST, account_id};

fn trusting(principal: &str) -> String {
    TRUST.replace("arn:aws:iam::111122223333:root", principal)
}

#[test]
fn principals_of_the_account_must_exist() {
    let mut server = Server::new();
    server.ok("CreateUser", &[("UserName", "Ann"), ("Path", "/team/")]);
    server.ok(
        "CreateRole",
        &[
            ("RoleName", "Base"),
            ("Path", "/team/"),
            ("AssumeRolePolicyDocument", TRUST),
        ],
    );
    let id = server
        .state
        .account(account_id(ACCOUNT))
        .unwrap()
        .role("base")
        .unwrap()
        .record
        .id
        .clone();
    let good = [
        "*",
        "111122223333",
        "arn:aws:iam::111122223333:root",
        "arn:aws:iam::111122223333:user/team/Ann",
        "arn:aws:iam::111122223333:role/team/Base",
        "arn:aws:sts::111122223333:assumed-role/Base/session",
        "arn:aws:iam::444455556666:role/theirs",
        &id,
    ];
    for (index, principal) in good.iter().enumerate() {
        let name = format!("good{index}");
        server.ok(
            "CreateRole",
            &[("RoleName", &name), ("AssumeRolePolicyDocument", &trusting(principal))],
        );
    }
    for principal in [
        "arn:aws:iam::111122223333:user/Ann",
        "arn:aws:iam::111122223333:user/team/ann",
        "arn:aws:iam::111122223333:role/none",
        "arn:aws:iam::111122223333:role/Self",
        "arn:aws:sts::111122223333:assumed-role/none/session",
        "AROAAAAAAAAAAAAAAAAAA",
    ] {
        let expected = format!("MalformedPolicyDocument 400: Invalid principal in policy: \"AWS\":\"{principal}\"");
        let document = trusting(principal);
        assert_eq!(
            server.error(
                "CreateRole",
                &[("RoleName", "Self"), ("AssumeRolePolicyDocument", &document)]
            ),
            expected
        );
        assert_eq!(
            server.error(
                "UpdateAssumeRolePolicy",
                &[("RoleName", "Base"), ("PolicyDocument", &document)]
            ),
            expected
        );
    }
}

fn user_is_trusted(server: &Server, user: &str) -> bool {
    let account = server.state.account(account_id(ACCOUNT)).unwrap();
    let (role, user) = (account.role("App").unwrap(), account.user(user).unwrap());
    let id: AccountId = account_id(ACCOUNT);
    let request = Request {
        principal: Principal::User {
            arn: &user.arn,
            unique_id: &user.record.id,
            account: id,
        },
        action: "sts:AssumeRole",
        resource: &role.arn,
        resource_account: Some(id),
        context: &Context::new(),
    };
    decide(
        &Layers {
            resource: Some(&role.trust),
            ..Layers::default()
        },
        &request,
    )
    .is_allowed()
}

#[test]
fn a_principal_made_anew_is_not_trusted() {
    let mut server = Server::new();
    server.ok("CreateUser", &[("UserName", "ann")]);
    let document = trusting("arn:aws:iam::111122223333:user/ann");
    server.ok(
        "CreateRole",
        &[("RoleName", "App"), ("AssumeRolePolicyDocument", &document)],
    );
    assert!(user_is_trusted(&server, "ann"));
    // The document names a name: whoever has another one is not meant, and is meant again under the old one.
    server.ok("UpdateUser", &[("UserName", "ann"), ("NewUserName", "anna")]);
    assert!(!user_is_trusted(&server, "anna"));
    server.ok("UpdateUser", &[("UserName", "anna"), ("NewUserName", "ann")]);
    assert!(user_is_trusted(&server, "ann"));
    server.ok("DeleteUser", &[("UserName", "ann")]);
    server.ok("CreateUser", &[("UserName", "ann")]);
    assert!(!user_is_trusted(&server, "ann"));
    server.ok(
        "UpdateAssumeRolePolicy",
        &[("RoleName", "App"), ("PolicyDocument", &document)],
    );
    assert!(user_is_trusted(&server, "ann"));
}

#[test]
fn adv_pe_15_16_malformed_documents() {
    let mut server = Server::new();
    for document in [
        "{",
        "[]",
        "",
        &TRUST.replace("\"Effect\":\"Allow\"", "\"Effect\":\"Allow\",\"Effect\":\"Deny\""),
        &TRUST.replace("\"Action\"", "\"Acton\""),
        &TRUST.replace("\"Statement\"", "\"Statements\""),
        &TRUST.replace("sts:AssumeRole", "s3:GetObject"),
        &TRUST.replace("\"Action\"", "\"Resource\":\"*\",\"Action\""),
        &TRUST.replace("Principal", "NotPrincipal"),
    ] {
        let error = server.error(
            "CreateRole",
            &[("RoleName", "App"), ("AssumeRolePolicyDocument", document)],
        );
        let expected = if document.is_empty() {
            "ValidationError 400"
        } else {
            "MalformedPolicyDocument 400"
        };
        assert!(error.starts_with(expected), "{document}: {error}");
    }
    assert!(!server.dump().contains("AssumeRole"));
}

/// What AWS answered to trust policies: one recorded call a line.
#[test]
fn recorded_trust_policies() {
    let mut server = Server::new();
    server.quotas.trust_policy_size = 100_000;
    server.ok(
        "CreateRole",
        &[("RoleName", "App"), ("AssumeRolePolicyDocument", TRUST)],
    );
    let cases = include_str!("../../../../conformance/cases/trust_validation.jsonl");
    let mut wrong = Vec::new();
    for line in cases.lines() {
        let case: serde_json::Value = serde_json::from_str(line).unwrap();
        let document = case["document"].to_string();
        let answer = server.call(
            "UpdateAssumeRolePolicy",
            &[("RoleName", "App"), ("PolicyDocument", &document)],
        );
        let expected = &case["outcome"];
        let agrees = match &answer {
            Ok(_) => expected["ok"] == true,
            Err(error) => {
                expected["ok"] == false && expected["code"] == *error.code && expected["message"] == *error.message
            }
        };
        if !agrees {
            wrong.push(format!(
                "{}: {} instead of {expected}",
                case["id"],
                answer.map_or_else(|error| error.to_string(), |_| "accepted".to_owned())
            ));
        }
    }
    assert!(
        wrong.is_empty(),
        "{} of {}\n{}",
        wrong.len(),
        cases.lines().count(),
        wrong.join("\n")
    );
}
