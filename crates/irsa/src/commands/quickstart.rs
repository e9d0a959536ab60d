//! The whole story in one command. Every step checks that it did what it says.

mod pods;
mod records;
mod setup;
mod story;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use anyhow::Context as _;
use irsa_aws::Client;
use irsa_server::{RunningServer, ServerConfig, start};
use irsa_webhook::Settings;
use serde_json::Value;

use self::story::Story;
use crate::child::AwsEnvironment;
use crate::cli::Quickstart;
use crate::failure::Failure;
use crate::output::{self, GOOD, STRONG};
use crate::signals;

const REGION: &str = "us-east-1";
const CLUSTER: &str = "my-cluster";
const NAMESPACE: &str = "app";
const SERVICE_ACCOUNT: &str = "s3-reader";
const ROLE: &str = "S3ReadRole";
const POLICY: &str = "S3ReadPolicy";
const BUCKET: &str = "my-bucket";
const OBJECT: &str = "hello.txt";
const OBJECT_TEXT: &str = "hello from my-bucket";

const TRUST: &str = include_str!("../quickstart/trust.json");
const POLICY_DOCUMENT: &str = include_str!("../quickstart/policy.json");
const SERVICE_ACCOUNT_YAML: &str = include_str!("../quickstart/serviceaccount.yaml");
const DEPLOYMENT_YAML: &str = include_str!("../quickstart/deployment.yaml");

/// What the steps have made so far.
struct Tour {
    server: RunningServer,
    /// Signs with the root key.
    root: Client,
    account: String,
    /// The cluster's issuer, when there is one.
    issuer: String,
    /// The Deployment as it was written, and as the webhook made it.
    deployment: Value,
    mutated: Value,
    settings: Settings,
    aws: AwsEnvironment,
    /// Texts that must not appear in any record.
    secrets: Vec<String>,
    tokens: tempfile::TempDir,
    /// Where the story's files are.
    files: PathBuf,
}

/// Tells the story.
pub(super) async fn run(arguments: Quickstart) -> anyhow::Result<ExitCode> {
    let started = Instant::now();
    let mut stop = signals::stop_signals().context("signals can't be listened for")?;
    let folder = tempfile::Builder::new()
        .prefix("irsa-quickstart-")
        .tempdir()
        .context("no temporary folder can be made")?;
    let outcome = tokio::select! {
        outcome = tell(folder.path()) => outcome,
        _ = stop.recv() => Err(Failure::new("stopped").into()),
    };
    if arguments.keep {
        output::note(format_args!("kept: {}", folder.keep().display()));
    } else {
        folder.close().context("the temporary folder can't be removed")?;
    }
    outcome?;
    output::data(format_args!(
        "\n{GOOD}done{GOOD:#} in {:.1} s: every step was checked.\n",
        started.elapsed().as_secs_f64()
    ));
    output::data(format_args!("{STRONG}What to try next{STRONG:#}"));
    for (command, what) in [
        ("irsa up", "the same server, with its data in ./irsa-data"),
        (
            "eval \"$(irsa env)\"",
            "the AWS CLI and every AWS SDK use it, in this shell",
        ),
        (
            "irsa cluster register --name my-cluster",
            "your own cluster, with an issuer",
        ),
        (
            "irsa exec --serviceaccount app/s3-reader -f serviceaccount.yaml -- aws s3 ls s3://my-bucket",
            "a command as a service account",
        ),
        (
            "irsa run -f serviceaccount.yaml -f deployment.yaml",
            "your manifests' containers as local processes",
        ),
        ("irsa explain REQUEST-ID", "why a request was refused"),
        ("irsa quickstart --keep", "this again, and the files stay"),
    ] {
        output::data(format_args!("  {what}\n      $ {command}"));
    }
    Ok(ExitCode::SUCCESS)
}

async fn tell(folder: &Path) -> anyhow::Result<()> {
    let mut story = Story::default();
    story.title("irsa quickstart: a pod's token becomes one role's permissions");

    story.step("A server: IAM, STS, EKS, S3 and the clusters' issuers");
    let mut tour = story.check(begin(&story, folder).await)?;
    let outcome = steps(&mut story, &mut tour).await;
    tour.server.stop().await;
    outcome
}

async fn steps(story: &mut Story, tour: &mut Tour) -> anyhow::Result<()> {
    story.step("A cluster, whose issuer signs the tokens of its service accounts");
    story.check(setup::cluster(story, tour).await)?;
    story.step("A provider: the account trusts that issuer");
    story.check(setup::provider(story, tour).await)?;
    story.step("A bucket with something to read");
    story.check(setup::bucket(story, tour).await)?;
    story.step("A role: who may take it (trust policy), what it may do (policy)");
    story.check(setup::role(story, tour).await)?;
    story.step("A service account that names the role, and what the webhook makes of its Deployment");
    story.check(setup::deployment(story, tour))?;
    story.step("The pod: its token becomes the role's temporary credentials, by the AWS SDK alone");
    let outcomes = story.check(pods::reader(story, tour).await)?;
    story.step("What the role does not allow is denied");
    story.check(pods::denied(story, tour, &outcomes).await)?;
    story.step("A pod of another service account gets nothing");
    story.check(pods::stranger(story, tour).await)?;
    story.step("All of it is on record");
    story.check(records::all(story, tour))
}

/// The first step: a server in a folder of its own, on ports that nobody uses.
async fn begin(story: &Story, folder: &Path) -> anyhow::Result<Tour> {
    story.command("irsa up");
    story.command("eval \"$(irsa env)\"");
    let any = |address: std::net::SocketAddr| std::net::SocketAddr::new(address.ip(), 0);
    let config = ServerConfig::new(folder.join("irsa-data"));
    let config = ServerConfig {
        listen: any(config.listen),
        tls_listen: any(config.tls_listen),
        region: REGION.to_owned(),
        ..config
    };
    let server = start(config).await.context("the server can't start")?;
    let key = server.first_root().context("the first start made no root key")?;
    let secret = key.secret_access_key.expose().to_owned();
    let credentials = irsa_aws::Credentials::new(key.access_key_id.as_str(), secret.clone(), None, None, "quickstart");
    let root = Client::new(server.endpoint(), REGION, credentials)?;
    story.shows("AWS API", server.endpoint());
    story.shows("issuers", server.tls_endpoint());

    story.command("aws sts get-caller-identity --query Account --output text");
    let answer = root
        .query(irsa_aws::QueryService::Sts, "GetCallerIdentity", &[])
        .await?;
    let account = answer
        .text_at("GetCallerIdentityResult/Account")
        .unwrap_or_default()
        .to_owned();
    story.expect(account == server.account().to_string(), || {
        format!("the account is `{account}`")
    })?;
    story.prints(&account);
    Ok(Tour {
        root,
        account,
        issuer: String::new(),
        deployment: Value::Null,
        mutated: Value::Null,
        settings: Settings {
            default_region: Some(REGION.to_owned()),
            ..Settings::default()
        },
        aws: AwsEnvironment {
            endpoint: server.endpoint().to_owned(),
            region: REGION.to_owned(),
        },
        secrets: vec![secret],
        tokens: super::exec::private_folder()?,
        files: folder.to_owned(),
        server,
    })
}

impl Tour {
    /// The issuer as policies and ARNs name it.
    fn provider(&self) -> &str {
        self.issuer.strip_prefix("https://").unwrap_or(&self.issuer)
    }

    fn role_arn(&self) -> String {
        format!("arn:aws:iam::{}:role/{ROLE}", self.account)
    }

    /// Writes a file of the story and shows it.
    fn write(&self, story: &Story, name: &str, text: &str) -> anyhow::Result<()> {
        let path = self.files.join(name);
        std::fs::write(&path, text).with_context(|| format!("`{}` can't be written", path.display()))?;
        story.command(format_args!("cat {name}"));
        story.prints(text);
        Ok(())
    }

    /// A document of the story with its placeholders filled in.
    fn fill(&self, text: &str) -> String {
        text.replace("${ACCOUNT_ID}", &self.account)
            .replace("${OIDC_PROVIDER}", self.provider())
    }
}
