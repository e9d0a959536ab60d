//! What cannot be done: said all at once, each fault in its place, before anything is changed.

use std::{
    io::{Read as _, Write as _},
    net::TcpListener,
    process::Command,
};

use anyhow::{Result, ensure};
use irsa_conformance::{Finished, finish};

use super::world::{ACCOUNT, REGION, State, World};

const HEAD: &str = "apiVersion: eksctl.io/v1alpha5
kind: ClusterConfig
metadata: {name: prod, region: us-west-2}
iam:
  withOIDC: true
  serviceAccounts:
";

/// What is there must be the same after each of these.
struct Untouched {
    world: World,
    changes: Vec<String>,
    state: State,
}

impl Untouched {
    fn new(world: World) -> Result<Self> {
        Ok(Self {
            changes: world.changes()?,
            state: world.state()?,
            world,
        })
    }

    /// Runs a command that must be refused with this code and say each of these.
    fn refused(&self, words: &[&str], code: i32, said: &[&str]) -> Result<Finished> {
        self.refused_command(self.world.command("irsa")?.args(words), code, said)
    }

    fn refused_command(&self, command: &mut Command, code: i32, said: &[&str]) -> Result<Finished> {
        let finished = finish(command)?;
        let words: Vec<_> = command.get_args().map(|word| word.to_string_lossy()).collect();
        let words = words.join(" ");
        let all = format!("{}\n{}", finished.stdout, finished.stderr);
        ensure!(
            finished.code == Some(code),
            "`irsa {words}` ended with {:?}\n{all}",
            finished.code
        );
        // Lines may be broken anywhere, beside a frame.
        let frame = |character: char| character.is_whitespace() || "│╭╰─×·┬".contains(character);
        let flat = all
            .split(frame)
            .filter(|word| !word.is_empty())
            .collect::<Vec<_>>()
            .join(" ");
        for said in said {
            ensure!(flat.contains(said), "`irsa {words}` does not say `{said}`:\n{all}");
        }
        Ok(finished)
    }

    /// Nothing was changed, nor was anything tried.
    fn is_untouched(&self) -> Result<()> {
        let after = self.world.changes()?;
        assert_eq!(after, self.changes);
        assert_eq!(self.world.state()?, self.state);
        Ok(())
    }
}

#[test]
fn all_that_is_wrong_with_files_is_said_at_once() -> Result<()> {
    let world = World::start()?;
    world.register("prod")?;
    let bad = format!(
        "{HEAD}  - metadata: {{namespace: app}}
    attachPolicyARNs: [AmazonS3ReadOnlyAccess]
  - metadata: {{name: a, namespace: App_1}}
    attachPolicyARN: [x]
  - metadata: {{name: b}}
    wellKnownPolicies: {{autoScaler: perhaps}}
  - metadata: {{name: c}}
    attachPolicy: {{Version: '2012-10-17', Statement: [{{Effect: Permit, Action: 's3:GetObject', Resource: '*'}}]}}
  - metadata: {{name: c}}
    attachRoleARN: arn:aws:iam::{ACCOUNT}:role/x
    roleName: y
  - metadata: {{name: d}}
  - metadata: {{name: e}}
    roleName: a-name-that-is-longer-than-the-sixty-four-characters-that-iam-gives-it
    attachPolicyARNs: [arn:aws-cn:iam::aws:policy/ReadOnlyAccess]
    tags: {{'aws:x': y}}
    subjectPattern: 'a:b'
  - metadata: {{name: f, labels: {{'a b': c}}}}
    attachPolicy: {{Version: '2012-10-17', Statement: [{{Effect: Allow, Action: 'GetObject', Resource: 'bucket'}}]}}
    permissionsBoundary: arn:aws:iam::{ACCOUNT}:role/x
"
    );
    world.file("bad.yaml", &bad)?;
    world.file(
        "worse.yaml",
        "apiVersion: eksctl.io/v1alpha5\nkind: ClusterConfig\nmetadata: {name: other}\niam: 5\n",
    )?;
    let untouched = Untouched::new(world)?;
    let said = [
        "bad.yaml:7:",
        "bad.yaml:8:24",
        "bad.yaml:9:",
        "bad.yaml:10:5",
        "bad.yaml:12:",
        "bad.yaml:14:",
        "bad.yaml:15:",
        "bad.yaml:17:",
        "bad.yaml:18:",
        "bad.yaml:20:",
        "bad.yaml:21:",
        "bad.yaml:22:",
        "bad.yaml:23:",
        "bad.yaml:24:",
        "bad.yaml:25:",
        "bad.yaml:26:",
        "iam.serviceAccounts[0].name must be set",
        "`AmazonS3ReadOnlyAccess`",
        "attachPolicyARN",
        "is not unique",
        "cannot be used with",
        "worse.yaml:3:",
        "worse.yaml:4:",
        "metadata.region must be set",
    ];
    for verb in [
        ["apply"].as_slice(),
        &["diff"],
        &["create", "iamserviceaccount", "--approve"],
        &["update", "iamserviceaccount", "--approve"],
    ] {
        let words = [verb, &["-f", "bad.yaml", "-f", "worse.yaml"]].concat();
        untouched.refused(&words, 1, &said)?;
    }
    untouched.is_untouched()
}

#[test]
fn what_is_wrong_with_flags_globs_and_clusters() -> Result<()> {
    let world = World::start()?;
    world.register("prod")?;
    world.file(
        "good.yaml",
        &format!("{HEAD}  - metadata: {{name: a}}\n    wellKnownPolicies: {{autoScaler: true}}\n"),
    )?;
    world.file(
        "nowhere.yaml",
        &HEAD
            .replace("prod", "nowhere")
            .replace("serviceAccounts:", "serviceAccounts: []"),
    )?;
    let unknown = format!("{HEAD}  - metadata: {{name: a}}\n    wellKnownPolicies: {{autoScaler: true}}\n")
        .replace("prod", "nowhere");
    world.file("unknown.yaml", &unknown)?;
    world.must(&["utils", "associate-iam-oidc-provider", "--cluster", "prod", "--approve"])?;
    let untouched = Untouched::new(world)?;
    let create = ["create", "iamserviceaccount", "--approve"];
    let policy = "--attach-policy-arn=arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess";

    // Flags: in the words of the reference, all of them.
    for (words, said) in [
        (
            [].as_slice(),
            [
                "--cluster must be set",
                "--name must be set",
                "--attach-policy-arn or --attach-role-arn must be set",
            ]
            .as_slice(),
        ),
        (
            &["--cluster=prod", "--name=a", "b", policy],
            &["--name=a and argument b cannot be used at the same time"],
        ),
        (
            &["--cluster=prod", "--name=A", "--attach-policy-arn=S3", "--tags=x"],
            &[
                "--name `A` is not valid",
                "--attach-policy-arn `S3` is not valid",
                "--tags `x` is not valid",
            ],
        ),
        (
            &["--cluster=prod", "--name=a", policy, "--include=x"],
            &["cannot use --include unless a config file is specified via --config-file/-f"],
        ),
        (
            &["-f", "good.yaml", "--cluster=prod"],
            &["cannot use --cluster when --config-file/-f is set"],
        ),
        (&["-f", "good.yaml", "--include=["], &["`[`"]),
        (
            &["-f", "good.yaml", "--include=other/*"],
            &["no iamserviceaccounts match include glob filter specification: \"other/*\""],
        ),
    ] {
        let finished = finish(untouched.world.command("irsa")?.args(create).args(words))?;
        let code = finished.code.filter(|code| [1, 2].contains(code));
        untouched.refused(&[&create[..], words].concat(), code.unwrap_or(2), said)?;
    }

    // Clusters.
    let by_flags = ["--name=a", policy];
    untouched.refused(
        &[&create[..], &["--cluster=nowhere"], &by_flags].concat(),
        1,
        &["nowhere", ACCOUNT, REGION],
    )?;
    untouched.refused(&["apply", "-f", "good.yaml", "-f", "unknown.yaml"], 1, &["nowhere"])?;
    untouched.refused(&["apply", "-f", "missing.yaml"], 1, &["missing.yaml"])?;
    // One that runs elsewhere than where kubectl looks.
    untouched
        .world
        .server
        .run(&["cluster", "register", "--name", "elsewhere"])?;
    let untouched = Untouched::new(untouched.world)?;
    untouched.refused(
        &[&create[..], &["--cluster=elsewhere"], &by_flags].concat(),
        1,
        &["elsewhere", &untouched.world.control_plane.url()],
    )?;
    // One without an issuer.
    let eks = Eks::start(
        r#"{"cluster": {"name": "prod", "arn": "arn:aws:eks:us-west-2:111122223333:cluster/prod", "status": "ACTIVE"}}"#,
    )?;
    untouched.refused_command(
        untouched
            .world
            .command("irsa")?
            .args(create)
            .arg("--cluster=prod")
            .args(by_flags)
            .env("AWS_ENDPOINT_URL_EKS", &eks.0),
        1,
        &["prod", "issuer"],
    )?;
    // One that is being made.
    let eks = Eks::start(
        r#"{"cluster": {"name": "prod", "arn": "arn:aws:eks:us-west-2:111122223333:cluster/prod", "status": "CREATING", "identity": {"oidc": {"issuer": "https://a.example"}}}}"#,
    )?;
    untouched.refused_command(
        untouched
            .world
            .command("irsa")?
            .args(create)
            .arg("--cluster=prod")
            .args(by_flags)
            .env("AWS_ENDPOINT_URL_EKS", &eks.0),
        1,
        &["prod", "CREATING"],
    )?;
    untouched.is_untouched()
}

/// Answers everything with one document.
struct Eks(String);

impl Eks {
    fn start(body: &'static str) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = format!("http://{}", listener.local_addr()?);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let Ok(mut stream) = stream else { continue };
                let mut request = [0; 8192];
                let _ = stream.read(&mut request);
                let _ = write!(
                    stream,
                    "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}",
                    body.len()
                );
            }
        });
        Ok(Self(address))
    }
}

#[test]
fn who_may_not_is_told_before_anything_is_changed() -> Result<()> {
    let world = World::start()?;
    world.register("prod")?;
    world.file(
        "good.yaml",
        &format!("{HEAD}  - metadata: {{name: a, namespace: app}}\n    wellKnownPolicies: {{autoScaler: true}}\n"),
    )?;
    // A user of AWS without permissions, and one whose keys nobody knows.
    let aws = |words: &[&str]| -> Result<String> {
        let finished = finish(world.command("aws")?.args(words).args(["--output", "text"]))?;
        ensure!(finished.code == Some(0), "{}", finished.stderr);
        Ok(finished.stdout)
    };
    aws(&["iam", "create-user", "--user-name", "nobody"])?;
    let keys = aws(&[
        "iam",
        "create-access-key",
        "--user-name",
        "nobody",
        "--query",
        "AccessKey.[AccessKeyId,SecretAccessKey]",
    ])?;
    let keys: Vec<&str> = keys.split_whitespace().collect();
    let (id, secret) = (keys[0].to_owned(), keys[1].to_owned());
    let untouched = Untouched::new(world)?;
    let with = |id: &str, secret: &str| -> Result<Command> {
        let mut command = untouched.world.command("irsa")?;
        command
            .args(["apply", "-f", "good.yaml"])
            .env("AWS_ACCESS_KEY_ID", id)
            .env("AWS_SECRET_ACCESS_KEY", secret);
        Ok(command)
    };
    let user = format!("arn:aws:iam::{ACCOUNT}:user/nobody");
    untouched.refused_command(
        &mut with(&id, &secret)?,
        1,
        &[&user, "is not authorized to perform: eks:DescribeCluster"],
    )?;
    untouched.refused_command(&mut with(&id, "wrong")?, 1, &["SignatureDoesNotMatch"])?;
    untouched.refused_command(&mut with("AKIAAAAAAAAAAAAAAAAA", "x")?, 1, &["InvalidClientTokenId"])?;

    // A user of Kubernetes whom nobody knows.
    let kubeconfig = std::fs::read_to_string(untouched.world.control_plane.kubeconfig())?;
    let stranger = kubeconfig.replace(untouched.world.control_plane.token(), "stranger");
    untouched.world.file("stranger", &stranger)?;
    let mut command = untouched.world.command("irsa")?;
    command
        .args(["apply", "-f", "good.yaml"])
        .env("KUBECONFIG", untouched.world.folder.path().join("stranger"));
    untouched.refused_command(&mut command, 1, &["prod"])?;
    // And no API server at all.
    untouched.world.file(
        "nobody",
        &kubeconfig.replace(&untouched.world.control_plane.url(), "https://127.0.0.1:1"),
    )?;
    let mut command = untouched.world.command("irsa")?;
    command
        .args(["apply", "-f", "good.yaml"])
        .env("KUBECONFIG", untouched.world.folder.path().join("nobody"));
    untouched.refused_command(&mut command, 1, &["prod"])?;
    untouched.is_untouched()
}

#[test]
fn what_others_made_is_named_and_left_alone() -> Result<()> {
    let world = World::start()?;
    world.register("prod")?;
    let aws = |words: &[&str]| -> Result<()> {
        let finished = finish(world.command("aws")?.args(words))?;
        ensure!(finished.code == Some(0), "{}", finished.stderr);
        Ok(())
    };
    aws(&[
        "iam",
        "create-role",
        "--role-name",
        "taken",
        "--assume-role-policy-document",
        r#"{"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":{"Service":"ec2.amazonaws.com"},"Action":"sts:AssumeRole"}}"#,
    ])?;
    world.control_plane.namespace("app")?;
    world
        .control_plane
        .must(&["create", "serviceaccount", "theirs", "--namespace", "app"])?;
    let arns: Vec<String> = (0..12)
        .map(|number| format!("arn:aws:iam::{ACCOUNT}:policy/p-{number}"))
        .collect();
    world.file(
        "file.yaml",
        &format!(
            "{HEAD}  - metadata: {{name: one, namespace: app}}\n    roleName: taken\n    wellKnownPolicies: {{autoScaler: true}}\n\
             \x20 - metadata: {{name: theirs, namespace: app}}\n    wellKnownPolicies: {{autoScaler: true}}\n\
             \x20 - metadata: {{name: many, namespace: app}}\n    attachPolicyARNs: [{}]\n\
             \x20 - metadata: {{name: good, namespace: app}}\n    wellKnownPolicies: {{autoScaler: true}}\n",
            arns.join(", ")
        ),
    )?;
    let quota = world
        .command("aws")?
        .args([
            "iam",
            "get-account-summary",
            "--query",
            "SummaryMap.AttachedPoliciesPerRoleQuota",
        ])
        .output()?;
    let quota: usize = String::from_utf8_lossy(&quota.stdout).trim().parse()?;
    let untouched = Untouched::new(world)?;
    let mut said = vec!["taken", "app/theirs", "--override-existing-serviceaccounts"];
    if quota < arns.len() {
        said.push("app/many");
    }
    for verb in ["apply", "diff"] {
        untouched.refused(&[verb, "-f", "file.yaml"], 1, &said)?;
    }
    untouched.is_untouched()
}
