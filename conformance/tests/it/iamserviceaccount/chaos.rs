//! A connection is lost, or the command killed, at every single call in turn; then the same command runs again. What is there in the end is
//! what an undisturbed run makes: nothing twice, nothing missing.

use std::{
    collections::BTreeSet,
    fs::File,
    process::Stdio,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use irsa_conformance::{Calls, Client, Fault, Loss, Moment, Relay};
use serde_json::{Value, json};

use super::world::{ACCOUNT, REGION, State, World};

/// Longer than anything may take.
const LIMIT: Duration = Duration::from_secs(120);

/// The accounts of one run: `N` is its number, and what follows it keeps one number from being the beginning of another.
const FIRST: &str = "apiVersion: eksctl.io/v1alpha5
kind: ClusterConfig
metadata: {name: c-N-z, region: us-west-2}
iam:
  withOIDC: true
  serviceAccounts:
  - metadata: {name: reader, namespace: n-N-z, labels: {aws-usage: application}}
    attachPolicyARNs: [arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess, arn:aws:iam::aws:policy/AmazonDynamoDBReadOnlyAccess]
    tags: {cost-center: '42'}
  - metadata: {name: writer, namespace: n-N-z}
    roleName: writer-N-z
    attachPolicy: {Version: '2012-10-17', Statement: [{Effect: Allow, Action: 's3:PutObject', Resource: '*'}]}
  - metadata: {name: given, namespace: n-N-z}
    attachRoleARN: arn:aws:iam::111122223333:role/given
";

/// What becomes of them: statements move, a policy and a tag go, a boundary and a label come.
fn second(text: &str) -> String {
    text.replace(", arn:aws:iam::aws:policy/AmazonDynamoDBReadOnlyAccess", "")
        .replace(
            "    tags: {cost-center: '42'}\n",
            "    permissionsBoundary: arn:aws:iam::aws:policy/AmazonS3FullAccess\n",
        )
        .replace("'s3:PutObject'", "'s3:GetObject'")
        .replace(
            "{name: writer, namespace: n-N-z}",
            "{name: writer, namespace: n-N-z, labels: {team: a}}",
        )
}

/// A world whose calls go through relays.
struct Chaos {
    world: World,
    root: Client,
    calls: Calls,
    aws: Relay,
    kubernetes: Relay,
    runtime: tokio::runtime::Runtime,
}

/// How a command ended.
#[derive(Debug, Eq, PartialEq)]
enum End {
    Done,
    Failed(String),
    Killed,
}

impl Chaos {
    fn start() -> Result<Self> {
        let world = World::start()?;
        let calls = Calls::default();
        let chaos = Self {
            root: world.server.root()?,
            aws: Relay::plain(world.server.endpoint()?, &calls)?,
            kubernetes: Relay::kubernetes(&world.control_plane, &calls)?,
            calls,
            world,
            runtime: tokio::runtime::Builder::new_current_thread().enable_all().build()?,
        };
        // Brings the issuer's keys; all other clusters have the same issuer.
        chaos.world.register("first")?;
        chaos.iam(&[
            ("Action", "CreateRole"),
            ("RoleName", "given"),
            ("AssumeRolePolicyDocument", r#"{"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":{"Service":"ec2.amazonaws.com"},"Action":"sts:AssumeRole"}}"#),
        ])?;
        Ok(chaos)
    }

    fn iam(&self, parameters: &[(&str, &str)]) -> Result<()> {
        let answer = self.runtime.block_on(self.root.query("iam", parameters))?;
        ensure!(
            answer.status == 200 || answer.error_code().as_deref() == Some("NoSuchEntity"),
            "{}",
            answer.text()
        );
        Ok(())
    }

    /// A cluster of this number, and its files; no cluster has a provider.
    fn prepare(&self, number: usize) -> Result<()> {
        let url = self.world.control_plane.url();
        let body = json!({"name": format!("c-{number}-z"), "roleArn": "arn:aws:iam::111122223333:role/c", "resourcesVpcConfig": {},
            "oidc": {"issuer": url}});
        let made = self
            .runtime
            .block_on(self.root.json("eks", "POST", "/clusters", Some(&body)))?;
        ensure!(made.status == 200, "{}", made.text());
        let provider = format!(
            "arn:aws:iam::{ACCOUNT}:oidc-provider/{}",
            url.trim_start_matches("https://")
        );
        self.iam(&[
            ("Action", "DeleteOpenIDConnectProvider"),
            ("OpenIDConnectProviderArn", provider.as_str()),
        ])?;
        let text = |text: &str| text.replace("-N-", &format!("-{number}-"));
        self.world.file(&format!("first-{number}.yaml"), &text(FIRST))?;
        self.world.file(&format!("second-{number}.yaml"), &text(&second(FIRST)))
    }

    /// Runs a command through the relays; one that waits for a call that is lost in silence is killed.
    fn run(&self, words: &[&str], fault: Option<Fault>) -> Result<End> {
        self.calls.begin(fault);
        let log = self.world.folder.path().join("log");
        let mut child = self
            .world
            .command("irsa")?
            .args(words)
            .env("AWS_ENDPOINT_URL", self.aws.endpoint())
            .env("KUBECONFIG", self.kubernetes.kubeconfig())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::create(&log)?)
            .spawn()?;
        let started = Instant::now();
        loop {
            if self.calls.lost_within(Duration::from_millis(2)) {
                child.kill()?;
                child.wait()?;
                return Ok(End::Killed);
            }
            if let Some(status) = child.try_wait()? {
                return Ok(match status.success() {
                    true => End::Done,
                    false => End::Failed(std::fs::read_to_string(&log)?),
                });
            }
            if started.elapsed() > LIMIT {
                child.kill()?;
                child.wait()?;
                anyhow::bail!("`irsa {}` hangs: {fault:?}", words.join(" "));
            }
        }
    }

    /// A command that nothing disturbs.
    fn must(&self, words: &[&str]) -> Result<()> {
        let end = self.run(words, None)?;
        ensure!(end == End::Done, "`irsa {}`: {end:?}", words.join(" "));
        Ok(())
    }

    /// Runs a command with each of its calls lost in turn, each time with a cluster of its own, and then once more; the numbers of the clusters. `before` is
    /// what happens to a cluster first.
    fn every_call(
        &self,
        first: usize,
        words: &dyn Fn(usize) -> Vec<String>,
        before: &dyn Fn(usize) -> Result<()>,
    ) -> Result<Vec<usize>> {
        let run = |number: usize, fault: Option<Fault>| {
            let words = words(number);
            self.run(&words.iter().map(String::as_str).collect::<Vec<_>>(), fault)
        };
        let mut number = first;
        self.prepare(number)?;
        before(number)?;
        let undisturbed = run(number, None)?;
        ensure!(undisturbed == End::Done, "undisturbed: {undisturbed:?}");
        let calls = self.calls.names();
        let mut numbers = vec![number];
        for (index, name) in calls.iter().enumerate() {
            let changes = !["Get", "List", "Describe", "GET "]
                .iter()
                .any(|read| name.starts_with(read));
            // A read that is lost has done nothing, whenever that was; and killed before a change, a command has done what it had done after the one before.
            let losses = match changes {
                true => [
                    (Moment::Before, Loss::Cut),
                    (Moment::After, Loss::Cut),
                    (Moment::After, Loss::Silence),
                ]
                .as_slice(),
                false => &[(Moment::Before, Loss::Cut)],
            };
            for &(moment, loss) in losses {
                number += 1;
                numbers.push(number);
                let fault = Fault {
                    at: index + 1,
                    moment,
                    loss,
                };
                self.prepare(number)?;
                before(number)?;
                let end = run(number, Some(fault))?;
                ensure!(
                    end != End::Killed || loss == Loss::Silence,
                    "{fault:?}: a cut connection kills nobody"
                );
                let again = run(number, None)?;
                ensure!(
                    again == End::Done,
                    "{fault:?} of {calls:?}: {end:?}, and then {again:?}"
                );
            }
        }
        Ok(numbers)
    }

    /// The state of one cluster in all that is there, its number and the names of its roles taken out.
    fn of(all: &State, number: usize) -> String {
        let (cluster, namespace) = (format!("c-{number}-z"), format!("n-{number}-z"));
        let owner = format!("{REGION}/{cluster}");
        let tag = |role: &Value, key: &str| {
            let tags = role["tags"].as_array().into_iter().flatten();
            let mut values = tags.filter(|tag| tag["Key"] == key).map(|tag| tag["Value"].clone());
            values.next().unwrap_or_default()
        };
        let mut names = Vec::new();
        let mut parts = BTreeSet::new();
        for (name, role) in &all.roles {
            if tag(role, "irsa/cluster") == json!(owner) {
                names.push((name, tag(role, "irsa/name")));
                parts.insert(format!("role {name} {role}"));
            }
        }
        for (name, account) in &all.accounts {
            if name.starts_with(&format!("{namespace}/")) {
                parts.insert(format!("account {name} {account}"));
            }
        }
        if all.namespaces.contains(&namespace) {
            parts.insert(format!("namespace {namespace}"));
        }
        let mut text = parts.into_iter().collect::<Vec<_>>().join("\n");
        for (name, account) in names {
            text = text.replace(name.as_str(), &format!("[role of {account}]"));
        }
        text.replace(&cluster, "[cluster]")
            .replace(&namespace, "[namespace]")
            .replace(&format!("-{number}-"), "[number]")
    }
}

#[test]
fn whatever_call_is_lost_the_same_is_there_in_the_end() -> Result<()> {
    let chaos = Chaos::start()?;
    let apply = |file: &str, number: usize| {
        ["apply", "-f"]
            .map(str::to_owned)
            .into_iter()
            .chain([format!("{file}-{number}.yaml")])
            .collect::<Vec<_>>()
    };
    let first_is_there = |number: usize| {
        let words = apply("first", number);
        chaos.must(&words.iter().map(String::as_str).collect::<Vec<_>>())
    };
    let created = chaos.every_call(1_000, &|number| apply("first", number), &|_| Ok(()))?;
    let changed = chaos.every_call(2_000, &|number| apply("second", number), &first_is_there)?;
    let delete = |number: usize| {
        let mut words = ["delete", "iamserviceaccount", "--approve", "-f"]
            .map(str::to_owned)
            .to_vec();
        words.push(format!("first-{number}.yaml"));
        words
    };
    let deleted = chaos.every_call(3_000, &delete, &first_is_there)?;

    let all = chaos.world.state()?;
    for numbers in [&created, &changed, &deleted] {
        let (undisturbed, disturbed) = numbers.split_first().context("no run")?;
        let expected = Chaos::of(&all, *undisturbed);
        for number in disturbed {
            assert_eq!(Chaos::of(&all, *number), expected, "run {number}");
        }
    }
    // What an undisturbed run makes, and leaves.
    let lines = |number: usize| Chaos::of(&all, number).lines().count();
    assert_eq!(
        [lines(1_000), lines(2_000), lines(3_000)],
        [6, 6, 1],
        "{}",
        Chaos::of(&all, 3_000)
    );
    for (file, number) in [("first", 1_000), ("second", 2_000)] {
        let file = format!("{file}-{number}.yaml");
        assert_eq!(chaos.run(&["diff", "-f", &file], None)?, End::Done);
    }
    Ok(())
}

#[test]
fn five_hundred_accounts_and_a_kill_in_the_middle() -> Result<()> {
    let chaos = Chaos::start()?;
    chaos.prepare(0)?;
    let mut text = String::from(
        "apiVersion: eksctl.io/v1alpha5\nkind: ClusterConfig\nmetadata: {name: c-0-z, region: us-west-2}\niam:\n  withOIDC: true\n  serviceAccounts:\n",
    );
    for number in 0..500 {
        text.push_str(&format!(
            "  - metadata: {{name: app-{number}, namespace: team-{}}}\n    attachPolicyARNs: [arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess]\n",
            number / 100
        ));
    }
    chaos.world.file("many.yaml", &text)?;
    let words = ["apply", "-f", "many.yaml"];
    let fault = Fault {
        at: 700,
        moment: Moment::After,
        loss: Loss::Silence,
    };
    assert_eq!(chaos.run(&words, Some(fault))?, End::Killed);
    let there = chaos.world.state()?;
    let roles = there.roles.len();
    ensure!((10..500).contains(&roles), "it was killed with {roles} roles");
    chaos.must(&words)?;
    let calls = chaos.calls.names();
    let created = calls.iter().filter(|name| *name == "CreateRole").count();
    ensure!(
        created <= 501 - roles,
        "{created} roles were created where {roles} were there"
    );
    let all = chaos.world.state()?;
    // The given one is nobody's of these.
    assert_eq!((all.roles.len(), all.accounts.len()), (501, 500));
    for (name, account) in &all.accounts {
        let arn = account["annotations"]["eks.amazonaws.com/role-arn"]
            .as_str()
            .unwrap_or_default();
        let role = arn.rsplit('/').next().and_then(|role| all.roles.get(role));
        let role = role.with_context(|| format!("{name} has no role: {account}"))?;
        assert_eq!(role["attached"].as_array().map(Vec::len), Some(1), "{name}");
    }
    assert_eq!(chaos.run(&["diff", "-f", "many.yaml"], None)?, End::Done);
    Ok(())
}
