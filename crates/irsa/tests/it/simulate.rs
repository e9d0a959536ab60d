//! `irsa policy simulate`: cases as JSON lines, and one request explained.

use std::io::{BufRead, BufReader, Read, Write};
use std::path::PathBuf;
use std::process::Stdio;

use serde_json::{Value, json};

use crate::support::{Ended, irsa};

const USER: &str = "arn:aws:iam::111122223333:user/ann";
const SESSION: &str = "arn:aws:sts::111122223333:assumed-role/app/s1";
const OBJECT: &str = "arn:aws:s3:::bucket/key";

/// Runs a batch; the answers, as lines.
#[track_caller]
fn batch(cases: &[u8]) -> Vec<String> {
    let mut process = irsa()
        .args(["policy", "simulate", "--batch"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = process.stdin.take().unwrap();
    let cases = cases.to_vec();
    let writer = std::thread::spawn(move || stdin.write_all(&cases).unwrap());
    let output = process.wait_with_output().unwrap();
    writer.join().unwrap();
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert!(output.stderr.is_empty(), "{output:?}");
    let answers = String::from_utf8(output.stdout).unwrap();
    assert!(answers.is_empty() || answers.ends_with('\n'));
    answers.lines().map(str::to_owned).collect()
}

fn read(answers: &[String]) -> Vec<Value> {
    answers
        .iter()
        .map(|answer| serde_json::from_str(answer).unwrap())
        .collect()
}

fn statement(effect: &str, more: Value) -> Value {
    let mut statement = json!({"Effect": effect, "Action": "*", "Resource": "*"});
    for (name, value) in more.as_object().into_iter().flatten() {
        statement[name] = value.clone();
    }
    json!({"Version": "2012-10-17", "Statement": [statement]})
}

fn allow() -> Value {
    statement("Allow", json!({}))
}

fn request(principal: &str) -> Value {
    json!({"principal": principal, "action": "s3:GetObject", "resource": OBJECT})
}

#[test]
fn ids_and_order() {
    let ids = [
        "\"a\\u0062\"",
        "1",
        "1.50",
        "-1e5",
        "12345678901234567890123",
        "\"ü\u{2028}\"",
        "\"\\ud800\"",
    ];
    let mut cases = String::new();
    for id in ids {
        let case = json!({"policies": {"identity": [allow()]}, "request": request(USER), "unknown": [{"id": 0}]});
        cases.push_str(&format!("{{\"id\" : {id} ,{}\n", &case.to_string()[1..]));
    }
    let answers = batch(cases.as_bytes());
    assert_eq!(answers.len(), ids.len());
    for (id, answer) in ids.iter().zip(&answers) {
        assert!(
            answer.starts_with(&format!("{{\"id\":{id},\"decision\":\"Allowed\",\"reason\":\"")),
            "{answer}"
        );
    }
}

#[test]
fn errors_do_not_end_the_run() {
    let good = |id: usize| json!({"id": id, "policies": {"identity": [allow()]}, "request": request(USER)}).to_string();
    let lines: Vec<Vec<u8>> = vec![
        "\u{feff}".as_bytes().iter().copied().chain(good(0).into_bytes()).collect(),
        b"nonsense".to_vec(),
        b"{\"id\":2,".to_vec(),
        format!("{}\r", good(3)).into_bytes(),
        b"{\"id\":4,\"request\":{\"principal\":\"\xff\"}}".to_vec(),
        b"{\"id\":5,\"x\":\"\0\"}".to_vec(),
        [b"{\"id\":6,\"x\":".as_slice(), &b"[".repeat(3_000_000), &b"]".repeat(3_000_000), b"}"].concat(),
        [b"{\"id\":7,\"x\":\"".as_slice(), &b"y".repeat(10_000_000), b"\"}"].concat(),
        br#"{"id":8,"policies":{"identity":[{"Statement":{"Effect":"Allow","Action":"*","Action":"*","Resource":"*"}}]},"request":{"principal":"anonymous","action":"a:b","resource":"*"}}"#.to_vec(),
        br#"{"id":9,"policies":{"identity":["{\"Statement\":\"\ud800\"}"]},"request":{"principal":"anonymous","action":"a:b","resource":"*"}}"#.to_vec(),
        br#"{"id":10,"request":{"principal":"anonymous","action":"a:b","resource":"*","context":{"aws:k":1,"AWS:K":1}}}"#.to_vec(),
        good(11).into_bytes(),
    ];
    let mut cases = lines.join(&b"\n"[..]);
    cases.extend_from_slice(b"\n\n   \n\t\n");
    let answers = read(&batch(&cases));
    assert_eq!(answers.len(), lines.len());
    for (index, answer) in answers.iter().enumerate() {
        if matches!(index, 0 | 3 | 11) {
            assert_eq!(answer["decision"], "Allowed", "{answer}");
        } else {
            assert!(
                answer["error"].is_string() && answer.get("decision").is_none(),
                "{answer}"
            );
        }
        let id = if index == 1 { Value::Null } else { json!(index) };
        assert_eq!(answer["id"], id, "{answer}");
    }
}

#[test]
fn every_layer_decides() {
    let null = Value::Null;
    let with = |name: &str, document: Value| json!({"identity": [allow()], name: document});
    let other = statement("Allow", json!({"Action": "ec2:*"}));
    let deny = statement("Deny", json!({}));
    let deny_all = statement("Deny", json!({"Principal": "*"}));
    let allow_all = statement("Allow", json!({"Principal": "*"}));
    let cases = [
        (null.clone(), "ImplicitlyDenied"),
        (json!({"identity": [allow()]}), "Allowed"),
        (json!({"identity": [allow().to_string()]}), "Allowed"),
        (json!({"identity": [allow(), deny]}), "ExplicitlyDenied"),
        (with("boundary", null.clone()), "Allowed"),
        (with("boundary", other.clone()), "ImplicitlyDenied"),
        (with("boundary", deny.clone()), "ExplicitlyDenied"),
        (with("session", other.clone()), "ImplicitlyDenied"),
        (with("session", deny.clone()), "ExplicitlyDenied"),
        (with("resource", deny_all.clone()), "ExplicitlyDenied"),
        (json!({"resource": allow_all}), "Allowed"),
        (with("scp", json!([[allow()], [other]])), "ImplicitlyDenied"),
        (with("scp", json!([[allow()], []])), "ImplicitlyDenied"),
        (with("scp", json!([[deny, allow()]])), "ExplicitlyDenied"),
        (with("rcp", json!([[deny_all]])), "ExplicitlyDenied"),
        (with("rcp", json!([[]])), "Allowed"),
        (with("vpce", json!([])), "Allowed"),
        (with("vpce", json!([allow_all])), "Allowed"),
        (with("vpce", json!([deny_all, allow_all])), "ExplicitlyDenied"),
    ];
    let lines: Vec<String> = cases
        .iter()
        .map(|(policies, _)| {
            json!({"id": policies.to_string(), "policies": policies, "request": request(USER)}).to_string()
        })
        .collect();
    let answers = read(&batch(lines.join("\n").as_bytes()));
    for ((policies, decision), answer) in cases.iter().zip(&answers) {
        assert_eq!(answer["decision"], *decision, "{answer}");
        assert_eq!(answer["id"], policies.to_string());
        assert!(answer["reason"].as_str().unwrap().len() > 10);
    }
}

#[test]
fn every_kind_of_caller() {
    let provider = "arn:aws:iam::111122223333:oidc-provider/oidc.example.com/id/A";
    let saml = "arn:aws:iam::111122223333:saml-provider/corp";
    let federated = "arn:aws:sts::111122223333:federated-user/bob";
    let callers = [
        ("anonymous", json!("*")),
        ("arn:aws:iam::111122223333:root", json!({"AWS": "111122223333"})),
        ("111122223333", json!({"AWS": "111122223333"})),
        (USER, json!({"AWS": USER})),
        (SESSION, json!({"AWS": SESSION})),
        (SESSION, json!({"AWS": "arn:aws:iam::111122223333:role/app"})),
        (SESSION, json!({"AWS": "arn:aws:iam::111122223333:role/some/path/app"})),
        (
            "arn:aws:iam::111122223333:role/app",
            json!({"AWS": "arn:aws:iam::111122223333:role/app"}),
        ),
        (federated, json!({"AWS": federated})),
        ("lambda.amazonaws.com", json!({"Service": "lambda.amazonaws.com"})),
        (provider, json!({"Federated": provider})),
        (saml, json!({"Federated": saml})),
        (
            "cognito-identity.amazonaws.com",
            json!({"Federated": "cognito-identity.amazonaws.com"}),
        ),
    ];
    let mut lines = Vec::new();
    for (caller, principal) in &callers {
        for named in [
            principal.clone(),
            json!({"AWS": "arn:aws:iam::111122223333:user/nobody"}),
        ] {
            let policy = statement("Allow", json!({"Principal": named}));
            lines.push(json!({"id": caller, "policies": {"resource": policy}, "request": request(caller)}).to_string());
        }
    }
    let answers = read(&batch(lines.join("\n").as_bytes()));
    assert_eq!(answers.len(), 2 * callers.len());
    for (index, answer) in answers.iter().enumerate() {
        // A root user needs no policy in its own account.
        let root = answer["id"]
            .as_str()
            .is_some_and(|id| id.starts_with("1111") || id.ends_with(":root"));
        let decision = if index % 2 == 0 || root {
            "Allowed"
        } else {
            "ImplicitlyDenied"
        };
        assert_eq!(answer["decision"], decision, "{answer}");
    }
}

#[test]
fn an_answer_does_not_wait_for_the_next_case() {
    let mut process = irsa()
        .args(["policy", "simulate", "--batch"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = process.stdin.take().unwrap();
    let mut stdout = BufReader::new(process.stdout.take().unwrap());
    for id in 0..3 {
        writeln!(stdin, "{}", json!({"id": id, "request": request(USER)})).unwrap();
        let mut answer = String::new();
        stdout.read_line(&mut answer).unwrap();
        assert!(answer.starts_with(&format!("{{\"id\":{id},\"decision\"")), "{answer}");
    }
    drop(stdin);
    assert!(process.wait().unwrap().success());
}

#[test]
fn a_reader_that_goes_away_ends_it_quietly() {
    let mut process = irsa()
        .args(["policy", "simulate", "--batch"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = process.stdin.take().unwrap();
    let mut stdout = BufReader::new(process.stdout.take().unwrap());
    let line = format!("{}\n", json!({"id": 1, "request": request(USER)}));
    stdin.write_all(line.as_bytes()).unwrap();
    let mut answer = String::new();
    stdout.read_line(&mut answer).unwrap();
    drop(stdout);
    // It ends at its next write, whatever is left to read.
    while stdin.write_all(line.as_bytes()).is_ok() {}
    let status = process.wait().unwrap();
    let mut stderr = String::new();
    process.stderr.take().unwrap().read_to_string(&mut stderr).unwrap();
    assert_eq!((status.code(), stderr.as_str()), (Some(0), ""));
}

#[test]
fn cases_from_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("cases.jsonl");
    std::fs::write(&file, format!("{}\n", json!({"id": 1, "request": request(USER)}))).unwrap();
    let out = Ended::of(irsa().args(["policy", "simulate", "--batch"]).arg(&file)).done();
    assert!(out.starts_with("{\"id\":1,\"decision\":\"ImplicitlyDenied\""), "{out}");
    let missing = Ended::of(
        irsa()
            .args(["policy", "simulate", "--batch"])
            .arg(folder.path().join("none")),
    );
    assert_eq!(missing.code, Some(1), "{missing:?}");
    assert!(missing.stderr.contains("can't be read"), "{missing:?}");
    assert_eq!(
        Ended::of(irsa().args(["policy", "simulate", "--batch", "--action", "a:b"])).code,
        Some(2)
    );
}

struct Policies {
    folder: tempfile::TempDir,
}

impl Policies {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
        write(
            "app.json",
            r#"{
  "Version": "2012-10-17",
  "Statement": [
    {
      "Sid": "ReadOwn",
      "Effect": "Allow",
      "Action": ["s3:GetObject", "s3:GetObjectTagging"],
      "Resource": "arn:aws:s3:::data/${aws:PrincipalTag/team}/*",
      "Condition": {"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}}
    },
    {
      "Effect": "Deny",
      "Action": "s3:*",
      "Resource": "*",
      "Condition": {"Bool": {"aws:SecureTransport": "false"}}
    }
  ]
}
"#,
        );
        write(
            "scp.json",
            r#"{"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "s3:Get*", "Resource": "*"}}"#,
        );
        write(
            "trust.json",
            r#"{"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "sts:AssumeRoleWithWebIdentity",
 "Principal": {"Federated": "arn:aws:iam::111122223333:oidc-provider/oidc.example.com/id/A"},
 "Condition": {"StringEquals": {"oidc.example.com/id/A:sub": "system:serviceaccount:app:reader",
                                "oidc.example.com/id/A:aud": "sts.amazonaws.com"}}}}"#,
        );
        write(
            "bad.json",
            "{\n  \"Version\": \"2012-10-17\",\n  \"Statement\": {\"Effect\": \"allow\", \"Action\": \"*\", \"Resource\": \"*\"}\n}\n",
        );
        write(
            "held.json",
            r#"{"Statement": {"Effect": "Allow", "Principal": "*", "Action": "s3:*", "Resource": "*"}}"#,
        );
        Self { folder }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Runs it where the files are, so that their names are what is printed.
    fn run(&self, arguments: &[&str]) -> Ended {
        assert!(self.path("app.json").exists());
        Ended::of(
            irsa()
                .current_dir(self.folder.path())
                .args(["policy", "simulate"])
                .args(arguments),
        )
    }
}

#[test]
fn one_request_explained() {
    let policies = Policies::new();
    let role = "arn:aws:iam::111122223333:role/app";
    let object = "arn:aws:s3:::data/blue/x";
    let web = "arn:aws:iam::111122223333:oidc-provider/oidc.example.com/id/A";
    let mut all = String::new();
    for arguments in [
        &[
            "--policy",
            "app.json",
            "--principal",
            SESSION,
            "--action",
            "s3:GetObject",
            "--resource",
            object,
            "--context",
            "aws:PrincipalTag/team=blue",
            "aws:SourceIp=10.1.2.3",
            "aws:SecureTransport=true",
        ][..],
        &[
            "--policy",
            "app.json",
            "--principal",
            role,
            "--action",
            "s3:GetObject",
            "--resource",
            object,
            "--context",
            "aws:PrincipalTag/team=red",
            "--scp",
            "scp.json",
        ],
        &[
            "--policy",
            "app.json",
            "--principal",
            SESSION,
            "--action",
            "s3:PutObject",
            "--resource",
            object,
            "--context",
            "aws:SecureTransport=false",
        ],
        &[
            "--policy",
            "app.json",
            "--principal",
            SESSION,
            "--action",
            "s3:GetObject",
            "s3:ListBucket",
            "--resource",
            object,
            "arn:aws:s3:::data",
            "--context",
            "aws:PrincipalTag/team=blue",
            "--context",
            "aws:SourceIp=10.1.2.3",
        ],
        &[
            "--trust-policy",
            "trust.json",
            "--principal",
            web,
            "--action",
            "sts:AssumeRoleWithWebIdentity",
            "--resource",
            role,
            "--context",
            "oidc.example.com/id/A:sub=system:serviceaccount:app:writer",
            "oidc.example.com/id/A:aud=sts.amazonaws.com",
        ],
        // With the names of `aws iam simulate-custom-policy`.
        &[
            "--policy-input-list",
            "file://scp.json",
            "--caller-arn",
            USER,
            "--action-names",
            "s3:GetObject",
            "--resource-arns",
            object,
            "--resource-owner",
            "arn:aws:iam::111122223333:root",
            "--context-entries",
            "ContextKeyName=aws:SourceIp,ContextKeyValues=10.0.0.1,ContextKeyType=ip",
            "-o",
            "json",
        ],
        &["--policy", "held.json", "--principal", USER, "--action", "s3:GetObject"],
        &[
            "--policy",
            r#"{"Statement":{"Effect":"Allow","Action":"*","Resource":"*"}}"#,
            "--principal",
            USER,
            "--action",
            "iam:DeletePolicy",
            "--resource",
            "arn:aws:iam::aws:policy/ReadOnlyAccess",
        ],
    ] {
        let ended = policies.run(arguments);
        all.push_str(&format!(
            "$ irsa policy simulate {}\n{}[stderr]\n{}[exit code {}]\n\n",
            arguments.join(" "),
            ended.stdout,
            ended.stderr,
            ended.code.unwrap()
        ));
    }
    insta::assert_snapshot!(all);
}

#[test]
fn settings_change_what_aws_leaves_open() {
    let policies = Policies::new();
    let policy = r#"{"Statement":{"Effect":"Allow","Action":"*","Resource":"*","Condition":{"StringEquals":{"aws:TagKeys":"a"}}}}"#;
    let asked = [
        "--policy",
        policy,
        "--principal",
        USER,
        "--action",
        "s3:GetObject",
        "--context",
        r#"aws:TagKeys=["a"]"#,
    ];
    assert_eq!(policies.run(&asked).code, Some(1));
    let other = [&asked[..], &["--setting", "lists_need_a_set_qualifier=false"]].concat();
    assert_eq!(policies.run(&other).code, Some(0));
    let unknown = policies.run(&[&asked[..], &["--setting", "nonsense=true"]].concat());
    assert_eq!(unknown.code, Some(2));
    assert!(unknown.stderr.contains("lists_need_a_set_qualifier: "), "{unknown:?}");
}

#[test]
fn what_goes_wrong() {
    let policies = Policies::new();
    let asked = ["--principal", USER, "--action", "s3:GetObject"];
    let bad = policies.run(&[&["--policy", "bad.json"][..], &asked].concat());
    assert_eq!((bad.code, bad.stdout.as_str()), (Some(1), ""), "{bad:?}");
    assert!(
        bad.stderr.contains("bad.json") && bad.stderr.contains("unknown effect `allow`"),
        "{bad:?}"
    );
    let missing = policies.run(&[&["--policy", "none.json"][..], &asked].concat());
    assert_eq!((missing.code, missing.stdout.as_str()), (Some(1), ""), "{missing:?}");
    for arguments in [
        &[][..],
        &["--principal", USER],
        &["--action", "s3:GetObject"],
        &["--principal", "ann", "--action", "s3:GetObject"],
        &["--principal", USER, "--action", "GetObject"],
        &["--principal", USER, "--action", "s3:*"],
        &["--principal", USER, "--action", "s3:GetObject", "--context", "k"],
        &[
            "--principal",
            USER,
            "--action",
            "s3:GetObject",
            "--context",
            "k=1",
            "K=2",
        ],
        &[
            "--principal",
            USER,
            "--action",
            "s3:GetObject",
            "--resource-account",
            "12",
        ],
        &[
            "--principal",
            USER,
            "--action",
            "s3:GetObject",
            "--trust-policy",
            "trust.json",
            "--resource-policy",
            "trust.json",
        ],
    ] {
        let ended = policies.run(arguments);
        assert_eq!(
            (ended.code, ended.stdout.as_str()),
            (Some(2), ""),
            "{arguments:?}: {ended:?}"
        );
    }
}
