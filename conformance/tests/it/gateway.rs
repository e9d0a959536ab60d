//! The gateway before a server that nobody here wrote: boto3 in a pod on one side, moto on the other, and the records of it.

use std::{
    io::{BufRead as _, BufReader},
    net::SocketAddr,
    process::{Child, Stdio},
    sync::mpsc,
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use irsa_conformance::{Cluster, Server, StartOptions};
use serde_json::Value;

use crate::{boto3::passes, shell};

const ACCOUNT: &str = "111122223333";
/// Data stores and queues, as `gateway.py` uses them.
const STORES: &str = r#"{"Version":"2012-10-17","Statement":[
    {"Effect":"Allow","Action":["dynamodb:CreateTable","dynamodb:PutItem","dynamodb:GetItem","dynamodb:Query","dynamodb:BatchGetItem"],"Resource":"arn:aws:dynamodb:*:*:table/orders"},
    {"Effect":"Allow","Action":["sqs:CreateQueue","sqs:SendMessage","sqs:ReceiveMessage"],"Resource":"arn:aws:sqs:*:*:jobs"},
    {"Effect":"Allow","Action":["sns:CreateTopic","sns:Publish"],"Resource":"arn:aws:sns:*:*:news"},
    {"Effect":"Allow","Action":["secretsmanager:CreateSecret","secretsmanager:GetSecretValue"],"Resource":"arn:aws:secretsmanager:*:*:secret:app/*"},
    {"Effect":"Allow","Action":"ssm:*Parameter*","Resource":"arn:aws:ssm:*:*:parameter/app*"},
    {"Effect":"Allow","Action":"kms:CreateKey","Resource":"*"},
    {"Effect":"Allow","Action":["kms:Encrypt","kms:Decrypt"],"Resource":"*","Condition":{"StringEquals":{"kms:EncryptionContext:app":"a"}}}]}"#;

/// What `gateway_infrastructure.py` may.
const INFRASTRUCTURE: &str = r#"{"Version":"2012-10-17","Statement":[
    {"Effect":"Allow","Action":["rds:CreateDBInstance","rds:DescribeDBInstances","rds:ModifyDBInstance","rds:CreateDBInstanceReadReplica","rds:RestoreDBInstanceToPointInTime"],"Resource":"arn:aws:rds:*:*:db:orders"},
    {"Effect":"Allow","Action":["elasticache:CreateCacheCluster","elasticache:DescribeCacheClusters"],"Resource":"arn:aws:elasticache:*:*:cluster:sessions"},
    {"Effect":"Allow","Action":["mq:CreateBroker","mq:ListBrokers"],"Resource":"*"},
    {"Effect":"Allow","Action":["mq:DescribeBroker","mq:RebootBroker"],"Resource":"arn:aws:mq:*:*:broker:*"},
    {"Effect":"Deny","Action":"mq:RebootBroker","Resource":"*"},
    {"Effect":"Allow","Action":["autoscaling:CreateLaunchConfiguration"],"Resource":"arn:aws:autoscaling:*:*:launchConfiguration:*:launchConfigurationName/web"},
    {"Effect":"Allow","Action":["autoscaling:CreateAutoScalingGroup","autoscaling:SetDesiredCapacity"],"Resource":"arn:aws:autoscaling:*:*:autoScalingGroup:*:autoScalingGroupName/web"},
    {"Effect":"Allow","Action":"autoscaling:Describe*","Resource":"*"},
    {"Effect":"Allow","Action":["route53:CreateHostedZone","route53:ListHostedZones"],"Resource":"*"},
    {"Effect":"Allow","Action":["route53:ChangeResourceRecordSets","route53:ListResourceRecordSets"],"Resource":"arn:aws:route53:::hostedzone/*"},
    {"Effect":"Deny","Action":"route53:ChangeResourceRecordSets","Resource":"*","Condition":{"ForAnyValue:StringNotLike":{"route53:ChangeResourceRecordSetsNormalizedRecordNames":"app.*"}}},
    {"Effect":"Allow","Action":["elasticloadbalancing:CreateLoadBalancer","elasticloadbalancing:CreateLoadBalancerListeners"],"Resource":"arn:aws:elasticloadbalancing:*:*:loadbalancer/old"},
    {"Effect":"Allow","Action":["elasticloadbalancing:CreateLoadBalancer","elasticloadbalancing:ModifyLoadBalancerAttributes","elasticloadbalancing:AddTags"],"Resource":"arn:aws:elasticloadbalancing:*:*:loadbalancer/app/front/*"},
    {"Effect":"Allow","Action":"elasticloadbalancing:Describe*","Resource":"*"}]}"#;

/// What `gateway_secrets.py` may.
const SECRETS: &str = r#"{"Version":"2012-10-17","Statement":[
    {"Effect":"Allow","Action":"kms:CreateKey","Resource":"*"},
    {"Effect":"Allow","Action":"kms:CreateAlias","Resource":["arn:aws:kms:*:111122223333:alias/app","arn:aws:kms:*:111122223333:key/*"]},
    {"Effect":"Allow","Action":["kms:Encrypt","kms:Decrypt","kms:ReEncrypt*","kms:DescribeKey"],"Resource":"arn:aws:kms:*:111122223333:alias/app"},
    {"Effect":"Allow","Action":"ssm:*Parameter*","Resource":"arn:aws:ssm:*:*:parameter/app*"},
    {"Effect":"Allow","Action":["secretsmanager:CreateSecret","secretsmanager:PutSecretValue","secretsmanager:GetSecretValue","secretsmanager:DescribeSecret"],"Resource":"arn:aws:secretsmanager:*:*:secret:app/*"},
    {"Effect":"Allow","Action":"secretsmanager:BatchGetSecretValue","Resource":"*"}]}"#;

/// moto's server; ends with this value.
pub(crate) struct Moto {
    child: Child,
    pub(crate) address: SocketAddr,
}

impl Moto {
    /// Starts it on a free port, and returns when it says on which.
    pub(crate) fn start(folder: &std::path::Path) -> Result<Self> {
        Self::start_with(folder, &[])
    }

    /// The same with these variables in its environment.
    pub(crate) fn start_with(folder: &std::path::Path, environment: &[(&str, &str)]) -> Result<Self> {
        let mut child = shell::plain("moto_server", folder)?
            .envs(environment.iter().copied())
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

/// A server with these services behind it, and what a pod in it did there: the records of its calls.
async fn pod(services: &[&str], script: &str, document: &str) -> Result<Vec<Value>> {
    let gateway = |store: &str| {
        let of_service = |service: &&str| ["--gateway".to_owned(), format!("{service}={store}")];
        services.iter().flat_map(of_service).collect()
    };
    pod_before_moto(gateway, script, document).await
}

/// A server that stands before moto with these arguments, and what a pod in it did there: the records of its calls.
pub(crate) async fn pod_before_moto(
    arguments: impl FnOnce(&str) -> Vec<String>,
    script: &str,
    document: &str,
) -> Result<Vec<Value>> {
    let folder = tempfile::tempdir()?;
    let moto = Moto::start(folder.path())?;
    let store = format!("http://{}", moto.address);
    let mut arguments = arguments(&store);
    arguments.extend(["--account".to_owned(), ACCOUNT.to_owned()]);
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
        ("PolicyName", "pod"),
        ("PolicyDocument", document),
    ];
    root.must("iam", &parameters).await?;
    let token = folder.path().join("token");
    std::fs::write(&token, cluster.token(&root, "app", "reader").await?)?;
    let mut pod = shell::plain("python", folder.path())?;
    pod.arg(shell::scripts().join(script))
        .env("UPSTREAM", store)
        .env("AWS_ENDPOINT_URL", server.endpoint()?)
        .env("AWS_REGION", server.region()?)
        .env("AWS_DEFAULT_REGION", server.region()?)
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .env("AWS_ROLE_ARN", &role)
        .env("AWS_WEB_IDENTITY_TOKEN_FILE", &token);
    passes(&mut pod)?;
    let found = server.run_json(&["audit", "lookup", "--service-account", "app/reader", "--limit", "1000"])?;
    let records = found["Records"]
        .as_array()
        .context("`irsa audit lookup` prints records")?;
    Ok(records.clone())
}

/// Holds that each of these calls is in the journal once or more: its service, operation, error code, and a parameter's value.
fn recorded(records: &[Value], wanted: &[(&str, &str, Option<&str>, &str, &str)]) -> Result<()> {
    for (service, operation, code, parameter, value) in wanted {
        let is_wanted = |record: &&Value| {
            record["eventSource"] == format!("{service}.amazonaws.com")
                && record["eventName"] == *operation
                && record["errorCode"].as_str() == *code
                && (parameter.is_empty() || record["requestParameters"][*parameter] == *value)
        };
        let found = records.iter().find(is_wanted);
        let found = found.with_context(|| format!("no record of {service}:{operation} {code:?} {value}"))?;
        ensure!(found["userIdentity"]["type"] == "AssumedRole", "{found}");
        ensure!(found["recipientAccountId"] == ACCOUNT, "{found}");
        let decision = if code.is_some() { "refused" } else { "allowed" };
        ensure!(found["additionalEventData"]["irsa"]["decision"] == decision, "{found}");
    }
    Ok(())
}

#[tokio::test]
async fn a_pod_uses_services_behind_the_gateway_as_its_role_may() -> Result<()> {
    let services = ["dynamodb", "sqs", "sns", "secretsmanager", "ssm", "kms"];
    let records = pod(&services, "gateway.py", STORES).await?;
    let denied = Some("AccessDeniedException");
    recorded(
        &records,
        &[
            ("dynamodb", "PutItem", None, "tableName", "orders"),
            ("dynamodb", "GetItem", denied, "tableName", "secrets"),
            ("sqs", "SendMessage", None, "", ""),
            ("sns", "Publish", Some("AuthorizationError"), "", ""),
            ("secretsmanager", "GetSecretValue", None, "secretId", "app/db"),
            ("ssm", "GetParameters", denied, "", ""),
        ],
    )
}

#[tokio::test]
async fn infrastructure_is_decided_by_name_and_arn() -> Result<()> {
    let services = [
        "rds",
        "elasticache",
        "mq",
        "autoscaling",
        "route53",
        "elasticloadbalancing",
    ];
    let records = pod(&services, "gateway_infrastructure.py", INFRASTRUCTURE).await?;
    let denied = Some("AccessDenied");
    recorded(
        &records,
        &[
            ("rds", "CreateDBInstance", None, "dBInstanceIdentifier", "orders"),
            ("rds", "CreateDBInstance", denied, "dBInstanceIdentifier", "payroll"),
            (
                "elasticache",
                "DescribeCacheClusters",
                None,
                "cacheClusterId",
                "sessions",
            ),
            ("elasticache", "CreateCacheCluster", denied, "cacheClusterId", "others"),
            ("amazonmq", "DescribeBroker", None, "", ""),
            ("amazonmq", "RebootBroker", Some("AccessDeniedException"), "", ""),
            ("autoscaling", "SetDesiredCapacity", None, "autoScalingGroupName", "web"),
            (
                "autoscaling",
                "SetDesiredCapacity",
                denied,
                "autoScalingGroupName",
                "others",
            ),
            ("route53", "ChangeResourceRecordSets", None, "", ""),
            ("route53", "DeleteHostedZone", denied, "", ""),
            ("elasticloadbalancing", "CreateLoadBalancer", None, "name", "front"),
            ("elasticloadbalancing", "CreateLoadBalancer", denied, "name", "others"),
            (
                "elasticloadbalancing",
                "CreateLoadBalancer",
                None,
                "loadBalancerName",
                "old",
            ),
        ],
    )
}

#[tokio::test]
async fn keys_parameters_and_secrets_have_many_names() -> Result<()> {
    let records = pod(&["kms", "ssm", "secretsmanager"], "gateway_secrets.py", SECRETS).await?;
    let denied = Some("AccessDeniedException");
    recorded(
        &records,
        &[
            ("kms", "ReEncrypt", None, "", ""),
            ("kms", "Decrypt", denied, "", ""),
            ("ssm", "GetParameter", None, "name", "/app/db/password:old"),
            ("ssm", "DeleteParameters", denied, "", ""),
            ("secretsmanager", "BatchGetSecretValue", denied, "", ""),
        ],
    )?;
    // What a call is about is in its record; what it brings is not.
    let text = serde_json::to_string(&records)?;
    ensure!(
        !text.contains("SecretString") && !text.contains("cipher"),
        "a secret is in a record"
    );
    Ok(())
}
