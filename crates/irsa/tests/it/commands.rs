use std::collections::HashMap;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::Stdio;

use rustix::process::Signal;
use serde_json::Value;

use crate::clients::{service_account, story};
use crate::support::{Ended, Server, signal, wait};

#[test]
fn exec_gives_the_command_its_role_and_nothing_else() {
    let server = Server::start();
    let role = story(&server);
    let file = service_account(&server.data, &role);
    let (id, secret) = server.root_key();
    let mut command = server.command(&["exec"]);
    command
        .args(["--serviceaccount", "app/s3-reader", "-f", &file, "--", "sh", "-c"])
        .arg("printenv; echo TOKEN=$(cat $AWS_WEB_IDENTITY_TOKEN_FILE); exit 7")
        .env("AWS_ACCESS_KEY_ID", &id)
        .env("AWS_SECRET_ACCESS_KEY", &secret)
        .env("AWS_PROFILE", "inherited")
        .env("AWS_ENDPOINT_URL_S3", "http://inherited")
        .env("AWS_ENDPOINT_URL_STS", "http://inherited")
        .env("OTHER", "kept");
    let ended = Ended::of(&mut command);
    assert_eq!(ended.code, Some(7), "{ended:#?}");
    assert!(
        !ended.stdout.contains(&secret) && !ended.stdout.contains("inherited"),
        "{ended:#?}"
    );
    let variables: HashMap<&str, &str> = ended.stdout.lines().filter_map(|line| line.split_once('=')).collect();
    assert_eq!(variables["AWS_ROLE_ARN"], role);
    assert_eq!(variables["AWS_ENDPOINT_URL"], server.endpoint());
    assert_eq!(variables["AWS_ENDPOINT_URL_STS"], server.endpoint());
    assert_eq!(variables["AWS_REGION"], "us-east-1");
    assert_eq!(variables["OTHER"], "kept");
    assert_eq!(variables["TOKEN"].split('.').count(), 3);
    assert!(!variables.contains_key("AWS_ACCESS_KEY_ID") && !variables.contains_key("AWS_PROFILE"));
    let token = Path::new(variables["AWS_WEB_IDENTITY_TOKEN_FILE"]);
    assert!(!token.exists(), "the token is gone with the command");
    assert!(
        token.ends_with("var/run/secrets/eks.amazonaws.com/serviceaccount/token"),
        "{token:?}"
    );
}

#[test]
fn the_sdk_inside_exec_becomes_the_role() {
    let server = Server::start();
    let role = story(&server);
    let run = |account: &str| {
        let program = env!("CARGO_BIN_EXE_irsa");
        let arguments = [
            "--serviceaccount",
            account,
            "--role-arn",
            &role,
            "--",
            program,
            "workload",
            "--bucket",
            "my-bucket",
            "--key",
            "hello.txt",
        ];
        let ended = server.run(&["exec"], &arguments);
        let lines: Vec<Value> = ended
            .stdout
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        (ended, lines)
    };
    let (ended, lines) = run("app/s3-reader");
    assert_eq!(lines.len(), 4, "{ended:#?}");
    assert!(
        lines[0]["outcome"]["arn"]
            .as_str()
            .unwrap()
            .contains(":assumed-role/S3ReadRole/"),
        "{ended:#?}"
    );
    assert_eq!(
        lines[1]["outcome"]["keys"],
        serde_json::json!(["hello.txt"]),
        "{ended:#?}"
    );
    assert_eq!(lines[2]["outcome"]["text"], "hello", "{ended:#?}");
    assert_eq!(lines[3]["error"]["code"], "AccessDenied", "{ended:#?}");

    // `irsa explain` says why, in words and as the record itself.
    let request = lines[3]["error"]["requestId"].as_str().unwrap();
    let text = server.run(&["explain", request], &[]).done();
    assert!(
        text.starts_with("s3:PutObject was refused with AccessDenied\n"),
        "{text}"
    );
    assert!(
        text.contains("expected `s3:GetObject` or `s3:ListBucket`, found `s3:PutObject`"),
        "{text}"
    );
    let json: Value = serde_json::from_str(&server.run(&["explain", request], &["-o", "json"]).done()).unwrap();
    assert_eq!(json["requestID"], request);
    let found = server.run(
        &["audit", "lookup"],
        &[
            "--error-code",
            "AccessDenied",
            "--event-name",
            "PutObject",
            "-o",
            "json",
        ],
    );
    let found: Value = serde_json::from_str(&found.done()).unwrap();
    assert_eq!(found["Records"].as_array().unwrap().len(), 1);
    assert_eq!(found["Records"][0]["requestID"], request);
    let table = server
        .run(
            &["audit", "lookup"],
            &["--event-source", "s3.amazonaws.com", "--since", "1h"],
        )
        .done();
    assert!(table.starts_with("TIME  ") && table.contains(request), "{table}");

    // Another service account has a token too, which this role does not trust.
    let (ended, lines) = run("app/default");
    assert_eq!(lines.len(), 1, "{ended:#?}");
    let reason = lines[0]["error"]["message"].as_str().unwrap();
    assert!(
        reason.contains("Not authorized to perform sts:AssumeRoleWithWebIdentity"),
        "{reason}"
    );
}

#[test]
fn without_a_role_there_are_no_credentials() {
    let server = Server::start();
    let ended = server.run(&["exec"], &["--serviceaccount", "app/plain", "--", "printenv"]);
    assert!(
        ended
            .stderr
            .starts_with("service account `app/plain` has no role: the command gets no credentials\n"),
        "{ended:#?}"
    );
    let text = ended.done();
    assert!(
        !text.contains("AWS_ROLE_ARN") && !text.contains("AWS_WEB_IDENTITY") && !text.contains("AWS_ACCESS"),
        "{text}"
    );

    let file = service_account(&server.data, "arn:aws:iam::111122223333:role/r");
    let ended = server.run(&["exec"], &["--serviceaccount", "app/plain", "-f", &file, "--", "true"]);
    assert_eq!(ended.code, Some(2), "{ended:#?}");
    assert!(
        ended
            .stderr
            .starts_with("error: the manifests have no service account `app/plain`\n"),
        "{ended:#?}"
    );
}

#[test]
fn the_cluster_can_be_left_out_only_if_there_is_one() {
    let server = Server::start();
    let exec = |more: &[&str]| {
        let mut arguments = vec![
            "--serviceaccount",
            "app/a",
            "--role-arn",
            "arn:aws:iam::111122223333:role/r",
        ];
        arguments.extend(more);
        arguments.extend(["--", "true"]);
        server.run(&["exec"], &arguments)
    };
    let none = exec(&[]);
    assert_eq!(none.code, Some(1));
    assert!(
        none.stderr.contains("hint: `irsa cluster register --name my-cluster`"),
        "{none:#?}"
    );
    server.run(&["cluster", "register"], &["--name", "one"]).done();
    exec(&[]).done();
    server.run(&["cluster", "register"], &["--name", "two"]).done();
    let several = exec(&[]);
    assert_eq!(several.code, Some(2));
    assert!(several.stderr.contains("hint: one of one, two"), "{several:#?}");
    exec(&["--cluster", "two"]).done();
    let unknown = exec(&["--cluster", "three"]);
    assert_eq!(unknown.code, Some(1));
    assert!(
        unknown
            .stderr
            .ends_with("hint: `irsa cluster list` shows the clusters\n"),
        "{unknown:#?}"
    );
}

#[test]
fn exec_hands_signals_on_and_ends_as_its_command() {
    let server = Server::start();
    let mut process = server
        .command(&["exec"])
        .args([
            "--serviceaccount",
            "app/a",
            "--",
            "sh",
            "-c",
            "trap 'exit 9' TERM; echo ready; while :; do sleep 0.1; done",
        ])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(process.stdout.take().unwrap())
        .read_line(&mut line)
        .unwrap();
    assert_eq!(line, "ready\n");
    signal(&process, Signal::TERM);
    assert_eq!(wait(&mut process).code(), Some(9));

    let killed = server.run(
        &["exec"],
        &["--serviceaccount", "app/a", "--", "sh", "-c", "kill -KILL $$"],
    );
    assert_eq!(killed.code, Some(137), "{killed:#?}");
    let missing = server.run(&["exec"], &["--serviceaccount", "app/a", "--", "no-such-program-here"]);
    assert_eq!(missing.code, Some(1), "{missing:#?}");
    assert!(
        missing.stderr.contains("error: `no-such-program-here` is not found"),
        "{missing:#?}"
    );
}

#[test]
fn tokens_can_be_had_alone() {
    let server = Server::start();
    server.run(&["cluster", "register"], &["--name", "c"]).done();
    let arguments = [
        "--cluster",
        "c",
        "--serviceaccount",
        "app/a",
        "--audience",
        "x",
        "--audience",
        "y",
        "--duration",
        "10m",
        "-o",
        "json",
    ];
    let answer: Value = serde_json::from_str(&server.run(&["token", "create"], &arguments).done()).unwrap();
    assert_eq!(answer["kind"], "TokenRequest");
    assert!(answer["status"]["expirationTimestamp"].as_str().unwrap().ends_with('Z'));
    let short = server.run(
        &["token", "create"],
        &["--cluster", "c", "--serviceaccount", "app/a", "--duration", "1s"],
    );
    assert_eq!(short.code, Some(1), "{short:#?}");
    assert!(short.stderr.contains("less than 10 minutes"), "{short:#?}");
}
