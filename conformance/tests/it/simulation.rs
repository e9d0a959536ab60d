//! The policy simulator's APIs and authorization messages, as the AWS CLI and boto3 read them.

use anyhow::{Context as _, Result, ensure};
use irsa_conformance::{Server, finish};
use serde_json::{Value, json};

use crate::shell;

#[test]
fn the_simulators_examples_come_out_as_documented() -> Result<()> {
    let server = Server::start()?;
    let folder = tempfile::tempdir()?;
    let run = |words: &[&str]| {
        let finished = shell::aws(&server, folder.path(), &[words, &["--output", "json"]].concat())?;
        ensure!(finished.code == Some(0), "aws {words:?}: {}", finished.stderr);
        serde_json::from_str::<Value>(&finished.stdout).context("the CLI prints JSON")
    };
    let date = r#"{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"dynamodb:*","Resource":"*","Condition":{"DateGreaterThan":{"aws:CurrentTime":"2018-08-16T12:00:00Z"}}}}"#;
    let simulate = |time: &str| {
        run(&[
            "iam",
            "simulate-custom-policy",
            "--policy-input-list",
            date,
            "--action-names",
            "dynamodb:CreateBackup",
            "--context-entries",
            &format!("ContextKeyName='aws:CurrentTime',ContextKeyValues='{time}',ContextKeyType=date"),
        ])
    };
    let statement = json!({
        "SourcePolicyId": "PolicyInputList.1",
        "SourcePolicyType": "IAM Policy",
        "StartPosition": { "Line": 1, "Column": 38 },
        "EndPosition": { "Line": 1, "Column": 167 },
    });
    assert_eq!(
        simulate("2019-04-25T11:00:00Z")?["EvaluationResults"],
        json!([{
            "EvalActionName": "dynamodb:CreateBackup",
            "EvalResourceName": "*",
            "EvalDecision": "allowed",
            "MatchedStatements": [statement],
            "MissingContextValues": [],
        }])
    );
    assert_eq!(
        simulate("2014-04-25T11:00:00Z")?["EvaluationResults"][0],
        json!({
            "EvalActionName": "dynamodb:CreateBackup",
            "EvalResourceName": "*",
            "EvalDecision": "implicitDeny",
            "MatchedStatements": [],
            "MissingContextValues": [],
        })
    );
    let keys = run(&[
        "iam",
        "get-context-keys-for-custom-policy",
        "--policy-input-list",
        r#"{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"dynamodb:*","Resource":"arn:aws:dynamodb:us-west-2:123456789012:table/${aws:username}","Condition":{"DateGreaterThan":{"aws:CurrentTime":"2015-08-16T12:00:00Z"}}}}"#,
    ])?;
    assert_eq!(keys, json!({ "ContextKeyNames": ["aws:username", "aws:CurrentTime"] }));
    Ok(())
}

#[test]
fn a_principal_is_simulated_and_its_pages_are_followed() -> Result<()> {
    let server = Server::start()?;
    let account = server.account()?;
    let folder = tempfile::tempdir()?;
    let run = |words: &[&str]| {
        let finished = shell::aws(&server, folder.path(), words)?;
        ensure!(finished.code == Some(0), "aws {words:?}: {}", finished.stderr);
        anyhow::Ok(finished.stdout)
    };
    run(&["iam", "create-user", "--user-name", "jill"])?;
    let read = "arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess";
    run(&["iam", "attach-user-policy", "--user-name", "jill", "--policy-arn", read])?;
    let jill = format!("arn:aws:iam::{account}:user/jill");
    let put = r#"{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"s3:PutObject","Resource":"arn:aws:s3:::my-test-bucket"}}"#;
    let printed = run(&[
        "iam",
        "simulate-principal-policy",
        "--policy-source-arn",
        &jill,
        "--policy-input-list",
        put,
        "--action-names",
        "s3:PutObject",
        "s3:GetObject",
        "s3:DeleteObject",
        "--resource-arns",
        "arn:aws:s3:::my-test-bucket",
        "--page-size",
        "1",
        "--query",
        "EvaluationResults[].[EvalActionName, EvalResourceName, EvalDecision, MatchedStatements[0].SourcePolicyId]",
        "--output",
        "json",
    ])?;
    let bucket = "arn:aws:s3:::my-test-bucket";
    assert_eq!(
        serde_json::from_str::<Value>(&printed)?,
        json!([
            ["s3:PutObject", bucket, "allowed", "PolicyInputList.1"],
            ["s3:GetObject", bucket, "allowed", "AmazonS3ReadOnlyAccess"],
            ["s3:DeleteObject", bucket, "implicitDeny", null],
        ])
    );
    let keys = [
        "iam",
        "get-context-keys-for-principal-policy",
        "--policy-source-arn",
        &jill,
    ];
    assert!(run(&keys)?.contains("\"ContextKeyNames\": []"));
    let nobody = format!("arn:aws:iam::{account}:user/nobody");
    let missing = shell::aws(
        &server,
        folder.path(),
        &[
            "iam",
            "simulate-principal-policy",
            "--policy-source-arn",
            &nobody,
            "--action-names",
            "s3:GetObject",
        ],
    )?;
    assert!(
        missing.stderr.contains(
            "An error occurred (NoSuchEntity) when calling the SimulatePrincipalPolicy operation: The user with name nobody cannot be \
             found."
        ),
        "{}",
        missing.stderr
    );
    Ok(())
}

#[test]
fn a_denied_callers_message_is_decoded_by_an_administrator() -> Result<()> {
    let server = Server::start()?;
    let folder = tempfile::tempdir()?;
    let denied = finish(
        shell::command(&server, "python", folder.path())?.arg(shell::scripts().join("authorization_message.py")),
    )?;
    ensure!(denied.code == Some(0), "{}\n{}", denied.stdout, denied.stderr);
    for message in denied.stdout.lines() {
        let words = ["sts", "decode-authorization-message", "--encoded-message", message];
        let decoded = shell::aws(
            &server,
            folder.path(),
            &[&words[..], &["--query", "DecodedMessage", "--output", "text"]].concat(),
        )?;
        ensure!(decoded.code == Some(0), "{}", decoded.stderr);
        let decoded: Value = serde_json::from_str(&decoded.stdout)?;
        assert_eq!(decoded["allowed"], false, "{decoded}");
        assert_eq!(decoded["explicitDeny"], true, "{decoded}");
        assert_eq!(
            decoded["matchedStatements"]["items"][0]["statementId"], "Nothing",
            "{decoded}"
        );
        assert_eq!(decoded["context"]["principal"]["name"], "ann", "{decoded}");
        let broken = format!("{}A", &message[..message.len() - 2]);
        let refused = shell::aws(
            &server,
            folder.path(),
            &["sts", "decode-authorization-message", "--encoded-message", &broken],
        )?;
        assert!(
            refused.stderr.contains(
                "An error occurred (InvalidAuthorizationMessageException) when calling the DecodeAuthorizationMessage operation: \
                 Message is not valid"
            ),
            "{}",
            refused.stderr
        );
    }
    assert_eq!(denied.stdout.lines().count(), 2, "{}", denied.stdout);
    Ok(())
}
