//! Simulations over the wire: what is answered, what is recorded, and that they agree with what the server does.

use crate::client::Key;
use crate::harness::{ACCOUNT, Server, allow, name, policy, world};

fn simulate(server: &Server, key: &Key, pairs: &[(&str, &str)]) -> crate::client::Response {
    server.iam(key, "SimulatePrincipalPolicy", pairs)
}

#[test]
fn a_simulation_is_a_read_and_its_documents_are_not_recorded() {
    let world = world();
    let server = &world.server;
    let pairs = [
        ("PolicyInputList.member.1", allow("s3:GetObject")),
        ("ActionNames.member.1", "s3:GetObject".to_owned()),
        ("ContextEntries.member.1.ContextKeyName", "aws:SourceIp".to_owned()),
        ("ContextEntries.member.1.ContextKeyType", "ip".to_owned()),
        (
            "ContextEntries.member.1.ContextKeyValues.member.1",
            "192.0.2.77".to_owned(),
        ),
    ];
    let pairs: Vec<(&str, &str)> = pairs.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let response = server.iam_ok(&server.root, "SimulateCustomPolicy", &pairs);
    assert_eq!(response.element("EvalDecision").as_deref(), Some("allowed"));
    let record = server.record(&response);
    assert_eq!(record["eventName"], "SimulateCustomPolicy");
    assert_eq!(record["readOnly"], true);
    assert!(record["responseElements"].is_null());
    assert_eq!(record["requestParameters"]["actionNames"][0], "s3:GetObject");
    assert_eq!(
        record["requestParameters"]["contextEntries"][0]["contextKeyName"],
        "aws:SourceIp"
    );
    let text = record.to_string();
    assert!(!text.contains("192.0.2.77") && !text.contains("2012-10-17"), "{text}");
}

/// What a simulation says of a user is what the server does to it.
#[test]
fn simulations_agree_with_the_server() {
    let world = world();
    let server = &world.server;
    let user = name("simulated");
    let document = policy(
        r#"{"Effect":"Allow","Action":"s3:GetObject","Resource":"arn:aws:s3:::first-bucket/*"},
           {"Effect":"Allow","Action":"iam:GetUser","Resource":"arn:aws:iam::*:user/${aws:username}"},
           {"Sid":"Never","Effect":"Deny","Action":"s3:GetObject","Resource":"arn:aws:s3:::first-bucket/secret"}"#,
    );
    let key = server.user(&server.root, &user, Some(&document));
    let source = format!("arn:aws:iam::{ACCOUNT}:user/{user}");
    let own = source.clone();
    for (action, resource, status) in [
        ("s3:GetObject", "arn:aws:s3:::first-bucket/hello.txt", 200),
        ("s3:GetObject", "arn:aws:s3:::first-bucket/secret", 403),
        ("s3:PutObject", "arn:aws:s3:::first-bucket/hello.txt", 403),
        ("iam:GetUser", own.as_str(), 200),
        ("iam:GetUser", "arn:aws:iam::111122223333:user/nobody", 403),
    ] {
        let pairs = [
            ("PolicySourceArn", source.as_str()),
            ("ActionNames.member.1", action),
            ("ResourceArns.member.1", resource),
        ];
        let answer = simulate(server, &server.root, &pairs);
        assert_eq!(answer.status, 200, "{}", answer.text());
        let done = match action {
            "iam:GetUser" => {
                let name = resource.rsplit('/').next().unwrap();
                server.iam(&key, "GetUser", &[("UserName", name)]).status
            }
            _ => {
                let path = format!("/{}", resource.trim_start_matches("arn:aws:s3:::"));
                let method = if action == "s3:GetObject" { "GET" } else { "PUT" };
                server.s3(&key, method, &path, b"").status
            }
        };
        assert_eq!(done, status, "{action} {resource}");
        let allowed = answer.element("EvalDecision").as_deref() == Some("allowed");
        assert_eq!(allowed, status == 200, "{action} {resource}: {}", answer.text());
    }
}

#[test]
fn policies_of_another_account_stay_there() {
    let world = world();
    let server = &world.server;
    let arn = format!("arn:aws:iam::{ACCOUNT}:role/everything");
    for action in ["SimulatePrincipalPolicy", "GetContextKeysForPrincipalPolicy"] {
        let pairs = [
            ("PolicySourceArn", arn.as_str()),
            ("ActionNames.member.1", "s3:GetObject"),
        ];
        let response = server.iam(&world.other_root, action, &pairs);
        assert_eq!(response.outcome(), "400 InvalidInput", "{}", response.text());
        assert_eq!(
            response.message(),
            "Invalid Policy Source Arn: caller's account 444455556666 does not have access to policies in account 111122223333"
        );
        let record = server.record(&response);
        assert_eq!(record["errorCode"], "InvalidInputException");
    }
}
