use std::process::ExitCode;

use anyhow::Context as _;
use irsa_aws::{Client, encode_path};
use serde_json::{Value, json};

use crate::cli::{ClusterList, ClusterRegister};
use crate::failure::Failure;
use crate::instance::Instance;
use crate::output::{self, Format, shell_word};
use crate::table::Table;

/// Records a cluster and prints its issuer.
pub(super) async fn register(arguments: ClusterRegister) -> anyhow::Result<ExitCode> {
    let instance = Instance::find(&arguments.data.data)?;
    let mut body = json!({
        "name": arguments.name,
        // EKS wants a role and a network; a cluster that runs elsewhere has neither.
        "roleArn": format!("arn:aws:iam::{}:role/cluster", instance.account),
        "resourcesVpcConfig": {},
    });
    if let Some(url) = arguments.issuer_url {
        let mut oidc = json!({"issuer": url});
        if let Some(path) = arguments.jwks {
            let name = path.display();
            let text = std::fs::read(&path).with_context(|| format!("`{name}` can't be read"))?;
            oidc["keys"] = serde_json::from_slice(&text).with_context(|| format!("`{name}` is no JSON"))?;
        }
        body["oidc"] = oidc;
    }
    let answer = instance
        .root_client(None)?
        .json("eks", "POST", "/clusters", Some(&body))
        .await?;
    let issuer = answer
        .pointer("/cluster/identity/oidc/issuer")
        .and_then(Value::as_str)
        .unwrap_or_default();
    match arguments.output.output {
        Format::Json => output::json(&answer),
        Format::Table => output::data(issuer),
    }
    output::hint(format_args!(
        "trust it: aws iam create-open-id-connect-provider --url {} --client-id-list sts.amazonaws.com",
        shell_word(issuer)
    ));
    Ok(ExitCode::SUCCESS)
}

/// Prints the clusters.
pub(super) async fn list(arguments: ClusterList) -> anyhow::Result<ExitCode> {
    let client = Instance::find(&arguments.data.data)?.root_client(None)?;
    let mut clusters = Vec::new();
    for name in names(&client).await? {
        let path = format!("/clusters/{}", encode_path(&name));
        let answer = client.json("eks", "GET", &path, None).await?;
        clusters.push(answer["cluster"].clone());
    }
    if arguments.output.output == Format::Json {
        output::json(&json!({ "clusters": clusters }));
        return Ok(ExitCode::SUCCESS);
    }
    let mut table = Table::new(&["NAME", "ISSUER"]);
    for cluster in &clusters {
        let text = |pointer: &str| cluster.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
        table.row(&[text("/name"), text("/identity/oidc/issuer")]);
    }
    output::data(table);
    Ok(ExitCode::SUCCESS)
}

/// The names of all clusters.
async fn names(client: &Client) -> anyhow::Result<Vec<String>> {
    let answer = client.json("eks", "GET", "/clusters", None).await?;
    let names = answer["clusters"].as_array().into_iter().flatten();
    Ok(names.filter_map(Value::as_str).map(ToOwned::to_owned).collect())
}

/// The cluster that is meant: the one that is named, or the only one.
pub(super) async fn chosen(client: &Client, named: Option<String>) -> anyhow::Result<String> {
    if let Some(name) = named {
        return Ok(name);
    }
    let mut names = names(client).await?;
    match (names.pop(), names.len()) {
        (Some(name), 0) => Ok(name),
        (None, _) => Err(Failure::new("the server has no cluster")
            .hint("`irsa cluster register --name my-cluster` makes one with an issuer")
            .into()),
        (Some(last), _) => {
            names.push(last);
            Err(
                Failure::usage("the server has several clusters, so `--cluster` must say which")
                    .hint(format!("one of {}", names.join(", ")))
                    .into(),
            )
        }
    }
}
