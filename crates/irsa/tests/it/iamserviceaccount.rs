//! Roles and service accounts from flags and files. With Kubernetes they are made in `docs/sessions`.

use std::path::PathBuf;
use std::process::Command;

use serde_json::Value;

use crate::support::{ACCOUNT, Ended, Server, irsa};

const CLUSTER: &str = "\
apiVersion: eksctl.io/v1alpha5
kind: ClusterConfig
metadata:
  name: cluster-13
  region: us-west-2
iam:
  withOIDC: true
  serviceAccounts:
  - metadata:
      name: s3-reader
      namespace: backend-apps
      labels: {aws-usage: application}
    attachPolicyARNs: [\"arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess\"]
  - metadata:
      name: cluster-autoscaler
      namespace: kube-system
    attachPolicy:
      Version: \"2012-10-17\"
      Statement:
      - Effect: Allow
        Action: [\"autoscaling:DescribeTags\", \"autoscaling:SetDesiredCapacity\"]
        Resource: '*'
nodeGroups:
- name: ng-1
  desiredCapacity: 1
";

struct File {
    _folder: tempfile::TempDir,
    path: PathBuf,
}

impl File {
    fn new(text: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("cluster.yaml");
        std::fs::write(&path, text).unwrap();
        Self { _folder: folder, path }
    }

    fn write(&self, text: &str) {
        std::fs::write(&self.path, text).unwrap();
    }

    fn words<'w>(&'w self, words: &[&'w str]) -> Vec<&'w str> {
        [words, &["-f", self.path.to_str().unwrap()]].concat()
    }
}

/// A command without Kubernetes and with nothing of AWS but what is said.
fn lonely(words: &[&str]) -> Command {
    let mut command = irsa();
    command
        .args(words)
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .env("AWS_CONFIG_FILE", "/dev/null")
        .env("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
        .env("HOME", "/nonexistent")
        .env_remove("KUBECONFIG")
        .env_remove("KUBERNETES_SERVICE_HOST");
    command
}

fn at(server: &Server, words: &[&str]) -> Ended {
    let (id, secret) = server.root_key();
    Ended::of(
        lonely(words)
            .env("AWS_ENDPOINT_URL", server.endpoint())
            .env("AWS_ACCESS_KEY_ID", id)
            .env("AWS_SECRET_ACCESS_KEY", secret)
            .env("AWS_REGION", "us-west-2"),
    )
}

#[track_caller]
fn refused(words: &[&str], code: i32) -> String {
    let ended = Ended::of(&mut lonely(words));
    assert_eq!(ended.code, Some(code), "{ended:#?}");
    assert_eq!(ended.stdout, "");
    ended.stderr
}

#[test]
fn flags_are_checked_at_once_and_in_the_words_of_eksctl() {
    let all = refused(
        &[
            "create",
            "iamserviceaccount",
            "--name",
            "Reader",
            "other",
            "--include",
            "a/*",
            "--attach-role-arn",
            "role",
            "--role-only",
        ],
        2,
    );
    for message in [
        "cannot use --include unless a config file is specified via --config-file/-f",
        "--cluster must be set",
        "--name=Reader and argument other cannot be used at the same time",
        "--name `Reader` is not valid: ",
        "cannot provide --role-name or --role-only when --attach-role-arn is configured",
        "--attach-role-arn `role` is not valid: ",
        "6 errors; nothing was changed",
    ] {
        assert!(all.contains(message), "{message}: {all}");
    }
    let several = refused(
        &[
            "create",
            "iamserviceaccount",
            "reader",
            "-c",
            "blue",
            "-c",
            "green",
            "--context",
            "x",
            "--attach-policy-arn",
            "arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess",
        ],
        2,
    );
    assert!(several.contains("give it with --role-name"), "{several}");
    assert!(several.contains("`CLUSTER=CONTEXT` is needed"), "{several}");
    let file = File::new(CLUSTER);
    let words = [
        "create",
        "iamserviceaccount",
        "reader",
        "--cluster",
        "c",
        "--region",
        "us-west-2",
        "--tags",
        "a=b",
        "--include",
        "[",
    ];
    let all = refused(&file.words(&words), 2);
    for message in [
        "cannot use --cluster when --config-file/-f is set",
        "cannot use --region when --config-file/-f is set",
        "cannot use --tags when --config-file/-f is set",
        "cannot use name argument when --config-file/-f is set",
        "parsing glob filter \"[\": ",
    ] {
        assert!(all.contains(message), "{message}: {all}");
    }
    let none = refused(&file.words(&["diff", "--include", "nothing/*"]), 2);
    assert!(
        none.contains("no iamserviceaccounts match include glob filter specification: \"nothing/*\""),
        "{none}"
    );
    let only = refused(
        &[
            "delete",
            "iamserviceaccount",
            "-c",
            "c",
            "--name",
            "x",
            "--only-missing",
        ],
        2,
    );
    assert!(
        only.contains("cannot use --only-missing unless a config file is specified"),
        "{only}"
    );
}

#[test]
fn faults_of_files_are_shown_all_at_once_in_their_places() {
    let text = CLUSTER
        .replace("name: s3-reader", "name: S3_reader")
        .replace("attachPolicyARNs", "attachPolicyARN")
        .replace("Effect: Allow", "Effect: Maybe")
        .replace("withOIDC: true", "withOIDC: yes please");
    let file = File::new(&text);
    let all = refused(&file.words(&["apply"]), 1);
    insta::assert_snapshot!(all.replace(file.path.to_str().unwrap(), "cluster.yaml"));
    let unreadable = refused(&["apply", "-f", "/nonexistent/x.yaml"], 1);
    assert!(
        unreadable.starts_with("error: reading config file \"/nonexistent/x.yaml\": No such file"),
        "{unreadable}"
    );
    let without =
        File::new("apiVersion: eksctl.io/v1alpha5\nkind: ClusterConfig\nmetadata: {name: c, region: us-west-2}\n");
    let lacking = refused(&without.words(&["create", "iamserviceaccount"]), 1);
    assert!(lacking.contains("'iam.serviceAccounts' is not defined in"), "{lacking}");
    let lacking = refused(&without.words(&["delete", "iamserviceaccount"]), 1);
    assert!(lacking.contains("'iam.withOIDC' is not enabled in"), "{lacking}");
}

#[test]
fn who_has_no_region_or_credentials_is_told_what_to_do() {
    let words = ["get", "iamserviceaccount", "--cluster", "c"];
    let all = refused(&words, 2);
    assert!(all.contains("AWS Region must be set"), "{all}");
    let all = refused(&[&words[..], &["--region", "us-west-2"]].concat(), 1);
    assert!(all.contains("there are no AWS credentials"), "{all}");
}

#[test]
fn a_file_from_nothing_to_nothing() {
    let server = Server::start();
    let file = File::new(CLUSTER);
    // No Kubernetes is known: the cluster and the roles are made.
    let made = at(&server, &file.words(&["create", "cluster"]));
    assert_eq!(made.code, Some(0), "{made:#?}");
    assert!(made.stderr.contains("only roles are made"), "{made:#?}");
    assert!(made.stderr.ends_with("2 created\n"), "{made:#?}");
    assert!(made.stdout.ends_with("2 to create\n"), "{made:#?}");
    let again = at(&server, &file.words(&["create", "cluster"])).done();
    assert_eq!(again, "2 unchanged\n");
    // Whoever wants service accounts must have somewhere to put them.
    let nowhere = at(&server, &file.words(&["apply"]));
    assert_eq!(nowhere.code, Some(1), "{nowhere:#?}");
    assert!(
        nowhere
            .stderr
            .contains("no Kubernetes API of cluster `cluster-13` is known"),
        "{nowhere:#?}"
    );
    assert!(nowhere.stderr.contains("--role-only"), "{nowhere:#?}");

    let same = at(&server, &file.words(&["diff", "--role-only"]));
    assert_eq!(
        (same.code, same.stdout.as_str()),
        (Some(0), "2 unchanged\n"),
        "{same:#?}"
    );
    file.write(&CLUSTER.replace("\"autoscaling:DescribeTags\", ", ""));
    let drift = at(&server, &file.words(&["diff", "--role-only", "-o", "json"]));
    assert_eq!(drift.code, Some(3), "{drift:#?}");
    let plan: Value = serde_json::from_str(&drift.stdout).unwrap();
    assert_eq!(plan["summary"]["change"], 1);
    assert_eq!((&plan["account"], &plan["applied"]), (&ACCOUNT.into(), &false.into()));
    let planned = at(&server, &file.words(&["create", "iamserviceaccount"]));
    assert_eq!(planned.code, Some(1), "service accounts need Kubernetes: {planned:#?}");
    let planned = at(&server, &file.words(&["apply", "--role-only", "--approve=false"]));
    assert_eq!(planned.code, Some(0), "{planned:#?}");
    assert!(
        planned
            .stderr
            .ends_with("no changes were applied, run again with '--approve' to apply the changes\n"),
        "{planned:#?}"
    );
    let applied = at(&server, &file.words(&["apply", "--role-only", "-o", "json"])).done();
    let applied: Value = serde_json::from_str(&applied).unwrap();
    assert_eq!(applied["applied"], true);
    assert_eq!(applied["outcome"]["steps"]["failed"], 0);
    assert_eq!(at(&server, &file.words(&["diff", "--role-only"])).code, Some(0));

    let table = at(&server, &["get", "iamserviceaccount", "--cluster", "cluster-13"]).done();
    let rows: Vec<&str> = table.lines().collect();
    assert_eq!(rows.len(), 3, "{table}");
    assert!(rows[0].starts_with("NAMESPACE\tNAME\t"), "{table}");
    assert!(rows[1].starts_with("backend-apps\ts3-reader\t"), "{table}");
    let one = at(
        &server,
        &[
            "get",
            "iamserviceaccounts",
            "s3-reader",
            "--namespace",
            "backend-apps",
            "-c",
            "cluster-13",
            "-o",
            "json",
        ],
    );
    let one: Value = serde_json::from_str(&one.done()).unwrap();
    assert_eq!(one[0]["metadata"]["name"], "s3-reader");
    let none = at(
        &server,
        &["get", "iamserviceaccount", "-c", "cluster-13", "--namespace", "nowhere"],
    )
    .done();
    assert_eq!(none, "No iamserviceaccounts found\n");

    let gone = at(
        &server,
        &file.words(&["delete", "iamserviceaccount", "--role-only", "--approve"]),
    );
    assert_eq!(gone.code, Some(0), "{gone:#?}");
    let none = at(&server, &["get", "iamserviceaccount", "-c", "cluster-13", "-o", "json"]).done();
    assert_eq!(none, "[]\n");
}

#[test]
fn flags_from_nothing_to_nothing() {
    let server = Server::start();
    let registered = server.run(&["cluster", "register"], &["--name", "my-cluster"]);
    assert_eq!(registered.code, Some(0), "{registered:#?}");
    let region = server.ready["region"].as_str().unwrap_or("us-east-1").to_owned();
    let run = |line: &str| {
        let words: Vec<&str> = line.split_whitespace().collect();
        at(
            &server,
            &[&words[..], &["--cluster", "my-cluster", "--region", &region]].concat(),
        )
    };
    let reader = "--name reader --namespace app --role-only";
    let policy = "--attach-policy-arn arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess";
    let early = run(&format!("create iamserviceaccount {reader} {policy} --approve"));
    assert_eq!(early.code, Some(1), "{early:#?}");
    assert!(
        early.stderr.contains("irsa utils associate-iam-oidc-provider"),
        "{early:#?}"
    );
    let planned = run("utils associate-iam-oidc-provider");
    assert_eq!(planned.code, Some(0), "{planned:#?}");
    assert!(
        planned
            .stderr
            .contains("(plan) would create IAM Open ID Connect provider for cluster \"my-cluster\""),
        "{planned:#?}"
    );
    let associated = run("utils associate-iam-oidc-provider --approve");
    assert_eq!(associated.code, Some(0), "{associated:#?}");
    assert!(
        associated
            .stderr
            .contains("\ncreated IAM Open ID Connect provider for cluster \"my-cluster\""),
        "{associated:#?}"
    );
    let again = run("utils associate-iam-oidc-provider --approve");
    assert_eq!((again.code, again.stdout.as_str()), (Some(0), ""), "{again:#?}");
    assert!(
        again
            .stderr
            .contains("is already associated with cluster \"my-cluster\""),
        "{again:#?}"
    );

    let unknown = format!("arn:aws:iam::{ACCOUNT}:policy/my-iam-policy");
    let absent = run(&format!(
        "create iamserviceaccount {reader} --attach-policy-arn {unknown} --approve"
    ));
    assert_eq!((absent.code, absent.stdout.as_str()), (Some(1), ""), "{absent:#?}");
    assert!(
        absent
            .stderr
            .contains(&format!("account {ACCOUNT}: there is no policy `{unknown}`")),
        "{absent:#?}"
    );
    let planned = run(&format!("create iamserviceaccount {reader} {policy}"));
    assert_eq!(planned.code, Some(0), "{planned:#?}");
    assert!(planned.stdout.contains("+ app/reader"), "{planned:#?}");
    assert_eq!(run("get iamserviceaccount -o json").done(), "[]\n");
    let made = run(&format!("create iamserviceaccount {reader} {policy} --approve"));
    assert_eq!(made.code, Some(0), "{made:#?}");
    let again = run(&format!("create iamserviceaccount {reader} {policy} --approve"));
    assert!(again.stderr.ends_with("nothing to do\n"), "{again:#?}");
    // Only what is given changes.
    let updated = run(&format!("update iamserviceaccount {reader} --tags team=blue --approve"));
    assert_eq!(updated.code, Some(0), "{updated:#?}");
    let listed = run("get iamserviceaccount -o json").done();
    let listed: Value = serde_json::from_str(&listed).unwrap();
    assert_eq!(listed[0]["status"]["tags"]["team"], "blue", "{listed:#}");
    let kept = run(&format!("create iamserviceaccount {reader} {policy} --tags team=blue"));
    assert!(kept.stderr.ends_with("nothing to do\n"), "{kept:#?}");

    let deleted = run("delete iamserviceaccount --name reader --namespace app --role-only --approve=false");
    assert!(deleted.stdout.contains("- app/reader"), "{deleted:#?}");
    let deleted = run("delete iamserviceaccount --name reader --namespace app --role-only");
    assert_eq!(deleted.code, Some(0), "{deleted:#?}");
    assert_eq!(run("get iamserviceaccount -o json").done(), "[]\n");
    let absent = at(&server, &["get", "iamserviceaccount", "--cluster", "other"]);
    assert_eq!(absent.code, Some(1), "{absent:#?}");
    assert!(
        absent
            .stderr
            .contains(&format!("account {ACCOUNT} has no cluster `other` in us-west-2")),
        "{absent:#?}"
    );
}
