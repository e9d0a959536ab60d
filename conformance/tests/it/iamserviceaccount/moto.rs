//! A second opinion on the side of AWS: moto's IAM, STS and EKS, which nobody here wrote, make the same of the same files.
//!
//! Where moto differs from AWS, and what that means here: it does not encode trust policies in its listing (both are understood), it has no pages, it asks nobody for permission, and it takes
//! policies that IAM refuses. Its clusters have issuers that nobody serves; the API server here takes the issuer's name, which is what is compared.

use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use irsa_conformance::{ControlPlane, Finished, Server, finish};

use super::world::{ACCOUNT, REGION, State, control_plane, server};
use crate::{gateway::Moto, shell};

const ACCOUNTS: &str = "apiVersion: eksctl.io/v1alpha5
kind: ClusterConfig
metadata: {name: second, region: us-west-2, tags: {team: platform}}
iam:
  withOIDC: true
  serviceAccounts:
  - metadata: {name: reader, namespace: app, labels: {aws-usage: application}}
    attachPolicyARNs: [arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess, arn:aws:iam::aws:policy/AmazonDynamoDBReadOnlyAccess]
    permissionsBoundary: arn:aws:iam::aws:policy/AmazonS3FullAccess
    tags: {cost-center: '42'}
  - metadata: {name: writer, namespace: app}
    attachPolicy:
      Version: '2012-10-17'
      Statement: [{Effect: Allow, Action: ['s3:PutObject', 's3:GetObject'], Resource: 'arn:aws:s3:::bucket/a b%20c+/*'}]
  - metadata: {name: external-dns, namespace: kube-system}
    wellKnownPolicies: {externalDNS: true, certManager: true, ebsCSIController: true}
  - metadata: {name: workers, namespace: app}
    roleName: workers
    roleOnly: true
    subjectPattern: 'worker-*'
    attachPolicyARNs: [arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess]
";

/// One of the two sides.
struct Side<'s> {
    name: &'static str,
    environment: Vec<(&'static str, String)>,
    control_plane: &'s ControlPlane,
    folder: &'s std::path::Path,
}

impl Side<'_> {
    fn command(&self, program: &str) -> Result<Command> {
        let mut command = shell::plain(program, self.folder)?;
        command
            .env("KUBECONFIG", self.control_plane.kubeconfig())
            .env("AWS_REGION", REGION)
            .env("AWS_DEFAULT_REGION", REGION)
            .envs(self.environment.iter().cloned());
        Ok(command)
    }

    fn run(&self, program: &str, words: &[&str]) -> Result<Finished> {
        finish(self.command(program)?.args(words))
    }

    fn must(&self, program: &str, words: &[&str]) -> Result<String> {
        let finished = self.run(program, words)?;
        ensure!(
            finished.code == Some(0),
            "{}: `{program} {}` ended with {:?}\n{}\n{}",
            self.name,
            words.join(" "),
            finished.code,
            finished.stdout,
            finished.stderr
        );
        Ok(finished.stdout)
    }

    fn state(&self) -> Result<State> {
        let words = [
            "iam",
            "get-account-authorization-details",
            "--filter",
            "Role",
            "--output",
            "json",
        ];
        State::new(&self.must("aws", &words)?, self.control_plane)
    }

    /// Nothing is left to do, and a second run does nothing.
    fn is_done(&self, file: &str) -> Result<()> {
        let diff = self.run("irsa", &["diff", "-f", file])?;
        ensure!(
            diff.code == Some(0),
            "{}: after {file}: {}\n{}",
            self.name,
            diff.stdout,
            diff.stderr
        );
        Ok(())
    }
}

fn ours(server: &Server) -> Result<Vec<(&'static str, String)>> {
    let credentials = server.credentials("default")?;
    Ok(vec![
        ("AWS_ENDPOINT_URL", server.endpoint()?.to_owned()),
        ("AWS_ACCESS_KEY_ID", credentials.access_key_id),
        ("AWS_SECRET_ACCESS_KEY", credentials.secret_access_key),
    ])
}

#[test]
fn motos_iam_and_ours_have_the_same_in_the_end() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let moto = Moto::start_with(
        folder.path(),
        &[("MOTO_IAM_LOAD_MANAGED_POLICIES", "true"), ("MOTO_ACCOUNT_ID", ACCOUNT)],
    )?;
    let endpoint = format!("http://{}", moto.address);
    // Service by service, as the SDKs take it.
    let environment = vec![
        ("AWS_ENDPOINT_URL_IAM", endpoint.clone()),
        ("AWS_ENDPOINT_URL_STS", endpoint.clone()),
        ("AWS_ENDPOINT_URL_EKS", endpoint),
        ("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE".to_owned()),
        ("AWS_SECRET_ACCESS_KEY", "wJalrXUtnFEMI".to_owned()),
    ];
    let create = [
        "eks",
        "create-cluster",
        "--name",
        "second",
        "--role-arn",
        "arn:aws:iam::111122223333:role/c",
    ];
    let query = [
        "--resources-vpc-config",
        "{}",
        "--query",
        "cluster.identity.oidc.issuer",
        "--output",
        "text",
    ];
    let mut command = shell::plain("aws", folder.path())?;
    command
        .env("AWS_DEFAULT_REGION", REGION)
        .envs(environment.iter().cloned());
    let created = finish(command.args(create).args(query))?;
    let issuer = created.stdout.trim();
    ensure!(
        issuer.starts_with("https://oidc.eks.us-west-2."),
        "{}{}",
        created.stdout,
        created.stderr
    );

    // An API server that has the issuer of moto's cluster.
    let control_plane = control_plane(&[&format!("--service-account-issuer={issuer}")])?;
    let server = server()?;
    let keys = folder.path().join("keys.json");
    std::fs::write(&keys, control_plane.get("/openid/v1/jwks")?.1)?;
    let keys = keys.to_str().context("the folder has a name in UTF-8")?;
    server.run(&[
        "cluster",
        "register",
        "--name",
        "second",
        "--issuer-url",
        issuer,
        "--jwks",
        keys,
    ])?;

    let side = |name, environment| Side {
        name,
        environment,
        control_plane: &control_plane,
        folder: folder.path(),
    };
    let (moto_side, our_side) = (side("moto", environment), side("ours", ours(&server)?));

    // Two policies and a tag go, one policy changes, a boundary goes, an account changes to a managed policy.
    let changed = ACCOUNTS
        .replace(", arn:aws:iam::aws:policy/AmazonDynamoDBReadOnlyAccess", "")
        .replace(
            "    permissionsBoundary: arn:aws:iam::aws:policy/AmazonS3FullAccess\n",
            "",
        )
        .replace("{cost-center: '42'}", "{owner: 'platform team'}")
        .replace("externalDNS: true, certManager: true", "externalDNS: true")
        .replace("'s3:PutObject', 's3:GetObject'", "'s3:GetObject'");
    std::fs::write(folder.path().join("first.yaml"), ACCOUNTS)?;
    std::fs::write(folder.path().join("second.yaml"), changed)?;
    for file in ["first.yaml", "second.yaml"] {
        let mut states = Vec::new();
        for side in [&moto_side, &our_side] {
            side.must("irsa", &["apply", "-f", file])?;
            side.is_done(file)?;
            states.push(side.state()?);
        }
        let roles: Vec<&String> = states.iter().flat_map(|state| state.roles.keys()).collect();
        assert_eq!(roles.len(), 8, "{roles:?}");
        let [of_moto, of_ours] = states.try_into().map_err(|_| anyhow::anyhow!("two sides"))?;
        assert_eq!(of_moto, of_ours, "after {file}");
    }
    let provider = format!(
        "arn:aws:iam::{ACCOUNT}:oidc-provider/{}",
        issuer.trim_start_matches("https://")
    );
    for side in [&moto_side, &our_side] {
        let words = [
            "iam",
            "get-open-id-connect-provider",
            "--open-id-connect-provider-arn",
            &provider,
        ];
        let found = side.must(
            "aws",
            &[&words[..], &["--query", "ClientIDList", "--output", "text"]].concat(),
        )?;
        assert_eq!(found.trim(), "sts.amazonaws.com", "{}", side.name);
    }

    // Drift, found on both and repaired by the same steps.
    for side in [&moto_side, &our_side] {
        side.must(
            "aws",
            &[
                "iam",
                "detach-role-policy",
                "--role-name",
                "workers",
                "--policy-arn",
                "arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess",
            ],
        )?;
        side.must(
            "aws",
            &["iam", "untag-role", "--role-name", "workers", "--tag-keys", "team"],
        )?;
        let diff = side.run("irsa", &["diff", "-f", "second.yaml"])?;
        assert_eq!(diff.code, Some(3), "{}: {}\n{}", side.name, diff.stdout, diff.stderr);
        side.must("irsa", &["apply", "-f", "second.yaml"])?;
        side.is_done("second.yaml")?;
    }
    assert_eq!(moto_side.state()?, our_side.state()?);

    // And all of it goes.
    for side in [&moto_side, &our_side] {
        side.must(
            "irsa",
            &["delete", "iamserviceaccount", "-f", "second.yaml", "--approve"],
        )?;
        let left = side.state()?;
        assert!(
            left.roles.is_empty() && !left.accounts.contains_key("app/reader"),
            "{}: {left:?}",
            side.name
        );
    }
    Ok(())
}
