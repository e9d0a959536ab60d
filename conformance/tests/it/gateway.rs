//! The gateway before a server that nobody here wrote: boto3 in a pod on one side, moto on the other.

use std::{
    io::{BufRead as _, BufReader},
    net::SocketAddr,
    process::{Child, Stdio},
    sync::mpsc,
    time::Duration,
};

use anyhow::{Context as _, Result};
use irsa_conformance::{Cluster, Server, StartOptions};

use crate::{boto3::passes, shell};

const ACCOUNT: &str = "111122223333";
const SERVICES: [&str; 6] = ["dynamodb", "sqs", "sns", "secretsmanager", "ssm", "kms"];

const DOCUMENT: &str = r#"{"Version":"2012-10-17","Statement":[
    {"Effect":"Allow","Action":["dynamodb:CreateTable","dynamodb:PutItem","dynamodb:GetItem","dynamodb:Query","dynamodb:BatchGetItem"],"Resource":"arn:aws:dynamodb:*:*:table/orders"},
    {"Effect":"Allow","Action":["sqs:CreateQueue","sqs:SendMessage","sqs:ReceiveMessage"],"Resource":"arn:aws:sqs:*:*:jobs"},
    {"Effect":"Allow","Action":["sns:CreateTopic","sns:Publish"],"Resource":"arn:aws:sns:*:*:news"},
    {"Effect":"Allow","Action":["secretsmanager:CreateSecret","secretsmanager:GetSecretValue"],"Resource":"arn:aws:secretsmanager:*:*:secret:app/*"},
    {"Effect":"Allow","Action":"ssm:*Parameter*","Resource":"arn:aws:ssm:*:*:parameter/app*"},
    {"Effect":"Allow","Action":"kms:CreateKey","Resource":"*"},
    {"Effect":"Allow","Action":["kms:Encrypt","kms:Decrypt"],"Resource":"*","Condition":{"StringEquals":{"kms:EncryptionContext:app":"a"}}}]}"#;

/// moto's server; ends with this value.
struct Moto {
    child: Child,
    address: SocketAddr,
}

impl Moto {
    /// Starts it on a free port, and returns when it says on which.
    fn start(folder: &std::path::Path) -> Result<Self> {
        let mut child = shell::plain("moto_server", folder)?
            .args(["-H", "127.0.0.1", "-p", "0"])
            .env("MOTO_ACCOUNT_ID", ACCOUNT)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .context("starting moto_server")?;
        let log = child.stderr.take().context("moto_server has no standard error")?;
        let (tell, told) = mpsc::channel();
        // Reads on when the address is known: it logs every request, and would wait for a reader.
        std::thread::spawn(move || {
            for line in BufReader::new(log).lines().map_while(Result::ok) {
                if let Some((_, address)) = line.split_once("Running on http://") {
                    drop(tell.send(address.trim().parse::<SocketAddr>()));
                }
            }
        });
        let said = told.recv_timeout(Duration::from_secs(60));
        // The child is held before anything can fail, so that it always ends with this value.
        let mut moto = Self {
            child,
            address: SocketAddr::from(([127, 0, 0, 1], 0)),
        };
        moto.address = said.context("moto_server does not say where it listens")??;
        Ok(moto)
    }
}

impl Drop for Moto {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

#[tokio::test]
async fn a_pod_uses_services_behind_the_gateway_as_its_role_may() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let moto = Moto::start(folder.path())?;
    let mut arguments = vec!["--account".to_owned(), ACCOUNT.to_owned()];
    for service in SERVICES {
        arguments.extend(["--gateway".to_owned(), format!("{service}=http://{}", moto.address)]);
    }
    let server = Server::start_with(&StartOptions {
        arguments,
        environment: vec![
            ("AWS_ACCESS_KEY_ID", "AKIAUPSTREAMEXAMPLE1".to_owned()),
            ("AWS_SECRET_ACCESS_KEY", "of-the-upstream".to_owned()),
        ],
        ..StartOptions::default()
    })?;
    let root = server.root()?;
    let cluster = Cluster::create(&root, "one").await?;
    let role = cluster.role(&root, "app", "app", "reader").await?;
    let parameters = [
        ("Action", "PutRolePolicy"),
        ("RoleName", "app"),
        ("PolicyName", "services"),
        ("PolicyDocument", DOCUMENT),
    ];
    root.must("iam", &parameters).await?;
    let token = folder.path().join("token");
    std::fs::write(&token, cluster.token(&root, "app", "reader").await?)?;
    let mut pod = shell::plain("python", folder.path())?;
    pod.arg(shell::scripts().join("gateway.py"))
        .env("AWS_ENDPOINT_URL", server.endpoint()?)
        .env("AWS_REGION", server.region()?)
        .env("AWS_DEFAULT_REGION", server.region()?)
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .env("AWS_ROLE_ARN", &role)
        .env("AWS_WEB_IDENTITY_TOKEN_FILE", &token);
    passes(&mut pod)
}
