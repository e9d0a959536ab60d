//! The steps that an administrator takes.

use bytes::Bytes;
use irsa_aws::{Client, QueryService, encode_path};
use irsa_webhook::manifest::{Object, read};
use irsa_webhook::{Decision, Identity, identity_of, mutate};
use serde_json::{Value, json};

use super::story::Story;
use super::{
    BUCKET, CLUSTER, DEPLOYMENT_YAML, NAMESPACE, OBJECT, OBJECT_TEXT, POLICY, POLICY_DOCUMENT, REGION, ROLE,
    SERVICE_ACCOUNT, SERVICE_ACCOUNT_YAML, TRUST, Tour,
};
use crate::failure::Failure;
use crate::{output, yaml};

pub(super) async fn cluster(story: &Story, tour: &mut Tour) -> anyhow::Result<()> {
    story.command(format_args!("irsa cluster register --name {CLUSTER}"));
    let body = json!({
        "name": CLUSTER,
        "roleArn": format!("arn:aws:iam::{}:role/cluster", tour.account),
        "resourcesVpcConfig": {},
    });
    tour.root.json("eks", "POST", "/clusters", Some(&body)).await?;

    story.command(format_args!(
        "aws eks describe-cluster --name {CLUSTER} --query \"cluster.identity.oidc.issuer\" --output text"
    ));
    let answer = tour
        .root
        .json("eks", "GET", &format!("/clusters/{CLUSTER}"), None)
        .await?;
    let issuer = answer
        .pointer("/cluster/identity/oidc/issuer")
        .and_then(Value::as_str)
        .unwrap_or_default();
    story.expect(issuer.starts_with("https://"), || format!("the issuer is `{issuer}`"))?;
    story.prints(issuer);
    issuer.clone_into(&mut tour.issuer);

    // What any relying party does: the discovery document, then the keys, over TLS.
    let base = tour.server.tls_endpoint().to_owned();
    let path = |url: &str| {
        url.strip_prefix(&base)
            .map(ToOwned::to_owned)
            .ok_or_else(|| Failure::new(format!("`{url}` is elsewhere")))
    };
    let public = Client::anonymous(&base, REGION)?.with_ca(&tour.server.folder().ca())?;
    story.command(format_args!(
        "curl --cacert irsa-data/tls/ca.pem {issuer}/.well-known/openid-configuration"
    ));
    let discovery = public
        .get(&format!("{}/.well-known/openid-configuration", path(issuer)?))
        .await?;
    let discovery: Value = serde_json::from_slice(&discovery.body)?;
    story.expect(discovery["issuer"] == *issuer, || {
        format!("the discovery document is of {}", discovery["issuer"])
    })?;
    let keys = public
        .get(&path(discovery["jwks_uri"].as_str().unwrap_or_default())?)
        .await?;
    let keys: Value = serde_json::from_slice(&keys.body)?;
    let key = keys.pointer("/keys/0").unwrap_or(&Value::Null);
    let key_id = key["kid"].as_str().unwrap_or_default();
    story.expect(!key_id.is_empty() && key["d"].is_null(), || {
        "there is no public key".to_owned()
    })?;
    story.good(format_args!(
        "the issuer publishes its key {}, {}",
        key_id,
        key["alg"].as_str().unwrap_or_default()
    ));
    Ok(())
}

pub(super) async fn provider(story: &Story, tour: &Tour) -> anyhow::Result<()> {
    story.command(format_args!(
        "aws iam create-open-id-connect-provider --url {} --client-id-list sts.amazonaws.com",
        tour.issuer
    ));
    let params = [
        ("Url", tour.issuer.as_str()),
        ("ClientIDList.member.1", "sts.amazonaws.com"),
    ];
    let answer = tour
        .root
        .query(QueryService::Iam, "CreateOpenIDConnectProvider", &params)
        .await?;
    let arn = answer
        .text_at("CreateOpenIDConnectProviderResult/OpenIDConnectProviderArn")
        .unwrap_or_default();
    let expected = format!("arn:aws:iam::{}:oidc-provider/{}", tour.account, tour.provider());
    story.expect(arn == expected, || {
        format!("the provider's ARN is `{arn}`, not `{expected}`")
    })?;
    story.prints(arn);

    let params = [("OpenIDConnectProviderArn", arn)];
    let provider = tour
        .root
        .query(QueryService::Iam, "GetOpenIDConnectProvider", &params)
        .await?;
    let audience = provider
        .text_at("GetOpenIDConnectProviderResult/ClientIDList/member")
        .unwrap_or_default();
    story.expect(audience == "sts.amazonaws.com", || {
        format!("the audience is `{audience}`")
    })?;
    story.good(format_args!(
        "tokens of this issuer for `{audience}` can now be exchanged, where a role trusts them"
    ));
    Ok(())
}

pub(super) async fn bucket(story: &Story, tour: &Tour) -> anyhow::Result<()> {
    story.command(format_args!("aws s3 mb s3://{BUCKET}"));
    tour.root.s3("PUT", &format!("/{BUCKET}"), "", Bytes::new()).await?;
    story.command(format_args!(
        "echo '{OBJECT_TEXT}' | aws s3 cp - s3://{BUCKET}/{OBJECT}"
    ));
    let path = encode_path(&format!("/{BUCKET}/{OBJECT}"));
    tour.root
        .s3("PUT", &path, "", Bytes::from(format!("{OBJECT_TEXT}\n")))
        .await?;
    let read = tour.root.s3("GET", &path, "", Bytes::new()).await?;
    story.expect(read.body == format!("{OBJECT_TEXT}\n"), || {
        "the object does not hold what was written".to_owned()
    })?;
    story.good("the object is there");
    Ok(())
}

pub(super) async fn role(story: &Story, tour: &Tour) -> anyhow::Result<()> {
    let trust = tour.fill(TRUST);
    tour.write(story, "trust.json", &trust)?;
    story.command(format_args!(
        "aws iam create-role --role-name {ROLE} --assume-role-policy-document file://trust.json"
    ));
    let params = [("RoleName", ROLE), ("AssumeRolePolicyDocument", trust.as_str())];
    let answer = tour.root.query(QueryService::Iam, "CreateRole", &params).await?;
    let arn = answer.text_at("CreateRoleResult/Role/Arn").unwrap_or_default();
    story.expect(arn == tour.role_arn(), || format!("the role's ARN is `{arn}`"))?;

    tour.write(story, "policy.json", POLICY_DOCUMENT)?;
    story.command(format_args!(
        "aws iam create-policy --policy-name {POLICY} --policy-document file://policy.json"
    ));
    let params = [("PolicyName", POLICY), ("PolicyDocument", POLICY_DOCUMENT)];
    let answer = tour.root.query(QueryService::Iam, "CreatePolicy", &params).await?;
    let policy = answer
        .text_at("CreatePolicyResult/Policy/Arn")
        .unwrap_or_default()
        .to_owned();
    story.command(format_args!(
        "aws iam attach-role-policy --role-name {ROLE} --policy-arn {policy}"
    ));
    let params = [("RoleName", ROLE), ("PolicyArn", policy.as_str())];
    tour.root.query(QueryService::Iam, "AttachRolePolicy", &params).await?;

    let attached = tour
        .root
        .query(QueryService::Iam, "ListAttachedRolePolicies", &[("RoleName", ROLE)])
        .await?;
    let attached: Vec<&str> = attached
        .all("ListAttachedRolePoliciesResult/AttachedPolicies", "member")
        .filter_map(|policy| policy.text_at("PolicyArn"))
        .collect();
    story.expect(attached == [policy.as_str()], || format!("attached are {attached:?}"))?;
    story.good(format_args!(
        "{arn} may be taken by service account {NAMESPACE}/{SERVICE_ACCOUNT} of this cluster, and by nobody else"
    ));
    Ok(())
}

pub(super) fn deployment(story: &Story, tour: &mut Tour) -> anyhow::Result<()> {
    let text = tour.fill(SERVICE_ACCOUNT_YAML);
    tour.write(story, "serviceaccount.yaml", &text)?;
    let account = yaml::documents("serviceaccount.yaml", &text)?.pop().unwrap_or_default();
    let identity = identity_of(&account, &tour.settings)?.ok_or_else(|| Failure::new("it names no role"))?;
    story.expect(identity.role_arn == tour.role_arn(), || {
        format!("it names `{}`", identity.role_arn)
    })?;

    tour.write(story, "deployment.yaml", DEPLOYMENT_YAML)?;
    let documents = yaml::documents("deployment.yaml", DEPLOYMENT_YAML)?;
    let [deployment] = documents.as_slice() else {
        return Err(Failure::new("deployment.yaml has several documents").into());
    };
    let mutated = mutated(tour, deployment, &identity)?;
    story.command("irsa run -f serviceaccount.yaml -f deployment.yaml");
    story.diff("deployment.yaml", &yaml::text(deployment), &yaml::text(&mutated));
    for pointer in ["env/2/name", "env/3/name"] {
        let name = mutated.pointer(&format!("/spec/template/spec/containers/0/{pointer}"));
        let name = name.and_then(Value::as_str).unwrap_or_default();
        story.expect(["AWS_ROLE_ARN", "AWS_WEB_IDENTITY_TOKEN_FILE"].contains(&name), || {
            format!("`{name}` was injected")
        })?;
    }
    story.good("nothing was changed, only added: the role, where the token is, and the token itself");
    tour.deployment = deployment.clone();
    tour.mutated = mutated;
    Ok(())
}

/// The Deployment as a cluster's webhook would let its pods start.
fn mutated(tour: &Tour, deployment: &Value, identity: &Identity) -> anyhow::Result<Value> {
    let objects = read(std::slice::from_ref(deployment), "default")?;
    let [Object::Workload(workload)] = objects.as_slice() else {
        return Err(Failure::new("deployment.yaml is no Deployment").into());
    };
    let mutation = mutate(&workload.pod, identity, &tour.settings);
    for warning in &mutation.warnings {
        output::warning(warning);
    }
    if mutation.decision != Decision::Injected {
        return Err(Failure::new(format!("the webhook decided {:?}", mutation.decision)).into());
    }
    let mut mutated = deployment.clone();
    workload.apply(&mut mutated, &mutation.patch)?;
    Ok(mutated)
}
