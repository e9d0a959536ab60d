//! Rules that every row of the table of operations keeps.

use std::collections::HashSet;

use irsa_iam::{OPERATIONS, request_parameters};
use irsa_wire::{Access, Params, Service};
use serde_json::json;

use crate::harness::{READ, Server, TRUST, call};

fn rows() -> impl Iterator<Item = &'static irsa_iam::Operation> {
    OPERATIONS.iter().flat_map(|operations| operations.iter())
}

/// Parameters that satisfy every operation's constraints, whether it takes them or not.
const EVERYTHING: &[(&str, &str)] = &[
    ("RoleName", "App"),
    ("UserName", "ann"),
    ("PolicyName", "p"),
    ("PolicyArn", "arn:aws:iam::111122223333:policy/own"),
    ("PolicyDocument", READ),
    ("AssumeRolePolicyDocument", TRUST),
    ("PermissionsBoundary", "arn:aws:iam::aws:policy/IAMReadOnlyAccess"),
    ("Description", "d"),
    ("VersionId", "v1"),
    ("Url", "https://oidc.example"),
    (
        "OpenIDConnectProviderArn",
        "arn:aws:iam::111122223333:oidc-provider/oidc.example",
    ),
    ("ClientID", "c"),
    ("ThumbprintList.member.1", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"),
    ("Tags.member.1.Key", "k"),
    ("Tags.member.1.Value", "v"),
    ("TagKeys.member.1", "k"),
    ("AccessKeyId", "AKIAAAAAAAAAAAAAAAAA"),
    ("Status", "Active"),
    ("PolicySourceArn", "arn:aws:iam::111122223333:role/App"),
    ("PolicyInputList.member.1", READ),
    ("ActionNames.member.1", "s3:GetObject"),
];

#[test]
fn an_answer_shows_no_secret_in_logs() {
    let mut server = Server::new();
    let answer = server.answer("CreateAccessKey", &[]).unwrap();
    assert_eq!(format!("{answer:?}"), "Answer { .. }");
}

#[test]
fn actions_have_the_names_of_their_operations() {
    let mut names = HashSet::new();
    for row in rows() {
        let spec = row.spec;
        assert_eq!(spec.action, format!("iam:{}", spec.name));
        assert_eq!(
            (spec.service, spec.access),
            (Service::Iam, Access::Authorized),
            "{}",
            spec.name
        );
        assert_eq!(
            spec.read_only,
            ["Get", "List", "Simulate"]
                .iter()
                .any(|word| spec.name.starts_with(word)),
            "{}",
            spec.name
        );
        assert!(names.insert(spec.name), "{} is there twice", spec.name);
    }
    assert_eq!(names.len(), 73);
}

#[test]
fn every_operation_asks_before_it_runs() {
    let server = Server::new();
    for row in rows() {
        let call = call(row.spec.name, EVERYTHING).unwrap();
        let targets = call
            .targets(&server.state, &server.caller)
            .unwrap_or_else(|error| panic!("{}: {error}", row.spec.name));
        assert!(!targets.is_empty(), "{}", row.spec.name);
        assert_eq!(targets[0].action, row.spec.action);
        for target in targets {
            assert!(
                target.resource == "*" || target.resource.starts_with("arn:aws:iam::"),
                "{}: {}",
                row.spec.name,
                target.resource
            );
            assert_eq!(target.resource_account, server.caller.account);
        }
    }
}

#[test]
fn adv_ia_01_nobody_without_a_policy_may_do_anything() {
    let mut server = Server::new();
    server.ok("CreateUser", &[("UserName", "ann")]);
    server.ok(
        "CreateRole",
        &[("RoleName", "App"), ("AssumeRolePolicyDocument", TRUST)],
    );
    let callers = [
        server.user("ann"),
        server.role_session("App"),
        server.add_account("444455556666"),
    ];
    for row in rows() {
        let [user, session, root] = &callers;
        for caller in [user, session] {
            let refusal = server
                .refusal(caller, row.spec.name, EVERYTHING)
                .unwrap_or_else(|| panic!("{} is allowed", row.spec.name));
            let begin = format!(
                "User: {} is not authorized to perform: {} on resource: ",
                caller.arn(),
                row.spec.action
            );
            let end = format!(
                " because no identity-based policy allows the {} action",
                row.spec.action
            );
            assert!(refusal.starts_with(&begin) && refusal.ends_with(&end), "{refusal}");
        }
        assert_eq!(
            server.refusal(&server.caller, row.spec.name, EVERYTHING),
            None,
            "{}",
            row.spec.name
        );
        // Another account's root owns what is named in its own account, and nothing named by an ARN of this one.
        let by_arn = matches!(
            row.spec.name,
            "GetPolicy"
                | "DeletePolicy"
                | "ListEntitiesForPolicy"
                | "CreatePolicyVersion"
                | "GetPolicyVersion"
                | "ListPolicyVersions"
                | "SetDefaultPolicyVersion"
                | "DeletePolicyVersion"
                | "TagPolicy"
                | "UntagPolicy"
                | "ListPolicyTags"
                | "GetOpenIDConnectProvider"
                | "DeleteOpenIDConnectProvider"
                | "UpdateOpenIDConnectProviderThumbprint"
                | "AddClientIDToOpenIDConnectProvider"
                | "RemoveClientIDFromOpenIDConnectProvider"
                | "TagOpenIDConnectProvider"
                | "UntagOpenIDConnectProvider"
                | "ListOpenIDConnectProviderTags"
        );
        assert_eq!(
            server.refusal(root, row.spec.name, EVERYTHING).is_some(),
            by_arn,
            "{}",
            row.spec.name
        );
    }
}

#[test]
fn exactly_the_action_is_needed() {
    let mut server = Server::new();
    server.ok("CreateUser", &[("UserName", "ann")]);
    let ann = server.user("ann");
    for row in rows() {
        let name = row.spec.name;
        // Creation with tags is the one thing that needs a second action.
        let params: Vec<_> = EVERYTHING
            .iter()
            .filter(|(key, _)| !key.starts_with("Tags.") || name.starts_with("Tag"))
            .copied()
            .collect();
        let put = |server: &mut Server, document: &str| {
            server.ok(
                "PutUserPolicy",
                &[("UserName", "ann"), ("PolicyName", "p"), ("PolicyDocument", document)],
            );
        };
        put(&mut server, &crate::harness::allow(row.spec.action));
        let caller =
            irsa_iam::Caller::of_access_key(&server.state, server.state.access_key(&ann.access_key_id).unwrap())
                .unwrap();
        assert_eq!(server.refusal(&caller, name, &params), None, "{name}");
        put(
            &mut server,
            r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","NotAction":"ACTION","Resource":"*"}]}"#
                .replace("ACTION", row.spec.action)
                .as_str(),
        );
        let caller =
            irsa_iam::Caller::of_access_key(&server.state, server.state.access_key(&ann.access_key_id).unwrap())
                .unwrap();
        assert!(server.refusal(&caller, name, &params).is_some(), "{name}");
    }
}

#[test]
fn missing_parameters_are_named_before_anything_is_asked() {
    let server = Server::new();
    for row in rows() {
        let targets = call(row.spec.name, &[]).unwrap().targets(&server.state, &server.caller);
        if let Err(error) = targets {
            let error = irsa_wire::WireError::from(error);
            assert_eq!(error.code, "ValidationError", "{}", row.spec.name);
            assert!(
                error.message.contains("Member must not be null"),
                "{}: {}",
                row.spec.name,
                error.message
            );
        }
    }
}

#[test]
fn unknown_operations_and_versions() {
    for (action, version) in [
        ("NoSuchThing", "2010-05-08"),
        ("getrole", "2010-05-08"),
        ("", "2010-05-08"),
        ("GetRole", "2011-06-15"),
    ] {
        let error = irsa_iam::Call::new(Params::from_pairs([("Action", action), ("Version", version)]))
            .err()
            .unwrap();
        assert_eq!(
            error.to_string(),
            format!("InvalidAction (400): Could not find operation {action} for version {version}")
        );
    }
    // Unknown members are not looked at.
    assert!(call("GetAccountSummary", &[("Nonsense", "1")]).is_ok());
}

#[test]
fn parameters_of_the_audit_record() {
    // Everything that operations take is recorded, but for the documents of simulations.
    let everything = request_parameters(&Params::from_pairs(EVERYTHING.iter().copied()));
    let names: HashSet<&str> = EVERYTHING
        .iter()
        .map(|(name, _)| name.split('.').next().unwrap())
        .filter(|name| *name != "PolicyInputList")
        .collect();
    assert_eq!(everything.as_object().unwrap().len(), names.len());

    let params = Params::from_pairs([
        ("Action", "CreateRole"),
        ("Version", "2010-05-08"),
        ("RoleName", "App"),
        ("AssumeRolePolicyDocument", "{ }"),
        ("Tags.member.2.Key", "b"),
        ("Tags.member.1.Key", "a"),
        ("Tags.member.1.Value", "1"),
        ("ClientIDList.member.1", "sts"),
        ("OpenIDConnectProviderArn", "x"),
        ("MaxSessionDuration", "07200"),
        ("SetAsDefault", "1"),
        ("MaxItems", "many"),
        ("X-Amz-Security-Token", "a session token"),
        ("X-Amz-Signature", "a signature"),
        ("WebIdentityToken", "a token"),
        ("Tags.member.1.Token", "a token"),
        ("ContextEntries.member.1.ContextKeyName", "aws:SourceIp"),
        ("ContextEntries.member.1.ContextKeyValues.member.1", "a value"),
        ("ContextEntries.member.1.ContextKeyType", "ip"),
        ("ActionNames.member.1", "s3:GetObject"),
        ("ActionNames.member.51", "s3:PutObject"),
    ]);
    assert_eq!(
        request_parameters(&params),
        json!({
            "roleName": "App",
            "assumeRolePolicyDocument": "{ }",
            "tags": [{ "key": "a", "value": "1" }, { "key": "b" }],
            "clientIDList": ["sts"],
            "openIDConnectProviderArn": "x",
            "maxSessionDuration": 7200,
            "setAsDefault": true,
            "maxItems": "many",
            "contextEntries": [{ "contextKeyName": "aws:SourceIp", "contextKeyType": "ip" }],
            "actionNames": ["s3:GetObject"],
        })
    );
}
