//! Recorded writes of trust policies: accepted, or refused with which text.

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

use super::{Case, Comparison, Outcome, World, member, resolve::Placeholders};

pub(super) async fn run(world: &World, index: usize, case: &Case) -> Result<Comparison> {
    let (account, client) = world.account().await?;
    let mut placeholders = Placeholders::default();
    placeholders.set("ACCOUNT", &account);
    let document = match member(&case.members, "document")? {
        // A document recorded as text is sent as that text: it need not be JSON.
        Value::String(text) => text.replace("${ACCOUNT}", &account),
        document => placeholders.fill(document)?.to_string(),
    };
    let role = format!("replay-{index}");
    let own = r#"{"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":{"AWS":"*"},"Action":"sts:AssumeRole","Condition":{"Bool":{"aws:SecureTransport":"true"}}}}"#;
    let answer = match case.members.get("op").and_then(Value::as_str) {
        Some("UpdateAssumeRolePolicy") | None => {
            client
                .must(
                    "iam",
                    &[
                        ("Action", "CreateRole"),
                        ("RoleName", &role),
                        ("AssumeRolePolicyDocument", own),
                    ],
                )
                .await?;
            let parameters = [
                ("Action", "UpdateAssumeRolePolicy"),
                ("RoleName", role.as_str()),
                ("PolicyDocument", &document),
            ];
            client.query("iam", &parameters).await?
        }
        Some("CreateRole") => {
            let parameters = [
                ("Action", "CreateRole"),
                ("RoleName", role.as_str()),
                ("AssumeRolePolicyDocument", &document),
            ];
            client.query("iam", &parameters).await?
        }
        Some(operation) => bail!("the operation {operation} is not one that can be replayed"),
    };
    let recorded = member(&case.members, "outcome")?
        .as_object()
        .context("`outcome` is no object")?;
    let actual = if answer.status == 200 {
        Outcome::success()
    } else {
        Outcome::failure(&answer)
    };
    let text = |outcome: &serde_json::Map<String, Value>, name: &str| {
        outcome
            .get(name)
            .and_then(Value::as_str)
            .map(|text| placeholders.show(text))
    };
    let equal = recorded.get("ok") == actual.0.get("ok")
        && (recorded.get("ok") == Some(&Value::Bool(true))
            || ["code", "message"].iter().all(|name| {
                recorded.get(*name).is_none()
                    || text(recorded, name) == actual.0.get(*name).and_then(Value::as_str).map(str::to_owned)
            }));
    Ok(Comparison {
        expected: placeholders.show(&Value::Object(recorded.clone()).to_string()),
        actual,
        equal,
    })
}
